//! People and their roles. How the first one of an organization comes in, `setting_up.rs` says.

use super::{
    Access, Act, Actor, Error, Who, allowed, audit, may, password,
    sessions::parse,
    setting_up::{First, comes_in},
    store,
};
use crate::{
    bus::Event,
    db::{Conn, Tx, exec, row, rows},
    text::unseen,
};
use serde_json::json;
use wire::{
    Timestamp,
    access::{PeoplePage, User},
    ids::{OrgId, UserId},
    states::Role,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    email: String,
    name: String,
    role: String,
    created_at: i64,
    locked_until: i64,
    disabled: bool,
    password_hash: String,
}

/// A person with what stays inside.
pub(super) struct Person {
    pub(super) shown: User,
    pub(super) password_hash: String,
}

impl Row {
    fn person(self) -> Result<Person, Error> {
        let shown = User {
            id: parse(&self.id)?,
            email: self.email,
            name: self.name,
            role: parse(&self.role)?,
            created_at: Timestamp(self.created_at),
            locked_until: (self.locked_until > 0).then_some(Timestamp(self.locked_until)),
            disabled: self.disabled,
        };
        Ok(Person { shown, password_hash: self.password_hash })
    }
}

pub(super) async fn find(on: &mut impl Conn, org: &OrgId, id: &UserId) -> Result<Person, Error> {
    row!(on, Row, store::USER_BY_ID, org.as_str(), id.as_str())?.ok_or(Error::NotFound("person"))?.person()
}

/// What the person is called.
pub(crate) async fn name_of(on: &mut impl Conn, org: &OrgId, id: &UserId) -> Result<String, Error> {
    Ok(find(on, org, id).await?.shown.name)
}

/// How many admins there are beside this person, who can sign in; all of them beside nobody (an empty id).
pub(crate) async fn admins_beside(on: &mut impl Conn, org: &OrgId, user: &str) -> Result<i64, Error> {
    Ok(row!(on, (i64,), store::OTHER_ADMINS, org.as_str(), user)?.map_or(0, |(n,)| n))
}

