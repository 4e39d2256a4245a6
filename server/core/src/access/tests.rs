//! People, sessions and tokens on both engines.

use super::{Actor, Error, Origin, Who};
use crate::{db::EngineKind, testing::World};
use rstest::rstest;
use wire::states::Role;

const PASSWORD: &str = "a long enough password";

fn here() -> Origin {
    Origin { address: "127.0.0.1".into(), user_agent: "test".into() }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_session_lives_rotates_and_ends(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    w.person("ada", Role::Admin).await;
    let first = access.sign_in(" ADA@example.com ", PASSWORD, &here()).await.unwrap();
    let actor = access.authenticate_jwt(&first.access, "127.0.0.1").await.unwrap();
    assert_eq!(actor.role(), Some(Role::Admin));

    // Fifteen minutes later the access token is worth nothing, the refresh secret still is.
    w.clock.advance(15 * 60 * 1000);
    assert!(matches!(access.authenticate_jwt(&first.access, "").await, Err(Error::NoSession)));
    let old = first.refresh.unwrap();
    let second = access.refresh(&old).await.unwrap();
    let actor = access.authenticate_jwt(&second.access, "").await.unwrap();
    // The other tab presents the old one a moment later: it gets in, and nobody is thrown out.
    let other_tab = access.refresh(&old).await.unwrap();
    assert!(other_tab.refresh.is_none());
    // Two minutes later the old one is a thief's: the whole session ends.
    w.clock.advance(2 * 60 * 1000);
    assert!(matches!(access.refresh(&old).await, Err(Error::NoSession)));
    assert!(matches!(access.authenticate_jwt(&second.access, "").await, Err(Error::NoSession)));
    assert!(!access.still_valid(&actor).await);
    assert!(matches!(access.refresh("nonsense").await, Err(Error::NoSession)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn wrong_passwords_lock_the_account_for_a_while(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    w.person("oli", Role::Operator).await;
    for _ in 0..5 {
        assert!(matches!(access.sign_in("oli@example.com", "wrong", &here()).await, Err(Error::WrongPassword)));
    }
    assert!(matches!(access.sign_in("oli@example.com", PASSWORD, &here()).await, Err(Error::Locked { seconds: 300 | 301 })));
    w.clock.advance(301_000);
    assert!(access.sign_in("oli@example.com", PASSWORD, &here()).await.is_ok());
    assert!(matches!(access.sign_in("nobody@example.com", PASSWORD, &here()).await, Err(Error::WrongPassword)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_change_of_role_and_a_switched_off_account_hold_at_once(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    let admin = w.person("ada", Role::Admin).await;
    let oli = w.person("oli", Role::Operator).await;
    let id = oli.user().unwrap().clone();
    let session = access.sign_in("oli@example.com", PASSWORD, &here()).await.unwrap();
    access.set_role(&admin, &id, Role::Viewer).await.unwrap();
    assert_eq!(access.authenticate_jwt(&session.access, "").await.unwrap().role(), Some(Role::Viewer));
    assert!(matches!(access.set_role(&oli, &id, Role::Admin).await, Err(Error::Denied { .. })));
    let token = access.create_token(&admin, "ci", Role::Operator, 30).await.unwrap();
    assert_eq!(access.authenticate_token(&token.secret, "::1").await.unwrap().role(), Some(Role::Operator));
    access.disable_user(&admin, &id).await.unwrap();
    assert!(access.authenticate_jwt(&session.access, "").await.is_err());
    assert!(matches!(access.disable_user(&admin, admin.user().unwrap()).await, Err(Error::LastAdmin)));
    assert!(matches!(access.set_role(&admin, admin.user().unwrap(), Role::Viewer).await, Err(Error::LastAdmin)));
    access.revoke_token(&admin, &token.token.id).await.unwrap();
    assert!(matches!(access.authenticate_token(&token.secret, "::1").await, Err(Error::BadToken)));
    let mut wrong = token.secret.clone();
    wrong.pop();
    assert!(matches!(access.authenticate_token(&wrong, "::1").await, Err(Error::BadToken)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn guessing_tokens_closes_the_address(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    for _ in 0..10 {
        assert!(matches!(w.fleet.access().authenticate_token("fat_x", "10.0.0.9").await, Err(Error::BadToken)));
    }
    assert!(matches!(w.fleet.access().authenticate_token("fat_x", "10.0.0.9").await, Err(Error::TooMany)));
    assert!(matches!(w.fleet.access().authenticate_token("fat_x", "10.0.0.8").await, Err(Error::BadToken)));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn set_up_works_once_and_only_with_the_code(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    assert!(access.set_up_needed().await.unwrap());
    assert!(access.set_up("0000", "ada@example.com", "Ada", PASSWORD).await.is_err());
    let code = access.set_up_code();
    assert!(matches!(access.set_up(&code, "ada@example.com", "Ada", "short").await, Err(Error::Invalid { field: "password", .. })));
    assert!(matches!(access.set_up(&code, "not an address", "Ada", PASSWORD).await, Err(Error::Invalid { field: "email", .. })));
    access.set_up(&code, "ada@example.com", "Ada", PASSWORD).await.unwrap();
    assert!(matches!(access.set_up(&code, "eve@example.com", "Eve", PASSWORD).await, Err(Error::SetUp(_))));
    assert!(access.sign_in("ada@example.com", PASSWORD, &here()).await.is_ok());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_audit_chain_holds_under_parallel_writers_and_shows_a_change(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let made = (0..12).map(|i| {
        let (fleet, admin) = (w.fleet.clone(), admin.clone());
        tokio::spawn(async move { fleet.access().create_token(&admin, &format!("t{i}"), Role::Viewer, 1).await.map(drop) })
    });
    for task in made.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    let verified = w.fleet.access().verify_audit(&w.org).await.unwrap();
    assert!(verified.broken_at.is_none() && verified.entries >= 14, "{verified:?}");

    let mut tx = w.fleet.access().db.write().await.unwrap();
    crate::db::exec!(&mut tx, crate::db::Sql::same("UPDATE audit SET actor = 'somebody else' WHERE seq = 5")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(w.fleet.access().verify_audit(&w.org).await.unwrap().broken_at, Some(5));
}

#[tokio::test]
async fn a_device_is_never_a_person() {
    let w = World::open(EngineKind::Sqlite).await;
    let who = Who::Device { device: 1, device_id: "gw-1".parse().unwrap() };
    let device = Actor { org: w.org.clone(), who, address: String::new() };
    assert!(matches!(w.fleet.access().people_page(&device).await, Err(Error::Denied { .. })));
    assert!(w.fleet.access().create_token(&device, "x", Role::Viewer, 1).await.is_err());
}
