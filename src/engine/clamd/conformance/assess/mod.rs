//! From what was observed to what it means: pure.

mod database;
mod limits;

use std::time::{Duration, SystemTime};

use super::{
    Check, Finding, Needs,
    find::{Storage, Temporary},
    measure::{Answer, Observations},
    settings::Settings,
};

/// One finding for each check that applies.
pub(super) fn assess(seen: &Observations, needs: &Needs, now: SystemTime) -> Vec<Finding> {
    let mut findings = vec![Check::Reachable.ok("clamd answers"), eicar(&seen.eicar), clean(&seen.clean)];
    findings.extend(alerts(seen));
    findings.extend([
        limits::stream_max_length(seen, needs),
        limits::max_file_size(seen, needs),
        with_settings(seen, Check::MaxScanTime, |settings| max_scan_time(settings, needs)),
        temporary_directory(seen),
        with_settings(seen, Check::ReloadMode, reload_mode),
        limits::max_threads(seen, needs),
        with_settings(seen, Check::MaxQueue, |settings| limits::max_queue(settings, needs)),
    ]);
    findings.extend(database::assess(&seen.version, now));
    findings.push(clean_cache(seen));
    findings.push(rar(&seen.stored_rar));
    findings.extend(seen.descriptor.as_ref().map(|answer| descriptor(answer, needs)));
    findings
}

fn with_settings(seen: &Observations, check: Check, assess: impl FnOnce(&Settings) -> Finding) -> Finding {
    match &seen.found.settings {
        Ok(settings) => assess(settings),
        Err(why) => check.unknown(why.as_str()),
    }
}

fn eicar(answer: &Answer) -> Finding {
    match answer {
        Answer::Found(name) => Check::Eicar.ok(format!("the EICAR test file is found ({name})")),
        Answer::Ok => Check::Eicar.gap(
            "the EICAR test file is called OK: nothing would be found",
            "load a signature database (freshclam) and restart clamd",
        ),
        Answer::Nothing(why) => {
            Check::Eicar.gap(format!("there is no verdict on the EICAR test file: {why}"), "see clamd's log")
        }
    }
}

fn clean(answer: &Answer) -> Finding {
    match answer {
        Answer::Ok => Check::Clean.ok("harmless text is called OK"),
        Answer::Found(name) => Check::Clean.gap(
            format!("harmless text is called {name}: everything would be refused"),
            format!("remove the signature {name}"),
        ),
        Answer::Nothing(why) => {
            Check::Clean.gap(format!("there is no verdict on harmless text: {why}"), "see clamd's log")
        }
    }
}

/// A setting without which clamd says OK to what it did not look into.
struct Alert<'a> {
    check: Check,
    answer: &'a Answer,
    /// How the names of such alerts begin.
    prefix: &'static str,
    ok: &'static str,
    gap: &'static str,
    line: &'static str,
    /// Whether `clamd.conf` has the line.
    is_set: Option<bool>,
}

fn alerts(seen: &Observations) -> [Finding; 3] {
    let set = seen.found.settings.as_ref().ok().map(|settings| settings.alerts);
    [
        alert(&Alert {
            check: Check::LimitsAlerted,
            answer: &seen.nested_gzip,
            prefix: "Heuristics.Limits.Exceeded",
            ok: "what is not scanned in full is reported",
            gap: "what lies beyond clamd's limits passes as clean: it called an archive OK that it had not opened fully",
            line: "AlertExceedsMax yes",
            is_set: set.map(|alerts| alerts.limits),
        }),
        alert(&Alert {
            check: Check::EncryptedAlerted,
            answer: &seen.encrypted_zip,
            prefix: "Heuristics.Encrypted.",
            ok: "encrypted archives are reported",
            gap: "encrypted archives pass as clean",
            line: "AlertEncrypted yes",
            is_set: set.map(|alerts| alerts.encrypted),
        }),
        alert(&Alert {
            check: Check::MacrosAlerted,
            answer: &seen.macro_document,
            prefix: "Heuristics.OLE2.ContainsMacros",
            ok: "documents with macros are reported",
            gap: "documents with macros are not reported; this matters only to a policy on macros",
            line: "AlertOLE2Macros yes",
            is_set: set.map(|alerts| alerts.macros),
        }),
    ]
}

fn alert(alert: &Alert<'_>) -> Finding {
    let Alert { check, line, .. } = alert;
    match alert.answer {
        Answer::Found(name) if name.starts_with(alert.prefix) => check.ok(format!("{} ({name})", alert.ok)),
        Answer::Ok if alert.is_set == Some(true) => check.gap(
            format!("{}, although clamd.conf has `{line}`", alert.gap),
            format!("restart clamd, which has not read its clamd.conf since `{line}` was written"),
        ),
        Answer::Ok => check.gap(alert.gap, *line),
        Answer::Found(name) => check.unknown(format!("the specimen was called {name}, which does not tell")),
        Answer::Nothing(why) => check.unknown(format!("there is no verdict on the specimen: {why}")),
    }
}

