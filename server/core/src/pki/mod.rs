//! The certificate authority: authorities and their keys, certificates for devices and listeners, renewal, revocation, the memory that
//! handshakes ask, and what others are told: lists of revoked certificates and OCSP answers.
//!
//! Owns X.509 and every private key of the server. Refuses to know who may enrol (the `devices` room decides) and sockets (the listeners ask
//! [`TrustHandle`]). The rules are in the project's PKI contract and cited by id (`P-3`, `E-4`, `H-5` …).

mod admission;
mod aftermath;
mod ahead;
mod alarms;
pub(crate) mod assignments;
mod authorities;
mod blocked;
mod bundle;
mod claims;
mod consent;
mod consents;
mod crl;
mod cross;
pub mod csr;
mod decode;
pub(crate) mod der;
mod duties;
mod error;
pub mod est;
mod exchange;
mod fault;
mod following;
mod founding;
mod generations;
mod given;
mod guard;
mod import;
mod issue;
mod journal;
mod jump;
pub(crate) mod keyring;
mod keys;
mod listener;
mod made;
mod names;
mod needs;
mod ocsp;
pub mod offline;
mod peer;
mod pending;
mod profile;
mod profiles;
mod read;
mod recall;
mod recognise;
mod recovery;
pub mod registered;
mod renew;
mod renewals;
mod requests;
mod responder;
mod revoke;
mod rollover;
mod root_file;
mod root_lists;
mod roots;
mod rotation;
mod rules;
mod sign;
mod signer;
mod standing;
mod statuses;
#[cfg(any(test, feature = "testing"))]
mod stolen;
pub(crate) mod store;
mod suspicion;
mod timekeeping;
mod token;
mod trust;
mod turns;
mod worker;

#[cfg(test)]
mod tests;

pub use ahead::ToSign;
pub(crate) use ahead::{TRIES, Undone, signed_ahead};
pub use assignments::Assigned;
pub use claims::{ClaimLeaf, NewClaimLeaf};
pub use consent::ConsentError;
pub use crl::PublishedCrl;
pub use csr::Csr;
pub use error::Error;
pub use following::ToFollow;
pub use issue::{Issued, NewLeaf};
pub use keys::{Kek, KeyError};
pub use listener::ServerIdentity;
pub(crate) use made::ServerKey;
/// The reader behind [`Pki::ocsp`], for those who try it with bytes of their own: the fuzz target.
pub use ocsp::{CertId as OcspCertId, MOST as MOST_OCSP_CERTIFICATES, Request as OcspRequest, request as read_ocsp_request};
pub use peer::{Anchors, Claimant, DevicePeer, Fingerprint, Refusal};
pub use profile::Validity;
pub(crate) use recovery::Proven;
pub use registered::{Arrival, Between, Refused, RegisteredAnchor};
pub(crate) use renewals::DueRenewal;
pub use responder::OcspAnswer;
pub use root_file::{Lock, Passphrase, RootFile, RootFileError, Unlock};
pub use roots::{ExportedRoot, Holding};
pub use signer::NotSigning;
pub use suspicion::{Sign, Suspicion, apart};
pub use token::{TokenSettings, TokenTrouble};
pub use trust::TrustHandle;

use crate::{access::attacks::Attacks, bus::Bus, clock::Clock, db::Db, entropy::Entropy};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};
use wire::{
    ids::{AuthorityId, OrgId},
    roots::RootKey,
};

/// DER as text (RFC 7468) under this label.
pub fn pem(label: &str, der: &[u8]) -> String {
    crate::pem::encode(label, der)
}

/// The trust domain in a certificate that was issued to a device here (P-3); none when it names none.
pub(crate) fn trust_domain_of(der: &[u8]) -> Option<String> {
    let names = decode::decode(der)?.alternatives;
    let (domain, _) = names.iter().find_map(|name| name.strip_prefix("spiffe://"))?.split_once('/')?;
    Some(domain.to_owned())
}

