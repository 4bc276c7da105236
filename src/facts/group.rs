//! Kinds of media types.

use serde::{Deserialize, Serialize};

/// What kind of thing a medium is. The order of the variants is stored: new ones come last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Group {
    /// Nothing is known of it, as of ciphertext.
    #[default]
    Unknown,
    /// No bytes.
    Empty,
    /// Text for people: plain, CSV, calendars, mail.
    Text,
    /// Markup that a browser runs: HTML, XHTML.
    Html,
    /// Text that an interpreter runs: shell, `PowerShell`, JavaScript, Python, batch, `VBScript`.
    Script,
    /// Machine code, and what installs or starts it: PE, ELF, Mach-O, Java, DEX, APK, MSI, packages, shortcuts.
    Executable,
    /// Pictures, SVG too.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Fonts.
    Font,
    /// Office documents, PDF, books.
    Document,
    /// Archives, compressed files, disk images.
    Archive,
    /// A known type of none of these kinds: databases, certificates, models.
    Data,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Unknown,
        Self::Empty,
        Self::Text,
        Self::Html,
        Self::Script,
        Self::Executable,
        Self::Image,
        Self::Audio,
        Self::Video,
        Self::Font,
        Self::Document,
        Self::Archive,
        Self::Data,
    ];

    /// Its name in rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Empty => "empty",
            Self::Text => "text",
            Self::Html => "html",
            Self::Script => "script",
            Self::Executable => "executable",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Font => "font",
            Self::Document => "document",
            Self::Archive => "archive",
            Self::Data => "data",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}
