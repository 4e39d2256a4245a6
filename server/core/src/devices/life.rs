//! The life of a device by a person's hand: suspended, resumed, taken out, let back in. What is legal is
//! in [`super::state`]; certificates are the `pki` room's, which is asked in the same transaction.

use super::{
    DeviceNo, Devices, Error, groups, pins, shared, slots,
    state::{action, goal, step},
    store,
};
use crate::{
    access::{Act, Actor, allowed, audit, may},
    bus::Event,
    db::{Tx, exec, row, rows},
};
use serde_json::json;
use wire::{
    ids::DeviceId,
    pki::RevocationReason,
    states::{DeviceState, DeviceStep as Step},
};

/// How long the id of a deleted device stays reserved at least: samples that were under way when it was deleted have come by then.
const RESERVED_MS: i64 = 24 * 3_600_000;

/// The right a step asks for.
pub(super) const fn act(step: Step) -> Act {
    match step {
        Step::Admit => Act::ApproveDevices,
        Step::Suspend | Step::Resume => Act::Suspend,
        Step::Decommission => Act::EditDevices,
        Step::Recommission => Act::Recommission,
        Step::Delete => Act::DeleteDevices,
    }
}

/// The steps that are legal from this state and that the actor may take.
pub(super) fn offered(actor: &Actor, from: DeviceState) -> Vec<Step> {
    Step::ALL.iter().copied().filter(|by| step(from, *by).is_some() && allowed(actor, act(*by))).collect()
}

impl Devices {
    /// Takes a device a step on in its life. Idempotent: a step that leads to where the device is does nothing.
    ///
    /// *Admit*: a device that a gateway has announced is in the fleet. *Suspend*: live connections are closed within a second, new ones refused, nothing is enrolled or renewed; its certificates stay as they are and
    /// no CRL says anything. *Resume*: it is let in again with the certificates it has. *Decommission*: its certificates are revoked
    /// (`cessationOfOperation`), its id stays reserved, it is pinned no longer, and enrolment tokens for exactly this id are void. *Recommission*: its id may be enrolled
    /// again; what was revoked or voided stays so, and it comes back with a new token and a new certificate, under its old history. *Delete*: as
    /// decommissioned, and gone from every list with its tags, attributes, connections, samples and the addresses it was enrolled from; its certificates stay
    /// on the revocation list until they end, and only then is its id free. The audit log and the history of rollouts keep its name.
    pub async fn change(&self, actor: &Actor, device_id: &DeviceId, by: Step) -> Result<(), Error> {
        may(actor, act(by))?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Tokens before the device's row, as an enrolment takes them: two orders would wait for each other on PostgreSQL.
        let lower = device_id.as_str().to_lowercase();
        let voided = match by {
            Step::Decommission | Step::Delete => exec!(&mut tx, store::TOKENS_VOID, actor.org.as_str(), lower.as_str(), now.0)?,
            Step::Admit | Step::Suspend | Step::Resume | Step::Recommission => 0,
        };
        // A deleted device takes no step any more: its row only keeps its id.
        store::number(&mut tx, &actor.org, device_id).await?.ok_or(Error::NotFound("device"))?;
        let found = row!(&mut tx, (i64, String, String), store::BY_ID_HELD, actor.org.as_str(), lower.as_str())?;
        let (device, known, state) = found.ok_or(Error::NotFound("device"))?;
        let state: DeviceState = state.parse().map_err(crate::db::Error::corrupt)?;
        if state == goal(by) && by != Step::Delete {
            // Done before: nothing is written, the transaction ends here without a commit.
            return Ok(());
        }
        let to = step(state, by).ok_or(Error::Illegal { device: known.clone(), step: by, state })?;
        exec!(&mut tx, store::SET_STATE, device, to.as_str())?;
        // Whoever has its id next is no longer what was pinned.
        if matches!(by, Step::Decommission | Step::Delete) {
            pins::unpin(&mut tx, device).await?;
        }
        if by == Step::Delete {
            if exec!(&mut tx, store::DELETE, device, now.0)? == 0 {
                return Err(Error::NotFound("device"));
            }
            let said = [store::ATTRIBUTES_CLEAR, store::CONNECTIONS_CLEAR, store::ENROLMENT_ADDRESSES_CLEAR, slots::CLEAR];
            for forgotten in said.into_iter().chain([store::TAGS_CLEAR, shared::TARGET_CLEAR, groups::LEAVE]) {
                exec!(&mut tx, forgotten, device)?;
            }
        }
        self.trust_of(&mut tx, actor, device, by).await?;
        let detail = json!({ "was": state, "tokens_voided": voided });
        audit::append(&mut tx, actor, now, action(by), known.as_str(), &detail).await?;
        tx.commit().await?;
        // The in-memory trust state first: from here on no handshake passes that may not.
        self.pki.reload().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Device { org: actor.org.clone(), device });
        Ok(())
    }

    /// [`Devices::change`] by *decommission*.
    pub async fn decommission(&self, actor: &Actor, device_id: &DeviceId) -> Result<(), Error> {
        self.change(actor, device_id, Step::Decommission).await
    }

    /// Deleted devices after this number whose id is still reserved, so that what other rooms keep of them is forgotten as well; at most 500.
    pub(crate) async fn deleted(&self, after: DeviceNo) -> Result<Vec<DeviceNo>, Error> {
        Ok(rows!(&mut self.db.read().await?, (i64,), store::DELETED, after)?.into_iter().map(|(number,)| number).collect())
    }

    /// Gives the ids of deleted devices free whose last certificate has ended. How many; none while the clock is off.
    pub(crate) async fn free_ids(&self) -> Result<u64, Error> {
        if self.pki.clock_jump().is_some() {
            return Ok(0);
        }
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let freed = exec!(&mut tx, store::FREE, now.0, now.plus(-RESERVED_MS).0)?;
        tx.commit().await?;
        Ok(freed)
    }

    /// What the step means for the device's certificates, inside the step's own transaction.
    async fn trust_of(&self, tx: &mut Tx, actor: &Actor, device: DeviceNo, by: Step) -> Result<(), Error> {
        match by {
            Step::Decommission | Step::Delete => self.pki.revoke_all_of(tx, actor, device, RevocationReason::CessationOfOperation).await?,
            Step::Admit | Step::Suspend | Step::Resume | Step::Recommission => self.pki.device_changed(tx, device).await?,
        }
        Ok(())
    }
}
