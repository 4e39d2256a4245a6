//! Requests that are sent twice (`Idempotency-Key`): the answer of the first is kept for 24 hours and given again. Owns the table of answers;
//! refuses to know HTTP and what was asked for.

use crate::{
    Result,
    access::Actor,
    clock::Clock,
    db::{Db, Sql, exec, row},
};
use aws_lc_rs::digest::{Context, SHA256};
use std::sync::Arc;

/// How long an answer is kept.
const LIFETIME_MS: i64 = 24 * 3600 * 1000;
/// How long a request without an answer counts as under way: longer than any request may take.
const PATIENCE_MS: i64 = 5 * 60 * 1000;

const FIND: Sql = Sql::same(
    "SELECT fingerprint, begun_at, answered_at, status, location, media_type, body FROM repeats
     WHERE org_id = $1 AND caller = $2 AND request_key = $3",
);
const BEGIN: Sql = Sql::same(
    "INSERT INTO repeats (org_id, caller, request_key, fingerprint, begun_at, status, body) VALUES ($1, $2, $3, $4, $5, 0, '') \
     ON CONFLICT (org_id, caller, request_key) DO NOTHING",
);
const ANSWER: Sql = Sql::same(
    "UPDATE repeats SET answered_at = $4, status = $5, location = $6, media_type = $7, body = $8
     WHERE org_id = $1 AND caller = $2 AND request_key = $3 AND begun_at = $9 AND answered_at IS NULL",
);
const FORGET: Sql = Sql::same("DELETE FROM repeats WHERE org_id = $1 AND caller = $2 AND request_key = $3 AND begun_at = $4");
const FORGET_OLD: Sql = Sql::same("DELETE FROM repeats WHERE begun_at < $1");

/// Every statement of the room.
pub(crate) const ALL: &[&Sql] = &[&FIND, &BEGIN, &ANSWER, &FORGET, &FORGET_OLD];

/// The room's façade.
pub struct Repeats {
    db: Db,
    clock: Arc<dyn Clock>,
}

/// One request, named by its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who sent it, apart from everybody else in the organization.
    pub caller: String,
    /// The key its sender gave it.
    pub key: String,
    /// A digest over all that was asked for.
    pub fingerprint: String,
}

impl Request {
    /// A request of this caller under this key; `parts` are all that was asked for.
    pub fn new(caller: String, key: &str, parts: &[&[u8]]) -> Self {
        let mut digest = Context::new(&SHA256);
        for part in parts {
            // Lengths keep parts apart: no two requests have the same bytes.
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self { caller, key: key.to_owned(), fingerprint: hex::encode(digest.finish()) }
    }
}

/// An answer that was given. An empty body stands for one that is not kept because it held a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: i64,
    /// Where the thing is that was made; empty when it did not say.
    pub location: String,
    /// The media type of its body; empty when it had none.
    pub media_type: String,
    /// Its body.
    pub body: String,
}

/// The right to answer a request. It ends when the request took so long that another one took over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    request: Request,
    begun_at: i64,
}

/// What to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It is the first: carry it out, then call [`Repeats::answer`] or [`Repeats::forget`].
    First(Claim),
    /// It was carried out: give this answer again.
    Again(Answer),
    /// The first is still being carried out.
    UnderWay,
    /// The key was used for another request.
    Other,
}

impl Repeats {
    /// The room over an open store.
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock }
    }

    /// Claims the key for this request. Of two at the same time one is [`Begun::First`].
    pub async fn begin(&self, actor: &Actor, request: &Request) -> Result<Begun> {
        let (org, caller, key) = (actor.org.as_str(), request.caller.as_str(), request.key.as_str());
        let now = self.clock.now().0;
        let mut tx = self.db.write().await?;
        let found = row!(&mut tx, (String, i64, Option<i64>, i64, String, String, String), FIND, org, caller, key)?;
        if let Some((fingerprint, begun_at, answered_at, status, location, media_type, body)) = found {
            let over = now - begun_at >= if answered_at.is_some() { LIFETIME_MS } else { PATIENCE_MS };
            if !over {
                return Ok(match answered_at {
                    _ if fingerprint != request.fingerprint => Begun::Other,
                    Some(_) => Begun::Again(Answer { status, location, media_type, body }),
                    None => Begun::UnderWay,
                });
            }
            exec!(&mut tx, FORGET, org, caller, key, begun_at)?;
        }
        let claimed = exec!(&mut tx, BEGIN, org, caller, key, request.fingerprint.as_str(), now)? == 1;
        tx.commit().await?;
        Ok(if claimed { Begun::First(Claim { request: request.clone(), begun_at: now }) } else { Begun::UnderWay })
    }

    /// Keeps the answer for whoever asks again. Nothing is kept when the claim has ended.
    pub async fn answer(&self, actor: &Actor, claim: &Claim, answer: &Answer) -> Result<()> {
        let Claim { request, begun_at } = claim;
        let (org, caller, key) = (actor.org.as_str(), request.caller.as_str(), request.key.as_str());
        let Answer { status, location, media_type, body } = answer;
        let mut tx = self.db.write().await?;
        exec!(
            &mut tx,
            ANSWER,
            org,
            caller,
            key,
            self.clock.now().0,
            *status,
            location.as_str(),
            media_type.as_str(),
            body.as_str(),
            *begun_at
        )?;
        Ok(tx.commit().await?)
    }

    /// Gives the key back: the request was refused, and may be sent again once the cause is gone.
    pub async fn forget(&self, actor: &Actor, claim: &Claim) -> Result<()> {
        let Claim { request, begun_at } = claim;
        let mut tx = self.db.write().await?;
        exec!(&mut tx, FORGET, actor.org.as_str(), request.caller.as_str(), request.key.as_str(), *begun_at)?;
        Ok(tx.commit().await?)
    }

    /// Removes answers that are no longer kept. For a worker, hourly.
    pub async fn sweep(&self) -> Result<u64> {
        let mut tx = self.db.write().await?;
        let gone = exec!(&mut tx, FORGET_OLD, self.clock.now().0 - LIFETIME_MS)?;
        tx.commit().await?;
        Ok(gone)
    }
}
