//! Signing in, staying in, signing out. A session lives in the database; the access token only points at it.

use super::{
    Access, Actor, Error, Who,
    attacks::{Kind, Sign},
    audit, jwt, password, store,
};
use crate::{
    bearer,
    db::{exec, row, rows},
    hash::sha256,
    source::Source,
    text::unseen,
};
use serde_json::{Map, json};
use std::{sync::atomic::Ordering, time::Duration};
use wire::{
    Timestamp,
    access::{AccountPage, Session},
    ids::{OrgId, SessionId, UserId},
    states::Role,
};

/// A session not refreshed for this long is over.
const IDLE_MS: i64 = 7 * 24 * 3600 * 1000;
/// A session is over after this long, whatever happens.
const LONGEST_MS: i64 = 30 * 24 * 3600 * 1000;
/// Two tabs may refresh at the same moment; the loser's secret is still taken for this long.
const GRACE_MS: i64 = 60_000;
/// Tries in a row from one source before sign-in is locked from there, and for how long.
const FAILURES: i64 = 5;
const LOCK_MS: i64 = 5 * 60_000;
/// Tries at one address make the next ones slower for so long.
const SLOW_MS: i64 = 3600 * 1000;
/// Tries are forgotten after a day; the old ones are cleared away once an hour.
const REMEMBERED_MS: i64 = 24 * 3600 * 1000;
const PURGE_MS: i64 = 3600 * 1000;
/// Longer than any address here.
const LONGEST_EMAIL: usize = 200;

/// Where a request comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The peer's address.
    pub address: String,
    /// What it calls itself; kept to 200 characters.
    pub user_agent: String,
}

/// A new or renewed sign-in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The access token, fifteen minutes.
    pub access: String,
    /// The refresh secret; none when the browser's present one stays good (two tabs refreshed at once).
    pub refresh: Option<String>,
    /// End of the access token.
    pub access_expires: Timestamp,
    /// End of the session unless it is refreshed.
    pub refresh_expires: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Candidate {
    id: String,
    org_id: String,
    name: String,
    role: String,
    password_hash: String,
    disabled: bool,
}

pub(super) fn parse<T: std::str::FromStr>(stored: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    stored.parse().map_err(|e| Error::Db(crate::db::Error::corrupt(e)))
}

/// How long a try waits after so many at one address, wherever they came from. Many sources that guess one password get slow that way; its owner
/// gets in from another one all the same, and soon.
fn pause(tries: i64) -> Duration {
    Duration::from_millis(match tries {
        ..=10 => 0,
        11..=20 => 250,
        21..=40 => 500,
        41..=80 => 1000,
        81.. => 2000,
    })
}

/// The session and the person behind it, where one is signed in: what belongs to the person is never changed with an API token.
pub(super) fn signed_in(actor: &Actor) -> Result<(&SessionId, &UserId), Error> {
    match &actor.who {
        Who::Session { session, user, .. } => Ok((session, user)),
        Who::Token { .. } => Err(Error::NeedsPerson),
        Who::Device { .. } | Who::System | Who::Shell => Err(Error::NoSession),
    }
}

impl Access {
    /// Checks address and password and begins a session. A wrong password, an unknown address and a disabled account get the same answers in the
    /// same time; five tries in a row from one source lock an address there for five minutes, whether anybody here has it or not, and nowhere else:
    /// nobody can lock somebody else out. A try counts before the password is looked at, so many at once are no more than one after the other. Ten
    /// a minute close the source for a while.
    pub async fn sign_in(&self, email: &str, password: &str, from: &Origin) -> Result<SignedIn, Error> {
        let now = self.clock.now();
        let email = email.trim().to_lowercase();
        let source = Source::of(&from.address);
        if !self.passwords.take(&source, now) {
            return Err(Error::TooMany);
        }
        if email.chars().count() > LONGEST_EMAIL || email.chars().any(char::is_control) {
            return Err(Error::WrongPassword);
        }
        let (locks, tries) = self.count_attempt(&email, source, now).await?;
        tokio::time::sleep(pause(tries)).await;
        let found = row!(&mut self.db.read().await?, Candidate, store::USER_SIGN_IN, email.as_str())?;
        let stored = found.as_ref().filter(|u| !u.disabled).map(|u| u.password_hash.clone());
        let right = self.hashing.matches(password, stored).await?;
        match found {
            Some(user) if right => {
                let signed_in = self.begin(&user, &email, from, now).await?;
                self.passwords.give_back(&source);
                Ok(signed_in)
            }
            found => {
                self.tell_refused(found.as_ref(), locks, from)?;
                self.purge_attempts(now).await;
                Err(Error::WrongPassword)
            }
        }
    }

