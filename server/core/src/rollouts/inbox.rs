//! The approvals inbox: what waits for a second person, what became of what was sent, what was started without one, and the rules of that.

use super::{
    Error, Rollouts,
    approval_standing::{People, Standing},
    approvers,
    deciding::{Word, not_decidable},
    expiring::terms,
    quorum,
    reading::{row, summary},
    store::{lists, records::Record},
};
use crate::{
    Result,
    access::{Act, Actor, allowed, may},
    db::Read,
    releases,
};
use wire::{
    Timestamp,
    ids::RolloutId,
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    rollouts::{ApprovalCard, ApprovalsPage, AskedRow, Counts, InboxCounts, InboxQuery, InboxTab},
    states::RolloutState,
};

/// Cards of a page: what each would do is found by a walk through the fleet.
const CARDS: u32 = 10;

/// The place of a rollout in the inbox: when it was sent, and which of those it is.
fn place(record: &Record) -> String {
    format!("{}.{}", record.asked_at.map_or(0, Timestamp::millis), record.id)
}

fn read_place(cursor: &str) -> Option<(Timestamp, RolloutId)> {
    let (at, id) = cursor.split_once('.')?;
    Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
}

/// The place that a page begins behind; none is the beginning.
fn behind(cursor: Option<&str>) -> Result<Option<(Timestamp, RolloutId)>> {
    Ok(cursor.map(|c| read_place(c).ok_or_else(Error::not_a_cursor)).transpose()?)
}

/// What each tab has for the caller.
async fn counts(on: &mut Read, actor: &Actor) -> Result<InboxCounts> {
    let user = actor.user().map_or("", |u| u.as_str());
    let counts = lists::inbox(on, &actor.org, user).await?;
    Ok(if allowed(actor, Act::Approve) { counts } else { InboxCounts { me: 0, ..counts } })
}

impl Rollouts {
    /// A page of the approvals inbox. Nothing waits for a caller whose role does not approve.
    pub async fn approvals(&self, actor: &Actor, query: &InboxQuery) -> Result<ApprovalsPage> {
        may(actor, Act::Read)?;
        let after = behind(query.cursor.as_deref())?;
        let mut on = self.db.read().await?;
        let now = self.clock.now();
        let counts = counts(&mut on, actor).await?;
        let rows = if query.tab.decides() { CARDS } else { DEFAULT_ROWS };
        let found = self.sent(&mut on, actor, query.tab, after.as_ref(), i64::from(rows) + 1).await?;
        let Page { items, next, .. } = Page::cut(found, rows, counts.of(query.tab), place);
        let (mut waiting, mut asked) = (Vec::new(), Vec::new());
        if query.tab.decides() {
            for record in &items {
                waiting.push(Box::pin(self.card(&mut on, actor, record)).await?);
            }
        } else {
            asked = self.asked(&mut on, actor, &items).await?;
        }
        let people = People::read(&mut on, &actor.org).await?;
        let rules = quorum::rows(&mut on, &actor.org, &people, now).await?;
        Ok(ApprovalsPage {
            tab: query.tab,
            counts,
            waiting,
            asked,
            next,
            may_approve: allowed(actor, Act::Approve),
            may_set_rules: allowed(actor, Act::People),
            authorities: 0,
            glass: self.breaks(&mut on, actor).await?,
            rules,
            groups: approvers::groups(&mut on, &actor.org, &people).await?,
            approvers: approvers::candidates(&people),
            terms: terms(&mut on, &actor.org).await?.shown(now),
            at: now,
        })
    }

    /// A page of so many rollouts of a tab, without what each would do: its [`Rollouts::detail`] says that.
    pub async fn inbox(&self, actor: &Actor, tab: InboxTab, cursor: Option<&str>, rows: Option<u32>) -> Result<Page<AskedRow>> {
        may(actor, Act::Read)?;
        let after = behind(cursor)?;
        let rows = rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
        let mut on = self.db.read().await?;
        let total = counts(&mut on, actor).await?.of(tab);
        let found = self.sent(&mut on, actor, tab, after.as_ref(), i64::from(rows) + 1).await?;
        let Page { items, next, total } = Page::cut(found, rows, total, place);
        Ok(Page { items: self.asked(&mut on, actor, &items).await?, next, total })
    }

