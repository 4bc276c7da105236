//! What `compat` adds to answers and to what the homeserver is asked.

use super::{
    clean, not_found, post, posts, reads,
    vector::{Expected, Sent, Stage, row},
};
use crate::harness::{FORM, Stored, form, seal};

fn dual(errcode: &str, text: &str) -> Expected {
    Expected::json(401, &format!(r#"{{"reason":"{errcode}","info":"{text}","errcode":"{errcode}","error":"{text}"}}"#))
}

/// With both shapes in one, the Rust SDK refreshes its token; of a verdict it would miss the reason.
#[tokio::test]
async fn only_401_answers_are_matrix_errors_as_well() {
    let stage = Stage::with_compat("matrix_401: true").await;
    let (missing, unknown) = (
        dual("M_MISSING_TOKEN", "Access token missing from request"),
        dual("M_UNKNOWN_TOKEN", "Invalid access token passed"),
    );
    let stored = Stored::json(401, r#"{"errcode":"M_UNKNOWN_TOKEN","error":"x"}"#);
    let without = |sent: Vec<Sent>| sent.into_iter().map(Sent::without_token);
    let file = Sent::new("POST", "scan_file").header("content-type", FORM).body(form(&[("body", b"x")]));
    let why = "a setting";
    stage
        .check([
            row("no token")
                .medium(&Stored::media(b"x"))
                .stored("/_matrix/media/v3/download/hs.test/m", Stored::media(b"x"))
                .sends([Sent::new("GET", "scan/hs.test/m").without_token()])
                .expects(missing.clone())
                .deviates(why),
            row("unknown token")
                .medium(&stored)
                .sends(reads())
                .sends(posts(&seal(b"x", "m", 1).body()))
                .expects(unknown.clone())
                .deviates(why),
            row("unknown token, form")
                .stored("/_matrix/client/v3/account/whoami", stored)
                .sends([file])
                .expects(unknown)
                .deviates(why),
            row("not found").sends(reads()).sends(without(reads())).expects(not_found()),
        ])
        .await;
}

#[tokio::test]
async fn configured_headers_go_on_and_those_that_a_client_does_not_send_are_skipped() {
    let settings =
        "forward_headers: [X-Device, X-Absent], additional_headers: {X-Scanner: lazaret, User-Agent: scanner}";
    let stage = Stage::with_compat(settings).await;
    let sealed = seal(b"a medium", "m", 1);
    let body = form(&[("body", b"a medium")]);
    let requests = [
        Sent::new("GET", "scan/hs.test/m"),
        post("scan_encrypted", &sealed.body())[0].clone(),
        Sent::new("POST", "scan_file").header("content-type", FORM).body(body),
    ];
    for sent in requests {
        let sent = sent
            .header("x-device", "one")
            .header("x-other", "1")
            .header("x-scanner", "client")
            .header("user-agent", "client");
        let what = "headers of the operator's choice";
        stage.check([row(what).medium(&Stored::media(&sealed.ciphertext)).sends([sent]).expects(clean())]).await;
        let seen = stage.homeserver.last();
        let headers = ["x-device", "x-absent", "x-scanner", "user-agent", "x-other"].map(|name| seen.header(name));
        assert_eq!(headers, [Some("one"), None, Some("lazaret"), Some("scanner"), None], "{seen:?}");
        assert_eq!(seen.header("authorization"), Some("Bearer token"));
    }
}
