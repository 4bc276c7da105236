use std::{collections::BTreeSet, sync::Arc};

use proptest::{collection::vec, option, prelude::*};
use zeroize::Zeroizing;

use super::*;
use crate::{
    cache::{
        entry::{Blame, Exposure, Located, Opened, Served, Usage},
        epochs::{EpochName, Registry, Used},
        key::Reader,
        seen::Seen,
    },
    facts::{Direction, Facts},
    verdict::{Clean, Detection, Epoch, Order, Provenance, Record, Signatures, Verdict, Vouch},
};

fn codec() -> Codec {
    Codec::new(KeyRing::ephemeral().unwrap(), Duration::from_hours(1))
}

#[test]
fn what_was_written_is_read_again_until_it_expires() {
    let (codec, now) = (codec(), SystemTime::now());
    let key = codec.ring.location("a");
    let located = Located { identity: key, len: 7 };
    let bytes = codec.encode(key, &Entry::Located(located), now);
    let read = |at| codec.decode(key, &bytes, at).unwrap();
    assert!(matches!(read(now), Some(Entry::Located(read)) if read == located));
    assert!(read(now + Duration::from_hours(2)).is_none());
}

#[test]
fn what_was_changed_or_moved_or_made_by_others_is_none() {
    let (codec, now) = (codec(), SystemTime::now());
    let [key, other] = ["a", "b"].map(|name| codec.ring.location(name));
    let bytes = codec.encode(key, &Entry::Identity(other), now);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(codec.decode(key, &changed, now).is_err(), "bit {bit} of byte {at}");
        }
        assert!(codec.decode(key, &bytes[..at], now).is_err(), "cut at {at}");
    }
    assert_eq!(codec.decode(other, &bytes, now).unwrap_err(), CodecError::Seal);
    assert_eq!(self::codec().decode(key, &bytes, now).unwrap_err(), CodecError::Seal);
}

fn key() -> impl Strategy<Value = Key> {
    any::<[u8; 32]>().prop_map(Key::from_bytes)
}

/// From 1970 to 2106.
fn time() -> impl Strategy<Value = SystemTime> {
    (any::<u32>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| UNIX_EPOCH + Duration::new(seconds.into(), nanos))
}

fn detection() -> impl Strategy<Value = Detection> {
    any::<String>().prop_map(Detection)
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        #[expect(clippy::disallowed_methods, reason = "what an engine would say")]
        Just(Verdict::Clean(Clean::attest())),
        detection().prop_map(|detection| Verdict::Infected { detection }),
        detection().prop_map(|why| Verdict::Incomplete { why }),
        detection().prop_map(|why| Verdict::Opaque { why }),
    ]
}

