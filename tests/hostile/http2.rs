//! HTTP/2 that no client library would send.

use crate::harness::{App, frames, start};

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It was answered with this status.
    Answered(u16),
    /// Its stream, or the whole connection, was ended.
    Ended,
}

/// Sends one request and gives its fate.
async fn fate(app: &App, fields: &[(&str, &str)], body: &[u8]) -> Fate {
    let answer = frames(app, fields, Some(body).filter(|body| !body.is_empty())).await;
    answer.status.map_or(Fate::Ended, Fate::Answered)
}

/// A request with some of its headers replaced; no value takes one away.
fn with<'a>(changes: &[(&'a str, Option<&'a str>)]) -> Vec<(&'a str, &'a str)> {
    let plain = [(":method", "POST"), (":scheme", "http"), (":authority", "hs.test"), (":path", "/x")];
    let change = |name: &str| changes.iter().find(|(known, _)| *known == name);
    let kept = plain.into_iter().filter_map(|(name, value)| match change(name) {
        Some((_, new)) => new.map(|value| (name, value)),
        None => Some((name, value)),
    });
    let is_new = |name: &str| plain.iter().all(|(known, _)| *known != name);
    let new = changes.iter().filter(|(name, _)| is_new(name)).filter_map(|(name, value)| Some((*name, (*value)?)));
    kept.chain(new).collect()
}

#[tokio::test]
async fn frames_made_by_hand_are_understood() {
    let (homeserver, _clamd, app) = start().await;
    assert_eq!(fate(&app, &with(&[]), b"body").await, Fate::Answered(404));
    assert_eq!(&homeserver.last().body[..], b"body");
    let medium = with(&[(":method", Some("PUT")), (":path", Some("/_matrix/media/v3/download/hs.test/m"))]);
    assert_eq!(fate(&app, &medium, b"").await, Fate::Answered(405));
    assert_eq!(homeserver.seen().len(), 1);
}

#[tokio::test]
async fn what_http2_forbids_goes_nowhere() {
    let (homeserver, _clamd, app) = start().await;
    for changes in [
        vec![("transfer-encoding", Some("chunked"))],
        vec![("connection", Some("close"))],
        vec![("connection", Some("x-mine")), ("x-mine", Some("1"))],
        vec![("keep-alive", Some("1"))],
        vec![("upgrade", Some("h2c"))],
        vec![("te", Some("gzip"))],
        vec![("x", Some("a\r\ny: z"))],
        vec![("x", Some("a\nb"))],
        vec![("x", Some("a\0b"))],
        vec![("x\r\ny", Some("z"))],
        vec![("X", Some("y"))],
        vec![("x y", Some("z"))],
        vec![("", Some("z"))],
        vec![(":status", Some("200"))],
        vec![(":method", None)],
        vec![(":scheme", None)],
        vec![(":path", None)],
        vec![(":path", Some(""))],
        vec![(":path", Some("/x HTTP/1.1\r\ny: z"))],
        vec![("content-length", Some("1"))],
        vec![("content-length", Some("+4"))],
    ] {
        assert_eq!(fate(&app, &with(&changes), b"body").await, Fate::Ended, "{changes:?}");
    }
    let twice = [with(&[]), vec![(":path", "/y")]].concat();
    assert_eq!(fate(&app, &twice, b"").await, Fate::Ended);
    assert_eq!(homeserver.seen().len(), 0);
}

#[tokio::test]
async fn what_is_no_path_on_one_host_is_refused_over_http2_too() {
    let (homeserver, _clamd, app) = start().await;
    for (status, changes) in [
        (400, vec![("host", Some("other.test"))]),
        (400, vec![(":path", Some("*"))]),
        (405, vec![(":method", Some("CONNECT")), (":scheme", None), (":path", None)]),
        (405, vec![(":method", Some("get"))]),
        (405, vec![(":method", Some("TRACE"))]),
    ] {
        assert_eq!(fate(&app, &with(&changes), b"").await, Fate::Answered(status), "{changes:?}");
    }
    for changes in [
        vec![(":path", Some("x"))],
        vec![(":method", Some("CONNECT")), (":protocol", Some("websocket"))],
        vec![(":method", Some("CONNECT"))],
        vec![(":authority", Some("user@hs test"))],
    ] {
        let fate = fate(&app, &with(&changes), b"").await;
        assert!(matches!(fate, Fate::Ended | Fate::Answered(400 | 405)), "{changes:?}: {fate:?}");
    }
    assert_eq!(homeserver.seen().len(), 0);
}

/// The library drops a fragment before anyone sees it; what is left is what is classified and what is sent.
#[tokio::test]
async fn a_fragment_does_not_go_further() {
    let (homeserver, _clamd, app) = start().await;
    assert_eq!(fate(&app, &with(&[(":path", Some("/x?y#z"))]), b"").await, Fate::Answered(404));
    assert_eq!(homeserver.last().target, "/x?y");
}
