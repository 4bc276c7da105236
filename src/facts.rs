//! What is known of a medium before any engine looks at it: pure data, stored with the verdict, input of the policy.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Facts of one medium's plaintext.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Length in bytes.
    pub size: u64,
    /// Media type told by the leading bytes, `text/plain` for any text that is nothing more; `None` when they are not known
    /// to be anything, as with ciphertext.
    pub detected_type: Option<Arc<str>>,
    /// The leading bytes are those of an archive, or of a document that is one inside: its size tells little of what it
    /// takes to look into it.
    pub container: bool,
    /// No known type, no text, and bytes as noise has them: ciphertext, as far as anyone can tell, and that cannot be
    /// judged without its key. What was compressed and has no known header looks the same, and so do all bodies of less
    /// than 256 bytes that are no text. The other way round this proves little: of random bytes, one body in 4500
    /// begins like a known type, and whoever chooses key or ciphertext can see to that.
    pub opaque: bool,
}
