//! Files that commands make. Owns that they are new ones: nothing that is there is ever written over, also not when it came a moment ago. Owns also that
//! one that could not be filled is taken back, where it is written in one go. Refuses to know what is in them.

use anyhow::{Error, Result, anyhow};
use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// For what may be shown to anybody.
pub(super) const PUBLIC: u32 = 0o644;
/// For what is its owner's business.
pub(super) const PRIVATE: u32 = 0o600;

/// A new file with these permissions at most.
pub(super) fn create(path: &Path, mode: u32) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!("{} exists already and is not written over; choose another file", path.display()),
        _ => Error::new(error).context(format!("making {}", path.display())),
    })
}

/// A new file with this in it, synced; none where that fails.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write_by(path, mode, |file| fill(path, file, bytes))
}

/// A new file that `fill` fills; none where that fails.
pub(super) fn write_by(path: &Path, mode: u32, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let mut file = create(path, mode)?;
    fill(&mut file).map_err(|failed| match std::fs::remove_file(path) {
        Ok(()) => failed,
        Err(error) => failed.context(format!("{} is not whole and can't be removed: {error}", path.display())),
    })
}

/// Writes into a file that [`create`] made, and syncs it.
pub(super) fn fill(path: &Path, file: &mut File, bytes: &[u8]) -> Result<()> {
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| Error::new(error).context(format!("writing {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn what_is_there_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        write(&file, b"first", PRIVATE).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, PRIVATE);
        let said = write(&file, b"second", PUBLIC).unwrap_err().to_string();
        assert!(said.contains("file exists already"), "{said}");
        assert_eq!(std::fs::read(&file).unwrap(), b"first");

        // A link that points nowhere does not exist to `Path::exists`, and yet a file would be written where it points.
        let (link, elsewhere) = (folder.path().join("link"), folder.path().join("elsewhere"));
        symlink(&elsewhere, &link).unwrap();
        assert!(create(&link, PUBLIC).unwrap_err().to_string().contains("exists already"));
        assert!(!elsewhere.exists());

        let said = create(&folder.path().join("missing/file"), PUBLIC).unwrap_err().to_string();
        assert!(said.starts_with("making "), "{said}");
    }

    #[test]
    fn what_could_not_be_filled_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let failed = write_by(&file, PRIVATE, |made| {
            fill(&file, made, b"half of it")?;
            assert!(file.exists());
            // A disk that takes no more.
            fill(&file, &mut File::open(&file)?, b"the rest")
        });
        let said = failed.unwrap_err().to_string();
        assert!(said.starts_with("writing "), "{said}");
        assert!(!file.exists());
        write(&file, b"all of it", PRIVATE).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"all of it");

        // One that is gone by then is said beside what failed first.
        let gone = folder.path().join("gone");
        let failed = write_by(&gone, PRIVATE, |_| {
            std::fs::remove_file(&gone)?;
            Err(anyhow!("no more room"))
        });
        let said = format!("{:#}", failed.unwrap_err());
        assert!(said.contains("can't be removed") && said.ends_with("no more room"), "{said}");
    }
}
