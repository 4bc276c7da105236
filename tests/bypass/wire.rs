//! Rows 7 to 10: requests that one side reads differently from the other.

use super::{UPLOAD, V1, assert_refused, everywhere, is_infected};
use crate::harness::{Stored, eicar, frames, raw, start, target};

/// What is between a method and a version is more than a path to some, and less to others.
#[tokio::test]
async fn row_07_a_request_line_has_one_meaning() {
    let (homeserver, _clamd, app) = everywhere(&eicar()).await;
    let rest = "Authorization: Bearer token\r\nConnection: close\r\n\r\n";
    for line in [
        format!("GET http://hs.test{V1} HTTP/1.1\r\nHost: hs.test\r\n"),
        "GET http://hs.test/_matrix/client/versions HTTP/1.1\r\nHost: hs.test\r\n".to_owned(),
        format!("GET {V1}#fragment HTTP/1.1\r\nHost: hs.test\r\n"),
        format!("GET /_matrix/client/versions#/..{V1} HTTP/1.1\r\nHost: hs.test\r\n"),
        "GET /_matrix/client/versions?x#y HTTP/1.1\r\nHost: hs.test\r\n".to_owned(),
        format!("GET {V1} HTTP/1.1\r\nHost: hs.test\r\nHost: other.test\r\n"),
        format!("GET {V1} HTTP/1.1\r\nHost: hs.test\r\nHost: hs.test\r\n"),
        format!("GET {V1} HTTP/1.1\r\n"),
        "GET _matrix/client/versions HTTP/1.1\r\nHost: hs.test\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: hs.test\r\n".to_owned(),
    ] {
        assert_refused(&raw(&app, format!("{line}{rest}")).await, 400, &line);
    }
    for method in ["get", "Get", "TRACE", "PROPFIND", "GETT"] {
        for path in [V1, "/_matrix/client/versions"] {
            let answer = raw(&app, target(method, path)).await;
            assert!(!is_infected(&answer.0), "{method} {path}: delivered");
            assert!([400, 405, 501].contains(&answer.status()), "{method} {path}: {}", answer.status());
        }
    }
    assert_eq!(homeserver.seen().len(), 0);
    let twin = raw(&app, target("GET", "/_matrix/client/versions")).await;
    assert_eq!((twin.status(), homeserver.last().target.as_str()), (200, "/_matrix/client/versions"));
}

/// Where a body ends is where the next request begins, or the rest of a file that was not scanned.
#[tokio::test]
async fn row_08_a_body_has_one_length() {
    let (homeserver, _clamd, app) = everywhere(b"{}").await;
    let smuggled = format!("GET {V1} HTTP/1.1\r\nHost: hs.test\r\n\r\n");
    let chunked = format!("5\r\nhello\r\n0\r\n\r\n{smuggled}");
    for (framing, body) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", chunked.as_str()),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", &chunked),
        ("Transfer-Encoding: gzip, chunked", &chunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", &chunked),
        ("Transfer-Encoding: chunked, chunked", &chunked),
        ("Transfer-Encoding: identity", "hello"),
        ("Transfer-Encoding: xchunked", &chunked),
        ("Content-Length: 5\r\nContent-Length: 5", "hello"),
        ("Content-Length: 5\r\nContent-Length: 6", "hello!"),
        ("Content-Length: 5, 5", "hello"),
        ("Content-Length: +5", "hello"),
        ("Content-Length: -5", "hello"),
    ] {
        for path in [UPLOAD, "/_matrix/client/v3/keys/upload"] {
            let sent = format!("POST {path} HTTP/1.1\r\nHost: hs.test\r\n{framing}\r\n\r\n{body}");
            assert_refused(&raw(&app, sent).await, 400, &format!("{path}: {framing}"));
        }
    }
    let old = format!("POST {UPLOAD} HTTP/1.0\r\nHost: hs.test\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}");
    assert_refused(&raw(&app, old).await, 400, "HTTP/1.0");
    assert_eq!(homeserver.seen().len(), 0);

    let head = format!("POST {UPLOAD} HTTP/1.1\r\nHost: hs.test\r\nConnection: close\r\n");
    for framed in ["Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
        assert_eq!(raw(&app, format!("{head}{framed}")).await.status(), 200, "{framed:?}");
        assert_eq!(
            (&homeserver.last().body[..], homeserver.last().header("content-length")),
            (&b"hello"[..], Some("5"))
        );
    }
}

