//! Break glass: an admin, also the author, starts a rollout in an emergency without its approvals. Owns what that takes and what it leaves behind: a
//! reason, a record that everybody sees, and two people who have to look at it afterwards. Refuses to go around anything else: the digest is the
//! one that was read, an edit voids it, and gates, freezes, windows, recalls and the planned time hold as ever.
//!
//! Neither who broke the glass nor who wrote the plan reviews it, and who became an admin afterwards doesn't either, unless fewer than two are left of
//! those who were.

use super::{
    Error, Rollouts,
    approval_standing::{Asked, People, Standing},
    control::{halted, over},
    course::Change,
    deciding::{Turn, held, person, remark_of},
    expiring::{late, terms},
    quorum::rule_for,
    store::{
        courses,
        glass::{self as store, Break},
        lists, plans,
        quorum::{self as asking, Elector},
        records,
    },
};
use crate::{
    Result,
    access::{Act, Actor, allowed, audit, may},
    bus::Event,
    db::Conn,
};
use serde_json::json;
use std::sync::atomic::{AtomicI64, Ordering};
use wire::{
    Timestamp,
    ids::{Digest, GlassId, OrgId, RolloutId, UserId},
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    rollouts::{GLASS_REVIEWS, GlassBreak, GlassReview, GlassStop, NewGlassReview, approvals_of},
    states::RolloutState,
};

mod reviewing;

use reviewing::{Reviewing, stops};

/// Breaks that a list shows at most.
const MOST: i64 = 50;

/// How many starts without approval nobody has reviewed yet, in all organizations, as of the last tick.
#[derive(Debug, Default)]
pub struct Figures {
    open: AtomicI64,
    overdue: AtomicI64,
}

impl Figures {
    /// Those that are to be reviewed.
    pub fn open(&self) -> i64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Those of them whose time is over.
    pub fn overdue(&self) -> i64 {
        self.overdue.load(Ordering::Relaxed)
    }
}

/// A start without approval that nobody has reviewed yet.
pub(crate) struct Unreviewed {
    pub rollout: RolloutId,
    /// The rollout's name.
    pub name: String,
    /// Who did it.
    pub by: String,
    pub at: Timestamp,
    /// The time to review it is over.
    pub overdue: bool,
}

impl Rollouts {
    /// How many starts without approval wait for a review, for the machine room.
    pub fn glass_figures(&self) -> &Figures {
        &self.glass
    }

