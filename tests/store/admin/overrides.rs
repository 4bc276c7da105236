//! What the security team says in place of clamd.

use serde_json::json;

use super::{MARKER, download, entry, identity, overrule, post, saying, scans, take_back};
use crate::harness::{
    App, AppBuilder, CLEAN, Clamd, DOWNLOAD_ENCRYPTED, Homeserver, INFECTED, SCAN_ENCRYPTED, Stored, eicar,
    encrypted_zip, eventually, marker, path, put_sealed, request, start,
};

const ACTING: &str = r#"lazaret_overrides{effect="clean"}"#;
const DECIDED: &str = r#"lazaret_overridden_total{effect="clean"}"#;

/// Longer than what is held back of a known medium, and shorter.
const LENGTHS: [usize; 2] = [1000, 200_000];

#[tokio::test]
async fn a_false_positive_passes_at_once_and_without_a_scan_until_that_is_taken_back() {
    let (homeserver, _clamd, app) = start().await;
    for (known, len) in LENGTHS.into_iter().enumerate() {
        let id = format!("m{len}");
        homeserver.put_media(&id, &Stored::media(&marker(len)));
        app.get(&download(&id)).await.assert_matrix_error(403, "M_FORBIDDEN");
        let scanned = scans(&app).await;
        let name = overrule(&app, "clean", ("mxc", &format!("mxc://hs.test/{id}"))).await;
        let served = app.get(&download(&id)).await;
        assert!(served.status == 200 && served.body == marker(len), "{served:?}");
        let thumbnail = format!("/_matrix/client/v1/media/thumbnail/hs.test/{id}?width=1&height=1");
        assert_eq!(app.get(&thumbnail).await.status, 200, "nothing is held against what shows it");
        assert_eq!(app.get(&path(&format!("scan/hs.test/{id}"))).await.text(), CLEAN);
        assert_eq!((scans(&app).await, app.metric(ACTING).await), (scanned, 1));
        assert!(app.metric(DECIDED).await > 3 * known as u64);

        let known = entry(&app, &id).await;
        assert_eq!(known["override"]["id"], name.as_str(), "{known}");
        assert_eq!((&known["record"]["verdict"], &known["record"]["detection"]), (&json!("infected"), &json!(MARKER)));

        assert_eq!(take_back(&app, &name).await.status, 200);
        app.get(&download(&id)).await.assert_matrix_error(403, "M_FORBIDDEN");
        assert_eq!((scans(&app).await, app.metric(ACTING).await), (scanned, 0));
        assert_eq!(take_back(&app, &name).await.status, 409, "it was taken back before");
        assert_eq!(post_again(&app, &name).await, ("removed".into(), "kim".into()));
    }
}

/// What is listed of an override: its state, and who took it back.
async fn post_again(app: &App, id: &str) -> (serde_json::Value, serde_json::Value) {
    let list = app.admin.get("/cache/overrides").await.json();
    let one = list["overrides"].as_array().unwrap().iter().find(|one| one["id"] == id).unwrap().clone();
    (one["state"].clone(), one["removed"]["author"].clone())
}

#[tokio::test]
async fn an_override_ends_by_itself() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(&marker(1000)));
    app.get(&download("m")).await.assert_matrix_error(403, "M_FORBIDDEN");
    let mut new = saying("clean", "5s");
    new["mxc"] = "mxc://hs.test/m".into();
    assert_eq!(post(&app, "/cache/overrides", &new).await.status, 201);
    assert_eq!(app.get(&download("m")).await.status, 200);
    eventually("it ends", || async { app.get(&download("m")).await.status == 403 }).await;
    eventually("it is not counted any more", || async { app.metric(ACTING).await == 0 }).await;
    assert_eq!(scans(&app).await, 1);
}

/// A medium for another homeserver.
fn multipart(content: &[u8]) -> Stored {
    let head = b"--B\r\nContent-Type: application/json\r\n\r\n{}\r\n--B\r\nContent-Type: text/plain\r\n\r\n";
    let body = [&head[..], content, b"\r\n--B--\r\n"].concat();
    Stored::media(&body).without_headers().header("content-type", "multipart/mixed; boundary=B").open()
}

