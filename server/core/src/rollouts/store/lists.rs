//! What people read: lists of rollouts, decisions, history, counts.

use super::records::{Record, RecordRow, select_records};
use crate::{
    db::{Conn, Error, Sql, Tx, containing, exec, list, row, rows},
    rollouts::state::Class,
};
use std::collections::HashMap;
use wire::{
    Timestamp,
    ids::{ApprovalId, Digest, OrgId, RolloutId, UserId},
    rollouts::{ApprovalRow, Counts, InboxCounts, InboxTab, RolloutEvent, RolloutLink, RolloutSpec, Tab},
};

pub(super) const PAGE: Sql = Sql::same(select_records!(
    "WHERE x.org_id = $1 AND x.id < $2 AND ($3 = 'all' OR $3 = (CASE WHEN x.state IN ('running', 'paused', 'halted', 'stopping', 'rolling_back') THEN 'running'
     WHEN x.state IN ('waiting_for_approval', 'approved', 'scheduled') THEN 'waiting' WHEN x.state IN ('draft', 'rejected') THEN 'drafts'
     ELSE 'finished' END))
     AND ($5 = '' OR LOWER(x.name) LIKE $5 ESCAPE '\\' OR LOWER(x.version) LIKE $5 ESCAPE '\\' OR LOWER(x.device_type) LIKE $5 ESCAPE '\\')
     ORDER BY x.id DESC LIMIT $4"
));
pub(super) const COUNT: Sql = Sql::same(
    "SELECT COUNT(*) FROM rollouts x WHERE x.org_id = $1 AND ($2 = 'all' OR $2 = (CASE WHEN x.state IN ('running', 'paused', 'halted', 'stopping', 'rolling_back') THEN 'running'
     WHEN x.state IN ('waiting_for_approval', 'approved', 'scheduled') THEN 'waiting' WHEN x.state IN ('draft', 'rejected') THEN 'drafts'
     ELSE 'finished' END))
     AND ($3 = '' OR LOWER(x.name) LIKE $3 ESCAPE '\\' OR LOWER(x.version) LIKE $3 ESCAPE '\\' OR LOWER(x.device_type) LIKE $3 ESCAPE '\\')",
);
pub(super) const SUMS: Sql = Sql::same(
    "SELECT x.id, CAST(SUM(s.total) AS BIGINT), CAST(SUM(s.waiting) AS BIGINT), CAST(SUM(s.updating) AS BIGINT), CAST(SUM(s.succeeded) AS BIGINT),
     CAST(SUM(s.failed) AS BIGINT), CAST(SUM(s.reverted) AS BIGINT), CAST(SUM(s.timed_out) AS BIGINT), CAST(SUM(s.rejected) AS BIGINT),
     CAST(SUM(s.left_out) AS BIGINT)
     FROM rollouts x JOIN rollout_stages s ON s.rollout_id = x.id WHERE x.org_id = $1 AND x.id >= $2 AND x.id <= $3 GROUP BY x.id",
);
pub(super) const OPEN_IDS: Sql = Sql::same(select_records!(
    "WHERE x.org_id = $1 AND x.state IN ('running', 'paused', 'halted', 'stopping', 'rolling_back', 'waiting_for_approval', 'approved', 'scheduled')
     ORDER BY CASE x.state WHEN 'halted' THEN 0 WHEN 'running' THEN 1 WHEN 'waiting_for_approval' THEN 2 ELSE 3 END, x.updated_at DESC, x.id LIMIT $2"
));
/// Rollouts that have not ended and whose selector may ask for a group.
pub(super) const BY_GROUP: Sql = Sql::same(
    "SELECT id, name, state, spec FROM rollouts
     WHERE org_id = $1 AND state NOT IN ('completed', 'stopped', 'rolled_back') AND spec LIKE '%group:%' ORDER BY id DESC",
);
/// Those that wait for approval: for anybody, or for the person $2. Who wrote or sent a plan was not taken up among those who can approve it.
pub(super) const WAITING: Sql = Sql::same(select_records!(
    "WHERE x.org_id = $1 AND x.state = 'waiting_for_approval' AND ($2 = '' OR (x.author <> $2
     AND EXISTS (SELECT 1 FROM rollout_approvers e WHERE e.rollout_id = x.id AND e.user_id = $2)
     AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.rollout_id = x.id AND a.by_user = $2 AND a.approved = TRUE AND a.void = FALSE)))
     AND (x.asked_at > $3 OR (x.asked_at = $3 AND x.id > $4)) ORDER BY x.asked_at, x.id LIMIT $5"
));
/// Those that were sent for approval, also by somebody else after this person had written on them, and belong to a tab of the inbox where nobody decides.
pub(super) const ASKED: Sql = Sql::same(select_records!(
    "WHERE x.org_id = $1 AND x.asked_at IS NOT NULL AND CASE $2 WHEN 'mine' THEN x.author = $3 OR x.asked_by = $3 OR x.writers LIKE '%\"' || $3 || '\"%'
     WHEN 'void' THEN x.state = 'draft' ELSE x.state NOT IN ('draft', 'waiting_for_approval') END
     AND (x.asked_at < $4 OR (x.asked_at = $4 AND x.id < $5)) ORDER BY x.asked_at DESC, x.id DESC LIMIT $6"
));
/// How many the tabs of the inbox have, for the person $2.
pub(super) const INBOX: Sql = Sql::same(
    "SELECT COALESCE(CAST(SUM(CASE WHEN x.state = 'waiting_for_approval' AND x.author <> $2
     AND EXISTS (SELECT 1 FROM rollout_approvers e WHERE e.rollout_id = x.id AND e.user_id = $2)
     AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.rollout_id = x.id AND a.by_user = $2 AND a.approved = TRUE AND a.void = FALSE)
     THEN 1 ELSE 0 END) AS BIGINT), 0),
     COALESCE(CAST(SUM(CASE WHEN x.state = 'waiting_for_approval' THEN 1 ELSE 0 END) AS BIGINT), 0),
     COALESCE(CAST(SUM(CASE WHEN $2 <> '' AND (x.author = $2 OR x.asked_by = $2 OR x.writers LIKE '%\"' || $2 || '\"%') THEN 1 ELSE 0 END) AS BIGINT), 0),
     COALESCE(CAST(SUM(CASE WHEN x.state NOT IN ('draft', 'waiting_for_approval') THEN 1 ELSE 0 END) AS BIGINT), 0),
     COALESCE(CAST(SUM(CASE WHEN x.state = 'draft' THEN 1 ELSE 0 END) AS BIGINT), 0)
     FROM rollouts x WHERE x.org_id = $1 AND x.asked_at IS NOT NULL",
);
/// The other rollout of this type whose plan, as it stands, was approved last before then.
pub(super) const APPROVED_BEFORE: Sql = Sql::same(select_records!(
    "JOIN approvals a ON a.rollout_id = x.id WHERE x.org_id = $1 AND x.device_type = $2 AND x.id <> $3
     AND a.approved = TRUE AND a.void = FALSE AND a.digest = x.digest AND a.at < $4
     AND x.glass IS NULL AND x.state NOT IN ('draft', 'waiting_for_approval', 'rejected') AND x.approvals_needed <= (SELECT COUNT(DISTINCT b.by_user) FROM approvals b
     WHERE b.rollout_id = x.id AND b.approved = TRUE AND b.void = FALSE AND b.digest = x.digest) ORDER BY a.at DESC, a.id DESC LIMIT 1"
));
pub(super) const ALIVE: Sql = Sql::same(
    "SELECT org_id, id FROM rollouts WHERE state IN ('approved', 'scheduled', 'running', 'paused', 'halted', 'rolling_back', 'stopping') ORDER BY id",
);
pub(super) const NAV: Sql = Sql::same(
    "SELECT COALESCE(CAST(SUM(CASE WHEN state IN ('running', 'paused', 'halted', 'stopping') THEN 1 ELSE 0 END) AS BIGINT), 0),
     COALESCE(CAST(SUM(CASE WHEN state = 'waiting_for_approval' AND author <> $2 AND EXISTS (SELECT 1 FROM rollout_approvers e
     WHERE e.rollout_id = rollouts.id AND e.user_id = $2) AND NOT EXISTS (SELECT 1 FROM approvals a
     WHERE a.rollout_id = rollouts.id AND a.by_user = $2 AND a.approved = TRUE AND a.void = FALSE) THEN 1 ELSE 0 END) AS BIGINT), 0)
     FROM rollouts WHERE org_id = $1 AND state IN ('running', 'paused', 'halted', 'stopping', 'waiting_for_approval')",
);
pub(super) const EVENT: Sql = Sql::same(
    "INSERT INTO rollout_events (org_id, rollout_id, at, text, actor, tone, state)
     SELECT CAST($1 AS TEXT), x.id, CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), x.state
     FROM rollouts x WHERE x.id = $2",
);
pub(super) const EVENTS: Sql =
    Sql::same("SELECT at, text, actor, tone, state FROM rollout_events WHERE rollout_id = $1 ORDER BY id DESC LIMIT 100");
