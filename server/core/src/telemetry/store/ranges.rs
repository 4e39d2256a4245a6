//! Reads of what is folded: of one device's series over a range of hours, and of one metric of many devices.

use super::json;
use crate::db::{Conn, Error, Sql, rows};
use wire::ids::OrgId;

// Reads carry the folding generation in the same statement, so that chunks and generation are of one snapshot on either engine.
pub(super) const WEIGH: Sql = Sql::same(
    "SELECT g.generation, s.metric, CAST(SUM(r.samples) AS BIGINT) FROM folding g
     LEFT JOIN series s ON s.device = $1 AND (s.org_id = $2) = TRUE
     LEFT JOIN rollups r ON r.series = s.id AND r.hour >= $3 AND r.hour <= $4
     WHERE g.id = 1 GROUP BY g.generation, s.metric",
);
pub(super) const CHUNKS_OF: Sql = Sql::same(
    "SELECT g.generation, s.id, s.metric, c.data FROM folding g
     LEFT JOIN series s ON s.device = $1 AND s.org_id = $2 AND ($5 = '' OR s.metric = $5)
     LEFT JOIN chunks c ON c.series = s.id AND c.hour >= $3 AND c.hour <= $4
     WHERE g.id = 1 ORDER BY s.metric, c.hour, c.part",
);
pub(super) const MINUTES_OF: Sql = Sql::same(
    "SELECT g.generation, s.id, s.metric, r.hour, r.minutes FROM folding g
     LEFT JOIN series s ON s.device = $1 AND s.org_id = $2 AND ($5 = '' OR s.metric = $5)
     LEFT JOIN rollups r ON r.series = s.id AND r.hour >= $3 AND r.hour <= $4
     WHERE g.id = 1 ORDER BY s.metric, r.hour",
);
pub(super) const HOURS_OF: Sql = Sql::same(
    "SELECT g.generation, s.id, s.metric, r.low_t, r.low, r.high_t, r.high, r.last_t, r.last_v FROM folding g
     LEFT JOIN series s ON s.device = $1 AND s.org_id = $2 AND ($5 = '' OR s.metric = $5)
     LEFT JOIN rollups r ON r.series = s.id AND r.hour >= $3 AND r.hour <= $4
     WHERE g.id = 1 ORDER BY s.metric, r.hour",
);

// Whole hours of one metric are added up by the store; of the two hours in which a range begins and ends the minutes are read.
pub(super) const SUMS_OF: Sql = Sql::split(
    "SELECT g.generation, s.id, s.device, CAST(SUM(r.samples) AS BIGINT), SUM(r.total) FROM folding g
     LEFT JOIN series s ON s.org_id = $2 AND s.metric = $3 AND s.device IN (SELECT value FROM json_each($1))
     LEFT JOIN rollups r ON r.series = s.id AND r.hour > $4 AND r.hour < $5
     WHERE g.id = 1 GROUP BY g.generation, s.id, s.device",
    "SELECT g.generation, s.id, s.device, CAST(SUM(r.samples) AS BIGINT), SUM(r.total) FROM folding g
     LEFT JOIN series s ON s.org_id = $2 AND s.metric = $3
         AND s.device IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($1 AS JSON)))
     LEFT JOIN rollups r ON r.series = s.id AND r.hour > $4 AND r.hour < $5
     WHERE g.id = 1 GROUP BY g.generation, s.id, s.device",
);
pub(super) const EDGES_OF: Sql = Sql::split(
    "SELECT g.generation, s.device, r.hour, r.minutes FROM folding g
     LEFT JOIN series s ON s.org_id = $2 AND s.metric = $3 AND s.device IN (SELECT value FROM json_each($1))
     LEFT JOIN rollups r ON r.series = s.id AND (r.hour = $4 OR r.hour = $5) WHERE g.id = 1",
    "SELECT g.generation, s.device, r.hour, r.minutes FROM folding g
     LEFT JOIN series s ON s.org_id = $2 AND s.metric = $3
         AND s.device IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($1 AS JSON)))
     LEFT JOIN rollups r ON r.series = s.id AND (r.hour = $4 OR r.hour = $5) WHERE g.id = 1",
);

