//! API tokens for scripts: `fat_<id>_<secret>`, shown once, kept as a hash.

use super::{
    Access, Act, Actor, Error, Who, audit, may,
    sessions::{parse, signed_in},
    store,
};
use crate::{
    bearer,
    db::{exec, row, rows},
    source::Source,
};
use serde_json::json;
use wire::{
    Timestamp,
    access::{ApiToken, CreatedApiToken, MAX_TOKEN_DAYS},
    ids::ApiTokenId,
    states::Role,
};

const PREFIX: &str = "fat";
const DAY_MS: i64 = 24 * 3600 * 1000;

#[derive(sqlx::FromRow)]
pub(super) struct Live {
    org_id: String,
    user_id: String,
    name: String,
    role: String,
    secret_hash: Vec<u8>,
    last_used_at: Option<i64>,
    user_role: String,
    person: String,
}

#[derive(sqlx::FromRow)]
struct Listed {
    id: String,
    user_id: String,
    name: String,
    role: String,
    created_by: String,
    created_at: i64,
    expires_at: i64,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl Listed {
    fn shown(self, to: &Actor) -> Result<ApiToken, Error> {
        Ok(ApiToken {
            may_revoke: may_revoke(to, &self.user_id).is_ok(),
            id: parse(&self.id)?,
            name: self.name,
            role: parse(&self.role)?,
            created_by: self.created_by,
            created_at: Timestamp(self.created_at),
            expires_at: Timestamp(self.expires_at),
            last_used_at: self.last_used_at.map(Timestamp),
            revoked_at: self.revoked_at.map(Timestamp),
        })
    }
}

/// One's own tokens go with the right over tokens, those of others with the right over people.
fn may_revoke(actor: &Actor, owner: &str) -> Result<(), Error> {
    let own = actor.user().is_some_and(|user| user.as_str() == owner);
    may(actor, if own { Act::Tokens } else { Act::People })
}

impl Access {
    /// Makes a token with at most the maker's own role, for 1 to 366 days. What it does counts as done by its maker. Only for a person who is signed
    /// in: a token that makes tokens would outlive its own withdrawal.
    pub async fn create_token(&self, actor: &Actor, name: &str, role: Role, days: u32) -> Result<CreatedApiToken, Error> {
        may(actor, Act::Tokens)?;
        let user = signed_in(actor)?.1.clone();
        self.issue_token(actor, &user, name, role, days).await
    }

    /// The same for the command line on the server's own machine, in a person's name.
    pub async fn create_token_for(&self, actor: &Actor, email: &str, name: &str, role: Role, days: u32) -> Result<CreatedApiToken, Error> {
        may(actor, Act::People)?;
        let mut on = self.db.read().await?;
        let user = super::users::by_email(&mut on, &actor.org, email).await?;
        let (own,) = row!(&mut on, (String,), store::USER_ROLE, actor.org.as_str(), user.as_str())?.ok_or(Error::NotFound("person"))?;
        drop(on);
        let own: Role = parse(&own)?;
        if role > own {
            return Err(Error::invalid("role", format!("A token acts with at most its person's role, and {email} is {own}.")));
        }
        self.issue_token(actor, &user, name, role, days).await
    }

    async fn issue_token(
        &self,
        actor: &Actor,
        user: &wire::ids::UserId,
        name: &str,
        role: Role,
        days: u32,
    ) -> Result<CreatedApiToken, Error> {
        let name = super::users::text("name", name, 100)?;
        if !(1..=MAX_TOKEN_DAYS).contains(&days) {
            return Err(Error::invalid("days", format!("A token lives 1 to {MAX_TOKEN_DAYS} days.")));
        }
        if actor.role().is_some_and(|own| role > own) {
            return Err(Error::invalid("role", "A token can't have a larger role than you."));
        }
        let now = self.clock.now();
        let id: ApiTokenId = self.entropy.id(now);
        let (secret, secret_hash) = bearer::mint(PREFIX, &id, &*self.entropy);
        let expires_at = now.plus(i64::from(days) * DAY_MS);
        let mut tx = self.db.write().await?;
        exec!(
            &mut tx,
            store::TOKEN_INSERT,
            id.as_str(),
            actor.org.as_str(),
            user.as_str(),
            name.as_str(),
            role.as_str(),
            secret_hash.as_slice(),
            now.0,
            expires_at.0
        )?;
        audit::append(&mut tx, actor, now, "token.create", id.as_str(), &json!({ "name": name, "role": role })).await?;
        tx.commit().await?;
        let token = ApiToken {
            id,
            name,
            role,
            created_by: actor.label(),
            created_at: now,
            expires_at,
            last_used_at: None,
            revoked_at: None,
            may_revoke: may_revoke(actor, user.as_str()).is_ok(),
        };
        Ok(CreatedApiToken { token, secret })
    }

    /// The actor behind a bearer token. Every wrong one gets the same answer; after ten a minute from one source its wrong ones are told to
    /// wait. A right one always passes: behind one address there may be a whole building.
    pub async fn authenticate_token(&self, bearer: &str, address: &str) -> Result<Actor, Error> {
        let now = self.clock.now();
        let refuse = || if self.wrong_secrets.take(&Source::of(address), now) { Error::BadToken } else { Error::TooMany };
        let (id, secret) = bearer::read::<ApiTokenId>(PREFIX, bearer).ok_or_else(refuse)?;
        let found = row!(&mut self.db.read().await?, Live, store::TOKEN_LIVE, id.as_str(), now.0)?.ok_or_else(refuse)?;
        if !bearer::fits(secret, &found.secret_hash) {
            return Err(refuse());
        }
        if found.last_used_at.is_none_or(|t| now.since(Timestamp(t)) > 60_000) {
            let mut tx = self.db.write().await?;
            exec!(&mut tx, store::TOKEN_USED, id.as_str(), now.0)?;
            tx.commit().await?;
        }
        // A token never outlives its maker's rights.
        let role = parse::<Role>(&found.role)?.min(parse(&found.user_role)?);
        let who = Who::Token { token: id, user: parse(&found.user_id)?, name: found.name, person: found.person, role };
        Ok(Actor { who, ..Actor::stranger(parse(&found.org_id)?, address) })
    }

    /// Withdraws a token at once. That of somebody else needs the right over people.
    pub async fn revoke_token(&self, actor: &Actor, id: &ApiTokenId) -> Result<(), Error> {
        may(actor, Act::Tokens)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let (owner,) =
            row!(&mut tx, (String,), store::TOKEN_OWNER, actor.org.as_str(), id.as_str())?.ok_or(Error::NotFound("API token"))?;
        may_revoke(actor, &owner)?;
        if exec!(&mut tx, store::TOKEN_REVOKE, actor.org.as_str(), id.as_str(), now.0)? == 0 {
            return Err(Error::NotFound("API token"));
        }
        audit::append(&mut tx, actor, now, "token.revoke", id.as_str(), &json!(null)).await?;
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn tokens(&self, actor: &Actor) -> Result<Vec<ApiToken>, Error> {
        let now = self.clock.now();
        let found = rows!(&mut self.db.read().await?, Listed, store::TOKENS, actor.org.as_str(), now.0)?;
        found.into_iter().map(|t| t.shown(actor)).collect()
    }
}
