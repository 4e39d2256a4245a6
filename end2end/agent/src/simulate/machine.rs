//! The machine under a simulated device: installing and starting take seconds, and some firmware does not start on some devices.
//!
//! Firmware says so itself: a payload whose first line is `fleetward-sim fail_boot=0.3` does not start on three devices of ten, always the same
//! ones for the same seed. `fail_health=0.3` starts there and is not well.

use crate::{entropy::Entropy, platform::Platform};
use aws_lc_rs::digest;
use futures::future::BoxFuture;
use std::{
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const MARK: &str = "fleetward-sim ";

/// What a payload says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ills {
    /// Share of devices on which it does not start.
    pub fail_boot: f64,
    /// Share of devices on which it starts and is not well.
    pub fail_health: f64,
}

impl Ills {
    /// Reads a first line; a line that is none of ours says nothing.
    fn parse(line: &str) -> Self {
        let mut ills = Self::default();
        for word in line.strip_prefix(MARK).unwrap_or_default().split_whitespace() {
            let share = |text: &str| text.parse().map_or(0.0, |s: f64| s.clamp(0.0, 1.0));
            match word.split_once('=') {
                Some(("fail_boot", s)) => ills.fail_boot = share(s),
                Some(("fail_health", s)) => ills.fail_health = share(s),
                _ => {}
            }
        }
        ills
    }

    /// What the payloads in the slot say, the first that says something.
    fn of(slot: &Path) -> io::Result<Self> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(slot)?.map(|e| Ok(e?.path())).collect::<io::Result<_>>()?;
        files.sort();
        for file in files.iter().filter(|f| f.is_file()) {
            let mut line = Vec::new();
            BufReader::new(std::fs::File::open(file)?.take(256)).read_until(b'\n', &mut line)?;
            let ills = Self::parse(String::from_utf8_lossy(&line).trim_end());
            if ills != Self::default() {
                return Ok(ills);
            }
        }
        Ok(Self::default())
    }
}

/// A machine that is not there.
#[derive(Debug)]
pub struct Machine {
    entropy: Arc<Entropy>,
    /// Where this device stands among all: 0 ≤ luck < 1, evenly spread over a fleet.
    luck: f64,
    /// Most time for installing, and for starting.
    pace: Duration,
}

impl Machine {
    /// The machine of this device in the fleet with this seed.
    pub fn new(seed: u64, device_id: &str, pace: Duration, entropy: Arc<Entropy>) -> Self {
        let hash = digest::digest(&digest::SHA256, format!("{seed} {device_id}").as_bytes());
        let eight = hash.as_ref().iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let luck = (eight >> 11) as f64 / 9_007_199_254_740_992.0;
        Self { entropy, luck, pace }
    }

    /// Takes the time of a start. False where the firmware in the slot does not start here.
    pub async fn start(&self, slot: &Path) -> io::Result<bool> {
        self.take_time().await;
        Ok(self.luck >= Ills::of(slot)?.fail_boot)
    }

    async fn take_time(&self) {
        tokio::time::sleep(self.pace.mul_f64(self.entropy.between(0.4, 1.0))).await;
    }
}

impl Platform for Machine {
    fn install<'a>(&'a self, _: &'a Path, _: &'a [PathBuf]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async {
            self.take_time().await;
            Ok(())
        })
    }

    fn healthy<'a>(&'a self, slot: &'a Path) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let ills = Ills::of(slot).map_err(|e| e.to_string())?;
            if self.luck >= ills.fail_health { Ok(()) } else { Err("the watchdog's self test failed".into()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_says_what_is_wrong_with_it() {
        assert_eq!(Ills::parse("fleetward-sim fail_boot=0.3"), Ills { fail_boot: 0.3, fail_health: 0.0 });
        assert_eq!(Ills::parse("fleetward-sim fail_health=1 fail_boot=7"), Ills { fail_boot: 1.0, fail_health: 1.0 });
        for nothing in ["", "fleetward-sim", "fail_boot=0.3", "fleetward-sim fail_boot=x", "\u{7f}ELF"] {
            assert_eq!(Ills::parse(nothing), Ills::default(), "{nothing}");
        }
    }

    #[tokio::test]
    async fn about_the_share_fails_and_always_the_same_devices() {
        let slot = tempfile::tempdir().unwrap();
        std::fs::write(slot.path().join("aa"), "fleetward-sim fail_boot=0.3\nrest").unwrap();
        let entropy = Entropy::seeded(1);
        let mut failed = 0;
        for n in 0..1000 {
            let machine = || Machine::new(7, &format!("sim-{n}"), Duration::ZERO, Arc::clone(&entropy));
            let starts = machine().start(slot.path()).await.unwrap();
            assert_eq!(starts, machine().start(slot.path()).await.unwrap());
            failed += i32::from(!starts);
        }
        assert!((250..350).contains(&failed), "{failed}");
    }
}
