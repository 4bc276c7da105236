//! What media types are called here, and what kinds of things they are.

use super::Group;

/// What others call types, and what they are called here: where `infer` knows a type, by its name for it. The first
/// column has names of libmagic, which the lists of the Matrix Content Scanner are made of, of `file-format`, and of those
/// who send media.
const ALIASES: [(&str, &str); 66] = [
    ("application/acad", "image/vnd.dwg"),
    ("application/ecmascript", "text/javascript"),
    ("application/font-woff2", "application/font-woff"),
    ("application/javascript", "text/javascript"),
    ("application/vnd.ms-opentype", "application/font-sfnt"),
    ("application/x-javascript", "text/javascript"),
    ("text/ecmascript", "text/javascript"),
    ("application/java-vm", "application/java"),
    ("application/x-java-applet", "application/java"),
    ("application/x-dosexec", "application/vnd.microsoft.portable-executable"),
    ("application/x-ms-ne-executable", "application/vnd.microsoft.portable-executable"),
    ("application/x-msdownload", "application/vnd.microsoft.portable-executable"),
    ("application/x-msdos-program", "application/vnd.microsoft.portable-executable"),
    ("application/x-coff", "application/x-executable"),
    ("application/x-coredump", "application/x-executable"),
    ("application/x-object", "application/x-executable"),
    ("application/x-pie-executable", "application/x-executable"),
    ("application/x-sharedlib", "application/x-executable"),
    ("application/x-elf", "application/x-executable"),
    ("application/x-archive", "application/x-unix-archive"),
    ("application/x-bzip", "application/x-bzip2"),
    ("application/x-bzip3", "application/vnd.bzip3"),
    ("application/x-cfb", "application/x-ole-storage"),
    ("application/cdfv2", "application/x-ole-storage"),
    ("application/x-dwg", "image/vnd.dwg"),
    ("application/x-gzip", "application/gzip"),
    ("application/x-lz4+json", "application/x-lz4"),
    ("application/x-rar", "application/vnd.rar"),
    ("application/x-rar-compressed", "application/vnd.rar"),
    ("application/x-zip-compressed", "application/zip"),
    ("application/x-lnk", "application/x-ms-shortcut"),
    ("application/x-ms-installer", "application/x-msi"),
    ("application/x-pem-file", "application/x-x509-ca-cert"),
    ("application/x-xhtml+xml", "application/xhtml+xml"),
    ("application/xml", "text/xml"),
    ("application/x-sqlite3", "application/vnd.sqlite3"),
    ("application/x-yaml", "application/yaml"),
    ("audio/flac", "audio/x-flac"),
    ("audio/x-m4a", "audio/m4a"),
    ("audio/vnd.wave", "audio/x-wav"),
    ("audio/wav", "audio/x-wav"),
    ("audio/wave", "audio/x-wav"),
    ("audio/aiff", "audio/x-aiff"),
    ("audio/mp3", "audio/mpeg"),
    ("font/otf", "application/font-sfnt"),
    ("font/sfnt", "application/font-sfnt"),
    ("font/ttf", "application/font-sfnt"),
    ("font/woff", "application/font-woff"),
    ("font/woff2", "application/font-woff"),
    ("image/heic", "image/heif"),
    ("image/jpg", "image/jpeg"),
    ("image/jxr", "image/vnd.ms-photo"),
    ("image/svg", "image/svg+xml"),
    ("image/x-icon", "image/vnd.microsoft.icon"),
    ("image/x-ms-bmp", "image/bmp"),
    ("inode/x-empty", "application/x-empty"),
    ("text/json", "application/json"),
    ("text/rtf", "application/rtf"),
    ("text/x-bat", "text/x-msdos-batch"),
    ("text/x-msdos-bat", "text/x-msdos-batch"),
    ("text/x-script.python", "text/x-python"),
    ("text/x-sh", "text/x-shellscript"),
    ("application/x-sh", "text/x-shellscript"),
    ("application/x-php", "text/x-php"),
    ("video/avi", "video/x-msvideo"),
    ("video/matroska", "video/x-matroska"),
];

