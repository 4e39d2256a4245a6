//! Deltas: a new file told as its difference from an older one, so that a device which has the older one downloads little. Owns which are made, when
//! they are worth it and how they are kept; refuses to know which device runs what (rollouts) and how bytes travel (the listeners).
//!
//! Nobody has to trust a delta: what a device makes of it is compared with the digest that was signed, as a whole file would be. So it is not
//! signed, and one that is wrong costs a download and nothing else.

mod codec;
mod making;
mod pairing;

use super::{Error, Releases, acceptance::File, store};
use crate::{
    Result,
    access::{Act, Actor, may},
    db::{self, Conn, Tx},
};
use pairing::{Side, pairs};
use wire::{
    Timestamp,
    ids::{OrgId, ReleaseId},
    releases::{DeltaRow, DeltaState, ReleaseRow},
    states::ReleaseState,
};

/// How many releases before one are those that devices are expected to come from.
const PREDECESSORS: i64 = 3;

/// Wants the differences of a release's files from those that they follow, in the releases before it.
pub(super) async fn want(tx: &mut Tx, org: &OrgId, row: &ReleaseRow, now: Timestamp) -> Result<(), db::Error> {
    let files = store::files(tx, org, &row.id).await?;
    for (id, version) in store::before(tx, org, (&row.device_type, row.sequence), PREDECESSORS).await? {
        let older = store::files(tx, org, &id).await?;
        for (file, base) in files.iter().zip(followed((&row.version, &files), (&version, &older))) {
            if let Some(base) = base.filter(|base| base.sha256 != file.sha256) {
                store::want_delta(tx, base, file, now).await?;
            }
        }
    }
    Ok(())
}

/// The deltas to a release's files, and of the releases before it the files' gaps: which file has none because nothing says what it follows.
pub(super) async fn shown(on: &mut impl Conn, org: &OrgId, row: &ReleaseRow) -> Result<Vec<DeltaRow>, db::Error> {
    let mut rows = store::deltas_of(on, org, &row.id).await?;
    if !matches!(row.state, ReleaseState::Published | ReleaseState::Deprecated) {
        return Ok(rows);
    }
    let files = store::files(on, org, &row.id).await?;
    for (from, version) in store::before(on, org, (&row.device_type, row.sequence), PREDECESSORS).await? {
        let older = store::files(on, org, &from).await?;
        for (file, base) in files.iter().zip(followed((&row.version, &files), (&version, &older))) {
            let known = older.iter().any(|old| old.sha256 == file.sha256) || rows.iter().any(|r| r.from == from && r.file == file.name);
            if base.is_none() && !known {
                rows.push(unpaired(file, &from, &version));
            }
        }
    }
    Ok(rows)
}

/// For each file of a newer release the place of the one in an older release that it follows, told by their names; none where nothing says which.
pub(super) fn follows((version, names): (&str, &[&str]), (before, older): (&str, &[&str])) -> Vec<Option<usize>> {
    pairs(Side { version, names }, Side { version: before, names: older })
}

/// For each file the one that it follows.
fn followed<'o>((version, files): (&str, &[File]), (before, older): (&str, &'o [File])) -> Vec<Option<&'o File>> {
    let new: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let old: Vec<&str> = older.iter().map(|file| file.name.as_str()).collect();
    let found = pairs(Side { version, names: &new }, Side { version: before, names: &old });
    found.into_iter().map(|at| at.and_then(|at| older.get(at))).collect()
}

fn unpaired(file: &File, from: &ReleaseId, version: &str) -> DeltaRow {
    DeltaRow {
        file: file.name.clone(),
        full_size: file.size,
        from: from.clone(),
        from_version: version.to_owned(),
        state: DeltaState::Unpaired,
        why: format!("{version} has no file whose name says that this one follows it"),
        size: None,
        percent: None,
    }
}

impl Releases {
    /// The deltas to a release's files: which there are, which are being made, and why there is none.
    pub async fn deltas(&self, actor: &Actor, id: &ReleaseId) -> Result<Vec<DeltaRow>> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let row = store::release(&mut on, &actor.org, id).await?.ok_or(Error::NoRelease)?;
        Ok(shown(&mut on, &actor.org, &row).await?)
    }

    /// Forgets deltas that lead to nothing a device may install, or come from what nobody has any more.
    pub(super) async fn forget_deltas(&self) -> Result<()> {
        for (target, base, own) in store::forgotten_deltas(&mut self.db.read().await?).await? {
            let mut tx = self.db.write().await?;
            store::forget_delta(&mut tx, &target, &base).await?;
            tx.commit().await?;
            if let Some(own) = own {
                self.discard_after(&own).await;
            }
        }
        Ok(())
    }
}
