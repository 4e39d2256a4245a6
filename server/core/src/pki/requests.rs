//! Keys of issuing authorities that are made here while their certificates are made where the root's key is (K-5): the request, and its end.
//! Refuses to know what comes back: `import.rs` judges it.

use super::{
    Error, Pki,
    ahead::signed_ahead,
    authorities::{self, Asking, Plan},
    generations, names,
    profile::{self, Kind, Subject},
    store,
};
use crate::{
    access::{Act, Actor, allowed, audit, may},
    db::Tx,
};
use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa};
use serde_json::json;
use wire::{
    Timestamp,
    ids::AuthorityId,
    pki::AuthorityUse,
    roots::{AuthorityRequest, NewAuthorityRequest},
    states::{AuthorityState, KeyPlace},
};

/// What is said to whoever asks a request for a root.
const NO_ROOT: &str = "A root has no request: it signs itself. Make requests for device and server, sign them with your root, and bring its certificate along.";

impl Pki {
    /// Makes the key of the next authority for this use and the request for its certificate; the same request again while one is open, unless a fresh
    /// one is wanted.
    pub async fn request_authority(&self, actor: &Actor, new: NewAuthorityRequest) -> Result<AuthorityRequest, Error> {
        may(actor, Act::Authorities)?;
        let kind = generations::kind(new.kind);
        if kind == Kind::Root {
            return Err(Error::AuthorityState(NO_ROOT));
        }
        signed_ahead!(self, Box::pin(self.request_at_once(actor, new, kind)).await)
    }

    async fn request_at_once(&self, actor: &Actor, new: NewAuthorityRequest, kind: Kind) -> Result<AuthorityRequest, Error> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Of two who ask at once the second waits here and then finds the first one's.
        store::next_trust(&mut tx).await?;
        let open = store::requests(&mut tx, &actor.org).await?.into_iter().find(|r| r.kind == kind.as_str());
        if let Some(open) = open {
            if !new.fresh {
                return shown(open);
            }
            self.withdraw_in(&mut tx, actor, &open).await?;
        }
        let all = self.authorities.load_full();
        let root = authorities::active(&all, &actor.org, Kind::Root)?;
        // Under a root that is staged already, or under the one that follows the active one.
        let above = match all.iter().find(|a| a.org == actor.org && a.kind == Kind::Root && a.state == AuthorityState::Staged) {
            Some(staged) if new.own_root => staged.name(),
            None if new.own_root => format!("G{}", store::generation(&mut tx, &actor.org, Kind::Root.as_str()).await? + 1),
            _ => root.name(),
        };
        let (name, generation) = names::next(&mut tx, &actor.org, (&root.slug, kind), Some(&above)).await?;
        let new = self.forge().blank(kind, &root.slug, (&name, generation), now);
        let (line, by) = (new.subject.line(), actor.label());
        let product = self.made(&mut tx, &actor.org, Plan::Request { new }).await?;
        let Asking { id, spki_sha256, sealed, csr } = product.asked()?;
        let row = store::NewRequest {
            id,
            org: &actor.org,
            kind: kind.as_str(),
            generation,
            subject: &line,
            spki_sha256,
            sealed_key: sealed.as_deref(),
            token: self.token.as_ref().filter(|_| sealed.is_none()).map_or("", |token| token.label()),
            csr,
            by: &by,
            now,
        };
        store::insert_request(&mut tx, &row).await?;
        let detail = json!({ "kind": kind.as_str(), "subject": line, "spki_sha256": hex::encode(spki_sha256) });
        audit::append(&mut tx, actor, now, "authority.request", id.as_str(), &detail).await?;
        let made = store::requests(&mut tx, &actor.org).await?.into_iter().find(|r| r.id == id.as_str()).ok_or(Error::NoSuchRequest)?;
        tx.commit().await?;
        shown(made)
    }

    /// Keys that wait for their certificate.
    pub async fn authority_requests(&self, actor: &Actor) -> Result<Vec<AuthorityRequest>, Error> {
        may(actor, Act::Authorities)?;
        store::requests(&mut self.db.read().await?, &actor.org).await?.into_iter().map(shown).collect()
    }

    /// The same for a page: nothing for those who may not.
    pub(super) async fn requests_for(&self, actor: &Actor) -> Result<Vec<AuthorityRequest>, Error> {
        if allowed(actor, Act::Authorities) { self.authority_requests(actor).await } else { Ok(Vec::new()) }
    }

    /// Gives a request up; its key is forgotten, so that no certificate for it can be brought back.
    pub async fn withdraw_authority_request(&self, actor: &Actor, id: &AuthorityId) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        let mut tx = self.db.write().await?;
        let open = store::requests(&mut tx, &actor.org).await?.into_iter().find(|r| r.id == id.as_str()).ok_or(Error::NoSuchRequest)?;
        self.withdraw_in(&mut tx, actor, &open).await?;
        Ok(tx.commit().await?)
    }

    async fn withdraw_in(&self, tx: &mut Tx, actor: &Actor, open: &store::RequestRecord) -> Result<(), Error> {
        let id: AuthorityId = open.id.parse().map_err(crate::db::Error::corrupt)?;
        if !store::end_request(tx, &id, &actor.org, WITHDRAWN).await? {
            return Err(Error::NoSuchRequest);
        }
        if open.sealed_key.is_none() {
            self.give_up_key(tx, &actor.org, &id, (&open.token, &open.subject)).await?;
        }
        let detail = json!({ "subject": open.subject });
        Ok(audit::append(tx, actor, self.clock.now(), "authority.withdraw_request", id.as_str(), &detail).await?)
    }
}

const WITHDRAWN: &str = "withdrawn";

/// What a request says of itself, for signers that take it from there (`openssl x509 -copy_extensions copy`); ours takes the key and the name.
pub(super) fn proposal(kind: Kind, subject: &Subject) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, subject.organization.as_str());
    name.push(DnType::CommonName, subject.common_name.as_str());
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
    params.extended_key_usages = profile::Kind::usages(kind);
    params
}

fn shown(r: store::RequestRecord) -> Result<AuthorityRequest, Error> {
    Ok(AuthorityRequest {
        id: r.id.parse().map_err(crate::db::Error::corrupt)?,
        kind: purpose(&r.kind)?,
        subject: r.subject,
        public_key_sha256: hex::encode(&r.spki_sha256),
        key: if r.sealed_key.is_some() { KeyPlace::Here } else { KeyPlace::Token },
        csr: crate::pem::encode("CERTIFICATE REQUEST", &r.csr),
        created_by: r.created_by,
        created_at: Timestamp(r.created_at),
    })
}

fn purpose(kind: &str) -> Result<AuthorityUse, Error> {
    Ok(match kind {
        "device" => AuthorityUse::Device,
        "server" => AuthorityUse::Server,
        "claim" => AuthorityUse::Claim,
        other => return Err(crate::db::Error::corrupt(format!("authority request kind {other:?}")).into()),
    })
}
