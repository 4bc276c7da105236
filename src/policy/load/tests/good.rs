use super::*;
use crate::{
    facts::Direction,
    policy::{
        condition::{Matched, Test},
        fact::{Fact, Given, Sheet, Value as Known},
        rule::{Action, Lifted, Mode, Otherwise, Severity, Wire},
        state::State,
    },
};

pub(super) const POLICY: &str = r#"# A policy that has everything.
version: 1
defaults:
  clean: allow
  incomplete: {upload: block, download: allow}
  opaque_media: require_scanned
  oversize: allow
lists:
  bad-files: {kind: sha256, file: lists/bad.txt}
  partners: {kind: server, values: [a.org, "*.gouv.fr"]}
rules:
  - id: no-programs
    description: Programs are not for chats.
    match:
      group: [executable, script]
      direction: upload
      size: {min: 1MiB, max: 10MiB}
    when: 'has(inside.ratio) && inside.ratio > 100'
    action: quarantine
    reason: {en: "No programs, please.", fr-CA: " Pas de programmes. "}
    wire: MCS_MIME_TYPE_FORBIDDEN
    severity: high
  - id: watched
    match:
      - {sha256: {list: bad-files}}
      - {media.server: {list: partners}, type: {not: [image/png]}}
    action: scan
    engines: [clamd, second]
  - id: tried-out
    action: block
    reason: Not here.
    mode: shadow
    expires: 2027-03-01
exceptions:
  - id: invoice-tool
    from: [no-programs, infected]
    match: {media.server: partner.org}
    reason: It is ours.
    author: Someone
    until: 2027-01-01T18:30:00Z
"#;

pub(super) const BAD: &str = "# digests\n\
    ABababababababababababababababababababababababababababababababab  invoice.exe\n\n";

fn loaded() -> Loaded {
    read(directory(&[("a.yaml", POLICY.as_bytes()), ("lists/bad.txt", BAD.as_bytes())]).path()).unwrap()
}

#[test]
fn what_is_written_is_what_is_meant() {
    let loaded = loaded();
    assert_eq!(loaded.notes, []);
    let [programs, watched, tried] = &loaded.rules.rules[..] else { panic!() };
    assert_eq!((&*programs.id, &programs.action, programs.mode), ("no-programs", &Action::Quarantine, Mode::Enforce));
    assert_eq!(programs.description.as_deref(), Some("Programs are not for chats."));
    assert_eq!((programs.matcher.any.len(), programs.matcher.any[0].len()), (1, 3));
    assert!(programs.matcher.when.is_some());
    let denial = &programs.denial;
    assert_eq!((denial.wire, denial.severity, denial.quarantine), (Wire::TypeForbidden, Severity::High, true));
    let reasons: Vec<_> = denial.reasons.iter().map(|(tag, text)| (tag.as_str(), text.as_str())).collect();
    assert_eq!(reasons, [("en", "No programs, please."), ("fr-ca", "Pas de programmes.")]);
    assert_eq!(watched.action, Action::Scan(["clamd".into(), "second".into()].into()));
    assert_eq!(watched.matcher.any.len(), 2);
    assert!(matches!(watched.matcher.any[1].iter().find(|one| one.fact.name == "type").unwrap().test, Test::Not(_)));
    assert_eq!((tried.mode, tried.denial.reasons[""].as_str()), (Mode::Shadow, "Not here."));
    assert_eq!(
        tried.expires,
        humantime::parse_rfc3339("2027-03-01T00:00:00Z").ok(),
        "the beginning of that day, in UTC"
    );
    let [tool] = &loaded.rules.exceptions[..] else { panic!() };
    assert_eq!(tool.from, [Lifted::Rule("no-programs".into()), Lifted::State(State::Infected)]);
    assert_eq!((tool.reason.as_str(), tool.author.as_str()), ("It is ours.", "Someone"));
    assert_eq!(tool.until, humantime::parse_rfc3339("2027-01-01T18:30:00Z").unwrap());
}

#[test]
fn one_word_is_meant_for_all_directions_that_it_can_be_meant_for() {
    let defaults = loaded().rules.defaults;
    let of = |state| Direction::ALL.map(|direction| defaults.of(state, direction));
    let (allow, block) = (Otherwise::Allow, Otherwise::Block);
    assert_eq!(of(State::Incomplete), [block, allow, block, block, block]);
    let scanned = Otherwise::RequireScanned;
    assert_eq!(of(State::OpaqueMedia), [allow, scanned, scanned, scanned, scanned]);
    assert_eq!(of(State::Oversize), [allow, allow, allow, allow, block]);
    assert_eq!(of(State::Infected), [block; 5]);
}

#[test]
fn digests_of_lists_are_named() {
    let dir = directory(&[("a.yaml", POLICY.as_bytes()), ("lists/bad.txt", BAD.as_bytes())]);
    let naming = |digest: &[u8; 32]| Hash(digest.map(|byte| byte ^ 0xff));
    let loaded = read_at(dir.path(), &naming, UNIX_EPOCH).unwrap();
    let matches = |hash| {
        let fact = Fact::named("sha256").unwrap();
        let given = Given { values: [(fact.name, Known::Hash(Hash([hash; 32])))].into() };
        loaded.rules.rules[1].matcher.matches(&Sheet::Given(given)) == Matched::Yes
    };
    assert!(matches(!0xab));
    assert!(!matches(0xab));
}
