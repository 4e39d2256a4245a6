//! How large a fleet is and what it consists of: its types, tags, groups, versions and states. Counted through the fleet, so it is kept for a while.

use super::{Devices, Error, groups, selector::Known, store};
use crate::{
    access::{Act, Actor, may},
    db::{Db, Sql, row, rows},
    kept::{Kept, kept_or, kept_within},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use wire::{
    facets::{DeviceFacets, FacetCount},
    ids::OrgId,
    overview::{FleetCounts, VersionShare},
};

/// What the filter offers may be this old at least; a page of rows is always fresh.
const FACETS_MS: i64 = 2000;
/// Most types and versions that are offered.
const OFFERED: usize = 100;

/// How long a page waits for what it can be without: not so long that it is felt. The list asks for the counts of its filter beside the rows then, and the
/// overview has its course when it is read the next time.
pub(crate) const WAITED: Duration = Duration::from_millis(40);

/// Deleted devices are decommissioned ones.
const STATES: Sql = Sql::same(
    "SELECT state, COUNT(*), CAST(COALESCE(SUM(CASE WHEN online THEN 1 ELSE 0 END), 0) AS BIGINT)
     FROM devices WHERE org_id = $1 AND state <> 'decommissioned' GROUP BY state ORDER BY state",
);
const TAGGED: Sql = Sql::same(
    "SELECT t.tag, COUNT(*) FROM device_tags t JOIN devices d ON d.number = t.device
     WHERE t.org_id = $1 AND d.state <> 'decommissioned' GROUP BY t.tag ORDER BY COUNT(*) DESC, t.tag LIMIT 100",
);
const GROUPED: Sql = Sql::same(
    "SELECT g.name, COUNT(*) FROM device_groups g JOIN group_members m ON m.group_id = g.id JOIN devices d ON d.number = m.device
     WHERE g.org_id = $1 AND d.state <> 'decommissioned' GROUP BY g.name ORDER BY COUNT(*) DESC, g.name LIMIT 100",
);

/// How many devices of a type run each version, most first, and how many there are of the type in all: along an index that holds just that.
const SPREAD: Sql = Sql::same(
    "SELECT version, COUNT(*), CAST(SUM(COUNT(*)) OVER () AS BIGINT) FROM devices
     WHERE org_id = $1 AND device_type = $2 AND deleted_at IS NULL AND state <> 'decommissioned'
     GROUP BY version ORDER BY COUNT(*) DESC, version LIMIT $3",
);

/// Of the connections that were open after $2, how many came and went in which hours after it: -1 where they came before, or have not gone. Read by their
/// ends from the index alone, each once.
pub(super) const BY_HOUR: Sql = Sql::same(
    "SELECT CASE WHEN started_at > $2 THEN (started_at - $2) / 3600000 ELSE -1 END AS came, (ended_at - $2) / 3600000 AS went, COUNT(*)
     FROM connections WHERE org_id = $1 AND ended_at > $2 GROUP BY 1, 2
     UNION ALL SELECT CASE WHEN started_at > $2 THEN (started_at - $2) / 3600000 ELSE -1 END, CAST(-1 AS BIGINT), COUNT(*)
     FROM connections WHERE org_id = $1 AND ended_at IS NULL GROUP BY 1",
);

/// Hours that the course of a day has.
const HOURS: usize = 24;
const HOUR_MS: i64 = 3_600_000;
/// The course of a day is not another one within a minute.
const COURSE_MS: i64 = 60_000;

pub(crate) const ALL: &[&Sql] = &[&STATES, &TAGGED, &GROUPED, &SPREAD, &BY_HOUR];

/// Types, tags, versions and the size of a fleet.
#[derive(Debug, Clone, Default)]
pub(super) struct Facets {
    pub(super) types: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) versions: Vec<VersionShare>,
    pub(super) fleet: i64,
}

/// What the devices of a type run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spread {
    /// How many there are.
    pub(crate) devices: i64,
    /// Versions and how many run each, most first; not all of very many.
    pub(crate) versions: Vec<(String, i64)>,
}

