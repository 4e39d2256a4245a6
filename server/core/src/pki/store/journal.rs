//! What the revocation journal and the database tell each other.

use super::super::journal::Revoked;
use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{Timestamp, ids::CertificateId};

macro_rules! revoked {
    ($which:literal) => {
        Sql::same(concat!(
            "SELECT id, org_id, issuer_id, serial, fingerprint, spki_sha256, subject, not_before, not_after, \
             COALESCE(revoked_at, 0) AS revoked_at, revoked_by, reason, invalidity_date, revocation_note, raised_at, raised_by \
             FROM certificates WHERE state = 'revoked' AND fingerprint IS NOT NULL AND ",
            $which
        ))
    };
}
pub(super) const REVOKED_ONE: Sql = revoked!("id = $1");
pub(super) const ALL_REVOKED: Sql = revoked!("not_after > $1 ORDER BY revoked_at, id");
pub(super) const REVOKED_FINGERPRINTS: Sql =
    Sql::same("SELECT fingerprint, reason FROM certificates WHERE state = 'revoked' AND fingerprint IS NOT NULL AND not_after > $1");
pub(super) const COMPROMISED: Sql =
    Sql::same("SELECT org_id, id, CAST(COALESCE(ended_at, 0) AS BIGINT) FROM authorities WHERE state = 'compromised'");
/// The newest number of each kind of authority's names, by the organization's slug.
pub(super) const GIVEN_NAMES: Sql = Sql::same(
    "SELECT g.organization, g.kind, CAST(MAX(g.generation) AS BIGINT) FROM ( \
     SELECT o.slug AS organization, a.kind, a.generation FROM authorities a JOIN organizations o ON o.id = a.org_id WHERE a.kind <> 'registered' \
     UNION ALL SELECT o.slug, q.kind, q.generation FROM authority_requests q JOIN organizations o ON o.id = q.org_id \
     UNION ALL SELECT n.organization, n.kind, n.generation FROM authority_names n) g GROUP BY g.organization, g.kind ORDER BY g.organization, g.kind",
);
pub(super) const KEEP_NAME: Sql = Sql::same(
    "INSERT INTO authority_names (organization, kind, generation) VALUES ($1, $2, $3) \
     ON CONFLICT (organization, kind) DO UPDATE SET generation = excluded.generation WHERE authority_names.generation < excluded.generation",
);
pub(super) const REVOKE_KNOWN: Sql = Sql::same(
    "UPDATE certificates SET state = 'revoked', revoked_at = $2, revoked_by = $3, reason = $4, trust_seq = $5, invalidity_date = $6, \
     revocation_note = $7, raised_at = $8, raised_by = $9 WHERE fingerprint = $1",
);
/// A certificate of which only its revocation is left; of no device, so that no list of devices' certificates has it. Inserted only where its
/// issuer is known.
pub(super) const REVOKE_LOST: Sql = Sql::same(
    "INSERT INTO certificates (id, org_id, issuer_id, serial, profile, profile_version, subject, key_alg, sig_alg, spki_sha256, csr_sha256, fingerprint, \
     not_before, not_after, usable_until, state, issued_at, enrolled_by, revoked_at, revoked_by, reason, trust_seq, invalidity_date, revocation_note, \
     raised_at, raised_by) \
     SELECT $1, a.org_id, a.id, $3, 'lost', 0, $4, '', '', $5, $5, $6, $7, $8, $8, 'revoked', $7, 'journal', $9, $10, $11, $12, $13, $14, $15, $16 \
     FROM authorities a WHERE a.id = $2",
);

pub(in crate::pki) async fn revoked_one(on: &mut impl Conn, id: &CertificateId) -> Result<Option<Revoked>, Error> {
    row!(on, Revoked, REVOKED_ONE, id.as_str())
}

/// Every revoked certificate that has not ended, in the order of revocation.
pub(in crate::pki) async fn all_revoked(on: &mut impl Conn, now: Timestamp) -> Result<Vec<Revoked>, Error> {
    rows!(on, Revoked, ALL_REVOKED, now.0)
}

/// Which of them are revoked, and for what.
pub(in crate::pki) async fn revoked_fingerprints(on: &mut impl Conn, now: Timestamp) -> Result<Vec<(Vec<u8>, String)>, Error> {
    rows!(on, (Vec<u8>, String), REVOKED_FINGERPRINTS, now.0)
}

/// Authorities that were given up: organization, id, and when.
pub(in crate::pki) async fn compromised(on: &mut impl Conn) -> Result<Vec<(String, String, i64)>, Error> {
    rows!(on, (String, String, i64), COMPROMISED)
}

/// The newest number of each kind of authority's names: the organization's slug, the kind, the number.
pub(in crate::pki) async fn given_names(on: &mut impl Conn) -> Result<Vec<(String, String, i64)>, Error> {
    rows!(on, (String, String, i64), GIVEN_NAMES)
}

/// Keeps that a name was given which no authority here has.
pub(in crate::pki) async fn keep_name(tx: &mut Tx, organization: &str, kind: &str, generation: i64) -> Result<(), Error> {
    exec!(tx, KEEP_NAME, organization, kind, generation)?;
    Ok(())
}

/// Revokes a certificate as it was revoked before, known or not; `false` when its issuer is not known either.
pub(in crate::pki) async fn revoke_again(tx: &mut Tx, one: &Revoked, seq: i64) -> Result<bool, Error> {
    let (since, note) = (one.invalidity_date, one.revocation_note.as_str());
    let (by, reason) = (one.revoked_by.as_str(), one.reason.as_str());
    let (raised_at, raised_by) = (one.raised_at, one.raised_by.as_str());
    let known = exec!(tx, REVOKE_KNOWN, one.fingerprint.as_slice(), one.revoked_at, by, reason, seq, since, note, raised_at, raised_by)?;
    if known > 0 {
        return Ok(true);
    }
    let inserted = exec!(
        tx,
        REVOKE_LOST,
        one.id.as_str(),
        one.issuer_id.as_str(),
        one.serial.as_slice(),
        one.subject.as_str(),
        one.spki_sha256.as_slice(),
        one.fingerprint.as_slice(),
        one.not_before,
        one.not_after,
        one.revoked_at,
        by,
        reason,
        seq,
        since,
        note,
        raised_at,
        raised_by
    )?;
    Ok(inserted > 0)
}
