//! What selectors look at, read for one device or for the next ones of a fleet: the row, and what stands beside it in other tables. Whole fleets are read
//! by this, so rows come as lists.

use super::{DeviceNo, pins, selector::Facts};
use crate::{
    db::{Conn, Error, Sql, listed, row, rows, unlisted},
    pki::store::{cut, unbelieved},
    telemetry::LastValues,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use wire::{Timestamp, ids::OrgId};

const FACTS: Sql = Sql::same(
    "SELECT number, device_id, device_type, hardware, state, version, sequence, online, update_state, last_seen_at, org_id FROM devices WHERE number = $1",
);
const FACTS_PAGE: Sql = listed!(
    [number, device_id, device_type, hardware, state, version, sequence, online, update_state, last_seen_at, org_id],
    "SELECT number, device_id, device_type, hardware, state, version, sequence, CAST(online AS INTEGER) AS online, update_state, last_seen_at, org_id
     FROM devices WHERE org_id = $1 AND number > $2 AND state <> 'decommissioned' ORDER BY number LIMIT $3"
);
// The devices lead (`CROSS JOIN`: SQLite keeps that order). Asked for by organization, the index by organization would be walked for every page.
const FACTS_TAGS: Sql = listed!(
    [device, tag],
    "SELECT t.device, t.tag FROM devices d CROSS JOIN device_tags t
     WHERE t.device = d.number AND d.org_id = $1 AND d.number > $2 AND d.number <= $3"
);
const FACTS_ATTRIBUTES: Sql = listed!(
    [device, name, value],
    "SELECT a.device, a.name, a.value FROM devices d CROSS JOIN device_attributes a
     WHERE a.device = d.number AND d.org_id = $1 AND d.number > $2 AND d.number <= $3"
);
const FACTS_GROUPS: Sql = Sql::same(
    "SELECT m.device, g.name FROM group_members m JOIN device_groups g ON g.id = m.group_id WHERE m.org_id = $1 AND m.device > $2 AND m.device <= $3
     ORDER BY m.device, g.name",
);
/// When the last certificate ends or ended that was not revoked: of authorities that are believed, and of the others. And the last that was revoked.
const FACTS_CERTIFICATES: Sql = listed!(
    [device, until, untrusted, revoked],
    "SELECT c.device, COALESCE(MAX(CASE WHEN NOT ",
    cut!(),
    " AND c.issuer_id NOT IN ",
    unbelieved!(),
    " THEN c.not_after END), 0) AS until, COALESCE(MAX(CASE WHEN NOT ",
    cut!(),
    " AND c.issuer_id IN ",
    unbelieved!(),
    " THEN c.not_after END), 0) AS untrusted, COALESCE(MAX(CASE WHEN ",
    cut!(),
    " THEN c.not_after END), 0) AS revoked
     FROM devices d CROSS JOIN certificates c
     WHERE c.device = d.number AND d.org_id = $1 AND d.number > $2 AND d.number <= $3 AND c.fingerprint IS NOT NULL
     GROUP BY c.device"
);

pub(crate) const ALL: &[&Sql] = &[&FACTS, &FACTS_PAGE, &FACTS_TAGS, &FACTS_ATTRIBUTES, &FACTS_GROUPS, &FACTS_CERTIFICATES];

#[derive(sqlx::FromRow, Deserialize)]
struct FactsRow {
    number: DeviceNo,
    device_id: String,
    device_type: String,
    hardware: String,
    state: String,
    version: String,
    sequence: i64,
    #[serde(deserialize_with = "crate::db::truth")]
    online: bool,
    update_state: String,
    last_seen_at: i64,
    org_id: String,
}

impl From<FactsRow> for Facts {
    fn from(r: FactsRow) -> Self {
        Self {
            device_id: r.device_id,
            device_type: r.device_type,
            hardware: r.hardware,
            state: r.state,
            version: r.version,
            sequence: r.sequence,
            online: r.online,
            update: r.update_state,
            tags: Vec::new(),
            groups: Vec::new(),
            attributes: BTreeMap::new(),
            metrics: BTreeMap::new(),
            last_seen_at: r.last_seen_at,
            certificate_until: 0,
            untrusted_until: 0,
            revoked_until: 0,
            pin: None,
            at: Timestamp::default(),
        }
    }
}

/// What a selector looks at, of one device; none when there is no such device.
pub async fn facts(on: &mut impl Conn, device: DeviceNo, at: Timestamp) -> Result<Option<Facts>, Error> {
    let Some(found) = row!(on, FactsRow, FACTS, device)? else { return Ok(None) };
    let org: OrgId = found.org_id.parse().map_err(Error::corrupt)?;
    let mut all = BTreeMap::from([(device, Facts { at, ..Facts::from(found) })]);
    beside(on, &org, (device - 1, device), &mut all).await?;
    Ok(all.remove(&device))
}

/// The next devices after this number, in order of number, with their facts; at most `limit`. Decommissioned ones are left out.
pub async fn facts_page(
    on: &mut impl Conn,
    org: &OrgId,
    after: DeviceNo,
    limit: i64,
    at: Timestamp,
) -> Result<Vec<(DeviceNo, Facts)>, Error> {
    let found: Vec<FactsRow> = unlisted(row!(on, (String,), FACTS_PAGE, org.as_str(), after, limit)?)?;
    let Some(last) = found.iter().map(|r| r.number).max() else { return Ok(Vec::new()) };
    let mut all: BTreeMap<DeviceNo, Facts> = found.into_iter().map(|r| (r.number, Facts { at, ..r.into() })).collect();
    beside(on, org, (after, last), &mut all).await?;
    Ok(all.into_iter().collect())
}

/// Adds the last values of these metrics to devices in order of number.
pub async fn measured(
    last: Option<&LastValues>,
    org: &OrgId,
    metrics: &BTreeSet<&str>,
    all: &mut [(DeviceNo, Facts)],
) -> Result<(), Error> {
    let (Some(last), [(first, _), ..], Some((end, _))) = (last, &*all, all.last()) else { return Ok(()) };
    let range = (first - 1, *end);
    for metric in metrics {
        for (device, t, v) in last.of(org, metric, range).await? {
            if let Ok(i) = all.binary_search_by_key(&device, |(number, _)| *number) {
                all[i].1.metrics.insert((*metric).to_owned(), (t, v));
            }
        }
    }
    Ok(())
}

/// What stands in other rows, of the devices after one number up to another.
async fn beside(
    on: &mut impl Conn,
    org: &OrgId,
    (after, last): (DeviceNo, DeviceNo),
    all: &mut BTreeMap<DeviceNo, Facts>,
) -> Result<(), Error> {
    for (device, tag) in unlisted::<(i64, String)>(row!(on, (String,), FACTS_TAGS, org.as_str(), after, last)?)? {
        if let Some(facts) = all.get_mut(&device) {
            facts.tags.push(tag);
        }
    }
    for (device, name, value) in unlisted::<(i64, String, String)>(row!(on, (String,), FACTS_ATTRIBUTES, org.as_str(), after, last)?)? {
        if let Some(facts) = all.get_mut(&device) {
            facts.attributes.insert(name, value);
        }
    }
    for (device, group) in rows!(on, (i64, String), FACTS_GROUPS, org.as_str(), after, last)? {
        if let Some(facts) = all.get_mut(&device) {
            facts.groups.push(group);
        }
    }
    let ends = unlisted::<(i64, i64, i64, i64)>(row!(on, (String,), FACTS_CERTIFICATES, org.as_str(), after, last)?)?;
    for (device, until, untrusted, revoked) in ends {
        if let Some(facts) = all.get_mut(&device) {
            (facts.certificate_until, facts.untrusted_until, facts.revoked_until) = (until, untrusted, revoked);
        }
    }
    for (device, pin) in pins::between(on, org, (after, last)).await? {
        if let Some(facts) = all.get_mut(&device) {
            facts.pin = Some(pin);
        }
    }
    Ok(())
}