/// A device's range of hours, both ends included, and one metric or `""` for all.
#[derive(Debug, Clone, Copy)]
pub(in crate::telemetry) struct Range<'a> {
    pub org: &'a OrgId,
    pub device: i64,
    pub first: i64,
    pub last: i64,
    pub metric: &'a str,
}

/// How many folded samples each metric has in the range: generation, metric, samples.
pub(in crate::telemetry) async fn weigh(on: &mut impl Conn, r: Range<'_>) -> Result<Vec<(i64, Option<String>, Option<i64>)>, Error> {
    rows!(on, (i64, Option<String>, Option<i64>), WEIGH, r.device, r.org.as_str(), r.first, r.last)
}

/// A stored piece of a series beside the generation it is of; columns are none where there is no series or nothing of it.
#[derive(Debug, sqlx::FromRow)]
pub(in crate::telemetry) struct Piece {
    pub generation: i64,
    pub id: Option<i64>,
    pub metric: Option<String>,
    #[sqlx(default)]
    pub hour: Option<i64>,
    #[sqlx(default)]
    pub data: Option<Vec<u8>>,
    #[sqlx(default)]
    pub minutes: Option<Vec<u8>>,
    #[sqlx(default)]
    pub low_t: Option<i64>,
    #[sqlx(default)]
    pub low: Option<f64>,
    #[sqlx(default)]
    pub high_t: Option<i64>,
    #[sqlx(default)]
    pub high: Option<f64>,
    #[sqlx(default)]
    pub last_t: Option<i64>,
    #[sqlx(default)]
    pub last_v: Option<f64>,
}

pub(in crate::telemetry) async fn chunks_of(on: &mut impl Conn, r: Range<'_>) -> Result<Vec<Piece>, Error> {
    rows!(on, Piece, CHUNKS_OF, r.device, r.org.as_str(), r.first, r.last, r.metric)
}

pub(in crate::telemetry) async fn minutes_of(on: &mut impl Conn, r: Range<'_>) -> Result<Vec<Piece>, Error> {
    rows!(on, Piece, MINUTES_OF, r.device, r.org.as_str(), r.first, r.last, r.metric)
}

pub(in crate::telemetry) async fn hours_of(on: &mut impl Conn, r: Range<'_>) -> Result<Vec<Piece>, Error> {
    rows!(on, Piece, HOURS_OF, r.device, r.org.as_str(), r.first, r.last, r.metric)
}

/// Some devices' range of hours, both ends included, of one metric.
#[derive(Debug, Clone, Copy)]
pub(in crate::telemetry) struct Band<'a> {
    pub org: &'a OrgId,
    pub devices: &'a [i64],
    pub first: i64,
    pub last: i64,
    pub metric: &'a str,
}

/// What the hours between the first and the last come to: generation, series, device, samples, sum. A series without any is there, too.
pub(in crate::telemetry) async fn sums_of(on: &mut impl Conn, b: Band<'_>) -> Result<Vec<SumRow>, Error> {
    rows!(on, SumRow, SUMS_OF, json(&b.devices)?, b.org.as_str(), b.metric, b.first, b.last)
}

/// A row of [`sums_of`].
pub(in crate::telemetry) type SumRow = (i64, Option<i64>, Option<i64>, Option<i64>, Option<f64>);

/// The minutes of the first and the last hour: generation, device, hour, minutes.
pub(in crate::telemetry) async fn edges_of(on: &mut impl Conn, b: Band<'_>) -> Result<Vec<EdgeRow>, Error> {
    rows!(on, EdgeRow, EDGES_OF, json(&b.devices)?, b.org.as_str(), b.metric, b.first, b.last)
}

/// A row of [`edges_of`].
pub(in crate::telemetry) type EdgeRow = (i64, Option<i64>, Option<i64>, Option<Vec<u8>>);
