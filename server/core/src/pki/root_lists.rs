//! Lists of revoked certificates of a root whose key is kept elsewhere: what the next one has to say, and the one that comes back signed. Refuses
//! to publish one that is older than another, or that lacks something.

use super::{
    Error, Pki,
    admission::Unfit,
    authorities::Authority,
    crl::{CrlEntry, PublishedCrl},
    csr::sha256,
    der,
    profile::{DAY, Kind},
    store,
};
use crate::access::{Act, Actor, audit, may};
use rustls_pki_types::{CertificateRevocationListDer, pem::PemObject as _};
use serde_json::json;
use std::{collections::HashSet, sync::Arc};
use wire::{
    Timestamp,
    ids::AuthorityId,
    roots::{ListEntry, ListRequest, ListStanding},
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::ParsedExtension,
    prelude::FromDer as _,
    revocation_list::{CertificateRevocationList, RevokedCertificate},
};

/// Largest list.
const MAX: usize = 1024 * 1024;
/// The longest that a list of a root of ours holds, and one of an operator's own root.
const LONGEST: i64 = 31 * DAY;
const LONGEST_OF_OWN: i64 = 400 * DAY;
/// A list may be this far ahead of our clock.
const AHEAD: i64 = 5 * 60_000;

fn unfit<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Unfit(text.into()).into())
}

impl Pki {
    fn keyless_root(&self, actor: &Actor, id: &AuthorityId) -> Result<Arc<Authority>, Error> {
        let all = self.authorities.load();
        let found = all.iter().find(|a| a.id == *id && a.org == actor.org).ok_or(Error::NoSuchAuthority)?;
        match found.kind {
            Kind::Root if found.is_offline() => Ok(Arc::clone(found)),
            Kind::Root => Err(Error::AuthorityState("This root's key is here: its lists are published without you.")),
            _ => Err(Error::AuthorityState("This authority is not a root: its lists are published without you.")),
        }
    }

    /// What the next list of a root without a key here must say.
    pub async fn list_request(&self, actor: &Actor, id: &AuthorityId) -> Result<ListRequest, Error> {
        may(actor, Act::Authorities)?;
        let root = self.keyless_root(actor, id)?;
        let mut on = self.db.read().await?;
        let (before, last) = store::crl_before(&mut on, id).await?;
        let entries = store::ended_under(&mut on, id, last).await?;
        let entries = entries.iter().map(CrlEntry::ended).map(|e| ListEntry { serial: hex::encode(&e.serial), reason: e.reason, at: e.at });
        Ok(ListRequest {
            authority: id.clone(),
            subject: root.subject.clone(),
            fingerprint: hex::encode(root.fingerprint),
            number: (before + 1).max(self.clock.now().0 / 1000),
            entries: entries.collect(),
        })
    }

    /// Publishes a list that was signed where the root's key is; PEM or DER.
    pub async fn import_list(&self, actor: &Actor, id: &AuthorityId, input: &[u8]) -> Result<ListStanding, Error> {
        may(actor, Act::Authorities)?;
        let root = self.keyless_root(actor, id)?;
        let der = decode(input)?;
        let (_, parsed) =
            CertificateRevocationList::from_der(&der).map_err(|_| Unfit("This is no list of revoked certificates.".to_owned()))?;
        let now = self.clock.now();
        let (number, until) = judge(&root, &parsed, now)?;
        let made = Timestamp(parsed.last_update().timestamp().saturating_mul(1000));

        let mut tx = self.db.write().await?;
        let (before, last) = store::crl_before(&mut tx, id).await?;
        if number <= before {
            return unfit(format!(
                "The list's number is {number}, and one with the number {before} is published: numbers only grow (R-7)."
            ));
        }
        // The trust clock first: every change up to it can be seen by the statement after it. It moves, so that other processes look.
        let seq = store::next_trust(&mut tx).await?;
        let has: HashSet<&[u8]> = parsed.iter_revoked_certificates().map(RevokedCertificate::raw_serial).collect();
        if store::ended_under(&mut tx, id, last).await?.iter().any(|(serial, ..)| !has.contains(serial.as_slice())) {
            return unfit("The list lacks an authority that has ended. Make a new request (fleetward ca crl request) and sign that one.");
        }
        let list = store::CrlRecord { number, this_update: made.0, next_update: until.0, trust_seq: seq, der: der.clone() };
        if !store::put_crl(&mut tx, id, &actor.org, &list, before).await? {
            return unfit("Another list was published at the same moment. Make a new request.");
        }
        let detail =
            json!({ "number": number, "entries": has.len(), "until": until, "sha256": hex::encode(sha256(&list.der)), "imported": true });
        audit::append(&mut tx, actor, now, "crl.publish", id.as_str(), &detail).await?;
        let published = PublishedCrl::of(list);
        self.journal_list(&actor.org, id, &published).await;
        tx.commit().await?;
        self.hold(id, published);
        self.list_standing(id).ok_or(Error::NoSuchAuthority)
    }

