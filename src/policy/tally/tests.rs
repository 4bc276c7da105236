use std::time::{Duration, SystemTime};

use prometheus::{Registry, TextEncoder};

use super::*;
use crate::policy::{
    Decision, InForce, Policy, Shadow, State,
    condition::Matcher,
    rule::{Action, Denial, Exception, Mode, Rule, Severity, Wire},
};

fn rule(id: &str, action: Action, mode: Mode) -> Rule {
    let id: Arc<str> = id.into();
    let denial = Denial {
        rule: Arc::clone(&id),
        wire: Wire::default(),
        reasons: std::collections::BTreeMap::default(),
        severity: Severity::default(),
        quarantine: false,
    };
    let matcher = Matcher::default();
    Rule { id, description: None, matcher, action, mode, expires: None, denial: Arc::new(denial) }
}

fn exception(id: &str, until: SystemTime) -> Exception {
    let (reason, author, matcher) = ("why".to_owned(), "sam".to_owned(), Matcher::default());
    Exception { id: id.into(), reason, author, until, from: Vec::new(), matcher }
}

fn policy(rules: Vec<Rule>, exceptions: Vec<Exception>) -> Policy {
    let set = RuleSet { rules, exceptions, ..RuleSet::default() };
    Policy::new(&crate::policy::Config::default(), set)
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn in_force(policy: Policy) -> (InForce, Registry) {
    let registry = Registry::new();
    (InForce::register(policy, at(1000), &registry).unwrap(), registry)
}

/// Series as they are printed, without the comments.
fn series(registry: &Registry) -> Vec<String> {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn decided(by: By, shadows: &[(&str, bool)]) -> Decided {
    let shadow = |(rule, flips): &(&str, bool)| Shadow { rule: (*rule).into(), action: "block", flips: *flips };
    Decided {
        decision: Decision::Allow,
        by,
        action: "allow",
        state: State::Clean,
        exceptions: vec!["known".into()],
        engines: None,
        shadows: shadows.iter().map(shadow).collect(),
        failures: Vec::new(),
    }
}

fn medium(occasion: &Occasion, identity: u8, seconds: u64) -> Medium<'_> {
    Medium { occasion, facts: None, len: 10, identity: Some(Hash([identity; 32])), now: at(seconds) }
}

#[test]
fn all_that_can_be_counted_of_a_rule_is_there_from_the_start_and_goes_with_it() {
    let rules = vec![rule("one", Action::Block, Mode::Enforce), rule("two", Action::Block, Mode::Shadow)];
    let (in_force, registry) = in_force(policy(rules, vec![exception("known", at(9000))]));
    let series_of = |text: &str| series(&registry).into_iter().filter(|line| line.contains(text)).count();
    assert_eq!((series_of(r#"rule="one""#), series_of(r#"rule="two""#)), (5, 5));
    assert_eq!(series_of(r#"exceptions_used_total{exception="known"} 0"#), 1);
    let occasion = Occasion::new(Direction::Upload, "upload");
    in_force.count(&decided(By::Default(State::Clean), &[("two", true)]), medium(&occasion, 1, 1));
    in_force.count(&decided(By::Rule("one".into()), &[]), medium(&occasion, 1, 1));
    let by_default = r#"decisions_total{action="allow",direction="upload",mode="enforce",rule="default:clean"} 1"#;
    assert_eq!(series_of(by_default), 1);
    assert_eq!(series_of(r#"{action="block",direction="upload",mode="shadow",rule="two"} 1"#), 1);
    assert_eq!(series_of(r#"exceptions_used_total{exception="known"} 2"#), 1);

    in_force.replace(policy(vec![rule("two", Action::Block, Mode::Enforce)], Vec::new()), at(2000));
    assert_eq!((series_of(r#"rule="one""#), series_of(r#"mode="shadow",rule"#), series_of("exception=")), (0, 0, 0));
    assert_eq!((series_of(r#"rule="two""#), series_of(by_default)), (5, 1));
    assert_eq!(series_of("lazaret_policy_info{"), 1);
    assert_eq!(series_of("loaded_timestamp_seconds 2000"), 1);
}

#[test]
fn an_expression_that_failed_is_counted_for_its_rule() {
    let set = crate::policy::testing::rules("rules: [{id: deep, when: 'inside.depth > 1', action: block}]");
    let (in_force, registry) = in_force(Policy::new(&crate::policy::Config::default(), set));
    let occasion = Occasion::new(Direction::Upload, "upload");
    let failed =
        Decided { exceptions: Vec::new(), failures: vec!["deep".into()], ..decided(By::Rule("deep".into()), &[]) };
    for count in 0..2 {
        let told = format!("lazaret_policy_failures_total{{rule=\"deep\"}} {count}");
        assert!(series(&registry).contains(&told), "{count}");
        in_force.count(&failed, medium(&occasion, 1, 1));
    }
}

#[test]
fn a_set_that_is_taken_or_confirmed_makes_good_what_failed_before() {
    let (in_force, _) = in_force(policy(Vec::new(), Vec::new()));
    in_force.refuse("a.yaml: wrong".to_owned(), at(2000));
    assert_eq!(in_force.how().failure, Some((at(2000), "a.yaml: wrong".to_owned())));
    in_force.replace(policy(Vec::new(), Vec::new()), at(3000));
    assert_eq!((in_force.how().loaded_at, in_force.how().failure), (at(3000), None));
}

#[test]
fn what_is_over_is_counted_apart_as_time_goes_by() {
    let mut short = rule("short", Action::Block, Mode::Enforce);
    short.expires = Some(at(2000));
    let (in_force, registry) = in_force(policy(vec![short], vec![exception("known", at(3000))]));
    let has = |line: &str| series(&registry).iter().any(|one| one == line);
    assert!(has(r#"lazaret_policy_rules{mode="enforce"} 1"#) && has("lazaret_policy_rules_expired 0"));
    assert!(has(r#"lazaret_policy_exceptions{state="acting"} 1"#));
    in_force.refresh(at(3000));
    assert!(has(r#"lazaret_policy_rules{mode="enforce"} 0"#) && has("lazaret_policy_rules_expired 1"));
    assert!(has(r#"lazaret_policy_exceptions{state="acting"} 0"#));
    assert!(has(r#"lazaret_policy_exceptions{state="expired"} 1"#));
}

#[test]
fn what_ends_within_a_week_or_has_ended_is_told() {
    let day = 24 * 3600;
    let exceptions = [("over", 10), ("soon", 17), ("later", 18)].map(|(id, days)| exception(id, at(days * day + 1)));
    let policy = policy(Vec::new(), exceptions.to_vec());
    let endings = policy.rules().endings(at(10 * day + 1));
    let told: Vec<_> = endings.iter().map(|ending| (&*ending.id, ending.is_over)).collect();
    assert_eq!(told, [("over", true), ("soon", false)]);
}

#[test]
fn a_shadow_report_tells_numbers_times_and_the_newest_examples_once_each() {
    let (in_force, _) = in_force(policy(vec![rule("two", Action::Block, Mode::Shadow)], Vec::new()));
    let mut upload = Occasion::new(Direction::Upload, "upload");
    let by = || By::Default(State::Clean);
    for number in 0..12 {
        in_force.count(&decided(by(), &[("two", true)]), medium(&upload, number, 10 + u64::from(number)));
    }
    in_force.count(&decided(by(), &[("two", true)]), medium(&upload, 11, 30));
    upload.direction = Direction::Scan;
    in_force.count(&decided(by(), &[("two", false)]), medium(&upload, 40, 31));
    in_force.count(&decided(by(), &[("gone", true)]), medium(&upload, 41, 32));
    let [(id, report)] = &in_force.tally().shadows()[..] else { panic!("one rule") };
    assert_eq!((&**id, report.would_refuse, report.would_pass), ("two", 13, 0));
    assert_eq!(report.matched, [(Direction::Upload, 13), (Direction::Scan, 1)].into());
    assert_eq!((report.first, report.last), (Some(at(10)), Some(at(31))));
    assert_eq!(report.examples.len(), 10);
    assert_eq!(report.examples.back().unwrap().at, at(30), "told once, as it was last");

    in_force.replace(policy(vec![rule("two", Action::Block, Mode::Shadow)], Vec::new()), at(50));
    assert_eq!(in_force.tally().shadows()[0].1.would_refuse, 13, "a rule that stays keeps its report");
    in_force.tally().forget_shadows(at(60));
    assert_eq!(in_force.tally().shadows()[0].1.since, at(60));
    in_force.replace(policy(vec![rule("two", Action::Allow, Mode::Shadow)], Vec::new()), at(70));
    assert_eq!(in_force.tally().shadows()[0].1.action, "allow");
    in_force.replace(policy(Vec::new(), Vec::new()), at(80));
    assert!(in_force.tally().shadows().is_empty());
}

#[test]
fn what_passed_by_a_rule_or_an_exception_that_is_gone_is_forgotten() {
    let rules = vec![rule("one", Action::Allow, Mode::Enforce)];
    let (in_force, registry) = in_force(policy(rules, vec![exception("known", at(9000))]));
    let by_default = || By::Default(State::Infected);
    let occasion = Occasion::new(Direction::Upload, "upload");
    for (by, exceptions) in
        [(By::Rule("one".into()), vec![]), (by_default(), vec!["known".into()]), (by_default(), vec![])]
    {
        let decided = Decided { state: State::Infected, exceptions, ..decided(by, &[]) };
        in_force.count(&decided, medium(&occasion, 1, 1));
    }
    let told = |what: &str| series(&registry).into_iter().filter(|line| line.contains(what)).collect::<Vec<_>>();
    assert_eq!((told("unscanned_delivered_total").len(), told("unscanned_delivered_bytes_total").len()), (3, 3));
    assert_eq!(in_force.tally().passed(["infected", "known", "upload"]), (1, 10));
    in_force.replace(policy(Vec::new(), Vec::new()), at(2000));
    let labels = r#"{direction="upload",reason="infected",rule="default:infected"}"#;
    assert_eq!(told("unscanned_delivered_total"), [format!("lazaret_unscanned_delivered_total{labels} 1")]);
    assert_eq!(
        told("unscanned_delivered_bytes_total"),
        [format!("lazaret_unscanned_delivered_bytes_total{labels} 10")]
    );
}

#[test]
fn all_that_passes_and_is_not_known_to_be_clean_is_in_the_ledger_and_nothing_else() {
    let (in_force, _) = in_force(policy(Vec::new(), Vec::new()));
    let occasion = Occasion::new(Direction::Download, "download");
    for state in State::ALL {
        for decision in [Decision::Allow, Decision::Block(crate::policy::Refusal::Infected)] {
            let by = By::Default(state);
            let decided = Decided { decision, state, exceptions: Vec::new(), ..decided(by, &[]) };
            in_force.count(&decided, medium(&occasion, 1, 1));
        }
        let passed = in_force.tally().passed([state.name(), &By::Default(state).name(), "download"]);
        assert_eq!(passed, if state == State::Clean { (0, 0) } else { (1, 10) }, "{state:?}");
    }
}

#[test]
fn what_is_only_told_of_is_not_in_the_ledger() {
    let (in_force, _) = in_force(policy(Vec::new(), Vec::new()));
    let told = ["scanner_scan", "scanner_scan_encrypted", "scanner_scan_file"];
    for route in told.into_iter().chain(["scanner_download", "scanner_thumbnail", "scanner_download_encrypted"]) {
        let by = By::Default(State::Incomplete);
        let decided = Decided { state: State::Incomplete, exceptions: Vec::new(), ..decided(by, &[]) };
        in_force.count(&decided, medium(&Occasion::new(Direction::Scan, route), 1, 1));
    }
    assert_eq!(in_force.tally().passed(["incomplete", "default:incomplete", "scan"]), (3, 30));
}
