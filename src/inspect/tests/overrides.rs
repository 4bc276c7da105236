//! What the security team says in place of engines, and when that acts.

use super::*;
use crate::{
    cache::overrides::{Override, Target},
    policy::Refusal,
    verdict::Effect,
};

#[tokio::test]
async fn what_no_engine_is_shown_any_more_is_let_pass_by_no_signature() {
    let fleet = Fleet::new();
    for _ in 0..2 {
        assert!(inspect(&fleet.node(Err(dies())).0).await.is_err());
    }
    let (node, _) = fleet.node(Ok(opaque()));
    overrule(&node, "Lazaret.Toxic").await.unwrap();
    assert!(matches!(inspect(&node).await.unwrap().decided.decision, Decision::Block(_)));
}

/// Has all that is called so pass.
async fn overrule(node: &Inspector, signature: &str) -> Result<Said, DeskError> {
    say(node, Effect::ForceClean, Target::Signature(signature.to_owned())).await
}

pub(super) async fn say(node: &Inspector, effect: Effect, target: Target) -> Result<Said, DeskError> {
    let now = SystemTime::now();
    let words = ("sam".to_owned(), "ticket".to_owned());
    let new = Override::new(effect, target, words, (now, now + Duration::from_hours(1)));
    node.overrule(new.unwrap()).await
}

#[tokio::test]
async fn an_override_is_told_before_it_acts_and_never_acts_after_it_was_said_to_have_failed() {
    let (fleet, far) = far();
    let (node, _) = fleet.node(Ok(found()));
    far.is_fleeting.store(true, Ordering::Relaxed);
    let said = overrule(&node, "X").await.unwrap();
    assert!(said.doubt.is_some(), "it may be lost");
    assert_eq!(inspect(&node).await.unwrap().decided.decision, Decision::Allow);
    assert!(node.take_back(said.id, "sam".to_owned()).await.unwrap().doubt.is_some());
    far.is_down.store(true, Ordering::Relaxed);
    assert!(matches!(overrule(&node, "X").await, Err(DeskError::Store(_))));
    assert!(matches!(inspect(&node).await.unwrap().decided.decision, Decision::Block(_)));

    let mut told = fleet.told().await;
    told.retain(|line| line["event"] != "exposure");
    let events: Vec<_> = told.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["override_add", "override_remove", "override_add", "override_failed"]);
    let ids: Vec<_> = told.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert!(ids[0] == ids[1] && ids[1] != ids[2] && ids[2] == ids[3], "{ids:?}");
    assert_eq!(told[0]["author"], "sam");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_starts_waits_for_what_the_security_team_says() {
    let (fleet, far) = far();
    let (node, _) = fleet.node(Ok(found()));
    overrule(&node, "X").await.unwrap();
    far.is_down.store(true, Ordering::Relaxed);
    let (late, _) = fleet.node(Ok(found()));
    late.first_look_at_overrides().await;
    assert!(late.trouble().unwrap().contains("security team"), "it goes on without and says so");
    let (other, _) = fleet.node(Ok(found()));
    let looking = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.first_look_at_overrides().await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!looking.is_finished());
    far.is_down.store(false, Ordering::Relaxed);
    looking.await.unwrap();
    assert!(other.trouble().is_none());
    assert_eq!(inspect(&other).await.unwrap().decided.decision, Decision::Allow);
}

#[tokio::test]
async fn an_override_that_says_what_the_engine_says_decides_nothing() {
    let fleet = Fleet::new();
    let (node, _) = fleet.node(Ok(found()));
    let identity = fleet.ring.plaintext(body().digest());
    let decided = |effect| node.overruled.decided(effect);
    say(&node, Effect::ForceInfected, Target::Identity(identity)).await.unwrap();
    assert!(matches!(inspect(&node).await.unwrap().decided.decision, Decision::Block(_)));
    assert_eq!(decided(Effect::ForceInfected), 0);
    let (node, _) = fleet.node_with(Ok(opaque()), 2, &Config::default());
    node.look_at_overrides().await;
    assert_eq!(inspect(&node).await.unwrap().decided.decision, Decision::Block(Refusal::Infected));
    assert_eq!(node.overruled.decided(Effect::ForceInfected), 1);
}
