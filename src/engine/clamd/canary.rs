//! Specimens whose verdict is known. A clamd that tells them apart works; one that answers PING may not.
//!
//! The first two tell whether it works at all. The other three tell what it keeps silent about: by its defaults clamd says
//! OK to what it gave up on, to what it could not open and to what it merely could have mentioned.

use crate::{
    engine::specimen,
    verdict::{Heuristics, Verdict},
};

/// Text in gzip in gzip, deeper than clamd looks by any setting in use.
const NESTED_GZIP: &str = include_str!("../../../samples/specimens/nested-gzip.b64");

/// A zip archive with a password.
const ENCRYPTED_ZIP: &str = include_str!("../../../samples/specimens/encrypted-zip.b64");

/// A document with a macro that does nothing.
const MACRO_DOCUMENT: &str = include_str!("../../../samples/specimens/macro-document.b64");

/// How clamd's word for macros begins.
const MACROS: &str = "Heuristics.OLE2.ContainsMacros";

/// A specimen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Canary {
    /// Harmless text, new each time: clamd remembers what it found clean and would answer without looking.
    Clean,
    /// The EICAR test file.
    Eicar,
    /// An archive beyond clamd's limits.
    NestedGzip,
    /// An archive that needs a password.
    EncryptedZip,
    /// A document with a macro.
    MacroDocument,
}

impl Canary {
    /// All specimens.
    pub(super) const ALL: [Self; 5] =
        [Self::Clean, Self::Eicar, Self::NestedGzip, Self::EncryptedZip, Self::MacroDocument];

    /// Its name in metrics and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Eicar => "eicar",
            Self::NestedGzip => "nested_gzip",
            Self::EncryptedZip => "encrypted_zip",
            Self::MacroDocument => "macro_document",
        }
    }

    /// Its bytes.
    pub(super) fn bytes(self) -> Vec<u8> {
        let encoded = match self {
            Self::Clean => return specimen::clean(),
            Self::Eicar => return specimen::eicar(),
            Self::NestedGzip => NESTED_GZIP,
            Self::EncryptedZip => ENCRYPTED_ZIP,
            Self::MacroDocument => MACRO_DOCUMENT,
        };
        specimen::decode(encoded)
    }

    /// True if an engine that says `verdict` of it can be worked with.
    pub(super) fn allows(self, verdict: &Verdict) -> bool {
        match self {
            Self::Clean => matches!(verdict, Verdict::Clean(_)),
            Self::Eicar => matches!(verdict, Verdict::Infected { .. }),
            Self::NestedGzip | Self::EncryptedZip | Self::MacroDocument => true,
        }
    }

    /// Notes in `named` what `verdict` on this specimen tells of the engine's heuristics.
    pub(super) fn note(self, verdict: &Verdict, named: &mut Heuristics) {
        match (self, verdict) {
            (Self::NestedGzip, Verdict::Incomplete { .. }) => named.limits = true,
            (Self::EncryptedZip, Verdict::Opaque { .. }) => named.encrypted = true,
            (Self::MacroDocument, Verdict::Infected { detection }) if detection.0.starts_with(MACROS) => {
                named.macros = true;
            }
            // Whatever else it is called, by a signature for instance, says nothing of the heuristic.
            _ => (),
        }
    }
}
