//! What several engines have said so far.

use super::{EngineError, Scan, combined};

/// How much an engine counts in one scan.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// There is no verdict without it, unless something was recognised.
    pub(super) counts: bool,
    /// It is heard in any case.
    pub(super) is_needed: bool,
}

/// What was said so far.
#[derive(Default)]
pub(super) struct Heard {
    /// Each with whether it was needed.
    scans: Vec<(bool, Scan)>,
    failures: Vec<EngineError>,
    pub(super) is_infected: bool,
    /// Those that count and have not answered.
    pub(super) missing: usize,
    /// Those that are needed and have not.
    pub(super) needed: usize,
}

impl Heard {
    /// Nothing, with so many that count, and of these so many that are needed, still to answer.
    pub(super) fn expecting(missing: usize, needed: usize) -> Self {
        Self { missing, needed, ..Self::default() }
    }

    pub(super) fn take(&mut self, part: Part, outcome: Result<Scan, EngineError>) {
        self.missing -= usize::from(part.counts);
        self.needed -= usize::from(part.is_needed);
        match outcome {
            Ok(scan) if scan.verdict.is_infected() || part.counts => {
                self.is_infected |= scan.verdict.is_infected();
                self.scans.push((part.is_needed, scan));
            }
            Err(error) if part.counts => self.failures.push(error),
            Ok(_) => (),
            Err(error) => tracing::debug!(%error, "an advisory engine gave no verdict"),
        }
    }

    /// What is recognised is infected, whoever failed; what is not needs all who count.
    pub(super) fn together(self) -> Result<Scan, EngineError> {
        let (is_infected, scans) = (self.is_infected, self.scans.into_iter());
        let counts =
            |(is_needed, scan): (bool, Scan)| (!is_infected || is_needed || scan.verdict.is_infected()).then_some(scan);
        match self.failures.into_iter().max_by_key(EngineError::blame) {
            _ if is_infected => Ok(combined(scans.filter_map(counts).collect())),
            None if self.missing == 0 => Ok(combined(scans.filter_map(counts).collect())),
            None => Err(EngineError::Timeout { blame: 0 }),
            Some(error) => Err(error),
        }
    }
}