/// Whether the person is an admin who can sign in.
pub(crate) async fn is_admin(on: &mut impl Conn, org: &OrgId, id: &UserId) -> Result<bool, Error> {
    match find(on, org, id).await {
        Ok(person) => Ok(person.shown.role == Role::Admin && !person.shown.disabled),
        Err(Error::NotFound(_)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Every admin who can sign in, with their names.
pub(crate) async fn admins(on: &mut impl Conn, org: &OrgId) -> Result<Vec<(UserId, String)>, Error> {
    let found = rows!(on, (String, String), store::ADMINS, org.as_str())?;
    found.into_iter().map(|(id, name)| Ok((parse(&id)?, name))).collect()
}

/// The person of this organization with this address.
pub(super) async fn by_email(on: &mut impl Conn, org: &OrgId, email: &str) -> Result<UserId, Error> {
    let found = row!(on, (String,), store::USER_BY_EMAIL, org.as_str(), email.trim().to_lowercase())?;
    parse(&found.ok_or(Error::NotFound("person"))?.0)
}

/// A single line without anything that is not seen, 1 to `most` characters, trimmed.
pub(super) fn text(field: &'static str, value: &str, most: usize) -> Result<String, Error> {
    let value = value.trim();
    if value.is_empty() || value.chars().count() > most || value.chars().any(unseen) {
        return Err(Error::invalid(field, format!("Give 1 to {most} characters without line breaks and control characters.")));
    }
    Ok(value.to_owned())
}

fn address(value: &str) -> Result<String, Error> {
    let value = text("email", value, 200)?;
    match value.split_once('@') {
        Some((who, at)) if !who.is_empty() && (at.contains('.') || at == "localhost") && !value.contains(' ') => Ok(value),
        _ => Err(Error::invalid("email", "This is not an e-mail address. Write it as name@example.com.")),
    }
}

impl Access {
    /// Adds a person.
    pub async fn create_user(&self, actor: &Actor, email: &str, name: &str, role: Role, password: &str) -> Result<UserId, Error> {
        may(actor, Act::People)?;
        self.insert_user(actor, email, name, role, password, First::No).await
    }

    pub(super) async fn insert_user(
        &self,
        actor: &Actor,
        email: &str,
        name: &str,
        role: Role,
        password: &str,
        first: First<'_>,
    ) -> Result<UserId, Error> {
        let (email, name) = (address(email)?, text("name", name, 100)?);
        password::acceptable(password)?;
        let hashed = self.hashing.hash(password, self.entropy.bytes::<16>()).await?;
        let now = self.clock.now();
        let id: UserId = self.entropy.id(now);
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        comes_in(&mut tx, &actor.org, first, now).await?;
        let lower = email.to_lowercase();
        let insert = exec!(
            &mut tx,
            store::USER_INSERT,
            id.as_str(),
            actor.org.as_str(),
            email.as_str(),
            lower.as_str(),
            name.as_str(),
            role.as_str(),
            hashed.as_str(),
            now.0
        );
        match insert {
            Err(e) if e.is_unique() => return Err(Error::invalid("email", "Somebody with this address is already here.")),
            other => other?,
        };
        let mut detail = json!({ "email": email, "role": role });
        let newcomer;
        let by = if matches!(first, First::No) {
            actor
        } else {
            // Who comes in by a code is made by nobody else.
            detail["by"] = json!("set-up code");
            newcomer = Actor { who: Who::Session { session: self.entropy.id(now), user: id.clone(), name, role }, ..actor.clone() };
            &newcomer
        };
        audit::append(&mut tx, by, now, "user.create", id.as_str(), &detail).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Sets a person's password and ends all their sessions; for an admin at the server's own command line.
    pub async fn reset_password(&self, actor: &Actor, email: &str, password: &str) -> Result<(), Error> {
        may(actor, Act::People)?;
        password::acceptable(password)?;
        let user = by_email(&mut self.db.read().await?, &actor.org, email).await?;
        let hashed = self.hashing.hash(password, self.entropy.bytes::<16>()).await?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        if exec!(&mut tx, store::USER_SET_PASSWORD, actor.org.as_str(), user.as_str(), hashed.as_str())? == 0 {
            return Err(Error::NotFound("person"));
        }
        exec!(&mut tx, store::ATTEMPT_FORGET_USER, actor.org.as_str(), user.as_str())?;
        exec!(&mut tx, store::SESSIONS_END_ALL, user.as_str(), "", now.0)?;
        audit::append(&mut tx, actor, now, "user.password", user.as_str(), &json!({ "reset": true })).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Gives a person another role; holds from their next request on.
    pub async fn set_role(&self, actor: &Actor, user: &UserId, role: Role) -> Result<(), Error> {
        may(actor, Act::People)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        if role != Role::Admin {
            self.keep_an_admin(&mut tx, actor, user).await?;
        }
        if exec!(&mut tx, store::USER_SET_ROLE, actor.org.as_str(), user.as_str(), role.as_str())? == 0 {
            return Err(Error::NotFound("person"));
        }
        audit::append(&mut tx, actor, now, "user.role", user.as_str(), &json!({ "role": role })).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Switches an account off: its sessions and tokens stop working at once.
    pub async fn disable_user(&self, actor: &Actor, user: &UserId) -> Result<(), Error> {
        may(actor, Act::People)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        self.keep_an_admin(&mut tx, actor, user).await?;
        if exec!(&mut tx, store::USER_DISABLE, actor.org.as_str(), user.as_str())? == 0 {
            return Err(Error::NotFound("person"));
        }
        exec!(&mut tx, store::SESSIONS_END_ALL, user.as_str(), "", now.0)?;
        audit::append(&mut tx, actor, now, "user.disable", user.as_str(), &json!(null)).await?;
        tx.commit().await?;
        self.bus.tell(Event::Trust);
        Ok(())
    }

    async fn keep_an_admin(&self, tx: &mut Tx, actor: &Actor, user: &UserId) -> Result<(), Error> {
        if admins_beside(tx, &actor.org, user.as_str()).await? == 0 { Err(Error::LastAdmin) } else { Ok(()) }
    }

    /// Everybody and the API tokens.
    pub async fn people_page(&self, actor: &Actor) -> Result<PeoplePage, Error> {
        may(actor, Act::Read)?;
        let found = rows!(&mut self.db.read().await?, Row, store::USERS, actor.org.as_str())?;
        let users = found.into_iter().map(|r| r.person().map(|p| p.shown)).collect::<Result<_, _>>()?;
        Ok(PeoplePage {
            users,
            tokens: self.tokens(actor).await?,
            may_edit: allowed(actor, Act::People),
            may_make_tokens: allowed(actor, Act::Tokens),
            at: self.clock.now(),
        })
    }

    /// Name, address and organization of the person behind the actor.
    pub async fn person(&self, actor: &Actor) -> Result<(User, String), Error> {
        let id = actor.user().ok_or(Error::NoSession)?;
        let mut on = self.db.read().await?;
        let user = find(&mut on, &actor.org, id).await?.shown;
        let name = row!(&mut on, (String,), store::ORG_NAME, actor.org.as_str())?.map(|r| r.0).unwrap_or_default();
        Ok((user, name))
    }
}
