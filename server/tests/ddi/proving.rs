//! Successes of devices that have not fetched the release from here: they count once the device says what it runs.

use super::{Device, Rig};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};

const OLD: &str = "it says it succeeded, and runs 1.0.0 instead of 1.1.0";

/// Firmware as a device tells it.
fn runs(version: &str, sequence: &str) -> Value {
    json!({ "firmware_version": version, "firmware_sequence": sequence })
}

/// A device that has said what it is, and its part in the newest rollout to it.
struct Claim {
    rig: Rig,
    device: Device,
    rollout: String,
    action: String,
}

impl Claim {
    /// Of release 1.1.0, which was offered.
    async fn start(kind: EngineKind) -> Self {
        let rig = Rig::start(kind).await;
        let device = rig.device("gw-1").await;
        device.tells(json!({ "site": "hall-3" })).await;
        assert_eq!(device.poll().await, json!({}), "it is asked for nothing");
        let mut claim = Self { rig, device, rollout: String::new(), action: String::new() };
        claim.offer("1.1.0", 2, json!({})).await;
        claim
    }

    /// Offers a new release.
    async fn offer(&mut self, version: &str, sequence: u64, more: Value) {
        let release = self.rig.rest.release(version, sequence, &[u8::try_from(sequence).unwrap(); 1000]).await;
        self.offer_of(&release, version, more).await;
    }

    /// Offers a release that is there.
    async fn offer_of(&mut self, release: &str, name: &str, more: Value) {
        let mut fields = json!({ "name": name });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.rollout = self.rig.roll_out_with(release, fields).await;
        self.action = self.device.link("deploymentBase").await;
    }

    /// Fetches a range of the only file.
    async fn fetch(&self, range: &str) {
        let piece = self.device.http.get(self.device.file(&self.action).await).header("range", range).send().await.unwrap();
        assert_eq!(piece.status(), 206, "{range}");
        piece.bytes().await.unwrap();
    }

    /// Says of its action that it succeeded; gives the status.
    async fn succeeds(&self) -> u16 {
        self.device.say(self.action.split('?').next().unwrap(), "closed", "success", &["done"]).await
    }

    /// Its part: the state and the code.
    async fn stands(&self) -> (String, String) {
        let part = self.rig.part(&self.rollout, "gw-1").await;
        let word = |name: &str| part[name].as_str().unwrap().to_owned();
        (word("state"), word("code"))
    }

    async fn detail(&self) -> String {
        self.rig.part(&self.rollout, "gw-1").await["detail"].as_str().unwrap().to_owned()
    }

    /// Says that it succeeded, which is heard, and stands like this.
    async fn claims(&self, state: &str, code: &str, why: &str) {
        assert_eq!(self.succeeds().await, 200, "{why}");
        assert_eq!(self.stands().await, is(state, code), "{why}");
    }

    /// Says that it succeeded, and has to prove it.
    async fn owes(&self, why: &str) {
        self.claims("verifying", "says_success", why).await;
    }
}

