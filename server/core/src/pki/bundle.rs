//! Trust bundles: which roots devices are to trust, and what leads to them; a version an organization that grows with every change.
//! Kept in memory for whoever connects. Refuses to know how a device fetches it.

use super::{
    DevicePeer, Error, Pki,
    authorities::{Authorities, Authority},
    profile::Kind,
    store,
};
use crate::{
    access::{Act, Actor, audit, may},
    db::{Conn, Db, Tx},
    kept::{Kept, kept_or},
};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    pki::{BundleReach, TrustBundle},
    states::AuthorityState,
};

/// A certificate of one root for another's key.
pub(super) struct Cross {
    pub subject: AuthorityId,
    pub issuer: AuthorityId,
    pub der: CertificateDer<'static>,
    pub fingerprint: Vec<u8>,
    pub not_after: Timestamp,
}

/// What is known of bundles.
#[derive(Default)]
pub(super) struct Bundles {
    newest: HashMap<OrgId, Arc<TrustBundle>>,
    pub crosses: Vec<Cross>,
}

impl Bundles {
    /// Reads every organization's newest one.
    pub async fn read(db: &Db) -> Result<Self, Error> {
        let mut on = db.read().await?;
        let mut newest = HashMap::new();
        for (org, version, content) in store::bundles(&mut on).await? {
            let org: OrgId = org.parse().map_err(crate::db::Error::corrupt)?;
            let Content { roots, cross, issuing, assignment_keys } = serde_json::from_str(&content).map_err(crate::db::Error::corrupt)?;
            newest.insert(org, Arc::new(TrustBundle { version, roots, cross, issuing, assignment_keys }));
        }
        let crosses = store::crosses(&mut on).await?.into_iter().map(|r| {
            Ok(Cross {
                subject: r.subject_id.parse().map_err(crate::db::Error::corrupt)?,
                issuer: r.issuer_id.parse().map_err(crate::db::Error::corrupt)?,
                der: r.der.into(),
                fingerprint: r.fingerprint,
                not_after: Timestamp(r.not_after),
            })
        });
        let crosses = crosses.collect::<Result<_, Error>>()?;
        Ok(Self { newest, crosses })
    }
}

/// A bundle without its version, as it is stored.
#[derive(Serialize, Deserialize)]
struct Content {
    roots: Vec<String>,
    cross: Vec<String>,
    issuing: Vec<String>,
    #[serde(default)]
    assignment_keys: Vec<String>,
}

impl Content {
    /// What the organization's devices are to trust: the listeners' roots, which are the oldest organization's, and its own; and the keys of its
    /// assignments.
    async fn of(on: &mut impl Conn, org: &str, all: &[store::AuthorityRecord], crosses: &[store::CrossRecord]) -> Result<Self, Error> {
        let listeners = all.first().map(|a| a.org_id.as_str()).unwrap_or_default();
        let (mut roots, mut ids, mut issuing) = (Vec::new(), Vec::new(), Vec::new());
        for a in all {
            if !a.state.parse::<AuthorityState>().map_err(crate::db::Error::corrupt)?.trusted() {
                continue;
            }
            let root = a.kind == Kind::Root.as_str();
            if root && (a.org_id == org || a.org_id == listeners) {
                roots.push(pem(&a.der));
                ids.push(a.id.as_str());
            } else if !root && a.org_id == org {
                issuing.push(pem(&a.der));
            }
        }
        let both = |c: &&store::CrossRecord| ids.contains(&c.subject_id.as_str()) && ids.contains(&c.issuer_id.as_str());
        let cross = crosses.iter().filter(both).map(|c| pem(&c.der)).collect();
        Ok(Self { roots, cross, issuing, assignment_keys: super::assignments::store::public(on, org).await? })
    }
}

fn pem(der: &[u8]) -> String {
    crate::pem::encode("CERTIFICATE", der)
}

/// Gives every organization whose bundle is not what it should be any more the next version. Call it in the transaction of the change, behind
/// [`store::next_trust`].
pub(super) async fn raise(tx: &mut Tx, actor: &Actor, now: Timestamp) -> Result<(), Error> {
    let (all, crosses) = (store::authorities(tx).await?, store::crosses(tx).await?);
    let mut orgs: Vec<&str> = all.iter().map(|a| a.org_id.as_str()).collect();
    orgs.dedup();
    for org in orgs {
        let content = serde_json::to_string(&Content::of(tx, org, &all, &crosses).await?).map_err(|e| Error::Build(e.to_string()))?;
        let org: OrgId = org.parse().map_err(crate::db::Error::corrupt)?;
        let (version, before) = store::newest_bundle(tx, &org).await?.unwrap_or_default();
        if content != before {
            store::raise_bundle(tx, &org, version + 1, &content, now).await?;
            // Another organization's books are not this actor's.
            let by = if org == actor.org { actor.clone() } else { Actor::system(org.clone()) };
            audit::append(tx, &by, now, "trust_bundle.raise", org.as_str(), &json!({ "version": version + 1 })).await?;
        }
    }
    Ok(())
}

/// The first version of each other organization's bundle that this root is in; one that nobody can hold where it is in none.
async fn first_beside(on: &mut impl Conn, org: &OrgId, root: &[u8]) -> Result<BTreeMap<OrgId, i64>, Error> {
    let root = pem(root);
    let mut first = BTreeMap::new();
    for (other, version, content) in store::bundles_beside(on, org).await? {
        let other: OrgId = other.parse().map_err(crate::db::Error::corrupt)?;
        let known = first.entry(other).or_insert(i64::MAX);
        if *known == i64::MAX && serde_json::from_str::<Content>(&content).map_err(crate::db::Error::corrupt)?.roots.contains(&root) {
            *known = version;
        }
    }
    Ok(first)
}

