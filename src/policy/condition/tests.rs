use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::policy::{
    Hash, State,
    fact::{Given, TABLE, Value},
};

static LISTS: LazyLock<Lists<'static>> = LazyLock::new(lists);

fn lists() -> Lists<'static> {
    let mut lists = Lists::new(&Hash::plain);
    for (name, kind, entries) in [
        ("bad", ListKind::Sha256, vec!["ab".repeat(32), "CD".repeat(32)]),
        ("office", ListKind::Type, vec!["application/pdf".to_owned(), "application/vnd.ms-*".to_owned()]),
        ("partners", ListKind::Server, vec!["A.org".to_owned(), "*.gouv.fr".to_owned(), "b.org:8448".to_owned()]),
        ("pua", ListKind::Signature, vec!["PUA.*".to_owned()]),
        ("words", ListKind::Text, vec!["Invoice*".to_owned()]),
    ] {
        let mut list = Gathered::new(kind, &Hash::plain);
        for entry in &entries {
            list.add(entry).unwrap();
        }
        lists.lists.insert(name.to_owned(), list.finish().unwrap());
    }
    lists
}

fn compiled(fact: &str, yaml: &str) -> Result<Test, Wrong> {
    compile(Fact::named(fact).unwrap(), &serde_yaml::from_str(yaml).unwrap(), &LISTS)
}

fn holds(fact: &str, yaml: &str, value: Option<&Value>) -> bool {
    compiled(fact, yaml).unwrap_or_else(|wrong| panic!("{fact}: {yaml}: {wrong}")).holds(value)
}

#[expect(clippy::unnecessary_wraps, reason = "tables have it beside what is not known")]
fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.into()))
}

#[expect(clippy::unnecessary_wraps, reason = "tables have it beside what is not known")]
fn texts(texts: &[&str]) -> Option<Value> {
    Some(Value::Texts(texts.iter().map(|text| (*text).into()).collect()))
}

#[expect(clippy::unnecessary_wraps, reason = "tables have it beside what is not known")]
fn number(number: u64) -> Option<Value> {
    Some(Value::Number(number))
}

