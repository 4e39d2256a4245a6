//! Pure: what people may do to a rollout that was approved, as changes, or why not now. Buttons and orders ask the same function, so a
//! disabled button says what the order would have answered.

use super::{
    course::{Change, Course, Stage, may_install},
    plan::{self, devices_of},
    refusals,
    retry::nobody,
    way_back::{no_way, turn_back},
};
use wire::{
    Timestamp,
    rollouts::{Call, EndClass, Verb, Verdict},
    states::{RolloutState, StageState},
};

/// The changes an order makes, or why it can't be given now. `by` and `reason` go into the summary. A retry is of the usual devices; [`retry`] is of those that
/// were chosen.
///
/// Only for [`Verb::Start`], [`Verb::Pause`], [`Verb::Resume`], [`Verb::Promote`], [`Verb::Stop`], [`Verb::Retry`] and [`Verb::RollBack`]; decisions before the
/// start are not about the course.
pub fn order(verb: Verb, course: &Course, by: &str, reason: &str, now: Timestamp) -> Result<Vec<Change>, String> {
    use RolloutState as R;
    let said = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let enter = |to, what: &str| Change::Enter { to, summary: format!("{what} by {by}{said}") };
    match verb {
        Verb::Start => match course.state {
            R::Scheduled => Ok(vec![Change::BeginNow]),
            R::Approved => Err("It was approved and starts by itself in a moment.".to_owned()),
            R::Draft | R::WaitingForApproval | R::Rejected => Err("It has to be approved first.".to_owned()),
            R::Stopping | R::Stopped | R::Completed | R::RolledBack => Err(over(course.state, course.stage)),
            R::Running | R::Paused | R::Halted | R::RollingBack => Err("It has started already.".to_owned()),
        },
        Verb::Pause => match course.state {
            R::Running => Ok(vec![enter(R::Paused, "Paused"), Change::Withdraw { recalled: false, for_good: false }]),
            other => Err(refusals::pause(other, course.stage)),
        },
        Verb::Resume => resume(course, by, now, enter(R::Running, "Resumed")),
        Verb::Promote => promote(course),
        Verb::Stop => match course.state {
            R::WaitingForApproval | R::Approved | R::Scheduled | R::Running | R::Paused | R::Halted => {
                Ok(vec![enter(R::Stopping, "Stopped"), Change::Withdraw { recalled: !may_install(course.release), for_good: true }])
            }
            other => Err(refusals::stop(other, course.stage)),
        },
        Verb::Retry => retry(course, EndClass::USUAL, 0, now),
        Verb::RollBack => match course.state {
            R::Paused | R::Halted => match no_way(course) {
                None => Ok(turn_back(format!("Rolling back by {by}{said}")).to_vec()),
                Some(why) => Err(format!("It can't be rolled back: {why}.")),
            },
            R::Running => Err("Pause it first.".to_owned()),
            R::RollingBack | R::RolledBack => Err("It goes back already.".to_owned()),
            R::Stopping | R::Stopped if course.stage == 0 => Err(over(course.state, course.stage)),
            R::Stopping | R::Stopped | R::Completed => {
                Err("It has ended. Sign the last good release again, publish it, and draft a rollout of it.".to_owned())
            }
            R::Draft | R::WaitingForApproval | R::Rejected | R::Approved | R::Scheduled => Err("It has not begun.".to_owned()),
        },
        Verb::Edit | Verb::Submit | Verb::Approve | Verb::Reject | Verb::BreakGlass => Err("That is decided before it starts.".to_owned()),
    }
}

/// Said of a rollout that is being stopped or has ended: which of them, and when it was stopped before its first stage, that.
pub fn over(state: RolloutState, stage: u32) -> String {
    let said = match state {
        RolloutState::Stopping | RolloutState::Stopped if stage == 0 => "It was stopped before it began.",
        RolloutState::Stopping => "It is being stopped.",
        _ => "It has ended.",
    };
    said.to_owned()
}

/// The changes by which a person halts what runs or is paused, as a gate would.
pub fn halted(course: &Course, why: &str) -> Vec<Change> {
    plan::halt(course, None, why).changes
}

