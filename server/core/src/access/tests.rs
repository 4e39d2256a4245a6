//! People, sessions and tokens on both engines.

mod guessing;

use super::{Actor, Error, Origin, Who, is_admin};
use crate::{
    db::{EngineKind, Sql, exec},
    testing::World,
};
use rstest::rstest;
use std::sync::Arc;
use tokio::sync::Barrier;
use wire::{access::AuditQuery, states::Role};

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
    let second = access.refresh(&old, "192.0.2.7").await.unwrap();
    let actor = access.authenticate_jwt(&second.access, "").await.unwrap();
    // The other tab presents the old one a moment later: it gets in, and nobody is thrown out.
    let other_tab = access.refresh(&old, "192.0.2.7").await.unwrap();
    assert!(other_tab.refresh.is_none());
    // Two minutes later the old one is a thief's: the whole session ends.
    w.clock.advance(2 * 60 * 1000);
    assert!(matches!(access.refresh(&old, "192.0.2.7").await, Err(Error::NoSession)));
    assert!(matches!(access.authenticate_jwt(&second.access, "").await, Err(Error::NoSession)));
    assert!(!access.still_valid(&actor).await.unwrap());
    assert!(matches!(access.refresh("nonsense", "").await, Err(Error::NoSession)));
    let reused = AuditQuery { action: "session.reused_refresh".into(), ..AuditQuery::default() };
    let told = access.find_audit(&w.admin().await, &reused).await.unwrap().entries.items;
    assert_eq!(told.iter().map(|entry| entry.address.as_str()).collect::<Vec<_>>(), ["192.0.2.7"], "from where the second came");
    // Nothing is said of a session while the database does not answer.
    w.fleet.close().await.unwrap();
    assert!(matches!(access.still_valid(&actor).await, Err(Error::Db(_))));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_token_makes_no_tokens_and_ends_no_sessions(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    let admin = w.admin().await;
    let signed_in = access.sign_in("ada@example.com", PASSWORD, &here()).await.unwrap();
    let person = access.authenticate_jwt(&signed_in.access, "").await.unwrap();
    let Who::Session { session, .. } = &person.who else { panic!("{person:?}") };
    let hidden = access.create_token(&admin, "ci\u{202e}", Role::Admin, 30).await;
    assert!(matches!(hidden, Err(Error::Invalid { field: "name", .. })), "a name turns nothing around that is shown beside it");
    let hidden = access.create_user(&admin, "mal@example.com", "\u{202e}lam", Role::Viewer, PASSWORD).await;
    assert!(matches!(hidden, Err(Error::Invalid { field: "name", .. })), "{hidden:?}");
    let secret = access.create_token(&admin, "ci", Role::Admin, 30).await.unwrap().secret;
    let script = access.authenticate_token(&secret, "::1").await.unwrap();
    let made = access.create_token(&script, "offspring", Role::Viewer, 1).await;
    assert!(matches!(made, Err(Error::NeedsPerson)), "{:?}", made.map(|m| m.token));
    assert!(matches!(access.end_session(&script, session).await, Err(Error::NeedsPerson)));
    assert!(matches!(access.change_password(&script, PASSWORD, "another long password").await, Err(Error::NeedsPerson)));
    assert!(access.still_valid(&person).await.unwrap());
    access.end_session(&person, session).await.unwrap();
    assert!(!access.still_valid(&person).await.unwrap());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn two_admins_who_demote_each_other_leave_one(#[case] kind: EngineKind) {
    for round in 0..4 {
        let w = World::open(kind).await;
        let (ada, eve) = (w.admin().await, w.person("eve", Role::Admin).await);
        let barrier = Arc::new(Barrier::new(2));
        let run = |actor: Actor, other: Actor, disable: bool| {
            let (fleet, barrier) = (w.fleet.clone(), barrier.clone());
            tokio::spawn(async move {
                let other = other.user().unwrap().clone();
                barrier.wait().await;
                if disable {
                    fleet.access().disable_user(&actor, &other).await
                } else {
                    fleet.access().set_role(&actor, &other, Role::Viewer).await
                }
            })
        };
        let (one, two) = (run(ada.clone(), eve.clone(), round % 2 == 0), run(eve, ada, false));
        let done = [one.await.unwrap(), two.await.unwrap()];
        assert_eq!(done.iter().filter(|d| d.is_ok()).count(), 1, "{done:?}");
        assert!(done.iter().any(|d| matches!(d, Err(Error::LastAdmin))), "{done:?}");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn two_set_ups_at_once_make_one_admin(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let code = w.fleet.access().set_up_code();
    let barrier = Arc::new(Barrier::new(2));
    let begun = ["ada@example.com", "eve@example.com"].map(|email| {
        let (fleet, barrier, code) = (w.fleet.clone(), barrier.clone(), code.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            fleet.access().set_up(&code, email, "Admin", PASSWORD, "192.0.2.9").await
        })
    });
    let mut made = 0;
    for set_up in begun {
        made += i32::from(set_up.await.unwrap().is_ok());
    }
    assert_eq!(made, 1);
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
async fn what_belongs_to_others_needs_the_right_over_people(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    let (admin, oli) = (w.admin().await, w.operator().await);
    let admins = access.create_token(&admin, "ci", Role::Admin, 30).await.unwrap().token;
    let own = access.create_token(&oli, "script", Role::Viewer, 30).await.unwrap().token;
    let shown: Vec<_> = access.people_page(&oli).await.unwrap().tokens.into_iter().map(|t| (t.name, t.may_revoke)).collect();
    assert!(shown.contains(&("ci".into(), false)) && shown.contains(&("script".into(), true)), "{shown:?}");
    assert!(matches!(access.revoke_token(&oli, &admins.id).await, Err(Error::Denied { needs: Role::Admin, .. })));
    access.revoke_token(&oli, &own.id).await.unwrap();
    assert!(matches!(access.revoke_token(&oli, &own.id).await, Err(Error::NotFound(_))));
    access.revoke_token(&admin, &admins.id).await.unwrap();

    // Another organization's people are nobody here.
    let elsewhere = Actor::system(w.entropy.id(w.clock_now()));
    let email = "oli@example.com";
    assert!(matches!(access.reset_password(&elsewhere, email, PASSWORD).await, Err(Error::NotFound("person"))));
    assert!(matches!(access.create_token_for(&elsewhere, email, "x", Role::Viewer, 1).await, Err(Error::NotFound("person"))));
    let system = Actor::system(w.org.clone());
    let larger = access.create_token_for(&system, email, "x", Role::Admin, 1).await;
    assert!(matches!(larger, Err(Error::Invalid { field: "role", .. })), "no token says admin and acts as operator");
    let viewer = w.viewer().await;
    assert!(matches!(access.verify_audit(&viewer).await, Err(Error::Denied { .. })));
    assert!(matches!(access.audit_page(&admin, Some("x")).await, Err(Error::Invalid { field: "cursor", .. })));
    let all = access.audit_page(&admin, None).await.unwrap().entries;
    let people = access.search_audit(&admin, "USER.create", None).await.unwrap().entries;
    assert!(people.total > 0 && people.total < all.total && people.items.iter().all(|e| e.action == "user.create"), "{people:?}");
    for nothing in ["%", "u_er.create", "\\", "' OR 1=1 --", &"x".repeat(100_000)] {
        assert_eq!(access.search_audit(&admin, nothing, None).await.unwrap().entries.total, 0, "{}", nothing.len());
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_log_is_searched_by_who_what_and_when_and_never_whole(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, access) = (w.admin().await, w.fleet.access());
    for n in 0..6 {
        w.clock.advance(1000);
        access.create_token(&admin, &format!("script {n}"), Role::Viewer, 1).await.unwrap();
    }
    let all = access.audit_page(&admin, None).await.unwrap().entries;
    let made = all.items.iter().take(6).cloned().collect::<Vec<_>>();
    // One is opened by its place, with the chain on both sides of it.
    let open = async |seq| access.audit_entry(&admin, seq).await.unwrap();
    let (last, first) = (open(made[0].seq).await.unwrap(), open(1).await.unwrap());
    assert_eq!((&last.entry, &last.before), (&made[0], &open(made[1].seq).await.unwrap().hash));
    assert!(last.hash.len() == 64 && first.before.is_empty(), "{first:?}");
    for seq in [i64::MIN, 0, made[0].seq + 1, i64::MAX] {
        assert_eq!(open(seq).await, None, "{seq}");
    }

    let by_action = AuditQuery { action: made[0].action.clone(), ..AuditQuery::default() };
    let found = access.find_audit(&admin, &by_action).await.unwrap();
    assert_eq!((&found.entries.items, found.entries.total, found.looked_to), (&made, 6, None));

    // What things are called, and why something was done, stands in the details.
    let named = AuditQuery { q: "SCRIPT 4".to_owned(), ..AuditQuery::default() };
    let found = access.find_audit(&admin, &named).await.unwrap().entries;
    assert_eq!((found.items.as_slice(), found.total), (&made[1..2], 1));

    let by = |name: &str| AuditQuery { actor: name.to_owned(), ..by_action.clone() };
    assert_eq!(access.find_audit(&admin, &by(&made[0].actor.to_uppercase())).await.unwrap().entries.total, 6, "in either case");
    assert_eq!(access.find_audit(&admin, &by("somebody else")).await.unwrap().entries.total, 0);

    // A span has its first instant and not its last; words or not.
    for query in [AuditQuery::default(), by_action.clone()] {
        let span = AuditQuery { since: Some(made[2].at), until: Some(made[0].at), ..query };
        let found = access.find_audit(&admin, &span).await.unwrap().entries;
        assert_eq!((found.items, found.total, found.next), (made[1..3].to_vec(), 2, None));
    }
    let later = AuditQuery { since: Some(made[0].at.plus(1)), ..AuditQuery::default() };
    assert_eq!(access.find_audit(&admin, &later).await.unwrap().entries.total, 0);

    // Who looks at four entries a page says where they stopped, and comes to all of them.
    let (mut query, mut seen, mut stops) = (by_action.clone(), Vec::new(), 0);
    loop {
        let page = access.look(&admin, &query, 4).await.unwrap();
        stops += usize::from(page.looked_to.is_some());
        seen.extend(page.entries.items);
        query.cursor = page.entries.next;
        if query.cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
    assert!(stops > 0, "{} entries in all", all.total);
    let none = access.look(&admin, &AuditQuery { q: "no such word".to_owned(), ..AuditQuery::default() }, 4).await.unwrap();
    assert!(none.entries.items.is_empty() && none.entries.next.is_some());
    assert_eq!(none.looked_to, Some(made[3].at));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn set_up_works_once_and_only_with_the_code(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let access = w.fleet.access();
    assert!(access.set_up_needed().await.unwrap());
    assert!(access.set_up("0000", "ada@example.com", "Ada", PASSWORD, "192.0.2.9").await.is_err());
    let code = access.set_up_code();
    assert!(matches!(
        access.set_up(&code, "ada@example.com", "Ada", "short", "192.0.2.9").await,
        Err(Error::Invalid { field: "password", .. })
    ));
    assert!(matches!(
        access.set_up(&code, "not an address", "Ada", PASSWORD, "192.0.2.9").await,
        Err(Error::Invalid { field: "email", .. })
    ));
    let set_up = access.set_up(&code, "ada@example.com", "Ada", PASSWORD, "192.0.2.9");
    crate::asked::within("first-1".into(), set_up).await.unwrap();
    let log = access.search_audit(&Actor::system(w.org.clone()), "user.create", None).await.unwrap().entries.items;
    assert_eq!((log.len(), log[0].actor.as_str(), log[0].address.as_str()), (1, "Ada", "192.0.2.9"), "K-8: nothing automatic about it");
    assert!(log[0].detail.contains("\"request\":\"first-1\"") && log[0].detail.contains("set-up code"), "{log:?}");
    assert!(matches!(access.set_up(&code, "eve@example.com", "Eve", PASSWORD, "192.0.2.9").await, Err(Error::SetUp(_))));
    assert!(access.sign_in("ada@example.com", PASSWORD, &here()).await.is_ok());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_37_the_audit_chain_holds_under_parallel_writers_and_shows_a_change(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let made = (0..12).map(|i| {
        let (fleet, admin) = (w.fleet.clone(), admin.clone());
        tokio::spawn(async move { fleet.access().create_token(&admin, &format!("t{i}"), Role::Viewer, 1).await.map(drop) })
    });
    for task in made.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    let verified = w.fleet.access().verify_audit(&admin).await.unwrap();
    assert!(verified.broken_at.is_none() && verified.entries >= 14, "{verified:?}");

    // Beside a server that goes on writing it still holds.
    let (fleet, writer) = (w.fleet.clone(), admin.clone());
    let writing = tokio::spawn(async move {
        for i in 0..20 {
            fleet.access().create_token(&writer, &format!("w{i}"), Role::Viewer, 1).await.unwrap();
        }
    });
    while !writing.is_finished() {
        let verified = w.fleet.access().verify_audit(&admin).await.unwrap();
        assert!(verified.broken_at.is_none(), "{verified:?}");
    }
    writing.await.unwrap();

    let mut tx = w.fleet.access().db.write().await.unwrap();
    exec!(&mut tx, Sql::same("UPDATE audit SET actor = 'somebody else' WHERE seq = 5")).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at, Some(5));
}

#[tokio::test]
async fn a_device_is_never_a_person() {
    let w = World::open(EngineKind::Sqlite).await;
    let who = Who::Device { device: 1, device_id: "gw-1".parse().unwrap() };
    let device = Actor { who, ..Actor::system(w.org.clone()) };
    assert!(matches!(w.fleet.access().people_page(&device).await, Err(Error::Denied { .. })));
    assert!(w.fleet.access().create_token(&device, "x", Role::Viewer, 1).await.is_err());
}

#[tokio::test]
async fn organizations_are_known_by_their_slug_whatever_it_is() {
    let w = World::open(EngineKind::Sqlite).await;
    let access = w.fleet.access();
    let other: wire::ids::OrgId = format!("org_{}", "7".repeat(32)).parse().unwrap();
    assert!(matches!(access.slug(&other).await, Err(Error::NotFound(_))));
    let insert = Sql::same("INSERT INTO organizations (id, slug, name, created_at) VALUES ($1, 'cacerts', 'Other', 0)");
    let mut tx = access.db.write().await.unwrap();
    exec!(&mut tx, insert, other.as_str()).unwrap();
    tx.commit().await.unwrap();
    for _ in 0..2 {
        assert_eq!((access.slug(&other).await.unwrap(), access.slug(&w.org).await.unwrap()), ("cacerts".into(), "default".into()));
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_is_an_admin_is_not_answered_by_a_failed_read(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (ada, oli) = (w.admin().await, w.operator().await);
    let (ada, oli) = (ada.user().unwrap(), oli.user().unwrap());
    let mut tx = w.fleet.access().db.write().await.unwrap();
    assert!(is_admin(&mut tx, &w.org, ada).await.unwrap());
    assert!(!is_admin(&mut tx, &w.org, oli).await.unwrap());
    assert!(!is_admin(&mut tx, &w.org, &w.entropy.id(w.clock_now())).await.unwrap(), "nobody");
    exec!(&mut tx, Sql::same("ALTER TABLE users RENAME TO people")).unwrap();
    assert!(matches!(is_admin(&mut tx, &w.org, ada).await, Err(Error::Db(_))));
}
