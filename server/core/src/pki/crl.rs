//! Lists of revoked certificates (R-7, RFC 5280 §5): one full list an authority, numbered so that it never goes back, kept in the database and
//! served from memory. Refuses to know how it is served.

use super::{
    Error, Pki,
    authorities::Authority,
    csr::sha256,
    guard::GuardedKey,
    profile::{HOUR, Kind, Publication, instant, second},
    statuses::Revocation,
    store, turns,
};
use crate::access::{Actor, audit};
use bytes::Bytes;
use parking_lot::RwLock;
use rcgen::{
    CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint, Issuer, KeyIdMethod, RevocationReason,
    RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use serde_json::json;
use std::{collections::HashMap, sync::Arc};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    pki::common_name,
    states::AuthorityState,
};

/// How often a list is made while other instances publish theirs.
const ATTEMPTS: usize = 8;

/// Most entries of a list that everybody fetches in whole. Above it the next authority signs what comes, and that is on a list of its own.
const LONG: usize = 50_000;

/// For how long a list claims to hold. Half of it later the next one is published.
const fn life(kind: Kind) -> i64 {
    match kind {
        Kind::Root => 30 * 24 * HOUR,
        _ => 24 * HOUR,
    }
}

/// A list as it is served.
#[derive(Debug, Clone)]
pub struct PublishedCrl {
    /// DER.
    pub der: Bytes,
    /// SHA-256 of it in hex: the same list has the same tag.
    pub tag: String,
    /// Its number.
    pub number: i64,
    /// When it was made.
    pub this_update: Timestamp,
    /// Until when it holds.
    pub next_update: Timestamp,
    /// When the next one is published at the latest.
    pub next_issue: Timestamp,
    trust_seq: i64,
}

impl PublishedCrl {
    pub(super) fn of(list: store::CrlRecord) -> Self {
        let (this_update, next_update) = (Timestamp(list.this_update), Timestamp(list.next_update));
        Self {
            tag: hex::encode(sha256(&list.der)),
            der: list.der.into(),
            number: list.number,
            this_update,
            next_update,
            next_issue: this_update.plus(next_update.since(this_update) / 2),
            trust_seq: list.trust_seq,
        }
    }
}

/// An authority whose list has become too long.
pub(crate) struct LongList {
    pub(crate) authority: AuthorityId,
    pub(crate) name: String,
    pub(crate) entries: usize,
    /// Whether the next one is there already and only has to take over.
    pub(crate) staged: bool,
}

/// The newest list of every authority.
pub(super) type Published = RwLock<HashMap<AuthorityId, Arc<PublishedCrl>>>;

impl Pki {
    /// The authority's list; none when there is no such authority, or nothing was published yet. A look into memory.
    pub fn crl(&self, authority: &AuthorityId) -> Option<Arc<PublishedCrl>> {
        self.published.read().get(authority).cloned()
    }

    /// The organization's authorities that issue and whose lists are so long that the next one ought to issue. A look into memory.
    pub(crate) fn long_lists(&self, org: &OrgId) -> Vec<LongList> {
        self.lists_above(LONG, org)
    }

    /// The same of lists with more entries than these.
    pub(super) fn lists_above(&self, most: usize, org: &OrgId) -> Vec<LongList> {
        let all = self.authorities.load();
        let own = |a: &&Arc<Authority>| a.org == *org && a.kind != Kind::Root;
        let staged = |kind: Kind| all.iter().filter(own).any(|a| a.kind == kind && a.state == AuthorityState::Staged);
        let long = |a: &Arc<Authority>| {
            let entries = self.statuses.listed(&a.id);
            (entries > most).then(|| {
                let (authority, name) = (a.id.clone(), common_name(&a.subject).to_owned());
                LongList { authority, name, entries, staged: staged(a.kind) }
            })
        };
        all.iter().filter(own).filter(|a| a.state == AuthorityState::Active).filter_map(long).collect()
    }

