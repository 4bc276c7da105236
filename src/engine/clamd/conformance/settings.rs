//! `clamd.conf`, read with clamd's own grammar.
//!
//! One setting a line, its name and value parted by blanks; `#` begins a comment at the start of a line only. Names are
//! told apart by case, values of switches are not. The first of several lines counts. What clamd would refuse to start
//! with is passed over here: the clamd in question did start.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use crate::verdict::Heuristics;

/// A size or time that is 0 is no limit at all.
const UNLIMITED: u64 = u32::MAX as u64;

/// The settings that matter to us, with clamd 1.4's defaults for those that the file does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) local_socket: Option<PathBuf>,
    pub(super) tcp_port: Option<u64>,
    pub(super) alerts: Heuristics,
    pub(super) max_file_size: u64,
    pub(super) stream_max_length: u64,
    /// `None` is without end.
    pub(super) max_scan_time: Option<Duration>,
    pub(super) temporary_directory: Option<PathBuf>,
    pub(super) concurrent_reload: bool,
    pub(super) disable_cache: bool,
    pub(super) max_threads: u64,
    pub(super) max_queue: u64,
}

impl Settings {
    /// Reads the text of a file.
    pub(super) fn parse(text: &str) -> Self {
        let lines = Lines::of(text);
        let milliseconds = lines.size("MaxScanTime").unwrap_or(120_000);
        Self {
            local_socket: lines.path("LocalSocket"),
            tcp_port: lines.number("TCPSocket"),
            alerts: alerts(&lines),
            max_file_size: lines.size("MaxFileSize").unwrap_or(100 << 20),
            stream_max_length: lines.size("StreamMaxLength").unwrap_or(100 << 20),
            max_scan_time: (milliseconds < UNLIMITED).then(|| Duration::from_millis(milliseconds)),
            temporary_directory: lines.path("TemporaryDirectory"),
            concurrent_reload: lines.switch("ConcurrentDatabaseReload").unwrap_or(true),
            disable_cache: lines.switch("DisableCache").unwrap_or(false),
            max_threads: lines.number("MaxThreads").unwrap_or(10),
            max_queue: lines.number("MaxQueue").unwrap_or(100),
        }
    }
}

/// The older names still act.
fn alerts(lines: &Lines<'_>) -> Heuristics {
    Heuristics {
        limits: lines.any_switch(&["AlertExceedsMax", "BlockMax"]),
        encrypted: lines.any_switch(&["AlertEncrypted", "AlertEncryptedArchive", "ArchiveBlockEncrypted"]),
        macros: lines.any_switch(&["AlertOLE2Macros", "OLE2BlockMacros"]),
    }
}

struct Lines<'a>(HashMap<&'a str, &'a str>);

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let mut first = HashMap::new();
        for (name, value) in text.lines().filter_map(setting) {
            first.entry(name).or_insert(value);
        }
        Self(first)
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(name).map(PathBuf::from)
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.parse().ok()
    }

    fn switch(&self, name: &str) -> Option<bool> {
        let value = self.0.get(name)?;
        Some(["yes", "true", "1"].iter().any(|on| value.eq_ignore_ascii_case(on)))
    }

    fn any_switch(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.switch(name) == Some(true))
    }

    /// Digits, perhaps with a `K` or `M` behind them. clamd counts no further than 32 bits.
    fn size(&self, name: &str) -> Option<u64> {
        let text = self.0.get(name)?;
        let (digits, unit) = match text.strip_suffix(['K', 'k', 'M', 'm']) {
            Some(digits) if text.ends_with(['K', 'k']) => (digits, 1 << 10),
            Some(digits) => (digits, 1 << 20),
            None => (*text, 1),
        };
        let size = digits.parse::<u64>().ok()?.saturating_mul(unit);
        Some(if size == 0 { UNLIMITED } else { size.min(UNLIMITED) })
    }
}

fn setting(line: &str) -> Option<(&str, &str)> {
    let blank = [' ', '\t'];
    let line = line.trim_start_matches(blank);
    let (name, value) = line.split_once(blank).filter(|_| !line.starts_with('#'))?;
    let value = value.trim_matches(blank);
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.rsplit_once('"')?.0,
        None => value,
    };
    (!value.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Settings {
        Settings::parse(text)
    }

    #[test]
    fn an_empty_file_has_the_defaults_of_clamd() {
        let settings = parse("");
        assert_eq!(settings.alerts, Heuristics::default());
        assert!(settings.concurrent_reload);
        assert_eq!((settings.max_file_size, settings.stream_max_length), (100 << 20, 100 << 20));
        assert_eq!(settings.max_scan_time, Some(Duration::from_mins(2)));
        assert_eq!((settings.max_threads, settings.max_queue), (10, 100));
        assert_eq!((settings.temporary_directory, settings.local_socket, settings.tcp_port), (None, None, None));
    }

    #[test]
    fn settings_are_read_as_clamd_reads_them() {
        let settings = parse(
            "# AlertEncrypted yes\n  AlertExceedsMax \t TRUE  \nAlertOLE2Macros 1\nConcurrentDatabaseReload no\n\
             LocalSocket \"/run/with blank/s\"\nTCPSocket 3310\nTemporaryDirectory /dev/shm\n",
        );
        assert_eq!(
            settings.alerts,
            Heuristics { limits: true, encrypted: false, macros: true },
            "a comment sets nothing"
        );
        assert!(!settings.concurrent_reload);
        assert_eq!(settings.local_socket, Some("/run/with blank/s".into()));
        assert_eq!(settings.tcp_port, Some(3310));
        assert_eq!(settings.temporary_directory, Some("/dev/shm".into()));
    }

    #[test]
    fn the_first_of_several_lines_counts_and_names_have_one_case() {
        let settings = parse("MaxThreads 3\nMaxThreads 4\nmaxqueue 7\nMaxScanTime 5000\nMaxScanTime 0\n");
        assert_eq!((settings.max_threads, settings.max_queue), (3, 100));
        assert_eq!(settings.max_scan_time, Some(Duration::from_secs(5)));
    }

    #[test]
    fn sizes_have_units_and_nought_is_without_limit() {
        for (text, size) in [("25K", 25 << 10), ("1m", 1 << 20), ("7", 7), ("0", UNLIMITED), ("9999M", UNLIMITED)] {
            assert_eq!(parse(&format!("StreamMaxLength {text}")).stream_max_length, size, "{text}");
        }
        assert_eq!(parse("StreamMaxLength lots").stream_max_length, 100 << 20, "clamd does not start with that");
        assert_eq!(parse("MaxScanTime 0").max_scan_time, None);
    }

    #[test]
    fn the_older_names_still_act() {
        let settings = parse("BlockMax yes\nArchiveBlockEncrypted yes\nOLE2BlockMacros yes\n");
        assert_eq!(settings.alerts, Heuristics { limits: true, encrypted: true, macros: true });
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "(?s).{0,200}", value in "\\PC{0,20}") {
            parse(&text);
            for name in ["MaxFileSize", "MaxScanTime", "LocalSocket", "AlertEncrypted", "MaxQueue"] {
                parse(&format!("{name} {value}"));
            }
        }
    }
}
