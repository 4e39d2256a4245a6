//! The SQL of batches and their lines.

use crate::db::Sql;

pub(super) const INSERT: Sql = Sql::same(
    "INSERT INTO enrolment_batches (id, org_id, label, device_type, tags, state, created_at, created_by, sealed_for, profile, group_ids)
     VALUES ($1, $2, $3, $4, $5, 'receiving', $6, $7, $8, $9, $10)",
);
pub(super) const LINE_INSERT: Sql = Sql::same(
    "INSERT INTO enrolment_batch_lines (batch_id, line, label, device_id, device_type, tags, csr, state, code, message, certificate_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '')",
);
pub(super) const RECEIVED: Sql =
    Sql::same("UPDATE enrolment_batches SET state = $4, lines = $2, refused = $3 WHERE id = $1 AND state = 'receiving'");
macro_rules! batch {
    ($rest:literal) => {
        Sql::same(concat!(
            "SELECT id, org_id, label, device_type, tags, state, lines, issued, registered, refused, created_at, created_by, ended_at, sealed_for, revoked_at, profile, group_ids FROM enrolment_batches ",
            $rest
        ))
    };
}
pub(super) const BATCH: Sql = batch!("WHERE org_id = $1 AND id = $2");
pub(super) const BATCHES: Sql = batch!("WHERE org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
pub(super) const BATCHES_COUNT: Sql = Sql::same("SELECT COUNT(*) FROM enrolment_batches WHERE org_id = $1");
pub(super) const NEXT: Sql = batch!("WHERE state = 'working' ORDER BY created_at, id LIMIT 20");
/// The batch, held until the transaction ends: two that work on one batch take turns.
pub(super) const HELD: Sql =
    Sql::split("SELECT state FROM enrolment_batches WHERE id = $1", "SELECT state FROM enrolment_batches WHERE id = $1 FOR NO KEY UPDATE");
pub(super) const WAITING: Sql = Sql::same(
    "SELECT line, label, device_id, device_type, tags, csr FROM enrolment_batch_lines WHERE batch_id = $1 AND state = 'waiting' ORDER BY line LIMIT 1",
);
pub(super) const LINE_OF: Sql = Sql::same("SELECT line FROM enrolment_batch_lines WHERE batch_id = $1 AND certificate_id = $2");
pub(super) const LINE_DONE: Sql = Sql::same(
    "UPDATE enrolment_batch_lines SET device_id = $3, state = $4, code = $5, message = $6, certificate_id = $7, csr = $8 WHERE batch_id = $1 AND line = $2 AND state = 'waiting'",
);
pub(super) const PROGRESS: Sql =
    Sql::same("UPDATE enrolment_batches SET issued = issued + $2, registered = registered + $3, refused = refused + $4 WHERE id = $1");
pub(super) const END: Sql =
    Sql::same("UPDATE enrolment_batches SET state = $2, ended_at = $3 WHERE id = $1 AND state IN ('working', 'making_keys')");
pub(super) const REVOKED: Sql = Sql::same("UPDATE enrolment_batches SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL");
/// Usable certificates of a batch's lines, and those that they were renewed to, after $2.
pub(super) const USABLE: Sql = Sql::same(
    "WITH RECURSIVE heirs (id, device) AS (
         SELECT c.id, c.device FROM enrolment_batch_lines l JOIN certificates c ON c.id = l.certificate_id WHERE l.batch_id = $1
         UNION SELECT c.id, c.device FROM certificates c JOIN heirs h ON c.device = h.device AND c.replaces_id = h.id)
     SELECT c.id FROM certificates c JOIN heirs h ON h.id = c.id WHERE c.state = 'active' AND c.id > $2 ORDER BY c.id LIMIT 100",
);
/// A device that has nothing but unused certificates whose keys were made here: those of an archive that was lost.
pub(super) const FORSAKEN: Sql = Sql::same(
    "SELECT d.number FROM devices d WHERE d.org_id = $1 AND d.device_id_lower = LOWER($2) AND d.device_id = $2 AND d.state = 'active'
     AND EXISTS (SELECT 1 FROM certificates c WHERE c.device = d.number)
     AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.device = d.number AND (c.key_origin <> 'server' OR c.first_used_at IS NOT NULL))",
);
/// Batches whose keys were being made when the server ended.
pub(super) const STUCK: Sql =
    Sql::same("SELECT id, org_id FROM enrolment_batches WHERE state = 'making_keys' AND created_at < $1 ORDER BY id LIMIT 20");
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
    &BATCHES_COUNT,
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
    &REVOKED,
    &USABLE,
    &FORSAKEN,
    &STUCK,
];
