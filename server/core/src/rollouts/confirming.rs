//! Confirmation by a person, at the device or in the console, and putting an update off there. The native protocol's agents ask by themselves; for
//! devices that speak hawkBit's the answer is kept here, and for those that ask nobody somebody confirms in the console. Refuses to know either
//! protocol's words.

use super::{
    Error, Rollouts,
    ddi::{Action, Notes},
    store::{confirming, ddi, records, turns},
};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{self, Conn, Tx},
    devices::{DeviceNo, Facts, store as devices},
    text::spaced,
};
use serde_json::json;
use wire::{
    Timestamp,
    device::{CONFIRMS_UPDATES, StatusReport},
    ids::{DeviceId, RolloutId, UpdateId},
    states::{
        RolloutState,
        UpdateState::{self, AwaitingConfirmation, AwaitingWindow, Offered},
    },
};

/// How long after its offer an update may be put off at the device.
pub const MAX_DEFERRAL_MS: i64 = 7 * 24 * 3_600_000;
/// Most characters that are kept of who confirms by themselves, and why.
const MAX_WORDS: usize = 256;

/// With what the line of an update begins to which somebody at the device said no.
pub(super) const DENIED: &str = "not confirmed at the device";

/// Whatever comes counts as confirmed on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoConfirm {
    /// Since when.
    pub since: Timestamp,
    /// Who has said so, by the device's account.
    pub by: String,
    /// Why, by the device's account.
    pub remark: String,
}

/// What a person at the device has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may begin.
    Confirmed,
    /// Not now: it goes on waiting, and may be asked again.
    Denied,
}

/// Who agrees before a device is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// Nobody has to.
    NotAsked,
    /// Somebody there: the device asks, or the server asks for it.
    AtDevice,
    /// Somebody in the console, because nobody there would be asked; and whether they have.
    InConsole(bool),
}

impl Agreement {
    /// For a plan that asks or not, and a device that says this of itself; `asked_for` when the server asks for it, by hawkBit's protocol.
    pub fn of(plan_asks: bool, facts: &Facts, asked_for: bool, confirmed: bool) -> Self {
        let asks = asked_for || facts.attributes.get(CONFIRMS_UPDATES).is_some_and(|word| word == "yes");
        match (plan_asks, asks) {
            (false, _) => Self::NotAsked,
            (true, _) if confirmed => Self::InConsole(true),
            (true, true) => Self::AtDevice,
            (true, false) => Self::InConsole(false),
        }
    }

    /// Whether the device may be offered the update.
    pub const fn lets_offer(self) -> bool {
        !matches!(self, Self::InConsole(false))
    }
}

/// Who has to agree before this device is updated by this rollout.
pub(super) async fn agreement(
    on: &mut impl Conn,
    record: &records::Record,
    (device, facts): (DeviceNo, &Facts),
    asked_for: bool,
) -> Result<Agreement, db::Error> {
    let asks = record.spec.confirm_at_device;
    let confirmed = asks && confirming::in_console(on, &record.id, device).await?;
    Ok(Agreement::of(asks, facts, asked_for, confirmed))
}

impl Action {
    /// Whether it may not begin before somebody at the device says so.
    pub const fn waits_for_person(&self) -> bool {
        self.asks && !self.confirmed && matches!(self.state, Offered | AwaitingWindow | AwaitingConfirmation)
    }

    fn waits(&self, detail: &str) -> StatusReport {
        let detail = (!detail.is_empty()).then(|| detail.to_owned());
        let (update_id, state) = (self.update.clone(), AwaitingConfirmation);
        StatusReport { update_id, state, progress: None, code: None, detail, firmware: None, deferred_until: None, slots: None }
    }
}

impl Rollouts {
    /// Whether an action waits for a person; the device has just asked, so it is alive, and its update says what it waits for.
    pub(super) async fn waits_for_person(&self, action: &Action) -> Result<bool> {
        if !action.waits_for_person() {
            return Ok(false);
        }
        if action.state != AwaitingConfirmation {
            self.report_in_lines(action.device, action.waits(""), &[]).await?;
        } else if action.deadline.since(self.clock.now()) < action.timeout_ms / 4 * 3 {
            // It asks often, and each word would be a write.
            self.flows(action).await?;
        }
        Ok(true)
    }

    /// Keeps what a person at the device has decided. False when the action does not wait for anybody any more.
    pub async fn decided_at_device(&self, action: &Action, decision: Decision, lines: &[String]) -> Result<bool> {
        if !action.open() || !action.asks {
            return Ok(false);
        }
        let said = lines.last().map(|line| spaced(line, super::MAX_DETAIL)).unwrap_or_default();
        match decision {
            Decision::Confirmed if action.confirmed => {}
            Decision::Confirmed => {
                let mut tx = self.db.write().await?;
                confirming::confirm(&mut tx, action.number).await?;
                tx.commit().await?;
                self.flows(action).await?;
            }
            Decision::Denied if !action.waits_for_person() => return Ok(false),
            Decision::Denied => {
                let why = if said.is_empty() { String::new() } else { format!(": {said}") };
                // What was said there is kept below, line by line.
                self.report_in_lines(action.device, action.waits(&format!("{DENIED}{why}")), &[]).await?;
            }
        }
        self.heard_ddi(action, Notes { lines, ..Notes::default() }).await?;
        Ok(true)
    }

