//! Pure: a tar archive (POSIX.1-2017 `pax`, ustar interchange format), entry by entry as it comes. Longer names in headers of their own are passed
//! over: names are only labels here.

use super::read::{Asked, Broken, Each, Entry, MOST_OF_ENTRY, Refused, exactly, label, skip};
use std::io::{BufRead, Read as _};

/// A header's size; files are padded to it.
const BLOCK: usize = 512;

pub(super) fn read(from: &mut impl BufRead, each: Each<'_>) -> Result<(), Broken> {
    loop {
        let head: [u8; BLOCK] = exactly(from)?;
        if head.iter().all(|b| *b == 0) {
            return Ok(());
        }
        let damaged = Broken::Malformed("The tar archive is damaged: a header can't be read.");
        let (Some(size), true) = (octal(&head[124..136]), sound(&head)) else { return Err(damaged) };
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        match head[156] {
            b'0' | 0 => {
                let (label, fine) = label(name(&head[..100]));
                let said = if size > MOST_OF_ENTRY as u64 {
                    skip(from, size)?;
                    Err(Refused::too_large())
                } else {
                    let mut csr = Vec::new();
                    if from.by_ref().take(size).read_to_end(&mut csr)? as u64 != size {
                        return Err(Broken::Cut);
                    }
                    Ok(Asked { csr, ..Asked::default() })
                };
                each(Entry { label, said: fine.and(said) })?;
            }
            // Folders, and what describes the entry after it.
            b'5' | b'x' | b'g' | b'L' | b'K' => skip(from, size)?,
            _ => {
                skip(from, size)?;
                let (label, _) = label(name(&head[..100]));
                each(Entry {
                    label,
                    said: Err(Refused::new("not_a_file", "This is a link or a device, not a file. Pack the file itself.")),
                })?;
            }
        }
        skip(from, padding)?;
    }
}

/// Up to the first NUL.
fn name(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = str::from_utf8(name(field)).ok()?.trim();
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok().filter(|n| *n < 1 << 40) }
}

/// The header's sum, taken with blanks in the sum's own place.
fn sound(head: &[u8; BLOCK]) -> bool {
    let sum: u64 = head.iter().enumerate().map(|(at, b)| if (148..156).contains(&at) { u64::from(b' ') } else { u64::from(*b) }).sum();
    octal(&head[148..156]) == Some(sum)
}
