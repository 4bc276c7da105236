//! Memory files: created without a name in any file system, sealed once written.

use std::{fs::File, io};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use ulid::Ulid;

/// Size of the pages that a memory file is made of.
const PAGE: u64 = 4096;

/// What a body of `len` bytes costs in memory.
pub(super) fn charged(len: u64) -> u64 {
    len.div_ceil(PAGE) * PAGE
}

/// An empty memory file whose name, as others see it, is `id`.
pub(super) fn create(id: Ulid) -> io::Result<File> {
    let fd = memfd_create(id.to_string(), MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    Ok(File::from(fd))
}

/// Forbids every further change, to us and to whom the descriptor is passed: clamd has crashed on files that shrank
/// under it.
pub(super) fn seal(file: &File) -> io::Result<()> {
    fcntl_add_seals(file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(())
}
