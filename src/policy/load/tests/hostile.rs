use proptest::prelude::*;

use super::{
    good::{BAD, POLICY},
    *,
};

/// Pieces of which files are made that are nearly policies.
const PIECES: [&str; 40] = [
    "version: 1\n",
    "rules:\n",
    "  - id: a\n",
    "  - id: b\n",
    "    action: block\n",
    "    match: ",
    "{group: image}",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ": ",
    "\n",
    "  ",
    "- ",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "#",
    "&a ",
    "*a",
    "!x ",
    "? ",
    "%TAG\n",
    "---\n",
    "...\n",
    "\t",
    "\u{0}",
    "\u{e9}",
    "\u{feff}",
    "size",
    "\"> 1MiB\"",
    "when: 'size > 5'",
    "list",
    "not",
    "5",
    "~",
    "<<",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_reading_panic(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        told(&[("a.yaml", pieces.concat().as_bytes()), ("a.cases.yaml", pieces.concat().as_bytes())]);
    }

    #[test]
    fn no_change_of_a_policy_makes_reading_panic(at in 0..POLICY.len(), length in 0usize..20, piece in prop::sample::select(&PIECES[..])) {
        let mut text = POLICY.as_bytes().to_vec();
        text.splice(at..(at + length).min(POLICY.len()), piece.bytes());
        told(&[("a.yaml", &text), ("lists/bad.txt", BAD.as_bytes())]);
    }

    #[test]
    fn no_list_makes_reading_panic(list in prop::collection::vec(any::<u8>(), 0..200)) {
        told(&[("a.yaml", POLICY.as_bytes()), ("lists/bad.txt", &list)]);
    }
}

#[test]
fn half_a_file_is_an_error_or_says_nothing_that_the_whole_does_not() {
    let whole = read(directory(&[("a.yaml", POLICY.as_bytes()), ("lists/bad.txt", BAD.as_bytes())]).path()).unwrap();
    let ids = |loaded: &Loaded| loaded.rules.rules.iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
    let mut accepted = 0;
    for end in 0..POLICY.len() {
        let dir = directory(&[("a.yaml", &POLICY.as_bytes()[..end]), ("lists/bad.txt", BAD.as_bytes())]);
        if let Ok(half) = read(dir.path()) {
            accepted += 1;
            assert!(ids(&whole).starts_with(&ids(&half)), "{end}");
        }
    }
    // An end between two rules cannot be told from the end; those who watch files wait until they no longer change.
    assert!(accepted < POLICY.len() / 4, "{accepted}");
}

/// Files that would take more time or memory than they should.
#[test]
fn hostile_files_are_refused() {
    let many = |unit: &str, bytes: usize| unit.repeat(bytes / unit.len());
    let keys = |value: &str| (0..3_000).map(|key| format!("k{key}: {value}")).collect::<Vec<_>>().join(", ");
    let mebibyte = 1 << 20;
    let long = mebibyte / 16;
    for (text, wanted) in [
        (many("[", long), "recursion limit"),
        (many("- ", long), ""),
        (many("{a: ", long), ""),
        (many("a\n", long), "a mapping of keys"),
        (many("? ", long), ""),
        (many("\"", long), ""),
        (many("'a' ", long), ""),
        (many("&a ", long), ""),
        (many("a: &a [*a]\n", long), "anchors"),
        (many(" ", long), "nothing"),
        (many("\t", long), ""),
        (format!("a: {}", many("x ", long)), "unknown key"),
        (format!("a: [{}]", many("x, ", mebibyte)), "more than 200000 values"),
        (format!("a: |\n{}", many(" x\n", long)), "unknown key"),
        (many("%TAG !a! b\n", long), ""),
        (many("# x\n", long), "nothing"),
        (many("---\n", long), ""),
        (many("x", 5 * mebibyte), "larger than 4 MiB"),
        (format!("version: 1\nrules:\n{}", many("- {}\n", long)), "`id` is missing"),
        (format!("version: 1\nrules:\n{}", many("- {id: a, action: block, match: {size: x}}\n", 30_000)), "more"),
        (format!("version: 1\nrules: [{{id: a, action: block, match: {{{}}}}}]", keys("x")), "`k1` is no fact"),
        (format!("version: 1\ndefaults: {{{}}}", keys("block")), "unknown state"),
        (format!("version: 1\nlists: {{{}}}", keys("{kind: x}")), "unknown kind"),
        (format!("{{{}}}", keys("1")), "unknown key"),
    ] {
        let told = told(&[("a.yaml", text.as_bytes())]);
        assert!(told.contains(wanted), "{text:.20}: {told:.300}");
        assert!(told.len() < 1 << 16);
    }
}