/// What the room has to be told.
#[derive(Debug, Clone)]
pub struct PkiSettings {
    /// The host part of the identities inside certificates (P-3). A fleet has one for good: opening it with another one is refused.
    pub trust_domain: String,
    /// DNS names and addresses devices reach our listeners by.
    pub device_hostnames: Vec<String>,
    /// `http://…` under which CRLs and authorities are published; frozen into new authorities (P-10). Without it certificates name none.
    pub crl_base_url: Option<String>,
    /// The file in which revocations are kept beside the database (K-7); without it a backup put back forgets those that came after it.
    pub journal: Option<PathBuf>,
    /// The PKCS#11 token on which authorities' keys are made (K-4); without it they are sealed in the database.
    pub token: Option<TokenSettings>,
    /// The key of a root that is made here, on the first start or as the next one (P-1).
    pub root_key: RootKey,
    /// Whether a renewal by EST must repeat the certificate's names octet by octet (E-16), as RFC 7030 §4.2.2 has it.
    pub strict_reenrol: bool,
    /// Whether keys are made for devices that can't make their own (E-8).
    pub server_keygen: bool,
    /// Whether registered authorities' lists are fetched from private and loopback addresses, too.
    pub private_lists: bool,
}

#[cfg(any(test, feature = "testing"))]
impl PkiSettings {
    /// Names for tests: everything listens on the loopback.
    pub fn for_tests() -> Self {
        let device_hostnames = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        Self {
            trust_domain: "fleet.test".to_owned(),
            device_hostnames,
            crl_base_url: None,
            journal: None,
            token: None,
            root_key: RootKey::P256,
            strict_reenrol: false,
            server_keygen: false,
            private_lists: false,
        }
    }
}

/// The room's façade.
pub struct Pki {
    db: Db,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bus: Bus,
    kek: Kek,
    trust_domain: String,
    hostnames: Vec<String>,
    base_url: String,
    root_key: RootKey,
    strict_reenrol: bool,
    server_keygen: bool,
    private_lists: bool,
    authorities: ArcSwap<authorities::Authorities>,
    bundles: ArcSwap<bundle::Bundles>,
    lives: following::Lives,
    holders: bundle::KeptHolders,
    left_behind: aftermath::LeftBehind,
    reloading: tokio::sync::Mutex<()>,
    identity: ArcSwapOption<ServerIdentity>,
    trust: TrustHandle,
    attacks: Attacks,
    statuses: statuses::Statuses,
    published: crl::Published,
    responder: responder::Responder,
    first_uses: tokio::sync::Mutex<trust::FirstUses>,
    suspicions: tokio::sync::Mutex<trust::Suspicions>,
    arrivals: tokio::sync::Mutex<registered::Waiting>,
    lists_wanted: tokio::sync::Notify,
    list_fetches: registered::FetchFigures,
    journal: Option<journal::Journal>,
    journal_behind: AtomicBool,
    token: Option<Arc<token::Token>>,
    turns: turns::Turns,
    ahead: Arc<ahead::Ahead>,
    made_ahead: Arc<ahead::MadeAhead>,
    watch: jump::Watch,
    /// When this room was opened. A list from before may come from a backup, and others may have seen a newer one.
    opened_at: wire::Timestamp,
}