fn resume(course: &Course, by: &str, now: Timestamp, running: Change) -> Result<Vec<Change>, String> {
    use RolloutState as R;
    if !matches!(course.state, R::Paused | R::Halted) {
        return Err(refusals::resume(course.state, course.stage));
    }
    if !may_install(course.release) {
        return Err(refusals::recalled(course.state, course.stage));
    }
    let doors_until = now.plus(course.patience(course.stage));
    let (mut changes, stage) = (vec![running], course.stage);
    if course.verdict.as_ref().is_some_and(|v| v.call == Call::Halt) {
        changes.push(Change::GoOn { by: by.to_owned() });
    }
    // Only the gate that said no begins anew: none does after an objection.
    let own = |s: &Stage| !s.stopped_by_a_metric() && s.verdict.as_ref().is_none_or(Verdict::is_judged);
    let anew = course.current().is_none_or(own);
    let reopen = Change::Reopen { stage, doors_until, by: by.to_owned(), anew };
    let refused = course.current().and_then(|s| s.verdict.as_ref()).is_some_and(|v| v.call == Call::Halt);
    match course.current().map(|s| s.state) {
        Some(StageState::Failed) => changes.push(reopen),
        // A gate paused it: as after a halt, what is known by now is not held against the stage.
        Some(StageState::Running | StageState::Soaking | StageState::AwaitingPromotion) if refused => {
            changes.extend([Change::Close { stage, to: StageState::Failed, verdict: None }, reopen]);
        }
        Some(StageState::Running) => changes.push(Change::Doors { until: doors_until }),
        _ => {}
    }
    Ok(changes)
}

/// The gates that an order goes on in spite of, each by its name and with what it saw: those that said no, and of a promotion that of the stage which it has not
/// let pass. A stage that runs is promoted only where its gate is content with those that were judged since somebody went on last.
pub fn in_spite_of(verb: Verb, course: &Course) -> Vec<(String, &Verdict)> {
    let whole = course.verdict.as_ref().map(|v| ("the whole rollout".to_owned(), v)).filter(|_| verb == Verb::Resume);
    let stage = course.current().and_then(|s| Some((format!("stage {}, {}", course.stage, s.spec.name), s.verdict.as_ref()?)));
    let runs = course.current().filter(|s| s.state == StageState::Running);
    let content = runs.is_some_and(|s| s.keeps(s.judged(true)).call == Call::Pass);
    let over = |v: &Verdict| match verb {
        Verb::Resume => v.call == Call::Halt,
        Verb::Promote => v.call != Call::Pass && !content,
        _ => false,
    };
    whole.into_iter().chain(stage).filter(|gate| gate.1.is_judged() && over(gate.1)).collect()
}

fn promote(course: &Course) -> Result<Vec<Change>, String> {
    let (RolloutState::Running, Some(stage)) = (course.state, course.current()) else {
        return Err(refusals::promote(course.state, course.stage));
    };
    let close = |verdict| vec![Change::Close { stage: course.stage, to: StageState::Succeeded, verdict }];
    match stage.state {
        StageState::Running | StageState::AwaitingPromotion | StageState::Soaking if stage.counts.updating > 0 => {
            let (number, updating) = (course.stage, devices_of(stage.counts.updating));
            Err(format!(
                "Stage {number} has {updating} still under way, and ends when none is: wait, or cancel what has not begun to install."
            ))
        }
        StageState::AwaitingPromotion | StageState::Soaking => Ok(close(None)),
        // Nothing is under way: a person may go on without those that don't come, if the gate is content with the rest.
        StageState::Running => {
            let verdict = stage.closes();
            if verdict.call == Call::Halt {
                let text = verdict.text.trim_end_matches('.');
                Err(format!("The gate is not content: {text}. Wait for those still to come, have devices tried again, or stop it."))
            } else {
                Ok(close(Some(stage.keeps(verdict))))
            }
        }
        _ => Err(format!("Stage {} has ended already: what follows begins by itself in a moment.", course.stage)),
    }
}