    /// Counts a try for this address, and says whether it is the one that locks it for its source, and how many there were of late from wherever;
    /// none is let through while it is locked.
    async fn count_attempt(&self, email: &str, source: Source, now: Timestamp) -> Result<(bool, i64), Error> {
        let source = source.to_string();
        let mut tx = self.db.write().await?;
        let counted = row!(&mut tx, (i64,), store::ATTEMPT, email, source.as_str(), now.0, now.plus(LOCK_MS).0, FAILURES)?;
        let Some((locked_until,)) = counted else {
            let until = row!(&mut tx, (i64,), store::ATTEMPT_LOCK, email, source.as_str())?.map_or(now.0, |r| r.0);
            return Err(Error::Locked { seconds: u32::try_from((until - now.0) / 1000 + 1).unwrap_or(u32::MAX) });
        };
        let tries = row!(&mut tx, (i64,), store::ATTEMPTS_AT, email, now.plus(-SLOW_MS).0)?.map_or(0, |r| r.0);
        tx.commit().await?;
        Ok((locked_until > now.0, tries))
    }

    /// Tells of a refusal as of any other sign of attack: whoever tries makes no more rows of the audit log than its pace allows. That of an address
    /// nobody has goes to the first organization.
    fn tell_refused(&self, user: Option<&Candidate>, locked: bool, from: &Origin) -> Result<(), Error> {
        let Some(attacks) = &self.attacks else { return Ok(()) };
        let (org, object) = match user {
            Some(user) => (Some(parse(&user.org_id)?), user.id.clone()),
            None => (None, "unknown address".to_owned()),
        };
        let detail = Map::from_iter([("locked".to_owned(), json!(locked))]);
        attacks.tell(Sign { kind: Kind::WrongPassword, org, from: from.address.clone(), object, detail });
        Ok(())
    }

    /// Forgets old tries, now and then. Nobody waits for it to succeed: the next one comes.
    async fn purge_attempts(&self, now: Timestamp) {
        let last = self.purged.load(Ordering::Relaxed);
        if now.since(Timestamp(last)) < PURGE_MS || self.purged.compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        let purged = async {
            let mut tx = self.db.write().await?;
            exec!(&mut tx, store::ATTEMPTS_PURGE, now.plus(-REMEMBERED_MS).0)?;
            tx.commit().await
        };
        if let Err(e) = purged.await {
            tracing::warn!(error = %e, "old sign-in attempts were not cleared away");
        }
    }

