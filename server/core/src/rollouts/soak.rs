//! Pure: what the planner does about a stage that is watched, and what the gate of the whole rollout says.

use super::{
    course::{Change, Course, Stage},
    evidence::{self, Groups, Look},
    gate,
    passing::{Cancelled, TO_GO_ON, at_its_end, pass},
    plan::{Need, Plan, Survey, halt, say_no, say_no_at_its_end, unjudged},
    state::{STAGE, legal},
    way_back,
};
use wire::{
    Timestamp,
    rollouts::{Call, Finding, GateAction, Verdict},
    states::{RolloutState, StageState},
};

/// What to do about a stage that is watched; `cancelled` are those whom people have set aside.
pub(super) fn soaking(
    (course, number, stage): (&Course, u32, &Stage),
    cancelled: Cancelled,
    survey: Option<&Survey>,
    now: Timestamp,
) -> Plan {
    // What devices correct after the fact is evidence too.
    let verdict = at_its_end((course, number, stage), cancelled);
    if verdict.call == Call::Halt {
        return say_no_at_its_end(course, number, verdict);
    }
    if let Some(look) = evidence::due(stage, now) {
        return match survey {
            Some(Survey::Figures { look: of, groups }) if *of == look => looked(course, (number, stage), (look, groups), &verdict, now),
            _ => Plan::needs(Need::Figures(look)),
        };
    }
    if let Some(until) = stage.soak_until.filter(|until| *until > now) {
        let wake = evidence::next(stage).map_or(until, |at| until.min(at));
        return Plan::default().because(format!("stage {number} is watched until {}", until.readable())).until(wake);
    }
    let own = stage.spec.gate.max_dark;
    let of_all = course.gate.as_ref().filter(|_| gate::counts_dark(&stage.spec)).and_then(|g| Some((g, g.max_dark?)));
    if own.is_none() && of_all.is_none() {
        return passes((course, number, stage), verdict, (cancelled, now));
    }
    let Some(Survey::Dark { devices }) = survey else { return Plan::needs(Need::Dark) };
    let counted = Change::Dark { stage: number, devices: *devices };
    let verdict = own.map_or(verdict.clone(), |most| gate::judge_dark(most, *devices, stage.seen, verdict));
    let whole = of_all.and_then(|(g, most)| {
        let dark = course.dark() - stage.dark.unwrap_or(0) + devices;
        let open = gate::judge_whole(g, &course.totals(), course.seen(), false);
        Some(gate::judge_dark(most, dark, course.seen(), open)).filter(|v| v.call == Call::Halt)
    });
    let mut plan = match (verdict.call, whole) {
        (Call::Halt, _) => say_no(course, number, verdict),
        (_, Some(whole)) => whole_says_no(course, whole),
        _ => passes((course, number, stage), verdict, (cancelled, now)),
    };
    plan.changes.insert(0, counted);
    plan
}

/// A look at metrics: what was found is kept, and may say no.
fn looked(course: &Course, (number, stage): (u32, &Stage), (look, groups): (Look, &[Groups]), verdict: &Verdict, now: Timestamp) -> Plan {
    let findings: Vec<Finding> =
        evidence::open(stage).zip(groups).map(|(metric, groups)| evidence::judge(metric, groups, look, now)).collect();
    let bad: Vec<&str> = findings.iter().filter(|f| f.call == Call::Halt).map(|f| f.text.as_str()).collect();
    let mut plan = if bad.is_empty() {
        Plan::default()
    } else {
        say_no(course, number, Verdict { call: Call::Halt, text: bad.join("; "), ..verdict.clone() })
    };
    for finding in findings.iter().rev().filter(|f| f.call != Call::Halt) {
        plan.reasons.insert(0, format!("Stage {number}, look {} of {}: {}", finding.look, finding.looks, finding.text));
    }
    plan.changes.insert(0, Change::Look { stage: number, look: look.number, findings });
    plan
}

