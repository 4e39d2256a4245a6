//! Pure: what a rule of approval asks for, which of two asks for less, and how far the approvals that were given fulfil one.

use wire::{
    Timestamp,
    ids::ApproverGroupId,
    rollouts::{ApprovalRule, Share, WeakerRule},
};

/// How long it is known before it counts that fewer eyes are enough, or other ones: a day.
pub const NOTICE_MS: i64 = 24 * 3_600_000;

/// A rule as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// What holds; none where nothing is asked.
    pub rule: Option<ApprovalRule>,
    /// What takes its place.
    pub weaker: Option<WeakerRule>,
}

impl Kept {
    /// What is in force at this instant, and what will be.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        match self.weaker {
            Some(WeakerRule { rule, from }) if from <= now => Self { rule, weaker: None },
            _ => self,
        }
    }

    /// What is kept once somebody has asked for this rule. Whatever it asks for more holds at once, whatever it asks for less a day later. The
    /// present rule takes a weaker one back.
    #[must_use]
    pub fn asked(&self, rule: Option<ApprovalRule>, now: Timestamp) -> Self {
        let until_then = match (&self.rule, &rule) {
            (Some(present), Some(asked)) => Some(join(present, asked)),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let weaker = (until_then != rule).then(|| WeakerRule { rule, from: now.plus(NOTICE_MS) });
        Self { rule: until_then, weaker }
    }
}

/// The rule in its one form: its groups in order, each once, and none that asks for nothing.
pub fn normal(rule: &ApprovalRule) -> ApprovalRule {
    join(rule, &ApprovalRule::plain(0))
}

/// The rule that asks for all that either asks for.
pub fn join(one: &ApprovalRule, other: &ApprovalRule) -> ApprovalRule {
    let mut from: Vec<Share> = Vec::new();
    for share in one.from.iter().chain(&other.from).filter(|s| s.at_least > 0) {
        match from.iter_mut().find(|s| s.group == share.group) {
            Some(known) => known.at_least = known.at_least.max(share.at_least),
            None => from.push(share.clone()),
        }
    }
    from.sort();
    let of_groups = from.iter().map(|s| s.at_least).sum();
    ApprovalRule { needed: one.needed.max(other.needed).max(of_groups), from }
}

/// How far a rule is fulfilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// People.
    pub given: u32,
    /// How many more it takes.
    pub missing: u32,
    /// How many stand for each group of the rule, in its order.
    pub from: Vec<u32>,
}

