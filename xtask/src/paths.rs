//! Where things are. Every other file asks here, so that a moved checkout or a foreign working folder changes nothing.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The folder of the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    // Cargo sets the variable for `cargo run`; the compiled-in value serves a binary that was started by hand.
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), Path::to_path_buf)
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The browser bundle as the server embeds it: always below the workspace, because the server names it by a relative path.
pub fn site() -> PathBuf {
    root().join("target/site")
}

/// What the tasks themselves keep: logs and cached intermediate results.
pub fn work() -> PathBuf {
    target().join("xtask")
}

/// A finished binary of this build profile.
pub fn binary(profile: Profile, name: &str) -> PathBuf {
    target().join(profile.folder()).join(name)
}

/// Which build of the host binaries is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    Dev,
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Every file below `dir`, sorted, so that anything computed from the list is the same on every machine.
pub fn files_below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
