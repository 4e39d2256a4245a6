//! Whose approval counts. Owns the answer: people who could approve when the plan was sent, and still can. Refuses to decide on a plan, and to change
//! a rule.
//!
//! Who is made an admin, or put into a group, after a plan was sent does not count for that plan: otherwise its author's friends could be made its
//! approvers once it is known who is missing. Its author sends it again when others are to decide.

use super::{
    Error,
    rule::{Tally, tally},
    store::{
        approvers::{self, Group, Member},
        lists,
        quorum::{self, Elector},
        records::Record,
    },
};
use crate::{Result, access, db::Conn};
use serde::{Deserialize, Serialize};
use wire::{
    Timestamp,
    ids::{ApproverGroupId, OrgId, UserId},
    rollouts::{ApprovalRow, ApprovalRule, ApprovalStanding, Share, ShareStanding},
};

/// The people of an organization as rules see them.
pub(super) struct People {
    /// Those who may approve at all, by their names.
    pub admins: Vec<(UserId, String)>,
    pub groups: Vec<Group>,
    pub members: Vec<Member>,
}

impl People {
    /// As they are now.
    pub(super) async fn read(on: &mut impl Conn, org: &OrgId) -> Result<Self> {
        let (groups, members) = (approvers::groups(on, org).await?, approvers::members(on, org).await?);
        Ok(Self { admins: access::admins(on, org).await?, groups, members })
    }

    /// Whether this person counts for a group at this instant, apart from whether they may approve.
    fn in_group(&self, user: &UserId, group: &ApproverGroupId, now: Timestamp) -> bool {
        self.members.iter().any(|m| m.user == *user && m.group == *group && m.counts_from <= now)
    }

    /// Who can approve a plan by this rule that these have written or sent.
    pub(super) fn electors(&self, rule: &ApprovalRule, barred: &[UserId], now: Timestamp) -> Vec<Elector> {
        let groups =
            |user: &UserId| rule.from.iter().filter(|s| self.in_group(user, &s.group, now)).map(|s| s.group.clone()).collect::<Vec<_>>();
        let others = self.admins.iter().filter(|(user, _)| !barred.contains(user));
        others.map(|(user, _)| Elector { user: user.clone(), groups: groups(user) }).collect()
    }

    /// What a group is called.
    pub(super) fn name(&self, group: &ApproverGroupId) -> &str {
        self.groups.iter().find(|g| g.id == *group).map_or("a group that is gone", |g| g.name.as_str())
    }

    /// Why these people can't fulfil the rule; none when they can. `beside` says beside whom they are counted.
    pub(super) fn short_of(&self, rule: &ApprovalRule, electors: &[Elector], beside: &str) -> Option<String> {
        (tally_of(rule, electors.iter()).missing > 0).then(|| {
            let asked = Asked::of(rule, self);
            let in_groups: Vec<String> = asked
                .from
                .iter()
                .map(|s| format!(", {} of them in {}", electors.iter().filter(|e| e.groups.contains(&s.group)).count(), s.name))
                .collect();
            let there = counted(electors.len(), "admin", "admins");
            let are = if electors.len() == 1 { "is" } else { "are" };
            format!("It needs {}; beside {beside} there {are} {there}{}.", asked.words(), in_groups.concat())
        })
    }
}

fn counted(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// How far these people fulfil the rule.
pub(super) fn tally_of<'a>(rule: &ApprovalRule, people: impl Iterator<Item = &'a Elector>) -> Tally {
    let groups: Vec<&[ApproverGroupId]> = people.map(|e| e.groups.as_slice()).collect();
    tally(rule, &groups)
}

/// A rule as it is kept with a rollout: with what its groups were called then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    needed: u32,
    from: Vec<AskedShare>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct AskedShare {
    group: ApproverGroupId,
    name: String,
    at_least: u32,
}

impl Asked {
    /// A rule with the names of its groups.
    pub(super) fn of(rule: &ApprovalRule, people: &People) -> Self {
        let named = |s: &Share| AskedShare { group: s.group.clone(), name: people.name(&s.group).to_owned(), at_least: s.at_least };
        Self { needed: rule.needed, from: rule.from.iter().map(named).collect() }
    }

    fn rule(&self) -> ApprovalRule {
        let share = |s: &AskedShare| Share { group: s.group.clone(), at_least: s.at_least };
        ApprovalRule { needed: self.needed, from: self.from.iter().map(share).collect() }
    }

