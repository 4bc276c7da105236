mod shipped;

use std::{io, path::Path, time::SystemTime};

use super::*;
use crate::{
    facts::{Facts, Occasion},
    verdict::{Clean, Detection, Record, Verdict},
};

/// What is decided on these, where nothing else is known.
pub(super) fn decide(
    policy: &Policy,
    facts: &Facts,
    verdict: &Verdict,
    over: Option<Effect>,
    access: Access,
) -> Decision {
    let record = Record::bare(facts.clone(), verdict.clone());
    let direction = match access {
        Access::Upload => Direction::Upload,
        Access::Keyed | Access::Plain(_) => Direction::Scan,
        Access::Keyless(_) | Access::Encoded => Direction::Download,
    };
    let occasion = Occasion::new(direction, "download");
    policy.decide(&View::of(&record, &occasion, access, SystemTime::now()), over).decision
}

#[test]
fn only_clean_passes() {
    let policy = Policy::new(&Config::default(), RuleSet::default());
    let facts = Facts { size: 1, opaque: true, ..Facts::default() };
    let found = Detection("X".to_owned());
    for (verdict, refusal) in [
        (Verdict::Infected { detection: found.clone() }, Refusal::Infected),
        (Verdict::Incomplete { why: found.clone() }, Refusal::Incomplete),
        (Verdict::Opaque { why: found }, Refusal::Opaque),
    ] {
        for access in [Access::Upload, Access::Keyed, Access::Keyless(Openings::Clean)] {
            assert_eq!(decide(&policy, &facts, &verdict, None, access), Decision::Block(refusal.clone()));
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what an engine would say of noise")]
fn ciphertext_without_a_key_is_decided_by_what_keys_opened_it_to() {
    let allowed = || Decision::Allow;
    let refused = || Decision::Block(Refusal::Unscanned);
    let noise = Facts { size: 1, opaque: true, ..Facts::default() };
    let clean = Verdict::Clean(Clean::attest());
    for (opaque_media, expected) in [
        (OpaqueMedia::Allow, [allowed(), allowed(), allowed()]),
        (OpaqueMedia::Deny, [refused(), refused(), refused()]),
        (OpaqueMedia::RequireScanned, [refused(), allowed(), Decision::Block(Refusal::Infected)]),
    ] {
        let policy = Policy::new(&Config { opaque_media, ..Config::default() }, RuleSet::default());
        let openings = [Openings::Unknown, Openings::Clean, Openings::Infected];
        assert_eq!(openings.map(|openings| decide(&policy, &noise, &clean, None, Access::Keyless(openings))), expected);
        for access in [Access::Upload, Access::Keyed] {
            assert_eq!(decide(&policy, &noise, &clean, None, access), allowed(), "{opaque_media:?} {access:?}");
        }
        let text = Facts { opaque: false, ..noise.clone() };
        assert_eq!(decide(&policy, &text, &clean, None, Access::Keyless(Openings::Unknown)), allowed());
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what an engine would say")]
fn what_the_security_team_says_counts_in_place_of_the_verdict_and_in_place_of_nothing_else() {
    let yaml = "{opaque_media: deny, blocked_mimetypes: [image/png]}";
    let config: Config = serde_yaml::from_str(yaml).unwrap();
    let policy = Policy::new(&config, RuleSet::default());
    let facts = |opaque, kind: &str| Facts { size: 1, detected_type: Some(kind.into()), opaque, ..Facts::default() };
    let (text, image, noise) = (facts(false, "text/plain"), facts(false, "image/png"), facts(true, "text/plain"));
    let found = Detection("X".to_owned());
    let clean = Verdict::Clean(Clean::attest());
    let verdicts = [
        clean.clone(),
        Verdict::Infected { detection: found.clone() },
        Verdict::Incomplete { why: found.clone() },
        Verdict::Opaque { why: found },
    ];
    let openings = Openings::Unknown;
    let all = [Access::Upload, Access::Keyed, Access::Keyless(openings), Access::Plain(openings), Access::Encoded];
    for (verdict, access) in verdicts.iter().flat_map(|verdict| all.map(|access| (verdict, access))) {
        for facts in [&text, &image, &noise] {
            let decide = |over| super::tests::decide(&policy, facts, verdict, over, access);
            assert_eq!(decide(Some(Effect::ForceInfected)), Decision::Block(Refusal::Infected));
            let as_clean = super::tests::decide(&policy, facts, &clean, None, access);
            assert_eq!(decide(Some(Effect::ForceClean)), as_clean, "{facts:?} {verdict:?} {access:?}");
        }
    }
    let forced = |facts, access| decide(&policy, facts, &verdicts[1], Some(Effect::ForceClean), access);
    assert_eq!(forced(&text, Access::Keyless(openings)), Decision::Allow);
    assert_eq!(forced(&noise, Access::Keyless(openings)), Decision::Block(Refusal::Unscanned));
    assert_eq!(forced(&image, Access::Keyed), Decision::Block(Refusal::Type("image/png".into())));
}

/// The policy of these files.
fn load(dir: &Path) -> Result<Policy, PolicyError> {
    let config = Config { dir: dir.to_owned(), ..Config::default() };
    Policy::load(&config, &Hash::plain, &|_: &Path| Err(io::ErrorKind::Unsupported.into()), SystemTime::now())
}

fn load_from(config: &Config, usual: &Path) -> Result<Policy, PolicyError> {
    let no_samples = |_: &Path| Err(io::ErrorKind::Unsupported.into());
    Policy::load_from(config, usual, (&Hash::plain, &no_samples), SystemTime::now(), &mut BTreeSet::new())
}

#[test]
fn the_shipped_policy_is_in_force_where_nobody_said_where_another_one_is_and_nowhere_else() {
    let root = tempfile::tempdir().unwrap();
    let (usual, other) = (root.path().join("usual"), root.path().join("other"));
    let load = |dir: &Path| load_from(&Config { dir: dir.to_owned(), ..Config::default() }, &usual);
    let is_shipped = |dir: &Path| load(dir).map(|policy| policy.origin().is_shipped).map_err(|error| error.to_string());
    for _ in 0..2 {
        assert_eq!(is_shipped(&usual), Ok(true));
        assert!(is_shipped(&other).unwrap_err().contains("other: there is no policy here"));
        // The second time they are there, and empty.
        for dir in [&usual, &other] {
            std::fs::create_dir_all(dir).unwrap();
        }
    }
    for dir in [&usual, &other] {
        std::fs::write(dir.join("a.cases.yaml"), "cases: []").unwrap();
        assert!(is_shipped(dir).unwrap_err().contains("no file of rules"));
        std::fs::write(dir.join("a.yaml"), "version: 1\nrules: []").unwrap();
        assert_eq!(is_shipped(dir), Ok(false));
    }
}

#[test]
fn it_is_noted_which_counts_if_configuration_and_policy_files_both_say_what_becomes_of_ciphertext() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), "version: 1\ndefaults: {opaque_media: allow}").unwrap();
    let config = Config { dir: dir.path().to_owned(), opaque_media: OpaqueMedia::Deny, ..Config::default() };
    let policy = load_from(&config, Path::new("/nowhere")).unwrap();
    assert_eq!(policy.rules().defaults.of(State::OpaqueMedia, Direction::Download), Otherwise::Allow);
    let note = policy.origin().notes[0].to_string();
    assert!(note.contains("they count: `policy.opaque_media: deny` of the configuration does nothing"), "{note}");
}

#[test]
fn rule_files_are_not_ignored_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("strict.yaml");
    std::fs::write(&file, "version: 1\nrules: [{id: nothing, action: block}]").unwrap();
    let policy = load(dir.path()).unwrap();
    assert!(!policy.origin().is_shipped);
    assert_eq!(policy.rules().rules.len(), 1);
    assert_eq!(load(&file).unwrap().rules().rules.len(), 1, "a file is a policy, too");
    std::fs::write(&file, "version: 1\nrules: [{id: nothing, action: blok}]").unwrap();
    let error = load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("strict.yaml:2:31: unknown action `blok`; did you mean `block`?"), "{error}");
}

