//! Pure: how a stage that its gate lets pass ends: by itself, or by a person. Before the last one ends without those that people have cancelled, somebody has a
//! while to have them tried again. And what stays of it where its release is recalled.

use super::{
    course::{Change, Course, Stage},
    plan::{Plan, devices_of, halt, say_no, say_no_at_its_end, unjudged},
    state::{STAGE, legal},
};
use wire::{
    Timestamp,
    rollouts::{Call, Verdict},
    states::{RolloutState, StageState},
    time::DAY_MS,
};

/// Why a stage that may pass does not, where its plan says so.
pub(super) const TO_GO_ON: &str = "it waits for a person to go on";

/// Updates of a rollout that people have cancelled, and nobody has had tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cancelled {
    /// How many.
    pub devices: i64,
    /// When the last of them was cancelled.
    pub last: Option<Timestamp>,
}

impl Cancelled {
    /// Until when the last stage waits for a person because of them, a day after the last was cancelled; none when it does not, or no longer. After the end
    /// they could not be tried again; but who was set aside on purpose, or can't be tried any more, does not keep a rollout from its end for ever.
    pub fn until(self, now: Timestamp) -> Option<Timestamp> {
        self.last.map(|last| last.plus(DAY_MS)).filter(|until| *until > now)
    }

    /// Why the last stage does not end by itself, and until when.
    pub(super) fn hold(self, now: Timestamp) -> Option<(String, Timestamp)> {
        let until = self.until(now)?;
        let (devices, by) = (self.words(), until.readable());
        Some((format!("{devices} can be tried again: it waits for a person to do that, or to end it, until {by}"), until))
    }

    fn words(self) -> String {
        if self.devices == 1 { "1 cancelled device".to_owned() } else { format!("{} cancelled devices", self.devices) }
    }
}

/// What the gate of a stage says when nobody else comes to it. Who was cancelled is no evidence, and lowers no sample: where too few others are left, that is a no
/// of an earlier stage's gate. Where the last stage would have enough with them, it is none of its: it asks on the way to its end whether they are tried again.
pub(super) fn at_its_end((course, number, stage): (&Course, u32, &Stage), cancelled: Cancelled) -> Verdict {
    let verdict = stage.closes();
    let lacks = verdict.finished < verdict.sample && verdict.finished + cancelled.devices >= verdict.sample && stage.counts.waiting == 0;
    let only = verdict.call == Call::Halt && lacks && stage.judged(false).call != Call::Halt;
    if only && course.is_last(number) { Verdict { call: Call::Wait, ..verdict } } else { verdict }
}

/// A stage waits for a person; what devices say meanwhile is evidence. The last one waits because of cancelled devices, as long as there are such and the time
/// for that is not over.
pub(super) fn waiting((course, number, stage): (&Course, u32, &Stage), cancelled: Cancelled, now: Timestamp) -> Plan {
    let open = stage.judged(false);
    if open.call == Call::Halt {
        return say_no(course, number, open);
    }
    if !course.is_last(number) {
        return Plan::default().because(format!("stage {number} passed and waits for a person to go on"));
    }
    if let Some((waits, until)) = cancelled.hold(now) {
        return Plan::default().because(format!("stage {number}: {waits}")).until(until);
    }
    let verdict = at_its_end((course, number, stage), cancelled);
    if verdict.call == Call::Halt {
        return say_no_at_its_end(course, number, verdict);
    }
    pass((course, number, stage), stage.keeps(verdict), "", (cancelled, now))
}

/// A stage that was done, and that devices go on in with what was taken back from them: it is judged and watched anew after them. One that has ended is not
/// followed by the next before they are done.
pub(super) fn goes_on((number, stage): (u32, &Stage)) -> Option<Plan> {
    let devices = stage.counts.updating;
    if devices == 0 {
        return None;
    }
    let text = format!("{} under way with what was taken back", devices_of(devices));
    match stage.state {
        StageState::Soaking | StageState::AwaitingPromotion => {
            let plan = Plan::default().because(format!("Stage {number} goes on: {text}"));
            Some(plan.then(Change::Again { stage: number }).resting_on(number, stage))
        }
        StageState::Succeeded | StageState::Skipped => Some(Plan::default().because(format!("stage {number}: {text}"))),
        StageState::Pending | StageState::Running | StageState::Failed => None,
    }
}

