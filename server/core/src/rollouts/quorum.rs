//! How many people beside the author have to say yes, and from which groups. Owns the organization's rules and how they change: what a rule asks for
//! more holds at once, what it asks for less a day later, so that nobody takes away the other pair of eyes and profits from that in one go. Who may
//! make accounts can still make themselves eyes for the next plan; that is in the audit log, and nowhere else. Refuses to decide on any rollout: each
//! keeps the rule that was in force when it was sent for approval.

use super::{
    Error, Rollouts,
    approval_standing::People,
    rule::{Kept, join, normal},
    store::quorum as store,
    validate::plain,
};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
    db::Conn,
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::OrgId,
    rollouts::{ApprovalRule, Lowered, MAX_APPROVALS, Quorum, RuleRow},
};

/// The rule for every rollout is the one of this device type.
pub(super) const EVERY: &str = "";

/// A rule as it is in force, and what will be.
async fn kept(on: &mut impl Conn, org: &OrgId, device_type: &str, now: Timestamp) -> Result<Kept> {
    let mut kept = store::rule(on, org, device_type).await?.at(now);
    if device_type == EVERY && kept.rule.is_none() {
        kept.rule = Some(ApprovalRule::plain(1));
    }
    Ok(kept)
}

/// What a rollout of this device type that is sent now has to have: all that the rule for every rollout and that for its type ask for.
pub(super) async fn rule_for(on: &mut impl Conn, org: &OrgId, device_type: &str, now: Timestamp) -> Result<ApprovalRule> {
    let every = kept(on, org, EVERY, now).await?.rule.unwrap_or_else(|| ApprovalRule::plain(1));
    let own = kept(on, org, device_type, now).await?.rule;
    Ok(own.map_or_else(|| normal(&every), |own| join(&every, &own)))
}

/// The rules as pages show them.
pub(super) async fn rows(on: &mut impl Conn, org: &OrgId, people: &People, now: Timestamp) -> Result<Vec<RuleRow>> {
    let mut all: Vec<(String, Kept)> = store::rules(on, org).await?.into_iter().filter(|(t, _)| t != EVERY).collect();
    all.insert(0, (EVERY.to_owned(), kept(on, org, EVERY, now).await?));
    let row = |(device_type, kept): (String, Kept)| {
        let Kept { rule, weaker } = kept.at(now);
        rule.map(|rule| RuleRow { unfulfillable: cant(&rule, people, now), device_type, rule, weaker })
    };
    Ok(all.into_iter().filter_map(row).collect())
}

/// Why the people there are can't fulfil a rule when one of them may be the author; none when they can.
fn cant(rule: &ApprovalRule, people: &People, now: Timestamp) -> Option<String> {
    let (admins, needed) = (people.admins.len(), rule.needed as usize);
    if admins <= needed {
        let approvals = if needed == 1 { "1 approval takes".to_owned() } else { format!("{needed} approvals take") };
        let there = if admins == 1 { "is 1".to_owned() } else { format!("are {admins}") };
        return Some(format!("{approvals} {} admins, because nobody approves their own rollout; there {there}.", needed + 1));
    }
    people.short_of(rule, &people.electors(rule, &[], now), "nobody")
}

fn quorum_of(kept: &Kept) -> Quorum {
    let needed = kept.rule.as_ref().map_or(1, |r| r.needed);
    let weaker = kept.weaker.as_ref().and_then(|w| w.rule.as_ref().map(|r| (r.needed, w.from)));
    Quorum { needed, lowered: weaker.filter(|(n, _)| *n < needed).map(|(needed, from)| Lowered { needed, from }) }
}

impl Rollouts {
    /// How many people beside its author have to approve a rollout that is sent for approval now, whatever its device type.
    pub async fn quorum(&self, actor: &Actor) -> Result<Quorum> {
        may(actor, Act::Read)?;
        Ok(quorum_of(&kept(&mut self.db.read().await?, &actor.org, EVERY, self.clock.now()).await?))
    }

