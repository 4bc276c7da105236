//! Explanations for people.

use std::fmt;

use super::{Explanation, Line};
use crate::policy::rule::Mode;

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shadow = if self.mode == Mode::Shadow.name() { ", in shadow" } else { "" };
        write!(f, "{} ({}{shadow}): {}", self.id, self.action, self.outcome)?;
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "facts:")?;
        for (name, value) in &self.facts.values {
            writeln!(f, "  {name}: {value}")?;
        }
        for (title, lines) in [("exceptions:", &self.exceptions), ("rules:", &self.rules)] {
            if !lines.is_empty() {
                writeln!(f, "{title}")?;
            }
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        if let Some(gate) = &self.gate {
            let way = if gate.passes { "not in the way" } else { "in the way" };
            writeln!(f, "state: {} is {way} (default: {})", gate.state, gate.default)?;
        }
        for shadow in &self.shadows {
            let otherwise = if shadow.flips { "otherwise than" } else { "as" };
            writeln!(f, "in shadow: {} would {}, {otherwise} now", shadow.rule, shadow.action)?;
        }
        write!(f, "decision: {} by {}", self.action, self.by)?;
        if let Some(engines) = &self.engines {
            write!(f, ", if heard: {}", engines.join(", "))?;
        }
        match &self.refusal {
            Some(told) => {
                write!(f, "; told as {} ({})", told.name, told.wire.unwrap_or("try again later"))?;
                told.reasons.iter().try_for_each(|(language, reason)| match language.as_str() {
                    "" => write!(f, "\n  {reason}"),
                    language => write!(f, "\n  {language}: {reason}"),
                })
            }
            None => Ok(()),
        }
    }
}
