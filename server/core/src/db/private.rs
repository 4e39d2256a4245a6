//! The files of an embedded database: for their owner alone from their first byte, since names, addresses and hashes of secrets are in them. Refuses to
//! change the mode of what is there already: who made it wider may have had a reason, and is told.

use super::Error;
use std::{
    fs::OpenOptions,
    io::ErrorKind,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

const OTHERS: u32 = 0o077;

/// Makes the file, where it is not there, for its owner alone; SQLite makes those beside it with the same mode. Warns where others may look into one that
/// is there.
pub(super) fn made(file: &Path) -> Result<(), Error> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if let Some(line) = closes(file) {
                tracing::warn!("others on this machine may read the database; run: {line}");
            }
            Ok(())
        }
        Err(error) => Err(Error::Open(format!("can't make the database {}: {error}", file.display()))),
    }
}

/// The line that closes those files of a database that others may read; none where there are none.
fn closes(file: &Path) -> Option<String> {
    let beside = |end: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let open = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & OTHERS != 0);
    let wide: Vec<String> = ["", "-wal", "-shm"].map(beside).iter().filter(|path| open(path)).map(|p| p.display().to_string()).collect();
    (!wide.is_empty()).then(|| format!("chmod 0600 {}", wide.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Db, Location, Store};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_new_database_is_its_owners_alone_and_an_open_one_is_told_of_with_the_line_that_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fleet.db");
        let db = Db::open(&Location::Sqlite(file.clone()), Store::Fleet).await.unwrap();
        let [wal, shm] = ["fleet.db-wal", "fleet.db-shm"].map(|name| folder.path().join(name));
        assert_eq!([&file, &wal, &shm].map(|path| mode(path)), [0o600; 3]);
        assert_eq!(closes(&file), None);
        db.close().await;

        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let db = Db::open(&Location::Sqlite(file.clone()), Store::Fleet).await.unwrap();
        assert_eq!(mode(&file), 0o644, "what somebody has opened stays open");
        let [file, wal, shm] = [&file, &wal, &shm].map(|path| path.display().to_string());
        assert_eq!(closes(Path::new(&file)), Some(format!("chmod 0600 {file} {wal} {shm}")));
        db.close().await;
    }

    #[test]
    fn a_database_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = made(&folder.path().join("none/fleet.db")).unwrap_err().to_string();
        assert!(error.contains("none/fleet.db"), "{error}");
    }
}
