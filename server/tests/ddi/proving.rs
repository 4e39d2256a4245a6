//! Successes of devices that have fetched nothing from here: they count once the device says what it runs.

use super::{Device, Rig};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};

const OLD: &str = "it says it succeeded, and runs 1.0.0 instead of 1.1.0";

/// Firmware as a device tells it.
fn runs(version: &str, sequence: &str) -> Value {
    json!({ "firmware_version": version, "firmware_sequence": sequence })
}

/// A device that has said what it is, a rollout to it, and its action.
async fn offered(rig: &Rig) -> (Device, String, String) {
    let device = rig.device("gw-1").await;
    device.tells(json!({ "site": "hall-3" })).await;
    assert_eq!(device.poll().await, json!({}), "it is asked for nothing");
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let action = device.link("deploymentBase").await;
    (device, rollout, action)
}

/// Its part: the state and the code.
async fn stands(rig: &Rig, rollout: &str) -> (String, String) {
    let part = rig.part(rollout, "gw-1").await;
    let word = |name: &str| part[name].as_str().unwrap().to_owned();
    (word("state"), word("code"))
}

fn is(state: &str, code: &str) -> (String, String) {
    (state.to_owned(), code.to_owned())
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_success_without_a_download_is_held_until_the_device_says_that_it_runs_it(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let (device, rollout, action) = offered(&rig).await;
    let file = device.file(&action).await;
    assert_eq!(device.say(&action, "closed", "success", &["done"]).await, 200);
    assert_eq!(stands(&rig, &rollout).await, is("verifying", "says_success"));
    let told = rig.part(&rollout, "gw-1").await["detail"].as_str().unwrap().to_owned();
    let says =
        "It says success and has not fetched the release from here. It counts once it describes itself as running 1.1.0, or fails on ";
    assert!(told.starts_with(says) && told.ends_with(" UTC."), "{told}");
    let shown = rig.rest.get("/devices/gw-1").await;
    assert_eq!(shown["update_reason"], format!("Updating to 1.1.0 by “Gateways”. {told}"));
    assert_ne!(shown["row"]["version"], "1.1.0");
    assert_eq!(rig.rest.get("/devices/gw-1/updates").await["items"][0]["detail"], told.as_str());
    let counts = rig.rest.get(&format!("/rollouts/{rollout}")).await["row"]["counts"].clone();
    assert_eq!((&counts["updating"], &counts["succeeded"]), (&json!(1), &json!(0)));

    // It is not told to install it again, and asked what it is.
    assert_eq!(device.poll().await, json!({ "configData": { "href": format!("{}/configData", device.base) } }));
    for gone in [&action, &file] {
        assert_eq!(device.get(gone).await.status(), 404);
    }
    // Its answer may have been lost.
    assert_eq!(device.say(&action, "closed", "success", &["done"]).await, 200);
    assert_eq!(device.say(&action, "proceeding", "none", &["late"]).await, 200);
    assert_eq!(rig.part(&rollout, "gw-1").await["detail"], told.as_str());
    // What says nothing of its firmware proves nothing, and it is not asked for ever.
    device.tells(json!({ "site": "hall-4" })).await;
    assert_eq!(stands(&rig, &rollout).await.0, "verifying");
    assert_eq!(device.poll().await, json!({}));

    device.tells(runs("1.1.0", "2")).await;
    assert_eq!(stands(&rig, &rollout).await, is("succeeded", ""));
    assert_eq!(rig.rest.rollout_ends(&rollout, "completed").await["row"]["counts"]["succeeded"], 1);
    assert_eq!(rig.rest.get("/devices/gw-1").await["row"]["version"], "1.1.0");
    let links = device.poll().await;
    assert!(links["installedBase"].is_object() && links["configData"].is_null() && links["deploymentBase"].is_null(), "{links}");
    assert_eq!(device.say(&action, "closed", "success", &["done"]).await, 410);
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_is_never_proven_fails_in_its_time_however_often_it_is_said(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let (device, rollout, action) = offered(&rig).await;
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    for _ in 0..2 {
        rig.pass(29).await;
        for execution in ["closed", "proceeding"] {
            assert_eq!(device.say(&action, execution, "success", &["done"]).await, 200);
        }
        device.poll().await;
        assert_eq!(stands(&rig, &rollout).await, is("verifying", "says_success"));
    }
    rig.pass(3).await;
    assert_eq!(stands(&rig, &rollout).await, is("failed", "success_not_proven"));
    let detail = rig.part(&rollout, "gw-1").await["detail"].clone();
    let never = "it said success, had not fetched the release from here, and did not describe itself as running 1.1.0 in time";
    assert_eq!(detail, never);
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 410);
    assert!(device.poll().await["deploymentBase"].is_null());
    device.tells(runs("1.1.0", "2")).await;
    assert_eq!(stands(&rig, &rollout).await.0, "failed", "it has ended");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_waits_fails_with_the_old_version_and_with_a_failure(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let (device, rollout, action) = offered(&rig).await;
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    device.tells(runs("1.0.0", "1")).await;
    assert_eq!(stands(&rig, &rollout).await, is("failed", "runs_old_version"));
    assert_eq!(rig.part(&rollout, "gw-1").await["detail"], OLD);

    let rollout = rig.roll_out_with(&rig.rest.release("1.2.0", 3, &[8; 1000]).await, json!({ "name": "More" })).await;
    let action = device.link("deploymentBase").await;
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    assert_eq!(device.say(&action, "closed", "failure", &["it did not start"]).await, 200, "it corrects itself");
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "failed");

    // It has said before that it runs it: nothing is left to be proven.
    let rollout = rig.roll_out_with(&rig.rest.release("1.3.0", 4, &[9; 1000]).await, json!({ "name": "Still more" })).await;
    let action = device.link("deploymentBase").await;
    device.tells(runs("1.3.0", "4")).await;
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "succeeded");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_counts_at_once_by_another_action_and_in_pieces_to_its_end(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let release = rig.rest.release("1.1.0", 2, &[7; 1000]).await;
    let first = rig.roll_out_with(&release, json!({ "download_only": true })).await;
    let action = device.link("deploymentBase").await;
    device.fetch(&action).await;
    assert_eq!(device.say(action.split('?').next().unwrap(), "downloaded", "none", &[]).await, 200);
    assert_eq!(rig.part(&first, "gw-1").await["state"], "succeeded");
    let second = rig.roll_out_with(&release, json!({ "name": "Install" })).await;
    let action = device.link("deploymentBase").await;
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    assert_eq!(rig.part(&second, "gw-1").await["state"], "succeeded", "it had it from before");

    // Who streams reads here and there: the end counts, anything else is not enough. Its word that it has it is none.
    for (version, sequence, range, state) in [("1.2.0", 3, "bytes=100-199", "verifying"), ("1.3.0", 4, "bytes=900-999", "succeeded")] {
        let content = [u8::try_from(sequence).unwrap(); 1000];
        let rollout = rig.roll_out_with(&rig.rest.release(version, sequence, &content).await, json!({ "name": version })).await;
        let action = device.link("deploymentBase").await;
        let piece = device.http.get(device.file(&action).await).header("range", range).send().await.unwrap();
        assert_eq!((piece.status().as_u16(), piece.bytes().await.unwrap().len()), (206, 100));
        assert_eq!(device.say(&action, "downloaded", "none", &[]).await, 200);
        assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
        assert_eq!(rig.part(&rollout, "gw-1").await["state"], state, "{range}");
        device.tells(runs(version, &sequence.to_string())).await;
        assert_eq!(rig.part(&rollout, "gw-1").await["state"], "succeeded");
    }
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_late_success_without_a_download_is_heard_and_counts_for_what_the_device_says_it_runs(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let (device, rollout, action) = offered(&rig).await;
    rig.pass(61).await;
    assert_eq!(stands(&rig, &rollout).await.0, "timed_out");
    assert_eq!(device.say(&action, "closed", "success", &["at last"]).await, 200, "its end is heard");
    assert_eq!(stands(&rig, &rollout).await.0, "timed_out", "and proves nothing");
    assert_eq!(device.say(&action, "closed", "success", &["at last"]).await, 410);
    device.link("configData").await;
    device.tells(runs("1.1.0", "2")).await;
    assert_eq!(stands(&rig, &rollout).await, is("succeeded", ""));
    rig.server.stop().await;
}
