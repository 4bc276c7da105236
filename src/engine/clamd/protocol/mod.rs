//! clamd's replies, without any socket.
//!
//! Every form that clamd 1.4 and 1.5 give to `z` commands is known here by its exact bytes; whatever differs from all of
//! them is a [`ProtocolError`]. [`Said`] is the one type for what a reply says.
//!
//! | command | replies |
//! |---|---|
//! | `zINSTREAM` | `stream: OK`, `stream: NAME FOUND`, `stream: TEXT ERROR`, `INSTREAM size limit exceeded. ERROR` |
//! | `zFILDES` | the same with `fd[N]`, after clamd's own descriptor, in place of `stream` |
//! | `zVERSION` | `ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026`, or `ClamAV 1.4.6` where there is no daily database |
//! | `zSTATS` | several lines that end in `END` |
//! | `zPING`, `zRELOAD` | `PONG`, `RELOADING` |
//! | any | `TEXT ERROR`, `UNKNOWN COMMAND`, `COMMAND UNAVAILABLE`, `COMMAND READ TIMED OUT` |
//!
//! Each ends in NUL, but `COMMAND READ TIMED OUT` in a newline whatever the command. In a session a number and a colon
//! precede it.

mod stats;
mod version;

pub use self::{stats::Stats, version::Version};
use crate::verdict::{self, Clean, Detection, Verdict};

/// Which command a reply belongs to; clamd names the medium differently in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `zINSTREAM`: the reply names it `stream`.
    Instream,
    /// `zFILDES`: the reply names it `fd[N]` after clamd's own descriptor.
    Fildes,
    /// `zVERSION`: engine and signature database.
    Version,
    /// `zVERSIONCOMMANDS`: the same and a list of commands. clamd 1.5 can be told to keep its version to itself, but not
    /// in this form.
    VersionCommands,
    /// `zSTATS`: threads and queue.
    Stats,
    /// `zPING`.
    Ping,
    /// `zRELOAD`: read the signature database again.
    Reload,
}

impl Command {
    /// The command as it is sent.
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Instream => b"zINSTREAM\0",
            Self::Fildes => b"zFILDES\0",
            Self::Version => b"zVERSION\0",
            Self::VersionCommands => b"zVERSIONCOMMANDS\0",
            Self::Stats => b"zSTATS\0",
            Self::Ping => b"zPING\0",
            Self::Reload => b"zRELOAD\0",
        }
    }
}

/// What clamd said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A statement about the bytes of a scan.
    Verdict(Verdict),
    /// It could not do what it was asked.
    Trouble(Trouble),
    /// Its version.
    Version(Version),
    /// Its threads.
    Stats(Stats),
    /// It is there.
    Pong,
    /// It has begun to read its database; whether that works it never says.
    Reloading,
}

/// A failure in clamd's own words. The same bytes may be judged elsewhere, so it is no statement about them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Trouble {
    /// What kind of failure, as far as it is known.
    pub kind: TroubleKind,
    /// The reply, without its frame.
    pub text: String,
}

/// Kinds of [`Trouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// A disk, a directory, memory or a permission is missing on clamd's side.
    Resources,
    /// It does not know, or must not execute, the command.
    Command,
    /// It waited too long for us.
    ReadTimeout,
    /// Any other `ERROR`.
    Other,
}

impl TroubleKind {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resources => "error_resources",
            Self::Command => "error_command",
            Self::ReadTimeout => "error_read_timeout",
            Self::Other => "error_other",
        }
    }
}

/// The reply is none that clamd gives to this command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The connection was closed without one.
    #[error("clamd closed the connection without a reply")]
    Empty,
    /// It has no end.
    #[error("clamd's reply is cut off")]
    CutOff,
    /// A reply was followed by more.
    #[error("clamd sent more than one reply")]
    Trailing,
    /// In a session, it belongs to another command.
    #[error("clamd replied to another command")]
    WrongId,
    /// It has another form.
    #[error("clamd's reply is not understood: {0:?}")]
    Unknown(String),
}

/// Reads all that clamd sent on a connection of its own until it closed it.
///
/// More than one reply counts as the first, except that nothing but a clean reply may accompany a clean one: a full disk
/// gave an error and then `OK`, and a reply can be written into a connection that is not the one it is for.
pub fn parse(received: &[u8], command: Command) -> Result<Said, ProtocolError> {
    if received.is_empty() {
        return Err(ProtocolError::Empty);
    }
    let (line, rest) = split(received).ok_or(ProtocolError::CutOff)?;
    let ended_by_nul = received.get(line.len()) == Some(&0);
    let said = parse_line(&String::from_utf8_lossy(line), command)?;
    match said {
        Said::Verdict(Verdict::Clean(_)) | Said::Version(_) if !(rest.is_empty() && ended_by_nul) => {
            Err(ProtocolError::Trailing)
        }
        said => Ok(said),
    }
}

