//! What a decision costs, by a set of rules as public administrations have them, and by none.

use std::{
    fs::File,
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use criterion::{Criterion, criterion_group, criterion_main};
use lazaret::{
    facts::{Declared, Direction, Facts, Group, Inside, Occasion},
    policy::{
        Access, Config, Decision, Hash, Openings, Policy, State,
        condition::{Condition, Expression, Gathered, ListKind, Lists, Matcher, compile},
        fact::{Fact, Sheet, View},
        rule::{Action, Defaults, Denial, Exception, Lifted, Mode, Otherwise, Rule, RuleSet, Severity, Wire},
    },
    sniff,
};

/// Conditions of rules that refuse, none of which matches.
const REFUSED: [&str; 22] = [
    "{group: [executable, script]}",
    "{macros: true}",
    "{active: true, group: [html, image, document]}",
    "{locked: true}",
    "{polyglot: true}",
    "{mismatch: true}",
    "{extension_mismatch: true}",
    "{declared.bidi: true}",
    "{declared.double_extension: true}",
    "{declared.extension: [exe, com, scr, bat, cmd, ps1, vbs, js, jar, msi, lnk, hta, iso, img, vhd]}",
    "{declared.name: ['*.exe.*', '*.scr*', 'setup*', '~$*.{doc,xls}m']}",
    "{inside.groups: [executable, script]}",
    "{inside.extensions: [exe, js, vbs, lnk]}",
    "{inside.encrypted: '> 0'}",
    "{inside.depth: '> 3'}",
    "{inside.overlapping: true}",
    "{inside.deceptive_names: true}",
    "{inside.complete: false}",
    "{trailing: '> 1MiB'}",
    "{size: '> 100MiB', direction: upload}",
    "{sha256: {list: bad}}",
    "{media.server: {list: servers}}",
];

/// Conditions of rules that let pass; the last one matches.
const ALLOWED: [&str; 5] = [
    "{type: image/*, size: {max: 1MiB}}",
    "{type: audio/*}",
    "{type: video/*}",
    "{type: text/plain, declared.extension: [txt, log]}",
    "{type: {list: types}}",
];

const EXPRESSIONS: [&str; 3] = [
    "has(inside.ratio) && inside.ratio > 100 && size > 1000000",
    "known(declared.name) && declared.name.matches('(?i)(facture|invoice).*[.]html?$')",
    "has(inside.types) && inside.types.exists(t, t.startsWith('application/x-ms'))",
];

fn list(kind: ListKind, entries: impl Iterator<Item = String>) -> lazaret::policy::condition::List {
    let mut list = Gathered::new(kind, &Hash::plain);
    entries.for_each(|entry| list.add(&entry).expect("an entry"));
    list.finish().expect("a list")
}

fn lists() -> Lists<'static> {
    let mut lists = Lists::new(&Hash::plain);
    let types = (0..199).map(|number| format!("application/x-type-{number}"));
    let types = types.chain(["application/vnd.oasis.opendocument.text".to_owned()]);
    let servers = (0..500).map(|number| format!("server-{number}.example")).chain(["*.bad.example".to_owned()]);
    let hashes = (0..10_000_u32).map(|number| format!("{number:064x}"));
    lists.lists.insert("types".to_owned(), list(ListKind::Type, types));
    lists.lists.insert("servers".to_owned(), list(ListKind::Server, servers));
    lists.lists.insert("bad".to_owned(), list(ListKind::Sha256, hashes));
    lists
}

fn matcher(conditions: &str, lists: &Lists<'_>) -> Matcher {
    let map: serde_yaml::Mapping = serde_yaml::from_str(conditions).expect("a map");
    let condition = |(name, value): (&serde_yaml::Value, &serde_yaml::Value)| {
        let fact = name.as_str().and_then(Fact::named).expect("a fact");
        Condition { fact, test: compile(fact, value, lists).expect("a condition") }
    };
    Matcher { any: vec![map.iter().map(condition).collect()], when: None }
}

fn rule(at: usize, matcher: Matcher, action: Action) -> Rule {
    let id: Arc<str> = format!("rule-{at}").into();
    let (rule, reasons) = (Arc::clone(&id), [(String::new(), "Not here".to_owned())].into());
    let denial = Denial { rule, wire: Wire::NotClean, reasons, severity: Severity::Low, quarantine: false };
    let (mode, denial) = (Mode::Enforce, Arc::new(denial));
    Rule { id, description: None, matcher, action, mode, expires: None, denial }
}

