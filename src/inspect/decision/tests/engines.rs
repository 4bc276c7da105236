//! Engines that rules want heard.

use super::*;

#[tokio::test]
async fn engines_that_a_rule_wants_are_asked_at_once_and_their_word_is_remembered() {
    let (required, advisory) = (Says::new("one", "clean"), Says::new("two", "clean"));
    let rules =
        RuleSet { rules: vec![rule("both", matching("type", "text/plain"), scan_by("two"))], ..RuleSet::default() };
    let node = Node::new(panel(&required, &advisory), rules);
    for _ in 0..2 {
        let inspection = node.ask(&occasion()).await.unwrap();
        assert_eq!(inspection.decision(), &Decision::Allow);
        assert_eq!(&*inspection.record.unwrap().provenance.engine, "one+two");
    }
    assert_eq!((required.asked(), advisory.asked()), (1, 1));
}

#[tokio::test]
async fn what_is_remembered_without_an_engine_that_is_wanted_is_scanned_again() {
    let (required, advisory) = (Says::new("one", "clean"), Says::new("two", "clean"));
    let rules =
        RuleSet { rules: vec![rule("up", matching("direction", "upload"), scan_by("two"))], ..RuleSet::default() };
    let node = Node::new(panel(&required, &advisory), rules);
    let engine = async |direction| node.ask(&asked(direction)).await.unwrap().record.unwrap().provenance.engine.clone();
    assert_eq!(&*engine(Direction::Download).await, "one");
    assert_eq!(&*engine(Direction::Upload).await, "one+two");
    assert_eq!(&*engine(Direction::Download).await, "one+two", "it is no worse for others");
    assert_eq!(required.asked(), 2);
}

#[tokio::test]
async fn many_who_want_more_engines_at_once_have_one_scan_by_them() {
    let (required, advisory) = (Says::new("one", "clean"), Says::new("two", "clean"));
    let rules =
        RuleSet { rules: vec![rule("up", matching("direction", "upload"), scan_by("two"))], ..RuleSet::default() };
    let node = Node::new(panel(&required, &advisory), rules);
    let (up, down) = (asked(Direction::Upload), asked(Direction::Download));
    let (one, two, three) = tokio::join!(node.decides(&down), node.decides(&up), node.decides(&up));
    assert_eq!([one, two, three], [const { Some(Decision::Allow) }; 3]);
    assert_eq!(required.asked(), 2);
}

#[test]
fn an_engine_was_heard_if_all_of_its_name_is_among_those_who_spoke() {
    let mut record = Record::bare(Facts::default(), outcome("clean").unwrap());
    record.provenance.engine = "clamd-fast+sandbox".into();
    let has_heard = |engines: &[&str]| has_heard(&record, &engines.iter().map(|&name| name.into()).collect::<Vec<_>>());
    assert!(has_heard(&[]) && has_heard(&["sandbox"]) && has_heard(&["sandbox", "clamd-fast"]));
    for engines in [&["clamd"][..], &["fast"], &["box"], &["clamd-fast+sandbox"], &["sandbox", "icap"]] {
        assert!(!has_heard(engines), "{engines:?}");
    }
}

#[tokio::test]
async fn without_an_engine_that_a_rule_wants_nothing_passes() {
    let rules = |engine| RuleSet {
        rules: vec![rule("up", matching("direction", "upload"), scan_by(engine))],
        ..allowing(&[(State::EngineError, Direction::Upload)])
    };
    for says in ["down", "clean"] {
        let advisory = Says::new("two", says);
        let node = Node::new(panel(&Says::new("one", "clean"), &advisory), rules("two"));
        assert_eq!(node.decides(&asked(Direction::Upload)).await.is_some(), says == "clean");
        assert_eq!(node.decides(&asked(Direction::Download)).await, Some(Decision::Allow));
    }
    let alone = |engine| Node::new(Says::new("one", "clean"), rules(engine));
    assert_eq!(alone("one").decides(&asked(Direction::Upload)).await, Some(Decision::Allow));
    assert_eq!(alone("two").decides(&asked(Direction::Upload)).await, None);
}

#[tokio::test]
async fn what_is_infected_and_excepted_still_has_to_be_heard_of_by_engines_that_are_wanted() {
    let (required, advisory) = (Says::new("one", "infected"), Says::new("two", "clean"));
    let exception = Exception {
        id: "known".into(),
        reason: String::new(),
        author: String::new(),
        until: SystemTime::now() + Duration::from_hours(1),
        from: vec![Lifted::State(State::Infected)],
        matcher: matching("type", "text/plain"),
    };
    let rules = RuleSet {
        rules: vec![rule("up", matching("direction", "upload"), scan_by("two"))],
        exceptions: vec![exception],
        ..RuleSet::default()
    };
    let node = Node::new(panel(&required, &advisory), rules);
    let inspection = node.ask(&asked(Direction::Upload)).await.unwrap();
    assert_eq!(&*inspection.record.unwrap().provenance.engine, "one+two");
    assert_eq!(inspection.decided.unscanned(), Some(State::Infected));
    assert_eq!(node.delivered("infected", "known", "upload").0, 1);
}

/// Wants another engine heard for uploads.
fn for_uploads() -> RuleSet {
    RuleSet { rules: vec![rule("up", matching("direction", "upload"), scan_by("two"))], ..RuleSet::default() }
}

#[tokio::test]
async fn an_engine_that_is_out_is_no_trouble_to_those_who_come_along_and_do_not_want_it() {
    let node = Node::new(panel(&Says::new("one", "clean"), &Says::new("two", "down")), for_uploads());
    let (up, down) = (asked(Direction::Upload), asked(Direction::Download));
    let (up, down) = tokio::join!(node.decides(&up), node.decides(&down));
    assert_eq!((up, down), (None, Some(Decision::Allow)));
}

#[tokio::test]
async fn what_more_engines_said_has_its_grace_like_all_else() {
    let (required, advisory) = (Says::new("one", "clean"), Says::new("two", "clean"));
    let config = Config { grace: Duration::from_hours(1), ..Config::default() };
    let node = Node::with(panel(&required, &advisory), for_uploads(), &config);
    let record = node.ask(&asked(Direction::Upload)).await.unwrap().record.unwrap();
    node.inspector.look_at_signatures().await;
    required.learn();
    assert_eq!(node.inspector.currency(&record), Currency::Stale);
    assert!(node.inspector.is_in_grace(&record));
    assert_eq!(node.decides(&asked(Direction::Upload)).await, Some(Decision::Allow));
    assert_eq!(required.asked(), 1, "it is scanned later");
    advisory.learn();
    assert!(!node.inspector.is_in_grace(&record), "that of others has none");
}

#[tokio::test]
async fn a_rescan_that_nobody_waits_for_hears_all_who_were_heard_before_if_it_can() {
    for (says, heard) in [("clean", "one+two"), ("down", "one")] {
        let (required, advisory) = (Says::new("one", "clean"), Says::new("two", "clean"));
        let node = Node::new(panel(&required, &advisory), for_uploads());
        let identity = node.ask(&asked(Direction::Upload)).await.unwrap().identity;
        required.learn();
        advisory.says(says);
        let rescan = node.inspector.scan_once(identity, Plaintext::Held(body()), Task::in_background());
        assert_eq!(&*rescan.await.unwrap().record.provenance.engine, heard);
    }
}
