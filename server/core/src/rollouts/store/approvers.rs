//! Groups of approvers, and for how long approvals are waited for and hold.

use crate::db::{Conn, Error, Sql, Tx, exec, row, rows};
use wire::{
    Timestamp,
    ids::{ApproverGroupId, OrgId, UserId},
};

pub(super) const GROUPS: Sql =
    Sql::same("SELECT id, name, created_at, created_by FROM approver_groups WHERE org_id = $1 ORDER BY name, id");
pub(super) const GROUP: Sql = Sql::same("SELECT id, name, created_at, created_by FROM approver_groups WHERE org_id = $1 AND id = $2");
pub(super) const INSERT: Sql = Sql::same(
    "INSERT INTO approver_groups (id, org_id, name, created_at, created_by) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (org_id, name) DO NOTHING",
);
pub(super) const DELETE: Sql = Sql::same("DELETE FROM approver_groups WHERE org_id = $1 AND id = $2");
pub(super) const MEMBERS: Sql =
    Sql::same("SELECT group_id, user_id, counts_from FROM approver_members WHERE org_id = $1 ORDER BY group_id, user_id");
pub(super) const ENTER: Sql = Sql::same("INSERT INTO approver_members (group_id, user_id, org_id, counts_from) VALUES ($1, $2, $3, $4)");
pub(super) const LEAVE: Sql = Sql::same("DELETE FROM approver_members WHERE org_id = $1 AND group_id = $2 AND user_id = $3");
pub(super) const EMPTY: Sql = Sql::same("DELETE FROM approver_members WHERE org_id = $1 AND group_id = $2");
pub(super) const TERMS: Sql =
    Sql::same("SELECT request_days, start_days, review_hours, break_glass_from FROM approval_terms WHERE org_id = $1");
pub(super) const KEEP_TERMS: Sql = Sql::same(
    "INSERT INTO approval_terms (org_id, request_days, start_days, review_hours, break_glass_from) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (org_id) DO UPDATE SET request_days = $2, start_days = $3, review_hours = $4, break_glass_from = $5",
);

/// A group without its members.
#[derive(Debug, Clone)]
pub(in crate::rollouts) struct Group {
    pub id: ApproverGroupId,
    pub name: String,
    pub created_at: Timestamp,
    pub created_by: String,
}

/// Somebody's place in a group.
#[derive(Debug, Clone)]
pub(in crate::rollouts) struct Member {
    pub group: ApproverGroupId,
    pub user: UserId,
    pub counts_from: Timestamp,
}

/// What is kept of how long approvals are waited for and hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rollouts) struct Terms {
    pub request_days: u32,
    pub start_days: u32,
    pub review_hours: u32,
    /// Since or from when on the glass may be broken; none is never.
    pub break_glass_from: Option<Timestamp>,
}

type Columns = (String, String, i64, String);

fn read((id, name, at, created_by): Columns) -> Result<Group, Error> {
    Ok(Group { id: id.parse().map_err(Error::corrupt)?, name, created_at: Timestamp(at), created_by })
}

/// The groups, by their names.
pub(in crate::rollouts) async fn groups(on: &mut impl Conn, org: &OrgId) -> Result<Vec<Group>, Error> {
    rows!(on, Columns, GROUPS, org.as_str())?.into_iter().map(read).collect()
}

/// One of them.
pub(in crate::rollouts) async fn group(on: &mut impl Conn, org: &OrgId, id: &ApproverGroupId) -> Result<Option<Group>, Error> {
    row!(on, Columns, GROUP, org.as_str(), id.as_str())?.map(read).transpose()
}

/// Adds one; false when there is one of this name already.
pub(in crate::rollouts) async fn add(tx: &mut Tx, org: &OrgId, group: &Group) -> Result<bool, Error> {
    let (id, name) = (group.id.as_str(), group.name.as_str());
    Ok(exec!(tx, INSERT, id, org.as_str(), name, group.created_at.0, group.created_by.as_str())? == 1)
}

/// Deletes one with its places.
pub(in crate::rollouts) async fn delete(tx: &mut Tx, org: &OrgId, id: &ApproverGroupId) -> Result<(), Error> {
    exec!(tx, EMPTY, org.as_str(), id.as_str())?;
    exec!(tx, DELETE, org.as_str(), id.as_str()).map(drop)
}

/// Everybody's places in the organization's groups.
pub(in crate::rollouts) async fn members(on: &mut impl Conn, org: &OrgId) -> Result<Vec<Member>, Error> {
    let read = |(group, user, from): (String, String, i64)| {
        Ok(Member {
            group: group.parse().map_err(Error::corrupt)?,
            user: user.parse().map_err(Error::corrupt)?,
            counts_from: Timestamp(from),
        })
    };
    rows!(on, (String, String, i64), MEMBERS, org.as_str())?.into_iter().map(read).collect()
}

/// Puts somebody in.
pub(in crate::rollouts) async fn enter(tx: &mut Tx, org: &OrgId, member: &Member) -> Result<(), Error> {
    exec!(tx, ENTER, member.group.as_str(), member.user.as_str(), org.as_str(), member.counts_from.0).map(drop)
}

/// Takes somebody out.
pub(in crate::rollouts) async fn leave(tx: &mut Tx, org: &OrgId, group: &ApproverGroupId, user: &UserId) -> Result<(), Error> {
    exec!(tx, LEAVE, org.as_str(), group.as_str(), user.as_str()).map(drop)
}

/// What was changed of the terms; none where nobody has.
pub(in crate::rollouts) async fn terms(on: &mut impl Conn, org: &OrgId) -> Result<Option<Terms>, Error> {
    let number = |n: i64| u32::try_from(n).map_err(Error::corrupt);
    let found = row!(on, (i64, i64, i64, Option<i64>), TERMS, org.as_str())?;
    found
        .map(|(request, start, review, from)| {
            Ok(Terms {
                request_days: number(request)?,
                start_days: number(start)?,
                review_hours: number(review)?,
                break_glass_from: from.map(Timestamp),
            })
        })
        .transpose()
}

/// Keeps them.
pub(in crate::rollouts) async fn keep_terms(tx: &mut Tx, org: &OrgId, terms: &Terms) -> Result<(), Error> {
    let Terms { request_days, start_days, review_hours, break_glass_from } = *terms;
    let from = break_glass_from.map(Timestamp::millis);
    exec!(tx, KEEP_TERMS, org.as_str(), i64::from(request_days), i64::from(start_days), i64::from(review_hours), from).map(drop)
}
