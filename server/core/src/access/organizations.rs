//! Organizations: the first one, which every fleet has, and those that are made beside it. Owns their rows and their names in addresses. Refuses to know
//! what else an organization begins with: `Fleet::create_organization` puts that together.

use super::{Access, Actor, Error, audit, policy::of_the_machine, sessions::parse, store, users::text};
use crate::db::{Tx, exec, row, rows};
use serde_json::json;
use wire::{
    Timestamp,
    ids::{OrgId, OrgSlug},
};

/// Slug of the organization that the first start makes.
pub(super) const FIRST_ORG: &str = "default";

/// An organization, as whoever has the server's machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrgId,
    /// Its name in addresses.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// How many people can sign in.
    pub people: i64,
    /// Until when a code of the set-up page waits, or waited, for its first admin; none where somebody is in it, or none was given.
    pub set_up_until: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    slug: String,
    name: String,
    created_at: i64,
    people: i64,
    set_up_until: Option<i64>,
}

impl Row {
    fn organization(self) -> Result<Organization, Error> {
        let Self { id, slug, name, created_at, people, set_up_until } = self;
        let (created_at, set_up_until) = (Timestamp(created_at), set_up_until.map(Timestamp));
        Ok(Organization { id: parse(&id)?, slug, name, created_at, people, set_up_until })
    }
}

/// An organization that is about to be made.
pub(crate) struct NewOrganization {
    pub(crate) id: OrgId,
    pub(crate) slug: OrgSlug,
    pub(crate) name: String,
    pub(crate) at: Timestamp,
}

/// Puts an organization's row there, and the head of its audit log; `false` when its slug is taken. It is younger than every other one, whatever the clock
/// shows: the oldest one's authorities are the listeners'.
async fn put(tx: &mut Tx, id: &OrgId, slug: &str, name: &str, now: Timestamp) -> Result<bool, Error> {
    let newest = row!(tx, (i64,), store::ORG_NEWEST)?.map_or(0, |(at,)| at);
    let created_at = now.max(Timestamp(newest).plus(1));
    if exec!(tx, store::ORG_INSERT, id.as_str(), slug, name, created_at.0)? == 0 {
        return Ok(false);
    }
    exec!(tx, store::AUDIT_START, id.as_str())?;
    Ok(true)
}

fn taken() -> Error {
    Error::invalid("slug", "There is an organization with this slug already.")
}

impl Access {
    /// The first organization; it is made when there is none. Idempotent.
    pub async fn ensure_organization(&self) -> Result<OrgId, Error> {
        let mut tx = self.db.write().await?;
        if let Some((id,)) = row!(&mut tx, (String,), store::ORG_BY_SLUG, FIRST_ORG)? {
            return parse(&id);
        }
        let now = self.clock.now();
        let id: OrgId = self.entropy.id(now);
        // Another instance may make its first start at the same moment; then its organization is the one.
        if !put(&mut tx, &id, FIRST_ORG, "Fleet", now).await? {
            drop(tx);
            return self.organization(FIRST_ORG).await;
        }
        audit::append(&mut tx, &Actor::system(id.clone()), now, "organization.create", id.as_str(), &json!({ "slug": FIRST_ORG })).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// The organization with this slug.
    pub async fn organization(&self, slug: &str) -> Result<OrgId, Error> {
        let found = row!(&mut self.db.read().await?, (String,), store::ORG_BY_SLUG, slug)?;
        parse(&found.ok_or(Error::NotFound("organization"))?.0)
    }

    /// Every organization, the first one in front. For whoever has the server's machine: one organization's people know nothing of another one.
    pub async fn organizations(&self, actor: &Actor) -> Result<Vec<Organization>, Error> {
        of_the_machine(actor)?;
        rows!(&mut self.db.read().await?, Row, store::ORGS)?.into_iter().map(Row::organization).collect()
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

    /// An organization that may be made: by whoever has the server's machine, under a slug that is free. Writes nothing.
    pub(crate) async fn new_organization(&self, actor: &Actor, slug: &OrgSlug, name: &str) -> Result<NewOrganization, Error> {
        of_the_machine(actor)?;
        let name = text("name", name, 100)?;
        if row!(&mut self.db.read().await?, (String,), store::ORG_BY_SLUG, slug.as_str())?.is_some() {
            return Err(taken());
        }
        let at = self.clock.now();
        Ok(NewOrganization { id: self.entropy.id(at), slug: slug.clone(), name, at })
    }

    /// Puts it there in the caller's transaction, with the beginning of its audit log.
    pub(crate) async fn put_organization(&self, tx: &mut Tx, actor: &Actor, new: &NewOrganization) -> Result<(), Error> {
        if !put(tx, &new.id, new.slug.as_str(), &new.name, new.at).await? {
            return Err(taken());
        }
        let own = Actor { org: new.id.clone(), ..actor.clone() };
        Ok(audit::append(tx, &own, new.at, "organization.create", new.id.as_str(), &json!({ "slug": new.slug, "name": new.name })).await?)
    }
}
