//! Intermediate results, each in a folder named by the hash of everything it was made from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::paths;

/// Hash of the inputs of one step.
pub struct Key(Sha256);

impl Key {
    /// `recipe` changes whenever the step itself changes, so that old results aren't taken for new ones.
    pub fn new(recipe: &str) -> Self {
        Self(Sha256::new()).with(recipe.as_bytes())
    }

    /// Adds one input. The length goes in first: `ab`, `c` and `a`, `bc` differ.
    pub fn with(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes.len().to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a file, by name and content.
    pub fn with_file(self, path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(self.with(name.as_bytes()).with(&bytes))
    }

    fn hex(self) -> String {
        hex::encode(&self.0.finalize()[..12])
    }
}

/// The first 64 bits of the SHA-256, as file names carry it.
pub fn short_hash(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..8])
}

/// The folder with the result for `key`, made by `make` if it isn't there. An interrupted `make` leaves nothing behind.
pub fn or_make(step: &str, key: Key, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let all = paths::work().join("cache").join(step);
    let done = all.join(key.hex());
    if done.is_dir() {
        return Ok(done);
    }
    fs::create_dir_all(&all)?;
    let fresh = tempfile::Builder::new().prefix("unfinished-").tempdir_in(&all)?;
    make(fresh.path())?;
    let kept = fresh.keep();
    fs::rename(&kept, &done).with_context(|| format!("keeping the result of {step}"))?;
    forget_old(&all, &done)?;
    Ok(done)
}

/// One earlier result stays, for those who go back and forth between two branches.
fn forget_old(all: &Path, newest: &Path) -> Result<()> {
    let mut others: Vec<_> = fs::read_dir(all)?.flatten().map(|entry| entry.path()).filter(|path| path != newest).collect();
    others.sort_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
    others.pop();
    for old in others {
        fs::remove_dir_all(&old)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_tells_where_one_input_ends() {
        let one = Key::new("r").with(b"ab").with(b"c").hex();
        let other = Key::new("r").with(b"a").with(b"bc").hex();
        assert_ne!(one, other);
    }

    #[test]
    fn a_short_hash_is_sixteen_digits_of_the_content() {
        assert_eq!(short_hash(b""), "e3b0c44298fc1c14");
    }
}