    /// The list that is served now.
    pub(super) fn list_standing(&self, id: &AuthorityId) -> Option<ListStanding> {
        self.crl(id).map(|l| ListStanding { number: l.number, this_update: l.this_update, next_update: l.next_update })
    }
}

fn decode(input: &[u8]) -> Result<Vec<u8>, Error> {
    if input.len() > MAX {
        return unfit("The list is larger than 1 MiB.");
    }
    let der = if input.first() == Some(&0x30) {
        input.to_vec()
    } else {
        let read = CertificateRevocationListDer::from_pem_slice(input);
        read.map_err(|_| Unfit("This is no list in PEM (-----BEGIN X509 CRL-----) or DER.".to_owned()))?.to_vec()
    };
    der::strict(&der).map_err(|e| Unfit(format!("The list is malformed: {e}.")))?;
    Ok(der)
}

/// Number and end of a list, if it is the root's and holds now.
fn judge(root: &Authority, list: &CertificateRevocationList<'_>, now: Timestamp) -> Result<(i64, Timestamp), Error> {
    let unreadable = || crate::db::Error::corrupt("a root's certificate");
    let (_, certificate) = X509Certificate::from_der(&root.der).map_err(|_| unreadable())?;
    if list.issuer().as_raw() != certificate.subject().as_raw() || list.verify_signature(certificate.public_key()).is_err() {
        return unfit(format!("The list is not signed by {}.", root.subject));
    }
    let mut number = None;
    for e in list.extensions() {
        match e.parsed_extension() {
            ParsedExtension::CRLNumber(n) => number = i64::try_from(n.clone()).ok(),
            ParsedExtension::AuthorityKeyIdentifier(id) if id.key_identifier.as_ref().is_some_and(|k| k.0 == root.ski) => {}
            ParsedExtension::AuthorityKeyIdentifier(_) => return unfit("The list's authority key identifier is another key's (P-9)."),
            // A list with a narrower scope is not the whole one.
            _ if e.critical => return unfit(format!("The list has a critical extension that is not taken here: {}.", e.oid)),
            _ => {}
        }
    }
    let Some(number) = number.filter(|n| *n > 0) else { return unfit("The list has no number (R-7).") };
    let at = |t: x509_parser::time::ASN1Time| Timestamp(t.timestamp().saturating_mul(1000));
    let from = at(list.last_update());
    let Some(until) = list.next_update().map(at) else { return unfit("The list does not say until when it holds (nextUpdate).") };
    if from.0 > now.0 + AHEAD {
        return unfit(format!("The list holds from {from} only; is the clock where it was signed right?"));
    }
    let longest = if root.imported { LONGEST_OF_OWN } else { LONGEST };
    if until <= now || until.since(from) > longest {
        return unfit(format!("The list holds until {until}; it has to hold now, and for {} days at most (R-7).", longest / DAY));
    }
    Ok((number, until))
}
