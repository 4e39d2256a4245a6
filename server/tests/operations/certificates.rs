//! What an organization wants of certificates: rules, profiles, blocked keys; the clock by which they are issued, and how fast devices may download.

use super::{DENIED, Desk};
use crate::support::TestServer;
use fleet::{
    clock::{Clock as _, ManualClock, SystemClock},
    db::EngineKind,
};
use rstest::rstest;
use serde_json::{Value, json};
use std::sync::Arc;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn rules_of_certificates_are_changed_and_read(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let read = async || desk.viewer.get("/certificate-rules").await.ok().clone();
    let before = read().await;
    let rules = |rekey: &str, days: u32| json!({ "clones": "suspend", "rekey": rekey, "recovery": "approval", "recovery_days": days });
    assert_eq!(desk.operator.put("/certificate-rules", &rules("required", 30)).await.code(), DENIED);
    for (wrong, code) in [
        (rules("required", 0), "invalid"),
        (rules("required", 366), "invalid"),
        (rules("sometimes", 30), "bad_json"),
        (json!({ "clones": "alert" }), "bad_json"),
    ] {
        assert_eq!(desk.admin.put("/certificate-rules", &wrong).await.code(), (400, code), "{wrong}");
    }
    assert_eq!((read().await, desk.times("certificate.rules").await), (before, 0));
    assert_eq!(desk.admin.put("/certificate-rules", &rules("required", 30)).await.status, 204);
    assert_eq!(read().await, rules("required", 30));
    assert_eq!(desk.logged("certificate.rules").await["detail"], rules("required", 30));
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_set_named_and_removed(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let names = async || {
        let list = desk.viewer.get("/certificate-profiles").await.ok()["items"].clone();
        list.as_array().unwrap().iter().map(|profile| profile["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let day = json!({ "hours": 24, "keys": ["p-256"] });
    assert_eq!(desk.operator.put("/certificate-profiles/day", &day).await.code(), DENIED);
    assert_eq!(desk.admin.put("/certificate-profiles/day", &json!({ "hours": 0, "keys": [] })).await.code(), (400, "invalid"));
    assert_eq!(desk.admin.put("/certificate-profiles/day", &json!({ "hour": 24 })).await.code(), (400, "bad_json"));
    assert_eq!(names().await, [""; 0]);
    assert_eq!(desk.admin.put("/certificate-profiles/day", &day).await.status, 204);
    assert_eq!(names().await, ["day"]);
    assert_eq!(desk.logged("certificate_profile.set").await["object"], "day");

    // How devices ask without a token names it, and it stays then.
    let open = json!({ "open": true, "profile": "day" });
    assert_eq!(desk.operator.put("/enrolment-settings", &open).await.code(), DENIED);
    assert_eq!(
        desk.admin.put("/enrolment-settings", &json!({ "open": true, "profile": "night" })).await.code(),
        (404, "profile_not_found")
    );
    assert_eq!(desk.admin.put("/enrolment-settings", &json!({ "open": true, "profil": "day" })).await.code(), (400, "bad_json"));
    assert_eq!(desk.viewer.get("/enrolment-settings").await.ok(), &json!({ "open": false, "profile": "" }));
    assert_eq!(desk.admin.put("/enrolment-settings", &open).await.ok(), &open);
    assert_eq!(desk.viewer.get("/enrolment-settings").await.ok(), &open);
    assert_eq!(desk.logged("enrolment.open").await["detail"], open);
    assert_eq!(desk.admin.delete("/certificate-profiles/day").await.code(), (409, "profile_in_use"));
    desk.admin.put("/enrolment-settings", &json!({ "open": false })).await.ok();

    assert_eq!(desk.operator.delete("/certificate-profiles/day").await.code(), DENIED);
    assert_eq!(desk.admin.delete("/certificate-profiles/night").await.code(), (404, "profile_not_found"));
    assert_eq!(desk.admin.delete("/certificate-profiles/day").await.status, 204);
    assert_eq!(names().await, [""; 0]);
    assert_eq!(desk.logged("certificate_profile.remove").await["object"], "day");
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_blocked_and_let_be_used_again(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let spki = "ab".repeat(32);
    let found = json!({ "spki_sha256": spki, "reason": "in a public repository" });
    assert_eq!(desk.viewer.post("/blocked-keys", &found).await.code(), DENIED);
    assert_eq!(desk.operator.post("/blocked-keys", &json!({ "spki_sha256": spki, "reason": "" })).await.code(), (400, "invalid"));
    assert_eq!(desk.operator.post("/blocked-keys", &json!({ "reason": "found" })).await.code(), (400, "invalid"));
    assert_eq!(desk.viewer.get("/blocked-keys").await.ok()["total"], 0);
    let blocked = desk.operator.post("/blocked-keys", &found).await;
    assert_eq!((blocked.status, &blocked.ok()["by_hand"]), (201, &json!(true)));
    assert_eq!(desk.viewer.get("/blocked-keys").await.ok()["items"], json!([blocked.body]));
    assert_eq!(desk.logged("key.block").await["object"], json!(spki));
    assert_eq!(desk.operator.delete(&format!("/blocked-keys/{spki}")).await.code(), DENIED);
    assert_eq!(desk.admin.delete(&format!("/blocked-keys/{spki}")).await.status, 204);
    assert_eq!(desk.admin.delete(&format!("/blocked-keys/{spki}")).await.code(), (404, "blocked_key_not_found"));
    assert_eq!(desk.viewer.get("/blocked-keys").await.ok()["total"], 0);
    assert_eq!(desk.logged("key.unblock").await["object"], json!(spki));
    desk.stop().await;
}

/// nothing is issued while the clock has jumped, until an admin takes the time as it is.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_20_a_clock_that_jumped_is_accepted(#[case] kind: EngineKind) {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let desk = Desk::of(TestServer::start_by(kind, clock.clone(), |config| config).await).await;
    assert_eq!(desk.viewer.get("/clock").await.ok()["jump"], Value::Null);
    assert_eq!(desk.operator.post("/clock/accept", &json!({})).await.code(), DENIED);
    assert_eq!(desk.admin.post("/clock/accept", &json!({})).await.status, 204, "it is right, and nothing happens");
    assert_eq!(desk.times("clock.accept").await, 0);
    clock.jump(-3_600_000);
    assert_eq!(desk.viewer.get("/clock").await.ok()["jump"]["by_ms"], -3_600_000);
    assert_eq!(desk.admin.post("/authorities", &json!({ "kind": "device" })).await.code(), (503, "clock_jumped"));
    assert_eq!(desk.admin.post("/clock/accept", &json!({})).await.status, 204);
    assert_eq!(desk.viewer.get("/clock").await.ok()["jump"], Value::Null);
    assert_eq!(desk.logged("clock.accept").await["detail"]["by_ms"], -3_600_000);
    desk.admin.post("/authorities", &json!({ "kind": "device" })).await.ok();
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn limits_of_downloads_are_set_and_read(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let none = json!({ "bandwidth": null, "site_attribute": "", "site_bandwidth": null, "data_budget_mb": null });
    let some = json!({ "bandwidth": 500_000, "site_attribute": "site", "site_bandwidth": 62_500, "data_budget_mb": 200 });
    assert_eq!(desk.operator.put("/transfer-limits", &some).await.code(), DENIED);
    assert_eq!(desk.admin.put("/transfer-limits", &json!({ "bandwidth": 9_999 })).await.code(), (400, "bad_value"));
    assert_eq!(desk.admin.put("/transfer-limits", &json!({ "bandwith": 500_000 })).await.code(), (400, "bad_json"));
    assert_eq!(desk.viewer.get("/transfer-limits").await.ok(), &none);
    assert_eq!(desk.admin.put("/transfer-limits", &some).await.ok(), &some);
    assert_eq!(desk.viewer.get("/transfer-limits").await.ok(), &some);
    assert_eq!(desk.times("transfer.limits").await, 1);
    desk.stop().await;
}
