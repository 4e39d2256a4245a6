//! Certificates that come back from where a root's key is (K-5): judged, then staged. An operator's own root may come along; it has no key here
//! . Refuses to believe anything that was not asked for by a request, or that no root of ours vouches for.

use super::{
    Error, Pki,
    admission::{Read, Unfit},
    ahead::signed_ahead,
    authorities::{Authority, By, Drawn, MadeCross, Plan},
    bundle,
    consents::Alone,
    csr::sha256,
    generations,
    journal::Entry,
    names,
    profile::{self, Kind},
    registered, rollover, store,
};
use crate::{
    access::{Act, Actor, audit, may},
    db::Tx,
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;
use std::sync::Arc;
use wire::{
    consents::Deed,
    ids::AuthorityId,
    pki::AuthorityUse,
    roots::Imported,
    states::AuthorityState::{Active, Retiring, Staged},
};

/// Most certificates in a file, and most bytes of it.
const MOST: usize = 4;
const MAX: usize = 64 * 1024;

/// What is staged under a root: the root, and whether it is new here.
struct Above {
    id: AuthorityId,
    new: bool,
}

impl Pki {
    /// Brings a certificate back: for a request's key, it is staged, with its root if that is not known here yet; for a root's key, signed by another
    /// root, it is what leads from that one to this one. PEM.
    pub async fn import_authority(&self, actor: &Actor, pem: &str) -> Result<Imported, Error> {
        may(actor, Act::Authorities)?;
        let ders = certificates(pem)?;
        let all = ders.iter().map(Read::of).collect::<Result<Vec<_>, Unfit>>()?;
        signed_ahead!(self, Box::pin(self.import_at_once(actor, &all)).await)
    }

    async fn import_at_once(&self, actor: &Actor, all: &[Read<'_>]) -> Result<Imported, Error> {
        self.time_is_right()?;
        let mut tx = self.db.write().await?;
        // Every other change waits.
        store::next_trust(&mut tx).await?;
        let requests = store::requests(&mut tx, &actor.org).await?;
        let spki = |r: &Read<'_>| sha256(r.parsed.public_key().raw);
        let found = all.iter().find_map(|c| requests.iter().find(|r| r.spki_sha256 == spki(c)).map(|r| (c, r)));
        // What comes in is believed from then on, as what is staged is: where two people decide, one is not enough (K-6).
        let alone = self.alone(&mut tx, actor, &Deed::Stage { kind: self.brings(actor, found)? }).await?;
        if let Some((certificate, request)) = found {
            return self.import_issuing((tx, alone), actor, certificate, request, all).await;
        }
        self.import_cross((tx, alone), actor, all).await
    }

    /// What a certificate brings: the authority that was asked for, or a root as well where none that is known here has signed it. What leads from one root to
    /// another is about roots.
    fn brings(&self, actor: &Actor, found: Option<(&Read<'_>, &store::RequestRecord)>) -> Result<AuthorityUse, Error> {
        let Some((certificate, request)) = found else { return Ok(AuthorityUse::Root) };
        let known = self.authorities.load_full();
        for root in known.iter().filter(|a| a.org == actor.org && a.kind == Kind::Root) {
            if certificate.signed_by(&Read::of(&root.der)?) {
                return Ok(asked_for(request));
            }
        }
        Ok(AuthorityUse::Root)
    }

    async fn import_issuing(
        &self,
        (mut tx, alone): (Tx, Alone),
        actor: &Actor,
        certificate: &Read<'_>,
        request: &store::RequestRecord,
        all: &[Read<'_>],
    ) -> Result<Imported, Error> {
        let now = self.clock.now();
        let kind = generations::kind(asked_for(request));
        let known = self.authorities.load_full();
        let roots: Vec<&Arc<Authority>> = known.iter().filter(|a| a.org == actor.org && a.kind == Kind::Root).collect();
        let ours = roots.iter().map(|a| Read::of(&a.der).map(|read| (*a, read))).collect::<Result<Vec<_>, Unfit>>()?;
        let above = if let Some((root, read)) = ours.iter().find(|(_, read)| certificate.signed_by(read)) {
            certificate.issuing(kind, read, now)?;
            self.under_known(&mut tx, actor, root, kind).await?
        } else {
            let brought = all.iter().find(|c| c.signs_itself() && certificate.signed_by(c));
            let Some(root) = brought else {
                return Err(Unfit(format!(
                    "{} is signed by {}, which is no root here. Bring that root's certificate along, in the same file.",
                    certificate.subject,
                    super::decode::escaped(&certificate.parsed.issuer().to_string())
                ))
                .into());
            };
            root.root(now)?;
            certificate.issuing(kind, root, now)?;
            self.unique(root)?;
            self.stage_brought_root(&mut tx, actor, root).await?
        };
        self.unique(certificate)?;
        let id: AuthorityId = request.id.parse().map_err(crate::db::Error::corrupt)?;
        let row = Brought { id: &id, kind, generation: request.generation, issuer: &above.id, sealed: request.sealed_key.as_deref() };
        self.insert_brought(&mut tx, actor, certificate, &row).await?;
        if !store::end_request(&mut tx, &id, &actor.org, "imported").await? {
            return Err(Error::NoSuchRequest);
        }
        bundle::raise(&mut tx, actor, now).await?;
        tx.commit().await?;
        alone.done();
        self.trust_changed().await?;
        let root = if above.new { Some(self.authority_row(actor, &above.id)?) } else { None };
        Ok(Imported { authority: self.authority_row(actor, &id)?, root, cross: false })
    }

    /// Whether the next authority of this kind may be staged under a root that is known here.
    async fn under_known(&self, tx: &mut Tx, actor: &Actor, root: &Authority, kind: Kind) -> Result<Above, Error> {
        match root.state {
            Active | Staged => {}
            Retiring => return Err(Error::AuthorityState("Its root is retiring. Sign the request with the root that has taken over.")),
            _ => return Err(Error::AuthorityState("Its root is not believed any more. Sign the request with the active root.")),
        }
        if store::in_state(tx, &actor.org, kind.as_str(), Staged).await? > 0 {
            return Err(Error::AuthorityState("There is a staged authority for this use already. Activate or retire it first."));
        }
        Ok(Above { id: root.id.clone(), new: false })
    }

    /// Stages an operator's own root: no other change of authorities may be under way. The active root vouches for it, if its key is here.
    async fn stage_brought_root(&self, tx: &mut Tx, actor: &Actor, root: &Read<'_>) -> Result<Above, Error> {
        let mut in_the_way = store::in_state(tx, &actor.org, Kind::Root.as_str(), Retiring).await?;
        for kind in [Kind::Root, Kind::DeviceAuthority, Kind::ServerAuthority, Kind::ClaimAuthority] {
            in_the_way += store::in_state(tx, &actor.org, kind.as_str(), Staged).await?;
        }
        if in_the_way > 0 {
            return Err(Error::AuthorityState(rollover::IN_THE_WAY));
        }
        let now = self.clock.now();
        let known = self.authorities.load_full();
        let old = super::authorities::active(&known, &actor.org, Kind::Root)?;
        let generation = store::generation(tx, &actor.org, Kind::Root.as_str()).await? + 1;
        let id: AuthorityId = self.entropy.id(now);
        let row = Brought { id: &id, kind: Kind::Root, generation, issuer: &id, sealed: None };
        self.insert_brought(tx, actor, root, &row).await?;
        // It may be called anything, but what is made under it begins with its number.
        let (organization, kind) = (old.slug.clone(), Kind::Root.as_str().to_owned());
        self.journal_named(&[Entry::Named { organization, kind, generation }]).await?;
        if old.has_key() {
            let (root, subject, until) = (root.der.clone(), root.subject.clone(), root.until());
            let plan = Plan::Cross { id: Drawn(id.clone()), root, subject, until, by: By(Arc::clone(old)) };
            for cross in &self.made(tx, &actor.org, plan).await?.crosses {
                // It may have been made for a try that was undone, which had drawn another id.
                self.insert_cross(tx, actor, &MadeCross { subject: id.clone(), ..cross.clone() }, now).await?;
            }
        }
        Ok(Above { id, new: true })
    }

    /// A certificate of one root of ours for another's key.
    async fn import_cross(&self, (mut tx, alone): (Tx, Alone), actor: &Actor, all: &[Read<'_>]) -> Result<Imported, Error> {
        let now = self.clock.now();
        let known = self.authorities.load_full();
        let roots = known.iter().filter(|a| a.org == actor.org && a.kind == Kind::Root && a.trusted());
        let ours = roots.map(|a| Read::of(&a.der).map(|read| (a, read))).collect::<Result<Vec<_>, Unfit>>()?;
        let same_key = |a: &Read<'_>, b: &Read<'_>| a.parsed.public_key().raw == b.parsed.public_key().raw;
        let found = all.iter().filter(|c| !c.signs_itself()).find_map(|c| {
            let subject = ours.iter().find(|(_, read)| same_key(c, read))?;
            let issuer = ours.iter().find(|(_, read)| c.signed_by(read))?;
            Some((c, subject, issuer))
        });
        let Some((certificate, (subject, of), (issuer, by))) = found else {
            return Err(Unfit(
                "None of the certificates is for a key that waits here, and none is a root's of ours signed by another of ours. Make a request \
                 first (fleetward ca csr), sign that one, and bring back what came of it."
                    .to_owned(),
            )
            .into());
        };
        certificate.cross(of, by, now)?;
        let made = MadeCross {
            subject: subject.id.clone(),
            issuer: issuer.id.clone(),
            serial: certificate.serial().to_vec(),
            der: certificate.der.clone(),
            until: certificate.until(),
        };
        self.insert_cross(&mut tx, actor, &made, now).await.map_err(taken)?;
        bundle::raise(&mut tx, actor, now).await?;
        tx.commit().await?;
        alone.done();
        self.trust_changed().await?;
        Ok(Imported { authority: self.authority_row(actor, &subject.id)?, root: None, cross: true })
    }

    /// Every key has a name of its own (P-7), and every certificate comes once.
    fn unique(&self, certificate: &Read<'_>) -> Result<(), Unfit> {
        let known = self.authorities.load();
        let name = certificate.parsed.subject().as_raw();
        let same = |a: &&Arc<Authority>| super::recognise::authority(&a.der).is_some_and(|(known, ..)| known == name);
        match known.iter().find(same) {
            Some(_) => Err(Unfit(format!(
                "There is an authority with the name {} already; every key needs a name of its own (P-7).",
                certificate.subject
            ))),
            None => Ok(()),
        }
    }

    async fn insert_brought(&self, tx: &mut Tx, actor: &Actor, c: &Read<'_>, b: &Brought<'_>) -> Result<(), Error> {
        let now = self.clock.now();
        if names::is_theirs(tx, &c.subject).await? {
            return Err(
                Unfit(format!("A registered authority has the name {}; every key needs a name of its own (P-7).", c.subject)).into()
            );
        }
        let (spki_sha256, fingerprint) = (sha256(c.parsed.public_key().raw), sha256(c.der));
        if let Some((whose, _)) = registered::store::key(tx, &actor.org, &spki_sha256).await? {
            let why = match whose.as_str() {
                "blocked" => Some("was blocked after a compromise; make a new one"),
                // It was made here and nobody else has it: an operator's word does not undo what admins began. That it is no other authority's the row sees to.
                "blocked_by_hand" if b.kind != Kind::Root => None,
                "blocked_by_hand" => Some("is blocked by hand; unblock it if it is in nobody else's hands, or make a new one"),
                _ => Some("is an authority's here already"),
            };
            if let Some(why) = why {
                return Err(Unfit(format!("The key of {} {why}.", c.subject)).into());
            }
        }
        let (key_alg, sig_alg) =
            (c.key_alg()?, super::decode::signature(&c.parsed.signature_algorithm.algorithm.to_id_string()).to_owned());
        let row = store::NewAuthority {
            id: b.id,
            org: &actor.org,
            kind: b.kind.as_str(),
            generation: b.generation,
            issuer: b.issuer,
            serial: c.serial(),
            subject: &c.subject,
            profile_version: profile::VERSION,
            ski: &c.ski,
            key_alg: &key_alg,
            sig_alg: &sig_alg,
            spki_sha256: &spki_sha256,
            fingerprint: &fingerprint,
            der: c.der,
            sealed_key: b.sealed,
            base_url: if b.kind == Kind::Root { "" } else { &self.base_url },
            not_before: c.since(),
            not_after: c.until(),
            state: Staged,
            now,
            imported: true,
        };
        store::insert_authority(tx, &row).await.map_err(|e| taken(e.into()))?;
        let detail = json!({ "kind": b.kind.as_str(), "subject": c.subject, "fingerprint": hex::encode(fingerprint), "issuer": b.issuer });
        Ok(audit::append(tx, actor, now, "authority.import", b.id.as_str(), &detail).await?)
    }
}

/// What the key of a request is for.
fn asked_for(request: &store::RequestRecord) -> AuthorityUse {
    match request.kind.as_str() {
        "device" => AuthorityUse::Device,
        "server" => AuthorityUse::Server,
        _ => AuthorityUse::Claim,
    }
}

/// An authority as it is written down.
struct Brought<'a> {
    id: &'a AuthorityId,
    kind: Kind,
    generation: i64,
    issuer: &'a AuthorityId,
    sealed: Option<&'a [u8]>,
}

/// Its serial number was given before, or it is here already.
fn taken(error: Error) -> Error {
    match error {
        Error::Db(e) if e.is_unique() => {
            Unfit("This certificate is here already, or its issuer has given its serial number before (P-2).".to_owned()).into()
        }
        other => other,
    }
}

/// The certificates of a file, at least one.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Unfit> {
    if pem.len() > MAX {
        return Err(Unfit("The file is larger than 64 KiB.".to_owned()));
    }
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).take(MOST + 1).collect();
    match all {
        Ok(all) if all.len() > MOST => {
            Err(Unfit(format!("The file has more than {MOST} certificates. Give the one that was signed and its root.")))
        }
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(Unfit("The file has no certificate in PEM (-----BEGIN CERTIFICATE-----).".to_owned())),
    }
}
