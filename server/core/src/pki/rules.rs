//! What an organization wants of its devices' certificates: clones, keys at renewal, recovery. Owns the settings; each is applied
//! where it matters.

use super::{Error, Pki, blocked, store};
use crate::{
    access::{Act, Actor, allowed, audit, may},
    db::Conn,
};
use serde_json::json;
use wire::{
    ids::OrgId,
    pki::{IdentityRules, MAX_RECOVERY_DAYS, RulesPage},
};

impl Pki {
    /// The rules as they are, and whether the actor may change them.
    pub async fn rules(&self, actor: &Actor) -> Result<RulesPage, Error> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let rules = self.rules_of(&mut on, &actor.org).await?;
        let profiles = store::profiles(&mut on, &actor.org).await?;
        let blocked = store::blocked(&mut on, &actor.org, blocked::NEWEST, blocked::FEW).await?;
        let blocked_total = store::blocked_count(&mut on, &actor.org).await?;
        let (may_edit, may_block) = (allowed(actor, Act::Rules), allowed(actor, Act::Revoke));
        Ok(RulesPage { rules, profiles, blocked, blocked_total, may_edit, may_block })
    }

    /// The rules of an organization, for rooms that apply them.
    pub(crate) async fn rules_of(&self, on: &mut impl Conn, org: &OrgId) -> Result<IdentityRules, Error> {
        store::rules(on, org).await?.ok_or(Error::NotFound)
    }

    /// Changes them. What is under way goes on by the rules it began with.
    pub async fn set_rules(&self, actor: &Actor, rules: IdentityRules) -> Result<(), Error> {
        may(actor, Act::Rules)?;
        if !(1..=MAX_RECOVERY_DAYS).contains(&rules.recovery_days) {
            return Err(Error::RecoveryDays);
        }
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        store::set_rules(&mut tx, &actor.org, &rules).await?;
        audit::append(&mut tx, actor, now, "certificate.rules", actor.org.as_str(), &json!(rules)).await?;
        tx.commit().await?;
        Ok(())
    }
}
