//! The calendar of freezes: times in which no rollout of the organization offers anything new, unless its approved plan says that it goes on. Owns who
//! makes them and ends them; refuses to know offers. What is under way goes on.

use super::{
    Error, Rollouts,
    deciding::reason_of,
    store::freezes as store,
    validate::{MAX_NAME, plain},
};
use crate::{
    Result,
    access::{Act, Actor, allowed, audit, may},
    bus::Event,
};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashMap;
use wire::{
    ids::{FreezeId, OrgId},
    rollouts::{FreezeRow, FreezesPage, NewFreeze, after_lifting},
};

/// The longest freeze: a year.
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;

/// How the calendar of each organization looked last, so that a change by another process is noticed: its wake-ups don't come here.
#[derive(Default)]
pub(super) struct Calendar(Mutex<Option<Seen>>);

/// How many freezes an organization has, and when the last was made and ended.
type Seen = HashMap<OrgId, (i64, i64, i64)>;

impl Rollouts {
    /// Wakes whoever waits for a freeze where the calendar has changed since the last look. Called with every tick.
    pub(super) async fn look_at_calendar(&self) -> Result<()> {
        let now: Seen = store::marks(&mut self.db.read().await?).await?.into_iter().collect();
        let before = self.calendar.0.lock().replace(now.clone());
        // Before the first look nobody was found to wait.
        let Some(before) = before else { return Ok(()) };
        for (org, mark) in now {
            if before.get(&org) != Some(&mark) {
                self.bus.tell(Event::Frozen { org });
            }
        }
        Ok(())
    }

    /// The calendar.
    pub async fn freezes(&self, actor: &Actor) -> Result<FreezesPage> {
        may(actor, Act::Read)?;
        let freezes = store::list(&mut self.db.read().await?, &actor.org).await?;
        Ok(FreezesPage { freezes, may_freeze: allowed(actor, Act::Freeze), at: self.clock.now() })
    }

    /// A new freeze. It holds from its first instant on, whatever runs.
    pub async fn freeze(&self, actor: &Actor, new: NewFreeze) -> Result<FreezeRow> {
        may(actor, Act::Freeze)?;
        let now = self.clock.now();
        let (name, from) = (new.name.trim().to_owned(), new.from.max(now));
        if name.is_empty() || name.chars().count() > MAX_NAME || !plain(&name) {
            return Err(Error::invalid(
                "name",
                "Give the freeze a name of 1 to 100 characters, on one line and without control characters.",
            )
            .into());
        }
        let reason = reason_of(&new.reason)?.to_owned();
        if new.until <= from {
            return Err(Error::invalid("until", "Let it end after it begins, and after now.").into());
        }
        if new.until.since(from) > LONGEST_MS {
            return Err(Error::invalid("until", "A freeze lasts a year at most: choose an earlier end.").into());
        }
        let id: FreezeId = self.entropy.id(now);
        let row = FreezeRow {
            id,
            name,
            reason,
            from,
            until: new.until,
            made_by: actor.label(),
            made_at: now,
            ended_at: None,
            ended_by: String::new(),
        };
        let mut tx = self.db.write().await?;
        store::add(&mut tx, &actor.org, &row).await?;
        let detail = json!({ "freeze": row.name, "reason": row.reason, "from": row.from, "until": row.until });
        audit::append(&mut tx, actor, now, "freeze.make", row.id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Frozen { org: actor.org.clone() });
        Ok(row)
    }

    /// Lifts a freeze before its end, or takes back one that has not begun. One admin is enough, so it is seen: by whom and when stays in the calendar
    /// and in the audit log, with the `reason` (1 to 500 characters) beside the freeze's own. Devices that waited for its end may be
    /// offered something at once.
    pub async fn end_freeze(&self, actor: &Actor, id: &FreezeId, reason: &str) -> Result<FreezeRow> {
        may(actor, Act::Freeze)?;
        let ended_for = reason_of(reason)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let before = store::one(&mut tx, &actor.org, id).await?.ok_or(Error::NotFound("freeze"))?;
        if !store::end(&mut tx, &actor.org, id, &actor.label(), now).await? {
            return Err(Error::NotNow("It is over already.".to_owned()).into());
        }
        // Of one that is over nobody is asked why.
        if ended_for.is_empty() {
            return Err(Error::invalid("reason", "Say why: it stays in the audit log.").into());
        }
        let after = FreezeRow { ended_at: Some(now), ended_by: actor.label(), ..before };
        let lifted = after.lifted().is_some();
        let detail = json!({
            "freeze": after.name, "reason": after.reason, "end_reason": ended_for, "from": after.from, "until": after.until, "lifted": lifted
        });
        audit::append(&mut tx, actor, now, "freeze.end", id.as_str(), &detail).await?;
        let others = store::not_over(&mut tx, &actor.org, now).await?.iter().filter(|other| other.holds(now)).count();
        tx.commit().await?;
        self.bus.tell(Event::Frozen { org: actor.org.clone() });
        if lifted {
            tracing::warn!(freeze = %after.id, by = %after.ended_by, "a freeze was lifted before its end: {}", after_lifting(others));
        }
        Ok(after)
    }
}