fn provenance() -> impl Strategy<Value = Provenance> {
    let signatures = option::of((any::<u32>(), option::of(time())));
    let texts = any::<[String; 5]>();
    (texts, signatures, any::<u64>(), any::<Duration>(), any::<bool>()).prop_map(
        |(texts, signatures, bytes, took, proven)| {
            let [engine, version, backend, setup, state] = texts;
            Provenance {
                engine: engine.into(),
                version,
                signatures: signatures.map(|(version, built)| Signatures { version, built }),
                backend,
                epoch: Epoch::new(setup, state),
                bytes,
                took,
                vouch: if proven { Vouch::proven() } else { Vouch::default() },
            }
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    let facts = (any::<u64>(), option::of(any::<String>()), any::<bool>(), any::<bool>());
    let order = (any::<u64>(), any::<u64>());
    (facts, verdict(), provenance(), time(), order).prop_map(|(facts, verdict, provenance, scanned_at, order)| {
        let (size, detected_type, container, opaque) = facts;
        let facts = Facts { size, detected_type: detected_type.map(Into::into), container, opaque, ..Facts::default() };
        let (generation, fence) = order;
        Record { order: Order { generation, fence }, facts, verdict, provenance, scanned_at }
    })
}

fn served() -> impl Strategy<Value = Served> {
    let readers = vec(any::<u64>().prop_map(Reader), 0..9);
    (time(), time(), any::<u64>(), readers, any::<bool>()).prop_map(|(first, last, times, readers, more)| Served {
        first,
        last,
        times,
        readers: BTreeSet::from_iter(readers),
        more,
    })
}

fn seen() -> impl Strategy<Value = Seen> {
    let texts = (option::of(any::<String>()), option::of(any::<String>()), option::of(any::<String>()));
    let flags = (any::<bool>(), option::of(any::<bool>()), option::of(any::<bool>()), option::of(any::<bool>()));
    (prop::sample::select(&Direction::ALL[..]), texts, flags, time()).prop_map(|(direction, texts, flags, at)| Seen {
        direction,
        keyed: flags.0,
        server: texts.0.map(Into::into),
        is_local: flags.1,
        declared_type: texts.1.map(Into::into),
        extension: texts.2.map(Into::into),
        double_extension: flags.2,
        bidi: flags.3,
        at,
    })
}

fn registry() -> impl Strategy<Value = Registry> {
    vec((any::<String>(), any::<u64>(), any::<u64>(), time()), 0..9).prop_map(|said| {
        said.into_iter().fold(Registry::default(), |registry, (state, bump, number, at)| {
            let us = Used { name: EpochName::of(&Epoch::new("engine", state)), bump, number };
            registry.and(&registry.using(us, None, &[], at))
        })
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let opened = (vec(key(), 0..5), vec(key(), 0..5)).prop_map(|(clean, infected)| Opened { clean, infected });
    let usage = (time(), time(), any::<u64>(), option::of(served()), vec(seen(), 0..5));
    let usage = usage.prop_map(|(first_seen, last_seen, hits, served, seen)| Usage {
        first_seen,
        last_seen,
        hits,
        served,
        seen,
    });
    let exposure = (time(), detection(), served());
    let exposure = exposure.prop_map(|(found, detection, served)| Exposure { found, detection, served });
    let blame = (any::<u32>(), option::of(record().prop_map(Arc::new)), time());
    prop_oneof![
        record().prop_map(|record| Entry::Record(Arc::new(record))),
        key().prop_map(Entry::Identity),
        (key(), any::<u64>()).prop_map(|(identity, len)| Entry::Located(Located { identity, len })),
        opened.prop_map(|opened| Entry::Opened(Arc::new(opened))),
        usage.prop_map(|usage| Entry::Usage(Arc::new(usage))),
        exposure.prop_map(|exposure| Entry::Exposure(Arc::new(exposure))),
        blame.prop_map(|(amount, record, until)| Entry::Blame(Blame { amount, record, until })),
        registry().prop_map(|registry| Entry::Epochs(Arc::new(registry))),
    ]
}

proptest! {
    #[test]
    fn every_entry_is_read_as_it_was_written(key in key(), entry in entry(), now in time()) {
        let codec = codec();
        let bytes = codec.encode(key, &entry, now);
        let expires = entry.expires(codec.ttl, now);
        prop_assert_eq!(expiry(&bytes).is_some(), expires.is_some());
        match codec.decode(key, &bytes, now).unwrap() {
            Some(read) => prop_assert_eq!(format!("{read:?}"), format!("{entry:?}")),
            None => prop_assert!(expires.is_some_and(|at| at <= now + Duration::from_secs(1))),
        }
    }

    #[test]
    fn what_no_version_wrote_is_no_entry_even_with_the_right_seal(key in key(), content in vec(any::<u8>(), 0..200)) {
        let (codec, now) = (codec(), SystemTime::now());
        let bytes = codec.sealed(key, [vec![0; SEAL], content].concat());
        if let Ok(Some(entry)) = codec.decode(key, &bytes, now) {
            let again = codec.encode(key, &entry, now);
            prop_assert!(codec.decode(key, &again, now).is_ok());
        }
    }
}

#[test]
fn lengths_that_promise_more_than_there_is_are_malformed() {
    let (codec, key) = (codec(), Key::from_bytes([0; 32]));
    // Lists of keys, readers, epochs; a text of an exposure.
    for before in [&[3][..], &[3, 0], &[4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0], &[5, 0, 0], &[7]] {
        for length in [9, 1 << 20, 1 << 40, u64::MAX] {
            let content = [&[VERSION, 0, 0, 0, 0], before, &postcard::to_stdvec(&length).unwrap(), &[1; 8]].concat();
            let bytes = codec.sealed(key, [vec![0; SEAL], content].concat());
            let read = codec.decode(key, &bytes, SystemTime::now());
            assert_eq!(read.unwrap_err(), CodecError::Malformed, "{length} after {before:?}");
        }
    }
}

/// One of each kind.
fn golden() -> [Entry; 8] {
    let time = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let [one, two] = [1, 2].map(|byte| Key::from_bytes([byte; 32]));
    let provenance = Provenance {
        engine: "clamd".into(),
        version: "1.4.6".to_owned(),
        signatures: Some(Signatures { version: 27_000, built: Some(time(1_700_000_000)) }),
        backend: "unix:/run/clamd".to_owned(),
        epoch: Epoch::new("clamd+limits", "ClamAV 1.4.6/27000 0"),
        bytes: 300,
        took: Duration::from_millis(5),
        vouch: Vouch::proven(),
    };
    let facts = Facts { size: 300, detected_type: Some("image/png".into()), opaque: true, ..Facts::default() };
    let record = Record {
        order: Order { generation: 3, fence: 1_700_000_000_000_000 },
        facts,
        #[expect(clippy::disallowed_methods, reason = "what an engine would say")]
        verdict: Verdict::Clean(Clean::attest()),
        provenance,
        scanned_at: time(4_000_000_000),
    };
    let infected = Verdict::Infected { detection: Detection("Eicar".to_owned()) };
    let infected = Arc::new(Record { verdict: infected, ..record.clone() });
    let readers = BTreeSet::from([Reader(7), Reader(u64::MAX)]);
    let served = Served { first: time(1), last: time(2), times: 3, readers, more: true };
    let us = Used { name: EpochName::of(&record.provenance.epoch), bump: 5, number: 27_000 };
    let seen = Seen {
        direction: Direction::Federation,
        keyed: false,
        server: Some("hs.test".into()),
        is_local: Some(true),
        declared_type: Some("image/png".into()),
        extension: Some("png".into()),
        double_extension: Some(false),
        bidi: None,
        at: time(8),
    };
    let seen = vec![Seen { keyed: true, server: None, extension: None, at: time(7), ..seen.clone() }, seen];
    let usage = Usage { first_seen: time(1), last_seen: time(9), hits: 300, served: Some(served.clone()), seen };
    [
        Entry::Record(Arc::new(record)),
        Entry::Identity(one),
        Entry::Located(Located { identity: two, len: 70_000 }),
        Entry::Opened(Arc::new(Opened { clean: vec![one, two], infected: vec![two] })),
        Entry::Usage(Arc::new(usage)),
        Entry::Exposure(Arc::new(Exposure { found: time(4), detection: Detection("X".to_owned()), served })),
        Entry::Blame(Blame { amount: 200, record: Some(infected), until: time(4_000_000_000) }),
        Entry::Epochs(Arc::new(Registry::default().using(us, None, &[], time(6)))),
    ]
}

/// A version once released is read for ever. What breaks this is a new version, and a module of its own.
#[test]
fn what_version_2_wrote_is_read() {
    let codec = Codec::new(KeyRing::with(Zeroizing::new([9; 32])), Duration::from_hours(24));
    let (key, now) = (Key::from_bytes([8; 32]), UNIX_EPOCH + Duration::from_mins(66_666_650));
    let hex = |bytes: Vec<u8>| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let written = golden().map(|entry| hex(codec.encode(key, &entry, now)));
    assert_eq!(written, GOLDEN);
    for (written, entry) in GOLDEN.iter().zip(golden()) {
        let byte = |at| u8::from_str_radix(&written[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..written.len()).step_by(2).map(byte).collect();
        let read = codec.decode(key, &bytes, now).unwrap().unwrap();
        assert_eq!(format!("{read:?}"), format!("{entry:?}"));
    }
}

#[test]
fn what_a_newer_version_wrote_is_not_there() {
    let (codec, key) = (codec(), Key::from_bytes([0; 32]));
    for version in [0, VERSION + 1, 255] {
        let mut bytes = codec.encode(key, &Entry::Identity(key), SystemTime::now());
        bytes[SEAL] = version;
        let read = codec.decode(key, &codec.sealed(key, bytes), SystemTime::now());
        assert_eq!(read.unwrap_err(), CodecError::Version(version));
    }
}

const GOLDEN: [&str; 8] = [
    "d85905558673a6f1dc060d68dff171d602ee6c798000ac020109696d6167652f706e670000000100000000000000010005636c616d6405312e342e3601f8d2010180e2cfaa06000f756e69783a2f72756e2f636c616d640c636c616d642b6c696d69747314436c616d415620312e342e362f32373030302030ac0200c096b1020180d0acf30e00038080f9c0c1c48203",
    "b3a96228ea27722c93aea7541bded43602ee6c7598010101010101010101010101010101010101010101010101010101010101010101",
    "3ba568034f945a7b0519a3986a56e6e602ee6c7598020202020202020202020202020202020202020202020202020202020202020202f0a204",
    "0b773ebed978ca4b72244eb21b9479e002ee6c7598030201010101010101010101010101010101010101010101010101010101010101010202020202020202020202020202020202020202020202020202020202020202010202020202020202020202020202020202020202020202020202020202020202",
    "6c62e23158b70bee126f181693bc489f02ee6c75980401000900ac020101000200030207ffffffffffffffffff01010203010001010109696d6167652f706e670001000007000300010768732e7465737401010109696d6167652f706e670103706e670100000800",
    "c4f809328e3f25ccf4c27a4ab8fcff5102ee6c7598050400015801000200030207ffffffffffffffffff0101",
    "12f93ad2b20b6d6dcfb4f7d57ab19ede02ee6b280006c80101ac020109696d6167652f706e670000000100000000000000010105456963617205636c616d6405312e342e3601f8d2010180e2cfaa06000f756e69783a2f72756e2f636c616d640c636c616d642b6c696d69747314436c616d415620312e342e362f32373030302030ac0200c096b1020180d0acf30e00038080f9c0c1c4820380d0acf30e00",
    "f0c191c897ec184c82bf770c8420832202000000000701ca30504eaa3742d9e0685cbec5bd3ad77119bcee03b56c14020005f8d20106000205",
];
