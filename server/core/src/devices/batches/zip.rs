//! Pure: a zip archive read from its beginning to its end (APPNOTE 6.3, §4.3), entry by entry as it comes; the directory at its end is not needed
//! and not believed.

use super::read::{Asked, Broken, Budget, Each, Entry, MOST_OF_ENTRY, Refused, exactly, is_bomb, label, skip};
use flate2::{Crc, bufread::DeflateDecoder};
use std::io::{BufRead, Read as _};

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
/// Bits of the general purpose flag: encrypted, sizes behind the data, strongly encrypted.
const ENCRYPTED: u16 = 1 | (1 << 6);
const SIZES_BEHIND: u16 = 1 << 3;

pub(super) fn read(from: &mut impl BufRead, each: Each<'_>) -> Result<(), Broken> {
    let mut budget = Budget::default();
    loop {
        match u32::from_le_bytes(exactly(from)?) {
            LOCAL => {}
            CENTRAL | END => return Ok(()),
            _ => return Err(Broken::Malformed("The zip archive is damaged: there is something else where an entry should begin.")),
        }
        if let Some(entry) = one(from, &mut budget)? {
            each(entry)?;
        }
    }
}

/// One entry behind its signature; none for a folder.
fn one(from: &mut impl BufRead, budget: &mut Budget) -> Result<Option<Entry>, Broken> {
    let [_, _, f0, f1, m0, m1, _, _, _, _, rest @ ..] = exactly::<26>(from)?;
    let [c0, c1, c2, c3, p0, p1, p2, p3, u0, u1, u2, u3, n0, n1, e0, e1] = rest;
    let (flags, method) = (u16::from_le_bytes([f0, f1]), u16::from_le_bytes([m0, m1]));
    let (packed, unpacked) = (u32::from_le_bytes([p0, p1, p2, p3]), u32::from_le_bytes([u0, u1, u2, u3]));
    let mut crc = u32::from_le_bytes([c0, c1, c2, c3]);
    let mut name = vec![0; u16::from_le_bytes([n0, n1]).into()];
    from.read_exact(&mut name)?;
    skip(from, u16::from_le_bytes([e0, e1]).into())?;
    if flags & ENCRYPTED != 0 {
        return Err(Broken::Malformed("The zip archive is encrypted. Send it without a password."));
    }
    if packed == u32::MAX || unpacked == u32::MAX {
        return Err(Broken::Malformed("The zip archive has an entry of more than 4 GiB."));
    }
    let behind = flags & SIZES_BEHIND != 0;
    let data = match (method, behind) {
        (0, false) => stored(from, packed.into(), budget)?,
        (8, _) => inflated(from, (!behind).then_some(packed.into()), budget)?,
        _ => return Err(Broken::Malformed("The zip archive is packed in an uncommon way. Use `zip -r batch.zip FOLDER`.")),
    };
    if behind {
        let first = u32::from_le_bytes(exactly(from)?);
        crc = if first == DESCRIPTOR { u32::from_le_bytes(exactly(from)?) } else { first };
        skip(from, 8)?;
    }
    if name.ends_with(b"/") {
        return Ok(None);
    }
    if data.crc != crc {
        return Err(Broken::Malformed("The zip archive is damaged: a checksum does not fit."));
    }
    let (label, fine) = label(&name);
    let said = fine.and_then(|()| data.kept.ok_or_else(Refused::too_large)).map(|csr| Asked { csr, ..Asked::default() });
    Ok(Some(Entry { label, said }))
}

struct Data {
    /// None of what is too large.
    kept: Option<Vec<u8>>,
    crc: u32,
}

fn stored(from: &mut impl BufRead, size: u64, budget: &mut Budget) -> Result<Data, Broken> {
    let mut from = from.by_ref().take(size);
    let data = collect(|buffer| from.read(buffer), |n, _| budget.take(n))?;
    if from.limit() == 0 { Ok(data) } else { Err(Broken::Cut) }
}

fn inflated(from: &mut impl BufRead, packed: Option<u64>, budget: &mut Budget) -> Result<Data, Broken> {
    let mut limited = from.by_ref().take(packed.unwrap_or(u64::MAX));
    let inflater = std::cell::RefCell::new(DeflateDecoder::new(&mut limited));
    let data = collect(
        |buffer| inflater.borrow_mut().read(buffer),
        |n, total| {
            if is_bomb(total, inflater.borrow().total_in()) {
                return Err(Broken::Bomb);
            }
            budget.take(n)
        },
    )?;
    drop(inflater);
    if packed.is_some() {
        let rest = limited.limit();
        skip(from, rest)?;
    }
    Ok(data)
}

/// Everything there is; what is beyond the bound is only counted and summed up.
fn collect(
    mut read: impl FnMut(&mut [u8]) -> std::io::Result<usize>,
    mut may: impl FnMut(u64, u64) -> Result<(), Broken>,
) -> Result<Data, Broken> {
    let (mut kept, mut total, mut crc, mut buffer) = (Vec::new(), 0, Crc::new(), [0; 8192]);
    loop {
        let n = read(&mut buffer)?;
        let Some(piece) = buffer.get(..n).filter(|p| !p.is_empty()) else { break };
        total += n as u64;
        may(n as u64, total)?;
        crc.update(piece);
        if kept.len() <= MOST_OF_ENTRY {
            kept.extend_from_slice(piece);
        }
    }
    Ok(Data { kept: (kept.len() <= MOST_OF_ENTRY).then_some(kept), crc: crc.sum() })
}