pub(super) const DECISION: Sql = Sql::same(
    "INSERT INTO approvals (id, org_id, rollout_id, by_user, by_name, approved, remark, digest, generation, void, at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, FALSE, $10)",
);
pub(super) const DECISIONS: Sql = Sql::same(
    "SELECT id, by_user, by_name, approved, remark, at, digest, void FROM approvals WHERE rollout_id = $1 ORDER BY id DESC LIMIT 100",
);

/// The decisions on some rollouts as their plans stand.
pub(super) const DECISIONS_ON: Sql = Sql::split(
    "SELECT rollout_id, id, by_user, by_name, approved, remark, at, digest, void FROM approvals WHERE org_id = $1 AND void = FALSE
     AND rollout_id IN (SELECT n.value FROM json_each($2) n) ORDER BY id DESC",
    "SELECT rollout_id, id, by_user, by_name, approved, remark, at, digest, void FROM approvals WHERE org_id = $1 AND void = FALSE
     AND rollout_id IN (SELECT n.value FROM json_array_elements_text(CAST($2 AS JSON)) n) ORDER BY id DESC",
);

/// Rollouts of a tab before this id, newest first, whose name, version or device type contains this; an empty text is in all of them.
pub(in crate::rollouts) async fn page_in(
    on: &mut impl Conn,
    org: &OrgId,
    (tab, q): (Tab, &str),
    before: &str,
    limit: i64,
) -> Result<Vec<Record>, Error> {
    rows!(on, RecordRow, PAGE, org.as_str(), before, tab.as_str(), limit, containing(q))?.into_iter().map(RecordRow::read).collect()
}

