use std::os::unix::{ffi::OsStrExt, fs::symlink};

use super::*;

const RULE: &[u8] = b"version: 1\nrules: [{id: a, action: block, match: {group: image}}]\n";

#[test]
fn files_are_read_in_the_order_of_their_names_and_others_are_left_alone() {
    let rule = |id: &str| format!("version: 1\nrules: [{{id: {id}, action: block, match: {{declared.name: {id}}}}}]\n");
    let (first, second, third) = (rule("first"), rule("second"), rule("third"));
    let dir = directory(&[
        ("20.yml", second.as_bytes()),
        ("10.yaml", first.as_bytes()),
        ("30.yaml", third.as_bytes()),
        (".hidden.yaml", b"not read"),
        ("40.yaml~", b"not read"),
        ("#50.yaml#", b"not read"),
        ("README.md", b"not read"),
        ("sub/60.yaml", b"not read"),
        ("10.cases.yaml", b"cases: [{name: x, facts: {size: 1}, expect: {action: block}}]"),
    ]);
    let loaded = read(dir.path()).unwrap();
    assert_eq!(loaded.rules.rules.iter().map(|rule| &*rule.id).collect::<Vec<_>>(), ["first", "second", "third"]);
    assert_eq!(loaded.cases.len(), 1);
    assert_eq!(loaded.files.len(), 4);
}

#[test]
fn a_single_file_is_a_policy_with_the_cases_beside_it() {
    let dir = directory(&[
        ("one.yaml", RULE),
        ("one.cases.yaml", b"cases: [{name: x, facts: {size: 1}, expect: {action: block}}]"),
        ("two.yaml", b"not read"),
    ]);
    let loaded = read(&dir.path().join("one.yaml")).unwrap();
    assert_eq!((loaded.rules.rules.len(), loaded.cases.len()), (1, 1));
}

#[test]
fn what_is_no_text_of_files_is_told() {
    assert_eq!(
        told(&[("a.yaml", b"version: 1\n# caf\xc3\xa9 \xff\n")]),
        "a.yaml:2:8: this is no UTF-8\n    2 | # caf\u{e9} \n      |        ^\n"
    );
    assert_eq!(
        told(&[("a.yaml", b"\xef\xbb\xbfversion: 1\nrules: []\n")]),
        "note: a.yaml:1:1: this file says nothing\n    1 | version: 1\n      | ^\n"
    );
    let dir = directory(&[("a.yaml", RULE), ("b.yaml/c", b"")]);
    assert_eq!(told_of(&dir), "b.yaml: is no file\n");
    let dir = directory(&[("a.yaml", RULE)]);
    symlink("nowhere", dir.path().join("b.yaml")).unwrap();
    assert_eq!(told_of(&dir), "b.yaml: cannot be read: No such file or directory (os error 2)\n");
}

#[test]
fn what_is_no_text_of_lists_is_told_with_its_line() {
    let rules = b"version: 1\nlists: {x: {kind: server, file: x.txt}}\nrules: [{id: b, action: block, match: {media.server: {list: x}}}]";
    assert_eq!(told(&[("a.yaml", rules), ("x.txt", b"a.org\n\xff\n")]), "x.txt:2:1: this is no UTF-8\n");
}

#[test]
fn cases_are_no_policy() {
    let dir = directory(&[("a.yaml", RULE), ("a.cases.yaml", b"cases: []")]);
    let told = read(&dir.path().join("a.cases.yaml")).unwrap_err().to_string();
    assert!(
        told.ends_with("a.cases.yaml: this is a file of cases; name the policy that they are of, or the directory"),
        "{told}"
    );
}

#[test]
fn symbolic_links_are_followed() {
    let elsewhere = directory(&[("rules", RULE), ("list", b"a.org\n")]);
    let lists = b"version: 1\nlists: {x: {kind: server, file: x.txt}}\nrules: [{id: b, action: block, match: {media.server: {list: x}}}]";
    let dir = directory(&[("b.yaml", lists)]);
    symlink(elsewhere.path().join("rules"), dir.path().join("a.yaml")).unwrap();
    symlink(elsewhere.path().join("list"), dir.path().join("x.txt")).unwrap();
    assert_eq!(read(dir.path()).unwrap().rules.rules.len(), 2);
}

#[test]
fn names_that_are_no_text_are_read_too() {
    let dir = directory(&[]);
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff.yaml")), RULE).unwrap();
    assert_eq!(read(dir.path()).unwrap().rules.rules.len(), 1);
}

#[test]
fn only_what_is_not_there_is_absent() {
    let dir = directory(&[("policy/README.md", b"")]);
    assert!(is_absent(&dir.path().join("policy")));
    assert!(is_absent(&dir.path().join("nothing")));
    symlink("nowhere", dir.path().join("link")).unwrap();
    assert!(!is_absent(&dir.path().join("link")), "someone means something by it");
    for name in ["x.cases.yaml", "x.yaml"] {
        let file = dir.path().join("policy").join(name);
        fs::write(&file, "").unwrap();
        assert!(!is_absent(&dir.path().join("policy")), "{name}");
        fs::remove_file(&file).unwrap();
    }
    let (ring, other) = (dir.path().join("ring"), dir.path().join("other"));
    symlink(&ring, &other).unwrap();
    symlink(&other, &ring).unwrap();
    assert!(!is_absent(&ring.join("policy")), "what only cannot be read is there");
}

