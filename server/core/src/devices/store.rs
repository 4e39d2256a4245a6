//! The SQL of devices, tags, attributes, presence and enrolment, and the reads other rooms need. What selectors look at is `facts.rs`'s.

mod enrolling;

pub use super::facts::{facts, facts_page, measured};
pub(super) use enrolling::*;

use super::DeviceNo;
use crate::db::{Conn, Error, Sql, Tx, column, exec, many, row};
use wire::{
    Timestamp,
    ids::{DeviceId, OrgId},
    selector::order_of,
};

pub(super) const INSERT: Sql = many!(
    "INSERT INTO devices (org_id, device_id, device_id_lower, device_type, hardware, state, enrolled_at, enrolled_by) SELECT ",
    [text org, text device_id, text lower, text device_type, text hardware, text state, int enrolled_at, text enrolled_by],
    " ON CONFLICT (org_id, device_id_lower) DO NOTHING RETURNING number, org_id, device_id_lower"
);
/// Devices by name, which keep their state until the transaction ends; `NO KEY`, so that rows that refer to them can still be written.
pub(super) const HELD: Sql = many!(
    "SELECT d.number, d.org_id, d.device_id_lower, d.device_id, d.state FROM (SELECT ",
    [text org, text lower],
    ") AS w JOIN devices d ON d.org_id = w.org AND d.device_id_lower = w.lower ORDER BY d.number",
    held d
);
pub(super) const REENROL: Sql =
    Sql::same("UPDATE devices SET device_type = $2, hardware = $3, state = 'active', enrolled_at = $4, enrolled_by = $5 WHERE number = $1");
const NUMBER: Sql = Sql::same("SELECT number FROM devices WHERE org_id = $1 AND device_id_lower = $2 AND deleted_at IS NULL");
/// Whoever has the name, a deleted device as well: its id is reserved.
pub(super) const BY_ID: Sql = Sql::same("SELECT number, device_id, state FROM devices WHERE org_id = $1 AND device_id_lower = $2");
/// The same, and the row keeps its state until the transaction ends. SQLite's writer is alone anyway; `NO KEY`, so that rows that refer to the
/// device can still be written.
pub(super) const BY_ID_HELD: Sql = Sql::split(
    "SELECT number, device_id, state FROM devices WHERE org_id = $1 AND device_id_lower = $2",
    "SELECT number, device_id, state FROM devices WHERE org_id = $1 AND device_id_lower = $2 FOR NO KEY UPDATE",
);
pub(super) const SUSPECT: Sql =
    Sql::same("UPDATE devices SET suspected_at = $2, suspicion = $3 WHERE number = $1 AND suspected_at IS NULL");
pub(super) const UNSUSPECT: Sql =
    Sql::same("UPDATE devices SET suspected_at = NULL, suspicion = '' WHERE number = $1 AND suspected_at IS NOT NULL");
pub(super) const SUSPICION: Sql = Sql::same("SELECT suspicion FROM devices WHERE number = $1");
pub(super) const SUSPECTED: Sql = Sql::same(
    "SELECT device_id, suspicion, suspected_at FROM devices
     WHERE org_id = $1 AND suspected_at IS NOT NULL AND deleted_at IS NULL ORDER BY suspected_at DESC, number LIMIT $2",
);
pub(super) const DELETE: Sql = Sql::same(
    "UPDATE devices SET deleted_at = $2, suspected_at = NULL, suspicion = '', address = '', agent = '', enrolled_by = '' WHERE number = $1 AND deleted_at IS NULL",
);
pub(super) const ATTRIBUTES_CLEAR: Sql = Sql::same("DELETE FROM device_attributes WHERE device = $1");
pub(super) const CONNECTIONS_CLEAR: Sql = Sql::same("DELETE FROM connections WHERE device = $1");
/// Deleted devices whose id is still reserved.
pub(super) const DELETED: Sql = Sql::same(
    "SELECT number FROM devices WHERE deleted_at IS NOT NULL AND device_id_lower NOT LIKE '~%' AND number > $1 ORDER BY number LIMIT 500",
);
/// Gives the ids of devices free that were deleted before $2 and whose last certificate ended before $1. No id of a device begins like that.
pub(super) const FREE: Sql = Sql::same(
    "UPDATE devices SET device_id_lower = '~' || CAST(number AS TEXT)
     WHERE deleted_at < $2 AND device_id_lower NOT LIKE '~%'
     AND NOT EXISTS (SELECT 1 FROM certificates c WHERE c.device = devices.number AND c.fingerprint IS NOT NULL AND c.not_after > $1)",
);
pub(super) const SET_STATE: Sql = Sql::same("UPDATE devices SET state = $2 WHERE number = $1");
/// Devices whose state stays as it is until the transaction ends, and another state for those of them that get one.
pub(super) const STATES_HELD: Sql = many!(
    "SELECT d.number, d.device_id, d.state FROM (SELECT ",
    [int device],
    ") AS w JOIN devices d ON d.number = w.device ORDER BY d.number",
    held d
);
pub(super) const SET_STATES: Sql =
    many!("UPDATE devices SET state = $2 WHERE number IN (SELECT w.device FROM (SELECT ", [int device], ") AS w)");
