//! The SQL of imports: what is there under the names of a file, and files that the console keeps until they are imported.

use crate::db::{Sql, many};

/// Devices by their names in lower case, deleted ones as well, whether a certificate of each stands at $3, why the last one was revoked that no other had
/// replaced, and the hash of its target token. `CROSS` keeps SQLite from walking the fleet instead.
pub(super) const THERE: Sql = many!(
    "SELECT d.number, d.device_id, d.device_id_lower, d.device_type, d.hardware, d.state, d.deleted_at IS NOT NULL AS deleted,
            EXISTS (SELECT 1 FROM certificates c WHERE c.device = d.number AND c.state IN ('issuing', 'active') AND c.not_after > $3) AS certified,
            (SELECT c.reason FROM certificates c WHERE c.device = d.number AND c.state = 'revoked' AND c.reason <> 'superseded'
             ORDER BY c.revoked_at DESC, c.id DESC LIMIT 1) AS revoked,
            t.secret_hash
     FROM (SELECT ",
    [text lower],
    ") AS w CROSS JOIN devices d LEFT JOIN target_tokens t ON t.device = d.number
     WHERE d.org_id = $2 AND d.device_id_lower = w.lower ORDER BY d.number"
);
pub(super) const TAGS: Sql =
    many!("SELECT t.device, t.tag FROM (SELECT ", [int device], ") AS w JOIN device_tags t ON t.device = w.device");
pub(super) const ATTRIBUTES: Sql =
    many!("SELECT a.device, a.name FROM (SELECT ", [int device], ") AS w JOIN device_attributes a ON a.device = w.device");
pub(super) const GROUPS: Sql =
    many!("SELECT m.device, m.group_id FROM (SELECT ", [int device], ") AS w JOIN group_members m ON m.device = w.device");
/// Types and hardware revisions; an empty word leaves what is there.
pub(super) const SET_KINDS: Sql = many!(
    "UPDATE devices SET device_type = CASE WHEN w.device_type = '' THEN devices.device_type ELSE w.device_type END,
            hardware = CASE WHEN w.hardware = '' THEN devices.hardware ELSE w.hardware END
     FROM (SELECT ",
    [int device, text device_type, text hardware],
    ") AS w WHERE devices.number = w.device"
);

pub(super) const LAY: Sql = Sql::same(
    "INSERT INTO device_imports (id, org_id, name, updates, lines, created_at, created_by, outcome) VALUES ($1, $2, $3, $4, $5, $6, $7, '')",
);
pub(super) const LAID: Sql =
    Sql::same("SELECT name, updates, lines, created_at, created_by, done_at, outcome FROM device_imports WHERE org_id = $1 AND id = $2");
/// The first to be through says what it came to; the others have changed nothing.
pub(super) const DONE: Sql =
    Sql::same("UPDATE device_imports SET done_at = $2, outcome = $3, lines = $4 WHERE id = $1 AND done_at IS NULL");
/// Those of an organization beyond the newest so many.
pub(super) const CROWDED: Sql = Sql::same(
    "DELETE FROM device_imports WHERE org_id = $1 AND id NOT IN (SELECT i.id FROM device_imports i WHERE i.org_id = $1 ORDER BY i.id DESC LIMIT $2)",
);
pub(super) const FORGET: Sql = Sql::same("DELETE FROM device_imports WHERE created_at < $1");

pub(crate) const ALL: &[&Sql] = &[&THERE, &TAGS, &ATTRIBUTES, &GROUPS, &SET_KINDS, &LAY, &LAID, &DONE, &CROWDED, &FORGET];
