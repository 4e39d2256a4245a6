//! A batch's certificates revoked as one (E-8): when its archive is in the wrong hands, or its devices never leave the factory.

use super::{
    super::{Devices, Error},
    store,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{exec, rows},
};
use serde_json::json;
use wire::{enrolment::BatchState, ids::EnrolmentBatchId, pki::RevocationReason};

impl Devices {
    /// Stops a batch and revokes every usable certificate it made, and those that they were renewed to: whoever has an archive's key may have renewed with
    /// it. Certificates that a device got by a token of its own stay. May be said again.
    pub async fn revoke_batch(&self, actor: &Actor, id: &EnrolmentBatchId, reason: RevocationReason) -> Result<(), Error> {
        may(actor, Act::Revoke)?;
        let batch = self.batch(actor, id).await?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::END, id.as_str(), BatchState::Cancelled.as_str(), now.0)?;
        audit::append(&mut tx, actor, now, "enrolment_batch.revoke", id.as_str(), &json!({ "reason": reason, "issued": batch.issued }))
            .await?;
        tx.commit().await?;
        self.revoke_lines(actor, id, reason).await
    }

    /// A hundred at a time, so that others get their turn.
    pub(super) async fn revoke_lines(&self, actor: &Actor, id: &EnrolmentBatchId, reason: RevocationReason) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let some = rows!(&mut self.db.read().await?, (String,), store::USABLE, id.as_str(), after.as_str())?;
            let Some((last,)) = some.last() else { break };
            after.clone_from(last);
            let ids = some.into_iter().map(|(id,)| id.parse().map_err(crate::db::Error::corrupt)).collect::<Result<Vec<_>, _>>()?;
            self.pki.revoke_these(actor, &ids, reason).await?;
        }
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::REVOKED, id.as_str(), self.clock.now().0)?;
        tx.commit().await?;
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        Ok(())
    }
}
