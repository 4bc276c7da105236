//! What nobody looked at, what is found in spite of that, and what is remembered.

use super::*;
use crate::{
    cache::overrides::{Override, Target},
    facts::Sniff,
    verdict::Effect,
};

#[tokio::test]
async fn without_a_verdict_nothing_passes_but_where_the_policy_lets_it() {
    let node = Node::new(Says::new("one", "down"), allowing(&[(State::EngineError, Direction::Upload)]));
    let inspection = node.ask(&asked(Direction::Upload)).await.unwrap();
    assert_eq!((inspection.decision(), inspection.record.is_none()), (&Decision::Allow, true));
    for direction in Direction::ALL.into_iter().filter(|direction| *direction != Direction::Upload) {
        assert!(matches!(node.ask(&asked(direction)).await, Err(InspectError::Engine(_))), "{direction:?}");
    }
    assert_eq!(node.delivered("engine_error", "default:engine_error", "upload"), (1, 8));
}

#[tokio::test]
async fn what_passed_without_a_verdict_is_scanned_when_it_can_be() {
    let engine = Says::new("one", "down");
    let node = Node::new(Arc::clone(&engine) as _, allowing(&[(State::EngineError, Direction::Download)]));
    assert_eq!(node.decides(&asked(Direction::Download)).await, Some(Decision::Allow));
    engine.says("infected");
    assert_eq!(node.decides(&asked(Direction::Download)).await, Some(Decision::Block(Refusal::Infected)));
}

#[tokio::test]
async fn what_was_infected_the_last_time_does_not_pass_while_engines_are_out() {
    for (then, refusal) in
        [("infected", Some(Refusal::Infected)), ("incomplete", Some(Refusal::Incomplete)), ("clean", None)]
    {
        let engine = Says::new("one", then);
        let node = Node::new(Arc::clone(&engine) as _, allowing(&[(State::EngineError, Direction::Download)]));
        node.ask(&asked(Direction::Download)).await.unwrap();
        engine.learn();
        engine.says("down");
        let inspection = node.ask(&asked(Direction::Download)).await.unwrap();
        assert_eq!(*inspection.decision(), refusal.map_or(Decision::Allow, Decision::Block), "{then}");
        let passed = node.delivered("engine_error", "default:engine_error", "download").0;
        assert_eq!((inspection.record.is_some(), passed), if then == "clean" { (false, 1) } else { (true, 0) });
    }
}

#[tokio::test]
async fn what_was_infected_and_may_pass_as_that_passes_while_engines_are_out() {
    let engine = Says::new("one", "infected");
    let both = [(State::EngineError, Direction::Download), (State::Infected, Direction::Download)];
    let node = Node::new(Arc::clone(&engine) as _, allowing(&both));
    node.ask(&asked(Direction::Download)).await.unwrap();
    engine.learn();
    engine.says("down");
    assert_eq!(node.decides(&asked(Direction::Download)).await, Some(Decision::Allow));
}

#[tokio::test]
async fn ciphertext_that_is_refused_does_not_pass_because_engines_are_out() {
    let opaque = |otherwise| {
        let mut rules = allowing(&[(State::EngineError, Direction::Download)]);
        rules.defaults.said.insert((State::OpaqueMedia, Direction::Download), otherwise);
        rules
    };
    for (otherwise, decision) in [
        (Otherwise::Allow, Decision::Allow),
        (Otherwise::Block, Decision::Block(Refusal::Unscanned)),
        (Otherwise::RequireScanned, Decision::Block(Refusal::Unscanned)),
    ] {
        let node = Node::new(Says::new("one", "down"), opaque(otherwise));
        let inspection = node.ask_for(&noise(), &asked(Direction::Download)).await.unwrap();
        assert_eq!(*inspection.decision(), decision, "{otherwise:?}");
        assert_eq!(node.decides(&asked(Direction::Download)).await, Some(Decision::Allow), "it is no ciphertext");
    }
}

