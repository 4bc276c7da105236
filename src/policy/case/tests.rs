use std::io;

use super::*;
use crate::{
    facts::Group,
    policy::{
        Config, Hash, Policy,
        testing::{now, rules},
    },
};

fn policy(yaml: &str) -> Policy {
    Policy::new(&Config::default(), rules(yaml))
}

fn case(yaml: &str) -> Result<Case, Wrong> {
    let written: Written = serde_yaml::from_str(yaml).unwrap();
    written.check(Path::new("/policies"), "x.cases.yaml:2:5".to_owned(), &Hash::plain)
}

fn examine(path: &Path) -> io::Result<Facts> {
    if !path.ends_with("tiny.exe.b64") {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(Facts { size: 97, group: Group::Executable, detected_type: Some("a/exe".into()), ..Facts::default() })
}

fn outcome(policy: &Policy, yaml: &str) -> Outcome {
    run(policy, &[case(yaml).unwrap()], &examine, now()).remove(0)
}

const POLICY: &str = "
    defaults: {incomplete: block}
    rules:
      - {id: exe, match: {group: executable}, action: block}
      - {id: watch, match: {direction: upload}, action: block, mode: shadow}
      - {id: small, match: {size: '< 10'}, action: scan}
    exceptions:
      - {id: tool, from: [exe], match: {media.server: a.org}}";

#[test]
fn cases_hold_or_tell_what_is_otherwise() {
    let policy = policy(POLICY);
    for yaml in [
        "{name: a, facts: {group: executable}, expect: {action: block, rule: exe, wire: MCS_MIME_TYPE_FORBIDDEN}}",
        "{name: a, facts: {group: image}, expect: {action: allow, rule: 'default:clean', shadow: [], exceptions: []}}",
        "{name: a, facts: {size: 5}, expect: {action: scan}}",
        "{name: a, facts: {size: 20, direction: upload}, expect: {action: allow, shadow: [watch]}}",
        "{name: a, facts: {state: incomplete}, expect: {action: block, rule: 'default:incomplete', wire: MCS_MEDIA_NOT_CLEAN}}",
        "{name: a, sample: s/tiny.exe.b64, expect: {action: block, rule: exe}}",
        "{name: a, sample: s/tiny.exe.b64, facts: {media.server: a.org}, at: 2027-01-15, expect: {action: allow, exceptions: [tool]}}",
        "{name: a, sample: s/tiny.exe.b64, facts: {group: text, size: 1}, expect: {action: scan, rule: small}}",
        "{name: a, sample: s/tiny.exe.b64, facts: {state: infected}, expect: {action: block, rule: 'default:infected'}}",
    ] {
        let outcome = outcome(&policy, yaml);
        assert!(outcome.holds() && outcome.explanation.is_none(), "{yaml}: {outcome}");
    }
    let yaml = "{name: none, facts: {group: executable}, expect: {action: allow, rule: small, shadow: [watch], exceptions: [tool], wire: MCS_MEDIA_NOT_CLEAN}}";
    let failed = outcome(&policy, yaml);
    let expected = [
        "expected action allow, got block",
        "expected rule small, got exe",
        "expected wire MCS_MEDIA_NOT_CLEAN, got MCS_MIME_TYPE_FORBIDDEN",
        "expected shadow [watch], got []",
        "expected exceptions [tool], got []",
    ];
    assert_eq!(failed.problems, expected);
    let told = failed.to_string();
    assert!(told.starts_with("x.cases.yaml:2:5: fails: none\n") && told.contains("exe (block): matched"), "{told}");
    let missing = outcome(&policy, "{name: a, sample: s/none, expect: {action: allow}}");
    assert!(missing.problems[0].starts_with("the sample /policies/s/none cannot be examined"), "{missing}");
}

#[test]
fn a_case_is_decided_at_its_own_time() {
    let policy = policy("exceptions: [{id: e, from: [infected], match: {group: text}}]");
    let yaml = "{name: a, facts: {group: text, state: infected}, at: 2020-02-01, expect: {action: allow}}";
    assert!(outcome(&policy, yaml).holds());
    let later = yaml.replace("2020-02-01", "2030-02-01T00:00:00Z").replace("allow", "block");
    assert!(outcome(&policy, &later).holds());
}

#[test]
fn a_case_that_holds_until_something_ends_has_to_say_when_it_is() {
    let policy = policy(
        "
        rules:
          - {id: watched, match: {size: 1}, action: block, mode: shadow, end: later}
          - {id: ends, match: {group: script}, action: block, end: later}
          - {id: stays, match: {group: executable}, action: block}
        exceptions: [{id: e, from: [stays, infected], match: {media.server: a.org}}]",
    );
    let problems = |yaml: &str| outcome(&policy, yaml).problems.join(" ");
    let says = |id: &str| format!("`{id}` ends one day, and what is expected with it: say what time it is with `at`");
    for (facts, expect, id) in [
        ("group: executable, media.server: a.org", "action: allow", "e"),
        ("state: infected, media.server: a.org", "action: allow", "e"),
        ("group: script", "action: block", "ends"),
        ("size: 1", "action: allow, shadow: [watched]", "watched"),
    ] {
        let yaml = format!("{{name: a, facts: {{{facts}}}, expect: {{{expect}}}}}");
        assert_eq!(problems(&yaml), says(id));
        assert_eq!(problems(&yaml.replace("expect", "at: 2027-01-15, expect")), "", "{yaml}");
    }
    for yaml in [
        "{name: a, facts: {group: executable}, expect: {action: block, exceptions: []}}",
        "{name: a, facts: {group: text, media.server: a.org}, expect: {action: allow}}",
        "{name: a, facts: {size: 1}, expect: {action: allow}}",
    ] {
        assert_eq!(problems(yaml), "", "{yaml}");
    }
}

#[test]
fn a_sample_of_many_cases_is_examined_once() {
    let policy = policy(POLICY);
    let cases =
        ["a", "b", "c"].map(|name| format!("{{name: {name}, sample: tiny.exe.b64, expect: {{action: block}}}}"));
    let count = std::cell::Cell::new(0);
    let examined = |path: &Path| {
        count.set(count.get() + 1);
        examine(path)
    };
    let outcomes = run(&policy, &cases.map(|yaml| case(&yaml).unwrap()), &examined, now());
    assert!(outcomes.iter().all(Outcome::holds));
    assert_eq!(count.get(), 1);
}

#[test]
fn what_is_no_file_is_no_sample() {
    let told = sample(Path::new("/dev/null")).unwrap_err().to_string();
    assert_eq!(told, "is no file");
}

#[test]
fn what_follows_from_what_a_case_gives_is_known_in_it() {
    let given = |yaml: &str| facts::known(&case(yaml).unwrap().given, None, now()).to_string_of_names();
    let names = given("{name: a, facts: {declared.name: x.pdf.exe}, expect: {action: allow}}");
    assert_eq!(names, "declared.bidi declared.double_extension declared.extension declared.name direction state");
    assert_eq!(given("{name: a, facts: {size: 1}, expect: {action: allow}}"), "direction size state");
    let names = given("{name: a, facts: {group: text, declared.type: image/png}, expect: {action: allow}}");
    assert_eq!(names, "declared.type direction group mismatch state");
    let names = given("{name: a, facts: {declared.type: image/png, declared.name: a.png}, expect: {action: allow}}");
    assert!(!names.contains("mismatch"), "what the bytes are is not said: {names}");
}

#[test]
fn what_a_key_opened_is_no_ciphertext_whatever_it_looks_like() {
    let noise = Facts { size: 9, opaque: true, ..Facts::default() };
    for (facts, state) in [("{encrypted: keyed}", "clean"), ("{direction: download}", "opaque_media")] {
        let case = case(&format!("{{name: a, sample: x, facts: {facts}, expect: {{action: allow}}}}")).unwrap();
        let known = facts::known(&case.given, Some(&noise), now());
        assert_eq!(known.values["state"].to_string(), state, "{facts}");
    }
}

impl Given {
    fn to_string_of_names(&self) -> String {
        self.values.keys().copied().collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn what_is_wrong_in_a_case_is_told_with_its_place() {
    use crate::policy::condition::PathPart;
    for (yaml, path, told) in [
        ("facts: {grup: text}", "facts/grup", "`grup` is no fact; did you mean `group`?"),
        ("facts: {group: txt}", "facts/group", "did you mean `text`?"),
        ("facts: {group: [text]}", "facts/group", "`group` is a word; put it in quotes"),
        ("facts: {size: '> 5'}", "facts/size", "`> 5` is not a number of bytes, like 10MiB"),
        ("facts: {macros: 1}", "facts/macros", "`macros` is true or false"),
        ("facts: {inside.groups: [text, imag]}", "facts/inside.groups/1", "did you mean `image`?"),
        ("facts: {sha256: ab}", "facts/sha256", "`ab` is no SHA-256 digest"),
        ("facts: {}", "", "a case needs `facts`, or a `sample`"),
        ("facts: {size: 1}, at: tomorrow", "at", "`tomorrow` is no date"),
    ] {
        let wrong = case(&format!("{{name: a, {yaml}, expect: {{action: allow}}}}")).unwrap_err();
        let shown = |part: &PathPart| match part {
            PathPart::Key(key) => key.clone(),
            PathPart::Index(at) => at.to_string(),
        };
        assert_eq!(wrong.path.iter().map(shown).collect::<Vec<_>>().join("/"), path, "{yaml}");
        assert!(wrong.to_string().contains(told), "{yaml}: {wrong}");
    }
    let wrong = case("{name: a, facts: {size: 1}, expect: {action: blok}}").unwrap_err();
    assert_eq!(wrong.to_string(), "`blok` is none of allow, block, quarantine, scan; did you mean `block`?");
    assert!(case("{name: a, facts: {size: 1}, expect: {action: block, wire: MCS_X}}").is_err());
    assert!(serde_yaml::from_str::<File>("cases: [{name: a, fact: {}, expect: {action: allow}}]").is_err());
}

#[test]
fn samples_are_decoded_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    assert_eq!(sample(&write("plain.txt", b"aGk=")).unwrap(), b"aGk=");
    assert_eq!(sample(&write("x.exe.b64", b"aG\nk=\n")).unwrap(), b"hi");
    assert_eq!(sample(&write("y.b64", b"!")).unwrap_err().kind(), io::ErrorKind::InvalidData);
    let large = write("large", b"");
    std::fs::File::options().write(true).open(&large).unwrap().set_len((64 << 20) + 1).unwrap();
    assert_eq!(sample(&large).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
}
