//! The backup drill with owners' lists (K-7): what a newer list has revoked is not let in because an older backup was put back.

use super::{
    Theirs, anchor, audited, dial,
    fetched::plain,
    lists::{in_by, list_params, serial},
    policy, refused,
};
use crate::{
    access::Actor,
    db::EngineKind,
    pki::{Refusal, Refused},
    testing::Backup,
};
use rstest::rstest;
use wire::{overview::Matter, registered::JustInTime};

const URL: &str = "http://pki.example.com/plant.crl";

#[rstest]
#[case::sqlite(EngineKind::Sqlite, true)]
#[case::sqlite_from_before_any_list(EngineKind::Sqlite, false)]
#[case::postgres(EngineKind::Postgres, true)]
#[case::postgres_from_before_any_list(EngineKind::Postgres, false)]
#[tokio::test]
async fn k7_a_list_that_a_backup_has_forgotten_is_awaited_and_nobody_gets_in_before(#[case] kind: EngineKind, #[case] has_one: bool) {
    let backup = Backup::of(kind).await;
    let w = backup.open(tempfile::tempdir().unwrap(), 1).await;
    let system = Actor::system(w.org.clone());
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &system, policy(JustInTime::Auto)).await.id.clone();
    let (lost, kept) = (in_by(&w, &theirs, &anchor(&w, &id), "meter-1").await, in_by(&w, &theirs, &anchor(&w, &id), "meter-2").await);
    let five = theirs.list(&list_params(5, w.clock_now(), &[]));
    if has_one {
        w.fleet.pki().bring_list(&system, &id, five.clone()).await.unwrap();
    }
    w.fleet.pki().set_list_address(&system, &id, URL).await.unwrap();
    let folder = w.close().await;
    backup.take(&folder).await;

    // After the backup.
    let w = backup.open(folder, 2).await;
    let six = theirs.list(&list_params(6, w.clock_now(), &[serial(&lost)]));
    w.fleet.pki().bring_list(&system, &id, six.clone()).await.unwrap();
    assert_eq!(dial(&w, &anchor(&w, &id), &lost).await, Err(Refusal::Revoked));
    let folder = w.close().await;

    // Put back; a restart before and after changes nothing.
    backup.put_back(&folder).await;
    let w = backup.open(backup.open(folder, 3).await.close().await, 4).await;
    let pki = w.fleet.pki();
    for leaf in [&lost, &kept, &theirs.fresh(&w, "meter-3")] {
        assert_eq!(dial(&w, &anchor(&w, &id), leaf).await, Err(Refusal::ListAwaited), "before anybody could connect");
    }
    let shown = pki.registered_authority(&system, &id).await.unwrap();
    assert_eq!(shown.list_awaited, Some(w.clock_now()), "when the sixth was made");
    assert!(shown.list_warning(w.clock_now()).unwrap().contains("no device of it is let in"));
    let attention = w.fleet.overview(&system).await.unwrap().attention;
    assert!(
        attention.iter().any(|a| matches!(&a.matter, Matter::ListNotFetched { warning, .. } if warning.contains("was set back"))),
        "{attention:#?}"
    );
    assert_eq!(audited(&w, &system, "registered_authority.await_list").await.len(), 1);

    // The one that the backup has does not do, brought or fetched; and it is fetched at once.
    assert_eq!(refused(pki.bring_list(&system, &id, five.clone()).await), Refused::ListForgotten);
    let due = pki.lists_due().await.unwrap();
    assert_eq!(due.iter().map(|due| (&due.authority, &due.known)).collect::<Vec<_>>(), [(&id, &None)]);
    pki.list_came(&due[0], Ok(plain(five))).await.unwrap();
    let at = pki.registered_authority(&system, &id).await.unwrap().list_address.unwrap();
    assert!(at.failures == 1 && at.error.contains("has counted before"), "{at:?}");
    assert_eq!(dial(&w, &anchor(&w, &id), &kept).await, Err(Refusal::ListAwaited));

    // The one that had counted does, and so would a newer one.
    w.clock.advance(6 * 60_000);
    let due = pki.lists_due().await.unwrap();
    pki.list_came(&due[0], Ok(plain(six))).await.unwrap();
    assert_eq!(dial(&w, &anchor(&w, &id), &lost).await, Err(Refusal::Revoked));
    assert_eq!(dial(&w, &anchor(&w, &id), &kept).await.unwrap().as_str(), "meter-2");
    assert_eq!(pki.registered_authority(&system, &id).await.unwrap().list_awaited, None);

    // There is nothing left to do, and nothing is awaited when the database is the newest.
    let w = backup.open(w.close().await, 5).await;
    assert!(dial(&w, &anchor(&w, &id), &kept).await.is_ok());
    assert_eq!(audited(&w, &system, "registered_authority.await_list").await.len(), 1);
    assert!(w.fleet.access().verify_audit(&system).await.unwrap().broken_at.is_none());
}

#[tokio::test]
async fn k7_a_list_that_counted_before_the_journal_did_is_told_to_it_by_the_next_start() {
    let backup = Backup::of(EngineKind::Sqlite).await;
    let w = backup.open(tempfile::tempdir().unwrap(), 1).await;
    let system = Actor::system(w.org.clone());
    let theirs = Theirs::new(&w, "Plant CA");
    let id = theirs.enabled(&w, &system, policy(JustInTime::Auto)).await.id.clone();
    let leaf = in_by(&w, &theirs, &anchor(&w, &id), "meter-1").await;
    let folder = w.close().await;
    backup.take(&folder).await;
    let w = backup.open(folder, 2).await;
    w.fleet.pki().bring_list(&system, &id, theirs.list(&list_params(5, w.clock_now(), &[]))).await.unwrap();
    let folder = w.close().await;
    std::fs::write(folder.path().join("revocations.log"), "").unwrap();
    let folder = backup.open(folder, 3).await.close().await;
    backup.put_back(&folder).await;
    let w = backup.open(folder, 4).await;
    assert_eq!(dial(&w, &anchor(&w, &id), &leaf).await, Err(Refusal::ListAwaited));
    // Anything that follows it is as good.
    w.fleet.pki().bring_list(&system, &id, theirs.list(&list_params(9, w.clock_now(), &[]))).await.unwrap();
    assert!(dial(&w, &anchor(&w, &id), &leaf).await.is_ok());
}