    /// Confirms a rollout's update of one device in the console, where its plan asks for somebody at the device and this one asks nobody. It may be
    /// repeated. The device is offered the update when its turn has come.
    pub async fn confirm_in_console(&self, actor: &Actor, id: &RolloutId, device_id: &DeviceId) -> Result<()> {
        may(actor, Act::Control)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let record = records::record(&mut tx, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let device = devices::number(&mut tx, &actor.org, device_id).await?.ok_or(Error::NotFound("device"))?;
        let facts = devices::facts(&mut tx, device, now).await?.ok_or(Error::NotFound("device"))?;
        if !record.spec.confirm_at_device {
            return Err(Error::NotNow("The plan asks for nobody's confirmation.".to_owned()).into());
        }
        if !matches!(record.state(), RolloutState::Running | RolloutState::Paused | RolloutState::Halted) {
            return Err(Error::NotNow("Updates are confirmed while their rollout goes out.".to_owned()).into());
        }
        if Agreement::of(true, &facts, false, false) == Agreement::AtDevice {
            return Err(Error::NotNow("This device asks somebody itself: confirm it there.".to_owned()).into());
        }
        if turns::last_in(&mut tx, id, device).await?.is_some_and(|last| last.state.finished() && !last.may_come(now)) {
            return Err(Error::NotNow("The device has had its turn in this rollout.".to_owned()).into());
        }
        if confirming::confirm_in_console(&mut tx, &actor.org, id, device, &actor.label(), now).await? {
            let detail = json!({ "rollout": id, "name": record.spec.name });
            audit::append(&mut tx, actor, now, "device.confirm_update", device_id.as_str(), &detail).await?;
        }
        tx.commit().await?;
        self.bus.tell(Event::Device { org: actor.org.clone(), device });
        Ok(())
    }

    /// Whether whatever comes counts as confirmed on this device.
    pub async fn auto_confirm(&self, device: DeviceNo) -> Result<Option<AutoConfirm>> {
        Ok(confirming::auto(&mut self.db.read().await?, device).await?)
    }

    /// Lets whatever comes count as confirmed on this device from now on, what waits as well, or no longer. Who and why is the device's word.
    pub async fn set_auto_confirm(&self, actor: &crate::access::Actor, device: DeviceNo, wanted: Option<(&str, &str)>) -> Result<()> {
        let now = self.clock.now();
        let auto = wanted.map(|(by, remark)| AutoConfirm { since: now, by: spaced(by, MAX_WORDS), remark: spaced(remark, MAX_WORDS) });
        let mut tx = self.db.write().await?;
        confirming::set_auto(&mut tx, device, auto.as_ref()).await?;
        let detail = json!({ "active": auto.is_some(), "by": auto.as_ref().map(|a| &a.by), "remark": auto.as_ref().map(|a| &a.remark) });
        let object = crate::devices::store::name(&mut tx, device).await?.map(|(_, id)| id.to_string()).unwrap_or_default();
        audit::append(&mut tx, actor, now, "device.auto_confirm", &object, &detail).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The action of this number as it stands, for a device that has just been offered its update.
    pub(super) async fn asked_for(&self, device: DeviceNo, number: i64) -> Result<Option<Action>> {
        Ok(ddi::action(&mut self.db.read().await?, device, number).await?)
    }
}

/// When silence of a device that says `report` becomes a time-out: one that has put the update off is waited for until then, at most a week from the
/// offer, and its usual time beyond.
pub(super) async fn deadline(tx: &mut Tx, id: &UpdateId, report: &StatusReport, now: Timestamp, timeout_ms: i64) -> Result<Timestamp> {
    let Some(until) = report.deferred_until.filter(|_| puts_off(report.state)) else { return Ok(now.plus(timeout_ms)) };
    let offered = confirming::offered_at(tx, id).await?.unwrap_or(now);
    Ok(put_off(offered, now, until, timeout_ms))
}

/// States in which an update can be put off.
const fn puts_off(state: UpdateState) -> bool {
    matches!(state, AwaitingConfirmation | AwaitingWindow)
}

fn put_off(offered: Timestamp, now: Timestamp, until: Timestamp, timeout_ms: i64) -> Timestamp {
    until.min(offered.plus(MAX_DEFERRAL_MS)).max(now).plus(timeout_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_update_is_put_off_a_week_at_most(offered in 0_i64..1_000, waited in 0_i64..2 * MAX_DEFERRAL_MS, until: i64, timeout in 60_000_i64..10_000_000) {
            let until = until / 4;
            let now = offered + waited;
            let deadline = put_off(Timestamp(offered), Timestamp(now), Timestamp(until), timeout).0;
            prop_assert!(deadline >= now + timeout, "who speaks is given its usual time");
            prop_assert!(deadline <= (offered + MAX_DEFERRAL_MS).max(now) + timeout);
            if (now..=offered + MAX_DEFERRAL_MS).contains(&until) {
                prop_assert_eq!(deadline, until + timeout);
            }
        }
    }
}
