//! Virtual devices with the faults of real ones.

use wire::states::UpdateState;

/// A small generator (SplitMix64): the standard one is too slow for millions of draws in a debug build.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Seeds are scrambled first: as a multiple of the generator's step, one seed's numbers would be its neighbour's, moved by one.
    pub fn new(seed: u64) -> Self {
        Self(Self(seed).next())
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// A number in `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
    /// True that often in a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap()
    }
}

/// What is wrong with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Needs many steps.
    Slow,
    /// Can't install.
    Fails,
    /// Says it succeeded and runs the old version.
    Lies,
    /// Boots, fails, goes back.
    Reverts,
    /// Goes on and off all the time.
    Flaps,
    /// Falls silent in the middle, for ever.
    GoesDark,
    /// Falls silent in the middle, and comes back long after.
    ComesBack,
    /// Never there.
    Dead,
    /// Refuses.
    Refuses,
    /// Fails the first time only.
    FailsOnce,
    /// Says that the release is not for it.
    Unfit,
    /// Succeeds, and is never heard of again.
    DiesAfter,
    /// Says again and again that it installs, for hours, and then nothing any more.
    Stuck,
    /// Says at once that it succeeded, by a protocol that has no word for what runs, and has fetched nothing; some say later that they run the old version.
    Claims,
    /// The same, but it had the files from elsewhere: it runs the release, and says so later.
    Proves,
}

impl Fault {
    pub const BAD: [Self; 15] = [
        Self::Slow,
        Self::Fails,
        Self::Lies,
        Self::Reverts,
        Self::Flaps,
        Self::GoesDark,
        Self::ComesBack,
        Self::Dead,
        Self::Refuses,
        Self::FailsOnce,
        Self::Unfit,
        Self::DiesAfter,
        Self::Stuck,
        Self::Claims,
        Self::Proves,
    ];

    /// Whether its protocol has no word for what runs.
    pub const fn nameless(self) -> bool {
        matches!(self, Self::Claims | Self::Proves)
    }
}

/// A device as it is, whatever the server believes.
#[derive(Debug, Clone)]
pub struct Device {
    pub number: i64,
    pub fault: Fault,
    pub online: bool,
    /// Still in the fleet and selected.
    pub member: bool,
    pub sequence: i64,
    /// What the server knows of that, where its protocol tells nothing with a success.
    pub told: i64,
    /// The update it works on (index of the row), and where it is in it.
    pub work: Option<(usize, UpdateState)>,
    pub tries: u32,
    /// Silent until then.
    pub silent_until: i64,
    /// When the server heard it last.
    pub heard_at: i64,
    /// Where it stands: what a budget looks at.
    pub site: u64,
    /// How often it has said that it still installs.
    pub repeated: u32,
}

impl Device {
    pub fn new(number: i64, fault: Fault, site: u64) -> Self {
        Self {
            number,
            fault,
            online: fault != Fault::Dead,
            member: true,
            sequence: 1,
            told: 1,
            work: None,
            tries: 0,
            silent_until: 0,
            heard_at: 0,
            site,
            repeated: 0,
        }
    }

    /// The next thing it does and says.
    pub fn next(&mut self, at: UpdateState, dice: &mut Dice, now: i64) -> Option<UpdateState> {
        use UpdateState as U;
        if self.fault == Fault::Slow && dice.percent(60) {
            return Some(at);
        }
        Some(match at {
            U::Offered if self.fault == Fault::Refuses => U::Rejected,
            U::Offered if self.fault == Fault::Unfit => U::NotApplicable,
            U::Offered if self.fault.nameless() => U::Succeeded,
            U::Offered if dice.percent(10) => U::AwaitingConfirmation,
            U::Offered | U::AwaitingConfirmation => U::Downloading,
            U::Downloading => U::Downloaded,
            U::Downloaded => U::Installing,
            U::Installing => match self.fault {
                Fault::Fails => U::Failed,
                Fault::FailsOnce if self.tries <= 1 => U::Failed,
                Fault::Stuck if self.repeated < 100 => {
                    self.repeated += 1;
                    U::Installing
                }
                Fault::GoesDark | Fault::Stuck => {
                    self.silent_until = i64::MAX;
                    return None;
                }
                Fault::ComesBack if self.silent_until == 0 => {
                    self.silent_until = now + 3 * 3_600_000;
                    return None;
                }
                _ => U::Rebooting,
            },
            U::Rebooting => U::Verifying,
            U::Verifying => match self.fault {
                Fault::Reverts => U::Reverted,
                _ => U::Succeeded,
            },
            _ => return None,
        })
    }
}
