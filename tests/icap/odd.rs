//! Answers that are none, and what they lead to.

use super::{behind, read, scans};
use crate::harness::{App, FakeIcap, Homeserver, ODD, When, eicar};

const CLEAN: &[u8] = b"ICAP/1.0 204 Unmodified\r\nISTag: \"one\"\r\n\r\n";

/// Answers to the whole medium that are not exactly the clean one.
fn answers() -> Vec<Vec<u8>> {
    let mut answers: Vec<Vec<u8>> = [
        &b""[..],
        b"\r\n\r\n",
        b"204\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"ICAP/2.0 204 Unmodified\r\n\r\n",
        b"ICAP/1.1 204 Unmodified\r\n\r\n",
        b"icap/1.0 204 Unmodified\r\n\r\n",
        b" ICAP/1.0 204 Unmodified\r\n\r\n",
        b"\r\nICAP/1.0 204 Unmodified\r\n\r\n",
        b"\xef\xbb\xbfICAP/1.0 204 Unmodified\r\n\r\n",
        b"ICAP/1.0 204 Unmodified\n\n",
        b"ICAP/1.0 204 Unmodified\r\nX: y\n\r\n",
        b"ICAP/1.0 204 Unmodified\r\nX: y\r\rZ: z\r\n\r\n",
        b"ICAP/1.0 204 Unmodified\r\nX: \0\r\n\r\n",
        b"ICAP/1.0  204 Unmodified\r\n\r\n",
        b"ICAP/1.0 0204 Unmodified\r\n\r\n",
        b"ICAP/1.0 2040 Unmodified\r\n\r\n",
        b"ICAP/1.0 204Unmodified\r\n\r\n",
        b"ICAP/1.0 204 Unmodified\r\nno colon\r\n\r\n",
        // More than one thing at a time.
        b"ICAP/1.0 204 Unmodified\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0\r\n\r\n",
        b"ICAP/1.0 204 Unmodified\r\nISTag: \"one\"\r\nISTag: \"two\"\r\n\r\n",
        b"ICAP/1.0 204 Unmodified\r\n\r\nICAP/1.0 204 Unmodified\r\n\r\n",
        b"ICAP/1.0 204 Unmodified\r\n\r\nICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=X;\r\n\r\n",
        b"ICAP/1.0 204 Unmodified\r\n\r\n0\r\n\r\n",
        b"ICAP/1.0 100 Continue\r\n\r\n",
        b"ICAP/1.0 100 Continue\r\n\r\nICAP/1.0 204 Unmodified\r\n\r\n",
        // Something else.
        b"ICAP/1.0 200 OK\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: null-body=0\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n0\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=27\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n0\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=38\r\n\r\nHTTP/1.1 500 Internal Server Error\r\n\r\n0\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=9999\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=99999999999999999999\r\n\r\n",
        b"ICAP/1.0 200 OK\r\nEncapsulated: nonsense\r\n\r\n",
        b"ICAP/1.0 201 Created\r\n\r\n",
        b"ICAP/1.0 206 Partial Content\r\nEncapsulated: res-hdr=0, res-body=19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"ICAP/1.0 304 Not Modified\r\n\r\n",
        b"ICAP/1.0 400 Bad request\r\n\r\n",
        b"ICAP/1.0 403 Forbidden\r\n\r\n",
        b"ICAP/1.0 404 Service not found\r\n\r\n",
        b"ICAP/1.0 405 Method not allowed\r\n\r\n",
        b"ICAP/1.0 408 Timeout\r\n\r\n",
        b"ICAP/1.0 418 Bad composition\r\n\r\n",
        b"ICAP/1.0 500 Server error\r\n\r\n",
        b"ICAP/1.0 502 Bad gateway\r\n\r\n",
        b"ICAP/1.0 503 Overloaded\r\n\r\n",
        b"ICAP/1.0 505 Version not supported\r\n\r\n",
        b"\xff\xfe\0\0",
    ]
    .map(<[u8]>::to_vec)
    .into();
    answers.push([b"ICAP/1.0 204 Unmodified\r\nX: ".as_slice(), &vec![b'x'; 1 << 20]].concat());
    answers.extend((1..CLEAN.len()).step_by(3).map(|end| CLEAN[..end].to_vec()));
    answers
}

