//! Programs that scan, by the contract of the Matrix Content Scanner's script.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::eventually;

/// A shell script, and a directory for what it notes. In it, `$here` is that directory.
pub struct Program(TempDir);

impl Program {
    /// Recognises EICAR, and another word that clamd does not.
    pub const RECOGNISES: &str = "grep -q -e EICAR -e forbidden-word \"$1\" && exit 1; exit 0";

    pub fn new(lines: &str) -> Self {
        let program = Self(tempfile::tempdir_in("/dev/shm").unwrap());
        program.set(lines);
        program
    }

    /// A file in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Another script in its place, at once: what runs already is not changed under its shell.
    pub fn set(&self, lines: &str) {
        let new = self.path("new.sh");
        fs::write(&new, format!("#!/bin/sh\nhere={}\n{lines}\n", self.0.path().display())).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o700)).unwrap();
        fs::rename(new, self.path("scan.sh")).unwrap();
    }

    /// The section of the configuration with this program in it, and further settings of it.
    pub fn section(&self, settings: &str) -> String {
        let (script, dir) = (self.path("scan.sh"), self.0.path());
        let hurry = if settings.contains("probe_interval") { "" } else { ", probe_interval: 100ms" };
        let entry = format!("name: script, command: ['{}'], dir: '{}'", script.display(), dir.display());
        format!("engines: {{exec: [{{{entry}{hurry}{settings}}}]}}")
    }

    /// Waits until no medium is left in the directory of the engine that runs it, beside its lock.
    pub async fn has_nothing_left(&self) {
        let is_engine = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("lazaret-exec-");
        let entries = |dir: &Path| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let dir = entries(self.0.path()).into_iter().find(|path| is_engine(path)).expect("an engine uses it");
        // Canaries come and go.
        eventually("only the lock is there", || async { entries(&dir).len() == 1 }).await;
    }
}
