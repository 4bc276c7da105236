//! How files look from outside, and when they have come to rest. Half-written files change from one look to the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::policy::files;

/// How deep below its directory files are looked at that the policy does not name, and may name the next time.
const DEPTH: usize = 4;

/// Files that are looked at. Who has more of them sees changes of what the policy names, then of other policy files.
const MOST: usize = 10_000;

/// How files look at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look(BTreeMap<PathBuf, Seen>);

/// How a file looks. Links are followed: a file that a link leads to now is another one than that it led to before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    There { device: u64, inode: u64, len: u64, modified: (i64, i64), changed: (i64, i64) },
    Gone(io::ErrorKind),
}

impl Seen {
    fn at(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(found) => Self::There {
                device: found.dev(),
                inode: found.ino(),
                // That of a directory tells of files that are ignored.
                len: if found.is_dir() { 0 } else { found.len() },
                modified: if found.is_dir() { (0, 0) } else { (found.mtime(), found.mtime_nsec()) },
                changed: if found.is_dir() { (0, 0) } else { (found.ctime(), found.ctime_nsec()) },
            },
            Err(error) => Self::Gone(error.kind()),
        }
    }
}

impl Look {
    /// Looks at these files, and at all that lies where the policy is: a new file counts as well.
    pub(super) fn at(policy: &Path, files: &BTreeSet<PathBuf>) -> Self {
        let mut look = Self::default();
        let beside = files::cases_beside(policy);
        for path in files.iter().map(PathBuf::as_path).chain([policy]).chain(beside.iter().map(PathBuf::as_path)) {
            look.add(path);
        }
        let mut level = vec![policy.to_owned()];
        for _ in 0..DEPTH {
            level = level.iter().flat_map(|directory| meant(directory)).take(MOST).collect();
            for path in &level {
                look.add(path);
            }
        }
        look
    }

    fn add(&mut self, path: &Path) {
        if self.0.len() < MOST && !self.0.contains_key(path) {
            self.0.insert(path.to_owned(), Seen::at(path));
        }
    }

    /// True if all these files were looked at.
    pub(super) fn covers(&self, files: &BTreeSet<PathBuf>) -> bool {
        files.iter().all(|file| self.0.contains_key(file))
    }
}

/// What is in a directory, if it is one, but for what nobody means; first of all policy files.
fn meant(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> =
        entries.filter(|entry| !files::is_ignored(&entry.file_name())).map(|entry| entry.path()).collect();
    paths.sort_by_cached_key(|path| (!path.file_name().is_some_and(files::is_yaml), path.clone()));
    paths
}

/// Waits until files have come to rest.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// As they were when they were read.
    read: Look,
    /// As they were the last time.
    last: Look,
}

impl Settling {
    /// True if they are to be read: they are not as they were then, and are as they were the last time.
    pub(super) fn is_due(&mut self, now: Look) -> bool {
        let is_due = now != self.read && now == self.last;
        self.last = now;
        is_due
    }

