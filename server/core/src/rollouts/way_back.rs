//! Pure: the way back. What a plan needs for one, what its rollout looks like, and what the planner does while devices go back.
//!
//! The way back is a rollout of its own: the last good firmware, signed again under a higher sequence, to the devices that had a part in the rollout that
//! is taken back and say themselves that they run its release. Who never got it, or went back alone, is left as it is.

use super::{
    course::{Change, Course, may_install},
    plan::{Need, Plan, Survey, close_all, devices_of},
    state::{self, STAGE},
    validate::MAX_NAME,
};
use wire::{
    Timestamp,
    rollouts::{GateAction, GateSpec, Problem, Reach, RolloutSpec, StageSpec, Urgency, Verdict},
    states::{ReleaseState, RolloutState, StageState},
};

/// Which part of the devices goes back first: one in so many.
const FIRST_SHARE: i64 = 20;
/// How many go back first at least: one that is out of reach must not hold up all the others.
const FIRST_LEAST: i64 = 3;

/// What a course knows of its way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    /// The state of the release that devices go back to.
    pub release: ReleaseState,
    /// The rollout that takes them back; none before there is one.
    pub going: Option<Going>,
}

/// The rollout that takes devices back, as the one it belongs to sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Going {
    /// Where it is in its life.
    pub state: RolloutState,
    /// Its latest sentence.
    pub summary: String,
}

/// Why devices can't go back from this rollout; none when they can.
pub fn no_way(course: &Course) -> Option<&'static str> {
    match &course.way_back {
        None => Some("its plan has no way back. Sign the last good release again, publish it, and draft a rollout of it"),
        Some(Back { going: Some(_), .. }) => Some("it has gone back once already; what is left needs a rollout of its own"),
        Some(Back { release, .. }) if !may_install(*release) => Some("the release of its way back was recalled"),
        Some(_) if !runs_somewhere(course) => Some("no device runs it, so there is nothing to take back"),
        Some(_) => None,
    }
}

/// Why a recall halts, and whether the devices that run the release can go back.
pub(super) fn recalled(course: &Course) -> String {
    let why = "the release was recalled, it must not be installed any more";
    match no_way(course) {
        None => format!("{why}. The plan has a way back for the devices that run it"),
        Some(no_way) => format!("{why}. It can't be rolled back: {no_way}"),
    }
}

/// Whether a device may run the release, by what is known.
fn runs_somewhere(course: &Course) -> bool {
    let all = course.totals();
    all.succeeded + all.updating + all.timed_out > 0
}

/// What sets a rollout on its way back: nobody gets it any more, and what has not begun to install is taken back.
pub(super) fn turn_back(summary: String) -> [Change; 2] {
    [Change::Enter { to: RolloutState::RollingBack, summary }, Change::Withdraw { recalled: true, for_good: false }]
}

/// A gate said this no, and what it does then is to go back. The stage keeps what its own gate said.
pub(super) fn by_gate(course: &Course, number: u32, no: &str, verdict: Verdict) -> Plan {
    let summary = format!("Rolling back after stage {number}: {no}");
    let mut plan = Plan::default();
    if course.current().is_some_and(|s| state::legal(STAGE, s.state, StageState::Failed)) {
        plan = plan.then(Change::Close { stage: number, to: StageState::Failed, verdict: Some(verdict) });
    }
    turn_back(summary.clone()).into_iter().fold(plan.because(summary), Plan::then)
}

