//! The device list: a selector, an order, and keyset pages of it. The same query serves the page, REST and counts.

use super::{
    Devices, Error,
    filter::{Asked, Filter, asks_for_state},
    groups,
    kept::Kept,
    narrowing,
    selector::Selector,
    store,
};
use crate::{
    access::{Act, Actor, allowed, may},
    db::{Conn, Value, row, rows, select},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use std::collections::{BTreeSet, HashMap};
use wire::{
    Timestamp,
    devices::{DeviceQuery, DeviceRow, DeviceSort, DevicesPage},
    ids::OrgId,
    overview::{FleetCounts, VersionShare},
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
};

/// What the filter offers may be this old at least; a page of rows is always fresh.
const FACETS_MS: i64 = 2000;
/// Most types and versions that are offered.
const OFFERED: usize = 100;
/// Rows of an export that are read at once.
const EXPORTED: usize = 1000;

/// Types, tags, versions and the size of a fleet.
#[derive(Debug, Clone, Default)]
pub(super) struct Facets {
    types: Vec<String>,
    tags: Vec<String>,
    groups: Vec<String>,
    versions: Vec<VersionShare>,
    fleet: i64,
}

/// By organization, what its filter offers.
pub(super) type KeptFacets = Kept<OrgId, Facets>;
/// By organization and selector, how many it means.
pub(super) type KeptTotals = Kept<(OrgId, String), i64>;

#[derive(sqlx::FromRow)]
pub(super) struct Listed {
    pub(super) number: i64,
    device_id: String,
    device_type: String,
    hardware: String,
    state: String,
    online: bool,
    version: String,
    last_seen_at: i64,
    update_state: String,
}

/// Its columns in their order: read by place, they cost half of what they cost by name.
type Columns = (i64, String, String, String, String, bool, String, i64, String);

impl From<Columns> for Listed {
    fn from((number, device_id, device_type, hardware, state, online, version, last_seen_at, update_state): Columns) -> Self {
        Self { number, device_id, device_type, hardware, state, online, version, last_seen_at, update_state }
    }
}

impl Listed {
    pub(super) fn shown(self, tags: Vec<String>) -> Result<DeviceRow, Error> {
        let update = if self.update_state.is_empty() { None } else { Some(self.update_state.parse().map_err(crate::db::Error::corrupt)?) };
        Ok(DeviceRow {
            device_id: self.device_id.parse().map_err(crate::db::Error::corrupt)?,
            device_type: self.device_type,
            hardware: self.hardware,
            state: self.state.parse().map_err(crate::db::Error::corrupt)?,
            online: self.online,
            version: self.version,
            last_seen_at: (self.last_seen_at > 0).then_some(Timestamp(self.last_seen_at)),
            tags,
            update,
        })
    }

    fn cursor(&self, sort: DeviceSort) -> String {
        let key = match sort {
            DeviceSort::DeviceId | DeviceSort::DeviceIdDesc => serde_json::json!([self.device_id.to_lowercase(), self.number]),
            DeviceSort::LastSeen | DeviceSort::LastSeenDesc => serde_json::json!([self.last_seen_at, self.number]),
            DeviceSort::Version | DeviceSort::VersionDesc => serde_json::json!([self.version, self.number]),
        };
        URL_SAFE_NO_PAD.encode(key.to_string())
    }
}

/// The column of an order, and whether it runs backwards.
const fn order(sort: DeviceSort) -> (&'static str, bool) {
    match sort {
        DeviceSort::DeviceId => ("d.device_id_lower", false),
        DeviceSort::DeviceIdDesc => ("d.device_id_lower", true),
        DeviceSort::LastSeen => ("d.last_seen_at", false),
        DeviceSort::LastSeenDesc => ("d.last_seen_at", true),
        DeviceSort::Version => ("d.version", false),
        DeviceSort::VersionDesc => ("d.version", true),
    }
}

fn position(cursor: &str, sort: DeviceSort) -> Result<(Value, i64), Error> {
    let bad = || Error::invalid("cursor", "This is no cursor of this list. Begin again without one.");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
    let (key, number): (serde_json::Value, i64) = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    let key = match (sort, key) {
        (DeviceSort::LastSeen | DeviceSort::LastSeenDesc, serde_json::Value::Number(n)) => Value::Int(n.as_i64().ok_or_else(bad)?),
        (DeviceSort::LastSeen | DeviceSort::LastSeenDesc, _) => return Err(bad()),
        (_, serde_json::Value::String(s)) => Value::Text(s),
        _ => return Err(bad()),
    };
    Ok((key, number))
}

/// The condition every list begins with.
pub(super) fn base(org: &OrgId, selector: &Selector, asked: &Asked) -> Filter {
    condition(org, selector, None, Filter { asked: asked.clone(), ..Filter::default() })
}

/// The same, among these devices when they are known.
fn condition(org: &OrgId, selector: &Selector, few: Option<&narrowing::Few>, mut filter: Filter) -> Filter {
    let org = filter.bind(Value::Text(org.to_string()));
    filter.from = match few {
        None => "devices d".to_owned(),
        // The limit is what keeps the planner from walking the list's order all the same.
        Some(few) => {
            format!("(SELECT * FROM devices WHERE {} LIMIT {}) d", filter.among("number", few.numbers().to_owned()), narrowing::FEW)
        }
    };
    filter.text = format!("d.org_id = {org} AND d.deleted_at IS NULL");
    if !asks_for_state(selector) {
        filter.text.push_str(" AND d.state <> 'decommissioned'");
    }
    if *selector != Selector::everything() {
        filter.text.push_str(" AND ");
        filter.push(selector);
    }
    filter
}

/// What a list is about: who is meant, by what is known now, and among whom they are when that is known.
pub(super) struct Meant {
    selector: Selector,
    asked: Asked,
    few: Option<narrowing::Few>,
}

impl Meant {
    pub(super) async fn new(on: &mut impl Conn, org: &OrgId, selector: Selector, asked: Asked) -> Result<Self, Error> {
        Ok(Self { few: narrowing::few(on, org, &selector).await?, selector, asked })
    }

    pub(super) fn filter(&self, org: &OrgId, counting: bool) -> Filter {
        // What is in other tables is only looked up for a few.
        let counting = counting && self.few.is_none();
        condition(org, &self.selector, self.few.as_ref(), Filter { asked: self.asked.clone(), counting, ..Filter::default() })
    }
}

/// What reads at most so many rows in this order.
pub(super) fn statement(filter: &Filter, sort: DeviceSort, limit: usize) -> String {
    let (column, backwards) = order(sort);
    let direction = if backwards { "DESC" } else { "ASC" };
    format!(
        "SELECT d.number, d.device_id, d.device_type, d.hardware, d.state, d.online, d.version, d.last_seen_at, d.update_state
         FROM {} WHERE {} ORDER BY {column} {direction}, d.number {direction} LIMIT {limit}",
        filter.from, filter.text
    )
}

/// At most so many rows from the query's cursor on, and the cursor behind them.
async fn part(
    on: &mut impl Conn,
    org: &OrgId,
    meant: &Meant,
    query: &DeviceQuery,
    limit: usize,
) -> Result<(Vec<DeviceRow>, Option<String>), Error> {
    let (column, backwards) = order(query.sort);
    let than = if backwards { "<" } else { ">" };
    let mut filter = meant.filter(org, false);
    if let Some(cursor) = query.cursor.as_deref().filter(|c| !c.is_empty()) {
        let (key, number) = position(cursor, query.sort)?;
        let (key, number) = (filter.bind(key), filter.bind(Value::Int(number)));
        filter.text = format!("{} AND ({column}, d.number) {than} ({key}, {number})", filter.text);
    }
    let found: Vec<Columns> = select(on, statement(&filter, query.sort, limit + 1), &filter.values).await?;
    let mut found: Vec<Listed> = found.into_iter().map(Listed::from).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = if more { found.last().map(|r| r.cursor(query.sort)) } else { None };
    let mut tags = tags_of(on, &found).await?;
    let items = found.into_iter().map(|listed| {
        let tags = tags.remove(&listed.number).unwrap_or_default();
        listed.shown(tags)
    });
    Ok((items.collect::<Result<_, _>>()?, next))
}

/// The tags of these devices by their numbers, read at once: a page must not ask for each of its rows.
async fn tags_of(on: &mut impl Conn, found: &[Listed]) -> Result<HashMap<i64, Vec<String>>, Error> {
    let mut tags: HashMap<i64, Vec<String>> = HashMap::new();
    if found.is_empty() {
        return Ok(tags);
    }
    let places: Vec<String> = (1..=found.len()).map(|n| format!("${n}")).collect();
    let text = format!("SELECT device, tag FROM device_tags WHERE device IN ({}) ORDER BY device, tag", places.join(", "));
    let numbers: Vec<Value> = found.iter().map(|listed| Value::Int(listed.number)).collect();
    for (device, tag) in select::<(i64, String)>(on, text, &numbers).await? {
        tags.entry(device).or_default().push(tag);
    }
    Ok(tags)
}

impl Devices {
    /// What a selector asks of now.
    pub(super) async fn asked(&self, org: &OrgId, selector: &Selector) -> Result<Asked, Error> {
        Ok(Asked::of(selector, self.last.as_ref(), (self.db.kind(), org, self.clock.now())).await?)
    }

    async fn facets(&self, on: &mut impl Conn, org: &OrgId) -> Result<Facets, Error> {
        let now = self.clock.now();
        if let Some(facets) = self.facets.fresh(org, now) {
            return Ok(facets);
        }
        let versions: Vec<VersionShare> = rows!(on, (String, String, i64), store::VERSIONS, org.as_str())?
            .into_iter()
            .map(|(device_type, version, devices)| VersionShare { device_type, version, devices })
            .collect();
        let types: BTreeSet<&str> = versions.iter().map(|v| v.device_type.as_str()).filter(|t| !t.is_empty()).collect();
        let facets = Facets {
            types: types.into_iter().take(OFFERED).map(str::to_owned).collect(),
            tags: rows!(on, (String,), store::ALL_TAGS, org.as_str())?.into_iter().map(|r| r.0).collect(),
            groups: rows!(on, (String,), groups::NAMES, org.as_str())?.into_iter().map(|r| r.0).collect(),
            fleet: versions.iter().map(|v| v.devices).sum(),
            versions: versions.into_iter().take(OFFERED).collect(),
        };
        self.facets.keep(org.clone(), facets.clone(), now, self.clock.now(), FACETS_MS);
        Ok(facets)
    }

    /// A page of rows; the ones before and after it may change meanwhile, none is skipped or shown twice.
    async fn rows(&self, on: &mut impl Conn, org: &OrgId, selector: Selector, query: &DeviceQuery) -> Result<Page<DeviceRow>, Error> {
        let limit = query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS) as usize;
        let asked = self.asked(org, &selector).await?;
        let meant = Meant::new(on, org, selector, asked).await?;
        let total = self.total(on, org, &meant).await?;
        let (items, next) = part(on, org, &meant, query, limit).await?;
        Ok(Page { items, next, total })
    }

    /// How many devices are meant; where counting them takes long, as it was a while ago.
    async fn total(&self, on: &mut impl Conn, org: &OrgId, meant: &Meant) -> Result<i64, Error> {
        let (key, now) = ((org.clone(), meant.selector.to_string()), self.clock.now());
        if meant.few.is_none()
            && let Some(total) = self.totals.fresh(&key, now)
        {
            return Ok(total);
        }
        let counted = meant.filter(org, true);
        let text = format!("SELECT COUNT(*) FROM {} WHERE {}", counted.from, counted.text);
        let total = select::<(i64,)>(on, text, &counted.values).await?.first().map_or(0, |r| r.0);
        if meant.few.is_none() {
            self.totals.keep(key, total, now, self.clock.now(), 0);
        }
        Ok(total)
    }

    /// A page of the list with what its filter offers. A mistake in the selector is part of the page, not an error.
    pub async fn page(&self, actor: &Actor, query: &DeviceQuery) -> Result<DevicesPage, Error> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let facets = self.facets(&mut on, &actor.org).await?;
        let (devices, selector_error) = match Selector::parse(&query.q) {
            Ok(selector) => (self.rows(&mut on, &actor.org, selector, query).await?, None),
            Err(e) => (Page { items: Vec::new(), next: None, total: 0 }, Some(e)),
        };
        Ok(DevicesPage {
            devices,
            types: facets.types,
            tags: facets.tags,
            groups: facets.groups,
            // Two types may have a version of the same name; to the filter it is one.
            versions: facets
                .versions
                .into_iter()
                .map(|v| v.version)
                .filter(|v| !v.is_empty())
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            selector_error,
            fleet: facets.fleet,
            may_enrol: allowed(actor, Act::Enrol),
            may_edit: allowed(actor, Act::EditDevices),
            may_suspend: allowed(actor, Act::Suspend),
            at: self.clock.now(),
        })
    }

    /// The same for scripts: a mistake in the selector is an error.
    pub async fn list(&self, actor: &Actor, query: &DeviceQuery) -> Result<Page<DeviceRow>, Error> {
        may(actor, Act::Read)?;
        let selector = Selector::parse(&query.q).map_err(Error::Selector)?;
        let mut on = self.db.read().await?;
        self.rows(&mut on, &actor.org, selector, query).await
    }

    /// Devices that a selector means, by their ids from `cursor` on, a thousand at once: for a file of all of them.
    pub async fn export(&self, actor: &Actor, q: &str, cursor: Option<String>) -> Result<(Vec<DeviceRow>, Option<String>), Error> {
        may(actor, Act::Read)?;
        let selector = Selector::parse(q).map_err(Error::Selector)?;
        let query = DeviceQuery { cursor, ..DeviceQuery::default() };
        // Read along their order to the end: nothing is to be found sooner.
        let meant = Meant { asked: self.asked(&actor.org, &selector).await?, selector, few: None };
        part(&mut self.db.read().await?, &actor.org, &meant, &query, EXPORTED).await
    }

    /// How many devices the fleet has; at most two seconds old.
    pub(crate) async fn fleet_size(&self, org: &OrgId) -> Result<i64, Error> {
        Ok(self.facets(&mut self.db.read().await?, org).await?.fleet)
    }

    /// How many devices of each type run each version, most first.
    pub(crate) async fn versions(&self, org: &OrgId) -> Result<Vec<VersionShare>, Error> {
        Ok(self.facets(&mut self.db.read().await?, org).await?.versions)
    }

    /// Counts of the fleet; `expiring` is the pki room's and left at 0.
    pub(crate) async fn counts(&self, org: &OrgId) -> Result<FleetCounts, Error> {
        let now = self.clock.now();
        if let Some(counts) = self.counts.fresh(org, now) {
            return Ok(counts);
        }
        let found = row!(&mut self.db.read().await?, (i64, i64, i64, i64), store::COUNTS, org.as_str())?.unwrap_or_default();
        let counts = FleetCounts { devices: found.0, online: found.1, updating: found.2, failed: found.3, expiring: 0 };
        self.counts.keep(org.clone(), counts, now, self.clock.now(), 0);
        Ok(counts)
    }
}
