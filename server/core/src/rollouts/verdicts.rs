//! Pure: what gates say, as pages and programs are told it. A no is told only where a gate has come to it and stopped the rollout: what it would say of
//! what is known by now, while it is not asked, is none.

use super::{
    course::{Course, Stage},
    gate::{self, SINCE_RESUMED, Seen},
};
use wire::{
    rollouts::{Call, Counts, StageOutcome, StageView, Verdict},
    states::StageState,
};

/// A stage as it stands.
pub(super) fn of_stage(number: u32, stage: &Stage) -> StageView {
    let live = matches!(stage.state, StageState::Pending | StageState::Running);
    let verdict = match &stage.verdict {
        // Also of a stage that its gate has paused.
        Some(verdict) if !live || verdict.call == Call::Halt => kept(verdict, &stage.counts, stage.seen),
        _ if stage.state == StageState::Pending => Verdict::new(Call::Wait, "has not begun"),
        _ if stage.state == StageState::Skipped => Verdict::new(Call::Wait, "skipped"),
        over => {
            let now = by_now(stage.judged(false));
            match over.as_ref().filter(|over| over.is_overruled()) {
                Some(over) => in_spite_of(over, &now, &stage.counts),
                None => now,
            }
        }
    };
    StageView {
        number,
        spec: stage.spec.clone(),
        state: stage.state,
        counts: stage.counts,
        dark: stage.dark.map(|n| (n - stage.seen.dark).max(0)),
        started_at: stage.started_at,
        soak_until: stage.soak_until,
        ended_at: stage.ended_at,
        outcome: StageOutcome::of(stage.state, &verdict),
        verdict: verdict.bounded(),
        findings: stage.findings.clone(),
    }
}

/// What the gate of the whole rollout says as of now.
pub(super) fn of_whole(course: &Course) -> Option<Verdict> {
    let gate = course.gate.as_ref()?;
    if course.stage == 0 {
        return Some(Verdict::new(Call::Wait, "has not begun"));
    }
    let (totals, seen) = (course.totals(), course.seen());
    let now = || by_now(gate::judge_whole(gate, &totals, seen, false));
    let verdict = match &course.verdict {
        Some(no) if no.call == Call::Halt => kept(no, &totals, seen),
        Some(over) => in_spite_of(over, &now(), &totals),
        None => now(),
    };
    Some(verdict.bounded())
}

/// What a gate would say if it were asked: a no that has stopped nothing is told as that.
fn by_now(verdict: Verdict) -> Verdict {
    match verdict.call {
        Call::Halt => Verdict { call: Call::Wait, text: format!("{}; it has not stopped the rollout", verdict.text), ..verdict },
        Call::Wait | Call::Pass => verdict,
    }
}

/// What a person went on in spite of, beside what the gate says of those that came after. Until somebody has, the numbers are those that it saw then.
fn in_spite_of(over: &Verdict, now: &Verdict, counts: &Counts) -> Verdict {
    if now.finished == 0 {
        return Verdict { text: format!("{}; {}", now.text, over.text), ..over.clone() }.beside(counts);
    }
    let at = over.at.map_or_else(String::new, |at| format!(", {}", at.readable()));
    Verdict { text: format!("{}; {}{at}", now.text, over.text), ..now.clone() }
}

