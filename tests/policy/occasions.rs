//! What rules are told of requests: each rule is about one fact, and refuses what is so and nothing else.

use super::{UPLOAD, federated, multipart, native, rules, start, takes_uploads, thumbnail};
use crate::harness::{AppBuilder, Clamd, FORM, Homeserver, PNG, SCAN_ENCRYPTED, Stored, path, put_sealed, request};

/// Rules that refuse in one direction, each what has one of these facts.
fn refusing(direction: &str, facts: &[&str]) -> String {
    let rule = |(at, fact): (usize, &&str)| {
        format!("  - {{id: r{at}, match: {{direction: {direction}, {fact}}}, action: block, reason: 'r{at}'}}\n")
    };
    format!("rules:\n{}", facts.iter().enumerate().map(rule).collect::<String>())
}

fn named(kind: &str, disposition: &str) -> Stored {
    Stored::media(b"a medium").without_headers().header("content-type", kind).header("content-disposition", disposition)
}

#[tokio::test]
async fn downloads_tell_their_address_and_what_the_homeserver_calls_them() {
    let rules = [
        "declared.type: text/html",
        "declared.name: '*.exe'",
        "declared.extension: scr",
        "media.id: secret",
        "media.server: evil.test",
    ];
    let (homeserver, _clamd, app) = start(&refusing("download", &rules), "").await;
    let media = [
        ("plain", named("text/plain", "inline"), None),
        ("html", named("Text/HTML; charset=utf-8", "inline"), Some("r0")),
        ("exe", named("text/plain", "attachment; filename*=utf-8''a%20b.EXE"), Some("r1")),
        ("scr", named("text/plain", r#"attachment; filename="a.b.SCR""#), Some("r2")),
        ("secret", named("text/plain", "inline"), Some("r3")),
    ];
    for (id, stored, refused) in media {
        homeserver.put_media(id, &stored);
        // The second time it is known what is there.
        for _ in 0..2 {
            let answer = app.get(&native(id)).await;
            let expected = refused.map_or(200, |_| 403);
            assert_eq!(answer.status, expected, "{id}");
            if let Some(rule) = refused {
                assert_eq!(answer.json()["error"], rule, "{id}");
            }
        }
    }
    homeserver.put("/_matrix/client/v1/media/download/evil.test/m", Stored::media(b"a medium"));
    assert_eq!(app.get("/_matrix/client/v1/media/download/evil.test/m").await.status, 403);
    let scanned = app.get(&path("scan/hs.test/secret")).await;
    assert_eq!(scanned.json()["clean"], true, "that goes in another direction");
}

#[tokio::test]
async fn what_is_local_is_told_by_the_name_of_the_homeserver_if_that_is_known() {
    for (name, expected) in
        [("hs.test", [403, 200]), ("HS.test", [403, 200]), ("other.test", [200, 403]), ("", [200, 200])]
    {
        let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
        let builder =
            AppBuilder::new(&homeserver).clamd(&clamd).within(rules(&refusing("download", &["media.local: true"])));
        let settings = format!("server_name: {name}");
        let builder = if name.is_empty() { builder } else { builder.homeserver_settings(&settings) };
        let app = builder.start().await;
        let mut answers = Vec::new();
        for server in ["hs.test", "other.test"] {
            let target = format!("/_matrix/client/v1/media/download/{server}/m");
            homeserver.put(&target, Stored::media(b"a medium"));
            answers.push(app.get(&target).await.status.as_u16());
        }
        assert_eq!(answers, expected, "{name}");
    }
}

#[tokio::test]
async fn what_is_uploaded_here_and_what_others_fetch_is_of_our_server() {
    for (name, refused) in [("hs.test", false), ("other.test", true)] {
        let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
        takes_uploads(&homeserver);
        let yaml = "rules: [{id: ours, match: {media.server: {not: hs.test}}, action: block}]";
        let builder = AppBuilder::new(&homeserver).clamd(&clamd).within(rules(yaml));
        let app = builder.homeserver_settings(&format!("server_name: {name}")).start().await;
        homeserver.put(&federated("m"), multipart("Content-Type: a/b", b"a medium"));
        assert_eq!(app.client.get(&federated("m")).await.status == 404, refused, "{name}");
        let sent = request("POST", UPLOAD).header("authorization", "Bearer token").header("content-type", "a/b");
        assert_eq!(app.client.send(sent, b"a medium").await.status == 403, refused, "{name}");
    }
}

#[tokio::test]
async fn large_media_that_are_known_are_decided_on_by_what_they_are_called_now() {
    let (homeserver, _clamd, app) = start(&refusing("download", &["declared.name: '*.exe'"]), "").await;
    let body = vec![b'x'; 1 << 20];
    let named = |name: &str| Stored::media(&body).header("content-disposition", &format!("inline; filename={name}"));
    homeserver.put_media("m", &named("a.txt"));
    assert_eq!(app.get(&native("m")).await.status, 200);
    homeserver.put_media("m", &named("a.exe"));
    assert_eq!(app.get(&native("m")).await.status, 403);
    assert_eq!(app.scans("clean").await, 1);
}

#[tokio::test]
async fn thumbnails_are_a_direction_of_their_own() {
    let (homeserver, _clamd, app) = start(&refusing("thumbnail", &["route: thumbnail"]), "").await;
    homeserver.put_media("m", &Stored::media(PNG));
    homeserver.put("/_matrix/client/v1/media/thumbnail/hs.test/m", Stored::media(PNG));
    assert_eq!(app.get(&native("m")).await.status, 200);
    assert_eq!(app.get(&thumbnail("m")).await.status, 403);
}

#[tokio::test]
async fn uploads_tell_who_sends_what_under_which_name() {
    let rules = ["declared.name: 'a b.exe'", "declared.type: text/html", "media.id: m", "user: '@mallory:*'"];
    let (homeserver, _clamd, app) = start(&refusing("upload", &rules), "").await;
    let upload = async |method: &str, target: &str, kind: &str| {
        let sent = request(method, target).header("authorization", "Bearer token").header("content-type", kind);
        app.client.send(sent, b"a medium").await
    };
    let refused = |answer: crate::harness::Answer, rule: &str| {
        answer.assert_matrix_error(403, "M_FORBIDDEN");
        assert_eq!(answer.json()["error"], rule);
    };
    assert_eq!(upload("POST", &format!("{UPLOAD}?filename=a.txt"), "text/plain").await.status, 200);
    refused(upload("POST", &format!("{UPLOAD}?filename=a%20b.exe"), "text/plain").await, "r0");
    refused(upload("POST", UPLOAD, "text/html;x=y").await, "r1");
    refused(upload("PUT", &format!("{UPLOAD}/hs.test/m"), "text/plain").await, "r2");
    homeserver.put("/_matrix/client/v3/account/whoami", Stored::json(200, r#"{"user_id":"@mallory:hs.test"}"#));
    refused(upload("POST", UPLOAD, "text/plain").await, "r3");
    homeserver.put("/_matrix/client/v3/account/whoami", Stored::json(200, r#"{"user_id":7}"#));
    assert_eq!(upload("POST", UPLOAD, "text/plain").await.status, 200, "nobody is named");
    assert_eq!(homeserver.uploads(), 2);
}

#[tokio::test]
async fn federation_tells_the_head_of_the_second_part() {
    let rules = ["declared.name: evil.txt", "declared.type: text/html", "media.id: secret"];
    let (homeserver, _clamd, app) = start(&refusing("federation", &rules), "").await;
    for (id, head, expected) in [
        ("plain", "Content-Type: text/plain", 200),
        ("name", "Content-Type: text/plain\r\nContent-Disposition: inline; filename=evil.txt", 404),
        ("html", "Content-Type: text/html", 404),
        ("secret", "Content-Type: text/plain", 404),
    ] {
        homeserver.put(&federated(id), multipart(head, b"a medium"));
        assert_eq!(app.client.get(&federated(id)).await.status, expected, "{id}");
    }
    assert_eq!(app.client.get(&federated("%73ecret")).await.status, 404, "however it is written");
}

#[tokio::test]
async fn the_scanner_tells_its_route_and_whether_there_was_a_key() {
    for (fact, refused) in [
        ("route: scanner_scan", [true, false, false]),
        ("route: scanner_download", [false, true, false]),
        ("encrypted: keyed", [false, false, true]),
        ("media.server: hs.test", [true, true, true]),
    ] {
        let (homeserver, _clamd, app) = start(&refusing("scan", &[fact]), "").await;
        homeserver.put_media("m", &Stored::media(b"a medium"));
        let sealed = put_sealed(&homeserver, b"another medium", "sealed", 1);
        let answers = [
            app.get(&path("scan/hs.test/m")).await,
            app.get(&path("download/hs.test/m")).await,
            app.post(SCAN_ENCRYPTED, &sealed.body()).await,
        ];
        assert_eq!(answers.map(|answer| answer.status == 403), refused, "{fact}");
    }
}

#[tokio::test]
async fn a_form_tells_who_sends_it_and_what_its_file_is_called() {
    for (fact, refused) in [
        ("declared.name: evil.exe", true),
        ("declared.type: text/html", true),
        ("user: '@user:hs.test'", true),
        ("route: scanner_scan_file", true),
        ("declared.name: body", false),
        ("user: '@other:hs.test'", false),
    ] {
        let (_homeserver, _clamd, app): (Homeserver, _, _) = start(&refusing("scan", &[fact]), "").await;
        let form = "--the-boundary\r\nContent-Disposition: form-data; name=\"body\"; filename=\"evil.exe\"\r\n\
                    Content-Type: text/html\r\n\r\na medium\r\n--the-boundary--\r\n";
        let sent = request("POST", &path("scan_file")).header("content-type", FORM);
        let answer = app.client.send(sent.header("authorization", "Bearer token"), form.as_bytes()).await;
        assert_eq!(answer.status == 403, refused, "{fact}: {answer:?}");
    }
}
