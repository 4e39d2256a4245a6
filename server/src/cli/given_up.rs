//! What `fleetward ca` says after an authority for devices was given up: what is frozen, and what has to be done until its devices are back. Refuses to
//! do any of it.

use super::authority::staged_root;
use wire::{
    pki::{AuthorityDetail, AuthorityRow},
    states::AuthorityState,
};

/// What comes after an authority for devices was given up.
pub(super) fn say(a: &AuthorityDetail, all: &[AuthorityRow]) {
    let Some(aftermath) = &a.aftermath else { return };
    let id = &a.standing.row.id;
    if aftermath.frozen_at.is_some() {
        println!("Enrolment tokens and claims made until now are frozen. To let them count again:  fleetward ca thaw-tokens {id}");
    }
    if let Some(line) = next_for_devices(all) {
        println!("{line}");
    }
    if aftermath.left_behind > 0 {
        println!("Then let its {} devices come back by their keys:  fleetward ca recover-devices {id}", aftermath.left_behind);
    }
}

/// Pure: what has to be done before devices get certificates again; nothing where an authority issues.
fn next_for_devices(all: &[AuthorityRow]) -> Option<String> {
    let of = |state| all.iter().find(|a| a.kind == "device" && a.state == state);
    if of(AuthorityState::Active).is_some() {
        return None;
    }
    Some(match of(AuthorityState::Staged) {
        Some(staged) => {
            let id = staged_root(staged, all).map_or(&staged.id, |root| &root.id);
            format!("Activate the authority that is staged:  fleetward ca activate {id}")
        }
        None => "Make and activate another authority:  fleetward ca stage --kind device".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{access::Actor, db::EngineKind, testing::World};
    use wire::pki::AuthorityUse;

    #[tokio::test]
    async fn what_is_there_already_is_not_asked_for() {
        let w = World::open(EngineKind::Sqlite).await;
        let (pki, actor) = (w.fleet.pki(), Actor::shell(w.fleet.default_org().clone()));
        let next = || next_for_devices(&pki.list_authorities(&actor).unwrap());
        assert_eq!(next(), None, "one issues");
        let all = pki.list_authorities(&actor).unwrap();
        let lost = all.iter().find(|a| a.kind == "device").unwrap();
        pki.compromise_authority(&actor, &lost.id).await.unwrap();
        assert!(next().unwrap().ends_with("fleetward ca stage --kind device"));
        let staged = pki.stage_authority(&actor, AuthorityUse::Device).await.unwrap().id;
        assert!(next().unwrap().ends_with(&format!("fleetward ca activate {staged}")));
        pki.activate_authority(&actor, &staged, false).await.unwrap();
        assert_eq!(next(), None);
    }
}
