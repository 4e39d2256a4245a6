//! Opening a store: pools, pragmas, the write transaction, and the readers.

mod serving;

use super::{
    exec, migrate, private,
    sql::{Conn, Engine, Error, Sql},
};
use serving::SERVING;
use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres, Sqlite, SqlitePool, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

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
    /// A server of its own, for more than one machine's worth.
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
    // Beside the pool the connection that says that this process serves, if it does.
    Postgres { pool: PgPool, serving: Arc<Mutex<Option<PgConnection>>> },
}

/// How long a start waits for PostgreSQL, and after which time it says so.
const PATIENCE: Duration = Duration::from_secs(10);
const SLOW: Duration = Duration::from_secs(1);

/// What PostgreSQL gives up by itself, unless the URL says otherwise: a statement that waits so long for another transaction, and one that takes so long.
/// Migrations may.
const LIMITS: [(&str, &str); 2] = [("lock_timeout", "10s"), ("statement_timeout", "60s")];

/// A connection that was idle for so long is asked whether it still stands before it is used.
const RESTED: Duration = Duration::from_secs(1);

/// The smallest write that reaches the disk, and changes nothing.
const SMALL_WRITE: Sql = Sql::split("PRAGMA user_version = 0", "SELECT pg_current_xact_id()");

/// Most slices of a thousand pages given back at once.
const SLICES: u32 = 100;

/// An open store.
#[derive(Debug, Clone)]
pub struct Db {
    pools: Pools,
    // Whether the disk was full at the last write; every transaction tells.
    pub(super) full: Arc<AtomicBool>,
    pub(super) beyond: TaskTracker,
}

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
pub struct Tx {
    on: Writer,
    full: Arc<AtomicBool>,
}

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
        match &mut self.on {
            Writer::Sqlite(t) => Engine::Sqlite(t),
            Writer::Postgres(t) => Engine::Postgres(t),
        }
    }
    fn failed(&self, e: sqlx::Error) -> Error {
        noted(&self.full, e)
    }
}

impl Tx {
    /// Makes it last: when this returns the commit has been synced to disk.
    pub async fn commit(self) -> Result<(), Error> {
        match self.on {
            Writer::Sqlite(t) => t.commit().await,
            Writer::Postgres(t) => t.commit().await,
        }
        .map_err(|e| noted(&self.full, e))?;
        self.full.store(false, Ordering::Relaxed);
        Ok(())
    }
}

/// The error, remembered when it says that the disk is full.
fn noted(full: &AtomicBool, e: sqlx::Error) -> Error {
    let e = Error::from(e);
    if matches!(e, Error::Full) {
        full.store(true, Ordering::Relaxed);
    }
    e
}

/// Where PostgreSQL is, with our limits where the URL sets none of its own.
fn limited(url: &str) -> Result<PgConnectOptions, Error> {
    let to: PgConnectOptions = url.parse()?;
    let own = to.get_options().unwrap_or_default().to_owned();
    Ok(to.options(LIMITS.into_iter().filter(|(name, _)| !own.contains(name))))
}

/// A pool of a PostgreSQL that may still be starting: it is waited for, and the log says so.
async fn postgres(to: PgConnectOptions, connections: u32) -> Result<PgPool, Error> {
    let (host, port) = (to.get_host().to_owned(), to.get_port());
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        // A question before each use would be a trip for each; only one that has rested may have been lost without a word.
        .test_before_acquire(false)
        .before_acquire(|on, meta| {
            Box::pin(async move { Ok(meta.idle_for < RESTED || matches!(tokio::time::timeout(SLOW, on.ping()).await, Ok(Ok(())))) })
        })
        .connect_lazy_with(to.clone());
    let connecting = pool.clone();
    let first = async move { connecting.acquire().await.map(drop) };
    tokio::pin!(first);
    let came = if let Ok(came) = tokio::time::timeout(SLOW, &mut first).await {
        came
    } else {
        tracing::warn!("PostgreSQL at {host}:{port} does not answer yet; trying for {} s", PATIENCE.as_secs());
        first.await
    };
    match came {
        Err(sqlx::Error::PoolTimedOut) => {
            // The pool keeps its reasons to itself.
            let why = match tokio::time::timeout(SLOW, PgConnection::connect_with(&to)).await {
                Ok(Err(why)) => why.to_string(),
                _ => "no answer".into(),
            };
            Err(Error::Open(format!("PostgreSQL at {host}:{port} can't be reached: {why}")))
        }
        came => came.map(|()| pool).map_err(Error::from),
    }
}