    /// Asks for another number of people; which groups have to be among them stays as it is.
    pub async fn set_quorum(&self, actor: &Actor, needed: u32) -> Result<Quorum> {
        may(actor, Act::People)?;
        in_bounds(needed)?;
        let present = kept(&mut self.db.read().await?, &actor.org, EVERY, self.clock.now()).await?;
        let from = present.rule.map(|r| r.from).unwrap_or_default();
        if from.iter().map(|s| s.at_least).sum::<u32>() > needed {
            return Err(Error::invalid("needed", "The rule asks for more from its groups. Change these first.").into());
        }
        let kept = self.change_rule(actor, EVERY, Some(ApprovalRule { needed, from })).await?;
        Ok(quorum_of(&kept))
    }

    /// The rules, the one for every rollout first.
    pub async fn approval_rules(&self, actor: &Actor) -> Result<Vec<RuleRow>> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let people = People::read(&mut on, &actor.org).await?;
        rows(&mut on, &actor.org, &people, self.clock.now()).await
    }

    /// Asks for another rule: for every rollout (an empty device type), or for those of one device type beside it. What it asks for more holds at once,
    /// as long as there are people to fulfil it; what it asks for less a day later, and until then anybody who may ask takes that back by asking for the
    /// present rule. Rollouts that wait keep theirs.
    pub async fn set_rule(&self, actor: &Actor, device_type: &str, rule: ApprovalRule) -> Result<Vec<RuleRow>> {
        may(actor, Act::People)?;
        in_bounds(rule.needed)?;
        let mut groups: Vec<_> = rule.from.iter().map(|s| &s.group).collect();
        groups.sort();
        groups.dedup();
        if groups.len() < rule.from.len() || rule.from.iter().any(|s| s.at_least == 0) {
            return Err(Error::invalid("from", "Name each group once, with at least one approval.").into());
        }
        if rule.from.iter().map(|s| u64::from(s.at_least)).sum::<u64>() > u64::from(rule.needed) {
            return Err(Error::invalid("needed", "The groups ask for more than that together. Each approval stands for one group.").into());
        }
        let device_type = device_type.trim();
        if device_type.chars().count() > 100 || !plain(device_type) {
            return Err(Error::invalid("device_type", "Use at most 100 characters, on one line and without control characters.").into());
        }
        self.change_rule(actor, device_type, Some(normal(&rule))).await?;
        self.approval_rules(actor).await
    }

    /// Asks for no rule of its own for a device type any more; it ends a day later.
    pub async fn drop_rule(&self, actor: &Actor, device_type: &str) -> Result<Vec<RuleRow>> {
        may(actor, Act::People)?;
        if device_type.trim() == EVERY {
            return Err(Error::NotNow("There is always a rule for every rollout. Ask for one approval instead.".to_owned()).into());
        }
        self.change_rule(actor, device_type.trim(), None).await?;
        self.approval_rules(actor).await
    }

    async fn change_rule(&self, actor: &Actor, device_type: &str, rule: Option<ApprovalRule>) -> Result<Kept> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Of two who ask at once the second sees what the first has asked.
        audit::hold(&mut tx, &actor.org).await?;
        let before = kept(&mut tx, &actor.org, device_type, now).await?;
        if before.rule.is_none() && rule.is_none() {
            return Err(Error::NotFound("rule").into());
        }
        let people = People::read(&mut tx, &actor.org).await?;
        if let Some(share) = rule.iter().flat_map(|r| &r.from).find(|s| !people.groups.iter().any(|g| g.id == s.group)) {
            return Err(Error::invalid("from", format!("There is no group {} here.", share.group)).into());
        }
        let after = before.asked(rule, now);
        if after == before {
            return Ok(after);
        }
        // A rule that asks for no more than before may stay as unfulfillable as it is: that is how one gets out of it.
        if after.rule != before.rule
            && let Some(why) = after.rule.as_ref().and_then(|rule| cant(rule, &people, now))
        {
            return Err(Error::NotNow(why).into());
        }
        store::keep(&mut tx, &actor.org, device_type, &after).await?;
        let told = |k: &Kept| json!({ "rule": k.rule, "weaker": k.weaker });
        let detail = json!({ "device_type": device_type, "before": told(&before), "after": told(&after) });
        audit::append(&mut tx, actor, now, "rollout.approvals_needed", actor.org.as_str(), &detail).await?;
        tx.commit().await?;
        Ok(after)
    }
}

fn in_bounds(needed: u32) -> Result<()> {
    if (1..=MAX_APPROVALS).contains(&needed) {
        return Ok(());
    }
    Err(Error::invalid("needed", format!("Choose a number from 1 to {MAX_APPROVALS}.")).into())
}
