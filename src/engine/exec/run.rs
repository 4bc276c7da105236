//! Runs of programs that end with all that they started.

use std::{ffi::OsStr, io, path::Path, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

/// Variables of ours that programs get. Others may hold secrets of the configuration.
const PASSED_ON: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Most that is read of what a program says of its version, in bytes.
const MAX_VERSION: u64 = 256;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With an exit code.
    Code(u8),
    /// By a signal, or in another way that says nothing.
    Otherwise,
}

/// A program and all that it started. They are in a process group of their own and are killed when this is dropped,
/// whether the program has ended or not: what it left behind would keep the medium.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let leader = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Self { child, leader })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // Fails if nobody is left.
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Runs a program on a file, with `dir` for its temporary files.
pub(super) async fn run(command: &[String], file: &Path, dir: &Path) -> io::Result<Ended> {
    let mut command = prepared(command, dir.as_os_str());
    let mut group = Group::start(command.arg(file).stdout(Stdio::null()))?;
    let status = group.child.wait().await?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(Ended::Otherwise, Ended::Code))
}

/// The first line that a program prints.
pub(super) async fn first_line(command: &[String], within: Duration) -> io::Result<String> {
    let temporary = std::env::temp_dir();
    let mut group = Group::start(prepared(command, temporary.as_os_str()).stdout(Stdio::piped()))?;
    let mut text = Vec::new();
    let output = group.child.stdout.take().map(|output| output.take(MAX_VERSION));
    if let Some(mut output) = output {
        timeout(within, output.read_to_end(&mut text)).await??;
    }
    let text = String::from_utf8_lossy(&text);
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(io::Error::other("it printed nothing")),
    }
}

fn prepared(command: &[String], temporary: &OsStr) -> Command {
    let (program, arguments) = command.split_first().map_or(("", command), |(first, rest)| (first.as_str(), rest));
    let mut prepared = Command::new(program);
    let passed_on = PASSED_ON.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    prepared.args(arguments).env_clear().envs(passed_on).env("TMPDIR", temporary);
    // What it prints may be of the medium, and so is for nobody.
    prepared.stdin(Stdio::null()).stderr(Stdio::null());
    prepared
}
