//! Rollouts started without their approvals, who may review that, and what they said.

use crate::db::{Conn, Error, Sql, Tx, column, exec, many, row, rows};
use std::collections::HashMap;
use wire::{
    Timestamp,
    ids::{Digest, GlassId, OrgId, RolloutId, UserId},
    rollouts::{GlassReview, RolloutSpec, ShareStanding},
    states::RolloutState,
};

/// The columns of [`Columns`], in one place for every statement that reads them.
macro_rules! select_breaks { ($rest:literal) => {
    concat!(
        "SELECT b.id, b.rollout_id, x.name, x.state, b.by_user, b.by_name, b.author, b.reason, b.digest, b.given, b.needed, b.shares, b.at, b.review_by, ",
        "x.device_type, x.version, x.spec, (SELECT CAST(SUM(s.total) AS BIGINT) FROM rollout_stages s WHERE s.rollout_id = x.id AND x.stage > 0) AS devices, ",
        "b.overdue, b.settled_at, CAST(CASE WHEN x.glass = b.id THEN 1 ELSE 0 END AS BIGINT) AS holds FROM glass_breaks b JOIN rollouts x ON x.id = b.rollout_id ",
        $rest
    )
} }

pub(super) const INSERT: Sql = Sql::same(
    "INSERT INTO glass_breaks (id, org_id, rollout_id, by_user, by_name, author, reason, digest, given, needed, at, review_by, shares, overdue)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, FALSE)",
);
pub(super) const MAY_REVIEW: Sql = Sql::same("INSERT INTO glass_reviewers (break_id, user_id, org_id) VALUES ($1, $2, $3)");
pub(super) const REVIEWERS: Sql = many!(
    "SELECT r.break_id, r.user_id FROM (SELECT ",
    [text id],
    ") AS w JOIN glass_reviewers r ON r.break_id = w.id ORDER BY r.break_id, r.user_id"
);
pub(super) const REVIEW: Sql = Sql::same(
    "INSERT INTO glass_reviews (break_id, by_user, org_id, by_name, accepted, remark, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (break_id, by_user) DO NOTHING",
);
pub(super) const REVIEWS: Sql = many!(
    "SELECT v.break_id, v.by_user, v.by_name, v.accepted, v.remark, v.at FROM (SELECT ",
    [text id],
    ") AS w JOIN glass_reviews v ON v.break_id = w.id ORDER BY v.at, v.by_user"
);
pub(super) const SETTLE: Sql = Sql::same("UPDATE glass_breaks SET settled_at = $2 WHERE id = $1 AND settled_at IS NULL");
pub(super) const OVERDUE: Sql =
    Sql::same("UPDATE glass_breaks SET overdue = TRUE WHERE id = $1 AND settled_at IS NULL AND overdue = FALSE AND review_by <= $2");
pub(super) const ONE: Sql = Sql::same(select_breaks!("WHERE b.org_id = $1 AND b.id = $2"));
pub(super) const LAST_OF: Sql = Sql::same(select_breaks!("WHERE b.rollout_id = $1 ORDER BY b.id DESC LIMIT 1"));
/// Those to be reviewed, the longest overdue first, then what was settled last.
pub(super) const LIST: Sql = Sql::same(select_breaks!(
    "WHERE b.org_id = $1 ORDER BY CASE WHEN b.settled_at IS NULL THEN 0 ELSE 1 END, CASE WHEN b.settled_at IS NULL THEN b.review_by ELSE 0 END,
     b.id DESC LIMIT $2"
));
pub(super) const PAGE: Sql = Sql::same(select_breaks!("WHERE b.org_id = $1 AND b.id < $2 ORDER BY b.id DESC LIMIT $3"));
pub(super) const COUNT: Sql = Sql::same("SELECT COUNT(*) FROM glass_breaks WHERE org_id = $1");
pub(super) const NOW_OVERDUE: Sql = Sql::same(
    "SELECT org_id, id FROM glass_breaks WHERE settled_at IS NULL AND overdue = FALSE AND review_by <= $1 ORDER BY review_by LIMIT 100",
);
pub(super) const OPEN: Sql = Sql::same(
    "SELECT COUNT(*), COALESCE(CAST(SUM(CASE WHEN overdue = TRUE THEN 1 ELSE 0 END) AS BIGINT), 0) FROM glass_breaks WHERE settled_at IS NULL",
);
/// How many wait for this person's review.
pub(super) const FOR: Sql = Sql::same(
    "SELECT COUNT(*) FROM glass_breaks b WHERE b.org_id = $1 AND b.settled_at IS NULL
     AND EXISTS (SELECT 1 FROM glass_reviewers r WHERE r.break_id = b.id AND r.user_id = $2)
     AND NOT EXISTS (SELECT 1 FROM glass_reviews v WHERE v.break_id = b.id AND v.by_user = $2)",
);

