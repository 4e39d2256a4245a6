//! The trust clock, and what changes with it: who may connect, first uses, ends.

use crate::db::{Conn, Error, Sql, Tx, exec, many, row, rows};
use wire::{Timestamp, ids::CertificateId};

pub(super) const NEXT_TRUST: Sql = Sql::same("UPDATE trust_clock SET seq = seq + 1 WHERE id = 1 RETURNING seq");
pub(super) const LEAVES: Sql = Sql::same(
    "SELECT c.id, c.org_id, c.device, d.device_id, d.state AS device_state, o.slug, c.issuer_id, c.fingerprint, c.state, c.not_before, c.not_after, c.usable_until, \
     CASE WHEN c.profile = 'registered' THEN c.der ELSE NULL END AS foreign_der, CAST(CASE WHEN c.first_used_at IS NULL THEN 0 ELSE 1 END AS BIGINT) AS used, \
     c.renew_ordered_at, c.renew_due_at \
     FROM certificates c JOIN devices d ON d.number = c.device JOIN organizations o ON o.id = c.org_id \
     WHERE c.trust_seq > $1 AND c.fingerprint IS NOT NULL AND c.not_after > $2 ORDER BY c.trust_seq",
);
/// Claims are the `devices` room's rows; what a handshake needs of them is read here, with what else changes with the trust clock.
pub(super) const CLAIMS: Sql = Sql::same(
    "SELECT m.id, m.org_id, c.fingerprint, c.issuer_id, m.expires_at, COALESCE(m.disabled_at, c.revoked_at) AS disabled_at \
     FROM claims m JOIN certificates c ON c.id = m.certificate_id WHERE (m.trust_seq > $1 OR c.trust_seq > $1) AND c.fingerprint IS NOT NULL",
);
pub(super) const TRUST_SEQ: Sql = Sql::same("SELECT seq FROM trust_clock WHERE id = 1");
pub(super) const TOUCH_DEVICE: Sql = Sql::same("UPDATE certificates SET trust_seq = $2 WHERE device = $1");
pub(super) const TOUCH_DEVICES: Sql =
    many!("UPDATE certificates SET trust_seq = $2 WHERE device IN (SELECT w.device FROM (SELECT ", [int device], ") AS w)");
pub(super) const FIRST_USE: Sql =
    Sql::same("UPDATE certificates SET first_used_at = $2 WHERE id = $1 AND first_used_at IS NULL RETURNING device, issued_at");
pub(super) const RETIRE_OLDER: Sql = Sql::same(
    "UPDATE certificates SET usable_until = CASE WHEN usable_until > $4 THEN $4 ELSE usable_until END, trust_seq = $5, renew_ordered_at = NULL \
     WHERE device = $1 AND id <> $2 AND issued_at <= $3 AND state = 'active' AND (usable_until > $4 OR renew_ordered_at IS NOT NULL)",
);
pub(super) const SUPERSEDE: Sql = Sql::same(
    "UPDATE certificates SET state = 'superseded', revoked_at = $1, revoked_by = 'automatic', reason = 'superseded', trust_seq = $2 \
     WHERE state = 'active' AND usable_until <= $1 AND usable_until < not_after",
);
pub(super) const EXPIRE: Sql = Sql::same(
    "UPDATE certificates SET state = 'expired', trust_seq = $2 WHERE state = 'active' AND usable_until <= $1 AND not_after <= $1",
);
/// Ended by a clock that was wrong: the certificate itself says when it ends.
pub(super) const REVIVE: Sql =
    Sql::same("UPDATE certificates SET state = 'active', trust_seq = $2 WHERE state = 'expired' AND not_after > $1");
pub(super) const DUE: Sql = Sql::same(
    "SELECT (SELECT COUNT(*) FROM certificates WHERE state = 'active' AND usable_until <= $1)
          + (SELECT COUNT(*) FROM certificates WHERE state = 'expired' AND not_after > $1)",
);
pub(super) const UNUSED: Sql = Sql::same(
    "UPDATE certificates SET state = 'superseded', revoked_at = $5, revoked_by = 'automatic', reason = 'superseded', trust_seq = $4 \
     WHERE device = $1 AND replaces_id = $2 AND first_used_at IS NULL AND state = 'active' AND id <> $3",
);

/// A device's certificates that may still connect, all but these two.
pub(super) const OTHERS: Sql = Sql::same(
    "UPDATE certificates SET state = 'superseded', revoked_at = $5, revoked_by = 'automatic', reason = 'superseded', trust_seq = $4 \
     WHERE device = $1 AND id <> $2 AND id <> $3 AND state = 'active' AND not_after > $5",
);

/// Unused certificates whose keys were made here: all but $2, or if $3 is one of them that one alone.
pub(super) const FORSAKE: Sql = Sql::same(
    "UPDATE certificates SET state = 'superseded', revoked_at = $4, revoked_by = 'automatic', reason = 'superseded', trust_seq = $5 \
     WHERE device = $1 AND id <> $2 AND ($3 = '' OR id = $3) AND key_origin = 'server' AND first_used_at IS NULL AND state = 'active'",
);

