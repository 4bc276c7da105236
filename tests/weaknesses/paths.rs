//! W6 and W13: what is no address of a medium reaches neither the homeserver nor the cache.

use serde_json::json;

use crate::harness::{
    App, DOWNLOAD_ENCRYPTED, MALFORMED, SCAN_ENCRYPTED, Stored, edited, envelope, eventually, path, public_key,
    put_sealed, raw, request, scans, seal, start, target, with_file,
};

/// Of a server and a medium, as they stand in a path.
const ADDRESSES: [&str; 34] = [
    "..%2Fpreview_url",
    "../preview_url",
    "%2E%2E/preview_url",
    ".%2E/preview_url",
    "%2e%2e%2fpreview_url",
    "..%2Fpreview_url/m",
    "..%5Cpreview_url/m",
    "%252e%252e/preview_url",
    "%C0%AE%C0%AE/preview_url",
    "%EF%BC%8E%EF%BC%8E/preview_url",
    "./m",
    "hs.test/.",
    "hs.test/..",
    "hs.test/..;",
    "hs.test/..%2F..%2Fpreview_url",
    "hs.test/%252e%252e",
    "hs.test/%2e%2e%2f%2e%2e",
    "hs.test/m%2Fx",
    "hs.test/m%5Cx",
    "hs.test/m%00",
    "hs.test/m%0d%0aHost:x",
    "hs.test/m%23",
    "hs.test/m%3Fx",
    "hs.test/m%20",
    "hs.test/m/x",
    "hs.test/m/file.png",
    "hs.test%252Fm",
    "hs.test%2F/m",
    "hs.test//m",
    "hs.test",
    "hs.test/",
    "/m",
    "hs..test/m",
    "hs.test:99999/m",
];

/// The same in an attachment.
const URLS: [&str; 25] = [
    "",
    "m",
    "mxc://",
    "mxc:/hs.test/m",
    " mxc://hs.test/m",
    "MXC://hs.test/m",
    "http://hs.test/m",
    "abcdefhs.test/m",
    "mxc://hs.test",
    "mxc://hs.test/",
    "mxc:///m",
    "mxc://hs.test/m/",
    "mxc://hs.test/m/x",
    "mxc://hs.test/m?x",
    "mxc://../m",
    "mxc://../preview_url?url=http://x/#",
    "mxc://hs.test/..",
    "mxc://hs.test/../../preview_url",
    "mxc://..%2Fpreview_url/m",
    "mxc://%2e%2e/preview_url",
    "mxc://hs.test/m%2Fx",
    "mxc://hs.test/m\\x",
    "mxc://hs.test:99999/m",
    "mxc://user@hs.test/m",
    " mxc://hs.test/m",
];

/// Asserts what clients know as the answer to a malformed address, in an attachment.
async fn assert_malformed(app: &App, url: &str) {
    let file = edited(&seal(b"x", "m", 1).file, "/url", Some(json!(url)));
    let scan = app.post(SCAN_ENCRYPTED, &with_file(&file)).await;
    assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, MALFORMED), "{url}");
    let download = app.post(DOWNLOAD_ENCRYPTED, &with_file(&file)).await;
    download.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
    assert_eq!(download.json()["info"], "Malformed media ID", "{url}");
    // Another answer than for any other broken envelope would tell what came out of it.
    let sealed = json!({"encrypted_body": envelope(public_key(app).await, &with_file(&file))}).to_string();
    for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
        app.post(route, sealed.as_bytes()).await.assert_scanner_error(403, "MCS_BAD_DECRYPTION");
    }
}

