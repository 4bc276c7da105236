//! W1: what is found out about one address under one key, or in one size, says nothing of another.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::{LARGE, answer, held_body, held_scan, orders, received, send};
use crate::harness::{
    Answer, AppBuilder, CLEAN, DOWNLOAD_ENCRYPTED, Homeserver, INFECTED, SCAN_ENCRYPTED, Script, ScriptedClamd,
    eventually, marker, path, put_sealed, scans, start,
};

/// Asserts what is said of the first of several, which is infected, and of the others.
#[track_caller]
fn assert_said(route: &str, is_infected: bool, answer: &Answer, what: &str) {
    match (route.contains("scan_encrypted") || route.contains("scan/"), is_infected) {
        (true, true) => assert_eq!(answer.text(), INFECTED, "{what}"),
        (true, false) => assert_eq!(answer.text(), CLEAN, "{what}"),
        (false, true) => {
            assert_eq!(answer.status, 403, "{what}: {answer:?}");
            answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN");
        }
        (false, false) => assert_eq!(answer.status, 200, "{what}: {answer:?}"),
    }
}

/// One right key and two wrong ones, in all orders in which their scans can begin and end.
#[tokio::test]
async fn w1_same_mxc_two_keys_do_not_mix() {
    let (homeserver, clamd) = (Homeserver::start().await, ScriptedClamd::start(Script::clean()));
    let app = AppBuilder::new(&homeserver).scripted(&clamd).start().await;
    let rounds = orders(3).into_iter().flat_map(|begun| orders(3).into_iter().map(move |ended| (begun.clone(), ended)));
    for (round, (begun, ended)) in rounds.enumerate() {
        let sealed = put_sealed(&homeserver, format!("infected {round}").as_bytes(), &format!("m{round}"), 1);
        let bodies = [sealed.body(), sealed.with_key(2).body(), sealed.with_key(3).body()];
        let (gates, mut asking) = ([(); 3].map(|()| Arc::new(Notify::new())), [const { None }; 3]);
        let route = [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED][round % 2];
        for key in begun.iter().copied() {
            clamd.set(held_scan(&gates[key]));
            asking[key] = Some(send(&app, route, Some("token"), &bodies[key]));
            let before = clamd.received.borrow().len();
            received(&clamd, before + 1).await;
        }
        clamd.set(Script::clean());
        let what = format!("begun as {begun:?}, ended as {ended:?}");
        for key in ended {
            gates[key].notify_one();
            assert_said(route, key == 0, &answer(asking[key].take().unwrap()).await, &what);
        }
        for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
            for (key, body) in bodies.iter().enumerate() {
                assert_said(route, key == 0, &app.post(route, body).await, &what);
            }
        }
        assert_eq!(clamd.received.borrow().len(), 3 * (round + 1), "one scan for each plaintext: {what}");
    }
}

/// Two thumbnails and the medium itself, in all orders in which their bodies can begin and end to come.
#[tokio::test]
async fn w1_sizes_of_one_mxc_do_not_mix() {
    let (homeserver, _clamd, app) = start().await;
    let rounds = orders(3).into_iter().flat_map(|begun| orders(3).into_iter().map(move |ended| (begun.clone(), ended)));
    for (round, (begun, ended)) in rounds.enumerate() {
        let id = format!("m{round}");
        let kinds = [
            format!("thumbnail/hs.test/{id}?width=1"),
            format!("thumbnail/hs.test/{id}?width=2"),
            format!("download/hs.test/{id}"),
        ];
        let mut bodies = [b'a', b'b', b'c'].map(|name| [id.as_bytes(), &vec![name; LARGE]].concat());
        let infected_from = bodies[0].len() - LARGE / 2;
        bodies[0].splice(infected_from.., marker(LARGE / 2));
        let (gates, mut asking) = ([(); 3].map(|()| Arc::new(Notify::new())), [const { None }; 3]);
        let stored = [0, 1, 2].map(|kind| held_body(&bodies[kind], &gates[kind]));
        let targets = kinds.clone();
        homeserver.respond_with(move |seen| {
            let asked = targets.iter().position(|kind| seen.target.ends_with(kind))?;
            Some(stored[asked].clone())
        });
        for kind in begun.iter().copied() {
            let before = homeserver.seen().len();
            asking[kind] = Some(send(&app, &path(&kinds[kind]), Some("token"), b""));
            eventually("the homeserver is asked", || async { homeserver.seen().len() == before + 1 }).await;
        }
        let what = format!("begun as {begun:?}, ended as {ended:?}");
        for kind in ended {
            gates[kind].notify_one();
            let answer = answer(asking[kind].take().unwrap()).await;
            assert_said(&kinds[kind], kind == 0, &answer, &what);
            assert!(kind == 0 || answer.body == bodies[kind], "{what}: the bytes of another");
        }
        assert_eq!(scans(&app).await, (2 * (round as u64 + 1), round as u64 + 1), "{what}");
    }
}

/// The same without any order, many at once on several threads, with a real clamd.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn w1_many_requests_under_right_and_wrong_keys_at_once_do_not_mix() {
    let (homeserver, _clamd, app) = start().await;
    for round in 0..6 {
        // Content of its own for each round, so that each begins without a verdict.
        let id = format!("m{round}");
        let plaintext = [id.repeat(100_000).into_bytes(), marker(100_000)].concat();
        let sealed = put_sealed(&homeserver, &plaintext, &id, 1);
        let bodies = [sealed.body(), sealed.with_key(2).body()];
        let requests = (0..24).map(|number| {
            let key = (number + round) % 2;
            let route = if number % 3 == 0 { DOWNLOAD_ENCRYPTED } else { SCAN_ENCRYPTED };
            let answer = app.post(route, &bodies[key]);
            async move { (route, key, answer.await) }
        });
        for (route, key, answer) in join_all(requests).await {
            assert_said(route, key == 0, &answer, &id);
            assert!(route == SCAN_ENCRYPTED || key == 0 || answer.body == sealed.ciphertext);
        }
        assert_said(DOWNLOAD_ENCRYPTED, true, &app.post(DOWNLOAD_ENCRYPTED, &bodies[0]).await, "afterwards");
    }
}
