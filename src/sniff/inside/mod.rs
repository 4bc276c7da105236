//! What is in a container.
//!
//! Containers are looked into, and what is in them in turn, as far as the bounds go: each bound is a constant beside its reason.
//! Whatever is not looked at makes [`Inside::complete`] false, and damage is nothing more than that: only a reader that fails is
//! an error. Of each entry its first bytes are looked at; an entry that is a container itself is held in memory for as long as it
//! takes.
//!
//! Who unpacks what arrives reads it with another program than this one. So whatever two readers would see differently is told
//! as well: [`Inside::overlapping`] if it is in how entries lie, [`Inside::deceptive_names`] if it is in what they are called.

mod cabinet;
mod compound;
mod gzip;
mod kind;
mod names;
mod pdf;
mod rar;
mod richtext;
mod seven;
mod source;
mod tally;
mod tar;
pub mod types;
mod zip;

use std::io::{self, Read, Seek};

use self::{kind::Kind, source::Source, tally::Tally};
use super::told::Told;
use crate::facts::Inside;

/// What looking into a medium found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// A better type than its first bytes tell: that of a document instead of `application/zip`. One of [`types::ALL`].
    pub refined: Option<&'static str>,
    /// What it holds; `None` for a PDF or rich text that holds no files, as far as all of it was searched.
    pub inside: Option<Inside>,
    /// It, or what is in it, holds macros or has a format that is for documents with macros.
    pub macros: bool,
    /// It is a document that is encrypted. A PDF may open without a password all the same, with restrictions.
    pub locked: bool,
    /// It, or what is in it, fetches or starts something when it is opened.
    pub active: bool,
    /// Bytes after its end, where that is known.
    pub trailing: Option<u64>,
}

/// Looks into a container of `size` bytes; `None` if it is none. `told` is what its first bytes are. Blocking.
///
/// # Errors
///
/// Those of the reader, and no others.
pub fn look<R: Read + Seek>(bytes: &mut R, size: u64, told: &Told) -> io::Result<Option<Found>> {
    let source = Source::new(bytes, size);
    let head = source.some_at(0, tally::HEAD);
    let kind = Kind::of(&head).or_else(|| Kind::told(told));
    let mut tally = Tally::new();
    let opened = match kind {
        Some(kind) => Some(open(kind, &source, 1, &mut tally)),
        None => zip::hangs_on(&source).then(|| Opened { refined: None, ..open(Kind::Zip, &source, 1, &mut tally) }),
    };
    source.end()?;
    Ok(opened.map(|opened| tally.found(&opened)))
}

/// What opening one container found of itself; what is in it is in the [`Tally`].
#[derive(Default)]
struct Opened {
    refined: Option<&'static str>,
    locked: bool,
    trailing: Option<u64>,
}

/// Opens a container that is in `depth - 1` others.
fn open<R: Read + Seek>(kind: Kind, source: &Source<'_, R>, depth: u8, tally: &mut Tally) -> Opened {
    match kind {
        Kind::Zip => zip::walk(source, depth, tally),
        Kind::Tar => tar::walk(&mut tar::Tape::new(source), depth, tally),
        Kind::Gzip => gzip::walk(source, depth, tally),
        Kind::Compound => compound::walk(source, depth, tally),
        Kind::Pdf => pdf::walk(source, depth, tally),
        Kind::RichText => richtext::walk(source, depth, tally),
        Kind::SevenZip => seven::walk(source, depth, tally),
        Kind::Rar => rar::walk(source, depth, tally),
        Kind::Cabinet => cabinet::walk(source, depth, tally),
        Kind::Compressed => {
            tally.enter(depth);
            tally.list("", 0);
            tally.unseen();
            Opened::default()
        }
        Kind::Closed => {
            tally.enter(depth);
            tally.unseen();
            Opened::default()
        }
    }
}

#[cfg(test)]
mod tests;
