//! Who may connect, in memory: asked in every handshake and again after it, so it waits for nothing (H-3, H-4, H-5). Follows the database by
//! the trust clock: a change is read by every instance within seconds, and at once where it was made. Refuses to know sockets.

mod anchored;
mod follow;
mod renewals;
mod signs;
mod strangers;

pub(super) use strangers::Stranger;

use self::renewals::Ordered;
use super::{
    csr::sha256,
    peer::{Anchors, Claimant, DevicePeer, Fingerprint, Refusal},
    recognise,
    registered::{Arrival, Arrivals, Between, RegisteredAnchor, Signed, Waiting, signed},
    suspicion::Suspicion,
};
use crate::{access::attacks::Attacks, clock::Clock};
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use rustls_pki_types::CertificateDer;
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId},
    states::{CertificateState, DeviceState},
};

/// An instance that could not read the database for so long refuses new connections: it may have missed a revocation (H-6).
pub const STALE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone)]
struct Claim {
    who: Claimant,
    issuer: AuthorityId,
    disabled: bool,
    expires_at: Timestamp,
}

#[derive(Debug)]
struct Leaf {
    peer: DevicePeer,
    uri: String,
    issuer: AuthorityId,
    state: CertificateState,
    device_state: DeviceState,
    not_before: Timestamp,
    /// When the certificate itself ends; its usable time may end sooner, with its successor's first use.
    ends: Timestamp,
    /// Of a registered authority's: what that one's list would know it by.
    signed: Option<Signed>,
    used: AtomicBool,
    suspected: AtomicBool,
    /// The version of the anchors that its chain was last found to end in, its names being those of its row; 0 when it never was.
    anchored: AtomicU64,
    /// That its renewal was ordered.
    ordered: Option<Ordered>,
}

#[derive(Debug, Clone, Copy)]
struct Issuer {
    trusted: bool,
    /// Its leaves are to be renewed by another one.
    retiring: bool,
    /// Somebody else's (E-10).
    registered: bool,
    not_before: Timestamp,
    not_after: Timestamp,
}

struct Shared {
    clock: Arc<dyn Clock>,
    anchors: ArcSwap<Anchors>,
    issuers: RwLock<HashMap<AuthorityId, Issuer>>,
    leaves: RwLock<HashMap<Fingerprint, Arc<Leaf>>>,
    claims: RwLock<HashMap<Fingerprint, Claim>>,
    /// Whose devices are to be told that a renewal was ordered, and when.
    due: Mutex<renewals::Orders>,
    seq: tokio::sync::Mutex<i64>,
    heard: RwLock<Instant>,
    followed: AtomicBool,
    changes: watch::Sender<u64>,
    first_uses: tokio::sync::mpsc::UnboundedSender<CertificateId>,
    suspicions: tokio::sync::mpsc::Sender<Suspicion>,
    strangers: strangers::Strangers,
    attacks: Attacks,
    arrivals: Arrivals,
    turned_away: AtomicU64,
}

/// The handle the listeners hold. Cheap to clone; every method but `reload` is a look into memory.
#[derive(Clone)]
pub struct TrustHandle(Arc<Shared>);

impl std::fmt::Debug for TrustHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustHandle").field("leaves", &self.0.leaves.read().len()).finish_non_exhaustive()
    }
}

/// Certificates that were just used for the first time; the PKI's worker writes them down.
pub(super) type FirstUses = tokio::sync::mpsc::UnboundedReceiver<CertificateId>;

/// Signs of clones; the `devices` room's worker acts on them.
pub(super) type Suspicions = tokio::sync::mpsc::Receiver<Suspicion>;

/// Signs that may wait. Those that find no room are seen again with the next connection.
const SIGNS: usize = 256;