#[tokio::test]
async fn what_the_security_team_says_is_infected_is_so_while_engines_are_out_and_what_it_says_is_clean_is_not_known_to_be()
 {
    for (effect, decision, passed) in
        [(Effect::ForceInfected, Decision::Block(Refusal::Infected), 0), (Effect::ForceClean, Decision::Allow, 1)]
    {
        let node = Node::new(Says::new("one", "down"), allowing(&[(State::EngineError, Direction::Download)]));
        let (now, identity) = (SystemTime::now(), node.inspector.stages.cache.keys().plaintext(body().digest()));
        let words = ("sam".to_owned(), "ticket".to_owned());
        let new = Override::new(effect, Target::Identity(identity), words, (now, now + Duration::from_hours(1)));
        node.inspector.overrule(new.unwrap()).await.unwrap();
        assert_eq!(node.decides(&asked(Direction::Download)).await, Some(decision));
        assert_eq!(node.delivered("engine_error", "default:engine_error", "download").0, passed, "{effect:?}");
    }
}

#[tokio::test]
async fn the_encoded_form_of_a_medium_does_not_pass_without_a_verdict() {
    let node = Node::new(Says::new("one", "down"), allowing(&[(State::EngineError, Direction::Download)]));
    let (medium, download) = (body(), asked(Direction::Download));
    let plain = Way::Keyless(node.inspector.reader(None));
    assert!(node.inspector.inspect(&medium, plain, &download).await.is_ok());
    assert!(node.inspector.inspect(&medium, Way::Encoded, &download).await.is_err());
}

#[tokio::test]
async fn what_is_too_large_for_engines_that_a_rule_wants_does_not_pass() {
    let mut rules = allowing(&[(State::Oversize, Direction::Download), (State::Oversize, Direction::Upload)]);
    rules.rules.push(rule("up", matching("direction", "upload"), scan_by("two")));
    let node = Node::new(Says::new("one", "clean"), rules);
    let decide = |direction| node.inspector.decide_on_oversize(&asked(direction), 5000, true).decision;
    assert_eq!(decide(Direction::Upload), Decision::Block(Refusal::Oversize));
    assert_eq!(decide(Direction::Download), Decision::Allow);
}

#[tokio::test]
async fn only_what_was_asked_for_is_remembered_as_such_and_with_whether_there_was_a_key() {
    let node = Node::new(Says::new("one", "clean"), RuleSet::default());
    let (medium, download) = (body(), asked(Direction::Download));
    node.inspector.inspect(&medium, Way::Encoded, &download).await.unwrap();
    let identity = node.inspector.stages.cache.keys().plaintext(medium.digest());
    let usage = node.inspector.stages.cache.usage(identity).await;
    assert!(usage.is_none_or(|usage| usage.seen.is_empty()), "nobody asked for that form");
    let keyed = |access| seen(&download, access, SystemTime::now()).keyed;
    assert!(keyed(Access::Keyed) && !keyed(Access::Upload) && !keyed(Access::Encoded));
}

#[tokio::test]
async fn what_keys_opened_ciphertext_to_counts_while_engines_are_out() {
    let mut rules = allowing(&[(State::EngineError, Direction::Download)]);
    rules.defaults.said.insert((State::OpaqueMedia, Direction::Download), Otherwise::RequireScanned);
    for (is_infected, decision) in [(false, Decision::Allow), (true, Decision::Block(Refusal::Infected))] {
        let engine = Says::new("one", if is_infected { "infected" } else { "clean" });
        let node = Node::new(Arc::clone(&engine) as _, rules.clone());
        let plaintext = node.ask(&asked(Direction::Download)).await.unwrap().identity;
        let cache = &node.inspector.stages.cache;
        let opened = cache.keys().openings(cache.keys().plaintext(noise().digest()));
        cache.keep_opening(opened, plaintext, is_infected).await;
        engine.says("down");
        let inspection = node.ask_for(&noise(), &asked(Direction::Download)).await.unwrap();
        assert_eq!(*inspection.decision(), decision);
    }
}

