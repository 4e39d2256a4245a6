//! Devices: tags, steps and groups of many, pins, connections, a person's saved views.

use super::{DENIED, Desk, Script};
use crate::{journey::enrol, support::eventually};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;
use wire::states::Role;

/// A desk with `gw-1` and `gw-2`.
async fn two(kind: EngineKind) -> Desk {
    let desk = Desk::open(kind).await;
    for name in ["gw-1", "gw-2"] {
        enrol(&desk.server, name, "gateway").await;
    }
    desk
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn devices_are_tagged_suspended_exported_and_decommissioned(#[case] kind: EngineKind) {
    let desk = two(kind).await;
    // What takes a while to count is shown for a moment longer.
    let counted = async |q: &str, expected: i64| {
        let comes = || async { desk.viewer.get(&format!("/devices?q={q}")).await.ok()["total"] == expected };
        eventually(&format!("{q}: {expected}"), Duration::from_secs(20), comes).await;
    };
    let tags = json!({ "tags": ["hall-3"] });
    assert_eq!(desk.viewer.put("/devices/gw-1/tags", &tags).await.code(), DENIED);
    assert_eq!(desk.operator.put("/devices/gw-9/tags", &tags).await.code(), (404, "not_found"));
    assert_eq!(desk.operator.put("/devices/gw-1/tags", &json!({ "tag": [] })).await.code(), (400, "bad_json"));
    assert_eq!(desk.operator.put("/devices/gw-1/tags", &tags).await.status, 204);
    counted("tag:hall-3", 1).await;
    assert_eq!(desk.logged("device.tags").await["object"], "gw-1");

    let many = |expected: i64| json!({ "q": "type:gateway", "add": ["uk"], "remove": ["hall-3"], "expected": expected });
    assert_eq!(desk.viewer.post("/devices:tag", &many(2)).await.code(), DENIED);
    assert_eq!(desk.operator.post("/devices:tag", &many(3)).await.code(), (409, "other_count"));
    assert_eq!(desk.operator.post("/devices:tag", &json!({ "q": "colour:red", "add": ["uk"], "expected": 2 })).await.code().0, 400);
    // All or none.
    counted("tag:uk", 0).await;
    assert_eq!(desk.operator.post("/devices:tag", &many(2)).await.ok(), &json!({ "devices": 2 }));
    counted("tag:uk", 2).await;
    counted("tag:hall-3", 0).await;
    assert_eq!(desk.logged("device.tag_many").await["detail"]["devices"], 2);

    let step = |step: &str| json!({ "q": "type:gateway", "step": step, "expected": 2 });
    assert_eq!(desk.viewer.post("/devices:life", &step("suspend")).await.code(), DENIED);
    assert_eq!(desk.operator.post("/devices:life", &step("delete")).await.code(), (400, "invalid"));
    assert_eq!(desk.operator.post("/devices:life", &step("suspend")).await.ok(), &json!({ "devices": 2, "changed": 2 }));
    counted("state:suspended", 2).await;
    desk.operator.post("/devices:life", &step("resume")).await.ok();
    counted("state:active", 2).await;
    assert_eq!(desk.viewer.get("/renewals").await.ok()["items"], json!([]), "no order to many is under way");

    let file = desk.viewer.get("/devices:export?q=tag:uk").await;
    assert_eq!(file.headers["content-disposition"].to_str().unwrap(), "attachment; filename=\"devices.csv\"");
    assert_eq!(file.ok().as_str().unwrap().matches("\"gw-").count(), 2, "{}", file.body);
    assert_eq!(desk.viewer.get("/devices:export?q=colour:red").await.code(), (400, "bad_selector"));

    assert_eq!(desk.viewer.delete("/devices/gw-2").await.code(), DENIED);
    assert_eq!(desk.operator.delete("/devices/gw-9").await.code(), (404, "not_found"));
    assert_eq!(desk.operator.delete("/devices/gw-2").await.status, 204);
    assert_eq!(desk.viewer.get("/devices/gw-2").await.ok()["row"]["state"], "decommissioned");
    assert_eq!(desk.logged("device.decommission").await["object"], "gw-2");
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_pinned_and_told_of(#[case] kind: EngineKind) {
    let desk = two(kind).await;
    let pin = json!({ "reason": "on show" });
    assert_eq!(desk.viewer.put("/devices/gw-1/pin", &pin).await.code(), DENIED);
    assert_eq!(desk.operator.put("/devices/gw-1/pin", &json!({ "reason": " " })).await.code(), (400, "invalid"));
    assert_eq!(desk.operator.put("/devices/gw-1/pin", &json!({ "why": "on show" })).await.code(), (400, "bad_json"));
    assert_eq!(desk.operator.put("/devices/gw-9/pin", &pin).await.code(), (404, "not_found"));
    let pinned = desk.operator.put("/devices/gw-1/pin", &pin).await;
    assert_eq!(&desk.viewer.get("/devices/gw-1").await.ok()["pin"], pinned.ok());
    assert_eq!(desk.logged("device.pin").await["object"], "gw-1");
    assert_eq!(desk.viewer.delete("/devices/gw-1/pin").await.code(), DENIED);
    assert_eq!(desk.operator.delete("/devices/gw-9/pin").await.code(), (404, "not_found"));
    assert_eq!(desk.operator.delete("/devices/gw-1/pin").await.status, 204);
    assert_eq!(desk.viewer.get("/devices/gw-1").await.ok()["pin"], Value::Null);
    assert_eq!(desk.logged("device.unpin").await["object"], "gw-1");

    // Nothing concerns it, and it was never connected over a channel.
    let why = desk.viewer.get("/devices/gw-1/why").await;
    assert_eq!((&why.ok()["rollouts"], &why.body["answer"]), (&json!([]), &json!("")));
    assert_eq!(desk.viewer.get("/devices/gw-9/why").await.code(), (404, "not_found"));
    assert_eq!(desk.viewer.get("/devices/gw-1/connections?rows=1").await.ok(), &json!({ "items": [], "total": 0 }));
    assert_eq!(desk.viewer.get("/devices/gw-1/connections?cursor=x").await.code(), (400, "invalid"));
    assert_eq!(desk.viewer.get("/devices/gw-9/connections").await.code(), (404, "not_found"));
    let file = desk.viewer.get("/devices/gw-1/connections:export").await;
    assert!(file.ok().as_str().unwrap().starts_with("\"connected\","), "{}", file.body);
    assert_eq!(desk.viewer.get("/devices/gw-9/connections:export").await.code(), (404, "not_found"));
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn groups_are_made_filled_renamed_and_deleted(#[case] kind: EngineKind) {
    let desk = two(kind).await;
    let groups = async || desk.viewer.get("/groups").await.ok()["items"].clone();
    let hall = json!({ "name": "Hall 3" });
    assert_eq!(desk.viewer.post("/groups", &hall).await.code(), DENIED);
    assert_eq!(desk.operator.post("/groups", &json!({ "name": "Hall *" })).await.code(), (400, "invalid"));
    assert_eq!(desk.operator.post("/groups", &json!({ "nam": "Hall 3" })).await.code(), (400, "bad_json"));
    assert_eq!(groups().await, json!([]));
    let made = desk.operator.post("/groups", &hall).await;
    assert_eq!((made.status, groups().await), (201, json!([made.ok()])));
    assert_eq!(desk.operator.post("/groups", &hall).await.code(), (400, "invalid"), "there is one of this name");
    assert_eq!(desk.logged("group.create").await["object"], "Hall 3");

    let all = json!({ "q": "type:gateway", "expected": 2 });
    assert_eq!(desk.viewer.post("/groups/Hall%203/devices", &all).await.code(), DENIED);
    let other = desk.operator.post("/groups/Hall%203/devices", &json!({ "q": "type:gateway", "expected": 3 })).await;
    assert_eq!(other.code(), (409, "other_count"));
    assert_eq!(desk.operator.post("/groups/Hall%209/devices", &all).await.code(), (404, "not_found"));
    assert_eq!(desk.operator.post("/groups/Hall%203/devices", &all).await.ok(), &json!({ "devices": 2 }));
    assert_eq!(groups().await[0]["devices"], 2);
    assert_eq!(desk.logged("group.put_in").await["detail"]["devices"], 2);
    let out = json!({ "devices": ["gw-2"], "out": true });
    assert_eq!(desk.operator.post("/groups/Hall%203/devices", &out).await.ok(), &json!({ "devices": 1 }));
    assert_eq!(groups().await[0]["devices"], 1);
    assert_eq!(desk.logged("group.take_out").await["object"], "Hall 3");

    let named = json!({ "name": "Hall 4" });
    assert_eq!(desk.viewer.put("/groups/Hall%203", &named).await.code(), DENIED);
    assert_eq!(desk.operator.put("/groups/Hall%203", &json!({ "name": "" })).await.code(), (400, "invalid"));
    assert_eq!(desk.operator.put("/groups/Hall%209", &named).await.code(), (404, "not_found"));
    assert_eq!(desk.operator.put("/groups/Hall%203", &named).await.status, 204);
    assert_eq!((&groups().await[0]["name"], &groups().await[0]["devices"]), (&json!("Hall 4"), &json!(1)));
    assert_eq!(desk.logged("group.rename").await["detail"]["to"], "Hall 4");
    assert_eq!(desk.viewer.delete("/groups/Hall%204").await.code(), DENIED);
    assert_eq!(desk.operator.delete("/groups/Hall%203").await.code(), (404, "not_found"));
    assert_eq!(desk.operator.delete("/groups/Hall%204").await.status, 204);
    assert_eq!(groups().await, json!([]));
    assert_eq!(desk.logged("group.delete").await["object"], "Hall 4");
    desk.stop().await;
}

/// They are each person's own, so the audit log does not tell of them.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn views_are_saved_by_everybody_for_themselves(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let other = Script::new(&desk.server, "val", Role::Viewer).await;
    let view = json!({ "q": "tag:eu", "sort": "-device_id", "columns": ["version", "status"] });
    for (wrong, code) in [
        (json!({ "q": "colour:red" }), "bad_selector"),
        (json!({ "q": "", "columns": ["colour"] }), "bad_json"),
        (json!({ "q": "", "sorted": "version" }), "bad_json"),
    ] {
        assert_eq!(desk.viewer.put("/device-views/Europe", &wrong).await.code(), (400, code), "{wrong}");
    }
    assert_eq!(desk.viewer.put(&format!("/device-views/{}", "x".repeat(101)), &view).await.code(), (400, "invalid"));
    assert_eq!(desk.viewer.get("/device-views").await.ok()["items"], json!([]));
    let saved = desk.viewer.put("/device-views/Europe", &view).await;
    assert_eq!((&saved.ok()["name"], &saved.body["columns"]), (&json!("Europe"), &json!(["status", "version"])));
    desk.viewer.put("/device-views/Europe", &view).await.ok();
    assert_eq!(desk.viewer.get("/device-views").await.ok()["items"], json!([saved.body]));
    assert_eq!(other.get("/device-views").await.ok()["items"], json!([]), "another person's are not shown");
    assert_eq!(other.delete("/device-views/Europe").await.code(), (404, "not_found"));
    assert_eq!(desk.viewer.delete("/device-views/Europe").await.status, 204);
    assert_eq!(desk.viewer.delete("/device-views/Europe").await.code(), (404, "not_found"));
    assert_eq!(desk.viewer.get("/device-views").await.ok()["items"], json!([]));
    desk.stop().await;
}