/// How far these people fulfil the rule: each is one entry with the groups that they are in. A person counts once, and stands for one group at most;
/// which one is chosen so that the fewest are missing.
pub fn tally(rule: &ApprovalRule, people: &[&[ApproverGroupId]]) -> Tally {
    // One seat for each approval that a group owes, and who sits there.
    let mut seats: Vec<(usize, Option<usize>)> = Vec::new();
    for (i, share) in rule.from.iter().enumerate() {
        seats.extend((0..share.at_least).map(|_| (i, None)));
    }
    for person in 0..people.len() {
        seat(rule, people, person, &mut seats, &mut vec![false; rule.from.len()]);
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let seated = seats.iter().filter(|(_, by)| by.is_some()).count();
    let anybody = rule.needed.saturating_sub(count(seats.len()));
    let others = count(people.len() - seated);
    let from = (0..rule.from.len()).map(|i| count(seats.iter().filter(|(group, by)| *group == i && by.is_some()).count())).collect();
    Tally { given: count(people.len()), missing: count(seats.len() - seated) + anybody.saturating_sub(others), from }
}

/// Finds a seat for somebody; whoever sits there may move to another one of theirs.
fn seat(
    rule: &ApprovalRule,
    people: &[&[ApproverGroupId]],
    person: usize,
    seats: &mut [(usize, Option<usize>)],
    tried: &mut [bool],
) -> bool {
    for (group, share) in rule.from.iter().enumerate() {
        if tried[group] || !people[person].contains(&share.group) {
            continue;
        }
        tried[group] = true;
        for at in 0..seats.len() {
            if seats[at].0 != group {
                continue;
            }
            let free = seats[at].1.is_none_or(|sits| seat(rule, people, sits, seats, tried));
            if free {
                seats[at].1 = Some(person);
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn group(n: u8) -> ApproverGroupId {
        format!("apg_{n:032x}").parse().unwrap()
    }

    fn rule(needed: u32, from: &[(u8, u32)]) -> ApprovalRule {
        ApprovalRule { needed, from: from.iter().map(|(g, n)| Share { group: group(*g), at_least: *n }).collect() }
    }

    fn missing(rule: &ApprovalRule, people: &[&[u8]]) -> u32 {
        let people: Vec<Vec<ApproverGroupId>> = people.iter().map(|groups| groups.iter().map(|g| group(*g)).collect()).collect();
        let people: Vec<&[ApproverGroupId]> = people.iter().map(Vec::as_slice).collect();
        tally(rule, &people).missing
    }

    #[test]
    fn more_holds_at_once_and_less_a_day_later() {
        let kept = |rule: ApprovalRule| Kept { rule: Some(rule), weaker: None };
        let one = kept(ApprovalRule::plain(1));
        assert_eq!(one.asked(Some(ApprovalRule::plain(3)), NOW), kept(ApprovalRule::plain(3)));
        let falling = kept(ApprovalRule::plain(3)).asked(Some(ApprovalRule::plain(1)), NOW);
        assert_eq!(falling.rule, Some(ApprovalRule::plain(3)));
        assert_eq!(falling.clone().at(NOW.plus(NOTICE_MS - 1)), falling);
        assert_eq!(falling.clone().at(NOW.plus(NOTICE_MS)), one);
        assert_eq!(falling.asked(Some(ApprovalRule::plain(3)), NOW).weaker, None, "the present rule takes it back");
        assert_eq!(falling.asked(Some(ApprovalRule::plain(2)), NOW.plus(5)).weaker.unwrap().from, NOW.plus(NOTICE_MS + 5));
        // More people and no group any more: the people at once, the group stays for a day.
        let mixed = kept(rule(2, &[(1, 1)])).asked(Some(ApprovalRule::plain(3)), NOW);
        assert_eq!(mixed.rule, Some(rule(3, &[(1, 1)])));
        assert_eq!(mixed.weaker.unwrap().rule, Some(ApprovalRule::plain(3)));
        // Another group in the place of one: both for a day.
        let both = kept(rule(1, &[(1, 1)])).asked(Some(rule(1, &[(2, 1)])), NOW);
        assert_eq!(both.rule, Some(rule(2, &[(1, 1), (2, 1)])));
        // None at all.
        let gone = kept(rule(2, &[])).asked(None, NOW);
        assert_eq!((gone.rule.clone(), gone.at(NOW.plus(NOTICE_MS))), (Some(rule(2, &[])), Kept::default()));
        assert_eq!(Kept::default().asked(Some(rule(2, &[])), NOW), kept(rule(2, &[])));
    }

    #[test]
    fn a_person_counts_once_and_for_one_group() {
        let two = rule(2, &[(1, 1)]);
        assert_eq!(missing(&two, &[]), 2);
        assert_eq!(missing(&two, &[&[]]), 1);
        assert_eq!(missing(&two, &[&[], &[]]), 1, "somebody of the group is still to come");
        assert_eq!(missing(&two, &[&[1]]), 1, "who is in the group is one of two");
        assert_eq!(missing(&two, &[&[1], &[]]), 0);
        let apart = rule(2, &[(1, 1), (2, 1)]);
        assert_eq!(missing(&apart, &[&[1, 2]]), 1, "in both groups, and one person all the same");
        assert_eq!(missing(&apart, &[&[1, 2], &[]]), 1, "who stands for one group does not stand for the other");
        assert_eq!(missing(&apart, &[&[1, 2], &[1]]), 0, "the first moves over to the group that is left");
        assert_eq!(missing(&rule(3, &[(1, 2)]), &[&[1], &[], &[1]]), 0);
    }

    #[test]
    fn the_form_of_a_rule_is_one() {
        assert_eq!(normal(&rule(1, &[(2, 1), (1, 0), (2, 2)])), rule(2, &[(2, 2)]));
    }

    /// What [`tally`] says, by trying every way of giving people to groups.
    fn by_trying(rule: &ApprovalRule, people: &[Vec<u8>]) -> u32 {
        fn best(rule: &ApprovalRule, people: &[Vec<u8>], left: &mut Vec<u32>, free: u32) -> u32 {
            let Some((first, rest)) = people.split_first() else { return left.iter().sum::<u32>() + free };
            let mut least = best(rule, rest, left, free.saturating_sub(1));
            for (i, share) in rule.from.iter().enumerate() {
                if left[i] > 0 && first.iter().any(|g| group(*g) == share.group) {
                    left[i] -= 1;
                    least = least.min(best(rule, rest, left, free));
                    left[i] += 1;
                }
            }
            least
        }
        let mut left: Vec<u32> = rule.from.iter().map(|s| s.at_least).collect();
        let free = rule.needed.saturating_sub(left.iter().sum());
        best(rule, people, &mut left, free)
    }

    proptest! {
        #[test]
        fn as_few_are_missing_as_can_be(
            needed in 0u32..6, shares in proptest::collection::vec(0u32..3, 3), people in proptest::collection::vec(proptest::collection::vec(0u8..3, 0..3), 0..6)
        ) {
            let shares: Vec<(u8, u32)> = (0u8..).zip(shares).collect();
            let rule = normal(&rule(needed, &shares));
            let named: Vec<&[u8]> = people.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(missing(&rule, &named), by_trying(&rule, &people));
        }

        #[test]
        fn nothing_weaker_holds_before_its_day(needed in 1u32..6, share in 0u32..3, asked in 1u32..6, other in 0u32..3) {
            let present = normal(&rule(needed, &[(1, share)]));
            let wanted = normal(&rule(asked, &[(1, other), (2, 1)]));
            let kept = Kept { rule: Some(present.clone()), weaker: None }.asked(Some(wanted.clone()), NOW);
            let now = kept.rule.clone().unwrap();
            prop_assert_eq!(join(&now, &present), now.clone(), "all of the present rule");
            prop_assert_eq!(join(&now, &wanted), now, "and all of the new one");
            prop_assert_eq!(kept.at(NOW.plus(NOTICE_MS)).rule, Some(wanted));
        }
    }
}
