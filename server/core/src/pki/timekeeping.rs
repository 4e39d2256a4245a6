//! While the machine's clock is off nothing is issued and nothing ends by it: a certificate of a wrong time would be worthless, or would
//! outlive what it was made for. Owns the saying so; what a jump is, is `jump.rs`'s.

use super::{
    Error, Pki,
    jump::{News, Reading, Watch},
};
use crate::{
    access::{Act, Actor, allowed, audit, may},
    clock::Clock,
};
use serde_json::json;
use std::collections::BTreeSet;
use wire::pki::{ClockJump, ClockPage};

pub(super) fn reading(clock: &dyn Clock) -> Reading {
    Reading { wall: clock.now().0, steady: clock.steady() }
}

pub(super) fn watch(clock: &dyn Clock) -> Watch {
    Watch::new(reading(clock))
}

impl Pki {
    /// By how much the clock is off; none when it is right. A look at two clocks.
    pub fn clock_jump(&self) -> Option<ClockJump> {
        self.watch.jumped(reading(&*self.clock)).map(|by_ms| ClockJump { by_ms })
    }

    /// Refuses while the clock is off. Whatever is signed asks here first.
    pub(super) fn time_is_right(&self) -> Result<(), Error> {
        self.clock_jump().map_or(Ok(()), |jump| Err(Error::ClockJumped(jump)))
    }

    /// What the clock does, and whether the actor may accept its time.
    pub fn clock(&self, actor: &Actor) -> Result<ClockPage, Error> {
        may(actor, Act::Read)?;
        Ok(ClockPage { jump: self.clock_jump(), may_accept: allowed(actor, Act::Authorities), at: self.clock.now() })
    }

    /// Says that the time is right as it is now, on this instance; it issues again. Nothing happens while the clock has not jumped.
    pub async fn accept_time(&self, actor: &Actor) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        let Some(jump) = self.clock_jump() else { return Ok(()) };
        let mut tx = self.db.write().await?;
        audit::append(&mut tx, actor, self.clock.now(), "clock.accept", actor.org.as_str(), &json!({ "by_ms": jump.by_ms })).await?;
        tx.commit().await?;
        self.watch.accept(reading(&*self.clock));
        tracing::warn!(jump = %jump, "the new time was accepted; certificates are issued again");
        self.watch_clock().await
    }

    /// Tells of a jump, and of its end, once each: in the log and in every organization's audit log.
    pub(super) async fn watch_clock(&self) -> Result<(), Error> {
        let Some(news) = self.watch.news(reading(&*self.clock)) else { return Ok(()) };
        let written = self.tell_of_clock(news).await;
        if written.is_err() {
            self.watch.untold(news);
        }
        written
    }

    async fn tell_of_clock(&self, news: News) -> Result<(), Error> {
        let (action, detail) = match news {
            News::Jump(by_ms) => {
                tracing::error!(jump = %ClockJump { by_ms }, "the machine's clock has jumped: nothing is issued until it is right, or an admin accepts the new time");
                ("clock.jump", json!({ "by_ms": by_ms }))
            }
            News::Right => {
                tracing::info!("the machine's clock is taken to be right again");
                ("clock.right", json!(null))
            }
        };
        let orgs: BTreeSet<_> = self.authorities.load().iter().map(|a| a.org.clone()).collect();
        let mut tx = self.db.write().await?;
        for org in orgs {
            let system = Actor::system(org);
            audit::append(&mut tx, &system, self.clock.now(), action, system.org.as_str(), &detail).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
