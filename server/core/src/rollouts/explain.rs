//! Pure: why a device is, or is not, updating. The rules in the order they bind, the first blocker in words.

use super::{
    plan::devices_of,
    survey::{Miss, Target},
};
use crate::devices::Facts;
use wire::{
    Timestamp,
    states::{DeviceState, RolloutState, StageState, UpdateState},
    time::duration,
};

/// A rollout as far as one device is concerned.
#[derive(Debug, Clone)]
pub struct Concern {
    /// Its name.
    pub name: String,
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
    /// Whether devices may come now.
    pub doors_open: bool,
    /// Why its turn is not yet enough: what [`throttle`](super::throttle) says of the devices that update at the same time, that its files are damaged,
    /// or that it has used up its data budget.
    pub full: Option<String>,
    /// Why it still has to wait for its window or the end of a freeze: what [`timing`](super::timing) says.
    pub held: Option<String>,
    /// Its devices only fetch.
    pub download_only: bool,
    /// When it begins, if that is set.
    pub begin_at: Option<Timestamp>,
    /// How the device's own update in it went, if there was one and it is not to be tried again.
    pub ended: Option<(UpdateState, String)>,
    /// When it is offered again by itself, and how often it was tried by then.
    pub again: Option<(i64, Timestamp)>,
}

/// What is going on with a device right now.
#[derive(Debug, Clone)]
pub struct UnderWay {
    /// The rollout's name.
    pub rollout: String,
    /// To which version.
    pub version: String,
    /// How far.
    pub state: UpdateState,
    /// When it counts as timed out.
    pub deadline: Option<Timestamp>,
}

/// What a device that speaks hawkBit's protocol has to say before it is offered anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owes {
    /// The rollout's name.
    pub rollout: String,
    /// To which version.
    pub version: String,
    /// What it has to say.
    pub what: Owed,
    /// Until when that is waited for.
    pub until: Timestamp,
}

/// What a device has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// That it has stopped.
    Answer,
    /// How it ended with what it did not want to stop.
    Stopping,
    /// How it ended with what it had fetched when it fell silent.
    Ending,
}

/// How a device stands, beside its facts.
#[derive(Debug, Clone, Default)]
pub struct Stand {
    /// What is going on with it.
    pub under_way: Option<UnderWay>,
    /// What its update waits for, of time.
    pub held: Option<String>,
    /// What it owes.
    pub owes: Option<Owes>,
    /// Whether it asks again and again instead of being connected.
    pub polls: bool,
}

/// Why the device is or isn't updating, in words; empty when no rollout concerns it. `concerns` newest first.
pub fn explain(facts: &Facts, stand: &Stand, concerns: &[Concern], now: Timestamp) -> String {
    if let Some(update) = &stand.under_way {
        let silence = update
            .deadline
            .map_or_else(String::new, |at| format!(" If it stays silent, it counts as timed out in {}.", duration(at.since(now))));
        let held = stand.held.as_ref().map_or_else(String::new, |held| format!(" It waits: {held}"));
        return format!("Updating to {} by “{}”: {}.{held}{silence}", update.version, update.rollout, words(update.state));
    }
    // A device that is out of the fleet for good waits for nothing.
    if facts.state == DeviceState::Decommissioned.as_str() {
        return String::new();
    }
    if let Some(owes) = &stand.owes {
        return owes.words(now);
    }
    let mut first = String::new();
    for concern in concerns {
        let blocker = blocker(facts, stand.polls, concern, now);
        // A rollout that never meant the device says nothing, unless there is nothing else to say.
        if concern.means(facts) {
            return format!("“{}” brings {}: {blocker}", concern.name, concern.target.version);
        }
        if first.is_empty() && facts.device_type == concern.target.device_type {
            first = format!("“{}” brings {}: {blocker}", concern.name, concern.target.version);
        }
    }
    first
}

impl Concern {
    /// Whether the rollout was ever meant for such a device, whatever keeps it back.
    pub fn means(&self, facts: &Facts) -> bool {
        facts.device_type == self.target.device_type && self.target.check(facts, false) != Err(Miss::NotSelected)
    }
}

impl Owes {
    fn words(&self, now: Timestamp) -> String {
        let Self { rollout, version, .. } = self;
        let (what, before) = match self.what {
            Owed::Answer => (format!("“{rollout}” was taken back, and the device has not answered that."), "it does"),
            Owed::Stopping => (format!("“{rollout}” was taken back, but the device goes on to {version}."), "that has ended"),
            Owed::Ending => (format!("The device has fetched {version} by “{rollout}” and fell silent."), "it says how that ended"),
        };
        format!("{what} It is offered nothing else before {before}, for {} at the longest.", duration(self.until.since(now)))
    }
}

