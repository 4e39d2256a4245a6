//! Authorities: given up and what follows, retired, asked of a second person, requests for them withdrawn.

use super::{DENIED, Desk, Script};
use crate::{
    journey::{enrol, enrolment_token},
    stock::Stock,
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use wire::states::Role;

/// One of no organization.
const NOWHERE: &str = "ca_00000000000000000000000000000000";

/// what an authority takes along when it is given up, and the two ways back.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_given_up_and_its_tokens_and_devices_come_back(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    enrol(&desk.server, "gw-1", "gateway").await;
    let secret = enrolment_token(&desk.server, "gw-2", "gateway", 1).await.secret;
    let (root, id) = (desk.authority("root", "active").await, desk.authority("device", "active").await);

    assert_eq!(desk.operator.post(&format!("/authorities/{id}/compromise"), &json!({})).await.code(), DENIED);
    assert_eq!(desk.admin.post(&format!("/authorities/{NOWHERE}/compromise"), &json!({})).await.code(), (404, "authority_not_found"));
    assert_eq!(desk.admin.post("/authorities/nonsense/compromise", &json!({})).await.code(), (404, "not_found"));
    assert_eq!(desk.admin.post(&format!("/authorities/{root}/compromise"), &json!({})).await.code(), (409, "authority_state"));
    let back = json!({ "how": "approval", "days": 7 });
    let early = desk.admin.post(&format!("/authorities/{id}/recover-devices"), &back).await;
    assert_eq!(early.code(), (409, "authority_state"), "its devices renew by themselves");
    assert_eq!((&desk.standing(&id).await["standing"]["row"]["state"], desk.times("authority.compromise").await), (&json!("active"), 0));
    for _ in 0..2 {
        assert_eq!(desk.admin.post(&format!("/authorities/{id}/compromise"), &json!({})).await.status, 204, "it may be repeated");
    }
    let given_up = desk.standing(&id).await;
    assert_eq!((&given_up["standing"]["row"]["state"], &given_up["aftermath"]["left_behind"]), (&json!("compromised"), &json!(1)));
    assert!(given_up["aftermath"]["frozen_at"].is_i64(), "{given_up}");
    assert_eq!((&desk.logged("authority.compromise").await["object"], desk.times("authority.compromise").await), (&json!(id), 1));

    // The next one issues; a token that was made before it does not count.
    let next = desk.admin.post("/authorities", &json!({ "kind": "device" })).await.id();
    assert_eq!(desk.admin.post(&format!("/authorities/{next}/activate"), &json!({})).await.status, 204);
    let stock = Stock::of(&desk.server);
    stock.request("gw-2", "/CN=gw-2").await;
    assert_eq!(stock.est("simpleenroll", &secret, "gw-2.b64", &[]).await.status, 403, "frozen");
    assert_eq!(desk.operator.post(&format!("/authorities/{id}/thaw-tokens"), &json!({})).await.code(), DENIED);
    assert_eq!(desk.admin.post(&format!("/authorities/{NOWHERE}/thaw-tokens"), &json!({})).await.code(), (404, "authority_not_found"));
    let thaw = desk.admin.post(&format!("/authorities/{next}/thaw-tokens"), &json!({})).await;
    assert_eq!(thaw.code(), (409, "nothing_frozen"), "it was not given up");
    assert_eq!(desk.admin.post(&format!("/authorities/{id}/thaw-tokens"), &json!({})).await.status, 204);
    let again = desk.admin.post(&format!("/authorities/{id}/thaw-tokens"), &json!({})).await;
    assert_eq!(again.code(), (409, "nothing_frozen"), "they count already");
    assert_eq!(desk.standing(&id).await["aftermath"]["frozen_at"], Value::Null);
    assert_eq!((&desk.logged("authority.thaw_tokens").await["object"], desk.times("authority.thaw_tokens").await), (&json!(id), 1));
    assert_eq!(stock.est("simpleenroll", &secret, "gw-2.b64", &[]).await.status, 200);

    let recover = format!("/authorities/{id}/recover-devices");
    assert_eq!(desk.operator.post(&recover, &back).await.code(), DENIED);
    assert_eq!(desk.admin.post(&format!("/authorities/{NOWHERE}/recover-devices"), &back).await.code(), (404, "authority_not_found"));
    for (wrong, code) in [
        (json!({ "how": "auto" }), "invalid"),
        (json!({ "how": "auto", "days": 91 }), "invalid"),
        (json!({ "how": "somehow", "days": 7 }), "bad_json"),
        (json!({ "how": "auto", "day": 7 }), "bad_json"),
    ] {
        assert_eq!(desk.admin.post(&recover, &wrong).await.code(), (400, code), "{wrong}");
    }
    assert_eq!(desk.admin.post(&recover, &back).await.ok(), &json!({ "devices": 1 }));
    let open = desk.standing(&id).await["aftermath"].clone();
    assert_eq!((&open["way_back"], open["until"].is_i64()), (&json!("approval"), true), "{open}");
    let told = desk.logged("authority.recover_devices").await;
    assert_eq!(told["detail"], json!({ "how": "approval", "days": 7, "devices": 1 }));
    desk.admin.post(&recover, &json!({ "how": "off" })).await.ok();
    let shut = desk.standing(&id).await["aftermath"].clone();
    assert_eq!((&shut["way_back"], &shut["until"]), (&json!("off"), &Value::Null));
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_retired_its_alarm_cleared_and_a_request_withdrawn(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let active = desk.authority("device", "active").await;
    let next = desk.admin.post("/authorities", &json!({ "kind": "device" })).await.id();
    assert_eq!(desk.operator.post(&format!("/authorities/{next}/retire"), &json!({})).await.code(), DENIED);
    assert_eq!(desk.admin.post(&format!("/authorities/{next}/retire"), &json!({ "forse": true })).await.code(), (400, "bad_json"));
    assert_eq!(desk.admin.post(&format!("/authorities/{active}/retire"), &json!({})).await.code(), (409, "authority_state"));
    assert_eq!(desk.admin.post(&format!("/authorities/{NOWHERE}/retire"), &json!({})).await.code(), (404, "authority_not_found"));
    assert_eq!(desk.admin.post(&format!("/authorities/{next}/retire"), &json!({})).await.status, 204);
    assert_eq!(desk.standing(&next).await["standing"]["row"]["state"], "retired");
    let told = desk.logged("authority.retire").await;
    assert_eq!((&told["object"], &told["detail"]["was"]), (&json!(next), &json!("staged")));

    // How an alarm comes about is tried where certificates are signed that nobody issued; here there is none.
    assert_eq!(desk.operator.delete(&format!("/authorities/{active}/alarm")).await.code(), DENIED);
    assert_eq!(desk.admin.delete(&format!("/authorities/{NOWHERE}/alarm")).await.code(), (404, "authority_not_found"));
    assert_eq!(desk.admin.delete(&format!("/authorities/{active}/alarm")).await.status, 204);
    assert_eq!(desk.times("authority.cleared").await, 0, "nothing was changed");

    let request = desk.admin.post("/authority-csrs", &json!({ "kind": "device", "own_root": true })).await.id();
    let open = async || desk.admin.get("/authority-csrs").await.ok()["items"].as_array().unwrap().len();
    assert_eq!(desk.viewer.get("/authority-csrs").await.code(), DENIED);
    assert_eq!(desk.operator.post(&format!("/authority-csrs/{request}/withdraw"), &json!({})).await.code(), DENIED);
    assert_eq!((desk.admin.post("/authority-csrs/nonsense/withdraw", &json!({})).await.code(), open().await), ((404, "not_found"), 1));
    assert_eq!(desk.admin.post(&format!("/authority-csrs/{request}/withdraw"), &json!({})).await.status, 204);
    assert_eq!(open().await, 0);
    let again = desk.admin.post(&format!("/authority-csrs/{request}/withdraw"), &json!({})).await;
    assert_eq!(again.code(), (404, "authority_request_not_found"));
    assert_eq!(desk.logged("authority.withdraw_request").await["object"], json!(request));
    desk.stop().await;
}

/// K-6: two people decide.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn k_6_one_admin_asks_and_another_decides(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let on = json!({ "on": true });
    assert_eq!(desk.admin.post("/authorities/approvals", &on).await.code(), (409, "no_second_admin"));
    let eve = Script::new(&desk.server, "eve", Role::Admin).await;
    assert_eq!(desk.operator.post("/authorities/approvals", &on).await.code(), DENIED);
    assert_eq!(desk.admin.post("/authorities/approvals", &json!({ "one": true })).await.code(), (400, "bad_json"));
    assert_eq!(desk.admin.post("/authorities/approvals", &on).await.status, 204);
    assert_eq!(desk.admin.get("/authorities/requests").await.ok()["on"], true);
    assert_eq!(desk.logged("authority.approvals").await["detail"]["on"], true);
    assert_eq!(desk.admin.post("/authorities", &json!({ "kind": "device" })).await.code(), (409, "second_person"));

    let ask = json!({ "deed": { "deed": "stage", "kind": "device" }, "remark": "the old one ends in spring" });
    assert_eq!(desk.operator.post("/authorities/requests", &ask).await.code(), DENIED);
    assert_eq!(desk.admin.post("/authorities/requests", &json!({ "deed": "stage" })).await.code().0, 400);
    let asked = desk.admin.post("/authorities/requests", &ask).await;
    let id = asked.id();
    assert_eq!(desk.admin.get(&format!("/authorities/requests/{id}")).await.ok()["digest"], asked.body["digest"]);
    assert_eq!(desk.logged("authority.ask").await["object"], json!(id));
    let yes = json!({ "digest": asked.body["digest"], "remark": "it does" });
    let approve = format!("/authorities/requests/{id}/approve");
    assert_eq!(desk.admin.post(&approve, &yes).await.code(), (403, "own_request"));
    assert_eq!(desk.operator.post(&approve, &yes).await.code(), DENIED);
    assert_eq!(eve.post(&approve, &json!({ "digest": "0".repeat(64), "remark": "it does" })).await.code(), (409, "other_digest"));
    assert_eq!(eve.post(&format!("/authorities/requests/{id}/withdraw"), &json!({})).await.code(), (403, "not_own_request"));
    assert_eq!(eve.post(&approve, &yes).await.ok()["state"], "done");
    desk.authority("device", "staged").await;
    assert_eq!(eve.post(&format!("/authorities/requests/{id}/reject"), &json!({ "remark": "no" })).await.code(), (409, "request_over"));

    // What is rejected, and what its own author takes back, does nothing.
    let off = json!({ "deed": { "deed": "approvals_off" }, "remark": "we are friends" });
    let id = desk.admin.post("/authorities/requests", &off).await.id();
    assert_eq!(eve.post(&format!("/authorities/requests/{id}/reject"), &json!({})).await.code(), (400, "bad_json"));
    let rejected = eve.post(&format!("/authorities/requests/{id}/reject"), &json!({ "remark": "we are not" })).await;
    assert_eq!(rejected.ok()["state"], "rejected");
    assert_eq!(desk.admin.get(&format!("/authorities/requests/{id}")).await.ok()["decided_remark"], "we are not");
    let id = desk.admin.post("/authorities/requests", &off).await.id();
    desk.admin.post(&format!("/authorities/requests/{id}/withdraw"), &json!({})).await.ok();
    assert_eq!(desk.admin.get(&format!("/authorities/requests/{id}")).await.ok()["state"], "withdrawn");
    assert_eq!(desk.admin.post("/authorities/requests/nonsense/withdraw", &json!({})).await.code(), (404, "not_found"));
    assert_eq!(desk.viewer.get("/authorities/requests").await.ok()["on"], true, "two people decide as before");
    desk.stop().await;
}
