//! What the bytes of a medium tell: its type and kind, and what is odd about it. Never fails but where the bytes cannot be read:
//! unknown is a fact.
//!
//! Three windows are looked at, at the beginning, in the middle and at the end (`windows`), and the type is told from the first
//! ([`told`]) by two libraries that know signatures (`voices`) and by our own eyes for text, which has none (`text`). What
//! needs more of the bytes (`active`, `end`, [`inside`]) has a bound of its own on what it reads. Whoever wants to be taken for
//! something else can choose every byte: a type is what most readers would take the bytes for, never a promise.
//!
//! Whatever changes here so that other facts are found raises [`Sniff::CURRENT`] once for each release.

mod active;
mod end;
mod entropy;
pub mod inside;
mod noise;
mod polyglot;
mod text;
pub mod told;
mod voices;
mod windows;

use std::{
    io::{self, Read, Seek},
    sync::Arc,
};

use self::{told::Told, windows::Windows};
use crate::facts::{Facts, Group, Sniff};

/// Other types that are remembered of one medium.
const MOST_TYPES: usize = 8;

/// Facts of a plaintext of `size` bytes. Blocks; reads a bounded part of it. Errors are those of reading.
pub fn examine<R: Read + Seek>(bytes: &mut R, size: u64) -> io::Result<Facts> {
    let windows = Windows::open(bytes, size)?;
    let mut told = match windows.behind_blanks(bytes)? {
        Some(text) => told::tell(&text, size),
        None => told::tell(&windows.head, size),
    };
    told::deepen(&mut told, bytes, &windows)?;
    let found = inside::look(bytes, size, &told)?;
    if let Some(refined) = found.as_ref().and_then(|found| found.refined) {
        told.refine(refined);
    }
    let found = found.unwrap_or_default();
    let kind = told.media_type.as_deref();
    let opaque = kind.is_none() && noise::is_noise(&windows.head, size);
    let trailing = match found.trailing {
        Some(after) => Some(after),
        None => end::trailing(bytes, &windows, kind)?,
    };
    let second = polyglot::second(bytes, &windows, &told, trailing)?;
    let active = found.active || active::is_active(bytes, &windows, kind)?;
    for name in &second {
        told.mention(name);
    }
    told.other_types.truncate(MOST_TYPES);
    Ok(Facts {
        size,
        container: is_container(&told) || found.inside.is_some(),
        opaque,
        entropy: entropy::of(windows.all()),
        macros: found.macros,
        active,
        polyglot: !second.is_empty(),
        trailing,
        locked: found.locked,
        inside: found.inside.map(Arc::new),
        group: told.group,
        detected_type: told.media_type,
        other_types: told.other_types,
        sniff: Sniff::CURRENT,
    })
}

/// Archives and packages, and documents that may be one inside.
fn is_container(told: &Told) -> bool {
    const FLAT: [&str; 3] = ["application/postscript", "application/x-mswrite", "image/vnd.djvu"];
    const PACKAGES: [&str; 12] = [
        "application/java-archive",
        "application/vnd.adobe.air-application-installer-package+zip",
        "application/vnd.android.aab",
        "application/vnd.android.package-archive",
        "application/vnd.debian.binary-package",
        "application/vnd.ms-appx",
        "application/vnd.ms-htmlhelp",
        "application/vsix",
        "application/x-google-chrome-extension",
        "application/x-msi",
        "application/x-rpm",
        "application/x-xpinstall",
    ];
    let Some(name) = told.media_type.as_deref() else { return false };
    match told.group {
        Group::Archive => true,
        Group::Document => !FLAT.contains(&name),
        _ => PACKAGES.contains(&name),
    }
}

#[cfg(test)]
mod tests;
