//! An organization that is made beside those there are, as the first start makes the first one: its row and its audit log, its authorities and keys, and the
//! code by which its first admin comes in. Owns that all of it is there or nothing; each room owns its part. Its rules are those that every organization
//! begins with.

use crate::{
    Fleet, Result,
    access::{self, Actor, SetUpCode, audit},
    pki::{est::OPERATIONS, signed_ahead},
};
use serde_json::json;
use wire::ids::{OrgId, OrgSlug};

/// An organization that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Founded {
    /// Its id.
    pub id: OrgId,
    /// What its first admin types into the set-up page.
    pub code: SetUpCode,
}

impl Fleet {
    /// Makes an organization, in one transaction, before which a token makes its keys where there is one; for whoever has the server's machine. A server that
    /// runs in another process serves it within a second. It is in the audit log of the actor's organization, and the first entry of its own. Refuses a slug
    /// that is taken, or that EST could not tell from an operation.
    pub async fn create_organization(&self, actor: &Actor, slug: &OrgSlug, name: &str) -> Result<Founded> {
        if OPERATIONS.contains(&slug.as_str()) {
            let message = "EST has an operation of this name, so it can't be a label there. Choose another slug.".to_owned();
            return Err(access::Error::Invalid { field: "slug", message }.into());
        }
        let founded = signed_ahead!(self.pki(), Box::pin(self.found_at_once(actor, slug, name)).await)?;
        Box::pin(self.pki().first_trust_is_there(&founded.id)).await?;
        Ok(founded)
    }

    async fn found_at_once(&self, actor: &Actor, slug: &OrgSlug, name: &str) -> Result<Founded> {
        let new = self.access().new_organization(actor, slug, name).await?;
        let mut tx = self.write().await?;
        self.pki().hold_trust(&mut tx).await?;
        self.access().put_organization(&mut tx, actor, &new).await?;
        let code = self.access().give_code(&mut tx, &new.id, new.at).await?;
        Box::pin(self.pki().put_first_trust(&mut tx, actor, (&new.id, slug), new.at)).await?;
        audit::append(&mut tx, actor, new.at, "organization.create", new.id.as_str(), &json!({ "slug": slug, "name": new.name })).await?;
        tx.commit().await?;
        Ok(Founded { id: new.id, code })
    }
}

#[cfg(test)]
mod tests;
