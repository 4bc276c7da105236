//! What a container holds.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Group;

/// What was seen in a container, and in containers in it, as far as the bounds of looking went. Numbers are never more than what
/// is there but for [`Inside::expanded`], which is what the container says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inside {
    /// False if something was not looked at: a bound was reached, an entry needs a password, the container is damaged, or is of
    /// a kind that is not looked into.
    pub complete: bool,
    /// Files in it, at all depths.
    pub entries: u64,
    /// Those that need a password.
    pub encrypted: u64,
    /// Containers in one another, this one included: 1 for an archive of plain files.
    pub depth: u8,
    /// Bytes of all entries as they say of themselves, or as they were counted where they do not.
    pub expanded: u64,
    /// Entries share bytes, or more come out than the container can honestly hold.
    pub overlapping: bool,
    /// A name that leads out of the directory it is unpacked to, or is made to look like another one.
    pub deceptive_names: bool,
    /// Kinds of what is in it.
    pub groups: BTreeSet<Group>,
    /// Types of what is in it, as many as are remembered.
    pub types: BTreeSet<Arc<str>>,
    /// Extensions of names in it, in lower case and without the dot, as many as are remembered.
    pub extensions: BTreeSet<Arc<str>>,
}

impl Inside {
    /// Types and extensions that are remembered of one container, each.
    pub const MOST: usize = 32;

    /// How many times as large it becomes, rounded down. `size` is its own.
    pub fn ratio(&self, size: u64) -> u64 {
        self.expanded / size.max(1)
    }
}
