//! Counts the statements that a piece of work runs, with what each gave and changed, as the driver tells it. For tests that ask how much is read and
//! written, whatever the time.

use std::{
    cell::RefCell,
    collections::HashMap,
    fmt,
    future::Future,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tracing::{
    Event, Instrument as _, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_core::span::Current;

const DRIVER: &str = "sqlx::query";
const OURS: &str = "fleet::counting";

/// A statement that ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ran {
    /// Its text.
    pub sql: String,
    /// Rows it gave.
    pub returned: u64,
    /// Rows it changed.
    pub affected: u64,
}

thread_local! {
    /// The pieces of work that this thread does something for now, the innermost last. The driver's own threads enter them too.
    static WITHIN: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}
/// What a span of ours is like.
static WORK: OnceLock<&'static Metadata<'static>> = OnceLock::new();
static LAST: AtomicU64 = AtomicU64::new(0);

/// What ran, by the piece of work.
type Book = Mutex<HashMap<u64, Vec<Ran>>>;

fn book() -> &'static Book {
    static BOOK: OnceLock<Book> = OnceLock::new();
    BOOK.get_or_init(Book::default)
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        matches!(metadata.target(), DRIVER | OURS)
    }
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        WORK.get_or_init(|| attributes.metadata());
        Id::from_u64(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let Some(work) = WITHIN.with_borrow(|within| within.last().copied()) else { return };
        let mut ran = Ran::default();
        event.record(&mut ran);
        // After a statement that changes nothing SQLite tells what the one before it has changed.
        if !["INSERT", "UPDATE", "DELETE"].iter().any(|verb| ran.sql.starts_with(verb)) {
            ran.affected = 0;
        }
        book().lock().unwrap().entry(work).or_default().push(ran);
    }
    // SQLite's driver takes it along to its own thread.
    fn current_span(&self) -> Current {
        match (WITHIN.with_borrow(|within| within.last().copied()), WORK.get()) {
            (Some(work), Some(metadata)) => Current::new(Id::from_u64(work), metadata),
            _ => Current::none(),
        }
    }
    fn enter(&self, span: &Id) {
        WITHIN.with_borrow_mut(|within| within.push(span.into_u64()));
    }
    fn exit(&self, _: &Id) {
        WITHIN.with_borrow_mut(Vec::pop);
    }
}

impl Visit for Ran {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "rows_returned" => self.returned = value,
            "rows_affected" => self.affected = value,
            _ => {}
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        // A short statement is its own summary.
        if (field.name() == "summary" && self.sql.is_empty()) || (field.name() == "db.statement" && !value.is_empty()) {
            value.trim().clone_into(&mut self.sql);
        }
    }
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Does the work, and tells which statements it ran.
pub(crate) fn counted<T>(work: impl Future<Output = T>) -> impl Future<Output = (T, Vec<Ran>)> {
    let work = Box::pin(work);
    async move { tell(work).await }
}

async fn tell<T>(work: impl Future<Output = T>) -> (T, Vec<Ran>) {
    // Of several tests in one process the first listens for all.
    let _ = tracing::subscriber::set_global_default(Listener);
    let span = tracing::info_span!(target: OURS, "counted");
    let key = span.id().unwrap().into_u64();
    let done = work.instrument(span).await;
    // The driver's thread tells of a statement after it has given the last row.
    tokio::time::sleep(Duration::from_millis(50)).await;
    (done, book().lock().unwrap().remove(&key).unwrap_or_default())
}
