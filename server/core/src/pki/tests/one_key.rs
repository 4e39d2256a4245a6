//! Several certificates for one key on both engines: a device may keep its key when it renews, and when the key is compromised none of them is left.

use super::{
    life::{DAY, check, enrol, enrol_with, leaf, request},
    restore::{list, serial},
};
use crate::{
    access::Actor,
    db::EngineKind,
    pki::{DevicePeer, Refusal},
    testing::World,
};
use rcgen::KeyPair;
use rstest::rstest;
use wire::{
    access::AuditEntry,
    pki::{Revocation, RevocationReason},
    states::{CertificateState, DeviceStep},
};

/// A device with two usable certificates for one key: the one that it was enrolled with, and the one that it was renewed to.
async fn renewed(w: &World, id: &str) -> (KeyPair, [(Vec<u8>, DevicePeer); 2]) {
    let (key, enrolled, old) = enrol(w, id).await;
    let before = check(w, &old).unwrap();
    w.clock.advance(enrolled.renew_after.since(w.clock_now()));
    let system = Actor::system(w.org.clone());
    let given = w.fleet.pki().renew(&system, &before, request(id, &key).as_bytes(), "https://d").await.unwrap();
    let new = leaf(&given);
    let after = check(w, &new).unwrap();
    assert!(check(w, &old).is_ok() && after.certificate != before.certificate);
    (key, [(old, before), (new, after)])
}

