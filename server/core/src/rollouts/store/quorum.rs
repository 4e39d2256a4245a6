//! How many approvals an organization asks for and from whom, with which rule a rollout was sent, who could approve it then, and who has.

use crate::{
    db::{Conn, Error, Sql, Tx, exec, row, rows},
    rollouts::rule::Kept,
};
use wire::{
    Timestamp,
    ids::{ApproverGroupId, OrgId, RolloutId, UserId},
    rollouts::WeakerRule,
};

pub(super) const RULES: Sql =
    Sql::same("SELECT device_type, rule, weaker, weaker_from FROM approval_rules WHERE org_id = $1 ORDER BY device_type");
pub(super) const RULE: Sql =
    Sql::same("SELECT device_type, rule, weaker, weaker_from FROM approval_rules WHERE org_id = $1 AND device_type = $2");
pub(super) const KEEP: Sql = Sql::same(
    "INSERT INTO approval_rules (org_id, device_type, rule, weaker, weaker_from) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (org_id, device_type) DO UPDATE SET rule = $3, weaker = $4, weaker_from = $5",
);
pub(super) const DROP: Sql = Sql::same("DELETE FROM approval_rules WHERE org_id = $1 AND device_type = $2");
/// Takes the rollout's row, so that a decision counts people that nobody changes meanwhile.
pub(super) const HOLD: Sql = Sql::split(
    "SELECT generation FROM rollouts WHERE org_id = $1 AND id = $2",
    "SELECT generation FROM rollouts WHERE org_id = $1 AND id = $2 FOR NO KEY UPDATE",
);
pub(super) const ASK: Sql = Sql::same(
    "UPDATE rollouts SET approvals_needed = $2, approval_rule = $3, decide_by = $4, asked_at = $5, asked_by = $6, asked_by_name = $7 WHERE id = $1",
);
pub(super) const MAY_START: Sql = Sql::same("UPDATE rollouts SET start_by = $2, glass = $3 WHERE id = $1");
pub(super) const VOID: Sql = Sql::same("UPDATE approvals SET void = TRUE WHERE rollout_id = $1 AND void = FALSE");
pub(super) const CLEAR: Sql =
    Sql::same("UPDATE rollouts SET approval_rule = NULL, decide_by = NULL, start_by = NULL, glass = NULL WHERE id = $1");
pub(super) const ELECT: Sql = Sql::same("INSERT INTO rollout_approvers (rollout_id, user_id, org_id, in_groups) VALUES ($1, $2, $3, $4)");
pub(super) const ELECTED: Sql = Sql::same("SELECT user_id, in_groups FROM rollout_approvers WHERE rollout_id = $1 ORDER BY user_id");
pub(super) const DISMISS: Sql = Sql::same("DELETE FROM rollout_approvers WHERE rollout_id = $1");
/// Requests that nobody has decided on in their time, or whose release was recalled. What is approved is looked at by every tick.
pub(super) const LATE: Sql = Sql::same(
    "SELECT x.org_id, x.id FROM rollouts x JOIN releases r ON r.id = x.release_id
     WHERE x.state = 'waiting_for_approval' AND (x.decide_by <= $1 OR r.state = 'recalled') ORDER BY x.id",
);

/// Somebody who could approve a rollout when it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rollouts) struct Elector {
    pub user: UserId,
    /// Those of the rule's groups that they counted for.
    pub groups: Vec<ApproverGroupId>,
}

type RuleRow = (String, String, Option<String>, Option<i64>);

fn read((device_type, rule, weaker, from): RuleRow) -> Result<(String, Kept), Error> {
    let json = |text: &str| serde_json::from_str(text).map_err(Error::corrupt);
    let weaker = match from {
        Some(from) => Some(WeakerRule { rule: weaker.as_deref().map(json).transpose()?, from: Timestamp(from) }),
        None => None,
    };
    Ok((device_type, Kept { rule: Some(json(&rule)?), weaker }))
}

/// The rules as they are kept, whatever the time; the one for every rollout has no device type.
pub(in crate::rollouts) async fn rules(on: &mut impl Conn, org: &OrgId) -> Result<Vec<(String, Kept)>, Error> {
    rows!(on, RuleRow, RULES, org.as_str())?.into_iter().map(read).collect()
}

