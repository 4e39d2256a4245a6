//! Files of lines that only grow, beside the database: what was appended is on the disk before its writer goes on. Owns how such a file is opened and
//! written; refuses to know what its lines say.

use std::{
    fs::{File, OpenOptions},
    io::{Result, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
};

/// The file at this place, for its owner alone; an empty one where there is none. A line that a crash has torn is ended, so that the next one stands alone.
pub(crate) fn open(path: &Path) -> Result<File> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// Writes whole lines behind the others. When this returns they are on the disk.
pub(crate) fn append(file: &mut File, lines: &[u8]) -> Result<()> {
    file.write_all(lines)?;
    file.sync_data()
}
