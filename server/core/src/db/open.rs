//! Opening a store: pools, pragmas, the write transaction, and the readers.

use super::{
    migrate,
    sql::{Conn, Engine, Error},
};
use sqlx::{
    PgPool, Postgres, Sqlite, SqlitePool, Transaction,
    pool::PoolConnection,
    postgres::PgPoolOptions,
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{path::PathBuf, time::Duration};

/// Which of the two stores: they are two files on SQLite, so that a telemetry burst never delays an approval, and one database on PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Everything but samples.
    Fleet,
    /// Samples.
    Telemetry,
}

/// Which engine a database runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Embedded, one machine.
    Sqlite,
    /// Several instances.
    Postgres,
}

/// Where a database is.
#[derive(Debug, Clone)]
pub enum Location {
    /// A file; it is made when it isn't there.
    Sqlite(PathBuf),
    /// `postgres://…`, and how many connections at most.
    Postgres {
        /// Connection URL.
        url: String,
        /// Most connections of this store.
        connections: u32,
    },
}

#[derive(Debug, Clone)]
enum Pools {
    // One writer that never expires is a fair queue in front of SQLite's single write lock; readers never wait for it (WAL).
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// An open store.
#[derive(Debug, Clone)]
pub struct Db(Pools);

/// A reading connection. On SQLite it is read-only.
#[derive(Debug)]
pub struct Read(Reader);

#[derive(Debug)]
enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A write transaction; undone when dropped without [`Tx::commit`]. On SQLite it holds the write lock from its beginning
/// (`BEGIN IMMEDIATE`), so it must be short: no hashing, rendering or I/O between the first statement and the commit.
#[derive(Debug)]
pub struct Tx(Writer);

#[derive(Debug)]
enum Writer {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Conn for Read {
    fn engine(&mut self) -> Engine<'_> {
        match &mut self.0 {
            Reader::Sqlite(c) => Engine::Sqlite(c),
            Reader::Postgres(c) => Engine::Postgres(c),
        }
    }
}

impl Conn for Tx {
    fn engine(&mut self) -> Engine<'_> {
        match &mut self.0 {
            Writer::Sqlite(t) => Engine::Sqlite(t),
            Writer::Postgres(t) => Engine::Postgres(t),
        }
    }
}

impl Tx {
    /// Makes it last: when this returns the commit has been synced to disk.
    pub async fn commit(self) -> Result<(), Error> {
        match self.0 {
            Writer::Sqlite(t) => t.commit().await,
            Writer::Postgres(t) => t.commit().await,
        }
        .map_err(Error::from)
    }
}

impl Db {
    /// Opens the store and brings its schema up to date.
    pub async fn open(at: &Location, store: Store) -> Result<Self, Error> {
        match at {
            Location::Sqlite(file) => {
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .create_if_missing(true)
                    .auto_vacuum(SqliteAutoVacuum::Incremental)
                    .journal_mode(SqliteJournalMode::Wal)
                    // NORMAL loses the last acknowledged commits in a power cut; what we acknowledge has been synced.
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(Duration::from_secs(5))
                    .pragma("cache_size", "-16000")
                    .pragma("temp_store", "MEMORY")
                    .pragma("journal_size_limit", "67108864")
                    .statement_cache_capacity(512);
                let writer = SqlitePoolOptions::new()
                    .max_connections(1)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .acquire_timeout(Duration::from_secs(30))
                    .connect_with(options.clone())
                    .await?;
                migrate::sqlite(store).run(&writer).await?;
                let readers = SqlitePoolOptions::new()
                    .max_connections(6)
                    .min_connections(1)
                    .acquire_timeout(Duration::from_secs(10))
                    // Asking for auto_vacuum is a write, which a reader may not; the file keeps what the writer has set.
                    .connect_with(options.create_if_missing(false).auto_vacuum(SqliteAutoVacuum::None).read_only(true))
                    .await?;
                Ok(Self(Pools::Sqlite { writer, readers }))
            }
            Location::Postgres { url, connections } => {
                let pool = PgPoolOptions::new().max_connections(*connections).acquire_timeout(Duration::from_secs(10)).connect(url).await?;
                migrate::postgres(store).run(&pool).await?;
                Ok(Self(Pools::Postgres(pool)))
            }
        }
    }

    /// The engine it runs on.
    pub fn kind(&self) -> EngineKind {
        match &self.0 {
            Pools::Sqlite { .. } => EngineKind::Sqlite,
            Pools::Postgres(_) => EngineKind::Postgres,
        }
    }

    /// A connection to read from.
    pub async fn read(&self) -> Result<Read, Error> {
        Ok(Read(match &self.0 {
            Pools::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Pools::Postgres(pool) => Reader::Postgres(pool.acquire().await?),
        }))
    }

    /// A write transaction.
    pub async fn write(&self) -> Result<Tx, Error> {
        Ok(Tx(match &self.0 {
            Pools::Sqlite { writer, .. } => Writer::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            Pools::Postgres(pool) => Writer::Postgres(pool.begin().await?),
        }))
    }

    /// Closes every connection; on SQLite the log is folded back into the file.
    pub async fn close(&self) {
        match &self.0 {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}
