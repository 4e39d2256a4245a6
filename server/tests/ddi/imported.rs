//! Devices that another hawkBit knows: after an import they poll here with the token that they have.

use super::Rig;
use fleet::db::EngineKind;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};

const OWN: &str = "3b6a27bcceb6a42d62a3a8d02a6f0d73";
const OTHERS: &str = "77076d0a7318a57d3c16c17251b26645";

/// A target as hawkBit's Management API lists it.
fn target(id: &str, token: &str, kind: &str) -> Value {
    json!({
        "createdBy": "admin", "createdAt": 1_682_408_571_231_i64, "controllerId": id, "name": id, "updateStatus": "in_sync", "securityToken": token,
        "targetTypeName": kind, "pollStatus": { "overdue": false }, "_links": { "self": { "href": "https://hawkbit.example/rest/v1/targets/x" } },
    })
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_another_hawkbit_polls_here_with_its_own_token(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.take_tokens(false).await;
    let list = json!([{ "content": [target("gw-1", OWN, "gateway"), target("gw-2", OTHERS, "sensor")], "total": 2, "size": 2 }]);
    let send = async || {
        let answer = rig.rest.request(Method::POST, "/devices:import").json(&list).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()
    };
    let device = rig.with_secret("gw-1", &format!("TargetToken {OWN}"));
    assert_eq!(device.get(&device.base).await.status(), 401, "nobody knows it yet");
    let taken = send().await;
    assert_eq!((&taken["new"], &taken["errors"], &taken["secrets_off"]), (&json!(2), &json!(0), &json!(false)));
    assert_eq!(rig.rest.get("/devices/gw-1").await["row"]["state"], "preregistered");

    device.link("configData").await;
    assert_eq!(rig.rest.get("/devices/gw-1").await["row"]["state"], "active");
    let firmware = vec![7; 40_000];
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &firmware).await).await;
    let action = device.link("deploymentBase").await;
    let bytes = device.get(&device.file(&action).await).await.bytes().await.unwrap();
    assert_eq!(bytes, firmware);
    assert_eq!(device.say(&action, "closed", "success", &["done"]).await, 200);
    rig.rest.rollout_ends(&rollout, "completed").await;

    // No other's token, no other's address, no piece of it; and a second import leaves it as it is.
    for (name, token) in [("gw-1", OTHERS), ("gw-2", OWN), ("GW-1", OWN), ("gw-1", &OWN[1..])] {
        let other = rig.with_secret(name, &format!("TargetToken {token}"));
        assert_eq!(other.get(&other.base).await.status(), 401, "{name} {token}");
    }
    let again = send().await;
    assert_eq!((&again["new"], &again["unchanged"]), (&json!(0), &json!(2)));
    device.poll().await;
    rig.server.stop().await;
}
