//! The device list: a selector, an order, and keyset pages of it. The same query serves the page, REST and counts.

use super::{
    Devices, Error,
    filter::{Asked, Filter, asks_for_state},
    narrowing,
    rows::part,
    selector::Selector,
};
use crate::{
    access::{Act, Actor, allowed, may},
    db::{Conn, Db, Value, select},
    kept::{Kept, kept_or},
};
use std::{collections::BTreeSet, sync::Arc};
use wire::{
    devices::{DeviceQuery, DeviceRow, DevicesPage},
    ids::OrgId,
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
};

/// Rows of an export that are read at once.
const EXPORTED: usize = 1000;

/// By organization and selector, how many it means.
pub(super) type KeptTotals = Arc<Kept<(OrgId, String), i64>>;

/// The condition every list begins with.
pub(super) fn base(org: &OrgId, selector: &Selector, asked: &Asked) -> Filter {
    condition(org, selector, None, Filter { asked: asked.clone(), ..Filter::default() })
}

/// The same, among these devices when they are known, of which only this is left to be asked.
fn condition(org: &OrgId, selector: &Selector, few: Option<&(narrowing::Few, Selector)>, mut filter: Filter) -> Filter {
    let org = filter.bind(Value::Text(org.to_string()));
    let (from, left) = match few {
        None => ("devices d".to_owned(), selector),
        Some((few, left)) => (filter.each(few.numbers().to_owned()), left),
    };
    filter.from = from;
    filter.text = format!("d.org_id = {org} AND d.deleted_at IS NULL");
    if !asks_for_state(selector) {
        filter.text.push_str(" AND d.state <> 'decommissioned'");
    }
    if *left != Selector::everything() {
        filter.text.push_str(" AND ");
        filter.push(left);
    }
    filter
}

/// What a list is about: who is meant, by what is known now, and among whom they are when that is known.
#[derive(Clone)]
pub(super) struct Meant {
    selector: Selector,
    asked: Asked,
    few: Option<(narrowing::Few, Selector)>,
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

async fn count(db: Db, org: OrgId, meant: Meant) -> Result<i64, Error> {
    let counted = meant.filter(&org, true);
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
        let (meant, (items, next)) = {
            let mut on = self.db.read().await?;
            let meant = Meant::new(&mut on, org, selector, asked).await?;
            let found = part(&mut on, org, &meant, query, limit).await?;
            (meant, found)
        };
        Ok(Page { items, next, total: self.total(org, meant).await? })
    }

    /// How many devices are meant; where counting them takes long, as it was a while ago.
    async fn total(&self, org: &OrgId, meant: Meant) -> Result<i64, Error> {
        let key = (org.clone(), meant.selector.to_string());
        kept_or((&self.totals, key, 0), &self.clock, || count(self.db.clone(), org.clone(), meant)).await
    }

    /// A page of the list with what its filter offers. A mistake in the selector is part of the page, not an error.
    pub async fn page(&self, actor: &Actor, query: &DeviceQuery) -> Result<DevicesPage, Error> {
        may(actor, Act::Read)?;
        let facets = self.facets(&actor.org).await?;
        let views = self.views(actor).await?;
        let (devices, selector_error) = match Selector::parse(&query.q) {
            Ok(selector) => (self.rows(&actor.org, selector, query).await?, None),
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
            views,
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
        self.rows(&actor.org, selector, query).await
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
}
