//! Lists that are fetched from where an admin has said (E-10): what is due, and what an answer means. Nobody asks anybody here.

use super::{
    Theirs, anchor, audited, dial,
    lists::{in_by, list_params, serial},
    policy, refused,
};
use crate::{
    access::Actor,
    db::EngineKind,
    pki::{
        Error as PkiError, Refusal, Refused,
        registered::{DueList, ListAnswer, Validators},
    },
    testing::World,
};
use rstest::rstest;
use wire::{
    ids::AuthorityId,
    overview::Matter,
    registered::{JustInTime, ListAddressStanding},
};

const URL: &str = "http://pki.example.com/plant.crl";
const OTHER: &str = "https://pki.example.com:8443/list?of=plant";
const MADE: &str = "Sun, 22 Nov 2026 09:59:00 GMT";
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

async fn standing(w: &World, id: &AuthorityId) -> ListAddressStanding {
    w.fleet.pki().registered_authority(&Actor::system(w.org.clone()), id).await.unwrap().list_address.unwrap()
}

/// The one that is due when its time has come.
async fn due(w: &World, id: &AuthorityId) -> DueList {
    let wait = standing(w, id).await.next_at.since(w.clock_now());
    w.clock.advance(wait - 1);
    assert!(w.fleet.pki().lists_due().await.unwrap().is_empty(), "not before its time");
    w.clock.advance(1);
    let mut due = w.fleet.pki().lists_due().await.unwrap();
    assert!(w.fleet.pki().lists_due().await.unwrap().is_empty(), "one asks at a time");
    assert_eq!(due.len(), 1);
    due.remove(0)
}

/// A list that came with nothing to ask by.
pub(super) fn plain(list: Vec<u8>) -> ListAnswer {
    ListAnswer::List { list, validators: Validators::default() }
}

fn tagged(list: Vec<u8>, tag: &str) -> ListAnswer {
    ListAnswer::List { list, validators: Validators::of(Some(tag), Some(MADE)) }
}

