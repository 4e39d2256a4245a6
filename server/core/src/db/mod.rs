//! Two engines, one SQL text. Owns how statements reach SQLite or PostgreSQL; refuses to know any table.
//!
//! The portable rules, for every `store.rs`:
//! - instants are `BIGINT` Unix milliseconds bound as parameters, never `NOW()`; ids are `TEXT`; integers are `i64` (`BIGINT`/`INTEGER`);
//! - `$1` means the same in both engines; a parameter without its `bind` is NULL on SQLite without an error, so count them;
//! - sums are cast (`CAST(SUM(x) AS BIGINT)`), null order is said, upserts are `ON CONFLICT … DO UPDATE`;
//! - no engine dates, no JSON operators, no `ANY($1)`, no triggers; `Sql::split` only where the engines truly differ; many rows at once by `many!`.
//!
//! Every statement is listed in its room's `ALL`, which one test prepares on both engines.

mod beyond;
#[cfg(test)]
pub(crate) mod counting;
mod dynamic;
mod many;
mod migrate;
mod open;
mod private;
mod query;
mod sql;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use dynamic::{Value, select};
pub(crate) use many::{Bytes, column, list, listed, many, truth, unlisted};
#[cfg(any(test, feature = "testing"))]
pub(crate) use migrate::schema_digest;
pub use open::{Db, EngineKind, Location, Read, Store, Tx};
pub(crate) use query::{exec, row, rows};
pub use sql::{Conn, Engine, Error, Sql};
pub(crate) use sql::{containing, literal};