/// How many of these rollouts a tab has.
pub(in crate::rollouts) async fn count_in(on: &mut impl Conn, org: &OrgId, (tab, q): (Tab, &str)) -> Result<i64, Error> {
    Ok(row!(on, (i64,), COUNT, org.as_str(), tab.as_str(), containing(q))?.map_or(0, |r| r.0))
}

type SumRow = (String, i64, i64, i64, i64, i64, i64, i64, i64, i64);

/// The counts of these rollouts, over their stages.
pub(in crate::rollouts) async fn sums(on: &mut impl Conn, org: &OrgId, of: &[Record]) -> Result<HashMap<RolloutId, Counts>, Error> {
    let (Some(first), Some(last)) = (of.iter().map(|r| &r.id).min(), of.iter().map(|r| &r.id).max()) else { return Ok(HashMap::new()) };
    let mut sums = HashMap::new();
    for (id, total, waiting, updating, succeeded, failed, reverted, timed_out, rejected, left_out) in
        rows!(on, SumRow, SUMS, org.as_str(), first.as_str(), last.as_str())?
    {
        let counts = Counts { total, waiting, updating, succeeded, failed, reverted, timed_out, rejected, left_out };
        debug_assert_eq!(Class::ALL.iter().map(|c| c.of_counts(&counts)).sum::<i64>(), total);
        sums.insert(id.parse().map_err(Error::corrupt)?, counts);
    }
    Ok(sums)
}

