//! Documents and programs that are a ZIP inside.

use memchr::memmem;

use super::super::{tally::HEAD, types};
use crate::sniff::active::reference;

/// Bytes that are read of the parts that say what a package is. Those of documents with thousands of parts have some 100 KiB.
const INDEX: usize = 512 * 1024;

/// What names and indices of a package say.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a part that was or was not there")]
pub(super) struct Package {
    /// Of Office Open XML, from the types of its parts.
    office: Option<&'static str>,
    /// The same as its folders have it.
    folder: Option<&'static str>,
    has_types: bool,
    /// What the entry `mimetype` says.
    mimetype: Option<&'static str>,
    is_encrypted: bool,
    has_macros: bool,
    /// What would be macros in an `OpenDocument`.
    has_basic: bool,
    is_active: bool,
    manifest: bool,
    class: bool,
    android: bool,
    dex: bool,
    mozilla: bool,
    ios: bool,
    appx: bool,
}

/// Content types of main parts, in lower case, and what a document with them is.
const OFFICE: [(&str, &str); 18] = [
    ("wordprocessingml.document.main+xml", types::DOCX),
    ("wordprocessingml.template.main+xml", types::DOTX),
    ("ms-word.document.macroenabled.main+xml", types::DOCM),
    ("ms-word.template.macroenabledtemplate.main+xml", types::DOTM),
    ("spreadsheetml.sheet.main+xml", types::XLSX),
    ("spreadsheetml.template.main+xml", types::XLTX),
    ("ms-excel.sheet.macroenabled.main+xml", types::XLSM),
    ("ms-excel.template.macroenabled.main+xml", types::XLTM),
    ("ms-excel.addin.macroenabled.main+xml", types::XLAM),
    ("ms-excel.sheet.binary.macroenabled.main", types::XLSB),
    ("presentationml.presentation.main+xml", types::PPTX),
    ("presentationml.slideshow.main+xml", types::PPSX),
    ("presentationml.template.main+xml", types::POTX),
    ("ms-powerpoint.presentation.macroenabled.main+xml", types::PPTM),
    ("ms-powerpoint.slideshow.macroenabled.main+xml", types::PPSM),
    ("ms-powerpoint.template.macroenabled.main+xml", types::POTM),
    ("ms-powerpoint.addin.macroenabled.main+xml", types::PPAM),
    ("ms-visio.drawing.main+xml", types::VSDX),
];

/// Those that have a place for macros. Binary workbooks are called so too, and mostly have none.
const WITH_MACROS: [&str; 9] = [
    types::DOCM,
    types::DOTM,
    types::XLSM,
    types::XLTM,
    types::XLAM,
    types::PPTM,
    types::PPSM,
    types::POTM,
    types::PPAM,
];

/// Relations that are followed when a document is opened, if they lead out of it.
const FOLLOWED: [&[u8]; 4] = [b"/attachedtemplate", b"/oleobject", b"/frame", b"/subdocument"];

impl Package {
    /// Bytes that [`Self::see`] wants of an entry.
    pub(super) fn wanted(name: &str) -> usize {
        let name = name.to_ascii_lowercase();
        let is_index = matches!(name.as_str(), "[content_types].xml" | "meta-inf/manifest.xml") || ends(&name, "rels");
        if is_index { INDEX } else { HEAD }
    }

    /// True if there may be more of an entry than [`Self::see`] is shown, and that would matter.
    pub(super) fn is_cut(name: &str, head: &[u8]) -> bool {
        head.len() >= INDEX && Self::wanted(name) == INDEX
    }

