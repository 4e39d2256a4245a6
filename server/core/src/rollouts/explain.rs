//! Pure: why a device is, or is not, updating, from the rules of each rollout that concerns it ([`why`]): the answer in words, and the rules behind it.

use super::{
    confirming::Agreement,
    plan::devices_of,
    stand::Stand,
    survey::{Miss, Target},
    why,
};
use crate::devices::Facts;
use wire::{
    Timestamp,
    ids::RolloutId,
    rollouts::{Outlook, Rule, Says, Why, WhyRollout},
    states::{DeviceState, ReleaseState, RolloutState, StageState, UpdateState},
};

/// A rollout as far as one device is concerned.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Concern {
    /// Its id.
    pub id: RolloutId,
    /// Its name.
    pub name: String,
    /// How urgent it is.
    pub priority: u32,
    /// What it asks of a device.
    pub target: Target,
    /// Where it is in its life.
    pub state: RolloutState,
    /// Its latest sentence.
    pub summary: String,
    /// The stage that runs, from 1.
    pub stage: u32,
    /// That stage's state.
    pub stage_state: Option<StageState>,
    /// The stage that takes the device, from 1; none before the draw, and when no stage does.
    pub device_stage: Option<u32>,
    /// Whether the device's place is within what the stages reach by now.
    pub reached: bool,
    /// Until when devices may come.
    pub doors_until: Timestamp,
    /// Where its release is in its life.
    pub release: ReleaseState,
    /// A file of its release is damaged.
    pub damaged: bool,
    /// It limits how many update at the same time.
    pub limited: bool,
    /// Why there is no room beside them: what [`throttle`](super::throttle) says.
    pub full: Option<String>,
    /// By when it is estimated to have its turn all the same: what [`turn`](super::turn) says.
    pub turn: Option<Timestamp>,
    /// There is a data budget, and the plan keeps to it.
    pub budgeted: bool,
    /// That the device has used it up, and until when.
    pub over_budget: Option<(String, Option<Timestamp>)>,
    /// It has a window.
    pub windowed: bool,
    /// Why it still has to wait for its window or the end of a freeze: what [`timing`](super::timing) says.
    pub held: Option<String>,
    /// When that may end.
    pub wake: Option<Timestamp>,
    /// Who has to agree.
    pub agreement: Agreement,
    /// Its devices only fetch.
    pub download_only: bool,
    /// When it begins, if that is set.
    pub begin_at: Option<Timestamp>,
    /// How the device's own update in it went, if there was one and nobody has it tried again.
    pub ended: Option<(UpdateState, String)>,
    /// A person has it tried again.
    pub waits_again: bool,
    /// When it is offered again by itself, and how often it was tried by then.
    pub again: Option<(i64, Timestamp)>,
}

/// Why the device is or isn't updating; the answer is empty when no rollout concerns it. `concerns` newest first.
pub fn explain(facts: &Facts, stand: &Stand, concerns: &[Concern], now: Timestamp) -> Why {
    if let Some(update) = &stand.under_way {
        return update.explained(stand.held.as_ref(), now);
    }
    // A device that is out of the fleet for good waits for nothing.
    if facts.state == DeviceState::Decommissioned.as_str() {
        return Why::default();
    }
    let all: Vec<WhyRollout> = concerns.iter().map(|concern| concern.explained(facts, stand, now)).collect();
    let first = first(facts, concerns, &all);
    let answer = match (&stand.owes, first) {
        (Some(owes), _) => owes.words(now),
        (None, Some(at)) => {
            format!("“{}” brings {}: {}", all[at].name, all[at].version, why::answer(&all[at].rules, all[at].outlook, facts.online))
        }
        (None, None) => String::new(),
    };
    let outlook = first.map_or(if stand.owes.is_some() { Outlook::Blocked } else { Outlook::Nothing }, |at| all[at].outlook);
    // A rollout that never meant the device says nothing, unless there is nothing else to say.
    let told = |at: usize| Some(at) == first || concerns[at].means(facts);
    let mut rollouts: Vec<(usize, WhyRollout)> = all.into_iter().enumerate().filter(|(at, _)| told(*at)).collect();
    rollouts.sort_by_key(|(at, _)| Some(*at) != first);
    Why { outlook, answer, rollouts: rollouts.into_iter().map(|(_, rollout)| rollout).collect() }
}

