//! The embedded migrations. Forward only; the two engines carry the same numbers and names.

use super::open::Store;
#[cfg(any(test, feature = "testing"))]
use aws_lc_rs::digest::{Context, SHA256};
use sqlx::migrate::Migrator;

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");
static SQLITE_TELEMETRY: Migrator = sqlx::migrate!("../../migrations/sqlite_telemetry");
static POSTGRES_TELEMETRY: Migrator = sqlx::migrate!("../../migrations/postgres_telemetry");

pub(super) fn sqlite(store: Store) -> &'static Migrator {
    match store {
        Store::Fleet => &SQLITE,
        Store::Telemetry => &SQLITE_TELEMETRY,
    }
}

/// On PostgreSQL both stores share one database, so the telemetry migrations keep their own books.
pub(super) fn postgres(store: Store) -> Migrator {
    let (source, table) = match store {
        Store::Fleet => (&POSTGRES, "_sqlx_migrations"),
        Store::Telemetry => (&POSTGRES_TELEMETRY, "_sqlx_migrations_telemetry"),
    };
    let mut migrator = Migrator { migrations: source.migrations.clone(), ..Migrator::DEFAULT };
    migrator.dangerous_set_table_name(table);
    migrator
}

/// Tells the schema of this program from that of any other: a digest of all migrations of both engines and of how a store is made, in hexadecimal digits.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn schema_digest() -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(include_bytes!("open.rs"));
    let all = [&SQLITE, &SQLITE_TELEMETRY, &POSTGRES, &POSTGRES_TELEMETRY];
    all.iter().flat_map(|m| m.iter()).for_each(|migration| digest.update(&migration.checksum));
    hex::encode(&crate::hash::finished(digest)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_engines_carry_the_same_migrations() {
        let names = |m: &Migrator| m.iter().map(|x| (x.version, x.description.to_string())).collect::<Vec<_>>();
        assert_eq!(names(&SQLITE), names(&POSTGRES));
        assert_eq!(names(&SQLITE_TELEMETRY), names(&POSTGRES_TELEMETRY));
    }
}
