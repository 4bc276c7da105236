//! Whatever lies in a store, nothing is read without the seal, and with it no more than could have been written.

#![no_main]

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use lazaret::cache::{
    codec::Codec,
    key::{Key, KeyRing},
};
use libfuzzer_sys::fuzz_target;

static CODEC: LazyLock<Codec> =
    LazyLock::new(|| Codec::new(KeyRing::ephemeral().expect("there is randomness"), Duration::from_secs(3600)));

fuzz_target!(|content: &[u8]| {
    let (key, now) = (Key::from_bytes([7; 32]), SystemTime::now());
    assert!(CODEC.decode(key, content, now).is_err());
    let sealed = CODEC.sealed(key, [&[0; 16], content].concat());
    let Ok(Some(entry)) = CODEC.decode(key, &sealed, now) else { return };
    let again = CODEC.encode(key, &entry, now);
    let read = CODEC.decode(key, &again, now).expect("it was just written");
    // What was scanned long ago, or will be, has expired by now.
    assert!(read.is_none_or(|read| format!("{read:?}") == format!("{entry:?}")));
});
