//! The room on both engines: what is acknowledged is readable exactly once, whatever happens in between.

#![expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "small whole numbers, exact in both types")]

mod crash;
mod folding;
mod ingest;
mod live;
mod means;
mod names;
mod reading;

use super::*;
use crate::{
    access::Actor,
    clock::ManualClock,
    db::{EngineKind, Store},
    entropy::SeededEntropy,
    testing::{START, store as fresh_store},
};
use wire::{Timestamp, telemetry::Series};

/// The room over a fresh store.
struct Room {
    telemetry: Telemetry,
    db: Db,
    clock: Arc<ManualClock>,
    org: OrgId,
    _folder: tempfile::TempDir,
}

const HOUR: i64 = 3_600_000;

fn id(device: i64) -> DeviceId {
    format!("gw-{device}").parse().unwrap()
}

fn sample(metric: &str, t: i64, v: f64) -> Sample {
    Sample { m: metric.into(), t, v }
}

impl Room {
    async fn open(kind: EngineKind) -> Self {
        let (db, folder) = fresh_store(kind, Store::Telemetry).await;
        Self::over(db, folder).await
    }

    async fn over(db: Db, folder: tempfile::TempDir) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
        let org = entropy.id(Timestamp(0));
        let bus = Bus::default();
        let telemetry = Telemetry::open(db.clone(), clock.clone(), entropy, bus).await.unwrap();
        Self { telemetry, db, clock, org, _folder: folder }
    }

    /// Another instance over the same store.
    async fn another(&self) -> Telemetry {
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(2));
        Telemetry::open(self.db.clone(), self.clock.clone(), entropy, Bus::default()).await.unwrap()
    }

    /// The process ends where it stands and a new one begins.
    async fn crash(mut self) -> Self {
        self.telemetry.committer.abort();
        // Its last poll may still run on another thread; a process that was killed has no such thread.
        while !self.telemetry.committer.is_finished() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // SQLite runs in a thread of its own, which here survives the crash: what it was told before ends before the new process begins.
        drop(self.db.write().await.unwrap());
        self.telemetry = self.another().await;
        self
    }

    async fn intake(&self, device: i64, stream: &str) -> Intake {
        self.telemetry.intake(&self.org, device, &id(device), stream).await.unwrap()
    }

    async fn put(&self, device: i64, stream: &str, seq: u64, samples: Vec<Sample>) -> Ingested {
        self.telemetry.ingest(&self.org, device, &id(device), stream, seq, samples).await.unwrap()
    }

    fn query(device: i64, from: i64, to: i64, points: u32) -> HistoryQuery {
        HistoryQuery { device_id: id(device), metrics: vec![], from: Timestamp(from), to: Timestamp(to), points }
    }

    async fn history(&self, device: i64, from: i64, to: i64, points: u32) -> History {
        let actor = Actor::system(self.org.clone());
        self.telemetry.history(&actor, &Self::query(device, from, to, points), device).await.unwrap()
    }

    /// Everything a device ever sent, by metric; at most 2,000 samples a metric.
    async fn all(&self, device: i64) -> Vec<(String, Vec<(i64, f64)>)> {
        let h = self.history(device, START.0 - 29 * 24 * HOUR, START.0 + 24 * HOUR, 2_000).await;
        assert!(!h.decimated, "too many samples for an exact answer");
        h.series.into_iter().map(|Series { metric, t, v }| (metric, t.into_iter().zip(v).collect())).collect()
    }

    async fn count(&self, what: db_sql::Count) -> i64 {
        db_sql::count(&self.db, what).await
    }
}

/// What the tests look at behind the room's back.
mod db_sql {
    use crate::db::{Db, Sql, exec, row};

    #[derive(Debug, Clone, Copy)]
    pub enum Count {
        LogRows,
        Chunks,
        Rollups,
        Streams,
        Aside,
    }

    /// As if another instance moved every new stream first.
    pub const NOTHING_MOVES: Sql = Sql::same("CREATE TRIGGER nothing_moves BEFORE INSERT ON streams BEGIN SELECT RAISE(IGNORE); END");
    pub const ALL_MOVES: Sql = Sql::same("DROP TRIGGER nothing_moves");

    pub async fn run(db: &Db, sql: Sql) {
        let mut tx = db.write().await.unwrap();
        exec!(&mut tx, sql).unwrap();
        tx.commit().await.unwrap();
    }

    pub async fn count(db: &Db, what: Count) -> i64 {
        const LOG: Sql = Sql::same("SELECT COUNT(*) FROM sample_log WHERE round >= 0");
        const ASIDE: Sql = Sql::same("SELECT COUNT(*) FROM sample_log WHERE round < 0");
        const CHUNKS: Sql = Sql::same("SELECT COUNT(*) FROM chunks");
        const ROLLUPS: Sql = Sql::same("SELECT COUNT(*) FROM rollups");
        const STREAMS: Sql = Sql::same("SELECT COUNT(*) FROM streams");
        let sql = match what {
            Count::LogRows => LOG,
            Count::Chunks => CHUNKS,
            Count::Rollups => ROLLUPS,
            Count::Streams => STREAMS,
            Count::Aside => ASIDE,
        };
        row!(&mut db.read().await.unwrap(), (i64,), sql).unwrap().unwrap().0
    }

    /// Overwrites every chunk, or every log row, with these bytes.
    pub async fn damage(db: &Db, log: bool, bytes: &[u8]) {
        const CHUNKS: Sql = Sql::same("UPDATE chunks SET data = $1");
        const LOG: Sql = Sql::same("UPDATE sample_log SET data = $1");
        let mut tx = db.write().await.unwrap();
        exec!(&mut tx, if log { LOG } else { CHUNKS }, bytes).unwrap();
        tx.commit().await.unwrap();
    }

    /// Lets the SQLite file grow by so many pages and no further: a full disk.
    pub async fn leave_room(db: &Db, pages: i64) {
        const NOW: Sql = Sql::split("SELECT page_count FROM pragma_page_count", "SELECT CAST(0 AS BIGINT)");
        let mut tx = db.write().await.unwrap();
        let (now,) = row!(&mut tx, (i64,), NOW).unwrap().unwrap();
        let crate::db::Engine::Sqlite(c) = crate::db::Conn::engine(&mut tx) else { panic!("only SQLite's disk can be filled here") };
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", now + pages))).execute(c).await.unwrap();
        tx.commit().await.unwrap();
    }
}
