//! Sizes and numbers, ours against clamd's.

use bytesize::ByteSize;

use super::super::{
    Check, Finding, Needs,
    measure::{Answer, Observations},
    settings::Settings,
    stream::StreamLimit,
};

pub(super) fn stream_max_length(seen: &Observations, needs: &Needs) -> Finding {
    let (check, need) = (Check::StreamMaxLength, needs.max_media_bytes);
    let written = seen.found.settings.as_ref().ok().map(|settings| settings.stream_max_length);
    let fix = line("StreamMaxLength", need, written);
    let ours = ours(need);
    match (&seen.stream, written) {
        (StreamLimit::Enough, _) => check.ok(format!("streams of {ours} are taken")),
        (StreamLimit::AtMost(theirs), _) => {
            check.gap(format!("streams of more than {} are refused, less than {ours}", ByteSize(*theirs)), fix)
        }
        (StreamLimit::Less, _) => check.gap(format!("streams of {ours} are refused"), fix),
        (StreamLimit::Unknown(why), None) => check.unknown(format!("it was not told: {why}")),
        (StreamLimit::Unknown(_), Some(theirs)) => as_written(check, "StreamMaxLength", theirs, need),
    }
}

pub(super) fn max_file_size(seen: &Observations, needs: &Needs) -> Finding {
    let (check, need) = (Check::MaxFileSize, needs.max_media_bytes);
    let written = seen.found.settings.as_ref().ok().map(|settings| settings.max_file_size);
    match &seen.large_file {
        Some(Answer::Found(name)) if name.ends_with(".MaxFileSize") => {
            check.gap(format!("files of {} are too large for clamd", ours(need)), line("MaxFileSize", need, written))
        }
        Some(Answer::Found(name)) if name.ends_with(".MaxScanSize") => check.gap(
            format!("files of {} are more than clamd scans", ours(need)),
            line("MaxScanSize", need.saturating_mul(4), None),
        ),
        Some(Answer::Found(name)) if !name.starts_with("Heuristics.Limits.") => scanned(need),
        Some(Answer::Ok) if reports_limits(seen) => scanned(need),
        unclear => match written {
            Some(theirs) => as_written(check, "MaxFileSize", theirs, need),
            None => check.unknown(why_unclear(unclear.as_ref())),
        },
    }
}

fn scanned(need: u64) -> Finding {
    Check::MaxFileSize.ok(format!("files of {} are scanned", ours(need)))
}

fn reports_limits(seen: &Observations) -> bool {
    matches!(&seen.nested_gzip, Answer::Found(name) if name.starts_with("Heuristics.Limits.Exceeded"))
}

fn why_unclear(answer: Option<&Answer>) -> String {
    match answer {
        None => "it can be measured only by descriptor, and clamd.conf was not found".to_owned(),
        Some(Answer::Ok) => {
            "clamd said OK, which it also does to files that are too large, without `AlertExceedsMax yes`".to_owned()
        }
        Some(Answer::Found(name)) => format!("clamd said {name}"),
        Some(Answer::Nothing(why)) => format!("there is no verdict on a large file: {why}"),
    }
}

/// What could not be measured, but read.
fn as_written(check: Check, name: &str, theirs: u64, need: u64) -> Finding {
    match theirs >= need {
        true => check.ok(format!("clamd.conf says {name} {}, enough for {}", ByteSize(theirs), ours(need))),
        false => check.gap(
            format!("clamd.conf says {name} {}, less than {}", ByteSize(theirs), ours(need)),
            line(name, need, None),
        ),
    }
}

fn ours(need: u64) -> String {
    format!("{} (limits.max_media_bytes)", ByteSize(need))
}

/// The line for `clamd.conf`. If it says enough already, clamd runs with something else.
fn line(name: &str, need: u64, written: Option<u64>) -> String {
    let line = format!("{name} {}M", need.div_ceil(1 << 20));
    match written {
        Some(written) if written >= need => format!("{line} (clamd.conf has enough already: restart clamd)"),
        _ => line,
    }
}

pub(super) fn max_threads(seen: &Observations, needs: &Needs) -> Finding {
    let check = Check::MaxThreads;
    let written = seen.found.settings.as_ref().map(|settings| settings.max_threads);
    let theirs = match (&seen.threads, &written) {
        (Ok(theirs), _) | (Err(_), Ok(theirs)) => *theirs,
        (Err(why), Err(_)) => return check.unknown(why.as_str()),
    };
    match needs.max_scans.map(|need| need as u64) {
        None => check.ok(format!("clamd scans {theirs} files at a time, and is given no more")),
        Some(need) if theirs >= need => {
            check.ok(format!("clamd scans {theirs} files at a time, clamd.max_scans is {need}"))
        }
        Some(need) => check.gap(
            format!("clamd scans {theirs} files at a time, less than clamd.max_scans of {need}"),
            format!("MaxThreads {need}"),
        ),
    }
}

/// clamd raises `MaxQueue` to twice `MaxThreads`. It counts scans under way, too.
pub(super) fn max_queue(settings: &Settings, needs: &Needs) -> Finding {
    let check = Check::MaxQueue;
    let need = needs.max_scans.map_or(settings.max_threads, |need| need as u64);
    let theirs = settings.max_queue.max(settings.max_threads.saturating_mul(2));
    match theirs > need {
        true => check.ok(format!("clamd queues {theirs} requests and is given {need} at a time")),
        false => check.gap(
            format!("clamd takes {theirs} requests at a time and is given {need}: it would not answer canaries"),
            format!("MaxQueue {}", need * 2),
        ),
    }
}