impl Location {
    /// A PostgreSQL database; a text that is no URL of one is refused. Connects to nothing.
    pub fn postgres(url: &str, connections: u32) -> Result<Self, Error> {
        let right =
            ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) && url.parse::<PgConnectOptions>().is_ok();
        if !right {
            return Err(Error::Open("this is no URL of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE".into()));
        }
        Ok(Self::Postgres { url: url.to_owned(), connections })
    }
}

impl Db {
    /// Opens the store and brings its schema up to date.
    pub async fn open(at: &Location, store: Store) -> Result<Self, Error> {
        match at {
            Location::Sqlite(file) => {
                private::made(file)?;
                let options = SqliteConnectOptions::new()
                    .filename(file)
                    .create_if_missing(true)
                    .auto_vacuum(SqliteAutoVacuum::Incremental)
                    .journal_mode(SqliteJournalMode::Wal)
                    // NORMAL loses the last acknowledged commits in a power cut; what we acknowledge has been synced.
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .busy_timeout(Duration::from_secs(5))
                    // LIKE tells upper from lower case, as PostgreSQL's does and as selectors promise.
                    .pragma("case_sensitive_like", "ON")
                    .pragma("cache_size", "-16000")
                    .pragma("temp_store", "MEMORY")
                    .pragma("journal_size_limit", "67108864")
                    // In pages: the commit that comes across it waits for the file's own sync, so it is rare, and pages that were written often
                    // meanwhile are copied once.
                    .pragma("wal_autocheckpoint", "4000")
                    // Rows on their way from the engine's thread: with few, long lists are read one hand-over at a time.
                    .row_buffer_size(512)
                    .statement_cache_capacity(512);
                let writer = SqlitePoolOptions::new()
                    .max_connections(1)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .acquire_timeout(Duration::from_secs(30))
                    // SQLite undoes a transaction by itself when the disk is full; the driver then fails to roll back and believes for ever
                    // that one is open. Such a connection is thrown away.
                    .before_acquire(|on, _| Box::pin(async move { Ok(!on.is_in_transaction()) }))
                    .connect_with(options.clone())
                    .await?;
                migrate::sqlite(store).run(&writer).await?;
                let readers = SqlitePoolOptions::new()
                    .max_connections(6)
                    .min_connections(1)
                    .acquire_timeout(Duration::from_secs(10))
                    // Asking for auto_vacuum is a write, which a reader may not; the file keeps what the writer has set. Reading from the system's own
                    // copy of the file instead of copying each page halves what a list of thousands of scattered rows costs, and is shared by all readers.
                    .connect_with(
                        options
                            .create_if_missing(false)
                            .auto_vacuum(SqliteAutoVacuum::None)
                            .read_only(true)
                            .pragma("mmap_size", "2147418112"),
                    )
                    .await?;
                Ok(Self::over(Pools::Sqlite { writer, readers }))
            }
            Location::Postgres { url, connections } => {
                let migrating = postgres(url.parse()?, 1).await?;
                let migrated = migrate::postgres(store).run(&migrating).await;
                migrating.close().await;
                migrated?;
                let pool = postgres(limited(url)?, *connections).await?;
                Ok(Self::over(Pools::Postgres { pool, serving: Arc::default() }))
            }
        }
    }

