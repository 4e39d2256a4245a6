//! Certificates of claims (E-9): from an authority of their own, so that no device listener's chain ends in it, and with a usage of their own.
//! Refuses to know what a claim lets in; the `devices` room decides.

use super::{
    Csr, Error, Pki,
    ahead::signed_ahead,
    authorities::{self, Authority, By, Plan},
    consents::Done,
    csr::CsrError,
    names,
    profile::{Kind, Subject},
    sign::Order,
    store,
};
use crate::{
    access::Actor,
    asked::Origin,
    db::{Conn, Tx},
};
use rcgen::SubjectPublicKeyInfo;
use std::{collections::BTreeSet, sync::Arc};
use wire::{
    Timestamp,
    consents::Deed,
    ids::{AuthorityId, CertificateId, ClaimId, OrgId},
    pki::{AuthorityUse, RevocationReason},
    states::{AuthorityState, KeyOrigin},
};

/// An authority of claims is replaced when it would end within a claim's life.
const AHEAD: i64 = Kind::Claim.life();

/// A certificate wanted for a claim. The caller has decided that there may be one.
#[derive(Debug, Clone, Copy)]
pub struct NewClaimLeaf<'a> {
    /// The claim's organization.
    pub org: &'a OrgId,
    /// The claim.
    pub claim: &'a ClaimId,
    /// A CSR that passed the gate, or what stands for one where the key was made here.
    pub csr: &'a Csr,
    /// When the certificate should end; the shortest life there is may be longer.
    pub until: Timestamp,
    /// Who asked for it.
    pub enrolled_by: &'a str,
    /// From where, and by which request.
    pub origin: Origin<'a>,
}

/// A claim's certificate.
pub struct ClaimLeaf {
    /// Its id.
    pub id: CertificateId,
    /// The certificate and those above it but the root, PEM.
    pub chain: String,
    /// The number of this change of trust.
    pub trust_seq: i64,
}

