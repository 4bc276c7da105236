//! One entry, as the directory lists it and as it lies there.

use std::{
    io::{BufReader, Read, Seek},
    ops::Range,
};

use flate2::bufread::DeflateDecoder;
use rawzip::{
    CompressionMethod, RangeReader, ZipFileHeaderRecord, ZipLocalFileHeader,
    extra_fields::{ExtraFieldId, ExtraFields},
};

use super::{Source, Tally, names};

/// What the directory says of an entry.
pub(super) struct Listed<'a> {
    /// The end of its name: one can have 64 KiB, and there can be thousands.
    pub(super) name: String,
    /// All of its name.
    raw: &'a [u8],
    pub(super) at: u64,
    pub(super) size: u64,
    packed: u64,
    pub(super) method: CompressionMethod,
    pub(super) encrypted: bool,
    has_descriptor: bool,
}

impl<'a> Listed<'a> {
    pub(super) fn of(record: &'a ZipFileHeaderRecord<'_>, raw: &'a [u8]) -> Self {
        let flags = record.flags();
        Self {
            name: String::from_utf8_lossy(names::end(raw).0).into_owned(),
            raw,
            at: record.local_header_offset(),
            size: record.uncompressed_size_hint(),
            packed: record.compressed_size_hint(),
            method: record.compression_method(),
            encrypted: flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked(),
            has_descriptor: flags.has_data_descriptor(),
        }
    }

    /// True if there is more of the name than any path can have.
    pub(super) fn is_cut(&self) -> bool {
        names::end(self.raw).1
    }

    /// Folders have no content; what is called like one and has some is none.
    pub(super) fn is_folder(&self) -> bool {
        self.raw.ends_with(b"/") && self.size == 0 && self.packed <= 2
    }

    /// Tells where an entry is not what the directory says.
    pub(super) fn compare(&self, local: &ZipLocalFileHeader<'_>, tally: &mut Tally) {
        let flags = local.flags();
        name_in_unicode(&self.name, local.extra_fields(), tally);
        if local.file_path().as_ref() != self.raw && !flags.is_masked() {
            tally.inside.deceptive_names = true;
            tally.name(&String::from_utf8_lossy(names::end(local.file_path().as_ref()).0));
        }
        let sizes = (local.compressed_size_hint(), local.uncompressed_size_hint());
        let is_same = local.compression_method() == self.method
            && flags.is_encrypted() == self.encrypted
            && (flags.has_data_descriptor() || self.has_descriptor || sizes == (self.packed, self.size));
        tally.inside.overlapping |= !is_same && !flags.is_masked();
    }
}

/// Takes note of what an entry is called in Unicode, if it says so besides: many readers take that. It is in another alphabet than the
/// name, as a rule, but it ends in the same extension.
pub(super) fn name_in_unicode(name: &str, extra: ExtraFields<'_>, tally: &mut Tally) {
    let field =
        |(id, content): (ExtraFieldId, &[u8])| (id == ExtraFieldId::INFO_ZIP_UNICODE_PATH).then(|| content.to_vec());
    // A version and a checksum of the name come first.
    for other in extra.filter_map(field).filter_map(|content| content.get(5..).map(<[u8]>::to_vec)) {
        let other = String::from_utf8_lossy(names::end(&other).0).into_owned();
        tally.name(&other);
        tally.inside.deceptive_names |= names::extension(&other) != names::extension(name);
    }
}

/// What comes out of an entry; `None` for a way of compressing that is not undone here.
pub(super) fn content<'a, R: Read + Seek>(
    source: &'a Source<'_, R>,
    method: CompressionMethod,
    span: Range<u64>,
) -> Option<Box<dyn Read + 'a>> {
    let packed = RangeReader::new(source, span);
    match method {
        CompressionMethod::STORE => Some(Box::new(packed)),
        CompressionMethod::DEFLATE => Some(Box::new(DeflateDecoder::new(BufReader::with_capacity(4096, packed)))),
        _ => None,
    }
}
