//! A device's updates, attempt by attempt, with what the device said of each. Owns how much of that a page shows; refuses to know who may see the device.

use super::{
    Error, Rollouts,
    store::{log, parts, turns},
};
use crate::{Result, devices::DeviceNo};
use std::collections::HashMap;
use wire::{
    ids::UpdateId,
    page::{MAX_ROWS, Page},
    updates::{Attempt, AttemptsQuery, DeviceUpdate, LogLine, MOST_LINES},
};

/// Updates of a page, unless so many are asked for.
const ATTEMPTS: u32 = 20;
/// Lines of each that a page shows.
const SHOWN: u32 = 20;

impl Rollouts {
    /// A device's updates, newest first; at most 20.
    pub(crate) async fn updates_of(&self, device: DeviceNo) -> Result<Vec<DeviceUpdate>> {
        let now = self.clock.now();
        Ok(parts::of_device(&mut self.db.read().await?, device, (None, ATTEMPTS), now).await?.items)
    }

    /// A page of a device's updates, newest first.
    pub(crate) async fn updates_listed(&self, device: DeviceNo, query: &AttemptsQuery) -> Result<Page<DeviceUpdate>> {
        let (behind, rows) = place(query)?;
        let now = self.clock.now();
        Ok(parts::of_device(&mut self.db.read().await?, device, (behind.as_ref(), rows), now).await?)
    }

    /// The same with the newest of what the device said of each; of one that is wanted whole, all that is kept.
    pub(crate) async fn attempts(&self, device: DeviceNo, query: &AttemptsQuery) -> Result<Page<Attempt>> {
        let (behind, rows) = place(query)?;
        let now = self.clock.now();
        let mut on = self.db.read().await?;
        let Page { items, next, total } = parts::of_device(&mut on, device, (behind.as_ref(), rows), now).await?;
        let mut said = log::of_each(&mut on, &items, SHOWN + 1).await?;
        if let Some(whole) = query.whole.as_ref().filter(|whole| items.iter().any(|update| update.id == **whole)) {
            said.insert(whole.to_string(), log::of(&mut on, whole, MOST_LINES).await?);
        }
        let items = items.into_iter().map(|update| attempt(update, &mut said, query.whole.as_ref())).collect();
        Ok(Page { items, next, total })
    }

    /// What a device said of an update of its own, the newest in front: all that is kept.
    pub(crate) async fn log_of(&self, device: DeviceNo, update: &UpdateId) -> Result<Page<LogLine>> {
        let mut on = self.db.read().await?;
        turns::state_of(&mut on, device, update).await?.ok_or(Error::NotFound("update"))?;
        Ok(Page::whole(log::of(&mut on, update, MOST_LINES).await?))
    }
}

/// Behind which update a page begins, and how many it has.
fn place(query: &AttemptsQuery) -> Result<(Option<UpdateId>, u32), Error> {
    let rows = query.rows.unwrap_or(ATTEMPTS).clamp(1, MAX_ROWS);
    if query.cursor.is_empty() {
        return Ok((None, rows));
    }
    let behind = query.cursor.parse::<UpdateId>().map_err(|_| Error::not_a_cursor())?;
    Ok((Some(behind), rows))
}

/// An update with its lines, as many as a page shows of it.
fn attempt(update: DeviceUpdate, said: &mut HashMap<String, Vec<LogLine>>, whole: Option<&UpdateId>) -> Attempt {
    let mut log = said.remove(update.id.as_str()).unwrap_or_default();
    let shown = if whole == Some(&update.id) { log.len() } else { SHOWN as usize };
    let more = log.len() > shown;
    log.truncate(shown);
    Attempt { update, log, more }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_an_update_and_is_bounded() {
        let query = |cursor: &str, rows| AttemptsQuery { cursor: cursor.into(), rows, whole: None };
        let id = "upd_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";
        assert_eq!(place(&query("", None)).unwrap(), (None, ATTEMPTS));
        assert_eq!(place(&query(id, Some(3))).unwrap(), (Some(id.parse().unwrap()), 3));
        assert_eq!([0, 10_000].map(|rows| place(&query("", Some(rows))).unwrap().1), [1, MAX_ROWS]);
        for wrong in ["x", "upd_", "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2"] {
            assert!(matches!(place(&query(wrong, None)), Err(Error::Invalid { field: "cursor", .. })), "{wrong}");
        }
    }
}
