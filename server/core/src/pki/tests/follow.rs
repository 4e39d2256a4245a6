//! Two processes over one database, a server and a command beside it: what the one changes the other follows within a second; and a server that
//! hears nothing any more (H-6).

use super::life::{check, enrol};
use crate::{
    access::Actor,
    db::EngineKind,
    pki::{Holding, Lock, Passphrase, PkiSettings, Refusal, RootFile, Unlock, offline, trust::STALE},
    testing::{World, postgres, token},
};
use rstest::rstest;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use wire::{
    pki::{AuthorityUse, RevocationReason},
    states::{AuthorityState, DeviceStep, KeyPlace},
};

/// A world, and where its database is if it is PostgreSQL's.
async fn world(kind: EngineKind) -> (World, Option<String>) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    (World::open_at(tempfile::tempdir().unwrap(), url.clone(), 1).await, url)
}

async fn within_a_second(what: &str, holds: impl Fn() -> bool) {
    within(Duration::from_secs(1), what, holds).await;
}

async fn within(time: Duration, what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < time, "not within {time:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r6_a_server_follows_within_a_second_what_a_command_beside_it_does(#[case] kind: EngineKind) {
    let (w, url) = world(kind).await;
    let (_, _, one) = enrol(&w, "gw-1").await;
    let (_, _, two) = enrol(&w, "gw-2").await;
    let pki = Arc::clone(w.fleet.pki());
    pki.renew_identity().await.unwrap();
    let working = Arc::clone(&pki);
    let server = tokio::spawn(async move { working.work().await });
    let (cli, shell) = (w.beside(url).await, Actor::shell(w.org.clone()));
    let gateway = "gw-2".parse().unwrap();

    let revoked = check(&w, &one).unwrap().certificate;
    cli.pki().revoke(&shell, &revoked, RevocationReason::Unspecified).await.unwrap();
    within_a_second("a revoked certificate is refused", || check(&w, &one) == Err(Refusal::Revoked)).await;
    cli.devices().change(&shell, &gateway, DeviceStep::Suspend).await.unwrap();
    within_a_second("a suspended device is refused", || check(&w, &two) == Err(Refusal::DeviceInactive)).await;
    cli.devices().change(&shell, &gateway, DeviceStep::Resume).await.unwrap();
    within_a_second("it is let in again", || check(&w, &two).is_ok()).await;

    let before = pki.server_identity().unwrap();
    let next = cli.pki().stage_authority(&shell, AuthorityUse::Server).await.unwrap();
    cli.pki().activate_authority(&shell, &next.id, false).await.unwrap();
    within_a_second("the listeners present the new authority's certificate", || {
        pki.server_identity().is_some_and(|now| now.issuer == next.id && now.chain != before.chain)
    })
    .await;
    let root = cli.pki().stage_authority(&shell, AuthorityUse::Root).await.unwrap();
    cli.pki().activate_authority(&shell, &root.id, true).await.unwrap();
    let der = cli.pki().authority_certificate(&root.id).unwrap();
    within_a_second("their chain leads to the new root", || {
        pki.server_identity().is_some_and(|now| now.chain.last() == Some(&der)) && pki.root_pem() == cli.pki().root_pem()
    })
    .await;

    let lost = cli.pki().list_authorities(&shell).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    cli.pki().compromise_authority(&shell, &lost.id).await.unwrap();
    within_a_second("nothing of an authority that was given up is believed", || check(&w, &two) == Err(Refusal::Authority)).await;
    let root =
        cli.pki().list_authorities(&shell).unwrap().into_iter().find(|a| a.kind == "root" && a.state == AuthorityState::Active).unwrap();
    let words = || Passphrase::new("correct horse battery".to_owned().into());
    let file = cli.pki().export_root(&shell, Some(&root.id), Lock::Passphrase(words())).await.unwrap().file;
    let opened = RootFile::read(&file, Some(&Unlock::Passphrase(words()))).unwrap();
    cli.pki().take_root_offline(&shell, Some(&root.id), Holding::Opened(&opened)).await.unwrap();
    let place = || pki.list_authorities(&shell).unwrap().into_iter().find(|a| a.id == root.id).unwrap().key;
    within_a_second("a root's key that was taken away is forgotten", || place() == KeyPlace::Offline).await;
    server.abort();
    cli.close().await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r7_lists_of_new_authorities_and_of_roots_elsewhere_are_served_within_a_second(#[case] kind: EngineKind) {
    let (w, url) = world(kind).await;
    let pki = Arc::clone(w.fleet.pki());
    pki.renew_identity().await.unwrap();
    pki.publish().await.unwrap();
    let working = Arc::clone(&pki);
    let server = tokio::spawn(async move { working.work().await });
    let (cli, shell) = (w.beside(url).await, Actor::shell(w.org.clone()));

    let next = cli.pki().stage_authority(&shell, AuthorityUse::Device).await.unwrap();
    within_a_second("a new authority has a list and an OCSP signer", || pki.crl(&next.id).is_some() && !pki.unpublished()).await;
    let here = pki.stage_authority(&shell, AuthorityUse::Server).await.unwrap();
    assert!(pki.crl(&here.id).is_some() && !pki.unpublished(), "at once where it is made by the server itself");

    let root = cli.pki().list_authorities(&shell).unwrap().into_iter().find(|a| a.kind == "root").unwrap();
    let words = || Passphrase::new("correct horse battery".to_owned().into());
    let file = cli.pki().export_root(&shell, Some(&root.id), Lock::Passphrase(words())).await.unwrap().file;
    let opened = RootFile::read(&file, Some(&Unlock::Passphrase(words()))).unwrap();
    cli.pki().take_root_offline(&shell, Some(&root.id), Holding::Opened(&opened)).await.unwrap();
    let last = cli.pki().crl(&root.id).unwrap().number;
    within_a_second("the last list that was signed here", || pki.crl(&root.id).is_some_and(|list| list.number == last)).await;
    let asked = cli.pki().list_request(&shell, &root.id).await.unwrap();
    let signed = offline::list(&opened, &asked, w.clock_now()).unwrap();
    cli.pki().import_list(&shell, &root.id, &signed).await.unwrap();
    within_a_second("a list that was signed elsewhere", || pki.crl(&root.id).is_some_and(|list| list.der == signed)).await;
    server.abort();
    cli.close().await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r6_an_organization_that_is_made_beside_a_server_is_served_within_a_second(#[case] kind: EngineKind) {
    let (w, url) = world(kind).await;
    let pki = Arc::clone(w.fleet.pki());
    pki.renew_identity().await.unwrap();
    pki.publish().await.unwrap();
    let before = pki.server_identity().unwrap();
    let working = Arc::clone(&pki);
    let server = tokio::spawn(async move { working.work().await });
    let (cli, shell) = (w.beside(url).await, Actor::shell(w.org.clone()));

    let made = cli.create_organization(&shell, &"acme".parse().unwrap(), "Acme").await.unwrap();
    within_a_second("its authorities are here, and devices are told whom to trust", || {
        pki.authorities_of(&made.id).len() == 3 && pki.trust_bundle(&made.id).version == 1
    })
    .await;
    assert_eq!(pki.label("acme").await.unwrap().map(|label| label.org), Some(made.id.clone()));
    let device = pki.authorities_of(&made.id).into_iter().find(|a| a.kind == "device").unwrap().id;
    // Five signatures, each in a transaction of its own.
    within(Duration::from_secs(10), "they have lists and OCSP signers", || pki.crl(&device).is_some() && !pki.unpublished()).await;
    let leaf = super::life::leaf(&w.enrol_in(&made.id, "gw-1", "sim", crate::testing::csr("gw-1")).await.unwrap());
    assert_eq!(check(&w, &leaf).unwrap().org, made.id);
    assert_eq!(pki.server_identity().unwrap().chain, before.chain, "the listeners are the first organization's");
    server.abort();
    cli.close().await.unwrap();
}

/// K-4: it waits for the token when it is asked how that does, every minute from the start.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r6_a_token_that_hangs_keeps_nobody_from_following_a_revocation(#[case] kind: EngineKind) {
    let url = match kind {
        EngineKind::Sqlite => None,
        EngineKind::Postgres => Some(postgres().await),
    };
    let secrets = tempfile::tempdir().unwrap();
    let settings = token(secrets.path(), &format!("hangs-{}-{kind:?}", std::process::id()));
    let on_token = |pki: PkiSettings| PkiSettings { token: Some(settings), ..pki };
    let w = World::open_with(tempfile::tempdir().unwrap(), url.clone(), 1, on_token).await.unwrap();
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    let pki = Arc::clone(w.fleet.pki());
    pki.renew_identity().await.unwrap();
    let (cli, shell) = (w.beside(url).await, Actor::shell(w.org.clone()));
    let hanging = pki.token.as_ref().unwrap().hang();
    let working = Arc::clone(&pki);
    let server = tokio::spawn(async move { working.work().await });
    within_a_second("somebody waits for the token", || pki.turns.taken()).await;

    let revoked = check(&w, &leaf).unwrap().certificate;
    cli.pki().revoke(&shell, &revoked, RevocationReason::Unspecified).await.unwrap();
    within_a_second("a revoked certificate is refused", || check(&w, &leaf) == Err(Refusal::Revoked)).await;
    assert!(pki.turns.taken(), "and the token hangs still");
    server.abort();
    drop(hanging);
    cli.close().await.unwrap();
}

/// What it has not heard of may be a revocation, so nobody new gets in. Who was judged by what it knew then stays.
#[tokio::test]
async fn h_6_a_server_that_hears_nothing_for_a_minute_lets_nobody_in_and_cuts_nobody() {
    let w = World::open(EngineKind::Sqlite).await;
    let (_, _, leaf) = enrol(&w, "gw-1").await;
    let peer = check(&w, &leaf).unwrap();
    let trust = w.fleet.pki().trust();
    // From here on nothing is asked of the database: its own deadlines would run as well.
    tokio::time::pause();
    trust.follow();
    tokio::time::advance(STALE).await;
    assert_eq!(check(&w, &leaf).as_ref(), Ok(&peer), "it still may have heard of everything");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(check(&w, &leaf), Err(Refusal::Stale));
    assert_eq!(trust.still(&peer.fingerprint), Ok(()), "who is connected");
    trust.heard();
    assert_eq!(check(&w, &leaf), Ok(peer));
    tokio::time::resume();
}
