use super::*;
use crate::engine::clamd::{
    conformance::{State, find::Found, stream::StreamLimit},
    protocol::Version,
};

const GOOD: &str =
    "DisableCache yes\nAlertExceedsMax yes\nAlertEncrypted yes\nAlertOLE2Macros yes\nMaxScanTime 60000\n";

fn found(text: &str, storage: Storage) -> Found {
    let temporary = Temporary { directory: "/t".into(), storage };
    Found { settings: Ok(Settings::parse(text)), temporary: Some(temporary) }
}

fn unseen() -> Found {
    Found { settings: Err("not found".to_owned()), temporary: None }
}

fn name(text: &str) -> Answer {
    Answer::Found(text.to_owned())
}

fn nothing() -> Answer {
    Answer::Nothing("silence".to_owned())
}

/// A clamd as it should be.
fn good() -> Observations {
    Observations {
        version: Version::parse("ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026").unwrap(),
        clean: Answer::Ok,
        eicar: name("Eicar-Test-Signature"),
        nested_gzip: name("Heuristics.Limits.Exceeded.MaxRecursion"),
        encrypted_zip: name("Heuristics.Encrypted.Zip"),
        macro_document: name("Heuristics.OLE2.ContainsMacros.VBA"),
        stored_rar: name("Eicar-Test-Signature"),
        descriptor: Some(Answer::Ok),
        large_file: Some(name("Eicar-Test-Signature")),
        stream: StreamLimit::Enough,
        threads: Ok(10),
        found: found(GOOD, Storage::Memory),
    }
}

fn needs() -> Needs {
    let clamd = crate::engine::clamd::Config { max_scans: std::num::NonZeroUsize::new(10), ..Default::default() };
    Needs::new(&clamd, &crate::limits::Config::default())
}

fn finding(seen: &Observations, check: Check) -> Finding {
    let now = httpdate::parse_http_date("Wed, 25 Nov 2026 08:00:00 GMT").unwrap();
    let findings = assess(seen, &needs(), now);
    findings.into_iter().find(|finding| finding.check == check).unwrap_or_else(|| panic!("{check:?} was not made"))
}

/// State and fix of one check.
fn outcome(seen: &Observations, check: Check) -> (State, Option<String>) {
    let finding = finding(seen, check);
    (finding.state, finding.fix)
}

fn gap(line: &str) -> (State, Option<String>) {
    (State::Gap, Some(line.to_owned()))
}

#[test]
fn a_clamd_as_it_should_be_passes_every_check() {
    for check in Check::ALL {
        assert_eq!(finding(&good(), check).state, State::Ok, "{:?}", finding(&good(), check));
    }
}

#[test]
fn what_passes_as_clean_is_a_gap_with_the_line_that_closes_it() {
    let bare = found("", Storage::Memory);
    let seen = Observations {
        nested_gzip: Answer::Ok,
        encrypted_zip: Answer::Ok,
        macro_document: Answer::Ok,
        found: bare,
        ..good()
    };
    assert_eq!(outcome(&seen, Check::LimitsAlerted), gap("AlertExceedsMax yes"));
    assert_eq!(outcome(&seen, Check::EncryptedAlerted), gap("AlertEncrypted yes"));
    assert_eq!(outcome(&seen, Check::MacrosAlerted), gap("AlertOLE2Macros yes"));
    assert_eq!(outcome(&Observations { found: unseen(), ..seen }, Check::LimitsAlerted), gap("AlertExceedsMax yes"));
}