    /// Starts a rollout without its approvals: one that waits for them, or a draft that could be sent. Says why, and binds this digest as an approval
    /// does. Only where the organization allows it, and two other admins are there to review it.
    pub async fn break_glass(&self, actor: &Actor, id: &RolloutId, digest: &Digest, reason: &str) -> Result<GlassId> {
        may(actor, Act::BreakGlass)?;
        let (by, by_name) = person(actor)?;
        let mut on = self.db.read().await?;
        let record = records::record(&mut on, &actor.org, id).await?.ok_or(Error::NotFound("rollout"))?;
        let now = self.clock.now();
        let allowed = terms(&mut on, &actor.org).await?.breakable(now);
        drop(on);
        if let Some(why) = not_breakable(&record, allowed, now) {
            return Err(Error::NotNow(why).into());
        }
        self.intact(actor, id, digest).await?;
        if record.state() == RolloutState::Draft {
            self.sendable(actor, id).await?;
        }
        let reason = remark_of("reason", reason)?;

        let mut tx = self.db.write().await?;
        let (record, course) = held(&mut tx, &actor.org, id, Some(record.generation())).await?;
        let terms = terms(&mut tx, &actor.org).await?;
        if let Some(why) = not_breakable(&record, terms.breakable(now), now) {
            return Err(Error::NotNow(why).into());
        }
        let people = People::read(&mut tx, &actor.org).await?;
        let reviewers: Vec<UserId> = people.admins.iter().map(|(user, _)| user).filter(|u| *u != by && !record.wrote(u)).cloned().collect();
        if reviewers.len() < GLASS_REVIEWS as usize {
            let why = format!(
                "{GLASS_REVIEWS} admins other than you and the plan's author have to review it afterwards; there are {}.",
                reviewers.len()
            );
            return Err(Error::NotNow(why).into());
        }
        let drafted = record.state() == RolloutState::Draft;
        let standing = if drafted {
            let rule = rule_for(&mut tx, &actor.org, &record.device_type, now).await?;
            let nobody = Asked::of(&rule, &people);
            let (kept, electors) = (plans::json(&nobody)?, Vec::<Elector>::new());
            let by_name = actor.label();
            let (needed, rule) = (rule.needed, kept.as_str());
            let asked = asking::Asked { needed, rule, electors: &electors, decide_by: None, at: now, by: Some(by), by_name: &by_name };
            asking::ask(&mut tx, &actor.org, id, &asked).await?;
            nobody.unasked()
        } else {
            Standing::read(&mut tx, &record, now).await?.view()
        };
        let approvals = approvals_of(standing.given, standing.needed, &standing.from);
        let text = format!("Glass broken: started without approval by {}: {reason}", actor.label());
        let made = Break {
            id: self.entropy.id(now),
            rollout: id.clone(),
            rollout_name: record.spec.name.clone(),
            rollout_state: RolloutState::Approved,
            by: by.clone(),
            by_name: by_name.to_owned(),
            author: record.author.clone(),
            reason: reason.to_owned(),
            digest: digest.clone(),
            given: standing.given,
            needed: standing.needed,
            from: standing.from,
            release: format!("{} {}", record.device_type, record.version),
            selector: record.spec.selector.clone(),
            devices: None,
            at: now,
            review_by: terms.review_by(now),
            overdue: false,
            settled_at: None,
            holds: true,
        };
        let through: &[RolloutState] =
            if drafted { &[RolloutState::WaitingForApproval, RolloutState::Approved] } else { &[RolloutState::Approved] };
        let detail = json!({
            "break": made.id, "reason": reason, "approvals": approvals, "approvals_given": made.given, "approvals_needed": made.needed,
            "approvals_missing": standing.missing, "review_by": made.review_by
        });
        let turn = Turn { action: "rollout.break_glass", through, summary: text.clone(), text, tone: "bad", detail };
        self.turn(&mut tx, actor, &record, &course, turn).await?;
        store::add(&mut tx, &actor.org, &made, &reviewers).await?;
        asking::may_start(&mut tx, id, terms.start_by(now), Some(made.id.as_str())).await?;
        tx.commit().await?;
        tracing::warn!(rollout = %id, by = %by, "started without approval: the glass was broken");
        self.bus.tell(Event::Rollout { org: actor.org.clone(), id: id.clone() });
        self.go_on(&actor.org, id).await;
        Ok(made.id)
    }

