//! What VERSION tells of the signature database: `ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026`.

use std::time::{Duration, SystemTime};

use super::super::{Check, Finding};
use crate::{engine::clamd::protocol::Version, verdict::Signatures};

/// The daily database has a new version every day.
const OLD: Duration = Duration::from_hours(7 * 24);

pub(super) fn assess(version: &Version, now: SystemTime) -> Vec<Finding> {
    let intact = Check::DatabaseIntact.ok("no broken database is in force");
    match (version.signatures, version.implausible(None)) {
        (_, Some(why)) => vec![broken(&why)],
        (None, None) => vec![intact, missing()],
        (Some(signatures), None) => {
            let number = Check::DatabaseVersion.ok(format!("version {} of the daily database", signatures.version));
            vec![intact, number, age(version, signatures, now)]
        }
    }
}

fn missing() -> Finding {
    Check::DatabaseVersion
        .gap("there is no daily database: new malware is not found", "run freshclam, and keep it running")
}

fn broken(why: &str) -> Finding {
    let fix = "repair the database, restart clamd, and set `ConcurrentDatabaseReload yes`";
    Check::DatabaseIntact.gap(format!("{why}: clamd cannot scan"), fix)
}

/// The date is in clamd's local time, half a day off at most.
fn age(version: &Version, signatures: Signatures, now: SystemTime) -> Finding {
    let check = Check::DatabaseAge;
    let date = version.text.splitn(3, '/').nth(2).unwrap_or_default();
    let Some(made) = signatures.built else {
        return check.unknown(format!("the date is not understood: {date}"));
    };
    let days = |age: Duration| age.as_secs() / (24 * 60 * 60);
    match now.duration_since(made).unwrap_or_default() {
        age if age > OLD => check.gap(
            format!("the daily database is {} days old ({date})", days(age)),
            "see why freshclam does not update it",
        ),
        _ => check.ok(format!("the daily database is of {date}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::clamd::conformance::State;

    fn now() -> SystemTime {
        httpdate::parse_http_date("Wed, 25 Nov 2026 08:00:00 GMT").unwrap()
    }

    fn states(version: &str) -> Vec<(Check, State)> {
        assess(&Version::parse(version).unwrap(), now())
            .into_iter()
            .map(|finding| (finding.check, finding.state))
            .collect()
    }

    #[test]
    fn a_recent_database_is_one_of_this_week() {
        for (version, age) in [
            ("ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026", State::Ok),
            ("ClamAV 1.4.6/27500/Wed Nov 18 09:00:00 2026", State::Ok),
            ("ClamAV 1.4.6/27500/Tue Nov 17 08:00:00 2026", State::Gap),
            ("ClamAV 1.4.6/27500/Wed Nov  4 08:00:00 2026", State::Gap),
            ("ClamAV 1.4.6/27500/Thu Nov 26 08:00:00 2026", State::Ok),
            ("ClamAV 1.4.6/27500/some day", State::Unknown),
            ("ClamAV 1.4.6/27500", State::Unknown),
        ] {
            assert!(states(version).contains(&(Check::DatabaseAge, age)), "{version}: {:?}", states(version));
        }
    }

    #[test]
    fn no_daily_database_is_a_gap_and_nothing_is_broken() {
        assert_eq!(states("ClamAV 1.4.6"), [(Check::DatabaseIntact, State::Ok), (Check::DatabaseVersion, State::Gap)]);
    }

    #[test]
    fn the_version_of_a_broken_database_is_known() {
        let states = states("ClamAV 1.4.6/4294967295/invalid timestamp");
        assert_eq!(states, [(Check::DatabaseIntact, State::Gap)]);
    }
}
