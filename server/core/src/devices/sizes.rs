//! How large a fleet is and what it consists of: its types, tags, groups, versions and states. Counted through the fleet, so it is kept for a while.

use super::{Devices, Error, groups, selector::Known, store};
use crate::{
    access::{Act, Actor, may},
    db::{Db, row, rows},
    kept::{Kept, kept_or},
};
use std::{collections::BTreeSet, sync::Arc};
use wire::{
    ids::OrgId,
    overview::{FleetCounts, VersionShare},
};

/// What the filter offers may be this old at least; a page of rows is always fresh.
const FACETS_MS: i64 = 2000;
/// Most types and versions that are offered.
const OFFERED: usize = 100;

/// Types, tags, versions and the size of a fleet.
#[derive(Debug, Clone, Default)]
pub(super) struct Facets {
    pub(super) types: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) versions: Vec<VersionShare>,
    pub(super) fleet: i64,
}

/// By organization, what its filter offers.
pub(super) type KeptFacets = Arc<Kept<OrgId, Facets>>;
/// By organization, how its fleet is.
pub(super) type KeptCounts = Arc<Kept<OrgId, FleetCounts>>;

async fn facets(db: Db, org: OrgId) -> Result<Facets, Error> {
    let mut on = db.read().await?;
    let versions: Vec<VersionShare> = rows!(&mut on, (String, String, i64), store::VERSIONS, org.as_str())?
        .into_iter()
        .map(|(device_type, version, devices)| VersionShare { device_type, version, devices })
        .collect();
    let types: BTreeSet<&str> = versions.iter().map(|v| v.device_type.as_str()).filter(|t| !t.is_empty()).collect();
    Ok(Facets {
        types: types.into_iter().take(OFFERED).map(str::to_owned).collect(),
        tags: rows!(&mut on, (String,), store::ALL_TAGS, org.as_str())?.into_iter().map(|r| r.0).collect(),
        groups: rows!(&mut on, (String,), groups::NAMES, org.as_str())?.into_iter().map(|r| r.0).collect(),
        fleet: versions.iter().map(|v| v.devices).sum(),
        versions: versions.into_iter().take(OFFERED).collect(),
    })
}

async fn counts(db: Db, org: OrgId) -> Result<FleetCounts, Error> {
    let found = row!(&mut db.read().await?, (i64, i64, i64, i64), store::COUNTS, org.as_str())?.unwrap_or_default();
    Ok(FleetCounts { devices: found.0, online: found.1, updating: found.2, failed: found.3, expiring: 0 })
}

impl Devices {
    /// What selectors can be completed with while they are typed.
    pub async fn selector_values(&self, actor: &Actor) -> Result<Known, Error> {
        may(actor, Act::Read)?;
        let Facets { types, tags, groups, versions, .. } = self.facets(&actor.org).await?;
        // Two types may have a version of the same name.
        let versions: BTreeSet<String> = versions.into_iter().map(|v| v.version).filter(|v| !v.is_empty()).collect();
        let metrics = match &self.last {
            Some(last) => last.names(&actor.org).await?.into_iter().map(|metric| metric.name).collect(),
            None => Vec::new(),
        };
        Ok(Known { types, versions: versions.into_iter().collect(), tags, groups, metrics })
    }

    pub(super) async fn facets(&self, org: &OrgId) -> Result<Facets, Error> {
        kept_or((&self.facets, org.clone(), FACETS_MS), (&self.db, &self.clock), || facets(self.db.clone(), org.clone())).await
    }

    /// How many devices the fleet has; at most two seconds old, or as long as such a count is kept.
    pub(crate) async fn fleet_size(&self, org: &OrgId) -> Result<i64, Error> {
        Ok(self.facets(org).await?.fleet)
    }

    /// How many devices of each type run each version, most first.
    pub(crate) async fn versions(&self, org: &OrgId) -> Result<Vec<VersionShare>, Error> {
        Ok(self.facets(org).await?.versions)
    }

    /// Counts of the fleet; `expiring` is the pki room's and left at 0.
    pub(crate) async fn counts(&self, org: &OrgId) -> Result<FleetCounts, Error> {
        kept_or((&self.counts, org.clone(), 0), (&self.db, &self.clock), || counts(self.db.clone(), org.clone())).await
    }
}
