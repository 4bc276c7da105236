use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use super::*;
use crate::{
    facts::{Declared, Direction, Facts, Group, Inside, Occasion},
    policy::{Access, Hash, Openings, state::State},
    verdict::{Detection, Record, Signatures, Verdict},
};

fn words(name: &str) -> &'static [&'static str] {
    match Fact::named(name).unwrap().kind {
        Kind::Word(words) | Kind::Words(words) => words,
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn closed_vocabularies_are_those_of_the_code() {
    assert_eq!(words("direction"), Direction::ALL.map(Direction::name));
    assert_eq!(words("group"), Group::ALL.map(Group::name));
    assert_eq!(words("inside.groups"), Group::ALL.map(Group::name));
    assert_eq!(words("state"), State::ALL.map(State::name));
}

#[test]
fn names_are_unique_and_told() {
    for (at, fact) in TABLE.iter().enumerate() {
        assert!(TABLE[..at].iter().all(|other| other.name != fact.name), "{fact:?}");
        assert!(fact.about.ends_with('.'), "{fact:?}");
    }
}

/// Something of which everything is known.
fn everything(then: SystemTime) -> (Record, Occasion) {
    let inside = Inside {
        complete: true,
        entries: 3,
        encrypted: 1,
        depth: 2,
        expanded: 5000,
        overlapping: true,
        deceptive_names: true,
        groups: [Group::Text, Group::Script].into(),
        types: ["text/plain".into()].into(),
        extensions: ["js".into(), "txt".into()].into(),
    };
    let facts = Facts {
        size: 10,
        detected_type: Some("image/png".into()),
        group: Group::Image,
        other_types: vec!["application/zip".into()],
        container: true,
        opaque: true,
        entropy: 7500,
        macros: true,
        active: true,
        polyglot: true,
        trailing: Some(7),
        locked: true,
        inside: Some(inside.into()),
        sniff: crate::facts::Sniff::default(),
    };
    let mut record = Record::bare(facts, Verdict::Infected { detection: Detection("Win.X".to_owned()) });
    record.provenance.engine = "clamd+second".into();
    record.provenance.version = "1.4.6".to_owned();
    record.provenance.signatures = Some(Signatures { version: 27_000, built: Some(then - Duration::from_hours(24)) });
    record.scanned_at = then - Duration::from_mins(1);
    let occasion = Occasion {
        direction: Direction::Federation,
        route: "federation_download",
        server: Some("a.org".into()),
        media_id: Some("abc".into()),
        is_local: Some(true),
        user: Some("@a:b".into()),
        declared: Declared { media_type: Some("image/png".into()), name: Some("Photo.PNG".into()) },
    };
    (record, occasion)
}

#[test]
fn each_fact_is_what_its_name_says() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    let (record, occasion) = everything(now);
    let view =
        View { name: Some(Hash([7; 32])), ..View::of(&record, &occasion, Access::Keyless(Openings::Clean), now) };
    let expected = [
        ("direction", "federation"),
        ("route", "federation_download"),
        ("user", "@a:b"),
        ("media.id", "abc"),
        ("media.server", "a.org"),
        ("media.local", "true"),
        ("declared.type", "image/png"),
        ("declared.name", "Photo.PNG"),
        ("declared.extension", "png"),
        ("declared.double_extension", "false"),
        ("declared.bidi", "false"),
        ("encrypted", "opaque"),
        ("opened", "clean"),
        ("sha256", "(a digest)"),
        ("size", "10"),
        ("type", "image/png"),
        ("other_types", "[application/zip]"),
        ("group", "image"),
        ("mismatch", "false"),
        ("extension_mismatch", "false"),
        ("container", "true"),
        ("opaque", "true"),
        ("locked", "true"),
        ("macros", "true"),
        ("active", "true"),
        ("polyglot", "true"),
        ("trailing", "7"),
        ("entropy", "7.500"),
        ("inside.complete", "true"),
        ("inside.entries", "3"),
        ("inside.encrypted", "1"),
        ("inside.depth", "2"),
        ("inside.expanded", "5000"),
        ("inside.ratio", "500"),
        ("inside.overlapping", "true"),
        ("inside.deceptive_names", "true"),
        ("inside.groups", "[text, script]"),
        ("inside.types", "[text/plain]"),
        ("inside.extensions", "[js, txt]"),
        ("state", "infected"),
        ("detections", "[Win.X]"),
        ("engines", "[clamd, second]"),
        ("engine.version", "1.4.6"),
        ("signatures.version", "27000"),
        ("signatures.age", "86400"),
        ("verdict.age", "60"),
    ];
    let sheet = Sheet::Of(view);
    let known: Vec<(&str, String)> =
        TABLE.iter().filter_map(|fact| Some((fact.name, sheet.get(fact)?.to_string()))).collect();
    let known: Vec<(&str, &str)> = known.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(known, expected);
    assert_eq!(sheet.all().values.len(), TABLE.len());
}

#[test]
fn flags_and_words_tell_both_sides() {
    let now = SystemTime::now();
    let (mut record, mut occasion) = everything(now);
    record.facts = Facts { inside: Some(Inside::default().into()), ..Facts::default() };
    occasion.is_local = Some(false);
    let told = |access| {
        let sheet = Sheet::Of(View::of(&record, &occasion, access, now));
        move |name: &str| sheet.get(Fact::named(name).unwrap()).map(|value| value.to_string())
    };
    let upload = told(Access::Upload);
    for fact in TABLE.iter().filter(|fact| fact.kind == Kind::Flag && !fact.name.ends_with("mismatch")) {
        assert_eq!(upload(fact.name).as_deref(), Some("false"), "{fact:?}");
    }
    assert_eq!(upload("encrypted").as_deref(), Some("no"));
    assert_eq!(told(Access::Keyed)("encrypted").as_deref(), Some("keyed"));
    assert_eq!(upload("opened").as_deref(), Some("unknown"));
    assert_eq!(told(Access::Plain(Openings::Infected))("opened").as_deref(), Some("infected"));
}

#[test]
fn what_engines_name_is_known_however_the_medium_stands() {
    let occasion = Occasion::new(Direction::Upload, "upload");
    let why = || Detection("Heuristics.X".to_owned());
    for (verdict, state) in [
        (Verdict::Infected { detection: why() }, "infected"),
        (Verdict::Incomplete { why: why() }, "incomplete"),
        (Verdict::Opaque { why: why() }, "opaque_container"),
    ] {
        let record = Record::bare(Facts::default(), verdict);
        let sheet = Sheet::Of(View::of(&record, &occasion, Access::Upload, SystemTime::now()));
        let told = ["state", "detections"].map(|name| sheet.get(Fact::named(name).unwrap()).unwrap().to_string());
        assert_eq!(told, [state, "[Heuristics.X]"]);
    }
}

#[test]
fn what_nobody_looked_at_is_not_known() {
    let occasion = Occasion::new(Direction::Upload, "upload");
    let (state, access, now) = (State::Oversize, Access::Upload, SystemTime::now());
    let view = View { occasion: &occasion, facts: None, size: None, record: None, state, access, name: None, now };
    let known = Sheet::Of(view).all();
    let names: Vec<&str> = known.values.keys().copied().collect();
    assert_eq!(names, ["detections", "direction", "opened", "route", "state"]);
    assert_eq!(Sheet::Of(view).state(), Sheet::Given(known.clone()).state());
    assert_eq!(Sheet::Of(view).direction(), Sheet::Given(known).direction());
}

#[test]
fn what_is_known_of_a_real_case_is_decided_alike_when_it_is_written_down() {
    let now = SystemTime::now();
    let (record, occasion) = everything(now);
    for access in [Access::Upload, Access::Keyed, Access::Keyless(Openings::Infected)] {
        let sheet = Sheet::Of(View::of(&record, &occasion, access, now));
        let written = Sheet::Given(sheet.all());
        assert!(TABLE.iter().all(|fact| sheet.get(fact) == written.get(fact)));
        assert_eq!(sheet.opened(), written.opened());
        assert_eq!(sheet.is_ciphertext(), written.is_ciphertext());
        assert_eq!(sheet.media_type(), written.media_type());
    }
}

#[test]
fn the_table_in_the_documentation_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/facts.md");
    let (begin, end) = ("<!-- facts -->\n", "<!-- /facts -->");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(begin).expect("it has the first marker");
    let (_, after) = rest.split_once(end).expect("it has the second marker");
    let renewed = format!("{before}{begin}{}{end}{after}", markdown());
    if std::env::var_os("LAZARET_RENEW").is_some() {
        std::fs::write(&path, &renewed).unwrap();
        return;
    }
    assert!(text == renewed, "{} is out of date: run this test with LAZARET_RENEW=1", path.display());
}
