//! The rows of a list of devices: where a page begins, in which order, and what stands in a row. They come as one JSON list, because a row handed over by
//! itself costs more than finding it. Does not know who is meant.

use super::{Error, filter::Filter, listing::Meant};
use crate::db::{Conn, Sql, Value, rows, select, unlisted};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use std::collections::HashMap;
use wire::{
    Timestamp,
    devices::{DeviceQuery, DeviceRow, DeviceSort},
    ids::OrgId,
};

const TAGS: Sql = Sql::split(
    "SELECT device, tag FROM device_tags WHERE device IN (SELECT n.value FROM json_each($1) n) ORDER BY device, tag",
    "SELECT device, tag FROM device_tags WHERE device IN (SELECT CAST(n.value AS BIGINT) FROM json_array_elements_text(CAST($1 AS JSON)) n)
     ORDER BY device, tag",
);

pub(crate) const ALL: &[&Sql] = &[&TAGS];

/// A device as its row says.
#[derive(sqlx::FromRow, Deserialize)]
pub(super) struct Listed {
    pub(super) number: i64,
    device_id: String,
    device_type: String,
    hardware: String,
    state: String,
    #[serde(deserialize_with = "crate::db::truth")]
    online: bool,
    version: String,
    last_seen_at: i64,
    update_state: String,
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

    /// The place behind it, with the order that it is a place in: in another one it is none.
    fn cursor(&self, sort: DeviceSort) -> String {
        let key = match sort {
            DeviceSort::DeviceId | DeviceSort::DeviceIdDesc => {
                serde_json::json!([sort.as_str(), self.device_id.to_lowercase(), self.number])
            }
            DeviceSort::LastSeen | DeviceSort::LastSeenDesc => serde_json::json!([sort.as_str(), self.last_seen_at, self.number]),
            DeviceSort::Version | DeviceSort::VersionDesc => serde_json::json!([sort.as_str(), self.version, self.number]),
        };
        URL_SAFE_NO_PAD.encode(key.to_string())
    }
}

/// Whether it is by ids.
pub(super) const fn by_id(sort: DeviceSort) -> bool {
    matches!(sort, DeviceSort::DeviceId | DeviceSort::DeviceIdDesc)
}

/// The columns of an order, and whether it runs backwards.
const fn order(sort: DeviceSort, placed: bool) -> ((&'static str, &'static str), bool) {
    match sort {
        DeviceSort::DeviceId if placed => (("s.place", "s.device"), false),
        DeviceSort::DeviceIdDesc if placed => (("s.place", "s.device"), true),
        DeviceSort::DeviceId => (("d.device_id_lower", "d.number"), false),
        DeviceSort::DeviceIdDesc => (("d.device_id_lower", "d.number"), true),
        DeviceSort::LastSeen => (("d.last_seen_at", "d.number"), false),
        DeviceSort::LastSeenDesc => (("d.last_seen_at", "d.number"), true),
        DeviceSort::Version => (("d.version", "d.number"), false),
        DeviceSort::VersionDesc => (("d.version", "d.number"), true),
    }
}

fn position(cursor: &str, sort: DeviceSort) -> Result<Place, Error> {
    let bad = || Error::invalid("cursor", "This is no cursor of this list. Begin again without one.");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
    let (of, key, number): (String, serde_json::Value, i64) = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    if of != sort.as_str() {
        return Err(bad());
    }
    let key = match (sort, key) {
        (DeviceSort::LastSeen | DeviceSort::LastSeenDesc, serde_json::Value::Number(n)) => Value::Int(n.as_i64().ok_or_else(bad)?),
        (DeviceSort::LastSeen | DeviceSort::LastSeenDesc, _) => return Err(bad()),
        (_, serde_json::Value::String(s)) => Value::Text(s),
        _ => return Err(bad()),
    };
    Ok((key, number))
}

