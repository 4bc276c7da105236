use std::{
    fs,
    io::Write,
    sync::atomic::{AtomicUsize, Ordering},
    time::SystemTime,
};

use prometheus::Registry;
use tempfile::TempDir;

use super::*;
use crate::{audit, policy::load};

const NOTHING: &str = "version: 1\nrules: []\n";
const TWO: &str = "version: 1
rules:
  - {id: one, match: {type: a/b}, action: block}
  - {id: two, match: {type: c/d}, action: block}
";

/// A policy in force that was read of `a.yaml`, and its files, which were looked at since.
fn files(text: &str) -> (TempDir, PolicyFiles) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), text).unwrap();
    let config = policy::Config { dir: dir.path().to_owned(), ..policy::Config::default() };
    let source = PolicySource::new(&config, None, Some(vec!["clamd".to_owned()]));
    let policy = source.read(SystemTime::now()).unwrap();
    let in_force = Arc::new(InForce::register(policy, SystemTime::now(), &Registry::new()).unwrap());
    let audit = Audit::register(&audit::Config::default(), &Registry::new()).unwrap();
    let files = PolicyFiles { rest: Box::new(|| ()), ..PolicyFiles::new(source, in_force, Clock::default(), audit) };
    assert_eq!([files.look(), files.look(), files.look()], [None, None, None]);
    (dir, files)
}

fn rules(files: &PolicyFiles) -> usize {
    files.in_force().current().rules().rules.len()
}

#[test]
fn a_file_that_is_written_piece_by_piece_is_read_when_it_is_whole() {
    let (dir, files) = files(NOTHING);
    // Well-formed, and a rule is missing.
    let half = &TWO[..TWO.find("  - {id: two").unwrap()];
    for text in [half, TWO] {
        fs::write(dir.path().join("a.yaml"), text).unwrap();
        assert_eq!(files.look(), None);
        assert_eq!(rules(&files), 0);
    }
    assert!(matches!(files.look(), Some(Outcome::Taken(Summary { rules: 2, .. }))));
    assert_eq!((files.look(), rules(&files)), (None, 2));
}

#[test]
fn what_is_wrong_is_told_once_and_so_is_that_it_is_right_again() {
    let (dir, files) = files(TWO);
    fs::write(dir.path().join("a.yaml"), "rules: [").unwrap();
    assert_eq!(files.look(), None);
    let Some(Outcome::Refused(why)) = files.look() else { panic!("it was taken") };
    assert_eq!(why.matches("a.yaml:").count(), 1, "{why}");
    assert_eq!([files.look(), files.look()], [None, None]);
    assert_eq!((rules(&files), files.in_force().how().failure.unwrap().1), (2, why));
    fs::write(dir.path().join("a.yaml"), TWO).unwrap();
    assert_eq!(files.look(), None);
    assert!(matches!(files.look(), Some(Outcome::Unchanged(_))));
    assert!(files.in_force().how().failure.is_none());
}

#[test]
fn who_asks_has_files_read_once_they_are_left_alone() {
    let (dir, mut files) = files(NOTHING);
    let (file, half) = (dir.path().join("a.yaml"), &TWO[..TWO.find("  - {id: two").unwrap()]);
    fs::write(&file, half).unwrap();
    let (written, rests) = (file.clone(), AtomicUsize::new(0));
    files.rest = Box::new(move || {
        if rests.fetch_add(1, Ordering::SeqCst) == 0 {
            fs::write(&written, TWO).unwrap();
        }
    });
    assert!(matches!(files.reload(), Outcome::Taken(Summary { rules: 2, .. })));
    files.rest = Box::new(move || fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"\n").unwrap());
    assert!(matches!(files.reload(), Outcome::Refused(why) if why.contains("change while they are read")));
    assert_eq!(rules(&files), 2);
}

#[test]
fn the_shipped_policy_takes_no_place_of_another_one() {
    let (_dir, files) = files(TWO);
    let shipped = load::read(Path::new("policies/default.yaml"), &Hash::plain).unwrap();
    let shipped = || {
        Policy::of(files.source().config(), shipped.clone(), true, &sample::examine, SystemTime::now()).map_err(drop)
    };
    let outcome = files.take(Ok(shipped().unwrap()));
    assert!(matches!(outcome, Outcome::Refused(why) if why.contains("no policy files any more")));
    assert_eq!(rules(&files), 2);
    files.in_force().replace(shipped().unwrap(), SystemTime::now());
    assert!(matches!(files.take(Ok(shipped().unwrap())), Outcome::Unchanged(_)), "there was none before");
}