/// By organization and type, what its devices run.
pub(super) type KeptSpreads = Arc<Kept<(OrgId, String), Spread>>;
/// By organization, what its filter offers.
pub(super) type KeptFacets = Arc<Kept<OrgId, Facets>>;
/// By organization, how many devices have what its filter offers.
pub(super) type KeptFacetCounts = Arc<Kept<OrgId, DeviceFacets>>;
/// By organization, how many were connected in the course of a day.
pub(super) type KeptCourses = Arc<Kept<OrgId, Vec<i64>>>;
/// By organization, how its fleet is.
pub(super) type KeptCounts = Arc<Kept<OrgId, FleetCounts>>;

async fn facets(db: Db, org: OrgId) -> Result<Facets, Error> {
    let mut on = db.read().await?;
    let versions: Vec<VersionShare> = rows!(&mut on, (String, String, i64), store::VERSIONS, org.as_str())?
        .into_iter()
        .map(|(device_type, version, devices)| VersionShare { device_type, version, devices, recalled: false })
        .collect();
    let types: BTreeSet<&str> = versions.iter().map(|v| v.device_type.as_str()).filter(|t| !t.is_empty()).collect();
    Ok(Facets {
        types: types.into_iter().take(OFFERED).map(str::to_owned).collect(),
        tags: rows!(&mut on, (String,), store::ALL_TAGS, org.as_str())?.into_iter().map(|r| r.0).collect(),
        groups: groups::names(&mut on, &org).await?,
        fleet: versions.iter().map(|v| v.devices).sum(),
        versions: versions.into_iter().take(OFFERED).collect(),
    })
}

/// What most devices have first.
fn most(counts: impl IntoIterator<Item = (String, i64)>) -> Vec<FacetCount> {
    let mut all: Vec<FacetCount> =
        counts.into_iter().filter(|(value, _)| !value.is_empty()).map(|(value, devices)| FacetCount { value, devices }).collect();
    all.sort_by(|a, b| b.devices.cmp(&a.devices).then_with(|| a.value.cmp(&b.value)));
    all.truncate(OFFERED);
    all
}

async fn facet_counts(db: Db, org: OrgId) -> Result<DeviceFacets, Error> {
    let mut on = db.read().await?;
    let (mut types, mut versions) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
    for (device_type, version, devices) in rows!(&mut on, (String, String, i64), store::VERSIONS, org.as_str())? {
        *types.entry(device_type).or_default() += devices;
        // Two types may have a version of the same name; to the filter it is one.
        *versions.entry(version).or_default() += devices;
    }
    let states = rows!(&mut on, (String, i64, i64), STATES, org.as_str())?;
    let (all, online) = states.iter().fold((0, 0), |(all, online), (_, devices, connected)| (all + devices, online + connected));
    Ok(DeviceFacets {
        online: most([("yes".to_owned(), online), ("no".to_owned(), all - online)]),
        states: most(states.into_iter().map(|(state, devices, _)| (state, devices))),
        types: most(types),
        versions: most(versions),
        tags: most(rows!(&mut on, (String, i64), TAGGED, org.as_str())?),
        groups: most(rows!(&mut on, (String, i64), GROUPED, org.as_str())?),
    })
}

async fn spread(db: Db, org: OrgId, device_type: String) -> Result<Spread, Error> {
    let most = i64::try_from(OFFERED).unwrap_or(i64::MAX);
    let found = rows!(&mut db.read().await?, (String, i64, i64), SPREAD, org.as_str(), device_type.as_str(), most)?;
    let devices = found.first().map_or(0, |(_, _, all)| *all);
    Ok(Spread { devices, versions: found.into_iter().map(|(version, devices, _)| (version, devices)).collect() })
}

/// How many were connected at the begin of each hour and at the end of the last one: from those that have not gone, back over who came and went. `spans`
/// are the hours in which so many came and went, none where that is not in this day.
fn course(spans: impl IntoIterator<Item = (Option<usize>, Option<usize>, i64)>) -> Vec<i64> {
    let (mut now, mut change) = (0, [0; HOURS]);
    // What began in this very millisecond lies behind the last hour by a hair.
    let hour = |hour: usize| hour.min(HOURS - 1);
    for (came, went, connections) in spans {
        if let Some(came) = came {
            change[hour(came)] += connections;
        }
        match went {
            Some(went) => change[hour(went)] -= connections,
            None => now += connections,
        }
    }
    let mut course = vec![now];
    let mut connected = now;
    for change in change.iter().rev() {
        connected = (connected - change).max(0);
        course.push(connected);
    }
    course.reverse();
    course
}

