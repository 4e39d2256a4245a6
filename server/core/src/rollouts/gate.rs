//! Pure: what the evidence says. Rates are over finished devices, a verdict carries the numbers it saw, and too little evidence is never a yes.

use super::plan::devices_of;
use wire::rollouts::{Call, Counts, ErrorClass, GateSpec, StageSpec, Tally, Verdict, rate_of, rate_words, within};

/// A device that succeeded is dark when it is not connected and nothing was heard of it from so long after its success on: 15 minutes, three of
/// the pauses that devices make which only ask now and then.
pub const DARK_GRACE_MS: i64 = 15 * 60_000;
/// How long after its success a device is judged at the earliest: it had as long again to be heard.
pub const DARK_WATCH_MS: i64 = 2 * DARK_GRACE_MS;

/// What a person has seen and gone on in spite of: it is not held against the stage again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Finished devices then.
    pub finished: i64,
    /// Of these, succeeded.
    pub succeeded: i64,
    /// Of these, errors.
    pub errors: i64,
    /// Of these, devices that could not install.
    pub failed: i64,
    /// Devices that went back.
    pub reverted: i64,
    /// Devices that fell silent.
    pub timed_out: i64,
    /// And devices that refused it.
    pub rejected: i64,
    /// Devices that were dark when they were counted last.
    pub dark: i64,
}

impl Seen {
    /// All that is known by now.
    pub fn all(counts: &Counts, dark: i64) -> Self {
        let Tally { finished, succeeded, errors, failed, reverted, timed_out, rejected, success_low: _ } = Tally::of(counts);
        Self { finished, succeeded, errors, failed, reverted, timed_out, rejected, dark }
    }

    /// What is held against it of these: devices that have finished since.
    pub fn rest(self, counts: &Counts) -> Counts {
        let rest = |now: i64, seen: i64| (now - seen).max(0);
        Counts {
            succeeded: rest(counts.succeeded, self.succeeded),
            failed: rest(counts.failed, self.failed),
            reverted: rest(counts.reverted, self.reverted),
            timed_out: rest(counts.timed_out, self.timed_out),
            rejected: rest(counts.rejected, self.rejected),
            ..*counts
        }
    }
}

/// What a gate's sentence says of devices that have finished since a person went on in spite of it.
pub(super) const SINCE_RESUMED: &str = " since it was resumed";

/// Judges a stage. `closed` means that nobody else will finish, so what is there has to be enough.
///
/// Halts when errors reach the cap, when more of one class of errors are there than may be, when there are enough finished devices and too many of them
/// are errors, or when the stage is closed and too few succeeded or too few came at all. Passes only when the stage is closed. The minimum
/// sample is at most the devices that can be judged, so that a stage of two can pass with two; but where most were left out, at least half of all.
pub fn judge(gate: &GateSpec, counts: &Counts, seen: Seen, closed: bool) -> Verdict {
    judge_beside(0, gate, counts, seen, closed)
}