#[test]
fn conditions_hold_for_what_they_say_and_for_nothing_else() {
    let pe = "application/vnd.microsoft.portable-executable";
    let mib = 1 << 20;
    for (fact, yaml, holding, failing) in [
        ("macros", "true", Some(Value::Flag(true)), Some(Value::Flag(false))),
        ("macros", "{not: true}", Some(Value::Flag(false)), Some(Value::Flag(true))),
        ("group", "image", text("image"), text("video")),
        ("group", "[executable, script]", text("script"), text("image")),
        ("group", "{not: [executable, script]}", text("image"), text("script")),
        ("encrypted", "no", text("no"), text("keyed")),
        ("type", "image/*", text("image/PNG"), text("text/plain")),
        ("type", "application/x-dosexec", text(pe), text("application/zip")),
        ("type", "{list: office}", text("application/vnd.ms-excel"), text("application/zip")),
        ("type", "[image/png, {list: office}]", text("application/pdf"), text("image/gif")),
        ("declared.type", "{not: {list: office}}", text("image/png"), text("application/pdf")),
        ("declared.name", "'*.EXE'", text("a.exe"), text("a.exe.txt")),
        ("declared.name", "ÄRGER.pdf", text("ärger.PDF"), text("arger.pdf")),
        ("declared.name", "{list: words}", text("INVOICE 3"), text("my invoice")),
        ("media.server", "matrix.org", text("matrix.org:8448"), text("matrix.org.evil.com")),
        ("media.server", "matrix.org:8448", text("matrix.org:8448"), text("matrix.org")),
        ("media.server", "{list: partners}", text("x.gouv.fr:443"), text("gouv.fr")),
        ("media.server", "{list: partners}", text("a.ORG"), text("b.org")),
        ("media.server", "'[::1]'", text("[::1]:80"), text("[::2]:80")),
        ("media.server", "[{list: partners}]", text("a.org:443"), text("c.org")),
        ("declared.name", "a", text("a"), text("a:80")),
        ("type", "[image/png, {list: office}]", text("application/vnd.ms-excel"), text("application/zip")),
        ("sha256", "[{list: bad}]", Some(Value::Hash(Hash([0xcd; 32]))), Some(Value::Hash(Hash([0; 32])))),
        ("inside.groups", "{all: [image, text]}", Some(Value::Words(vec!["text"])), Some(Value::Words(Vec::new()))),
        ("detections", "{list: pua}", texts(&["X", "pua.y"]), texts(&["X"])),
        ("detections", "X", texts(&["x", "y"]), texts(&[])),
        ("inside.groups", "{all: [image, text]}", texts(&["image"]), texts(&["image", "script"])),
        ("inside.groups", "{all: [image, text]}", texts(&["text", "image"]), texts(&[])),
        ("inside.groups", "{not: {all: image}}", texts(&["text", "image"]), texts(&["image"])),
        ("inside.types", "{all: {list: office}}", texts(&["application/pdf"]), texts(&["application/pdf", "a/b"])),
        ("sha256", "{list: bad}", Some(Value::Hash(Hash([0xab; 32]))), Some(Value::Hash(Hash([0; 32])))),
        ("size", "0", number(0), number(1)),
        ("size", "10MiB", number(10 * mib), number(10_000_000)),
        ("size", "'> 1MiB'", number(mib + 1), number(mib)),
        ("size", "'>= 1 MB'", number(1_000_000), number(999_999)),
        ("size", "'< 1KiB'", number(1023), number(1024)),
        ("size", "'<=1kb'", number(1000), number(1001)),
        ("size", "{min: 1MiB, max: 10MiB}", number(10 * mib), number(10 * mib + 1)),
        ("size", "{not: {min: 1}}", number(0), number(1)),
        ("inside.ratio", "'> 100'", number(101), number(100)),
        ("signatures.age", "'> 3d'", number(3 * 86_400 + 1), number(3 * 86_400)),
        ("verdict.age", "{max: 2h}", number(7200), number(7201)),
        ("entropy", "'>= 7.5'", Some(Value::Real(7.5)), Some(Value::Real(7.499))),
        ("entropy", "{max: 1}", Some(Value::Real(1.0)), Some(Value::Real(1.001))),
        ("type", "{known: false}", None, text("a/b")),
        ("type", "{known: true}", text("a/b"), None),
        ("type", "{not: image/png}", None, text("image/png")),
        ("type", "image/png", text("image/png"), None),
        ("size", "'< 10'", number(1), None),
        ("macros", "false", Some(Value::Flag(false)), None),
    ] {
        assert!(holds(fact, yaml, holding.as_ref()), "{fact}: {yaml}");
        assert!(!holds(fact, yaml, failing.as_ref()), "{fact}: {yaml}");
    }
}

