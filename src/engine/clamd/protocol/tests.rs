use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::verdict::Signatures;

const STATS: &[u8] = b"POOLS: 1\n\nSTATE: VALID PRIMARY\nTHREADS: live 3  idle 0 max 12 idle-timeout 30\nQUEUE: 2 items\n\
    \tSTATS 0.000005 \n\nMEMSTATS: heap N/A mmap N/A used N/A free N/A pools 1 pools_used 5.897M pools_total 5.980M\nEND\0";

fn name(said: &Result<Said, ProtocolError>) -> &'static str {
    match said {
        Ok(Said::Verdict(verdict)) => verdict.name(),
        Ok(Said::Trouble(_)) => "trouble",
        Ok(_) => "other",
        Err(_) => "not understood",
    }
}

#[test]
fn each_reply_to_a_scan_has_its_meaning() {
    use Command::{Fildes, Instream};
    for (received, command, meaning) in [
        (&b"stream: OK\0"[..], Instream, "clean"),
        (b"fd[12]: OK\0", Fildes, "clean"),
        (b"stream: Eicar-Test-Signature FOUND\0", Instream, "infected"),
        (b"fd[9]: Win.Test.EICAR_HDB-1(44d8:68) FOUND\0", Fildes, "infected"),
        (b"fd[9]: Own.Rule-1.UNOFFICIAL FOUND\0", Fildes, "infected"),
        (b"stream: Heuristics.OLE2.ContainsMacros.VBA FOUND\0", Instream, "infected"),
        (b"stream: Heuristics.Broken.Executable FOUND\0", Instream, "infected"),
        (b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0", Instream, "incomplete"),
        (b"fd[9]: Heuristics.Limits.Exceeded.EmailLineFoldcnt FOUND\0", Fildes, "incomplete"),
        (b"stream: Heuristics.Encrypted.Zip FOUND\0", Instream, "opaque"),
        (b"INSTREAM size limit exceeded. ERROR\0", Instream, "incomplete"),
        (b"fd[9]: Can't allocate memory ERROR\0", Fildes, "trouble"),
        (b"COMMAND READ TIMED OUT\n", Instream, "trouble"),
        (b"UNKNOWN COMMAND\0", Instream, "trouble"),
        (b"COMMAND UNAVAILABLE\0", Fildes, "trouble"),
        (b"Error writing to temporary file ERROR\0stream: OK\0", Instream, "trouble"),
        (b"stream: A FOUND\0stream: OK\0", Instream, "infected"),
    ] {
        assert_eq!(name(&parse(received, command)), meaning, "{}", received.escape_ascii());
    }
}

#[test]
fn nothing_near_the_clean_reply_is_clean() {
    use Command::{Fildes, Instream};
    for (received, command) in [
        (&b""[..], Instream),
        (b"OK\0", Instream),
        (b"stream: OK", Instream),
        (b"stream: OK\n", Instream),
        (b"stream: OK\0\0", Instream),
        (b"stream: OK\0stream: OK\0", Instream),
        (b"stream: OK\0stream: X FOUND\0", Instream),
        (b"stream: OK \0", Instream),
        (b"stream:OK\0", Instream),
        (b"Stream: OK\0", Instream),
        (b"stream: ok\0", Instream),
        (b"1: stream: OK\0", Instream),
        (b"1: fd[12]: OK\0", Fildes),
        (b"stream: OK FOUND\0", Instream),
        (b"stream: OK ERROR\0", Instream),
        (b"stream: X ERROR OK\0", Instream),
        (b"stream:  FOUND\0", Instream),
        (b"fd[1]: OK\0", Instream),
        (b"stream: OK\0", Fildes),
        (b"fd[]: OK\0", Fildes),
        (b"fd[x]: OK\0", Fildes),
        (b"fd[1: OK\0", Fildes),
        (b"\0stream: OK\0", Instream),
        (b"PONG\0", Instream),
        (b"ClamAV 1.4.6\0", Instream),
    ] {
        assert_ne!(name(&parse(received, command)), "clean", "{}", received.escape_ascii());
    }
}

#[test]
fn what_a_detection_is_called_is_the_same_with_and_without_the_hash_of_the_file() {
    for (received, why) in [
        ("stream: Heuristics.Limits.Exceeded.MaxScanTime(44d88612fea8a8f36de82e1278abb02f:68) FOUND\0", true),
        ("stream: Heuristics.Limits.Exceeded.MaxScanTime FOUND\0", true),
        ("stream: Heuristics.Limits.Exceeded.MaxScanTime(x:y) FOUND\0", false),
    ] {
        let Ok(Said::Verdict(verdict)) = parse(received.as_bytes(), Command::Instream) else { panic!("{received}") };
        assert_eq!(verdict.is_out_of_time(), why, "{received}");
    }
}

#[test]
fn troubles_are_told_apart() {
    for (text, kind) in [
        ("Can't allocate memory ERROR", TroubleKind::Resources),
        ("Access denied. ERROR", TroubleKind::Resources),
        ("Error writing to temporary file ERROR", TroubleKind::Resources),
        ("UNKNOWN COMMAND", TroubleKind::Command),
        ("COMMAND READ TIMED OUT", TroubleKind::ReadTimeout),
        ("Command invalid inside IDSESSION. ERROR", TroubleKind::Other),
    ] {
        let said = parse(format!("{text}\0").as_bytes(), Command::Fildes).unwrap();
        assert_eq!(said, Said::Trouble(Trouble { kind, text: text.to_owned() }));
    }
}

#[test]
fn control_replies_are_read() {
    assert_eq!(parse(b"PONG\0", Command::Ping), Ok(Said::Pong));
    assert_eq!(parse(b"RELOADING\0", Command::Reload), Ok(Said::Reloading));
    let stats = Stats { max_threads: Some(12), queued: Some(2) };
    assert_eq!(parse(STATS, Command::Stats), Ok(Said::Stats(stats)));
    let other = Stats { max_threads: None, queued: None };
    assert_eq!(parse(b"POOLS: 1\nTHREADS: many\nEND\0", Command::Stats), Ok(Said::Stats(other)));
    assert!(parse(b"POOLS: 1\nTHREADS: live 1 idle 0 max 10", Command::Stats).is_err(), "cut off");
}

#[test]
fn versions_are_read() {
    let version = |received: &[u8], command| match parse(received, command) {
        Ok(Said::Version(version)) => version,
        other => panic!("{other:?}"),
    };
    let built = Some(UNIX_EPOCH + Duration::from_hours(498_728));
    let full = version(b"ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026\0", Command::Version);
    assert_eq!((&*full.engine, full.signatures), ("1.4.6", Some(Signatures { version: 27500, built })));
    assert_eq!(version(b"ClamAV 1.4.6\0", Command::Version).signatures, None);
    let listed = version(b"ClamAV 1.5.0/9/Mon Nov 23 08:00:00 2026| COMMANDS: SCAN PING\0", Command::VersionCommands);
    assert_eq!((&*listed.engine, listed.database()), ("1.5.0", Some(9)));
    let broken = version(b"ClamAV 1.4.6/4294967295/invalid timestamp\0", Command::Version);
    assert!(broken.implausible(None).is_some());
    for other in [&b"ClamAV\0"[..], b"ClamAV 1.4.6/x/y\0", b"ClamAV x\0", b"1.4.6\0", b"ClamAV 1.4.6\0more\0"] {
        assert!(!matches!(parse(other, Command::Version), Ok(Said::Version(_))), "{}", other.escape_ascii());
    }
}

#[test]
fn a_database_goes_forwards_in_small_steps() {
    let version = |text: &str| Version::parse(text).unwrap();
    for (text, highest, plausible) in [
        ("ClamAV 1.4.6/27500/x", None, true),
        ("ClamAV 1.4.6/27500/x", Some(27500), true),
        ("ClamAV 1.4.6/27501/x", Some(27500), true),
        ("ClamAV 1.4.6/27499/x", Some(27500), false),
        ("ClamAV 1.4.6/99999/x", Some(27500), false),
        ("ClamAV 1.4.6", Some(27500), false),
        ("ClamAV 1.4.6", None, true),
    ] {
        assert_eq!(version(text).implausible(highest).is_none(), plausible, "{text} after {highest:?}");
    }
}

#[test]
fn in_a_session_the_number_must_be_that_of_the_command() {
    let parse = |received: &[u8], id| parse_in_session(received, Command::Version, id);
    assert!(matches!(parse(b"7: ClamAV 1.4.6\0", 7), Ok(Said::Version(_))));
    assert_eq!(parse(b"6: ClamAV 1.4.6\0", 7), Err(ProtocolError::WrongId));
    assert_eq!(parse(b"07: ClamAV 1.4.6\0", 7), Err(ProtocolError::WrongId));
    assert!(parse(b"ClamAV 1.4.6\0", 7).is_err());
    assert!(parse(b"7: fd[3]: OK\0", 7).is_err(), "the reply to another's scan");
    assert!(parse(b"7: ClamAV 1.4.6\x007: ClamAV 1.4.6\0", 7).is_err(), "more than one");
    assert!(matches!(parse(b"COMMAND READ TIMED OUT\n", 7), Ok(Said::Trouble(_))));
    assert!(matches!(parse(b"7: COMMAND UNAVAILABLE\0", 7), Ok(Said::Trouble(_))));
}

proptest! {
    #[test]
    fn only_the_exact_reply_is_clean(received in proptest::collection::vec(any::<u8>(), 0..60)) {
        prop_assert_ne!(name(&parse(&received, Command::Instream)), "clean");
        prop_assert_ne!(name(&parse(&received, Command::Fildes)), "clean");
        prop_assert_ne!(name(&parse_in_session(&received, Command::Fildes, 1)), "clean");
    }

    #[test]
    fn the_clean_reply_with_one_byte_changed_is_not_clean(at in 0..11_usize, byte: u8) {
        let mut received = *b"stream: OK\0";
        prop_assume!(received[at] != byte);
        received[at] = byte;
        prop_assert_ne!(name(&parse(&received, Command::Instream)), "clean");
    }

    #[test]
    fn clean_beside_anything_is_not_clean(before in "[ -~]{0,20}", after in "[\0 -~]{1,20}") {
        let text = format!("{before}stream: OK\0{after}");
        prop_assert_ne!(name(&parse(text.as_bytes(), Command::Instream)), "clean");
    }

    #[test]
    fn a_reply_cut_anywhere_is_no_verdict(at in 0..40_usize) {
        let whole = b"stream: Heuristics.Encrypted.Zip FOUND\0";
        prop_assert!(parse(&whole[..at.min(whole.len() - 1)], Command::Instream).is_err());
    }
}
