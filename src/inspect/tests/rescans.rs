//! What is scanned again after a change of signatures, and who waits for it.

use futures_util::FutureExt;
use tokio::{sync::Notify, time::Instant};

use super::*;

#[tokio::test(start_paused = true)]
async fn the_grace_counts_from_when_signatures_changed_here_and_only_for_what_they_replaced() {
    let fleet = Fleet::new();
    let (before, _) = fleet.node(Ok(found()));
    inspect(&before).await.unwrap();
    let grace = Duration::from_mins(10);
    let (node, engine) = fleet.node_with(Ok(opaque()), 1, &Config { grace, ..Config::default() });
    node.look_at_signatures().await;
    engine.learn();
    for _ in 0..3 {
        assert!(inspect(&node).await.unwrap().record.unwrap().verdict.is_infected());
        tokio::time::advance(grace / 3).await;
    }
    assert_eq!(engine.asked(), 0);
    assert_eq!(inspect(&node).await.unwrap().record.unwrap().verdict, opaque(), "the grace is over");
    assert_eq!(engine.asked(), 1);
    for _ in 0..2 {
        engine.learn();
        node.look_at_signatures().await;
    }
    inspect(&node).await.unwrap();
    assert_eq!(engine.asked(), 2, "it missed a change");
    let (started, engine) = fleet.node_with(Ok(opaque()), 5, &Config { grace, ..Config::default() });
    inspect(&started).await.unwrap();
    assert_eq!(engine.asked(), 1, "nothing has changed here since the start");
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_a_rescan_is_asked_to_come_again() {
    let fleet = Fleet::new();
    let (before, _) = fleet.node(Ok(found()));
    inspect(&before).await.unwrap();
    let (node, engine) = fleet.node_with(Ok(found()), 2, &Config::default());
    let other = fleet.ring.location("another medium");
    let taken = node.rescans.take_turn(other).await;
    assert!(matches!(inspect(&node).await, Err(InspectError::Engine(EngineError::Busy))));
    assert_eq!(engine.asked(), 0);
    drop(taken);
    inspect(&node).await.unwrap();
    assert_eq!(engine.asked(), 1);
}

#[tokio::test]
async fn who_comes_after_a_change_is_not_given_what_a_scan_from_before_it_says() {
    let fleet = Fleet::new();
    let engine = Says::with("told", "opaque", |says| says.holds = Some(Notify::new()));
    let node = fleet.node_of(&engine, &Config::default());
    let begun = async |times| {
        while engine.asked() < times {
            tokio::task::yield_now().await;
        }
    };
    let changing = async {
        begun(1).await;
        engine.learn();
        let joining = inspect(&node);
        let going_on = async {
            tokio::task::yield_now().await;
            engine.holds.as_ref().unwrap().notify_one();
            begun(2).await;
            engine.holds.as_ref().unwrap().notify_one();
        };
        tokio::join!(joining, going_on).0
    };
    let (_, joined) = tokio::join!(inspect(&node), changing);
    assert_eq!(&*joined.unwrap().record.unwrap().provenance.epoch.state, "2");
    assert_eq!(engine.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn waits_and_scan_have_one_deadline() {
    let fleet = Fleet::new();
    let (before, _) = fleet.node(Ok(found()));
    inspect(&before).await.unwrap();
    let (node, engine) = fleet.node_with(Ok(found()), 2, &Config::default());
    let taken = node.rescans.take_turn(fleet.ring.location("another medium")).await;
    let came = Instant::now();
    let leaving = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(taken);
    };
    let (inspection, ()) = tokio::join!(inspect(&node), leaving);
    inspection.unwrap();
    assert_eq!(engine.until(), Some(came + Duration::from_secs(10)));
}

/// A node whose engine has learned since, in its grace, with a medium that it is to scan again.
async fn in_grace(fleet: &Fleet, outcome: Result<Verdict, EngineError>) -> (Arc<Inspector>, Arc<Says>) {
    let (before, _) = fleet.node(Ok(opaque()));
    inspect(&before).await.unwrap();
    let config = Config { grace: Duration::from_hours(1), ..Config::default() };
    let (node, engine) = fleet.node_with(outcome, 1, &config);
    node.look_at_signatures().await;
    engine.learn();
    assert_eq!(inspect(&node).await.unwrap().record.unwrap().verdict, opaque());
    (node, engine)
}

/// Waits until no thread looks at any bytes: those know no other time than the real one.
async fn looked(node: &Arc<Inspector>) {
    let turns = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap());
    drop(node.turns.acquire_many(turns).await.unwrap());
}

/// Does in the background what there is to do in that time.
async fn rescan_for(node: &Arc<Inspector>, seconds: u64) {
    let mut rescanning = Box::pin(node.watch_rescans(CancellationToken::new()));
    for _ in 0..seconds {
        for _ in 0..50 {
            assert!(rescanning.as_mut().now_or_never().is_none());
            tokio::task::yield_now().await;
            looked(node).await;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rescan_for_which_engines_have_no_room_is_tried_less_and_less_often() {
    let fleet = Fleet::new();
    let (node, engine) = in_grace(&fleet, Err(EngineError::Busy)).await;
    rescan_for(&node, 60).await;
    assert_eq!(engine.asked(), 6, "after 0, 1, 3, 7, 15 and 31 seconds");
}

#[tokio::test(start_paused = true)]
async fn a_rescan_that_joined_a_request_content_with_the_old_verdict_is_made_all_the_same() {
    let fleet = Fleet::new();
    let (node, engine) = in_grace(&fleet, Ok(found())).await;
    let identity = fleet.ring.plaintext(body().digest());
    let Recalled::Stale(record) = node.recall(identity).await else { panic!("it is from before") };
    let (came, landing) = (Instant::now(), Duration::from_secs(2));
    let request = node.flights.join((identity, None), || async move {
        tokio::time::sleep(landing).await;
        Ok(Judgement { plaintext: identity, record })
    });
    assert!(request.boxed().now_or_never().is_none());
    rescan_for(&node, 10).await;
    assert_eq!(engine.asked(), 1);
    let begun = came + landing + Duration::from_secs(1);
    assert_eq!(engine.until(), Some(begun + Duration::from_secs(10)), "it joined, and rested");
    assert!(inspect(&node).await.unwrap().record.unwrap().verdict.is_infected());
}
