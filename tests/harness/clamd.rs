//! A real clamd with the sample signatures and the sample settings, in a folder of its own.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::eventually;

const SETTINGS: &str = include_str!("../../samples/clamd/clamd.conf");
const SIGNATURES: &str = include_str!("../../samples/clamd/lazaret-test.ndb");

/// A running clamd, killed on drop.
pub struct Clamd {
    dir: tempfile::TempDir,
    tcp_port: Option<u16>,
    process: Option<Child>,
}

impl Clamd {
    /// Starts one and waits until it listens.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts one that listens on TCP, too, with settings that override the sample ones.
    pub async fn start_on_tcp(settings: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!("TCPAddr 127.0.0.1\nTCPSocket {port}\n{settings}");
        let mut clamd = Self::start_with(&settings).await;
        clamd.tcp_port = Some(port);
        clamd
    }

    /// Starts one with settings that override the sample ones.
    pub async fn start_with(settings: &str) -> Self {
        let mut clamd = Self::prepare(settings);
        clamd.launch().await;
        clamd
    }

    /// Lays out the folder of one that is yet to be launched. In `settings` `@DIR@` stands for it; `@DIR@/tmp` is there.
    pub fn prepare(settings: &str) -> Self {
        // A socket's path must be short, so it cannot be below just any temporary directory.
        let dir = tempfile::Builder::new().prefix("lz").tempdir_in("/tmp").unwrap();
        let database = dir.path().join("db");
        std::fs::create_dir(&database).unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        std::fs::write(database.join("test.ndb"), SIGNATURES).unwrap();
        let overridden: Vec<&str> = settings.lines().filter_map(|line| line.split(' ').next()).collect();
        let kept = SETTINGS.lines().filter(|line| !overridden.contains(&line.split(' ').next().unwrap_or_default()));
        let text = format!("{}\n{settings}\n", kept.collect::<Vec<_>>().join("\n"));
        let text = text.replace("@DIR@", dir.path().to_str().unwrap()).replace("@DB@", database.to_str().unwrap());
        std::fs::write(dir.path().join("clamd.conf"), text).unwrap();
        Self { dir, tcp_port: None, process: None }
    }

    /// Starts it, for the first time or after [`Clamd::kill`].
    pub async fn launch(&mut self) {
        // Past a limit on the size of files (see `fill_disk`) writing shall fail, not kill, as on a full disk.
        let launched = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" --config-file \"$1\""])
            .arg(binary())
            .arg(self.dir.path().join("clamd.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(launched.expect("a shell"));
        let needed = "clamd listens (it is needed: apt-get install clamav-daemon, or run tests/run.sh)";
        let socket = self.socket();
        eventually(needed, || async { UnixStream::connect(&socket).await.is_ok() }).await;
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Makes every write of it to a file fail, or undoes that.
    pub fn fill_disk(&self, full: bool) {
        let current = full.then_some(0);
        prlimit(Some(self.pid()), Resource::Fsize, Rlimit { current, maximum: None }).unwrap();
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(self.process.as_ref().expect("launched"))
    }

    /// All that it answers to a command on a connection of its own.
    pub async fn ask(&self, command: &str) -> String {
        let mut answer = String::new();
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        stream.write_all(format!("z{command}\0").as_bytes()).await.unwrap();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// Waits until it has worked for a while on a file that it was handed: on no canary, those are done at once. It says
    /// so only while it has a thread to spare.
    pub async fn is_scanning(&self) {
        let works = |stats: &str| stats.lines().filter_map(seconds).any(|seconds| seconds > 0.5);
        eventually("clamd scans", || async { works(&self.ask("STATS").await) }).await;
    }

    /// Has it read its database again, and waits until its log has `outcome`.
    pub async fn reload(&self, outcome: &str) {
        let before = self.log().len();
        assert_eq!(self.ask("RELOAD").await, "RELOADING\0");
        eventually(outcome, || async { self.log()[before..].contains(outcome) }).await;
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("clamd.log")).unwrap_or_default()
    }

    /// Puts a file into its database, all at once as freshclam does.
    pub fn write_signatures(&self, name: &str, text: impl AsRef<[u8]>) {
        let unfinished = self.dir.path().join("unfinished");
        std::fs::write(&unfinished, text).unwrap();
        std::fs::rename(unfinished, self.database().join(name)).unwrap();
    }

    /// Its `DatabaseDirectory`.
    pub fn database(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    /// Takes away the folder that it uses if `TemporaryDirectory @DIR@/tmp` is set, or gives it a new one.
    pub fn has_temporary(&self, has: bool) {
        let (folder, gone) = (self.dir.path().join("tmp"), self.dir.path().join("gone"));
        if has {
            std::fs::create_dir(folder).unwrap();
        } else {
            // At once, whatever it writes there meanwhile.
            std::fs::rename(folder, &gone).unwrap();
            std::fs::remove_dir_all(gone).unwrap();
        }
    }

    /// Its local socket, as in the configuration.
    pub fn address(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Its TCP socket, as in the configuration.
    pub fn tcp_address(&self) -> String {
        format!("tcp:127.0.0.1:{}", self.tcp_port.expect("started with start_on_tcp"))
    }

    /// The path of its local socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("clamd.sock")
    }
}

impl Drop for Clamd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How long a scan of its STATS has been going on.
fn seconds(line: &str) -> Option<f64> {
    line.trim_start().strip_prefix("FILDES ")?.split(' ').next()?.parse().ok()
}

/// Debian keeps it where ordinary users do not look for programs.
fn binary() -> PathBuf {
    let debian = PathBuf::from("/usr/sbin/clamd");
    if debian.exists() { debian } else { "clamd".into() }
}