    /// The authority's certificate (RFC 5280 §4.2.2.1, `caIssuers`). A look into memory.
    pub fn authority_certificate(&self, authority: &AuthorityId) -> Option<CertificateDer<'static>> {
        self.authorities.load().iter().find(|a| a.id == *authority).map(|a| a.der.clone())
    }

    /// Publishes every list that is due: there is none, half its life is over, or a revocation is not in it. Any instance may do it.
    pub async fn publish_due(&self) -> Result<(), Error> {
        self.take_published().await?;
        let all = self.authorities.load_full();
        let mut failed = None;
        for authority in all.iter().filter(|a| self.is_due(a)) {
            // One authority's trouble is not another's.
            if let Err(error) = self.publish_list(authority).await {
                tracing::error!(authority = %authority.id, %error, "a list of revoked certificates could not be published");
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether a revocation is known that is in no published list.
    pub(super) fn crl_outdated(&self) -> bool {
        self.authorities
            .load()
            .iter()
            .any(|a| publishes(a, self.clock.now()) && self.published.read().get(&a.id).is_some_and(|held| self.lags(a, held)))
    }

    /// Whether an authority has no list yet, or nobody who answers for it: what it issues could not be asked about.
    pub(super) fn unpublished(&self) -> bool {
        let now = self.clock.now();
        let all = self.authorities.load();
        let published = self.published.read();
        all.iter().any(|a| (publishes(a, now) && !published.contains_key(&a.id)) || self.unanswered(a))
    }

    /// Publishes what a new authority lacks, where this process serves, so that its first certificate can be asked about. What fails is
    /// tried again by [`Pki::work`].
    pub(super) async fn introduce(&self) {
        if self.server_identity().is_some()
            && self.unpublished()
            && let Err(error) = Box::pin(self.publish()).await
        {
            tracing::warn!(%error, "a new authority has no list or OCSP signer yet; it is tried again");
        }
    }

    fn is_due(&self, authority: &Authority) -> bool {
        let now = self.clock.now();
        publishes(authority, now)
            && self.published.read().get(&authority.id).is_none_or(|held| {
                // A backup may have been put back: the list of the time before could be older than one that others have seen (K-7).
                now >= held.next_issue || held.this_update.0 < self.opened_at.0 || self.lags(authority, held)
            })
    }

    pub(super) fn lags(&self, authority: &Authority, held: &PublishedCrl) -> bool {
        let all = self.authorities.load();
        let bundles = self.bundles.load();
        let signed = |a: &Authority| {
            let crossed = || bundles.crosses.iter().any(|c| c.subject == a.id && c.issuer == authority.id);
            a.id != authority.id && (a.issuer_id == authority.id || crossed())
        };
        let mut ended = all.iter().filter(|a| signed(a)).filter_map(|a| a.ended_seq);
        self.statuses.revoked_seq(&authority.id) > held.trust_seq || ended.any(|seq| seq > held.trust_seq)
    }

    /// Lists that another instance has published, or this one before it was started again.
    pub(super) async fn take_published(&self) -> Result<(), Error> {
        let mut on = self.db.read().await?;
        for (id, number) in store::crls(&mut on).await? {
            let id: AuthorityId = id.parse().map_err(crate::db::Error::corrupt)?;
            if self.crl(&id).is_none_or(|held| held.number < number)
                && let Some(list) = store::crl(&mut on, &id).await?
            {
                self.hold(&id, PublishedCrl::of(list));
            }
        }
        Ok(())
    }

    pub(super) fn hold(&self, authority: &AuthorityId, crl: PublishedCrl) {
        let mut published = self.published.write();
        if published.get(authority).is_none_or(|held| held.number < crl.number) {
            published.insert(authority.clone(), Arc::new(crl));
        }
    }

    /// Publishes the authority's list anew. Reading, building and signing hold nobody up: the list is put in the place of the one it was made
    /// after, and made again when another instance's is there by then.
    pub(super) async fn publish_list(&self, authority: &Arc<Authority>) -> Result<(), Error> {
        // One of a wrong time would not be followed until then.
        self.time_is_right()?;
        for _ in 0..ATTEMPTS {
            if self.publish_after_the_last(authority).await? {
                return Ok(());
            }
        }
        Err(Error::Build("other instances publish faster".to_owned()))
    }

    async fn publish_after_the_last(&self, authority: &Arc<Authority>) -> Result<bool, Error> {
        let now = second(self.clock.now());
        let until = now.plus(life(authority.kind));
        let mut on = self.db.read().await?;
        let (before, last) = store::crl_before(&mut on, &authority.id).await?;
        // At least the seconds since 1970, so that it goes on after a backup was restored.
        let number = (before + 1).max(now.0 / 1000);
        // The trust clock first: every change up to it can be seen by the statements after it.
        let seq = store::trust_seq(&mut on).await?;
        let revoked = store::revoked(&mut on, &authority.id, last).await?;
        let ended = store::ended_under(&mut on, &authority.id, last).await?;
        drop(on);
        let count = revoked.len() + ended.len();
        let signer = Arc::clone(authority);
        let make = move || sign(&signer, (now, until), number, &revoked, &ended);
        let der = if authority.signs_slowly() {
            // Whoever waits for a list follows trust meanwhile, or ought to: a token that hangs must not keep them.
            self.turns.take(turns::LONGEST, make).await.unwrap_or(Err(Error::TokenLate))?
        } else {
            tokio::task::spawn_blocking(make).await.map_err(|e| Error::Build(e.to_string()))??
        };

        let mut tx = self.db.write().await?;
        let list = store::CrlRecord { number, this_update: now.0, next_update: until.0, trust_seq: seq, der };
        if !store::put_crl(&mut tx, &authority.id, &authority.org, &list, before).await? {
            return Ok(false);
        }
        let detail = json!({ "number": number, "entries": count, "until": until, "sha256": hex::encode(sha256(&list.der)) });
        audit::append(&mut tx, &Actor::system(authority.org.clone()), self.clock.now(), "crl.publish", authority.id.as_str(), &detail)
            .await?;
        tx.commit().await?;
        tracing::info!(authority = %authority.id, number, entries = count, "list of revoked certificates published");
        self.hold(&authority.id, PublishedCrl::of(list));
        Ok(true)
    }
}

/// The list as it is signed, DER.
fn sign(
    authority: &Authority,
    (now, until): (Timestamp, Timestamp),
    number: i64,
    revoked: &[store::RevokedRecord],
    ended: &[(Vec<u8>, String, i64)],
) -> Result<Vec<u8>, Error> {
    let of = |r: &store::RevokedRecord| {
        let revocation = Revocation::of(&r.reason, r.revoked_at);
        CrlEntry { serial: r.serial.clone(), reason: revocation.reason, at: revocation.at, invalid_since: r.invalidity_date.map(Timestamp) }
    };
    let entries: Vec<_> = revoked.iter().map(of).chain(ended.iter().map(CrlEntry::ended)).collect();
    // Without one for the root: it is in none of its own certificate, and a client that checks that one too would find another list's scope.
    let at = authority.publication().filter(|_| authority.kind != Kind::Root);
    encode(authority.signer()?, authority.ski.clone(), at, (now, until), number, &entries)
}

/// What a list says of one certificate.
pub(super) struct CrlEntry {
    pub serial: Vec<u8>,
    /// `CRLReason`.
    pub reason: u8,
    pub at: Timestamp,
    /// `InvalidityDate` (RFC 5280 §5.3.2).
    pub invalid_since: Option<Timestamp>,
}

impl CrlEntry {
    /// Of an authority that has ended before its time.
    pub fn ended((serial, state, at): &(Vec<u8>, String, i64)) -> Self {
        let reason = if state == AuthorityState::Compromised.as_str() { CA_COMPROMISE } else { SUPERSEDED };
        Self { serial: serial.clone(), reason, at: Timestamp(*at), invalid_since: None }
    }
}

/// A list with these entries, DER.
pub(super) fn encode(
    signer: &Issuer<'static, GuardedKey>,
    ski: Vec<u8>,
    at: Option<Publication<'_>>,
    (now, until): (Timestamp, Timestamp),
    number: i64,
    entries: &[CrlEntry],
) -> Result<Vec<u8>, Error> {
    let params = CertificateRevocationListParams {
        this_update: instant(now)?,
        next_update: instant(until)?,
        crl_number: SerialNumber::from_slice(&number.to_be_bytes()),
        issuing_distribution_point: at
            .map(|at| CrlIssuingDistributionPoint { distribution_point: CrlDistributionPoint { uris: vec![at.crl()] }, scope: None }),
        revoked_certs: entries.iter().map(entry).collect::<Result<_, _>>()?,
        // The builder would make one of its own (P-9).
        key_identifier_method: KeyIdMethod::PreSpecified(ski),
    };
    Ok(params.signed_by(signer)?.der().to_vec())
}

// CRLReason, RFC 5280 §5.3.1.
const CA_COMPROMISE: u8 = 2;
const SUPERSEDED: u8 = 4;

/// Whether anybody can still ask for the authority's list. Who is given up as compromised says nothing any more.
fn publishes(authority: &Authority, now: Timestamp) -> bool {
    authority.state != AuthorityState::Compromised && now < authority.not_after && authority.signer().is_ok()
}

fn entry(e: &CrlEntry) -> Result<RevokedCertParams, Error> {
    Ok(RevokedCertParams {
        serial_number: SerialNumber::from_slice(&e.serial),
        revocation_time: instant(e.at)?,
        reason_code: match e.reason {
            1 => Some(RevocationReason::KeyCompromise),
            CA_COMPROMISE => Some(RevocationReason::CaCompromise),
            3 => Some(RevocationReason::AffiliationChanged),
            SUPERSEDED => Some(RevocationReason::Superseded),
            5 => Some(RevocationReason::CessationOfOperation),
            9 => Some(RevocationReason::PrivilegeWithdrawn),
            // Unspecified is left out (RFC 5280 §5.3.1).
            _ => None,
        },
        invalidity_date: e.invalid_since.map(instant).transpose()?,
    })
}
