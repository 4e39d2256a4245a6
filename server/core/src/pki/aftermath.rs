//! After an authority was given up: tokens and claims made before count for nothing until an admin lifts that, and its devices may be let
//! back by the keys they have, which nobody else got with the authority's. Refuses to know tokens and devices: the `devices` room asks here.

use super::{Error, Pki, authorities::Authority, profile::Kind, store};
use crate::{
    access::{Act, Actor, allowed, audit, may},
    db::{Conn, Db, Tx},
    kept::{Kept, kept_or},
};
use serde_json::json;
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{AuthorityId, OrgId},
    pki::{Aftermath, ComingBack, MAX_WAY_BACK_DAYS, common_name},
    states::{
        AuthorityState::{self, Active, Compromised, Retired},
        RecoveryPolicy,
    },
};

const DAY: i64 = 24 * 3_600_000;

/// Freezes what was handed out so far and would have led to certificates of the authority: it was the one that issued to devices.
pub(super) async fn freeze(tx: &mut Tx, id: &AuthorityId, org: &OrgId, was: AuthorityState, now: Timestamp) -> Result<(), Error> {
    if was == Active {
        store::freeze(tx, id, org, now).await?;
    }
    Ok(())
}

/// What an authority leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// Tokens and claims made until then count for nothing.
    frozen_at: Option<Timestamp>,
    /// How its devices may come back by their keys, and until when.
    way_back: Option<(RecoveryPolicy, Timestamp)>,
}

impl Left {
    /// As the database has it.
    pub fn of(frozen_at: Option<i64>, way_back: &str, until: i64) -> Result<Self, crate::db::Error> {
        let how = Some(way_back).filter(|word| !word.is_empty()).map(str::parse).transpose().map_err(crate::db::Error::corrupt)?;
        Ok(Self { frozen_at: frozen_at.map(Timestamp), way_back: how.map(|how| (how, Timestamp(until))) })
    }

    /// How a device with a certificate of it may come back now, and until when.
    fn open(self, now: Timestamp) -> Option<(RecoveryPolicy, Timestamp)> {
        self.way_back.filter(|(_, until)| now < *until)
    }
}

/// How many devices each authority that was given up has left behind.
pub(super) type LeftBehind = Arc<Kept<AuthorityId, i64>>;

async fn left_behind(db: Db, id: AuthorityId, now: Timestamp) -> Result<i64, Error> {
    Ok(store::left_behind(&mut db.read().await?, &id, now).await?)
}

/// How a device with a certificate of an authority that has ended may come back now.
pub(super) fn open_way(found: &store::RecoveryRecord, now: Timestamp) -> Result<RecoveryPolicy, Error> {
    let open = Left::of(None, &found.way_back, found.way_back_until)?.open(now);
    Ok(open.map_or(RecoveryPolicy::Off, |(how, _)| how))
}

impl Pki {
    /// By which authority's end a token or claim made at this instant is frozen, if it is: its common name.
    pub(crate) fn frozen(&self, org: &OrgId, made_at: Timestamp) -> Option<String> {
        let all = self.authorities.load();
        let by = all.iter().find(|a| a.org == *org && a.left.frozen_at.is_some_and(|at| made_at <= at))?;
        Some(common_name(&by.subject).to_owned())
    }

    /// Lets tokens and claims that were frozen with this authority count again; those that were made for an attacker as well, so look through them
    /// before. Refused where none are frozen with it.
    pub async fn thaw_tokens(&self, actor: &Actor, id: &AuthorityId) -> Result<(), Error> {
        may(actor, Act::Authorities)?;
        let mut tx = self.db.write().await?;
        let (_, state, _) = self.standing_of(&mut tx, actor, id).await?;
        if !store::thaw(&mut tx, id, &actor.org).await? {
            return Err(Error::NothingFrozen { id: id.clone(), given_up: state == Compromised });
        }
        audit::append(&mut tx, actor, self.clock.now(), "authority.thaw_tokens", id.as_str(), &json!(null)).await?;
        tx.commit().await?;
        self.trust_changed().await
    }

    /// Lets the devices of an authority that was given up, or retired before they had renewed, come back for some days: each by its old key, over the
    /// enrol listener, at once or when a person has approved it; or ends that. Gives how many there are.
    pub async fn recover_devices(&self, actor: &Actor, id: &AuthorityId, way: ComingBack) -> Result<i64, Error> {
        may(actor, Act::Authorities)?;
        if way.how != RecoveryPolicy::Off && !(1..=MAX_WAY_BACK_DAYS).contains(&way.days) {
            return Err(Error::WayBackDays);
        }
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        self.standing_of(&mut tx, actor, id).await?;
        let (word, until) = match way.how {
            RecoveryPolicy::Off => ("", Timestamp(0)),
            how => (how.as_str(), now.plus(i64::from(way.days) * DAY)),
        };
        if !store::set_way_back(&mut tx, id, &actor.org, word, until).await? {
            return Err(Error::AuthorityState(
                "Only devices of an authority for devices that was given up or retired come back this way. The others renew by themselves.",
            ));
        }
        let left = store::left_behind(&mut tx, id, now).await?;
        let detail = json!({ "how": way.how, "days": way.days, "devices": left });
        audit::append(&mut tx, actor, now, "authority.recover_devices", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.trust_changed().await?;
        Ok(left)
    }

    /// The organization's authorities for devices that were given up and have left devices behind: id and name, how many, and since when. Asks the database
    /// only where one was given up; where counting takes long, it is as it was a while ago.
    pub(crate) async fn cut_off(&self, org: &OrgId) -> Result<Vec<(AuthorityId, String, i64, Timestamp)>, Error> {
        let all = self.authorities.load_full();
        let now = self.clock.now();
        let mut cut = Vec::new();
        for a in all.iter().filter(|a| a.org == *org && a.kind == Kind::DeviceAuthority && a.state == Compromised) {
            let devices =
                kept_or((&self.left_behind, a.id.clone(), 0), (&self.db, &self.clock), || left_behind(self.db.clone(), a.id.clone(), now))
                    .await?;
            if devices > 0 {
                cut.push((a.id.clone(), common_name(&a.subject).to_owned(), devices, a.ended_at.unwrap_or(now)));
            }
        }
        Ok(cut)
    }

    /// What is left to do about an authority that has ended; none for others.
    pub(super) async fn aftermath(&self, on: &mut impl Conn, actor: &Actor, a: &Authority) -> Result<Option<Aftermath>, Error> {
        if a.kind != Kind::DeviceAuthority || !matches!(a.state, Compromised | Retired) {
            return Ok(None);
        }
        let now = self.clock.now();
        let open = a.left.open(now);
        Ok(Some(Aftermath {
            frozen_at: a.left.frozen_at,
            left_behind: store::left_behind(on, &a.id, now).await?,
            way_back: open.map_or(RecoveryPolicy::Off, |(how, _)| how),
            until: open.map(|(_, until)| until),
            may_manage: allowed(actor, Act::Authorities),
        }))
    }
}