/// Types whose group their name does not show, by group. Those of each kind of medium, as `image/…`, need no mention.
const KINDS: [(Group, &[&str]); 10] = [
    (Group::Empty, &["application/x-empty"]),
    (Group::Html, &["application/xhtml+xml", "application/x-mimearchive", "multipart/related", "text/html"]),
    (
        Group::Script,
        &[
            "application/x-asp",
            "application/x-powershell",
            "application/x-setupscript",
            "application/x-wine-extension-ini",
            "application/x-wsf",
            "text/javascript",
            "text/typescript",
            "text/vbscript",
            "text/x-applescript",
            "text/x-awk",
            "text/x-clojure",
            "text/x-gawk",
            "text/x-lua",
            "text/x-ms-regedit",
            "text/x-msdos-batch",
            "text/x-nawk",
            "text/x-perl",
            "text/x-php",
            "text/x-python",
            "text/x-ruby",
            "text/x-shellscript",
            "text/x-systemtap",
            "text/x-tcl",
            "text/x-vba",
        ],
    ),
    (
        Group::Executable,
        &[
            "application/appx",
            "application/hta",
            "application/java",
            "application/java-archive",
            "application/vnd.adobe.air-application-installer-package+zip",
            "application/vnd.android.aab",
            "application/vnd.android.dex",
            "application/vnd.android.dey",
            "application/vnd.android.package-archive",
            "application/vnd.debian.binary-package",
            "application/vnd.microsoft.portable-executable",
            "application/vnd.ms-appx",
            "application/vnd.ms-appx.bundle",
            "application/vnd.ms-htmlhelp",
            "application/vsix",
            "application/wasm",
            "application/winhelp",
            "application/winhlp",
            "application/x-appimage",
            "application/x-apple-alias",
            "application/x-bytecode.python",
            "application/x-commodore-64-program",
            "application/x-desktop",
            "application/x-executable",
            "application/x-google-chrome-extension",
            "application/x-ios-app",
            "application/x-java-image",
            "application/x-java-jmod",
            "application/x-java-jnlp-file",
            "application/x-llvm",
            "application/x-lua-bytecode",
            "application/x-mach-binary",
            "application/x-ms-shortcut",
            "application/x-msi",
            "application/x-mswinurl",
            "application/x-nintendo-switch-executable",
            "application/x-nintendo-switch-package",
            "application/x-redhat-package-manager",
            "application/x-rpm",
            "application/x-shockwave-flash",
            "application/x-silverlight-app",
            "application/x-xbox-executable",
            "application/x-xbox360-executable",
            "application/x-xpinstall",
            "text/wasm",
        ],
    ),
    (
        Group::Image,
        &[
            "application/vnd.adobe.illustrator",
            "application/vnd.stardivision.draw",
            "application/x-navi-animation",
            "application/x-xcf",
            "image/svg+xml",
        ],
    ),
    (Group::Video, &["application/mp4", "application/mxf", "application/vnd.ms-asf", "application/vnd.rn-realmedia"]),
    (Group::Audio, &["application/x-it", "application/x-s3m", "application/ogg"]),
    (
        Group::Font,
        &[
            "application/font-sfnt",
            "application/font-woff",
            "application/vnd.ms-fontobject",
            "application/x-angelcode-bmfont",
            "application/x-figlet",
            "application/x-font-gdos",
            "application/x-font-pfm",
            "application/x-font-sfn",
            "application/x-font-ttf",
            "application/x-font-type1",
        ],
    ),
    (
        Group::Document,
        &[
            "application/encrypted",
            "application/epub+zip",
            "application/msword",
            "application/oxps",
            "application/pdf",
            "application/postscript",
            "application/rtf",
            "application/vnd.adobe.indesign-idml-package",
            "application/vnd.circuitdiagram.document.main+xml",
            "application/vnd.jgraph.mxfile",
            "application/vnd.ms-excel",
            "application/vnd.ms-outlook",
            "application/vnd.ms-powerpoint",
            "application/vnd.ms-project",
            "application/vnd.ms-publisher",
            "application/vnd.ms-visio.drawing.main+xml",
            "application/vnd.ms-works",
            "application/vnd.ms-xpsdocument",
            "application/vnd.visio",
            "application/vnd.wordperfect",
            "application/x-abiword",
            "application/x-abiword-template",
            "application/x-corelpresentations",
            "application/x-dvi",
            "application/x-fb2+xml",
            "application/x-fbz",
            "application/x-hwp",
            "application/x-indesign",
            "application/x-lrf",
            "application/x-mobipocket-ebook",
            "application/x-ms-reader",
            "application/x-mso",
            "application/x-mswrite",
            "application/x-ole-storage",
            "image/vnd.djvu",
        ],
    ),
    (
        Group::Archive,
        &[
            "application/gzip",
            "application/vnd.bzip3",
            "application/vnd.rar",
            "application/x-7z-compressed",
            "application/x-amiga-disk-format",
            "application/x-apple-diskimage",
            "application/x-bzip2",
            "application/x-compress",
            "application/x-cpio",
            "application/x-iso9660-image",
            "application/x-lrzip",
            "application/x-lz4",
            "application/x-lzfse",
            "application/x-lzip",
            "application/x-lzma",
            "application/x-lzop",
            "application/x-mla",
            "application/x-mozilla-archive",
            "application/x-ms-wim",
            "application/x-par2",
            "application/x-qemu-disk",
            "application/x-rzip",
            "application/x-sbx",
            "application/x-snappy-framed",
            "application/x-squashfs",
            "application/x-stuffit",
            "application/x-stuffitx",
            "application/x-tar",
            "application/x-unix-archive",
            "application/x-vhd",
            "application/x-vhdx",
            "application/x-virtualbox-vdi",
            "application/x-vmdk",
            "application/x-xar",
            "application/x-xz",
            "application/x-zoo",
            "application/x-zpaq",
            "application/zip",
            "application/zlib",
            "application/zstd",
        ],
    ),
];