/// Odd media of which each is new.
async fn is_refused((homeserver, fake, app): (&Homeserver, &FakeIcap, &App), case: &str, answer: &[u8]) {
    let body = [ODD, case.as_bytes(), answer, b" and some more"].concat();
    let status = read(homeserver, app, "odd", &body).await.status.as_u16();
    assert!([403, 503].contains(&status), "{case}: {status} for {}", answer[..answer.len().min(200)].escape_ascii());
    assert_eq!(fake.asked_about(&body).len(), 1, "it is this answer that was refused");
}

#[tokio::test]
async fn no_answer_but_the_clean_one_lets_a_medium_through() {
    let homeserver = Homeserver::start().await;
    for offer in ["", "Preview: 4\r\n"] {
        let fake = FakeIcap::offering(offer).await;
        let app = behind(&homeserver, &fake.url(), "").without_toxic_media().start().await;
        fake.misbehaves(When::End, CLEAN, true);
        let fine = read(&homeserver, &app, "odd", &[ODD, b"the clean one"].concat()).await;
        assert_eq!(fine.status, 200, "this is what it looks like");
        for answer in answers() {
            fake.misbehaves(When::End, &answer, true);
            is_refused((&homeserver, &fake, &app), offer, &answer).await;
        }
    }
}

#[tokio::test]
async fn no_objection_to_a_preview_is_not_clean() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::offering("Preview: 1024\r\n").await;
    let app = behind(&homeserver, &fake.url(), "").start().await;
    fake.misbehaves(When::Preview, CLEAN, true);
    for len in [1, 2, 1000, 5000] {
        let body = [ODD, &vec![b'x'; len]].concat();
        read(&homeserver, &app, "m", &body).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    assert_eq!(scans(&app, "incomplete").await, 4);
}

#[tokio::test]
async fn no_objection_before_the_end_is_not_clean() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    let settings = ", canaries: false, max_bytes: 32MiB";
    let app = behind(&homeserver, &fake.url(), settings).without_toxic_media().start().await;
    for closes in [true, false] {
        fake.misbehaves(When::Early, CLEAN, closes);
        // More than lies between two sockets.
        let body = [ODD, &vec![b'x'; 24_000_000 + usize::from(closes)]].concat();
        read(&homeserver, &app, "m", &body).await.assert_matrix_error(503, "M_UNKNOWN");
    }
    assert_eq!(scans(&app, "clean").await, 0);
}

#[tokio::test]
async fn what_is_found_before_the_end_counts() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    let app = behind(&homeserver, &fake.url(), "").start().await;
    let found = b"ICAP/1.0 200 OK\r\nX-Infection-Found: Type=0; Resolution=2; Threat=X;\r\n\r\n";
    for closes in [true, false] {
        fake.misbehaves(When::Early, found, closes);
        let body = [ODD, &vec![b'x'; 4_000_000 + usize::from(closes)]].concat();
        read(&homeserver, &app, "m", &body).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    assert_eq!(scans(&app, "infected").await, 2);
}

#[tokio::test]
async fn a_page_in_place_of_the_medium_blocks_it() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    let app = behind(&homeserver, &fake.url(), "").start().await;
    let page = "HTTP/1.1 403 Forbidden\r\n\r\n";
    let answer = format!("ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body={}\r\n\r\n{page}0\r\n\r\n", page.len());
    fake.misbehaves(When::End, answer.as_bytes(), false);
    read(&homeserver, &app, "m", ODD).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(scans(&app, "infected").await, 1);
}

#[tokio::test]
async fn silence_ends_after_its_time_and_is_not_clean() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    let app = behind(&homeserver, &fake.url(), ", timeout: 1s").start().await;
    for when in [When::Early, When::End] {
        fake.misbehaves(when, b"", false);
        let body = [ODD, &vec![b'x'; 4_000_000]].concat();
        read(&homeserver, &app, "m", &body).await.assert_matrix_error(503, "M_UNKNOWN");
    }
}

#[tokio::test]
async fn a_connection_on_which_more_comes_than_was_asked_for_is_not_used_again() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    let app = behind(&homeserver, &fake.url(), ", canaries: false, probe_interval: 1h").start().await;
    // The second of these would be taken for the answer to what comes next.
    fake.misbehaves(When::End, &[CLEAN, CLEAN].concat(), false);
    read(&homeserver, &app, "m", ODD).await;
    read(&homeserver, &app, "m", &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
}
