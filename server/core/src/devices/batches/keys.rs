//! Batches whose keys are made here (E-8): made line by line while the answer takes them along, encrypted, and kept nowhere. An answer that breaks
//! off takes its keys with it: then everything it made is revoked, and the same batch can be sent again.

use super::{
    super::{Devices, Error},
    BatchRow, Broken, EnrolmentBatch, NewBatch, Seal,
    seal::{Outbox, SealedArchive},
    store,
    work::Worked,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{exec, row, rows},
};
use bytes::Bytes;
use futures::{SinkExt as _, Stream, channel::mpsc};
use serde_json::json;
use std::io;
use wire::{
    Timestamp,
    enrolment::BatchState,
    ids::{EnrolmentBatchId, OrgId},
    pki::RevocationReason,
};
use zeroize::Zeroizing;

/// An archive is made within so long; what takes longer has lost its server.
const MAKING_MS: i64 = 3_600_000;

/// Where the pieces of an archive go; an error is the last.
pub type Pieces = mpsc::Sender<io::Result<Bytes>>;

impl Devices {
    /// Takes a batch in as [`Devices::receive_batch`] does, whose lines without a CSR get keys that are made here. Follow it with
    /// [`Devices::hand_out_keys`] at once; until then nothing is made. Refused where two people decide on authorities and have not agreed to it (K-6).
    pub async fn receive_batch_for_keys(
        &self,
        actor: &Actor,
        new: NewBatch,
        seal: &Seal,
        body: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    ) -> Result<EnrolmentBatch, Error> {
        if !self.pki.makes_keys() {
            return Err(Error::NoServerKeys);
        }
        may(actor, Act::Enrol)?;
        self.may_make_keys(&mut self.db.read().await?, actor.org.as_str()).await?;
        self.take_in(actor, new, Some(seal), body).await
    }

    /// Makes keys and certificates of a batch and sends them along: an encrypted zip archive with `keys/<device_id>.pem`, and what a batch gives back
    /// otherwise. Once only. When the other side goes away, or somebody says meanwhile that no keys are made any more, what was made is revoked.
    pub async fn hand_out_keys(&self, actor: &Actor, id: &EnrolmentBatchId, seal: Seal, mut to: Pieces) -> Result<(), Error> {
        let batch = row!(&mut self.db.read().await?, BatchRow, store::BATCH, actor.org.as_str(), id.as_str())?;
        let batch = batch.ok_or(Error::NotFound("enrolment batch"))?;
        // Of one that was handed out before nothing is taken back.
        if batch.state != BatchState::MakingKeys.as_str() {
            return Err(Error::BatchEnded(batch.label));
        }
        let Err(error) = Box::pin(self.make_keys(actor, id, &batch, seal, &mut to)).await else { return Ok(()) };
        // The other side must not take a part for the whole. It may be gone itself.
        let _ = to.send(Err(io::Error::other("the archive is not whole"))).await;
        self.give_up(&actor.org, id).await?;
        Err(error)
    }

    async fn make_keys(&self, actor: &Actor, id: &EnrolmentBatchId, batch: &BatchRow, seal: Seal, to: &mut Pieces) -> Result<(), Error> {
        let at = Timestamp(batch.created_at);
        let sealed = tokio::task::spawn_blocking(move || seal.archive(at)).await.map_err(|_| Broken::Cut)?;
        let (mut archive, outbox) = sealed.map_err(Broken::from)?;
        loop {
            match self.work_on(batch).await? {
                Worked::Line(Some((device_id, key))) => {
                    let pem = Zeroizing::new(crate::pem::encode("PRIVATE KEY", &key.into_pkcs8()));
                    archive.0.add(&format!("keys/{device_id}.pem"), pem.as_bytes()).map_err(Broken::from)?;
                }
                Worked::Line(None) => {}
                Worked::Through => break,
                Worked::Gone => return Err(Error::BatchEnded(batch.label.clone())),
            }
            send(to, &outbox).await?;
        }
        Box::pin(self.end_archive(&actor.org, id, archive)).await?;
        send(to, &outbox).await?;
        self.keys_done(actor, id).await
    }

    /// Certificates and lists behind the keys.
    async fn end_archive(&self, org: &OrgId, id: &EnrolmentBatchId, archive: SealedArchive) -> Result<(), Error> {
        let archive = SealedArchive(Box::pin(self.fill(org, id, archive.0)).await?);
        Ok(archive.end().map_err(Broken::from)?)
    }

    async fn keys_done(&self, actor: &Actor, id: &EnrolmentBatchId) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let found = row!(&mut tx, BatchRow, store::BATCH, actor.org.as_str(), id.as_str())?.ok_or(Error::NotFound("enrolment batch"))?;
        if exec!(&mut tx, store::END, id.as_str(), BatchState::Done.as_str(), now.0)? == 0 {
            return Err(Error::BatchEnded(found.label));
        }
        let detail = json!({ "issued": found.issued, "refused": found.refused, "sealed_for": found.sealed_for });
        audit::append(&mut tx, actor, now, "enrolment_batch.keys", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        Ok(())
    }

    /// Ends a batch whose archive did not arrive, and revokes what was made for it: nobody has those keys, or the wrong one.
    async fn give_up(&self, org: &OrgId, id: &EnrolmentBatchId) -> Result<(), Error> {
        let (actor, now) = (Actor::system(org.clone()), self.clock.now());
        let mut tx = self.db.write().await?;
        if exec!(&mut tx, store::END, id.as_str(), BatchState::Cancelled.as_str(), now.0)? == 1 {
            audit::append(&mut tx, &actor, now, "enrolment_batch.keys_lost", id.as_str(), &json!(null)).await?;
        } else if row!(&mut tx, BatchRow, store::BATCH, org.as_str(), id.as_str())?
            .is_none_or(|b| b.state != BatchState::Cancelled.as_str())
        {
            // It has arrived meanwhile.
            return Ok(());
        }
        tx.commit().await?;
        self.revoke_lines(&actor, id, RevocationReason::CessationOfOperation).await
    }

    /// Gives up batches whose server ended amid their keys.
    pub(super) async fn sweep_keys(&self, now: Timestamp) -> Result<(), Error> {
        for (id, org) in rows!(&mut self.db.read().await?, (String, String), store::STUCK, now.plus(-MAKING_MS).0)? {
            let (id, org) = (id.parse().map_err(crate::db::Error::corrupt)?, org.parse().map_err(crate::db::Error::corrupt)?);
            self.give_up(&org, &id).await?;
        }
        Ok(())
    }
}

/// Sends what has been encrypted; a slow taker holds the making up.
async fn send(to: &mut Pieces, outbox: &Outbox) -> Result<(), Error> {
    let piece = outbox.take();
    if !piece.is_empty() {
        to.send(Ok(piece)).await.map_err(|_| Broken::Cut)?;
    }
    Ok(())
}
