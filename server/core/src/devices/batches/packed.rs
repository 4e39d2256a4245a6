//! Pure: archives, entry by entry: one CSR a file. What a zip or a tar is, the libraries know; how much is taken out of it, and that its names lead
//! nowhere, is decided here and in `read.rs`.

use super::read::{Asked, Broken, Each, Entry, MOST_BYTES, MOST_OF_ENTRY, Refused, is_bomb, label};
use ::tar::{Archive, EntryType};
use ::zip::{ZipArchive, result::ZipError};
use std::io::{self, Read};

/// A zip archive. Its directory is at its end, so it is laid aside first, packed as it came, in a file without a name.
pub(super) fn zip(mut from: impl Read, each: Each<'_>) -> Result<(), Broken> {
    let mut aside = tempfile::tempfile().map_err(|_| Broken::NoRoom)?;
    io::copy(&mut from, &mut aside)?;
    let mut archive =
        ZipArchive::new(aside).map_err(|e| if matches!(e, ZipError::InvalidArchive(_)) { Broken::Cut } else { zip_error(e) })?;
    let mut left = MOST_BYTES;
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).map_err(zip_error)?;
        if file.is_dir() {
            continue;
        }
        let (label, fine) = label(file.name_raw());
        let packed = file.compressed_size();
        let bounded = Bounded { inner: &mut file, left: &mut left, packed, taken: 0 };
        let kept = whole(bounded)?;
        let said = fine.and_then(|()| kept.ok_or_else(Refused::too_large)).map(|csr| Asked { csr, ..Asked::default() });
        each(Entry { label, said })?;
    }
    Ok(())
}

fn zip_error(e: ZipError) -> Broken {
    match e {
        ZipError::Io(e) => e.into(),
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => {
            Broken::Malformed("The zip archive is encrypted. Send it without a password.")
        }
        ZipError::UnsupportedArchive(_) => {
            Broken::Malformed("The zip archive is packed in an uncommon way. Use `zip -r batch.zip FOLDER`.")
        }
        _ => Broken::Malformed("The zip archive is damaged."),
    }
}

/// A tar archive, as it comes.
pub(super) fn tar(from: impl Read, each: Each<'_>) -> Result<(), Broken> {
    let mut archive = Archive::new(from);
    for entry in archive.entries()? {
        let mut file = entry?;
        let (label, fine) = label(&file.path_bytes());
        let said = match file.header().entry_type() {
            EntryType::Directory => continue,
            EntryType::Regular | EntryType::Continuous => whole(&mut file)?.ok_or_else(Refused::too_large),
            _ => Err(Refused::new("not_a_file", "This is a link or a device, not a file. Pack the file itself.")),
        };
        each(Entry { label, said: fine.and(said).map(|csr| Asked { csr, ..Asked::default() }) })?;
    }
    // The library reads over what stands behind an entry's last byte when the next one is asked for.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(())
}

/// All there is, to its end; none of what is too large.
fn whole(mut from: impl Read) -> Result<Option<Vec<u8>>, Broken> {
    let mut kept = Vec::new();
    from.by_ref().take(MOST_OF_ENTRY as u64 + 1).read_to_end(&mut kept)?;
    io::copy(&mut from, &mut io::sink())?;
    Ok((kept.len() <= MOST_OF_ENTRY).then_some(kept))
}

/// A file of an archive that ends when it unpacks without bound.
struct Bounded<'a, R> {
    inner: R,
    /// What may still be unpacked of the whole archive.
    left: &'a mut u64,
    packed: u64,
    taken: u64,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.taken += n as u64;
        if is_bomb(self.taken, self.packed) {
            return Err(io::Error::other(Broken::Bomb));
        }
        *self.left = self.left.checked_sub(n as u64).ok_or_else(|| io::Error::other(Broken::TooMuch))?;
        Ok(n)
    }
}
