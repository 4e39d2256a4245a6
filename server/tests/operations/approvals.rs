//! Who has to approve: rules, the number of people, groups of approvers, and the terms.

use super::{DENIED, Desk, Script};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use wire::states::Role;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn rules_ask_for_more_at_once_and_for_less_a_day_later(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let rules = async || desk.viewer.get("/approval-rules").await.ok()["items"].clone();
    let one = json!({ "needed": 1, "from": [] });
    assert_eq!((&rules().await[0]["device_type"], &rules().await[0]["rule"]), (&json!(""), &one));
    let two = json!({ "needed": 2 });
    assert_eq!(desk.admin.put("/approval-rules", &two).await.code(), (409, "not_now"), "nobody could fulfil it");
    for name in ["eve", "max"] {
        Script::new(&desk.server, name, Role::Admin).await;
    }
    assert_eq!(desk.operator.put("/approval-rules", &two).await.code(), DENIED);
    for (wrong, code) in [
        (json!({ "needed": 0 }), "invalid"),
        (json!({ "needed": 6 }), "invalid"),
        (json!({ "needed": 2, "from": [{ "group": "nonsense", "at_least": 1 }] }), "bad_json"),
        (json!({ "needed": 2, "form": [] }), "bad_json"),
    ] {
        assert_eq!(desk.admin.put("/approval-rules", &wrong).await.code(), (400, code), "{wrong}");
    }
    assert_eq!(desk.times("rollout.approvals_needed").await, 0);
    let set = desk.admin.put("/approval-rules", &two).await;
    assert_eq!((&set.ok()["items"], &set.body["items"][0]["rule"]["needed"]), (&rules().await, &json!(2)));
    assert_eq!(desk.logged("rollout.approvals_needed").await["detail"]["after"]["rule"]["needed"], 2);

    // The number alone, which is a rule without groups.
    let needed = async || desk.viewer.get("/rollouts/approvals").await.ok().clone();
    assert_eq!(needed().await, json!({ "needed": 2, "lowered": null }));
    assert_eq!(desk.operator.put("/rollouts/approvals", &json!({ "needed": 1 })).await.code(), DENIED);
    assert_eq!(desk.admin.put("/rollouts/approvals", &json!({ "needed": 0 })).await.code(), (400, "invalid"));
    assert_eq!(desk.admin.put("/rollouts/approvals", &json!({ "need": 1 })).await.code(), (400, "bad_json"));
    let lowered = desk.admin.put("/rollouts/approvals", &json!({ "needed": 1 })).await;
    assert_eq!((&lowered.ok()["needed"], &lowered.body["lowered"]["needed"]), (&json!(2), &json!(1)), "a day later");
    assert_eq!(needed().await, lowered.body);
    assert_eq!(desk.admin.put("/rollouts/approvals", &json!({ "needed": 2 })).await.ok()["lowered"], Value::Null, "taken back");
    assert_eq!(desk.times("rollout.approvals_needed").await, 3);

    // One of a device type, beside it.
    let own = json!({ "device_type": "gateway", "needed": 1 });
    let set = desk.admin.put("/approval-rules", &own).await;
    assert_eq!((&set.ok()["items"][1]["device_type"], &set.body["items"][1]["rule"]), (&json!("gateway"), &one));
    assert_eq!(desk.operator.delete("/approval-rules/gateway").await.code(), DENIED);
    assert_eq!(desk.admin.delete("/approval-rules/radio").await.code(), (404, "not_found"));
    let dropped = desk.admin.delete("/approval-rules/gateway").await;
    let row = &dropped.ok()["items"][1];
    assert_eq!((&row["rule"], &row["weaker"]["rule"]), (&one, &Value::Null), "it ends a day later");
    assert!(row["weaker"]["from"].as_i64().unwrap() > 0, "{row}");
    assert_eq!(rules().await, dropped.body["items"]);
    assert_eq!(desk.logged("rollout.approvals_needed").await["detail"]["device_type"], "gateway");
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn groups_of_approvers_are_made_filled_and_deleted(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    for name in ["eve", "max"] {
        Script::new(&desk.server, name, Role::Admin).await;
    }
    let people = desk.server.running.fleet.access().people_page(&desk.server.system()).await.unwrap().users;
    let user = |name: &str| json!(people.iter().find(|user| user.name == name).unwrap().id);
    let (eve, max, oli) = (user("eve"), user("max"), user("oli"));
    let groups = async || desk.viewer.get("/approver-groups").await.ok()["items"].clone();
    assert_eq!(groups().await, json!([]));

    let safety = json!({ "name": "Safety", "members": [eve] });
    assert_eq!(desk.operator.post("/approver-groups", &safety).await.code(), DENIED);
    for (wrong, code) in [
        (json!({ "name": " " }), "invalid"),
        (json!({ "name": "Operators", "members": [oli] }), "invalid"),
        (json!({ "name": "Safety", "member": [] }), "bad_json"),
    ] {
        assert_eq!(desk.admin.post("/approver-groups", &wrong).await.code(), (400, code), "{wrong}");
    }
    assert_eq!(groups().await, json!([]), "what is refused leaves nothing");
    let made = desk.admin.post("/approver-groups", &safety).await;
    assert_eq!((made.status, &made.ok()["members"][0]["user"]), (201, &eve), "{}", made.body);
    assert_eq!(desk.admin.post("/approver-groups", &safety).await.code(), (400, "invalid"), "there is one of this name");
    assert_eq!(groups().await, json!([made.body]));
    assert_eq!(desk.logged("approver_group.create").await["detail"], json!({ "group": "Safety", "in": ["eve"] }));

    let id = made.id();
    let members = json!({ "members": [max] });
    assert_eq!(desk.operator.put(&format!("/approver-groups/{id}/members"), &members).await.code(), DENIED);
    assert_eq!(desk.admin.put(&format!("/approver-groups/{id}/members"), &json!({})).await.code(), (400, "bad_json"));
    assert_eq!(desk.admin.put(&format!("/approver-groups/{id}/members"), &json!({ "members": [oli] })).await.code(), (400, "invalid"));
    assert_eq!(desk.admin.put("/approver-groups/nonsense/members", &members).await.code(), (404, "not_found"));
    let changed = desk.admin.put(&format!("/approver-groups/{id}/members"), &members).await;
    assert_eq!(groups().await, json!([changed.ok()]));
    assert_eq!(changed.body["members"][0]["user"], max);
    assert_eq!(desk.logged("approver_group.members").await["detail"], json!({ "group": "Safety", "in": ["max"], "out": ["eve"] }));

    let other = desk.admin.post("/approver-groups", &json!({ "name": "Night shift" })).await.id();
    let rule = json!({ "needed": 1, "from": [{ "group": id, "at_least": 1 }] });
    desk.admin.put("/approval-rules", &rule).await.ok();
    assert_eq!(desk.admin.delete(&format!("/approver-groups/{id}")).await.code(), (409, "not_now"), "a rule names it");
    assert_eq!(desk.operator.delete(&format!("/approver-groups/{other}")).await.code(), DENIED);
    assert_eq!(desk.admin.delete(&format!("/approver-groups/{other}")).await.status, 204);
    assert_eq!(desk.admin.delete(&format!("/approver-groups/{other}")).await.code(), (404, "not_found"));
    let left: Vec<Value> = groups().await.as_array().unwrap().iter().map(|group| group["id"].clone()).collect();
    assert_eq!(left, [json!(id)]);
    assert_eq!(desk.logged("approver_group.delete").await["object"], json!(other));
    desk.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn terms_of_approvals_are_changed_and_read(#[case] kind: EngineKind) {
    let desk = Desk::open(kind).await;
    let terms = |request_days: u32, review_hours: u32, break_glass: bool| json!({ "request_days": request_days, "start_days": 30, "review_hours": review_hours, "break_glass": break_glass });
    let before = desk.viewer.get("/approval-terms").await.ok().clone();
    assert_eq!(desk.operator.put("/approval-terms", &terms(14, 24, false)).await.code(), DENIED);
    for (wrong, refusal) in [
        (terms(366, 24, false), (400, "invalid")),
        (terms(7, 0, false), (400, "invalid")),
        (terms(7, 721, false), (400, "invalid")),
        (terms(7, 24, true), (409, "not_now")),
        (json!({ "request_days": 7 }), (400, "bad_json")),
    ] {
        assert_eq!(desk.admin.put("/approval-terms", &wrong).await.code(), refusal, "{wrong}");
    }
    assert_eq!(desk.viewer.get("/approval-terms").await.ok(), &before);
    // What was read may be sent back as it is.
    assert_eq!(desk.admin.put("/approval-terms", &before).await.ok(), &before);
    let set = desk.admin.put("/approval-terms", &terms(14, 48, false)).await;
    assert_eq!((&set.ok()["request_days"], &set.body["start_days"], &set.body["review_hours"]), (&json!(14), &json!(30), &json!(48)));
    assert_eq!(desk.viewer.get("/approval-terms").await.ok(), &set.body);
    assert_eq!(desk.logged("rollout.approval_terms").await["detail"]["after"]["request_days"], 14);
    desk.stop().await;
}
