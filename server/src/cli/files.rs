//! Files that commands make and change. Owns that each is whole or not there. One that is made is new: nothing that is there is ever written over, also not
//! when it came a moment ago, and one that could not be filled is taken back. One that a command was told to add something to is as it was until it is whole
//! again. Refuses to know what is in them.

use anyhow::{Context as _, Error, Result, anyhow, bail};
use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// For what may be shown to anybody.
pub(super) const PUBLIC: u32 = 0o644;
/// For secrets, and for what is its owner's business.
pub(super) const PRIVATE: u32 = 0o600;

/// A new file with these permissions at most.
fn create(path: &Path, mode: u32) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            anyhow!("{} exists already and is not written over; choose another file, or take that one away first", path.display())
        }
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
    fill(&mut file).map_err(|failed| taken_back(path, failed))
}

/// The same where filling it takes its time: a file that has its place before anything is made that is to go into it. Its answer is what `fill` answers.
pub(super) async fn filled<T>(path: &Path, mode: u32, fill: impl AsyncFnOnce(&mut File) -> Result<T>) -> Result<T> {
    let mut file = create(path, mode)?;
    fill(&mut file).await.map_err(|failed| taken_back(path, failed))
}

fn taken_back(path: &Path, failed: Error) -> Error {
    match std::fs::remove_file(path) {
        Ok(()) => failed,
        Err(error) => failed.context(format!("{} is not whole and can't be removed: {error}", path.display())),
    }
}

/// The file that is there with this in it instead, synced; as it was where that fails. Its permissions stay. Of a link, what it points to is changed.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let path = path.canonicalize().with_context(|| format!("looking for {}", path.display()))?;
    let permissions = path.metadata().with_context(|| format!("looking at {}", path.display()))?.permissions();
    if permissions.readonly() {
        bail!("{} is write-protected and stays as it was; allow writing to it, or choose another file", path.display());
    }
    let next = beside(&path);
    write_by(&next, PRIVATE, |file| {
        fill(&next, file, bytes)?;
        let placed = file.set_permissions(permissions).and_then(|()| std::fs::rename(&next, &path));
        placed.with_context(|| format!("writing {}", path.display()))
    })
}

/// Where the next content of a file is until it is whole: in the same folder, so that it takes the file's place in one step.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

/// Writes into a file that was made here, and syncs it.
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
        assert!(said.contains("file exists already") && said.contains("choose another file"), "{said}");
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

    #[tokio::test]
    async fn what_is_filled_in_the_course_of_something_is_taken_back_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let failed = filled::<()>(&file, PRIVATE, async |made| {
            fill(&file, made, b"half of it")?;
            assert!(file.exists());
            Err(anyhow!("no more to come"))
        });
        assert_eq!(failed.await.unwrap_err().to_string(), "no more to come");
        assert!(!file.exists());
        let whole = filled(&file, PRIVATE, async |made| fill(&file, made, b"all of it").map(|()| 7));
        assert_eq!(whole.await.unwrap(), 7);
        assert_eq!(std::fs::read(&file).unwrap(), b"all of it");
    }

    #[test]
    fn what_is_changed_is_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (file, link) = (at("set.json"), at("link"));
        write(&file, b"first", PRIVATE).unwrap();
        symlink(&file, &link).unwrap();
        replace(&link, b"second").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"second");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, PRIVATE);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());

        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
        let said = replace(&file, b"third").unwrap_err().to_string();
        assert!(said.contains("is write-protected and stays as it was"), "{said}");
        assert_eq!(std::fs::read(&file).unwrap(), b"second");

        // What can't take its place is taken back.
        std::fs::create_dir(at("folder")).unwrap();
        let said = replace(&at("folder"), b"x").unwrap_err().to_string();
        assert!(said.starts_with("writing "), "{said}");
        assert!(replace(&at("missing"), b"x").unwrap_err().to_string().starts_with("looking for "));
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["folder", "link", "set.json"]);
    }
}
