//! Gateway tokens and the organization's switch: made, revoked and thrown by administrators.

use super::store;
use crate::{
    access::{Act, Actor, allowed, audit, may},
    bearer,
    bus::Event,
    db::{exec, rows},
    devices::{Devices, Error, words},
};
use serde_json::json;
use wire::{
    Timestamp,
    enrolment::{CreatedGatewayToken, GatewayToken, NewGatewayToken, SharedSecretSettings, SharedSecrets},
    ids::GatewayTokenId,
};

/// What secrets of gateways begin with.
pub(super) const PREFIX: &str = "fgt";

#[derive(sqlx::FromRow)]
struct Listed {
    id: String,
    label: String,
    device_type: String,
    created_at: i64,
    created_by: String,
    last_used_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl Listed {
    fn shown(self) -> Result<GatewayToken, Error> {
        Ok(GatewayToken {
            id: self.id.parse().map_err(crate::db::Error::corrupt)?,
            label: self.label,
            device_type: self.device_type,
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            last_used_at: self.last_used_at.map(Timestamp),
            revoked_at: self.revoked_at.map(Timestamp),
        })
    }
}

impl Devices {
    /// Makes a gateway token. The secret is in the answer and nowhere else.
    pub async fn create_gateway_token(&self, actor: &Actor, new: &NewGatewayToken) -> Result<CreatedGatewayToken, Error> {
        may(actor, Act::Gateways)?;
        let (label, device_type) = (words::label(&new.label, "token")?, words::device_type(&new.device_type)?);
        let now = self.clock.now();
        let id: GatewayTokenId = self.entropy.id(now);
        let (secret, kept) = bearer::mint(PREFIX, &id, &*self.entropy);
        let (org, by) = (actor.org.as_str(), actor.label());
        let mut tx = self.db.write().await?;
        exec!(&mut tx, store::GATEWAY_INSERT, id.as_str(), org, label.as_str(), device_type.as_str(), kept.as_slice(), now.0, by.as_str())?;
        let detail = json!({ "label": label, "device_type": device_type });
        audit::append(&mut tx, actor, now, "gateway_token.create", id.as_str(), &detail).await?;
        tx.commit().await?;
        let token = GatewayToken { id, label, device_type, created_at: now, created_by: by, last_used_at: None, revoked_at: None };
        Ok(CreatedGatewayToken { token, secret })
    }

    /// Withdraws a gateway token at once; devices that it announced stay, and speak no more by it.
    pub async fn revoke_gateway_token(&self, actor: &Actor, id: &GatewayTokenId) -> Result<(), Error> {
        may(actor, Act::Gateways)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        if exec!(&mut tx, store::GATEWAY_REVOKE, actor.org.as_str(), id.as_str(), now.0)? == 0 {
            return Err(Error::NotFound("gateway token"));
        }
        audit::append(&mut tx, actor, now, "gateway_token.revoke", id.as_str(), &json!(null)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Gateway tokens, newest first, and the organization's switch.
    pub async fn shared_secrets(&self, actor: &Actor) -> Result<SharedSecrets, Error> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let gateways = rows!(&mut on, Listed, store::GATEWAYS, actor.org.as_str())?;
        let (tokens, newcomers, tenant) = store::settings(&mut on, &actor.org).await?.ok_or(Error::NotFound("organization"))?;
        Ok(SharedSecrets {
            gateways: gateways.into_iter().map(Listed::shown).collect::<Result<_, _>>()?,
            settings: SharedSecretSettings { tokens, newcomers },
            tenant,
            may_manage: allowed(actor, Act::Gateways),
        })
    }

    /// Lets shared secrets speak for devices, or no longer. Tokens stay as they are.
    pub async fn set_shared_secrets(&self, actor: &Actor, wanted: SharedSecretSettings) -> Result<(), Error> {
        may(actor, Act::Gateways)?;
        let SharedSecretSettings { tokens, newcomers } = wanted;
        if newcomers && !tokens {
            return Err(Error::invalid("newcomers", "Gateways announce devices only where tokens are taken. Switch tokens on as well."));
        }
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        if exec!(&mut tx, store::SET, actor.org.as_str(), tokens, newcomers)? == 0 {
            return Err(Error::NotFound("organization"));
        }
        let detail = json!({ "tokens": tokens, "newcomers": newcomers });
        audit::append(&mut tx, actor, now, "shared_secrets.set", actor.org.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        Ok(())
    }
}
