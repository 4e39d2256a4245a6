//! What will need a root's key once that is kept elsewhere (K-5, P-11), said before it goes; and the one thing of it that can be done beforehand: the
//! authority of claims, which otherwise the first claim makes. A look into memory; refuses to take a key anywhere.

use super::{
    Error, Pki,
    authorities::{self, Authorities, Authority},
    profile::{DAY, Kind, second},
};
use crate::access::{Act, Actor, may};
use std::sync::Arc;
use wire::{
    ids::AuthorityId,
    pki::{AuthorityRow, common_name},
    roots::RootNeed,
    states::AuthorityState::Active,
};

/// For how long the list holds that is made as the key goes.
const LIST: i64 = 30 * DAY;
/// What makes the authority of claims while the key is here.
const CLAIMS: &str = "fleetward ca stage --kind claim";

impl Pki {
    /// What needs the key of this root, or of the active one, from the moment that it is kept elsewhere.
    pub fn root_needs(&self, actor: &Actor, id: Option<&AuthorityId>) -> Result<Vec<RootNeed>, Error> {
        may(actor, Act::Authorities)?;
        let root = self.a_root(actor, id)?;
        Ok(self.needs_of(&self.authorities.load_full(), &root))
    }

    pub(super) fn needs_of(&self, all: &Authorities, root: &Authority) -> Vec<RootNeed> {
        let now = self.clock.now();
        let active = |kind| authorities::active(all, &root.org, kind).ok();
        let mut needs = Vec::new();
        // What is made under the organization's root is made by the one that is active.
        if root.state == Active {
            needs.push(claims(active(Kind::ClaimAuthority).filter(|a| a.not_after > now.plus(Kind::Claim.life()))));
            for (kind, whom) in [(Kind::DeviceAuthority, "devices"), (Kind::ServerAuthority, "the listeners")] {
                needs.extend(active(kind).map(|a| RootNeed {
                    text: format!("The authority for {whom} that follows {}, well before that one ends.", common_name(&a.subject)),
                    when: Some(a.not_after),
                    now: None,
                }));
            }
        }
        needs.push(RootNeed {
            text: "Its list of revoked certificates, every 30 days, and at once when an authority is retired or given up. The one that is made as the \
                   key goes holds for 30 days."
                .to_owned(),
            when: Some(second(now.plus(LIST)).min(root.not_after)),
            now: None,
        });
        needs.push(RootNeed {
            text: "The way to the root that follows: this one signs that one's key, before it ends itself.".to_owned(),
            when: Some(root.not_after),
            now: None,
        });
        needs
    }

    /// The organization's authority of claims, made now where there is none that lives long enough: the first claim needs no root's key then. It issues at
    /// once. Beside it whether it was made by this.
    pub async fn make_claim_authority(&self, actor: &Actor) -> Result<(AuthorityRow, bool), Error> {
        may(actor, Act::Authorities)?;
        let made = self.ensure_claim_authority(actor).await?;
        let all = self.authorities.load_full();
        Ok((self.authority_row(actor, &authorities::active(&all, &actor.org, Kind::ClaimAuthority)?.id)?, made))
    }
}

/// For claims: with this authority of theirs, or without one that lives long enough.
fn claims(theirs: Option<&Arc<Authority>>) -> RootNeed {
    match theirs {
        Some(a) => RootNeed {
            text: format!("The authority for claims that follows {}, with the first claim that would outlive that one.", common_name(&a.subject)),
            when: Some(a.not_after.plus(-Kind::Claim.life())),
            now: None,
        },
        None => RootNeed {
            text: "The next claim: its certificate comes from an authority for claims, and there is none that lives long enough. Make it now, while the \
                   key is here."
                .to_owned(),
            when: None,
            now: Some(CLAIMS.to_owned()),
        },
    }
}