#[test]
fn what_was_measured_wins_over_what_is_written() {
    let seen = Observations { nested_gzip: Answer::Ok, ..good() };
    let finding = finding(&seen, Check::LimitsAlerted);
    assert_eq!(finding.state, State::Gap);
    assert!(finding.says.contains("although clamd.conf has `AlertExceedsMax yes`"), "{finding:?}");
    assert!(finding.fix.unwrap().starts_with("restart clamd"));
    let seen = Observations { found: found("", Storage::Memory), ..good() };
    assert_eq!(outcome(&seen, Check::LimitsAlerted).0, State::Ok);
    let seen = Observations { stream: StreamLimit::AtMost(1 << 20), ..good() };
    let (state, fix) = outcome(&seen, Check::StreamMaxLength);
    assert_eq!(
        (state, fix.unwrap().as_str()),
        (State::Gap, "StreamMaxLength 100M (clamd.conf has enough already: restart clamd)")
    );
}

#[test]
fn another_name_or_no_verdict_tells_nothing() {
    for answer in [name("Eicar-Test-Signature"), nothing()] {
        let seen = Observations {
            nested_gzip: answer.clone(),
            encrypted_zip: answer.clone(),
            macro_document: answer,
            ..good()
        };
        for check in [Check::LimitsAlerted, Check::EncryptedAlerted, Check::MacrosAlerted] {
            assert_eq!(outcome(&seen, check), (State::Unknown, None));
        }
    }
}

#[test]
fn a_clamd_that_cannot_tell_is_a_gap() {
    for answer in [Answer::Ok, nothing()] {
        assert_eq!(outcome(&Observations { eicar: answer, ..good() }, Check::Eicar).0, State::Gap);
    }
    for answer in [name("Everything.Is.Bad"), nothing()] {
        assert_eq!(outcome(&Observations { clean: answer, ..good() }, Check::Clean).0, State::Gap);
    }
}

#[test]
fn a_stream_limit_below_ours_is_told() {
    let less = "StreamMaxLength 1M\n";
    for (stream, found, expected) in [
        (StreamLimit::AtMost(1 << 20), found(less, Storage::Memory), gap("StreamMaxLength 100M")),
        (StreamLimit::Less, unseen(), gap("StreamMaxLength 100M")),
        (StreamLimit::Unknown(String::new()), found(less, Storage::Memory), gap("StreamMaxLength 100M")),
        (StreamLimit::Unknown(String::new()), found("", Storage::Memory), (State::Ok, None)),
        (StreamLimit::Unknown(String::new()), unseen(), (State::Unknown, None)),
    ] {
        assert_eq!(outcome(&Observations { stream, found, ..good() }, Check::StreamMaxLength), expected);
    }
}

#[test]
fn a_file_limit_below_ours_is_told() {
    let less = "MaxFileSize 1M\n";
    let limit = |limit: &str| Some(name(&format!("Heuristics.Limits.Exceeded.{limit}")));
    for (large_file, found, expected) in [
        (limit("MaxFileSize"), found(less, Storage::Memory), gap("MaxFileSize 100M")),
        (limit("MaxFileSize"), unseen(), gap("MaxFileSize 100M")),
        (limit("MaxScanSize"), unseen(), gap("MaxScanSize 400M")),
        (limit("MaxScanTime"), unseen(), (State::Unknown, None)),
        (Some(Answer::Ok), unseen(), (State::Ok, None)),
        (Some(nothing()), unseen(), (State::Unknown, None)),
        (Some(nothing()), found(less, Storage::Memory), gap("MaxFileSize 100M")),
        (None, found(less, Storage::Memory), gap("MaxFileSize 100M")),
        (None, found("", Storage::Memory), (State::Ok, None)),
        (None, unseen(), (State::Unknown, None)),
    ] {
        assert_eq!(outcome(&Observations { large_file, found, ..good() }, Check::MaxFileSize), expected);
    }
}

#[test]
fn ok_to_a_large_file_proves_nothing_where_limits_are_silent() {
    let seen = Observations { nested_gzip: Answer::Ok, large_file: Some(Answer::Ok), found: unseen(), ..good() };
    assert_eq!(outcome(&seen, Check::MaxFileSize).0, State::Unknown);
}