/// The same of a stage of whose left out devices so many were `cancelled` by people: these lower no sample. Otherwise whoever may cancel could make a gate that was
/// approved judge by fewer than it says.
pub fn judge_beside(cancelled: i64, gate: &GateSpec, counts: &Counts, seen: Seen, closed: bool) -> Verdict {
    let finished = (counts.finished() - seen.finished).max(0);
    let succeeded = (counts.succeeded - seen.succeeded).max(0);
    let errors = (counts.errors() - seen.errors).max(0);
    let judged = (counts.total - counts.left_out - seen.finished).max(0);
    // Who was left out is no evidence: a stage that most of its devices declined is not judged by the few that are left.
    let half = (counts.total - seen.finished + 1) / 2;
    let sample = i64::from(gate.min_sample).clamp(1, (judged + cancelled.min(counts.left_out)).max(half).max(1));
    let failed = (counts.failed - seen.failed).max(0);
    let reverted = (counts.reverted - seen.reverted).max(0);
    let timed_out = (counts.timed_out - seen.timed_out).max(0);
    let rejected = (counts.rejected - seen.rejected).max(0);
    let say = |call, text: String| {
        let verdict = Verdict::new(call, text);
        Verdict { finished, succeeded, errors, failed, reverted, timed_out, rejected, sample, ..verdict }
    };
    let so_far = if seen == Seen::default() { "" } else { SINCE_RESUMED };

    if !gate.below_cap(errors) {
        return say(
            Call::Halt,
            format!("{} of {finished} finished devices failed{so_far}; the limit is {} in all", errors, gate.max_errors),
        );
    }
    for (class, n, what) in [
        (ErrorClass::Failed, failed, "could not install it"),
        (ErrorClass::Reverted, reverted, "went back to the old version"),
        (ErrorClass::TimedOut, timed_out, "fell silent"),
        (ErrorClass::Rejected, rejected, "refused it"),
    ] {
        if let Some(most) = gate.most(class).filter(|most| !within(*most, n)) {
            return say(Call::Halt, format!("{} {what}{so_far}; {}", devices_of(n), may(most)));
        }
    }
    let error_rate = rate_of(errors, finished);
    if finished >= sample && !gate.errors_within(errors, finished) {
        let (rate, limit) = (rate_words(error_rate), rate_words(gate.error_percent));
        return say(Call::Halt, format!("{errors} of {finished} finished devices failed{so_far} ({rate} %, limit {limit} %)"));
    }
    if closed {
        if judged == 0 {
            return say(Call::Pass, format!("nobody is left to judge{so_far}"));
        }
        if finished < sample && finished == judged {
            let text =
                format!("only {finished} of {} devices could be judged, the others were left out; the gate needs {sample}", counts.total);
            return say(Call::Halt, text);
        }
        if finished < sample {
            return say(
                Call::Halt,
                format!("only {finished} of {judged} devices finished in time; the gate needs {sample} before it can judge"),
            );
        }
        let success_rate = rate_of(succeeded, finished);
        let (rate, limit) = (rate_words(success_rate), rate_words(gate.success_percent));
        let text = format!("{succeeded} of {finished} finished devices succeeded{so_far} ({rate} %, needed {limit} %)");
        return say(if gate.successes_reach(succeeded, finished) { Call::Pass } else { Call::Halt }, text);
    }
    // Of so many fewer than there are it is said why.
    let aside = if counts.left_out > 0 { format!(", {} left out", counts.left_out) } else { String::new() };
    let text = if finished < sample {
        format!("{finished} of {judged} finished, {errors} failed{aside}; judged from {sample} on")
    } else {
        format!(
            "{finished} of {judged} finished, {errors} failed{aside} ({} %, limit {} %)",
            rate_words(error_rate),
            rate_words(gate.error_percent)
        )
    };
    say(Call::Wait, text)
}

/// Whether a verdict with these numbers is only that too few could be judged: of those that were, no limit says anything.
pub fn is_too_few(gate: &GateSpec, verdict: &Verdict) -> bool {
    let Verdict { finished, sample, succeeded, failed, reverted, timed_out, rejected, .. } = *verdict;
    // With as many others still to come as it takes to judge.
    let (waiting, total) = (2 * sample, finished + 2 * sample);
    let counts = Counts { total, waiting, succeeded, failed, reverted, timed_out, rejected, ..Counts::default() };
    finished < sample && judge(gate, &counts, Seen::default(), false).call != Call::Halt
}

/// Whether a stage is watched for so long that devices which go dark can be counted.
pub fn counts_dark(stage: &StageSpec) -> bool {
    i64::from(stage.soak_s) * 1000 >= DARK_WATCH_MS
}

/// Judges the whole rollout, over the devices of all stages that have finished so far. While a stage runs only the limits of errors hold; `between` stages, and at
/// the end, enough of those that have finished must have succeeded. Too few finished devices are no reason to halt: each stage has its own gate for that.
pub fn judge_whole(gate: &GateSpec, counts: &Counts, seen: Seen, between: bool) -> Verdict {
    let open = judge(gate, counts, seen, false);
    if !between || open.call == Call::Halt || open.finished < open.sample || open.finished == 0 {
        return open;
    }
    if gate.successes_reach(open.succeeded, open.finished) {
        return open;
    }
    let rate = rate_of(open.succeeded, open.finished);
    let so_far = if seen == Seen::default() { "" } else { SINCE_RESUMED };
    let (rate, limit) = (rate_words(rate), rate_words(gate.success_percent));
    let text = format!("{} of {} finished devices succeeded{so_far} ({rate} %, needed {limit} %)", open.succeeded, open.finished);
    Verdict { call: Call::Halt, text, ..open }
}

/// Judges, at the end of a soak, those that succeeded and went dark: `verdict` is what the gate said of everything else.
pub fn judge_dark(most: u32, dark: i64, seen: Seen, verdict: Verdict) -> Verdict {
    let n = dark - seen.dark;
    if within(most, n) {
        return verdict;
    }
    let so_far = if seen == Seen::default() { "" } else { SINCE_RESUMED };
    Verdict { call: Call::Halt, text: format!("{} succeeded and went dark{so_far}; {}", devices_of(n), may(most)), ..verdict }
}