#[test]
fn what_is_wrong_is_told_in_words() {
    for (fact, yaml, told) in [
        ("size", "image", "`image` is not a number of bytes, like 10MiB"),
        ("size", "-1", "`-1` is not a number of bytes, like 10MiB"),
        ("size", "1e99", "`1e99` is not a number of bytes, like 10MiB"),
        ("size", "99999TiB", "`99999TiB` is too large"),
        ("size", "'> 1MoB'", "`1MoB` is not a number of bytes, like 10MiB"),
        ("size", "true", "`size` is a number of bytes, like 10MiB"),
        ("size", "[1, 2]", "`size` takes one number or range; write several maps under `match` for several"),
        ("size", "{min: 2MiB, max: 1MiB}", "nothing is between these: `min` is greater than `max`"),
        ("size", "{min: 1, list: bad}", "`min` and `max` go with nothing else"),
        (
            "size",
            "{mini: 1}",
            "`mini` is no form of condition: there are not, all, list, known, min, max; did you mean `min`?",
        ),
        ("size", "{list: bad}", "there are no lists for `size`"),
        ("signatures.age", "90", "`90` is not a time, like 3d or 12h; did you mean `90s`, seconds?"),
        ("inside.entries", "1.5", "`1.5` is not a whole number"),
        ("entropy", "high", "`high` is not a number, like 7.5"),
        ("entropy", "nan", "`nan` is not a number, like 7.5"),
        ("entropy", "-1", "`-1` is not a number, like 7.5"),
        ("macros", "yes please", "`macros` is true or false"),
        (
            "group",
            "imag",
            "`imag` is none of unknown, empty, text, html, script, executable, image, audio, video, font, document, archive, data; did you mean `image`?",
        ),
        ("group", "5", "`group` is a word, and YAML takes this for something else; put it in quotes"),
        ("group", "{min: 1}", "`group` is no number, so it has no `min` and no `max`"),
        ("group", "{all: image}", "`group` is one value, so `all` says nothing; leave it out"),
        ("group", "[]", "this list is empty, so the condition would never hold"),
        ("group", "", "nothing is asked of `group`; for what is not known, write {known: false}"),
        ("group", "{}", "this takes one of not, all, list, known, min, max"),
        ("group", "{not: {not: image}}", "`not` of `not` is nothing"),
        ("group", "[{not: image}]", "in a list of values there are values, and lists as `{list: name}`"),
        (
            "type",
            "png",
            "`png` is no media type; write type and subtype, as in image/png, or image/* for all of a kind",
        ),
        ("type", "text/plain;charset=utf-8", "`text/plain;charset=utf-8` has parameters, and types have none here"),
        ("type", "{list: bad}", "`bad` is a list of kind `sha256`, and `type` needs one of kind `type`"),
        ("type", "{list: offic}", "there is no list `offic`; did you mean `office`?"),
        ("type", "{known: maybe}", "`known` is true or false"),
        ("declared.name", "'[a'", "`[` is not closed; write `\\[` for the character itself"),
        ("declared.name", "''", "an empty text is meant by nobody"),
        ("declared.extension", ".exe", "`.exe`: extensions are written without the dot"),
        (
            "media.server",
            "https://a.org",
            "`https://a.org` is no name of a server; write it as in Matrix ids, like matrix.org or *.example.org",
        ),
        ("sha256", "abcd", "`abcd` is no SHA-256 digest: those are 64 hexadecimal digits"),
        ("sha256", "{list: office}", "`office` is a list of kind `type`, and `sha256` needs one of kind `sha256`"),
    ] {
        assert_eq!(compiled(fact, yaml).unwrap_err().to_string(), told, "{fact}: {yaml}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let key = |key: &str| PathPart::Key(key.to_owned());
    for (fact, yaml, path) in [
        ("group", "imag", vec![]),
        ("group", "[image, imag]", vec![PathPart::Index(1)]),
        ("group", "{not: [image, imag]}", vec![key("not"), PathPart::Index(1)]),
        (
            "inside.types",
            "{not: {all: [a/b, {list: x}]}}",
            vec![key("not"), key("all"), PathPart::Index(1), key("list")],
        ),
        ("size", "{min: 1, max: x}", vec![key("max")]),
        ("size", "{mini: 1}", vec![key("mini")]),
        ("type", "{list: x}", vec![key("list")]),
    ] {
        assert_eq!(compiled(fact, yaml).unwrap_err().path, path, "{fact}: {yaml}");
    }
}

#[test]
fn types_that_nothing_is_told_to_be_of_are_doubted() {
    let doubts = |fact: &str, yaml: &str| doubts(Fact::named(fact).unwrap(), &compiled(fact, yaml).unwrap()).join(" ");
    assert!(doubts("type", "[image/png, image/pgn]").contains("`image/pgn`"));
    assert!(doubts("type", "{not: image/pgn}").contains("`image/pgn`"));
    for (fact, yaml) in [("type", "[image/png, text/plain, image/*]"), ("declared.type", "image/pgn"), ("size", "1")] {
        assert_eq!(doubts(fact, yaml), "", "{fact}: {yaml}");
    }
    assert_eq!(doubts("type", "application/x-dosexec"), "");
}

#[test]
fn a_range_knows_what_is_in_it() {
    let range = |yaml: &str| match compiled("size", yaml).unwrap() {
        Test::Within(range) => range,
        other => panic!("{other:?}"),
    };
    for (inner, outer) in [("'> 5'", "'>= 5'"), ("'> 5'", "'> 5'"), ("7", "{min: 7, max: 9}"), ("'< 3'", "'<= 3'")] {
        assert!(range(inner).is_within(&range(outer)), "{inner} {outer}");
    }
    for (inner, outer) in
        [("'>= 5'", "'> 5'"), ("'< 9'", "'> 5'"), ("{min: 1, max: 9}", "'< 9'"), ("'> 1'", "{max: 5}")]
    {
        assert!(!range(inner).is_within(&range(outer)), "{inner} {outer}");
    }
    assert_eq!(range("'> 1KiB'").to_string(), "> 1024");
    assert_eq!(range("{min: 1, max: 2}").to_string(), ">= 1 and <= 2");
}

#[test]
fn an_alternative_that_asks_for_no_state_does_not_count_where_a_state_has_to_be_asked_for() {
    let condition =
        |fact: &str, yaml: &str| Condition { fact: Fact::named(fact).unwrap(), test: compiled(fact, yaml).unwrap() };
    let any = vec![vec![condition("state", "infected"), condition("group", "text")], vec![condition("group", "image")]];
    let matcher = Matcher { any, when: None };
    let sheet = |group: &str| {
        let values = [("group", text(group).unwrap()), ("state", text("infected").unwrap())];
        Sheet::Given(Given { values: values.into_iter().collect() })
    };
    assert_eq!(matcher.matches(&sheet("image")), Matched::Yes);
    assert_eq!(matcher.matches_by_state(&sheet("image")), Matched::No);
    assert_eq!(matcher.matches_by_state(&sheet("text")), Matched::Yes);
}

#[test]
fn one_list_under_many_rules_is_not_compared_by_its_entries() {
    // `Arc` compares pointers first, but only of what equals itself for sure.
    fn is_compared_by_pointer<T: Eq>() {}
    is_compared_by_pointer::<Set>();
}

#[test]
fn only_a_state_that_is_named_is_one_that_a_matcher_is_meant_for() {
    let matcher = |state: &str| {
        let condition = Condition { fact: Fact::named("state").unwrap(), test: compiled("state", state).unwrap() };
        Matcher { any: vec![vec![condition]], when: None }
    };
    let named = |state: &str| {
        let states = State::ALL.into_iter().filter(|one| matcher(state).names_state(*one));
        states.map(State::name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(named("[infected, incomplete]"), "infected incomplete");
    assert_eq!(named("{not: clean}"), "");
    assert_eq!(named("{known: true}"), "");
}

proptest! {
    #[test]
    fn any_value_is_a_condition_or_told_to_be_none(
        at in 0..TABLE.len(),
        yaml in "[-a-z0-9 .:{}\\[\\],'>=<*?\\\\/%|!&]{0,24}",
        form in prop::sample::select(vec!["", "not: ", "{all: [", "{min: ", "{list: ", "[{list: "]),
    ) {
        for text in [yaml.clone(), format!("{form}{yaml}"), format!("{form}{yaml}]}}]")] {
            let value = serde_yaml::from_str(&text);
            if let Ok(Ok(test)) = value.map(|value| compile(&TABLE[at], &value, &LISTS)) {
                    test.holds(None);
                    prop_assert!(!test.to_string().is_empty());
            }
        }
    }
}

#[test]
fn brackets_are_of_addresses_or_of_patterns() {
    let holds = |written: &str, server: &str| holds("media.server", &format!("'{written}'"), text(server).as_ref());
    assert!(holds("[2001:db8::1]", "[2001:DB8::1]:8448"));
    assert!(holds("[2001:db8::1]:8448", "[2001:db8::1]:8448"));
    assert!(!holds("[2001:db8::1]", "2"));
    assert!(holds("[a-c]*.example.org", "bad.example.org"));
    assert!(!holds("[a-c]*.example.org", "dad.example.org"));
}
