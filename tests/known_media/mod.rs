//! Media that were scanned before: what of them leaves before all of it came, and what makes them unknown again.

mod arrivals;
mod conditional;

use std::sync::Arc;

use http_body_util::BodyExt;
use tokio::sync::Notify;

use crate::harness::{
    App, AppBuilder, BareHomeserver, Clamd, Homeserver, Stored, eventually, marker, request, signature,
};

const V1: &str = "/_matrix/client/v1/media/download/hs.test/m";
const STREAMED: &str = r#"lazaret_requests_total{outcome="streamed",route="download"}"#;
const SERVED: &str = r#"lazaret_requests_total{outcome="served",route="download"}"#;
const CHANGED: &str = "lazaret_changed_media_total";
const TAKEN_IN: &str = r#"lazaret_media_bytes_total{direction="download"}"#;

/// More than is held back.
const LEN: usize = 200 * 1024;

/// A medium that no sample signature finds.
fn medium() -> Vec<u8> {
    (0..=238).cycle().take(LEN).collect()
}

/// An application that has served [`medium`] once.
async fn knowing(settings: &str) -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(settings).start().await;
    homeserver.put_media("m", &Stored::media(&medium()));
    assert!(app.get(V1).await.body == medium());
    assert_eq!((app.metric(SERVED).await, app.metric(STREAMED).await), (1, 0), "it was not known yet");
    (homeserver, clamd, app)
}

/// The same bytes, of which the last come when they are asked to.
fn late(bytes: &[u8], end: &Arc<Notify>) -> Stored {
    let (first, rest) = bytes.split_at(LEN - 10_000);
    Stored::media(b"").header("content-length", &bytes.len().to_string()).held(first, end, rest)
}

/// Has clamd find what it found nothing in, and Lazaret forget what it was told.
async fn turn_infected(app: &App, clamd: &Clamd, text: &str) {
    clamd.write_signatures("late.ndb", signature("Lazaret.Test.Late", text));
    clamd.reload("Activating the newly loaded database").await;
    assert_eq!(app.admin.send(request("POST", "/epoch/bump"), b"").await.status, 200);
}

