//! The device list: a selector, an order, and keyset pages of it. The same query serves the page, REST and counts.

use super::{
    DeviceNo, Devices, Error,
    along::Along,
    filter::{Asked, Filter, asks_for_state},
    groups,
    misspelt::Misspelt,
    narrowing::{Few, Ways, any, ways},
    rows::{by_id, part},
    selector::Selector,
    sizes::Facets,
    store::{ALL_ATTRIBUTES, ALL_HARDWARE},
};
use crate::{
    access::{Act, Actor, allowed, may},
    db::{self, Conn, Db, Value, rows, select},
    kept::{Kept, kept_or},
};
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};
use wire::{
    devices::{DeviceQuery, DeviceRow, DeviceSort, DevicesPage},
    ids::OrgId,
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    selector::Field,
};

/// Names of attributes, and revisions of hardware, that are read at most, to know which there are.
const NAMES: u32 = 1000;
/// Rows of an export that are read at once.
const EXPORTED: usize = 1000;

/// By organization and selector, how many it means.
pub(super) type KeptTotals = Arc<Kept<(OrgId, String), i64>>;

/// The condition every list begins with.
pub(super) fn base(org: &OrgId, selector: &Selector, asked: &Asked) -> Filter {
    condition(org, selector, Among::Everyone, Filter { asked: asked.clone(), ..Filter::default() })
}

/// Among whom they are looked for, and what is left to be asked of those.
#[derive(Clone, Copy)]
enum Among<'a> {
    Everyone,
    Few(&'a Few, &'a Selector),
    /// The same, met along the order of the list.
    Met(&'a Few, &'a Selector),
    Along(&'a Along, &'a Selector),
}

/// The same, among these.
fn condition(org: &OrgId, selector: &Selector, among: Among<'_>, mut filter: Filter) -> Filter {
    let org = filter.bind(Value::Text(org.to_string()));
    filter.text = format!("d.org_id = {org} AND d.deleted_at IS NULL");
    let left = match among {
        Among::Met(few, left) => {
            "devices d".clone_into(&mut filter.from);
            let met = filter.among("d.number", few.numbers().to_owned());
            // Asked of each that is passed by: not a list that the planner may begin with.
            filter.text = format!("{} AND ({met}) IS TRUE", filter.text);
            left
        }
        Among::Everyone => {
            "devices d".clone_into(&mut filter.from);
            selector
        }
        Among::Few(few, left) => {
            filter.from = filter.each(few.numbers().to_owned());
            left
        }
        Among::Along(along, left) => {
            along.read(&mut filter);
            left
        }
    };
    // Where the selector's own states leave them out, the index that is read is told so in its words.
    if !asks_for_state(selector) || matches!(among, Among::Along(along, _) if along.leaves_out()) {
        filter.text.push_str(" AND d.state <> 'decommissioned'");
    }
    if *left != Selector::everything() {
        filter.text.push_str(" AND ");
        filter.push(left);
    }
    filter
}

/// What a list is about: who is meant, by what is known now, and how they are looked for.
#[derive(Clone)]
pub(super) struct Meant {
    selector: Selector,
    asked: Asked,
    ways: Ways,
}

impl Meant {
    /// Looks for the best way to a page in this order. `known` is how many were meant when they were last counted, if that was kept.
    pub(super) async fn new(
        on: &mut impl Conn,
        org: &OrgId,
        (selector, asked): (Selector, Asked),
        sort: DeviceSort,
        known: Option<usize>,
    ) -> Result<Self, Error> {
        Ok(Self { ways: ways(on, org, &selector, (by_id(sort), known)).await?, selector, asked })
    }

    /// Looked for through the whole fleet, in any order.
    pub(super) const fn through_all(selector: Selector, asked: Asked) -> Self {
        Self { selector, asked, ways: Ways { few: None, along: None, met: None } }
    }

    /// Whether they are looked for through the whole fleet.
    pub(super) const fn is_through_all(&self) -> bool {
        self.ways.few.is_none() && self.ways.along.is_none()
    }

    /// How far along the order of the list to look for so many; none where another way is shorter.
    pub(super) fn met(&self, wanted: usize) -> Option<usize> {
        self.ways.met?.reach(wanted, self.asked.on_postgres())
    }

