//! Forms of the hostile, the slow and the large.

use serde_json::json;

use super::{
    clean, error,
    forms::{parts, sent},
    infected,
    vector::{Expected, PREFIX, Stage, check, row},
};
use crate::harness::{AppBuilder, Clamd, FORM, Homeserver, INFECTED, eicar, form, marker, raw, request, seal, start};

/// It may be encrypted later, and its plaintext must touch no disk of ours.
#[tokio::test]
async fn a_file_for_which_memory_has_no_room_is_asked_to_come_again() {
    let stage = Stage::start("limits: {memory_bytes: 64KiB}").await;
    let later = error(503, "M_UNKNOWN", "Too many requests at the moment; try again later").with("retry-after", "5");
    let sealed = seal(&vec![b'x'; 100_000], "m", 1);
    let key = json!(sealed.file).to_string();
    stage
        .check([
            parts("a small file", &[("body", &[b'x'; 10_000])]).expects(clean()),
            parts("a large file", &[("body", &vec![b'x'; 100_000])]).expects(later.clone()),
            parts("a ciphertext of which that is not known", &[("body", &sealed.ciphertext), ("file", key.as_bytes())])
                .expects(later),
            parts("a ciphertext", &[("file", key.as_bytes()), ("body", &sealed.ciphertext)]).expects(clean()),
        ])
        .await;
    for app in stage.apps() {
        assert_eq!(app.metric("lazaret_spool_memory_bytes").await, 0);
    }
}

#[tokio::test]
async fn what_stands_around_a_file_is_bounded() {
    let too_large = error(413, "MCS_MALFORMED_MULTIPART", "The file is too large to be scanned");
    let file = [("body", &b"a medium"[..])];
    let many = |count: usize| form(&[vec![("x", &b""[..]); count], file.to_vec()].concat());
    let head = |len: usize| {
        let header = format!("X: {}\r\n", "x".repeat(len));
        let head = "--the-boundary\r\nContent-Disposition: form-data; name=\"body\"\r\n";
        sent(format!("{head}{header}\r\na medium\r\n--the-boundary--\r\n"))
    };
    let headers = format!("--the-boundary\r\n{}\r\n\r\n--the-boundary--\r\n", "X: 1\r\n".repeat(100));
    let large = vec![b'x'; 200_000];
    check([
        row("a thousand parts").sends([sent(many(1000))]).expects(clean()),
        row("ten thousand parts").sends([sent(many(10_000))]).expects(too_large.clone()),
        row("a long head").sends([head(60_000)]).expects(clean()),
        row("a head without end").sends([head(200_000)]).expects(too_large.clone()),
        row("more headers than any part has")
            .sends([sent(headers)])
            .expects(Expected::reason(400, "MCS_MALFORMED_MULTIPART")),
        row("a long preamble").sends([sent([&large[..], &form(&file)].concat())]).expects(too_large.clone()),
        parts("a large part that nobody reads", &[("x", &large), ("body", b"x")]).expects(too_large.clone()),
        parts("a large key", &[("file", &large), ("body", b"x")]).expects(too_large),
        parts("a form in a form", &[("body", &form(&[("x", &marker(1000))]))]).expects(infected()),
        parts("a large file", &[("body", &vec![b'x'; 5 << 20])]).expects(clean()),
    ])
    .await;
}

/// Each step of a form has its time, and all of it has a pace.
#[tokio::test]
async fn a_form_that_stalls_is_cut() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with("limits: {stall_timeout: 200ms}").start().await;
    let head = format!(
        "POST {PREFIX}scan_file HTTP/1.1\r\nHost: hs.test\r\nAuthorization: Bearer token\r\nContent-Type: {FORM}\r\nContent-Length: 1000\r\n\r\n"
    );
    let key = json!(seal(b"content", "m", 1).file).to_string();
    let whole = String::from_utf8(form(&[("file", key.as_bytes()), ("body", b"content")])).unwrap();
    for begun in [0, 20, whole.find(&key).unwrap() + 1, whole.find("content").unwrap() + 3] {
        let answer = raw(&app, format!("{head}{}", &whole[..begun])).await;
        assert_eq!(answer.status(), 408, "{begun}: {}", answer.0.escape_ascii());
        assert!(answer.contains(b"\"reason\":\"M_UNKNOWN\""));
    }
}

#[tokio::test]
async fn the_framing_of_a_request_does_not_matter() {
    let (_homeserver, _clamd, app) = start().await;
    let body = form(&[("body", &eicar())]);
    let sent = request("POST", &format!("{PREFIX}scan_file"))
        .header("content-type", FORM)
        .header("authorization", "Bearer token");
    assert_eq!(app.client.http2().send(sent, &body).await.text(), INFECTED, "HTTP/2");
    let head = format!(
        "POST {PREFIX}scan_file HTTP/1.1\r\nHost: hs.test\r\nAuthorization: Bearer token\r\nContent-Type: {FORM}\r\n"
    );
    let chunks: Vec<u8> = body.iter().flat_map(|byte| [b"1\r\n", &[*byte][..], b"\r\n"].concat()).collect();
    let head = format!("{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    let answer = raw(&app, [head.as_bytes(), &chunks, b"0\r\n\r\n"].concat()).await;
    assert_eq!(answer.body(), INFECTED.as_bytes(), "a byte at a time");
}
