//! The room's background work: following changes of trust, first uses, ends of certificates, the listeners' own renewal, what is
//! published. Every step is idempotent
//! and any instance may do it.

use super::{Pki, store};
use crate::bus::Event;
use std::{collections::VecDeque, time::Duration};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, MissedTickBehavior},
};

/// How often everything is read again, whatever the trust clock says.
const FOLLOW: Duration = Duration::from_secs(5);
/// How often the trust clock is read: a command beside the server, or another instance, has no other way to wake this one.
const GLANCE: Duration = Duration::from_millis(200);
/// How often ends are looked for.
const SETTLE: Duration = Duration::from_mins(1);
/// How long a change of trust waits for others before it is read: whoever made it here has told memory already.
const GATHER: Duration = Duration::from_millis(50);
/// How long a revocation waits for others before a new list is published.
const DEBOUNCE: Duration = Duration::from_secs(5);

impl Pki {
    /// Works until it is dropped. A failure is logged and tried again with the next tick; a database that stays silent closes the listeners to
    /// new connections by itself (`Refusal::Stale`).
    pub async fn work(&self) {
        self.trust.follow();
        let mut events = self.bus.listen();
        let mut follow = tokio::time::interval(FOLLOW);
        let mut glance = tokio::time::interval(GLANCE);
        let mut settle = tokio::time::interval(SETTLE);
        follow.set_missed_tick_behavior(MissedTickBehavior::Delay);
        glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
        settle.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first_uses = self.first_uses.lock().await;
        let mut owed = VecDeque::new();
        let mut seen = 0;
        let mut publish_at: Option<Instant> = None;
        let mut reload_at: Option<Instant> = None;
        let mut introduce_at = Instant::now();
        loop {
            let outcome = tokio::select! {
                event = events.recv() => match event {
                    Ok(Event::Trust) | Err(RecvError::Lagged(_)) => {
                        reload_at.get_or_insert_with(|| Instant::now() + GATHER);
                        continue;
                    }
                    Ok(_) => continue,
                    // The bus ends with the process.
                    Err(RecvError::Closed) => return,
                },
                _ = follow.tick() => match self.reload().await {
                    Ok(()) => self.first_uses(&mut owed).await.and(self.watch_clock().await).and(self.judge_strangers().await),
                    failed => failed,
                },
                () = self.trust.strangers().told() => self.judge_strangers().await,
                _ = glance.tick() => self.glance(&mut seen).await,
                used = first_uses.recv() => match used {
                    Some(certificate) => {
                        owed.push_back(certificate);
                        while let Ok(another) = first_uses.try_recv() {
                            owed.push_back(another);
                        }
                        self.first_uses(&mut owed).await
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(reload_at.unwrap_or_else(Instant::now)), if reload_at.is_some() => {
                    reload_at = None;
                    self.reload().await
                }
                _ = settle.tick() => self.tick().await,
                () = tokio::time::sleep_until(publish_at.unwrap_or_else(Instant::now)), if publish_at.is_some() => {
                    publish_at = None;
                    self.publish_due().await
                }
            };
            if let Err(error) = outcome {
                tracing::error!(%error, "following trust failed; trying again");
            }
            // Whoever is shown what a new authority issues must not ask in vain. What could not be made waits for the slow work, too.
            if self.unpublished() && Instant::now() >= introduce_at {
                if let Err(error) = Box::pin(self.publish()).await {
                    tracing::error!(%error, "a new authority's first list failed; trying again");
                }
                introduce_at = Instant::now();
                if self.unpublished() {
                    introduce_at += SETTLE;
                }
            }
            if publish_at.is_none() && self.crl_outdated() {
                publish_at = Some(Instant::now() + DEBOUNCE);
            }
        }
    }

    /// Follows what somebody else has changed, if the trust clock says that there is something; `seen` is where it stood when that was read last.
    async fn glance(&self, seen: &mut i64) -> Result<(), super::Error> {
        let clock = store::trust_seq(&mut self.db.read().await?).await?;
        if clock == *seen {
            self.trust.heard();
            return Ok(());
        }
        self.reload().await?;
        // A root's list that a command beside this process has brought or signed.
        self.take_published().await?;
        // Not where it stands now: what came meanwhile may have been read in part.
        *seen = clock;
        // Another authority may issue to listeners now, or be believed no more; what the listeners present follows in memory.
        if self.server_identity().is_some() {
            self.renew_identity().await?;
        }
        Ok(())
    }

    /// One round of the slow work, for [`Pki::work`] and for tests.
    pub async fn tick(&self) -> Result<(), super::Error> {
        // Each step matters by itself and waits for none that failed: the first failure is told when all had their turn.
        let mut outcome = self.watch_clock().await;
        self.look_at_token().await;
        // What a wrong time would end can't be brought back.
        if self.clock_jump().is_none() {
            outcome = outcome.and(self.settle().await).and(self.lapse_consents().await);
            outcome = outcome.and(self.drop_reserved().await).and(self.drop_unbooked().await);
            self.trust.forget_ended();
            self.statuses.forget_ended(self.clock.now());
        }
        outcome = outcome.and(self.catch_up_journal().await);
        outcome = outcome.and(self.publish().await).and(self.renew_identity().await);
        // What only pages and figures show comes last.
        outcome.and(self.follow_owners_lists().await).and(self.measure_lives().await)
    }

    /// Whatever others are to be told by now: lists of revoked certificates, and who answers for them.
    pub async fn publish(&self) -> Result<(), super::Error> {
        self.renew_responders().await.and(self.publish_due().await)
    }
}
