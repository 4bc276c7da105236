//! Finds the `clamd.conf` of a clamd, and the folder that it unpacks into.
//!
//! The kernel tells who listens on a local socket, and shows that process's arguments. Where systemd listens for clamd, and
//! for another machine, it does not: then the usual files are tried, and one counts only if it names the very socket that
//! we talk to.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use rustix::fs::FsWord;

use super::settings::Settings;
use crate::engine::clamd::{address::Address, config::BackendConfig};

/// As built by Debian, from source, and by Fedora.
const USUAL_FILES: [&str; 3] = ["/etc/clamav/clamd.conf", "/usr/local/etc/clamd.conf", "/etc/clamd.d/scan.conf"];

/// Where clamd puts temporary files if neither its file nor its environment says.
const DEFAULT_TEMPORARY_DIRECTORY: &str = "/tmp";

/// What the kernel calls tmpfs.
const TMPFS_MAGIC: FsWord = 0x0102_1994;

/// The settings, or why they cannot be seen, and what is known of the temporary directory.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) settings: Result<Settings, String>,
    pub(super) temporary: Option<Temporary>,
}

/// clamd's temporary directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Temporary {
    pub(super) directory: PathBuf,
    pub(super) storage: Storage,
}

/// What a directory is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// tmpfs.
    Memory,
    /// Anything else.
    Disk,
    /// It is not there.
    Missing,
    /// It cannot be looked at.
    Unseen(String),
}

/// Looks for the settings of the clamd at `backend`, which runs as `pid` if that is known. Reads files, so it blocks.
pub(super) fn look(backend: &BackendConfig, pid: Option<i32>) -> Found {
    let process = pid.and_then(Process::of);
    let settings = settings(backend, process.as_ref());
    let temporary = settings.as_ref().ok().map(|settings| temporary(settings, process.as_ref()));
    Found { settings, temporary }
}

fn settings(backend: &BackendConfig, process: Option<&Process>) -> Result<Settings, String> {
    if let Some(file) = &backend.config_file {
        return read(file).map_err(|error| format!("cannot read config_file {}: {error}", file.display()));
    }
    if let Some((process, file)) = process.and_then(|process| Some((process, process.config_file()?))) {
        return read(&process.sees(&file)).map_err(|error| format!("cannot read {}: {error}", file.display()));
    }
    let usual = USUAL_FILES.iter().map(Path::new);
    let mut belonging = usual.filter_map(|file| read(file).ok()).filter(|found| belongs(found, &backend.address));
    let why = "its clamd.conf cannot be found; name it in clamd.backends[].config_file";
    belonging.next().ok_or_else(|| why.to_owned())
}

fn read(path: &Path) -> io::Result<Settings> {
    let text = fs::read(path)?;
    Ok(Settings::parse(&String::from_utf8_lossy(&text)))
}

/// Whether these are the settings of a clamd that listens at `address`.
fn belongs(settings: &Settings, address: &Address) -> bool {
    match address {
        Address::Unix(socket) => settings.local_socket.as_deref().is_some_and(|named| is_same(named, socket)),
        Address::Tcp(authority) => authority.rsplit_once(':').is_some_and(|(host, port)| {
            let local = host == "localhost" || host.starts_with("127.") || host == "[::1]";
            local && settings.tcp_port.is_some_and(|number| number.to_string() == port)
        }),
    }
}