/// A verdict that was kept, beside its devices as of now where they are others: all, or those since a person went on, where it is of these.
fn kept(verdict: &Verdict, counts: &Counts, seen: Seen) -> Verdict {
    let of_all = verdict.clone().beside(counts);
    let since = verdict.clone().beside(&seen.rest(counts));
    if since.now.is_none() || (of_all.now.is_some() && verdict.text.contains(SINCE_RESUMED)) { since } else { of_all }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::{
        control::{in_spite_of as passed_over, order},
        course::Change,
        evidence::{self, Groups, Look},
        plan::{UnderWay, plan},
        testing::{approved, stage},
    };
    use wire::{
        Timestamp,
        rollouts::{Finding, GateAction, GateSpec, MetricGate, Reach, StageSpec, Verb, Worse},
        states::RolloutState,
    };

    /// Two stages, of which the second halts at more than 30 %, in a rollout that is paused at more than 20 % of at least three.
    fn two_gates() -> Course {
        let of = |reach, error_percent, min_sample, action| {
            let gate = GateSpec { error_percent, min_sample, action, success_percent: 0.0, ..GateSpec::USUAL };
            StageSpec { name: "A".into(), gate, ..stage(reach) }
        };
        let whole = of(Reach::Percent(100.0), 20.0, 3, GateAction::Pause).gate;
        let first = of(Reach::Count(3), 100.0, 1, GateAction::Halt);
        let second = of(Reach::Percent(100.0), 30.0, 1, GateAction::Halt);
        let mut course = Course { gate: Some(whole), ..approved(vec![first, second]) };
        (course.state, course.stage, course.stages[0].state) = (RolloutState::Running, 1, StageState::Running);
        course
    }

    fn ticks(course: &mut Course, at: i64) {
        for change in plan(course, UnderWay::default(), None, Timestamp(at)).changes {
            course.apply(&change, Timestamp(at));
        }
    }

    fn resumed(course: &mut Course, at: i64) {
        for change in order(Verb::Resume, course, "oli", "known", Timestamp(at)).unwrap() {
            course.apply(&change, Timestamp(at));
        }
    }

    #[test]
    fn only_the_gate_that_stopped_it_says_no() {
        let mut course = two_gates();
        course.stages[0].counts = Counts { total: 3, succeeded: 2, failed: 1, ..Counts::default() };
        ticks(&mut course, 1);
        assert_eq!((course.state, of_whole(&course).map(|v| v.call)), (RolloutState::Paused, Some(Call::Halt)));
        resumed(&mut course, 2);
        let whole = of_whole(&course).unwrap();
        assert_eq!((whole.call, whole.finished, whole.errors, whole.at), (Call::Wait, 3, 1, Some(Timestamp(1))), "nobody was judged since");
        assert!(whole.text.contains("went on by oli in spite of the gate: 1 of 3 finished devices failed"), "{}", whole.text);
        course.apply(&Change::Close { stage: 1, to: StageState::Succeeded, verdict: None }, Timestamp(3));
        course.apply(&Change::Begin { stage: 2, doors_until: Timestamp(9_000_000) }, Timestamp(3));
        course.stages[1].counts = Counts { total: 5, waiting: 3, succeeded: 1, failed: 1, ..Counts::default() };
        ticks(&mut course, 4);
        assert!(course.summary.starts_with("Halted in stage 2: 1 of 2 finished devices failed"), "{}", course.summary);
        // What comes after the halt is judged by nobody.
        course.stages[1].counts = Counts { total: 5, succeeded: 1, failed: 4, ..Counts::default() };
        let (whole, second) = (of_whole(&course).unwrap(), of_stage(2, &course.stages[1]).verdict);
        assert_eq!((whole.call, second.call, second.finished, second.at), (Call::Wait, Call::Halt, 2, Some(Timestamp(4))));
        assert!(whole.text.contains("4 of 5 finished devices failed since it was resumed"), "{}", whole.text);
        assert!(whole.text.contains("it has not stopped the rollout"), "{}", whole.text);
        let named: Vec<String> = passed_over(Verb::Resume, &course).into_iter().map(|(gate, _)| gate).collect();
        assert_eq!(named, ["stage 2, A"], "as the audit log says");
    }

    #[test]
    fn only_the_gate_that_said_no_begins_anew() {
        let mut course = two_gates();
        course.stages[0].spec.gate.error_percent = 40.0;
        let finished = |course: &Course| (course.stages[0].seen.finished, course.stages[0].seen_by_whole.finished);
        let of = |succeeded, failed| Counts { total: 20, waiting: 20 - succeeded - failed, succeeded, failed, ..Counts::default() };
        course.stages[0].counts = of(2, 1);
        ticks(&mut course, 1);
        assert!(course.summary.starts_with("Paused by the gate of the whole rollout: 1 of 3"), "{}", course.summary);
        resumed(&mut course, 2);
        assert_eq!(finished(&course), (0, 3));
        // What it was told before is held against the stage, by its own gate.
        course.stages[0].counts = of(2, 2);
        ticks(&mut course, 3);
        assert_eq!(course.summary, "Halted in stage 1: 2 of 4 finished devices failed (50 %, limit 40 %)");
        resumed(&mut course, 4);
        assert_eq!(finished(&course), (4, 3));
        course.stages[0].counts = of(3, 3);
        ticks(&mut course, 5);
        assert!(
            course.summary.starts_with("Paused by the gate of the whole rollout: 2 of 3 finished devices failed since"),
            "{}",
            course.summary
        );
        resumed(&mut course, 6);
        assert_eq!(finished(&course), (4, 6));
    }

    #[test]
    fn a_metric_that_stopped_a_stage_is_all_that_is_gone_on_in_spite_of() {
        let mut course = two_gates();
        let metric = MetricGate::new("cpu.load".into(), Worse::Higher);
        let look = Look { number: 1, from: Timestamp(0) };
        let worse = Finding {
            call: Call::Halt,
            text: "cpu.load is worse".into(),
            ..evidence::judge(&metric, &Groups::default(), look, Timestamp(1))
        };
        course.stages[0].counts = Counts { total: 5, succeeded: 4, failed: 1, ..Counts::default() };
        course.stages[0].findings = vec![worse];
        let verdict = gate::judge(&course.stages[0].spec.gate, &course.stages[0].counts, Seen::default(), true);
        let no = Verdict { call: Call::Halt, text: "cpu.load is worse".into(), ..verdict.clone() };
        (course.state, course.gate) = (RolloutState::Running, None);
        course.apply(&Change::Close { stage: 1, to: StageState::Failed, verdict: Some(no) }, Timestamp(1));
        course.apply(&Change::Enter { to: RolloutState::Halted, summary: "Halted".into() }, Timestamp(1));
        resumed(&mut course, 2);
        let stage = &course.stages[0];
        assert!(stage.findings[0].seen && stage.seen == Seen::default());
        // Nobody was judged since: it has not passed.
        let kept = stage.keeps(verdict.clone());
        assert_eq!((kept.call, kept.finished, kept.at), (Call::Wait, 5, Some(Timestamp(1))));
        assert_eq!(kept.text, "went on by oli in spite of the gate: cpu.load is worse");
        let more = Verdict { finished: 6, succeeded: 5, ..verdict };
        assert_eq!(stage.keeps(more.clone()), more);
    }

    #[test]
    fn a_stage_that_goes_on_keeps_what_its_gate_saw_until_others_are_judged() {
        let mut course = two_gates();
        course.gate = None;
        course.stages[0].spec.gate = GateSpec { action: GateAction::Pause, min_sample: 1, ..GateSpec::USUAL };
        course.stages[0].counts = Counts { total: 3, waiting: 2, failed: 1, ..Counts::default() };
        ticks(&mut course, 1);
        assert_eq!(course.state, RolloutState::Paused);
        resumed(&mut course, 2);
        let kept = of_stage(1, &course.stages[0]).verdict;
        assert_eq!((kept.call, kept.finished, kept.errors, kept.at, kept.now), (Call::Wait, 1, 1, Some(Timestamp(1)), None));
        assert!(kept.text.contains("; went on by oli in spite of the gate: 1 of 1 finished devices failed"), "{}", kept.text);
        // The retry is under way, and another device has succeeded.
        course.stages[0].counts = Counts { total: 3, updating: 1, waiting: 1, succeeded: 1, ..Counts::default() };
        course.stages[0].seen = Seen::default();
        let now = of_stage(1, &course.stages[0]).verdict;
        assert_eq!((now.finished, now.succeeded, now.at), (1, 1, None));
        assert!(now.text.contains("in spite of the gate"), "{}", now.text);
    }

    #[test]
    fn as_of_now_is_of_the_devices_that_were_judged() {
        let counts = Counts { total: 9, succeeded: 9, ..Counts::default() };
        let seen = Seen::all(&Counts { total: 9, succeeded: 2, ..Counts::default() }, 0);
        let judged = gate::judge(&GateSpec::USUAL, &counts, seen, true);
        assert_eq!((judged.finished, kept(&judged, &counts, seen).now), (7, None), "nobody has finished since");
        let later = Counts { total: 10, succeeded: 9, failed: 1, ..Counts::default() };
        assert_eq!(kept(&judged, &later, seen).now.map(|t| (t.finished, t.errors)), Some((8, 1)));
        // Another gate has made its stage go on since: that changes nothing of what this one saw.
        let first = gate::judge(&GateSpec::USUAL, &counts, Seen::default(), true);
        assert_eq!(kept(&first, &counts, Seen::all(&counts, 0)).now, None);
        assert_eq!(kept(&first, &later, Seen::all(&counts, 0)).now.map(|t| t.finished), Some(10));
    }
}
