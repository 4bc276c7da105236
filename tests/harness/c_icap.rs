//! A real c-icap with its service `virus_scan`, a clamd behind it, and the sample settings, in a folder of its own.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;

use super::{Clamd, eventually};

const SETTINGS: &str = include_str!("../../samples/c-icap/c-icap.conf");

/// A running c-icap, killed on drop.
pub struct CIcap {
    dir: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl CIcap {
    /// Starts one in front of `clamd` and waits until it listens.
    pub async fn start(clamd: &Clamd) -> Self {
        Self::start_with(clamd, "").await
    }

    /// Starts one with settings that override the sample ones.
    pub async fn start_with(clamd: &Clamd, settings: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("lz").tempdir_in("/tmp").unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let key = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let overridden: Vec<String> = settings.lines().map(key).collect();
        let kept = SETTINGS.lines().filter(|line| !overridden.contains(&key(line)));
        let text = format!("{}\n{settings}\n", kept.collect::<Vec<_>>().join("\n"))
            .replace("@DIR@", dir.path().to_str().unwrap())
            .replace("@PORT@", &port.to_string())
            .replace("@MODULES@", modules().to_str().unwrap())
            .replace("@CLAMD@", clamd.socket().to_str().unwrap());
        std::fs::write(dir.path().join("c-icap.conf"), text).unwrap();
        let mut c_icap = Self { dir, port, process: None };
        c_icap.launch().await;
        c_icap
    }

    /// Starts it, for the first time or after [`CIcap::kill`].
    pub async fn launch(&mut self) {
        let address = ("127.0.0.1", self.port);
        eventually("those killed are gone", || async { TcpStream::connect(address).await.is_err() }).await;
        // Left behind when it was killed, and taken for a sign that it runs.
        let _gone = std::fs::remove_file(self.dir.path().join("c-icap.pid"));
        let output = std::fs::File::create(self.dir.path().join("output")).unwrap();
        let launched = Command::new("c-icap")
            .args(["-N", "-f"])
            .arg(self.dir.path().join("c-icap.conf"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            // It forks, and its children outlive it.
            .process_group(0)
            .spawn();
        let needed = "c-icap is needed: apt-get install c-icap libc-icap-mod-virus-scan, or run tests/run.sh";
        self.process = Some(launched.expect(needed));
        eventually("c-icap listens", || async { TcpStream::connect(address).await.is_ok() }).await;
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            kill_process_group(Pid::from_child(&process), Signal::KILL).unwrap();
            process.wait().unwrap();
        }
    }

    /// Its service, as in the configuration.
    pub fn url(&self) -> String {
        self.service("avscan")
    }

    /// Another service of it.
    pub fn service(&self, name: &str) -> String {
        format!("icap://127.0.0.1:{}/{name}", self.port)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }
}

impl Drop for CIcap {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where the distribution keeps its modules: below a folder that is named after the machine.
fn modules() -> PathBuf {
    let libraries = std::fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let folders = libraries.map(|entry| entry.path().join("c_icap"));
    folders
        .into_iter()
        .find(|folder| folder.join("virus_scan.so").exists())
        .expect("c-icap's modules are needed: apt-get install c-icap libc-icap-mod-virus-scan, or run tests/run.sh")
}
