//! Which approval a plan takes when it is sent now: by how many, of which groups, who may count, and whether those are enough. It is asked when a plan is
//! sent and shown before, so what was shown is what is asked for.

use super::{
    approval_standing::{Asked, People},
    quorum::rule_for,
    store::{quorum::Elector, records::Record},
};
use crate::{Result, db::Conn};
use wire::{
    Timestamp,
    ids::UserId,
    rollouts::{ApprovalAhead, ApprovalRule, ApproverAhead, Share, ShareAhead},
};

/// People that are named at most.
const NAMED: usize = 50;

/// What is asked for when a plan is sent.
pub(super) struct Ahead {
    /// The rule that is in force.
    pub rule: ApprovalRule,
    /// The same as it is kept with a rollout.
    pub asked: Asked,
    /// Who can approve the plan.
    pub electors: Vec<Elector>,
    /// Why they are too few; none when they are not.
    pub short: Option<String>,
    people: People,
}

impl Ahead {
    /// For a rollout, as people and rules are now, when this person sends it.
    pub(super) async fn read(on: &mut impl Conn, record: &Record, sender: Option<&UserId>, now: Timestamp) -> Result<Self> {
        let rule = rule_for(on, &record.org, &record.device_type, now).await?;
        Ok(Self::of(rule, People::read(on, &record.org).await?, &record.barred(sender), now))
    }

    /// Pure: of this rule, among these people, for a plan that these have written or send.
    pub(super) fn of(rule: ApprovalRule, people: People, barred: &[UserId], now: Timestamp) -> Self {
        let electors = people.electors(&rule, barred, now);
        let beside = if barred.len() > 1 { "those who wrote or send it" } else { "its author" };
        let short = people.short_of(&rule, &electors, beside).map(|why| format!("{why} Add an admin first, or ask for another rule."));
        Self { asked: Asked::of(&rule, &people), rule, electors, short, people }
    }

    /// As pages show it.
    pub(super) fn view(&self) -> ApprovalAhead {
        let known = |e: &Elector| self.people.admins.iter().find(|(user, _)| *user == e.user);
        let name = |e: &Elector| known(e).map_or_else(String::new, |(_, name)| name.clone());
        let groups = |e: &Elector| e.groups.iter().map(|g| self.people.name(g).to_owned()).collect();
        let share = |s: &Share| ShareAhead {
            name: self.people.name(&s.group).to_owned(),
            at_least: s.at_least,
            people: u32::try_from(self.electors.iter().filter(|e| e.groups.contains(&s.group)).count()).unwrap_or(u32::MAX),
        };
        ApprovalAhead {
            needed: self.rule.needed,
            from: self.rule.from.iter().map(share).collect(),
            people: u32::try_from(self.electors.len()).unwrap_or(u32::MAX),
            approvers: self.electors.iter().take(NAMED).map(|e| ApproverAhead { name: name(e), groups: groups(e) }).collect(),
            unfulfillable: self.short.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::store::approvers::{Group, Member};
    use wire::ids::ApproverGroupId;

    fn user(n: u32) -> UserId {
        format!("usr_{n:032x}").parse().unwrap()
    }

    fn group(n: u32) -> ApproverGroupId {
        format!("apg_{n:032x}").parse().unwrap()
    }

    /// Four admins; the second is in the group, the third from tomorrow on, and somebody who is no admin is in it too.
    fn people() -> People {
        let member = |n, counts_from| Member { group: group(1), user: user(n), counts_from: Timestamp(counts_from) };
        People {
            admins: (1..=4).map(|n| (user(n), format!("admin {n}"))).collect(),
            groups: vec![Group { id: group(1), name: "safety".into(), created_at: Timestamp(0), created_by: String::new() }],
            members: vec![member(2, 0), member(3, 1000), member(9, 0)],
        }
    }

    #[test]
    fn it_is_shown_who_may_count_and_what_is_missing() {
        let rule = |needed, at_least| ApprovalRule { needed, from: vec![Share { group: group(1), at_least }] };
        let ahead = |rule, barred: &[UserId], now| Ahead::of(rule, people(), barred, Timestamp(now)).view();
        let shown = ahead(rule(2, 1), &[user(1)], 0);
        assert_eq!((shown.needed, shown.people, shown.unfulfillable.clone()), (2, 3, None));
        assert_eq!(shown.from, [ShareAhead { name: "safety".into(), at_least: 1, people: 1 }]);
        let names: Vec<_> = shown.approvers.iter().map(|a| (a.name.as_str(), a.groups.len())).collect();
        assert_eq!(names, [("admin 2", 1), ("admin 3", 0), ("admin 4", 0)], "the author never, a new member from tomorrow on");

        // The only one of the group wrote it; tomorrow there is another one.
        let why = ahead(rule(2, 1), &[user(2)], 0).unfulfillable.unwrap();
        assert!(why.contains("2 approvals, 1 of them by safety") && why.contains("0 of them in safety"), "{why}");
        assert_eq!(ahead(rule(2, 1), &[user(2)], 1000).unfulfillable, None);
        assert!(ahead(ApprovalRule::plain(4), &[user(1)], 0).unfulfillable.is_some(), "three are not four");
        assert_eq!(ahead(ApprovalRule::plain(1), &[], 0).people, 4, "a plan by the shell has no author among them");
        let why = ahead(ApprovalRule::plain(3), &[user(1), user(4)], 0).unfulfillable.unwrap();
        assert!(why.contains("beside those who wrote or send it there are 2 admins"), "{why}");
    }
}