/// Rollouts that run or wait for something, the most urgent first.
pub(in crate::rollouts) async fn open_records(on: &mut impl Conn, org: &OrgId, limit: i64) -> Result<Vec<Record>, Error> {
    rows!(on, RecordRow, OPEN_IDS, org.as_str(), limit)?.into_iter().map(RecordRow::read).collect()
}

/// Rollouts that wait for approval, those that wait longest first, behind this place: all of them, or those that this person can approve and has not.
pub(in crate::rollouts) async fn waiting(
    on: &mut impl Conn,
    org: &OrgId,
    of: Option<&UserId>,
    (at, id): (Timestamp, &str),
    limit: i64,
) -> Result<Vec<Record>, Error> {
    let user = of.map_or("", |user| user.as_str());
    rows!(on, RecordRow, WAITING, org.as_str(), user, at.0, id, limit)?.into_iter().map(RecordRow::read).collect()
}

/// Rollouts of a tab of the inbox where nobody decides, those that were sent last first, behind this place. `user` is whose [`InboxTab::Mine`] has.
pub(in crate::rollouts) async fn asked(
    on: &mut impl Conn,
    org: &OrgId,
    (tab, user): (InboxTab, &str),
    (at, id): (Timestamp, &str),
    limit: i64,
) -> Result<Vec<Record>, Error> {
    rows!(on, RecordRow, ASKED, org.as_str(), tab.as_str(), user, at.0, id, limit)?.into_iter().map(RecordRow::read).collect()
}

/// How many rollouts each tab of the inbox has for this person.
pub(in crate::rollouts) async fn inbox(on: &mut impl Conn, org: &OrgId, user: &str) -> Result<InboxCounts, Error> {
    let found = row!(on, (i64, i64, i64, i64, i64), INBOX, org.as_str(), user)?.unwrap_or_default();
    Ok(InboxCounts { me: found.0, waiting: found.1, mine: found.2, done: found.3, void: found.4 })
}

/// The other rollout for the same device type whose plan was approved last before then.
pub(in crate::rollouts) async fn approved_before(on: &mut impl Conn, than: &Record, then: Timestamp) -> Result<Option<Record>, Error> {
    row!(on, RecordRow, APPROVED_BEFORE, than.org.as_str(), than.device_type.as_str(), than.id.as_str(), then.0)?
        .map(RecordRow::read)
        .transpose()
}

/// Every rollout that the planner may have something to do for.
pub(in crate::rollouts) async fn alive(on: &mut impl Conn) -> Result<Vec<(OrgId, RolloutId)>, Error> {
    rows!(on, (String, String), ALIVE)?
        .into_iter()
        .map(|(org, id)| Ok((org.parse().map_err(Error::corrupt)?, id.parse().map_err(Error::corrupt)?)))
        .collect()
}

/// How many run, and how many wait for a decision that `user` can make.
pub(in crate::rollouts) async fn nav_counts(on: &mut impl Conn, org: &OrgId, user: &str) -> Result<(i64, i64), Error> {
    Ok(row!(on, (i64, i64), NAV, org.as_str(), user)?.unwrap_or_default())
}

/// Appends to a rollout's history.
pub(in crate::rollouts) async fn add_event(
    tx: &mut Tx,
    org: &OrgId,
    rollout: &RolloutId,
    text: &str,
    actor: &str,
    tone: &str,
    now: Timestamp,
) -> Result<(), Error> {
    exec!(tx, EVENT, org.as_str(), rollout.as_str(), now.0, text, actor, tone).map(drop)
}

