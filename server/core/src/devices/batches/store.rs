//! The SQL of batches and their lines.

use crate::db::Sql;

pub(super) const INSERT: Sql = Sql::same(
    "INSERT INTO enrolment_batches (id, org_id, label, device_type, tags, state, created_at, created_by) VALUES ($1, $2, $3, $4, $5, 'receiving', $6, $7)",
);
pub(super) const LINE_INSERT: Sql = Sql::same(
    "INSERT INTO enrolment_batch_lines (batch_id, line, label, device_id, device_type, tags, csr, state, code, message, certificate_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '')",
);
pub(super) const RECEIVED: Sql =
    Sql::same("UPDATE enrolment_batches SET state = 'working', lines = $2, refused = $3 WHERE id = $1 AND state = 'receiving'");
macro_rules! batch {
    ($rest:literal) => {
        Sql::same(concat!(
            "SELECT id, org_id, label, device_type, tags, state, lines, issued, registered, refused, created_at, created_by, ended_at FROM enrolment_batches ",
            $rest
        ))
    };
}
pub(super) const BATCH: Sql = batch!("WHERE org_id = $1 AND id = $2");
pub(super) const BATCHES: Sql = batch!("WHERE org_id = $1 ORDER BY created_at DESC, id DESC LIMIT 50");
pub(super) const NEXT: Sql = batch!("WHERE state = 'working' ORDER BY created_at, id LIMIT 20");
/// The batch, held until the transaction ends: two that work on one batch take turns.
pub(super) const HELD: Sql =
    Sql::split("SELECT state FROM enrolment_batches WHERE id = $1", "SELECT state FROM enrolment_batches WHERE id = $1 FOR NO KEY UPDATE");
pub(super) const WAITING: Sql = Sql::same(
    "SELECT line, device_id, device_type, tags, csr FROM enrolment_batch_lines WHERE batch_id = $1 AND state = 'waiting' ORDER BY line LIMIT 1",
);
pub(super) const LINE_OF: Sql = Sql::same("SELECT line FROM enrolment_batch_lines WHERE batch_id = $1 AND certificate_id = $2");
pub(super) const LINE_DONE: Sql = Sql::same(
    "UPDATE enrolment_batch_lines SET device_id = $3, state = $4, code = $5, message = $6, certificate_id = $7, csr = $8 WHERE batch_id = $1 AND line = $2 AND state = 'waiting'",
);
pub(super) const PROGRESS: Sql =
    Sql::same("UPDATE enrolment_batches SET issued = issued + $2, registered = registered + $3, refused = refused + $4 WHERE id = $1");
pub(super) const END: Sql = Sql::same("UPDATE enrolment_batches SET state = $2, ended_at = $3 WHERE id = $1 AND state = 'working'");
pub(super) const LINES: Sql = Sql::same(
    "SELECT line, label, device_id, state, code, message, certificate_id FROM enrolment_batch_lines
     WHERE batch_id = $1 AND ($2 = '' OR state = $2) AND line > $3 ORDER BY line LIMIT $4",
);
pub(super) const LINES_COUNT: Sql = Sql::same("SELECT COUNT(*) FROM enrolment_batch_lines WHERE batch_id = $1 AND ($2 = '' OR state = $2)");
pub(super) const FORGET_LINES: Sql = Sql::same("DELETE FROM enrolment_batch_lines WHERE batch_id = $1");
pub(super) const FORGET: Sql = Sql::same("DELETE FROM enrolment_batches WHERE id = $1");
/// Uploads that were cut off, and what ended long ago.
pub(super) const OLD: Sql = Sql::same(
    "SELECT id FROM enrolment_batches WHERE (state = 'receiving' AND created_at < $1) OR (ended_at IS NOT NULL AND ended_at < $2) ORDER BY id LIMIT 20",
);
pub(crate) const ALL: &[&Sql] = &[
    &INSERT,
    &LINE_INSERT,
    &RECEIVED,
    &BATCH,
    &BATCHES,
    &NEXT,
    &HELD,
    &WAITING,
    &LINE_OF,
    &LINE_DONE,
    &PROGRESS,
    &END,
    &LINES,
    &LINES_COUNT,
    &FORGET_LINES,
    &FORGET,
    &OLD,
];
