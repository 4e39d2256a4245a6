//! How the memory of trust follows the database: by the trust clock every change is read once, and what was issued here counts at once. Refuses to
//! judge anybody.

use super::{
    super::{
        Error,
        authorities::{Authorities, Authority},
        issue::Issued,
        peer::{Anchors, Claimant, DevicePeer, Fingerprint},
        profile::{self, Kind},
        registered::{RegisteredAnchor, signed},
        store,
    },
    Claim, Issuer, Leaf, TrustHandle,
    renewals::Ordered,
};
use crate::db::Db;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::time::Instant;
use wire::{
    Timestamp,
    ids::DeviceId,
    states::{AuthorityState, CertificateState, DeviceState},
};

impl TrustHandle {
    /// Lets a certificate in that was issued here and committed a moment ago, without waiting for [`TrustHandle::reload`]. What the database
    /// has said about it since then stands.
    pub(in crate::pki) fn admit(&self, issued: &Issued) {
        let leaf = Leaf {
            peer: issued.peer(),
            uri: issued.uri.clone(),
            issuer: issued.issuer.clone(),
            state: CertificateState::Active,
            device_state: DeviceState::Active,
            not_before: issued.validity.from,
            ends: issued.validity.until,
            signed: None,
            used: AtomicBool::new(false),
            suspected: AtomicBool::new(false),
            anchored: AtomicU64::new(0),
            ordered: None,
        };
        // A new certificate changes nothing for the connections there are, so nobody is woken.
        self.0.leaves.write().entry(leaf.peer.fingerprint).or_insert_with(|| Arc::new(leaf));
    }

    /// Takes over the authorities.
    pub(in crate::pki) fn set_authorities(&self, all: &Authorities, registered: Vec<Arc<RegisteredAnchor>>) {
        let of = |kind| all.iter().filter(move |a| a.kind == kind);
        let trusted = |kind| of(kind).filter(|a| a.trusted()).map(|a| a.der.clone()).collect::<Vec<_>>();
        let issuer = |a: &Arc<Authority>| {
            let said = Issuer {
                trusted: a.trusted(),
                retiring: a.state == AuthorityState::Retiring,
                registered: false,
                not_before: a.not_before,
                not_after: a.not_after,
            };
            (a.id.clone(), said)
        };
        let foreign = registered.iter().map(|a| {
            let said = Issuer { trusted: a.active, retiring: false, registered: true, not_before: a.not_before, not_after: a.not_after };
            (a.id.clone(), said)
        });
        *self.0.issuers.write() = of(Kind::DeviceAuthority).chain(of(Kind::ClaimAuthority)).map(issuer).chain(foreign).collect();
        let (certificates, claims) = (trusted(Kind::DeviceAuthority), trusted(Kind::ClaimAuthority));
        let before = self.0.anchors.load();
        if before.certificates != certificates || before.claims != claims || before.registered != registered {
            self.0.anchors.store(Arc::new(Anchors { version: before.version + 1, certificates, claims, registered }));
            self.changed();
        }
    }

    /// Takes over what changed in the database since the last time, and notes which devices are to be told of an order to renew. Idempotent; calls queue up.
    pub(in crate::pki) async fn reload(&self, db: &Db, trust_domain: &str) -> Result<(), Error> {
        let mut seq = self.0.seq.lock().await;
        let mut on = db.read().await?;
        // Changes are numbered in the order their transactions end, so every row up to this number can be seen by the next statement.
        let latest = store::trust_seq(&mut on).await?;
        if latest > *seq {
            let records = store::leaves(&mut on, *seq, self.0.clock.now().plus(-profile::BACKDATE)).await?;
            let claims = store::claims(&mut on, *seq).await?;
            drop(on);
            for record in claims {
                let (fingerprint, claim) = claim(record)?;
                self.0.claims.write().insert(fingerprint, claim);
            }
            let changed = records.into_iter().map(|r| leaf(r, trust_domain)).collect::<Result<Vec<_>, Error>>()?;
            let mut tighter = false;
            let mut leaves = self.0.leaves.write();
            for leaf in changed {
                self.note_order(leaves.get(&leaf.peer.fingerprint).map(Arc::as_ref), &leaf);
                if let Some(before) = leaves.get(&leaf.peer.fingerprint) {
                    leaf.used.fetch_or(before.used.load(Ordering::Relaxed), Ordering::Relaxed);
                    if leaf.says_what(before) {
                        leaf.anchored.store(before.anchored.load(Ordering::Relaxed), Ordering::Relaxed);
                    }
                    // What was issued here comes back as it is known.
                    tighter |= !leaf.stands_like(before);
                }
                leaves.insert(leaf.peer.fingerprint, Arc::new(leaf));
            }
            drop(leaves);
            *seq = latest;
            if tighter {
                self.changed();
            }
        }
        *self.0.heard.write() = Instant::now();
        Ok(())
    }

