//! The empty schema, made once and then copied: making it anew would be half of what a small test takes.
//!
//! Knows nothing of what a world puts into it. Each digest of what makes it has a copy of its own, so another checkout is never given this one's.

use crate::db::{Db, Location, Store, schema_digest};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Each store with its file in a data folder.
const FILES: [(Store, &str); 2] = [(Store::Fleet, "fleet.db"), (Store::Telemetry, "telemetry.db")];

/// Who makes the template holds this lock of the PostgreSQL they make it in.
const MAKING: i64 = 0x0066_6c65_6574_7363;

/// The name of a database with the schema in the PostgreSQL of this URL, for `CREATE DATABASE … TEMPLATE`. Whoever comes first makes it.
pub async fn template(url: &str, admin: &mut PgConnection) -> String {
    let name = format!("fleetward_schema_{}", schema_digest());
    if is_there(admin, &name).await {
        return name;
    }
    sqlx::query("SELECT pg_advisory_lock($1)").bind(MAKING).execute(&mut *admin).await.expect("PostgreSQL waits for others");
    if !is_there(admin, &name).await {
        let making = format!("{name}_making");
        admin.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {making} WITH (FORCE)"))).await.expect("what broke off is dropped");
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {making}"))).await.expect("a database can be made");
        let (server, _) = url.rsplit_once('/').expect("the URL names a database");
        for (store, _) in FILES {
            let at = Location::Postgres { url: format!("{server}/{making}"), connections: 1 };
            Db::open(&at, store).await.expect("the schema can be made").close().await;
        }
        // Nobody ever connects to the name, or it could not be copied.
        admin.execute(AssertSqlSafe(format!("ALTER DATABASE {making} RENAME TO {name}"))).await.expect("it gets its name");
    }
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(MAKING).execute(&mut *admin).await.expect("the others go on");
    name
}

async fn is_there(admin: &mut PgConnection, name: &str) -> bool {
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)").bind(name).fetch_one(admin).await;
    found.expect("the databases can be listed")
}

/// Puts the schema of the embedded engine into a data folder that has no database yet; makes the folder, as [`crate::Fleet::open`] would.
pub async fn put_into(data: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data).expect("the data folder is made");
    if FILES.iter().any(|(_, file)| data.join(file).exists()) {
        return;
    }
    let made = made().await;
    for (_, file) in FILES {
        fs::copy(made.join(file), data.join(file)).expect("the schema is copied");
    }
}

/// The folder beside the test programs where the embedded engine's schema is. Two who make it at once make the same; the first one's stays.
async fn made() -> PathBuf {
    let program = std::env::current_exe().expect("the test program has a place");
    let beside = program.parent().expect("it is in a folder");
    let kept = beside.join(format!("schema-{}", schema_digest()));
    if !kept.exists() {
        let making = tempfile::tempdir_in(beside).expect("a folder beside the test program");
        for (store, file) in FILES {
            Db::open(&Location::Sqlite(making.path().join(file)), store).await.expect("the schema can be made").close().await;
        }
        if let Err(e) = fs::rename(making.path(), &kept) {
            assert!(kept.exists(), "{}: {e}", kept.display());
        }
    }
    kept
}