/// Text that is no `text/…`, and what is told of text by no library.
const TEXTS: [&str; 18] = [
    "message/rfc822",
    "text/csv",
    "text/plain",
    "text/troff",
    "text/x-diff",
    "text/xml",
    "application/json",
    "application/ndjson",
    "application/sql",
    "application/toml",
    "application/x-ndjson",
    "application/x-plist",
    "application/x-subrip",
    "application/x-tex",
    "application/x-usf",
    "application/yaml",
    "audio/x-mpegurl",
    "audio/x-scpls",
];

/// Beginnings of names, after those above.
const FAMILIES: [(&str, Group); 14] = [
    ("image/", Group::Image),
    ("audio/", Group::Audio),
    ("video/", Group::Video),
    ("font/", Group::Font),
    ("text/", Group::Text),
    ("message/", Group::Text),
    ("model/", Group::Data),
    ("application/vnd.openxmlformats-officedocument.", Group::Document),
    ("application/vnd.oasis.opendocument.", Group::Document),
    ("application/vnd.ms-word.", Group::Document),
    ("application/vnd.ms-excel.", Group::Document),
    ("application/vnd.ms-powerpoint.", Group::Document),
    ("application/vnd.stardivision.", Group::Document),
    ("application/vnd.sun.xml.", Group::Document),
];

/// A type as it is called here; `name` itself if no other name is known. Lower case goes in.
pub fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours)
}

/// True for two words with a slash between them, and no more bytes than types have: it says no more than a type does.
pub fn is_well_formed(name: &str) -> bool {
    const LONGEST: usize = 100;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_letter);
    name.len() <= LONGEST && name.split_once('/').is_some_and(|(family, kind)| is_word(family) && is_word(kind))
}

/// What kind of thing a type is, under any of its names, in lower case; `None` where the name says nothing.
pub fn media_type_group(name: &str) -> Option<Group> {
    let name = canonical(name);
    let listed = || KINDS.iter().find(|(_, names)| names.contains(&name)).map(|(group, _)| *group);
    let text = || (TEXTS.contains(&name) || name.ends_with("+xml") || name.ends_with("+json")).then_some(Group::Text);
    let family = || FAMILIES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, group)| *group);
    let rest = || {
        let packed = name.starts_with("application/") && name.ends_with("-compressed");
        if packed { Some(Group::Archive) } else { has_signature(name).then_some(Group::Data) }
    };
    listed().or_else(text).or_else(family).or_else(rest)
}

/// True for a type that bytes can be told to be of, by its name here.
pub fn is_told(name: &str) -> bool {
    let is_listed = KINDS.iter().any(|(_, names)| names.contains(&name)) || TEXTS.contains(&name);
    let is_boxed = || FAMILIES.iter().any(|(start, _)| start.starts_with("application/") && name.starts_with(start));
    canonical(name) == name && (is_listed || has_signature(name) || is_boxed())
}

fn has_signature(name: &str) -> bool {
    name != "application/octet-stream"
        && (infer::is_mime_supported(name) || !file_format::FileFormat::from_media_type(name).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_group_under_all_its_names() {
        for (name, group) in [
            ("image/png", Group::Image),
            ("image/svg+xml", Group::Image),
            ("application/x-dosexec", Group::Executable),
            ("application/x-java-applet", Group::Executable),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", Group::Document),
            ("text/x-script.python", Group::Script),
            ("application/javascript", Group::Script),
            ("text/csv", Group::Text),
            ("application/rss+xml", Group::Text),
            ("application/xhtml+xml", Group::Html),
            ("application/x-lzh-compressed", Group::Archive),
            ("application/x-bittorrent", Group::Data),
            ("application/dicom", Group::Data),
            ("model/stl", Group::Data),
        ] {
            assert_eq!(media_type_group(name), Some(group), "{name}");
        }
        for name in ["application/octet-stream", "application/x-nobody-knows", "", "x"] {
            assert_eq!(media_type_group(name), None, "{name}");
        }
    }

    #[test]
    fn what_bytes_can_be_told_to_be_is_known_by_one_name() {
        let macros = "application/vnd.ms-word.document.macroenabled.12";
        for name in
            [macros, "image/png", "text/plain", "text/csv", "application/x-empty", "text/x-python", "font/collection"]
        {
            assert!(is_told(name), "{name}");
        }
        for name in
            ["image/*", "application/x-dosexec", "text/plain; charset=utf-8", "application/octet-stream", "a/b", ""]
        {
            assert!(!is_told(name), "{name}");
        }
    }

    #[test]
    fn names_lead_to_names_that_lead_no_further() {
        for (theirs, ours) in ALIASES {
            assert_eq!(canonical(ours), ours, "{theirs}");
            assert_eq!(theirs, theirs.to_ascii_lowercase());
        }
    }
}
