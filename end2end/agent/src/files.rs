//! Files that are either the old ones or the new ones, whenever the power goes.
//!
//! Owns the one way in which the agent changes its state on disk: write beside, sync, rename, sync the folder. Refuses to know what is in the
//! files.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink},
    path::{Path, PathBuf},
};

/// A folder of the agent's, closed to others.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    /// How many more changes happen before the power goes, in tests of exactly that.
    #[cfg(test)]
    fuse: Option<std::sync::Arc<std::sync::atomic::AtomicI64>>,
}

impl Folder {
    /// The folder at `path`, made with its parents where it is missing (mode 0700).
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self {
            path,
            #[cfg(test)]
            fuse: None,
        })
    }

    /// The folder `name` in this one, made where it is missing.
    pub fn folder(&self, name: &str) -> io::Result<Self> {
        let inner = Self::open(self.path.join(name))?;
        #[cfg(test)]
        let inner = Self { fuse: self.fuse.clone(), ..inner };
        Ok(inner)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file holds; none where there is no such file.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Replaces the file's content at once and for good, readable by the owner only (mode 0600).
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.burn()?;
        let beside = self.path.join(format!(".{name}.new"));
        let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, self.path.join(name))?;
        self.sync()
    }

    /// Points the symbolic link `name` at `target` at once: a reader sees the old target or the new one, never none.
    pub fn link(&self, name: &str, target: &Path) -> io::Result<()> {
        self.burn()?;
        let beside = self.path.join(format!(".{name}.new"));
        match fs::remove_file(&beside) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        symlink(target, &beside)?;
        fs::rename(&beside, self.path.join(name))?;
        self.sync()
    }

    /// Gives the file a new name in the same folder.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.burn()?;
        fs::rename(self.path.join(from), self.path.join(to))?;
        self.sync()
    }

    /// Removes the file; none is as good as removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.burn()?;
        match fs::remove_file(self.path.join(name)) {
            Ok(()) => self.sync(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Names of the files in it, in no order.
    pub fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Makes names that were added or removed survive a power cut.
    pub fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "in tests the power goes here")]
    fn burn(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn burn(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering;
        match &self.fuse {
            Some(fuse) if fuse.fetch_sub(1, Ordering::Relaxed) <= 0 => Err(io::Error::other("the power is gone")),
            _ => Ok(()),
        }
    }

    /// The same folder on a machine whose power goes after so many changes.
    #[cfg(test)]
    #[must_use]
    pub fn with_power_for(mut self, changes: i64) -> Self {
        self.fuse = Some(std::sync::Arc::new(changes.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path().join("state")).unwrap();
        folder.write("key.pem", b"secret").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&folder.path().join("key.pem"))), (0o700, 0o600));
        assert_eq!(folder.read("key.pem").unwrap().unwrap(), b"secret");
        assert_eq!(folder.read("other").unwrap(), None);
    }

    #[test]
    fn a_link_moves_without_a_moment_of_none() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        folder.link("current", Path::new("a")).unwrap();
        folder.link("current", Path::new("b")).unwrap();
        assert_eq!(fs::read_link(dir.path().join("current")).unwrap(), Path::new("b"));
    }
}