async fn warned(w: &World, actor: &Actor) -> Option<String> {
    let attention = w.fleet.overview(actor).await.unwrap().attention;
    attention.into_iter().find_map(|a| match a.matter {
        Matter::ListNotFetched { warning, .. } => Some(warning),
        _ => None,
    })
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_a_list_is_fetched_where_an_admin_says_and_passes_the_gate_of_one_that_is_brought(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator) = (w.admin().await, w.operator().await);
    let pki = w.fleet.pki();
    let theirs = Theirs::new(&w, "Plant CA");
    let made = theirs.register(&w, &admin).await.unwrap();
    let id = made.id.clone();
    assert!(matches!(refused(pki.set_list_address(&admin, &id, URL).await), Refused::State(_)), "proved first");
    pki.verify_authority(&admin, &id, &theirs.proof(&w, &made.code.unwrap())).await.unwrap();
    w.fleet.devices().enable_authority(&admin, &id, policy(JustInTime::Auto)).await.unwrap();
    assert!(matches!(pki.set_list_address(&operator, &id, URL).await, Err(PkiError::Access(_))));
    let bad = refused(pki.set_list_address(&admin, &id, "http://me:secret@pki.example.com/").await);
    assert_eq!((bad.fault().code.as_str(), bad.fault().field.as_deref()), ("list_address_refused", Some("url")));
    let leaf = in_by(&w, &theirs, &anchor(&w, &id), "meter-1").await;
    assert!(pki.lists_due().await.unwrap().is_empty());

    let set = pki.set_list_address(&admin, &id, &format!(" {URL} ")).await.unwrap();
    assert_eq!(set.list_address.unwrap().url, URL);
    assert_eq!(audited(&w, &admin, "registered_authority.list_address").await.len(), 1);
    let asked = due(&w, &id).await;
    assert_eq!((&asked.authority, asked.url.as_str()), (&id, URL));
    let now = w.clock_now();
    let five = theirs.list(&list_params(5, now, &[serial(&leaf)]));
    pki.list_came(&asked, Ok(plain(five.clone()))).await.unwrap();
    assert_eq!(dial(&w, &anchor(&w, &id), &leaf).await, Err(Refusal::Revoked));
    let shown = pki.registered_authority(&operator, &id).await.unwrap();
    let (list, at) = (shown.list.unwrap(), shown.list_address.unwrap());
    assert_eq!((list.number.as_str(), list.received_by.as_str()), ("0x5", URL));
    assert_eq!((at.asked_at, at.fetched_at, at.failures, at.error.as_str()), (Some(now), Some(now), 0, ""));
    assert!((60..68).contains(&(at.next_at.since(now) / MINUTE)), "{at:?}");
    assert!(audited(&w, &admin, "registered_authority.list").await[0].contains(URL));

    // The same again is none the worse, and no news.
    pki.list_came(&due(&w, &id).await, Ok(plain(five))).await.unwrap();
    assert_eq!((standing(&w, &id).await.failures, audited(&w, &admin, "registered_authority.list").await.len()), (0, 1));
    let good_until = standing(&w, &id).await.fetched_at;

    let wrong = [
        (Ok(theirs.list(&list_params(4, now, &[]))), "as new, or newer"),
        (Ok(b"<!doctype html><title>Sign in</title>".to_vec()), "neither PEM"),
        (Err("it answers 404 Not Found, not 200".to_owned()), "404 Not Found"),
        (Ok(Theirs::new(&w, "Plant CA").list(&list_params(6, now, &[]))), "signature"),
        (Err("\u{7}no answer: ".to_owned() + &"x".repeat(10_000)), "no answer"),
    ];
    for ((failures, pause), (answer, says)) in [(1, 5), (2, 10), (3, 20), (4, 40), (5, 60)].into_iter().zip(wrong) {
        pki.list_came(&due(&w, &id).await, answer.map(plain)).await.unwrap();
        let at = standing(&w, &id).await;
        assert!(at.error.contains(says) && at.error.len() <= 300 && !at.error.contains('\u{7}'), "{at:?}");
        assert_eq!((at.failures, at.asked_at, at.fetched_at), (failures, Some(w.clock_now()), good_until));
        let waits = at.next_at.since(w.clock_now());
        assert!((pause * MINUTE..=pause * MINUTE * 9 / 8).contains(&waits), "{failures}: {waits}");
        assert_eq!(warned(&w, &operator).await.is_some(), failures >= 3, "in time before the list ends");
    }
    assert_eq!(dial(&w, &anchor(&w, &id), &leaf).await, Err(Refusal::Revoked), "what is here stays");
    assert!(warned(&w, &operator).await.unwrap().contains("Plant could not be fetched 5 times in a row"));

    let asked = due(&w, &id).await;
    pki.list_came(&asked, Ok(plain(theirs.list(&list_params(6, w.clock_now(), &[]))))).await.unwrap();
    let at = standing(&w, &id).await;
    assert_eq!((at.failures, at.error.as_str(), at.fetched_at), (0, "", Some(w.clock_now())));
    assert!(dial(&w, &anchor(&w, &id), &leaf).await.is_ok());
    assert_eq!(warned(&w, &operator).await, None);
    assert!(w.fleet.access().verify_audit(&admin).await.unwrap().broken_at.is_none());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_an_answer_counts_for_the_address_that_was_asked(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await.id.clone();
    pki.set_list_address(&admin, &id, URL).await.unwrap();
    let old = due(&w, &id).await;
    w.clock.advance(1000);
    pki.set_list_address(&admin, &id, OTHER).await.unwrap();
    pki.list_came(&old, Err("no answer".into())).await.unwrap();
    let at = standing(&w, &id).await;
    assert_eq!((at.url.as_str(), at.failures, at.asked_at, at.next_at), (OTHER, 0, None, w.clock_now()));
    let asked = due(&w, &id).await;
    assert_eq!(asked.url, OTHER);

    // Whoever asked is gone: another one asks, five minutes later.
    w.clock.advance(5 * MINUTE);
    let again = pki.lists_due().await.unwrap();
    assert_eq!(again.len(), 1);
    pki.list_came(&again[0], Err("no answer".into())).await.unwrap();
    assert!(warned(&w, &admin).await.unwrap().contains("There is none yet"), "without any list there is no time");
    // The clock was far ahead when that was planned.
    w.clock.jump(-DAY);
    assert_eq!(pki.lists_due().await.unwrap().len(), 1);
    w.clock.jump(DAY);

    pki.set_list_address(&admin, &id, "").await.unwrap();
    pki.list_came(&again[0], Err("no answer".into())).await.unwrap();
    assert_eq!(pki.registered_authority(&admin, &id).await.unwrap().list_address, None);
    w.clock.advance(DAY);
    assert!(pki.lists_due().await.unwrap().is_empty());
    assert_eq!(audited(&w, &admin, "registered_authority.list_address").await.len(), 3);

    // It goes with its authority, also while somebody asks.
    pki.set_list_address(&admin, &id, URL).await.unwrap();
    let asked = due(&w, &id).await;
    pki.disable_authority(&admin, &id).await.unwrap();
    pki.remove_authority(&admin, &id).await.unwrap();
    pki.list_came(&asked, Ok(plain(theirs.list(&list_params(1, w.clock_now(), &[]))))).await.unwrap();
    pki.list_came(&asked, Err("no answer".into())).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_whether_there_is_another_list_is_asked_by_what_came_with_the_one_that_is_here(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, pki) = (w.admin().await, w.fleet.pki());
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await.id.clone();
    pki.set_list_address(&admin, &id, URL).await.unwrap();
    let first = due(&w, &id).await;
    assert_eq!(first.known, None);
    // Nobody asked by anything.
    pki.list_came(&first, Ok(ListAnswer::Unchanged)).await.unwrap();
    assert!(standing(&w, &id).await.error.contains("304 Not Modified"));
    let five = theirs.list(&list_params(5, w.clock_now(), &[]));
    pki.list_came(&due(&w, &id).await, Ok(tagged(five.clone(), "\"5\""))).await.unwrap();

    let asked = due(&w, &id).await;
    assert_eq!(asked.known, Some(Validators::of(Some("\"5\""), Some(MADE))));
    pki.list_came(&asked, Ok(ListAnswer::Unchanged)).await.unwrap();
    let at = standing(&w, &id).await;
    assert_eq!((at.fetched_at, at.failures, at.error.as_str()), (Some(w.clock_now()), 0, ""));
    assert!((60..68).contains(&(at.next_at.since(w.clock_now()) / MINUTE)), "{at:?}");
    assert_eq!(audited(&w, &admin, "registered_authority.list").await.len(), 1, "no news");
    assert_eq!(pki.list_fetches().by_outcome(), [("taken", 1), ("unchanged", 1), ("failed", 1)]);
    pki.list_came(&due(&w, &id).await, Err("no answer".into())).await.unwrap();
    assert!(due(&w, &id).await.known.is_some(), "a failure forgets nothing");

    // Brought by hand while somebody asks: what was answered is of the one before.
    w.clock.advance(5 * MINUTE);
    let asked = pki.lists_due().await.unwrap().remove(0);
    let before = standing(&w, &id).await;
    pki.bring_list(&admin, &id, theirs.list(&list_params(6, w.clock_now(), &[]))).await.unwrap();
    pki.list_came(&asked, Ok(ListAnswer::Unchanged)).await.unwrap();
    assert_eq!(standing(&w, &id).await, before);
    let asked = due(&w, &id).await;
    assert_eq!(asked.known, None);
    let seven = theirs.list(&list_params(7, w.clock_now(), &[]));
    pki.list_came(&asked, Ok(tagged(seven.clone(), "\"7\""))).await.unwrap();
    // Another address knows nothing of it.
    pki.set_list_address(&admin, &id, OTHER).await.unwrap();
    let asked = due(&w, &id).await;
    assert_eq!(asked.known, None);
    pki.list_came(&asked, Ok(tagged(seven, "\"other\""))).await.unwrap();
    assert_eq!(due(&w, &id).await.known.unwrap().etag(), Some("\"other\""));
    // One that has ended is asked for as it is, and then refused as it was before.
    w.clock.advance(2 * DAY);
    assert_eq!(pki.lists_due().await.unwrap().remove(0).known, None);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn e_10_an_admin_who_does_not_want_to_wait_asks_at_most_every_ten_seconds(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator, pki) = (w.admin().await, w.operator().await, w.fleet.pki());
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &admin, policy(JustInTime::Auto)).await.id.clone();
    assert!(matches!(pki.fetch_list_now(&operator, &id).await, Err(PkiError::Access(_))));
    assert_eq!(refused(pki.fetch_list_now(&admin, &id).await), Refused::NoListAddress);
    let elsewhere = super::elsewhere(&w).await;
    assert_eq!(refused(pki.fetch_list_now(&elsewhere, &id).await), Refused::NotFound);
    let booked = async || audited(&w, &admin, "registered_authority.fetch_list").await.len();

    pki.set_list_address(&admin, &id, URL).await.unwrap();
    pki.fetch_list_now(&admin, &id).await.unwrap();
    assert_eq!(booked().await, 0, "it is due anyway");
    let asked = due(&w, &id).await;
    w.clock.advance(3000);
    let early = refused(pki.fetch_list_now(&admin, &id).await);
    assert_eq!(early, Refused::ListJustAsked(7), "also while nobody has answered yet");
    assert_eq!((early.fault().code.as_str(), early.fault().retry_after), ("list_just_asked", Some(7)));
    pki.list_came(&asked, Ok(plain(theirs.list(&list_params(5, w.clock_now(), &[]))))).await.unwrap();
    assert_eq!(pki.list_fetches().oldest_seconds(w.clock_now()), 3, "since it was set, as of the last look");
    w.clock.advance(7000);
    assert!(pki.lists_due().await.unwrap().is_empty());
    assert_eq!(pki.list_fetches().oldest_seconds(w.clock_now()), 7);
    let shown = pki.fetch_list_now(&admin, &id).await.unwrap();
    assert_eq!(shown.list_address.unwrap().next_at, w.clock_now());
    pki.fetch_list_now(&admin, &id).await.unwrap();
    assert_eq!(booked().await, 1, "wanted once");
    assert_eq!(pki.lists_due().await.unwrap().len(), 1);
    assert_eq!(refused(pki.fetch_list_now(&admin, &id).await), Refused::ListJustAsked(10));
    // That was written by a clock that was far ahead.
    w.clock.jump(-DAY);
    pki.fetch_list_now(&admin, &id).await.unwrap();
    assert_eq!(pki.lists_due().await.unwrap().len(), 1);
}