#[test]
fn files_are_noted_that_cannot_be_read() {
    let text = b"version: 1\nlists: {x: {kind: server, file: lists/x}}\nrules: [{id: b, action: block}]";
    let dir = directory(&[("a.yaml", text), ("b.yaml", b"["), ("a.cases.yaml", b"[")]);
    let mut files = BTreeSet::new();
    assert!(read_noting(dir.path(), &Hash::plain, SystemTime::now(), &mut files).is_err());
    let expected = ["a.yaml", "b.yaml", "a.cases.yaml", "lists/x"].map(|name| dir.path().join(name));
    assert_eq!(files, expected.into());
}

#[test]
fn the_fingerprint_tells_each_change() {
    let list = b"version: 1\nlists: {x: {kind: server, file: x.txt}}\nrules: [{id: b, action: block, match: {media.server: {list: x}}}]";
    let dir = directory(&[("a.yaml", list), ("x.txt", b"a.org")]);
    let revision = || read(dir.path()).unwrap().fingerprint.revision();
    let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
    let first = revision();
    assert_eq!(first.len(), 12);
    assert_eq!(first, revision());
    let mut seen = vec![first.clone()];
    write("x.txt", b"b.org");
    seen.push(revision());
    write("a.cases.yaml", b"cases: []");
    seen.push(revision());
    write("b.yaml", RULE);
    seen.push(revision());
    fs::rename(dir.path().join("b.yaml"), dir.path().join("c.yaml")).unwrap();
    seen.push(revision());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    fs::remove_file(dir.path().join("c.yaml")).unwrap();
    fs::remove_file(dir.path().join("a.cases.yaml")).unwrap();
    write("x.txt", b"a.org");
    assert_eq!(first, revision(), "the same again");
}

#[test]
fn several_complete_policies_in_one_directory_are_told_to_contradict_each_other() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let problems = read(&shipped).unwrap_err().0;
    let told: Vec<&str> = problems.iter().map(|problem| &*problem.text).collect();
    let clean = "the default of `clean` for `upload` is set already, in ";
    let of_clean: Vec<_> = told.iter().filter(|text| text.starts_with(clean)).collect();
    assert_eq!(of_clean.len(), 2, "once for each other file: {told:#?}");
    for text in of_clean {
        assert!(
            text.contains("/policies/default.yaml:") && text.ends_with("of all files of a policy, one can set it"),
            "{text}"
        );
    }
}

#[test]
fn a_policy_has_bounds_on_its_files_and_on_what_is_in_them() {
    let too_large: Vec<String> = (0..5).map(|number| format!("{number}.yaml")).collect();
    // What is no text is not parsed, so that this takes no time.
    let content = vec![0xff; 4 << 20];
    let told_of_large = told(&too_large.iter().map(|name| (&**name, &*content)).collect::<Vec<_>>());
    assert!(
        told_of_large.contains("4.yaml: files of rules and cases have more than 16 MiB by here"),
        "{told_of_large}"
    );
    let names: Vec<String> = (0..=1000).map(|number| format!("{number}.yaml")).collect();
    let told_of_many = told(&names.iter().map(|name| (&**name, RULE)).collect::<Vec<_>>());
    assert_eq!(told_of_many, "DIR: more than 1000 files are in here\n");
    let told_of_one = |text: String| told(&[("a.yaml", text.as_bytes())]);
    let lines = |most: usize, line: &dyn Fn(usize) -> String| (0..=most).map(line).collect::<Vec<_>>().concat();
    let rules = lines(2000, &|number| format!("  - {{id: r{number}, action: block, mode: shadow}}\n"));
    assert!(told_of_one(format!("version: 1\nrules:\n{rules}")).contains("there are more than 2000 by here"));
    let lists = lines(1000, &|number| format!("  l{number}: {{kind: text, values: [x]}}\n"));
    assert!(told_of_one(format!("version: 1\nlists:\n{lists}")).contains("there are more than 1000 lists by here"));
    let from = "infected, ".repeat(101);
    let exception = format!("id: x, from: [{from}], reason: r, author: a, until: 2027-01-01, match: {{size: 1}}");
    assert!(told_of_one(format!("version: 1\nexceptions: [{{{exception}}}]")).contains("1 to 100 of them"));
    let reason = "x".repeat(1001);
    let rule = format!("id: x, action: block, match: {{size: 1}}, reason: {reason}");
    assert!(told_of_one(format!("version: 1\nrules: [{{{rule}}}]")).contains("longer than 1000 bytes"));
}
