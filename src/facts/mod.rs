//! What is known of a medium without any engine: pure data.
//!
//! [`Facts`] are of the bytes; they are stored with the verdict on them, and are the same whoever asks. An [`Occasion`] is of one
//! request: who wants the bytes moved where, and what they are called there. What is not known is absent, and never an error.
//! Rules see both, and what engines said, under the names of the table in [`policy::fact`](crate::policy::fact).

mod extension;
mod group;
mod inside;
mod media_type;
pub mod names;
mod occasion;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::{
    extension::extension_group,
    group::Group,
    inside::Inside,
    media_type::{canonical, is_told, is_well_formed, media_type_group},
    occasion::{Declared, Direction, Occasion},
};

/// A version of what finds facts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sniff(pub u8);

impl Sniff {
    /// This one. It is raised when facts become more or others: media of which older ones are remembered are looked at anew.
    pub const CURRENT: Self = Self(1);
}

impl Default for Sniff {
    fn default() -> Self {
        Self::CURRENT
    }
}

/// Facts of one medium's plaintext.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a thing of its own that can be known")]
pub struct Facts {
    /// Length in bytes.
    pub size: u64,
    /// Media type told by the bytes, `text/plain` for any text that is nothing more; `None` when they are not known to be
    /// anything, as with ciphertext.
    pub detected_type: Option<Arc<str>>,
    /// What kind of thing that type is.
    pub group: Group,
    /// Other types that the bytes can be taken for: what a second reader of signatures says if it disagrees, and what begins
    /// later in the body or is hung on to its end.
    pub other_types: Vec<Arc<str>>,
    /// The leading bytes are those of an archive, or of a document that is one inside: its size tells little of what it
    /// takes to look into it.
    pub container: bool,
    /// No known type, no text, and bytes as noise has them: ciphertext, as far as anyone can tell, and that cannot be
    /// judged without its key. What was compressed and has no known header looks the same, and so do all bodies of less
    /// than 256 bytes that are no text. The other way round this proves little: of random bytes, one body in 2300
    /// begins like a known type, and whoever chooses key or ciphertext can see to that.
    pub opaque: bool,
    /// Shannon entropy of the bytes that were looked at, in thousandths of a bit for each byte: 0 to 8000.
    pub entropy: u16,
    /// It holds macros, or would hold them in a format that has a place for them, as far as was looked.
    pub macros: bool,
    /// Scripts, or what starts them, in something that is no script itself: HTML, SVG, PDF.
    pub active: bool,
    /// A reader of another format would find one in the same bytes.
    pub polyglot: bool,
    /// Bytes after the end of what the format says is there; `None` where the format does not say, or was not followed.
    pub trailing: Option<u64>,
    /// It is a document that needs a password to be read.
    pub locked: bool,
    /// What a container holds; `None` for what is none, or none that can be looked into.
    pub inside: Option<Arc<Inside>>,
    /// What found all of this out.
    pub sniff: Sniff,
}