impl Pki {
    /// The room over an open store, ready to issue and to be asked. First start: makes the organization's authorities. Every start: opens and
    /// tests their keys and takes certificates into memory. Fails when a key does not open or does not fit (K-2).
    pub async fn open(
        db: Db,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        bus: Bus,
        kek: Kek,
        settings: PkiSettings,
        org: &OrgId,
    ) -> Result<Self, Error> {
        let attacks = Attacks::new(db.clone(), clock.clone(), org.clone());
        let (trust, first_uses, suspicions, arrivals) = TrustHandle::new(clock.clone(), attacks.clone());
        let opened_at = clock.now();
        let pki = Self {
            db,
            watch: timekeeping::watch(&*clock),
            clock,
            entropy,
            bus,
            kek,
            trust_domain: settings.trust_domain,
            hostnames: settings.device_hostnames,
            base_url: settings.crl_base_url.unwrap_or_default().trim_end_matches('/').to_owned(),
            root_key: settings.root_key,
            strict_reenrol: settings.strict_reenrol,
            server_keygen: settings.server_keygen,
            private_lists: settings.private_lists,
            authorities: ArcSwap::default(),
            bundles: ArcSwap::default(),
            lives: following::Lives::default(),
            holders: bundle::KeptHolders::default(),
            left_behind: aftermath::LeftBehind::default(),
            reloading: tokio::sync::Mutex::default(),
            identity: ArcSwapOption::empty(),
            trust,
            attacks,
            statuses: statuses::Statuses::default(),
            published: crl::Published::default(),
            responder: responder::Responder::default(),
            first_uses: tokio::sync::Mutex::new(first_uses),
            suspicions: tokio::sync::Mutex::new(suspicions),
            arrivals: tokio::sync::Mutex::new(arrivals),
            lists_wanted: tokio::sync::Notify::new(),
            list_fetches: registered::FetchFigures::default(),
            journal: settings.journal.as_deref().map(journal::Journal::open).transpose()?,
            journal_behind: AtomicBool::new(false),
            token: settings.token.as_ref().map(token::Token::open).transpose()?,
            turns: turns::Turns::default(),
            ahead: Arc::default(),
            made_ahead: Arc::default(),
            opened_at,
        };
        // Before anybody is believed: what a backup has forgotten is revoked again.
        pki.agree_with_journal().await?;
        pki.ensure_authorities(org).await?;
        Ok(pki)
    }

    /// Makes the organization's root, device and server authority when it has none. Idempotent, also on several instances at once.
    pub async fn ensure_authorities(&self, org: &OrgId) -> Result<(), Error> {
        // Before the first bundle, which has it.
        self.ensure_assignment_key(org).await?;
        self.ensure_first_trust(org).await?;
        self.ensure_bundle(org).await?;
        self.reload().await
    }

    /// Reads authorities and changed certificates again; connections that are no longer allowed learn of it at once.
    pub async fn reload(&self) -> Result<(), Error> {
        self.reload_anew(&[], authorities::Found::new()).await
    }

    /// The same; these authorities are opened as on a start, with those of their keys that were found. The token is asked for the others, while trust waits.
    async fn reload_anew(&self, anew: &[AuthorityId], found: authorities::Found) -> Result<(), Error> {
        {
            // One after the other: what was read before a change must not be stored after it.
            let _turn = self.reloading.lock().await;
            let known: authorities::Authorities = self.authorities.load().iter().filter(|a| !anew.contains(&a.id)).cloned().collect();
            let mut forge = self.forge();
            if self.turns.hang() {
                // Who is believed must not wait for it: `look_at_token` looks for keys once it answers.
                forge.token = None;
            }
            let all = forge.open(&known, found).await?;
            self.bundles.store(Arc::new(bundle::Bundles::read(&self.db).await?));
            let registered = registered::anchors::read(&mut self.db.read().await?, &self.trust.device_anchors().registered).await?;
            self.trust.set_authorities(&all, registered);
            self.authorities.store(Arc::new(all));
        }
        self.trust.reload(&self.db, &self.trust_domain).await?;
        // Also of orders that were given elsewhere.
        self.tell_due();
        self.statuses.reload(&self.db, &*self.clock).await
    }

    /// The next sign of a clone; none when the process ends. One listens at a time.
    pub(crate) async fn next_suspicion(&self) -> Option<Suspicion> {
        self.suspicions.lock().await.recv().await
    }

    /// Whether this installation makes keys for devices (E-8).
    pub const fn makes_keys(&self) -> bool {
        self.server_keygen
    }

    /// Whether authorities' keys are on a token (K-4), whose signatures may take their time.
    pub(crate) const fn signs_by_token(&self) -> bool {
        self.token.is_some()
    }

    /// The host part of the identities in devices' certificates (P-3).
    pub(crate) fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Where signs of attack are told.
    pub const fn attacks(&self) -> &Attacks {
        &self.attacks
    }

    /// What the listeners ask.
    pub fn trust(&self) -> TrustHandle {
        self.trust.clone()
    }

    fn forge(&self) -> authorities::Forge {
        authorities::Forge {
            db: self.db.clone(),
            kek: self.kek.clone(),
            entropy: Arc::clone(&self.entropy),
            base_url: self.base_url.clone(),
            token: self.token.clone(),
            root_key: self.root_key,
        }
    }
}
