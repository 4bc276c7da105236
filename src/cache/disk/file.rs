//! The file: opened, found in use, found damaged and set aside.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use redb::{Builder, Database, DatabaseError, backends::FileBackend};

use crate::cache::store::StoreError;

/// Memory for pages. The system keeps those that are read often, too.
const PAGES: usize = 16 << 20;

/// Damaged files that are kept.
const KEPT: usize = 3;

/// What can go wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Somebody else has it.
    InUse,
    /// It is not what was written. If that was found by a panic, nothing more may be done with what is open.
    Damaged { why: String, by_panic: bool },
    /// There is no room on the disk. The file is in order.
    Full(String),
    /// The system refuses something. The file may be in order.
    Refused(String),
}

impl Fault {
    pub(super) fn why(&self) -> String {
        match self {
            Self::InUse => "another process has it open".to_owned(),
            Self::Damaged { why, .. } | Self::Full(why) | Self::Refused(why) => why.clone(),
        }
    }

    /// What it means to who wants something written.
    pub(super) fn error(&self) -> StoreError {
        match self {
            Self::Full(_) => StoreError::Full,
            _ => StoreError::Failed(self.why()),
        }
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, InvalidData, QuotaExceeded, StorageFull, UnexpectedEof};
        let why = error.to_string();
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse,
            redb::Error::Io(error) if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) => {
                Self::Full(why)
            }
            redb::Error::Io(error) if !matches!(error.kind(), InvalidData | UnexpectedEof) => Self::Refused(why),
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::Refused(why),
            // What is not there any more, is of another type, or is guarded by what a panic has left.
            _ => Self::Damaged { why, by_panic: false },
        }
    }
}

/// Does something with a file that may be damaged anywhere. The library answers some damage with a panic.
pub(super) fn attempt<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(Fault::from),
        Err(_) => Err(Fault::Damaged { why: "it cannot be read without a panic".to_owned(), by_panic: true }),
    }
}

/// Makes a database of a file. Tests make one that fails.
pub(super) type Opener = Arc<dyn Fn(File) -> Result<Database, DatabaseError> + Send + Sync>;

/// Makes a database of a file.
pub(super) fn database(file: File) -> Result<Database, DatabaseError> {
    builder().create_with_backend(FileBackend::new(file)?)
}

/// What every database is made with.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(PAGES);
    builder
}

/// Where the file is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) opener: Opener,
}

impl Place {
    /// Opens the file. If there is none, makes one that only its owner may read.
    pub(super) fn open(&self) -> Result<Database, Fault> {
        let refused = |error: io::Error| Fault::Refused(error.to_string());
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(refused)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&self.path).map_err(refused)?;
        attempt(|| Ok((self.opener)(file)?))
    }

    /// Bytes that the file takes on the disk. Those that were never written take none.
    pub(super) fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |file| file.blocks() * 512)
    }

    /// Gives the file a name under which it is in nobody's way, and removes the oldest ones that have such a name.
    pub(super) fn set_aside(&self) -> io::Result<PathBuf> {
        let mut aside = self.aside();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let number = aside.iter().map(|(number, _)| number + 1).fold(now, u64::max);
        let free = PathBuf::from(format!("{}.corrupt-{number}", self.path.display()));
        fs::rename(&self.path, &free)?;
        aside.push((number, free.clone()));
        aside.sort();
        for (_, old) in &aside[..aside.len().saturating_sub(KEPT)] {
            fs::remove_file(old)?;
        }
        Ok(free)
    }

    /// The files that were set aside, with their numbers.
    fn aside(&self) -> Vec<(u64, PathBuf)> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let prefix = self.path.file_name().map(|name| format!("{}.corrupt-", name.to_string_lossy()));
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let number = |path: &Path| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            name.strip_prefix(prefix.as_deref()?)?.parse().ok()
        };
        files.filter_map(|file| Some((number(&file.path())?, file.path()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn place(path: PathBuf) -> Place {
        Place { path, opener: Arc::new(database) }
    }

    #[test]
    fn the_file_and_its_folder_are_made_for_nobody_else_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path().join("new/verdicts"));
        place.open().unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&place.path), mode(place.path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_file_that_is_open_is_not_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path().join("verdicts"));
        let held = place.open().unwrap();
        assert_eq!(place.open().unwrap_err(), Fault::InUse);
        drop(held);
        place.open().unwrap();
    }

    #[test]
    fn the_last_damaged_files_are_kept_and_nothing_else_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path().join("verdicts"));
        fs::write(dir.path().join("verdicts.corrupt-by-me"), "").unwrap();
        let mut aside = Vec::new();
        for text in 0..5 {
            fs::write(&place.path, text.to_string()).unwrap();
            aside.push(place.set_aside().unwrap());
        }
        let there: Vec<bool> = aside.iter().map(|path| path.exists()).collect();
        assert_eq!(there, [false, false, true, true, true]);
        assert_eq!(fs::read_to_string(&aside[4]).unwrap(), "4");
        assert_eq!(dir.path().read_dir().unwrap().count(), 4);
    }

    #[test]
    fn what_is_no_database_is_damaged_and_what_cannot_be_opened_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path().join("verdicts"));
        for content in ["no database", &"no database".repeat(10_000)] {
            fs::write(&place.path, content).unwrap();
            assert!(matches!(place.open(), Err(Fault::Damaged { .. })), "{:?}", place.open().err());
        }
        fs::remove_file(&place.path).unwrap();
        fs::create_dir(&place.path).unwrap();
        assert!(matches!(place.open(), Err(Fault::Refused(_))));
    }
}