    /// The store to read from, with the schema it has; none where none was opened before.
    pub async fn as_it_is(at: &Location) -> Result<Option<Self>, Error> {
        if !Self::exists(at).await? {
            return Ok(None);
        }
        let pools = match at {
            Location::Sqlite(file) => {
                let options = SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(Duration::from_secs(5));
                let readers = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
                Pools::Sqlite { writer: readers.clone(), readers }
            }
            Location::Postgres { url, .. } => Pools::Postgres { pool: postgres(limited(url)?, 1).await?, serving: Arc::default() },
        };
        Ok(Some(Self::over(pools)))
    }

    /// Whether a store was opened here before. Makes nothing.
    pub async fn exists(at: &Location) -> Result<bool, Error> {
        match at {
            Location::Sqlite(file) => Ok(file.metadata().is_ok_and(|f| f.len() > 0)),
            Location::Postgres { url, .. } => {
                let pool = postgres(limited(url)?, 1).await?;
                let made = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&pool).await?;
                pool.close().await;
                Ok(made)
            }
        }
    }

    fn over(pools: Pools) -> Self {
        Self { pools, full: Arc::default(), beyond: TaskTracker::new() }
    }

    /// The engine it runs on.
    pub fn kind(&self) -> EngineKind {
        match &self.pools {
            Pools::Sqlite { .. } => EngineKind::Sqlite,
            Pools::Postgres { .. } => EngineKind::Postgres,
        }
    }

    /// A connection to read from.
    pub async fn read(&self) -> Result<Read, Error> {
        Ok(Read(match &self.pools {
            Pools::Sqlite { readers, .. } => Reader::Sqlite(readers.acquire().await?),
            Pools::Postgres { pool, .. } => Reader::Postgres(pool.acquire().await?),
        }))
    }

    /// A write transaction.
    pub async fn write(&self) -> Result<Tx, Error> {
        let on = match &self.pools {
            Pools::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Writer::Sqlite),
            Pools::Postgres { pool, .. } => pool.begin().await.map(Writer::Postgres),
        };
        Ok(Tx { on: on.map_err(|e| noted(&self.full, e))?, full: self.full.clone() })
    }

    /// Whether it takes writes: [`Error::Full`] when the disk was full at the last one and is still full for a small one.
    pub async fn writable(&self) -> Result<(), Error> {
        if !self.full.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut tx = self.write().await?;
        exec!(&mut tx, SMALL_WRITE)?;
        tx.commit().await
    }

    /// Gives pages that deletes have freed back to the disk, as far as a few short transactions get; how many. Nothing on PostgreSQL, which
    /// uses them again by itself.
    pub async fn shrink(&self) -> Result<u64, Error> {
        let Pools::Sqlite { writer, .. } = &self.pools else { return Ok(0) };
        let mut given = 0;
        for _ in 0..SLICES {
            let mut on = writer.acquire().await?;
            let free: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut *on).await?;
            if free == 0 {
                break;
            }
            // A row a page: read to the end it frees them all, in one transaction of its own.
            sqlx::query("PRAGMA incremental_vacuum(1000)").fetch_all(&mut *on).await?;
            let left: i64 = sqlx::query_scalar("PRAGMA freelist_count").fetch_one(&mut *on).await?;
            given += u64::try_from(free - left).unwrap_or_default();
            drop(on);
            // Others wait for the same connection.
            tokio::task::yield_now().await;
        }
        Ok(given)
    }

    /// Closes every connection; on SQLite the log is folded back into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres { pool, serving } => {
                if let Some(mut on) = serving.lock().await.take() {
                    // Given back before the answer, so that the next server finds it free; a lost connection has given it back already.
                    let given = sqlx::query("SELECT pg_advisory_unlock($1)").bind(SERVING).execute(&mut on);
                    let _ = tokio::time::timeout(SLOW, given).await;
                    let _ = tokio::time::timeout(SLOW, on.close()).await;
                }
                pool.close().await;
            }
        }
    }
}
