//! The nets under the one SQL text: every statement is prepared on both engines, and the two schemas are the same.

use super::{Db, EngineKind, Error, Location, Sql, Store, Tx, exec, row};
use crate::testing;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection, postgres::PgConnectOptions};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
};

#[tokio::test]
async fn every_statement_prepares_on_both_engines() {
    let wrong = testing::prepare_all().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Columns of each table: a neutral type, and whether it may be null.
type Schema = BTreeMap<String, BTreeMap<String, (String, bool)>>;

fn neutral(declared: &str) -> String {
    match declared.to_lowercase().as_str() {
        "text" => "text",
        // SQLite has no boolean of its own; its INTEGER stands for both.
        "integer" | "bigint" | "boolean" => "integer",
        "blob" | "bytea" => "bytes",
        "real" | "double precision" => "real",
        other => return other.to_owned(),
    }
    .to_owned()
}

#[tokio::test]
async fn both_engines_have_the_same_schema() {
    let folder = tempfile::tempdir().unwrap();
    let url = testing::bare_postgres().await;
    let (mut lite, mut pg) = (Schema::new(), Schema::new());
    for which in [Store::Fleet, Store::Telemetry] {
        let file = folder.path().join(format!("{which:?}.db"));
        Db::open(&Location::Sqlite(file.clone()), which).await.unwrap().close().await;
        Db::open(&Location::Postgres { url: url.clone(), connections: 2 }, which).await.unwrap().close().await;
        let mut on = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
        let tables: Vec<(String,)> = sqlx::query_as(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx%'
                            AND name NOT LIKE 'device_words%'",
        )
        .fetch_all(&mut on)
        .await
        .unwrap();
        for (table,) in tables {
            let columns: Vec<(String, String, bool, i64)> =
                sqlx::query_as(AssertSqlSafe(format!("SELECT name, type, \"notnull\", pk FROM pragma_table_info('{table}')")))
                    .fetch_all(&mut on)
                    .await
                    .unwrap();
            let columns = columns.into_iter().map(|(name, kind, not_null, key)| (name, (neutral(&kind), !not_null && key == 0)));
            lite.insert(table, columns.collect());
        }
    }
    let mut on = PgConnection::connect(&url).await.unwrap();
    let columns: Vec<(String, String, String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'",
    )
    .fetch_all(&mut on)
    .await
    .unwrap();
    for (table, column, kind, nullable) in columns {
        pg.entry(table).or_default().insert(column, (neutral(&kind), nullable == "YES"));
    }
    assert_eq!(lite, pg);
    assert!(lite.len() > 15, "the test saw the schema: {:?}", lite.keys());
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let world = testing::World::open(super::EngineKind::Sqlite).await;
    let lock = std::fs::File::open(world.folder.path().join("lock")).unwrap();
    assert!(lock.try_lock().is_err());
}

/// Waits until a transaction of this PostgreSQL database waits for another one.
pub(crate) async fn somebody_waits(db: &Db) {
    const WAITING: Sql = Sql::same(
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'",
    );
    for _ in 0..2000 {
        if row!(&mut db.read().await.unwrap(), (i64,), WAITING).unwrap().unwrap().0 > 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("nobody waits");
}

#[tokio::test]
async fn the_loser_of_a_deadlock_is_told_to_try_again() {
    const HOLD: Sql = Sql::same("SELECT CAST(1 AS BIGINT) FROM (SELECT pg_advisory_xact_lock($1)) held");
    let (db, _folder) = testing::store(EngineKind::Postgres, Store::Fleet).await;
    let hold = async |tx: &mut Tx, what: i64| row!(tx, (i64,), HOLD, what).map(drop);
    let (mut one, mut two) = (db.write().await.unwrap(), db.write().await.unwrap());
    hold(&mut one, 1).await.unwrap();
    hold(&mut two, 2).await.unwrap();
    let crossed = async {
        let end = hold(&mut one, 2).await;
        drop(one);
        end
    };
    let back = async {
        let end = hold(&mut two, 1).await;
        drop(two);
        end
    };
    let ends = tokio::join!(crossed, back);
    assert!(matches!(ends, (Ok(()), Err(Error::Busy)) | (Err(Error::Busy), Ok(()))), "{ends:?}");
}

#[tokio::test]
async fn a_second_server_on_the_same_postgres_is_refused_until_the_first_has_closed() {
    let url = testing::postgres().await;
    let at = Location::Postgres { url: url.clone(), connections: 2 };
    let (one, two) = (Db::open(&at, Store::Fleet).await.unwrap(), Db::open(&at, Store::Fleet).await.unwrap());
    one.serve_alone().await.unwrap();
    assert!(matches!(two.serve_alone().await, Err(Error::Open(_))));
    assert!(two.read().await.is_ok(), "a command beside it reads all the same");
    assert!(Db::is_served(&at).await.unwrap());
    assert!(matches!(Db::unserved(&at).await, Err(Error::Open(_))), "nor does it bring the schema up to date under the first");
    one.serve_alone().await.unwrap();

    // Its connection breaks: whoever asks first has it, and the other one learns that it does not serve any more.
    let mut admin = PgConnection::connect(&url).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    sqlx::query(cut).execute(&mut admin).await.unwrap();
    two.serve_alone().await.unwrap();
    assert!(matches!(one.serve_alone().await, Err(Error::Open(_))));
    two.close().await;
    Db::unserved(&at).await.unwrap();
    one.serve_alone().await.unwrap();
}

/// The same PostgreSQL by another URL, whose connections go quiet when they are told to: its end is closed, and ours hears nothing.
async fn by_a_line_that_goes_quiet(url: &str) -> (String, Arc<Notify>) {
    let to: PgConnectOptions = url.parse().unwrap();
    let there = format!("{}:{}", to.get_host(), to.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    assert!(url.contains(&there), "the URL says host and port: {url}");
    let quiet = Arc::new(Notify::new());
    let hush = quiet.clone();
    let by = url.replace(&there, &here);
    tokio::spawn(async move {
        while let Ok((mut ours, _)) = listener.accept().await {
            let (hush, there) = (hush.clone(), there.clone());
            tokio::spawn(async move {
                let mut theirs = TcpStream::connect(there).await.unwrap();
                let hushed = tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut ours, &mut theirs) => false,
                    () = hush.notified() => true,
                };
                drop(theirs);
                if hushed {
                    std::future::pending::<()>().await;
                }
                drop(ours);
            });
        }
    });
    (by, quiet)
}

#[tokio::test]
async fn a_serving_lock_whose_connection_answers_nothing_is_taken_anew() {
    let (url, quiet) = by_a_line_that_goes_quiet(&testing::postgres().await).await;
    let db = Db::open(&Location::Postgres { url, connections: 2 }, Store::Fleet).await.unwrap();
    db.serve_alone().await.unwrap();
    quiet.notify_waiters();
    tokio::time::timeout(Duration::from_secs(15), db.serve_alone()).await.expect("it does not wait for an answer").unwrap();
    db.serve_alone().await.unwrap();
}

#[tokio::test]
async fn postgres_gives_up_by_itself_what_takes_too_long() {
    const LIMITS: Sql = Sql::same("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')");
    const SHORT: Sql = Sql::same("SET LOCAL lock_timeout = '50ms'");
    const QUICK: Sql = Sql::same("SET LOCAL statement_timeout = '50ms'");
    const HOLD: Sql = Sql::same("SELECT CAST(1 AS BIGINT) FROM (SELECT pg_advisory_xact_lock(1)) held");
    const SLEEP: Sql = Sql::same("SELECT CAST(1 AS BIGINT) FROM (SELECT pg_sleep(10)) slept");
    let url = testing::postgres().await;
    let limits = async |url: String| {
        let db = Db::open(&Location::Postgres { url, connections: 2 }, Store::Fleet).await.unwrap();
        let found = row!(&mut db.read().await.unwrap(), (String, String), LIMITS).unwrap().unwrap();
        (db, found)
    };
    let (_, own) = limits(format!("{url}?options=-c%20statement_timeout%3D5s")).await;
    assert_eq!(own, ("10s".to_owned(), "5s".to_owned()), "what the URL says goes");
    let (db, ours) = limits(url).await;
    assert_eq!(ours, ("10s".to_owned(), "1min".to_owned()));

    let (mut one, mut two) = (db.write().await.unwrap(), db.write().await.unwrap());
    row!(&mut one, (i64,), HOLD).unwrap();
    exec!(&mut two, SHORT).unwrap();
    assert!(matches!(row!(&mut two, (i64,), HOLD), Err(Error::Busy)));
    exec!(&mut one, QUICK).unwrap();
    assert!(matches!(row!(&mut one, (i64,), SLEEP), Err(Error::Busy)));
}

#[tokio::test]
async fn freed_pages_go_back_to_the_disk() {
    const MAKE: Sql = Sql::same(
        "CREATE TABLE much AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i, randomblob(8192) AS b FROM n",
    );
    let (db, folder) = testing::store(EngineKind::Sqlite, Store::Fleet).await;
    let mut tx = db.write().await.unwrap();
    exec!(&mut tx, MAKE).unwrap();
    exec!(&mut tx, Sql::same("DROP TABLE much")).unwrap();
    tx.commit().await.unwrap();
    assert!(db.shrink().await.unwrap() > 500);
    assert_eq!(db.shrink().await.unwrap(), 0);
    db.close().await;
    let file = std::fs::metadata(folder.path().join("store.db")).unwrap();
    assert!(file.len() < 2_000_000, "{}", file.len());
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    // Taken as the pages there are: none can be added.
    const LIMIT: Sql = Sql::same("PRAGMA max_page_count = 1");
    const MAKE: Sql = Sql::same("CREATE TABLE much (b BLOB)");
    const FILL: Sql = Sql::same("INSERT INTO much VALUES (zeroblob(4000000))");
    let (db, _folder) = testing::store(EngineKind::Sqlite, Store::Fleet).await;
    let mut tx = db.write().await.unwrap();
    exec!(&mut tx, MAKE).unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.write().await.unwrap();
    exec!(&mut tx, LIMIT).unwrap();
    tx.commit().await.unwrap();

    let mut tx = db.write().await.unwrap();
    assert!(matches!(exec!(&mut tx, FILL), Err(Error::Full)));
    drop(tx);
    assert!(db.full.load(Ordering::Relaxed));
    // The limit has gone with the connection, as if somebody had made room.
    db.writable().await.unwrap();
    assert!(!db.full.load(Ordering::Relaxed));
    let mut tx = db.write().await.unwrap();
    exec!(&mut tx, FILL).unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_store_exists_after_it_was_opened_and_takes_small_writes() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = Location::postgres(&testing::bare_postgres().await, 2).unwrap();
    for at in [Location::Sqlite(folder.path().join("fleet.db")), postgres] {
        assert!(!Db::exists(&at).await.unwrap(), "{at:?}");
        assert!(!Db::exists(&at).await.unwrap(), "asking makes nothing");
        let db = Db::open(&at, Store::Fleet).await.unwrap();
        assert!(Db::exists(&at).await.unwrap(), "{at:?}");
        db.full.store(true, Ordering::Relaxed);
        db.writable().await.unwrap();
        assert!(!db.full.load(Ordering::Relaxed));
        db.close().await;
    }
    assert!(Location::postgres("mysql://localhost/x", 2).is_err());
}

/// Tables with a row or more for each device.
const GROWING: [&str; 16] = [
    "devices",
    "device_tags",
    "device_attributes",
    "device_slots",
    "device_words",
    "group_members",
    "certificates",
    "updates",
    "update_log",
    "audit",
    "series",
    "chunks",
    "rollups",
    "enrolment_requests",
    "batch_lines",
    "commands",
];

/// What SQLite would do for each statement, seen before a fleet is large: which ones walk a table that grows with it, in whole or for a whole
/// organization. Each of them is on this list because it is meant to; a new one is either given an index or a reason.
#[tokio::test]
async fn the_statements_that_walk_a_fleet_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut walks = Vec::new();
    for which in [Store::Fleet, Store::Telemetry] {
        let file = folder.path().join(format!("{which:?}.db"));
        Db::open(&Location::Sqlite(file.clone()), which).await.unwrap().close().await;
        let mut on = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
        for (_, sql) in crate::rooms::statements().into_iter().filter(|(s, _)| *s == which) {
            let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.sqlite));
            let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&mut on).await.unwrap();
            let text = sql.sqlite.split_whitespace().collect::<Vec<_>>().join(" ");
            for (.., step) in steps {
                let mut words = step.split(' ');
                let (verb, name) = (words.next().unwrap(), words.next().unwrap_or_default());
                let table = GROWING
                    .iter()
                    .find(|t| **t == name || text.contains(&format!(" {t} {name} ")) || text.contains(&format!(" {t} AS {name} ")));
                // Most of a fleet is in one state.
                let wide = ["(org_id=?)", "(org_id=? AND state=?)"].iter().any(|by| step.ends_with(by) || step.contains(&format!("{by} ")));
                let whole = verb == "SCAN" || (verb == "SEARCH" && wide);
                if whole && table.is_some() {
                    walks.push(format!("{}\n    {step}", text.chars().take(150).collect::<String>()));
                }
            }
        }
    }
    walks.sort();
    walks.dedup();
    insta::assert_snapshot!(walks.join("\n"));
}