/// Reads the one reply that was received in a session, to the command that was its `id`th.
pub fn parse_in_session(received: &[u8], command: Command, id: u32) -> Result<Said, ProtocolError> {
    if received.is_empty() {
        return Err(ProtocolError::Empty);
    }
    let (line, _) = split(received).ok_or(ProtocolError::CutOff)?;
    // What ends a session has no number.
    if let Some(trouble) = parse_trouble(&String::from_utf8_lossy(line)) {
        return Ok(Said::Trouble(trouble));
    }
    let colon = line.windows(2).position(|pair| pair == b": ").ok_or_else(|| unknown(line))?;
    if line[..colon] != *id.to_string().as_bytes() {
        return Err(ProtocolError::WrongId);
    }
    parse(&received[colon + 2..], command)
}

/// The first reply, without its end, and what comes after it.
pub fn split(received: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = received.iter().position(|byte| *byte == 0).or_else(|| {
        // The one reply that ends otherwise; STATS has newlines within.
        let line = received.strip_suffix(b"\n")?;
        line.ends_with(READ_TIMEOUT.as_bytes()).then_some(line.len())
    })?;
    Some((&received[..end], &received[end + 1..]))
}

const READ_TIMEOUT: &str = "COMMAND READ TIMED OUT";

/// Sent as soon as an announced chunk would exceed `StreamMaxLength`: a statement about the size of the medium.
const SIZE_LIMIT: &str = "INSTREAM size limit exceeded. ERROR";

fn parse_line(line: &str, command: Command) -> Result<Said, ProtocolError> {
    let said = match command {
        Command::Instream => parse_verdict(line, line.strip_prefix("stream: ")),
        Command::Fildes => parse_verdict(line, line.strip_prefix("fd[").and_then(strip_descriptor)),
        Command::Version => Version::parse(line).map(Said::Version),
        Command::VersionCommands => {
            line.split_once("| COMMANDS:").and_then(|(version, _)| Version::parse(version)).map(Said::Version)
        }
        Command::Stats => Stats::parse(line).map(Said::Stats),
        Command::Ping => (line == "PONG").then_some(Said::Pong),
        Command::Reload => (line == "RELOADING").then_some(Said::Reloading),
    };
    said.or_else(|| parse_trouble(line).map(Said::Trouble)).ok_or_else(|| unknown(line.as_bytes()))
}

fn parse_verdict(line: &str, statement: Option<&str>) -> Option<Said> {
    if let Some("OK") = statement {
        #[expect(clippy::disallowed_methods, reason = "this is the exact clean reply to this command")]
        return Some(Said::Verdict(Verdict::Clean(Clean::attest())));
    }
    if line == SIZE_LIMIT {
        return Some(Said::Verdict(Verdict::Incomplete { why: Detection(verdict::STREAM_LIMIT.to_owned()) }));
    }
    let name = statement?.strip_suffix(" FOUND").filter(|name| !name.is_empty())?;
    Some(Said::Verdict(classify(name)))
}

/// `12]: TEXT` gives `TEXT`.
fn strip_descriptor(text: &str) -> Option<&str> {
    let (number, statement) = text.split_once("]: ")?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(statement)
}

/// clamd reports as found what it merely could not look into; those names are no infection.
fn classify(name: &str) -> Verdict {
    let name = without_hash(name);
    let detection = Detection(name.to_owned());
    if name.starts_with("Heuristics.Limits.Exceeded") {
        Verdict::Incomplete { why: detection }
    } else if name.starts_with("Heuristics.Encrypted.") {
        Verdict::Opaque { why: detection }
    } else {
        Verdict::Infected { detection }
    }
}

/// `NAME(md5:size)`, as with `ExtendedDetectionInfo` or of old, gives `NAME`.
fn without_hash(name: &str) -> &str {
    let parts = name
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
        .and_then(|(name, info)| Some((name, info.split_once(':')?)));
    match parts {
        Some((name, (hash, size)))
            if !name.is_empty()
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                && size.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            name
        }
        _ => name,
    }
}

fn parse_trouble(line: &str) -> Option<Trouble> {
    let kind = match line {
        READ_TIMEOUT => TroubleKind::ReadTimeout,
        "UNKNOWN COMMAND" | "COMMAND UNAVAILABLE" => TroubleKind::Command,
        _ => {
            let text = line.strip_suffix(" ERROR")?;
            let resources = ["memory", "Access denied", "temporary", "write", "read", "stat", "open", "map"];
            match resources.iter().any(|word| text.contains(word)) {
                true => TroubleKind::Resources,
                false => TroubleKind::Other,
            }
        }
    };
    Some(Trouble { kind, text: line.to_owned() })
}

fn unknown(line: &[u8]) -> ProtocolError {
    ProtocolError::Unknown(String::from_utf8_lossy(line).chars().take(200).collect())
}

#[cfg(test)]
mod tests;