/// The changes by which devices whose updates ended like this are tried again, or why they can't be now. `cancelled` is how many people have cancelled.
pub fn retry(course: &Course, classes: &[EndClass], cancelled: i64, now: Timestamp) -> Result<Vec<Change>, String> {
    use RolloutState as R;
    let refused = refusals::retry(course.state, course.stage);
    let all = course.totals();
    // Of what has ended it is said first that there is nobody; of what has not begun or goes back, that it tries nobody again.
    let had_it = matches!(course.state, R::Running | R::Paused | R::Halted | R::Completed | R::Stopped | R::Stopping);
    if had_it && classes.iter().all(|class| class.devices(&all, cancelled) == 0) {
        return Err(nobody(classes));
    }
    if let Some(refused) = refused {
        return Err(refused);
    }
    // They would wait for ever, and no longer be told as failed.
    if !may_install(course.release) {
        return Err(refusals::recalled(course.state, course.stage));
    }
    let (requeue, again) = (Change::Requeue { classes: classes.to_vec() }, Change::Again { stage: course.stage });
    let doors = Change::Doors { until: now.plus(course.patience(course.stage)) };
    match (course.state, course.current().map(|s| s.state)) {
        (R::Running, Some(StageState::Running)) => Ok(vec![requeue, doors]),
        // Its devices were done: it goes on with these, and is judged and watched anew.
        (R::Running, Some(StageState::Soaking | StageState::AwaitingPromotion)) => Ok(vec![requeue, again, doors]),
        // They come again when it is resumed.
        (R::Paused, Some(StageState::Running)) | (R::Halted, Some(StageState::Failed)) => Ok(vec![requeue]),
        (R::Paused, Some(StageState::Soaking | StageState::AwaitingPromotion)) => Ok(vec![requeue, again]),
        // They come with the next stage, as those do that were not reached.
        (R::Running | R::Paused | R::Halted, Some(StageState::Succeeded | StageState::Skipped)) if !course.is_last(course.stage) => {
            Ok(vec![requeue])
        }
        _ => Err("No stage takes devices any more. Draft a new rollout for those that are to be tried again.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::{
        plan::UnderWay,
        testing::{approved, stage},
        way_back::Back,
    };
    use std::slice;
    use wire::{
        rollouts::{Counts, GateSpec, Reach, StageSpec},
        states::ReleaseState,
    };

    /// Whether an order can be given in this state, in at least one of the situations a rollout may be in there.
    fn possible(verb: Verb, state: RolloutState) -> bool {
        StageState::ALL.iter().any(|of_stage| {
            let mut course = approved(vec![stage(Reach::Count(5)), stage(Reach::Percent(100.0))]);
            (course.state, course.stage) = (state, 1);
            course.stages[0].state = *of_stage;
            course.way_back = Some(Back { release: ReleaseState::Published, going: None });
            course.stages[0].counts = Counts { total: 5, succeeded: 4, failed: 1, ..Counts::default() };
            order(verb, &course, "oli", "", Timestamp(0)).is_ok()
        })
    }

    #[test]
    fn what_was_stopped_before_it_began_has_not_begun() {
        let mut course = approved(vec![stage(Reach::Percent(100.0))]);
        let told = |course: &Course, verb| order(verb, course, "oli", "", Timestamp(0)).unwrap_err();
        for (state, stage, start, back) in [
            (RolloutState::Stopped, 0, "It was stopped before it began.", "It was stopped before it began."),
            (RolloutState::Stopping, 0, "It was stopped before it began.", "It was stopped before it began."),
            (
                RolloutState::Stopped,
                1,
                "It has ended.",
                "It has ended. Sign the last good release again, publish it, and draft a rollout of it.",
            ),
            (RolloutState::RolledBack, 1, "It has ended.", "It goes back already."),
            (RolloutState::RollingBack, 1, "It has started already.", "It goes back already."),
        ] {
            (course.state, course.stage) = (state, stage);
            assert_eq!((told(&course, Verb::Start).as_str(), told(&course, Verb::RollBack).as_str()), (start, back), "{state}");
        }
        course.state = RolloutState::RollingBack;
        assert!(told(&course, Verb::Stop).starts_with("It is rolling back."), "it has not ended");
    }

    #[test]
    fn a_retry_is_of_those_that_were_chosen() {
        use EndClass as E;
        let mut course = approved(vec![stage(Reach::Count(5)), stage(Reach::Percent(100.0))]);
        (course.state, course.stage, course.stages[0].state) = (RolloutState::Running, 1, StageState::Running);
        course.stages[0].counts = Counts { total: 5, succeeded: 2, failed: 1, reverted: 2, ..Counts::default() };
        let of = |classes: &[EndClass]| retry(&course, classes, 0, Timestamp(0));
        for chosen in [&[E::Failed][..], &[E::Reverted], &[E::TimedOut, E::Reverted], E::ALL] {
            let changes = of(chosen).unwrap();
            assert!(matches!(&changes[..], [Change::Requeue { classes }, Change::Doors { .. }] if classes == chosen), "{changes:?}");
        }
        assert_eq!(of(&[E::TimedOut, E::Rejected]).unwrap_err(), "There is no device that fell silent or refused it.");
        assert_eq!(of(&[E::Cancelled]).unwrap_err(), "There is no device that somebody cancelled.");
        assert!(retry(&course, &[E::Cancelled], 1, Timestamp(0)).is_ok());
        assert_eq!(order(Verb::Retry, &course, "oli", "", Timestamp(0)), of(E::USUAL), "unless somebody chooses");
        for state in [RolloutState::Draft, RolloutState::WaitingForApproval, RolloutState::Scheduled] {
            let course = Course { state, ..approved(vec![stage(Reach::Percent(100.0))]) };
            assert!(retry(&course, E::ALL, 0, Timestamp(0)).unwrap_err().ends_with(": nobody has had it yet, so wait until it has begun."));
        }
        for state in [RolloutState::RollingBack, RolloutState::RolledBack] {
            let course = Course { state, ..course.clone() };
            let why = retry(&course, &[E::Failed], 0, Timestamp(0)).unwrap_err();
            assert!(why.ends_with(": draft a new rollout with a release that is good."), "{why}");
        }
    }

    #[test]
    fn who_is_tried_again_opens_a_stage_that_was_done_and_no_stage_that_has_ended() {
        let counts = Counts { total: 5, succeeded: 4, failed: 1, ..Counts::default() };
        let of = |state, number: u32, of_stage| {
            let mut course = approved(vec![stage(Reach::Count(5)), stage(Reach::Percent(100.0))]);
            (course.state, course.stage) = (state, number);
            let at = usize::try_from(number).unwrap() - 1;
            (course.stages[at].state, course.stages[at].counts) = (of_stage, counts);
            retry(&course, &[EndClass::Failed], 0, Timestamp(0))
        };
        for of_stage in [StageState::Soaking, StageState::AwaitingPromotion] {
            for stage in [1, 2] {
                let running = of(RolloutState::Running, stage, of_stage).unwrap();
                assert!(matches!(running[..], [Change::Requeue { .. }, Change::Again { .. }, Change::Doors { .. }]), "{running:?}");
                let paused = of(RolloutState::Paused, stage, of_stage).unwrap();
                assert!(matches!(paused[..], [Change::Requeue { .. }, Change::Again { .. }]), "nobody comes yet: {paused:?}");
            }
        }
        // Behind a stage that has ended they come with the next one.
        for state in [RolloutState::Running, RolloutState::Paused, RolloutState::Halted] {
            let between = of(state, 1, StageState::Succeeded).unwrap();
            assert!(matches!(between[..], [Change::Requeue { .. }]), "{between:?}");
            assert!(of(state, 2, StageState::Succeeded).unwrap_err().starts_with("No stage takes devices any more."), "{state}");
        }
    }

    #[test]
    fn what_is_gone_on_in_spite_of_is_named() {
        let mut course = approved(vec![stage(Reach::Percent(100.0))]);
        (course.state, course.stage, course.stages[0].state) = (RolloutState::Paused, 1, StageState::Running);
        let said = |call, text: &str, sample| Some(Verdict { sample, ..Verdict::new(call, text) });
        let named = |course: &Course, verb| {
            in_spite_of(verb, course).into_iter().map(|(gate, v)| format!("{gate}: {}", v.text)).collect::<Vec<_>>()
        };
        let of_stage = format!("stage 1, {}: 3 of 4 failed", course.stages[0].spec.name);
        course.stages[0].verdict = said(Call::Halt, "3 of 4 failed", 3);
        assert_eq!(named(&course, Verb::Resume), slice::from_ref(&of_stage));
        course.verdict = said(Call::Halt, "3 of 9 failed", 5);
        assert_eq!(named(&course, Verb::Resume), ["the whole rollout: 3 of 9 failed".to_owned(), of_stage]);
        assert_eq!(named(&course, Verb::Stop), [""; 0]);
        // What no gate has judged is no gate's.
        (course.verdict, course.stages[0].verdict) = (None, said(Call::Halt, "recalled", 0));
        assert_eq!(named(&course, Verb::Resume), [""; 0]);
        course.stages[0].verdict = said(Call::Wait, "too few to compare", 3);
        assert_eq!((named(&course, Verb::Promote).len(), named(&course, Verb::Resume).len()), (1, 0));
        // Who came since then is judged anew, and the gate is content with them.
        course.stages[0].counts = Counts { total: 4, succeeded: 4, ..Counts::default() };
        assert_eq!(named(&course, Verb::Promote), [""; 0]);
        course.stages[0].state = StageState::AwaitingPromotion;
        assert_eq!(named(&course, Verb::Promote).len(), 1, "it waits because of that");
        course.stages[0].verdict = said(Call::Pass, "4 of 4 succeeded", 3);
        assert_eq!(named(&course, Verb::Promote), [""; 0]);
    }

    #[test]
    fn a_stage_that_no_gate_has_halted_keeps_what_did_when_nobody_is_judged_after_it() {
        let gate = GateSpec { success_percent: 60.0, error_percent: 40.0, ..GateSpec::USUAL };
        let mut course = approved(vec![StageSpec { gate, ..stage(Reach::Percent(100.0)) }]);
        (course.state, course.stage, course.stages[0].state) = (RolloutState::Running, 1, StageState::Running);
        course.stages[0].counts = Counts { total: 5, succeeded: 4, failed: 1, ..Counts::default() };
        for change in halted(&course, "Halted by max, who objects") {
            course.apply(&change, Timestamp(1));
        }
        for change in order(Verb::Resume, &course, "oli", "known", Timestamp(2)).unwrap() {
            course.apply(&change, Timestamp(2));
        }
        // Who waits was counted.
        course.stages[0].counted = course.stages[0].tally;
        let plan = plan::plan(&course, UnderWay::default(), None, Timestamp(3));
        assert_eq!(plan.reasons, ["Stage 1 went on by oli in spite of this: Halted by max, who objects"]);
        let [Change::Close { to: StageState::Succeeded, verdict: Some(kept), .. }] = &plan.changes[..] else { panic!("{plan:?}") };
        assert_eq!((kept.call, kept.finished, kept.errors, kept.at), (Call::Wait, 5, 1, Some(Timestamp(1))));
        // Whoever comes after that is judged, with all who came before: its own gate has not said no, so it forgets nobody.
        course.stages[0].counts = Counts { total: 9, succeeded: 8, failed: 1, ..Counts::default() };
        let plan = plan::plan(&course, UnderWay::default(), None, Timestamp(3));
        assert!(plan.reasons[0].starts_with("Stage 1 passed: 8 of 9 finished devices succeeded ("), "{plan:?}");
    }

    #[test]
    fn the_manual_lists_the_orders_that_can_be_given() {
        let manual = include_str!("../../../../app/docs/rollouts.md");
        let (_, table) = manual.split_once("| state | what happens | what a person can do |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let mut told = Vec::new();
        for row in rows {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            for name in cells[0].split(", ") {
                let state: RolloutState = name.replace(' ', "_").parse().unwrap();
                told.push(state);
                for (verb, words) in [
                    (Verb::Start, "start now"),
                    (Verb::Pause, "pause"),
                    (Verb::Resume, "resume"),
                    (Verb::Stop, "stop"),
                    (Verb::Retry, "retry"),
                    (Verb::RollBack, "roll back"),
                ] {
                    assert_eq!(cells[2].contains(words), possible(verb, state), "{words} of a rollout that is {name}");
                }
            }
        }
        assert_eq!(told.len(), 12, "{told:?}");
    }
}
