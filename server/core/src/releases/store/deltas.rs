//! The SQL of deltas: which are wanted, how far they are, what became of them.

use crate::{
    db::{Conn, Error, Sql, Tx, exec, row, rows},
    releases::acceptance::File,
};
use wire::{
    Timestamp,
    ids::{Digest, OrgId, ReleaseId},
    releases::{DeltaRow, DeltaState},
};

pub(super) const WANT: Sql = Sql::same(
    "INSERT INTO deltas (base_sha256, base_size, target_sha256, target_size, state, asked_at, changed_at) \
     VALUES ($1, $2, $3, $4, 'waiting', $5, $5) ON CONFLICT (target_sha256, base_sha256) DO NOTHING",
);
pub(super) const BEFORE: Sql = Sql::same(
    "SELECT id, version FROM releases WHERE org_id = $1 AND device_type = $2 AND sequence < $3 AND state IN ('published', 'deprecated', 'recalled') \
     ORDER BY sequence DESC LIMIT $4",
);
// What is being made by somebody who was not heard of for long is made anew; what failed is tried again now and then.
pub(super) const NEXT: Sql = Sql::same(
    "SELECT base_sha256, base_size, target_sha256, target_size, state, changed_at FROM deltas WHERE state = 'waiting' \
     OR (state = 'making' AND changed_at <= $1) OR (state = 'failed' AND changed_at <= $2) ORDER BY asked_at, target_sha256, base_size DESC LIMIT 1",
);
pub(super) const CLAIM: Sql = Sql::same(
    "UPDATE deltas SET state = 'making', why = '', done = 0, changed_at = $5 \
     WHERE target_sha256 = $1 AND base_sha256 = $2 AND state = $3 AND changed_at = $4",
);
pub(super) const GET_ON: Sql =
    Sql::same("UPDATE deltas SET done = $3, changed_at = $4 WHERE target_sha256 = $1 AND base_sha256 = $2 AND state = 'making'");
pub(super) const END: Sql = Sql::same(
    "UPDATE deltas SET state = $3, why = $4, sha256 = $5, size = $6, changed_at = $7 \
     WHERE target_sha256 = $1 AND base_sha256 = $2 AND state = 'making'",
);
pub(super) const MAKE_ANEW: Sql = Sql::same(
    "UPDATE deltas SET state = 'waiting', sha256 = '', size = 0, done = 0, changed_at = $2 WHERE sha256 = $1 AND state = 'ready'",
);
// By content, as it is offered, and never from a newer release that has an old file again.
pub(super) const OF_RELEASE: Sql = Sql::same(
    "SELECT f.name, f.size, r.id, r.version, d.state, d.why, d.done, d.size FROM release_files f \
     JOIN deltas d ON d.target_sha256 = f.sha256 JOIN release_files b ON b.sha256 = d.base_sha256 AND b.org_id = f.org_id \
     JOIN releases r ON r.id = b.release_id JOIN releases o ON o.id = f.release_id \
     WHERE f.org_id = $1 AND f.release_id = $2 AND r.device_type = o.device_type AND r.sequence < o.sequence AND r.state IN ('published', 'deprecated', 'recalled') \
     ORDER BY f.position, r.sequence DESC, d.size DESC LIMIT 100",
);
// A file that no device may install any more, or that nobody has, is nothing to get to or to come from.
pub(super) const FORGOTTEN: Sql = Sql::same(
    "SELECT target_sha256, base_sha256, sha256 FROM deltas d WHERE NOT EXISTS (SELECT 1 FROM release_files f JOIN releases r ON r.id = f.release_id \
     WHERE f.sha256 = d.target_sha256 AND r.state IN ('published', 'deprecated')) \
     OR NOT EXISTS (SELECT 1 FROM release_files f WHERE f.sha256 = d.base_sha256)",
);
pub(super) const FORGET: Sql = Sql::same("DELETE FROM deltas WHERE target_sha256 = $1 AND base_sha256 = $2");

/// A difference that is to be made.
#[derive(Debug, Clone)]
pub(in crate::releases) struct Wanted {
    pub base: Digest,
    pub base_size: i64,
    pub target: Digest,
    pub target_size: i64,
    state: String,
    changed_at: i64,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::releases) enum Made {
    /// It is in the store.
    Ready { sha256: Digest, size: i64 },
    /// It saves too little, or would take too much.
    NotWorth { size: i64, why: String },
    /// It could not be made.
    Failed { why: String },
}

/// Wants the difference of one file from another.
pub(in crate::releases) async fn want_delta(tx: &mut Tx, base: &File, target: &File, now: Timestamp) -> Result<(), Error> {
    exec!(tx, WANT, base.sha256.as_str(), base.size, target.sha256.as_str(), target.size, now.0).map(drop)
}

