//! Deltas: a new file told as its difference from an older one, so that a device which has the older one downloads little. Owns which are made, when
//! they are worth it and how they are kept; refuses to know what one device runs (rollouts) and how bytes travel (the listeners).
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
    db::{self, Conn, Db, Tx},
    kept::{Kept, kept_or},
};
use pairing::{Side, pairs};
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{OrgId, ReleaseId},
    releases::{DeltaRow, DeltaState, ReleaseRow},
    states::ReleaseState,
};

/// From how many older releases at most deltas are made.
const BASES: usize = 3;
/// Among how many they are looked for: some of those that are run most may be the same bytes.
const LOOKED_AT: i64 = 20;

/// By organization and release, the gaps of its files.
pub(super) type KeptGaps = Arc<Kept<(OrgId, ReleaseId), Vec<DeltaRow>>>;

/// A release that devices come from.
struct Base {
    id: ReleaseId,
    version: String,
    files: Vec<File>,
}

/// The releases that devices come from: of those before it the ones that most devices of the organization run, recalled ones too, whose devices are to leave
/// them; where nobody runs any, the latest ones that may be installed. One whose files are all in the release itself, or are those of another base, is none:
/// its devices have nothing to fetch, or are served by the other one's deltas.
async fn bases(on: &mut impl Conn, org: &OrgId, row: &ReleaseRow, files: &[File]) -> Result<Vec<Base>, db::Error> {
    let mut before = store::run_before(on, org, (&row.device_type, row.sequence), LOOKED_AT).await?;
    if before.iter().any(|(_, _, devices)| *devices > 0) {
        before.retain(|(_, _, devices)| *devices > 0);
    }
    let mut found: Vec<Base> = Vec::new();
    for (id, version, _) in before {
        if found.len() == BASES {
            break;
        }
        let older = store::files(on, org, &id).await?;
        if !within(&older, files) && !found.iter().any(|base| within(&older, &base.files)) {
            found.push(Base { id, version, files: older });
        }
    }
    Ok(found)
}

/// Whether each of these files is among the others, by its content.
fn within(some: &[File], others: &[File]) -> bool {
    some.iter().all(|file| others.iter().any(|other| other.sha256 == file.sha256))
}

/// Wants the differences of a release's files from those that they follow, in the releases that devices come from.
pub(super) async fn want(tx: &mut Tx, org: &OrgId, row: &ReleaseRow, now: Timestamp) -> Result<(), db::Error> {
    let files = store::files(tx, org, &row.id).await?;
    for base in bases(tx, org, row, &files).await? {
        for (file, older) in files.iter().zip(followed((&row.version, &files), (&base.version, &base.files))) {
            if let Some(older) = older.filter(|older| older.sha256 != file.sha256) {
                store::want_delta(tx, older, file, now).await?;
            }
        }
    }
    Ok(())
}

/// Of the releases that devices come from the gaps of a release's files: which file has no delta because nothing says what it follows.
async fn gaps(db: Db, org: OrgId, row: ReleaseRow) -> Result<Vec<DeltaRow>, Error> {
    let mut on = db.read().await?;
    let files = store::files(&mut on, &org, &row.id).await?;
    let mut gaps = Vec::new();
    for base in bases(&mut on, &org, &row, &files).await? {
        for (file, older) in files.iter().zip(followed((&row.version, &files), (&base.version, &base.files))) {
            if older.is_none() && base.files.iter().all(|old| old.sha256 != file.sha256) {
                gaps.push(unpaired(file, &base.id, &base.version));
            }
        }
    }
    Ok(gaps)
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
        let (row, rows) = {
            let mut on = self.db.read().await?;
            let row = store::release_alone(&mut on, &actor.org, id).await?.ok_or(Error::NoRelease)?;
            (row, store::deltas_of(&mut on, &actor.org, id).await?)
        };
        Ok(self.with_gaps(&actor.org, &row, rows).await?)
    }

    /// The deltas to a release's files together with the files' gaps. Whom these are told of is counted through the fleet, so it may be some moments old there.
    /// Nobody waits for it with a connection in hand.
    pub(super) async fn with_gaps(&self, org: &OrgId, row: &ReleaseRow, mut rows: Vec<DeltaRow>) -> Result<Vec<DeltaRow>, Error> {
        if !matches!(row.state, ReleaseState::Published | ReleaseState::Deprecated) {
            return Ok(rows);
        }
        let key = (org.clone(), row.id.clone());
        let count = || gaps(self.db.clone(), org.clone(), row.clone());
        for gap in kept_or((&self.gaps, key, 0), (&self.db, &self.clock), count).await? {
            if !rows.iter().any(|known| (&known.from, &known.file) == (&gap.from, &gap.file)) {
                rows.push(gap);
            }
        }
        Ok(rows)
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