    /// Every device that the order of a list has, also those that no list shows.
    pub(super) fn order_of_all(&self, org: &OrgId) -> Filter {
        let mut filter = Filter { asked: self.asked.clone(), ..Filter::default() };
        let org = filter.bind(Value::Text(org.to_string()));
        filter.text = format!("d.org_id = {org}");
        filter
    }

    /// For a page of those that are met along the order.
    pub(super) fn met_by(&self, org: &OrgId) -> Filter {
        let among = self.ways.few.as_ref().map_or(Among::Everyone, |(few, left)| Among::Met(few, left));
        condition(org, &self.selector, among, Filter { asked: self.asked.clone(), ..Filter::default() })
    }

    /// For a page of them.
    pub(super) fn listed(&self, org: &OrgId) -> Filter {
        let among = self.ways.along.as_ref().map_or_else(|| self.few(), |(along, left)| Among::Along(along, left));
        condition(org, &self.selector, among, Filter { asked: self.asked.clone(), ..Filter::default() })
    }

    /// For how many they are.
    fn counted(&self, org: &OrgId) -> Filter {
        // What is in other tables is only looked up for a few.
        let counting = self.ways.few.is_none();
        condition(org, &self.selector, self.few(), Filter { asked: self.asked.clone(), counting, ..Filter::default() })
    }

    fn few(&self) -> Among<'_> {
        self.ways.few.as_ref().map_or(Among::Everyone, |(few, left)| Among::Few(few, left))
    }
}

/// Those of these devices, at most [`FEW`](super::narrowing::FEW), that a selector means, by one statement.
pub(crate) async fn matching(
    on: &mut impl Conn,
    org: &OrgId,
    (selector, asked): (&Selector, &Asked),
    devices: &[DeviceNo],
) -> Result<HashSet<DeviceNo>, db::Error> {
    let these = Few::these(devices)?;
    let filter = condition(org, selector, Among::Few(&these, selector), Filter { asked: asked.clone(), ..Filter::default() });
    let text = format!("SELECT d.number FROM {} WHERE {}", filter.from, filter.text);
    Ok(select::<(i64,)>(on, text, &filter.values).await?.into_iter().map(|(device,)| device).collect())
}

/// Names that were read, and whether they are all.
fn named(rows: Vec<(String,)>) -> (Vec<String>, bool) {
    let all = rows.len() < NAMES as usize;
    (rows.into_iter().map(|row| row.0).collect(), all)
}

async fn count(db: Db, org: OrgId, meant: Meant) -> Result<i64, Error> {
    let counted = meant.counted(&org);
    let text = format!("SELECT COUNT(*) FROM {} WHERE {}", counted.from, counted.text);
    Ok(select::<(i64,)>(&mut db.read().await?, text, &counted.values).await?.first().map_or(0, |r| r.0))
}

impl Devices {
    /// What a selector asks of now.
    pub(super) async fn asked(&self, org: &OrgId, selector: &Selector) -> Result<Asked, Error> {
        Ok(Asked::of(selector, self.last.as_ref(), (self.db.kind(), org, self.clock.now())).await?)
    }

