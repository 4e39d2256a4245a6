//! The SQL of the telemetry room. Every statement runs on the telemetry store.

pub(super) mod names;
mod ranges;

pub(super) use ranges::{Band, Piece, Range, chunks_of, edges_of, hours_of, minutes_of, sums_of, weigh};

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{Timestamp, ids::OrgId};

/// Samples of several devices wait here until they are folded.
const LOG: Sql = Sql::same("INSERT INTO sample_log (org_id, committed_at, samples, round, data) VALUES ($1, $2, $3, 0, $4) RETURNING id");
// One statement for all streams of a batch: the list comes as JSON, which each engine unfolds in its own words.
const ADVANCE: Sql = Sql::split(
    "INSERT INTO streams (device, stream, org_id, seq, prior, updated_at)
     SELECT value->>'device', value->>'stream', value->>'org', value->>'seq', value->>'prior', $2 FROM jsonb_each($1) WHERE TRUE
     ON CONFLICT (device, stream) DO UPDATE SET seq = excluded.seq, prior = excluded.prior, updated_at = excluded.updated_at
     WHERE streams.seq = excluded.prior",
    "INSERT INTO streams (device, stream, org_id, seq, prior, updated_at)
     SELECT x.device, x.stream, x.org, x.seq, x.prior, $2
     FROM json_to_recordset(CAST($1 AS JSON)) AS x(device BIGINT, stream TEXT, org TEXT, seq BIGINT, prior BIGINT)
     ON CONFLICT (device, stream) DO UPDATE SET seq = excluded.seq, prior = excluded.prior, updated_at = excluded.updated_at
     WHERE streams.seq = excluded.prior",
);
const POSITION: Sql = Sql::same("SELECT seq FROM streams WHERE device = $1 AND stream = $2");
const FORGET_STREAMS: Sql = Sql::same(
    "DELETE FROM streams WHERE (device, stream) IN (SELECT device, stream FROM
     (SELECT device, stream, ROW_NUMBER() OVER (PARTITION BY device ORDER BY updated_at DESC, stream) AS place FROM streams) AS ranked
     WHERE place > $1)",
);
const NAME_SERIES: Sql = Sql::split(
    "INSERT INTO series (org_id, device, metric, created_at)
     SELECT value->>'org', value->>'device', value->>'metric', $2 FROM jsonb_each($1) WHERE TRUE
     ON CONFLICT (device, metric) DO UPDATE SET metric = excluded.metric RETURNING id, device, metric",
    "INSERT INTO series (org_id, device, metric, created_at)
     SELECT x.org, x.device, x.metric, $2 FROM json_to_recordset(CAST($1 AS JSON)) AS x(org TEXT, device BIGINT, metric TEXT)
     ON CONFLICT (device, metric) DO UPDATE SET metric = excluded.metric RETURNING id, device, metric",
);
const SERIES_OF: Sql = Sql::same("SELECT id, metric, last_t, last_v FROM series WHERE device = $1 AND org_id = $2 ORDER BY id");
const LAST_OF: Sql = Sql::same(
    "SELECT device, last_t, last_v FROM series WHERE org_id = $1 AND metric = $2 AND device > $3 AND device <= $4 AND last_t IS NOT NULL ORDER BY device",
);
const NEWEST: Sql = Sql::same("UPDATE series SET last_t = $2, last_v = $3 WHERE id = $1 AND (last_t IS NULL OR last_t <= $2)");

const FOLDING: Sql = Sql::same("SELECT generation, cursor FROM folding WHERE id = 1");
const FOLDED_TO: Sql = Sql::same("UPDATE folding SET generation = $1 + 1, cursor = $2 WHERE id = 1 AND generation = $1");
const LOG_ROWS: Sql = Sql::same(
    "SELECT g.generation, g.cursor, l.id, l.round FROM folding g LEFT JOIN sample_log l ON l.round >= 0 WHERE g.id = 1 ORDER BY l.id",
);
const LOG_ROW: Sql = Sql::same("SELECT data FROM sample_log WHERE id = $1");
const BEGIN_ROUND: Sql = Sql::same("UPDATE sample_log SET round = 1 WHERE round = 0");
const SET_ASIDE: Sql = Sql::same("UPDATE sample_log SET round = -1 WHERE id = $1");
const END_ROUND: Sql = Sql::same("DELETE FROM sample_log WHERE round = 1");

