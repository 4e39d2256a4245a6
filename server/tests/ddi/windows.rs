//! Maintenance windows and releases that are only fetched, in hawkBit's words.

use super::{Device, Rig};
use fleet::{clock::Clock as _, db::EngineKind};
use rstest::rstest;
use serde_json::{Value, json};

impl Rig {
    /// A window of every day that opens in an hour and closes two hours later, in UTC.
    fn in_an_hour(&self) -> Value {
        let minute = self.clock.now().millis() / 60_000 % 1440;
        let time = |later: i64| format!("{:02}:{:02}", (minute + later) % 1440 / 60, (minute + later) % 60);
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        json!({ "window": { "days": days, "from": time(60), "until": time(180), "zone": "UTC" } })
    }
}

impl Device {
    pub(super) async fn tells(&self, data: Value) {
        let put = self.http.put(format!("{}/configData", self.base)).json(&json!({ "mode": "merge", "data": data })).send().await;
        assert_eq!(put.unwrap().status(), 200);
    }
}

/// An action's address without what changes with its content.
fn bare(action: &str) -> &str {
    action.split('?').next().unwrap()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_no_windows_finds_nothing_before_its_window_opens(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    rig.roll_out_with(&rig.rest.release("1.1.0", 2, &[7; 1000]).await, rig.in_an_hour()).await;
    assert!(device.poll().await.get("deploymentBase").is_none());
    let why = rig.rest.get("/devices/gw-1").await.to_string();
    assert!(why.contains("its window opens "), "{why}");
    rig.pass(59).await;
    assert!(device.poll().await.get("deploymentBase").is_none());
    rig.pass(91).await;
    let action = device.link("deploymentBase").await;
    assert!(action.ends_with("?c=1"), "{action}");
    let deployment = device.read(&action).await["deployment"].clone();
    assert_eq!((&deployment["update"], &deployment["maintenanceWindow"]), (&json!("forced"), &json!("available")));
    // It has not begun when the window closes, asks now and then, and does not time out.
    rig.pass(40).await;
    for _ in 0..21 {
        assert!(device.poll().await.get("deploymentBase").is_none());
        rig.pass(60).await;
    }
    rig.pass(60).await;
    assert_eq!(device.link("deploymentBase").await, action);
    device.fetch(&action).await;
    assert_eq!(device.say(bare(&action), "closed", "success", &[]).await, 200);
    // A day is longer than people's tokens live here, so the device is asked.
    let links = device.poll().await;
    assert!(links.get("deploymentBase").is_none() && links.get("installedBase").is_some(), "{links}");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_by_itself_downloads_early_and_installs_in_the_window(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    device.tells(json!({ "waits_for_window": "yes", "timezone": "Etc/UTC" })).await;
    let rollout = rig.roll_out_with(&rig.rest.release("1.1.0", 2, &[7; 1000]).await, rig.in_an_hour()).await;
    let early = device.link("deploymentBase").await;
    let deployment = device.read(&early).await["deployment"].clone();
    assert_eq!(
        (&deployment["download"], &deployment["update"], &deployment["maintenanceWindow"]),
        (&json!("forced"), &json!("skip"), &json!("unavailable"))
    );
    let file = device.file(&early).await;
    assert_eq!(device.get(&file).await.bytes().await.unwrap().len(), 1000);
    assert_eq!(device.say(bare(&early), "downloaded", "none", &[]).await, 200);
    // An hour of silence is no time-out for who waits for its window.
    rig.pass(70).await;
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "downloaded");
    let open = device.link("deploymentBase").await;
    assert_eq!(bare(&open), bare(&early));
    assert_ne!(open, early, "its content is another one");
    let deployment = device.read(&open).await["deployment"].clone();
    assert_eq!((&deployment["update"], &deployment["maintenanceWindow"]), (&json!("forced"), &json!("available")));
    assert_eq!(device.say(bare(&open), "closed", "success", &[]).await, 200);
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "succeeded");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_fetched_ends_with_the_download(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let (fetches, skips) = (rig.device("gw-1").await, rig.device("gw-2").await);
    let rollout = rig.roll_out_with(&rig.rest.release("1.1.0", 2, &[7; 1000]).await, json!({ "download_only": true })).await;
    let action = fetches.link("deploymentBase").await;
    let deployment = fetches.read(&action).await["deployment"].clone();
    assert_eq!((&deployment["update"], deployment.get("maintenanceWindow")), (&json!("skip"), None));
    assert_eq!(fetches.get(&fetches.file(&action).await).await.bytes().await.unwrap().len(), 1000);
    assert_eq!(fetches.say(bare(&action), "downloaded", "none", &[]).await, 200);
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "succeeded");
    let links = fetches.poll().await;
    assert!(links.get("deploymentBase").is_none() && links.get("installedBase").is_none(), "{links}");
    assert_ne!(rig.rest.get("/devices/gw-1").await["row"]["version"], "1.1.0", "it runs what it ran");
    // SWUpdate takes the order to install nothing for an order to do nothing, and reports a success.
    let action = skips.link("deploymentBase").await;
    assert_eq!(skips.say(bare(&action), "closed", "success", &["Skipped Update."]).await, 200);
    let part = rig.part(&rollout, "gw-2").await;
    assert_eq!((&part["state"], &part["code"]), (&json!("failed"), &json!("not_fetched")));
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn who_was_not_sent_every_byte_has_not_fetched_it(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let (whole, some) = (rig.device("gw-1").await, rig.device("gw-2").await);
    let (one, two) = ([7; 1000], [8; 500]);
    let release = rig.rest.release_of("1.1.0", 2, &[("one.bin", "raw", &one), ("two.bin", "raw", &two)]).await;
    let rollout = rig.roll_out_with(&release, json!({ "download_only": true })).await;
    let fetch = async |device: &Device, file: &str, range: &str| {
        let got = device.http.get(file).header("range", range).send().await.unwrap();
        assert_eq!(got.status(), 206);
        got.bytes().await.unwrap()
    };
    for (device, all) in [(&whole, true), (&some, false)] {
        let action = device.link("deploymentBase").await;
        let chunk = device.read(&action).await["deployment"]["chunks"][0].clone();
        let file = |at: usize| chunk["artifacts"][at]["_links"]["download"]["href"].as_str().unwrap().to_owned();
        // Out of order, in pieces, and from somewhere to the end.
        fetch(device, &file(0), "bytes=400-").await;
        fetch(device, &file(0), "bytes=0-99").await;
        fetch(device, &file(0), if all { "bytes=100-399" } else { "bytes=101-399" }).await;
        device.get(&file(1)).await.bytes().await.unwrap();
        assert_eq!(device.say(bare(&action), "downloaded", "none", &[]).await, 200);
    }
    let (has, lacks) = (rig.part(&rollout, "gw-1").await, rig.part(&rollout, "gw-2").await);
    assert_eq!(has["state"], "succeeded");
    assert_eq!((&lacks["state"], &lacks["code"]), (&json!("failed"), &json!("not_fetched")));
    rig.server.stop().await;
}
