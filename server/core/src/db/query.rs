//! The only place that knows there are two drivers: each macro runs one [`Sql`](super::Sql) on whichever engine the connection has.

/// All rows as `$row` (a `FromRow`): `rows!(conn, Row, SQL, arg, …)? -> Vec<Row>`.
macro_rules! rows { ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
    match &mut *$conn {
        on => match $crate::db::Conn::engine(on) {
            $crate::db::Engine::Sqlite(c) => sqlx::query_as::<_, $row>($sql.sqlite)$(.bind($arg))*.fetch_all(&mut *c).await,
            $crate::db::Engine::Postgres(c) => sqlx::query_as::<_, $row>($sql.postgres)$(.bind($arg))*.fetch_all(&mut *c).await,
        }.map_err(|e| $crate::db::Conn::failed(on, e)),
    }
} }

/// One row or none: `row!(conn, Row, SQL, arg, …)? -> Option<Row>`.
macro_rules! row { ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
    match &mut *$conn {
        on => match $crate::db::Conn::engine(on) {
            $crate::db::Engine::Sqlite(c) => sqlx::query_as::<_, $row>($sql.sqlite)$(.bind($arg))*.fetch_optional(&mut *c).await,
            $crate::db::Engine::Postgres(c) => sqlx::query_as::<_, $row>($sql.postgres)$(.bind($arg))*.fetch_optional(&mut *c).await,
        }.map_err(|e| $crate::db::Conn::failed(on, e)),
    }
} }

/// Rows affected: `exec!(conn, SQL, arg, …)? -> u64`.
macro_rules! exec { ($conn:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
    match &mut *$conn {
        on => match $crate::db::Conn::engine(on) {
            $crate::db::Engine::Sqlite(c) => sqlx::query($sql.sqlite)$(.bind($arg))*.execute(&mut *c).await.map(|r| r.rows_affected()),
            $crate::db::Engine::Postgres(c) => sqlx::query($sql.postgres)$(.bind($arg))*.execute(&mut *c).await.map(|r| r.rows_affected()),
        }.map_err(|e| $crate::db::Conn::failed(on, e)),
    }
} }

pub(crate) use {exec, row, rows};