#[tokio::test]
async fn known_media_leave_while_they_come() {
    let (homeserver, _clamd, app) = knowing("").await;
    let end = Arc::new(Notify::new());
    homeserver.put_media("m", &late(&medium(), &end));
    let pool = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let sent = http::Request::get(format!("http://{}{V1}", app.public)).header("authorization", "Bearer token");
    let answer = pool.request(sent.body(String::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-length"], LEN.to_string());
    let mut body = answer.into_body();
    let mut read = body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec();
    assert!(!read.is_empty(), "before the homeserver was told to send the rest");
    end.notify_one();
    read.extend(body.collect().await.unwrap().to_bytes());
    assert!(read == medium());
    assert_eq!((app.metric(STREAMED).await, app.scans("clean").await), (1, 1));
}

#[tokio::test]
async fn nothing_leaves_early_where_the_operator_does_not_want_it() {
    let (homeserver, _clamd, app) = knowing("native: {always_buffer: true}").await;
    assert!(app.get(V1).await.body == medium());
    assert_eq!((app.metric(SERVED).await, app.metric(STREAMED).await), (2, 0));
    homeserver.put_media("m", &Stored::media(&marker(LEN)));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(app.metric(CHANGED).await, 0, "nothing was on its way that had to be cut");
}

#[tokio::test]
async fn media_that_changed_are_cut_and_judged_anew() {
    let (homeserver, _clamd, app) = knowing("").await;
    let mut other = medium();
    other[0] ^= 1;
    for (changed, status) in [(other, 200), (marker(LEN), 403)] {
        homeserver.put_media("m", &Stored::media(&changed));
        let sent = request("GET", V1).header("authorization", "Bearer token");
        assert!(app.client.try_send(sent, b"").await.is_err(), "nobody takes what came for all of it");
        let again = app.get(V1).await;
        assert_eq!(again.status, status);
        assert!(status == 403 || again.body == changed);
        // Known again by its new bytes.
        assert_eq!(app.get(V1).await.status, status);
    }
    assert_eq!((app.metric(CHANGED).await, app.scans("clean").await, app.scans("infected").await), (2, 2, 1));
}

/// HTTP/2 has no length that could be missed, so the stream is reset.
#[tokio::test]
async fn media_that_changed_are_cut_over_http2_as_well() {
    let (homeserver, _clamd, app) = knowing("").await;
    homeserver.put_media("m", &Stored::media(&marker(LEN)));
    let sent = request("GET", V1).header("authorization", "Bearer token");
    assert!(app.client.http2().try_send(sent, b"").await.is_err());
    assert_eq!(app.metric(CHANGED).await, 1);
}

#[tokio::test]
async fn an_address_from_where_another_length_comes_is_not_known() {
    let (homeserver, _clamd, app) = knowing("").await;
    for (changed, status) in [([medium(), vec![0]].concat(), 200), (marker(LEN - 1), 403)] {
        homeserver.put_media("m", &Stored::media(&changed));
        let answer = app.get(V1).await;
        assert_eq!(answer.status, status);
        assert!(status == 403 || answer.body == changed);
    }
    homeserver.put_media("m", &Stored::media(b"").chunked(&[&medium()]));
    assert!(app.get(V1).await.body == medium(), "nor one of which no length is known");
    assert_eq!((app.metric(STREAMED).await, app.metric(CHANGED).await), (0, 0));
}

/// Of two lengths the chunks count, so that the other one is no reason to expect anything.
#[tokio::test]
async fn an_answer_that_is_framed_twice_is_judged_by_what_came() {
    let clamd = Clamd::start().await;
    for (body, status) in [(medium(), 200), (marker(LEN), 403), ([medium(), marker(1000)].concat(), 403)] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("{head}{:x}\r\n", body.len());
        let homeserver = BareHomeserver::start([chunk.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat()).await;
        let app = AppBuilder::new(&Homeserver::start().await).clamd(&clamd).homeserver_at(homeserver.address);
        let app = app.start().await;
        for _ in 0..2 {
            let answer = app.get(V1).await;
            assert_eq!(answer.status, status, "{answer:?}");
            assert!(status == 403 || answer.body == body);
        }
        assert_eq!((app.metric(STREAMED).await, app.metric(CHANGED).await), (0, 0));
    }
}

#[tokio::test]
async fn a_verdict_that_counts_no_more_lets_nothing_leave_early() {
    let (homeserver, clamd, app) = knowing("").await;
    assert_eq!(app.admin.send(request("POST", "/epoch/bump"), b"").await.status, 200);
    assert!(app.get(V1).await.body == medium());
    assert_eq!((app.metric(STREAMED).await, app.metric(SERVED).await, app.scans("clean").await), (0, 2, 2));
    assert!(app.get(V1).await.body == medium());
    assert_eq!(app.metric(STREAMED).await, 1, "known once more");

    // In the middle of a transfer.
    let end = Arc::new(Notify::new());
    homeserver.put_media("m", &late(&medium(), &end));
    let sent = || request("GET", V1).header("authorization", "Bearer token");
    let reading = app.client.try_send(sent(), b"");
    tokio::pin!(reading);
    tokio::select! {
        _ = reading.as_mut() => panic!("it ended"),
        () = eventually("it streams", || async { app.metric(STREAMED).await == 2 }) => (),
    }
    turn_infected(&app, &clamd, "ABCDEFGH").await;
    end.notify_one();
    assert!(reading.await.unwrap().body == medium(), "what had begun is not cut for it");
    homeserver.put_media("m", &Stored::media(&medium()));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!((app.metric(CHANGED).await, app.scans("infected").await), (0, 1));
}

#[tokio::test]
async fn of_infected_media_that_are_known_nothing_is_read() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    let infected = marker(LEN);
    homeserver.put_media("m", &Stored::media(&infected));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    let (asked, taken_in) = (homeserver.seen().len(), app.metric(TAKEN_IN).await);
    let never = Arc::new(Notify::new());
    homeserver.put_media("m", &late(&infected, &never));
    for settings in [&[][..], &[("range", "bytes=0-9")], &[("if-none-match", "*")]] {
        let sent = request("GET", V1).header("authorization", "Bearer token");
        let sent = settings.iter().fold(sent, |sent, (name, value)| sent.header(*name, *value));
        app.client.send(sent, b"").await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    assert_eq!(homeserver.seen().len(), asked + 3, "the homeserver was asked whether they may have it");
    assert_eq!((app.metric(TAKEN_IN).await, app.scans("infected").await), (taken_in, 1));
}

#[tokio::test]
async fn a_known_thumbnail_is_refused_once_its_medium_is_found_infected() {
    let (homeserver, _clamd, app) = knowing("").await;
    let thumbnail = "/_matrix/client/v1/media/thumbnail/hs.test/m?width=9000&height=9000";
    for _ in 0..2 {
        assert!(app.get(thumbnail).await.body == medium());
    }
    assert_eq!(app.metric(&STREAMED.replace("download", "thumbnail")).await, 1);
    homeserver.put(V1, Stored::media(&marker(100)));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    app.get(thumbnail).await.assert_matrix_error(403, "M_FORBIDDEN");
    homeserver.put(V1, Stored::media(&medium()));
    assert_eq!(app.get(V1).await.status, 200);
    assert_eq!(app.get(thumbnail).await.status, 200, "when it is another again, so is its thumbnail");
}