#[test]
fn clamd_must_give_up_before_we_do() {
    for (text, expected) in [
        ("MaxScanTime 140000\n", gap("MaxScanTime 60000")),
        ("MaxScanTime 0\n", gap("MaxScanTime 60000")),
        ("MaxScanTime 139999\n", (State::Ok, None)),
        ("", (State::Ok, None)),
    ] {
        let seen = Observations { found: found(text, Storage::Memory), ..good() };
        assert_eq!(outcome(&seen, Check::MaxScanTime), expected, "{text}");
    }
    assert_eq!(margin_below(Duration::from_secs(20)), Duration::from_secs(10));
}

#[test]
fn the_temporary_directory_belongs_in_memory() {
    for (storage, state) in [
        (Storage::Memory, State::Ok),
        (Storage::Disk, State::Gap),
        (Storage::Missing, State::Gap),
        (Storage::Unseen("denied".to_owned()), State::Unknown),
    ] {
        let seen = Observations { found: found(GOOD, storage), ..good() };
        assert_eq!(outcome(&seen, Check::TemporaryDirectory).0, state);
    }
}

#[test]
fn too_few_threads_or_places_are_told() {
    let few = "MaxThreads 2\nMaxQueue 4\n";
    let seen = Observations { threads: Ok(4), ..good() };
    assert_eq!(outcome(&seen, Check::MaxThreads), gap("MaxThreads 10"));
    let seen = Observations { threads: Err("disabled".to_owned()), found: found(few, Storage::Memory), ..good() };
    assert_eq!(outcome(&seen, Check::MaxThreads), gap("MaxThreads 10"));
    assert_eq!(outcome(&seen, Check::MaxQueue), gap("MaxQueue 20"));
    let seen = Observations { threads: Err("disabled".to_owned()), found: unseen(), ..good() };
    assert_eq!(outcome(&seen, Check::MaxThreads).0, State::Unknown);
}

#[test]
fn what_only_the_file_tells_is_unknown_without_it() {
    let seen = Observations { found: unseen(), ..good() };
    for check in [Check::MaxScanTime, Check::TemporaryDirectory, Check::ReloadMode, Check::MaxQueue] {
        assert_eq!(outcome(&seen, check), (State::Unknown, None));
    }
}

#[test]
fn reloads_that_stop_the_scans_are_told() {
    let seen = Observations { found: found("ConcurrentDatabaseReload no\n", Storage::Memory), ..good() };
    assert_eq!(outcome(&seen, Check::ReloadMode), gap("ConcurrentDatabaseReload yes"));
}

#[test]
fn an_archive_that_is_not_opened_is_told() {
    assert_eq!(outcome(&Observations { stored_rar: Answer::Ok, ..good() }, Check::RarSupport).0, State::Gap);
    assert_eq!(outcome(&Observations { stored_rar: nothing(), ..good() }, Check::RarSupport).0, State::Unknown);
}

#[test]
fn descriptors_matter_only_where_they_can_be_passed() {
    assert_eq!(
        outcome(&Observations { descriptor: Some(nothing()), ..good() }, Check::DescriptorPassing).0,
        State::Gap
    );
    let findings = assess(&Observations { descriptor: None, ..good() }, &needs(), SystemTime::UNIX_EPOCH);
    assert!(!findings.iter().any(|finding| finding.check == Check::DescriptorPassing));
}

#[test]
fn files_are_remembered_by_a_sound_hash_or_not_at_all() {
    let forgetful = found(&GOOD.replace("DisableCache yes", "DisableCache no"), Storage::Memory);
    for (version, expected) in [
        ("ClamAV 1.4.6", gap("DisableCache yes")),
        ("ClamAV 1.5.0", (State::Ok, None)),
        ("ClamAV 2.0.0", (State::Ok, None)),
        ("ClamAV 0.103.12", gap("DisableCache yes")),
    ] {
        let version = Version::parse(version).unwrap();
        let seen = Observations { version, found: forgetful.clone(), ..good() };
        assert_eq!(outcome(&seen, Check::CleanCache), expected, "{}", seen.version.text);
    }
}