/// Adds the devices of another organization, which hold what they have to by the bundles of their own.
fn with(reach: BundleReach, theirs: BundleReach) -> BundleReach {
    BundleReach {
        holders: reach.holders + theirs.holders,
        devices: reach.devices + theirs.devices,
        cannot_tell: reach.cannot_tell + theirs.cannot_tell,
        ..reach
    }
}

impl Pki {
    /// Makes the first bundle of a fleet that is older than bundles are, and the next one of a fleet that is older than assignments are.
    pub(super) async fn ensure_bundle(&self, org: &OrgId) -> Result<(), Error> {
        if let Some((_, content)) = store::newest_bundle(&mut self.db.read().await?, org).await?
            && serde_json::from_str::<Content>(&content).is_ok_and(|content| !content.assignment_keys.is_empty())
        {
            return Ok(());
        }
        let mut tx = self.db.write().await?;
        store::next_trust(&mut tx).await?;
        raise(&mut tx, &Actor::system(org.clone()), self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    /// The organization's trust bundle; an empty one of version 0 when there is no such organization. A look into memory.
    pub fn trust_bundle(&self, org: &OrgId) -> Arc<TrustBundle> {
        self.bundles.load().newest.get(org).cloned().unwrap_or_default()
    }

    /// Notes that a device has fetched this version over its certificate: that is all that one without a channel can say. Writes only what is news.
    pub async fn bundle_fetched(&self, peer: &DevicePeer, version: i64) -> Result<(), Error> {
        if store::bundle_held_by(&mut self.db.read().await?, peer.device).await?.is_none_or(|held| held == version) {
            return Ok(());
        }
        let mut tx = self.db.write().await?;
        store::hold_bundle(&mut tx, peer.device, version).await?;
        Ok(tx.commit().await?)
    }

    /// The same for somebody who wants to read it.
    pub fn read_trust_bundle(&self, actor: &Actor) -> Result<Arc<TrustBundle>, Error> {
        may(actor, Act::Read)?;
        Ok(self.trust_bundle(&actor.org))
    }

    /// How many active devices hold this version, or a later one, counted now: what is decided by it waits for it.
    pub(super) async fn reach(&self, on: &mut impl Conn, org: &OrgId, version: i64) -> Result<BundleReach, Error> {
        Ok(Holders::count(on, org).await?.of(version))
    }

    /// The same for an authority: who holds the first version that it is in. The listeners' roots lead every device to them, so there those of the other
    /// organizations count as well.
    pub(super) async fn reach_of(&self, on: &mut impl Conn, org: &OrgId, id: &AuthorityId) -> Result<BundleReach, Error> {
        let version = store::bundle_of(on, id).await?;
        let mut reach = self.reach(on, org, version).await?;
        let all = store::authorities(on).await?;
        let listeners = all.first().is_some_and(|a| a.org_id == org.as_str());
        if let Some(root) = all.iter().find(|a| listeners && a.id == id.as_str() && a.kind == Kind::Root.as_str()) {
            for (other, version) in first_beside(on, org, &root.der).await? {
                reach = with(reach, self.reach(on, &other, version).await?);
            }
        }
        Ok(reach)
    }

    /// The same for pages, beside what is known of the organization's own. Takes readers of its own.
    pub(super) async fn reach_shown(&self, all: &Authorities, own: &Holders, a: &Authority) -> Result<BundleReach, Error> {
        let mut reach = own.of(a.bundle);
        if a.kind == Kind::Root && all.first().is_some_and(|first| first.org == a.org) {
            let beside = first_beside(&mut self.db.read().await?, &a.org, &a.der).await?;
            for (other, version) in beside {
                reach = with(reach, self.holders(&other).await?.of(version));
            }
        }
        Ok(reach)
    }

    /// Who holds which version; where counting them takes long, as it was a while ago: for pages. Takes a reader of its own.
    pub(super) async fn holders(&self, org: &OrgId) -> Result<Holders, Error> {
        kept_or((&self.holders, org.clone(), 0), (&self.db, &self.clock), || counted(self.db.clone(), org.clone())).await
    }
}

async fn counted(db: Db, org: OrgId) -> Result<Holders, Error> {
    Holders::count(&mut db.read().await?, &org).await
}

/// How many active devices hold which version, by organization.
pub(super) type KeptHolders = Arc<Kept<OrgId, Holders>>;

/// How many active devices hold which version of the bundle.
#[derive(Debug, Clone)]
pub(super) struct Holders {
    /// The newest version there was.
    newest: i64,
    /// Versions, and how many devices hold each.
    held: Vec<(i64, i64)>,
    /// Devices that never can tell.
    cannot_tell: i64,
}

impl Holders {
    async fn count(on: &mut impl Conn, org: &OrgId) -> Result<Self, Error> {
        let newest = store::newest_bundle(on, org).await?.map_or(0, |(version, _)| version);
        let held = store::held(on, org).await?;
        // Who has said a word about any bundle can tell.
        let silent = held.iter().any(|(version, _)| *version == 0);
        let cannot_tell = if silent { store::cannot_tell(on, org).await? } else { 0 };
        Ok(Self { newest, held, cannot_tell })
    }

    /// How many of them hold this version, or a later one.
    pub(super) fn of(&self, version: i64) -> BundleReach {
        let mut reach = BundleReach { version, holders: 0, devices: 0, cannot_tell: self.cannot_tell };
        for (held, devices) in &self.held {
            reach.devices += devices;
            // One that is newer than any is from a database that was set back since: it says nothing about this one.
            if (version..=self.newest).contains(held) {
                reach.holders += devices;
            }
        }
        reach
    }
}