/// The first rule that keeps the device from being offered the release.
fn blocker(facts: &Facts, polls: bool, concern: &Concern, now: Timestamp) -> String {
    use RolloutState as R;
    if let Some((state, detail)) = &concern.ended {
        let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
        let what = if concern.download_only && *state == UpdateState::Succeeded { "the device has fetched it" } else { words(*state) };
        let again = concern.again.filter(|_| matches!(concern.state, R::Running | R::Paused | R::Halted));
        let again = again.map_or_else(String::new, |(tried, at)| format!(" {}", super::retry::waits(tried, at, now)));
        return format!("{what}{detail}.{again}");
    }
    if let Err(miss) = concern.target.check(facts, false) {
        return format!("{}.", concern.target.words(miss));
    }
    match concern.state {
        R::Draft => return "it is still a draft.".to_owned(),
        R::WaitingForApproval => return "it waits for approval.".to_owned(),
        R::Rejected => return "it was rejected.".to_owned(),
        R::Approved => return "it is approved and starts in a moment.".to_owned(),
        R::Scheduled => {
            return concern.begin_at.map_or_else(|| "it is scheduled.".to_owned(), |at| format!("it starts {}.", at.readable()));
        }
        R::Paused | R::Halted => return format!("{}.", concern.summary.trim_end_matches('.')),
        R::Stopping | R::Stopped => return "it was stopped.".to_owned(),
        R::Completed => return "it has ended without this device.".to_owned(),
        R::RollingBack | R::RolledBack => return "it is taken back from the devices that run it.".to_owned(),
        R::Running => {}
    }
    match (concern.device_stage, concern.stage_state) {
        (None, _) => "none of its stages takes the device.".to_owned(),
        (Some(own), _) if own > concern.stage => {
            format!("its turn comes in stage {own}; stage {} is running.", concern.stage)
        }
        (_, Some(StageState::Soaking)) => format!("stage {} is being watched; it comes with the next stage.", concern.stage),
        (_, Some(StageState::AwaitingPromotion)) => {
            format!("stage {} waits for a person to go on; it comes with the next stage.", concern.stage)
        }
        _ if !concern.doors_open => format!("stage {} takes no more devices; it comes with the next stage.", concern.stage),
        _ if concern.held.is_some() => concern.held.clone().unwrap_or_default(),
        _ if concern.full.is_some() => concern.full.clone().unwrap_or_default(),
        _ if !facts.online && polls => "it is its turn; it gets it when it asks next.".to_owned(),
        _ if !facts.online => "it is its turn, but the device is offline. It gets it when it comes back.".to_owned(),
        _ => "it is its turn; it gets it within a moment.".to_owned(),
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
    use crate::{devices::Selector, rollouts::throttle::Full};
    use wire::rollouts::Budget;

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
            name: "spring".into(),
            target,
            state: RolloutState::Running,
            summary: String::new(),
            stage: 1,
            stage_state: Some(StageState::Running),
            device_stage: Some(1),
            doors_open: true,
            full: None,
            held: None,
            download_only: false,
            begin_at: None,
            ended: None,
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
        let full = |full: Full<'_>| full.words(&facts);
        let owes = |what| {
            let owes = Owes { rollout: "winter".into(), version: "1.1.0".into(), what, until: Timestamp(7 * 86_400_000) };
            Stand { owes: Some(owes), polls: true, ..Stand::default() }
        };
        let away = Facts { online: false, ..facts.clone() };
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
                vec![Concern { stage_state: Some(StageState::Soaking), doors_open: false, ..running.clone() }],
            ),
            ("as many as may at once", facts.clone(), Stand::default(), vec![Concern { full: Some(full(at_once)), ..running.clone() }]),
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
                        rollout: "spring".into(),
                        version: "1.2.0".into(),
                        state: UpdateState::Downloading,
                        deadline: Some(Timestamp(600_000)),
                    }),
                    ..owes(Owed::Answer)
                },
                vec![running],
            ),
        ] {
            said.push(format!("{name}: {}", explain(&facts, &stand, &concerns, Timestamp(0))));
        }
        insta::assert_snapshot!(said.join("\n"));
    }
    #[test]
    fn who_waits_to_be_tried_again_is_told_when() {
        let facts = Facts { device_id: "gw-1".into(), device_type: "gateway".into(), sequence: 1, ..Facts::default() };
        let failed =
            Concern { ended: Some((UpdateState::Failed, "flash error".into())), again: Some((2, Timestamp(3_600_000))), ..running() };
        let said = |concern: Concern| explain(&facts, &Stand::default(), &[concern], Timestamp(0));
        let told = "“spring” brings 1.2.0: it could not be installed (flash error).";
        assert_eq!(
            said(failed.clone()),
            format!("{told} Tried 2 times; it is offered again in 1 h 00 min, while devices of its stage may come.")
        );
        assert_eq!(said(Concern { state: RolloutState::Stopped, ..failed }), told, "nothing comes after the end");
    }
}
