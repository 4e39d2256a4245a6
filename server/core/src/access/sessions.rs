//! Signing in, staying in, signing out. A session lives in the database; the access token only points at it.

use super::{Access, Actor, Error, Who, audit, jwt, password, store};
use crate::db::{exec, row, rows};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use subtle::ConstantTimeEq as _;
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
/// Wrong passwords before sign-in is locked, and for how long.
const FAILURES: i64 = 5;
const LOCK_MS: i64 = 5 * 60_000;

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
    failures: i64,
    locked_until: i64,
    disabled: bool,
}

fn hash(secret: &str) -> Vec<u8> {
    digest(&SHA256, secret.as_bytes()).as_ref().to_vec()
}

pub(super) fn parse<T: std::str::FromStr>(stored: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    stored.parse().map_err(|e| Error::Db(crate::db::Error::corrupt(e)))
}

impl Access {
    /// Checks address and password and begins a session. A wrong password, an unknown address and a disabled account give the same answer
    /// in the same time; five wrong passwords lock the account for five minutes.
    pub async fn sign_in(&self, email: &str, password: &str, from: &Origin) -> Result<SignedIn, Error> {
        let now = self.clock.now();
        if !self.guesses.open(&from.address, now) {
            return Err(Error::TooMany);
        }
        let email = email.trim().to_lowercase();
        let found = row!(&mut self.db.read().await?, Candidate, store::USER_SIGN_IN, email.as_str())?;
        if let Some(user) = found.as_ref().filter(|u| u.locked_until > now.0) {
            let seconds = u32::try_from((user.locked_until - now.0) / 1000 + 1).unwrap_or(u32::MAX);
            return Err(Error::Locked { seconds });
        }
        let stored = found.as_ref().filter(|u| !u.disabled).map(|u| u.password_hash.clone());
        let attempt = password.to_owned();
        let right = tokio::task::spawn_blocking(move || password::matches(&attempt, stored.as_deref()))
            .await
            .map_err(|e| Error::Crypto(e.to_string()))??;
        match found {
            Some(user) if right => self.begin(&user, from, now).await,
            found => {
                self.guesses.fail(&from.address, now);
                if let Some(user) = found {
                    self.note_failure(&user, from, now).await?;
                }
                Err(Error::WrongPassword)
            }
        }
    }