    /// Takes them for read as they look.
    pub(super) fn read(&mut self, look: Look) {
        self.last = look.clone();
        self.read = look;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt, fs::symlink},
    };

    use super::*;

    fn look(dir: &Path) -> Look {
        Look::at(dir, &BTreeSet::new())
    }

    fn seen(len: u64) -> Look {
        let file = Seen::There { device: 1, inode: 1, len, modified: (0, 0), changed: (0, 0) };
        Look([("a.yaml".into(), file)].into())
    }

    #[test]
    fn what_still_changes_is_not_read_and_what_came_to_rest_is_read_once() {
        let mut settling = Settling::default();
        settling.read(seen(1));
        assert!(!settling.is_due(seen(1)), "nothing has changed");
        for len in 2..5 {
            assert!(!settling.is_due(seen(len)), "someone writes");
        }
        assert!(settling.is_due(seen(4)));
        settling.read(seen(4));
        assert!(!settling.is_due(seen(4)));
        assert!(!settling.is_due(seen(5)));
        assert!(!settling.is_due(seen(4)), "it went back to what was read");
        assert!(!settling.is_due(seen(4)));
    }

    #[test]
    fn what_could_not_be_read_while_it_changed_is_due_again() {
        let mut settling = Settling::default();
        assert!(!settling.is_due(seen(1)));
        assert!(settling.is_due(seen(1)));
        // It was not taken for read.
        assert!(settling.is_due(seen(1)));
    }

    #[test]
    fn changes_of_all_kinds_are_seen_and_leftovers_of_editors_are_not() {
        let root = tempfile::tempdir().unwrap();
        let (dir, other) = (root.path().join("policies"), root.path().join("list.txt"));
        fs::create_dir_all(dir.join("lists")).unwrap();
        let mut before = look(&dir);
        let mut changes = |what: &str| {
            let now = look(&dir);
            let changed = now != before;
            before = now;
            assert!(changed, "{what}");
        };
        fs::write(dir.join("a.yaml"), "1").unwrap();
        changes("a file");
        fs::write(dir.join("a.yaml"), "22").unwrap();
        changes("its length");
        fs::write(dir.join("new"), "33").unwrap();
        changes("another");
        fs::rename(dir.join("new"), dir.join("a.yaml")).unwrap();
        changes("one in place of it");
        fs::write(dir.join("lists/a.txt"), "x").unwrap();
        changes("a list");
        fs::remove_file(dir.join("lists/a.txt")).unwrap();
        changes("a list that is gone");
        for name in [".a.yaml.swp", "a.yaml~", ".git"] {
            fs::write(dir.join(name), "x").unwrap();
        }
        assert!(look(&dir) == before, "nobody means these");
        let lists = BTreeSet::from([other.clone()]);
        let without = Look::at(&dir, &lists);
        fs::write(&other, "x").unwrap();
        assert_ne!(Look::at(&dir, &lists), without, "a list elsewhere");
        fs::remove_dir_all(&dir).unwrap();
        assert_ne!(look(&dir), before);
    }

    #[test]
    fn a_directory_that_is_swapped_by_a_link_is_seen_as_config_maps_are() {
        let root = tempfile::tempdir().unwrap();
        for version in ["..1", "..2"] {
            fs::create_dir(root.path().join(version)).unwrap();
            fs::write(root.path().join(version).join("a.yaml"), "1").unwrap();
        }
        symlink("..1", root.path().join("..data")).unwrap();
        symlink("..data/a.yaml", root.path().join("a.yaml")).unwrap();
        let before = look(root.path());
        symlink("..2", root.path().join("..data_tmp")).unwrap();
        fs::rename(root.path().join("..data_tmp"), root.path().join("..data")).unwrap();
        assert_ne!(look(root.path()), before);
    }

    #[test]
    fn all_that_may_be_read_of_a_policy_is_looked_at() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("one.yaml");
        for name in ["one.cases.yaml", "one.cases.yml"] {
            let before = look(&file);
            fs::write(root.path().join(name), "cases: []").unwrap();
            assert_ne!(look(&file), before, "{name}");
        }
        let before = look(root.path());
        fs::write(root.path().join(OsStr::from_bytes(b"\xff.yaml")), "x").unwrap();
        assert_ne!(look(root.path()), before, "a name that is no text");
    }

    #[test]
    fn among_very_many_files_it_is_those_of_the_policy_that_are_looked_at() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..MOST + 10 {
            fs::hard_link(root.path().join("0"), root.path().join(number.to_string()))
                .or_else(|_| fs::write(root.path().join(number.to_string()), ""))
                .unwrap();
        }
        let (policy, deep) = (root.path().join("z.yaml"), root.path().join("z/list"));
        fs::create_dir(root.path().join("z")).unwrap();
        let files = BTreeSet::from([deep.clone()]);
        for path in [policy, deep] {
            let before = Look::at(root.path(), &files);
            fs::write(&path, "x").unwrap();
            assert_ne!(Look::at(root.path(), &files), before, "{}", path.display());
        }
        assert!(Look::at(root.path(), &files).0.len() <= MOST);
    }

    #[test]
    fn links_that_lead_in_circles_come_to_an_end() {
        let root = tempfile::tempdir().unwrap();
        symlink(".", root.path().join("self")).unwrap();
        assert!(look(root.path()).0.len() <= DEPTH + 3);
    }
}
