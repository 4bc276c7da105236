//! Rows 26 to 30: answers of the homeserver that are not a medium, or not all of it.

use http::HeaderMap;

use super::{UPLOAD, V1, assert_refused, is_infected};
use crate::harness::{
    Answer, App, AppBuilder, BareHomeserver, Clamd, Homeserver, Stored, eicar, gzip, raw, request, start, target,
};

const FEDERATION: &str = "/_matrix/federation/v1/media/download/m";
const VERSIONS: &str = "/_matrix/client/versions";

/// A body of parts that two parsers split at different places has a part that only one of them sees.
#[tokio::test]
async fn row_26_parts_that_parsers_split_differently_are_refused() {
    let (homeserver, _clamd, app) = start().await;
    let json = "Content-Type: application/json\r\n\r\n{}";
    let part = "Content-Type: image/png\r\n\r\nharmless";
    let infected = format!("Content-Type: image/png\r\n\r\n{}", String::from_utf8(eicar()).unwrap());
    let mixed = "multipart/mixed; boundary=b";
    let two = format!("--b\r\n{json}\r\n--b\r\n{part}\r\n--b--\r\n");
    for (what, kind, body) in [
        ("three parts", mixed, format!("--b\r\n{json}\r\n--b\r\n{part}\r\n--b\r\n{infected}\r\n--b--\r\n")),
        ("one part", mixed, format!("--b\r\n{json}\r\n--b--\r\n")),
        ("no JSON first", mixed, format!("--b\r\n{infected}\r\n--b\r\n{part}\r\n--b--\r\n")),
        ("a part after the end", mixed, format!("{two}--b\r\n{infected}\r\n--b--\r\n")),
        ("a preamble", mixed, format!("{}\r\n{two}", String::from_utf8(eicar()).unwrap())),
        ("an epilogue", mixed, format!("{two}{}", String::from_utf8(eicar()).unwrap())),
        ("lines that end in LF", mixed, two.replace("\r\n", "\n")),
        ("two boundaries", "multipart/mixed; boundary=b; boundary=c", two.clone()),
        ("a quoted boundary", "multipart/mixed; boundary=\"b b\"", two.replace("--b", "--b b")),
        ("a continued boundary", "multipart/mixed; boundary*0=b", two.clone()),
        ("no boundary", "multipart/mixed", two.clone()),
        ("another kind", "multipart/form-data; boundary=b", two.clone()),
        ("no parts", "image/png", infected.clone()),
        ("an encoded part", mixed, two.replace("image/png", "image/png\r\nContent-Transfer-Encoding: base64")),
        ("a place and a content", mixed, two.replace("image/png", "image/png\r\nLocation: https://cdn.test/m")),
        ("two types", mixed, two.replace("image/png", "image/png\r\nContent-Type: text/html")),
        ("a folded header", mixed, two.replace("image/png", "image/png\r\n --b")),
        ("no end", mixed, two.replace("\r\n--b--\r\n", "")),
    ] {
        let stored = Stored::media(body.as_bytes()).open().without_headers();
        homeserver.put(FEDERATION, stored.header("content-type", kind));
        let answer = app.get(FEDERATION).await;
        assert_eq!(answer.status, 404, "{what}: {answer:?}");
        answer.assert_matrix_error(404, "M_NOT_FOUND");
    }
    let inside = format!("--b\r\n{json}\r\n--b\r\n{infected}\r\n--b--\r\n");
    for (body, status) in [(inside, 404), (two, 200)] {
        let stored = Stored::media(body.as_bytes()).open().without_headers().header("content-type", mixed);
        homeserver.put(FEDERATION, stored);
        let answer = app.get(FEDERATION).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(status == 404 || answer.text() == body, "as it came");
    }
}

async fn get(app: &App, headers: &[(&str, &str)]) -> Answer {
    let sent = request("GET", V1).header("authorization", "Bearer token");
    let sent = headers.iter().fold(sent, |sent, (name, value)| sent.header(*name, *value));
    app.client.send(sent, b"").await
}