/// Only parts with room left: a full one is never read again to be folded into.
const OPEN_CHUNKS: Sql = Sql::same(
    "SELECT c.series, c.part, c.data FROM series s JOIN chunks c ON c.series = s.id
     WHERE s.device = $1 AND c.hour = $2 AND c.samples < $3 ORDER BY c.series, c.part",
);
const ROLLUPS_AT: Sql =
    Sql::same("SELECT r.series, r.minutes FROM series s JOIN rollups r ON r.series = s.id WHERE s.device = $1 AND r.hour = $2");
const PUT_CHUNK: Sql = Sql::same(
    "INSERT INTO chunks (series, hour, part, org_id, samples, data)
     SELECT $1, $2, $3, s.org_id, $4, $5 FROM series s WHERE s.id = $1
     ON CONFLICT (series, hour, part) DO UPDATE SET samples = excluded.samples, data = excluded.data",
);
const PUT_ROLLUP: Sql = Sql::same(
    "INSERT INTO rollups (series, hour, org_id, samples, total, low_t, low, high_t, high, last_t, last_v, minutes)
     SELECT $1, $2, s.org_id, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM series s WHERE s.id = $1
     ON CONFLICT (series, hour) DO UPDATE SET samples = excluded.samples, total = excluded.total, low_t = excluded.low_t,
     low = excluded.low, high_t = excluded.high_t, high = excluded.high, last_t = excluded.last_t, last_v = excluded.last_v,
     minutes = excluded.minutes",
);

const OLD_CHUNKS: Sql =
    Sql::same("DELETE FROM chunks WHERE (series, hour, part) IN (SELECT series, hour, part FROM chunks WHERE hour < $1 LIMIT $2)");
const OLD_ROLLUPS: Sql =
    Sql::same("DELETE FROM rollups WHERE (series, hour) IN (SELECT series, hour FROM rollups WHERE hour < $1 LIMIT $2)");
const FORGET_CHUNKS: Sql = Sql::same(
    "DELETE FROM chunks WHERE (series, hour, part) IN (SELECT c.series, c.hour, c.part FROM chunks c JOIN series s ON s.id = c.series
     WHERE s.device = $1 LIMIT $2)",
);
const FORGET_ROLLUPS: Sql = Sql::same(
    "DELETE FROM rollups WHERE (series, hour) IN (SELECT r.series, r.hour FROM rollups r JOIN series s ON s.id = r.series WHERE s.device = $1 LIMIT $2)",
);
const FORGET_LATEST: Sql = Sql::same("UPDATE series SET last_t = NULL, last_v = NULL WHERE device = $1 AND last_t IS NOT NULL");
const OLD_ASIDE: Sql = Sql::same("DELETE FROM sample_log WHERE round = -1 AND committed_at < $1");

/// Every statement of this room.
pub(crate) const ALL: &[&Sql] = &[
    &LOG,
    &ADVANCE,
    &POSITION,
    &FORGET_STREAMS,
    &NAME_SERIES,
    &SERIES_OF,
    &LAST_OF,
    &names::NAMES_OF,
    &NEWEST,
    &FOLDING,
    &FOLDED_TO,
    &LOG_ROWS,
    &LOG_ROW,
    &BEGIN_ROUND,
    &SET_ASIDE,
    &END_ROUND,
    &OPEN_CHUNKS,
    &ROLLUPS_AT,
    &PUT_CHUNK,
    &PUT_ROLLUP,
    &ranges::WEIGH,
    &ranges::CHUNKS_OF,
    &ranges::MINUTES_OF,
    &ranges::HOURS_OF,
    &ranges::SUMS_OF,
    &ranges::EDGES_OF,
    &OLD_CHUNKS,
    &OLD_ROLLUPS,
    &OLD_ASIDE,
    &FORGET_CHUNKS,
    &FORGET_ROLLUPS,
    &FORGET_LATEST,
];

