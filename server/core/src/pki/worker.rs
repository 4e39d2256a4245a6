//! The room's background work: following changes of trust, first uses, ends of certificates, the listeners' own renewal, what is
//! published, and the token. Every step is idempotent and any instance may do it.
//!
//! There are three of them, side by side: one follows, and waits for nothing but the database; one does what is due, which may wait for signatures; and one
//! looks after the token, which may hang.

use super::{Error, Pki, store};
use crate::bus::Event;
use std::{collections::VecDeque, time::Duration};
use tokio::{
    sync::{Notify, broadcast::error::RecvError},
    time::{Instant, Interval, MissedTickBehavior},
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

/// What the one who follows tells the one who signs.
#[derive(Default)]
struct Due {
    /// Something may have to be published.
    lists: Notify,
    /// The listeners' own certificate may have to be another one.
    identity: Notify,
}

/// What the steps of one round came to. Each matters by itself and waits for none that failed, so each failure is logged by itself.
#[derive(Default)]
struct Round(Option<Error>);

impl Round {
    fn took<T>(&mut self, step: &'static str, outcome: Result<T, Error>) {
        if let Err(error) = outcome {
            tracing::error!(step, %error, "a step of the background work failed; trying again");
            self.0.get_or_insert(error);
        }
    }

    /// The first failure.
    fn outcome(self) -> Result<(), Error> {
        self.0.map_or(Ok(()), Err)
    }
}

fn every(time: Duration) -> Interval {
    let mut interval = tokio::time::interval(time);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

impl Pki {
    /// Works until it is dropped. A failure is logged and tried again with the next tick; a database that stays silent closes the listeners to
    /// new connections by itself (`Refusal::Stale`). Whoever waits for a token keeps nobody from following what was revoked.
    pub async fn work(&self) {
        self.trust.follow();
        let due = Due::default();
        tokio::select! {
            () = Box::pin(self.follow_changes(&due)) => {}
            () = Box::pin(self.do_what_is_due(&due)) => {}
            () = Box::pin(self.look_after_token()) => {}
        }
    }

    async fn follow_changes(&self, due: &Due) {
        let mut events = self.bus.listen();
        let (mut follow, mut glance) = (every(FOLLOW), every(GLANCE));
        let mut first_uses = self.first_uses.lock().await;
        let mut owed = VecDeque::new();
        let mut seen = 0;
        let mut reload_at: Option<Instant> = None;
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
                _ = glance.tick() => {
                    self.tell_due();
                    self.glance(&mut seen, due).await
                }
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
            };
            if let Err(error) = outcome {
                tracing::error!(%error, "following trust failed; trying again");
            }
            if self.unpublished() || self.crl_outdated() {
                due.lists.notify_one();
            }
        }
    }

    /// Ends, publications and the listeners' renewal, one after the other.
    async fn do_what_is_due(&self, due: &Due) {
        let mut settle = every(SETTLE);
        let mut publish_at: Option<Instant> = None;
        let mut introduce_at = Instant::now();
        loop {
            let mut round = Round::default();
            tokio::select! {
                // Each of its steps has told what failed.
                _ = settle.tick() => drop(Box::pin(self.settle_all()).await),
                () = due.lists.notified() => {}
                () = due.identity.notified() => round.took("renewing the listeners' certificate", Box::pin(self.renew_identity()).await),
                () = tokio::time::sleep_until(publish_at.unwrap_or_else(Instant::now)), if publish_at.is_some() => {
                    publish_at = None;
                    round.took("publishing lists", Box::pin(self.publish_due()).await);
                }
            }
            // Whoever is shown what a new authority issues must not ask in vain. What could not be made waits for the slow work, too.
            if self.unpublished() && Instant::now() >= introduce_at {
                round.took("a new authority's first list", Box::pin(self.publish()).await);
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

    async fn look_after_token(&self) {
        let mut look = every(SETTLE);
        loop {
            look.tick().await;
            let mut round = Round::default();
            round.took("looking after the token", Box::pin(self.care_for_token()).await);
        }
    }

    /// Follows what somebody else has changed, if the trust clock says that there is something; `seen` is where it stood when that was read last.
    async fn glance(&self, seen: &mut i64, due: &Due) -> Result<(), Error> {
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
            due.identity.notify_one();
        }
        Ok(())
    }

    /// One round of the slow work, for tests: what [`Pki::work`] does every minute.
    pub async fn tick(&self) -> Result<(), Error> {
        let cared = Box::pin(self.care_for_token()).await;
        Box::pin(self.settle_all()).await.and(cared)
    }

    /// Asks the token how it does and for keys that it lacked, and has it destroy those that nobody came back for.
    async fn care_for_token(&self) -> Result<(), Error> {
        let looked = self.look_at_token().await;
        // What a wrong time would end can't be brought back.
        if self.clock_jump().is_none() { looked.and(self.drop_unbooked().await) } else { looked }
    }

    async fn settle_all(&self) -> Result<(), Error> {
        let mut round = Round::default();
        round.took("watching the clock", self.watch_clock().await);
        // What a wrong time would end can't be brought back.
        if self.clock_jump().is_none() {
            round.took("ending what is over", self.settle().await);
            round.took("ending requests for a second person", self.lapse_consents().await);
            round.took("dropping reserved serial numbers", self.drop_reserved().await);
            self.trust.forget_ended();
            self.statuses.forget_ended(self.clock.now());
        }
        round.took("writing the journal of revocations", self.catch_up_journal().await);
        round.took("publishing", self.publish().await);
        round.took("renewing the listeners' certificate", self.renew_identity().await);
        // What only pages and figures show comes last.
        round.took("following owners' lists", self.follow_owners_lists().await);
        round.took("measuring lives", self.measure_lives().await);
        round.outcome()
    }

    /// Whatever others are to be told by now: lists of revoked certificates, and who answers for them.
    pub async fn publish(&self) -> Result<(), Error> {
        // Each of them has told which authority's failed; whoever asked tells of the rest.
        self.renew_responders().await.and(self.publish_due().await)
    }
}