/// The next step of a rollout that goes back. First what is under way ends; then the way back is made, once; then it is waited for.
pub(super) fn rolling_back(course: &Course, survey: Option<&Survey>) -> Plan {
    use RolloutState as R;
    let under_way = course.totals().updating;
    if under_way > 0 {
        return Plan::default().because(format!("{} still installing; they go back when they are done", devices_of(under_way)));
    }
    let Some(back) = &course.way_back else {
        return Plan::default().enter(R::Halted, "Halted: its plan has no way back");
    };
    let Some(going) = &back.going else {
        if !may_install(back.release) {
            return Plan::default().enter(R::Halted, "Halted: the release of its way back was recalled, so it can't go back");
        }
        return match survey {
            Some(Survey::Runs { devices: 0 }) => rolled_back(course, "Rolled back: no device runs it"),
            Some(Survey::Runs { devices }) => {
                let summary = format!("Rolling back: {} to go back", devices_of(*devices));
                Plan::default().because(summary.clone()).then(Change::SetOut { devices: *devices, summary })
            }
            _ => Plan::needs(Need::Runs),
        };
    };
    let said = going.summary.trim_end_matches('.');
    match going.state {
        R::Completed => rolled_back(course, &format!("Rolled back. Its way back: {said}")),
        R::Stopped => Plan::default().enter(R::Halted, "Halted: its way back was stopped, so some devices may still run it"),
        R::Halted | R::Paused => {
            let summary = format!("Rolling back, and its way back needs a person: {said}");
            if course.summary == summary {
                return Plan::default().because(summary);
            }
            Plan::default().because(summary.clone()).then(Change::Say { summary })
        }
        _ => Plan::default().because("its way back is under way"),
    }
}

/// The release can't be sent any more: a person has to decide.
pub(super) fn cant(why: &str) -> Plan {
    Plan::default().enter(RolloutState::Halted, format!("Halted: it can't go back. {why}"))
}

fn rolled_back(course: &Course, summary: &str) -> Plan {
    let mut plan = close_all(course);
    if let Some(stage) = course.current() {
        plan = plan.resting_on(course.stage, stage);
    }
    plan.enter(RolloutState::RolledBack, summary)
}

/// The plan of the way back of a rollout, for so many devices: a few first, then all. A failure among the first halts it.
pub fn plan_of(of: &RolloutSpec, devices: i64) -> Option<RolloutSpec> {
    let first = (devices / FIRST_SHARE).max(FIRST_LEAST);
    let stage = |name: &str, reach, gate| StageSpec { name: name.to_owned(), reach, soak_s: 0, confirm: false, gate };
    let mut stages = Vec::new();
    if first < devices {
        let gate = GateSpec { min_sample: 1, ..GateSpec::USUAL };
        stages.push(stage("First", Reach::Count(u32::try_from(first).unwrap_or(u32::MAX)), gate));
    }
    stages.push(stage("All", Reach::Percent(100.0), GateSpec::USUAL));
    Some(RolloutSpec {
        name: format!("Way back of {}", of.name).chars().take(MAX_NAME).collect(),
        release: of.way_back.clone()?,
        selector: String::new(),
        stages,
        start_at: None,
        timeout_min: of.timeout_min,
        reason: format!("Takes {} back from the devices that run it, as its approved plan says.", of.name),
        at_once: of.at_once,
        budget: of.budget.clone(),
        confirm_at_device: of.confirm_at_device,
        bandwidth: of.bandwidth,
        ignore_data_budget: of.ignore_data_budget,
        window: of.window.clone(),
        urgency: Urgency::Forced,
        download_only: false,
        during_freeze: of.during_freeze,
        way_back: None,
        retry: of.retry.clone(),
        // Nothing is more urgent than to get rid of a bad release.
        priority: super::validate::MAX_PRIORITY,
        order: of.order.clone(),
        rate: of.rate.clone(),
        gate: None,
        steps: of.steps,
    })
}

/// What a way back is judged by: a release and its manifest.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its device type.
    pub device_type: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its sequence.
    pub sequence: i64,
    /// The lowest sequence it can be installed over.
    pub min_sequence: i64,
    /// Hardware revisions it runs on; empty means all.
    pub hardware: &'a [String],
    /// Where it is in its life.
    pub state: ReleaseState,
    /// From when on no device installs it any more.
    pub expires: Option<Timestamp>,
}

