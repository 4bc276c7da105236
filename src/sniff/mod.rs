//! What leading bytes tell. Never fails: unknown is a fact.

use crate::facts::Facts;

/// Bytes that [`examine`] wants to see.
pub const HEAD: usize = 8 * 1024;

/// Facts of a plaintext of `size` bytes that begins with `head`.
pub fn examine(head: &[u8], size: u64) -> Facts {
    Facts { size, detected_type: infer::get(head).map(|kind| kind.mime_type()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_are_named_and_noise_is_unknown() {
        assert_eq!(examine(b"\x89PNG\r\n\x1a\n....", 12).detected_type, Some("image/png"));
        assert_eq!(examine(b"%PDF-1.7", 8).detected_type, Some("application/pdf"));
        assert_eq!(examine(&[0xd1, 0x57, 0x02, 0x9c], 4), Facts { size: 4, detected_type: None });
        assert_eq!(examine(b"", 0).detected_type, None);
    }
}
