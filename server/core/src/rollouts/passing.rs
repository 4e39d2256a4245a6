//! Pure: how a stage that its gate lets pass ends: by itself, or by a person, who is asked before the last one ends without those that people have cancelled.

use super::{
    course::{Change, Course, Stage},
    gate,
    plan::{Plan, say_no},
};
use wire::{
    rollouts::{Call, Verdict},
    states::StageState,
};

/// Why a stage that may pass does not, where its plan says so.
pub(super) const TO_GO_ON: &str = "it waits for a person to go on";

/// Why the last stage does not end by itself: who cancelled an update has set it aside, and after the end it could not be tried again.
pub(super) fn set_aside(cancelled: i64) -> Option<String> {
    let devices = match cancelled {
        ..=0 => return None,
        1 => "1 cancelled device".to_owned(),
        n => format!("{n} cancelled devices"),
    };
    Some(format!("{devices} can be tried again: it waits for a person to do that, or to end it"))
}

/// The last stage waited for a person because of cancelled devices, and none of them is left: they have said something better meanwhile, which is evidence.
pub(super) fn none_left(course: &Course, number: u32, stage: &Stage) -> Plan {
    let verdict = gate::judge(&stage.spec.gate, &stage.counts, stage.seen, true);
    if verdict.call == Call::Halt {
        return say_no(course, number, verdict);
    }
    pass((course, number, stage), stage.keeps(verdict), "", 0)
}

/// The stage ends well, unless it waits for a person: because its plan says so, or because with the last one the way to those would be lost whom people have set
/// aside, `cancelled` in number.
pub(super) fn pass((course, number, stage): (&Course, u32, &Stage), verdict: Verdict, not_reached: &str, cancelled: i64) -> Plan {
    // Where a person went on in spite of a no its sentence says so.
    let text = if verdict.call == Call::Pass { format!("passed: {}", verdict.text) } else { verdict.text.clone() };
    let plan = Plan::default().resting_on(number, stage);
    let waits = if course.is_last(number) { set_aside(cancelled) } else { stage.spec.confirm.then(|| TO_GO_ON.to_owned()) };
    if let Some(waits) = waits {
        return plan.because(format!("Stage {number} {text}{not_reached}; {waits}")).then(Change::Hold { stage: number, verdict });
    }
    plan.because(format!("Stage {number} {text}{not_reached}")).then(Change::Close {
        stage: number,
        to: StageState::Succeeded,
        verdict: Some(verdict),
    })
}
