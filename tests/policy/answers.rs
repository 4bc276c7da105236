//! How refusals by rules are told.

use super::{UPLOAD, federated, multipart, native, start};
use crate::harness::{Answer, App, Stored, path, request};

const RULES: &str = "
rules:
  - {id: secret-rule-id, match: {declared.type: a/b}, action: block, reason: {en: 'No.', fr: 'Non.', de-CH: 'Nei.'}}
  - {id: unexplained, match: {declared.type: a/c}, action: block}
  - {id: of-its-type, match: {declared.type: a/d}, action: block, reason: 'No such types', wire: MCS_MIME_TYPE_FORBIDDEN}
  - {id: kept, match: {declared.type: a/e}, action: quarantine, reason: 'We keep that'}";

async fn put(settings: &str) -> (crate::harness::Homeserver, crate::harness::Clamd, App) {
    let (homeserver, clamd, app) = start(RULES, settings).await;
    for id in ["b", "c", "d", "e"] {
        let kind = format!("a/{id}");
        homeserver.put_media(id, &Stored::media(b"a medium").without_headers().header("content-type", &kind));
    }
    (homeserver, clamd, app)
}

async fn ask(app: &App, target: &str, languages: Option<&str>) -> Answer {
    let mut sent = request("GET", target).header("authorization", "Bearer token");
    if let Some(languages) = languages {
        sent = sent.header("accept-language", languages);
    }
    app.client.send(sent, b"").await
}

#[tokio::test]
async fn a_reason_is_told_in_the_language_of_its_reader() {
    let (_homeserver, _clamd, app) = put("").await;
    for (languages, expected) in [
        (None, "No."),
        (Some("fr-CA, en;q=0.8"), "Non."),
        (Some("en;q=0.1, fr;q=0.8"), "Non."),
        (Some("de-CH"), "Nei."),
        (Some("de"), "No."),
    ] {
        let answer = ask(&app, &native("b"), languages).await;
        answer.assert_matrix_error(403, "M_FORBIDDEN");
        assert_eq!(answer.json()["error"], expected, "{languages:?}");
        assert!(!answer.text().contains("secret-rule-id"), "{answer:?}");
        let answer = ask(&app, &path("download/hs.test/b"), languages).await;
        answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        assert_eq!(answer.json()["info"], expected, "{languages:?}");
    }
    let own = ask(&app, &native("c"), Some("fr")).await;
    assert_eq!(own.json()["error"], "This file was refused: files like it are not allowed");
}

#[tokio::test]
async fn a_rule_says_which_word_clients_of_the_scanner_are_told() {
    let (_homeserver, _clamd, app) = put("").await;
    for (id, reason, info) in
        [("d", "MCS_MIME_TYPE_FORBIDDEN", "No such types"), ("e", "MCS_MEDIA_NOT_CLEAN", "We keep that")]
    {
        for route in ["scan", "download"] {
            let answer = app.get(&path(&format!("{route}/hs.test/{id}"))).await;
            answer.assert_scanner_error(403, reason);
            assert_eq!(answer.json()["info"], info);
        }
        app.get(&native(id)).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
}

#[tokio::test]
async fn who_wants_the_scanner_as_it_was_is_told_that_all_but_types_is_a_virus() {
    let (_homeserver, _clamd, app) = put("compat: {strict_mcs: true}").await;
    let answer = app.get(&path("scan/hs.test/e")).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["clean"]), (200, &false.into()), "{answer:?}");
    app.get(&path("scan/hs.test/d")).await.assert_scanner_error(403, "MCS_MIME_TYPE_FORBIDDEN");
}

#[tokio::test]
async fn other_homeservers_and_who_wants_it_so_only_learn_that_there_is_nothing() {
    let (homeserver, _clamd, app) = put("native: {refusal: not_found}").await;
    homeserver.put(&federated("m"), multipart("Content-Type: a/b", b"a medium"));
    let answers = [app.client.get(&federated("m")).await, app.get(&native("b")).await];
    for answer in answers {
        answer.assert_matrix_error(404, "M_NOT_FOUND");
        assert!(!answer.text().contains("No."));
    }
    let upload = request("POST", UPLOAD).header("authorization", "Bearer token").header("content-type", "a/b");
    app.client.send(upload, b"a medium").await.assert_matrix_error(403, "M_FORBIDDEN");
}