/// The number of this change of trust. Other changes wait until this transaction ends.
pub(in crate::pki) async fn next_trust(tx: &mut Tx) -> Result<i64, Error> {
    let (seq,) = row!(tx, (i64,), NEXT_TRUST)?.ok_or_else(|| Error::corrupt("trust_clock has no row"))?;
    Ok(seq)
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct LeafRecord {
    pub id: String,
    pub org_id: String,
    pub device: i64,
    pub device_id: String,
    pub device_state: String,
    pub slug: String,
    pub issuer_id: String,
    pub fingerprint: Vec<u8>,
    pub state: String,
    pub not_before: i64,
    pub not_after: i64,
    pub usable_until: i64,
    pub foreign_der: Option<Vec<u8>>,
    pub used: i64,
    pub renew_ordered_at: Option<i64>,
    pub renew_due_at: Option<i64>,
}

/// Device leaves that changed after `seq` and had not ended at `since`.
pub(in crate::pki) async fn leaves(on: &mut impl Conn, seq: i64, since: Timestamp) -> Result<Vec<LeafRecord>, Error> {
    rows!(on, LeafRecord, LEAVES, seq, since.0)
}

#[derive(sqlx::FromRow)]
pub(in crate::pki) struct ClaimRecord {
    pub id: String,
    pub org_id: String,
    pub fingerprint: Vec<u8>,
    pub issuer_id: String,
    pub expires_at: i64,
    pub disabled_at: Option<i64>,
}

/// Claims that changed after `seq`.
pub(in crate::pki) async fn claims(on: &mut impl Conn, seq: i64) -> Result<Vec<ClaimRecord>, Error> {
    rows!(on, ClaimRecord, CLAIMS, seq)
}

pub(in crate::pki) async fn trust_seq(on: &mut impl Conn) -> Result<i64, Error> {
    Ok(row!(on, (i64,), TRUST_SEQ)?.map_or(0, |(seq,)| seq))
}

pub(in crate::pki) async fn touch_device(tx: &mut Tx, device: i64, seq: i64) -> Result<(), Error> {
    exec!(tx, TOUCH_DEVICE, device, seq)?;
    Ok(())
}

/// The same for a list of devices, each with its number as `device`.
pub(in crate::pki) async fn touch_devices(tx: &mut Tx, devices: &str, seq: i64) -> Result<(), Error> {
    exec!(tx, TOUCH_DEVICES, devices, seq)?;
    Ok(())
}

/// Notes the first use; gives the device and the time of issue when it was the first.
pub(in crate::pki) async fn first_use(tx: &mut Tx, id: &CertificateId, now: Timestamp) -> Result<Option<(i64, i64)>, Error> {
    row!(tx, (i64, i64), FIRST_USE, id.as_str(), now.0)
}

/// Ends the device's certificates issued before this one at `end`, unless they end sooner. That they be renewed has been carried out.
pub(in crate::pki) async fn retire_older(
    tx: &mut Tx,
    device: i64,
    id: &CertificateId,
    issued_at: i64,
    end: Timestamp,
    seq: i64,
) -> Result<u64, Error> {
    exec!(tx, RETIRE_OLDER, device, id.as_str(), issued_at, end.0, seq)
}

/// How many certificates have ended and don't say so.
pub(in crate::pki) async fn due(on: &mut impl Conn, now: Timestamp) -> Result<i64, Error> {
    Ok(row!(on, (i64,), DUE, now.0)?.map_or(0, |(n,)| n))
}

/// Gives ended certificates the state they are in. One that its successor ended is revoked as superseded(4), for CRL and OCSP.
pub(in crate::pki) async fn settle(tx: &mut Tx, now: Timestamp, seq: i64) -> Result<(), Error> {
    exec!(tx, SUPERSEDE, now.0, seq)?;
    exec!(tx, EXPIRE, now.0, seq)?;
    exec!(tx, REVIVE, now.0, seq)?;
    Ok(())
}

/// Supersedes, as revoked with superseded(4), unused successors of `replaced`, all but `keep`; for one that has ended. Not [`leave_two`]: there one of
/// the two that stay is what the device has asked with, and here that is of no use any more. What else the device has is older, was left to it beside the
/// ended one, and may be all that it can connect with if this answer is lost; with the new one it makes two.
pub(in crate::pki) async fn drop_unused(
    tx: &mut Tx,
    device: i64,
    replaced: &CertificateId,
    keep: &CertificateId,
    now: Timestamp,
    seq: i64,
) -> Result<(), Error> {
    exec!(tx, UNUSED, device, replaced.as_str(), keep.as_str(), seq, now.0)?;
    Ok(())
}

/// Supersedes, as revoked with superseded(4), all of a device's certificates but `kept` and the one that it was given over, or that it replaces (R-2: two
/// usable certificates at most, whether the others were used or not).
pub(in crate::pki) async fn leave_two(
    tx: &mut Tx,
    device: i64,
    asked_with: &CertificateId,
    kept: &CertificateId,
    now: Timestamp,
    seq: i64,
) -> Result<(), Error> {
    exec!(tx, OTHERS, device, asked_with.as_str(), kept.as_str(), seq, now.0)?;
    Ok(())
}

/// Supersedes, as revoked with superseded(4), a device's unused certificates whose keys were made here, all but `keep`; with `one` only that. Says how
/// many there were (E-8: a lost answer takes its key with it).
pub(in crate::pki) async fn forsake(
    tx: &mut Tx,
    device: i64,
    keep: &CertificateId,
    one: Option<&CertificateId>,
    now: Timestamp,
    seq: i64,
) -> Result<u64, Error> {
    exec!(tx, FORSAKE, device, keep.as_str(), one.map_or("", CertificateId::as_str), now.0, seq)
}