#[test]
fn the_shipped_default_has_the_defaults_of_the_code_and_a_configuration_still_counts() {
    let nobodys = |config: Config| load_from(&Config { dir: "/nowhere".into(), ..config }, Path::new("/nowhere"));
    let shipped = nobodys(Config::default()).unwrap();
    let built_in = RuleSet::default();
    for (state, direction) in
        State::ALL.into_iter().flat_map(|state| Direction::ALL.map(|direction| (state, direction)))
    {
        assert_eq!(shipped.rules().defaults.of(state, direction), built_in.defaults.of(state, direction));
    }
    let notes = |policy: &Policy| policy.origin().notes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let told = notes(&shipped);
    assert!(told.len() == 1 && told[0].starts_with("/nowhere: ") && told[0].contains("the shipped"), "{told:?}");
    assert!(shipped.origin().cases > 0);
    let stricter = nobodys(Config { opaque_media: OpaqueMedia::Deny, ..Config::default() }).unwrap();
    assert_eq!(notes(&stricter), told, "it says nothing of ciphertext itself");
    assert_eq!(stricter.rules().defaults.of(State::OpaqueMedia, Direction::Download), Otherwise::Block);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what an engine would say of noise")]
fn ciphertext_that_is_scanned_before_its_upload_passes_unless_the_policy_says_otherwise() {
    let noise = Facts { size: 1, opaque: true, ..Facts::default() };
    let record = Record::bare(noise, Verdict::Clean(Clean::attest()));
    let decide = |policy: &Policy, route, access| {
        let occasion = Occasion::new(Direction::Scan, route);
        let view = View::of(&record, &occasion, access, SystemTime::now());
        let decided = policy.decide(&view, None);
        let written = policy.decide_on(&Sheet::Given(Sheet::Of(view).all()), view.now);
        assert_eq!(decided, written);
        decided.decision
    };
    let refused = Decision::Block(Refusal::Unscanned);
    let plain = Access::Plain(Openings::Unknown);
    for opaque_media in [OpaqueMedia::Deny, OpaqueMedia::RequireScanned] {
        let types = vec!["image/png".to_owned()];
        let config = Config { opaque_media, allowed_mimetypes: types, ..Config::default() };
        let policy = Policy::new(&config, RuleSet::default());
        assert_eq!(decide(&policy, "scanner_scan_file", Access::Upload), Decision::Allow, "{opaque_media:?}");
        assert_eq!(decide(&policy, "scanner_scan", plain), refused, "{opaque_media:?}");
    }
    for (otherwise, decision) in
        [(Otherwise::Allow, Decision::Allow), (Otherwise::RequireScanned, Decision::Allow), (Otherwise::Block, refused)]
    {
        let mut rules = RuleSet::default();
        rules.defaults.said.insert((State::OpaqueMedia, Direction::Scan), otherwise);
        let policy = Policy::new(&Config::default(), rules);
        assert_eq!(decide(&policy, "scanner_scan_file", Access::Upload), decision, "{otherwise:?}");
    }
}

#[test]
fn a_set_that_does_not_decide_as_its_cases_say_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("a.yaml"),
        "version: 1\nrules: [{id: exe, match: {group: executable}, action: block}]",
    )
    .unwrap();
    let expect = |action: &str| {
        let cases = format!("cases: [{{name: x, facts: {{group: executable}}, expect: {{action: {action}}}}}]");
        std::fs::write(dir.path().join("a.cases.yaml"), cases).unwrap();
        load(dir.path()).map(|policy| policy.origin().cases).map_err(|error| error.to_string())
    };
    assert_eq!(expect("block"), Ok(1));
    let error = expect("allow").unwrap_err();
    assert!(error.contains("fails: x\n  expected action allow, got block"), "{error}");
}