#[tokio::test]
async fn refusals_for_want_of_engines_are_counted() {
    let count = |node: &Node, rule, mode| {
        let text = prometheus::TextEncoder::new().encode_to_string(&node.registry.gather()).unwrap();
        let series = format!(r#"_total{{action="block",direction="download",mode="{mode}",rule="{rule}"}} 1"#);
        text.contains(&series)
    };
    for opened in [Direction::Upload, Direction::Download] {
        let mut shadow = rule("no-texts", matching("type", "text/plain"), Action::Block);
        shadow.mode = Mode::Shadow;
        // It wants an engine that is not there.
        let scan = rule("scan", matching("type", "text/plain"), scan_by("two"));
        let rules = RuleSet { rules: vec![shadow, scan], ..allowing(&[(State::EngineError, opened)]) };
        let node = Node::new(Says::new("one", "down"), rules);
        assert!(node.ask(&asked(Direction::Download)).await.is_err());
        assert!(count(&node, "default:engine_error", "enforce"), "{opened:?}");
        assert_eq!(count(&node, "no-texts", "shadow"), opened == Direction::Download, "it was looked at");
        let shadows = node.inspector.stages.policy.tally().shadows();
        assert!(shadows.iter().all(|(_, report)| report.would_refuse == 0), "it is refused anyway");
    }
}

#[tokio::test]
async fn the_scanner_vouches_for_nothing_without_a_verdict_whatever_rules_say() {
    let mut rules = allowing(&[(State::EngineError, Direction::Scan)]);
    rules.rules.push(rule("anyway", matching("state", "engine_error"), Action::Allow));
    let node = Node::new(Says::new("one", "down"), rules);
    assert!(node.ask(&occasion()).await.is_err());
    let decided = node.inspector.decide_on_oversize(&occasion(), 1 << 40, true);
    assert_eq!(decided.decision, Decision::Block(Refusal::Oversize));
}

#[tokio::test]
async fn a_rule_says_why_something_is_refused_that_would_pass_without_a_verdict() {
    let mut rules = allowing(&[(State::EngineError, Direction::Download)]);
    rules.rules.push(rule("no-texts", matching("type", "text/plain"), Action::Block));
    let node = Node::new(Says::new("one", "down"), rules);
    let decision = node.decides(&asked(Direction::Download)).await.unwrap();
    let severity = |decision: &Decision| match decision {
        Decision::Allow => None,
        Decision::Block(refusal) => refusal.severity(),
    };
    assert_eq!((severity(&decision), Refusal::Infected.severity()), (Some("low"), None));
    assert!(matches!(decision, Decision::Block(Refusal::Rule(denial)) if &*denial.rule == "no-texts"));
}

#[tokio::test]
async fn oversize_passes_where_the_policy_lets_it_and_is_counted() {
    let node = Node::new(Says::new("one", "clean"), allowing(&[(State::Oversize, Direction::Download)]));
    let decide =
        |direction, could_pass| node.inspector.decide_on_oversize(&asked(direction), 5000, could_pass).decision;
    assert_eq!(decide(Direction::Download, true), Decision::Allow);
    for (direction, could_pass) in [(Direction::Download, false), (Direction::Upload, true), (Direction::Scan, true)] {
        assert_eq!(decide(direction, could_pass), Decision::Block(Refusal::Oversize), "{direction:?}");
    }
    assert_eq!(node.delivered("oversize", "default:oversize", "download"), (1, 5000));
    let refused = node.inspector.decide_on_oversize(&asked(Direction::Download), 5000, false);
    assert_eq!((refused.by.name().as_str(), refused.action), ("default:oversize", "block"));
    assert!(node.inspector.may_pass_oversize(Direction::Download));
    assert!(!node.inspector.may_pass_oversize(Direction::Upload) && !node.inspector.passes_oversize_uploads());
}

#[tokio::test]
async fn of_what_is_too_large_nothing_is_known_but_its_size() {
    let all = Direction::ALL.map(|direction| ((State::Clean, direction), Otherwise::Block));
    let decide = |fact: &str, test: Test| {
        let mut rules = allowing(&[(State::Oversize, Direction::Download)]);
        rules.defaults.said.extend(all);
        let condition = Condition { fact: Fact::named(fact).unwrap(), test };
        rules.rules.push(rule("only", Matcher { any: vec![vec![condition]], when: None }, Action::Allow));
        let node = Node::new(Says::new("one", "clean"), rules);
        node.inspector.decide_on_oversize(&asked(Direction::Download), 5000, true).decision
    };
    for fact in ["macros", "active", "container", "locked", "polyglot", "opaque"] {
        assert_eq!(decide(fact, Test::Flag(false)), Decision::Block(Refusal::Unlisted), "{fact}");
        assert_eq!(decide(fact, Test::Known(false)), Decision::Allow, "{fact}");
    }
    assert_eq!(decide("encrypted", Test::Known(false)), Decision::Allow);
    assert_eq!(decide("size", Test::Known(true)), Decision::Allow);
}

#[tokio::test]
async fn thumbnails_of_what_is_infected_are_refused_unless_that_is_excepted_for_them() {
    for excepted in [false, true] {
        let mut rules = RuleSet::default();
        if excepted {
            rules.defaults.said.insert((State::Infected, Direction::Thumbnail), Otherwise::Allow);
        }
        let node = Node::new(Says::new("one", "infected"), rules);
        let inspection = node.ask(&asked(Direction::Download)).await.unwrap();
        node.inspector.remember(|| "a/b".to_owned(), 8, &inspection).await;
        let location: Location = node.inspector.location("a/b");
        let refusal = node.inspector.refusal_of_infected(location, &asked(Direction::Thumbnail)).await;
        assert_eq!(refusal, (!excepted).then_some(Refusal::Infected));
    }
}

#[tokio::test]
async fn how_a_medium_was_asked_for_is_remembered_without_its_name() {
    let node = Node::new(Says::new("one", "clean"), RuleSet::default());
    let declared = crate::facts::Declared { media_type: Some("a/b".into()), name: Some("Secret Name.TXT".into()) };
    let user = Some("@somebody:hs.test".into());
    let upload =
        Arc::new(Occasion { declared, user, is_local: Some(true), ..Occasion::new(Direction::Upload, "upload") });
    for occasion in [&upload, &upload, &asked(Direction::Download)] {
        node.ask(occasion).await.unwrap();
    }
    let identity = node.inspector.stages.cache.keys().plaintext(body().digest());
    let seen = node.inspector.stages.cache.usage(identity).await.unwrap().seen;
    assert_eq!(seen.iter().map(|seen| seen.direction).collect::<Vec<_>>(), [Direction::Upload, Direction::Download]);
    assert_eq!((seen[0].extension.as_deref(), seen[0].declared_type.as_deref()), (Some("txt"), Some("a/b")));
    assert_eq!((seen[0].is_local, seen[0].double_extension), (Some(true), Some(false)));
    assert!(!format!("{seen:?}").contains("Secret") && !format!("{seen:?}").contains("somebody"));
}

#[tokio::test]
async fn what_is_no_type_and_no_extension_is_not_remembered() {
    let node = Node::new(Says::new("one", "clean"), RuleSet::default());
    let name = "Letter.to Somebody about his secret";
    for media_type in ["about his secret", "text/his secret", &format!("a/{}", "secret".repeat(20))] {
        let declared = crate::facts::Declared { media_type: Some(media_type.into()), name: Some(name.into()) };
        node.ask(&Arc::new(Occasion { declared, ..Occasion::new(Direction::Upload, "upload") })).await.unwrap();
    }
    let identity = node.inspector.stages.cache.keys().plaintext(body().digest());
    let seen = node.inspector.stages.cache.usage(identity).await.unwrap().seen;
    assert_eq!((seen.len(), seen[0].extension.as_deref(), seen[0].declared_type.as_deref()), (1, None, None));
}

#[tokio::test]
async fn facts_that_were_found_out_by_less_are_found_out_anew() {
    let engine = Says::new("one", "clean");
    let node = Node::new(Arc::clone(&engine) as Arc<dyn Engine>, RuleSet::default());
    let upload = asked(Direction::Upload);
    node.ask(&upload).await.unwrap();
    let (cache, Sniff(current)) = (&node.inspector.stages.cache, Sniff::CURRENT);
    let identity = cache.keys().plaintext(body().digest());
    for (sniff, asked) in [(current, 1), (current + 1, 1), (current - 1, 2)] {
        let mut record = (*cache.record(identity).await.unwrap()).clone();
        record.facts.sniff = Sniff(sniff);
        record.order.fence += 1;
        assert!(cache.keep(identity, Arc::new(record)).await);
        node.ask(&upload).await.unwrap();
        assert_eq!(engine.asked(), asked, "{sniff}");
    }
    assert_eq!(cache.record(identity).await.unwrap().facts.sniff, Sniff::CURRENT);
}
