//! How many people beside the author have to say yes. Owns the organization's number and how it changes: it rises at once and falls a day later, so
//! that nobody takes away the other pair of eyes and profits from that in one go. Who may make accounts can still make themselves eyes; that is in the
//! audit log, and nowhere else. Refuses to decide on any rollout: each keeps the number that
//! was in force when it was sent for approval.

use super::{Error, Rollouts, store::quorum as store};
use crate::{
    Result,
    access::{self, Act, Actor, audit, may},
    db::Conn,
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::OrgId,
    rollouts::{Lowered, MAX_APPROVALS, Quorum},
};

/// How long a lower number is known before it counts.
const NOTICE_MS: i64 = 24 * 3_600_000;

/// What is in force at this instant, and what will be.
fn at(kept: Quorum, now: Timestamp) -> Quorum {
    match kept.lowered {
        Some(Lowered { needed, from }) if from <= now => Quorum { needed, lowered: None },
        _ => kept,
    }
}

/// What is kept once somebody has asked for this number. The present number takes a lowering back.
fn asked(now_kept: &Quorum, needed: u32, now: Timestamp) -> Quorum {
    if needed >= now_kept.needed {
        Quorum { needed, lowered: None }
    } else {
        Quorum { needed: now_kept.needed, lowered: Some(Lowered { needed, from: now.plus(NOTICE_MS) }) }
    }
}

/// The organization's number at this instant.
pub(super) async fn of(on: &mut impl Conn, org: &OrgId, now: Timestamp) -> Result<Quorum> {
    Ok(at(store::kept(on, org).await?, now))
}

impl Rollouts {
    /// How many people beside its author have to approve a rollout that is sent for approval now.
    pub async fn quorum(&self, actor: &Actor) -> Result<Quorum> {
        may(actor, Act::Read)?;
        of(&mut self.db.read().await?, &actor.org, self.clock.now()).await
    }

    /// Asks for another number: a higher one counts at once, as long as there are enough admins; a lower one a day later, and until then anybody who
    /// may ask takes it back by asking for the present one. Rollouts that wait already keep theirs.
    pub async fn set_quorum(&self, actor: &Actor, needed: u32) -> Result<Quorum> {
        may(actor, Act::People)?;
        if !(1..=MAX_APPROVALS).contains(&needed) {
            return Err(Error::invalid("needed", format!("Choose a number from 1 to {MAX_APPROVALS}.")).into());
        }
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // Of two who ask at once the second sees what the first has asked.
        audit::hold(&mut tx, &actor.org).await?;
        let before = of(&mut tx, &actor.org, now).await?;
        let admins = access::admins_beside(&mut tx, &actor.org, "").await?;
        // The author may be one of them.
        if needed > before.needed && admins <= i64::from(needed) {
            let more =
                format!("{needed} approvals take {} admins, because nobody approves their own rollout; there are {admins}.", needed + 1);
            return Err(Error::NotNow(more).into());
        }
        let after = asked(&before, needed, now);
        if after == before {
            return Ok(after);
        }
        store::keep(&mut tx, &actor.org, &after).await?;
        let detail = json!({ "before": before, "after": after });
        audit::append(&mut tx, actor, now, "rollout.approvals_needed", actor.org.as_str(), &detail).await?;
        tx.commit().await?;
        Ok(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn plain(needed: u32) -> Quorum {
        Quorum { needed, lowered: None }
    }

    #[test]
    fn it_rises_at_once_and_falls_a_day_later() {
        assert_eq!(asked(&plain(1), 3, NOW), plain(3));
        let falling = asked(&plain(3), 1, NOW);
        assert_eq!(falling, Quorum { needed: 3, lowered: Some(Lowered { needed: 1, from: NOW.plus(NOTICE_MS) }) });
        assert_eq!(at(falling.clone(), NOW.plus(NOTICE_MS - 1)), falling);
        assert_eq!(at(falling.clone(), NOW.plus(NOTICE_MS)), plain(1));
        assert_eq!(asked(&falling, 3, NOW), plain(3), "asking for the present number takes the lowering back");
        let later = asked(&falling, 2, NOW.plus(5));
        assert_eq!(later.lowered.unwrap().from, NOW.plus(NOTICE_MS + 5), "another number has its own day");
    }
}