pub(super) const DETAIL: Sql = Sql::same(
    "SELECT number, device_id, device_type, hardware, state, online, version, last_seen_at, update_state, sequence, enrolled_at, enrolled_by,
            connected_at, address, agent, suspected_at, suspicion
     FROM devices WHERE org_id = $1 AND device_id_lower = $2 AND deleted_at IS NULL",
);
pub(super) const TAGS: Sql = Sql::same("SELECT tag FROM device_tags WHERE device = $1 ORDER BY tag");
pub(super) const TAG_INSERT: Sql = Sql::same(
    "INSERT INTO device_tags (device, org_id, tag, place) VALUES ($1, $2, $3, (SELECT device_id_lower FROM devices WHERE number = $1))
     ON CONFLICT (device, tag) DO NOTHING",
);
pub(super) const TAGS_INSERT: Sql = many!(
    "INSERT INTO device_tags (device, org_id, tag, place)
     SELECT w.device, w.org, w.tag, d.device_id_lower FROM (SELECT ",
    [int device, text org, text tag],
    ") AS w JOIN devices d ON d.number = w.device WHERE TRUE ON CONFLICT (device, tag) DO NOTHING"
);
/// A tag on these devices, and off them.
pub(super) const TAG_ON: Sql = many!(
    "INSERT INTO device_tags (org_id, tag, device, place)
     SELECT CAST($2 AS TEXT), CAST($3 AS TEXT), w.device, d.device_id_lower FROM (SELECT ",
    [int device],
    ") AS w JOIN devices d ON d.number = w.device WHERE TRUE ON CONFLICT (device, tag) DO NOTHING"
);
pub(super) const TAG_OFF: Sql =
    many!("DELETE FROM device_tags WHERE tag = $2 AND device IN (SELECT w.device FROM (SELECT ", [int device], ") AS w)");
/// One of these devices that has more tags than so many.
pub(super) const TAGS_OVER: Sql = many!(
    "SELECT d.device_id FROM (SELECT ",
    [int device],
    ") AS w JOIN device_tags t ON t.device = w.device JOIN devices d ON d.number = w.device
     GROUP BY d.device_id HAVING COUNT(*) > $2 ORDER BY d.device_id LIMIT 1"
);
pub(super) const TAGS_CLEAR: Sql = Sql::same("DELETE FROM device_tags WHERE device = $1");
pub(super) const ATTRIBUTES: Sql = Sql::same("SELECT name, value FROM device_attributes WHERE device = $1 ORDER BY name");
pub(super) const ATTRIBUTE_SET: Sql = Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place) VALUES ($1, $2, $3, $4,
            (SELECT device_id_lower FROM devices WHERE number = $1))
     ON CONFLICT (device, name) DO UPDATE SET value = excluded.value",
);
pub(super) const ATTRIBUTES_SET: Sql = many!(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     SELECT w.device, w.org, w.name, w.value, d.device_id_lower FROM (SELECT ",
    [int device, text org, text name, text value],
    ") AS w JOIN devices d ON d.number = w.device WHERE TRUE ON CONFLICT (device, name) DO UPDATE SET value = excluded.value"
);
pub(super) const ATTRIBUTE_DROP: Sql = Sql::same("DELETE FROM device_attributes WHERE device = $1 AND name = $2");
pub(super) const DESCRIBED: Sql =
    Sql::same("UPDATE devices SET described_at = $2, hardware = CASE WHEN hardware = '' THEN $3 ELSE hardware END WHERE number = $1");
pub(super) const DESCRIBED_AT: Sql = Sql::same("SELECT described_at FROM devices WHERE number = $1");

pub(super) const CONNECTED: Sql = Sql::same(
    "UPDATE devices SET online = TRUE, connected_at = $2, last_seen_at = $2, address = $3, agent = $4, boot_id = $5, version = $6, sequence = $7,
            device_type = CASE WHEN device_type = '' THEN $8 ELSE device_type END,
            hardware = CASE WHEN hardware = '' THEN $9 ELSE hardware END, trust_bundle = $10, version_order = $11
     WHERE number = $1",
);
pub(super) const CONNECTION_OPEN: Sql = Sql::same("INSERT INTO connections (org_id, device, started_at, address) VALUES ($1, $2, $3, $4)");
pub(super) const DISCONNECTED: Sql = Sql::same("UPDATE devices SET online = FALSE, last_seen_at = $2 WHERE number = $1");
pub(super) const CONNECTION_CLOSE: Sql =
    Sql::same("UPDATE connections SET ended_at = $2, reason = $3 WHERE device = $1 AND ended_at IS NULL");
// PostgreSQL locks them in the order of devices, as everybody who locks many does.
pub(super) const SEEN: Sql = Sql::split(
    "UPDATE devices SET last_seen_at = w.at FROM (SELECT value->>'device' AS device, value->>'at' AS at FROM jsonb_each($1)) AS w
     WHERE devices.number = w.device AND devices.last_seen_at < w.at",
    "UPDATE devices SET last_seen_at = w.at FROM
         (SELECT d.number, x.at FROM json_to_recordset(CAST($1 AS JSON)) AS x(device BIGINT, at BIGINT)
          JOIN devices d ON d.number = x.device WHERE d.last_seen_at < x.at ORDER BY d.number FOR NO KEY UPDATE OF d) AS w
     WHERE devices.number = w.number",
);
pub(super) const ALL_OFFLINE: Sql = Sql::same("UPDATE devices SET online = FALSE WHERE online = TRUE");
pub(super) const ALL_CLOSED: Sql = Sql::same("UPDATE connections SET ended_at = $1, reason = $2 WHERE ended_at IS NULL");
pub(super) const CONNECTIONS: Sql = Sql::same(
    "SELECT started_at, ended_at, address, reason FROM connections
     WHERE device = $1 AND (ended_at IS NULL OR ended_at > $2) ORDER BY started_at DESC LIMIT 200",
);
pub(super) const CAME: Sql = Sql::same(
    "SELECT started_at, address FROM connections WHERE device = $1 AND started_at < $2 ORDER BY started_at DESC, id DESC LIMIT $3",
);
pub(super) const WENT: Sql = Sql::same(
    "SELECT ended_at, started_at, address, reason FROM connections WHERE device = $1 AND ended_at IS NOT NULL AND ended_at < $2
     ORDER BY ended_at DESC, id DESC LIMIT $3",
);
pub(super) const CONNECTIONS_FORGET: Sql = Sql::same("DELETE FROM connections WHERE ended_at < $1");

/// How many of each type run each version, most first: read from an index that holds just that.
pub(super) const VERSIONS: Sql = Sql::same(
    "SELECT device_type, version, COUNT(*) FROM devices WHERE org_id = $1 AND deleted_at IS NULL AND state <> 'decommissioned'
     GROUP BY device_type, version ORDER BY COUNT(*) DESC, device_type, version",
);
/// From one tag to the next: there may be millions of rows of a few.
pub(super) const ALL_TAGS: Sql = Sql::same(
    "WITH RECURSIVE t(tag) AS (
         SELECT MIN(tag) FROM device_tags WHERE org_id = $1
         UNION ALL SELECT (SELECT MIN(n.tag) FROM device_tags n WHERE n.org_id = $1 AND n.tag > t.tag) FROM t WHERE t.tag IS NOT NULL
     ) SELECT tag FROM t WHERE tag IS NOT NULL LIMIT 100",
);
/// From one name to the next, as for tags; at most so many.
pub(super) const ALL_ATTRIBUTES: Sql = Sql::same(
    "WITH RECURSIVE t(name) AS (
         SELECT MIN(name) FROM device_attributes WHERE org_id = $1
         UNION ALL SELECT (SELECT MIN(n.name) FROM device_attributes n WHERE n.org_id = $1 AND n.name > t.name) FROM t WHERE t.name IS NOT NULL
     ) SELECT name FROM t WHERE name IS NOT NULL LIMIT $2",
);
/// From one revision of hardware to the next, of devices that lists have; at most so many.
pub(super) const ALL_HARDWARE: Sql = Sql::same(
    "WITH RECURSIVE t(hardware) AS (
         SELECT MIN(hardware) FROM devices WHERE org_id = $1 AND deleted_at IS NULL AND state <> 'decommissioned'
         UNION ALL SELECT (SELECT MIN(n.hardware) FROM devices n WHERE n.org_id = $1 AND n.hardware > t.hardware
                           AND n.deleted_at IS NULL AND n.state <> 'decommissioned') FROM t WHERE t.hardware IS NOT NULL
     ) SELECT hardware FROM t WHERE hardware IS NOT NULL LIMIT $2",
);
pub(super) const COUNTS: Sql = Sql::same(
    "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN online THEN 1 ELSE 0 END), 0) AS BIGINT),
            CAST(COALESCE(SUM(CASE WHEN update_state IN ('queued','offered','awaiting_window','awaiting_confirmation','downloading','downloaded','installing','rebooting','verifying') THEN 1 ELSE 0 END), 0) AS BIGINT),
            CAST(COALESCE(SUM(CASE WHEN update_state IN ('failed','rejected','timed_out','reverted') THEN 1 ELSE 0 END), 0) AS BIGINT)
     FROM devices WHERE org_id = $1 AND state = 'active'",
);
pub(super) const TROUBLED: Sql = Sql::same(
    "SELECT number, device_id, update_state, last_seen_at FROM devices
     WHERE org_id = $1 AND state = 'active' AND update_state IN ('failed','rejected','timed_out','reverted')
     ORDER BY last_seen_at DESC LIMIT $2",
);
pub(super) const LONG_OFFLINE: Sql = Sql::same(
    "SELECT device_id, last_seen_at FROM devices
     WHERE org_id = $1 AND state = 'active' AND online = FALSE AND last_seen_at > 0 AND last_seen_at < $2 ORDER BY last_seen_at LIMIT $3",
);

