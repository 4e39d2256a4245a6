//! The nets under the one SQL text: every statement is prepared on both engines, and the two schemas are the same.

use super::{Db, Location, Store};
use crate::testing;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use std::collections::BTreeMap;

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
    let url = testing::postgres().await;
    let (mut lite, mut pg) = (Schema::new(), Schema::new());
    for which in [Store::Fleet, Store::Telemetry] {
        let file = folder.path().join(format!("{which:?}.db"));
        Db::open(&Location::Sqlite(file.clone()), which).await.unwrap().close().await;
        Db::open(&Location::Postgres { url: url.clone(), connections: 2 }, which).await.unwrap().close().await;
        let mut on = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
        let tables: Vec<(String,)> =
            sqlx::query_as("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE '_sqlx%'")
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
