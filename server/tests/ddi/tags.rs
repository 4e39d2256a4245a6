//! Documents that a device holds already are not sent again.

use super::Rig;
use fleet::db::EngineKind;
use rstest::rstest;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_holds_is_not_sent_again_until_it_changes(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let ask = async |url: &str, held: &str| {
        let answer = device.http.get(url).header("if-none-match", held).send().await.unwrap();
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "strong: {tag}");
        assert_eq!(answer.headers()["cache-control"], "private, no-cache");
        (answer.status().as_u16(), tag, answer.bytes().await.unwrap().len())
    };
    let (status, base, length) = ask(&device.base, "\"none\"").await;
    assert!(status == 200 && length > 0);
    assert_eq!(ask(&device.base, &base).await, (304, base.clone(), 0));
    assert_eq!(ask(&device.base, &format!("\"other\", W/{base}")).await, (304, base.clone(), 0));
    // The same in another type is another document.
    let plain = device.http.get(&device.base).header("accept", "application/json").header("if-none-match", &base).send().await.unwrap();
    assert_eq!((plain.status().as_u16(), &plain.headers()["content-type"]), (200, &"application/json".parse().unwrap()));

    // A poll that is answered with nothing is a poll: the device was seen.
    rig.pass(90).await;
    assert_eq!(ask(&device.base, &base).await.0, 304);
    rig.server.running.fleet.devices().flush_presence(true).await.unwrap();
    let seen = rig.rest.get("/devices/gw-1").await["row"]["last_seen_at"].as_i64().unwrap();
    assert_eq!(seen, rig.server.running.fleet.clock().now().0);

    let release = rig.rest.release("1.1.0", 2, b"firmware").await;
    rig.roll_out(&release).await;
    let (status, changed, _) = ask(&device.base, &base).await;
    assert!(status == 200 && changed != base, "there is something now");
    let action = device.link("deploymentBase").await;
    let (status, deployment, _) = ask(&action, "\"none\"").await;
    assert_eq!(status, 200);
    assert_eq!(ask(&action, &deployment).await, (304, deployment.clone(), 0));
    assert_eq!(device.say(&action, "proceeding", "none", &["begun"]).await, 200);
    let history = format!("{action}?actionHistory=5");
    let (status, with_history, _) = ask(&history, &deployment).await;
    assert!(status == 200 && with_history != deployment, "its history is more");
    assert_eq!(device.say(&action, "proceeding", "none", &["half of it"]).await, 200);
    assert_eq!(ask(&history, &with_history).await.0, 200, "and has changed");
    device.fetch(&action).await;
    assert_eq!(device.say(&action, "closed", "success", &["done"]).await, 200);
    let installed = device.link("installedBase").await;
    let tag = ask(&installed, "\"none\"").await.1;
    assert_eq!(ask(&installed, &tag).await.0, 304);
    let gone = device.http.get(&action).header("if-none-match", &deployment).send().await.unwrap();
    assert_eq!(gone.status(), 404, "what is not there any more is not unchanged");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_device_holds_is_not_sent_again(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let device = rig.device("gw-1").await;
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, b"firmware").await).await;
    let file = device.file(&device.link("deploymentBase").await).await;
    let head = device.http.head(&file).send().await.unwrap();
    let tag = head.headers()["etag"].to_str().unwrap().to_owned();
    let ask = async |name: &str, value: &str| {
        let answer = device.http.get(&file).header(name, value).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().len())
    };
    assert_eq!(ask("if-none-match", &tag).await, (304, 0));
    assert_eq!(ask("if-match", "\"zz\"").await.0, 412);
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "offered", "it was sent nothing yet");
    assert_eq!(ask("if-none-match", "\"zz\"").await, (200, 8));
    assert_eq!(ask("if-match", &tag).await, (200, 8));
    rig.server.stop().await;
}
