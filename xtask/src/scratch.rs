//! Folders for what nobody reads after the tests. In memory where there is room: thousands of databases, each of hundreds of files that are gone
//! a second later, and every commit of them synced, are work that no disk has to do.

use std::env;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use tempfile::TempDir;

/// Where Linux has its memory as a file system.
const MEMORY: &str = "/dev/shm";

/// What the tests that run at once, and a PostgreSQL, never came near to.
const ROOM: u64 = 4 << 30;

/// A fresh folder, removed when it is dropped.
pub fn folder(prefix: &str) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(prefix).tempdir_in(base())
}

fn base() -> PathBuf {
    let memory = Path::new(MEMORY);
    if roomy(memory) { memory.to_path_buf() } else { env::temp_dir() }
}

/// Whether there is room, and programs may be run from there: some tests write scripts.
fn roomy(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|found| {
        let free = found.blocks_available().saturating_mul(found.fragment_size());
        free >= ROOM && !found.flags().intersects(FsFlags::ST_NOEXEC | FsFlags::ST_RDONLY)
    })
}
