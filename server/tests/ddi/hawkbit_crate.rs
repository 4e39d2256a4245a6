//! The `hawkbit` crate, a client that others made, through whole courses with a target token, one of them over mutual TLS as well: what it reads
//! strictly is there.

use super::Rig;
use fleet::db::EngineKind;
use hawkbit::ddi::{Client, ClientAuthorization, Execution, Finished, Mode};
use rstest::rstest;
use serde_json::json;
use std::time::Duration;

impl Rig {
    async fn crates_client(&self, name: &str) -> Client {
        self.take_tokens(false).await;
        let secret = ClientAuthorization::TargetToken(self.target_secret(name).await);
        let root = self.stock.file("root.pem");
        let timeout = Some(Duration::from_secs(30));
        Client::new(&self.stock.enrol, "DEFAULT", name, secret, root.to_str(), None, timeout).unwrap()
    }

    /// The same client on the device listener, with a certificate of its own and no secret.
    async fn certified_client(&self, name: &str) -> Client {
        self.device(name).await;
        let identity = format!("{}{}", self.stock.read(&format!("{name}.pem")), self.stock.read(&format!("{name}.key")));
        self.stock.write("identity.pem", identity);
        let (root, identity) = (self.stock.file("root.pem"), self.stock.file("identity.pem"));
        let timeout = Some(Duration::from_secs(30));
        Client::new(&self.stock.device, "DEFAULT", name, ClientAuthorization::None, root.to_str(), identity.to_str(), timeout).unwrap()
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite, false)]
#[case::postgres(EngineKind::Postgres, false)]
#[case::by_certificate(EngineKind::Sqlite, true)]
#[tokio::test(flavor = "multi_thread")]
async fn it_polls_describes_itself_downloads_and_says_how_it_went(#[case] kind: EngineKind, #[case] certified: bool) {
    let rig = Rig::start(kind).await;
    let client = if certified { rig.certified_client("gw-1").await } else { rig.crates_client("gw-1").await };
    let reply = client.poll().await.unwrap();
    let sleep = reply.polling_sleep().unwrap();
    assert!((Duration::from_secs(270)..=Duration::from_secs(330)).contains(&sleep), "{sleep:?}");
    assert!(reply.update().is_none() && reply.cancel_action().is_none() && reply.confirmation_base().is_none());
    let asked = reply.config_data_request().expect("it is asked what it is");
    let attributes = json!({ "site": "hall-3", "hw_revision": "A" });
    asked.upload(Execution::Closed, Finished::Success, Some(Mode::Merge), attributes, vec![]).await.unwrap();
    assert!(client.poll().await.unwrap().config_data_request().is_none(), "once is enough");
    assert_eq!(rig.rest.get("/devices/gw-1").await["attributes"]["site"], "hall-3");

    let firmware: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &firmware).await).await;
    let update = client.poll().await.unwrap().update().expect("there is an update").fetch().await.unwrap();
    let chunk = update.chunks().next().expect("one chunk");
    assert_eq!((chunk.part(), chunk.name(), chunk.version()), ("bApp", "gateway", "1.1.0"));
    update.send_feedback(Execution::Proceeding, Finished::None, vec!["begins"]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = update.download(folder.path()).await.unwrap();
    assert_eq!(files.len(), 1);
    files[0].check_sha1().await.unwrap();
    files[0].check_sha256().await.unwrap();
    assert_eq!(std::fs::read(files[0].file()).unwrap(), firmware);
    update.send_feedback_with_progress(Execution::Proceeding, Finished::None, json!({ "cnt": 1, "of": 2 }), vec!["writes"]).await.unwrap();
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "installing");
    update.send_feedback(Execution::Closed, Finished::Success, vec!["done"]).await.unwrap();
    rig.rest.rollout_ends(&rollout, "completed").await;
    assert!(client.poll().await.unwrap().update().is_none());
    assert!(update.send_feedback(Execution::Closed, Finished::Success, vec![]).await.is_err(), "410: it has ended");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn it_stops_what_was_taken_back(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let client = rig.crates_client("gw-1").await;
    client.poll().await.unwrap();
    let rollout = rig.roll_out(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let update = client.poll().await.unwrap().update().expect("there is an update").fetch().await.unwrap();
    rig.order(&rollout, "pause").await;
    let reply = client.poll().await.unwrap();
    assert!(reply.update().is_none());
    let cancelled = reply.cancel_action().expect("it was taken back");
    assert_eq!(cancelled.id().await.unwrap(), update.action_id());
    cancelled.send_feedback(Execution::Closed, Finished::Success, vec!["stopped"]).await.unwrap();
    let reply = client.poll().await.unwrap();
    assert!(reply.update().is_none() && reply.cancel_action().is_none());
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn it_asks_somebody_first(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let client = rig.crates_client("gw-1").await;
    client.poll().await.unwrap();
    let rollout = rig.with_consent(&rig.rest.release("1.1.0", 2, &[7; 1000]).await).await;
    let reply = client.poll().await.unwrap();
    assert!(reply.update().is_none());
    let asked = reply.confirmation_base().expect("somebody is asked");
    let info = asked.update_info().await.unwrap();
    assert!(!info.action_id().is_empty());
    asked.decline().await.unwrap();
    assert_eq!(rig.part(&rollout, "gw-1").await["state"], "awaiting_confirmation");
    client.poll().await.unwrap().confirmation_base().expect("it may be asked again").confirm().await.unwrap();
    let update = client.poll().await.unwrap().update().expect("it may begin").fetch().await.unwrap();
    update.download(tempfile::tempdir().unwrap().path()).await.unwrap();
    update.send_feedback(Execution::Closed, Finished::Success, vec![]).await.unwrap();
    rig.rest.rollout_ends(&rollout, "completed").await;
    rig.server.stop().await;
}