/// What reads at most so many rows in this order, as one.
pub(super) fn statement(filter: &Filter, sort: DeviceSort, limit: usize) -> String {
    let ((column, number), backwards) = order(sort, filter.placed);
    let direction = if backwards { "DESC" } else { "ASC" };
    let found = format!(
        "SELECT d.number, d.device_id, d.device_type, d.hardware, d.state, CAST(d.online AS INTEGER) AS online, d.version, d.last_seen_at, d.update_state,
         {column} AS place FROM {} WHERE {} ORDER BY {column} {direction}, {number} {direction} LIMIT {limit}",
        filter.from, filter.text
    );
    let row = "r.number, r.device_id, r.device_type, r.hardware, r.state, r.online, r.version, r.last_seen_at, r.update_state";
    let order = format!("ORDER BY r.place {direction}, r.number {direction}");
    if filter.on_postgres() {
        format!("SELECT CAST(COALESCE(json_agg(json_build_array({row}) {order}), CAST('[]' AS JSON)) AS TEXT) FROM ({found}) AS r")
    } else {
        format!("SELECT json_group_array(json_array({row}) {order}) FROM ({found}) AS r")
    }
}

/// A place in an order: a key, and the number of the device that has it.
type Place = (Value, i64);

/// A part of an order that its index has as one range. SQLite's planner compares a key and a number together by the key alone, and would pass by all that
/// have a place's key: half a fleet may run one version, or never have been seen.
#[derive(Debug, Clone, PartialEq)]
enum Stretch {
    /// Of those with this key, the ones behind a number, and up to one.
    Within(Value, Option<i64>, Option<i64>),
    /// Those whose keys are behind this one, and before that.
    Between(Option<Value>, Option<Value>),
}

/// What lies behind a place, and up to another one with that, in the order.
fn stretches(from: Option<&Place>, until: Option<&Place>) -> Vec<Stretch> {
    use Stretch::{Between, Within};
    match (from.cloned(), until.cloned()) {
        (None, None) => vec![Between(None, None)],
        (Some((key, number)), None) => vec![Within(key.clone(), Some(number), None), Between(Some(key), None)],
        (None, Some((key, number))) => vec![Between(None, Some(key.clone())), Within(key, None, Some(number))],
        (Some((first, after)), Some((last, to))) if first == last => vec![Within(first, Some(after), Some(to))],
        (Some((first, after)), Some((last, to))) => {
            vec![Within(first.clone(), Some(after), None), Between(Some(first), Some(last.clone())), Within(last, None, Some(to))]
        }
    }
}

/// The index of an order that is not by ids.
const fn index(sort: DeviceSort) -> Option<&'static str> {
    match sort {
        DeviceSort::LastSeen | DeviceSort::LastSeenDesc => Some("devices_by_last_seen"),
        DeviceSort::Version | DeviceSort::VersionDesc => Some("devices_by_version"),
        DeviceSort::DeviceId | DeviceSort::DeviceIdDesc => None,
    }
}

/// Reads the devices of a filter along its order, of this stretch only.
fn along(filter: &mut Filter, sort: DeviceSort, stretch: &Stretch) {
    filter.from = match index(sort) {
        Some(index) if !filter.on_postgres() => format!("devices d INDEXED BY {index}"),
        _ => "devices d".to_owned(),
    };
    let ((column, number), backwards) = order(sort, false);
    let (behind, before) = if backwards { ("<", ">") } else { (">", "<") };
    let mut conditions = vec![filter.text.clone()];
    match stretch {
        Stretch::Within(key, after, to) => {
            conditions.push(format!("{column} = {}", filter.bind(key.clone())));
            conditions.extend(after.map(|after| format!("{number} {behind} {}", filter.bind(Value::Int(after)))));
            conditions.extend(to.map(|to| format!("{number} {before}= {}", filter.bind(Value::Int(to)))));
        }
        Stretch::Between(from, until) => {
            conditions.extend(from.clone().map(|from| format!("{column} {behind} {}", filter.bind(from))));
            conditions.extend(until.clone().map(|until| format!("{column} {before} {}", filter.bind(until))));
        }
    }
    filter.text = conditions.join(" AND ");
}

/// Reads stretch after stretch until there are so many.
async fn walk(
    on: &mut impl Conn,
    filter: impl Fn() -> Filter,
    sort: DeviceSort,
    stretches: &[Stretch],
    wanted: usize,
) -> Result<Vec<Listed>, Error> {
    let mut found: Vec<Listed> = Vec::new();
    for stretch in stretches {
        let mut filter = filter();
        along(&mut filter, sort, stretch);
        let read = select::<(String,)>(on, statement(&filter, sort, wanted), &filter.values).await?;
        let mut read: Vec<Listed> = unlisted(read.into_iter().next())?;
        // One that was heard of between two stretches may be in both. So many are asked for each time, so that there are enough without it.
        read.retain(|listed| found.iter().all(|before| before.number != listed.number));
        found.append(&mut read);
        if found.len() >= wanted {
            found.truncate(wanted);
            break;
        }
    }
    Ok(found)
}

