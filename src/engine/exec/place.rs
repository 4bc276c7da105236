//! Where media lie while a program looks at them: files of nobody else, on a file system that is in memory.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use futures_util::{StreamExt, pin_mut};
use rustix::{
    fs::{FlockOperation, StatVfs, flock, statfs, statvfs},
    process::geteuid,
};
use tempfile::TempDir;
use tokio::{runtime::Handle, task::consume_budget};

use crate::plaintext::Plaintext;

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of the kernel.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// With less room than this, in bytes and in files, nobody knows what a program could not do.
const LEAST_ROOM: u64 = 1024 * 1024;
const LEAST_FILES: u64 = 16;

/// Attempts to remove a directory while those who write there are dying, and the time between two.
const REMOVALS: u32 = 100;
const DYING: Duration = Duration::from_millis(20);

/// How the names of our directories begin.
const PREFIX: &str = "lazaret-exec-";

/// The file in a directory of ours that is locked while its process lives.
const LOCK: &str = "lock";

/// Why media cannot be given to programs.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The directory is on a disk.
    #[error("{0} is on no memory file system; plaintext of attachments must not touch a disk, so set dir to a tmpfs")]
    OnDisk(PathBuf),
    /// The directory has no room.
    #[error("{0} is smaller than limits.max_media_bytes; the largest media could never be scanned")]
    TooSmall(PathBuf),
    /// The directory cannot be used.
    #[error("{0} cannot be used")]
    Io(PathBuf, #[source] io::Error),
}

/// A directory of this process.
pub(super) struct Place {
    dir: TempDir,
    /// Held for as long as the directory is in use.
    #[cfg_attr(not(test), expect(dead_code, reason = "held, not used"))]
    lock: File,
}

impl Place {
    /// Makes a directory below `parent`, and removes those of processes that died. `largest` is the length of the largest
    /// medium.
    pub(super) fn open(parent: &Path, largest: u64) -> Result<Self, PlaceError> {
        check(parent, largest)?;
        remove_orphans(parent);
        let wrong = |error| PlaceError::Io(parent.to_owned(), error);
        let private = Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(parent).map_err(wrong)?;
        let lock = lock(dir.path()).map_err(wrong)?;
        Ok(Self { dir, lock })
    }

    /// Writes a medium to a file in a directory of its own, which goes with the guard. There is room in it for what a
    /// program wants to write itself.
    pub(super) async fn hold(&self, plaintext: &Plaintext) -> io::Result<Held> {
        let dir = tempfile::tempdir_in(self.dir.path())?;
        let path = dir.path().join("medium");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let pieces = plaintext.stream();
        pin_mut!(pieces);
        while let Some(piece) = pieces.next().await {
            // To memory, so nothing to wait for; but others must have their turn.
            file.write_all(&piece?)?;
            consume_budget().await;
        }
        Ok(Held { dir: Some(dir), path })
    }
}

/// Proves that a directory is in memory, and can hold the `largest` medium.
pub(super) fn check(dir: &Path, largest: u64) -> Result<(), PlaceError> {
    let wrong = |error: rustix::io::Errno| PlaceError::Io(dir.to_owned(), error.into());
    if !IN_MEMORY.contains(&statfs(dir).map_err(wrong)?.f_type) {
        return Err(PlaceError::OnDisk(dir.to_owned()));
    }
    match statvfs(dir).map_err(wrong)? {
        // Without a bound.
        StatVfs { f_blocks: 0, .. } => Ok(()),
        found if found.f_blocks.saturating_mul(found.f_frsize) > largest => Ok(()),
        _ => Err(PlaceError::TooSmall(dir.to_owned())),
    }
}

/// A medium in a file.
pub(super) struct Held {
    /// `None` once it is being removed.
    dir: Option<TempDir>,
    path: PathBuf,
}

