//! The binary: its commands, and a process with a configuration of its own.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{AppBuilder, Client, eventually, request};

/// A command of the binary.
pub fn lazaret(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
    command.args(args);
    command
}

/// Sends a signal to a process that still runs.
pub fn signal(process: &Child, signal: Signal) {
    let pid = process.id().expect("it runs");
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// The binary, with a configuration of its own.
pub struct Binary {
    /// Where it keeps its files.
    pub dir: TempDir,
    /// Speaks to its public side, once it serves.
    pub client: Client,
    /// Speaks to its operators' side, once it serves.
    pub admin: Client,
    yaml: String,
}

impl Binary {
    pub fn new(settings: &AppBuilder) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [public, admin] = free_addresses();
        settings.write_policies(dir.path());
        let yaml = dir.path().join("lazaret.yaml").display().to_string();
        std::fs::write(&yaml, settings.yaml(dir.path(), &public.to_string(), &admin.to_string())).unwrap();
        Self { dir, client: Client::new(public), admin: Client::new(admin), yaml }
    }

    /// A command with its configuration.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = lazaret(args);
        command.args(["--config", &self.yaml]).env_remove("RUST_LOG");
        command
    }

    pub async fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }

    /// What a command that succeeds prints.
    pub async fn says(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs until it is killed or the test ends, with its log going there.
    pub async fn serve(&self, log: Stdio) -> Child {
        let process = self.command(&["serve"]).stderr(log).kill_on_drop(true).spawn().unwrap();
        let get = || self.admin.try_send(request("GET", "/readyz"), b"");
        eventually("the binary is ready", || async { get().await.is_ok_and(|answer| answer.status == 200) }).await;
        process
    }
}

/// Addresses on which nobody listens; both at once, or they might be the same.
fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