async fn day(db: Db, org: OrgId, since: i64) -> Result<Vec<i64>, Error> {
    let spans = rows!(&mut db.read().await?, (i64, i64, i64), BY_HOUR, org.as_str(), since)?;
    let hour = |hour: i64| usize::try_from(hour).ok();
    Ok(course(spans.into_iter().map(|(came, went, connections)| (hour(came), hour(went), connections))))
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

    /// How many devices have each value that the list can be filtered by.
    pub async fn facet_counts(&self, actor: &Actor) -> Result<DeviceFacets, Error> {
        may(actor, Act::Read)?;
        let org = &actor.org;
        kept_or((&self.facet_counts, org.clone(), FACETS_MS), (&self.db, &self.clock), || facet_counts(self.db.clone(), org.clone())).await
    }

    /// The same if it is there at once; where it is not, it is counted for whoever asks next.
    pub async fn facet_counts_at_once(&self, actor: &Actor) -> Result<Option<DeviceFacets>, Error> {
        may(actor, Act::Read)?;
        let (db, org) = (self.db.clone(), actor.org.clone());
        let key = (&self.facet_counts, org.clone(), FACETS_MS);
        kept_within(WAITED, key, (&self.db, &self.clock), move || facet_counts(db, org)).await
    }

    /// How many devices the fleet has; at most two seconds old, or as long as such a count is kept.
    pub(crate) async fn fleet_size(&self, org: &OrgId) -> Result<i64, Error> {
        Ok(self.facets(org).await?.fleet)
    }

    /// How many devices of each type run each version, most first.
    pub(crate) async fn versions(&self, org: &OrgId) -> Result<Vec<VersionShare>, Error> {
        Ok(self.facets(org).await?.versions)
    }

    /// What the devices of a type run; at most two seconds old, or as long as such a count is kept.
    pub(crate) async fn spread(&self, org: &OrgId, device_type: &str) -> Result<Spread, Error> {
        let key = (org.clone(), device_type.to_owned());
        let count = || spread(self.db.clone(), org.clone(), device_type.to_owned());
        kept_or((&self.spreads, key, FACETS_MS), (&self.db, &self.clock), count).await
    }

    /// How many devices were connected 24 hours ago, and then every hour until now: 25 numbers, as they were a minute ago at most, or two where counting
    /// takes long. None where they are not known within this time; they are for who asks once they are counted.
    pub(crate) async fn connected_by_hour(&self, org: &OrgId, wait: Duration) -> Result<Vec<i64>, Error> {
        let since = self.clock.now().plus(-24 * HOUR_MS).0;
        let (db, of) = (self.db.clone(), org.clone());
        let key = (&self.courses, org.clone(), COURSE_MS);
        let found = kept_within(wait, key, (&self.db, &self.clock), move || day(db, of, since)).await?;
        Ok(found.unwrap_or_default())
    }

    /// Counts of the fleet; `expiring` is the pki room's and left at 0.
    pub(crate) async fn counts(&self, org: &OrgId) -> Result<FleetCounts, Error> {
        kept_or((&self.counts, org.clone(), 0), (&self.db, &self.clock), || counts(self.db.clone(), org.clone())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_backwards_from_now() {
        assert_eq!(course([(None, None, 3)]), [3; HOURS + 1]);
        // Two came in the first hour and are there, one came before and went in the last but one, one came in this millisecond.
        let told = course([(None, None, 1), (Some(0), None, 2), (None, Some(22), 1), (Some(24), None, 1)]);
        assert_eq!((told.len(), told[0], told[1], told[22], told[23], told[24]), (25, 2, 4, 4, 3, 4));
        // Came and gone within an hour, and gone by a clock that was ahead.
        assert_eq!(course([(Some(5), Some(5), 9), (None, Some(30), 1)])[..], [[1; HOURS].as_slice(), &[0]].concat());
        assert!(course([(Some(10), Some(5), 1)]).iter().all(|n| *n >= 0), "a clock that was set back leaves no negative numbers");
    }
}
