//! One root after another: made ahead and sent to the devices in their trust bundle, certified by the old root and certifying it; the
//! listeners' once enough devices hold it; the old one is believed until the end of the change. Refuses to know issuing authorities' leaves.

use super::{
    Error, Pki,
    authorities::{self, By, ISSUING, MadeCross, Plan},
    bundle,
    consents::Done,
    csr::sha256,
    profile::Kind,
    store,
};
use crate::{
    access::{Actor, audit},
    db::Tx,
};
use serde_json::json;
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId},
    pki::steps,
    states::AuthorityState::{self, Active, Retired, Retiring, Staged},
};

/// What has to be over before a root is staged.
pub(super) const IN_THE_WAY: &str =
    "Another change of authorities is under way. End it first: activate or retire what is staged, and retire the root that is retiring.";

impl Pki {
    /// Makes the next root and its issuing authorities, all staged, the two certificates by which the roots vouch for each other, and the trust
    /// bundle with all of it.
    pub(super) async fn stage_root(&self, tx: &mut Tx, actor: &Actor) -> Result<Done, Error> {
        let all = self.authorities.load_full();
        let old = authorities::active(&all, &actor.org, Kind::Root)?;
        // Without the old root's key what it signs for its successor is made where that key is (K-5).
        if let Err(error) = old.signer()
            && !matches!(error, Error::RootOffline)
        {
            return Err(error);
        }
        let now = self.clock.now();
        // Of two who stage at once the second waits here and then finds the first one's.
        store::next_trust(tx).await?;
        let mut in_the_way = store::in_state(tx, &actor.org, Kind::Root.as_str(), Retiring).await?;
        for kind in [Kind::Root].iter().chain(&ISSUING) {
            in_the_way += store::in_state(tx, &actor.org, kind.as_str(), Staged).await?;
        }
        if in_the_way > 0 {
            return Err(Error::AuthorityState(IN_THE_WAY));
        }
        let forge = self.forge();
        let (root, mut under) = self.next_root(tx, &actor.org, &old.slug, now).await?;
        for blank in &mut under {
            blank.life = self.next_life(tx, &actor.org, blank.kind).await?;
        }
        let product = self.made(tx, &actor.org, Plan::Root { root, under, before: Some(By(Arc::clone(old))) }).await?;
        for made in &product.made {
            forge.insert(tx, actor, made, Staged, now).await?;
        }
        for cross in &product.crosses {
            self.insert_cross(tx, actor, cross, now).await?;
        }
        bundle::raise(tx, actor, now).await?;
        Ok(Done { made: Some(product.first()?.id.clone()), ..Done::default() })
    }

    pub(super) async fn insert_cross(&self, tx: &mut Tx, actor: &Actor, made: &MadeCross, now: Timestamp) -> Result<(), Error> {
        let id: CertificateId = self.entropy.id(now);
        let fingerprint = sha256(&made.der);
        let row = store::NewCross {
            id: id.as_str(),
            org: &actor.org,
            subject: &made.subject,
            issuer: &made.issuer,
            serial: &made.serial,
            fingerprint: &fingerprint,
            der: &made.der,
            not_after: made.until,
            now,
        };
        store::insert_cross(tx, &row).await?;
        let detail = json!({ "by": made.issuer, "fingerprint": hex::encode(fingerprint), "until": made.until });
        Ok(audit::append(tx, actor, now, "authority.cross", made.subject.as_str(), &detail).await?)
    }

    /// Hands over from the root before: the listeners' chain leads to the new one from here on, and to the old one over what it signed for its
    /// successor. Its issuing authorities issue; those under the old root are retiring, and so is it.
    pub(super) async fn activate_root(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: &AuthorityId,
        state: AuthorityState,
        force: bool,
    ) -> Result<Done, Error> {
        if state != Staged {
            return Err(Error::AuthorityState(steps::ONLY_STAGED));
        }
        let now = self.clock.now();
        let reach = self.reach_of(tx, &actor.org, id).await?;
        if !reach.enough() && !force {
            return Err(Error::BundleNotHeld(reach));
        }
        let under = store::staged_under(tx, id).await?;
        if ISSUING.iter().any(|kind| !under.iter().any(|(_, of)| of == kind.as_str())) {
            return Err(Error::AuthorityState(
                "An authority that was staged with this root has ended, so nothing could be issued under it. Retire the root and stage another one.",
            ));
        }
        // The next claim gets an authority under the new root.
        for kind in [Kind::Root, Kind::ClaimAuthority].iter().chain(&ISSUING) {
            store::retire_active(tx, &actor.org, kind.as_str()).await?;
        }
        store::set_state(tx, id, &actor.org, Staged, Active, None).await?;
        for (child, _) in under {
            let child: AuthorityId = child.parse().map_err(crate::db::Error::corrupt)?;
            store::set_state(tx, &child, &actor.org, Staged, Active, None).await?;
            audit::append(tx, actor, now, "authority.activate", child.as_str(), &json!({ "with": id })).await?;
        }
        let detail = json!({ "kind": "root", "bundle": reach.version, "holders": reach.holders, "devices": reach.devices, "cannot_tell": reach.cannot_tell, "forced": force });
        audit::append(tx, actor, now, "authority.activate", id.as_str(), &detail).await?;
        bundle::raise(tx, actor, now).await?;
        Ok(Done::default())
    }

    /// Ends a root that was followed, once nothing below it is believed and every active device holds its successor; or one that was never
    /// activated, along with what was staged under it.
    pub(super) async fn retire_root(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        id: &AuthorityId,
        (state, seq): (AuthorityState, i64),
        force: bool,
    ) -> Result<Done, Error> {
        let now = self.clock.now();
        let end = Some((now, seq));
        let missing = match state {
            Staged => {
                self.end_staged_under(tx, actor, id, (now, seq)).await?;
                0
            }
            Retiring => {
                if store::live_under(tx, id).await? > 0 {
                    return Err(Error::AuthorityState("Authorities that this root has signed are still believed. Retire them first."));
                }
                let all = self.authorities.load_full();
                let next = authorities::active(&all, &actor.org, Kind::Root)?.id.clone();
                let reach = self.reach_of(tx, &actor.org, &next).await?;
                if reach.unsure() > 0 && !force {
                    return Err(Error::BundleNotHeld(reach));
                }
                reach.unsure()
            }
            _ => return Err(Error::AuthorityState(steps::ROOT_SUCCESSOR_FIRST)),
        };
        store::set_state(tx, id, &actor.org, state, Retired, end).await?;
        let detail = json!({ "was": state.as_str(), "kind": "root", "without_successor": missing, "forced": force });
        audit::append(tx, actor, now, "authority.retire", id.as_str(), &detail).await?;
        bundle::raise(tx, actor, now).await?;
        Ok(Done { ended: true, ..Done::default() })
    }

    /// Ends what was staged along with a root that comes to nothing.
    pub(super) async fn end_staged_under(&self, tx: &mut Tx, actor: &Actor, id: &AuthorityId, end: (Timestamp, i64)) -> Result<(), Error> {
        for (child, _) in store::staged_under(tx, id).await? {
            let child: AuthorityId = child.parse().map_err(crate::db::Error::corrupt)?;
            store::set_state(tx, &child, &actor.org, Staged, Retired, Some(end)).await?;
            audit::append(tx, actor, end.0, "authority.retire", child.as_str(), &json!({ "was": "staged", "with": id })).await?;
        }
        Ok(())
    }
}