/// A start without approvals, as it is kept.
#[derive(Debug, Clone)]
pub(in crate::rollouts) struct Break {
    pub id: GlassId,
    pub rollout: RolloutId,
    pub rollout_name: String,
    pub rollout_state: RolloutState,
    pub by: UserId,
    pub by_name: String,
    /// Who wrote the plan; empty where that was nobody with an account.
    pub author: String,
    pub reason: String,
    pub digest: Digest,
    pub given: u32,
    pub needed: u32,
    /// The groups that approvals were needed of.
    pub from: Vec<ShareStanding>,
    /// Its device type and version.
    pub release: String,
    /// As its plan stands.
    pub selector: String,
    /// None before it has begun.
    pub devices: Option<i64>,
    pub at: Timestamp,
    pub review_by: Timestamp,
    pub overdue: bool,
    pub settled_at: Option<Timestamp>,
    /// Whether it is how the rollout goes as its plan stands.
    pub holds: bool,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: String,
    rollout_id: String,
    name: String,
    state: String,
    by_user: String,
    by_name: String,
    author: String,
    reason: String,
    digest: String,
    given: i64,
    needed: i64,
    shares: String,
    at: i64,
    review_by: i64,
    device_type: String,
    version: String,
    spec: String,
    devices: Option<i64>,
    overdue: bool,
    settled_at: Option<i64>,
    holds: i64,
}

impl Columns {
    fn read(self) -> Result<Break, Error> {
        let spec: RolloutSpec = serde_json::from_str(&self.spec).map_err(Error::corrupt)?;
        Ok(Break {
            id: self.id.parse().map_err(Error::corrupt)?,
            rollout: self.rollout_id.parse().map_err(Error::corrupt)?,
            rollout_name: self.name,
            rollout_state: self.state.parse().map_err(Error::corrupt)?,
            by: self.by_user.parse().map_err(Error::corrupt)?,
            by_name: self.by_name,
            author: self.author,
            reason: self.reason,
            digest: self.digest.parse().map_err(Error::corrupt)?,
            given: u32::try_from(self.given).map_err(Error::corrupt)?,
            needed: u32::try_from(self.needed).map_err(Error::corrupt)?,
            from: serde_json::from_str(&self.shares).map_err(Error::corrupt)?,
            release: format!("{} {}", self.device_type, self.version),
            selector: spec.selector,
            devices: self.devices,
            at: Timestamp(self.at),
            review_by: Timestamp(self.review_by),
            overdue: self.overdue,
            settled_at: self.settled_at.map(Timestamp),
            holds: self.holds == 1,
        })
    }
}

/// Keeps a break and who may review it.
pub(in crate::rollouts) async fn add(tx: &mut Tx, org: &OrgId, made: &Break, reviewers: &[UserId]) -> Result<(), Error> {
    let (id, shares) = (made.id.as_str(), super::plans::json(&made.from)?);
    exec!(
        tx,
        INSERT,
        id,
        org.as_str(),
        made.rollout.as_str(),
        made.by.as_str(),
        made.by_name.as_str(),
        made.author.as_str(),
        made.reason.as_str(),
        made.digest.as_str(),
        i64::from(made.given),
        i64::from(made.needed),
        made.at.0,
        made.review_by.0,
        shares.as_str()
    )?;
    for reviewer in reviewers {
        exec!(tx, MAY_REVIEW, id, reviewer.as_str(), org.as_str())?;
    }
    Ok(())
}

/// One of them.
pub(in crate::rollouts) async fn one(on: &mut impl Conn, org: &OrgId, id: &GlassId) -> Result<Option<Break>, Error> {
    row!(on, Columns, ONE, org.as_str(), id.as_str())?.map(Columns::read).transpose()
}

/// The newest of a rollout.
pub(in crate::rollouts) async fn last_of(on: &mut impl Conn, rollout: &RolloutId) -> Result<Option<Break>, Error> {
    row!(on, Columns, LAST_OF, rollout.as_str())?.map(Columns::read).transpose()
}

