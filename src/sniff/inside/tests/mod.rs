//! What is found in containers that are made here.

mod attached;
mod bounds;
mod corpus;
mod counted;
mod dishonest;
mod documents;
mod evasions;
mod pack;
mod several;

use self::counted::Counted;
use super::{super::told::tell, Found, look, tally::HEAD};

/// What is found, and how many bytes were read for it.
fn counted(bytes: &[u8]) -> (Option<Found>, u64) {
    let told = tell(&bytes[..bytes.len().min(HEAD)], bytes.len() as u64);
    let mut reader = Counted::new(bytes);
    let found = look(&mut reader, bytes.len() as u64, &told).unwrap();
    (found, reader.read)
}

fn found(bytes: &[u8]) -> Found {
    counted(bytes).0.expect("it is a container")
}
