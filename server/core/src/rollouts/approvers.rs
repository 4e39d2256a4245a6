//! Groups of approvers. Owns who is in which; refuses to know what a rule asks of them.
//!
//! Who is put into a group that a rule names counts for it a day later: otherwise whoever may change groups could put themselves in and be the very
//! person that the rule asks for. Who is taken out does not count any more at once, also for plans that wait.

use super::{
    Error, Rollouts,
    approval_standing::People,
    rule::NOTICE_MS,
    store::{
        approvers::{self as store, Group, Member},
        quorum as rules,
    },
    validate::{MAX_NAME, plain},
};
use crate::{
    Result,
    access::{self, Act, Actor, audit, may},
    db::{Conn, Tx},
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{ApproverGroupId, OrgId, UserId},
    rollouts::{Approver, ApproverGroup, ApproverMember, MAX_APPROVER_GROUPS, NewApproverGroup},
};

/// Most members of a group.
const MOST: usize = 200;

impl Rollouts {
    /// The groups, by their names.
    pub async fn approver_groups(&self, actor: &Actor) -> Result<Vec<ApproverGroup>> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let people = People::read(&mut on, &actor.org).await?;
        groups(&mut on, &actor.org, &people).await
    }

    /// Makes a group. No rule names it yet, so its members count at once.
    pub async fn create_approver_group(&self, actor: &Actor, new: NewApproverGroup) -> Result<ApproverGroup> {
        may(actor, Act::People)?;
        let now = self.clock.now();
        let name = new.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > MAX_NAME || !plain(&name) {
            return Err(Error::invalid(
                "name",
                "Give the group a name of 1 to 100 characters, on one line and without control characters.",
            )
            .into());
        }
        let group = Group { id: self.entropy.id(now), name, created_at: now, created_by: actor.label() };
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        if store::groups(&mut tx, &actor.org).await?.len() >= MAX_APPROVER_GROUPS {
            let why = format!("There are {MAX_APPROVER_GROUPS} groups of approvers, and no more are kept. Delete one.");
            return Err(Error::invalid("name", why).into());
        }
        if !store::add(&mut tx, &actor.org, &group).await? {
            return Err(Error::invalid("name", format!("There is a group {:?} already.", group.name)).into());
        }
        let names = change(&mut tx, actor, &group.id, &new.members, now).await?;
        let detail = json!({ "group": group.name, "in": names.0 });
        audit::append(&mut tx, actor, now, "approver_group.create", group.id.as_str(), &detail).await?;
        let shown = one(&mut tx, &actor.org, &group.id).await?;
        tx.commit().await?;
        Ok(shown)
    }

    /// Says who is in a group from now on. Who is new counts a day later where a rule names the group; who is not named any more is out at once.
    pub async fn set_approvers(&self, actor: &Actor, id: &ApproverGroupId, members: &[UserId]) -> Result<ApproverGroup> {
        may(actor, Act::People)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        let group = store::group(&mut tx, &actor.org, id).await?.ok_or(Error::NotFound("group of approvers"))?;
        let (entered, left) = change(&mut tx, actor, id, members, now).await?;
        if !entered.is_empty() || !left.is_empty() {
            let detail = json!({ "group": group.name, "in": entered, "out": left });
            audit::append(&mut tx, actor, now, "approver_group.members", id.as_str(), &detail).await?;
        }
        let shown = one(&mut tx, &actor.org, id).await?;
        tx.commit().await?;
        Ok(shown)
    }

    /// Deletes a group that no rule names.
    pub async fn delete_approver_group(&self, actor: &Actor, id: &ApproverGroupId) -> Result<()> {
        may(actor, Act::People)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        let group = store::group(&mut tx, &actor.org, id).await?.ok_or(Error::NotFound("group of approvers"))?;
        if named(&mut tx, &actor.org, now).await?.contains(id) {
            return Err(
                Error::NotNow("A rule asks for approvals from it. Change the rule first; that counts a day later.".to_owned()).into()
            );
        }
        store::delete(&mut tx, &actor.org, id).await?;
        audit::append(&mut tx, actor, now, "approver_group.delete", id.as_str(), &json!({ "group": group.name })).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The groups that a rule names, or will.
async fn named(on: &mut impl Conn, org: &OrgId, now: Timestamp) -> Result<Vec<ApproverGroupId>> {
    let mut all = Vec::new();
    for (_, kept) in rules::rules(on, org).await? {
        let kept = kept.at(now);
        let later = kept.weaker.and_then(|w| w.rule);
        all.extend(kept.rule.into_iter().chain(later).flat_map(|r| r.from).map(|s| s.group));
    }
    Ok(all)
}

/// The groups as pages show them.
pub(super) async fn groups(on: &mut impl Conn, org: &OrgId, people: &People) -> Result<Vec<ApproverGroup>> {
    let mut shown = Vec::new();
    // Whatever the time: a rule that has just ended may still be kept.
    let named = named(on, org, Timestamp(0)).await?;
    for group in &people.groups {
        let mut members = Vec::new();
        for m in people.members.iter().filter(|m| m.group == group.id) {
            let admin = people.admins.iter().find(|(user, _)| *user == m.user);
            let name = match admin {
                Some((_, name)) => name.clone(),
                None => access::name_of(on, org, &m.user).await?,
            };
            members.push(ApproverMember { user: m.user.clone(), name, counts_from: m.counts_from, approves: admin.is_some() });
        }
        members.sort_by(|a, b| (&a.name, &a.user).cmp(&(&b.name, &b.user)));
        shown.push(ApproverGroup {
            id: group.id.clone(),
            name: group.name.clone(),
            members,
            named: named.contains(&group.id),
            created_at: group.created_at,
            created_by: group.created_by.clone(),
        });
    }
    Ok(shown)
}

async fn one(on: &mut impl Conn, org: &OrgId, id: &ApproverGroupId) -> Result<ApproverGroup> {
    let people = People::read(on, org).await?;
    let all = groups(on, org, &people).await?;
    all.into_iter().find(|g| g.id == *id).ok_or_else(|| Error::NotFound("group of approvers").into())
}

/// Who can be put into a group.
pub(super) fn candidates(people: &People) -> Vec<Approver> {
    people.admins.iter().map(|(user, name)| Approver { user: user.clone(), name: name.clone() }).collect()
}

/// Puts in who is new and takes out who is not named; the names of both.
async fn change(
    tx: &mut Tx,
    actor: &Actor,
    group: &ApproverGroupId,
    members: &[UserId],
    now: Timestamp,
) -> Result<(Vec<String>, Vec<String>)> {
    if members.len() > MOST {
        return Err(Error::invalid("members", format!("A group has at most {MOST} people.")).into());
    }
    let people = People::read(tx, &actor.org).await?;
    let known = named(tx, &actor.org, now).await?.contains(group);
    let counts_from = if known { now.plus(NOTICE_MS) } else { now };
    let present: Vec<UserId> = people.members.into_iter().filter(|m| m.group == *group).map(|m| m.user).collect();
    let mut wanted = members.to_vec();
    wanted.sort();
    wanted.dedup();
    let (mut entered, mut left) = (Vec::new(), Vec::new());
    for user in wanted.iter().filter(|user| !present.contains(user)) {
        let Some((_, name)) = people.admins.iter().find(|(admin, _)| admin == user) else {
            return Err(Error::invalid("members", "Only admins can approve: choose among them.").into());
        };
        store::enter(tx, &actor.org, &Member { group: group.clone(), user: user.clone(), counts_from }).await?;
        entered.push(name.clone());
    }
    for user in present.iter().filter(|user| !wanted.contains(user)) {
        store::leave(tx, &actor.org, group, user).await?;
        left.push(access::name_of(tx, &actor.org, user).await?);
    }
    Ok((entered, left))
}