    /// The database was heard, and had nothing new.
    pub(in crate::pki) fn heard(&self) {
        *self.0.heard.write() = Instant::now();
    }

    /// From now on a worker keeps this up to date, and silence means trouble.
    pub(in crate::pki) fn follow(&self) {
        *self.0.heard.write() = Instant::now();
        self.0.followed.store(true, Ordering::Relaxed);
    }

    /// Forgets certificates whose own end is more than an hour past; webpki refuses them before we are asked. A superseded one stays until
    /// then: forgotten, it would look like the work of a stolen authority key.
    pub(in crate::pki) fn forget_ended(&self) {
        let limit = self.0.clock.now().plus(-profile::BACKDATE);
        self.0.leaves.write().retain(|_, leaf| leaf.ends > limit);
        self.0.claims.write().retain(|_, claim| claim.expires_at > limit);
    }

    fn changed(&self) {
        self.0.changes.send_modify(|n| *n = n.wrapping_add(1));
    }
}

impl Leaf {
    /// Whether both rows say of the certificate's own bytes the same. A row that was changed has to fit them again.
    fn says_what(&self, other: &Self) -> bool {
        (&self.uri, &self.peer.device_id, &self.issuer, self.not_before, self.ends)
            == (&other.uri, &other.peer.device_id, &other.issuer, other.not_before, other.ends)
    }

    /// Whether the judgement of a connection is the same by both, as far as this certificate goes.
    fn stands_like(&self, other: &Self) -> bool {
        (self.state, self.device_state, self.peer.not_after) == (other.state, other.device_state, other.peer.not_after)
    }
}

fn claim(r: store::ClaimRecord) -> Result<(Fingerprint, Claim), Error> {
    let fingerprint = r.fingerprint.try_into().map_err(|_| crate::db::Error::corrupt("fingerprint"))?;
    let who =
        Claimant { org: r.org_id.parse().map_err(crate::db::Error::corrupt)?, claim: r.id.parse().map_err(crate::db::Error::corrupt)? };
    let issuer = r.issuer_id.parse().map_err(crate::db::Error::corrupt)?;
    Ok((fingerprint, Claim { who, issuer, disabled: r.disabled_at.is_some(), expires_at: Timestamp(r.expires_at) }))
}

fn leaf(r: store::LeafRecord, trust_domain: &str) -> Result<Leaf, Error> {
    let device_id: DeviceId = r.device_id.parse().map_err(crate::db::Error::corrupt)?;
    Ok(Leaf {
        uri: profile::device_uri(trust_domain, &r.slug, &device_id),
        issuer: r.issuer_id.parse().map_err(crate::db::Error::corrupt)?,
        state: r.state.parse().map_err(crate::db::Error::corrupt)?,
        device_state: r.device_state.parse().map_err(crate::db::Error::corrupt)?,
        not_before: Timestamp(r.not_before),
        ends: Timestamp(r.not_after),
        signed: r.foreign_der.as_deref().and_then(signed),
        used: AtomicBool::new(r.used != 0),
        suspected: AtomicBool::new(false),
        anchored: AtomicU64::new(0),
        // An instance that knows no spread orders without saying when.
        ordered: r.renew_ordered_at.map(|at| Ordered { at: Timestamp(at), due: Timestamp(r.renew_due_at.unwrap_or(at)) }),
        peer: DevicePeer {
            org: r.org_id.parse().map_err(crate::db::Error::corrupt)?,
            device: r.device,
            device_id,
            certificate: r.id.parse().map_err(crate::db::Error::corrupt)?,
            fingerprint: r.fingerprint.try_into().map_err(|_| crate::db::Error::corrupt("fingerprint"))?,
            not_after: Timestamp(r.usable_until),
        },
    })
}
