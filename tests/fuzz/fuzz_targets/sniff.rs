//! Whatever is looked into, it ends, reads no more than it may, and tells nothing that cannot be.

#![no_main]

#[path = "../../../src/sniff/inside/tests/counted.rs"]
mod counted;

use lazaret::{
    facts::{Group, Inside},
    sniff::{
        inside::{Found, look, types},
        told::tell,
    },
};
use libfuzzer_sys::fuzz_target;

use self::counted::Counted;

/// Bytes that may be read of one container, and a little more for what is looked at around it.
const MOST_READ: u64 = (64 << 20) + 4096;

fuzz_target!(|bytes: &[u8]| {
    let size = bytes.len() as u64;
    let told = tell(&bytes[..bytes.len().min(1024)], size);
    let mut reader = Counted::new(bytes);
    let found = look(&mut reader, size, &told).expect("the reader never fails");
    assert!(reader.read <= MOST_READ, "{} bytes were read", reader.read);
    if let Some(found) = found {
        hold(&found, size);
    }
});

/// What must hold of all that is found.
fn hold(found: &Found, size: u64) {
    assert!(found.refined.is_none_or(|refined| types::ALL.contains(&refined)));
    assert!(found.trailing.is_none_or(|trailing| trailing <= size));
    let Some(inside) = &found.inside else { return };
    assert!((1..=5).contains(&inside.depth));
    assert!(inside.types.len() <= Inside::MOST && inside.extensions.len() <= Inside::MOST);
    // What was not seen could be anything.
    assert!(inside.encrypted == 0 || !inside.complete);
    assert!(inside.complete || inside.groups.contains(&Group::Unknown));
    assert!(inside.entries > 0 || inside.expanded == 0);
}