    /// A page of rows; the ones before and after it may change meanwhile, none is skipped or shown twice.
    async fn rows(&self, org: &OrgId, selector: Selector, query: &DeviceQuery) -> Result<Page<DeviceRow>, Error> {
        let limit = query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS) as usize;
        let asked = self.asked(org, &selector).await?;
        let known = self.totals.last(&(org.clone(), selector.to_string()), self.clock.now());
        let known = known.and_then(|known| usize::try_from(known).ok());
        let (meant, (items, next)) = {
            let mut on = self.db.read().await?;
            let meant = Meant::new(&mut on, org, (selector, asked), query.sort, known).await?;
            let found = part(&mut on, org, &meant, query, limit).await?;
            (meant, found)
        };
        Ok(Page { items, next, total: self.total(org, meant).await? })
    }

    /// How many devices are meant; where counting them takes long, as it was a while ago.
    async fn total(&self, org: &OrgId, meant: Meant) -> Result<i64, Error> {
        let key = (org.clone(), meant.selector.to_string());
        kept_or((&self.totals, key, 0), (&self.db, &self.clock), || count(self.db.clone(), org.clone(), meant)).await
    }

    /// Sentences about what a search asks for and that there is none of: types, tags, attributes, hardware, versions, metrics and groups.
    /// What is offered is of devices that are not decommissioned, so nothing is said of a search that asks for a state.
    async fn misspelt(&self, org: &OrgId, selector: &Selector, facets: &Facets) -> Result<Vec<String>, Error> {
        if asks_for_state(selector) {
            return Ok(Vec::new());
        }
        let mut misspelt = Misspelt::new([selector]);
        let versions: Vec<String> = facets.versions.iter().map(|v| v.version.clone()).collect();
        misspelt.knows(&Field::Type, &facets.types);
        misspelt.knows(&Field::Tag, &facets.tags);
        misspelt.knows(&Field::Version, &versions);
        // What is offered may be a while old, and is not all of a large fleet.
        let missing = misspelt.missing();
        if misspelt.is_settled() {
            return Ok(Vec::new());
        }
        let mut on = self.db.read().await?;
        for (field, values) in missing {
            let mut found = Vec::new();
            for value in values {
                if any(&mut on, org, &field, &value).await? {
                    found.push(value);
                }
            }
            misspelt.knows(&field, &found);
        }
        if misspelt.asks_for_attributes() {
            let (names, all) = named(rows!(&mut on, (String,), ALL_ATTRIBUTES, org.as_str(), i64::from(NAMES))?);
            misspelt.knows_attributes(&names, all);
        }
        if misspelt.asks_for_hardware() {
            let (revisions, all) = named(rows!(&mut on, (String,), ALL_HARDWARE, org.as_str(), i64::from(NAMES))?);
            misspelt.knows_hardware(&revisions, all);
        }
        let groups = if misspelt.asks_for_groups() { groups::names(&mut on, org).await? } else { Vec::new() };
        // Nobody waits for a second connection with one in hand.
        drop(on);
        if misspelt.asks_for_metrics() {
            let (names, all) = match &self.last {
                Some(last) => last.known(org).await?,
                None => (Vec::new(), false),
            };
            misspelt.knows_metrics(&names, all);
        }
        Ok(misspelt.said(&groups))
    }

    /// A page of the list with what its filter offers. A mistake in the selector is part of the page, not an error.
    pub async fn page(&self, actor: &Actor, query: &DeviceQuery) -> Result<DevicesPage, Error> {
        may(actor, Act::Read)?;
        let facets = self.facets(&actor.org).await?;
        let views = self.views(actor).await?;
        let (devices, misspelt, selector_error) = match Selector::parse(&query.q) {
            Ok(selector) => {
                let misspelt = self.misspelt(&actor.org, &selector, &facets).await?;
                (self.rows(&actor.org, selector, query).await?, misspelt, None)
            }
            Err(e) => (Page { items: Vec::new(), next: None, total: 0 }, Vec::new(), Some(e)),
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
            facets: None,
            views,
            selector_error,
            misspelt,
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
        self.rows(&actor.org, selector, query).await
    }

    /// What the list's page says of what a selector asks for and that there is none of, for scripts. Costs nothing where it asks for
    /// none of these; a mistake in it is an error.
    pub async fn hints(&self, actor: &Actor, q: &str) -> Result<Vec<String>, Error> {
        may(actor, Act::Read)?;
        let selector = Selector::parse(q).map_err(Error::Selector)?;
        if Misspelt::new([&selector]).is_settled() {
            return Ok(Vec::new());
        }
        let facets = self.facets(&actor.org).await?;
        self.misspelt(&actor.org, &selector, &facets).await
    }

    /// Devices that a selector means, by their ids from `cursor` on, a thousand at once: for a file of all of them.
    pub async fn export(&self, actor: &Actor, q: &str, cursor: Option<String>) -> Result<(Vec<DeviceRow>, Option<String>), Error> {
        may(actor, Act::Read)?;
        let selector = Selector::parse(q).map_err(Error::Selector)?;
        let query = DeviceQuery { cursor, ..DeviceQuery::default() };
        // Read along their order to the end: nothing is to be found sooner.
        let asked = self.asked(&actor.org, &selector).await?;
        let meant = Meant::through_all(selector, asked);
        part(&mut self.db.read().await?, &actor.org, &meant, &query, EXPORTED).await
    }
}
