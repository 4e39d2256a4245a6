//! Pure: what is in an uploaded batch, read as it comes (E-7): JSON lines, CSV, zip, tar, or a compressed tar, told apart by how they begin.
//! Owns the bounds of what is read and which names are labels. Refuses to judge CSRs and to write anything to a disk.

use super::{packed, table};
use crate::text::unseen;
use flate2::bufread::GzDecoder;
use std::{
    cell::Cell,
    io::{self, BufReader, Cursor, Read},
    rc::Rc,
};

/// Most lines of a batch.
pub(super) const MOST_LINES: i64 = 10_000;
/// Most bytes of a batch once it is unpacked, and of the upload itself.
pub(super) const MOST_BYTES: u64 = 64 << 20;
/// Most bytes of a line: a CSR of 16 KiB in base64, and the words beside it.
pub(super) const MOST_OF_ENTRY: usize = 32 << 10;
/// What is unpacked is at most so many times as large as it was packed.
const RATIO: u64 = 100;
/// Below so many bytes nothing is a bomb.
const HARMLESS: u64 = 16 << 10;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Asked {
    /// The name it says; empty means the CSR's.
    pub(super) device_id: String,
    /// Its type; empty means the batch's.
    pub(super) device_type: String,
    /// Its tags beside the batch's, separated by blanks.
    pub(super) tags: String,
    /// PKCS#10 as it came; empty for a device that is only registered.
    pub(super) csr: Vec<u8>,
}

/// Why a line is refused before its CSR is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
    pub(super) fn too_large() -> Self {
        Self::new("csr_too_large", "This line is larger than 32 KiB. A CSR has at most 16 KiB.")
    }
}

/// One line of a batch: its label for people, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) label: String,
    pub(super) said: Result<Asked, Refused>,
}

/// Why a whole batch is refused.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// More than 64 MiB.
    #[error("the batch is larger than 64 MiB")]
    TooMuch,
    /// More than 10,000 lines.
    #[error("the batch has more than 10,000 lines")]
    TooMany,
    /// It unpacks to more than a hundred times its size.
    #[error("the batch unpacks to more than 100 times its size")]
    Bomb,
    /// Neither of the forms, or damaged.
    #[error("{0}")]
    Malformed(&'static str),
    /// It ended amid an entry, or the connection did.
    #[error("the batch ended too early")]
    Cut,
    /// There is no room to lay it aside.
    #[error("there is no room for the batch")]
    NoRoom,
    /// Nobody takes the lines any more; why is said elsewhere.
    #[error("the batch is not taken")]
    Stopped,
}

impl From<io::Error> for Broken {
    fn from(e: io::Error) -> Self {
        // Libraries wrap what our own readers said.
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&e);
        while let Some(said) = cause {
            match said.downcast_ref::<Self>().or_else(|| said.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()) {
                Some(Self::TooMuch) => return Self::TooMuch,
                Some(Self::Bomb) => return Self::Bomb,
                _ => cause = said.source(),
            }
        }
        match e.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Self::Malformed("The file is damaged: what is packed can't be unpacked.")
            }
            io::ErrorKind::StorageFull => Self::NoRoom,
            _ => Self::Cut,
        }
    }
}

/// Takes one line after the other.
pub(super) type Each<'a> = &'a mut dyn FnMut(Entry) -> Result<(), Broken>;

/// Reads a batch to its end.
pub(super) fn read(source: impl Read, each: Each<'_>) -> Result<(), Broken> {
    let packed = Rc::new(Cell::new(0));
    let mut source = BufReader::new(Metered { inner: source, seen: Rc::clone(&packed), packed: None });
    let mut head = Vec::new();
    source.by_ref().take(512).read_to_end(&mut head)?;
    let mut lines = 0;
    let mut counted = |entry| {
        lines += 1;
        if lines > MOST_LINES { Err(Broken::TooMany) } else { each(entry) }
    };
    let mut all = Cursor::new(head.clone()).chain(source);
    match head.as_slice() {
        [b'P', b'K', 3, 4, ..] => packed::zip(&mut all, &mut counted)?,
        [0x1f, 0x8b, ..] => {
            let inflated = Metered { inner: GzDecoder::new(&mut all), seen: Rc::default(), packed: Some(packed) };
            packed::tar(inflated, &mut counted)?;
        }
        _ if head.get(257..262) == Some(b"ustar") => packed::tar(&mut all, &mut counted)?,
        _ if head.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') => table::json_lines(&mut all, &mut counted)?,
        _ => table::csv(&mut all, &mut counted)?,
    }
    // An answer amid the sending reaches few clients: what stands behind the last entry is read as well.
    io::copy(&mut all, &mut io::sink())?;
    if lines == 0 {
        Err(Broken::Malformed("There is nothing in the file. A batch has one CSR a line, or one a file of an archive."))
    } else {
        Ok(())
    }
}

/// A reader that ends what grows without bound.
struct Metered<R> {
    inner: R,
    seen: Rc<Cell<u64>>,
    /// What it was unpacked from.
    packed: Option<Rc<Cell<u64>>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let seen = self.seen.get() + n as u64;
        self.seen.set(seen);
        if seen > MOST_BYTES {
            return Err(io::Error::other(Broken::TooMuch));
        }
        if self.packed.as_ref().is_some_and(|packed| is_bomb(seen, packed.get())) {
            return Err(io::Error::other(Broken::Bomb));
        }
        Ok(n)
    }
}

/// Whether so much was made of so little.
pub(super) const fn is_bomb(unpacked: u64, packed: u64) -> bool {
    unpacked > HARMLESS && unpacked > packed.saturating_mul(RATIO)
}

/// The name of a file in an archive, as a label and nothing else. One that would lead elsewhere if anybody took it for a path is refused:
/// whoever packed it means no good, or packed something else.
pub(super) fn label(name: &[u8]) -> (String, Result<(), Refused>) {
    let text = String::from_utf8_lossy(name);
    let shown: String = text.chars().map(|c| if unseen(c) { '\u{fffd}' } else { c }).take(200).collect();
    if leads_nowhere(&text) {
        (shown, Ok(()))
    } else {
        let why = "The file's name is no plain relative path. Pack the files by their names alone.";
        (shown, Err(Refused::new("bad_name", why)))
    }
}

fn leads_nowhere(name: &str) -> bool {
    const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];
    let lower = name.to_ascii_lowercase();
    let plain = !name.chars().any(unseen) && !name.contains(['\\', '\u{fffd}']) && !lower.contains("%2e") && !lower.contains("%2f");
    let part = |part: &str| {
        let stem = part.split('.').next().unwrap_or_default();
        let numbered = matches!(stem.as_bytes(), [b'c', b'o', b'm', n] | [b'l', b'p', b't', n] if n.is_ascii_digit());
        part != ".." && !RESERVED.contains(&stem) && !numbered
    };
    let drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    plain && !drive && !name.starts_with('/') && lower.split('/').all(part)
}