impl Held {
    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory that it is in, and that goes with it.
    pub(super) fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// True if something can still be written there.
    pub(super) fn has_room(&self) -> bool {
        let room = |found: StatVfs| {
            let bytes = found.f_blocks == 0 || found.f_bavail.saturating_mul(found.f_frsize) >= LEAST_ROOM;
            bytes && (found.f_files == 0 || found.f_ffree >= LEAST_FILES)
        };
        statvfs(self.dir()).is_ok_and(room)
    }
}

impl Drop for Held {
    /// Programs may have left a lot, and some that were killed just now may be about to leave more.
    fn drop(&mut self) {
        let Some(dir) = self.dir.take() else { return };
        match Handle::try_current() {
            Ok(handle) => drop(handle.spawn_blocking(|| remove(dir))),
            Err(_) => remove(dir),
        }
    }
}

fn remove(dir: TempDir) {
    let path = dir.keep();
    for _ in 0..REMOVALS {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => thread::sleep(DYING),
            Err(error) => return tracing::error!(%error, dir = %path.display(), "a medium is left in memory"),
            Ok(()) => return,
        }
    }
    tracing::error!(dir = %path.display(), "a medium is left in memory: someone goes on writing there");
}

/// A lock that is never seen unlocked while its process lives: it gets its name last.
fn lock(dir: &Path) -> io::Result<File> {
    let unnamed = dir.join("new");
    let file = File::create_new(&unnamed)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    fs::rename(unnamed, dir.join(LOCK))?;
    Ok(file)
}

/// What a process leaves behind that had no time to clean up.
fn remove_orphans(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for dir in entries.flatten().map(|entry| entry.path()).filter(|dir| is_orphan(dir)) {
        let removed = fs::remove_dir_all(&dir);
        tracing::warn!(dir = %dir.display(), ?removed, "media of a process that died were left in memory");
    }
}

/// Whose lock is held is alive. What others made is none of our business, and might be a trap.
fn is_orphan(dir: &Path) -> bool {
    let is_named_so = dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    let is_ours = || fs::symlink_metadata(dir).is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw());
    let is_free = |lock: File| flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok();
    is_named_so && is_ours() && File::open(dir.join(LOCK)).is_ok_and(is_free)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Spool;

    #[tokio::test]
    async fn a_medium_is_private_and_goes_with_its_guard() {
        let parent = tempfile::tempdir_in("/dev/shm").unwrap();
        let place = Place::open(parent.path(), 1).unwrap();
        let held = place.hold(&Plaintext::Held(Spool::of(b"secret").into())).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(place.dir.path()), mode(held.path())), (0o700, 0o600));
        assert_eq!(fs::read(held.path()).unwrap(), b"secret");
        fs::write(held.dir().join("left"), "by a program").unwrap();
        let dir = held.dir().to_owned();
        drop(held);
        while dir.exists() {
            tokio::task::yield_now().await;
        }
        drop(place);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_dead_process_left_is_removed_and_what_a_living_one_has_is_not() {
        let parent = tempfile::tempdir_in("/dev/shm").unwrap();
        let (living, dead) = (Place::open(parent.path(), 1).unwrap(), Place::open(parent.path(), 1).unwrap());
        let (alive, left) = (living.dir.path().to_owned(), dead.dir.keep());
        drop(dead.lock);
        let other = parent.path().join("another-directory");
        fs::create_dir(&other).unwrap();
        let _next = Place::open(parent.path(), 1).unwrap();
        assert!(alive.exists() && other.exists() && !left.exists());
    }

    #[test]
    fn a_directory_on_a_disk_or_without_room_is_refused() {
        let shared = Path::new("/dev/shm");
        assert!(matches!(Place::open(shared, u64::MAX), Err(PlaceError::TooSmall(dir)) if dir == shared));
        let root = Path::new("/");
        assert!(matches!(Place::open(root, 1), Err(PlaceError::OnDisk(dir)) if dir == root));
    }
}