#[test]
fn rules_in_shadow_change_nothing_where_the_type_is_refused_anyway() {
    let config: Config = serde_yaml::from_str("blocked_mimetypes: [image/png]").unwrap();
    let rules = testing::rules(
        "
        rules:
          - {id: pass, match: {group: image}, action: allow, mode: shadow}
          - {id: stop, match: {size: 1}, action: block}",
    );
    let policy = Policy::new(&config, rules);
    let decide = |facts: &str| policy.decide_on(&testing::sheet(facts), testing::now());
    for (media_type, flips) in [("image/png", false), ("image/gif", true)] {
        let decided = decide(&format!("{{type: {media_type}, group: image, size: 1}}"));
        assert_eq!((decided.by, decided.shadows[0].flips), (By::Rule("stop".into()), flips), "{media_type}");
    }
    assert!(!decide("{type: image/png, group: image, size: 2}").shadows[0].flips);
}

#[test]
fn the_encoded_form_of_a_medium_is_decided_and_explained_by_how_it_stands_alone() {
    let policy = Policy::new(&Config::default(), testing::rules("rules: [{id: all, action: block}]"));
    let record = Record::bare(Facts::default(), Verdict::Incomplete { why: Detection("X".to_owned()) });
    let occasion = Occasion::new(Direction::Download, "download");
    let view = View::of(&record, &occasion, Access::Encoded, testing::now());
    let [as_it_is, forced] = [None, Some(Effect::ForceClean)]
        .map(|over| (policy.decide(&view, over).decision, policy.explain(&view, over).decision));
    assert_eq!(as_it_is, (Decision::Block(Refusal::Incomplete), "block"));
    assert_eq!(forced, (Decision::Allow, "allow"));
}

