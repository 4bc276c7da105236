//! What a medium is said to be, by its declared type and its name, held against the bytes.

use crate::facts::{Facts, Group, extension_group, media_type_group, names::extension};

/// True if what is declared and what the bytes are are of different kinds; `None` if one of them is not known, as of ciphertext,
/// which is declared as anything.
pub(super) fn of_type(declared: &str, facts: &Facts) -> Option<bool> {
    let declared = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(!fits(media_type_group(&declared)?, facts)?)
}

/// The same of the extension of a name.
pub(super) fn of_extension(name: &str, facts: &Facts) -> Option<bool> {
    Some(!fits(extension_group(&extension(name)?)?, facts)?)
}

/// True if bytes can be what they are said to be.
fn fits(said: Group, facts: &Facts) -> Option<bool> {
    use Group::{Archive, Audio, Data, Document, Empty, Executable, Html, Image, Script, Text, Unknown, Video};
    let kind = facts.detected_type.as_deref().unwrap_or_default();
    Some(match (said, facts.group) {
        (_, Unknown) => return None,
        (_, Empty) => true,
        (said, found) if said == found => true,
        // Whoever writes calls it as they like, and readers take it for what they were told.
        (Text | Html | Script, Text | Html | Script) => true,
        (Text, Image) => kind == "image/svg+xml",
        // The same boxes hold both.
        (Audio | Video, Audio | Video) => true,
        // Most documents are archives inside.
        (Archive, Document) => facts.container,
        (Script | Executable, Script | Executable) => true,
        (Data, found) => !matches!(found, Executable | Script | Html),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn facts(kind: &str, group: Group) -> Facts {
        Facts { size: 1, detected_type: Some(Arc::from(kind)), group, ..Facts::default() }
    }

    #[test]
    fn a_program_that_is_said_to_be_a_picture_is_a_mismatch() {
        let program = facts("application/vnd.microsoft.portable-executable", Group::Executable);
        assert_eq!(of_type("image/png", &program), Some(true));
        assert_eq!(of_type("IMAGE/PNG; a=b", &program), Some(true));
        assert_eq!(of_type("application/x-msdownload", &program), Some(false));
        assert_eq!(of_type("application/octet-stream", &program), None, "says nothing");
        assert_eq!(of_type("application/x-nobody-knows", &program), None);
        assert_eq!(of_extension("photo.jpg", &program), Some(true));
        assert_eq!(of_extension("setup.exe.", &program), Some(false));
        assert_eq!(of_extension("setup", &program), None);
    }

    #[test]
    fn kinds_that_nobody_tells_apart_fit() {
        let no = Some(false);
        assert_eq!(of_type("text/plain", &facts("text/x-shellscript", Group::Script)), no);
        assert_eq!(of_type("audio/ogg", &facts("video/ogg", Group::Video)), no);
        assert_eq!(of_type("text/xml", &facts("image/svg+xml", Group::Image)), no);
        let words = Facts { container: true, ..facts("application/vnd.oasis.opendocument.text", Group::Document) };
        assert_eq!(of_type("application/zip", &words), no);
        assert_eq!(of_type("image/png", &facts("application/x-empty", Group::Empty)), no);
        for (declared, kind, group) in [
            ("image/png", "text/html", Group::Html),
            ("image/png", "application/zip", Group::Archive),
            ("image/png", "text/plain", Group::Text),
            ("application/pdf", "text/javascript", Group::Script),
            ("text/plain", "image/png", Group::Image),
        ] {
            assert_eq!(of_type(declared, &facts(kind, group)), Some(true), "{declared} is {kind}");
        }
    }

    #[test]
    fn ciphertext_is_declared_as_anything() {
        let noise = Facts { size: 1, opaque: true, ..Facts::default() };
        assert_eq!(of_type("image/png", &noise), None);
        assert_eq!(of_extension("a.jpg", &noise), None);
    }
}
