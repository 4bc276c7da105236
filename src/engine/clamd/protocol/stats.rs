//! `STATS`: a gauge, never a probe, since it needs a free worker. Its format "may change", so what is not there is unknown.

/// What is read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// `MaxThreads`: scans that this clamd does at a time.
    pub max_threads: Option<usize>,
    /// Commands that wait for a thread.
    pub queued: Option<usize>,
}

impl Stats {
    /// Reads the reply; `None` if it is another one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !(text.starts_with("POOLS:") && text.trim_end().ends_with("END")) {
            return None;
        }
        Some(Self { max_threads: number(text, "THREADS:", "max "), queued: number(text, "QUEUE:", "") })
    }
}

/// The number after `label` in the first line that begins with `head`.
fn number(text: &str, head: &str, label: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(head))?;
    let (_, value) = line.split_once(label)?;
    value.split_whitespace().next()?.parse().ok()
}
