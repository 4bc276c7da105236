//! Signatures that clamd's version does not show.
//!
//! VERSION names the daily database only. Files of third parties change without it, and they change before clamd loads
//! them: on its own schedule, up to `SelfCheck` (600 s) later, or when it is told to. So a change is *pending* until clamd
//! acknowledged a `RELOAD` of ours, time enough has passed for it to be done (clamd never says so), and canaries passed.
//!
//! So is what is there at first, unless it has been there for so long that clamd has looked by itself meanwhile. Until then
//! verdicts are marked with something that nobody will ever have again: they count in this process, and only until then.
//!
//! Two clamds with the same signatures have the same fingerprint, whenever their files were written: it is made of content. Names,
//! sizes and times only tell what has to be read again.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use ulid::Ulid;

/// How often clamd looks by itself, by its defaults.
const SELF_CHECK: Duration = Duration::from_mins(10);

/// What was written so short a time ago may change once more without another time.
const COARSE: Duration = Duration::from_secs(2);

/// What marks verdicts of signatures that are not known yet.
const UNKNOWN: &str = "unknown-";

/// The head of a database of `ClamAV`'s own.
const HEAD: usize = 512;

/// The content of all signature files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(String);

/// What a look at the directory shows.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    fingerprint: Fingerprint,
    /// For how long nothing has changed.
    rested: Duration,
}

/// A file as far as it can be told without reading it: name, size, and when it was last written and last put there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Outside(String, u64, [i64; 4]);

impl Outside {
    fn of(name: String, metadata: &fs::Metadata) -> Self {
        let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
        Self(name, metadata.len(), times)
    }

    fn changed(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.2[0].max(self.2[2]).try_into().unwrap_or_default())
    }
}

/// What was read of files that have not changed since.
type Contents = HashMap<Outside, String>;

impl Seen {
    /// Reads the directory, and what is not `known` of its files; blocks.
    fn of(dir: &Path, known: &mut Contents) -> io::Result<Self> {
        let (now, mut changed) = (SystemTime::now(), fs::metadata(dir)?.modified()?);
        let (mut contents, mut parts) = (Contents::new(), Vec::new());
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            // freshclam keeps its own notes and downloads here, too.
            let name = entry.file_name().into_string().unwrap_or_default();
            if !metadata.is_file() || name == "freshclam.dat" || name.starts_with('.') || name.starts_with("tmp") {
                continue;
            }
            let outside = Outside::of(name, &metadata);
            changed = changed.max(outside.changed());
            let content = known.remove(&outside).map_or_else(|| content(&entry.path()), Ok)?;
            parts.push(content.clone());
            if now.duration_since(outside.changed()).is_ok_and(|age| age > COARSE) {
                contents.insert(outside, content);
            }
        }
        *known = contents;
        parts.sort();
        let fingerprint = Fingerprint(hex(&Sha256::digest(parts.join("\n"))[..8])?);
        Ok(Self { fingerprint, rested: now.duration_since(changed).unwrap_or_default() })
    }
}

/// What is in a file: of a signed database its version, whether it came whole or was patched together; of others all of it.
fn content(path: &Path) -> io::Result<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut file = File::open(path)?;
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    if let Some((stem, "cvd" | "cld")) = name.rsplit_once('.')
        && let Some((version, number)) = version(&head)
    {
        return Ok(format!("{stem} {version} {number}"));
    }
    let mut hash = Sha256::new();
    hash.update(&head);
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => hash.update(&piece[..read]),
        }
    }
    Ok(format!("{name} {}", hex(&hash.finalize())?))
}

/// The version of a database, and the number of its signatures.
fn version(head: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(head).ok().filter(|text| text.len() == HEAD)?;
    let mut fields = text.strip_prefix("ClamAV-VDB:")?.split(':').skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn hex(bytes: &[u8]) -> io::Result<String> {
    let mut text = String::new();
    bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}")).map_err(io::Error::other)?;
    Ok(text)
}

/// False for what marks verdicts of signatures that are not known yet.
pub(super) fn is_known(fingerprint: &str) -> bool {
    !fingerprint.starts_with(UNKNOWN)
}

/// What to do about the directory after a look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Rest,
    /// Tell clamd to reload, and report it by [`Watch::acknowledged`].
    Reload,
    /// The pending fingerprint has become the one in force.
    Adopted,
}

