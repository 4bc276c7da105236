use std::{fs, time::UNIX_EPOCH};

use super::*;
use crate::policy::Hash;

mod files;
mod good;
mod hostile;
mod told;

const NOW: &str = "2026-12-01T00:00:00Z";

/// A file and its content.
type File<'a> = (&'a str, &'a [u8]);

/// A directory of these files.
fn directory(files: &[File<'_>]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

fn read(path: &Path) -> Result<Loaded, Problems> {
    read_at(path, &Hash::plain, humantime::parse_rfc3339(NOW).unwrap())
}

/// What is told of what was read in this directory: problems, or else notes.
fn told_of(dir: &tempfile::TempDir) -> String {
    let text = match read(dir.path()) {
        Ok(loaded) => {
            loaded.notes.iter().flat_map(|note| ["note: ".to_owned(), note.to_string(), "\n".to_owned()]).collect()
        }
        Err(problems) => problems.to_string() + "\n",
    };
    text.replace(&format!("{}/", dir.path().display()), "").replace(&dir.path().display().to_string(), "DIR")
}

fn told(files: &[File<'_>]) -> String {
    told_of(&directory(files))
}