    /// How far its groups' parts are, by how many stand for each.
    fn shares(&self, given: &[u32]) -> Vec<ShareStanding> {
        let share = |(s, given): (&AskedShare, &u32)| ShareStanding {
            group: s.group.clone(),
            name: s.name.clone(),
            at_least: s.at_least,
            given: *given,
        };
        self.from.iter().zip(given).map(share).collect()
    }

    /// How it stands before anybody was asked.
    pub(super) fn unasked(&self) -> ApprovalStanding {
        let Tally { given, missing, from } = tally_of(&self.rule(), std::iter::empty());
        ApprovalStanding { needed: self.needed, given, missing, from: self.shares(&from), decide_by: None, stuck: None }
    }

    /// In words: `2 approvals, 1 of them by safety`.
    pub(super) fn words(&self) -> String {
        let of: Vec<String> = self.from.iter().map(|s| format!(", {} of them by {}", s.at_least, s.name)).collect();
        format!("{}{}", counted(self.needed as usize, "approval", "approvals"), of.concat())
    }
}

/// How a rollout's approval stands.
pub(super) struct Standing {
    asked: Asked,
    rule: ApprovalRule,
    /// Who could approve it when it was sent.
    then: Vec<Elector>,
    /// Those of them who still can, with the groups that they still count for.
    now: Vec<Elector>,
    /// Who has approved the plan as it is; each person once.
    given: Vec<UserId>,
    decide_by: Option<Timestamp>,
}

impl Standing {
    /// Of the rollout as it was read.
    pub(super) async fn read(on: &mut impl Conn, record: &Record, now: Timestamp) -> Result<Self> {
        let asked = match &record.rule {
            Some(rule) => serde_json::from_str(rule).map_err(crate::db::Error::corrupt)?,
            None => Asked { needed: record.needed, from: Vec::new() },
        };
        let people = People::read(on, &record.org).await?;
        let then = quorum::electors(on, &record.id).await?;
        let still = |e: &&Elector| people.admins.iter().any(|(user, _)| *user == e.user);
        let narrowed = |e: &Elector| {
            let groups = e.groups.iter().filter(|g| people.in_group(&e.user, g, now)).cloned().collect();
            Elector { user: e.user.clone(), groups }
        };
        let still: Vec<Elector> = then.iter().filter(still).map(narrowed).collect();
        let mut given: Vec<UserId> =
            lists::decisions(on, &record.id).await?.into_iter().filter(|d| d.approved && !d.void).map(|d| d.by).collect();
        given.sort();
        given.dedup();
        Ok(Self { rule: asked.rule(), asked, then, now: still, given, decide_by: record.decide_by })
    }

    /// How far it is now, or with one more person's approval.
    pub(super) fn tally(&self, with: Option<&UserId>) -> Tally {
        tally_of(&self.rule, self.now.iter().filter(|e| self.given.contains(&e.user) || with == Some(&e.user)))
    }

    /// Whether the person has approved it.
    pub(super) fn approved_by(&self, user: &UserId) -> bool {
        self.given.contains(user)
    }

    /// Why this person's approval would not count; none when it would.
    pub(super) fn not_of(&self, user: &UserId) -> Option<Error> {
        let why = if self.now.iter().any(|e| e.user == *user) {
            return None;
        } else if self.then.iter().any(|e| e.user == *user) {
            "You are not an admin any more.".to_owned()
        } else {
            "You became an admin after it was sent for approval, so your approval does not count for it. Its author can send it again: save it, and send it for approval.".to_owned()
        };
        Some(Error::NotNow(why))
    }

    /// Says of each approval that is not void why it does not count.
    pub(super) fn mark(&self, rows: &mut [ApprovalRow]) {
        for row in rows.iter_mut().filter(|r| r.approved && !r.void && !self.now.iter().any(|e| e.user == r.by)) {
            let why =
                if self.then.iter().any(|e| e.user == row.by) { "not an admin any more" } else { "could not approve when it was sent" };
            row.uncounted = Some(why.to_owned());
        }
    }

    /// As pages show it.
    pub(super) fn view(&self) -> ApprovalStanding {
        let tally = self.tally(None);
        let stuck = (tally_of(&self.rule, self.now.iter()).missing > 0).then(|| {
            format!(
                "The people who could approve it when it was sent, and still can, are too few for {}. Its author can send it again.",
                self.asked.words()
            )
        });
        ApprovalStanding {
            needed: self.rule.needed,
            given: tally.given,
            missing: tally.missing,
            from: self.asked.shares(&tally.from),
            decide_by: self.decide_by,
            stuck,
        }
    }
}