/// Watches the directory of one clamd.
#[derive(Debug)]
pub(super) struct Watch {
    dir: PathBuf,
    /// A look is under way: a directory that does not answer gets no second one.
    looking: Arc<AtomicBool>,
    settle: Duration,
    contents: Arc<Mutex<Contents>>,
    /// Stands for the fingerprint until there is one in force.
    unknown: String,
    in_force: Option<Fingerprint>,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    fingerprint: Fingerprint,
    since: Instant,
    acknowledged: Option<Instant>,
}

impl Pending {
    /// True once clamd has loaded it: some time after it said so or, if it takes no orders, after it looked by itself.
    fn is_loaded(&self, settle: Duration) -> bool {
        let told = self.acknowledged.is_some_and(|since| since.elapsed() >= settle);
        told || self.since.elapsed() >= SELF_CHECK + settle
    }
}

impl Watch {
    /// Watches `dir`; clamd is believed to be done with a reload after `settle`.
    pub(super) fn new(dir: PathBuf, settle: Duration) -> Self {
        let unknown = format!("{UNKNOWN}{}", Ulid::generate());
        Self { dir, looking: Arc::default(), settle, contents: Arc::default(), unknown, in_force: None, pending: None }
    }

    /// A look at the directory, for a thread that may block; `None` while another one is under way.
    pub(super) fn look(&mut self) -> Option<impl FnOnce() -> io::Result<Seen> + Send + use<>> {
        let (dir, looking, contents) = (self.dir.clone(), Arc::clone(&self.looking), Arc::clone(&self.contents));
        let is_free = !looking.swap(true, Ordering::SeqCst);
        is_free.then_some(move || {
            let seen = Seen::of(&dir, &mut contents.lock().unwrap_or_else(PoisonError::into_inner));
            looking.store(false, Ordering::SeqCst);
            seen
        })
    }

    /// True if the directory was never seen.
    pub(super) fn is_new(&self) -> bool {
        self.in_force.is_none() && self.pending.is_none()
    }

    /// Takes note of what the directory looks like now, right after canaries passed.
    pub(super) fn seen(&mut self, seen: Seen) -> Step {
        let Seen { fingerprint: now, rested } = seen;
        if self.is_new() && rested >= SELF_CHECK + self.settle {
            self.in_force = Some(now);
            return Step::Adopted;
        }
        match &self.pending {
            None if self.in_force.as_ref() == Some(&now) => Step::Rest,
            Some(pending) if pending.fingerprint == now => {
                if pending.is_loaded(self.settle) {
                    (self.in_force, self.pending) = (Some(now), None);
                    return Step::Adopted;
                }
                if pending.acknowledged.is_none() { Step::Reload } else { Step::Rest }
            }
            // Half-written files look different once more: clamd is told when two looks agree.
            _ => {
                self.pending = Some(Pending { fingerprint: now, since: Instant::now(), acknowledged: None });
                Step::Rest
            }
        }
    }