    /// The rollouts of a tab behind this one.
    async fn sent(
        &self,
        on: &mut Read,
        actor: &Actor,
        tab: InboxTab,
        after: Option<&(Timestamp, RolloutId)>,
        limit: i64,
    ) -> Result<Vec<Record>> {
        let (org, user) = (&actor.org, actor.user());
        let behind = after.map(|(at, id)| (*at, id.as_str()));
        if tab.decides() {
            let of = match (tab, user) {
                (InboxTab::ForMe, Some(user)) if allowed(actor, Act::Approve) => Some(user),
                (InboxTab::ForMe, _) => return Ok(Vec::new()),
                _ => None,
            };
            return Ok(lists::waiting(on, org, of, behind.unwrap_or((Timestamp(-1), "")), limit).await?);
        }
        let Some(user) = user.map(wire::ids::UserId::as_str).or((tab != InboxTab::Mine).then_some("")) else { return Ok(Vec::new()) };
        Ok(lists::asked(on, org, (tab, user), behind.unwrap_or((Timestamp(i64::MAX), RolloutId::BEHIND)), limit).await?)
    }

    /// What waits, with everything that a decision needs.
    async fn card(&self, on: &mut Read, actor: &Actor, record: &Record) -> Result<ApprovalCard> {
        let now = self.clock.now();
        let preview = self.glimpsed(on, record).await?;
        let signed_by = releases::for_rollout(on, &actor.org, &record.release).await?.map(|r| r.row.signed_by).unwrap_or_default();
        let standing = Standing::read(on, record, now).await?;
        let mut approved = lists::decisions(on, &record.id).await?;
        approved.retain(|a| a.approved && !a.void);
        standing.mark(&mut approved);
        let blocked = if allowed(actor, Act::Approve) {
            not_decidable(record, actor, Some(&standing), Word::Yes, now).map(|e| e.fault().message)
        } else {
            Some("Deciding needs the role admin.".to_owned())
        };
        let counts = Counts { total: preview.total, waiting: preview.total, ..Counts::default() };
        let (asked_at, asked_by) = asked_of(record);
        Ok(ApprovalCard {
            rollout: row(record, &summary(record, None), counts),
            asked_at,
            asked_by,
            spec: record.spec.clone(),
            digest: record.digest.clone(),
            generation: record.generation(),
            preview: (*preview).clone(),
            changes: self.changed(on, record).await?,
            signed_by,
            way_back: self.way_back_of(on, record).await?,
            standing: standing.view(),
            approved,
            blocked,
        })
    }

    /// How far the approval of what was sent is, and what became of it.
    async fn asked(&self, on: &mut Read, actor: &Actor, records: &[Record]) -> Result<Vec<AskedRow>> {
        let now = self.clock.now();
        let mut decided = lists::decisions_on(on, &actor.org, records).await?;
        let rows = self.rows(on, &actor.org, records).await?;
        let mut asked = Vec::with_capacity(records.len());
        for (record, rollout) in records.iter().zip(rows) {
            let mut decisions = decided.remove(&record.id).unwrap_or_default();
            let mut standing = None;
            if record.state() == RolloutState::WaitingForApproval {
                let found = Standing::read(on, record, now).await?;
                found.mark(&mut decisions);
                standing = Some(found.view());
            }
            let (asked_at, asked_by) = asked_of(record);
            asked.push(AskedRow { rollout, asked_at, asked_by, standing, decisions, without: record.glass.is_some() });
        }
        Ok(asked)
    }
}

/// When it was sent, and by whom.
fn asked_of(record: &Record) -> (Timestamp, String) {
    let by = if record.asked_by.is_empty() { &record.author_name } else { &record.asked_by };
    (record.asked_at.unwrap_or(record.updated_at), by.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let id = "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";
        assert_eq!(read_place(&format!("1795341600000.{id}")), Some((Timestamp(1_795_341_600_000), id.parse().unwrap())));
        for text in ["", "x", id, "1795341600000", "1795341600000.", format!("soon.{id}").as_str()] {
            assert_eq!(read_place(text), None, "{text}");
        }
    }
}