/// A rollout's history, newest first; at most 100.
pub(in crate::rollouts) async fn events(on: &mut impl Conn, rollout: &RolloutId) -> Result<Vec<RolloutEvent>, Error> {
    let read = |(at, text, by, tone, state): (i64, String, String, String, String)| {
        let state = if state.is_empty() { None } else { Some(state.parse().map_err(Error::corrupt)?) };
        Ok(RolloutEvent { at: Timestamp(at), text, by, tone, state })
    };
    rows!(on, (i64, String, String, String, String), EVENTS, rollout.as_str())?.into_iter().map(read).collect()
}

/// A decision as it is written.
pub(in crate::rollouts) struct Decision<'a> {
    pub id: &'a ApprovalId,
    pub by: &'a UserId,
    pub by_name: &'a str,
    pub approved: bool,
    pub remark: &'a str,
    pub digest: &'a Digest,
    pub generation: i64,
}

/// Keeps a decision.
pub(in crate::rollouts) async fn add_decision(
    tx: &mut Tx,
    org: &OrgId,
    rollout: &RolloutId,
    decision: &Decision<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    exec!(
        tx,
        DECISION,
        decision.id.as_str(),
        org.as_str(),
        rollout.as_str(),
        decision.by.as_str(),
        decision.by_name,
        decision.approved,
        decision.remark,
        decision.digest.as_str(),
        decision.generation,
        now.0
    )
    .map(drop)
}

type DecisionRow = (String, String, String, bool, String, i64, String, bool);

fn decision((id, by, by_name, approved, remark, at, digest, void): DecisionRow) -> Result<ApprovalRow, Error> {
    Ok(ApprovalRow {
        id: id.parse().map_err(Error::corrupt)?,
        by: by.parse().map_err(Error::corrupt)?,
        by_name,
        approved,
        remark,
        at: Timestamp(at),
        digest: digest.parse().map_err(Error::corrupt)?,
        void,
        uncounted: None,
    })
}

/// A rollout's decisions, newest first.
pub(in crate::rollouts) async fn decisions(on: &mut impl Conn, rollout: &RolloutId) -> Result<Vec<ApprovalRow>, Error> {
    rows!(on, DecisionRow, DECISIONS, rollout.as_str())?.into_iter().map(decision).collect()
}

/// The decisions on these rollouts that are not void, newest first.
pub(in crate::rollouts) async fn decisions_on(
    on: &mut impl Conn,
    org: &OrgId,
    of: &[Record],
) -> Result<HashMap<RolloutId, Vec<ApprovalRow>>, Error> {
    type Row = (String, String, String, String, bool, String, i64, String, bool);
    let ids: Vec<&str> = of.iter().map(|r| r.id.as_str()).collect();
    let mut found: HashMap<RolloutId, Vec<ApprovalRow>> = HashMap::new();
    for (rollout, id, by, by_name, approved, remark, at, digest, void) in rows!(on, Row, DECISIONS_ON, org.as_str(), list(&ids)?)? {
        let row = decision((id, by, by_name, approved, remark, at, digest, void))?;
        found.entry(rollout.parse().map_err(Error::corrupt)?).or_default().push(row);
    }
    Ok(found)
}

/// Rollouts that have not ended and whose selector may ask for a group, each with that selector; newest first.
pub(in crate::rollouts) async fn by_group(on: &mut impl Conn, org: &OrgId) -> Result<Vec<(RolloutLink, String)>, Error> {
    let read = |(id, name, state, spec): (String, String, String, String)| {
        let spec: RolloutSpec = serde_json::from_str(&spec).map_err(Error::corrupt)?;
        let link = RolloutLink { id: id.parse().map_err(Error::corrupt)?, name, state: state.parse().map_err(Error::corrupt)? };
        Ok((link, spec.selector))
    };
    rows!(on, (String, String, String, String), BY_GROUP, org.as_str())?.into_iter().map(read).collect()
}
