use std::sync::Mutex;

use super::*;
use crate::{engine::testing::Says, spool::Spool, verdict::Standing};

const WAIT: Duration = Duration::from_secs(5);

fn panel(engines: impl IntoIterator<Item = (Role, Arc<Says>)>) -> Arc<dyn Engine> {
    Panel::of(engines.into_iter().map(|(role, says)| (role, says as Arc<dyn Engine>)).collect(), WAIT)
}

/// One that takes its time.
fn slow(name: &'static str, said: &str, after: Duration) -> Arc<Says> {
    Says::with(name, said, |says| says.after = after)
}

async fn ask(panel: &Arc<dyn Engine>) -> Result<Scan, EngineError> {
    ask_needing(panel, &[]).await
}

async fn ask_needing(panel: &Arc<dyn Engine>, needed: &[Arc<str>]) -> Result<Scan, EngineError> {
    let plaintext = Plaintext::Held(Arc::new(Spool::of(b"x")));
    let facts = Facts { size: 1, ..Facts::default() };
    panel.scan(&plaintext, &facts, needed, Instant::now() + Duration::from_mins(1)).await
}

async fn name_of([one, two]: [&str; 2], advisory: &str) -> &'static str {
    let panel = panel([
        (Role::Required, Says::new("one", one)),
        (Role::Required, Says::new("two", two)),
        (Role::Advisory, Says::new("adviser", advisory)),
    ]);
    ask(&panel).await.map_or("error", |scan| scan.verdict.name())
}

