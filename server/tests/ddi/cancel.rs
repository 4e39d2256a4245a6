//! Updates that are taken back.

use super::Rig;
use fleet::db::EngineKind;
use futures::StreamExt as _;
use rstest::rstest;
use serde_json::json;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_is_accepted_and_the_update_comes_again(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let action = device.link("deploymentBase").await;
    let id = action.rsplit('/').next().unwrap();
    let cancel = format!("{}/cancelAction/{id}", device.base);
    assert_eq!(device.get(&cancel).await.status(), 404, "nobody has taken it back");
    assert_eq!(device.say(&cancel, "closed", "success", &[]).await, 405);

    rig.order(&rollout, "pause").await;
    let links = device.poll().await;
    assert_eq!((&links["cancelAction"]["href"], links.get("deploymentBase")), (&json!(cancel), None), "one of both, and it comes first");
    assert_eq!(device.get(&action).await.status(), 404);
    assert_eq!(device.read(&cancel).await, json!({ "id": id, "cancelAction": { "stopId": id } }));
    assert_eq!(device.say(&cancel, "proceeding", "none", &["stopping"]).await, 200);
    assert_eq!(device.link("cancelAction").await, cancel, "until it has an answer");
    assert_eq!(device.say(&cancel, "closed", "success", &["cancellation acknowledged."]).await, 200);
    assert_eq!(device.say(&cancel, "closed", "success", &["cancellation acknowledged."]).await, 200, "an answer may be lost");
    assert!(device.poll().await.get("cancelAction").is_none());
    assert_eq!(device.say(&action, "proceeding", "none", &[]).await, 410);

    rig.order(&rollout, "resume").await;
    let again = device.link("deploymentBase").await;
    assert_ne!(again, action, "another attempt is another action");
    device.fetch(&again).await;
    assert_eq!(device.say(&again, "closed", "none", &[]).await, 200);
    assert_eq!(rig.rest.rollout_ends(&rollout, "completed").await["row"]["counts"]["succeeded"], 1);
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_refuses_goes_on_and_is_believed(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let action = device.link("deploymentBase").await;
    rig.order(&rollout, "pause").await;
    let cancel = device.link("cancelAction").await;
    assert_eq!(device.say(&cancel, "rejected", "success", &["already installing"]).await, 200);
    assert_eq!(device.link("deploymentBase").await, action, "it is offered until its last word");
    let file = device.file(&action).await;
    assert_eq!(device.get(&file).await.bytes().await.unwrap().len(), 1000, "and may fetch what it goes on with");
    assert_eq!(device.say(&action, "proceeding", "none", &["Installed Chunk."]).await, 200);
    assert_eq!(device.say(&action, "closed", "success", &["Update Installed."]).await, 200);
    assert!(device.poll().await.get("deploymentBase").is_none());
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "succeeded");
    assert_eq!(rig.rest.get("/devices/gw-1").await["row"]["version"], "1.1.0");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_device_installs_all_the_same_is_under_way_and_its_failure_counts(
    #[case] kind: EngineKind,
    #[values(true, false)] refuses: bool,
) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let action = device.link("deploymentBase").await;
    let file = device.file(&action).await;
    if !refuses {
        assert_eq!(device.get(&file).await.bytes().await.unwrap().len(), 1000);
    }
    let order = json!({ "rollout": rollout, "reason": "on show" });
    rig.rest.post(&rig.rest.operator, "/devices/gw-1/cancel-update", &order).await;
    let cancel = device.link("cancelAction").await;
    if refuses {
        assert_eq!(device.say(&cancel, "rejected", "failure", &["busy"]).await, 200);
        assert_eq!(rig.part(&rollout, "gw-1").await["state"], "downloading");
        assert_eq!(device.get(&file).await.bytes().await.unwrap().len(), 1000);
        assert_eq!(rig.part(&rollout, "gw-1").await["state"], "downloaded");
    }
    assert_eq!(device.say(&action, "proceeding", "none", &["Installing Update Chunk Artifacts."]).await, 200);
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "installing");
    let counts = rig.rest.get(&format!("/rollouts/{rollout}")).await["row"]["counts"].clone();
    assert_eq!((&counts["updating"], &counts["left_out"]), (&json!(1), &json!(0)), "{counts}");
    assert_eq!(device.link("deploymentBase").await, action, "it is told to stop no more");
    assert_eq!(device.say(&action, "closed", "failure", &["boom"]).await, 200);
    let part = rig.part(&rollout, "gw-1").await;
    assert_eq!((&part["state"], &part["detail"]), (&json!("failed"), &json!("boom")), "{part}");
    rig.pass(0).await;
    let counts = rig.rest.get(&format!("/rollouts/{rollout}")).await["row"]["counts"].clone();
    assert_eq!((&counts["failed"], &counts["left_out"]), (&json!(1), &json!(0)), "{counts}");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_runs_is_cut_and_its_failure_is_none(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    // More than all the buffers on the way hold.
    let size = 40 << 20;
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &vec![7; size]).await).await;
    let action = device.link("deploymentBase").await;
    let mut body = device.get(&device.file(&action).await).await.bytes_stream();
    let mut came = body.next().await.unwrap().unwrap().len();
    let order = json!({ "rollout": rollout, "reason": "on show" });
    rig.rest.post(&rig.rest.operator, "/devices/gw-1/cancel-update", &order).await;
    while let Some(Ok(piece)) = body.next().await {
        came += piece.len();
    }
    assert!(came < size, "it was sent all of it");
    assert_eq!(device.say(&action, "closed", "failure", &["connection closed"]).await, 200);
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "cancelled");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_a_recall_is_told_what_it_reports_on_and_given_nothing_more(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let release = rig.rest.release("1.1.0", 2, &[7; 1000]).await;
    let rollout = rig.roll_out(&release).await;
    let action = device.link("deploymentBase").await;
    let file = device.file(&action).await;
    assert_eq!(device.get(&file).await.bytes().await.unwrap().len(), 1000);
    let fleet = &rig.server.running.fleet;
    fleet.releases().recall(&rig.server.system(), &release.parse().unwrap(), "it burns").await.unwrap();
    rig.pass(0).await;
    let cancel = device.link("cancelAction").await;
    assert_eq!(device.get(&action).await.status(), 404);
    assert_eq!(device.say(&cancel, "closed", "failure", &["already installing"]).await, 200);
    assert_eq!(device.link("deploymentBase").await, action);
    assert_eq!(device.file(&action).await, file, "its client looks for the action once more before it reports");
    assert_eq!(device.get(&file).await.status(), 404);
    rig.pass(20 * 60).await;
    assert_eq!(device.link("deploymentBase").await, action, "it has the file, and may restart late");
    assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "succeeded");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn one_device_is_cancelled_while_its_rollout_goes_on(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let (device, other) = (rig.device("gw-1").await, rig.device("gw-2").await);
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let action = device.link("deploymentBase").await;
    let file = device.file(&action).await;
    assert_eq!(device.get(&file).await.bytes().await.unwrap().len(), 1000, "it has begun");
    let others = other.link("deploymentBase").await;
    for _ in 0..2 {
        let order = json!({ "rollout": rollout, "reason": "on show" });
        rig.rest.post(&rig.rest.operator, "/devices/gw-1/cancel-update", &order).await;
    }
    let part = rig.part(&rollout, "gw-1").await;
    assert_eq!((&part["state"], &part["code"]), (&json!("cancelled"), &json!("cancelled_by_hand")), "{part}");
    assert!(part["detail"].as_str().unwrap().starts_with("cancelled by oli"), "{part}");
    let detail = rig.rest.get(&format!("/rollouts/{rollout}")).await;
    assert_eq!((&detail["row"]["state"], &detail["cancelled"]), (&json!("running"), &json!(1)));

    let links = device.poll().await;
    let cancel = links["cancelAction"]["href"].as_str().unwrap_or_else(|| panic!("no cancelAction in {links}")).to_owned();
    assert!(links.get("deploymentBase").is_none(), "{links}");
    assert_eq!([device.get(&action).await.status().as_u16(), device.get(&file).await.status().as_u16()], [404, 404]);
    assert_eq!(other.link("deploymentBase").await, others, "the other one goes on");
    assert_eq!(device.say(&cancel, "closed", "success", &["cancellation acknowledged."]).await, 200);
    let links = device.poll().await;
    assert!(links.get("cancelAction").is_none() && links.get("deploymentBase").is_none(), "it is not offered again: {links}");

    let path = format!("/rollouts/{rollout}/retry");
    rig.rest.post(&rig.rest.operator, &path, &json!({ "classes": ["cancelled"] })).await;
    let again = device.link("deploymentBase").await;
    assert_ne!(again, action, "another attempt is another action");
    for (device, action) in [(&device, &again), (&other, &others)] {
        device.fetch(action).await;
        assert_eq!(device.say(action, "closed", "none", &[]).await, 200);
    }
    assert_eq!(rig.rest.rollout_ends(&rollout, "completed").await["row"]["counts"]["succeeded"], 2);
    rig.server.stop().await;
}
