//! Whoever guesses passwords and tokens: how far they get, whom they hold up, and what the log says of them.

use super::{
    super::{Actor, Error, Origin},
    PASSWORD, here,
};
use crate::{
    db::{EngineKind, Sql, exec},
    testing::World,
};
use rstest::rstest;
use wire::states::Role;

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
    // Whether anybody here has an address can't be told from its lock, and long or broken addresses are just wrong.
    let from = |n: u8| Origin { address: format!("10.0.0.{n}"), ..here() };
    for _ in 0..5 {
        assert!(matches!(access.sign_in("nobody@example.com", PASSWORD, &from(1)).await, Err(Error::WrongPassword)));
    }
    assert!(matches!(access.sign_in(" Nobody@example.com", PASSWORD, &from(1)).await, Err(Error::Locked { seconds: 300 | 301 })));
    for wrong in ["a\0@example.com", &"x".repeat(201)] {
        assert!(matches!(access.sign_in(wrong, PASSWORD, &from(2)).await, Err(Error::WrongPassword)));
    }
    // Old attempts are cleared away with the next refusal after a day.
    w.clock.advance(25 * 3600 * 1000);
    assert!(matches!(access.sign_in("other@example.com", PASSWORD, &from(3)).await, Err(Error::WrongPassword)));
    let mut tx = access.db.write().await.unwrap();
    assert_eq!(exec!(&mut tx, Sql::same("DELETE FROM sign_in_attempts")).unwrap(), 1);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn whoever_guesses_locks_themselves_out_and_not_the_owner(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    w.person("oli", Role::Operator).await;
    let from = |network: u8, host: u8| Origin { address: format!("2001:db8:1:{network}::{host}"), ..here() };
    for network in 0..3 {
        for host in 0..5 {
            let guess = access.sign_in("oli@example.com", "wrong", &from(network, host)).await;
            assert!(matches!(guess, Err(Error::WrongPassword)), "{network} {host}");
        }
        let locked = access.sign_in("oli@example.com", PASSWORD, &from(network, 9)).await;
        assert!(matches!(locked, Err(Error::Locked { .. })), "a network is one source");
    }
    // The owner gets in from elsewhere, and soon; those who guess are let in no earlier for it.
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(30), access.sign_in("oli@example.com", PASSWORD, &here())).await;
    assert!(in_time.expect("within seconds").is_ok());
    assert!(matches!(access.sign_in("oli@example.com", PASSWORD, &from(0, 9)).await, Err(Error::Locked { .. })));
    assert_eq!(access.people_page(&w.viewer().await).await.unwrap().users.len(), 2, "however many places a person is locked in");
}

/// The rows of refused sign-ins that are in the audit log by now, oldest first: the object, and how many each counts.
async fn refused(w: &World) -> Vec<(String, u64)> {
    w.fleet.attacks().write_down().await.unwrap();
    let log = w.fleet.access().search_audit(&Actor::system(w.org.clone()), "session.refused", None).await.unwrap().entries.items;
    let times = |detail: &str| serde_json::from_str::<serde_json::Value>(detail).unwrap()["times"].as_u64().unwrap();
    log.into_iter().rev().filter(|e| e.action == "session.refused").map(|e| (e.object, times(&e.detail))).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn refused_sign_ins_are_counted_and_make_few_rows(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    let oli = w.person("oli", Role::Operator).await;
    let from = |n: u8| Origin { address: format!("192.0.2.{n}"), ..here() };
    for n in 0..6 {
        assert!(access.sign_in(&format!("nobody{n}@example.com"), "wrong", &from(1)).await.is_err());
    }
    assert!(access.sign_in("oli@example.com", "wrong", &from(2)).await.is_err());
    let id = oli.user().unwrap().to_string();
    assert_eq!(refused(&w).await, [("unknown address".to_owned(), 1), (id.clone(), 1)]);
    // What came since is in one row after a minute.
    w.clock.advance(60_000);
    assert_eq!(refused(&w).await, [("unknown address".to_owned(), 1), (id, 1), ("unknown address".to_owned(), 5)]);
    let seen = w.fleet.attacks().seen().find(|(kind, _)| *kind == crate::access::attacks::Kind::WrongPassword).unwrap().1;
    assert_eq!(seen, 7);
    assert!(access.verify_audit(&w.admin().await).await.unwrap().broken_at.is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn many_passwords_at_once_are_no_more_than_one_after_the_other(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    w.person("oli", Role::Operator).await;
    let tries = (0..12_u8).map(|i| {
        let fleet = w.fleet.clone();
        let from = Origin { address: format!("10.0.0.{}", i % 2), ..here() };
        tokio::spawn(async move { fleet.access().sign_in("oli@example.com", "a wrong password", &from).await })
    });
    let (mut wrong, mut locked) = (0, 0);
    for attempt in tries.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Err(Error::WrongPassword) => wrong += 1,
            Err(Error::Locked { .. }) => locked += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((wrong, locked), (10, 2), "five from each of the two");
    // From one address no more are looked at either.
    let tries = (0..12).map(|i| {
        let fleet = w.fleet.clone();
        tokio::spawn(async move { fleet.access().sign_in(&format!("p{i}@example.com"), "a wrong password", &here()).await })
    });
    let mut refused = 0;
    for attempt in tries.collect::<Vec<_>>() {
        refused += i32::from(matches!(attempt.await.unwrap(), Err(Error::TooMany)));
    }
    assert_eq!(refused, 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn wrong_tokens_hold_up_only_themselves(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    let admin = w.admin().await;
    let right = access.create_token(&admin, "ci", Role::Operator, 30).await.unwrap().secret;
    for _ in 0..10 {
        assert!(matches!(access.authenticate_token("fat_x", "127.0.0.1").await, Err(Error::BadToken)));
    }
    assert!(matches!(access.authenticate_token("fat_x", "127.0.0.1").await, Err(Error::TooMany)));
    assert!(matches!(access.authenticate_token("fat_x", "10.0.0.8").await, Err(Error::BadToken)));
    // Others behind the same address go on: scripts with a right token, and people.
    assert!(access.authenticate_token(&right, "127.0.0.1").await.is_ok());
    assert!(access.sign_in("ada@example.com", PASSWORD, &here()).await.is_ok());
}
