//! Statements, connections and what can go wrong with them.

use sqlx::{PgConnection, SqliteConnection};

/// One statement: the text each engine runs.
#[derive(Debug, Clone, Copy)]
pub struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Sql {
    /// The same text on both engines.
    pub const fn same(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }
    /// Two texts, where the engines truly differ.
    pub const fn split(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite, postgres }
    }
}

/// A connection's engine, for the query macros.
#[derive(Debug)]
pub enum Engine<'c> {
    /// SQLite.
    Sqlite(&'c mut SqliteConnection),
    /// PostgreSQL.
    Postgres(&'c mut PgConnection),
}

/// Something statements can run on: a reader or a write transaction.
pub trait Conn: Send {
    /// The engine behind it.
    fn engine(&mut self) -> Engine<'_>;
    /// What a statement's failure on it means.
    fn failed(&self, e: sqlx::Error) -> Error {
        Error::from(e)
    }
}

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver or the engine said no.
    #[error("database: {0}")]
    Driver(sqlx::Error),
    /// The disk is full; the transaction was undone.
    #[error("the database's disk is full")]
    Full,
    /// No connection within the time allowed, the engine is locked by another process, or another transaction won; trying again helps.
    #[error("the database is busy")]
    Busy,
    /// A migration failed or is unknown to this version.
    #[error("migrating the database: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row holds what this code never writes.
    #[error("corrupt row: {0}")]
    Corrupt(String),
    /// The data directory is in use, or can't be.
    #[error("{0}")]
    Open(String),
}

impl From<sqlx::Error> for Error {
    fn from(e: sqlx::Error) -> Self {
        match &e {
            sqlx::Error::PoolTimedOut => Self::Busy,
            // SQLITE_FULL is 13, and 4874 that the log's index can't grow; SQLITE_BUSY is 5; PostgreSQL says 53100 disk_full, and 40001 or 40P01 when two transactions stood in each
            // other's way and this one was undone, 55P03 when one waited too long for another, 57014 when a statement took too long.
            sqlx::Error::Database(d) => match d.code().as_deref() {
                Some("13" | "4874" | "53100") => Self::Full,
                Some("5" | "261" | "517" | "40001" | "40P01" | "55P03" | "57014") => Self::Busy,
                _ => Self::Driver(e),
            },
            _ => Self::Driver(e),
        }
    }
}

impl Error {
    /// A stored word or number that can't be read back.
    pub fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }
    /// Whether a unique index refused the row.
    pub fn is_unique(&self) -> bool {
        matches!(self, Self::Driver(sqlx::Error::Database(d)) if d.is_unique_violation())
    }
    /// Whether a row was to go that others refer to, or one was to come that refers to none.
    pub fn is_referenced(&self) -> bool {
        matches!(self, Self::Driver(sqlx::Error::Database(d)) if d.is_foreign_key_violation())
    }
}

/// A text's own signs taken literally in a `LIKE` whose escape is the backslash.
pub(crate) fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// What is looked for is at most this long; engines refuse patterns of many thousand bytes.
const LONGEST: usize = 200;

/// The pattern of what contains this text, ASCII letters in either case, for a column within `LOWER`, which knows no others in either engine;
/// empty for an empty text.
pub(crate) fn containing(text: &str) -> String {
    let text: String = text.trim().chars().take(LONGEST).collect::<String>().to_ascii_lowercase();
    if text.is_empty() { text } else { format!("%{}%", literal(&text)) }
}