/// The rule for this device type as it is kept; nothing is asked where there is none.
pub(in crate::rollouts) async fn rule(on: &mut impl Conn, org: &OrgId, device_type: &str) -> Result<Kept, Error> {
    Ok(row!(on, RuleRow, RULE, org.as_str(), device_type)?.map(read).transpose()?.map(|r| r.1).unwrap_or_default())
}

/// Keeps a rule; one that asks for nothing is dropped.
pub(in crate::rollouts) async fn keep(tx: &mut Tx, org: &OrgId, device_type: &str, kept: &Kept) -> Result<(), Error> {
    let Some(rule) = &kept.rule else { return exec!(tx, DROP, org.as_str(), device_type).map(drop) };
    let weaker = kept.weaker.as_ref().and_then(|w| w.rule.as_ref()).map(super::plans::json).transpose()?;
    let from = kept.weaker.as_ref().map(|w| w.from.0);
    exec!(tx, KEEP, org.as_str(), device_type, super::plans::json(rule)?, weaker, from).map(drop)
}

/// Takes the rollout's row until the transaction ends; its generation, or none where there is no such rollout.
pub(in crate::rollouts) async fn hold(tx: &mut Tx, org: &OrgId, rollout: &RolloutId) -> Result<Option<i64>, Error> {
    Ok(row!(tx, (i64,), HOLD, org.as_str(), rollout.as_str())?.map(|r| r.0))
}

/// What a rollout is sent for approval with.
pub(in crate::rollouts) struct Asked<'a> {
    pub needed: u32,
    /// The rule with the names of its groups, JSON.
    pub rule: &'a str,
    pub electors: &'a [Elector],
    pub decide_by: Option<Timestamp>,
    pub at: Timestamp,
    /// Who sends it; none for somebody without an account.
    pub by: Option<&'a UserId>,
    pub by_name: &'a str,
}

/// Keeps with which rule this rollout was sent and who can approve it.
pub(in crate::rollouts) async fn ask(tx: &mut Tx, org: &OrgId, rollout: &RolloutId, asked: &Asked<'_>) -> Result<(), Error> {
    let (until, by) = (asked.decide_by.map(Timestamp::millis), asked.by.map_or("", |user| user.as_str()));
    exec!(tx, ASK, rollout.as_str(), i64::from(asked.needed), asked.rule, until, asked.at.0, by, asked.by_name)?;
    exec!(tx, DISMISS, rollout.as_str())?;
    for elector in asked.electors {
        exec!(tx, ELECT, rollout.as_str(), elector.user.as_str(), org.as_str(), super::plans::json(&elector.groups)?)?;
    }
    Ok(())
}

/// It may begin, until then and by this break glass.
pub(in crate::rollouts) async fn may_start(
    tx: &mut Tx,
    rollout: &RolloutId,
    start_by: Option<Timestamp>,
    glass: Option<&str>,
) -> Result<(), Error> {
    exec!(tx, MAY_START, rollout.as_str(), start_by.map(Timestamp::millis), glass).map(drop)
}

/// Makes every decision on a rollout worthless: it is a draft again.
pub(in crate::rollouts) async fn void(tx: &mut Tx, rollout: &RolloutId) -> Result<(), Error> {
    exec!(tx, VOID, rollout.as_str())?;
    exec!(tx, CLEAR, rollout.as_str())?;
    exec!(tx, DISMISS, rollout.as_str()).map(drop)
}

/// Who could approve it when it was sent.
pub(in crate::rollouts) async fn electors(on: &mut impl Conn, rollout: &RolloutId) -> Result<Vec<Elector>, Error> {
    let read = |(user, groups): (String, String)| {
        Ok(Elector { user: user.parse().map_err(Error::corrupt)?, groups: serde_json::from_str(&groups).map_err(Error::corrupt)? })
    };
    rows!(on, (String, String), ELECTED, rollout.as_str())?.into_iter().map(read).collect()
}

/// Requests that are over: by their time, or with their release.
pub(in crate::rollouts) async fn late(on: &mut impl Conn, now: Timestamp) -> Result<Vec<(OrgId, RolloutId)>, Error> {
    rows!(on, (String, String), LATE, now.0)?
        .into_iter()
        .map(|(org, id)| Ok((org.parse().map_err(Error::corrupt)?, id.parse().map_err(Error::corrupt)?)))
        .collect()
}