/// A stream's step from one position to the next.
#[derive(Debug, serde::Serialize)]
pub(super) struct Step<'a> {
    pub device: i64,
    pub stream: &'a str,
    pub org: &'a OrgId,
    pub prior: u64,
    pub seq: u64,
}

/// A metric that has no number yet.
#[derive(Debug, serde::Serialize)]
pub(super) struct NewSeries<'a> {
    pub org: &'a OrgId,
    pub device: i64,
    pub metric: &'a str,
}

/// A device's metric as stored.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct SeriesRow {
    pub id: i64,
    pub metric: String,
    pub last_t: Option<i64>,
    pub last_v: Option<f64>,
}

/// A row of the log without its data, beside where folding stands; `id` is none when the log is empty.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct LogRow {
    pub generation: i64,
    pub cursor: i64,
    pub id: Option<i64>,
    pub round: Option<i64>,
}

fn json(list: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(list).map_err(Error::corrupt)
}

pub(super) async fn log(tx: &mut Tx, org: &OrgId, now: Timestamp, samples: i64, data: &[u8]) -> Result<i64, Error> {
    let (id,) = row!(tx, (i64,), LOG, org.as_str(), now.0, samples, data)?.ok_or_else(|| Error::corrupt("no id returned"))?;
    Ok(id)
}