#[tokio::test]
async fn w6_no_spelling_of_an_address_leads_out_of_the_media_of_the_homeserver() {
    let (homeserver, _clamd, app) = start().await;
    for address in ADDRESSES {
        for query in ["", "?url=http://hs.test/"] {
            let scan = app.get(&path(&format!("scan/{address}{query}"))).await;
            assert_eq!((scan.status.as_u16(), scan.text().as_str()), (200, MALFORMED), "{address}{query}");
            for route in ["download", "thumbnail"] {
                let answer = app.get(&path(&format!("{route}/{address}{query}"))).await;
                answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
                assert_eq!(answer.json()["info"], "Malformed media ID", "{route}/{address}{query}");
            }
        }
    }
    for url in URLS {
        assert_malformed(&app, url).await;
    }
    assert_eq!((homeserver.seen().len(), homeserver.connections()), (0, 0));
}

/// A route that is left by its path is no route.
#[tokio::test]
async fn w6_no_route_is_left_by_its_path() {
    let (homeserver, _clamd, app) = start().await;
    for route in ["public_key", "scan", "download", "thumbnail", "scan_encrypted", "download_encrypted"] {
        for rest in ["/../../v3/preview_url?url=x", "/..%2f..%2fv3/preview_url", "/%2e%2e/download/hs.test/m", ";/.."] {
            for method in ["GET", "POST"] {
                let answer = raw(&app, target(method, &path(&format!("{route}{rest}")))).await;
                let status = answer.status();
                let is_malformed = answer.contains(b"Malformed media ID");
                assert!([400, 404, 405].contains(&status) || is_malformed, "{method} {route}{rest}: {status}");
            }
        }
    }
    assert_eq!((homeserver.seen().len(), homeserver.connections()), (0, 0));
}

/// Entries in the cache, once `known` has been added to it.
async fn entries_with(app: &App, known: &str) -> u64 {
    let entries = || async {
        // Its store counts what was added when it is asked for something.
        assert_eq!(app.get(&path(&format!("scan/hs.test/{known}"))).await.status, 200);
        app.metric("lazaret_cache_entries").await
    };
    let before = entries().await;
    eventually("it is counted", || async { entries().await > before || before > 0 }).await;
    entries().await
}

#[tokio::test]
async fn w13_junk_is_neither_kept_nor_scanned() {
    let (homeserver, _clamd, app) = start().await;
    for number in 0..200 {
        for rest in
            [format!("scan/hs.test/{number}/x"), format!("download/..%2F{number}"), format!("thumbnail/{number}")]
        {
            app.get(&path(&rest)).await;
        }
        let file = edited(&seal(b"x", "m", 1).file, "/url", Some(json!(format!("mxc://hs.test/{number}/x"))));
        app.post(SCAN_ENCRYPTED, &with_file(&file)).await;
    }
    assert_eq!(homeserver.seen().len(), 0);
    homeserver.put_media("m", &Stored::media(b"a medium"));
    assert_eq!(entries_with(&app, "m").await, 1, "the one medium");
    assert_eq!(scans(&app).await, (1, 0));
}

#[tokio::test]
async fn w13_members_and_parameters_that_nobody_reads_cost_no_scan() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    homeserver.put("/_matrix/client/v1/media/thumbnail/hs.test/m", Stored::media(b"a thumbnail"));
    let key = public_key(&app).await;
    for number in 0..60 {
        let file = edited(&sealed.file, "/x", Some(json!(number)));
        let file = edited(&file, "/key/kid", Some(json!(number.to_string())));
        let body = json!({"file": file, number.to_string(): number}).to_string();
        let in_envelope = json!({"encrypted_body": envelope(key, body.as_bytes()), "x": number}).to_string();
        for body in [&body, &in_envelope] {
            assert_eq!(app.post(SCAN_ENCRYPTED, body.as_bytes()).await.status, 200);
        }
        let thumbnail = path(&format!("thumbnail/hs.test/m?width={number}&x={number}"));
        assert_eq!(app.get(&thumbnail).await.status, 200);
        let sent = request("GET", &path(&format!("scan/hs.test/m?x={number}"))).header("authorization", "Bearer token");
        assert_eq!(app.client.send(sent, b"").await.status, 200);
    }
    assert_eq!(scans(&app).await, (3, 0), "the attachment, its ciphertext as it is, and the thumbnail");
}