/// The stage ends without a no, unless it waits for a person: because its plan says so, or because with the last one the way to those would be lost whom people
/// have set aside. Where their time is over, that is said.
pub(super) fn pass(
    (course, number, stage): (&Course, u32, &Stage),
    verdict: Verdict,
    left: &str,
    (cancelled, now): (Cancelled, Timestamp),
) -> Plan {
    // Where a person went on in spite of a no its sentence says so.
    let says = |without: &str| match verdict.call {
        Call::Pass => format!(" passed: {}", verdict.text),
        _ if verdict.is_overruled() => format!(" {}", verdict.text),
        _ => format!("{without}: {}", verdict.text),
    };
    let (plan, last) = (Plan::default().resting_on(number, stage), course.is_last(number));
    let waits = if last { cancelled.hold(now).map(|(waits, _)| waits) } else { stage.spec.confirm.then(|| TO_GO_ON.to_owned()) };
    if let Some(waits) = waits {
        return plan.because(format!("Stage {number}{}{left}; {waits}", says(""))).then(Change::Hold { stage: number, verdict });
    }
    let late =
        if last && cancelled.devices > 0 { format!("; nobody had {} tried again in time", cancelled.words()) } else { String::new() };
    plan.because(format!("Stage {number}{}{left}{late}", says(" ended"))).then(Change::Close {
        stage: number,
        to: StageState::Succeeded,
        verdict: Some(verdict),
    })
}

