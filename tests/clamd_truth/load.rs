//! Many at once: more than clamd has threads, and while it is restarted.

use std::{cell::Cell, ops::Range};

use futures_util::future::join_all;

use super::{IMPATIENT, assert_right, fetch, in_front_of, infected, of_backend, slow, slow_and_found, start_slow, up};
use crate::harness::{App, Clamd, Homeserver, eventually};

/// Every fourth is infected at once, every other fourth after a while.
fn medium(number: usize) -> (Vec<u8>, u16) {
    let name = number.to_string();
    match number % 4 {
        0 => (infected(&name), 403),
        1 => (slow_and_found(18, &name), 403),
        2 => (slow(18, &name), 200),
        _ => (format!("a medium {name}").into_bytes(), 200),
    }
}

#[tokio::test]
async fn forty_clients_of_two_threads_are_all_served_right_and_two_at_a_time() {
    let clamd = start_slow("MaxThreads 2\nMaxQueue 4").await;
    let (homeserver, app) = in_front_of(&clamd, "queue_timeout: 1m").await;
    let slots = || async { of_backend(&app, "lazaret_engine_slots", &clamd).await };
    eventually("as many slots as clamd says", || async { slots().await == 2 }).await;
    let done = Cell::new(false);
    let clients = async {
        let ask = async |number: usize| {
            let (medium, expected) = medium(number);
            (fetch(&homeserver, &app, &number.to_string(), &medium).await.status.as_u16(), expected)
        };
        let answers = join_all((0..40).map(ask)).await;
        done.set(true);
        answers
    };
    let watching = async {
        let mut most = 0;
        while !done.get() {
            most = most.max(of_backend(&app, "lazaret_engine_slots_in_use", &clamd).await);
        }
        most
    };
    let (answers, most) = tokio::join!(clients, watching);
    for (number, (status, expected)) in answers.into_iter().enumerate() {
        assert_eq!(status, expected, "{number}");
    }
    assert!((1..=2).contains(&most), "{most} at a time");
    assert_eq!((app.scans("clean").await, app.scans("infected").await, app.scans("error").await), (20, 20, 0));
}

/// Asks for each medium until there is a verdict, and asserts that it is the right one.
async fn insist(homeserver: &Homeserver, app: &App, numbers: Range<usize>, verdicts: &Cell<usize>) {
    for number in numbers {
        let (medium, expected) = medium(number);
        loop {
            match fetch(homeserver, app, &number.to_string(), &medium).await.status.as_u16() {
                503 => (),
                status => break assert_eq!(status, expected, "{number}"),
            }
        }
        verdicts.set(verdicts.get() + 1);
    }
}

async fn restart(app: &App, clamd: &mut Clamd) {
    clamd.kill();
    eventually("its death was noticed", || async { up(app, clamd).await == 0 }).await;
    clamd.launch().await;
    app.ready().await;
}

#[tokio::test]
async fn restarts_under_load_cost_time_and_no_verdict() {
    let mut clamd = start_slow("").await;
    let (homeserver, app) = in_front_of(&clamd, IMPATIENT).await;
    let verdicts = Cell::new(0);
    let clients = join_all((0..4).map(|client| insist(&homeserver, &app, client * 100..client * 100 + 60, &verdicts)));
    let restarts = async {
        for due in [40, 120] {
            eventually("enough verdicts", || async { verdicts.get() >= due }).await;
            restart(&app, &mut clamd).await;
        }
    };
    tokio::join!(clients, restarts);
    assert_eq!(verdicts.get(), 240);
    assert_eq!(up(&app, &clamd).await, 1);
    assert_right(&homeserver, &app, "in the end").await;
}
