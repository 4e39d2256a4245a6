//! Confirmation by somebody at the device, as hawkBit's clients ask for it.

use super::Rig;
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};

impl Rig {
    /// Rolls a release out to everybody; somebody at each device agrees first.
    pub async fn with_consent(&self, release: &str) -> String {
        let gate = json!({ "success_percent": 0.0, "error_percent": 100.0, "min_sample": 1, "max_errors": 0 });
        let stage = json!({ "name": "Everyone", "reach": { "percent": 100.0 }, "gate": gate });
        let spec = json!({ "name": "Gateways", "release": release, "stages": [stage], "confirm_at_device": true });
        let drafted = self.rest.post(&self.rest.operator, "/rollouts", &spec).await;
        let id = drafted["row"]["id"].as_str().unwrap().to_owned();
        self.approve(&id).await;
        id
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_before_somebody_agrees(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let rollout = rig.with_consent(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let asked = device.link("confirmationBase").await;
    let links = device.poll().await;
    assert!(links["deploymentBase"].is_null() && links["cancelAction"].is_null(), "{links}");
    let document = device.read(&asked).await;
    assert_eq!(document["id"].as_str(), asked.rsplit('/').next());
    assert!(document["deployment"].is_null());
    let file = document["confirmation"]["chunks"][0]["artifacts"][0]["_links"]["download"]["href"].as_str().unwrap();
    assert_eq!(device.get(file).await.status(), 404, "nothing is fetched before");
    let action = asked.replace("confirmationBase", "deploymentBase");
    assert_eq!(device.get(&action).await.status(), 404);
    let part = rig.part(&rollout, "gw-1").await;
    assert_eq!(part["state"], "awaiting_confirmation");
    let why = rig.rest.get("/devices/gw-1").await["update_reason"].clone();
    assert!(why.as_str().unwrap().contains("somebody at the device has to confirm"), "{why}");

    let base = device.read(&format!("{}/confirmationBase", device.base)).await;
    assert_eq!(base["autoConfirm"], json!({ "active": false }));
    assert_eq!(base["_links"]["confirmationBase"]["href"], asked.as_str());
    let answer = |word: &str| json!({ "confirmation": word, "code": 1, "details": ["by hand"] }).to_string();
    let feedback = format!("{asked}/feedback");
    assert_eq!(device.post(&feedback, "{}").await, 400);
    assert_eq!(device.post(&feedback, answer("denied")).await, 200);
    assert_eq!(rig.part(&rollout, "gw-1").await["detail"], "not confirmed at the device: by hand");
    assert_eq!(device.link("confirmationBase").await, asked, "it may be asked again");
    // No word of the device stands for the person's.
    for (execution, finished, means) in
        [("closed", "success", "succeeded"), ("proceeding", "none", "downloading"), ("downloaded", "none", "downloaded")]
    {
        assert_eq!(device.say(&action, execution, finished, &["all done"]).await, 404, "{execution}");
        assert_eq!(rig.part(&rollout, "gw-1").await["state"], "awaiting_confirmation", "{execution}");
        let history = device.read(&format!("{asked}?actionHistory=-1")).await["actionHistory"]["messages"].clone();
        let said = format!("says {means} before anybody has confirmed it, which is refused");
        assert!(history.as_array().unwrap().iter().any(|line| line.as_str() == Some(said.as_str())), "{history}");
    }
    assert_eq!(device.get(file).await.status(), 404, "nothing is fetched by it either");
    assert_eq!(device.link("confirmationBase").await, asked);
    assert_eq!(device.post(&feedback, answer("confirmed")).await, 200);
    assert_eq!(device.link("deploymentBase").await, action);
    assert_eq!(device.get(&asked).await.status(), 404);
    assert_eq!(device.get(file).await.bytes().await.unwrap(), vec![7; 1000]);
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    rig.rest.rollout_ends(&rollout, "completed").await;
    assert_eq!(device.post(&feedback, answer("confirmed")).await, 410);
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_may_answer_once_for_whatever_comes(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let base = format!("{}/confirmationBase", device.base);
    let activate = device.read(&base).await["_links"]["activateAutoConfirm"]["href"].as_str().unwrap().to_owned();
    assert_eq!(device.post(&activate, json!({ "initiator": "ann", "remark": "kiosk" }).to_string()).await, 200);
    let read = device.read(&base).await;
    assert_eq!((&read["autoConfirm"]["active"], &read["autoConfirm"]["initiator"]), (&json!(true), &json!("ann")));
    let rollout = rig.with_consent(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    device.link("deploymentBase").await;
    let off = read["_links"]["deactivateAutoConfirm"]["href"].as_str().unwrap();
    assert_eq!(device.post(off, "").await, 200);
    device.link("confirmationBase").await;
    assert_eq!(device.post(&activate, "").await, 200, "hawkBit's body is optional");
    // Each is in the books, under the request that it was.
    for (address, request) in [(off, "kiosk-off"), (activate.as_str(), "kiosk-on")] {
        assert_eq!(device.http.post(address).header("x-request-id", request).send().await.unwrap().status(), 200);
        let (access, system) = (rig.server.running.fleet.access(), rig.server.system());
        let log = access.search_audit(&system, "device.auto_confirm", None).await.unwrap().entries.items;
        let details: Vec<Value> = log.iter().map(|entry| serde_json::from_str(&entry.detail).unwrap()).collect();
        assert!(details.iter().any(|detail| detail["request"] == request), "{details:?}");
    }
    let action = device.link("deploymentBase").await;
    device.fetch(&action).await;
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    rig.rest.rollout_ends(&rollout, "completed").await;
    assert_ne!(rig.rest.get(&format!("/rollouts/{rollout}")).await["spec"]["confirm_at_device"], Value::Null);
    rig.server.stop().await;
}
