//! What a security team has to know afterwards: a line in the log, and in a file of its own if there is one.
//!
//! The file is opened anew for each line, so it can be moved away at any time. A thread of its own writes it, so nobody waits for a
//! disk that hangs. What cannot be written there is in the log all the same.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use humantime_serde::re::humantime::format_rfc3339_millis;
use prometheus::{IntCounter, Registry};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// Records that wait to be written at most. What is beyond that is in the log alone.
const MOST: usize = 1000;

/// `audit` section of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// File for records, one a line, as JSON; made if missing. Without it they are in the log alone.
    pub path: Option<PathBuf>,
}

/// Takes records. All that are made of one write to the same file.
#[derive(Clone)]
pub struct Audit {
    queue: Option<mpsc::Sender<Order>>,
    failures: IntCounter,
}

/// What the writer is to do.
enum Order {
    Write(String),
    Tell(oneshot::Sender<()>),
}

/// Keeps the file.
struct Writer {
    path: PathBuf,
    failures: IntCounter,
}

#[derive(Serialize)]
struct Line<'a, T> {
    time: String,
    event: &'a str,
    #[serde(flatten)]
    content: &'a T,
}

impl Audit {
    /// The log says soon if the file cannot be written to.
    pub fn register(config: &Config, registry: &Registry) -> prometheus::Result<Self> {
        let help = "Audit records that could not be written to audit.path; they are in the log.";
        let failures = IntCounter::new("lazaret_audit_failures_total", help)?;
        registry.register(Box::new(failures.clone()))?;
        let queue = config.path.clone().map(|path| Writer { path, failures: failures.clone() }.start());
        Ok(Self { queue, failures })
    }

    /// Logs a record of that kind, and has it written. It waits for nothing.
    pub fn record(&self, event: &'static str, content: &impl Serialize) {
        let line = Line { time: timestamp(SystemTime::now()), event, content };
        let mut line = serde_json::to_string(&line).expect("records are plain data");
        tracing::warn!(target: "lazaret::audit", record = line, "{event}");
        let Some(queue) = &self.queue else { return };
        line.push('\n');
        if queue.try_send(Order::Write(line)).is_err() {
            self.failures.inc();
            tracing::error!("too many records wait for audit.path; this one is in the log alone");
        }
    }

    /// Waits until all records so far are written, but not for longer than that. False if some may not be.
    pub async fn written(&self, within: Duration) -> bool {
        let Some(queue) = &self.queue else { return true };
        let telling = async {
            let (tell, told) = oneshot::channel();
            queue.send(Order::Tell(tell)).await.is_ok() && told.await.is_ok()
        };
        timeout(within, telling).await.unwrap_or(false)
    }
}

impl Writer {
    /// Not a task: the process ends even if the file never answers.
    fn start(self) -> mpsc::Sender<Order> {
        let (orders, queue) = mpsc::channel(MOST);
        let failures = self.failures.clone();
        if let Err(error) = thread::Builder::new().name("audit".to_owned()).spawn(move || self.run(queue)) {
            failures.inc();
            tracing::error!(%error, "nothing can be written to audit.path");
        }
        orders
    }

    fn run(self, mut queue: mpsc::Receiver<Order>) {
        self.note(open(&self.path).map(drop));
        while let Some(order) = queue.blocking_recv() {
            match order {
                Order::Write(line) => self.note(append(&self.path, &line)),
                // Who asked may have left.
                Order::Tell(tell) => drop(tell.send(())),
            }
        }
    }

    fn note(&self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.failures.inc();
            tracing::error!(%error, path = %self.path.display(), "audit.path cannot be written to");
        }
    }
}

/// A time as records have it.
pub fn timestamp(time: SystemTime) -> String {
    format_rfc3339_millis(time).to_string()
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        os::unix::fs::MetadataExt,
    };

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    #[derive(Serialize)]
    struct Content {
        number: u32,
    }

    const LONG: Duration = Duration::from_mins(1);

    fn audit(path: &Path) -> Audit {
        Audit::register(&Config { path: Some(path.to_owned()) }, &Registry::new()).unwrap()
    }

    #[tokio::test]
    async fn every_record_is_a_line_that_the_owner_alone_reads_and_the_file_may_be_moved_away() {
        let dir = tempfile::tempdir().unwrap();
        let [path, moved] = ["audit", "moved"].map(|name| dir.path().join(name));
        let audit = audit(&path);
        audit.record("one", &Content { number: 1 });
        audit.record("two", &Content { number: 2 });
        assert!(audit.written(LONG).await);
        std::fs::rename(&path, &moved).unwrap();
        audit.record("three", &Content { number: 3 });
        assert!(audit.written(LONG).await);
        let read = |path| -> Vec<serde_json::Value> {
            let text = std::fs::read_to_string(path).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        assert_eq!(read(&moved).len(), 2);
        let line = &read(&path)[0];
        assert_eq!((&line["event"], &line["number"]), (&"three".into(), &3.into()));
        assert!(line["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_counted_and_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let audit = audit(&dir.path().join("missing").join("audit"));
        assert!(audit.written(LONG).await);
        assert_eq!(audit.failures.get(), 1, "told at the start");
        audit.record("one", &Content { number: 1 });
        assert!(audit.written(LONG).await);
        assert_eq!(audit.failures.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_hangs_keeps_nobody_waiting_and_takes_what_fits_once_it_answers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        // It opens once someone reads.
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let audit = audit(&path);
        for number in 0..=1000 {
            audit.record("one", &Content { number });
        }
        assert_eq!(audit.failures.get(), 1, "one found no room");
        assert!(!audit.written(LONG).await);
        let reading = thread::spawn(move || {
            // Open for both, it has no end between two writes.
            let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
            BufReader::new(file).lines().take(1000).count()
        });
        assert_eq!(reading.join().unwrap(), 1000);
    }
}
