//! What is looked at in a clamd.

use serde::Serialize;

use super::{Finding, State};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "&'static str")]
pub enum Check {
    /// It answers at all.
    Reachable,
    /// It finds the EICAR test file.
    Eicar,
    /// It finds nothing in harmless text.
    Clean,
    /// It says so when it stops at a limit.
    LimitsAlerted,
    /// It says so when it meets an encrypted archive.
    EncryptedAlerted,
    /// It says so when a document has macros.
    MacrosAlerted,
    /// It takes streams as long as our largest medium.
    StreamMaxLength,
    /// It scans files as large as our largest medium.
    MaxFileSize,
    /// It gives up before we do.
    MaxScanTime,
    /// It unpacks into memory, not onto a disk.
    TemporaryDirectory,
    /// A broken database leaves the old one in force.
    ReloadMode,
    /// It scans as many files at a time as we give it.
    MaxThreads,
    /// It has room for all that we ask at a time.
    MaxQueue,
    /// Its database was loaded whole.
    DatabaseIntact,
    /// It has the daily database.
    DatabaseVersion,
    /// Its daily database is recent.
    DatabaseAge,
    /// It does not take two files for the same that are not.
    CleanCache,
    /// It opens RAR archives.
    RarSupport,
    /// It reads what is handed to it as a descriptor.
    DescriptorPassing,
}

impl Check {
    /// All checks, in the order of a report.
    pub const ALL: [Self; 19] = [
        Self::Reachable,
        Self::Eicar,
        Self::Clean,
        Self::LimitsAlerted,
        Self::EncryptedAlerted,
        Self::MacrosAlerted,
        Self::StreamMaxLength,
        Self::MaxFileSize,
        Self::MaxScanTime,
        Self::TemporaryDirectory,
        Self::ReloadMode,
        Self::MaxThreads,
        Self::MaxQueue,
        Self::DatabaseIntact,
        Self::DatabaseVersion,
        Self::DatabaseAge,
        Self::CleanCache,
        Self::RarSupport,
        Self::DescriptorPassing,
    ];

    /// Its name in JSON and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reachable => "reachable",
            Self::Eicar => "eicar",
            Self::Clean => "clean",
            Self::LimitsAlerted => "limits_alerted",
            Self::EncryptedAlerted => "encrypted_alerted",
            Self::MacrosAlerted => "macros_alerted",
            Self::StreamMaxLength => "stream_max_length",
            Self::MaxFileSize => "max_file_size",
            Self::MaxScanTime => "max_scan_time",
            Self::TemporaryDirectory => "temporary_directory",
            Self::ReloadMode => "reload_mode",
            Self::MaxThreads => "max_threads",
            Self::MaxQueue => "max_queue",
            Self::DatabaseIntact => "database_intact",
            Self::DatabaseVersion => "database_version",
            Self::DatabaseAge => "database_age",
            Self::CleanCache => "clean_cache",
            Self::RarSupport => "rar_support",
            Self::DescriptorPassing => "descriptor_passing",
        }
    }

    /// True if the default policy relies on it: a gap here lets something pass unseen, or fails media that are allowed.
    pub fn is_essential(self) -> bool {
        match self {
            Self::Reachable | Self::Eicar | Self::Clean | Self::DatabaseIntact => true,
            Self::LimitsAlerted | Self::EncryptedAlerted => true,
            Self::StreamMaxLength | Self::MaxFileSize => true,
            _ => false,
        }
    }

    pub(super) fn ok(self, says: impl Into<String>) -> Finding {
        Finding { check: self, state: State::Ok, says: says.into(), fix: None }
    }

    pub(super) fn gap(self, says: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { check: self, state: State::Gap, says: says.into(), fix: Some(fix.into()) }
    }

    pub(super) fn unknown(self, says: impl Into<String>) -> Finding {
        Finding { check: self, state: State::Unknown, says: says.into(), fix: None }
    }
}

impl From<Check> for &'static str {
    fn from(check: Check) -> Self {
        check.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = Check::ALL.into_iter().map(Check::name).collect();
        assert_eq!(names.len(), Check::ALL.len());
        assert_eq!(serde_json::to_string(&Check::LimitsAlerted).unwrap(), "\"limits_alerted\"");
    }
}