/// Moves every stream, each only from the position it is said to have. How many moved; fewer than given means somebody else moved one.
pub(super) async fn advance(tx: &mut Tx, now: Timestamp, steps: &[Step<'_>]) -> Result<u64, Error> {
    exec!(tx, ADVANCE, json(&steps)?, now.0)
}

pub(super) async fn position(on: &mut impl Conn, device: i64, stream: &str) -> Result<u64, Error> {
    let found = row!(on, (i64,), POSITION, device, stream)?;
    found.map_or(Ok(0), |(seq,)| u64::try_from(seq).map_err(Error::corrupt))
}

/// Forgets all but the `keep` streams of each device that moved last.
pub(super) async fn forget_streams(tx: &mut Tx, keep: i64) -> Result<u64, Error> {
    exec!(tx, FORGET_STREAMS, keep)
}

/// Numbers for these metrics, made where there is none: id, device, metric.
pub(super) async fn name_series(tx: &mut Tx, now: Timestamp, new: &[NewSeries<'_>]) -> Result<Vec<(i64, i64, String)>, Error> {
    rows!(tx, (i64, i64, String), NAME_SERIES, json(&new)?, now.0)
}

pub(super) async fn series_of(on: &mut impl Conn, org: &OrgId, device: i64) -> Result<Vec<SeriesRow>, Error> {
    rows!(on, SeriesRow, SERIES_OF, device, org.as_str())
}

/// The newest folded sample of a metric, of devices after one number up to another.
pub(super) async fn last_of(
    on: &mut impl Conn,
    org: &OrgId,
    metric: &str,
    (after, last): (i64, i64),
) -> Result<Vec<(i64, Timestamp, f64)>, Error> {
    let found = rows!(on, (i64, i64, f64), LAST_OF, org.as_str(), metric, after, last)?;
    Ok(found.into_iter().map(|(device, t, v)| (device, Timestamp(t), v)).collect())
}

/// Keeps a series' newest sample, unless a newer one is kept.
pub(super) async fn newest(tx: &mut Tx, series: i64, t: i64, v: f64) -> Result<(), Error> {
    exec!(tx, NEWEST, series, t, v).map(drop)
}

/// Where folding stands: generation and cursor.
pub(super) async fn folding(on: &mut impl Conn) -> Result<(i64, i64), Error> {
    row!(on, (i64, i64), FOLDING)?.ok_or_else(|| Error::corrupt("the folding row is gone"))
}

/// Claims the step from this generation to the next; false when another instance took it.
pub(super) async fn folded_to(tx: &mut Tx, generation: i64, cursor: i64) -> Result<bool, Error> {
    exec!(tx, FOLDED_TO, generation, cursor).map(|n| n == 1)
}

pub(super) async fn log_rows(on: &mut impl Conn) -> Result<Vec<LogRow>, Error> {
    rows!(on, LogRow, LOG_ROWS)
}

pub(super) async fn log_row(on: &mut impl Conn, id: i64) -> Result<Option<Vec<u8>>, Error> {
    Ok(row!(on, (Vec<u8>,), LOG_ROW, id)?.map(|r| r.0))
}

pub(super) async fn begin_round(tx: &mut Tx) -> Result<u64, Error> {
    exec!(tx, BEGIN_ROUND)
}

pub(super) async fn set_aside(tx: &mut Tx, id: i64) -> Result<(), Error> {
    exec!(tx, SET_ASIDE, id).map(drop)
}

pub(super) async fn end_round(tx: &mut Tx) -> Result<u64, Error> {
    exec!(tx, END_ROUND)
}

/// Chunks of a device's hour that have fewer than `full` samples: series, part, data.
pub(super) async fn open_chunks(on: &mut impl Conn, device: i64, hour: i64, full: i64) -> Result<Vec<(i64, i64, Vec<u8>)>, Error> {
    rows!(on, (i64, i64, Vec<u8>), OPEN_CHUNKS, device, hour, full)
}

/// Rollups of a device's hour: series, minutes.
pub(super) async fn rollups_at(on: &mut impl Conn, device: i64, hour: i64) -> Result<Vec<(i64, Vec<u8>)>, Error> {
    rows!(on, (i64, Vec<u8>), ROLLUPS_AT, device, hour)
}

pub(super) async fn put_chunk(tx: &mut Tx, series: i64, hour: i64, part: i64, samples: i64, data: &[u8]) -> Result<(), Error> {
    exec!(tx, PUT_CHUNK, series, hour, part, samples, data).map(drop)
}

pub(super) async fn put_rollup(tx: &mut Tx, series: i64, hour: i64, whole: &super::rollup::Rollup, minutes: &[u8]) -> Result<(), Error> {
    let samples = i64::try_from(whole.samples).unwrap_or(i64::MAX);
    let (low, high, last) = (whole.least, whole.greatest, whole.last);
    exec!(tx, PUT_ROLLUP, series, hour, samples, whole.total, low.0, low.1, high.0, high.1, last.0, last.1, minutes).map(drop)
}

/// Deletes up to `most` chunks of hours before this one.
pub(super) async fn old_chunks(tx: &mut Tx, hour: i64, most: i64) -> Result<u64, Error> {
    exec!(tx, OLD_CHUNKS, hour, most)
}

/// Deletes up to `most` rollups of hours before this one.
pub(super) async fn old_rollups(tx: &mut Tx, hour: i64, most: i64) -> Result<u64, Error> {
    exec!(tx, OLD_ROLLUPS, hour, most)
}

/// Deletes a slice of what is folded of a device's samples; its series stay as names, because folding may have them in hand.
pub(super) async fn forget_device(tx: &mut Tx, device: i64, limit: i64) -> Result<u64, Error> {
    let gone = exec!(tx, FORGET_CHUNKS, device, limit)? + exec!(tx, FORGET_ROLLUPS, device, limit)?;
    Ok(gone + exec!(tx, FORGET_LATEST, device)?)
}

/// Deletes unreadable log rows that are as old as that.
pub(super) async fn old_aside(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    exec!(tx, OLD_ASIDE, before.0)
}
