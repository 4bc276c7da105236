//! Files that are there whole or not at all, whatever happens meanwhile.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::Path,
};

use tempfile::NamedTempFile;

/// Creates a file that was not there; of two who do so at once, one fails with `AlreadyExists`.
pub fn create(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let file = beside(path, content, mode)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    sync_names(path)
}

/// Replaces the content of a file, which keeps its mode and owner. A link is followed.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let old = path.metadata()?;
    let file = beside(&path, content, 0o600)?;
    let new = file.as_file().metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file.as_file(), Some(old.uid()), Some(old.gid()))?;
    }
    file.as_file().set_permissions(old.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    sync_names(&path)
}

/// Keeps everybody else who asks for the same waiting, for as long as the result lives. The folder is locked, since the
/// file itself becomes another one with each change.
pub fn lock(path: &Path) -> io::Result<File> {
    let folder = File::open(folder(&path.canonicalize()?))?;
    folder.lock()?;
    Ok(folder)
}

fn beside(path: &Path, content: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let open = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = tempfile::Builder::new().make_in(folder(path), open)?;
    file.write_all(content)?;
    Ok(file)
}

/// A new name is on the disk only once its folder is.
fn sync_names(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    fn content(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn what_is_there_is_not_created_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"one", 0o600).unwrap();
        assert_eq!(create(&path, b"two", 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(content(&path), "one");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_replaced_keeps_its_mode_and_the_links_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let [path, link] = ["file", "link"].map(|name| dir.path().join(name));
        create(&path, b"one", 0o600).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, b"two").unwrap();
        assert_eq!((content(&path), content(&link)), ("two".to_owned(), "two".to_owned()));
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(dir.path().read_dir().unwrap().count(), 2, "nothing is left beside them");
    }

    #[test]
    fn what_is_not_there_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(replace(&dir.path().join("file"), b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
