//! Signatures made ahead (E-2), and whole authorities the same way (`ahead/authorities.rs`). A token may take its time, and a transaction that waits for it
//! would keep every other writer waiting. So a transaction that lacks such a signature is undone, whole; the serial number is reserved (P-2), the token signs
//! while no transaction is open, and the same is done anew and finds the certificate here. Everything that decides whether there may be one is asked again in
//! that last transaction, which books all or nothing: until then there is a reservation, and nobody sees anything else.
//!
//! Owns what is signed and not booked; refuses to know who may have it. What a process takes with it when it ends was given to nobody; its reservation is
//! dropped, with a word in the books.

mod authorities;
mod dropping;

pub(super) use authorities::{MadeAhead, Making};

use super::{
    Error, Pki,
    authorities::Authority,
    profile::{self, Kind, Subject, Validity},
    sign::{DRAWS, Leaf, Unsigned},
    store, turns,
};
use crate::{
    access::{Actor, audit},
    db::Bytes,
};
use parking_lot::Mutex;
use rcgen::SubjectPublicKeyInfo;
use serde_json::json;
use std::{collections::HashSet, sync::Arc};
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId},
};

/// How often one attempt is done anew. After the first time only somebody who changed what was decided about makes it necessary.
pub(crate) const TRIES: u32 = 3;
/// How long a certificate may wait to be booked, in milliseconds: as long as who asked for it comes again.
const FRESH: i64 = 2 * 60_000;
/// How long a reservation waits for its certificate: nobody books one that old any more.
const KEPT: i64 = 15 * 60_000;

/// `signed_ahead!(pki, attempt)` is what the attempt comes to: done anew each time that it was undone for want of signatures, once those are made. The
/// attempt begins and ends its own transaction, and changes nothing outside it before the commit.
macro_rules! signed_ahead {
    ($pki:expr, $attempt:expr) => {{
        let mut left = $crate::pki::TRIES;
        loop {
            let outcome = $attempt;
            match outcome {
                Err(refusal) if left > 0 => match $crate::pki::Undone::wanting(refusal) {
                    Ok(wanting) => {
                        left -= 1;
                        $pki.sign_ahead(wanting).await?;
                    }
                    Err(refusal) => break Err(refusal),
                },
                outcome => break outcome,
            }
        }
    }};
}

pub(crate) use signed_ahead;

/// A refusal that may be for want of signatures.
pub(crate) trait Undone: Sized {
    /// What was wanting; the refusal itself where it is about something else.
    fn wanting(self) -> Result<ToSign, Self>;
}

impl Undone for Error {
    fn wanting(self) -> Result<ToSign, Self> {
        match self {
            Self::ToSign(wanting) => Ok(*wanting),
            other => Err(other),
        }
    }
}

/// What has to be signed before a transaction can go on.
pub struct ToSign(pub(super) Lack);

/// The same by what it is.
pub(super) enum Lack {
    Leaves(Vec<Lacking>),
    Authorities(Box<Making>),
}

impl std::fmt::Debug for ToSign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Lack::Leaves(lacking) => f.debug_list().entries(lacking.iter().map(|one| &one.wanted)).finish(),
            Lack::Authorities(making) => f.debug_list().entries(making.plan.names()).finish(),
        }
    }
}

/// What a certificate says beside its serial number and its times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub issuer: AuthorityId,
    pub kind: Kind,
    pub subject: Subject,
    pub spki_sha256: [u8; 32],
    /// What its times were made of.
    pub life: Option<i64>,
    pub until: Option<Timestamp>,
}

/// One that has to be signed.
pub(super) struct Lacking {
    pub wanted: Wanted,
    pub id: CertificateId,
    pub shown: String,
    pub validity: Validity,
    pub key: SubjectPublicKeyInfo,
    pub issuer: Arc<Authority>,
}

/// The same with a serial number.
struct Reserved {
    wanted: Wanted,
    unsigned: Unsigned,
}

impl Lacking {
    fn row<'a>(&'a self, serial: &'a [u8; 20], now: Timestamp) -> store::ReservedSerial<'a> {
        store::ReservedSerial {
            id: self.id.as_str(),
            org: self.issuer.org.as_str(),
            issuer: self.issuer.id.as_str(),
            serial: Bytes(serial),
            subject: &self.shown,
            spki_sha256: Bytes(&self.wanted.spki_sha256),
            reserved_at: now.0,
        }
    }

    fn with(self, serial: [u8; 20]) -> Result<Reserved, Error> {
        let (kind, subject) = (self.wanted.kind, &self.wanted.subject);
        let params = profile::parameters(kind, subject, serial, self.validity, self.issuer.publication())?;
        let unsigned = Unsigned { id: self.id, serial, validity: self.validity, params, key: self.key, issuer: self.issuer };
        Ok(Reserved { wanted: self.wanted, unsigned })
    }
}

struct Signed {
    wanted: Wanted,
    leaf: Leaf,
    at: Timestamp,
}

impl Signed {
    fn is_fresh(&self, now: Timestamp) -> bool {
        (0..FRESH).contains(&now.since(self.at))
    }
}

/// What was not signed, and why.
struct Unmade {
    why: Error,
    ids: Vec<CertificateId>,
}

/// Certificates that are signed and not booked.
#[derive(Default)]
pub(super) struct Ahead(Mutex<Vec<Signed>>);

impl Ahead {
    /// One that says this, the newest.
    pub fn find(&self, wanted: &Wanted, now: Timestamp) -> Option<Leaf> {
        self.0.lock().iter().rev().find(|signed| signed.is_fresh(now) && signed.wanted == *wanted).map(|signed| signed.leaf.clone())
    }

