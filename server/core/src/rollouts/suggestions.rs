//! What a plan can begin with: the devices of one site, by the values of the attributes that tell an organization's sites apart. Owns how long that is
//! shown again: it is counted through the fleet. Refuses to know tags and groups, which are counted where they are kept.

use super::{Rollouts, store::strata};
use crate::{
    Result,
    db::Db,
    devices::WAITED,
    kept::{Kept, kept_within},
    transfers,
};
use std::sync::Arc;
use wire::{ids::OrgId, rollouts::SelectorSuggestion, selector::Field};

/// By organization, what its plans can begin with.
pub(super) type Suggestions = Arc<Kept<OrgId, Vec<SelectorSuggestion>>>;

async fn suggestions(db: Db, org: OrgId) -> Result<Vec<SelectorSuggestion>> {
    let mut on = db.read().await?;
    let named = transfers::site_attribute(&mut on, &org).await?;
    let found = strata::values(&mut on, &org, &named).await?;
    Ok(found.into_iter().filter_map(|(name, value, devices)| SelectorSuggestion::of(Field::Attribute(name), &value, devices)).collect())
}

impl Rollouts {
    /// The values that most devices have, at most 100. Empty where counting takes longer than a page waits: they are there for who asks next. Takes a
    /// connection of its own, so whoever calls it holds none.
    pub(super) async fn suggestions(&self, org: &OrgId) -> Result<Vec<SelectorSuggestion>> {
        let (db, of) = (self.db.clone(), org.clone());
        let found = kept_within(WAITED, (&self.suggestions, org.clone(), 0), (&self.db, &self.clock), move || suggestions(db, of)).await?;
        Ok(found.unwrap_or_default())
    }
}
