//! Where a medium ends by what its format says, and what comes after that.

use std::io::{self, Read, Seek};

use memchr::{memchr_iter, memmem};

use super::windows::{Windows, read_at};

/// Steps that are taken through a medium's parts.
const MOST_STEPS: usize = 8 * 1024;

/// Bytes of a picture that are read for its end where its parts do not say how long they are.
const MOST_READ: u64 = 2 * 1024 * 1024;

/// Bytes after the end; `None` where the format does not say, or it was not found within the bounds.
pub(super) fn trailing<R: Read + Seek>(
    bytes: &mut R,
    windows: &Windows,
    kind: Option<&str>,
) -> io::Result<Option<u64>> {
    let end = match kind {
        Some("image/png" | "image/apng") => png(bytes, windows)?,
        Some("image/jpeg") => jpeg(bytes, windows)?,
        Some("image/gif") => gif(bytes, windows)?,
        Some("application/pdf") => pdf(windows),
        Some("image/webp" | "audio/x-wav" | "video/x-msvideo") => riff(windows),
        _ => None,
    };
    Ok(end.and_then(|end| windows.size.checked_sub(end)))
}

/// The chunk that is the last one.
fn png<R: Read + Seek>(bytes: &mut R, windows: &Windows) -> io::Result<Option<u64>> {
    let mut at: u64 = 8;
    for _ in 0..MOST_STEPS {
        let chunk = part(bytes, windows, at, 8)?;
        let Some((len, kind)) = chunk.split_at_checked(4) else { return Ok(None) };
        let Some(len) = len.first_chunk().map(|len| u32::from_be_bytes(*len)) else { return Ok(None) };
        at += 12 + u64::from(len);
        match kind {
            b"IEND" => return Ok((at <= windows.size).then_some(at)),
            _ if kind.len() < 4 || at > windows.size => return Ok(None),
            _ => (),
        }
    }
    Ok(None)
}

/// Segments say how long they are, thumbnails with them, up to the first scan. From there on the end is a marker.
fn jpeg<R: Read + Seek>(bytes: &mut R, windows: &Windows) -> io::Result<Option<u64>> {
    let mut at: u64 = 2;
    for _ in 0..MOST_STEPS {
        let segment = part(bytes, windows, at, 4)?;
        match *segment.as_slice() {
            [0xff, 0xd9, ..] => return Ok(Some(at + 2)),
            [0xff, 0xff, ..] => at += 1,
            [0xff, 0x01 | 0xd0..=0xd8, ..] => at += 2,
            [0xff, marker, high, low] => {
                at += 2 + u64::from(u16::from_be_bytes([high, low]));
                if marker == 0xda {
                    return scan(bytes, windows, at);
                }
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Past entropy-coded data, in which no marker but restarts occurs, to the segments between scans or the end.
fn scan<R: Read + Seek>(bytes: &mut R, windows: &Windows, at: u64) -> io::Result<Option<u64>> {
    let data = read_at(bytes, at, MOST_READ.min(windows.size.saturating_sub(at)))?;
    let mut from = 0;
    for found in memchr_iter(0xff, &data) {
        if found < from {
            continue;
        }
        match data.get(found + 1) {
            Some(0xd9) => return Ok(Some(at + found as u64 + 2)),
            Some(0x00 | 0x01 | 0xd0..=0xd7 | 0xff) => (),
            Some(_) => {
                let len = data.get(found + 2..found + 4).map(|len| usize::from(u16::from_be_bytes([len[0], len[1]])));
                let Some(len) = len else { return Ok(None) };
                from = found + 2 + len;
            }
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Blocks of at most 255 bytes, up to the trailer.
fn gif<R: Read + Seek>(bytes: &mut R, windows: &Windows) -> io::Result<Option<u64>> {
    let read;
    let data = match windows.is_cut() {
        true => {
            read = read_at(bytes, 0, MOST_READ.min(windows.size))?;
            &read
        }
        false => &windows.head,
    };
    Ok(gif_end(data).map(|end| end as u64))
}

fn gif_end(data: &[u8]) -> Option<usize> {
    let colours = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + colours(*data.get(10)?);
    loop {
        match data.get(at)? {
            0x3b => return Some(at + 1),
            0x21 => at += 2,
            0x2c => at += 11 + colours(*data.get(at + 9)?),
            _ => return None,
        }
        loop {
            let len = usize::from(*data.get(at)?);
            at += 1 + len;
            if len == 0 {
                break;
            }
        }
    }
}

/// After the last end mark and its line break.
fn pdf(windows: &Windows) -> Option<u64> {
    const MARK: &[u8] = b"%%EOF";
    let end = windows.end();
    let after = memmem::rfind(end, MARK)? + MARK.len();
    let space = end[after..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | b' ' | b'\0')).count();
    Some(windows.end_at() + (after + space) as u64)
}

fn riff(windows: &Windows) -> Option<u64> {
    let len = u32::from_le_bytes(*windows.head.get(4..)?.first_chunk()?);
    let end = 8 + u64::from(len);
    // An odd length is padded, which not all writers know.
    let padded = end + u64::from(len % 2);
    Some(if padded <= windows.size { padded } else { end })
}

/// A few bytes, from the head where they are there.
fn part<R: Read + Seek>(bytes: &mut R, windows: &Windows, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let start = usize::try_from(at).unwrap_or(usize::MAX);
    match start.checked_add(len).and_then(|end| windows.head.get(start..end)) {
        Some(part) => Ok(part.to_vec()),
        None if at >= windows.size => Ok(Vec::new()),
        None => read_at(bytes, at, len as u64),
    }
}

#[cfg(test)]
mod tests;