    /// clamd said that it reloads.
    pub(super) fn acknowledged(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.acknowledged = Some(Instant::now());
        }
    }

    /// The fingerprint in force, as part of an epoch, or what stands for it.
    pub(super) fn text(&self) -> &str {
        self.in_force.as_ref().map_or(&self.unknown, |fingerprint| &fingerprint.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that has not changed for hours.
    fn rested(text: &str) -> Seen {
        Seen { fingerprint: Fingerprint(text.to_owned()), rested: Duration::from_hours(2) }
    }

    /// One that has just changed.
    fn fresh(text: &str) -> Seen {
        Seen { rested: Duration::ZERO, ..rested(text) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_acts_once_clamd_had_time_to_load_it() {
        let mut watch = Watch::new("/db".into(), Duration::from_mins(3));
        assert_eq!(watch.seen(rested("a")), Step::Adopted);
        assert_eq!(watch.seen(rested("a")), Step::Rest);
        assert_eq!(watch.seen(fresh("half of b")), Step::Rest);
        assert_eq!(watch.seen(fresh("b")), Step::Rest, "it may still be written");
        assert_eq!(watch.seen(fresh("b")), Step::Reload);
        assert_eq!(watch.seen(fresh("b")), Step::Reload, "not acknowledged");
        watch.acknowledged();
        assert_eq!((watch.seen(fresh("b")), watch.text()), (Step::Rest, "a"));
        tokio::time::advance(Duration::from_mins(3)).await;
        assert_eq!((watch.seen(fresh("b")), watch.text()), (Step::Adopted, "b"));
        assert_eq!(watch.seen(fresh("b")), Step::Rest);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clamd_that_takes_no_orders_loads_it_by_itself() {
        let mut watch = Watch::new("/db".into(), Duration::from_mins(3));
        watch.seen(rested("a"));
        watch.seen(rested("b"));
        assert_eq!(watch.seen(rested("b")), Step::Reload, "its times may have been brought along");
        tokio::time::advance(Duration::from_mins(13)).await;
        assert_eq!(watch.seen(rested("b")), Step::Adopted);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_at_first_is_known_once_clamd_has_certainly_loaded_it() {
        let mut watches = [(); 2].map(|()| Watch::new("/db".into(), Duration::from_mins(3)));
        let unknown: Vec<String> = watches.iter().map(|watch| watch.text().to_owned()).collect();
        assert!(unknown[0] != unknown[1] && unknown.iter().all(|text| !is_known(text)), "nobody has it again");
        let [watch, _] = &mut watches;
        assert_eq!(watch.seen(fresh("a")), Step::Rest);
        assert_eq!((watch.seen(fresh("a")), watch.text()), (Step::Reload, &*unknown[0]));
        watch.acknowledged();
        tokio::time::advance(Duration::from_mins(3)).await;
        assert_eq!((watch.seen(fresh("a")), watch.text()), (Step::Adopted, "a"));
        assert!(is_known(watch.text()));
    }

    #[test]
    fn every_signature_file_counts_by_its_content_and_notes_of_freshclam_do_not() {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let write = |dir: usize, name: &str, text: &str| fs::write(dirs[dir].path().join(name), text).unwrap();
        let look = |dir: usize| Seen::of(dirs[dir].path(), &mut Contents::new()).unwrap().fingerprint;
        let long = "A:0:*:00\n".repeat(100_000);
        write(0, "own.ndb", &long);
        let before = look(0);
        write(0, "freshclam.dat", "x");
        write(1, "own.ndb", &long);
        assert_eq!((look(0), look(1)), (before.clone(), before.clone()), "another time is nothing");
        write(0, "own.ndb", &long.replace("00\n", "01\n"));
        assert_ne!(look(0), before);
        write(1, "third.hdb", "");
        assert_ne!(look(1), before);
    }

    #[test]
    fn a_signed_database_is_known_by_its_version_however_it_came() {
        let dir = tempfile::tempdir().unwrap();
        let head =
            |version: u32| format!("{:<512}", format!("ClamAV-VDB:23 Nov 2026 08-00 +0000:{version}:2:90:X:X:a:1"));
        let look = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            let seen = Seen::of(dir.path(), &mut Contents::new()).unwrap().fingerprint;
            fs::remove_file(path).unwrap();
            seen
        };
        let whole = look("daily.cvd", &(head(7) + "packed"));
        assert_eq!(look("daily.cld", &(head(7) + "patched together")), whole);
        assert_ne!(look("daily.cvd", &(head(8) + "packed")), whole);
        assert_ne!(look("main.cvd", &(head(7) + "packed")), whole);
        assert_ne!(
            look("daily.cvd", &head(7)[..400]),
            look("daily.cvd", &head(7)[..401]),
            "half of it is something else"
        );
        assert_ne!(look("own.ndb", &(head(7) + "a")), look("own.ndb", &(head(7) + "b")), "anybody can write a head");
    }

    #[test]
    fn what_has_not_changed_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own.ndb");
        fs::write(&path, "A:0:*:00").unwrap();
        let (metadata, mut known) = (fs::metadata(&path).unwrap(), Contents::new());
        known.insert(Outside::of("own.ndb".to_owned(), &metadata), "as it was".to_owned());
        let marked = Seen::of(dir.path(), &mut known).unwrap().fingerprint;
        assert_eq!(marked, Fingerprint(hex(&Sha256::digest("as it was")[..8]).unwrap()));
        assert!(known.is_empty(), "it was written just now, and could be once more within the same tick");
    }
}
