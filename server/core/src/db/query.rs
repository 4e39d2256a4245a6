//! The only place that knows there are two drivers: each macro runs one [`Sql`](super::Sql) on whichever engine the connection has.

/// All rows as `$row` (a `FromRow`): `rows!(conn, Row, SQL, arg, …)? -> Vec<Row>`.
macro_rules! rows { ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
    match $crate::db::Conn::engine($conn) {
        $crate::db::Engine::Sqlite(c) => sqlx::query_as::<_, $row>($sql.sqlite)$(.bind($arg))*.fetch_all(&mut *c).await,
        $crate::db::Engine::Postgres(c) => sqlx::query_as::<_, $row>($sql.postgres)$(.bind($arg))*.fetch_all(&mut *c).await,
    }.map_err($crate::db::Error::from)
} }

/// One row or none: `row!(conn, Row, SQL, arg, …)? -> Option<Row>`.
macro_rules! row { ($conn:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
    match $crate::db::Conn::engine($conn) {
        $crate::db::Engine::Sqlite(c) => sqlx::query_as::<_, $row>($sql.sqlite)$(.bind($arg))*.fetch_optional(&mut *c).await,
        $crate::db::Engine::Postgres(c) => sqlx::query_as::<_, $row>($sql.postgres)$(.bind($arg))*.fetch_optional(&mut *c).await,
    }.map_err($crate::db::Error::from)
} }

/// Rows affected: `exec!(conn, SQL, arg, …)? -> u64`.
macro_rules! exec { ($conn:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
    match $crate::db::Conn::engine($conn) {
        $crate::db::Engine::Sqlite(c) => sqlx::query($sql.sqlite)$(.bind($arg))*.execute(&mut *c).await.map(|r| r.rows_affected()),
        $crate::db::Engine::Postgres(c) => sqlx::query($sql.postgres)$(.bind($arg))*.execute(&mut *c).await.map(|r| r.rows_affected()),
    }.map_err($crate::db::Error::from)
} }

pub(crate) use {exec, row, rows};
