//! Rollouts from their draft or their file to a decision.

use super::{Script, token};
use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use wire::states::Role;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_rollout_from_draft_to_a_second_person_s_decision(#[case] kind: EngineKind) {
    let mut s = Script::new(kind, Role::Admin).await;
    s.world.device("gw-1", "gateway").await;
    s.trust().await;
    let release = s.release("1.0.0", 1).await;
    let gate =
        json!({ "success_percent": 95.0, "error_percent": 5.0, "min_sample": 3, "max_errors": 0, "max_failed": 2, "max_rejected": 0 });
    let spec = json!({
        "name": "Gateway 1.0.0", "release": release, "reason": "first",
        "stages": [{ "name": "Everyone", "reach": { "percent": 100.0 }, "gate": gate }],
    });
    let preview = s.post("/rollouts/preview", &spec).await;
    assert_eq!((&preview.ok()["total"], &preview.body["stages"][0]["sample"]), (&json!(1), &json!(["gw-1"])));
    assert_eq!(preview.body["egress"]["together"], 1);
    let draw = preview.body["draw"].as_str().unwrap().to_owned();
    let named = s.post(&format!("/rollouts/preview/devices?draw={draw}&stage=1"), &spec).await;
    assert_eq!((&named.ok()["total"], &named.body["items"][0]["device_id"]), (&json!(1), &json!("gw-1")));
    assert_eq!(s.post("/rollouts/preview/devices", &spec).await.code(), (400, "bad_query"), "pages of one draw go together");
    let drafted = s.post(&format!("/rollouts?draw={draw}"), &spec).await;
    assert_eq!(drafted.body["row"]["id"], draw.as_str(), "its preview's draw is its own");
    let used = s.post(&format!("/rollouts?draw={draw}"), &spec).await;
    assert_eq!((used.code(), &used.body["about"]), ((409, "draw_used"), &json!(draw)), "and it is said which has it");
    assert_eq!(drafted.status, StatusCode::CREATED, "{}", drafted.body);
    assert_eq!(drafted.body["spec"]["stages"][0]["gate"], gate, "its limits are kept, and none that it does not have");
    let id = drafted.body["row"]["id"].as_str().unwrap().to_owned();
    let placed = s.get(&format!("/rollouts/{id}/preview/devices?stage=1")).await;
    assert_eq!((&placed.ok()["total"], &placed.ok()["items"][0]["device_id"]), (&json!(1), &json!("gw-1")));
    assert_eq!(s.post(&format!("/rollouts/preview?rollout={id}"), &spec).await.ok()["stages"][0]["sample"], json!(["gw-1"]));
    let both = s.post(&format!("/rollouts/preview?rollout={id}&draw={draw}"), &spec).await;
    assert_eq!(both.code(), (400, "two_draws"), "one of them would not be heard");
    let mut renamed = spec.clone();
    renamed["name"] = "Gateway one".into();
    let edit = |generation: &Value, spec: &Value| {
        let request = s.request(Method::PUT, &format!("/rollouts/{id}")).header("content-type", "application/json");
        s.send(request.body(Body::from(json!({ "generation": generation, "spec": spec }).to_string())).unwrap())
    };
    assert_eq!(edit(&drafted.body["generation"], &renamed).await.ok()["row"]["name"], "Gateway one");
    assert_eq!(edit(&drafted.body["generation"], &spec).await.status, StatusCode::CONFLICT, "a stale edit");
    let alone = s.post(&format!("/rollouts/{id}/submit"), &json!({})).await;
    assert_eq!(alone.code(), (409, "not_now"), "nobody could approve it");
    let other = s.world.person("second", Role::Admin).await;
    let submitted = s.post(&format!("/rollouts/{id}/submit"), &json!({})).await;
    assert_eq!(submitted.ok()["row"]["state"], "waiting_for_approval");
    let decision = json!({ "digest": submitted.body["digest"], "remark": "looks right" });
    let own = s.post(&format!("/rollouts/{id}/approve"), &decision).await;
    assert!(!own.status.is_success(), "its author can't approve it");
    s.secret = token(&s.world, &other, Role::Admin).await;
    assert_eq!(s.post(&format!("/rollouts/{id}/approve"), &json!({ "reason": "x" })).await.code(), (400, "no_digest"));
    let mut twice = decision.clone();
    twice["reason"] = "looks wrong".into();
    let both = s.post(&format!("/rollouts/{id}/approve"), &twice).await;
    assert_eq!(both.code(), (400, "two_reasons"), "one of them would not be heard");
    let approved = s.post(&format!("/rollouts/{id}/approve"), &decision).await;
    assert_eq!(approved.ok()["approvals"][0]["remark"], "looks right");
    assert_eq!(approved.ok()["approvals"][0]["approved"], true);
    let stale = s.post(&format!("/rollouts/{id}/promote"), &json!({ "stage": 2 })).await;
    assert_eq!(stale.code(), (409, "moved_on"), "{}", stale.body);
    assert!(stale.body["detail"].as_str().unwrap().contains("By now: Stage 1 of 1 is running"), "{}", stale.body);
    let retry = async |classes: Value| s.post(&format!("/rollouts/{id}/retry"), &json!({ "classes": classes })).await;
    let unknown = retry(json!(["failed", "lost"])).await;
    assert_eq!(unknown.code(), (400, "bad_json"));
    let told = unknown.body["detail"].as_str().unwrap();
    assert!(["failed", "timed_out", "reverted", "rejected"].iter().all(|word| told.contains(word)), "{told}");
    assert_eq!(retry(json!([])).await.code(), (400, "invalid"), "nobody was chosen");
    assert_eq!(retry(json!(["rejected"])).await.code(), (409, "not_now"), "no update ended like that");
    let verdict = &approved.ok()["stages"][0]["verdict"];
    assert_eq!((&verdict["failed"], &verdict["rejected"]), (&json!(0), &json!(0)), "a verdict counts each class: {verdict}");
    assert_eq!(s.get("/rollouts").await.ok()["items"][0]["id"], id.as_str());
    assert!(s.get(&format!("/rollouts/{id}/updates?stage=1")).await.ok()["items"].is_array());
    let report = s.get(&format!("/rollouts/{id}/report")).await;
    assert_eq!(report.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(report.headers["content-disposition"], format!("attachment; filename=\"rollout-{id}.csv\""));
    let lines: Vec<&str> = report.ok().as_str().unwrap().split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 2, "a head and a device");
    assert!(
        lines[0].starts_with("\"device\",\"stage\",\"state\",\"code\",") && lines[1].starts_with("\"gw-1\",\"1\",\"queued\","),
        "{lines:?}"
    );
    assert_eq!(s.get("/rollouts/rol_00000000000000000000000000000000/report").await.code(), (404, "not_found"));
    assert_eq!(s.post(&format!("/rollouts/{id}/explode"), &json!({})).await.code(), (404, "not_found"));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_stage_is_called_by_its_number_or_by_a_name_of_its_own(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    s.trust().await;
    let release = s.release("1.0.0", 1).await;
    let plan = |first: &Value, second: &Value| {
        let stage = |name: &Value, percent: f64| {
            let mut stage = json!({ "reach": { "percent": percent } });
            if !name.is_null() {
                stage["name"] = name.clone();
            }
            stage
        };
        json!({ "name": "Gateway", "release": release, "stages": [stage(first, 10.0), stage(second, 100.0)] })
    };
    let drafted = s.post("/rollouts", &plan(&Value::Null, &Value::Null)).await;
    assert_eq!(drafted.status, StatusCode::CREATED, "{}", drafted.body);
    let stages = &drafted.body["spec"]["stages"];
    assert_eq!((&stages[0]["name"], &stages[1]["name"]), (&json!("Stage 1"), &json!("Stage 2")));
    for (first, second, field) in
        [("", "Rest", "stages.0.name"), ("Rest", " Rest", "stages.1.name"), ("Stage 2", "Stage 2", "stages.1.name")]
    {
        let refused = s.post("/rollouts", &plan(&json!(first), &json!(second))).await;
        assert_eq!((refused.code(), &refused.body["field"]), ((400, "plan_has_problems"), &json!(field)), "{}", refused.body);
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_plan_as_a_file_is_compared_applied_and_found_by_its_name(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    s.world.device("gw-1", "gateway").await;
    s.trust().await;
    s.release("1.0.0", 1).await;
    let plan = "name: Spring\nreason: first\nrelease: { device_type: gateway, version: 1.0.0 }\nstages:\n  - name: Everybody\n    reach: { percent: 100 }\n";
    let send = async |method: Method, path: &str, media: &str, text: &str| {
        s.send(s.request(method, path).header("content-type", media).body(Body::from(text.to_owned())).unwrap()).await
    };
    let (apply, diff) = ("/rollouts/apply", "/rollouts/diff");
    let none = send(Method::POST, diff, "application/yaml", plan).await;
    assert_eq!((&none.ok()["id"], &none.body["lines"]), (&Value::Null, &json!([])));
    assert_eq!(s.get("/rollouts?name=Spring").await.ok()["total"], 0, "comparing drafts nothing");
    let refused = send(Method::POST, diff, "application/yaml", &format!("{plan}selector: tga:eu\n")).await;
    assert_eq!(refused.code(), (400, "bad_plan"), "{}", refused.body);
    assert!(refused.body["detail"].as_str().unwrap().contains("Write tag:eu, or attr.tga:eu"), "{}", refused.body);
    let twice = format!("{}selector: tga:eu\n", plan.replace("percent: 100", "percent: 250"));
    for (method, path) in [(Method::POST, diff), (Method::PUT, apply)] {
        let refused = send(method, path, "application/yaml", &twice).await;
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(refused.code() == (400, "bad_plan") && detail.matches("plan:").count() >= 2 && !detail.contains('\n'), "{detail}");
    }
    let drafted = send(Method::PUT, apply, "application/yaml", plan).await;
    assert_eq!((&drafted.ok()["outcome"], &drafted.body["state"]), (&json!("drafted"), &json!("draft")));
    let longer = plan.replace("percent: 100 }", "percent: 100 }\n    soak_s: 600");
    assert_eq!(send(Method::POST, diff, "application/yaml", &longer).await.ok()["lines"][0]["field"], "stages.0.soak_s");
    // A draft of this name does not make a plan sound.
    for slip in ["selector: \"tag:eu and\"\n", "start_at: 2020-01-01T00:00:00Z\n", "priority: 99\n"] {
        let slip = format!("{plan}{slip}");
        let (compared, refused) =
            (send(Method::POST, diff, "application/yaml", &slip).await, send(Method::PUT, apply, "application/yaml", &slip).await);
        assert_eq!((compared.code(), &compared.body["detail"]), ((400, "bad_plan"), &refused.body["detail"]), "{slip}");
        assert!(refused.body["detail"].as_str().unwrap().starts_with("plan:7 "), "{}", refused.body);
    }
    // JSON of the same form.
    let stages = json!([{ "name": "Everybody", "reach": { "percent": 100 }, "soak_s": 600 }]);
    let same =
        json!({ "name": "Spring", "reason": "first", "release": { "device_type": "gateway", "version": "1.0.0" }, "stages": stages });
    let edited = send(Method::PUT, apply, "application/json; charset=utf-8", &same.to_string()).await;
    assert_eq!((&edited.ok()["outcome"], &edited.body["id"]), (&json!("edited"), &drafted.body["id"]));
    assert_eq!(send(Method::PUT, apply, "application/yaml", &longer).await.ok()["outcome"], "same");
    let found = s.get("/rollouts?name=Spring").await;
    assert_eq!((&found.ok()["total"], &found.body["items"][0]["id"]), (&json!(1), &drafted.body["id"]));

    assert_eq!(send(Method::PUT, apply, "text/plain", plan).await.code(), (415, "not_yaml"));
    let wrong = send(Method::PUT, apply, "application/yaml", &plan.replace("reason", "reasons")).await;
    assert_eq!(wrong.code(), (400, "bad_plan"));
    assert!(wrong.body["detail"].as_str().unwrap().starts_with("plan:2"), "{}", wrong.body);
    let missing = send(Method::PUT, apply, "application/yaml", &plan.replace("1.0.0", "9.0.0")).await;
    assert!(missing.body["detail"].as_str().unwrap().contains("no release 9.0.0"), "{}", missing.body);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_freeze_ends_with_a_reason_and_takes_no_other_word(#[case] kind: EngineKind) {
    let s = Script::new(kind, Role::Admin).await;
    let until = s.world.clock_now().plus(3_600_000);
    let made = s.post("/freezes", &json!({ "name": "Year's end", "reason": "nobody is there", "from": 0, "until": until })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    let path = format!("/freezes/{}/end", made.body["id"].as_str().unwrap());
    assert_eq!(s.post(&path, &json!({ "why": "urgent" })).await.code(), (400, "bad_json"), "what is not known is not dropped");
    assert!(!s.post(&path, &json!({ "reason": "urgent" })).await.ok()["ended_at"].is_null());
    let log = s.get("/audit?action=freeze.end").await;
    let detail = log.ok()["items"][0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("nobody is there") && detail.contains("urgent"), "{detail}");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_inbox_has_for_each_caller_what_waits_and_what_became_of_it(#[case] kind: EngineKind) {
    let mut s = Script::new(kind, Role::Admin).await;
    s.world.device("gw-1", "gateway").await;
    s.trust().await;
    let release = s.release("1.0.0", 1).await;
    let (eve, oli) = (s.world.person("eve", Role::Admin).await, s.world.operator().await);
    let (second, viewer) = (token(&s.world, &eve, Role::Admin).await, token(&s.world, &oli, Role::Viewer).await);
    let mut sent = Vec::new();
    for name in ["First", "Second"] {
        s.world.clock.advance(1000);
        let plan = json!({ "name": name, "release": release, "reason": "first", "stages": [{ "reach": { "percent": 100.0 } }] });
        let drafted = s.post("/rollouts", &plan).await;
        let id = drafted.ok()["row"]["id"].as_str().unwrap().to_owned();
        s.post(&format!("/rollouts/{id}/submit"), &json!({})).await.ok();
        sent.push(id);
    }
    let [first, last] = [sent[0].as_str(), sent[1].as_str()];
    let none = json!({ "items": [], "total": 0 });
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|row| row["rollout"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let mine = s.get("/approvals?tab=mine").await;
    assert_eq!((ids(mine.ok()), &mine.body["total"]), (vec![last.to_owned(), first.to_owned()], &json!(2)), "what was sent last first");
    assert_eq!(s.get("/approvals").await.ok(), &none, "nobody approves their own");

    s.secret = second;
    let page = s.get("/approvals?rows=1").await;
    assert_eq!((ids(page.ok()), &page.body["total"]), (vec![first.to_owned()], &json!(2)), "what waits longest first");
    assert_eq!(page.body["items"][0]["standing"]["missing"], 1);
    let next = s.get(&format!("/approvals?tab=me&rows=1&cursor={}", page.body["next"].as_str().unwrap())).await;
    assert_eq!((ids(next.ok()), &next.body["next"]), (vec![last.to_owned()], &Value::Null));
    assert_eq!(s.get("/approvals?cursor=nonsense").await.code(), (400, "invalid"));
    let digest = s.get(&format!("/rollouts/{first}")).await.ok()["digest"].clone();
    s.post(&format!("/rollouts/{first}/approve"), &json!({ "digest": digest, "remark": "looks right" })).await.ok();
    assert_eq!(ids(s.get("/approvals?tab=me").await.ok()), [last]);
    let done = s.get("/approvals?tab=done").await;
    let row = &done.ok()["items"][0];
    assert_eq!((ids(&done.body), &row["standing"]), (vec![first.to_owned()], &Value::Null));
    assert_eq!((&row["decisions"][0]["by"], &row["decisions"][0]["remark"]), (&json!(eve.user()), &json!("looks right")));
    assert_eq!(s.get("/approvals?tab=mine").await.ok(), &none, "she has written and sent nothing");

    s.secret = viewer;
    assert_eq!(s.get("/approvals?tab=me").await.ok(), &none, "whose role does not approve");
    assert_eq!(ids(s.get("/approvals?tab=waiting").await.ok()), [last], "who only looks sees all that waits");
    let wrong = s.get("/approvals?tab=all").await;
    assert_eq!(wrong.code(), (400, "bad_query"));
    let told = wrong.body["detail"].as_str().unwrap();
    assert!(told.starts_with("The parameter tab is not one of me, waiting, mine, done, void."), "{told}");
    assert_eq!(s.get("/approvals?tabs=me").await.code(), (400, "bad_query"));
}
