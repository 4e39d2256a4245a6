//! The one process that serves a database: how it says so, and how another one is told.

use super::{Db, Error, Location, Pools, SLOW};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use std::time::Duration;

/// PostgreSQL's name of the lock that a serving process holds on its database.
pub(super) const SERVING: i64 = 0x666c_6565_7477_6172;
/// How often a taken lock is asked for again, every [`AGAIN`]: a server that was killed leaves its lock a moment after its end.
const ASKS: u32 = 10;
const AGAIN: Duration = Duration::from_millis(300);

/// Whether any process holds it: a look, which takes nothing. The engine keeps the two halves of the name apart.
const HELD: &str = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND ((CAST(classid AS BIGINT) << 32) | CAST(objid AS BIGINT)) = $1)";

/// Taking the serving lock takes at most so long: a connection, and all the asking.
const TAKING: Duration = Duration::from_secs(20);

impl Db {
    /// Says that this process serves the database, until [`Db::close`] or its end. Refused when another one does: wake-ups, artifacts and
    /// presence are not shared between servers. An embedded database is guarded by the lock on its folder instead. Said again it makes sure:
    /// a connection that was lost meanwhile took the lock with it.
    ///
    /// There is one server, but it is not the only process over the database: commands run beside it, and one that lost its lock may not have
    /// noticed yet. So the rooms are written, and tested on both engines, to stay right with several at once: this is whom their comments mean by
    /// another instance, or any.
    pub async fn serve_alone(&self) -> Result<(), Error> {
        let Pools::Postgres { pool, serving } = &self.pools else { return Ok(()) };
        let mut serving = serving.lock().await;
        if let Some(on) = serving.as_mut() {
            // One that does not answer is as good as lost.
            if matches!(tokio::time::timeout(SLOW, on.ping()).await, Ok(Ok(()))) {
                return Ok(());
            }
            *serving = None;
        }
        *serving = Some(tokio::time::timeout(TAKING, Self::take_lock(pool)).await.map_err(|_| Error::Busy)??);
        Ok(())
    }

    /// Whether a process serves the database now, this one or another; none of an embedded database, where the lock on its folder says so.
    pub async fn served(&self) -> Result<Option<bool>, Error> {
        let Pools::Postgres { pool, .. } = &self.pools else { return Ok(None) };
        Ok(Some(sqlx::query_scalar(HELD).bind(SERVING).fetch_one(pool).await?))
    }

    /// Whether a process serves the database at this place now. Makes nothing; an embedded one is told by the lock on its folder.
    pub async fn is_served(at: &Location) -> Result<bool, Error> {
        let Location::Postgres { url, .. } = at else { return Ok(false) };
        let pool = super::postgres(super::limited(url)?, 1).await?;
        let held = sqlx::query_scalar(HELD).bind(SERVING).fetch_one(&pool).await;
        pool.close().await;
        Ok(held?)
    }

    /// Refuses when a process serves the database at this place, and goes on doing so for a moment. [`Db::serve_alone`] is what holds; this is for
    /// what comes before it.
    pub async fn unserved(at: &Location) -> Result<(), Error> {
        for ask in 0..ASKS {
            if ask > 0 {
                tokio::time::sleep(AGAIN).await;
            }
            if !Self::is_served(at).await? {
                return Ok(());
            }
        }
        Err(taken())
    }

    /// A connection with the lock of the serving process.
    async fn take_lock(pool: &PgPool) -> Result<PgConnection, Error> {
        let mut on = pool.acquire().await?.detach();
        // A host that lost its power can't say goodbye; PostgreSQL finds out within a minute and frees the lock.
        on.execute("SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3").await?;
        for ask in 0..ASKS {
            if ask > 0 {
                tokio::time::sleep(AGAIN).await;
            }
            if sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(SERVING).fetch_one(&mut on).await? {
                return Ok(on);
            }
        }
        Err(taken())
    }
}

fn taken() -> Error {
    const WHAT: &str =
        "another Fleetward serves this PostgreSQL database: stop it first, give this one another database, or let it wait (--standby)";
    Error::Open(WHAT.into())
}
