//! How many approvals an organization asks for, and who has given theirs.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{OrgId, RolloutId, UserId},
    rollouts::{Lowered, Quorum},
};

pub(super) const KEPT: Sql =
    Sql::same("SELECT rollout_approvals, rollout_approvals_next, rollout_approvals_from FROM organizations WHERE id = $1");
pub(super) const KEEP: Sql =
    Sql::same("UPDATE organizations SET rollout_approvals = $2, rollout_approvals_next = $3, rollout_approvals_from = $4 WHERE id = $1");
pub(super) const ASK: Sql = Sql::same("UPDATE rollouts SET approvals_needed = $2 WHERE id = $1");
pub(super) const GIVEN: Sql =
    Sql::same("SELECT DISTINCT by_user FROM approvals WHERE rollout_id = $1 AND approved = TRUE AND void = FALSE ORDER BY by_user");

fn number(n: i64) -> Result<u32, Error> {
    u32::try_from(n).map_err(Error::corrupt)
}

/// The number as it is kept, whatever the time.
pub(in crate::rollouts) async fn kept(on: &mut impl Conn, org: &OrgId) -> Result<Quorum, Error> {
    let found = row!(on, (i64, Option<i64>, Option<i64>), KEPT, org.as_str())?;
    let (needed, next, from) = found.ok_or_else(|| Error::corrupt(format!("no organization {org}")))?;
    let lowered = match (next, from) {
        (Some(needed), Some(from)) => Some(Lowered { needed: number(needed)?, from: Timestamp(from) }),
        _ => None,
    };
    Ok(Quorum { needed: number(needed)?, lowered })
}

/// Keeps the number.
pub(in crate::rollouts) async fn keep(tx: &mut Tx, org: &OrgId, quorum: &Quorum) -> Result<(), Error> {
    let (next, from) = quorum.lowered.as_ref().map(|l| (i64::from(l.needed), l.from.0)).unzip();
    exec!(tx, KEEP, org.as_str(), i64::from(quorum.needed), next, from).map(drop)
}

/// How many approvals this rollout needs from now on.
pub(in crate::rollouts) async fn ask(tx: &mut Tx, rollout: &RolloutId, needed: u32) -> Result<(), Error> {
    exec!(tx, ASK, rollout.as_str(), i64::from(needed)).map(drop)
}

/// Who has approved the rollout as it is; each person once.
pub(in crate::rollouts) async fn given(on: &mut impl Conn, rollout: &RolloutId) -> Result<Vec<UserId>, Error> {
    rows!(on, (String,), GIVEN, rollout.as_str())?.into_iter().map(|(id,)| id.parse().map_err(Error::corrupt)).collect()
}