#[test]
fn what_is_explained_of_what_the_security_team_or_a_list_of_types_says_is_what_is_decided() {
    let config: Config = serde_yaml::from_str("{opaque_media: deny, blocked_mimetypes: [image/png]}").unwrap();
    let policy = Policy::new(&config, RuleSet::default());
    let occasion = Occasion::new(Direction::Download, "download");
    let infected = Verdict::Infected { detection: Detection("X".to_owned()) };
    let told = |facts: Facts, over| {
        let record = Record::bare(facts, infected.clone());
        let view = View::of(&record, &occasion, Access::Keyless(Openings::Unknown), testing::now());
        let (decided, explained) = (policy.decide(&view, over), policy.explain(&view, over));
        assert_eq!(explained.by, decided.by.name());
        explained.by
    };
    let noise = || Facts { size: 1, opaque: true, ..Facts::default() };
    let image = || Facts { size: 1, detected_type: Some("image/png".into()), ..Facts::default() };
    assert_eq!(told(noise(), None), "default:infected");
    assert_eq!(told(noise(), Some(Effect::ForceClean)), "default:opaque_media");
    assert_eq!(told(noise(), Some(Effect::ForceInfected)), "override");
    assert_eq!(told(image(), Some(Effect::ForceClean)), "default:types");
}

#[test]
fn a_rule_about_how_media_stand_has_to_be_told_of_it_by_engines() {
    let relies_on = |rules: &str| {
        let rules = format!("{{defaults: {{incomplete: allow, opaque_container: allow}}, rules: [{rules}]}}");
        let told = Policy::new(&Config::default(), testing::rules(&rules)).relies_on();
        (told.limits, told.encrypted)
    };
    assert_eq!(relies_on("{id: a, match: {group: image}, action: block}"), (false, false));
    assert_eq!(relies_on("{id: a, match: {state: incomplete}, action: block}"), (true, true));
    assert_eq!(relies_on("{id: a, when: 'state == \"incomplete\"', action: block}"), (true, true));
}

#[test]
fn what_keys_opened_is_asked_for_where_anything_depends_on_it() {
    let asks = |yaml: &str| Policy::new(&Config::default(), testing::rules(yaml)).asks_for_openings();
    assert!(!asks("rules: [{id: a, match: {encrypted: opaque}, action: block}]"));
    assert!(asks("rules: [{id: a, match: {opened: infected}, action: block}]"));
    assert!(asks("exceptions: [{id: a, from: [opaque_media], match: {opened: clean}}]"));
    assert!(asks("defaults: {opaque_media: require_scanned}"));
}