/// The `most` releases of a type that were published before this sequence, the last first, with their versions.
pub(in crate::releases) async fn before(
    on: &mut impl Conn,
    org: &OrgId,
    (device_type, sequence): (&str, i64),
    most: i64,
) -> Result<Vec<(ReleaseId, String)>, Error> {
    let found = rows!(on, (String, String), BEFORE, org.as_str(), device_type, sequence, most)?;
    found.into_iter().map(|(id, version)| Ok((id.parse().map_err(Error::corrupt)?, version))).collect()
}

/// What is to be made next: `stale` is the last word of a maker who counts as gone, `failed` that of a failure which is tried again.
pub(in crate::releases) async fn next_delta(on: &mut impl Conn, stale: Timestamp, failed: Timestamp) -> Result<Option<Wanted>, Error> {
    row!(on, (String, i64, String, i64, String, i64), NEXT, stale.0, failed.0)?
        .map(|(base, base_size, target, target_size, state, changed_at)| {
            let digest = |text: String| text.parse().map_err(Error::corrupt);
            Ok(Wanted { base: digest(base)?, base_size, target: digest(target)?, target_size, state, changed_at })
        })
        .transpose()
}

/// False when somebody else was faster.
pub(in crate::releases) async fn claim_delta(tx: &mut Tx, wanted: &Wanted, now: Timestamp) -> Result<bool, Error> {
    let (target, base) = (wanted.target.as_str(), wanted.base.as_str());
    Ok(exec!(tx, CLAIM, target, base, wanted.state.as_str(), wanted.changed_at, now.0)? == 1)
}

/// Notes how many bytes of the target were read.
pub(in crate::releases) async fn note_delta(tx: &mut Tx, wanted: &Wanted, done: i64, now: Timestamp) -> Result<(), Error> {
    exec!(tx, GET_ON, wanted.target.as_str(), wanted.base.as_str(), done, now.0).map(drop)
}

/// False when it is not wanted any more.
pub(in crate::releases) async fn end_delta(tx: &mut Tx, wanted: &Wanted, made: &Made, now: Timestamp) -> Result<bool, Error> {
    let (state, why, sha256, size) = match made {
        Made::Ready { sha256, size } => (DeltaState::Ready, "", sha256.as_str(), *size),
        Made::NotWorth { size, why } => (DeltaState::NotWorth, why.as_str(), "", *size),
        Made::Failed { why } => (DeltaState::Failed, why.as_str(), "", 0),
    };
    Ok(exec!(tx, END, wanted.target.as_str(), wanted.base.as_str(), state.as_str(), why, sha256, size, now.0)? == 1)
}

/// The delta of this content is damaged: it is made again. False when it is none.
pub(in crate::releases) async fn make_anew(tx: &mut Tx, sha256: &Digest, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, MAKE_ANEW, sha256.as_str(), now.0)? > 0)
}

/// The deltas to a release's files, as its page shows them.
pub(in crate::releases) async fn deltas_of(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Vec<DeltaRow>, Error> {
    type Row = (String, i64, String, String, String, String, i64, i64);
    let read = |(file, full_size, from, from_version, state, why, done, size): Row| {
        let state: DeltaState = state.parse().map_err(Error::corrupt)?;
        let told = (size > 0).then_some(size);
        let percent =
            (state == DeltaState::Making).then(|| u8::try_from(done.saturating_mul(100) / full_size.max(1)).unwrap_or(100).min(100));
        Ok(DeltaRow { file, full_size, from: from.parse().map_err(Error::corrupt)?, from_version, state, why, size: told, percent })
    };
    let mut found: Vec<DeltaRow> =
        rows!(on, Row, OF_RELEASE, org.as_str(), id.as_str())?.into_iter().map(read).collect::<Result<_, Error>>()?;
    // Two files of an older release may lead to the same file; the last is the smallest.
    found.reverse();
    found.dedup_by(|before, kept| (&before.file, &before.from) == (&kept.file, &kept.from));
    found.reverse();
    Ok(found)
}

/// Deltas that nobody needs any more, and their content where they had any.
pub(in crate::releases) async fn forgotten_deltas(on: &mut impl Conn) -> Result<Vec<(Digest, Digest, Option<Digest>)>, Error> {
    let digest = |text: String| text.parse::<Digest>().map_err(Error::corrupt);
    let read = |(target, base, own): (String, String, String)| {
        let own = if own.is_empty() { None } else { Some(digest(own)?) };
        Ok((digest(target)?, digest(base)?, own))
    };
    rows!(on, (String, String, String), FORGOTTEN)?.into_iter().map(read).collect()
}

/// Forgets one.
pub(in crate::releases) async fn forget_delta(tx: &mut Tx, target: &Digest, base: &Digest) -> Result<(), Error> {
    exec!(tx, FORGET, target.as_str(), base.as_str()).map(drop)
}
