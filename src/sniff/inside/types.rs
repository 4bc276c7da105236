//! Types that only looking inside tells.

macro_rules! types {
    ($($name:ident = $value:literal;)*) => {
        $(pub(super) const $name: &str = $value;)*
        /// All of them. Some can also be told by first bytes.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

types! {
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
    DOTX = "application/vnd.openxmlformats-officedocument.wordprocessingml.template";
    DOCM = "application/vnd.ms-word.document.macroenabled.12";
    DOTM = "application/vnd.ms-word.template.macroenabled.12";
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    XLTX = "application/vnd.openxmlformats-officedocument.spreadsheetml.template";
    XLSM = "application/vnd.ms-excel.sheet.macroenabled.12";
    XLTM = "application/vnd.ms-excel.template.macroenabled.12";
    XLAM = "application/vnd.ms-excel.addin.macroenabled.12";
    XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12";
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
    PPSX = "application/vnd.openxmlformats-officedocument.presentationml.slideshow";
    POTX = "application/vnd.openxmlformats-officedocument.presentationml.template";
    PPTM = "application/vnd.ms-powerpoint.presentation.macroenabled.12";
    PPSM = "application/vnd.ms-powerpoint.slideshow.macroenabled.12";
    POTM = "application/vnd.ms-powerpoint.template.macroenabled.12";
    PPAM = "application/vnd.ms-powerpoint.addin.macroenabled.12";
    VSDX = "application/vnd.ms-visio.drawing.main+xml";
    ODT = "application/vnd.oasis.opendocument.text";
    OTT = "application/vnd.oasis.opendocument.text-template";
    ODM = "application/vnd.oasis.opendocument.text-master";
    ODS = "application/vnd.oasis.opendocument.spreadsheet";
    OTS = "application/vnd.oasis.opendocument.spreadsheet-template";
    ODP = "application/vnd.oasis.opendocument.presentation";
    OTP = "application/vnd.oasis.opendocument.presentation-template";
    ODG = "application/vnd.oasis.opendocument.graphics";
    OTG = "application/vnd.oasis.opendocument.graphics-template";
    ODC = "application/vnd.oasis.opendocument.chart";
    ODF = "application/vnd.oasis.opendocument.formula";
    ODB = "application/vnd.oasis.opendocument.base";
    EPUB = "application/epub+zip";
    JAR = "application/java-archive";
    APK = "application/vnd.android.package-archive";
    XPI = "application/x-xpinstall";
    IPA = "application/x-ios-app";
    APPX = "application/appx";
    DOC = "application/msword";
    XLS = "application/vnd.ms-excel";
    PPT = "application/vnd.ms-powerpoint";
    VSD = "application/vnd.visio";
    PUB = "application/vnd.ms-publisher";
    MSG = "application/vnd.ms-outlook";
    MSI = "application/x-msi";
    TAR = "application/x-tar";
    LOCKED = "application/encrypted";
}

/// The one of that name.
pub(super) fn named(name: &[u8]) -> Option<&'static str> {
    ALL.iter().find(|known| known.as_bytes() == name.trim_ascii()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Group, media_type_group};

    #[test]
    fn what_looking_inside_tells_is_of_a_known_kind() {
        for name in ALL {
            let group = match *name {
                JAR | APK | XPI | IPA | APPX | MSI => Group::Executable,
                TAR => Group::Archive,
                _ => Group::Document,
            };
            assert_eq!(media_type_group(name), Some(group), "{name}");
        }
    }
}