fn is(state: &str, code: &str) -> (String, String) {
    (state.to_owned(), code.to_owned())
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_success_without_a_download_is_held_until_the_device_says_that_it_runs_it(#[case] kind: EngineKind) {
    let c = Claim::start(kind).await;
    let (rig, device) = (&c.rig, &c.device);
    let file = device.file(&c.action).await;
    c.owes("nothing speaks for it").await;
    let told = c.detail().await;
    let says = "It says success and has not fetched the release from here. It counts once its attributes say firmware_version = 1.1.0 and \
                firmware_sequence = 2, or fails on ";
    assert!(told.starts_with(says) && told.ends_with(" UTC."), "{told}");
    let shown = rig.rest.get("/devices/gw-1").await;
    assert_eq!(shown["update_reason"], format!("Updating to 1.1.0 by “1.1.0”. {told}"));
    assert_ne!(shown["row"]["version"], "1.1.0");
    assert_eq!(rig.rest.get("/devices/gw-1/updates").await["items"][0]["detail"], told.as_str());
    let counts = rig.rest.get(&format!("/rollouts/{}", c.rollout)).await["row"]["counts"].clone();
    assert_eq!((&counts["updating"], &counts["succeeded"]), (&json!(1), &json!(0)));

    // It is not told to install it again, and asked what it is.
    assert_eq!(device.poll().await, json!({ "configData": { "href": format!("{}/configData", device.base) } }));
    for gone in [&c.action, &file] {
        assert_eq!(device.get(gone).await.status(), 404);
    }
    // Its answer may have been lost.
    assert_eq!(c.succeeds().await, 200);
    assert_eq!(device.say(&c.action, "proceeding", "none", &["late"]).await, 200);
    assert_eq!(c.detail().await, told);
    // What says nothing of its firmware proves nothing, and it is not asked for ever.
    device.tells(json!({ "site": "hall-4" })).await;
    assert_eq!(c.stands().await.0, "verifying");
    assert_eq!(device.poll().await, json!({}));

    device.tells(runs("1.1.0", "2")).await;
    assert_eq!(c.stands().await, is("succeeded", ""));
    assert_eq!(rig.rest.rollout_ends(&c.rollout, "completed").await["row"]["counts"]["succeeded"], 1);
    assert_eq!(rig.rest.get("/devices/gw-1").await["row"]["version"], "1.1.0");
    let links = device.poll().await;
    assert!(links["installedBase"].is_object() && links["configData"].is_null() && links["deploymentBase"].is_null(), "{links}");
    assert_eq!(c.succeeds().await, 410);
    c.rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_may_be_told_in_halves_and_by_a_version_alone(#[case] kind: EngineKind) {
    let mut c = Claim::start(kind).await;
    let version = |version: &str| json!({ "firmware_version": version });
    c.owes("nothing speaks for it").await;
    c.device.tells(version("1.1.0")).await;
    assert_eq!(c.stands().await, is("succeeded", ""), "no sequence was ever told");
    let shown = c.rig.rest.get("/devices/gw-1").await;
    assert_eq!((&shown["row"]["version"], &shown["sequence"]), (&json!("1.1.0"), &json!(2)));

    c.device.tells(runs("1.1.0", "2")).await;
    c.offer("1.2.0", 3, json!({})).await;
    c.owes("nor for this one").await;
    c.device.tells(version("1.2.0")).await;
    assert_eq!(c.stands().await.0, "verifying", "with the sequence that is known it is another release");
    c.device.tells(json!({ "firmware_sequence": "3" })).await;
    assert_eq!(c.stands().await, is("succeeded", ""));

    c.offer("1.3.0", 4, json!({})).await;
    c.owes("nor for this one").await;
    c.device.tells(json!({ "firmware_sequence": "4" })).await;
    assert_eq!(c.stands().await.0, "verifying", "the version that is known is an old one");
    c.device.tells(version("1.2.0")).await;
    assert_eq!(c.stands().await, is("failed", "runs_old_version"), "and so is this one");
    c.rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_is_never_proven_fails_in_its_time_however_often_it_is_said(#[case] kind: EngineKind) {
    let c = Claim::start(kind).await;
    c.owes("nothing speaks for it").await;
    for _ in 0..2 {
        c.rig.pass(29).await;
        c.owes("said again").await;
        assert_eq!(c.device.say(&c.action, "proceeding", "success", &["done"]).await, 200);
        c.device.poll().await;
    }
    c.rig.pass(3).await;
    assert_eq!(c.stands().await, is("failed", "success_not_proven"));
    let never = "it said success, had not fetched the release from here, and did not describe itself as running 1.1.0 in time";
    assert_eq!(c.detail().await, never);
    assert_eq!(c.succeeds().await, 410);
    assert!(c.device.poll().await["deploymentBase"].is_null());
    c.device.tells(runs("1.1.0", "2")).await;
    assert_eq!(c.stands().await.0, "failed", "it has ended");
    c.rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_waits_fails_with_the_old_version_and_with_a_failure(#[case] kind: EngineKind) {
    let mut c = Claim::start(kind).await;
    c.owes("nothing speaks for it").await;
    c.device.tells(runs("1.0.0", "1")).await;
    assert_eq!(c.stands().await, is("failed", "runs_old_version"));
    assert_eq!(c.detail().await, OLD);

    c.offer("1.2.0", 3, json!({})).await;
    c.owes("nor for this one").await;
    assert_eq!(c.device.say(&c.action, "closed", "failure", &["it did not start"]).await, 200, "it corrects itself");
    assert_eq!(c.stands().await.0, "failed");

    c.offer("1.3.0", 4, json!({})).await;
    c.device.tells(runs("1.3.0", "4")).await;
    c.claims("succeeded", "", "it has said before that it runs it: nothing is left to be proven").await;
    c.rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_counts_at_once_by_another_action_and_in_pieces_that_are_all_of_it(#[case] kind: EngineKind) {
    let mut c = Claim::start(kind).await;
    assert_eq!(c.device.say(&c.action, "closed", "failure", &[]).await, 200);
    let release = c.rig.rest.release("1.2.0", 3, &[3; 1000]).await;
    c.offer_of(&release, "Fetch", json!({ "download_only": true })).await;
    c.device.fetch(&c.action).await;
    assert_eq!(c.device.say(c.action.split('?').next().unwrap(), "downloaded", "none", &[]).await, 200);
    assert_eq!(c.stands().await.0, "succeeded");
    c.offer_of(&release, "Install", json!({})).await;
    c.claims("succeeded", "", "it had it from before").await;

    // Who streams reads here and there, the end with its signature first: that alone is not enough, and its word that it has it is none.
    let cases: [(&[&str], bool); 7] = [
        (&["bytes=100-199"], false),
        (&["bytes=900-999"], false),
        (&["bytes=-8"], false),
        (&["bytes=900-"], false),
        (&["bytes=-8", "bytes=0-990"], false),
        (&["bytes=-8", "bytes=0-499", "bytes=500-991"], true),
        (&["bytes=0-599", "bytes=600-"], true),
    ];
    for (sequence, (ranges, all)) in (4..).zip(cases) {
        let version = format!("1.{sequence}.0");
        c.offer(&version, sequence, json!({})).await;
        for range in ranges {
            c.fetch(range).await;
        }
        assert_eq!(c.device.say(&c.action, "downloaded", "none", &[]).await, 200);
        if all {
            c.claims("succeeded", "", &format!("{ranges:?}")).await;
        } else {
            c.owes(&format!("{ranges:?}")).await;
        }
        c.device.tells(runs(&version, &sequence.to_string())).await;
        assert_eq!(c.stands().await.0, "succeeded");
    }
    c.rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_before_an_installation_failed_speaks_for_no_other_one(#[case] kind: EngineKind) {
    let mut c = Claim::start(kind).await;
    assert_eq!(c.device.say(&c.action, "closed", "failure", &[]).await, 200);
    let release = c.rig.rest.release("1.2.0", 3, &[3; 1000]).await;
    for name in ["First", "Second"] {
        c.offer_of(&release, name, json!({})).await;
        c.device.fetch(&c.action).await;
        c.rig.pass(1).await;
        assert_eq!(c.device.say(&c.action, "closed", "failure", &["it did not start"]).await, 200);
        c.rig.pass(1).await;
    }
    c.offer_of(&release, "Third", json!({})).await;
    c.fetch("bytes=999-").await;
    c.owes("it was sent a byte since").await;
    assert_eq!(c.device.say(&c.action, "closed", "failure", &["it did not start"]).await, 200);
    c.rig.pass(1).await;
    c.offer_of(&release, "Fourth", json!({})).await;
    c.device.fetch(&c.action).await;
    c.claims("succeeded", "", "it has fetched it again").await;
    c.rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_late_success_without_a_download_is_heard_and_counts_for_what_the_device_says_it_runs(#[case] kind: EngineKind) {
    let c = Claim::start(kind).await;
    c.rig.pass(61).await;
    assert_eq!(c.stands().await.0, "timed_out");
    assert_eq!(c.succeeds().await, 200, "its end is heard");
    assert_eq!(c.stands().await.0, "timed_out", "and proves nothing");
    assert_eq!(c.succeeds().await, 410);
    c.device.link("configData").await;
    c.device.tells(runs("1.1.0", "2")).await;
    assert_eq!(c.stands().await, is("succeeded", ""));
    c.rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_device_names_the_release_that_it_runs(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    // The other one gives every rollout somebody to reach.
    let (device, _other) = (rig.device("gw-1").await, rig.device("gw-2").await);
    let puts =
        async |body: Value| device.http.put(format!("{}/installedBase", device.base)).json(&body).send().await.unwrap().status().as_u16();
    let names = |name: &str, version: &str| json!({ "name": name, "version": version });
    let first = rig.rest.release("1.1.0", 2, &[7; 1000]).await;
    for (body, refusal) in [
        (names("gateway", "9.9.9"), 404),
        (names("camera", "1.1.0"), 404),
        (names("gateway", ""), 400),
        (json!({ "name": "gateway" }), 400),
        (json!([]), 400),
    ] {
        assert_eq!(puts(body.clone()).await, refusal, "{body}");
    }
    assert_ne!(rig.rest.get("/devices/gw-1").await["row"]["version"], "1.1.0");
    assert_eq!((puts(names("gateway", "1.1.0")).await, puts(names("gateway", "1.1.0")).await), (201, 200), "the second is no news");
    let shown = rig.rest.get("/devices/gw-1").await;
    assert_eq!([&shown["row"]["version"], &shown["sequence"]], [&json!("1.1.0"), &json!(2)]);
    rig.roll_out(&first).await;
    assert_eq!(device.poll().await, json!({}), "it runs that");

    // It proves a success that nothing else speaks for, and belies one.
    for (version, sequence, runs, state) in [("1.2.0", 3, "1.2.0", "succeeded"), ("1.3.0", 4, "1.2.0", "failed")] {
        let rollout = rig.roll_out(&rig.rest.release(version, sequence, &[7; 1000]).await).await;
        let action = device.link("deploymentBase").await;
        assert_eq!(device.say(&action, "closed", "success", &[]).await, 200);
        assert_eq!(rig.part(&rollout, "gw-1").await["state"], "verifying", "{version}");
        puts(names("gateway", runs)).await;
        assert_eq!(rig.part(&rollout, "gw-1").await["state"], state, "{version}");
    }
    rig.server.stop().await;
}
