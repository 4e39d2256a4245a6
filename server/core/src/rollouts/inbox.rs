//! The approvals inbox: what waits for a second person and what was started without one, and the rules of that.

use super::{
    Rollouts, approvers,
    deciding::{Word, not_decidable},
    expiring::terms,
    quorum,
    reading::{row, summary},
    standing::{People, Standing},
    store::lists,
};
use crate::{
    Result,
    access::{Act, Actor, allowed, may},
    releases,
};
use wire::rollouts::{ApprovalCard, ApprovalsPage, Counts};

impl Rollouts {
    /// The approvals inbox.
    pub async fn approvals(&self, actor: &Actor) -> Result<ApprovalsPage> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let may_approve = allowed(actor, Act::Approve);
        let now = self.clock.now();
        let mut cards = Vec::new();
        for record in lists::waiting(&mut on, &actor.org).await? {
            let preview = self.glimpsed(&mut on, &record).await?;
            let signed_by = releases::for_rollout(&mut on, &actor.org, &record.release).await?.map(|r| r.row.signed_by).unwrap_or_default();
            let standing = Standing::read(&mut on, &record, now).await?;
            let mut approved = lists::decisions(&mut on, &record.id).await?;
            approved.retain(|a| a.approved && !a.void);
            standing.mark(&mut approved);
            let blocked = if may_approve {
                not_decidable(&record, actor, Some(&standing), Word::Yes, now).map(|e| e.fault().message)
            } else {
                Some("Deciding needs the role admin.".to_owned())
            };
            let counts = Counts { total: preview.total, waiting: preview.total, ..Counts::default() };
            cards.push(ApprovalCard {
                rollout: row(&record, &summary(&record, None), counts),
                spec: record.spec.clone(),
                digest: record.digest.clone(),
                generation: record.generation(),
                preview: (*preview).clone(),
                changes: self.changed(&mut on, &record).await?,
                signed_by,
                way_back: self.way_back_of(&mut on, &record).await?,
                standing: standing.view(),
                approved,
                blocked,
            });
        }
        let decided = lists::decided(&mut on, &actor.org).await?;
        let decided = self.rows(&mut on, &actor.org, &decided).await?;
        let people = People::read(&mut on, &actor.org).await?;
        let rules = quorum::rows(&mut on, &actor.org, &people, now).await?;
        Ok(ApprovalsPage {
            waiting: cards,
            decided,
            may_approve,
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
}