/// A watched stage may pass, unless there was too little to compare and its plan wants a person to say so.
fn passes((course, number, stage): (&Course, u32, &Stage), verdict: Verdict, aside: (Cancelled, Timestamp)) -> Plan {
    let verdict = stage.keeps(verdict);
    let Some(why) = evidence::asks(stage).filter(|_| !course.is_last(number)) else {
        return pass((course, number, stage), verdict, "", aside);
    };
    let text = format!("{}; {why}", verdict.text);
    Plan::default()
        .because(format!("Stage {number}: {text}; {TO_GO_ON}"))
        .then(Change::Hold { stage: number, verdict: Verdict { call: Call::Wait, text, ..verdict } })
        .resting_on(number, stage)
}

/// What the gate of the whole rollout says, when it says no; `between` stages it asks for successes as well.
pub(super) fn whole(course: &Course, between: bool) -> Option<Verdict> {
    let gate = course.gate.as_ref()?;
    Some(gate::judge_whole(gate, &course.totals(), course.seen(), between)).filter(|v| v.call == Call::Halt)
}

/// The gate of the whole rollout says no, and does what its plan wants of it then.
pub(super) fn whole_says_no(course: &Course, verdict: Verdict) -> Plan {
    let action = course.gate.as_ref().map_or(GateAction::Halt, |g| g.action);
    let (text, judged) = (verdict.text.clone(), Change::Judged { verdict: verdict.clone() });
    let why = format!("Halted by the gate of the whole rollout: {text}");
    let mut plan = match (action, way_back::no_way(course)) {
        (GateAction::Halt, _) => halt(course, None, &why),
        (GateAction::Pause, _) => {
            let why = format!("Paused by the gate of the whole rollout: {text}");
            let paused = Plan::default().enter(RolloutState::Paused, why.clone());
            // The stage keeps its own numbers of then with it, as one does that is halted.
            let stopped = course.current().filter(|s| legal(STAGE, s.state, StageState::Failed));
            let noted = match stopped {
                Some(stage) => paused.then(Change::Note { stage: course.stage, verdict: unjudged(stage, &why) }),
                None => paused,
            };
            noted.then(Change::Withdraw { recalled: false, for_good: false })
        }
        (GateAction::RollBack, None) => {
            let why = format!("Rolling back by the gate of the whole rollout: {text}");
            let kept = course.current().map_or(verdict, |stage| unjudged(stage, &why));
            way_back::by_gate(course, course.stage, &text, kept)
        }
        (GateAction::RollBack, Some(no_way)) => halt(course, None, &format!("{why}. It can't be rolled back: {no_way}")),
    };
    plan.changes.insert(0, judged);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::{
        gate::Seen,
        testing::{approved, stage},
        way_back::Back,
    };
    use wire::{
        rollouts::{Counts, GateSpec, Reach, StageSpec},
        states::ReleaseState,
    };

    #[test]
    fn who_goes_dark_takes_it_back_also_where_nobody_was_judged_since_a_person_went_on() {
        let most = 1;
        let gate = GateSpec { action: GateAction::RollBack, max_dark: Some(most), ..GateSpec::USUAL };
        let mut course = approved(vec![StageSpec { gate, soak_s: 3600, ..stage(Reach::Percent(100.0)) }]);
        let counts = Counts { total: 10, succeeded: 10, ..Counts::default() };
        (course.state, course.stage, course.stages[0].state) = (RolloutState::Running, 1, StageState::Soaking);
        (course.stages[0].counts, course.stages[0].seen) = (counts, Seen::all(&counts, 0));
        course.way_back = Some(Back { release: ReleaseState::Published, going: None });
        let survey = Survey::Dark { devices: i64::from(most) + 1 };
        let plan = soaking((&course, 1, &course.stages[0]), Cancelled::default(), Some(&survey), Timestamp(1));
        for change in &plan.changes {
            course.apply(change, Timestamp(1));
        }
        assert_eq!(course.state, RolloutState::RollingBack, "{}", course.summary);
        assert!(course.summary.contains("2 devices succeeded and went dark since it was resumed"), "{}", course.summary);
    }
}