/// Those to be reviewed first, then what was settled last; at most so many.
pub(in crate::rollouts) async fn list(on: &mut impl Conn, org: &OrgId, most: i64) -> Result<Vec<Break>, Error> {
    rows!(on, Columns, LIST, org.as_str(), most)?.into_iter().map(Columns::read).collect()
}

/// So many made before one with this id, newest first.
pub(in crate::rollouts) async fn page(on: &mut impl Conn, org: &OrgId, before: &str, limit: i64) -> Result<Vec<Break>, Error> {
    rows!(on, Columns, PAGE, org.as_str(), before, limit)?.into_iter().map(Columns::read).collect()
}

/// How many there are.
pub(in crate::rollouts) async fn count(on: &mut impl Conn, org: &OrgId) -> Result<i64, Error> {
    Ok(row!(on, (i64,), COUNT, org.as_str())?.map_or(0, |r| r.0))
}

fn these(of: &[&GlassId]) -> Result<String, Error> {
    column("id", of.iter().copied().map(GlassId::as_str))
}

/// Who could review each of these when it was made; nothing of one that nobody could.
pub(in crate::rollouts) async fn reviewers(on: &mut impl Conn, of: &[&GlassId]) -> Result<HashMap<GlassId, Vec<UserId>>, Error> {
    let mut all: HashMap<GlassId, Vec<UserId>> = HashMap::new();
    for (id, user) in rows!(on, (String, String), REVIEWERS, these(of)?)? {
        let (id, user): (GlassId, UserId) = (id.parse().map_err(Error::corrupt)?, user.parse().map_err(Error::corrupt)?);
        all.entry(id).or_default().push(user);
    }
    Ok(all)
}

/// What was said of each of these, first to last; nothing of one of which nothing was said.
pub(in crate::rollouts) async fn reviews(on: &mut impl Conn, of: &[&GlassId]) -> Result<HashMap<GlassId, Vec<GlassReview>>, Error> {
    let mut all: HashMap<GlassId, Vec<GlassReview>> = HashMap::new();
    for (id, by, by_name, accepted, remark, at) in rows!(on, (String, String, String, bool, String, i64), REVIEWS, these(of)?)? {
        let id: GlassId = id.parse().map_err(Error::corrupt)?;
        let review = GlassReview { by: by.parse().map_err(Error::corrupt)?, by_name, accepted, remark, at: Timestamp(at) };
        all.entry(id).or_default().push(review);
    }
    Ok(all)
}

/// Keeps what somebody said; false when they have said something already.
pub(in crate::rollouts) async fn review(tx: &mut Tx, org: &OrgId, id: &GlassId, review: &GlassReview) -> Result<bool, Error> {
    let (by, name, remark) = (review.by.as_str(), review.by_name.as_str(), review.remark.as_str());
    Ok(exec!(tx, REVIEW, id.as_str(), by, org.as_str(), name, review.accepted, remark, review.at.0)? == 1)
}

/// Enough people have reviewed it.
pub(in crate::rollouts) async fn settle(tx: &mut Tx, id: &GlassId, now: Timestamp) -> Result<(), Error> {
    exec!(tx, SETTLE, id.as_str(), now.0).map(drop)
}

/// Marks it as overdue; false when it is settled, marked, or its time has not come.
pub(in crate::rollouts) async fn mark_overdue(tx: &mut Tx, id: &GlassId, now: Timestamp) -> Result<bool, Error> {
    Ok(exec!(tx, OVERDUE, id.as_str(), now.0)? == 1)
}

/// Those to be marked.
pub(in crate::rollouts) async fn now_overdue(on: &mut impl Conn, now: Timestamp) -> Result<Vec<(OrgId, GlassId)>, Error> {
    rows!(on, (String, String), NOW_OVERDUE, now.0)?
        .into_iter()
        .map(|(org, id)| Ok((org.parse().map_err(Error::corrupt)?, id.parse().map_err(Error::corrupt)?)))
        .collect()
}

/// How many are open in all organizations, and how many of these overdue.
pub(in crate::rollouts) async fn open(on: &mut impl Conn) -> Result<(i64, i64), Error> {
    Ok(row!(on, (i64, i64), OPEN)?.unwrap_or_default())
}

/// How many wait for this person.
pub(in crate::rollouts) async fn waiting_for(on: &mut impl Conn, org: &OrgId, user: &str) -> Result<i64, Error> {
    Ok(row!(on, (i64,), FOR, org.as_str(), user)?.map_or(0, |r| r.0))
}
