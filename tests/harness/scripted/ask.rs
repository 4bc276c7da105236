//! What a clamd can be asked, and what a sound one answers.

use std::collections::HashMap;

use super::{Script, Step};
use crate::harness::{eicar, encrypted_zip, nested_gzip};

/// What every OLE2 file begins with.
const OLE2: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// No specimen is as large as this.
pub(super) const LARGEST_SPECIMEN: usize = 16 * 1024;

/// Something that a clamd was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// To scan anything but a canary.
    Medium,
    /// To scan a canary.
    Canary(Specimen),
    Version,
    VersionCommands,
    Stats,
    Ping,
    Reload,
    /// Anything else.
    Unknown,
    /// Anything else, in a session.
    Misplaced,
}

impl Ask {
    /// What a command asks that brings nothing to scan.
    pub(super) fn of_command(command: &[u8], in_session: bool) -> Self {
        match command {
            b"VERSION" => Self::Version,
            b"VERSIONCOMMANDS" => Self::VersionCommands,
            b"STATS" => Self::Stats,
            b"PING" => Self::Ping,
            b"RELOAD" => Self::Reload,
            _ if in_session => Self::Misplaced,
            _ => Self::Unknown,
        }
    }

    /// What is asked with these bytes, given what is known of them at first.
    pub(super) fn of_bytes(head: &[u8]) -> Self {
        Specimen::recognise(head).map_or(Self::Medium, Self::Canary)
    }
}

/// Canaries whose verdict is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Specimen {
    /// Harmless text.
    Text,
    Eicar,
    /// Deeper than clamd looks.
    NestedGzip,
    EncryptedZip,
    /// A document with a macro, which clamd says nothing of unless it is told to.
    MacroDocument,
    /// EICAR and then nothing, as long as the largest medium.
    LongFile,
    /// EICAR in an archive that clamd opens only with more than Debian gives it.
    Rar,
}

impl Specimen {
    fn recognise(bytes: &[u8]) -> Option<Self> {
        match bytes {
            _ if bytes.starts_with(b"Lazaret canary") => Some(Self::Text),
            _ if bytes == eicar() => Some(Self::Eicar),
            _ if bytes == nested_gzip() => Some(Self::NestedGzip),
            _ if bytes == encrypted_zip() => Some(Self::EncryptedZip),
            _ if bytes.strip_prefix(&*eicar()).is_some_and(|rest| rest[0] == 0) => Some(Self::LongFile),
            _ if bytes.starts_with(b"Rar!") && bytes.len() < LARGEST_SPECIMEN => Some(Self::Rar),
            _ if bytes.starts_with(&OLE2) && bytes.len() < LARGEST_SPECIMEN => Some(Self::MacroDocument),
            _ => None,
        }
    }
}

/// What a sound clamd answers, with `media` for all that is no canary.
pub(super) fn sound(media: Script) -> HashMap<Ask, Script> {
    let mut scripts = HashMap::from([
        (Ask::Medium, media),
        (Ask::Canary(Specimen::Text), Script::clean()),
        (Ask::Canary(Specimen::Eicar), Script::reply(b"{}: Eicar-Test-Signature FOUND\0")),
        (Ask::Canary(Specimen::NestedGzip), Script::reply(b"{}: Heuristics.Limits.Exceeded.MaxRecursion FOUND\0")),
        (Ask::Canary(Specimen::EncryptedZip), Script::reply(b"{}: Heuristics.Encrypted.Zip FOUND\0")),
        (Ask::Canary(Specimen::MacroDocument), Script::clean()),
        (Ask::Canary(Specimen::LongFile), Script::reply(b"{}: Eicar-Test-Signature FOUND\0")),
        (Ask::Canary(Specimen::Rar), Script::clean()),
        (Ask::Stats, stats(10)),
        (Ask::Ping, Script::reply(b"{id}PONG\0")),
        (Ask::Reload, Script::reply(b"{id}RELOADING\0")),
        (Ask::Unknown, Script::reply(b"UNKNOWN COMMAND\0")),
        (Ask::Misplaced, Script::steps([Step::send(b"{id}Command invalid inside IDSESSION. ERROR\0"), Step::Close])),
    ]);
    scripts.extend(version("ClamAV 1.4.6/1/Mon Nov 23 08:00:00 2026"));
    scripts
}

/// The same version by either command.
pub(super) fn version(version: &str) -> [(Ask, Script); 2] {
    let commands = "SCAN QUIT RELOAD PING CONTSCAN VERSIONCOMMANDS VERSION END SHUTDOWN MULTISCAN FILDES STATS \
                    IDSESSION INSTREAM DETSTATSCLEAR DETSTATS ALLMATCHSCAN";
    [
        (Ask::Version, Script::reply(format!("{{id}}{version}\0"))),
        (Ask::VersionCommands, Script::reply(format!("{{id}}{version}| COMMANDS: {commands}\0"))),
    ]
}

/// An idle clamd with this many threads at most.
pub(super) fn stats(max_threads: usize) -> Script {
    Script::reply(format!(
        "{{id}}POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 1  idle 0 max {max_threads} idle-timeout 30\n\
         QUEUE: 0 items\n\tSTATS 0.000005 \n\nMEMSTATS: heap N/A mmap N/A used N/A free N/A releasable N/A pools 1 \
         pools_used 5.897M pools_total 5.980M\nEND\0"
    ))
}
