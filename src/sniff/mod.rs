//! What leading bytes tell. Never fails: unknown is a fact.

mod noise;

use std::sync::Arc;

use infer::MatcherType;

use crate::facts::Facts;

/// Bytes that [`examine`] wants to see.
pub const HEAD: usize = 8 * 1024;

/// Facts of a plaintext of `size` bytes that begins with `head`.
pub fn examine(head: &[u8], size: u64) -> Facts {
    let kind = infer::get(head);
    let container = kind.is_some_and(|kind| is_container(kind.matcher_type()));
    let opaque = kind.is_none() && noise::is_noise(head, size);
    let detected_type = kind.map(|kind| kind.mime_type()).or_else(|| without_magic(head, size)).map(Arc::from);
    Facts { size, detected_type, container, opaque }
}

/// The types of what begins in no particular way, under the names that libmagic has for them.
fn without_magic(head: &[u8], size: u64) -> Option<&'static str> {
    match size {
        0 => Some("application/x-empty"),
        _ => noise::is_text(head, (head.len() as u64) < size).then_some("text/plain"),
    }
}

fn is_container(group: MatcherType) -> bool {
    matches!(group, MatcherType::Archive | MatcherType::Book | MatcherType::Doc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_text_and_nothing_are_named_and_noise_is_unknown() {
        assert_eq!(examine(b"\x89PNG\r\n\x1a\n....", 12).detected_type.as_deref(), Some("image/png"));
        assert_eq!(examine(b"%PDF-1.7", 8).detected_type.as_deref(), Some("application/pdf"));
        let noise = Facts { size: 4, detected_type: None, container: false, opaque: true };
        assert_eq!(examine(&[0xd1, 0x57, 0x02, 0x9c], 4), noise);
        assert_eq!(examine(b"", 0).detected_type.as_deref(), Some("application/x-empty"));
        assert_eq!(examine("gruß".as_bytes(), 5).detected_type.as_deref(), Some("text/plain"));
        assert_eq!(
            examine(&"gruß".as_bytes()[..4], 5).detected_type.as_deref(),
            Some("text/plain"),
            "cut within a character"
        );
        assert_eq!(examine(b"\0text", 5).detected_type, None);
    }

    #[test]
    fn archives_are_told_from_photos() {
        assert!(examine(b"PK\x03\x04\x14\0\0\0\x08\0", 10).container);
        assert!(examine(b"\x1f\x8b\x08\0\0\0\0\0", 8).container);
        assert!(!examine(b"\x89PNG\r\n\x1a\n....", 12).container);
    }

    #[test]
    fn what_is_known_or_readable_or_not_there_is_not_opaque() {
        let noise: Vec<u8> = (0..=u8::MAX).collect();
        assert!(examine(&noise, 256).opaque);
        for bytes in [[b"\x89PNG\r\n\x1a\n", &noise[..]].concat(), b"to whom it may concern".to_vec(), Vec::new()] {
            assert!(!examine(&bytes, bytes.len() as u64).opaque, "{}", bytes.escape_ascii());
        }
    }
}
