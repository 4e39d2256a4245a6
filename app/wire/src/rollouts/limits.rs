//! Pure: the limits of a gate, each by itself, over devices that have finished. The gate judges by them and pages show them, so no page says of a limit what
//! the gate does not.

use super::{GateSpec, Tally, Verdict, rate_of};

/// The classes of errors that can have a limit of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Could not install.
    Failed,
    /// Went back by themselves.
    Reverted,
    /// Fell silent.
    TimedOut,
    /// Refused it.
    Rejected,
}

impl ErrorClass {
    /// All, in the order in which a gate asks about them.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Reverted, Self::TimedOut, Self::Rejected];

    /// How many of a verdict's devices are of it.
    pub const fn of(self, verdict: &Verdict) -> i64 {
        match self {
            Self::Failed => verdict.failed,
            Self::Reverted => verdict.reverted,
            Self::TimedOut => verdict.timed_out,
            Self::Rejected => verdict.rejected,
        }
    }

    /// How many of these devices are of it.
    pub const fn of_tally(self, tally: &Tally) -> i64 {
        match self {
            Self::Failed => tally.failed,
            Self::Reverted => tally.reverted,
            Self::TimedOut => tally.timed_out,
            Self::Rejected => tally.rejected,
        }
    }
}

/// Whether so many are within a limit: as many as it says may be.
pub fn within(most: u32, n: i64) -> bool {
    n <= i64::from(most)
}

impl GateSpec {
    /// Whether so many errors are fewer than it halts at, whatever the rates.
    pub fn below_cap(&self, errors: i64) -> bool {
        self.max_errors == 0 || errors < i64::from(self.max_errors)
    }

    /// Whether no greater share of the finished devices than it allows are errors.
    pub fn errors_within(&self, errors: i64, finished: i64) -> bool {
        rate_of(errors, finished) <= self.error_percent
    }

    /// Whether as great a share of the finished devices has succeeded as it needs.
    pub fn successes_reach(&self, succeeded: i64, finished: i64) -> bool {
        rate_of(succeeded, finished) >= self.success_percent
    }

    /// How many errors of a class there may be; none for no limit of its own.
    pub const fn most(&self, class: ErrorClass) -> Option<u32> {
        match class {
            ErrorClass::Failed => self.max_failed,
            ErrorClass::Reverted => self.max_reverted,
            ErrorClass::TimedOut => self.max_timed_out,
            ErrorClass::Rejected => self.max_rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_met_up_to_what_it_says() {
        let gate = GateSpec { error_percent: 5.0, success_percent: 95.0, max_errors: 2, max_failed: Some(1), ..GateSpec::USUAL };
        assert!(gate.below_cap(1) && !gate.below_cap(2) && GateSpec { max_errors: 0, ..gate.clone() }.below_cap(9));
        assert!(gate.errors_within(1, 20) && !gate.errors_within(2, 39), "5 % is not more than 5 %");
        assert!(gate.successes_reach(19, 20) && !gate.successes_reach(18, 19));
        assert_eq!(ErrorClass::ALL.map(|class| gate.most(class)), [Some(1), None, None, None]);
        assert!(within(1, 1) && !within(1, 2));
    }

    #[test]
    fn nobody_is_no_error_and_no_success() {
        let gate = GateSpec::USUAL;
        assert!(gate.errors_within(0, 0) && !gate.successes_reach(0, 0));
    }
}
