//! What is told of files, as it is written down in `told/`: files after `---`, what is told of them after `>>>`. After a change
//! that is meant, `LAZARET_RENEW=1` writes down what is told now.

use super::*;

/// Files of one case, and what is told of them.
fn parts(case: &str) -> (Vec<(&str, &[u8])>, &str) {
    let (files, told) = case.split_once(">>>\n").unwrap();
    let files = files.split("--- ").skip(1).map(|file| file.split_once('\n').unwrap());
    (files.map(|(name, text)| (name, text.as_bytes())).collect(), told)
}

fn is_told(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/load/tests/told").join(name);
    let written = fs::read_to_string(&path).unwrap();
    let case = |case: &str| {
        let (files, _) = parts(case);
        format!("===\n{}>>>\n{}", case.split_once(">>>\n").unwrap().0, told(&files))
    };
    let now: Vec<String> = written.split("===\n").skip(1).map(case).collect();
    let now = now.join("\n");
    if std::env::var_os("LAZARET_RENEW").is_some() {
        fs::write(&path, now).unwrap();
    } else {
        assert_eq!(now, written, "LAZARET_RENEW=1 writes down what is told now");
    }
}

#[test]
fn files_that_are_no_policies_are_told_where() {
    is_told("files.txt");
}

#[test]
fn wrong_defaults_are_told_where() {
    is_told("defaults.txt");
}

#[test]
fn wrong_rules_are_told_where() {
    is_told("rules.txt");
}

#[test]
fn wrong_conditions_are_told_where() {
    is_told("conditions.txt");
}

#[test]
fn wrong_lists_are_told_where() {
    is_told("lists.txt");
}

#[test]
fn wrong_exceptions_are_told_where() {
    is_told("exceptions.txt");
}

#[test]
fn wrong_cases_are_told_where() {
    is_told("cases.txt");
}

#[test]
fn rules_that_are_never_reached_are_told_and_no_others() {
    is_told("reach.txt");
    is_told("fine.txt");
}
