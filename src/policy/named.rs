//! What a file name tells, for those who must not keep the name.

use super::names;

/// What a file name tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTells {
    /// Its last extension, in lower case and without the dot.
    pub extension: Option<String>,
    /// It ends like a program although it is made to look like something else.
    pub is_double: bool,
    /// It reads otherwise than it is.
    pub is_deceptive: bool,
}

impl NameTells {
    /// Looks at a name.
    pub fn of(name: &str) -> Self {
        let (extension, is_double) = (names::extension(name), names::is_double(name));
        Self { extension, is_double, is_deceptive: names::is_disguised(name) }
    }
}