impl TrustHandle {
    pub(super) fn new(clock: Arc<dyn Clock>, attacks: Attacks) -> (Self, FirstUses, Suspicions, Waiting) {
        let (first_uses, receiver) = tokio::sync::mpsc::unbounded_channel();
        let (suspicions, signs) = tokio::sync::mpsc::channel(SIGNS);
        let (arrivals, waiting) = Arrivals::new();
        let shared = Shared {
            clock,
            anchors: ArcSwap::default(),
            issuers: RwLock::default(),
            leaves: RwLock::default(),
            claims: RwLock::default(),
            due: Mutex::default(),
            seq: tokio::sync::Mutex::new(0),
            heard: RwLock::new(Instant::now()),
            followed: AtomicBool::new(false),
            changes: watch::Sender::new(0),
            first_uses,
            suspicions,
            strangers: strangers::Strangers::default(),
            attacks,
            arrivals,
            turned_away: AtomicU64::new(0),
        };
        (Self(Arc::new(shared)), receiver, signs, waiting)
    }

    /// Whether a certificate, whose chain and signature have been checked already, may be used now, and whose it is.
    pub fn check(&self, leaf_der: &[u8]) -> Result<DevicePeer, Refusal> {
        self.checked(leaf_der).map(|leaf| leaf.peer.clone())
    }

    fn checked(&self, leaf_der: &[u8]) -> Result<Arc<Leaf>, Refusal> {
        let fingerprint = sha256(leaf_der);
        let Some(leaf) = self.leaf(&fingerprint) else {
            let arriving = self.0.arrivals.expected(&fingerprint).is_some();
            return Err(if arriving { Refusal::Arriving } else { self.0.strangers.see(fingerprint, leaf_der, self.0.clock.now()) });
        };
        self.judge(&leaf)?;
        if self.registered(&leaf.issuer) || leaf.anchored.load(Ordering::Relaxed) != 0 {
            // A registered authority's names are its own business; the row was found by every byte of it (P-3), and so were names that fitted before.
            return Ok(leaf);
        }
        let names = recognise::names(leaf_der).ok_or(Refusal::Names)?;
        if names.common_name != leaf.peer.device_id.as_str() || names.uri != leaf.uri {
            tracing::error!(certificate = %leaf.peer.certificate, "the names in a certificate are not those of its row");
            return Err(Refusal::Names);
        }
        Ok(leaf)
    }

    /// The same for a certificate whose chain has been checked to end in a registered authority (E-10). It speaks for devices of its own organization
    /// that are its own, and for no others. One that nobody knows is [`Refusal::Arriving`]: let it prove its key, and then say so by
    /// [`TrustHandle::arrived`].
    pub fn check_registered(&self, leaf_der: &[u8], anchor: &Arc<RegisteredAnchor>) -> Result<DevicePeer, Refusal> {
        let fingerprint = sha256(leaf_der);
        if let Some(leaf) = self.leaf(&fingerprint) {
            self.judge(&leaf)?;
            let own = leaf.issuer == anchor.id && leaf.peer.org == anchor.org;
            return if own { Ok(leaf.peer.clone()) } else { Err(Refusal::Authority) };
        }
        let now = self.0.clock.now();
        if !anchor.active {
            return Err(Refusal::Authority);
        }
        if !anchor.valid(now) {
            return Err(Refusal::Expired);
        }
        anchor.says(signed(leaf_der).as_ref(), now)?;
        if self.is_stale() {
            return Err(Refusal::Stale);
        }
        if self.0.arrivals.expect(fingerprint, anchor, now) {
            Err(Refusal::Arriving)
        } else {
            self.0.turned_away.fetch_add(1, Ordering::Relaxed);
            Err(Refusal::TurnedAway)
        }
    }

    /// The authority that a certificate's row names; none when nobody knows the certificate. Whatever else its chain may lead to, that one speaks for it.
    pub fn issuer(&self, leaf_der: &[u8]) -> Option<AuthorityId> {
        self.leaf(&sha256(leaf_der)).map(|leaf| leaf.issuer.clone())
    }

    /// Brings up a device of a registered authority that nobody knows, once it has proved its key, for a decision; waits for nothing.
    pub fn arrived(&self, leaf_der: &[u8], from: Option<IpAddr>) {
        let Some(anchor) = self.0.arrivals.expected(&sha256(leaf_der)) else { return };
        let arrival = Arrival { authority: anchor.id.clone(), org: anchor.org.clone(), leaf: leaf_der.to_vec(), from, unfit: None };
        self.bring(arrival);
    }

