//! Confirmation by a person at the device, and putting an update off there. The native protocol's agents ask by themselves; for devices that speak
//! hawkBit's the answer is kept here. Refuses to know either protocol's words.

use super::{
    Rollouts,
    ddi::{Action, Notes},
    store::{confirming, ddi},
};
use crate::{Result, access::audit, db::Tx, devices::DeviceNo, text::spaced};
use serde_json::json;
use wire::{
    Timestamp,
    device::StatusReport,
    ids::UpdateId,
    states::UpdateState::{self, AwaitingConfirmation, AwaitingWindow, Offered},
};

/// How long after its offer an update may be put off at the device.
pub const MAX_DEFERRAL_MS: i64 = 7 * 24 * 3_600_000;
/// Most characters that are kept of who confirms by themselves, and why.
const MAX_WORDS: usize = 256;

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

impl Action {
    /// Whether it may not begin before somebody at the device says so.
    pub const fn waits_for_person(&self) -> bool {
        self.asks && !self.confirmed && matches!(self.state, Offered | AwaitingWindow | AwaitingConfirmation)
    }

    fn waits(&self, detail: &str) -> StatusReport {
        let detail = (!detail.is_empty()).then(|| detail.to_owned());
        let (update_id, state) = (self.update.clone(), AwaitingConfirmation);
        StatusReport { update_id, state, progress: None, code: None, detail, firmware: None, deferred_until: None }
    }
}

impl Rollouts {
    /// Whether an action waits for a person; the device has just asked, so it is alive, and its update says what it waits for.
    pub(super) async fn waits_for_person(&self, action: &Action) -> Result<bool> {
        if !action.waits_for_person() {
            return Ok(false);
        }
        if action.state != AwaitingConfirmation {
            self.report(action.device, action.waits("")).await?;
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
                self.report(action.device, action.waits(&format!("not confirmed at the device{why}"))).await?;
            }
        }
        self.heard_ddi(action, Notes { lines, ..Notes::default() }).await?;
        Ok(true)
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