/// HTTP/2 carries in fields what HTTP/1 carries in lines, and a field takes more than a line does.
#[tokio::test]
async fn row_09_fields_of_http2_become_no_other_request() {
    let (homeserver, _clamd, app) = start().await;
    homeserver.respond_with(|seen| {
        let bytes = if seen.target == "/_matrix/client/versions" { b"{}".to_vec() } else { eicar() };
        Some(Stored::media(&bytes).open())
    });
    let get = |path, authority| [(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", path)];
    let versions = get("/_matrix/client/versions", "hs.test");
    let with = |field| [&versions[..], &[field]].concat();
    let smuggling = "x\r\n\r\nGET /_matrix/client/v1/media/download/hs.test/m HTTP/1.1";
    for (fields, body) in [
        (get("http://hs.test/_matrix/client/versions", "hs.test").to_vec(), None),
        (get("/_matrix/client/versions HTTP/1.1", "hs.test").to_vec(), None),
        (get("/_matrix/client/versions\r\nX: y", "hs.test").to_vec(), None),
        (get("/_matrix/client/versions#x", "hs.test").to_vec(), None),
        (get("*", "hs.test").to_vec(), None),
        (get("", "hs.test").to_vec(), None),
        (get("_matrix/client/versions", "hs.test").to_vec(), None),
        (get("/_matrix//media/v3/download/hs.test/m", "hs.test").to_vec(), None),
        (get(V1, "hs.test").to_vec(), None),
        (get(V1, "user@hs.test").to_vec(), None),
        (with(("host", "other.test")), None),
        (with((":path", V1)), None),
        (with(("transfer-encoding", "chunked")), None),
        (with(("connection", "close")), None),
        (with(("x-a", smuggling)), None),
        (with(("x-a\r\nx-b", "c")), None),
        (with(("X-Upper", "case")), None),
        (with(("content-length", "9")), Some(&b"short"[..])),
        (with(("content-length", "1")), Some(&b"too long"[..])),
    ] {
        let answer = frames(&app, &fields, body).await;
        assert!(!is_infected(&answer.data), "{fields:?}: delivered");
        assert!(answer.refused || answer.status.is_some(), "{fields:?}");
    }
    let seen = homeserver.seen();
    let known = |target: &str| [V1, "/_matrix/client/versions"].contains(&target);
    let odd = seen
        .iter()
        .find(|seen| !known(&seen.target) || seen.header("host") != Some("hs.test") || seen.header("x-b").is_some());
    assert!(odd.is_none(), "{odd:?}");

    homeserver.respond_with(|_| Some(Stored::media(b"harmless").open()));
    let twin = frames(&app, &get(V1, "hs.test"), None).await;
    assert_eq!((twin.status, &twin.data[..]), (Some(200), &b"harmless"[..]));
}

/// Two readers of a query choose differently, and credentials can be in it.
#[tokio::test]
async fn row_10_no_verdict_depends_on_a_query() {
    let (homeserver, _clamd, app) = start().await;
    let thumbnail = "/_matrix/client/v1/media/thumbnail/hs.test/m";
    homeserver.respond_with(|seen| {
        let is_large = seen.target.contains("width=9000");
        let bytes = if is_large { eicar() } else { b"a small one".to_vec() };
        Some(Stored::media(&bytes).open())
    });
    let small = format!("{thumbnail}?width=1&height=1");
    for query in ["width=1&height=1&width=9000", "width=9000&width=1&height=1", "width=1&height=1&x=width=9000"] {
        assert_eq!(&app.get(&small).await.body[..], b"a small one");
        let target = format!("{thumbnail}?{query}");
        app.get(&target).await.assert_matrix_error(403, "M_FORBIDDEN");
        assert_eq!(homeserver.last().target, target, "the homeserver chooses from what the client sent");
    }
    for query in ["access_token=secret&user_id=@b:hs.test", "?&&=&a=%zz", "x=a/../b", "timeout_ms=1&timeout_ms=2"] {
        let target = format!("{V1}?{query}");
        assert_eq!(app.get(&target).await.status, 200, "{query}");
        assert_eq!(homeserver.last().target, target);
    }
}
