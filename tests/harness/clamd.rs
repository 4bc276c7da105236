//! A real clamd with the sample signatures and the sample settings, in a folder of its own.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tokio::net::UnixStream;

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
        // A socket's path must be short, so it cannot be below just any temporary directory.
        let dir = tempfile::Builder::new().prefix("lz").tempdir_in("/tmp").unwrap();
        let database = dir.path().join("db");
        std::fs::create_dir(&database).unwrap();
        std::fs::write(database.join("test.ndb"), SIGNATURES).unwrap();
        let overridden: Vec<&str> = settings.lines().filter_map(|line| line.split(' ').next()).collect();
        let kept = SETTINGS.lines().filter(|line| !overridden.contains(&line.split(' ').next().unwrap_or_default()));
        let text = kept.collect::<Vec<_>>().join("\n");
        let text = text.replace("@DIR@", dir.path().to_str().unwrap()).replace("@DB@", database.to_str().unwrap());
        let text = format!("{text}\n{settings}\n");
        std::fs::write(dir.path().join("clamd.conf"), text).unwrap();
        let mut clamd = Self { dir, tcp_port: None, process: None };
        clamd.launch().await;
        clamd
    }

    /// Starts it again after [`Clamd::kill`].
    pub async fn launch(&mut self) {
        let launched = Command::new(binary())
            .arg("--config-file")
            .arg(self.dir.path().join("clamd.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(launched.expect("clamd is needed: apt-get install clamav-daemon, or run tests/run.sh"));
        let socket = self.socket();
        eventually("clamd listens", || async { UnixStream::connect(&socket).await.is_ok() }).await;
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
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

/// Debian keeps it where ordinary users do not look for programs.
fn binary() -> PathBuf {
    let debian = PathBuf::from("/usr/sbin/clamd");
    if debian.exists() { debian } else { "clamd".into() }
}
