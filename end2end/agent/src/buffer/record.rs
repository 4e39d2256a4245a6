//! Pure: one record of a segment file as bytes.
//!
//! `length u32 | crc32 u32 | number u64 | samples u32 | JSON of the samples`, little-endian; `length` counts the JSON, the CRC covers all that
//! follows it. A record that was cut off anywhere, or whose bits fell over, does not decode.

use wire::device::{MAX_FRAME, Sample};

/// Bytes before the JSON.
pub const HEAD: usize = 20;

/// A record that was read whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number: consecutive over the life of the buffer.
    pub number: u64,
    /// What was measured.
    pub samples: Vec<Sample>,
    /// Bytes it takes in the file.
    pub length: usize,
}

/// The head of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes of JSON that follow.
    pub length: usize,
    crc: u32,
    /// The record's number.
    pub number: u64,
    /// How many samples it holds.
    pub samples: u32,
}

/// The bytes of a record; none when the samples don't fit in a frame or hold a number that JSON has no word for.
pub fn encode(number: u64, samples: &[Sample]) -> Option<Vec<u8>> {
    if samples.iter().any(|s| !s.v.is_finite()) {
        return None;
    }
    let json = serde_json::to_vec(samples).ok()?;
    // Room for the frame around the samples.
    if json.len() > MAX_FRAME - 64 {
        return None;
    }
    let mut bytes = Vec::with_capacity(HEAD + json.len());
    bytes.extend_from_slice(&u32::try_from(json.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(samples.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(&json);
    let crc = crc32fast::hash(&bytes[8..]).to_le_bytes();
    bytes[4..8].copy_from_slice(&crc);
    Some(bytes)
}

/// Reads a head; none when it cannot be one.
pub fn head(bytes: &[u8; HEAD]) -> Option<Head> {
    let four = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let length = usize::try_from(four(0)).ok().filter(|n| (2..MAX_FRAME).contains(n))?;
    let number = u64::from(four(8)) | u64::from(four(12)) << 32;
    Some(Head { length, crc: four(4), number, samples: four(16) })
}

/// Whether this is the JSON that the head was written for.
pub fn intact(head_bytes: &[u8; HEAD], head: Head, json: &[u8]) -> bool {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head_bytes[8..]);
    crc.update(json);
    crc.finalize() == head.crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Option<(u64, Vec<Sample>)> {
        let (start, json) = bytes.split_first_chunk::<HEAD>()?;
        let head = head(start)?;
        let json = json.get(..head.length)?;
        intact(start, head, json).then(|| (head.number, serde_json::from_slice(json).unwrap()))
    }

    proptest! {
        #[test]
        fn a_record_reads_back_and_a_damaged_one_does_not(
            number: u64, values in prop::collection::vec(-1_000_000_000i32..1_000_000_000, 0..20), at: prop::sample::Index, bit in 0u8..8,
        ) {
            let samples: Vec<Sample> = values.iter().map(|&v| Sample { m: "m".into(), t: 5, v: f64::from(v) / 100.0 }).collect();
            let mut bytes = encode(number, &samples).unwrap();
            prop_assert_eq!(decode(&bytes), Some((number, samples)));
            let cut = at.index(bytes.len());
            prop_assert_eq!(decode(&bytes[..cut]), None);
            bytes[cut] ^= 1 << bit;
            prop_assert_eq!(decode(&bytes), None);
        }
    }

    #[test]
    fn what_a_frame_cannot_carry_is_not_written() {
        let sample = |v| Sample { m: "m".into(), t: 0, v };
        assert_eq!(encode(1, &[sample(f64::NAN)]), None);
        assert_eq!(encode(1, &[sample(f64::INFINITY)]), None);
        assert_eq!(encode(1, &vec![sample(0.1); 100_000]), None);
    }
}