/// Revocations in the books, newest first.
async fn booked(w: &World, actor: &Actor) -> Vec<AuditEntry> {
    let found = w.fleet.access().search_audit(actor, "certificate.revoke", None).await.unwrap().entries.items;
    found.into_iter().filter(|e| e.action == "certificate.revoke").collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_a_compromise_revokes_every_certificate_for_the_key_whichever_is_named(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    for (id, named) in [("gw-1", 1), ("gw-2", 0)] {
        let (key, both) = renewed(&w, id).await;
        let (_, _, bystander) = enrol(&w, &format!("{id}-beside")).await;
        let (first, other) = (&both[named].1, &both[1 - named].1);
        let since = w.clock_now().plus(-60_000);
        let stolen = Revocation { invalidity_date: Some(since), note: "stolen".to_owned(), ..RevocationReason::KeyCompromise.into() };
        let answer = pki.revoke(&admin, &first.certificate, stolen.clone()).await.unwrap();
        assert_eq!(answer.id, first.certificate);
        for (leaf, peer) in &both {
            assert_eq!(check(&w, leaf), Err(Refusal::Revoked), "{id}");
            assert_eq!(pki.trust().still(&peer.fingerprint), Err(Refusal::Revoked), "{id}: connections are cut");
        }
        assert!(check(&w, &bystander).is_ok());
        let told = pki.certificate(&admin, &other.certificate).await.unwrap();
        assert_eq!((told.row.reason.as_str(), told.revocation_note.as_str()), ("key_compromise", "stolen"));
        assert!(told.invalidity_date.is_some());
        assert_eq!(enrol_with(&w, id, &key).await.unwrap_err().fault().code, "key_in_use");

        // Each is in the books, in the journal and on the list; the other one says which it follows.
        let log = booked(&w, &admin).await;
        let entry = |peer: &DevicePeer| log.iter().find(|e| e.object == peer.certificate.as_str()).unwrap().detail.clone();
        let follows = format!("\"follows\":\"{}\"", first.certificate);
        assert!(entry(other).contains(&follows), "{}", entry(other));
        assert!(!entry(first).contains("follows"), "{}", entry(first));
        let journal = std::fs::read_to_string(w.folder.path().join("revocations.log")).unwrap();
        pki.publish().await.unwrap();
        let listed = list(&w).1;
        for (leaf, peer) in &both {
            assert!(journal.contains(peer.certificate.as_str()) && listed.contains(&serial(leaf)), "{id}");
        }
        // Said again, of either, it changes nothing.
        pki.revoke(&admin, &first.certificate, stolen.clone()).await.unwrap();
        pki.revoke(&admin, &other.certificate, stolen).await.unwrap();
        assert_eq!(booked(&w, &admin).await.len(), log.len());
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_a_reason_that_is_raised_to_a_compromise_takes_the_other_certificates_along(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let (_, [(old, before), (new, after)]) = renewed(&w, "gw-1").await;
    let first = pki.revoke(&admin, &before.certificate, RevocationReason::Superseded).await.unwrap();
    assert_eq!((first.raised_at, first.raised_by.as_str()), (None, ""));
    assert_eq!(check(&w, &old), Err(Refusal::Revoked));
    assert!(check(&w, &new).is_ok(), "a weaker reason is about one certificate");
    w.clock.advance(60_000);
    let oli = w.operator().await;
    let raised = pki.revoke(&oli, &before.certificate, RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!((raised.revoked_at, &raised.revoked_by), (first.revoked_at, &first.revoked_by), "who revoked it, and when, stays");
    assert_eq!((raised.raised_at, &raised.raised_by), (Some(w.clock_now()), &oli.label()), "and who raised it, and when, is there as well");
    let shown = pki.certificate(&admin, &before.certificate).await.unwrap();
    assert_eq!((shown.raised_at, &shown.raised_by), (raised.raised_at, &raised.raised_by));
    let again = pki.revoke(&admin, &before.certificate, RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(again, raised, "said again it is the first who raised it");
    let direct = pki.certificate(&admin, &after.certificate).await.unwrap();
    assert_eq!((direct.raised_at, direct.raised_by.as_str()), (None, ""), "where nothing else was said before there is nothing to tell");
    assert_eq!(check(&w, &new), Err(Refusal::Revoked));
    assert_eq!(pki.certificate(&admin, &after.certificate).await.unwrap().row.reason, "key_compromise");

    // Many at once, as of a batch: both are among those that are named, and each is revoked once.
    let (_, [(old, before), (new, after)]) = renewed(&w, "gw-2").await;
    pki.revoke_these(&admin, &[before.certificate, after.certificate], RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!((check(&w, &old), check(&w, &new)), (Err(Refusal::Revoked), Err(Refusal::Revoked)));
    let log = booked(&w, &admin).await;
    assert_eq!(log.len(), 5, "{log:#?}");
}

/// a successor in use has published why, and since when. That is not replaced by another reason; what else there is for the key goes with a compromise.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn r_5_the_reason_of_a_superseded_certificate_stays_but_for_a_compromise(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (pki, admin) = (w.fleet.pki(), w.admin().await);
    let superseded = async |id: &str| {
        let (_, [(old, before), (new, after)]) = renewed(&w, id).await;
        pki.first_use(std::slice::from_ref(&after.certificate)).await.unwrap();
        pki.reload().await.unwrap();
        w.clock.advance(DAY + 1000);
        pki.tick().await.unwrap();
        pki.reload().await.unwrap();
        let shown = pki.certificate(&admin, &before.certificate).await.unwrap();
        assert_eq!((shown.row.state, shown.same_key, shown.same_key_usable), (CertificateState::Superseded, 1, 1));
        assert!(check(&w, &old).is_err() && check(&w, &new).is_ok());
        (shown, after, new)
    };
    let (shown, after, new) = superseded("gw-1").await;
    let id = shown.row.id.clone();
    let refused = pki.revoke(&admin, &id, RevocationReason::AffiliationChanged).await.unwrap_err().fault();
    assert_eq!(refused.code, "already_revoked");
    assert!(
        refused.message.ends_with("with reason superseded; the reason stays. Only key_compromise may follow it."),
        "{}",
        refused.message
    );
    let stays = pki.certificate(&admin, &id).await.unwrap();
    assert_eq!((stays.row.state, stays.revoked_at), (CertificateState::Superseded, shown.revoked_at), "nothing was written down");
    let same = pki.revoke(&admin, &id, RevocationReason::Superseded).await.unwrap();
    assert_eq!((same.reason.as_str(), Some(same.revoked_at)), ("superseded", shown.revoked_at), "that it was already");
    assert!(!pki.crl_outdated() && check(&w, &new).is_ok());
    let worse = pki.revoke(&admin, &id, RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!((worse.reason.as_str(), Some(worse.revoked_at)), ("key_compromise", shown.revoked_at), "the date stays");
    assert_eq!((worse.raised_at, worse.raised_by.as_str()), (Some(w.clock_now()), admin.label().as_str()));
    assert_eq!(check(&w, &new), Err(Refusal::Revoked), "its key's other one goes with it");
    assert_eq!(pki.certificate(&admin, &after.certificate).await.unwrap().row.reason, "key_compromise");

    // A device that goes takes it along for good, and what was published stays.
    let (shown, ..) = superseded("gw-2").await;
    w.fleet.devices().change(&admin, &"gw-2".parse().unwrap(), DeviceStep::Decommission).await.unwrap();
    let gone = pki.certificate(&admin, &shown.row.id).await.unwrap();
    assert_eq!((gone.row.state, gone.row.reason.as_str(), gone.revoked_at), (CertificateState::Revoked, "superseded", shown.revoked_at));
    let journal = std::fs::read_to_string(w.folder.path().join("revocations.log")).unwrap();
    assert!(journal.contains(shown.row.id.as_str()), "a backup from before brings it back no more");
}
