//! The SQL of shared secrets.

use crate::{
    db::{Conn, Error, Sql, many, row},
    devices::DeviceNo,
};
use wire::{Timestamp, ids::OrgId};

const SETTINGS: Sql = Sql::same("SELECT shared_secrets, shared_newcomers, slug FROM organizations WHERE id = $1");
/// Clients write the organization in any case.
const TENANT: Sql = Sql::same("SELECT id, shared_secrets, shared_newcomers FROM organizations WHERE LOWER(slug) = $1");
pub(super) const SET: Sql = Sql::same("UPDATE organizations SET shared_secrets = $2, shared_newcomers = $3 WHERE id = $1");

pub(super) const GATEWAY_INSERT: Sql = Sql::same(
    "INSERT INTO gateway_tokens (id, org_id, label, device_type, secret_hash, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)",
);
pub(super) const GATEWAYS: Sql = Sql::same(
    "SELECT id, label, device_type, created_at, created_by, last_used_at, revoked_at FROM gateway_tokens
     WHERE org_id = $1 ORDER BY created_at DESC, id DESC",
);
pub(super) const GATEWAY: Sql = Sql::same(
    "SELECT label, device_type, secret_hash, last_used_at FROM gateway_tokens WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL",
);
pub(super) const GATEWAY_REVOKE: Sql =
    Sql::same("UPDATE gateway_tokens SET revoked_at = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL");
pub(super) const GATEWAY_USED: Sql = Sql::same("UPDATE gateway_tokens SET last_used_at = $2 WHERE id = $1");

/// Target tokens, each in the place of the one that its device has.
pub(super) const TARGETS_SET: Sql = many!(
    "INSERT INTO target_tokens (device, id, org_id, secret_hash, created_at, created_by) SELECT ",
    [int device, text id, text org, bytes secret_hash, int created_at, text created_by],
    " ON CONFLICT (device) DO UPDATE SET id = excluded.id, secret_hash = excluded.secret_hash, created_at = excluded.created_at,
            created_by = excluded.created_by, last_used_at = NULL"
);
/// Takes a device's target token away.
pub(in crate::devices) const TARGET_CLEAR: Sql = Sql::same("DELETE FROM target_tokens WHERE device = $1");
pub(super) const TARGET_OF: Sql = Sql::same("SELECT created_at, created_by, last_used_at FROM target_tokens WHERE device = $1");
/// The target token of the device of this name in any case.
pub(super) const TARGET: Sql = Sql::same(
    "SELECT d.device_id, t.id, t.secret_hash, t.created_at, t.last_used_at FROM devices d JOIN target_tokens t ON t.device = d.number
     WHERE d.org_id = $1 AND d.device_id_lower = $2 AND d.deleted_at IS NULL",
);
pub(super) const TARGET_USED: Sql = Sql::same("UPDATE target_tokens SET last_used_at = $2 WHERE id = $1");

/// A device, whether a certificate of it stands at $3, and when one was revoked last.
const SPOKEN: Sql = Sql::same(
    "SELECT d.number, d.device_id, d.state,
            EXISTS (SELECT 1 FROM certificates c WHERE c.device = d.number AND c.state IN ('issuing', 'active') AND c.not_after > $3) AS certified,
            (SELECT MAX(c.revoked_at) FROM certificates c WHERE c.device = d.number AND c.state = 'revoked'
             AND c.reason <> 'superseded') AS revoked_at
     FROM devices d WHERE d.org_id = $1 AND d.device_id_lower = $2 AND d.deleted_at IS NULL",
);
/// Why the last certificate of a device was revoked that no other had replaced.
const REVOKED_FOR: Sql = Sql::same(
    "SELECT c.reason FROM certificates c WHERE c.device = $1 AND c.state = 'revoked' AND c.reason <> 'superseded'
     ORDER BY c.revoked_at DESC, c.id DESC LIMIT 1",
);
/// The step that a first word of a device takes; nothing when another was faster.
pub(super) const MOVE: Sql = Sql::same("UPDATE devices SET state = $3 WHERE number = $1 AND state = $2");
pub(super) const WAITING: Sql = Sql::same("SELECT COUNT(*) FROM devices WHERE org_id = $1 AND state = 'pending' AND deleted_at IS NULL");

pub(crate) const ALL: &[&Sql] = &[
    &SETTINGS,
    &TENANT,
    &SET,
    &GATEWAY_INSERT,
    &GATEWAYS,
    &GATEWAY,
    &GATEWAY_REVOKE,
    &GATEWAY_USED,
    &TARGETS_SET,
    &TARGET_CLEAR,
    &TARGET_OF,
    &TARGET,
    &TARGET_USED,
    &SPOKEN,
    &REVOKED_FOR,
    &MOVE,
    &WAITING,
];

/// An organization's switch, as its own people see it: whether tokens count, whether gateways announce devices, and the slug.
pub(super) async fn settings(on: &mut impl Conn, org: &OrgId) -> Result<Option<(bool, bool, String)>, Error> {
    row!(on, (bool, bool, String), SETTINGS, org.as_str())
}

/// An organization by hawkBit's tenant, and its switch.
pub(super) async fn tenant(on: &mut impl Conn, tenant: &str) -> Result<Option<(OrgId, bool, bool)>, Error> {
    row!(on, (String, bool, bool), TENANT, tenant.to_lowercase())?
        .map(|(org, tokens, newcomers)| Ok((org.parse().map_err(Error::corrupt)?, tokens, newcomers)))
        .transpose()
}

/// A device as far as it matters who speaks for it.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Standing {
    pub number: DeviceNo,
    pub device_id: String,
    pub state: String,
    pub certified: bool,
    pub revoked_at: Option<i64>,
}

/// The device of this name in any case; none of a deleted one.
pub(super) async fn standing(on: &mut impl Conn, org: &OrgId, lower: &str, now: Timestamp) -> Result<Option<Standing>, Error> {
    row!(on, Standing, SPOKEN, org.as_str(), lower, now.0)
}

/// Why the last certificate of a device was revoked that no other had replaced; none where none was.
pub(super) async fn revoked_for(on: &mut impl Conn, device: DeviceNo) -> Result<Option<String>, Error> {
    Ok(row!(on, (String,), REVOKED_FOR, device)?.map(|(reason,)| reason))
}