    async fn begin(&self, user: &Candidate, email: &str, from: &Origin, now: Timestamp) -> Result<SignedIn, Error> {
        let session: SessionId = self.entropy.id(now);
        let secret = self.entropy.secret();
        let expires = now.plus(IDLE_MS);
        let user_agent: String = from.user_agent.chars().filter(|c| !unseen(*c)).take(200).collect();
        let (org, id): (OrgId, UserId) = (parse(&user.org_id)?, parse(&user.id)?);
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &org).await?;
        exec!(
            &mut tx,
            store::SESSION_INSERT,
            session.as_str(),
            org.as_str(),
            id.as_str(),
            sha256(secret.as_bytes()).as_slice(),
            now.0,
            expires.0,
            from.address.as_str(),
            user_agent.as_str()
        )?;
        // What others have tried elsewhere still counts there.
        let source = Source::of(&from.address).to_string();
        exec!(&mut tx, store::ATTEMPT_FORGET, email, source.as_str())?;
        let who = Who::Session { session: session.clone(), user: id.clone(), name: user.name.clone(), role: parse(&user.role)? };
        let actor = Actor { who, ..Actor::stranger(org, &from.address) };
        audit::append(&mut tx, &actor, now, "session.begin", session.as_str(), &json!(null)).await?;
        tx.commit().await?;
        let access = self.jwt.issue(&id, &session, now)?;
        Ok(SignedIn {
            access,
            refresh: Some(format!("{session}.{secret}")),
            access_expires: now.plus(jwt::LIFE_MS),
            refresh_expires: expires,
        })
    }

    /// Trades a refresh secret for a new access token and a new refresh secret. A secret used twice ends the session: one of the two is a thief, and the audit
    /// log says from which address the second came.
    pub async fn refresh(&self, refresh: &str, address: &str) -> Result<SignedIn, Error> {
        type Row = (String, String, String, Vec<u8>, Option<Vec<u8>>, i64, i64);
        let now = self.clock.now();
        let (session, secret) = refresh.split_once('.').ok_or(Error::NoSession)?;
        let session: SessionId = session.parse().map_err(|_| Error::NoSession)?;
        let mut tx = self.db.write().await?;
        let found = row!(&mut tx, Row, store::SESSION_REFRESH, session.as_str(), now.0)?;
        let (org, user, name, current, previous, rotated_at, created_at) = found.ok_or(Error::NoSession)?;
        let (org, user): (OrgId, UserId) = (parse(&org)?, parse(&user)?);
        let expires = now.plus(IDLE_MS).min(Timestamp(created_at).plus(LONGEST_MS));
        let access_expires = now.plus(jwt::LIFE_MS);
        if bearer::fits(secret, &current) {
            let fresh = self.entropy.secret();
            let kept = sha256(fresh.as_bytes());
            let rotated = exec!(&mut tx, store::SESSION_ROTATE, session.as_str(), current, kept.as_slice(), now.0, expires.0)? > 0;
            tx.commit().await?;
            let access = self.jwt.issue(&user, &session, now)?;
            // Another tab was first since we read: its secret is the one that is kept, and the browser has it.
            let refresh = rotated.then(|| format!("{session}.{fresh}"));
            return Ok(SignedIn { access, refresh, access_expires, refresh_expires: expires });
        }
        let was_current = previous.is_some_and(|p| bearer::fits(secret, &p));
        if was_current && now.since(Timestamp(rotated_at)) < GRACE_MS {
            let access = self.jwt.issue(&user, &session, now)?;
            return Ok(SignedIn { access, refresh: None, access_expires, refresh_expires: expires });
        }
        if was_current {
            audit::hold(&mut tx, &org).await?;
            exec!(&mut tx, store::SESSION_END, session.as_str(), user.as_str(), now.0)?;
            let who = Who::Session { session: session.clone(), user, name, role: Role::Viewer };
            let actor = Actor { who, ..Actor::stranger(org, address) };
            audit::append(&mut tx, &actor, now, "session.reused_refresh", session.as_str(), &json!(null)).await?;
            tx.commit().await?;
        }
        Err(Error::NoSession)
    }

    /// The actor behind an access token, if its session still lives. Role and name are read now, so changes hold at once.
    pub async fn authenticate_jwt(&self, token: &str, address: &str) -> Result<Actor, Error> {
        let now = self.clock.now();
        let claims = self.jwt.read(token, now)?;
        let found =
            row!(&mut self.db.read().await?, (String, i64, String, String, String), store::SESSION_LIVE, claims.sid.as_str(), now.0)?;
        let (org, seen, user, name, role) = found.filter(|f| f.2 == claims.sub.as_str()).ok_or(Error::NoSession)?;
        // Once a minute is exact enough for "last seen", and keeps reads from becoming writes.
        if now.since(Timestamp(seen)) > 60_000 {
            let mut tx = self.db.write().await?;
            exec!(&mut tx, store::SESSION_SEEN, claims.sid.as_str(), now.0)?;
            tx.commit().await?;
        }
        let who = Who::Session { session: claims.sid, user: parse(&user)?, name, role: parse(&role)? };
        Ok(Actor { who, ..Actor::stranger(parse(&org)?, address) })
    }

    /// Whether a session that was good when a long connection began still is. Tokens are asked the same way. An error says nothing about either.
    pub async fn still_valid(&self, actor: &Actor) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut on = self.db.read().await?;
        Ok(match &actor.who {
            Who::Session { session, .. } => {
                row!(&mut on, (String, i64, String, String, String), store::SESSION_LIVE, session.as_str(), now.0)?.is_some()
            }
            Who::Token { token, .. } => row!(&mut on, super::tokens::Live, store::TOKEN_LIVE, token.as_str(), now.0)?.is_some(),
            Who::Device { .. } | Who::System | Who::Shell => true,
        })
    }

    /// Ends the actor's own session.
    pub async fn sign_out(&self, actor: &Actor) -> Result<(), Error> {
        match &actor.who {
            Who::Session { session, .. } => self.end_session(actor, session).await,
            _ => Ok(()),
        }
    }

    /// Ends one of the actor's own sessions. Its live sockets close within half a minute.
    pub async fn end_session(&self, actor: &Actor, session: &SessionId) -> Result<(), Error> {
        let (_, user) = signed_in(actor)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        if exec!(&mut tx, store::SESSION_END, session.as_str(), user.as_str(), now.0)? == 0 {
            return Err(Error::NotFound("session"));
        }
        audit::append(&mut tx, actor, now, "session.end", session.as_str(), &json!(null)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The actor's own account with its live sessions.
    pub async fn account(&self, actor: &Actor) -> Result<AccountPage, Error> {
        let Who::Session { session: current, user: id, .. } = &actor.who else { return Err(Error::NoSession) };
        let mut on = self.db.read().await?;
        let user = super::users::find(&mut on, &actor.org, id).await?;
        let found = rows!(&mut on, (String, i64, i64, String, String), store::SESSIONS_OF, id.as_str(), self.clock.now().0)?;
        let sessions = found
            .into_iter()
            .map(|(id, created, seen, address, user_agent)| {
                let id: SessionId = parse(&id)?;
                let current = id == *current;
                Ok(Session { id, created_at: Timestamp(created), last_seen_at: Timestamp(seen), address, user_agent, current })
            })
            .collect::<Result<_, Error>>()?;
        Ok(AccountPage { user: user.shown, sessions })
    }

    /// Changes the actor's own password and ends all their other sessions.
    pub async fn change_password(&self, actor: &Actor, old: &str, new: &str) -> Result<(), Error> {
        let (session, id) = signed_in(actor)?;
        password::acceptable(new)?;
        let user = super::users::find(&mut self.db.read().await?, &actor.org, id).await?;
        let now = self.clock.now();
        // Who has somebody's open browser shall not guess their password at leisure.
        if !self.own_passwords.take(id.as_str(), now) {
            return Err(Error::TooMany);
        }
        if !self.hashing.matches(old, Some(user.password_hash)).await? {
            return Err(Error::invalid("old", "The present password is wrong."));
        }
        self.own_passwords.give_back(id.as_str());
        let hashed = self.hashing.hash(new, self.entropy.bytes::<16>()).await?;
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        exec!(&mut tx, store::USER_SET_PASSWORD, actor.org.as_str(), id.as_str(), hashed.as_str())?;
        exec!(&mut tx, store::ATTEMPT_FORGET_USER, actor.org.as_str(), id.as_str())?;
        exec!(&mut tx, store::SESSIONS_END_ALL, id.as_str(), session.as_str(), now.0)?;
        audit::append(&mut tx, actor, now, "user.password", id.as_str(), &json!(null)).await?;
        tx.commit().await?;
        Ok(())
    }
}
