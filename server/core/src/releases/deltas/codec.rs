//! One file told as its difference from an older one: a zstd frame (RFC 8878) that refers to the older file as its prefix, which is what
//! `zstd --patch-from` writes and reads. Blocking. Refuses to know whose files these are and what the difference is worth.
//!
//! A reader needs the older file in memory and as much again as the new one has bytes. Up to 128 MiB any zstd reads it as it is; above, it has to be
//! told to (`--long=29`).

use std::io::{self, Read, Write};
use zstd::{
    stream::{read::Decoder, write::Encoder},
    zstd_safe::CParameter,
};

/// Most bytes of either file. Making a difference takes about the memory of both and 200 MiB.
pub(in crate::releases) const LARGEST: i64 = 512 << 20;
/// Bytes that are read and written at once.
const PIECE: usize = 256 * 1024;
/// Slow enough to be worth it, fast enough for a server that has other things to do: what both files share is found at any level.
const LEVEL: i32 = 12;
/// The least window there is, and what every reader takes without being told.
const LEAST_WINDOW: u32 = 10;
const USUAL_WINDOW: u32 = 27;

/// Called with the bytes of the new file that were read or written so far; an error ends the work.
pub(super) type Step<'a> = &'a mut dyn FnMut(u64) -> io::Result<()>;

/// Writes the difference of `target`, which has `size` bytes, from `base`.
pub(super) fn encode(base: &[u8], target: &mut dyn Read, size: u64, out: &mut dyn Write, step: Step<'_>) -> io::Result<()> {
    let mut encoder = Encoder::with_ref_prefix(out, LEVEL, base)?;
    encoder.set_pledged_src_size(Some(size))?;
    // The whole of the older file stays in reach until so many bytes of the new one are told.
    encoder.set_parameter(CParameter::WindowLog(window(size)))?;
    encoder.long_distance_matching(true)?;
    let (mut piece, mut read) = (vec![0; PIECE], 0);
    loop {
        match target.read(&mut piece)? {
            0 => break,
            n => {
                encoder.write_all(&piece[..n])?;
                read += n as u64;
                step(read)?;
            }
        }
    }
    encoder.finish().map(drop)
}

/// Writes the new file out of its difference from `base`; an error when it would have more than `size` bytes. Whether it is the right file is not
/// known here: its digest says that.
pub(super) fn decode(base: &[u8], delta: &mut dyn Read, size: u64, out: &mut dyn Write, step: Step<'_>) -> io::Result<()> {
    let mut decoder = Decoder::with_ref_prefix(io::BufReader::new(delta), base)?;
    decoder.window_log_max(window(size).max(USUAL_WINDOW))?;
    let (mut piece, mut written) = (vec![0; PIECE], 0);
    loop {
        match decoder.read(&mut piece)? {
            0 => return Ok(()),
            n => {
                written += n as u64;
                if written > size {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "it makes more bytes than there should be"));
                }
                out.write_all(&piece[..n])?;
                step(written)?;
            }
        }
    }
}

/// The logarithm of the least window that holds so many bytes.
fn window(size: u64) -> u32 {
    size.max(1).next_power_of_two().ilog2().max(LEAST_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn delta(base: &[u8], target: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(base, &mut &*target, target.len() as u64, &mut out, &mut |_| Ok(())).unwrap();
        out
    }

    fn apply(base: &[u8], delta: &[u8], size: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        decode(base, &mut &*delta, size as u64, &mut out, &mut |_| Ok(()))?;
        Ok(out)
    }

    /// Bytes that no compressor makes smaller.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .take(len)
        .collect()
    }

    #[test]
    fn what_both_files_share_is_not_sent() {
        let base = noise(1, 3_000_000);
        let mut target = base.clone();
        target.splice(1_000_000..1_000_100, noise(2, 5_000));
        let delta = delta(&base, &target);
        assert!(delta.len() < 12_000, "{} bytes", delta.len());
        assert_eq!(apply(&base, &delta, target.len()).unwrap(), target);
    }

    #[test]
    fn another_base_does_not_make_the_file() {
        let (base, target) = (noise(1, 200_000), noise(1, 190_000));
        let delta = delta(&base, &target);
        let made = apply(&noise(3, 200_000), &delta, target.len());
        assert!(made.is_err() || made.is_ok_and(|made| made != target));
        assert!(apply(&base, &delta, target.len() - 1).is_err(), "not a byte more than was said");
    }

    #[test]
    fn work_ends_when_it_is_told_to() {
        let target = noise(1, 4 * PIECE);
        let mut steps = 0;
        let mut stop = |_| {
            steps += 1;
            if steps == 2 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        };
        assert!(encode(b"", &mut &*target, target.len() as u64, &mut io::sink(), &mut stop).is_err());
        assert_eq!(steps, 2);
    }

    #[test]
    fn a_window_holds_the_file() {
        assert_eq!((window(0), window(1024), window(1025), window(128 << 20)), (10, 10, 11, USUAL_WINDOW));
        assert_eq!(window(LARGEST.unsigned_abs()), 29);
    }

    proptest! {
        #[test]
        fn every_file_comes_back(base in prop::collection::vec(any::<u8>(), 0..3000), target in prop::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert_eq!(apply(&base, &delta(&base, &target), target.len()).unwrap(), target);
        }

        #[test]
        fn a_broken_difference_never_makes_more_than_it_should(at: prop::sample::Index, bit in 0u8..8) {
            let (base, target) = (noise(5, 5_000), noise(5, 4_000));
            let mut broken = delta(&base, &target);
            let at = at.index(broken.len());
            broken[at] ^= 1 << bit;
            if let Ok(made) = apply(&base, &broken, target.len()) {
                prop_assert!(made.len() <= target.len());
            }
        }
    }
}
