//! Trust bundles and who holds them, on both engines: a root waits for the devices that are led to it, and for none that never can tell.

use super::{
    life::{check, enrol},
    rollover::named,
};
use crate::{
    access::Actor,
    db::{EngineKind, Sql, exec},
    devices::Connected,
    pki::Error,
    testing::World,
};
use rstest::rstest;
use wire::{
    device::{Hello, Running},
    ids::OrgId,
    pki::AuthorityUse,
    states::{AuthorityStep, DeviceStep},
};

/// A device connects and says which bundle it holds.
pub(super) async fn holds(w: &World, id: &str, version: i64) {
    holds_in(w, &w.org, id, version).await;
}

/// The same of any organization's.
async fn holds_in(w: &World, org: &OrgId, id: &str, version: i64) {
    let system = Actor::system(org.clone());
    let device = w.fleet.devices().find(&system, &id.parse().unwrap()).await.unwrap();
    let firmware = Running { version: "1".into(), sequence: 1, device_type: "sim".into(), hardware: "A".into() };
    let hello = Hello {
        agent: "t".into(),
        boot_id: "b".into(),
        firmware,
        attributes: [].into(),
        stream: "s".into(),
        trust_bundle: version,
        slots: None,
    };
    w.fleet.devices().connected(Connected { org: org.clone(), device, address: "::1".into(), hello });
    w.fleet.devices().flush_presence(false).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r9_the_trust_bundle_grows_with_every_change_and_says_who_holds_it(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let first = pki.trust_bundle(&w.org);
    assert_eq!((first.version, first.roots.len(), first.issuing.len(), first.cross.len()), (1, 1, 2, 0));
    assert_eq!(first.roots[0], pki.root_pem());
    let (_, enrolled, _) = enrol(&w, "gw-1").await;
    assert_eq!((enrolled.trust_bundle_version, &enrolled.trust_bundle), (1, &first.roots));
    enrol(&w, "gw-2").await;

    let next = pki.stage_authority(&admin, AuthorityUse::Device).await.unwrap();
    let second = pki.trust_bundle(&w.org);
    assert_eq!((second.version, second.issuing.len()), (2, 3));
    pki.activate_authority(&admin, &next.id, false).await.unwrap();
    assert_eq!(pki.trust_bundle(&w.org).version, 2, "nothing else is trusted than before");

    holds(&w, "gw-1", 1).await;
    holds(&w, "gw-2", 2).await;
    let viewer = w.viewer().await;
    let reach = pki.bundle_reach(&viewer).await.unwrap();
    assert_eq!((reach.version, reach.holders, reach.devices, reach.missing(), reach.enough()), (2, 1, 2, 1, false));
    let behind = pki.authorities_page(&admin).await.unwrap();
    assert_eq!((behind.behind.len(), behind.behind_next.clone()), (1, None), "who holds a roll-over up is listed");
    let last = behind.behind[0].as_str().to_lowercase();
    assert!(pki.authorities_page_from(&admin, &last).await.unwrap().behind.is_empty());
    holds(&w, "gw-1", 9).await;
    assert_eq!(pki.bundle_reach(&admin).await.unwrap().holders, 1, "a version that never was is of another database");
    w.fleet.devices().change(&admin, &"gw-1".parse().unwrap(), DeviceStep::Suspend).await.unwrap();
    let reach = pki.bundle_reach(&admin).await.unwrap();
    assert_eq!((reach.holders, reach.devices, reach.enough()), (1, 1, true), "only active devices count");

    let page = pki.authorities_page(&viewer).await.unwrap();
    assert_eq!(page.bundle, reach, "the page counts no other way");
    assert!(!page.may_manage && page.authorities[0].row.kind == "root");
    let old = pki.authority(&admin, &named(pki, &w, "Device CA G1-1")).await.unwrap();
    assert_eq!((old.standing.certificates, old.standing.devices, old.chain.len()), (2, 2, 1));
    assert_eq!(old.successor.as_ref().map(|s| &s.id), Some(&next.id));
    let retire = old.actions.iter().find(|a| a.step == AuthorityStep::Retire).unwrap();
    assert_eq!((retire.forced, retire.cut, &retire.blocked), (true, 2, &None));
    let oli = w.operator().await;
    assert!(pki.authority(&oli, &next.id).await.unwrap().actions.is_empty(), "admins only");
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

/// The listeners' root leads everybody to them, so it waits for the devices of every organization; another organization's root for its own alone.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r10_the_listeners_root_waits_for_every_organizations_devices(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let made = w.fleet.create_organization(&Actor::shell(w.org.clone()), &"acme".parse().unwrap(), "Acme").await.unwrap();
    let theirs = Actor::system(made.id.clone());
    enrol(&w, "gw-1").await;
    w.enrol_in(&made.id, "gw-9", "sim", crate::testing::csr("gw-9")).await.unwrap();

    // Their own root is no business of the first organization's devices.
    let own = pki.stage_authority(&theirs, AuthorityUse::Root).await.unwrap();
    assert_eq!((pki.trust_bundle(&w.org).version, pki.trust_bundle(&made.id).version), (1, 2));
    let asked = pki.authority(&theirs, &own.id).await.unwrap().reach;
    assert_eq!((asked.version, asked.holders, asked.devices), (2, 0, 1));
    pki.retire_authority(&theirs, &own.id, false).await.unwrap();

    let root = pki.stage_authority(&admin, AuthorityUse::Root).await.unwrap();
    assert_eq!((pki.trust_bundle(&w.org).version, pki.trust_bundle(&made.id).version), (2, 4));
    holds(&w, "gw-1", 2).await;
    for version in [1, 3] {
        holds_in(&w, &made.id, "gw-9", version).await;
        let refused = pki.activate_authority(&admin, &root.id, false).await.unwrap_err();
        assert!(
            matches!(&refused, Error::BundleNotHeld(reach) if (reach.version, reach.holders, reach.devices) == (2, 1, 2)),
            "{refused:?}"
        );
        let shown = pki.authority(&admin, &root.id).await.unwrap();
        let activate = shown.actions.iter().find(|a| a.step == AuthorityStep::Activate).unwrap();
        assert_eq!((shown.reach.missing(), activate.forced, activate.cut), (1, true, 1), "the page counts no other way");
    }
    holds_in(&w, &made.id, "gw-9", 4).await;
    pki.activate_authority(&admin, &root.id, false).await.unwrap();
    let bundle = pki.trust_bundle(&made.id);
    assert!(bundle.roots.contains(&root.pem) && bundle.roots.len() == 3, "{}", bundle.roots.len());

    // The old one stays until the last of them has let it go.
    let old = named(pki, &w, "Root CA G1");
    for name in ["Device CA G1-1", "Server CA G1-1"] {
        pki.retire_authority(&admin, &named(pki, &w, name), true).await.unwrap();
    }
    holds(&w, "gw-1", pki.trust_bundle(&w.org).version).await;
    holds_in(&w, &made.id, "gw-9", 3).await;
    assert!(matches!(pki.retire_authority(&admin, &old, false).await, Err(Error::BundleNotHeld(reach)) if reach.missing() == 1));
    holds_in(&w, &made.id, "gw-9", 4).await;
    pki.retire_authority(&admin, &old, false).await.unwrap();
    assert_eq!(pki.trust_bundle(&made.id).roots.len(), 2, "the listeners' new one, and their own");
}

/// a device without a certificate can never tell. It stands apart, holds up no new root, and is counted before the old one ends.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r10_devices_that_never_can_tell_stand_apart(#[case] kind: EngineKind) {
    const FORGET: Sql =
        Sql::same("UPDATE certificates SET state = 'superseded' WHERE device = (SELECT number FROM devices WHERE device_id = 'gw-2')");
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    enrol(&w, "gw-2").await;
    let mut tx = pki.db.write().await.unwrap();
    exec!(&mut tx, FORGET).unwrap();
    tx.commit().await.unwrap();
    let next = pki.stage_authority(&admin, AuthorityUse::Root).await.unwrap();
    let version = pki.trust_bundle(&w.org).version;
    let reach = pki.bundle_reach(&admin).await.unwrap();
    assert_eq!((reach.devices, reach.holders, reach.missing(), reach.cannot_tell, reach.enough()), (2, 0, 1, 1, false));
    let refused = pki.activate_authority(&admin, &next.id, false).await.unwrap_err().fault();
    assert!(
        refused.message.starts_with("1 of 2 active devices don't hold trust bundle 2 yet, and 1 can never tell."),
        "{}",
        refused.message
    );
    pki.bundle_fetched(&check(&w, &leaf).unwrap(), version).await.unwrap();
    let reach = pki.bundle_reach(&admin).await.unwrap();
    assert_eq!((reach.holders, reach.missing(), reach.unsure(), reach.enough()), (1, 0, 1, true));
    let page = pki.authorities_page(&admin).await.unwrap();
    assert_eq!((page.behind.len(), page.bundle.unsure()), (1, 1), "as many are listed as are counted");
    pki.activate_authority(&admin, &next.id, false).await.unwrap();

    for name in ["Device CA G1-1", "Server CA G1-1"] {
        pki.retire_authority(&admin, &named(pki, &w, name), true).await.unwrap();
    }
    let old = named(pki, &w, "Root CA G1");
    let refused = pki.retire_authority(&admin, &old, false).await.unwrap_err().fault();
    let never = "1 of 2 active devices can never tell whether they hold trust bundle 2: waiting does not help.";
    assert!(refused.message.starts_with(never), "{}", refused.message);
    pki.retire_authority(&admin, &old, true).await.unwrap();
}