const NAME: Sql = Sql::same("SELECT org_id, device_id FROM devices WHERE number = $1");
const ONLINE: Sql = Sql::same("SELECT online FROM devices WHERE number = $1");
/// Who has changed itself is asked once more what it is.
const SET_UPDATE: Sql = Sql::same(
    "UPDATE devices SET update_state = $2, described_at = CASE WHEN $2 = 'succeeded' THEN NULL ELSE described_at END WHERE number = $1",
);
/// The same of many devices.
const SET_UPDATES: Sql = many!(
    "UPDATE devices SET update_state = $2, described_at = CASE WHEN $2 = 'succeeded' THEN NULL ELSE described_at END
     WHERE number IN (SELECT w.device FROM (SELECT ",
    [int device],
    ") AS w)"
);
/// Whose word waits for what it runs is asked for that as well.
const ASK_ANEW: Sql = Sql::same("UPDATE devices SET described_at = NULL WHERE number = $1");
/// When a device was heard of last other than by its channel.
const ASKED_AT: Sql = Sql::same(
    "SELECT last_seen_at FROM devices d WHERE number = $1 AND NOT EXISTS (
         SELECT 1 FROM connections c WHERE c.device = d.number AND (c.ended_at IS NULL OR c.ended_at >= d.last_seen_at))",
);
const SET_FIRMWARE: Sql = Sql::same("UPDATE devices SET version = $2, sequence = $3, version_order = $4 WHERE number = $1");
pub(super) const UNORDERED: Sql = Sql::same("SELECT DISTINCT version FROM devices WHERE version_order = '' AND version <> ''");
pub(super) const ORDER: Sql = Sql::same("UPDATE devices SET version_order = $2 WHERE version = $1 AND version_order = ''");

pub(crate) const ALL: &[&Sql] = &[
    &TOKEN_INSERT,
    &TOKEN,
    &TOKENS,
    &TOKENS_COUNT,
    &TOKEN_REVOKE,
    &TOKENS_VOID,
    &TOKEN_USE,
    &TOKENS_HELD,
    &TOKENS_USE,
    &ENROLMENTS,
    &ENROLMENTS_INSERT,
    &REQUEST_INSERT,
    &RECOVERY_INSERT,
    &RECOVERIES_REPLACE,
    &REQUEST_OF,
    &REQUEST,
    &REQUESTS,
    &REQUESTS_COUNT,
    &REQUESTS_WAITING,
    &REQUESTS_FORGET,
    &REQUESTS_ENDED,
    &TOKEN_RETURN,
    &TOKEN_ORIGINS,
    &ENROLMENT_ADDRESSES_CLEAR,
    &TOKEN_REUSED,
    &TOKENS_REUSED,
    &REQUEST_DECIDE,
    &REQUEST_TAKE,
    &REQUEST_GAVE,
    &ORG_ASKABLE,
    &ORG_HELD,
    &ORG_SET_OPEN,
    &INSERT,
    &HELD,
    &REENROL,
    &NUMBER,
    &BY_ID,
    &BY_ID_HELD,
    &SUSPECT,
    &UNSUSPECT,
    &SUSPICION,
    &SUSPECTED,
    &DELETE,
    &ATTRIBUTES_CLEAR,
    &CONNECTIONS_CLEAR,
    &DELETED,
    &FREE,
    &SET_STATE,
    &STATES_HELD,
    &SET_STATES,
    &DETAIL,
    &TAGS,
    &TAG_INSERT,
    &TAGS_INSERT,
    &TAG_ON,
    &TAG_OFF,
    &TAGS_OVER,
    &TAGS_CLEAR,
    &ATTRIBUTES,
    &ATTRIBUTE_SET,
    &ATTRIBUTES_SET,
    &ATTRIBUTE_DROP,
    &DESCRIBED,
    &DESCRIBED_AT,
    &CONNECTED,
    &CONNECTION_OPEN,
    &DISCONNECTED,
    &CONNECTION_CLOSE,
    &SEEN,
    &ALL_OFFLINE,
    &ALL_CLOSED,
    &CONNECTIONS,
    &CAME,
    &WENT,
    &CONNECTIONS_FORGET,
    &VERSIONS,
    &ALL_TAGS,
    &ALL_ATTRIBUTES,
    &ALL_HARDWARE,
    &COUNTS,
    &TROUBLED,
    &LONG_OFFLINE,
    &NAME,
    &ONLINE,
    &SET_UPDATE,
    &SET_UPDATES,
    &ASK_ANEW,
    &ASKED_AT,
    &SET_FIRMWARE,
    &UNORDERED,
    &ORDER,
];

/// Organization and name of a device.
pub async fn name(on: &mut impl Conn, device: DeviceNo) -> Result<Option<(OrgId, DeviceId)>, Error> {
    row!(on, (String, String), NAME, device)?
        .map(|(org, id)| Ok((org.parse().map_err(Error::corrupt)?, id.parse().map_err(Error::corrupt)?)))
        .transpose()
}

/// Whether a device is connected.
pub async fn online(on: &mut impl Conn, device: DeviceNo) -> Result<Option<bool>, Error> {
    Ok(row!(on, (bool,), ONLINE, device)?.map(|r| r.0))
}

/// Whether a device has said what it is, other than in a hello, since it last changed itself.
pub async fn is_described(on: &mut impl Conn, device: DeviceNo) -> Result<bool, Error> {
    Ok(row!(on, (Option<i64>,), DESCRIBED_AT, device)?.is_some_and(|(at,)| at.is_some()))
}

/// When a device without a channel was heard of last; none while it has one, and when its channel's end was the last that was heard.
pub async fn asked_at(on: &mut impl Conn, device: DeviceNo) -> Result<Option<Timestamp>, Error> {
    Ok(row!(on, (i64,), ASKED_AT, device)?.map(|r| Timestamp(r.0)))
}

/// Number of the device with this name, whatever its state; none of a deleted one.
pub async fn number(on: &mut impl Conn, org: &OrgId, device_id: &DeviceId) -> Result<Option<DeviceNo>, Error> {
    let lower = device_id.as_str().to_lowercase();
    Ok(row!(on, (i64,), NUMBER, org.as_str(), lower)?.map(|r| r.0))
}

/// Notes the state of a device's newest update, in the update's own transaction.
pub async fn set_update(tx: &mut Tx, device: DeviceNo, state: &str) -> Result<(), Error> {
    exec!(tx, SET_UPDATE, device, state).map(drop)
}

/// Notes the same state of the newest update of many devices, in the updates' own transaction.
pub async fn set_updates(tx: &mut Tx, devices: &[DeviceNo], state: &str) -> Result<(), Error> {
    let all = column("device", devices)?;
    exec!(tx, SET_UPDATES, all, state).map(drop)
}

/// A device has not said what it is, whatever it said before: one without a channel is asked with its next poll.
pub async fn ask_anew(tx: &mut Tx, device: DeviceNo) -> Result<(), Error> {
    exec!(tx, ASK_ANEW, device).map(drop)
}

/// Notes what a device says it runs.
pub async fn set_firmware(tx: &mut Tx, device: DeviceNo, version: &str, sequence: i64) -> Result<(), Error> {
    exec!(tx, SET_FIRMWARE, device, version, sequence, order_of(version)).map(drop)
}
