//! Who has to approve: groups of people, the rules that name them, how far an approval is, and for how long it is waited for and holds.

use crate::{
    Timestamp,
    ids::{ApproverGroupId, UserId},
};
use serde::{Deserialize, Serialize};

/// Most groups of approvers of an organization.
pub const MAX_APPROVER_GROUPS: usize = 50;
/// Most days for which an approval is waited for, and for which it holds.
pub const MAX_APPROVAL_DAYS: u32 = 365;
/// Most hours in which a broken glass is to be reviewed.
pub const MAX_REVIEW_HOURS: u32 = 720;
/// How many people review a broken glass.
pub const GLASS_REVIEWS: u32 = 2;

/// People who approve, put together under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApproverGroup {
    /// Its id.
    pub id: ApproverGroupId,
    /// What people call it.
    pub name: String,
    /// Who is in it, by their names.
    pub members: Vec<ApproverMember>,
    /// Whether a rule names it: then a new member counts a day later, and it can't be deleted.
    pub named: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

/// A person of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApproverMember {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// From when on they count for the group.
    pub counts_from: Timestamp,
    /// Whether they may approve at all: an admin who is not switched off. Others stay in the group and don't count.
    pub approves: bool,
}

/// A group as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewApproverGroup {
    /// What people call it, 1 to 100 characters.
    pub name: String,
    /// Who is in it.
    #[serde(default)]
    pub members: Vec<UserId>,
}

/// Who is in a group from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ApproverMembers {
    /// All of them; who is not here any more is taken out.
    pub members: Vec<UserId>,
}

/// How many approvals it takes, and how many of these from which groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ApprovalRule {
    /// So many people in all, none of them the author.
    pub needed: u32,
    /// So many of them from each of these groups. An approval stands for one group at most, whatever groups its person is in.
    #[serde(default)]
    pub from: Vec<Share>,
}

impl ApprovalRule {
    /// So many people, whoever they are.
    pub const fn plain(needed: u32) -> Self {
        Self { needed, from: Vec::new() }
    }
}

/// A group's part in a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The group.
    pub group: ApproverGroupId,
    /// So many approvals from it.
    pub at_least: u32,
}

/// A rule of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleRow {
    /// For rollouts of this device type, beside the rule for all; empty for every rollout.
    pub device_type: String,
    /// What holds.
    pub rule: ApprovalRule,
    /// What takes its place; none when nothing does.
    pub weaker: Option<WeakerRule>,
    /// Why the people there are can't fulfil it, whoever the author is; none when they can.
    pub unfulfillable: Option<String>,
}

/// A weaker rule that does not hold yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WeakerRule {
    /// The rule; none when there is none any more for this device type.
    pub rule: Option<ApprovalRule>,
    /// From when on it holds.
    pub from: Timestamp,
}

/// How far the approval of a rollout is. The rule is the one that it was sent with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalStanding {
    /// So many people in all.
    pub needed: u32,
    /// Approvals that count now: of people who could approve when it was sent, and still can.
    pub given: u32,
    /// Approvals that are missing.
    pub missing: u32,
    /// The groups of the rule.
    pub from: Vec<ShareStanding>,
    /// Until when it is decided on; none is for ever. A request that expires is a draft again.
    pub decide_by: Option<Timestamp>,
    /// Why the people who are left can't fulfil the rule any more; none when they can.
    pub stuck: Option<String>,
}

/// How far a group's part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShareStanding {
    /// The group.
    pub group: ApproverGroupId,
    /// What it was called when it was sent.
    pub name: String,
    /// So many approvals from it.
    pub at_least: u32,
    /// Approvals that stand for it now.
    pub given: u32,
}

/// How many approvals there are of how many it takes, and of which groups some are missing all the same: `2 of 2, missing 1 of safety`.
pub fn approvals_of(given: u32, needed: u32, from: &[ShareStanding]) -> String {
    let lacking = from.iter().filter(|s| s.given < s.at_least);
    let of: Vec<String> = lacking.map(|s| format!(", missing {} of {}", s.at_least - s.given, s.name)).collect();
    format!("{given} of {needed}{}", of.concat())
}

/// Which approval a draft takes when it is sent now, by the rule that is in force and the people there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalAhead {
    /// So many people in all, none of them the author.
    pub needed: u32,
    /// The groups of the rule.
    pub from: Vec<ShareAhead>,
    /// How many people's approvals would count.
    pub people: u32,
    /// The first 50 of them.
    pub approvers: Vec<ApproverAhead>,
    /// Why they are too few, so that the plan can't be sent, and what to do; none when they are enough.
    pub unfulfillable: Option<String>,
}

/// A group's part in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShareAhead {
    /// What the group is called.
    pub name: String,
    /// So many approvals from it.
    pub at_least: u32,
    /// How many of those who count are in it.
    pub people: u32,
}

/// Somebody whose approval would count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApproverAhead {
    /// Their name.
    pub name: String,
    /// The groups of the rule that they count for, by their names.
    pub groups: Vec<String>,
}

/// For how long approvals are waited for and hold, and whether they can be gone without in an emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalTerms {
    /// A request that is not decided within so many days is a draft again; 0 is never.
    pub request_days: u32,
    /// A rollout that has not begun within so many days of its approval is a draft again; 0 is never.
    pub start_days: u32,
    /// A broken glass that is not reviewed within so many hours is overdue.
    pub review_hours: u32,
    /// Whether an admin may start a rollout without its approvals.
    pub break_glass: bool,
    /// From when on they may, where that is still to come.
    pub break_glass_from: Option<Timestamp>,
}

/// The same, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewApprovalTerms {
    /// Days, 0 to 365; 0 is never.
    pub request_days: u32,
    /// Days, 0 to 365; 0 is never.
    pub start_days: u32,
    /// Hours, 1 to 720.
    pub review_hours: u32,
    /// Switching it on counts a day later, switching it off at once.
    pub break_glass: bool,
    /// As it was read, so that what was read may be sent back: it is not chosen, and what was asked for stays so. Left out, `break_glass` alone counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass_from: Option<Timestamp>,
}

/// Somebody who can be put into a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approver {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_approvals_may_still_lack_those_of_a_group() {
        let group: ApproverGroupId = "apg_00000000000000000000000000000000".parse().unwrap();
        let share = |given| ShareStanding { group: group.clone(), name: "safety".into(), at_least: 1, given };
        assert_eq!(approvals_of(2, 2, &[share(0)]), "2 of 2, missing 1 of safety");
        assert_eq!((approvals_of(2, 2, &[share(1)]), approvals_of(0, 1, &[])), ("2 of 2".to_owned(), "0 of 1".to_owned()));
    }
}