#[tokio::test]
async fn what_is_forced_to_be_infected_is_refused_on_every_way() {
    let (homeserver, _clamd, app) = start().await;
    for len in LENGTHS {
        let (id, text) = (format!("m{len}"), vec![b'x'; len]);
        let sealed = put_sealed(&homeserver, &text, &format!("sealed{len}"), 1);
        homeserver.put_media(&id, &Stored::media(&text));
        homeserver.put(&format!("/_matrix/federation/v1/media/download/{id}"), multipart(&text));
        let signed = || request("GET", &format!("/_matrix/federation/v1/media/download/{id}"));
        assert_eq!(app.get(&download(&id)).await.status, 200);
        assert_eq!(app.client.send(signed(), b"").await.status, 200);
        assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), CLEAN);
        let scanned = scans(&app).await;

        overrule(&app, "infected", ("identity", &identity(&app, &id).await)).await;
        app.get(&download(&id)).await.assert_matrix_error(403, "M_FORBIDDEN");
        app.get(&format!("/_matrix/media/v3/download/hs.test/{id}")).await.assert_matrix_error(403, "M_FORBIDDEN");
        for kind in ["client/v1/media", "media/v3"] {
            let thumbnail = format!("/_matrix/{kind}/thumbnail/hs.test/{id}?width=1&height=1");
            app.get(&thumbnail).await.assert_matrix_error(403, "M_FORBIDDEN");
        }
        app.client.send(signed(), b"").await.assert_matrix_error(404, "M_NOT_FOUND");
        assert_eq!(app.get(&path(&format!("scan/hs.test/{id}"))).await.text(), INFECTED);
        for route in ["download", "thumbnail"] {
            let answer = app.get(&path(&format!("{route}/hs.test/{id}?width=1&height=1"))).await;
            answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        }
        assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), INFECTED, "it opens to the same");
        app.post(DOWNLOAD_ENCRYPTED, &sealed.body()).await.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        app.post("/_matrix/media/v3/upload", &text).await.assert_matrix_error(403, "M_FORBIDDEN");
        assert_eq!(scans(&app).await, scanned, "nobody was asked again");
        assert_eq!(entry(&app, &id).await["record"]["verdict"], "clean", "what the engine said stays what it said");
    }
}

#[tokio::test]
async fn a_thumbnail_of_what_is_forced_to_be_infected_is_refused_though_its_verdict_is_gone() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.put_media("m", &Stored::media(b"text"));
    homeserver.put("/_matrix/client/v1/media/thumbnail/hs.test/m", Stored::media(b"smaller"));
    assert_eq!(app.get(&download("m")).await.status, 200);
    overrule(&app, "infected", ("mxc", "mxc://hs.test/m")).await;
    let purged = post(&app, "/cache/purge", &json!({"identity": identity(&app, "m").await})).await;
    assert_eq!(purged.json(), json!({"removed": {"records": 1}}));
    let thumbnail = "/_matrix/client/v1/media/thumbnail/hs.test/m?width=1&height=1";
    app.get(thumbnail).await.assert_matrix_error(403, "M_FORBIDDEN");
    app.get(&download("m")).await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_signature_is_overruled_for_all_that_it_names_and_for_nothing_else() {
    let (homeserver, _clamd, app) = start().await;
    for (id, medium) in [("one", marker(1000)), ("two", marker(200_000)), ("bad", eicar()), ("zip", encrypted_zip())] {
        homeserver.put_media(id, &Stored::media(&medium));
        app.get(&download(id)).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    let scanned = scans(&app).await;
    let name = overrule(&app, "clean", ("signature", MARKER)).await;
    for (id, status) in [("one", 200), ("two", 200), ("bad", 403), ("zip", 403)] {
        assert_eq!(app.get(&download(id)).await.status, status, "{id}");
    }
    let why = entry(&app, "zip").await["record"]["detection"].as_str().unwrap().to_owned();
    overrule(&app, "clean", ("signature", &why)).await;
    assert_eq!(app.get(&download("zip")).await.status, 200);
    overrule(&app, "infected", ("signature", MARKER)).await;
    assert_eq!(app.get(&download("one")).await.status, 403, "who forbids wins");
    take_back(&app, &name).await;
    overrule(&app, "clean", ("mxc", "mxc://hs.test/two")).await;
    assert_eq!(app.get(&download("two")).await.status, 200, "what is said of the bytes themselves comes first");
    assert_eq!(scans(&app).await, scanned);
}

#[tokio::test]
async fn an_attachment_is_let_pass_by_its_plaintext_and_forbidden_by_its_address() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).policy("opaque_media: require_scanned").start().await;
    // Noise would open nothing.
    let text = [vec![b'x'; 1000], marker(25)].concat();
    let sealed = put_sealed(&homeserver, &text, "m", 1);
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), INFECTED);
    let mut new = saying("clean", "1d");
    new["mxc"] = "mxc://hs.test/m".into();
    let refused = post(&app, "/cache/overrides", &new).await;
    assert_eq!(refused.status, 409, "a key may open it to anything: {refused:?}");

    let known = entry(&app, "m").await;
    let plaintext = known["plaintexts"][0]["identity"].as_str().unwrap();
    assert_eq!(known["plaintexts"][0]["record"]["detection"], MARKER, "{known}");
    overrule(&app, "clean", ("identity", plaintext)).await;
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), CLEAN);
    assert_eq!(app.get(&download("m")).await.status, 200, "someone had it scanned with its key");
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), CLEAN);

    overrule(&app, "infected", ("mxc", "mxc://hs.test/m")).await;
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), INFECTED);
    app.get(&download("m")).await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn ciphertext_is_refused_without_a_key_while_what_it_opens_to_is_forced_to_be_infected() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).policy("opaque_media: require_scanned").start().await;
    let sealed = put_sealed(&homeserver, &[b'x'; 1000], "m", 1);
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), CLEAN);
    assert_eq!(app.get(&download("m")).await.status, 200);
    let known = entry(&app, "m").await;
    let name = overrule(&app, "infected", ("identity", known["plaintexts"][0]["identity"].as_str().unwrap())).await;
    app.get(&download("m")).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), INFECTED);
    take_back(&app, &name).await;
    assert_eq!(app.get(&download("m")).await.status, 200, "nothing of it is left");
}