#[test]
fn a_list_that_was_not_looked_at_before_is_read_again_and_looked_at_from_then_on() {
    let text = "version: 1
lists: {types: {kind: type, file: 1/2/3/4/5/types}}
rules: [{id: listed, match: {type: {list: types}}, action: block}]
";
    let (dir, files) = files(NOTHING);
    let deep = dir.path().join("1/2/3/4/5");
    fs::create_dir_all(&deep).unwrap();
    fs::write(dir.path().join("a.yaml"), text).unwrap();
    assert!(matches!(files.reload(), Outcome::Refused(why) if why.contains("types cannot be read")));
    assert_eq!([files.look(), files.look()], [None, None]);
    for list in ["a/b\n", "a/b\nc/d\n"] {
        fs::write(deep.join("types"), list).unwrap();
        assert_eq!(files.look(), None);
        assert!(matches!(files.look(), Some(Outcome::Taken(_))), "{list}");
    }
    fs::write(dir.path().join("a.yaml"), NOTHING).unwrap();
    assert!(matches!(files.reload(), Outcome::Taken(_)));
    fs::write(dir.path().join("a.yaml"), text).unwrap();
    let mut state = files.state.lock().unwrap();
    assert_eq!(files.try_read(&mut state), None, "nobody knows how the list looked when it was read");
    assert!(matches!(files.try_read(&mut state), Some(Outcome::Taken(_))));
}

#[test]
fn who_asks_is_told_each_time() {
    let (dir, files) = files(TWO);
    assert!(matches!(files.reload(), Outcome::Unchanged(_)));
    fs::write(dir.path().join("a.yaml"), NOTHING).unwrap();
    assert!(matches!(files.reload(), Outcome::Taken(_)));
    assert_eq!([files.look(), files.look()], [None, None], "it was read");
    fs::remove_file(dir.path().join("a.yaml")).unwrap();
    for _ in 0..2 {
        assert!(matches!(files.reload(), Outcome::Refused(why) if why.contains("there is no policy here")));
    }
}

#[test]
fn a_changed_list_has_the_policy_read() {
    let text = "version: 1
lists: {types: {kind: type, file: lists/types}}
rules: [{id: listed, match: {type: {list: types}}, action: block}]
";
    let (dir, files) = files(NOTHING);
    fs::create_dir(dir.path().join("lists")).unwrap();
    fs::write(dir.path().join("lists/types"), "a/b\n").unwrap();
    fs::write(dir.path().join("a.yaml"), text).unwrap();
    assert!(matches!(files.reload(), Outcome::Taken(_)));
    fs::write(dir.path().join("lists/types"), "a/b\nc/d\n").unwrap();
    assert_eq!(files.look(), None);
    assert!(matches!(files.look(), Some(Outcome::Taken(_))));
}

#[test]
fn a_policy_that_wants_an_engine_that_is_not_there_is_not_taken() {
    let (dir, files) = files(NOTHING);
    for (engine, is_taken) in [("sandbox", false), ("clamd", true)] {
        let rule = format!("{{id: x, match: {{type: a/b}}, action: scan, engines: [{engine}]}}");
        fs::write(dir.path().join("a.yaml"), format!("version: 1\nrules: [{rule}]\n")).unwrap();
        assert_eq!(matches!(files.reload(), Outcome::Taken(_)), is_taken, "{engine}");
    }
}

#[test]
fn rules_that_ask_whose_media_are_are_noted_where_our_server_has_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let text =
        "version: 1\nrules: [{id: theirs, match: {media.local: false}, action: block}, {id: b, action: block}]\n";
    fs::write(dir.path().join("a.yaml"), text).unwrap();
    let config = policy::Config { dir: dir.path().to_owned(), ..policy::Config::default() };
    let notes = |is_server_named: bool| {
        let source = PolicySource::new(&config, None, None).of_server(is_server_named);
        source.read(SystemTime::now()).unwrap().origin().notes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(notes(true).is_empty());
    let told = notes(false);
    assert!(
        told.len() == 1 && told[0].ends_with("`homeserver.server_name` is not set; it is asked for by `theirs`"),
        "{told:?}"
    );
}
