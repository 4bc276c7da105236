use futures_util::FutureExt;
use prometheus::Registry;

use super::*;
use crate::verdict::{Clean, Detection};

fn proof() -> Proof {
    let freshness = Freshness::new("told", "", Duration::from_hours(1));
    Proof::new("script", "/scan".to_owned(), freshness, &Tally::register(&Registry::new()).unwrap())
}

fn infected() -> Verdict {
    Verdict::Infected { detection: Detection("X".to_owned()) }
}

#[expect(clippy::disallowed_methods, reason = "what a working engine says of a harmless text")]
fn clean() -> Verdict {
    Verdict::Clean(Clean::attest())
}

fn round(proof: &Proof, outcome: Result<(), Fault>) {
    let round = proof.state().vouches.begin_round();
    proof.looked(round, outcome);
}

#[tokio::test]
async fn an_engine_is_out_until_it_was_looked_at_and_while_it_fails() {
    let proof = proof();
    assert!(proof.begin().is_err() && proof.ready().unwrap_err().contains("script /scan: not looked at yet"));
    round(&proof, Ok(()));
    assert!(proof.begin().is_ok() && proof.ready().is_ok());
    round(&proof, Err(Fault::Broken("gone".to_owned())));
    assert!(proof.begin().is_err() && proof.ready().unwrap_err().contains("gone"));
}

#[tokio::test]
async fn what_it_said_before_it_was_found_wrong_is_forgotten() {
    let proof = proof();
    round(&proof, Ok(()));
    let begun = proof.begin().unwrap();
    let vouch = proof.vouch(begun, &infected()).unwrap();
    round(&proof, Err(Fault::Wrong("EICAR is clean".to_owned())));
    assert!(vouch.refutes(&infected()));
    assert!(proof.vouch(begun, &clean()).is_err(), "it was taken out during the scan");
}

#[tokio::test(start_paused = true)]
async fn what_is_out_is_looked_at_again_soon_and_then_less_and_less() {
    let (proof, stop) = (proof(), CancellationToken::new());
    let looks = Mutex::new(Vec::new());
    let begun = Instant::now();
    let look = || {
        let mut looks = looks.lock().unwrap();
        looks.push(begun.elapsed().as_secs());
        if looks.len() == 8 {
            stop.cancel();
        }
        futures_util::future::ready(Err(Fault::Broken("gone".to_owned()))).boxed()
    };
    proof.watch((Duration::from_secs(10), Duration::from_secs(5)), stop.clone(), look).await;
    assert_eq!(*looks.lock().unwrap(), [0, 1, 3, 7, 15, 25, 35, 45]);
}

#[tokio::test]
async fn who_has_too_much_to_do_is_believed_for_a_while() {
    let proof = proof();
    round(&proof, Err(Fault::Busy));
    assert!(proof.begin().is_err(), "it was never believed");
    round(&proof, Ok(()));
    let vouch = proof.vouch(proof.begin().unwrap(), &clean()).unwrap();
    for _ in 1..MOST_BUSY {
        round(&proof, Err(Fault::Busy));
        assert!(proof.begin().is_ok() && !vouch.refutes(&clean()));
    }
    round(&proof, Err(Fault::Busy));
    assert!(proof.begin().is_err() && vouch.refutes(&clean()));
}

#[tokio::test]
async fn a_scan_that_fails_has_the_engine_looked_at_and_a_busy_one_has_not() {
    let proof = proof();
    round(&proof, Ok(()));
    for (error, is_suspect) in [(EngineError::Busy, false), (EngineError::Unavailable, true)] {
        assert!(proof.judge(1, async { Err(error) }).await.is_err());
        assert_eq!(proof.trouble.notified().now_or_never().is_some(), is_suspect);
    }
}

#[tokio::test]
async fn specimens_tell_what_calls_everything_clean_or_everything_infected() {
    let says = |verdict: Verdict| move |_| futures_util::future::ready(Ok(verdict.clone())).boxed();
    assert!(matches!(tell_apart(says(clean())).await, Err(Fault::Wrong(why)) if why.contains("EICAR")));
    assert!(matches!(tell_apart(says(infected())).await, Err(Fault::Wrong(why)) if why.contains("harmless")));
    let fails = |error: EngineError| move |_| futures_util::future::ready(Err(error.clone())).boxed();
    assert!(matches!(tell_apart(fails(EngineError::Unavailable)).await, Err(Fault::Broken(_))));
    assert!(matches!(tell_apart(fails(EngineError::Busy)).await, Err(Fault::Busy)));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_never_ends_is_a_failed_one_and_trouble_cuts_the_pause_short() {
    let (proof, stop) = (proof(), CancellationToken::new());
    let looks = Mutex::new(Vec::new());
    let begun = Instant::now();
    let look = || {
        let mut looks = looks.lock().unwrap();
        looks.push(begun.elapsed().as_secs());
        match looks.len() {
            1 => futures_util::future::pending().boxed(),
            2 => {
                proof.doubt();
                futures_util::future::ready(Ok(())).boxed()
            }
            3 => futures_util::future::ready(Ok(())).boxed(),
            _ => {
                stop.cancel();
                futures_util::future::pending().boxed()
            }
        }
    };
    proof.watch((Duration::from_secs(30), Duration::from_secs(5)), stop.clone(), look).await;
    assert_eq!(*looks.lock().unwrap(), [0, 6, 7, 37]);
}