    async fn begin(&self, user: &Candidate, from: &Origin, now: Timestamp) -> Result<SignedIn, Error> {
        let session: SessionId = self.entropy.id(now);
        let secret = self.entropy.secret();
        let expires = now.plus(IDLE_MS);
        let user_agent: String = from.user_agent.chars().filter(|c| !c.is_control()).take(200).collect();
        let (org, id): (OrgId, UserId) = (parse(&user.org_id)?, parse(&user.id)?);
        let mut tx = self.db.write().await?;
        exec!(
            &mut tx,
            store::SESSION_INSERT,
            session.as_str(),
            org.as_str(),
            id.as_str(),
            hash(&secret),
            now.0,
            expires.0,
            from.address.as_str(),
            user_agent.as_str()
        )?;
        exec!(&mut tx, store::USER_SUCCEEDED, id.as_str())?;
        let who = Who::Session { session: session.clone(), user: id.clone(), name: user.name.clone(), role: parse(&user.role)? };
        let actor = Actor { org, who, address: from.address.clone() };
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

    async fn note_failure(&self, user: &Candidate, from: &Origin, now: Timestamp) -> Result<(), Error> {
        let locked_until = if (user.failures + 1) % FAILURES == 0 { now.plus(LOCK_MS).0 } else { 0 };
        let org: OrgId = parse(&user.org_id)?;
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::USER_FAILED, user.id.as_str(), locked_until)?;
        let actor = Actor { org, who: Who::System, address: from.address.clone() };
        audit::append(&mut tx, &actor, now, "session.refused", &user.id, &json!({ "locked": locked_until > 0 })).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Trades a refresh secret for a new access token and a new refresh secret. A secret used twice ends the session: one of the two is a thief.
    pub async fn refresh(&self, refresh: &str) -> Result<SignedIn, Error> {
        type Row = (String, String, String, Vec<u8>, Option<Vec<u8>>, i64, i64);
        let now = self.clock.now();
        let (session, secret) = refresh.split_once('.').ok_or(Error::NoSession)?;
        let session: SessionId = session.parse().map_err(|_| Error::NoSession)?;
        let presented = hash(secret);
        let mut tx = self.db.write().await?;
        let found = row!(&mut tx, Row, store::SESSION_REFRESH, session.as_str(), now.0)?;
        let (org, user, name, current, previous, rotated_at, created_at) = found.ok_or(Error::NoSession)?;
        let (org, user): (OrgId, UserId) = (parse(&org)?, parse(&user)?);
        let expires = now.plus(IDLE_MS).min(Timestamp(created_at).plus(LONGEST_MS));
        let access_expires = now.plus(jwt::LIFE_MS);
        if bool::from(current.ct_eq(&presented)) {
            let fresh = self.entropy.secret();
            exec!(&mut tx, store::SESSION_ROTATE, session.as_str(), presented, hash(&fresh), now.0, expires.0)?;
            tx.commit().await?;
            let access = self.jwt.issue(&user, &session, now)?;
            return Ok(SignedIn { access, refresh: Some(format!("{session}.{fresh}")), access_expires, refresh_expires: expires });
        }
        let was_current = previous.is_some_and(|p| bool::from(p.ct_eq(&presented)));
        if was_current && now.since(Timestamp(rotated_at)) < GRACE_MS {
            let access = self.jwt.issue(&user, &session, now)?;
            return Ok(SignedIn { access, refresh: None, access_expires, refresh_expires: expires });
        }
        if was_current {
            exec!(&mut tx, store::SESSION_END, session.as_str(), user.as_str(), now.0)?;
            let who = Who::Session { session: session.clone(), user, name, role: Role::Viewer };
            let actor = Actor { org, who, address: String::new() };
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
        Ok(Actor { org: parse(&org)?, who, address: address.to_owned() })
    }

    /// Whether a session that was good when a long connection began still is. Tokens are asked the same way.
    pub async fn still_valid(&self, actor: &Actor) -> bool {
        let now = self.clock.now();
        let Ok(mut on) = self.db.read().await else { return false };
        match &actor.who {
            Who::Session { session, .. } => {
                matches!(row!(&mut on, (String, i64, String, String, String), store::SESSION_LIVE, session.as_str(), now.0), Ok(Some(_)))
            }
            Who::Token { token, .. } => {
                matches!(row!(&mut on, super::tokens::Live, store::TOKEN_LIVE, token.as_str(), now.0), Ok(Some(_)))
            }
            Who::Device { .. } | Who::System => true,
        }
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
        let user = actor.user().ok_or(Error::NoSession)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
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
        let Who::Session { session, user: id, .. } = &actor.who else { return Err(Error::NoSession) };
        password::acceptable(new)?;
        let user = super::users::find(&mut self.db.read().await?, &actor.org, id).await?;
        let (old, new, salt) = (old.to_owned(), new.to_owned(), self.entropy.bytes::<16>());
        let hashed = tokio::task::spawn_blocking(move || {
            if password::matches(&old, Some(&user.password_hash))? { password::hash(&new, salt).map(Some) } else { Ok(None) }
        })
        .await
        .map_err(|e| Error::Crypto(e.to_string()))??
        .ok_or_else(|| Error::invalid("old", "The present password is wrong."))?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::USER_SET_PASSWORD, actor.org.as_str(), id.as_str(), hashed.as_str())?;
        exec!(&mut tx, store::SESSIONS_END_ALL, id.as_str(), session.as_str(), now.0)?;
        audit::append(&mut tx, actor, now, "user.password", id.as_str(), &json!(null)).await?;
        tx.commit().await?;
        Ok(())
    }
}
