//! Views of the device list that people have saved, each for themselves. Owns the table; refuses to know what a view shows.

use super::{Devices, Error, selector::Selector};
use crate::{
    access::{Act, Actor, may},
    db::{self, Sql, exec, row, rows},
    text::unseen,
};
use std::collections::BTreeSet;
use wire::{
    devices::DeviceSort,
    ids::UserId,
    views::{DeviceColumn, MAX_VIEW_NAME, MAX_VIEWS, SavedView},
};

const LIST: Sql = Sql::same("SELECT name, q, sort, shown FROM device_views WHERE user_id = $1 AND org_id = $2 ORDER BY name");
const OTHERS: Sql = Sql::same("SELECT COUNT(*) FROM device_views WHERE user_id = $1 AND name <> $2");
const SAVE: Sql = Sql::same(
    "INSERT INTO device_views (user_id, org_id, name, q, sort, shown) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (user_id, name) DO UPDATE SET q = $4, sort = $5, shown = $6",
);
const FORGET: Sql = Sql::same("DELETE FROM device_views WHERE user_id = $1 AND org_id = $2 AND name = $3");

pub(crate) const ALL: &[&Sql] = &[&LIST, &OTHERS, &SAVE, &FORGET];

/// Whose views they are: the person in the browser, or the one who made the token.
fn person(actor: &Actor) -> Result<&UserId, Error> {
    actor.user().ok_or_else(|| Error::invalid("name", "A saved view belongs to a person. Sign in, or use a token that a person made."))
}

impl Devices {
    /// The person's saved views, by their names; none of anybody who is no person.
    pub async fn views(&self, actor: &Actor) -> Result<Vec<SavedView>, Error> {
        may(actor, Act::Read)?;
        let Some(user) = actor.user() else { return Ok(Vec::new()) };
        rows!(&mut self.db.read().await?, (String, String, String, String), LIST, user.as_str(), actor.org.as_str())?
            .into_iter()
            .map(|(name, q, sort, shown)| {
                let sort = DeviceSort::of(&sort).ok_or_else(|| db::Error::corrupt(format!("the order {sort:?}")))?;
                Ok(SavedView { name, q, sort, columns: DeviceColumn::listed(&shown) })
            })
            .collect()
    }

    /// Keeps a view under its name for the person who saves it; one of the same name is replaced. Nobody else sees it, so the audit log does not tell.
    pub async fn save_view(&self, actor: &Actor, view: &SavedView) -> Result<SavedView, Error> {
        may(actor, Act::Read)?;
        let user = person(actor)?;
        let name = view.name.trim();
        let length = name.chars().count();
        if length == 0 || length > MAX_VIEW_NAME as usize || name.chars().any(unseen) {
            return Err(Error::invalid(
                "name",
                format!("Give the view a name of 1 to {MAX_VIEW_NAME} characters, on one line and without control characters."),
            ));
        }
        let q = view.q.trim();
        Selector::parse(q).map_err(Error::Selector)?;
        let mut tx = self.db.write().await?;
        let others = row!(&mut tx, (i64,), OTHERS, user.as_str(), name)?.map_or(0, |r| r.0);
        if usize::try_from(others).unwrap_or(usize::MAX) >= MAX_VIEWS {
            return Err(Error::invalid("name", format!("A person has at most {MAX_VIEWS} saved views. Remove one that is not needed.")));
        }
        let columns: BTreeSet<DeviceColumn> = view.columns.iter().copied().collect();
        let columns: Vec<DeviceColumn> = columns.into_iter().collect();
        let (org, shown) = (actor.org.as_str(), DeviceColumn::text(&columns));
        exec!(&mut tx, SAVE, user.as_str(), org, name, q, view.sort.as_str(), shown.as_str())?;
        tx.commit().await?;
        Ok(SavedView { name: name.to_owned(), q: q.to_owned(), sort: view.sort, columns })
    }

    /// Removes one of the person's views.
    pub async fn forget_view(&self, actor: &Actor, name: &str) -> Result<(), Error> {
        may(actor, Act::Read)?;
        let user = person(actor)?;
        let mut tx = self.db.write().await?;
        if exec!(&mut tx, FORGET, user.as_str(), actor.org.as_str(), name)? == 0 {
            return Err(Error::NotFound("saved view"));
        }
        tx.commit().await?;
        Ok(())
    }
}