/// Which rollout the answer is about: the one whose offer the device gets, or the newest that means it, or else the newest for its type.
fn first(facts: &Facts, concerns: &[Concern], all: &[WhyRollout]) -> Option<usize> {
    let gets = |at: &usize| matches!(all[*at].outlook, Outlook::Now | Outlook::WhenItAsks);
    // In the order in which offers are looked for.
    let urgent = |at: &usize| (std::cmp::Reverse((concerns[*at].priority, concerns[*at].target.sequence)), concerns[*at].id.clone());
    (0..all.len())
        .filter(gets)
        .min_by_key(urgent)
        .or_else(|| concerns.iter().position(|concern| concern.means(facts)))
        .or_else(|| concerns.iter().position(|concern| concern.target.device_type == facts.device_type))
}

impl Concern {
    /// Whether the rollout was ever meant for such a device, whatever keeps it back.
    pub fn means(&self, facts: &Facts) -> bool {
        facts.device_type == self.target.device_type && self.target.check(facts, false) != Err(Miss::NotSelected)
    }

    fn explained(&self, facts: &Facts, stand: &Stand, now: Timestamp) -> WhyRollout {
        let rules = self.rules(facts, stand, now);
        let outlook = if self.is_done(stand) { Outlook::Done } else { why::outlook(&rules, facts.online) };
        let (id, name, version) = (self.id.clone(), self.name.clone(), self.target.version.clone());
        let may_confirm = rules.iter().find(|r| r.says == Says::Blocks).is_some_and(|first| first.rule == Rule::Agreed);
        WhyRollout { id, name, version, outlook, rules, may_confirm }
    }
}

/// An update's state in words.
pub const fn words(state: UpdateState) -> &'static str {
    use UpdateState as U;
    match state {
        U::Queued => "waits for its turn",
        U::Offered => "offered to the device",
        U::AwaitingWindow => "the device waits for its maintenance window",
        U::AwaitingConfirmation => "somebody at the device has to confirm",
        U::Downloading => "downloading",
        U::Downloaded => "downloaded",
        U::Installing => "installing",
        U::Rebooting => "restarting",
        U::Verifying => "proving its health",
        U::Succeeded => "the device runs it",
        U::Failed => "it could not be installed",
        U::Rejected => "the device refused it",
        U::TimedOut => "the device fell silent",
        U::Reverted => "the device went back to its old version by itself",
        U::Cancelled => "it was taken back",
        U::Superseded => "a newer rollout took over",
        U::NotApplicable => "not for this device",
    }
}