fn may(most: u32) -> String {
    if most == 0 { "none may".to_owned() } else { format!("at most {most} may") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GATE: GateSpec = GateSpec::USUAL;

    fn counts(total: i64, succeeded: i64, failed: i64) -> Counts {
        Counts { total, waiting: total - succeeded - failed, succeeded, failed, ..Counts::default() }
    }

    #[test]
    fn it_says_why_in_words_and_numbers() {
        let mut said = Vec::new();
        for (name, counts, gate, closed) in [
            ("nothing yet", counts(10, 0, 0), GATE, false),
            ("two bad of two, sample three", counts(10, 0, 2), GATE, false),
            ("three bad of four", counts(10, 1, 3), GATE, false),
            ("cap", counts(10, 50, 2), GateSpec { max_errors: 2, error_percent: 50.0, ..GATE }, false),
            ("all well", counts(10, 10, 0), GATE, true),
            ("small stage", counts(2, 2, 0), GATE, true),
            ("small stage, one bad", counts(2, 1, 1), GATE, true),
            ("too few came", counts(10, 1, 0), GATE, true),
            ("almost", counts(10_000, 9496, 504), GateSpec { error_percent: 20.0, ..GATE }, true),
            ("none may revert", Counts { reverted: 1, ..counts(100, 50, 0) }, GateSpec { max_reverted: Some(0), ..GATE }, false),
            ("one may revert", Counts { reverted: 1, ..counts(100, 50, 0) }, GateSpec { max_reverted: Some(1), ..GATE }, false),
            ("two silent", Counts { timed_out: 2, ..counts(100, 50, 0) }, GateSpec { max_timed_out: Some(1), ..GATE }, false),
            ("one may fail", counts(100, 50, 1), GateSpec { max_failed: Some(1), ..GATE }, false),
            ("two failed", counts(100, 50, 2), GateSpec { max_failed: Some(1), ..GATE }, false),
            ("none may refuse", Counts { rejected: 1, ..counts(100, 50, 0) }, GateSpec { max_rejected: Some(0), ..GATE }, false),
            ("failing is not refusing", counts(100, 50, 2), GateSpec { max_rejected: Some(0), ..GATE }, false),
            ("all left out", Counts { total: 2, left_out: 2, ..Counts::default() }, GATE, true),
        ] {
            let v = judge(&gate, &counts, Seen::default(), closed);
            said.push(format!("{name}: {:?}: {}", v.call, v.text));
        }
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn it_says_from_how_many_on_it_judges() {
        assert_eq!(judge(&GATE, &counts(10, 0, 0), Seen::default(), false).sample, 3);
        assert_eq!(judge(&GATE, &counts(2, 1, 0), Seen::default(), false).sample, 2, "a stage of two is judged with two");
    }

    #[test]
    fn the_few_that_are_left_do_not_speak_for_a_stage() {
        let left = |left_out, succeeded| Counts { total: 5, left_out, succeeded, ..Counts::default() };
        assert_eq!(judge(&GATE, &left(2, 3), Seen::default(), true).call, Call::Pass);
        assert_eq!(
            judge(&GATE, &left(2, 1), Seen::default(), false).text,
            "1 of 3 finished, 0 failed, 2 left out; judged from 3 on",
            "why it is of three"
        );
        let declined = judge(&GATE, &left(4, 1), Seen::default(), true);
        assert_eq!(
            (declined.call, declined.text.as_str()),
            (Call::Halt, "only 1 of 5 devices could be judged, the others were left out; the gate needs 3")
        );
        assert_eq!(judge(&GATE, &left(4, 1), Seen::all(&left(4, 1), 0), true).call, Call::Pass, "a person went on");
    }

    #[test]
    fn who_was_cancelled_lowers_no_sample() {
        let gate = GateSpec { success_percent: 100.0, min_sample: 6, ..GATE };
        let left = |left_out, succeeded| Counts { total: 6, left_out, succeeded, ..Counts::default() };
        let closed = |cancelled, counts: &Counts, seen| judge_beside(cancelled, &gate, counts, seen, true);
        let few = closed(3, &left(3, 3), Seen::default());
        let why = "only 3 of 6 devices could be judged, the others were left out; the gate needs 6";
        assert_eq!((few.call, few.sample, few.text.as_str()), (Call::Halt, 6, why));
        assert!(is_too_few(&gate, &few));
        assert_eq!(closed(1, &left(3, 3), Seen::default()).sample, 4, "two of them have declined it");
        assert_eq!(closed(0, &left(3, 3), Seen::default()).call, Call::Pass, "all of them have");
        assert_eq!(closed(3, &left(3, 3), Seen::all(&left(3, 3), 0)).call, Call::Pass, "a person went on");
        let smaller = GateSpec { min_sample: 3, ..gate.clone() };
        assert_eq!(judge_beside(3, &smaller, &left(3, 3), Seen::default(), true).call, Call::Pass, "enough are left");
    }

    #[test]
    fn too_few_are_no_evidence_unless_a_limit_was_reached() {
        let closed = |gate: &GateSpec, counts: &Counts| judge(gate, counts, Seen::default(), true);
        for (n, few) in [(1, true), (2, true), (3, false)] {
            let verdict = closed(&GATE, &counts(10, 0, n));
            assert_eq!((verdict.call, is_too_few(&GATE, &verdict)), (Call::Halt, few), "{}", verdict.text);
        }
        let capped = GateSpec { max_errors: 1, ..GATE };
        assert!(!is_too_few(&capped, &closed(&capped, &counts(10, 0, 1))), "an error is too many");
        assert!(!is_too_few(&GATE, &closed(&GATE, &counts(10, 10, 0))));
    }

    #[test]
    fn what_a_person_has_seen_is_not_held_against_it_again() {
        let then = counts(10, 1, 3);
        assert_eq!(judge(&GATE, &then, Seen::default(), false).call, Call::Halt);
        assert_eq!(judge(&GATE, &then, Seen::all(&then, 0), false).call, Call::Wait);
        let strict = GateSpec { max_reverted: Some(1), ..GATE };
        let back = |n| Counts { reverted: n, ..counts(100, 90, 0) };
        assert_eq!(judge(&strict, &back(2), Seen::default(), false).call, Call::Halt);
        assert_eq!(judge(&strict, &back(3), Seen::all(&back(2), 0), false).call, Call::Wait);
        assert_eq!(
            judge(&strict, &back(4), Seen::all(&back(2), 0), false).text,
            "2 devices went back to the old version since it was resumed; at most 1 may"
        );
        let careful = GateSpec { max_failed: Some(1), max_rejected: Some(0), error_percent: 100.0, ..GATE };
        let bad = |failed, rejected| Counts { rejected, ..counts(100, 20, failed) };
        let text = |now: Counts, then: Counts| judge(&careful, &now, Seen::all(&then, 0), false).text;
        assert_eq!(text(bad(2, 3), bad(2, 3)), "0 of 75 finished, 0 failed; judged from 3 on");
        assert_eq!(text(bad(4, 3), bad(2, 3)), "2 devices could not install it since it was resumed; at most 1 may");
        assert_eq!(text(bad(3, 4), bad(2, 3)), "1 device refused it since it was resumed; none may");
        let later = counts(10, 1, 6);
        let verdict = judge(&GATE, &later, Seen::all(&then, 0), false);
        assert_eq!((verdict.call, verdict.errors, verdict.finished), (Call::Halt, 3, 3));
    }

    #[test]
    fn the_whole_is_judged_by_all_that_have_finished() {
        let strict = GateSpec { success_percent: 90.0, error_percent: 20.0, min_sample: 20, ..GATE };
        let whole = |counts: &Counts, between| judge_whole(&strict, counts, Seen::default(), between).call;
        assert_eq!(whole(&counts(1000, 2, 2), true), Call::Wait, "too few to judge, and no reason to halt");
        assert_eq!(whole(&counts(1000, 17, 3), false), Call::Wait);
        assert_eq!(
            judge_whole(&strict, &counts(1000, 17, 3), Seen::default(), true).text,
            "17 of 20 finished devices succeeded (85 %, needed 90 %)"
        );
        assert_eq!(whole(&counts(1000, 19, 1), true), Call::Wait);
        assert_eq!(whole(&counts(1000, 15, 5), false), Call::Halt, "too many errors halt it at once");
        let then = counts(1000, 15, 5);
        assert_eq!(judge_whole(&strict, &then, Seen::all(&then, 0), true).call, Call::Wait, "a person went on");
        assert_eq!(judge_whole(&strict, &counts(0, 0, 0), Seen::default(), true).call, Call::Wait);
    }

    #[test]
    fn devices_that_went_dark_are_judged_beside_the_rest() {
        let all = counts(10, 10, 0);
        let passed = judge(&GATE, &all, Seen::default(), true);
        assert_eq!(judge_dark(1, 1, Seen::default(), passed.clone()), passed);
        let verdict = judge_dark(1, 2, Seen::default(), passed.clone());
        assert_eq!((verdict.call, verdict.text.as_str()), (Call::Halt, "2 devices succeeded and went dark; at most 1 may"));
        assert_eq!(judge_dark(0, 1, Seen::default(), passed.clone()).text, "1 device succeeded and went dark; none may");
        assert_eq!(judge_dark(1, 3, Seen::all(&all, 2), passed.clone()), passed, "a person went on in spite of two");
    }

    fn any_counts() -> impl Strategy<Value = Counts> {
        (0i64..50, 0i64..20, 0i64..20, 0i64..20, 0i64..20, 0i64..20, 0i64..10, 0i64..10).prop_map(|(w, u, s, f, r, t, j, l)| Counts {
            total: w + u + s + f + r + t + j + l,
            waiting: w,
            updating: u,
            succeeded: s,
            failed: f,
            reverted: r,
            timed_out: t,
            rejected: j,
            left_out: l,
        })
    }

    fn any_gate() -> impl Strategy<Value = GateSpec> {
        let most = || prop::option::of(0u32..5);
        let limits = (most(), most(), most(), most());
        (0.0f64..=100.0, 0.0f64..=100.0, 0u32..30, 0u32..10, limits).prop_map(
            |(success_percent, error_percent, min_sample, max_errors, (max_failed, max_reverted, max_timed_out, max_rejected))| GateSpec {
                success_percent,
                error_percent,
                min_sample,
                max_errors,
                max_failed,
                max_reverted,
                max_timed_out,
                max_rejected,
                max_dark: None,
                action: wire::rollouts::GateAction::Halt,
                metrics: Vec::new(),
            },
        )
    }

    proptest! {
        #[test]
        fn it_carries_the_numbers_it_saw_and_never_passes_early(gate in any_gate(), counts in any_counts(), closed: bool) {
            let v = judge(&gate, &counts, Seen::default(), closed);
            prop_assert_eq!((v.finished, v.succeeded, v.errors), (counts.finished(), counts.succeeded, counts.errors()));
            let classes = (v.failed, v.reverted, v.timed_out, v.rejected);
            prop_assert_eq!(classes, (counts.failed, counts.reverted, counts.timed_out, counts.rejected));
            prop_assert!(v.call != Call::Pass || closed);
            prop_assert!(!closed || v.call != Call::Wait, "a closed stage has a verdict");
            prop_assert!(!v.text.is_empty());
            prop_assert_eq!(v.clone(), judge(&gate, &counts, Seen::default(), closed));
        }

        #[test]
        fn one_more_error_never_turns_a_halt_into_a_pass(gate in any_gate(), counts in any_counts(), closed: bool) {
            let before = judge(&gate, &counts, Seen::default(), closed).call;
            let mut worse = counts;
            worse.failed += 1;
            worse.total += 1;
            if before == Call::Halt && counts.finished() >= i64::from(gate.min_sample) {
                prop_assert_eq!(judge(&gate, &worse, Seen::default(), closed).call, Call::Halt);
            }
        }

        #[test]
        fn without_an_error_nothing_halts_while_it_is_open(gate in any_gate(), total in 0i64..50, succeeded in 0i64..50) {
            let counts = counts(total.max(succeeded), succeeded, 0);
            prop_assert_eq!(judge(&gate, &counts, Seen::default(), false).call, Call::Wait);
        }

        #[test]
        fn a_verdict_follows_its_own_rates(gate in any_gate(), counts in any_counts()) {
            let v = judge(&gate, &counts, Seen::default(), true);
            let judged = counts.total - counts.left_out;
            if v.call == Call::Pass && judged > 0 {
                let of = |n: i64| f64::from(i32::try_from(n).unwrap());
                let rate = 100.0 * of(counts.succeeded) / of(counts.finished());
                prop_assert!(rate >= gate.success_percent);
                prop_assert!(counts.finished() >= i64::from(gate.min_sample).min(judged).max(1));
                prop_assert!(gate.max_errors == 0 || counts.errors() < i64::from(gate.max_errors));
                prop_assert!(gate.max_failed.is_none_or(|most| counts.failed <= i64::from(most)));
                prop_assert!(gate.max_reverted.is_none_or(|most| counts.reverted <= i64::from(most)));
                prop_assert!(gate.max_timed_out.is_none_or(|most| counts.timed_out <= i64::from(most)));
                prop_assert!(gate.max_rejected.is_none_or(|most| counts.rejected <= i64::from(most)));
            }
        }
    }
}