/// `/var/run` and `/run` are the same folder on most systems.
fn is_same(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn temporary(settings: &Settings, process: Option<&Process>) -> Temporary {
    let from_environment = || ["TMPDIR", "TMP", "TEMP"].iter().find_map(|name| process?.variable(name));
    let directory = settings.temporary_directory.clone().or_else(from_environment);
    let directory = directory.unwrap_or_else(|| DEFAULT_TEMPORARY_DIRECTORY.into());
    let seen = process.map_or_else(|| directory.clone(), |process| process.sees(&directory));
    Temporary { storage: storage(&seen), directory }
}

fn storage(directory: &Path) -> Storage {
    match rustix::fs::statfs(directory) {
        Ok(found) if found.f_type == TMPFS_MAGIC => Storage::Memory,
        Ok(_) => Storage::Disk,
        Err(rustix::io::Errno::NOENT) => Storage::Missing,
        Err(error) => Storage::Unseen(error.to_string()),
    }
}

/// A running clamd, as `/proc` shows it.
struct Process {
    folder: PathBuf,
    arguments: Vec<OsString>,
}

impl Process {
    /// `None` if it is gone, or is another program that listens for clamd or was given its number.
    fn of(pid: i32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let arguments = strings(&folder.join("cmdline"))?;
        let program = Path::new(arguments.first()?).file_name()?;
        (program == "clamd").then_some(Self { folder, arguments })
    }

    /// The file that it was told to read.
    fn config_file(&self) -> Option<PathBuf> {
        let mut arguments = self.arguments.iter();
        while let Some(argument) = arguments.next() {
            if argument == "-c" || argument == "--config-file" {
                return arguments.next().map(PathBuf::from);
            }
            if let Some(file) = argument.as_bytes().strip_prefix(b"--config-file=") {
                return Some(OsString::from_vec(file.to_vec()).into());
            }
        }
        None
    }

    /// A variable of its environment, if we may see that.
    fn variable(&self, name: &str) -> Option<PathBuf> {
        let value =
            |entry: &OsString| entry.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(Vec::from);
        strings(&self.folder.join("environ"))?.iter().find_map(value).map(|value| OsString::from_vec(value).into())
    }

    /// Where we find what it finds at `path`: it may have a file system or a `/tmp` of its own. What may not be seen
    /// that way is looked for at the same place in ours.
    fn sees(&self, path: &Path) -> PathBuf {
        let seen = match path.strip_prefix("/") {
            Ok(below) => self.folder.join("root").join(below),
            Err(_) => self.folder.join("cwd").join(path),
        };
        let hidden = fs::read_link(self.folder.join("root")).is_err();
        if hidden { path.to_owned() } else { seen }
    }
}

/// The strings of a file in which each ends with NUL.
fn strings(file: &Path) -> Option<Vec<OsString>> {
    let text = fs::read(file).ok()?;
    Some(text.split(|byte| *byte == 0).map(|string| OsString::from_vec(string.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn process(arguments: &[&str]) -> Process {
        Process { folder: "/proc/self".into(), arguments: arguments.iter().map(OsString::from).collect() }
    }

    #[test]
    fn a_file_found_by_guess_must_name_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        fs::write(&socket, "").unwrap();
        let around = dir.path().join("../").join(dir.path().file_name().unwrap()).join("s");
        let settings = Settings::parse(&format!("LocalSocket {}\nTCPSocket 3310\n", around.display()));
        assert!(belongs(&settings, &address(&format!("unix:{}", socket.display()))), "by another way to it");
        assert!(!belongs(&settings, &address("unix:/run/clamav/other.ctl")));
        for (text, expected) in [
            ("tcp:127.0.0.1:3310", true),
            ("tcp:localhost:3310", true),
            ("tcp:[::1]:3310", true),
            ("tcp:127.0.0.1:3311", false),
            ("tcp:clamd.internal:3310", false),
        ] {
            assert_eq!(belongs(&settings, &address(text)), expected, "{text}");
        }
    }

    #[test]
    fn the_file_is_named_among_the_arguments() {
        for (arguments, file) in [
            (&["clamd", "--foreground", "--config-file=/etc/x"][..], Some("/etc/x")),
            (&["clamd", "--config-file", "/etc/x"], Some("/etc/x")),
            (&["clamd", "-c", "x"], Some("x")),
            (&["clamd", "-c"], None),
            (&["clamd"], None),
        ] {
            assert_eq!(process(arguments).config_file().as_deref(), file.map(Path::new), "{arguments:?}");
        }
    }

    #[test]
    fn another_program_is_no_clamd() {
        assert!(Process::of(std::process::id().cast_signed()).is_none());
        assert!(Process::of(-1).is_none());
    }

    #[test]
    fn a_directory_that_is_not_there_is_missing() {
        assert_eq!(storage(Path::new("/nonexistent/tmp")), Storage::Missing);
    }

    #[test]
    fn a_file_that_was_named_and_cannot_be_read_is_said() {
        let backend =
            BackendConfig { config_file: Some("/nonexistent/c".into()), ..BackendConfig::at(address("unix:/s")) };
        let error = look(&backend, None).settings.unwrap_err();
        assert!(error.starts_with("cannot read config_file /nonexistent/c"), "{error}");
    }
}