/// A part, or nothing, cannot be judged; and "not modified" brings back what was judged when less was known.
#[tokio::test]
async fn row_27_parts_and_confirmations_come_from_what_was_scanned_only() {
    let (homeserver, _clamd, app) = start().await;
    let (half, whole) = (&eicar()[..34], eicar());
    for stored in [
        Stored::media(half).status(206).header("content-range", "bytes 0-33/68"),
        Stored::media(b"").status(304).header("etag", "\"1\""),
        Stored::media(&whole).status(203),
    ] {
        homeserver.put_media("m", &stored);
        for headers in [&[("range", "bytes=0-33")][..], &[("if-none-match", "\"1\"")], &[]] {
            get(&app, headers).await.assert_matrix_error(502, "M_UNKNOWN");
        }
    }
    homeserver.put_media("m", &Stored::media(&whole));
    for headers in [&[("range", "bytes=0-33")][..], &[("range", "bytes=34-")], &[("if-none-match", "*")]] {
        get(&app, headers).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    let head = request("HEAD", V1).header("authorization", "Bearer token");
    assert_eq!(app.client.send(head, b"").await.status, 403);
    for seen in homeserver.seen() {
        assert_eq!((seen.method.as_str(), conditions(&seen.headers)), ("GET", 0), "asked for all of it");
    }

    homeserver.put_media("m", &Stored::media(b"harmless").header("etag", "1"));
    let part = get(&app, &[("range", "bytes=0-3")]).await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"harm"[..]));
    assert_eq!(part.header("content-range"), Some("bytes 0-3/8"));
    let tag = part.header("etag").unwrap().to_owned();
    assert_eq!(get(&app, &[("if-none-match", "1")]).await.status, 200, "not a validator of ours");
    let same = get(&app, &[("if-none-match", &tag)]).await;
    assert_eq!((same.status.as_u16(), same.body.len()), (304, 0));
    homeserver.put_media("m", &Stored::media(&whole));
    get(&app, &[("if-none-match", &tag)]).await.assert_matrix_error(403, "M_FORBIDDEN");
}

fn conditions(headers: &HeaderMap) -> usize {
    ["range", "if-range", "if-none-match", "if-match", "if-modified-since", "if-unmodified-since"]
        .into_iter()
        .filter(|name| headers.contains_key(*name))
        .count()
}

/// Administrators can ask Synapse for media in quarantine.
#[tokio::test]
async fn row_28_an_administrators_download_is_scanned_too() {
    let (homeserver, _clamd, app) = start().await;
    let path = format!("{V1}?admin_unsafely_bypass_quarantine=true");
    homeserver.put_media("m", &Stored::media(&eicar()));
    app.get(&path).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(homeserver.last().target, path);
    homeserver.put_media("m", &Stored::media(b"harmless"));
    assert_eq!(&app.get(&path).await.body[..], b"harmless");
}

/// Nobody scans an error, so it had better not be a file.
#[tokio::test]
async fn row_29_an_error_carries_no_payload() {
    let (homeserver, _clamd, app) = start().await;
    let compressed = gzip(&eicar(), b"");
    let long = format!("{{\"errcode\":\"M_X\",\"error\":\"{}\"}}", "x".repeat(70_000));
    for status in [400, 401, 403, 404, 410, 413, 429, 500, 502, 503, 504] {
        for (kind, body) in [
            ("text/html", &eicar()[..]),
            ("image/png", &eicar()),
            ("application/json", &eicar()),
            ("application/json", &compressed),
            ("application/json", long.as_bytes()),
        ] {
            let stored = Stored::media(body).open().status(status).without_headers().header("content-type", kind);
            homeserver.put_media("m", &stored);
            homeserver.put(FEDERATION, stored);
            for path in [V1, "/_matrix/media/v3/thumbnail/hs.test/m", FEDERATION] {
                let answer = app.get(path).await;
                assert!(!is_infected(&answer.body) && answer.body.len() < 1000, "{status} {kind}: {answer:?}");
                assert_eq!((answer.status.as_u16(), answer.header("content-type")), (status, Some("application/json")));
                assert!(answer.json()["errcode"].is_string());
            }
        }
        let honest = r#"{"errcode":"M_OWN","error":"their own words"}"#;
        homeserver.put_media("m", &Stored::json(status, honest));
        assert_eq!(app.get(V1).await.text(), honest);
    }
}

/// Behind a tunnel nobody sees anything.
#[tokio::test]
async fn row_30_there_is_no_tunnel() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let tunnel = BareHomeserver::start([&switching[..], &eicar()].concat()).await;
    let app = AppBuilder::new(&homeserver).clamd(&clamd).homeserver_at(tunnel.address).start().await;
    let upgrade = "Host: hs.test\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\nContent-Length: 0\r\n";
    for (method, path, status) in
        [("GET", V1, 502), ("GET", FEDERATION, 404), ("POST", UPLOAD, 502), ("GET", VERSIONS, 502)]
    {
        assert_refused(&raw(&app, target(method, path)).await, status, path);
        let asked = raw(&app, format!("{method} {path} HTTP/1.1\r\n{upgrade}Sec-WebSocket-Key: x\r\n\r\n")).await;
        assert_refused(&asked, if path == VERSIONS { 502 } else { 400 }, path);
    }
    for line in ["CONNECT hs.test:443 HTTP/1.1", "CONNECT /_matrix/client/versions HTTP/1.1"] {
        let answer = raw(&app, format!("{line}\r\nHost: hs.test:443\r\nConnection: close\r\n\r\n")).await;
        assert!(!is_infected(&answer.0) && [400, 405].contains(&answer.status()), "{line}: {}", answer.status());
    }

    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    homeserver.put(VERSIONS, Stored::json(200, "{}"));
    let twin = raw(&app, format!("GET {VERSIONS} HTTP/1.1\r\n{upgrade}\r\n")).await;
    assert_eq!((twin.status(), twin.body()), (200, &b"{}"[..]), "who only asks for one is answered without");
    assert_eq!(homeserver.last().header("upgrade"), None);
}