    /// Takes note of an entry and how it begins. Office programs do not mind the case of names.
    pub(super) fn see(&mut self, name: &str, head: &[u8]) {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "[content_types].xml" => self.content_types(&plain(head)),
            "mimetype" => self.mimetype = types::named(head),
            "meta-inf/manifest.xml" => self.is_encrypted |= has(&plain(head), b"encryption-data"),
            "meta-inf/manifest.mf" => self.manifest = true,
            "meta-inf/mozilla.rsa" | "install.rdf" => self.mozilla = true,
            "androidmanifest.xml" => self.android = true,
            "classes.dex" => self.dex = true,
            "appxmanifest.xml" => self.appx = true,
            _ => {}
        }
        if ends(&name, "rels") {
            let relations = plain(head);
            self.has_macros |= has(&relations, b"/vbaproject") || has(&relations, b"macrosheet");
            self.is_active |= leads_out(&relations) && FOLLOWED.iter().any(|kind| is_value(&relations, kind));
        }
        self.parts(&name);
    }

    fn parts(&mut self, name: &str) {
        self.class |= ends(name, "class");
        self.ios |= name.starts_with("payload/") && name.contains(".app/");
        self.is_active |= name.contains("/activex/");
        self.has_macros |= name.ends_with("vbaproject.bin") || name.contains("/macrosheets/");
        self.has_basic |= is_basic(name);
        let folder = match name.split_once('/').map(|(folder, _)| folder) {
            Some("word") => types::DOCX,
            Some("xl") => types::XLSX,
            Some("ppt") => types::PPTX,
            _ => return,
        };
        self.folder.get_or_insert(folder);
    }

    fn content_types(&mut self, text: &[u8]) {
        self.has_types = true;
        self.office = OFFICE.iter().find(|(part, _)| has(text, part.as_bytes())).map(|(_, whole)| *whole);
        self.has_macros |= has(text, b"vbaproject") || has(text, b"macrosheet");
    }

    /// A better type than `application/zip`.
    pub(super) fn media_type(&self) -> Option<&'static str> {
        let office = self.office.or(self.folder.filter(|_| self.has_types));
        let program = match () {
            () if self.android && (self.dex || self.manifest) => Some(types::APK),
            () if self.mozilla => Some(types::XPI),
            () if self.appx => Some(types::APPX),
            () if self.ios => Some(types::IPA),
            () if self.manifest && self.class => Some(types::JAR),
            () => None,
        };
        // Who can run it does not ask what else it is.
        program.or(self.mimetype).or(office).or(self.manifest.then_some(types::JAR))
    }

    pub(super) fn has_macros(&self) -> bool {
        let has_place = self.media_type().is_some_and(|media_type| WITH_MACROS.contains(&media_type));
        self.has_macros || has_place || self.has_basic && self.is_open_document()
    }

    pub(super) fn is_active(&self) -> bool {
        self.is_active
    }

    /// By the manifest of an `OpenDocument`; entries of an encrypted ZIP are counted where they are looked at.
    pub(super) fn is_encrypted(&self) -> bool {
        self.is_encrypted && self.is_open_document()
    }

    fn is_open_document(&self) -> bool {
        self.mimetype.is_some_and(|media_type| media_type.starts_with("application/vnd.oasis.opendocument."))
    }
}

/// A module of Basic or of another language in an `OpenDocument`, but not the empty lists of them.
fn is_basic(name: &str) -> bool {
    let is_list = name.ends_with("script-lc.xml") || name.ends_with("script-lb.xml") || name.ends_with('/');
    (name.starts_with("basic/") || name.starts_with("scripts/")) && !is_list
}

fn ends(name: &str, extension: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, last)| last == extension)
}

fn has(text: &[u8], part: &[u8]) -> bool {
    memmem::find(text, part).is_some()
}

/// XML as its readers take it, as far as that is looked for: in lower case, since types and names have none that matters, with
/// references resolved, and UTF-16 as if it were ASCII.
fn plain(text: &[u8]) -> Vec<u8> {
    let narrow: Vec<u8> = text.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).collect();
    if !narrow.contains(&b'&') {
        return narrow;
    }
    let (mut plain, mut rest) = (Vec::with_capacity(narrow.len()), &narrow[..]);
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = (*first == b'&').then(|| reference(after)).flatten().unwrap_or((*first, after));
        plain.push(byte.to_ascii_lowercase());
        rest = after;
    }
    plain
}

/// True if a relation is to something that is not in the document; `text` is plain.
fn leads_out(text: &[u8]) -> bool {
    const MODE: &[u8] = b"targetmode";
    memmem::find_iter(text, MODE).any(|at| {
        let value =
            text[at + MODE.len()..].trim_ascii_start().strip_prefix(b"=").unwrap_or_default().trim_ascii_start();
        matches!(value, [b'"' | b'\'', value @ ..] if value.trim_ascii_start().starts_with(b"external"))
    })
}

/// True if a value ends so; `text` is plain.
fn is_value(text: &[u8], end: &[u8]) -> bool {
    let is_end = |at: usize| matches!(text[at + end.len()..].trim_ascii_start(), [b'"' | b'\'', ..]);
    memmem::find_iter(text, end).any(is_end)
}
