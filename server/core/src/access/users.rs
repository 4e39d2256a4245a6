//! People: the first one, the others, their roles.

use super::{Access, Act, Actor, Error, allowed, audit, may, password, sessions::parse, store};
use crate::{
    bus::Event,
    db::{Conn, Tx, exec, row, rows},
    text::unseen,
};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use wire::{
    Timestamp,
    access::{PeoplePage, User},
    ids::{OrgId, UserId},
    states::Role,
};

/// Slug of the organization that the first start makes.
const FIRST_ORG: &str = "default";

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
    /// The first organization; it is made when there is none. Idempotent.
    pub async fn ensure_organization(&self) -> Result<OrgId, Error> {
        let mut tx = self.db.write().await?;
        if let Some((id, _)) = row!(&mut tx, (String, String), store::ORG_BY_SLUG, FIRST_ORG)? {
            return parse(&id);
        }
        let now = self.clock.now();
        let id: OrgId = self.entropy.id(now);
        // Another instance may make its first start at the same moment; then its organization is the one.
        if exec!(&mut tx, store::ORG_INSERT, id.as_str(), FIRST_ORG, "Fleet", now.0)? == 0 {
            drop(tx);
            return self.first_organization().await;
        }
        exec!(&mut tx, store::AUDIT_START, id.as_str())?;
        audit::append(&mut tx, &Actor::system(id.clone()), now, "organization.create", id.as_str(), &json!({ "slug": FIRST_ORG })).await?;
        tx.commit().await?;
        Ok(id)
    }

    async fn first_organization(&self) -> Result<OrgId, Error> {
        let found = row!(&mut self.db.read().await?, (String, String), store::ORG_BY_SLUG, FIRST_ORG)?;
        parse(&found.ok_or(Error::NotFound("organization"))?.0)
    }

    /// The name of an organization in addresses.
    pub async fn slug(&self, org: &OrgId) -> Result<String, Error> {
        if let Some(known) = self.slugs.lock().get(org) {
            return Ok(known.clone());
        }
        let found = row!(&mut self.db.read().await?, (String,), store::ORG_SLUG, org.as_str())?;
        let (slug,) = found.ok_or(Error::NotFound("organization"))?;
        self.slugs.lock().insert(org.clone(), slug.clone());
        Ok(slug)
    }

    /// Whether nobody can sign in yet.
    pub async fn set_up_needed(&self) -> Result<bool, Error> {
        Ok(row!(&mut self.db.read().await?, (i64,), store::USER_COUNT)?.is_none_or(|r| r.0 == 0))
    }

    /// The one-time code of the set-up page, made at the first call; for whoever runs the server and nobody else.
    pub fn set_up_code(&self) -> String {
        let mut code = self.set_up_code.lock();
        code.get_or_insert_with(|| {
            let b = self.entropy.bytes::<12>();
            // Sixty-four letters without the ones that look alike would be nicer to type; hex in fours is unmistakable.
            hex::encode(b).as_bytes().chunks(4).map(|c| String::from_utf8_lossy(c).into_owned()).collect::<Vec<_>>().join("-")
        })
        .clone()
    }

    /// Makes the first admin with the one-time code. Works once; after that the page is closed.
    pub async fn set_up(&self, code: &str, email: &str, name: &str, password: &str) -> Result<(), Error> {
        if !self.set_up_needed().await? {
            return Err(Error::SetUp("Fleetward is already set up. Sign in instead."));
        }
        let right = self.set_up_code();
        if !bool::from(right.as_bytes().ct_eq(code.trim().to_lowercase().as_bytes())) {
            if !self.wrong_codes.take("set-up", self.clock.now()) {
                return Err(Error::TooMany);
            }
            return Err(Error::invalid(
                "code",
                "This is not the code. The server said it as it started, in its terminal or its log, on the line that says set-up code.",
            ));
        }
        let org = self.ensure_organization().await?;
        self.insert_user(&Actor::system(org), email, name, Role::Admin, password, true).await?;
        *self.set_up_code.lock() = None;
        Ok(())
    }

    /// Adds a person.
    pub async fn create_user(&self, actor: &Actor, email: &str, name: &str, role: Role, password: &str) -> Result<UserId, Error> {
        may(actor, Act::People)?;
        self.insert_user(actor, email, name, role, password, false).await
    }

    async fn insert_user(&self, actor: &Actor, email: &str, name: &str, role: Role, password: &str, first: bool) -> Result<UserId, Error> {
        let (email, name) = (address(email)?, text("name", name, 100)?);
        password::acceptable(password)?;
        let hashed = self.hashing.hash(password, self.entropy.bytes::<16>()).await?;
        let now = self.clock.now();
        let id: UserId = self.entropy.id(now);
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        if first && row!(&mut tx, (i64,), store::USER_COUNT)?.is_some_and(|r| r.0 > 0) {
            return Err(Error::SetUp("Fleetward is already set up. Sign in instead."));
        }
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
        audit::append(&mut tx, actor, now, "user.create", id.as_str(), &json!({ "email": email, "role": role })).await?;
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
