//! The agent's randomness: back-off jitter, names of streams and boots, and everything a simulated device does by chance.
//!
//! Owns one generator that is either seeded by the system or by a number, so that a run can be repeated. Refuses to make keys: those come from
//! the cryptographic provider.

use parking_lot::Mutex;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use std::{io, sync::Arc};

/// A shared source of random numbers.
#[derive(Debug)]
pub struct Entropy(Mutex<ChaCha12Rng>);

impl Entropy {
    /// Seeded by the operating system.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn from_os() -> io::Result<Arc<Self>> {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).map_err(|_| io::Error::other("the system gave no randomness"))?;
        Ok(Arc::new(Self(Mutex::new(ChaCha12Rng::from_seed(seed)))))
    }

    /// The same sequence for the same number, on every machine.
    pub fn seeded(seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(ChaCha12Rng::seed_from_u64(seed))))
    }

    /// Any 64 bits.
    pub fn bits(&self) -> u64 {
        self.0.lock().next_u64()
    }

    /// Evenly spread over 0 ≤ x < 1.
    pub fn unit(&self) -> f64 {
        // 53 bits fill a double's mantissa exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let bits = (self.bits() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// Evenly spread over `low` ≤ x < `high`.
    pub fn between(&self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// A name that nobody else has: 32 hex digits.
    pub fn name(&self) -> String {
        format!("{:016x}{:016x}", self.bits(), self.bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_units_stay_in_range() {
        let (a, b) = (Entropy::seeded(7), Entropy::seeded(7));
        for _ in 0..1000 {
            let x = a.unit();
            assert!((0.0..1.0).contains(&x));
            assert!((x - b.unit()).abs() < f64::EPSILON);
        }
        assert_ne!(a.name(), a.name());
    }
}
