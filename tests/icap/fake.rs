//! What a server is asked, and what of its answers is kept.

use super::{behind, is_not_ready, read, scans};
use crate::harness::{FakeIcap, Homeserver, eicar, eventually};

#[tokio::test]
async fn it_is_told_nothing_but_the_medium_and_its_length() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    for settings in ["", ", method: reqmod"] {
        let app = behind(&homeserver, &fake.url(), settings).start().await;
        let medium = format!("a medium{settings}");
        assert_eq!(read(&homeserver, &app, "secret-exe", medium.as_bytes()).await.status, 200);
        let asked = fake.asked_about(medium.as_bytes()).pop().expect("it was asked");
        assert_eq!(asked.body, medium.as_bytes());
        for told in ["secret", "exe", "hs.test", "token", "Bearer", "_matrix", "127.0.0.1"] {
            let head = asked.head.replace(&fake.authority(), "");
            assert!(!head.contains(told), "{told}: {head}");
        }
        assert!(
            asked.head.contains("application/octet-stream") && asked.head.contains("http://lazaret.invalid/medium")
        );
    }
}

#[tokio::test]
async fn a_preview_is_never_all_there_is_and_never_more_than_asked_for() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::offering("Preview: 10\r\n").await;
    let app = behind(&homeserver, &fake.url(), "").start().await;
    for (body, preview) in [("a", None), ("ab", Some(1)), ("0123456789", Some(9)), ("0123456789abcdef", Some(10))] {
        assert_eq!(read(&homeserver, &app, "m", body.as_bytes()).await.status, 200);
        let asked = fake.asked_about(body.as_bytes());
        let asked = asked.iter().find(|asked| asked.body == body.as_bytes()).expect("all of it was sent");
        assert_eq!(asked.preview, preview, "{body}");
    }
}

#[tokio::test]
async fn without_preview_in_the_configuration_none_is_sent() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::offering("Preview: 10\r\n").await;
    let app = behind(&homeserver, &fake.url(), ", preview: false").start().await;
    assert_eq!(read(&homeserver, &app, "m", b"0123456789abcdef").await.status, 200);
    assert_eq!(fake.asked_about(b"0123456789abcdef")[0].preview, None);
}

#[tokio::test]
async fn another_istag_makes_verdicts_outdated() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    let app = behind(&homeserver, &fake.url(), "").start().await;
    for _ in 0..3 {
        assert_eq!(read(&homeserver, &app, "m", b"a medium").await.status, 200);
    }
    assert_eq!(scans(&app, "clean").await, 1, "its verdict is kept");
    fake.set_istag("\"two\"");
    eventually("it is asked again", || async {
        assert_eq!(read(&homeserver, &app, "m", b"a medium").await.status, 200);
        scans(&app, "clean").await == 2
    })
    .await;
}

#[tokio::test]
async fn a_state_that_changes_during_a_scan_makes_its_verdict_outdated_at_once() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    let app = behind(&homeserver, &fake.url(), ", canaries: false, probe_interval: 1h").start().await;
    fake.set_istag("\"two\"");
    for expected in [1, 2, 2] {
        assert_eq!(read(&homeserver, &app, "m", b"a medium").await.status, 200);
        assert_eq!(scans(&app, "clean").await, expected);
    }
}

#[tokio::test]
async fn a_server_that_looks_at_the_beginning_only_is_not_believed() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    fake.looks_at(1 << 20);
    let app = behind(&homeserver, &fake.url(), "").without_waiting().start().await;
    is_not_ready(&app, "lower max_bytes").await;
    read(&homeserver, &app, "m", b"x").await.assert_matrix_error(503, "M_UNKNOWN");
    fake.looks_at(usize::MAX);
    app.ready().await;
}

#[tokio::test]
async fn a_server_that_turns_blind_loses_what_it_said() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    let app = behind(&homeserver, &fake.url(), "").start().await;
    fake.looks_at(0);
    is_not_ready(&app, "EICAR").await;
    read(&homeserver, &app, "m", &eicar()).await.assert_matrix_error(503, "M_UNKNOWN");
    fake.looks_at(usize::MAX);
    app.ready().await;
    read(&homeserver, &app, "m", &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_service_from_which_clean_cannot_come_is_named_as_such() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    for (offer, words) in [
        ("Methods: REQMOD\r\nAllow: 204\r\n", "does not offer RESPMOD"),
        ("Methods: RESPMOD\r\n", "Allow: 204"),
        ("Methods: RESPMOD\r\nAllow: 204\r\nTransfer-Ignore: *\r\n", "looks at nothing"),
        ("Methods: RESPMOD\r\nAllow: 204\r\nISTag: another\r\n", "several istag"),
    ] {
        fake.offers(offer);
        let app = behind(&homeserver, &fake.url(), ", canaries: false").without_waiting().start().await;
        is_not_ready(&app, words).await;
        read(&homeserver, &app, "m", b"x").await.assert_matrix_error(503, "M_UNKNOWN");
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::start().await;
    let app = behind(&homeserver, &fake.url(), ", canaries: false, probe_interval: 1h").start().await;
    let before = fake.connections();
    for number in 0..20 {
        assert_eq!(read(&homeserver, &app, "m", format!("medium {number}").as_bytes()).await.status, 200);
    }
    assert_eq!(fake.connections(), before + 1);
}

#[tokio::test]
async fn no_more_scans_are_under_way_than_the_server_takes() {
    let homeserver = Homeserver::start().await;
    let fake = FakeIcap::offering("Max-Connections: 2\r\n").await;
    let settings = ", canaries: false, probe_interval: 1h, queue_timeout: 100ms, timeout: 10m";
    let app = behind(&homeserver, &fake.url(), settings).start().await;
    fake.misbehaves(crate::harness::When::End, b"", false);
    homeserver.put_media("odd", &crate::harness::Stored::media(crate::harness::ODD));
    let stuck = app.get("/_matrix/client/v1/media/download/hs.test/odd");
    let other = async {
        eventually("the only slot is taken", || async { !fake.asked_about(crate::harness::ODD).is_empty() }).await;
        read(&homeserver, &app, "m", b"another").await
    };
    tokio::select! {
        _ = stuck => panic!("it never gets an answer"),
        answer = other => answer.assert_matrix_error(503, "M_UNKNOWN"),
    };
}
