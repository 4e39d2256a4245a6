//! Statements whose text is made at run time: only for filters, and only of fixed pieces; every value is bound.

use super::sql::{Conn, Engine, Error};
use sqlx::{AssertSqlSafe, FromRow, postgres::PgRow, sqlite::SqliteRow};

/// A bound value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
}

macro_rules! bind {
    ($query:expr, $values:expr) => {
        $values.iter().fold($query, |q, v| match v {
            Value::Text(t) => q.bind(t.clone()),
            Value::Int(i) => q.bind(*i),
            Value::Bool(b) => q.bind(*b),
        })
    };
}

/// All rows of a made statement. The text must hold no value that came from outside; those are `$n` and bound.
pub(crate) async fn select<R>(on: &mut impl Conn, text: String, values: &[Value]) -> Result<Vec<R>, Error>
where
    R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    match on.engine() {
        Engine::Sqlite(c) => bind!(sqlx::query_as::<_, R>(AssertSqlSafe(text)), values).fetch_all(&mut *c).await,
        Engine::Postgres(c) => bind!(sqlx::query_as::<_, R>(AssertSqlSafe(text)), values).fetch_all(&mut *c).await,
    }
    .map_err(|e| on.failed(e))
}
