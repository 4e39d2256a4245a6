//! Lists of revoked certificates that are fetched from where an admin has said (E-10). Owns the address, what is due, and what an answer means; what
//! comes passes the gate of what is brought. Refuses to know how one asks, and how long that may take. No address in a certificate or a list counts.
//!
//! What a server gave with a list is sent back only while that list is here and holds: then "no other one" says something of it. So a list that was brought
//! since, one that has ended, and one that is awaited are asked for as they are.

use super::{
    super::{Error, Pki},
    FetchFigures, Refused, address_store,
    figures::Outcome,
    list_address, list_store, reachable,
    validators::Validators,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db,
    text::unseen,
};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    registered::{RegisteredAuthority, RegisteredState, list_warning},
};

/// Most that are taken at once.
const AT_ONCE: i64 = 16;
/// Longest reason that is kept.
const LONGEST_REASON: usize = 300;

/// A list that is to be fetched now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueList {
    /// Whose.
    pub authority: AuthorityId,
    /// From where: `http://…` or `https://…`, as an admin has set it.
    pub url: String,
    /// What came with the list that is here, if something did: whether there is another one is asked by that.
    pub known: Option<Validators>,
    org: OrgId,
    pub(super) asked_at: Timestamp,
    failures: i64,
    /// SHA-256 of the list that it came with.
    of_list: Option<Vec<u8>>,
}

/// What was answered at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListAnswer {
    /// Something that may be a list.
    List {
        /// Its bytes.
        list: Vec<u8>,
        /// What came with it.
        validators: Validators,
    },
    /// There is no other one than the one that was asked by.
    Unchanged,
}

impl DueList {
    fn of(row: address_store::DueRow, asked_at: Timestamp) -> Result<Self, db::Error> {
        let known = Validators::of(Some(&row.etag), Some(&row.last_modified));
        Ok(Self {
            known: (row.of_list.is_some() && !known.is_empty()).then_some(known),
            of_list: row.of_list,
            authority: row.authority_id.parse().map_err(db::Error::corrupt)?,
            org: row.org_id.parse().map_err(db::Error::corrupt)?,
            url: row.url,
            asked_at,
            failures: row.failures,
        })
    }
}

