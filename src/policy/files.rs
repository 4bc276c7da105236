//! How the files of a policy are called.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// True for names that nobody means: hidden ones, and what editors leave behind.
pub fn is_ignored(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') || name.ends_with('~')
}

/// True for the name of a policy file or of one with cases.
pub fn is_yaml(name: &OsStr) -> bool {
    let text = name.to_string_lossy();
    !is_ignored(name) && (text.ends_with(".yaml") || text.ends_with(".yml"))
}

/// True for a file with cases.
pub fn is_cases(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_named_so = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with(".cases"));
    is_yaml(name) && is_named_so
}

/// True for the name of a policy file.
pub fn is_policy(name: &OsStr) -> bool {
    is_yaml(name) && !is_cases(Path::new(name))
}

/// Where cases of a policy may be that is a single file.
pub fn cases_beside(policy: &Path) -> [PathBuf; 2] {
    ["cases.yaml", "cases.yml"].map(|extension| policy.with_extension(extension))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn hidden_files_and_leftovers_are_no_policies_and_cases_are_none_either() {
        for name in ["a.yaml", "a.yml", "10-a.b.yaml"] {
            assert!(is_policy(name.as_ref()), "{name}");
        }
        assert!(is_policy(OsStr::from_bytes(b"\xff.yaml")));
        for name in [".a.yaml", "a.yaml~", "a.cases.yaml", "a.yaml.swp", "a.txt", "..data", "a.yaml.tmp"] {
            assert!(!is_policy(name.as_ref()), "{name}");
        }
        assert!(is_yaml("a.cases.yaml".as_ref()));
        for (name, holds_cases) in
            [("a.cases.yaml", true), ("x/a.cases.yml", true), ("a.yaml", false), ("a.cases", false)]
        {
            assert_eq!(is_cases(Path::new(name)), holds_cases, "{name}");
        }
    }
}
