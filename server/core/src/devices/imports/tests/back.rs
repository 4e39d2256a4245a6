//! Who was cut off comes back by no file: only by a person who means this one device.

use super::{ImportHow, UPDATE, audited, counts, detail, import};
use crate::{db::EngineKind, devices::Said, testing::World};
use rstest::rstest;
use wire::{
    enrolment::{NewTargetToken, SharedSecretSettings},
    pki::RevocationReason,
};

const OLD: &str = "device_id,security_token,tags\n\
    gw-1,0123456789abcdef0123456789abcdef,\n\
    gw-2,1123456789abcdef0123456789abcdef,\n\
    gw-3,,eu\n";

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn an_old_list_lets_no_device_back_in_whose_certificate_was_revoked(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, operator, devices) = (w.admin().await, w.operator().await, w.fleet.devices());
    devices.set_shared_secrets(&admin, SharedSecretSettings { tokens: true, newcomers: false }).await.unwrap();
    for (id, reason) in
        [("gw-1", RevocationReason::KeyCompromise), ("gw-2", RevocationReason::Unspecified), ("gw-3", RevocationReason::KeyCompromise)]
    {
        w.device(id, "gateway").await;
        let certificate = detail(&w, id).await.certificates[0].id.clone();
        w.fleet.pki().revoke(&admin, &certificate, reason).await.unwrap();
    }
    w.clock.advance(1000);
    for how in [ImportHow { preview: true, ..UPDATE }, UPDATE] {
        let said = import(devices, &operator, OLD, how).await;
        assert_eq!(counts(&said), (0, 0, 1, 2), "{how:?} {:?}", said.problems);
        let refused: Vec<_> = said.problems.iter().map(|p| (p.device_id.as_str(), p.field.as_str())).collect();
        assert_eq!(refused, [("gw-1", "security_token"), ("gw-2", "security_token")]);
        let why = &said.problems[0].message;
        assert!(why.contains("was revoked (key_compromise), and no file lets a device back in"), "{why}");
    }
    assert_eq!(detail(&w, "gw-3").await.row.tags, ["eu"], "what gives nobody a way in is taken");
    let speak = async |id: &str, secret: &str| devices.spoken_for("DEFAULT", id, Said::Target(secret), "192.0.2.1").await;
    for id in ["gw-1", "gw-2"] {
        assert!(detail(&w, id).await.target_token.is_none());
    }
    assert!(speak("gw-1", "0123456789abcdef0123456789abcdef").await.is_err());
    assert_eq!(audited(&w, &operator, "device.readmit").await, 0);

    // A person lets one of them back in, and the list does not give it its old secret then either.
    let id = "gw-1".parse().unwrap();
    let first = devices.create_target_token(&operator, &id, &NewTargetToken::default()).await.unwrap().secret;
    assert!(speak("gw-1", &first).await.is_ok());
    assert_eq!(counts(&import(devices, &operator, OLD, UPDATE).await), (0, 1, 0, 2));
    assert!(speak("gw-1", &first).await.is_ok());
    w.clock.advance(1000);
    devices.create_target_token(&operator, &id, &NewTargetToken::default()).await.unwrap();
    let log = w.fleet.access().search_audit(&admin, "device.readmit", None).await.unwrap().entries.items;
    assert_eq!(log.len(), 1, "another token of one that is back is no other way back");
    assert!(log[0].object == "gw-1" && log[0].detail.contains("key_compromise"), "{:?}", log[0]);
}
