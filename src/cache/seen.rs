//! In what requests a plaintext was seen: as much as it takes to ask later what another policy would have said of them, and nothing
//! that names a user, a file or an address.

use std::{sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::facts::Direction;

/// Requests of different kinds that are remembered of one plaintext.
const MOST: usize = 4;

/// A kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Where it went.
    pub direction: Direction,
    /// A key had opened it.
    pub keyed: bool,
    /// The server that its address named, if it had one.
    pub server: Option<Arc<str>>,
    /// True if it was uploaded here; `None` if that was not known.
    pub is_local: Option<bool>,
    /// What its sender said that it is.
    pub declared_type: Option<Arc<str>>,
    /// The extension of its name, if it had one.
    pub extension: Option<Arc<str>>,
    /// Its name, if it had one, ended like a program although it was made to look like something else.
    pub double_extension: Option<bool>,
    /// Its name, if it had one, read otherwise than it was.
    pub bidi: Option<bool>,
    /// When it was last seen so.
    pub at: SystemTime,
}

impl Seen {
    /// True if only the time is another one.
    fn is_like(&self, other: &Self) -> bool {
        let Self { direction, keyed, server, is_local, declared_type, extension, double_extension, bidi, at: _ } = self;
        (*direction, *keyed, *is_local) == (other.direction, other.keyed, other.is_local)
            && (*double_extension, *bidi) == (other.double_extension, other.bidi)
            && (server, declared_type, extension) == (&other.server, &other.declared_type, &other.extension)
    }
}

/// Adds a kind of request to those that are remembered, the most recent of which are last.
pub(super) fn add(all: &mut Vec<Seen>, seen: &Seen) {
    let at = match all.iter().position(|one| one.is_like(seen)) {
        Some(known) => {
            let known = all.remove(known);
            known.at.max(seen.at)
        }
        None => seen.at,
    };
    let place = all.iter().rposition(|one| one.at <= at).map_or(0, |before| before + 1);
    all.insert(place, Seen { at, ..seen.clone() });
    let surplus = all.len().saturating_sub(MOST);
    all.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn seen(declared: &str, seconds: u64) -> Seen {
        Seen {
            direction: Direction::Download,
            keyed: false,
            server: Some("a.test".into()),
            is_local: None,
            declared_type: Some(declared.into()),
            extension: None,
            double_extension: None,
            bidi: None,
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        }
    }

    #[test]
    fn the_most_recent_kinds_of_requests_are_remembered_once_each() {
        let mut all = Vec::new();
        for (declared, at) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 1), ("d", 5)] {
            add(&mut all, &seen(declared, at));
        }
        assert_eq!(all, [seen("b", 2), seen("a", 3), seen("c", 4), seen("d", 5)]);
        add(&mut all, &seen("e", 6));
        add(&mut all, &seen("f", 0));
        assert_eq!(all, [seen("a", 3), seen("c", 4), seen("d", 5), seen("e", 6)], "what is older than all is not kept");
    }
}