    /// Tells the owner of a registered authority of a certificate that it has signed and that was refused in the handshake: which one, and why. Whoever showed
    /// it has not proved its key. Waits for nothing.
    pub fn unfit(&self, leaf_der: &[u8], anchor: &RegisteredAnchor, why: &'static str, from: IpAddr) {
        let (authority, org) = (anchor.id.clone(), anchor.org.clone());
        self.bring(Arrival { authority, org, leaf: leaf_der.to_vec(), from: Some(from.to_canonical()), unfit: Some(why) });
    }

    fn bring(&self, arrival: Arrival) {
        if !self.0.arrivals.bring(arrival, self.0.clock.now()) {
            self.0.turned_away.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many unknown devices of registered authorities were refused since the start without a new decision.
    pub fn turned_away(&self) -> u64 {
        self.0.turned_away.load(Ordering::Relaxed)
    }

    /// What was decided about unknown devices of registered authorities is to be decided anew.
    pub(super) fn forget_arrivals(&self) {
        self.0.arrivals.forget();
    }

    /// The same for one that nobody could decide about.
    pub(crate) fn forget_arrival(&self, leaf: &[u8]) {
        self.0.arrivals.forget_one(leaf);
    }

    /// Whether this certificate is somebody else's authority's.
    pub(super) fn of_registered(&self, fingerprint: &Fingerprint) -> bool {
        self.leaf(fingerprint).is_some_and(|leaf| self.registered(&leaf.issuer))
    }

    /// Whether the issuer is somebody else's authority.
    pub(super) fn registered(&self, issuer: &AuthorityId) -> bool {
        self.0.issuers.read().get(issuer).is_some_and(|i| i.registered)
    }

    /// Whether a certificate is a claim's, and if so whether it may be used now. Asked on the enrol listener only; elsewhere a claim's chain ends
    /// nowhere. Whether it has uses left is asked when it is used.
    pub fn claim(&self, leaf_der: &[u8]) -> Option<Result<Claimant, Refusal>> {
        let claim = self.0.claims.read().get(&sha256(leaf_der)).cloned()?;
        let now = self.0.clock.now();
        let issuer = self.0.issuers.read().get(&claim.issuer).copied();
        Some(match issuer {
            _ if claim.disabled => Err(Refusal::Revoked),
            None | Some(Issuer { trusted: false, .. }) => Err(Refusal::Authority),
            Some(issuer) if now > claim.expires_at || now > issuer.not_after => Err(Refusal::Expired),
            Some(_) if self.is_stale() => Err(Refusal::Stale),
            Some(_) => Ok(claim.who),
        })
    }

    /// The same for a certificate that has been checked before: what a live connection asks when trust has changed.
    pub fn still(&self, fingerprint: &Fingerprint) -> Result<(), Refusal> {
        match self.leaf(fingerprint) {
            Some(leaf) => match self.judge(&leaf) {
                // Staleness refuses new connections; it does not cut those that were checked.
                Err(Refusal::Stale) => Ok(()),
                other => other,
            },
            None => Err(Refusal::Unknown),
        }
    }

    /// What of the certificates that were shown above a device's own may come onto its authority's list; nothing for a device of ours. A connection keeps
    /// it for [`TrustHandle::still_over`].
    pub fn between(&self, fingerprint: &Fingerprint, above: &[CertificateDer<'_>]) -> Between {
        if above.is_empty() {
            return Between::default();
        }
        let anchor = self.leaf(fingerprint).and_then(|leaf| self.anchor(&leaf.issuer));
        anchor.map(|anchor| anchor.between(above)).unwrap_or_default()
    }

    /// The same as [`TrustHandle::still`], and whether the way from the certificate to its authority still stands: what the authority's owner has revoked
    /// above the device ends its connections, too.
    pub fn still_over(&self, fingerprint: &Fingerprint, between: &Between) -> Result<(), Refusal> {
        self.still(fingerprint)?;
        if *between == Between::default() {
            return Ok(());
        }
        let anchor = self.leaf(fingerprint).and_then(|leaf| self.anchor(&leaf.issuer));
        if anchor.is_some_and(|anchor| anchor.lists_one_of(between)) { Err(Refusal::Revoked) } else { Ok(()) }
    }

    /// Certificates that would be usable, and that their owner's list says are revoked.
    pub(super) fn owner_listed(&self) -> HashSet<String> {
        let (anchors, now) = (self.0.anchors.load(), self.0.clock.now());
        let with_list = anchors.registered.iter().filter(|anchor| anchor.list.is_some());
        let lists: HashMap<&AuthorityId, &Arc<RegisteredAnchor>> = with_list.map(|anchor| (&anchor.id, anchor)).collect();
        // Most fleets have no such list, and are not walked; the others once, however many lists they have.
        if lists.is_empty() {
            return HashSet::new();
        }
        let on_list = |leaf: &&Arc<Leaf>| {
            let anchor = lists.get(&leaf.issuer).filter(|_| leaf.state == CertificateState::Active && leaf.signed.is_some());
            anchor.is_some_and(|anchor| anchor.says(leaf.signed.as_ref(), now) == Err(Refusal::Revoked))
        };
        self.0.leaves.read().values().filter(on_list).map(|leaf| leaf.peer.certificate.to_string()).collect()
    }

    /// Whether a connection with this certificate was ever made, as far as memory knows: the row learns of it a moment later.
    pub(super) fn was_used(&self, fingerprint: &Fingerprint) -> bool {
        self.leaf(fingerprint).is_some_and(|leaf| leaf.used.load(Ordering::Relaxed))
    }

    /// What clients' chains may end in.
    pub fn device_anchors(&self) -> Arc<Anchors> {
        self.0.anchors.load_full()
    }

    /// Wakes whenever a connection that was allowed may not be any more.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// How often certificates of ours were shown since the start of which the database, when it was asked, knew nothing; anything but zero is an alarm
    /// (H-4).
    pub fn unknown_seen(&self) -> u64 {
        self.0.strangers.forged()
    }

    /// Those that nobody here knows, and whether the database does.
    pub(super) fn strangers(&self) -> &strangers::Strangers {
        &self.0.strangers
    }

    /// How many certificates are held in memory.
    pub fn len(&self) -> usize {
        self.0.leaves.read().len()
    }

    /// Whether no certificate is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn leaf(&self, fingerprint: &Fingerprint) -> Option<Arc<Leaf>> {
        self.0.leaves.read().get(fingerprint).cloned()
    }

    fn anchor(&self, id: &AuthorityId) -> Option<Arc<RegisteredAnchor>> {
        self.0.anchors.load().registered.iter().find(|anchor| anchor.id == *id).cloned()
    }

    fn judge(&self, leaf: &Leaf) -> Result<(), Refusal> {
        let now = self.0.clock.now();
        match leaf.state {
            CertificateState::Active => {}
            CertificateState::Revoked => return Err(Refusal::Revoked),
            CertificateState::Superseded => return Err(Refusal::Superseded),
            CertificateState::Expired => return Err(Refusal::Expired),
            CertificateState::Issuing => return Err(Refusal::Unknown),
            // A view of lists; the issuer is looked at below.
            CertificateState::Untrusted => return Err(Refusal::Authority),
        }
        if leaf.device_state != DeviceState::Active {
            return Err(Refusal::DeviceInactive);
        }
        // webpki never looks at an anchor's own validity.
        let issuer = self.0.issuers.read().get(&leaf.issuer).copied().ok_or(Refusal::Authority)?;
        if !issuer.trusted {
            return Err(Refusal::Authority);
        }
        if now > leaf.peer.not_after || now > leaf.ends || now > issuer.not_after {
            return Err(Refusal::Expired);
        }
        if now < leaf.not_before || now < issuer.not_before {
            return Err(Refusal::NotYetValid);
        }
        if issuer.registered {
            let anchors = self.0.anchors.load();
            let anchor = anchors.registered.iter().find(|a| a.id == leaf.issuer).ok_or(Refusal::Authority)?;
            anchor.says(leaf.signed.as_ref(), now)?;
        }
        if self.is_stale() { Err(Refusal::Stale) } else { Ok(()) }
    }

    fn is_stale(&self) -> bool {
        self.0.followed.load(Ordering::Relaxed) && self.0.heard.read().elapsed() > STALE
    }
}
