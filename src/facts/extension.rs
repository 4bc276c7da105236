//! What kinds of things extensions of file names promise.

use super::Group;

/// Extensions by what they promise. Where one promises two things, as `.ts`, it is not here.
const KINDS: [(Group, &[&str]); 10] = [
    (
        Group::Executable,
        &[
            "apk",
            "app",
            "appimage",
            "application",
            "appref-ms",
            "appx",
            "appxbundle",
            "bpl",
            "chm",
            "class",
            "com",
            "cpl",
            "crx",
            "deb",
            "desktop",
            "dex",
            "diagcab",
            "dll",
            "drv",
            "ear",
            "efi",
            "elf",
            "exe",
            "gadget",
            "hlp",
            "hta",
            "ipa",
            "jar",
            "jnlp",
            "ko",
            "library-ms",
            "lnk",
            "mde",
            "msc",
            "msi",
            "msix",
            "msixbundle",
            "msp",
            "mst",
            "ocx",
            "pif",
            "pkg",
            "pyc",
            "pyo",
            "rpm",
            "run",
            "scf",
            "scr",
            "search-ms",
            "searchconnector-ms",
            "settingcontent-ms",
            "snap",
            "so",
            "swf",
            "sys",
            "url",
            "vsix",
            "war",
            "wasm",
            "webloc",
            "website",
            "xap",
            "xbe",
            "xll",
            "xpi",
        ],
    ),
    (
        Group::Script,
        &[
            "applescript",
            "awk",
            "bash",
            "bat",
            "cmd",
            "command",
            "csh",
            "fish",
            "inf",
            "ipynb",
            "js",
            "jse",
            "jsx",
            "ksh",
            "lua",
            "mjs",
            "php",
            "php3",
            "php5",
            "phtml",
            "pl",
            "pm",
            "ps1",
            "ps1xml",
            "ps2",
            "psc1",
            "psd1",
            "psm1",
            "py",
            "pyw",
            "rb",
            "reg",
            "scpt",
            "sct",
            "sh",
            "tcl",
            "vb",
            "vbe",
            "vbs",
            "ws",
            "wsc",
            "wsf",
            "wsh",
            "zsh",
        ],
    ),
    (Group::Html, &["htm", "html", "mht", "mhtml", "shtml", "xht", "xhtml"]),
    (
        Group::Image,
        &[
            "apng", "arw", "avif", "bmp", "cr2", "cr3", "cur", "dds", "dng", "emf", "gif", "heic", "heif", "icns",
            "ico", "jfif", "jp2", "jpe", "jpeg", "jpg", "jxl", "nef", "orf", "pbm", "pcx", "pgm", "png", "pnm", "ppm",
            "psd", "qoi", "raf", "rw2", "svg", "tga", "tif", "tiff", "webp", "wmf", "xcf", "xpm",
        ],
    ),
    (
        Group::Audio,
        &[
            "aac", "ac3", "aif", "aiff", "amr", "ape", "flac", "m4a", "m4b", "mid", "midi", "mka", "mp2", "mp3", "oga",
            "ogg", "opus", "wav", "weba", "wma", "wv",
        ],
    ),
    (
        Group::Video,
        &[
            "3g2", "3gp", "asf", "avi", "f4v", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpe", "mpeg", "mpg", "mts",
            "mxf", "ogv", "qt", "rm", "rmvb", "vob", "webm", "wmv",
        ],
    ),
    (Group::Font, &["eot", "otf", "pfb", "pfm", "ttc", "ttf", "woff", "woff2"]),
    (
        Group::Document,
        &[
            "abw", "azw", "azw3", "djvu", "doc", "docm", "docx", "dot", "dotm", "dotx", "epub", "fb2", "hwp", "mobi",
            "mpp", "odg", "odp", "ods", "odt", "otp", "ots", "ott", "oxps", "pdf", "pot", "potm", "potx", "pps",
            "ppsm", "ppsx", "ppt", "pptm", "pptx", "ps", "pub", "rtf", "sxw", "vsd", "vsdx", "wpd", "wps", "xla",
            "xlam", "xls", "xlsb", "xlsm", "xlsx", "xlt", "xltm", "xltx", "xps",
        ],
    ),
    (
        Group::Archive,
        &[
            "7z", "ace", "ar", "arj", "bz2", "cab", "cpio", "dmg", "gz", "img", "iso", "lha", "lz", "lz4", "lzh",
            "lzma", "qcow2", "rar", "squashfs", "tar", "tbz", "tbz2", "tgz", "txz", "tzst", "udf", "vdi", "vhd",
            "vhdx", "vmdk", "wim", "xar", "xz", "z", "zip", "zipx", "zst",
        ],
    ),
    (
        Group::Text,
        &[
            "asc", "c", "cfg", "conf", "cpp", "css", "csv", "diff", "eml", "go", "h", "hpp", "ics", "ini", "java",
            "json", "kt", "log", "md", "patch", "po", "rs", "rst", "sql", "srt", "tex", "toml", "tsv", "txt", "vcf",
            "vtt", "xml", "yaml", "yml",
        ],
    ),
];

/// What a file is said to be by the last extension of its name, given without the dot and in lower case; `None` if that says
/// nothing.
pub fn extension_group(extension: &str) -> Option<Group> {
    KINDS.iter().find(|(_, extensions)| extensions.contains(&extension)).map(|(group, _)| *group)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_extension_promises_one_thing() {
        assert_eq!(extension_group("exe"), Some(Group::Executable));
        assert_eq!(extension_group("docx"), Some(Group::Document));
        assert_eq!(extension_group("EXE"), None, "lower case goes in");
        assert_eq!(extension_group(""), None);
        let mut seen = HashSet::new();
        for (_, extensions) in KINDS {
            for one in extensions {
                assert!(seen.insert(*one), "{one} twice");
            }
        }
    }
}