    /// Reviews a start without approval: accepts it or objects, with a remark. An objection may stop it at once, in the same step. When two people
    /// have said something it is settled.
    pub async fn review_glass(&self, actor: &Actor, id: &GlassId, new: &NewGlassReview) -> Result<GlassBreak> {
        may(actor, Act::Approve)?;
        let (by, by_name) = person(actor)?;
        let remark = remark_of("remark", &new.remark)?;
        if new.stop && new.accept {
            return Err(Error::invalid("stop", "Only who objects stops it.").into());
        }
        let made = store::one(&mut self.db.read().await?, &actor.org, id).await?.ok_or(Error::NotFound("break glass"))?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let (record, course) = held(&mut tx, &actor.org, &made.rollout, None).await?;
        let made = store::one(&mut tx, &actor.org, id).await?.ok_or(Error::NotFound("break glass"))?;
        let reviewing = Reviewing::read(&mut tx, &actor.org, made).await?;
        if let Some(e) = reviewing.not_by(actor) {
            return Err(e.into());
        }
        let review = GlassReview { by: by.clone(), by_name: by_name.to_owned(), accepted: new.accept, remark: remark.to_owned(), at: now };
        if !store::review(&mut tx, &actor.org, id, &review).await? {
            return Err(Error::NotNow("You have reviewed it.".to_owned()).into());
        }
        if reviewing.missing() <= 1 {
            store::settle(&mut tx, id, now).await?;
        }
        let what = if new.accept { "Start without approval accepted" } else { "Start without approval objected to" };
        let text = format!("{what} by {}: {remark}", actor.label());
        let (mut cancelled, mut halts) = (Vec::new(), None);
        if new.stop {
            let summary =
                format!("{} by {}, who objects to the start without approval: {remark}", stop_word(&reviewing.made)?, actor.label());
            let changes = match stops(&reviewing.made) {
                Some(GlassStop::Halt) => halted(&course, &summary),
                Some(GlassStop::Draft) => vec![Change::Enter { to: RolloutState::Draft, summary }],
                None => return Err(nothing_to_stop().into()),
            };
            let applied = courses::apply(&mut tx, &record, &course, &changes, None, now).await?.ok_or(Error::Stale)?;
            cancelled = applied.cancelled;
            if stops(&reviewing.made) == Some(GlassStop::Draft) {
                asking::void(&mut tx, &record.id).await?;
            } else {
                halts = Some(changes);
            }
        }
        let tone = if new.accept { "ok" } else { "bad" };
        lists::add_event(&mut tx, &record.org, &record.id, &text, &actor.label(), tone, now).await?;
        let action = if new.accept { "rollout.break_glass_accept" } else { "rollout.break_glass_object" };
        let detail = json!({ "rollout": record.spec.name, "break": id, "remark": remark, "stop": new.stop });
        audit::append(&mut tx, actor, now, action, record.id.as_str(), &detail).await?;
        let made = store::one(&mut tx, &actor.org, id).await?.ok_or(Error::NotFound("break glass"))?;
        let shown = Reviewing::read(&mut tx, &actor.org, made).await?.shown(actor);
        tx.commit().await?;
        // A draft is not watched; one that runs is, and this process has moved it.
        if let Some(changes) = halts {
            self.own_move(&record, &course, &changes);
        }
        self.bus.tell(Event::Rollout { org: record.org.clone(), id: record.id.clone() });
        for (device, update) in cancelled {
            self.bus.tell(Event::Cancelled { org: record.org.clone(), device, update });
        }
        Ok(shown)
    }

    /// A page of the starts without approval, newest first.
    pub async fn glass_breaks(&self, actor: &Actor, cursor: Option<&str>, rows: Option<u32>) -> Result<Page<GlassBreak>> {
        may(actor, Act::Read)?;
        // As for rollouts, the last id of a page is its cursor.
        let before = match cursor {
            None => GlassId::BEHIND.to_owned(),
            Some(c) => c.parse::<GlassId>().map_err(|_| Error::not_a_cursor())?.into(),
        };
        let rows = rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
        let mut on = self.db.read().await?;
        let total = store::count(&mut on, &actor.org).await?;
        let found = store::page(&mut on, &actor.org, &before, i64::from(rows) + 1).await?;
        let shown = Reviewing::of_each(&mut on, &actor.org, found).await?.into_iter().map(|r| r.shown(actor)).collect();
        Ok(Page::cut(shown, rows, total, |g: &GlassBreak| g.id.to_string()))
    }

    /// Those that are to be reviewed first, then the last settled ones; at most 50.
    pub(super) async fn breaks(&self, on: &mut impl Conn, actor: &Actor) -> Result<Vec<GlassBreak>> {
        let found = store::list(on, &actor.org, MOST).await?;
        Ok(Reviewing::of_each(on, &actor.org, found).await?.into_iter().map(|r| r.shown(actor)).collect())
    }

    /// Starts without approval that nobody has reviewed yet, for the overview.
    pub(crate) async fn unreviewed(&self, org: &OrgId) -> Result<Vec<Unreviewed>> {
        let all = store::list(&mut self.db.read().await?, org, MOST).await?;
        let open = all.into_iter().filter(|made| made.settled_at.is_none());
        let shown = |made: Break| Unreviewed {
            rollout: made.rollout,
            name: made.rollout_name,
            by: made.by_name,
            at: made.at,
            overdue: made.overdue,
        };
        Ok(open.map(shown).collect())
    }

