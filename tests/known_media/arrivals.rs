//! Several who want what nobody has yet: it comes once, to those who may have it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{sync::Notify, task::JoinHandle};

use super::{LEN, TAKEN_IN, V1, late, medium};
use crate::harness::{Answer, App, AppBuilder, Clamd, Homeserver, Stored, eventually, request};

const HEADS: &str = r#"lazaret_upstream_duration_seconds_count{purpose="media"}"#;

/// The first of those who ask gets `first`, all others what never ends.
async fn start(first: Stored) -> (Homeserver, Clamd, App) {
    start_with(first, late(&medium(), &Arc::new(Notify::new()))).await
}

async fn start_with(first: Stored, others: Stored) -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    let asked = AtomicUsize::new(0);
    homeserver.respond_with(move |_| {
        let is_first = asked.fetch_add(1, Ordering::Relaxed) == 0;
        Some(if is_first { first.clone() } else { others.clone() })
    });
    (homeserver, clamd, app)
}

/// Asks, and waits until the homeserver has begun to answer this and all before. Then it waits for the one body: from the
/// head of an answer to there, nothing is waited for.
async fn ask(app: &App, before: u64) -> JoinHandle<Option<Answer>> {
    let client = app.client.clone();
    let sent = request("GET", V1).header("authorization", "Bearer token");
    let asking = tokio::spawn(async move { client.try_send(sent, b"").await.ok() });
    eventually("it is answered by the homeserver", || async { app.metric(HEADS).await == before + 1 }).await;
    asking
}

#[tokio::test]
async fn first_requests_at_the_same_time_take_in_one_body() {
    let end = Arc::new(Notify::new());
    let (homeserver, _clamd, app) = start(late(&medium(), &end)).await;
    let mut asking = Vec::new();
    for before in 0..5 {
        asking.push(ask(&app, before).await);
    }
    end.notify_one();
    for asking in asking {
        let answer = asking.await.unwrap().unwrap();
        assert!(answer.status == 200 && answer.body == medium());
    }
    assert_eq!(homeserver.seen().len(), 5, "each was let in by the homeserver");
    assert_eq!((app.metric(TAKEN_IN).await, app.scans("clean").await), (LEN as u64, 1));
}

#[tokio::test]
async fn who_leaves_does_not_take_the_body_of_the_others_away() {
    let end = Arc::new(Notify::new());
    let (_homeserver, _clamd, app) = start(late(&medium(), &end)).await;
    let leader = ask(&app, 0).await;
    let followers = [ask(&app, 1).await, ask(&app, 2).await];
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    let gone = r#"lazaret_requests_total{outcome="client_gone",route="download"}"#;
    eventually("its going was noticed", || async { app.metric(gone).await == 1 }).await;
    end.notify_one();
    for follower in followers {
        assert!(follower.await.unwrap().unwrap().body == medium());
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_breaks_off_for_its_first_reader_only() {
    let end = Arc::new(Notify::new());
    let broken = Stored::media(b"").header("content-length", &LEN.to_string()).held(b"the beginning", &end, b"no more");
    let (_homeserver, _clamd, app) = start_with(broken, Stored::media(&medium())).await;
    let leader = ask(&app, 0).await;
    let followers = [ask(&app, 1).await, ask(&app, 2).await];
    end.notify_one();
    leader.await.unwrap().unwrap().assert_matrix_error(502, "M_UNKNOWN");
    for follower in followers {
        assert!(follower.await.unwrap().unwrap().body == medium());
    }
    assert_eq!(app.scans("clean").await, 1);
}

/// Invariant 3: what is shared is the body, never the permission.
#[tokio::test]
async fn who_is_refused_by_the_homeserver_gets_nothing_of_a_body_under_way() {
    let end = Arc::new(Notify::new());
    let (homeserver, _clamd, app) = start(late(&medium(), &end)).await;
    let leader = ask(&app, 0).await;
    let stranger = request("GET", V1).header("authorization", "Bearer revoked");
    app.client.send(stranger, b"").await.assert_matrix_error(401, "M_UNKNOWN_TOKEN");
    app.client.get(V1).await.assert_matrix_error(401, "M_MISSING_TOKEN");
    assert_eq!(homeserver.seen().len(), 3);
    end.notify_one();
    assert!(leader.await.unwrap().unwrap().body == medium());
}

/// A follower is given what is as long as its own, and nothing else.
#[tokio::test]
async fn who_is_announced_another_length_takes_in_a_body_of_its_own() {
    let (end, other) = (Arc::new(Notify::new()), b"another one".to_vec());
    let (_homeserver, _clamd, app) = start_with(late(&medium(), &end), Stored::media(&other)).await;
    let leader = ask(&app, 0).await;
    assert_eq!(&app.get(V1).await.body[..], other);
    end.notify_one();
    assert!(leader.await.unwrap().unwrap().body == medium());
}