/// One sentence on a rollout that runs.
pub fn progress(stage: u32, stages: usize, state: StageState, finished: i64, total: i64, failed: i64) -> String {
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    let what = match state {
        StageState::Soaking => "is being watched",
        StageState::AwaitingPromotion => "passed and waits for a person to go on",
        _ => "is running",
    };
    format!("Stage {stage} of {stages} {what}: {finished} of {} finished{failed}", devices_of(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        devices::Selector,
        rollouts::{
            stand::{Owed, Owes, UnderWay},
            throttle::Full,
        },
    };
    use wire::{rollouts::Budget, updates::Pin};

    /// A rollout that runs, and whose turn the device is in.
    fn running() -> Concern {
        let target = Target {
            device_type: "gateway".into(),
            hardware: vec![],
            version: "1.2.0".into(),
            sequence: 5,
            min_sequence: 0,
            runs: None,
            selector: Selector::everything(),
        };
        Concern {
            id: crate::rollouts::testing::rollout_id(1),
            name: "spring".into(),
            priority: 50,
            target,
            state: RolloutState::Running,
            summary: String::new(),
            stage: 1,
            stage_state: Some(StageState::Running),
            device_stage: Some(1),
            reached: true,
            doors_until: Timestamp(i64::MAX),
            release: ReleaseState::Published,
            damaged: false,
            limited: false,
            full: None,
            turn: None,
            budgeted: false,
            over_budget: None,
            windowed: false,
            held: None,
            wake: None,
            agreement: Agreement::NotAsked,
            download_only: false,
            begin_at: None,
            ended: None,
            waits_again: false,
            again: None,
        }
    }

    #[test]
    fn the_first_blocker_is_told() {
        let facts = Facts {
            device_id: "gw-1".into(),
            device_type: "gateway".into(),
            hardware: "A".into(),
            state: "active".into(),
            online: true,
            sequence: 1,
            attributes: [("site".to_owned(), "Berlin".to_owned())].into(),
            ..Facts::default()
        };
        let running = running();
        let halted = Concern { state: RolloutState::Halted, summary: "Halted in stage 1: 3 of 4 failed".into(), ..running.clone() };
        let budget = Budget { attribute: "site".into(), at_most: Some(2), at_most_percent: None };
        let (at_once, of_a_site) = (Full::AtOnce(1), Full::Budget(&budget, 2));
        let full = |full: Full<'_>| full.words(&facts, None);
        let owes = |what| {
            let owes = Owes { rollout: "winter".into(), version: "1.1.0".into(), what, until: Timestamp(7 * 86_400_000) };
            Stand { owes: Some(owes), polls: true, ..Stand::default() }
        };
        let away = Facts { online: false, ..facts.clone() };
        let pin = Pin { at: Timestamp(0), by: "Oli".into(), reason: "it is on show until May.".into() };
        let mut said = Vec::new();
        for (name, facts, stand, concerns) in [
            ("nothing", facts.clone(), Stand::default(), vec![]),
            ("its turn", facts.clone(), Stand::default(), vec![running.clone()]),
            ("offline", away.clone(), Stand::default(), vec![running.clone()]),
            ("polls", away.clone(), Stand { polls: true, ..Stand::default() }, vec![running.clone()]),
            ("owes an answer", away.clone(), owes(Owed::Answer), vec![running.clone()]),
            ("goes on", away.clone(), owes(Owed::Stopping), vec![running.clone()]),
            ("owes an end", away.clone(), owes(Owed::Ending), vec![]),
            (
                "decommissioned",
                Facts { state: "decommissioned".into(), online: false, ..facts.clone() },
                owes(Owed::Answer),
                vec![running.clone()],
            ),
            ("later", facts.clone(), Stand::default(), vec![Concern { device_stage: Some(3), ..running.clone() }]),
            (
                "soaking",
                facts.clone(),
                Stand::default(),
                vec![Concern { stage_state: Some(StageState::Soaking), doors_until: Timestamp(0), ..running.clone() }],
            ),
            ("as many as may at once", facts.clone(), Stand::default(), vec![Concern { full: Some(full(at_once)), ..running.clone() }]),
            (
                "as many as may at once, and by when",
                facts.clone(),
                Stand::default(),
                vec![Concern {
                    full: Some(Full::AtOnce(1).words(&facts, Some(Timestamp(7_200_000)))),
                    turn: Some(Timestamp(7_200_000)),
                    ..running.clone()
                }],
            ),
            (
                "as many as may begin in a minute",
                facts.clone(),
                Stand::default(),
                vec![Concern { full: Some(Full::Rate(10).words(&facts, Some(Timestamp(540_000)))), ..running.clone() }],
            ),
            (
                "as many of its site as may at once",
                facts.clone(),
                Stand::default(),
                vec![Concern { full: Some(full(of_a_site)), ..running.clone() }],
            ),
            (
                "waits for its window",
                facts.clone(),
                Stand::default(),
                vec![Concern { held: Some("its window opens Mon 30 Nov 02:00 (Europe/Berlin).".into()), ..running.clone() }],
            ),
            (
                "has fetched",
                facts.clone(),
                Stand::default(),
                vec![Concern { download_only: true, ended: Some((UpdateState::Succeeded, String::new())), ..running.clone() }],
            ),
            ("halted", facts.clone(), Stand::default(), vec![halted]),
            ("newer", Facts { sequence: 5, ..facts.clone() }, Stand::default(), vec![running.clone()]),
            ("pinned", Facts { pin: Some(pin), sequence: 5, ..facts.clone() }, Stand::default(), vec![running.clone()]),
            (
                "failed",
                facts.clone(),
                Stand::default(),
                vec![Concern { ended: Some((UpdateState::Failed, "digest_mismatch".into())), ..running.clone() }],
            ),
            ("other type", Facts { device_type: "sensor".into(), ..facts.clone() }, Stand::default(), vec![running.clone()]),
            (
                "under way",
                facts.clone(),
                Stand {
                    under_way: Some(UnderWay {
                        id: crate::rollouts::testing::rollout_id(1),
                        rollout: "spring".into(),
                        version: "1.2.0".into(),
                        state: UpdateState::Downloading,
                        deadline: Some(Timestamp(600_000)),
                        confirmable: false,
                        put_off: None,
                        denied: None,
                        unproven: None,
                    }),
                    ..owes(Owed::Answer)
                },
                vec![running],
            ),
        ] {
            said.push(format!("{name}: {}", explain(&facts, &stand, &concerns, Timestamp(0)).answer));
        }
        insta::assert_snapshot!(said.join("\n"));
    }
    #[test]
    fn who_waits_to_be_tried_again_is_told_when() {
        let facts = Facts { device_id: "gw-1".into(), device_type: "gateway".into(), sequence: 1, ..Facts::default() };
        let failed =
            Concern { ended: Some((UpdateState::Failed, "flash error".into())), again: Some((2, Timestamp(3_600_000))), ..running() };
        let said = |concern: Concern| explain(&facts, &Stand::default(), &[concern], Timestamp(0)).answer;
        let told = "“spring” brings 1.2.0: it could not be installed (flash error).";
        assert_eq!(
            said(failed.clone()),
            format!("{told} Tried 2 times; it is offered again in 1 h 00 min, while devices of its stage may come.")
        );
        let paused = Concern { state: RolloutState::Paused, summary: "Paused: a moment".into(), ..failed.clone() };
        assert_eq!(
            said(paused),
            format!("{told} Tried 2 times; it is offered again once the rollout is resumed, in 1 h 00 min at the earliest.")
        );
        assert_eq!(said(Concern { state: RolloutState::Stopped, ..failed }), told, "nothing comes after the end");
    }

    #[test]
    fn who_is_done_is_not_kept_back() {
        let facts = |sequence, version: &str| Facts {
            device_id: "gw-1".into(),
            device_type: "gateway".into(),
            sequence,
            version: version.into(),
            ..Facts::default()
        };
        for state in [RolloutState::Running, RolloutState::Completed] {
            let done = Concern { state, ended: Some((UpdateState::Succeeded, String::new())), ..running() };
            let said = |facts: &Facts| {
                let why = explain(facts, &Stand::default(), std::slice::from_ref(&done), Timestamp(0));
                assert!(why.rollouts.iter().all(|rollout| rollout.blocker().is_none() && rollout.outlook == why.outlook));
                (why.outlook, why.answer)
            };
            assert_eq!(said(&facts(5, "1.2.0")), (Outlook::Done, "“spring” brings 1.2.0: the device runs it.".to_owned()));
            let later = "“spring” brings 1.2.0: it succeeded, and the device runs 1.3.0 by now.";
            assert_eq!(said(&facts(6, "1.3.0")), (Outlook::Done, later.to_owned()));
        }
        let failed = Concern { state: RolloutState::Completed, ended: Some((UpdateState::Failed, String::new())), ..running() };
        let why = explain(&facts(1, "1.0.0"), &Stand::default(), &[failed], Timestamp(0));
        let ended = why.rollouts[0].rules.iter().find(|r| r.rule == Rule::GoesOut).unwrap();
        assert_eq!((why.outlook, ended.fact.as_str()), (Outlook::Blocked, "it has ended."), "not without it");
    }

    #[test]
    fn nobody_is_told_to_wait_for_what_can_not_come() {
        use RolloutState as R;
        let facts = Facts { device_id: "gw-1".into(), device_type: "gateway".into(), sequence: 1, ..Facts::default() };
        let again = |concern: Concern, rule: Rule| {
            let why = explain(&facts, &Stand::default(), &[concern], Timestamp(0));
            why.rollouts[0].rules.iter().find(|r| r.rule == rule).unwrap().again.clone()
        };
        let failed = |state| Concern { state, ended: Some((UpdateState::Failed, String::new())), ..running() };
        for state in [R::Running, R::Paused, R::Halted] {
            assert_eq!(again(failed(state), Rule::OwnTurn), "When a person has it tried again.", "{state}");
            let recalled = Concern { release: ReleaseState::Recalled, ..failed(state) };
            assert_eq!(again(recalled, Rule::OwnTurn), "Never by this rollout. Draft one with another release.", "{state}");
        }
        for state in [R::Stopping, R::Stopped, R::Completed, R::RollingBack, R::RolledBack] {
            for rule in [Rule::OwnTurn, Rule::GoesOut] {
                assert!(again(failed(state), rule).starts_with("Never by this rollout"), "{state} {rule:?}");
            }
        }
        let halted = Concern { state: R::Halted, ..running() };
        assert_eq!(again(halted.clone(), Rule::GoesOut), "When a person resumes it.");
        let recalled = Concern { release: ReleaseState::Recalled, ..halted };
        assert_eq!(again(recalled, Rule::GoesOut), "Never by this rollout. Draft one with another release.");
    }
}
