//! Devices that are not heard of: because they wait for their restart, because they are slow, or because they are gone.

use super::Rig;
use fleet::db::EngineKind;
use futures::StreamExt as _;
use rstest::rstest;
use serde_json::json;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_restarts_late_ends_its_own_action(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let first = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let action = device.link("deploymentBase").await;
    assert_eq!(device.get(&device.file(&action).await).await.bytes().await.unwrap().len(), 1000);
    assert_eq!(device.say(&action, "proceeding", "none", &["Installed Chunk."]).await, 200);
    rig.pass(61).await;
    assert_eq!(rig.part(&first, "gw-1").await["state"], "timed_out");
    let second = rig.roll_out(&rig.rest.release("1.2.0", 3, &[8; 1000]).await).await;

    // At night it restarts, finds an action, and says of it what it has to say of its own.
    assert_eq!(device.link("deploymentBase").await, action, "its own, not the newer one");
    assert_eq!(device.say(&action, "proceeding", "none", &["starting"]).await, 200);
    device.file(&action).await;
    assert_eq!(device.say(&action, "closed", "success", &["Update Installed."]).await, 200);
    assert_eq!(device.say(&action, "closed", "success", &["Update Installed."]).await, 410);
    assert_eq!(rig.part(&first, "gw-1").await["state"], "succeeded");
    assert_eq!(rig.rest.get("/devices/gw-1").await["row"]["version"], "1.1.0");
    assert_ne!(device.link("deploymentBase").await, action);
    assert_eq!(rig.part(&second, "gw-1").await["state"], "offered");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_late_success_of_an_older_update_does_not_set_the_device_back(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let first = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let older = device.link("deploymentBase").await;
    rig.pass(61).await;
    rig.roll_out(&rig.rest.release("1.2.0", 3, &[8; 1000]).await).await;
    let newer = device.link("deploymentBase").await;
    assert_ne!(newer, older, "it never had the file");
    assert_eq!(device.say(&older, "proceeding", "none", &[]).await, 410);
    device.fetch(&newer).await;
    assert_eq!(device.say(&newer, "closed", "success", &[]).await, 200);
    assert_eq!(device.say(&older, "closed", "success", &["Update Installed."]).await, 200, "its end is heard");
    assert_eq!(rig.rest.get("/devices/gw-1").await["row"]["version"], "1.2.0");
    let part = rig.part(&first, "gw-1").await;
    let detail = json!("it says it succeeded, and runs 1.2.0 instead of 1.1.0");
    assert_eq!((&part["state"], &part["detail"]), (&json!("failed"), &detail));
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_download_does_not_time_out_while_bytes_flow(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    // More than all the buffers on the way hold.
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &vec![7; 40 << 20]).await).await;
    let file = device.file(&device.link("deploymentBase").await).await;
    let state = async || rig.part(&rollout, "gw-1").await["state"].clone();
    let mut body = device.get(&file).await.bytes_stream();
    body.next().await.unwrap().unwrap();
    rig.pass(50).await;
    let mut came = 0;
    while came < 25 << 20 {
        came += body.next().await.unwrap().unwrap().len();
    }
    rig.pass(50).await;
    assert_eq!(state().await, "downloading", "some came half an hour ago");
    drop(body);
    let mut rest = device.http.get(&file).header("range", "bytes=1000-").send().await.unwrap().bytes_stream();
    rest.next().await.unwrap().unwrap();
    drop(rest);
    rig.pass(50).await;
    assert_eq!(state().await, "downloading", "it has asked for more");
    rig.pass(61).await;
    assert_eq!(state().await, "timed_out");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_files_is_not_all_of_them(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let (one, two) = ([7; 1000], [8; 1000]);
    let release = rig.rest.release_of("1.1.0", 2, &[("one.swu", "swu", &one), ("two.bin", "raw", &two)]).await;
    let rollout = rig.roll_out(&release).await;
    let action = device.link("deploymentBase").await;
    assert_eq!(device.get(&device.file(&action).await).await.bytes().await.unwrap().len(), 1000);
    let state = async || rig.part(&rollout, "gw-1").await["state"].clone();
    assert_eq!(state().await, "downloading", "there is another one");
    rig.pass(61).await;
    assert_eq!(state().await, "timed_out");
    assert_eq!(device.link("deploymentBase").await, action, "but clients that need only this one have it");
    assert_eq!(device.say(&action, "closed", "failure", &[]).await, 200);
    assert_eq!(state().await, "failed");
    rig.server.stop().await;
}