/// The place in an order of all devices that so many pass by who begin behind `from`, or at most twice as many; none where it ends before.
async fn end(
    on: &mut impl Conn,
    (org, meant): (&OrgId, &Meant),
    sort: DeviceSort,
    (from, reach): (Option<&Place>, usize),
) -> Result<Option<Place>, Error> {
    let ((column, number), backwards) = order(sort, false);
    let direction = if backwards { "DESC" } else { "ASC" };
    for stretch in stretches(from, None) {
        let mut filter = meant.order_of_all(org);
        along(&mut filter, sort, &stretch);
        let text = format!(
            "SELECT {column}, {number} FROM {} WHERE {} ORDER BY {column} {direction}, {number} {direction} LIMIT 1 OFFSET {reach}",
            filter.from, filter.text
        );
        let found = match sort {
            DeviceSort::LastSeen | DeviceSort::LastSeenDesc => {
                select::<(i64, i64)>(on, text, &filter.values).await?.pop().map(|(key, number)| (Value::Int(key), number))
            }
            _ => select::<(String, i64)>(on, text, &filter.values).await?.pop().map(|(key, number)| (Value::Text(key), number)),
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// At most so many rows from the query's cursor on, and the cursor behind them.
pub(super) async fn part(
    on: &mut impl Conn,
    org: &OrgId,
    meant: &Meant,
    query: &DeviceQuery,
    limit: usize,
) -> Result<(Vec<DeviceRow>, Option<String>), Error> {
    let (sort, wanted) = (query.sort, limit + 1);
    let from = query.cursor.as_deref().filter(|c| !c.is_empty()).map(|cursor| position(cursor, sort)).transpose()?;
    let mut found = match meant.met(wanted) {
        Some(reach) => {
            let until = end(on, (org, meant), sort, (from.as_ref(), reach)).await?;
            let met = walk(on, || meant.met_by(org), sort, &stretches(from.as_ref(), until.as_ref()), wanted).await?;
            // They are not spread as chance would have it, or there are no more of them.
            if met.len() < wanted && until.is_some() { read(on, meant.listed(org), sort, from, wanted).await? } else { met }
        }
        None if meant.is_through_all() && !by_id(sort) => {
            walk(on, || meant.listed(org), sort, &stretches(from.as_ref(), None), wanted).await?
        }
        None => read(on, meant.listed(org), sort, from, wanted).await?,
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let next = if more { found.last().map(|r| r.cursor(sort)) } else { None };
    let mut tags = tags_of(on, &found).await?;
    let items = found.into_iter().map(|listed| {
        let tags = tags.remove(&listed.number).unwrap_or_default();
        listed.shown(tags)
    });
    Ok((items.collect::<Result<_, _>>()?, next))
}

/// Reads so many of a filter behind a place, as the filter finds them.
async fn read(on: &mut impl Conn, mut filter: Filter, sort: DeviceSort, from: Option<Place>, wanted: usize) -> Result<Vec<Listed>, Error> {
    let ((column, number), backwards) = order(sort, filter.placed);
    let than = if backwards { "<" } else { ">" };
    if let Some((key, last)) = from {
        let (key, last) = (filter.bind(key), filter.bind(Value::Int(last)));
        filter.text = format!("{} AND ({column}, {number}) {than} ({key}, {last})", filter.text);
    }
    let found = select::<(String,)>(on, statement(&filter, sort, wanted), &filter.values).await?;
    Ok(unlisted(found.into_iter().next())?)
}

/// The tags of these devices by their numbers, read at once: a page must not ask for each of its rows.
async fn tags_of(on: &mut impl Conn, found: &[Listed]) -> Result<HashMap<i64, Vec<String>>, Error> {
    let mut tags: HashMap<i64, Vec<String>> = HashMap::new();
    if found.is_empty() {
        return Ok(tags);
    }
    let numbers: Vec<i64> = found.iter().map(|listed| listed.number).collect();
    for (device, tag) in rows!(on, (i64, String), TAGS, crate::db::list(&numbers)?)? {
        tags.entry(device).or_default().push(tag);
    }
    Ok(tags)
}