fn max_scan_time(settings: &Settings, needs: &Needs) -> Finding {
    let ours = needs.scan_timeout;
    let line = format!("MaxScanTime {}", margin_below(ours).as_millis());
    match settings.max_scan_time {
        Some(theirs) if theirs < ours => {
            Check::MaxScanTime.ok(format!("clamd gives up after {theirs:?}, before we do ({ours:?} after the longest wait)"))
        }
        Some(theirs) => Check::MaxScanTime.gap(
            format!(
                "clamd gives up after {theirs:?}, not before we do ({ours:?} after the longest wait): its thread is lost \
                 to a scan that nobody waits for"
            ),
            line,
        ),
        None => Check::MaxScanTime.gap("clamd never gives up: one hostile file can hold a thread for good", line),
    }
}

/// A time for clamd that leaves us some to hear of it.
fn margin_below(ours: Duration) -> Duration {
    let usual = Duration::from_mins(1);
    if ours > usual + Duration::from_secs(10) { usual } else { ours / 2 }
}

fn temporary_directory(seen: &Observations) -> Finding {
    let check = Check::TemporaryDirectory;
    match (&seen.found.temporary, &seen.found.settings) {
        (Some(temporary), _) => storage(temporary),
        (None, Err(why)) => check.unknown(why.as_str()),
        (None, Ok(_)) => check.unknown("it was not looked at"),
    }
}

fn storage(temporary: &Temporary) -> Finding {
    let (check, directory) = (Check::TemporaryDirectory, temporary.directory.display());
    let line = "TemporaryDirectory /dev/shm/clamd";
    match &temporary.storage {
        Storage::Memory => check.ok(format!("{directory} is in memory (tmpfs)")),
        Storage::Disk => check.gap(
            format!("{directory} is on a disk, and what clamd unpacks or is streamed lies there in plaintext"),
            format!("{line} (any folder on a tmpfs with room for clamd's MaxScanSize, owned by clamd's user)"),
        ),
        Storage::Missing => {
            check.gap(format!("{directory} does not exist, and clamd may say OK to what it cannot unpack"), line)
        }
        Storage::Unseen(why) => check.unknown(format!("{directory} cannot be looked at: {why}")),
    }
}

fn reload_mode(settings: &Settings) -> Finding {
    match settings.concurrent_reload {
        true => Check::ReloadMode.ok("scans go on during a reload, and a broken database leaves the old one in force"),
        false => Check::ReloadMode.gap(
            "scans stand still during a reload, and one broken database leaves clamd unable to scan",
            "ConcurrentDatabaseReload yes",
        ),
    }
}

/// Since 1.5 clamd remembers by SHA-256.
fn clean_cache(seen: &Observations) -> Finding {
    let check = Check::CleanCache;
    let mut numbers = seen.version.engine.split('.').map_while(|number| number.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) >= (Some(1), Some(5)) {
        return check.ok("clamd remembers clean files by SHA-256");
    }
    with_settings(seen, check, |settings| {
        match settings.disable_cache {
        true => check.ok("clamd does not remember clean files"),
        false => check.gap(
            "clamd remembers clean files, by MD5: it says OK unseen to another file with the same one, which can be made, and \
             to what it failed to unpack",
            "DisableCache yes",
        ),
    }
    })
}

fn rar(answer: &Answer) -> Finding {
    match answer {
        Answer::Found(_) => Check::RarSupport.ok("RAR archives are opened"),
        Answer::Ok => Check::RarSupport.gap(
            "RAR archives are not opened and pass as clean: the EICAR test file in one was not found",
            "install libclamunrar (Debian: from non-free) and restart clamd",
        ),
        Answer::Nothing(why) => Check::RarSupport.unknown(format!("there is no verdict on the specimen: {why}")),
    }
}

fn descriptor(answer: &Answer, needs: &Needs) -> Finding {
    let check = Check::DescriptorPassing;
    match (answer, &needs.spooler) {
        (Answer::Ok, Some(_)) => check.ok("open files are read, from memory and from spool.dir"),
        (Answer::Ok, None) => check.ok("open files are read from memory; spool.dir was not tried"),
        (Answer::Found(name), _) => check.unknown(format!("harmless text was called {name}")),
        (Answer::Nothing(why), _) => check.gap(
            format!("open files are not read ({why}), so media are streamed, and clamd writes each to its disk first"),
            "let clamd read memory files and spool.dir, in AppArmor's profile of clamd for example",
        ),
    }
}

#[cfg(test)]
mod tests;