impl Pki {
    /// Says from where a registered authority's list of revoked certificates is fetched; it is asked at once. An empty one ends that: then it is brought.
    pub async fn set_list_address(&self, actor: &Actor, id: &AuthorityId, url: &str) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Authorities)?;
        let (now, url) = (self.clock.now(), url.trim());
        if !url.is_empty() {
            list_address::check(url).map_err(Refused::ListAddress)?;
            reachable::literal(url, self.private_lists).map_err(Refused::Unreachable)?;
        }
        let mut tx = self.db.write().await?;
        let row = self.registered_held(&mut tx, actor, id).await?;
        if row.state()? == RegisteredState::Unverified {
            return Err(Refused::State(RegisteredState::Unverified).into());
        }
        let was = address_store::address(&mut tx, id).await?.map(|was| was.url);
        if url.is_empty() {
            address_store::delete_address(&mut tx, id).await?;
        } else {
            address_store::put_address(&mut tx, id, &actor.org, url, (now, &actor.label())).await?;
        }
        let detail = json!({ "label": row.label, "was": was.unwrap_or_default(), "is": url });
        audit::append(&mut tx, actor, now, "registered_authority.list_address", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.lists_wanted.notify_one();
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        self.registered_authority(actor, id).await
    }

    /// Makes the list of an authority that has an address due, as if its time had come; waits for nobody's answer. Refused when the address was asked
    /// within the last ten seconds.
    pub async fn fetch_list_now(&self, actor: &Actor, id: &AuthorityId) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Authorities)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let row = self.registered_held(&mut tx, actor, id).await?;
        let at = address_store::address(&mut tx, id).await?.ok_or(Refused::NoListAddress)?;
        if at.next_at > now.0 {
            if let Some(seconds) = list_address::wait(now, at.asked_at.map(Timestamp)) {
                return Err(Refused::ListJustAsked(seconds).into());
            }
            if !address_store::ask_now(&mut tx, id, now, now.plus(-list_address::BY_HAND)).await? {
                // Somebody has begun to ask since.
                return Err(Refused::ListJustAsked(list_address::wait(now, Some(now)).unwrap_or_default()).into());
            }
            let detail = json!({ "label": row.label, "url": at.url });
            audit::append(&mut tx, actor, now, "registered_authority.fetch_list", id.as_str(), &detail).await?;
        }
        tx.commit().await?;
        self.lists_wanted.notify_one();
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        self.registered_authority(actor, id).await
    }

    /// How asking for lists goes, for the machine room.
    pub const fn list_fetches(&self) -> &FetchFigures {
        &self.list_fetches
    }

    /// Waits until an address was named, or asking was wanted, here. What was wanted elsewhere [`Pki::lists_due`] finds.
    pub async fn list_wanted(&self) {
        self.lists_wanted.notified().await;
    }

    /// What is to be fetched now, a few at a time. No other instance is given the same within five minutes; say by then with [`Pki::list_came`] what came.
    pub async fn lists_due(&self) -> Result<Vec<DueList>, Error> {
        let now = self.clock.now();
        let (due, oldest) = {
            let mut on = self.db.read().await?;
            (address_store::due(&mut on, now, now.plus(list_address::LATEST), AT_ONCE).await?, address_store::oldest(&mut on).await?)
        };
        self.list_fetches.oldest_is(oldest);
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let mut taken = Vec::with_capacity(due.len());
        let mut tx = self.db.write().await?;
        for row in due {
            if address_store::take(&mut tx, &row, now.plus(list_address::LEAST), now).await? {
                taken.push(DueList::of(row, now)?);
            }
        }
        tx.commit().await?;
        Ok(taken)
    }

    /// Takes what came of asking for a due list: its bytes, that it is the one that is here, or in words why there is none. A list that the gate refuses,
    /// and an older one, is a failure like any other; the same one as before is none. An error is this server's own trouble: then it is asked again after a
    /// while.
    pub async fn list_came(&self, due: &DueList, answer: Result<ListAnswer, String>) -> Result<(), Error> {
        let system = Actor::system(due.org.clone());
        let came = match answer {
            Ok(ListAnswer::Unchanged) if due.known.is_none() => {
                Err("it answers 304 Not Modified, but was not asked whether there is another list".to_owned())
            }
            Ok(ListAnswer::Unchanged) => Ok((Outcome::Unchanged, None)),
            Ok(ListAnswer::List { list, validators }) => match self.take_list(&system, &due.authority, list, Some(&due.url)).await {
                Ok(taken) => {
                    let outcome = if taken.new { Outcome::Taken } else { Outcome::Unchanged };
                    Ok((outcome, Some((taken.sha256, validators))))
                }
                // It was removed meanwhile.
                Err(Error::Registered(Refused::NotFound)) => return Ok(()),
                Err(Error::Registered(refused)) => Err(refused.to_string()),
                Err(trouble) => return Err(trouble),
            },
            Err(why) => Err(why),
        };
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let held = list_store::held_list(&mut tx, &due.authority).await?;
        let ends = held.as_ref().map(|list| Timestamp(list.next_update));
        let outcome = match came {
            // Another one was brought meanwhile, of which this says nothing; it is asked again by itself.
            Ok((_, None)) if held.as_ref().map(|list| &list.sha256) != due.of_list.as_ref() => return Ok(()),
            Ok((outcome, given)) => {
                let next = self.asked_again(now, 0, ends);
                match given {
                    Some((sha256, validators)) => address_store::gave(&mut tx, due, (next, now), &sha256, &validators).await?,
                    None => address_store::gave_same(&mut tx, due, next, now).await?,
                }
                outcome
            }
            Err(why) => {
                let why: String = why.chars().filter(|c| !unseen(*c)).take(LONGEST_REASON).collect();
                let failures = due.failures.saturating_add(1);
                tracing::warn!(authority = %due.authority, failures, error = why, "a list of revoked certificates could not be fetched");
                address_store::gave_none(&mut tx, due, self.asked_again(now, failures, ends), failures, &why).await?;
                Outcome::Failed
            }
        };
        tx.commit().await?;
        self.list_fetches.count(outcome);
        self.bus.tell(Event::Enrolment { org: due.org.clone() });
        Ok(())
    }

    fn asked_again(&self, now: Timestamp, failures: i64, ends: Option<Timestamp>) -> Timestamp {
        let pause = list_address::pause(now, failures, ends);
        let later = i64::try_from(self.entropy.below(list_address::spread(pause))).unwrap_or_default();
        now.plus(pause).plus(later)
    }

    /// Authorities whose list is awaited, or could not be fetched often enough, or soon enough before its end, that a person should look: which, in words, and
    /// since when.
    pub(crate) async fn unfetched_lists(&self, org: &OrgId) -> Result<Vec<(AuthorityId, String, Timestamp)>, Error> {
        let now = self.clock.now();
        let troubled = address_store::troubled(&mut self.db.read().await?, org).await?;
        let warned = troubled.into_iter().filter_map(|row| {
            let text = list_warning(&row.label, row.failures, &row.error, row.next_update.map(Timestamp), now)?;
            Some((row.authority_id, text, Timestamp(row.since)))
        });
        let warned = warned.map(|(id, text, since)| Ok((id.parse::<AuthorityId>().map_err(db::Error::corrupt)?, text, since)));
        let mut all = self.awaited_lists(org).await?;
        all.extend(warned.collect::<Result<Vec<_>, db::Error>>()?);
        Ok(all)
    }
}
