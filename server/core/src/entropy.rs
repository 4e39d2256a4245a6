//! Randomness as a parameter: ids, secrets, serial numbers and jitter are drawn here and nowhere else.

use parking_lot::Mutex;
use rand::Rng as _;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use wire::{Timestamp, ids::Id};

/// Where random bytes come from.
pub trait Entropy: Send + Sync + 'static {
    /// Fills the buffer. Secrets are made of this: an implementation used in production is cryptographically secure.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's generator, through aws-lc.
#[derive(Debug, Default, Clone, Copy)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // aws-lc's generator only fails when the process can't get randomness at all; going on would make guessable keys.
        if aws_lc_rs::rand::fill(buffer).is_err() {
            tracing::error!("the operating system gives no randomness; stopping");
            std::process::abort();
        }
    }
}

/// The same bytes for the same seed: simulations and tests can be run again.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<ChaCha20Rng>);

impl SeededEntropy {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha20Rng::seed_from_u64(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.lock().fill_bytes(buffer);
    }
}

impl dyn Entropy {
    /// `N` random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A new id of this kind. Ids of one kind sort by `now`.
    pub fn id<T: Id>(&self, now: Timestamp) -> T {
        id_of(now, &self.bytes())
    }

    /// A secret of 256 bits as base64url text.
    pub fn secret(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        // 128 bits make the modulo's bias smaller than anything observable.
        let wide = u128::from_le_bytes(self.bytes::<16>());
        if bound == 0 { 0 } else { u64::try_from(wide % u128::from(bound)).unwrap_or_default() }
    }
}

/// The id of a time and of so many bytes: a UUID of version 7 (RFC 9562, section 5.7), so six bits of the first three bytes give way to its form. Its
/// last hexadecimal digits are the last bytes.
pub(crate) fn id_of<T: Id>(at: Timestamp, bytes: &[u8; 10]) -> T {
    let ms = u64::try_from(at.0).unwrap_or_default();
    let id = uuid::Builder::from_unix_timestamp_millis(ms, bytes).into_uuid();
    match T::try_from(format!("{}_{}", T::PREFIX, id.simple())) {
        Ok(id) => id,
        Err(e) => unreachable!("a fresh id has its own form: {e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ids::RolloutId;

    #[test]
    fn ids_of_one_kind_sort_by_time_and_seeds_repeat() {
        let one: &dyn Entropy = &SeededEntropy::new(7);
        let two: &dyn Entropy = &SeededEntropy::new(7);
        let early: RolloutId = one.id(Timestamp(1_000));
        let late: RolloutId = one.id(Timestamp(2_000));
        assert!(early < late);
        assert_eq!(early, two.id(Timestamp(1_000)));
    }
}
