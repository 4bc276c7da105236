//! Specimens whose verdict is known. A clamd that tells them apart works; one that answers PING may not.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ulid::Ulid;

use crate::verdict::Verdict;

/// The [EICAR test file](https://www.eicar.org/download-anti-malware-testfile/), encoded so that neither this source nor
/// the binary is taken for it.
const EICAR: &str = "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=";

/// A specimen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Canary {
    /// Harmless text, new each time: clamd remembers what it found clean and would answer without looking.
    Clean,
    /// The EICAR test file.
    Eicar,
}

impl Canary {
    /// All specimens.
    pub(super) const ALL: [Self; 2] = [Self::Clean, Self::Eicar];

    /// Its bytes.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Clean => format!("Lazaret canary {}", Ulid::generate()).into_bytes(),
            Self::Eicar => BASE64_STANDARD.decode(EICAR).expect("written above"),
        }
    }

    /// True if `verdict` is what a working engine says of it.
    pub(super) fn expects(self, verdict: &Verdict) -> bool {
        match self {
            Self::Clean => matches!(verdict, Verdict::Clean(_)),
            Self::Eicar => matches!(verdict, Verdict::Infected { .. }),
        }
    }
}