impl std::fmt::Debug for ClaimLeaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClaimLeaf").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Pki {
    /// Makes the organization's authority of claims when it has none that lives long enough, and says whether it did. The root's key must be here.
    pub async fn ensure_claim_authority(&self, actor: &Actor) -> Result<bool, Error> {
        let now = self.clock.now();
        let lives =
            authorities::active(&self.authorities.load(), &actor.org, Kind::ClaimAuthority).is_ok_and(|a| a.not_after > now.plus(AHEAD));
        if lives {
            return Ok(false);
        }
        let made = signed_ahead!(self, Box::pin(self.claim_authority_at_once(actor)).await)?;
        self.reload().await?;
        self.introduce().await;
        Ok(made)
    }

    /// Whether it was made; of two who make one at once the second finds the first's.
    async fn claim_authority_at_once(&self, actor: &Actor) -> Result<bool, Error> {
        let mut tx = self.db.write().await?;
        let alone = self.alone(&mut tx, actor, &Deed::ClaimAuthority).await?;
        let done = self.claim_authority_in(&mut tx, actor).await?;
        tx.commit().await?;
        if done.made.is_some() {
            alone.done();
        }
        Ok(done.made.is_some())
    }

    pub(super) async fn claim_authority_in(&self, tx: &mut Tx, actor: &Actor) -> Result<Done, Error> {
        self.time_is_right()?;
        let now = self.clock.now();
        let all = self.authorities.load_full();
        let root = authorities::active(&all, &actor.org, Kind::Root)?;
        root.signer().map_err(|e| {
            let waits = |a: &&Arc<Authority>| a.org == actor.org && a.kind == Kind::ClaimAuthority && a.state == AuthorityState::Staged;
            match all.iter().find(waits) {
                Some(staged) if matches!(e, Error::RootOffline) => Error::ClaimsStaged(staged.id.clone()),
                _ => e.wanted_for(AuthorityUse::Claim),
            }
        })?;
        // Of two who make one at once the second waits here.
        store::next_trust(tx).await?;
        let kind = Kind::ClaimAuthority.as_str();
        let active = |a: &Arc<Authority>| a.org == actor.org && a.kind == Kind::ClaimAuthority && a.state == AuthorityState::Active;
        if !all.iter().any(active) && store::in_state(tx, &actor.org, kind, AuthorityState::Active).await? > 0 {
            return Ok(Done::default());
        }
        let (name, number) = names::next(tx, &actor.org, (&root.slug, Kind::ClaimAuthority), Some(&root.name())).await?;
        let forge = self.forge();
        let new = forge.blank(Kind::ClaimAuthority, &root.slug, (&name, number), now);
        let product = self.made(tx, &actor.org, Plan::Issuing { new, by: By(Arc::clone(root)) }).await?;
        let made = product.first()?;
        store::retire_active(tx, &actor.org, kind).await?;
        forge.insert(tx, actor, made, AuthorityState::Active, now).await?;
        Ok(Done { made: Some(made.id.clone()), ..Done::default() })
    }

    /// Signs a claim's certificate inside the caller's transaction. After the commit call [`Pki::reload`]; [`Error::ToSign`] as with
    /// certificates for devices.
    pub async fn issue_claim(&self, tx: &mut Tx, new: NewClaimLeaf<'_>) -> Result<ClaimLeaf, Error> {
        let all = self.authorities.load_full();
        let issuer = authorities::active(&all, new.org, Kind::ClaimAuthority)?;
        let trust_seq = store::next_trust(tx).await?;
        let subject = Subject::claim(&issuer.slug, new.claim);
        if new.csr.key_origin == KeyOrigin::Device {
            self.may_have_key(tx, new.org, new.csr).await?;
        }
        let order = Order {
            issuer,
            key: SubjectPublicKeyInfo::from_der(&new.csr.spki).map_err(|_| CsrError::WeakKey("its encoding is not supported"))?,
            kind: Kind::Claim,
            key_origin: new.csr.key_origin,
            device: None,
            subject: &subject,
            shown: new.claim.as_str(),
            key_alg: new.csr.key_alg.to_string(),
            csr_sha256: &new.csr.csr_sha256,
            enrolled_by: new.enrolled_by,
            replaces: None,
            trust_seq,
            life: None,
            until: Some(new.until),
            profile: "",
            origin: new.origin,
        };
        let leaf = self.issue_one(tx, order).await?;
        let chain = crate::pem::encode("CERTIFICATE", &leaf.der) + &self.chains(&BTreeSet::from([issuer.id.clone()]));
        Ok(ClaimLeaf { id: leaf.id, chain, trust_seq })
    }

    /// A claim's certificate and those above it but the root, PEM.
    pub(crate) async fn claim_chain(&self, on: &mut impl Conn, org: &OrgId, id: &CertificateId) -> Result<String, Error> {
        let (issuer, der) = store::signed_of(on, id, org).await?.ok_or(Error::NotFound)?;
        let issuer: AuthorityId = issuer.parse().map_err(crate::db::Error::corrupt)?;
        Ok(crate::pem::encode("CERTIFICATE", &der) + &self.chains(&BTreeSet::from([issuer])))
    }

    /// Revokes a claim's certificate inside the caller's transaction, for lists of revoked certificates; gives the number of this change of trust.
    /// After the commit call [`Pki::reload`].
    pub async fn revoke_claim(&self, tx: &mut Tx, actor: &Actor, id: &CertificateId) -> Result<i64, Error> {
        let seq = store::next_trust(tx).await?;
        let how = RevocationReason::CessationOfOperation.into();
        if store::revoke(tx, id, &actor.org, self.clock.now(), &actor.label(), &how, seq).await? {
            let told = self.for_journal(tx, id).await?;
            self.journal_all(told.as_slice()).await;
        }
        Ok(seq)
    }
}
