//! W12 and W17: what of the homeserver's answers goes on, and over how many connections they come.

use futures_util::future::join_all;
use http::HeaderMap;

use super::{TOKEN, ask_everywhere};
use crate::harness::{
    App, AppBuilder, BareHomeserver, Clamd, DOWNLOAD_ENCRYPTED, Homeserver, Stored, eicar, gzip, path, put_sealed, raw,
    seal, start, target,
};

/// What goes on with a medium.
const KEPT: [(&str, &str); 4] = [
    ("content-disposition", "attachment; filename=a.bin"),
    ("content-security-policy", "sandbox"),
    ("cross-origin-resource-policy", "same-site"),
    ("cache-control", "private, max-age=1"),
];

/// What stays behind, whatever is said of the medium.
const DROPPED: [(&str, &str); 14] = [
    ("set-cookie", "session=secret"),
    ("set-cookie2", "session=secret"),
    ("etag", "\"1\""),
    ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("server", "Synapse"),
    ("accept-ranges", "bytes"),
    ("keep-alive", "timeout=5"),
    ("trailer", "x-late"),
    ("upgrade", "websocket"),
    ("www-authenticate", "Basic"),
    ("proxy-authenticate", "Basic"),
    ("strict-transport-security", "max-age=1"),
    ("access-control-allow-credentials", "true"),
    ("x-other", "1"),
];

/// The heads of all answers about `mxc://hs.test/m`.
async fn heads(app: &App, authorization: Option<&str>, attachment: &[u8]) -> Vec<HeaderMap> {
    let answers = ask_everywhere(app, authorization, "hs.test/m", attachment).await;
    answers.into_iter().map(|(_, answer)| answer.headers).collect()
}

#[tokio::test]
async fn w12_only_safe_headers_go_on_and_none_to_another_reader() {
    let (homeserver, _clamd, app) = start().await;
    let mut served = 0;
    for plaintext in [b"a medium".to_vec(), vec![7; super::LARGE], eicar()] {
        let sealed = seal(&plaintext, "m", 1);
        let stored = Stored::media(&sealed.ciphertext);
        let with_headers =
            KEPT.iter().chain(&DROPPED).fold(stored.clone(), |stored, (name, value)| stored.header(name, value));
        homeserver.put_media("m", &with_headers);
        // The second time the verdict is known.
        for _ in 0..2 {
            for headers in heads(&app, TOKEN, &sealed.body()).await {
                for (name, _) in DROPPED {
                    assert_eq!(headers.get(name), None, "{name}");
                }
            }
        }
        for (route, answer) in ask_everywhere(&app, TOKEN, "hs.test/m", &sealed.body()).await {
            if answer.status != 200 || route.contains("/scan") {
                continue;
            }
            served += 1;
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            for (name, value) in KEPT {
                assert_eq!(answer.header(name), Some(value), "{route}: {name}");
            }
        }
        // What was said to the one is not said to the next.
        homeserver.put_media("m", &stored.clone().open());
        for headers in heads(&app, Some("Bearer another"), &sealed.body()).await {
            assert!(!headers.contains_key("content-disposition") && !headers.contains_key("set-cookie"));
        }
    }
    assert_eq!(served, 8, "all but the plaintext that is infected");
}

#[tokio::test]
async fn w12_a_compressed_answer_is_neither_cut_nor_garbled() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = seal(&[b'x'; 5000], "m", 1);
    let encoded = Stored::media(&gzip(&sealed.ciphertext, b"")).header("content-encoding", "gzip");
    homeserver.put_media("m", &encoded);
    for _ in 0..2 {
        for answer in [
            app.get(&path("download/hs.test/m")).await,
            app.get(&path("thumbnail/hs.test/m")).await,
            app.post(DOWNLOAD_ENCRYPTED, &sealed.body()).await,
        ] {
            assert!(answer.status == 200 && answer.body == sealed.ciphertext, "{answer:?}");
            assert_eq!((answer.header("content-encoding"), answer.header("content-length")), (None, Some("5000")));
        }
    }
    assert_eq!(homeserver.last().header("accept-encoding"), Some("identity"));
}

/// Of two lengths, the next reader may believe the other.
#[tokio::test]
async fn w12_an_answer_has_one_framing_whatever_the_homeserver_sends() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled";
    for (framing, body) in [
        ("Transfer-Encoding: chunked\r\nContent-Length: 3", format!("8\r\na medium\r\n0\r\n\r\n{smuggled}")),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", format!("8\r\na medium\r\n0\r\n\r\n{smuggled}")),
        ("Content-Length: 8\r\nContent-Length: 8", format!("a medium{smuggled}")),
        ("Content-Length: 8", format!("a medium{smuggled}")),
        ("Connection: close", "a medium".to_owned()),
        ("Content-Length: 8\r\nContent-Length: 9", format!("a medium{smuggled}")),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{framing}\r\n\r\n");
        let bare = BareHomeserver::start(format!("{head}{body}")).await;
        let app = AppBuilder::new(&homeserver).clamd(&clamd).homeserver_at(bare.address).start().await;
        for route in ["download", "thumbnail"] {
            let answer = raw(&app, target("GET", &path(&format!("{route}/hs.test/m")))).await;
            assert_eq!(answer.answers(), 1, "{framing}: {}", answer.0.escape_ascii());
            assert!(!answer.contains(b"smuggled") && !answer.contains(b"transfer-encoding"), "{framing}");
            match answer.status() {
                200 => assert_eq!(answer.body(), b"a medium", "{framing}"),
                status => assert_eq!(status, 502, "{framing}"),
            }
            let lengths = String::from_utf8_lossy(&answer.0).matches("content-length").count();
            assert_eq!(lengths, 1, "{framing}");
        }
    }
}

#[tokio::test]
async fn w17_connections_to_the_homeserver_are_used_again() {
    let (homeserver, _clamd, app) = start().await;
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    for _ in 0..20 {
        for (route, answer) in ask_everywhere(&app, TOKEN, "hs.test/m", &sealed.body()).await {
            assert_eq!(answer.status, 200, "{route}: {answer:?}");
        }
    }
    assert_eq!(homeserver.seen().len(), 100);
    assert!(homeserver.connections() <= 5, "{} connections for 100 requests", homeserver.connections());
    for _ in 0..10 {
        let download = path("download/hs.test/m");
        let asking = (0..10).map(|_| app.get(&download));
        assert!(join_all(asking).await.iter().all(|answer| answer.status == 200));
    }
    assert!(homeserver.connections() <= 25, "{} for 100 more, ten at a time", homeserver.connections());
}
