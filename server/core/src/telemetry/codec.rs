//! Pure: the bytes every stored blob is made of — varints, and a seal of version and CRC-32 around the whole.

/// A stored blob that can't be read back: cut, changed, or of a later version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored block of samples is damaged: {0}")]
pub(crate) struct Damaged(pub &'static str);

/// Bytes before the body: the version and the CRC-32 of version and body.
const HEAD: usize = 5;

/// An empty body with room for its seal.
pub(super) fn unsealed(capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + capacity);
    out.extend_from_slice(&[0; HEAD]);
    out
}

/// Closes what [`unsealed`] began.
pub(super) fn seal(version: u8, mut blob: Vec<u8>) -> Vec<u8> {
    let crc = checksum(version, &blob[HEAD..]);
    blob[0] = version;
    blob[1..HEAD].copy_from_slice(&crc.to_le_bytes());
    blob
}

/// The body of a sealed blob of this version.
pub(super) fn unseal(version: u8, blob: &[u8]) -> Result<&[u8], Damaged> {
    let (head, body) = blob.split_at_checked(HEAD).ok_or(Damaged("too short"))?;
    if head[0] != version {
        return Err(Damaged("unknown version"));
    }
    if head[1..] != checksum(version, body).to_le_bytes() {
        return Err(Damaged("wrong checksum"));
    }
    Ok(body)
}

fn checksum(version: u8, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&[version]);
    crc.update(body);
    crc.finalize()
}

/// Appends an unsigned number in seven-bit groups, lowest first (LEB128).
#[inline]
pub(super) fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "the low seven bits are meant")]
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than 128")]
    out.push(n as u8);
}

/// Appends a signed number, near zero in one byte (zigzag).
#[inline]
pub(super) fn put_signed(out: &mut Vec<u8>, n: i64) {
    put(out, ((n << 1) ^ (n >> 63)).cast_unsigned());
}

/// Reads a body from its front.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Whether everything was read.
    pub fn done(&self) -> bool {
        self.0.is_empty()
    }
    /// What [`put`] wrote.
    #[inline]
    pub fn get(&mut self) -> Result<u64, Damaged> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Damaged("number too long"))
    }
    /// What [`put_signed`] wrote.
    #[inline]
    pub fn get_signed(&mut self) -> Result<i64, Damaged> {
        let n = self.get()?;
        Ok((n >> 1).cast_signed() ^ -((n & 1).cast_signed()))
    }
    /// A count of things that each take at least one byte: never more than what is left, so it may size a buffer.
    pub fn count(&mut self) -> Result<usize, Damaged> {
        let n = usize::try_from(self.get()?).unwrap_or(usize::MAX);
        if n <= self.0.len() { Ok(n) } else { Err(Damaged("count beyond the end")) }
    }
    /// A value's bits.
    #[inline]
    pub fn float(&mut self) -> Result<f64, Damaged> {
        Ok(f64::from_le_bytes(self.take()?))
    }
    /// The next `N` bytes.
    #[inline]
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Damaged("cut off"))?;
        self.0 = rest;
        Ok(*head)
    }
    /// The next `n` bytes.
    pub fn slice(&mut self, n: usize) -> Result<&'a [u8], Damaged> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(Damaged("cut off"))?;
        self.0 = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(a: u64, b: i64, c: f64) {
            let mut out = Vec::new();
            put(&mut out, a);
            put_signed(&mut out, b);
            out.extend_from_slice(&c.to_le_bytes());
            let mut r = Reader(&out);
            prop_assert_eq!(r.get().unwrap(), a);
            prop_assert_eq!(r.get_signed().unwrap(), b);
            prop_assert_eq!(r.float().unwrap().to_bits(), c.to_bits());
            prop_assert!(r.done());
        }

        #[test]
        fn any_flipped_bit_is_noticed(body: Vec<u8>, at: prop::sample::Index, bit in 0..8) {
            let mut blob = unsealed(0);
            blob.extend(&body);
            let mut blob = seal(1, blob);
            prop_assert_eq!(unseal(1, &blob).unwrap(), &body[..]);
            let i = at.index(blob.len());
            blob[i] ^= 1_u8 << bit;
            prop_assert!(unseal(1, &blob).is_err());
        }
    }
}