    /// A rollout's newest start without approval.
    pub(super) async fn broken(&self, on: &mut impl Conn, actor: &Actor, rollout: &RolloutId) -> Result<Option<GlassBreak>> {
        match store::last_of(on, rollout).await? {
            Some(made) => Ok(Some(Reviewing::read(on, &actor.org, made).await?.shown(actor))),
            None => Ok(None),
        }
    }

    /// Marks what nobody has reviewed in its time, and counts.
    pub(super) async fn watch_glass(&self) -> Result<()> {
        let now = self.clock.now();
        let due = store::now_overdue(&mut self.db.read().await?, now).await?;
        for (org, id) in due {
            let Some(made) = store::one(&mut self.db.read().await?, &org, &id).await? else { continue };
            let mut tx = self.db.write().await?;
            let (record, _) = held(&mut tx, &org, &made.rollout, None).await?;
            if !store::mark_overdue(&mut tx, &id, now).await? {
                continue;
            }
            let text = "Nobody has reviewed in time that it was started without approval";
            lists::add_event(&mut tx, &org, &record.id, text, "automatic", "bad", now).await?;
            let detail = json!({ "rollout": record.spec.name, "break": id, "by": made.by_name, "review_by": made.review_by });
            audit::append(&mut tx, &Actor::system(org.clone()), now, "rollout.break_glass_overdue", record.id.as_str(), &detail).await?;
            tx.commit().await?;
            self.bus.tell(Event::Rollout { org, id: record.id });
        }
        let (open, overdue) = store::open(&mut self.db.read().await?).await?;
        self.glass.open.store(open, Ordering::Relaxed);
        self.glass.overdue.store(overdue, Ordering::Relaxed);
        Ok(())
    }
}

fn nothing_to_stop() -> Error {
    Error::NotNow("There is nothing to stop: it does not run any more, or goes by another plan. Object without stopping it.".to_owned())
}

fn stop_word(made: &Break) -> Result<&'static str, Error> {
    match stops(made) {
        Some(GlassStop::Halt) => Ok("Halted"),
        Some(GlassStop::Draft) => Ok("Taken back"),
        None => Err(nothing_to_stop()),
    }
}

/// Why the glass can't be broken for a rollout now; `allowed` says whether the organization lets it be broken at all.
pub(super) fn not_breakable(record: &records::Record, allowed: bool, now: Timestamp) -> Option<String> {
    match record.state() {
        _ if !allowed => {
            Some("Break glass is not switched on here. An admin switches it on under Approvals; that counts a day later.".to_owned())
        }
        RolloutState::WaitingForApproval => late(record, now).map(|l| l.refusal().fault().message),
        RolloutState::Draft => None,
        RolloutState::Rejected => Some("Somebody has rejected this plan. Edit it first.".to_owned()),
        RolloutState::Approved | RolloutState::Scheduled => Some("It may begin already.".to_owned()),
        RolloutState::Stopping | RolloutState::Stopped if record.stage() == 0 => Some(over(record.state(), 0)),
        _ => Some("It has begun already.".to_owned()),
    }
}

/// The start without approval that somebody has objected to, where the rollout still goes by it.
pub(super) fn objected(glass: Option<&GlassBreak>) -> Option<&GlassBreak> {
    glass.filter(|g| g.holds && g.reviews.iter().any(|r| !r.accepted))
}

/// Why this person can't resume what is halted and was objected to; none when they can, or nobody did. It takes who may review it, and a person: who it is would
/// not be known of a command line without a token.
pub(super) fn not_resumed_by(actor: &Actor, record: &records::Record, glass: Option<&GlassBreak>) -> Option<Error> {
    let objected = objected(glass)?;
    let why = match actor.user() {
        None => "A person has to resume it: give --token-file, with a token of an admin who neither broke the glass nor wrote the plan.",
        Some(user) if *user == objected.by || record.wrote(user) => {
            "Somebody who neither broke the glass nor wrote the plan has to resume it."
        }
        Some(_) if !allowed(actor, Act::Approve) => "An admin has to resume it, as only admins review that.",
        Some(_) => return None,
    };
    Some(Error::NotNow(format!("Somebody objected to its start without approval. {why}")))
}
