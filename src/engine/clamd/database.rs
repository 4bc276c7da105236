//! Signatures that clamd's version does not show.
//!
//! VERSION names the daily database only. Files of third parties change without it, and they change before clamd loads
//! them: on its own schedule, up to `SelfCheck` (600 s) later, or when it is told to. So a change is *pending* until clamd
//! acknowledged a `RELOAD` of ours, time enough has passed for it to be done (clamd never says so), and canaries passed.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// How often clamd looks by itself, by its defaults.
const SELF_CHECK: Duration = Duration::from_mins(10);

/// Names, sizes and times of all signature files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(String);

impl Fingerprint {
    /// Reads the directory; blocks.
    fn of(dir: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            // freshclam keeps its own notes and downloads here, too.
            let name = entry.file_name().into_string().unwrap_or_default();
            if metadata.is_file() && name != "freshclam.dat" && !name.starts_with('.') && !name.starts_with("tmp") {
                let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
                files.push((name, metadata.len(), changed));
            }
        }
        files.sort();
        let digest = Sha256::digest(format!("{files:?}"));
        let mut text = String::new();
        digest[..8].iter().try_for_each(|byte| write!(text, "{byte:02x}")).map_err(io::Error::other)?;
        Ok(Self(text))
    }
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
        Self { dir, looking: Arc::default(), settle, in_force: None, pending: None }
    }

    /// A look at the directory, for a thread that may block; `None` while another one is under way.
    pub(super) fn look(&mut self) -> Option<impl FnOnce() -> io::Result<Fingerprint> + Send + use<>> {
        let (dir, looking) = (self.dir.clone(), Arc::clone(&self.looking));
        let is_free = !looking.swap(true, Ordering::SeqCst);
        is_free.then_some(move || {
            let fingerprint = Fingerprint::of(&dir);
            looking.store(false, Ordering::SeqCst);
            fingerprint
        })
    }

    /// Takes note of what the directory looks like now, right after canaries passed.
    pub(super) fn seen(&mut self, now: Fingerprint) -> Step {
        let Some(in_force) = &self.in_force else {
            self.in_force = Some(now);
            return Step::Rest;
        };
        match &self.pending {
            None if *in_force == now => Step::Rest,
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

    /// The fingerprint in force, as part of an epoch.
    pub(super) fn text(&self) -> &str {
        self.in_force.as_ref().map_or("", |fingerprint| &fingerprint.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(text: &str) -> Fingerprint {
        Fingerprint(text.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_acts_once_clamd_had_time_to_load_it() {
        let mut watch = Watch::new("/db".into(), Duration::from_mins(3));
        assert_eq!(watch.seen(fingerprint("a")), Step::Rest);
        assert_eq!(watch.seen(fingerprint("half of b")), Step::Rest);
        assert_eq!(watch.seen(fingerprint("b")), Step::Rest, "it may still be written");
        assert_eq!(watch.seen(fingerprint("b")), Step::Reload);
        assert_eq!(watch.seen(fingerprint("b")), Step::Reload, "not acknowledged");
        watch.acknowledged();
        assert_eq!((watch.seen(fingerprint("b")), watch.text()), (Step::Rest, "a"));
        tokio::time::advance(Duration::from_mins(3)).await;
        assert_eq!((watch.seen(fingerprint("b")), watch.text()), (Step::Adopted, "b"));
        assert_eq!(watch.seen(fingerprint("b")), Step::Rest);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clamd_that_takes_no_orders_loads_it_by_itself() {
        let mut watch = Watch::new("/db".into(), Duration::from_mins(3));
        watch.seen(fingerprint("a"));
        watch.seen(fingerprint("b"));
        assert_eq!(watch.seen(fingerprint("b")), Step::Reload);
        tokio::time::advance(Duration::from_mins(13)).await;
        assert_eq!(watch.seen(fingerprint("b")), Step::Adopted);
    }

    #[test]
    fn every_signature_file_counts_and_notes_of_freshclam_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let look = || Fingerprint::of(dir.path()).unwrap();
        write("own.ndb", "A:0:*:00");
        let before = look();
        write("freshclam.dat", "x");
        assert_eq!(look(), before);
        write("own.ndb", "A:0:*:0000");
        let changed = look();
        assert_ne!(changed, before);
        write("third.hdb", "");
        assert_ne!(look(), changed);
    }
}
