//! A person cancels the update of one device while its rollout goes on, or that it is tried again by itself. Owns which updates can be cancelled, and what is said
//! of it; a device is told as it is of every update that was taken back, and nobody offers it this rollout again unless a person has it tried again.

use super::{
    Error, Rollouts,
    deciding::reason_of,
    explain::words,
    moving::said,
    retry,
    state::cancellable,
    store::{ddi, lists, offers, records, turns, updates},
};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
    bus::Event,
    devices::store as devices,
};
use serde_json::json;
use wire::{
    ids::{DeviceId, RolloutId, UpdateId},
    states::UpdateState,
};

impl Rollouts {
    /// Cancels the update of one device by a rollout, in whichever state that is, as long as the device has not begun to install. `update` is the one that
    /// somebody saw: another attempt that is under way by now is left alone. It counts as left out, so that no gate takes it for a success or an error. May be
    /// repeated. Of what a command beside a server does its device hears with the server's next tick.
    ///
    /// Of a device whose update ended and that waits to be tried again by itself, the next attempt is cancelled: that is final at once, and the device then counts
    /// as left out instead of as it ended. Nothing is under way there; but one that fell silent may still be at its attempt: nobody tells it to stop, and how that
    /// ends no longer counts.
    pub async fn cancel_update(
        &self,
        actor: &Actor,
        id: &RolloutId,
        device_id: &DeviceId,
        update: Option<&UpdateId>,
        reason: &str,
    ) -> Result<()> {
        may(actor, Act::Control)?;
        let reason = reason_of(reason)?;
        let (now, by) = (self.clock.now(), actor.label());
        let mut tx = self.db.write().await?;
        let record = records::record(&mut tx, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let device = devices::number(&mut tx, &actor.org, device_id).await?.ok_or(Error::NotFound("device"))?;
        let last = turns::last_in(&mut tx, id, device).await?.ok_or_else(|| Error::NotNow(NOTHING.to_owned()))?;
        // Also where another attempt was cancelled in the place of the one that was seen.
        if last.is_cancelled_by_hand() && !last.again {
            return Ok(());
        }
        // It is tried again by itself, unless its rollout ends, which it does not meanwhile.
        let held = if last.retry_at.is_some() && !last.again { offers::hold_rollout(&mut tx, &record).await? } else { None };
        let retried = held.is_some_and(|held| retry::goes_on(held.doors.state));
        let last: UpdateId = last.id.parse().map_err(crate::db::Error::corrupt)?;
        if update.is_some_and(|saw| *saw != last) {
            return Err(Error::NotNow("Another attempt stands by now. Look at that one, then decide again.".to_owned()).into());
        }
        let open = updates::update(&mut tx, &last).await?.ok_or(Error::NotFound("update"))?;
        // Another attempt was made since it was looked up.
        if !open.latest {
            return Err(Error::Stale.into());
        }
        if open.state == UpdateState::Cancelled && !open.again {
            return Ok(());
        }
        let (waits, detail) = (retried && open.state.finished() && !open.again, said("cancelled", &by, reason));
        let cancelled = if waits {
            let next: UpdateId = self.entropy.id(now);
            if !turns::cancel_unoffered(&mut tx, &open, &next, &detail, now).await? {
                return Err(Error::Stale.into());
            }
            next
        } else {
            if let Some(why) = not_cancellable(open.state, open.again) {
                return Err(Error::NotNow(why).into());
            }
            if !turns::cancel(&mut tx, &open, &detail, now).await? {
                return Err(Error::Stale.into());
            }
            ddi::ask_again(&mut tx, &[open.id.as_str()]).await?;
            open.id.clone()
        };
        // While it waits it may be under way with another rollout.
        if !waits || turns::open_of(&mut tx, device).await?.is_none() {
            devices::set_update(&mut tx, device, UpdateState::Cancelled.as_str()).await?;
        }
        let line = said(&format!("The update of {device_id} was cancelled"), &by, reason);
        lists::add_event(&mut tx, &actor.org, id, &line, &by, "off", now).await?;
        let detail = json!({ "rollout": id, "name": record.spec.name, "update": open.id, "was": open.state, "reason": reason });
        audit::append(&mut tx, actor, now, "device.cancel_update", device_id.as_str(), &detail).await?;
        self.own_cancel(id, &cancelled);
        tx.commit().await?;
        self.look_again(device);
        let org = &actor.org;
        self.bus.tell(Event::Rollout { org: org.clone(), id: id.clone() });
        self.bus.tell(Event::Device { org: org.clone(), device });
        if !waits {
            self.bus.tell(Event::Cancelled { org: org.clone(), device, update: cancelled });
        }
        // It may have been the last one that its stage waited for.
        if let Err(e) = self.advance(org, id).await {
            tracing::warn!(rollout = %id, error = %e, "advancing after a cancellation failed; the next tick tries again");
        }
        Ok(())
    }
}

const NOTHING: &str =
    "This rollout has nothing under way with the device, so there is nothing to cancel. Pin the device to keep rollouts away from it.";

/// Why an update can't be cancelled; none when it can. `again` when it was taken back and waits to be offered once more.
fn not_cancellable(state: UpdateState, again: bool) -> Option<String> {
    if again {
        Some(NOTHING.to_owned())
    } else if state.finished() {
        Some(format!("This update has ended already: {}.", words(state)))
    } else if cancellable(state) {
        None
    } else {
        Some("The device has begun to install it: from there on it can only go on to its end.".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_begun_to_install_can_be_cancelled() {
        use UpdateState as U;
        let can: Vec<U> = U::ALL.iter().copied().filter(|state| not_cancellable(*state, false).is_none()).collect();
        assert_eq!(can, [U::Offered, U::AwaitingWindow, U::AwaitingConfirmation, U::Downloading, U::Downloaded]);
        assert!(can.iter().all(|state| cancellable(*state) && not_cancellable(*state, true).is_some()));
        for state in [U::Installing, U::Rebooting, U::Verifying] {
            assert!(not_cancellable(state, false).unwrap().contains("can only go on"), "{state}");
        }
        assert_eq!(not_cancellable(U::Failed, false).unwrap(), "This update has ended already: it could not be installed.");
    }
}
