//! Numbers, and ranges of them, as they are written in rules.

use std::{fmt, ops::Bound};

use serde_yaml::Value as Yaml;

use super::{Wrong, wrong::shortened};
use crate::policy::fact::Kind;

/// The largest number that rules can name exactly.
const MOST: f64 = 9_007_199_254_740_992.0;

/// Numbers from one to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Where it begins.
    pub min: Bound<f64>,
    /// Where it ends.
    pub max: Bound<f64>,
}

impl Range {
    /// True if a number is in it.
    pub fn contains(&self, number: f64) -> bool {
        std::ops::RangeBounds::contains(&(self.min, self.max), &number)
    }

    /// True if no number is in it.
    pub fn is_empty(&self) -> bool {
        match (self.min, self.max) {
            (Bound::Included(min), Bound::Included(max)) => min > max,
            (Bound::Included(min) | Bound::Excluded(min), Bound::Included(max) | Bound::Excluded(max)) => min >= max,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        }
    }

    /// True if all of its numbers are in another one.
    pub fn is_within(&self, other: &Self) -> bool {
        let begins_later = match (self.min, other.min) {
            (_, Bound::Unbounded) => true,
            (Bound::Unbounded, _) => false,
            (Bound::Included(own), Bound::Excluded(theirs)) => own > theirs,
            (Bound::Included(own) | Bound::Excluded(own), Bound::Included(theirs) | Bound::Excluded(theirs)) => {
                own >= theirs
            }
        };
        let ends_earlier = match (self.max, other.max) {
            (_, Bound::Unbounded) => true,
            (Bound::Unbounded, _) => false,
            (Bound::Included(own), Bound::Excluded(theirs)) => own < theirs,
            (Bound::Included(own) | Bound::Excluded(own), Bound::Included(theirs) | Bound::Excluded(theirs)) => {
                own <= theirs
            }
        };
        begins_later && ends_earlier
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (Bound::Included(min), Bound::Included(max)) if min.total_cmp(&max).is_eq() => return write!(f, "{min}"),
            (Bound::Included(min), _) => write!(f, ">= {min}")?,
            (Bound::Excluded(min), _) => write!(f, "> {min}")?,
            (Bound::Unbounded, _) => (),
        }
        let and = if self.min == Bound::Unbounded { "" } else { " and " };
        match self.max {
            Bound::Included(max) => write!(f, "{and}<= {max}"),
            Bound::Excluded(max) => write!(f, "{and}< {max}"),
            Bound::Unbounded => Ok(()),
        }
    }
}

/// What numbers of a kind look like.
pub(super) fn described(kind: Kind) -> &'static str {
    match kind {
        Kind::Bytes => "a number of bytes, like 10MiB",
        Kind::Age => "a time, like 3d or 12h",
        Kind::Real => "a number, like 7.5",
        _ => "a whole number",
    }
}

/// A number of a kind, in bytes or seconds where it has a unit.
pub(in crate::policy) fn number(kind: Kind, value: &Yaml) -> Result<f64, Wrong> {
    let shown = match value {
        Yaml::Number(number) => number.to_string(),
        Yaml::String(text) => text.trim().to_owned(),
        _ => return Err(Wrong::new(format!("this has to be {}", described(kind)))),
    };
    let number = match kind {
        Kind::Bytes => shown.parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64() as f64),
        Kind::Age => humantime::parse_duration(&shown).ok().map(|age| age.as_secs_f64()),
        Kind::Real => shown.parse::<f64>().ok(),
        _ => shown.parse::<u64>().ok().map(|number| number as f64),
    };
    let wrong = || {
        let wrong = Wrong::new(format!("`{}` is not {}", shortened(&shown), described(kind)));
        match kind {
            Kind::Age if shown.parse::<f64>().is_ok() => wrong.hint(format!("did you mean `{shown}s`, seconds?")),
            _ => wrong,
        }
    };
    match number.filter(|number| number.is_finite() && *number >= 0.0) {
        None => Err(wrong()),
        Some(number) if number > MOST => Err(Wrong::new(format!("`{}` is too large", shortened(&shown)))),
        Some(number) => Ok(number),
    }
}

/// A range that is written as one value: a number, or a comparison with one.
pub(super) fn range(kind: Kind, value: &Yaml) -> Result<Range, Wrong> {
    let text = match value {
        Yaml::String(text) => text.trim(),
        _ => "",
    };
    let rest = |operator: &str| text.strip_prefix(operator).map(|rest| number(kind, &Yaml::String(rest.to_owned())));
    let (min, max) = if let Some(number) = rest(">=") {
        (Bound::Included(number?), Bound::Unbounded)
    } else if let Some(number) = rest("<=") {
        (Bound::Unbounded, Bound::Included(number?))
    } else if let Some(number) = rest(">") {
        (Bound::Excluded(number?), Bound::Unbounded)
    } else if let Some(number) = rest("<") {
        (Bound::Unbounded, Bound::Excluded(number?))
    } else {
        let number = number(kind, value)?;
        (Bound::Included(number), Bound::Included(number))
    };
    Ok(Range { min, max })
}

/// A range between two numbers, both included, of which one may be missing.
pub(super) fn between(kind: Kind, min: Option<&Yaml>, max: Option<&Yaml>) -> Result<Range, Wrong> {
    let bound = |key: &str, value: Option<&Yaml>| match value {
        None => Ok(Bound::Unbounded),
        Some(value) => number(kind, value).map(Bound::Included).map_err(|wrong| wrong.under_key(key)),
    };
    let range = Range { min: bound("min", min)?, max: bound("max", max)? };
    match range.is_empty() {
        true => Err(Wrong::new("nothing is between these: `min` is greater than `max`").under_key("min")),
        false => Ok(range),
    }
}