    /// It is booked, or can't be any more.
    pub fn forget(&self, id: &CertificateId) {
        self.0.lock().retain(|signed| signed.leaf.id != *id);
    }

    fn keep(&self, wanted: Wanted, leaf: Leaf, now: Timestamp) {
        let mut all = self.0.lock();
        // By their age alone: two that were reserved at about the same time may be signed in the other order.
        all.retain(|signed| now.since(signed.at) < FRESH);
        all.push(Signed { wanted, leaf, at: now });
    }

    /// Has them signed, and keeps each as soon as it is: whoever asked may have given up by then, and comes again.
    fn sign(&self, reserved: Vec<Reserved>, now: Timestamp) -> Result<(), Box<Unmade>> {
        let mut left = reserved.into_iter();
        while let Some(Reserved { wanted, unsigned }) = left.next() {
            let id = unsigned.id.clone();
            match unsigned.sign() {
                Ok(leaf) => self.keep(wanted, leaf, now),
                // What does not sign one signs none, and may take long to say so.
                Err(why) => {
                    let ids = std::iter::once(id).chain(left.map(|one| one.unsigned.id)).collect();
                    return Err(Box::new(Unmade { why, ids }));
                }
            }
        }
        Ok(())
    }
}

impl Pki {
    /// Has this made and signed, while no transaction is open. Afterwards what lacked it is done anew.
    pub(crate) async fn sign_ahead(&self, lacking: ToSign) -> Result<(), Error> {
        if self.turns.hang() {
            return Err(Error::TokenLate);
        }
        match lacking.0 {
            Lack::Leaves(lacking) => self.sign_leaves_ahead(lacking).await,
            Lack::Authorities(making) => self.make_ahead(*making).await,
        }
    }

    /// Reserves serial numbers for these and has them signed.
    async fn sign_leaves_ahead(&self, lacking: Vec<Lacking>) -> Result<(), Error> {
        // Nothing is written down for a token that is not asked.
        if lacking.iter().any(|one| one.issuer.on_token()) && self.token.as_ref().is_some_and(|token| token.refusal().is_some()) {
            return Err(Error::TokenLate);
        }
        let now = self.clock.now();
        let reserved = self.reserve_ahead(lacking, now).await?;
        let ahead = Arc::clone(&self.ahead);
        match self.turns.take(turns::LONGEST, move || ahead.sign(reserved, now)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(unmade)) => {
                let Unmade { why, ids } = *unmade;
                // Nobody has signed for these numbers, so there is nothing to tell of them.
                if let Err(error) = self.take_back(&ids).await {
                    tracing::debug!(%error, "reserved serial numbers stay until they are dropped");
                }
                Err(why)
            }
            // It may sign yet. Its reservations stay, for whoever comes again, or until they are dropped.
            Err(turns::Late) => Err(Error::TokenLate),
        }
    }

    /// Draws serial numbers until each is its own, and writes them down (P-2).
    async fn reserve_ahead(&self, lacking: Vec<Lacking>, now: Timestamp) -> Result<Vec<Reserved>, Error> {
        let mut tx = self.db.write().await?;
        let mut open = lacking;
        let mut reserved = Vec::with_capacity(open.len());
        for _ in 0..DRAWS {
            let drawn: Vec<([u8; 20], Lacking)> = open.into_iter().map(|one| (profile::serial(self.entropy.bytes()), one)).collect();
            let rows: Vec<_> = drawn.iter().map(|(serial, one)| one.row(serial, now)).collect();
            let free: HashSet<String> = store::reserve_serials(&mut tx, &rows).await?.into_iter().map(|(id,)| id).collect();
            drop(rows);
            let (own, others): (Vec<_>, Vec<_>) = drawn.into_iter().partition(|(_, one)| free.contains(one.id.as_str()));
            for (serial, one) in own {
                reserved.push(one.with(serial)?);
            }
            open = others.into_iter().map(|(_, one)| one).collect();
            if open.is_empty() {
                tx.commit().await?;
                return Ok(reserved);
            }
        }
        Err(Error::Serial)
    }

    async fn take_back(&self, ids: &[CertificateId]) -> Result<(), crate::db::Error> {
        let mut tx = self.db.write().await?;
        store::take_serials(&mut tx, &ids.iter().collect::<Vec<_>>()).await?;
        tx.commit().await
    }

    /// Drops reservations that nobody came back for, each with a word in the books: its number may have been signed for, and that certificate was given
    /// to nobody (K-8).
    pub(super) async fn drop_reserved(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let before = now.plus(-KEPT);
        if store::old_serials(&mut self.db.read().await?, before).await? == 0 {
            return Ok(());
        }
        let mut tx = self.db.write().await?;
        let dropped = store::drop_serials(&mut tx, before).await?;
        let mut actors = Vec::with_capacity(dropped.len());
        for one in &dropped {
            actors.push(Actor::system(one.org_id.parse().map_err(crate::db::Error::corrupt)?));
        }
        let deeds = dropped.iter().zip(&actors).map(|(one, actor)| audit::Deed {
            actor,
            action: "certificate.abandon",
            object: one.issuer_id.as_str(),
            detail: json!({
                "certificate": one.id,
                "subject": one.subject,
                "serial": hex::encode(&one.serial),
                "spki_sha256": hex::encode(&one.spki_sha256),
                "reserved_at": Timestamp(one.reserved_at),
            }),
        });
        audit::append_all(&mut tx, now, &deeds.collect::<Vec<_>>()).await?;
        tx.commit().await?;
        tracing::warn!(serials = dropped.len(), "serial numbers were reserved for certificates that came to nothing");
        Ok(())
    }
}
