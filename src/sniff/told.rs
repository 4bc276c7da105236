//! The type that the first bytes tell.

use std::{
    io::{self, Read, Seek},
    sync::Arc,
};

use super::{
    text::{self, Text},
    voices,
    windows::Windows,
};
use crate::facts::{Group, media_type_group};

/// What bytes can be taken for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The type that most readers would see, `text/plain` for text that is nothing more; `None` if it is not known.
    pub media_type: Option<Arc<str>>,
    /// What kind of thing that is.
    pub group: Group,
    /// What else they can be taken for.
    pub other_types: Vec<Arc<str>>,
}

/// Types that are only a box for others: a more exact name for the same bytes is no second one.
const BOXES: [&str; 8] = [
    "application/zip",
    "application/x-ole-storage",
    "application/x-unix-archive",
    "application/gzip",
    "application/pdf",
    "image/png",
    "text/plain",
    "text/xml",
];

impl Told {
    fn of(name: &str) -> Self {
        let group = media_type_group(name).unwrap_or(Group::Data);
        Self { media_type: Some(name.into()), group, other_types: Vec::new() }
    }

    /// Gives the type a more exact name.
    pub(super) fn refine(&mut self, name: &str) {
        let refined = Self::of(name);
        (self.media_type, self.group) = (refined.media_type, refined.group);
        self.other_types.retain(|other| **other != *name);
    }

    /// Remembers that the bytes can be taken for something else, too.
    pub(super) fn mention(&mut self, name: &str) {
        let is_known = |known: &Arc<str>| **known == *name;
        if !self.media_type.as_ref().is_some_and(is_known) && !self.other_types.iter().any(is_known) {
            self.other_types.push(name.into());
        }
    }

    /// What another voice says of the same bytes.
    fn weigh(&mut self, name: &str) {
        let Some(known) = self.media_type.as_deref() else {
            self.refine(name);
            return;
        };
        match BOXES.contains(&known) && !BOXES.contains(&name) {
            true => self.refine(name),
            // The same kind of film or sound under a name of its family says nothing new.
            false if is_family(known, name) => (),
            false => self.mention(name),
        }
    }
}

/// Formats whose variants are told apart by what no reader cares for.
fn is_family(one: &str, other: &str) -> bool {
    const FAMILIES: [&[&str]; 6] = [
        &["application/zip", "application/java-archive", "application/x-java-jmod"],
        &["video/mp4", "video/x-m4v", "video/quicktime", "video/3gpp", "video/3gpp2", "application/mp4"],
        &["audio/mp4", "audio/m4a"],
        &["image/heif", "image/heif-sequence", "image/heic-sequence", "image/avif", "image/avif-sequence"],
        &["audio/ogg", "audio/opus", "application/ogg", "video/ogg"],
        &["image/tiff", "image/x-canon-cr2", "image/x-nikon-nef", "image/x-sony-arw"],
    ];
    one == other || FAMILIES.iter().any(|family| family.contains(&one) && family.contains(&other))
}

/// What the first of `size` bytes tell. A head of 64 KiB suffices for all signatures, and most begin within 512 bytes.
pub fn tell(head: &[u8], size: u64) -> Told {
    if size == 0 {
        return Told::of("application/x-empty");
    }
    let (first, second) = (voices::first(head), voices::second(head));
    match Text::decode(head, (head.len() as u64) < size) {
        Some(text) => of_text(&text, first, second),
        None => {
            let own = text::prefix(head).or_else(|| voices::own(head));
            let nearly = || if first.is_none() && second.is_none() { text::nearly(head) } else { None };
            of_binary(own.or_else(nearly), first, second)
        }
    }
}

/// Text that begins like a picture or a program is text all the same, since those have bytes that no text has.
fn of_text(text: &Text<'_>, first: Option<&'static str>, second: Option<&'static str>) -> Told {
    let own = text.kind();
    let mut told = Told::of(own.unwrap_or("text/plain"));
    let mut voices = [first, second].into_iter().flatten().filter(|name| text::is_written(name));
    match own {
        Some("text/xml") => voices.filter(|name| name.ends_with("+xml")).for_each(|name| told.weigh(name)),
        Some(_) => voices.filter(|name| *name == "application/pdf").for_each(|name| told.mention(name)),
        None => {
            if let Some(name) = voices.next() {
                told.refine(name);
            }
            voices.for_each(|name| told.weigh(name));
        }
    }
    told
}

fn of_binary(own: Option<&'static str>, first: Option<&'static str>, second: Option<&'static str>) -> Told {
    let mut told = Told::default();
    [own, first, second].into_iter().flatten().for_each(|name| told.weigh(name));
    told
}

/// What has its name deeper inside: whether there are pictures to the sound.
const BOXED: [&str; 8] = [
    "application/mp4",
    "application/vnd.ms-asf",
    "application/vnd.rn-realmedia",
    "application/x-ebml",
    "application/x-id3v2",
    "application/x-ole-storage",
    "audio/mpeg",
    "video/mp4",
];

/// Lets the second voice look further than the head.
pub(super) fn deepen<R: Read + Seek>(told: &mut Told, bytes: &mut R, windows: &Windows) -> io::Result<()> {
    let is_boxed = told.media_type.as_deref().is_some_and(|name| BOXED.contains(&name));
    if windows.is_cut()
        && is_boxed
        && let Some(name) = voices::second_of(bytes, windows.size)?
    {
        told.weigh(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> (Option<String>, Group) {
        let told = tell(bytes, bytes.len() as u64);
        (told.media_type.map(|name| name.to_string()), told.group)
    }

    #[test]
    fn text_that_begins_like_a_signature_is_text() {
        for text in
            ["BM is what bitmaps begin with", "MZ was a programmer", "BC or AD?", "SQLite is small", "%! no", "RIFF"]
        {
            assert_eq!(of(text.as_bytes()), (Some("text/plain".to_owned()), Group::Text), "{text}");
        }
    }

    #[test]
    fn a_second_opinion_is_kept() {
        let both = of_binary(None, Some("image/gif"), Some("application/x-tar"));
        assert_eq!(both.media_type.as_deref(), Some("image/gif"));
        assert_eq!(both.other_types, [Arc::<str>::from("application/x-tar")]);
        let exact = of_binary(None, Some("application/zip"), Some("application/java-archive"));
        assert_eq!(exact.media_type.as_deref(), Some("application/java-archive"));
        assert!(exact.other_types.is_empty(), "an exact name is no other one");
        assert_eq!(exact.group, Group::Executable);
    }
}