/// The strict policy as it is shipped, with its cases.
fn shipped() -> Policy {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/strict.yaml");
    let examine = |path: &Path| {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        sniff::examine(&mut file, size)
    };
    Policy::load(&Config { dir, ..Config::default() }, &|digest| Hash(*digest), &examine, SystemTime::now())
        .expect("it is valid")
}

fn strict() -> Policy {
    let lists = lists();
    let refused = REFUSED.iter().map(|conditions| (matcher(conditions, &lists), Action::Block));
    let expressions = EXPRESSIONS.iter().map(|expression| {
        let when = Expression::compile(expression).expect("an expression");
        (Matcher { any: Vec::new(), when: Some(when) }, Action::Block)
    });
    let allowed = ALLOWED.iter().map(|conditions| (matcher(conditions, &lists), Action::Allow));
    let rules = refused.chain(expressions).chain(allowed).enumerate();
    let exception = |at: usize| Exception {
        id: format!("exception-{at}").into(),
        reason: "A false positive".to_owned(),
        author: "Someone".to_owned(),
        until: SystemTime::now() + Duration::from_secs(1_000_000),
        from: vec![Lifted::State(State::Infected), Lifted::Rule("rule-0".into())],
        matcher: matcher(&format!("{{sha256: '{at:064x}', media.server: partner.example}}"), &lists),
    };
    let defaults = Direction::ALL.map(|direction| ((State::Clean, direction), Otherwise::Block));
    let rules = RuleSet {
        defaults: Defaults { said: defaults.into(), opaque_media: None },
        rules: rules.map(|(at, (matcher, action))| rule(at, matcher, action)).collect(),
        exceptions: (0..10).map(exception).collect(),
    };
    Policy::new(&Config::default(), rules)
}

fn facts() -> Facts {
    let inside = Inside {
        complete: true,
        entries: 14,
        depth: 1,
        expanded: 4_000_000,
        groups: [Group::Text, Group::Image].into(),
        types: ["text/xml", "image/png", "text/plain"].map(Arc::from).into(),
        extensions: ["xml", "png", "txt"].map(Arc::from).into(),
        ..Inside::default()
    };
    Facts {
        size: 1 << 20,
        detected_type: Some("application/vnd.oasis.opendocument.text".into()),
        group: Group::Document,
        container: true,
        entropy: 7900,
        trailing: Some(0),
        inside: Some(Arc::new(inside)),
        ..Facts::default()
    }
}

fn decisions(criterion: &mut Criterion) {
    let facts = facts();
    let occasion = Occasion {
        server: Some("matrix.example".into()),
        media_id: Some("AbCdEfGhIjKlMnOpQrStUvWx".into()),
        is_local: Some(false),
        declared: Declared {
            media_type: Some("application/vnd.oasis.opendocument.text".into()),
            name: Some("Protokoll der Sitzung vom 3. März.odt".into()),
        },
        ..Occasion::new(Direction::Download, "download")
    };
    let (state, access, now) = (State::Clean, Access::Keyless(Openings::Unknown), SystemTime::now());
    let name = Some(Hash([0xab; 32]));
    let size = Some(facts.size);
    let view = View { occasion: &occasion, facts: Some(&facts), size, record: None, state, access, name, now };
    let strict = strict();
    let by = strict.decide(&view, None);
    assert_eq!(by.by.name(), "rule-29", "{}", strict.explain(&view, None));
    criterion.bench_function("decide, 30 rules", |bench| bench.iter(|| strict.decide(black_box(&view), None)));
    criterion.bench_function("explain, 30 rules", |bench| bench.iter(|| strict.explain(black_box(&view), None)));
    let shipped = shipped();
    assert_eq!(shipped.decide(&view, None).decision, Decision::Allow, "{}", shipped.explain(&view, None));
    criterion.bench_function("decide, shipped strict", |bench| bench.iter(|| shipped.decide(black_box(&view), None)));
    let none = Policy::new(&Config::default(), RuleSet::default());
    criterion.bench_function("decide, no rule", |bench| bench.iter(|| none.decide(black_box(&view), None)));
    let sheet = Sheet::Of(view);
    for expression in EXPRESSIONS {
        let compiled = Expression::compile(expression).expect("an expression");
        criterion.bench_function(&expression[..20], |bench| bench.iter(|| compiled.holds(black_box(&sheet))));
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
