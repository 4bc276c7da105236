//! Finding and reading the files of a policy.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::problem::{Place, Problem};
use crate::policy::files::{cases_beside, is_cases, is_yaml};

/// Files of one policy, without lists.
const MOST_FILES: usize = 1000;

/// Bytes of a file of rules or cases.
const LARGEST_FILE: u64 = 4 << 20;

/// Bytes of all of them.
const LARGEST_SET: u64 = 16 << 20;

/// What a policy is made of.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files of rules, in order.
    pub(super) rules: Vec<PathBuf>,
    /// Files of cases, in order.
    pub(super) cases: Vec<PathBuf>,
}

/// The files of a policy, which is a directory or a file.
pub(super) fn find(path: &Path) -> Result<Found, Problem> {
    let cannot = |error: io::Error| Problem::with(path, format!("cannot be read: {error}"));
    if !std::fs::metadata(path).map_err(cannot)?.is_dir() {
        if is_cases(path) {
            return Err(Problem::with(
                path,
                "this is a file of cases; name the policy that they are of, or the directory",
            ));
        }
        let cases = cases_beside(path).into_iter().filter(|cases| cases.exists()).collect();
        return Ok(Found { rules: vec![path.to_owned()], cases });
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name();
        if is_yaml(&name) {
            names.push(name);
        }
        if names.len() > MOST_FILES {
            return Err(Problem::with(path, format!("more than {MOST_FILES} files are in here")));
        }
    }
    names.sort();
    let (cases, rules) = names.into_iter().map(|name| path.join(name)).partition(|path: &PathBuf| is_cases(path));
    Ok(Found { rules, cases })
}

/// Opens what has to be a file: others may never come to an end, or never begin.
pub(in crate::policy) fn open(path: &Path) -> Result<File, String> {
    let file = match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err("is no file".to_owned()),
        Ok(_) => File::open(path),
        Err(error) => Err(error),
    };
    file.map_err(|error| format!("cannot be read: {error}"))
}

/// Reads files of one policy, and knows them again.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    digest: Sha256,
    total: u64,
    /// All files that were tried.
    pub(super) files: &'a mut BTreeSet<PathBuf>,
}

impl<'a> Reading<'a> {
    /// With files noted there before they are opened.
    pub(super) fn noting(files: &'a mut BTreeSet<PathBuf>) -> Self {
        Self { digest: Sha256::default(), total: 0, files }
    }

    /// Opens a file.
    pub(super) fn open(&mut self, path: &Path) -> Result<File, String> {
        self.files.insert(path.to_owned());
        open(path)
    }

    /// The text of a file.
    pub(super) fn text(&mut self, path: &Path) -> Result<String, Problem> {
        let wrong = |text: String| Problem::with(path, text);
        let mut bytes = Vec::new();
        let read = self.open(path).map_err(wrong)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes);
        let length = read.map_err(|error| wrong(format!("cannot be read: {error}")))? as u64;
        self.note(path, Sha256::digest(&bytes).into());
        self.total += length;
        if length > LARGEST_FILE {
            return Err(wrong(format!(
                "is larger than {} MiB; long lists go in files of their own",
                LARGEST_FILE >> 20
            )));
        }
        if self.total > LARGEST_SET {
            return Err(wrong(format!("files of rules and cases have more than {} MiB by here", LARGEST_SET >> 20)));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let valid = str::from_utf8(valid).unwrap_or_default();
            let line = valid.rsplit('\n').next().unwrap_or_default();
            let place = Place { line: valid.matches('\n').count() + 1, column: line.chars().count() + 1 };
            Problem::at(path, place, line, "this is no UTF-8")
        })?;
        Ok(text.strip_prefix('\u{feff}').map(ToOwned::to_owned).unwrap_or(text))
    }

    /// Notes a text that is compiled in.
    pub(super) fn note_text(&mut self, path: &Path, text: &str) {
        self.note(path, Sha256::digest(text.as_bytes()).into());
    }

    /// Notes a file by its name and the digest of its content.
    pub(super) fn note(&mut self, path: &Path, content: [u8; 32]) {
        let name = path.to_string_lossy();
        self.digest.update((name.len() as u64).to_be_bytes());
        self.digest.update(name.as_bytes());
        self.digest.update(content);
    }

    /// What all that was read is known by.
    pub(super) fn fingerprint(self) -> Fingerprint {
        Fingerprint(self.digest.finalize().into())
    }
}

/// What a policy is known by: names and content of all its files. It tells a changed policy from one that is read again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Its first digits, to be shown.
    pub fn revision(&self) -> String {
        let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'));
        self.0[..6].iter().flat_map(digits).collect()
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.revision())
    }
}