/// Halts it because its release was recalled. That is no gate's no, and undoes none: what its stage's gate has said stays with the stage, and one that has passed, or
/// that a person went on with, stays passed. A stage whose gate has said nothing yet keeps why it ended, with its numbers.
pub(super) fn halt_for(course: &Course, reason: &str) -> Plan {
    let why = format!("Halted: {reason}");
    let Some(stage) = course.current() else { return halt(course, None, &why) };
    let over = stage.state == StageState::AwaitingPromotion && stage.counts.updating == 0 && stage.judged(false).call != Call::Halt;
    let to = match &stage.verdict {
        Some(said) if over && (said.call == Call::Pass || said.is_overruled()) => StageState::Succeeded,
        // Also where a gate has paused it.
        Some(said) if over || said.call == Call::Halt => StageState::Failed,
        _ => return halt(course, Some(unjudged(stage, reason)), &why),
    };
    if !legal(STAGE, stage.state, to) {
        return halt(course, None, &why);
    }
    let kept = Plan::default().then(Change::Close { stage: course.stage, to, verdict: None }).resting_on(course.stage, stage);
    kept.enter(RolloutState::Halted, why).then(Change::Withdraw { recalled: true, for_good: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::{
        control::order,
        plan::{UnderWay, plan},
        testing::{approved, stage},
        way_back::Back,
    };
    use wire::{
        rollouts::{Counts, GateAction, GateSpec, Reach, StageSpec, Verb},
        states::{ReleaseState, RolloutState},
    };

    /// A first stage of ten to which one has come, and to which nobody may come any more.
    fn one_of_ten(action: GateAction) -> Course {
        let first = StageSpec { gate: GateSpec { action, ..GateSpec::USUAL }, ..stage(Reach::Count(10)) };
        let mut course = approved(vec![first, stage(Reach::Percent(100.0))]);
        (course.state, course.stage, course.stages[0].state) = (RolloutState::Running, 1, StageState::Running);
        course.stages[0].counts = Counts { total: 10, waiting: 9, succeeded: 1, ..Counts::default() };
        course.way_back = Some(Back { release: ReleaseState::Published, going: None });
        course
    }

    /// The planner looks at it after whoever waits was counted.
    fn ticks(course: &mut Course, now: Timestamp) {
        course.stages[0].counted = course.stages[0].tally;
        for change in plan(course, UnderWay::default(), None, now).changes {
            course.apply(&change, now);
        }
    }

    fn ordered(course: &mut Course, verb: Verb, now: Timestamp) {
        for change in order(verb, course, "oli", "known", now).unwrap() {
            course.apply(&change, now);
        }
    }

    const TOO_FEW: &str = "only 1 of 10 devices finished in time; the gate needs 3 before it can judge";

    #[test]
    fn a_person_goes_on_in_spite_of_too_few_and_is_not_asked_twice_about_the_same() {
        for by_hand in [false, true] {
            let mut course = one_of_ten(GateAction::Halt);
            ticks(&mut course, Timestamp(1));
            assert_eq!((course.state, course.summary.as_str()), (RolloutState::Halted, format!("Halted in stage 1: {TOO_FEW}").as_str()));
            ordered(&mut course, Verb::Resume, Timestamp(2));
            ticks(&mut course, Timestamp(3));
            assert_eq!(course.stages[0].state, StageState::Running, "the others have as long again");
            if by_hand {
                ordered(&mut course, Verb::Promote, Timestamp(4));
            } else {
                let late = course.doors_until;
                ticks(&mut course, late);
            }
            let kept = course.stages[0].verdict.as_ref().unwrap();
            assert_eq!((course.stages[0].state, kept.call, kept.finished), (StageState::Succeeded, Call::Wait, 1));
            assert_eq!(kept.text, format!("went on by oli in spite of the gate: {TOO_FEW}"), "it has not passed");
        }
    }

    #[test]
    fn who_came_since_is_asked_about() {
        let mut course = one_of_ten(GateAction::Halt);
        ticks(&mut course, Timestamp(1));
        ordered(&mut course, Verb::Resume, Timestamp(2));
        course.stages[0].counts = Counts { total: 10, waiting: 8, succeeded: 1, failed: 1, ..Counts::default() };
        assert!(order(Verb::Promote, &course, "oli", "", Timestamp(3)).unwrap_err().starts_with("The gate is not content: only 1 of 9"));
        let late = course.doors_until;
        ticks(&mut course, late);
        assert_eq!(course.summary, "Halted in stage 1: only 1 of 9 devices finished in time; the gate needs 3 before it can judge");
    }

    #[test]
    fn nobody_goes_back_because_too_few_could_be_judged() {
        let mut course = one_of_ten(GateAction::RollBack);
        ticks(&mut course, Timestamp(1));
        assert_eq!((course.state, course.summary.as_str()), (RolloutState::Paused, format!("Paused in stage 1: {TOO_FEW}").as_str()));
        let mut course = one_of_ten(GateAction::RollBack);
        course.stages[0].counts = Counts { total: 10, waiting: 6, succeeded: 1, failed: 3, ..Counts::default() };
        ticks(&mut course, Timestamp(1));
        assert_eq!(course.state, RolloutState::RollingBack, "{}", course.summary);
    }

    #[test]
    fn a_recall_halts_the_rollout_and_leaves_what_the_gate_of_its_stage_has_said() {
        let passed = "2 of 2 finished devices succeeded (100 %, needed 90 %)";
        for (succeeded, action, state, said) in [
            (2, GateAction::Halt, StageState::Succeeded, (Call::Pass, passed)),
            (0, GateAction::Pause, StageState::Failed, (Call::Halt, "2 of 2 finished devices failed (100 %, limit 10 %)")),
        ] {
            let gate = GateSpec { action, min_sample: 1, success_percent: 90.0, error_percent: 10.0, ..GateSpec::USUAL };
            let first = StageSpec { gate, confirm: true, ..stage(Reach::Count(2)) };
            let mut course = approved(vec![first, stage(Reach::Percent(100.0))]);
            (course.state, course.stage, course.stages[0].state) = (RolloutState::Running, 1, StageState::Running);
            course.stages[0].counts = Counts { total: 2, succeeded, failed: 2 - succeeded, ..Counts::default() };
            ticks(&mut course, Timestamp(1));
            let before = course.stages[0].verdict.clone().unwrap();
            course.release = ReleaseState::Recalled;
            ticks(&mut course, Timestamp(2));
            assert!(course.summary.starts_with("Halted: the release was recalled"), "{}", course.summary);
            let kept = &course.stages[0];
            assert_eq!((course.state, kept.state, kept.verdict.as_ref()), (RolloutState::Halted, state, Some(&before)));
            assert_eq!((before.call, before.text.as_str(), before.finished), (said.0, said.1, 2));
        }
    }
}
