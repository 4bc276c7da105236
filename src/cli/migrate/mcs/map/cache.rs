//! How long verdicts are kept.

use std::time::Duration;

use humantime_serde::re::humantime;
use serde_yaml::Value;

use super::super::{draft::Section, read::Settings};

/// The longest `cache.ttl`.
const LONGEST: Duration = Duration::from_hours(24 * 365);

pub(super) fn cache(settings: &Settings) -> Section {
    let section = Section::new("cache")
        .remark_if(
            settings.max_size.is_some() || settings.max_file_size.is_some(),
            "max_size and max_file_size have no counterpart: Lazaret keeps verdicts and never the files \
             (cache.max_bytes). What a client may have at all is limits.max_media_bytes.",
        )
        .remark_if(
            settings.ttl.is_some(),
            "MCS kept a verdict for all of this time; here it also ends with the signatures that it was made with.",
        );
    let Some(ttl) = &settings.ttl else { return section };
    match duration(ttl) {
        Some(ttl) => {
            let ttl = humantime::format_duration(ttl.min(LONGEST)).to_string();
            section.set("ttl", ttl)
        }
        None => section.warning("cache.ttl: the time cannot be read; the default stands in for it."),
    }
}

/// A time as MCS writes it: a number of seconds, or numbers with units.
fn duration(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(seconds) => Duration::try_from_secs_f64(seconds.as_f64()?).ok(),
        Value::String(text) => {
            let text = text.trim().to_lowercase();
            match text.parse() {
                Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
                Err(_) => humantime::parse_duration(&text).ok(),
            }
        }
        _ => None,
    }
}