/// The problems of a plan's way back. `release` is the plan's own; `back` is none when there is no release of that id.
pub fn problems(spec: &RolloutSpec, release: Option<Known<'_>>, back: Option<Known<'_>>, now: Timestamp) -> Vec<Problem> {
    let told = |message: String| vec![Problem { field: "way_back".to_owned(), message }];
    if spec.way_back.is_none() {
        let wanted = spec.stages.iter().map(|s| &s.gate).chain(&spec.gate).any(|g| g.action == GateAction::RollBack);
        return if wanted {
            told(
                "A gate goes back, and the plan does not say to what. Sign the last good release again, with `fleetward sign --again OLD.manifest.json --sequence N`, N above every sequence that was published of this type, upload and publish it, and choose it as the way back."
                    .to_owned(),
            )
        } else {
            Vec::new()
        };
    }
    let Some(back) = back else { return told("There is no such release here. Choose a published one.".to_owned()) };
    let Some(release) = release else { return Vec::new() };
    if back.state != ReleaseState::Published {
        return told(format!("{} is not published. Publish it first, or choose another release.", back.version));
    }
    if let Some(at) = back.expires.filter(|at| *at <= now) {
        return told(format!("The manifest of {} expired {}: no device installs it any more. Sign it again.", back.version, at.readable()));
    }
    if back.device_type != release.device_type {
        return told(format!("{} is for {}, the release for {}.", back.version, back.device_type, release.device_type));
    }
    if back.sequence <= release.sequence {
        return told(format!(
            "{} has the sequence {}, and a device that runs {} takes none below {}. Sign it again with `fleetward sign --again OLD.manifest.json --sequence N`, N above every sequence that was published of this type.",
            back.version,
            back.sequence,
            release.sequence,
            release.sequence + 1
        ));
    }
    if back.min_sequence > release.sequence {
        return told(format!(
            "{} can't be installed over the release: it needs sequence {} first. Sign it again with --min-sequence {} or lower.",
            back.version, back.min_sequence, release.sequence
        ));
    }
    let lacking = |all: &[String]| all.iter().any(|h| !back.hardware.contains(h)) || all.is_empty();
    if !back.hardware.is_empty() && lacking(release.hardware) {
        return told(format!("{} does not run on all the hardware that the release is for.", back.version));
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{approved, spec, stage};
    use proptest::prelude::*;
    use wire::rollouts::Counts;

    fn course(going: Option<(RolloutState, &str)>) -> Course {
        let going = going.map(|(state, summary)| Going { state, summary: summary.into() });
        let mut course = approved(vec![stage(Reach::Count(5)), stage(Reach::Percent(100.0))]);
        (course.state, course.stage) = (RolloutState::RollingBack, 1);
        course.stages[0].state = StageState::Failed;
        course.stages[0].counts = Counts { total: 5, succeeded: 3, failed: 2, ..Counts::default() };
        course.way_back = Some(Back { release: ReleaseState::Published, going });
        course
    }

    #[test]
    fn it_waits_then_sets_out_then_follows_its_way_back() {
        let mut busy = course(None);
        busy.stages[0].counts = Counts { total: 5, updating: 1, succeeded: 4, ..Counts::default() };
        assert_eq!(rolling_back(&busy, None).reasons, ["1 device still installing; they go back when they are done"]);
        let fresh = course(None);
        assert_eq!(rolling_back(&fresh, None).need, Some(Need::Runs));
        let made = rolling_back(&fresh, Some(&Survey::Runs { devices: 3 }));
        assert!(matches!(made.changes[..], [Change::SetOut { devices: 3, .. }]));
        let nobody = rolling_back(&fresh, Some(&Survey::Runs { devices: 0 }));
        assert!(matches!(
            &nobody.changes[..],
            [Change::Close { to: StageState::Skipped, .. }, Change::Enter { to: RolloutState::RolledBack, .. }]
        ));
        for (going, becomes) in [
            (RolloutState::Completed, Some(RolloutState::RolledBack)),
            (RolloutState::Stopped, Some(RolloutState::Halted)),
            (RolloutState::Running, None),
        ] {
            let plan = rolling_back(&course(Some((going, "so it is"))), None);
            let to = plan.changes.iter().find_map(|c| if let Change::Enter { to, .. } = c { Some(*to) } else { None });
            assert_eq!(to, becomes, "{going}");
        }
        let mut held = course(Some((RolloutState::Halted, "Halted in stage 1: 1 of 1 failed")));
        let plan = rolling_back(&held, None);
        assert_eq!(plan.reasons, ["Rolling back, and its way back needs a person: Halted in stage 1: 1 of 1 failed"]);
        held.apply(&plan.changes[0], Timestamp(0));
        assert_eq!(rolling_back(&held, None).changes, [], "it is said once");
        let recalled = Course { way_back: Some(Back { release: ReleaseState::Recalled, going: None }), ..fresh };
        assert!(matches!(rolling_back(&recalled, None).changes[..], [Change::Enter { to: RolloutState::Halted, .. }]));
    }

    #[test]
    fn why_there_is_no_way_is_said() {
        assert_eq!(no_way(&course(None)), None);
        assert!(no_way(&course(Some((RolloutState::Stopped, "")))).unwrap().contains("once already"));
        let mut nobody = course(None);
        nobody.stages[0].counts = Counts { total: 5, failed: 5, ..Counts::default() };
        assert!(no_way(&nobody).unwrap().contains("nothing to take back"));
        assert!(no_way(&Course { way_back: None, ..course(None) }).unwrap().contains("no way back"));
    }

    #[test]
    fn each_mistake_of_a_way_back_is_told() {
        let hardware = vec!["A".to_owned()];
        let release = Known {
            device_type: "gateway",
            version: "2.0.0",
            sequence: 2,
            min_sequence: 0,
            hardware: &hardware,
            state: ReleaseState::Published,
            expires: None,
        };
        let good = Known { version: "1.0.0+3", sequence: 3, ..release };
        let mut plan = spec(vec![stage(Reach::Percent(100.0))]);
        let now = Timestamp(1000);
        assert_eq!(problems(&plan, Some(release), None, now), []);
        plan.stages[0].gate.action = GateAction::RollBack;
        let told = problems(&plan, Some(release), None, now);
        assert!(told[0].field == "way_back" && told[0].message.contains("--sequence N"), "{told:?}");
        plan.way_back = Some("rel_00000000000000000000000000000003".parse().unwrap());
        assert_eq!(problems(&plan, Some(release), Some(good), now), []);
        assert_eq!(problems(&plan, Some(release), Some(Known { hardware: &[], ..good }), now), []);
        let other = vec!["B".to_owned()];
        for (mistake, part) in [
            (None, "no such release"),
            (Some(Known { state: ReleaseState::Deprecated, ..good }), "not published"),
            (Some(Known { expires: Some(now), ..good }), "expired"),
            (Some(Known { device_type: "sensor", ..good }), "is for sensor"),
            (Some(Known { sequence: 2, ..good }), "--sequence N"),
            (Some(Known { min_sequence: 3, ..good }), "--min-sequence 2"),
            (Some(Known { hardware: &other, ..good }), "hardware"),
        ] {
            let told = problems(&plan, Some(release), mistake, now);
            assert!(told.len() == 1 && told[0].message.contains(part), "{part}: {told:?}");
        }
    }

    proptest! {
        #[test]
        fn the_plan_of_a_way_back_has_no_problems(devices in 1i64..100_000) {
            let of = RolloutSpec { way_back: Some("rel_00000000000000000000000000000003".parse().unwrap()), ..spec(vec![stage(Reach::Percent(100.0))]) };
            let plan = plan_of(&of, devices).unwrap();
            let chosen = super::super::validate::Chosen { state: ReleaseState::Published, expires: None };
            prop_assert_eq!(super::super::validate::problems(&plan, Some(chosen), Timestamp(0)), []);
            let places: Vec<i64> = (0..devices).collect();
            let cuts = crate::rollouts::draw::cuts(&places, &plan.stages);
            prop_assert!(cuts[0].reach > 0 && (cuts[0].reach < devices || plan.stages.len() == 1));
        }
    }
}
