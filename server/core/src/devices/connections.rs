//! When a device was connected, as far back as that is kept. Presence writes it; here it is read. Knows nothing of devices without a channel: what only
//! polls is never connected.

use super::{DeviceNo, Devices, Error, paging::size};
use crate::{
    access::Actor,
    db::{Conn, Sql, row, rows},
};
use wire::{
    Timestamp,
    connections::{ConnectionsPage, ConnectionsQuery, DAYS},
    devices::ConnectionSpan,
    ids::DeviceId,
    page::Page,
    time::DAY_MS,
};

const LISTED: Sql = Sql::same(
    "SELECT id, started_at, ended_at, address, reason FROM connections
     WHERE device = $1 AND started_at <= $2 AND (started_at < $2 OR id < $3) ORDER BY started_at DESC, id DESC LIMIT $4",
);
const COUNT: Sql = Sql::same("SELECT COUNT(*) FROM connections WHERE device = $1");
const SPANS: Sql = Sql::same(
    "SELECT started_at, ended_at FROM connections WHERE device = $1 AND (ended_at IS NULL OR ended_at > $2) ORDER BY started_at DESC LIMIT $3",
);

pub(crate) const ALL: &[&Sql] = &[&LISTED, &COUNT, &SPANS];

/// Most connections that days are added up from: one that comes and goes every other minute for a month. Of more, only the last days are known.
const MOST_SPANS: i64 = 20_000;
/// Connections of a file that are read at once.
const EXPORTED: u32 = 1000;

#[derive(sqlx::FromRow)]
struct Listed {
    id: i64,
    started_at: i64,
    ended_at: Option<i64>,
    address: String,
    reason: String,
}

impl Listed {
    fn shown(self) -> ConnectionSpan {
        let Self { started_at, ended_at, address, reason, .. } = self;
        ConnectionSpan { from: Timestamp(started_at), to: ended_at.map(Timestamp), address, reason }
    }
}

/// Behind which connection a page begins: its start and number.
fn place(cursor: &str) -> Result<(i64, i64), Error> {
    if cursor.is_empty() {
        return Ok((i64::MAX, i64::MAX));
    }
    let read = cursor.split_once('.').and_then(|(start, id)| Some((start.parse().ok()?, id.parse().ok()?)));
    read.ok_or_else(|| Error::invalid("cursor", "Take the cursor of the page before."))
}

async fn listed(on: &mut impl Conn, device: DeviceNo, cursor: &str, rows: u32) -> Result<Page<ConnectionSpan>, Error> {
    let (start, id) = place(cursor)?;
    let found = rows!(on, Listed, LISTED, device, start, id, i64::from(rows) + 1)?;
    let total = row!(on, (i64,), COUNT, device)?.map_or(0, |(n,)| n);
    let Page { items, next, total } = Page::cut(found, rows, total, |last| format!("{}.{}", last.started_at, last.id));
    Ok(Page { items: items.into_iter().map(Listed::shown).collect(), next, total })
}

/// For how many milliseconds of each day from `first` to `now` there was a connection. `spans` begin with the newest; what overlaps counts once.
fn by_day(spans: &[(i64, Option<i64>)], first: i64, now: i64) -> Vec<i64> {
    let mut days = vec![0; DAYS as usize];
    let mut counted = first;
    for (from, to) in spans.iter().rev() {
        let (mut at, end) = ((*from).max(counted), to.unwrap_or(now).min(now));
        while at < end {
            let day = (at - first) / DAY_MS;
            let until = end.min(first + (day + 1) * DAY_MS);
            if let Some(day) = usize::try_from(day).ok().and_then(|day| days.get_mut(day)) {
                *day += until - at;
            }
            at = until;
        }
        counted = counted.max(end);
    }
    days
}

impl Devices {
    /// A device's connections, the newest in front, and how much of each day they were.
    pub async fn connections(&self, actor: &Actor, device_id: &DeviceId, query: &ConnectionsQuery) -> Result<ConnectionsPage, Error> {
        let device = self.find(actor, device_id).await?;
        let now = self.clock.now();
        let first = now.0.div_euclid(DAY_MS) * DAY_MS - i64::from(DAYS - 1) * DAY_MS;
        let mut on = self.db.read().await?;
        let connections = listed(&mut on, device, &query.cursor, size(query.rows)).await?;
        let spans = rows!(&mut on, (i64, Option<i64>), SPANS, device, first, MOST_SPANS)?;
        let all = i64::try_from(spans.len()).is_ok_and(|n| n < MOST_SPANS);
        let since = spans.last().filter(|_| !all).map_or(first, |(oldest, _)| (*oldest).max(first));
        Ok(ConnectionsPage {
            connections,
            days: by_day(&spans, first, now.0),
            first_day: Timestamp(first),
            since: Timestamp(since),
            at: now,
        })
    }

    /// The connections alone, for scripts.
    pub async fn connections_listed(
        &self,
        actor: &Actor,
        device_id: &DeviceId,
        query: &ConnectionsQuery,
    ) -> Result<Page<ConnectionSpan>, Error> {
        let device = self.find(actor, device_id).await?;
        listed(&mut self.db.read().await?, device, &query.cursor, size(query.rows)).await
    }

    /// The connections from a cursor on, a thousand at once, and the cursor behind them: for a file of all of them.
    pub async fn connections_export(
        &self,
        actor: &Actor,
        device_id: &DeviceId,
        cursor: Option<String>,
    ) -> Result<(Vec<ConnectionSpan>, Option<String>), Error> {
        let device = self.find(actor, device_id).await?;
        let page = listed(&mut self.db.read().await?, device, &cursor.unwrap_or_default(), EXPORTED).await?;
        Ok((page.items, page.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = DAY_MS / 24;

    #[test]
    fn a_day_has_what_lies_in_it_and_nothing_twice() {
        let first = 100 * DAY_MS;
        let now = first + 29 * DAY_MS + 6 * HOUR;
        let day = |n: i64, hour: i64| first + n * DAY_MS + hour * HOUR;
        // It lasts; it reached over a midnight; two that overlap; one began before the first day.
        let spans = [
            (day(29, 4), None),
            (day(9, 22), Some(day(11, 1))),
            (day(3, 10), Some(day(3, 14))),
            (day(3, 8), Some(day(3, 12))),
            (first - DAY_MS, Some(day(0, 3))),
        ];
        let days = by_day(&spans, first, now);
        let hours: Vec<(usize, i64)> = days.iter().enumerate().filter(|(_, ms)| **ms > 0).map(|(n, ms)| (n, ms / HOUR)).collect();
        assert_eq!(hours, [(0, 3), (3, 6), (9, 2), (10, 24), (11, 1), (29, 2)]);
        assert_eq!(days.len(), 30);
        assert_eq!(by_day(&[], first, now).iter().sum::<i64>(), 0);
        // A clock that was set back leaves ends in the future.
        assert_eq!(by_day(&[(day(29, 5), Some(day(40, 0)))], first, now)[29], HOUR);
    }

    #[test]
    fn a_cursor_that_is_none_is_refused() {
        assert_eq!(place("17.4").unwrap(), (17, 4));
        for wrong in ["17", "a.b", "17.4.1", "."] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