#[tokio::test]
async fn what_any_engine_recognises_is_infected_and_nothing_is_clean_without_all_that_are_required() {
    for (required, advisory, expected) in [
        (["clean", "clean"], "clean", "clean"),
        (["clean", "clean"], "down", "clean"),
        (["clean", "clean"], "incomplete", "clean"),
        (["clean", "clean"], "infected", "infected"),
        (["clean", "infected"], "clean", "infected"),
        (["infected", "down"], "clean", "infected"),
        (["down", "infected"], "down", "infected"),
        (["down", "clean"], "infected", "infected"),
        (["clean", "down"], "clean", "error"),
        (["down", "incomplete"], "clean", "error"),
        (["clean", "incomplete"], "clean", "incomplete"),
        (["opaque", "clean"], "clean", "opaque"),
        (["opaque", "incomplete"], "clean", "incomplete"),
    ] {
        assert_eq!(name_of(required, advisory).await, expected, "{required:?} {advisory:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_recognised_is_told_at_once() {
    let slow = slow("slow", "clean", Duration::from_hours(1));
    let panel = panel([(Role::Required, slow), (Role::Advisory, Says::new("quick", "infected"))]);
    let begun = Instant::now();
    let scan = ask(&panel).await.unwrap();
    assert_eq!((&*scan.provenance.engine, begun.elapsed()), ("quick", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn an_advisory_engine_is_waited_for_while_others_are_at_it_and_a_little_longer() {
    for (required, advisory, expected) in [(0, 4, "infected"), (0, 6, "clean"), (10, 14, "infected"), (10, 16, "clean")]
    {
        let panel = panel([
            (Role::Required, slow("one", "clean", Duration::from_secs(required))),
            (Role::Advisory, slow("two", "infected", Duration::from_secs(advisory))),
        ]);
        let begun = Instant::now();
        assert_eq!(ask(&panel).await.unwrap().verdict.name(), expected, "{required} {advisory}");
        assert!(begun.elapsed() <= Duration::from_secs(required) + WAIT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_required_engine_that_does_not_answer_in_time_leaves_no_verdict() {
    let never = slow("never", "clean", Duration::from_hours(1));
    let panel = panel([(Role::Required, Says::new("one", "clean")), (Role::Required, never)]);
    assert!(matches!(ask(&panel).await, Err(EngineError::Timeout { blame: 0 })));
}

#[tokio::test]
async fn of_several_failures_the_one_with_most_blame_is_told() {
    let killed = || EngineError::Failed { backend: String::new(), why: String::new(), blame: 100 };
    for turn in [false, true] {
        let two = Says::with("two", "down", |says| says.outcome = Mutex::new(Err(killed())));
        let mut engines = [Says::new("one", "down"), two];
        if turn {
            engines.reverse();
        }
        let panel = panel(engines.map(|says| (Role::Required, says)));
        assert_eq!(ask(&panel).await.unwrap_err().blame(), 100);
    }
}

#[tokio::test]
async fn a_verdict_is_current_while_it_is_for_all_who_gave_it() {
    let engines = [Says::new("one", "clean"), Says::new("two", "clean")];
    let members = |count| engines[..count].iter().map(|says| (Role::Required, Arc::clone(says) as Arc<dyn Engine>));
    let both: Arc<dyn Engine> = Arc::new(Panel { engines: members(2).collect(), advisory_wait: WAIT });
    let scan = ask(&both).await.unwrap();
    let currency = |panel: &Arc<dyn Engine>, epoch: &Epoch| panel.currency(&scan.verdict, epoch, SystemTime::now());
    let epoch = &scan.provenance.epoch;
    assert_eq!((currency(&both, epoch), both.epoch().as_ref()), (Currency::Current, Some(epoch)));
    engines[1].bump(1);
    assert_eq!(currency(&both, epoch), Currency::Stale);
    let alone: Arc<dyn Engine> = Arc::new(Panel { engines: members(1).collect(), advisory_wait: WAIT });
    assert_eq!(currency(&alone, epoch), Currency::Foreign, "one who gave it is gone");
    let epoch = ask(&alone).await.unwrap().provenance.epoch;
    assert_eq!(currency(&alone, &epoch), Currency::Current);
    assert_eq!(currency(&both, &epoch), Currency::Foreign, "one who is required now was not asked");
    for text in ["", "{}", "[]", "1"] {
        assert_eq!(currency(&both, &Epoch::new(text, text)), Currency::Foreign, "{text}");
    }
}

#[tokio::test]
async fn what_one_recognised_needs_nobody_else_to_be_current() {
    let panel = panel([(Role::Required, Says::new("one", "clean")), (Role::Advisory, Says::new("two", "infected"))]);
    let scan = ask(&panel).await.unwrap();
    let currency = || panel.currency(&scan.verdict, &scan.provenance.epoch, SystemTime::now());
    assert_eq!(currency(), Currency::Current);
    panel.bump(1);
    assert_eq!(currency(), Currency::Stale);
}

#[tokio::test]
async fn a_verdict_falls_with_any_who_gave_it_and_is_found_broken() {
    let broken = Vouch::default();
    let two = Says::with("two", "clean", |says| says.vouch = broken.clone());
    let panel = panel([(Role::Required, Says::new("one", "clean")), (Role::Required, two)]);
    let scan = ask(&panel).await.unwrap();
    assert!(!scan.provenance.vouch.refutes(&scan.verdict));
    broken.settle(Standing::Doubted);
    assert!(scan.provenance.vouch.refutes(&scan.verdict));
}

#[tokio::test]
async fn a_panel_is_ready_when_all_that_are_required_are() {
    let out = |name| Says::with(name, "clean", |says| says.is_ready = false);
    let advised = panel([(Role::Required, Says::new("one", "clean")), (Role::Advisory, out("two"))]);
    assert_eq!(advised.ready(), Ok(()));
    let required = panel([(Role::Required, Says::new("one", "clean")), (Role::Required, out("two"))]);
    assert_eq!(required.ready(), Err("two is out".to_owned()));
}

#[tokio::test]
async fn the_provenance_names_all_who_gave_a_verdict() {
    let panel = panel([(Role::Required, Says::new("two", "clean")), (Role::Required, Says::new("one", "clean"))]);
    let provenance = ask(&panel).await.unwrap().provenance;
    assert_eq!((&*provenance.engine, &*provenance.backend), ("one+two", "at one+at two"));
}

#[tokio::test(start_paused = true)]
async fn an_adviser_that_is_needed_counts_as_required_and_is_heard_in_any_case() {
    let needed = ["two".into()];
    for (required, adviser, expected) in [
        ("clean", "clean", Some(("clean", "one+two"))),
        ("clean", "opaque", Some(("opaque", "one+two"))),
        ("clean", "down", None),
        ("down", "clean", None),
        ("infected", "clean", Some(("infected", "one+two"))),
        ("infected", "down", Some(("infected", "one"))),
        ("clean", "infected", Some(("infected", "two"))),
    ] {
        for slowest in ["one", "two"] {
            let wait = |name: &str| if name == slowest { Duration::from_secs(30) } else { Duration::ZERO };
            let says = |name, said| slow(name, said, wait(name));
            let panel = panel([(Role::Required, says("one", required)), (Role::Advisory, says("two", adviser))]);
            let scan = ask_needing(&panel, &needed).await.ok();
            let said = scan.as_ref().map(|scan| (scan.verdict.name(), &*scan.provenance.engine));
            assert_eq!(said, expected, "{required} {adviser}, {slowest} is slow");
        }
    }
}

#[tokio::test]
async fn a_panel_names_all_of_its_engines() {
    let two = panel([(Role::Required, Says::new("one", "clean")), (Role::Advisory, Says::new("two", "clean"))]);
    assert_eq!(two.names(), ["one", "two"]);
}

#[test]
fn one_engine_alone_is_no_panel() {
    assert_eq!(panel([(Role::Required, Says::new("alone", "clean"))]).name(), "alone");
}

#[tokio::test]
async fn a_verdict_that_one_engine_gave_before_others_were_heard_is_not_complete() {
    let two = |one: &str, other: &str, advisory: &str| {
        panel([
            (Role::Required, Says::new("one", one)),
            (Role::Required, Says::new("two", other)),
            (Role::Advisory, Says::new("adviser", advisory)),
        ])
    };
    for (says, is_complete) in [
        (["clean", "clean", "clean"], true),
        (["opaque", "incomplete", "clean"], true),
        (["infected", "clean", "clean"], false),
        (["clean", "clean", "infected"], false),
    ] {
        let panel = two(says[0], says[1], says[2]);
        let epoch = ask(&panel).await.unwrap().provenance.epoch;
        assert_eq!(panel.is_complete(&epoch), is_complete, "{says:?}");
    }
    let [finds, passes] = ["infected", "clean"].map(|says| Says::new("one", says));
    let one = panel([(Role::Required, finds), (Role::Advisory, Says::new("adviser", "clean"))]);
    assert!(one.is_complete(&ask(&one).await.unwrap().provenance.epoch), "nobody else is required");
    let other = panel([(Role::Required, passes), (Role::Advisory, Says::new("adviser", "infected"))]);
    assert!(!other.is_complete(&ask(&other).await.unwrap().provenance.epoch));
    assert!(!one.is_complete(&Epoch::new("", "")), "nobody's word");
}

#[tokio::test]
async fn verdicts_of_more_engines_than_usual_are_told_to_be_of_the_usual_epoch() {
    let adviser = Says::new("adviser", "clean");
    let engines = vec![
        (Role::Required, Says::new("one", "clean") as Arc<dyn Engine>),
        (Role::Advisory, Arc::clone(&adviser) as Arc<dyn Engine>),
    ];
    let panel = Panel::of(engines, WAIT);
    let usual = ask(&panel).await.unwrap().provenance.epoch;
    assert_eq!(panel.usual(&usual), usual);
    let more = ask_needing(&panel, &["adviser".into()]).await.unwrap().provenance.epoch;
    assert_ne!(more, usual);
    assert_eq!(panel.usual(&more), usual);
    adviser.bump(7);
    assert_eq!(panel.usual(&more), more, "the adviser would say more today");
    let foreign = Epoch::new("a", "b");
    assert_eq!(panel.usual(&foreign), foreign);
}
