//! What is configured of a clamd, as far as its file shows: limits and options of scans change verdicts, and neither its version
//! nor its signatures tell of them.
//!
//! clamd reads its file when it is started. So what the file says is taken for what is in use when clamd comes back from being
//! out. If the file changes while clamd is in, either may be in use, and verdicts are of neither.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// More than any such file has.
const MOST: u64 = 1 << 20;

/// How options begin that change no verdict and differ from one machine to the next.
const LOCAL: [&str; 6] = ["LocalSocket", "TCP", "Log", "PidFile", "User", "Foreground"];

/// What stands for a file that cannot be read.
const UNREADABLE: &str = "unreadable";

/// The settings of one clamd.
pub(super) struct Settings {
    path: PathBuf,
    in_use: Option<String>,
    in_file: String,
}

impl Settings {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, in_use: None, in_file: UNREADABLE.to_owned() }
    }

    /// What is to be run where it may block.
    pub(super) fn look(&self) -> impl FnOnce() -> io::Result<String> + use<> {
        let path = self.path.clone();
        move || digest_of(&path)
    }

    /// Takes note of a look at the file. Tells whether it cannot be read any more.
    pub(super) fn seen(&mut self, look: io::Result<String>, was_out: bool) -> Option<io::Error> {
        let (in_file, error) = match look {
            Ok(digest) => (digest, None),
            Err(error) => (UNREADABLE.to_owned(), Some(error)),
        };
        let is_news = self.in_use.is_none() || self.in_file != in_file;
        self.in_file = in_file;
        if was_out || self.in_use.is_none() {
            self.in_use = Some(self.in_file.clone());
        }
        error.filter(|_| is_news)
    }

    /// What verdicts depend on.
    pub(super) fn text(&self) -> String {
        match &self.in_use {
            Some(in_use) if *in_use != self.in_file => format!("{in_use}>{}", self.in_file),
            _ => self.in_file.clone(),
        }
    }
}

/// What tells settings from others: no comments, in no order, and not where clamd listens and what it logs.
fn digest_of(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let is_option = |line: &&str| !(line.is_empty() || line.starts_with('#'));
    let is_local = |line: &&str| LOCAL.iter().any(|name| line.starts_with(name));
    let mut lines: Vec<&str> = text.lines().map(str::trim).filter(is_option).filter(|line| !is_local(line)).collect();
    lines.sort_unstable();
    let digest: [u8; 32] = Sha256::digest(lines.join("\n")).into();
    let first = digest.first_chunk().expect("it is longer");
    Ok(format!("{:016x}", u64::from_be_bytes(*first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clamd.conf");
        std::fs::write(&path, text).unwrap();
        Settings::new(path).look()().unwrap()
    }

    #[test]
    fn settings_are_told_apart_by_what_changes_verdicts() {
        let one = written("# made by hand\nLocalSocket /a\nMaxFileSize 10M\n\nAlertEncrypted yes\n");
        assert_eq!(one, written("AlertEncrypted yes\nMaxFileSize 10M\nLocalSocket /b\nLogFile /c\n"));
        assert_ne!(one, written("AlertEncrypted yes\nMaxFileSize 20M\n"));
        assert_ne!(one, written("AlertEncrypted yes\nMaxFileSize 10M\nScanOLE2 no\n"));
    }

    #[test]
    fn what_was_written_counts_once_clamd_was_away_and_until_then_nothing_does() {
        let mut settings = Settings::new("/unused".into());
        let mut after = |digest: &str, was_out| {
            settings.seen(Ok(digest.to_owned()), was_out);
            settings.text()
        };
        let first = after("a", true);
        assert_eq!(first, after("a", false));
        let between = after("b", false);
        assert!(between != first && between != "b", "clamd may have either");
        let second = after("b", true);
        assert!(second != between && second != first && second == after("b", false));
        assert_eq!(first, after("a", true), "what was said before counts again");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_once_and_is_no_settings() {
        let mut settings = Settings::new("/does/not/exist".into());
        let look = settings.look();
        assert!(settings.seen(look(), true).is_some());
        let look = settings.look();
        assert!(settings.seen(look(), false).is_none());
        assert_eq!(settings.text(), UNREADABLE);
        settings.seen(Ok("a".to_owned()), true);
        assert!(settings.text() == "a" && settings.seen(Err(io::Error::other("gone")), false).is_some());
    }
}
