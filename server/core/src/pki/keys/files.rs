//! The files that secrets are kept in beside the database: made once, and read only where nobody else can. Refuses to know what is in them.

use super::KeyError;
use std::{
    io::{Read as _, Write as _},
    path::Path,
};
use zeroize::Zeroizing;

/// Bits of a file's mode that a secret's file may not have.
pub(super) const OTHERS_AND_GROUP: u32 = 0o077;
pub(super) const OTHERS: u32 = 0o007;

/// Makes a file that is its owner's alone, for good; never over another.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    let failed = |error| KeyError::File { path: path.to_owned(), error };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    // The name must survive a power cut as well: everything sealed depends on it.
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|f| f.sync_all()).map_err(failed)
}

/// Whether a file of this owner is neither ours nor the machine's.
#[cfg(unix)]
pub(super) const fn foreign(owner: u32, own: u32) -> bool {
    owner != own && owner != 0
}

/// A secret's file of at most 4 KiB, whose mode has none of these bits.
pub(super) fn read(path: &Path, closed_to: u32) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |error| KeyError::File { path: path.to_owned(), error };
    let mut file = match std::fs::File::open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(KeyError::Missing(path.to_owned()));
        }
        opened => opened.map_err(failed)?,
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let (found, own) = (file.metadata().map_err(failed)?, rustix::process::geteuid().as_raw());
        if found.mode() & closed_to != 0 {
            return Err(KeyError::Permissions(path.to_owned()));
        }
        if foreign(found.uid(), own) {
            return Err(KeyError::Owner { path: path.to_owned(), owner: found.uid(), own });
        }
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    std::io::Read::by_ref(&mut file).take(4096).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
