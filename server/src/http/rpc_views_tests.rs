//! Groups, the explanation of a device, releases and the drawing of states, as a browser without JavaScript gets them.

use super::rpc_tests::{Browser, FORM};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use wire::{
    device::StatusReport,
    rollouts::{GateSpec, Reach, Retry, RetryClass, RolloutSpec, StageSpec, Verb},
    slots::{Slot, SlotState},
    states::{Role, UpdateState},
};

impl Browser {
    /// A rollout of this plan that somebody else has approved and that runs.
    async fn runs(&self, change: impl FnOnce(RolloutSpec) -> RolloutSpec) -> String {
        let (release, _) = self.release().await;
        let author = self.world.person("oli", Role::Operator).await;
        let stage = StageSpec { name: "All".into(), reach: Reach::Percent(100.0), soak_s: 0, confirm: false, gate: GateSpec::default() };
        let spec =
            change(RolloutSpec { reason: "because".into(), ..RolloutSpec::new("Radio fix".into(), release.parse().unwrap(), vec![stage]) });
        let rollouts = self.world.fleet.rollouts();
        let id = rollouts.draft(&author, spec).await.unwrap();
        rollouts.submit(&author, &id).await.unwrap();
        let digest = rollouts.detail(&self.admin, &id).await.unwrap().digest;
        rollouts.act(&self.admin, &id, Verb::Approve, Some(&digest), "fine").await.unwrap();
        rollouts.tick().await.unwrap();
        id.to_string()
    }
}

#[tokio::test]
async fn a_group_is_made_filled_renamed_and_deleted_without_scripts() {
    let b = Browser::new().await;
    let page = b.page("/groups").await;
    assert!(page.contains("No group yet") && page.contains("href=\"/devices\" aria-current=\"page\""), "{page}");
    assert_eq!(b.post("group/new", &[("name", "Hall 3")]).await.unwrap(), "/groups?name=Hall%203");
    assert_eq!(b.post("group/new", &[("name", "Hall 3")]).await.unwrap_err().0, 400);
    assert!(b.page("/groups?name=Hall%203").await.contains("No device in it"));
    for id in ["gw-1", "gw-2", "gw-3"] {
        b.world.device(id, "gateway").await;
    }
    let listed = |devices| [("name", "Hall 3"), ("devices", devices)];
    assert_eq!(b.post("group/members", &listed("gw-1, ../x")).await.unwrap_err().0, 400);
    assert_eq!(b.post("group/members", &listed("")).await.unwrap_err().0, 400);
    assert_eq!(b.post("group/members", &listed("gw-1\ngw-2")).await.unwrap(), "/groups?name=Hall%203");
    let page = b.page("/groups?name=Hall%203&q=gw").await;
    assert!(page.contains("3 devices now.") && page.contains("name=\"expected\" value=\"3\""), "{page}");
    assert!(page.contains("/devices:export?q=group:%22Hall%203%22"), "{page}");
    assert!(b.page("/groups?name=Hall%203&q=bad:x").await.contains("Not understood at character"));
    let meant = |expected, out| [("name", "Hall 3"), ("q", "gw"), ("expected", expected), ("out", out)];
    assert_eq!(b.post("group/members", &meant("2", "")).await.unwrap_err(), (409, "other_count".to_owned()));
    b.post("group/members", &meant("3", "")).await.unwrap();
    assert_eq!(b.api("GET", "/groups", Vec::new()).await["items"][0]["devices"], 3);
    b.post("group/members", &[("name", "Hall 3"), ("devices", "gw-3"), ("out", "yes")]).await.unwrap();

    assert!(b.page("/groups?name=Hall%203&ask=rename").await.contains("Rename Hall 3"));
    assert_eq!(b.post("group/rename", &[("name", "Hall 3"), ("to", "North")]).await.unwrap(), "/groups?name=North");
    b.runs(|spec| RolloutSpec { selector: "group:North".into(), ..spec }).await;
    let page = b.page("/groups?name=North").await;
    assert!(
        page.contains("Radio fix") && page.contains("aria-describedby=\"why-delete\"") && !page.contains("id=\"delete-group\""),
        "{page}"
    );
    assert_eq!(b.post("group/delete", &[("name", "North"), ("confirm", "North")]).await.unwrap_err(), (409, "group_in_use".to_owned()));
    let used = b.api("GET", "/groups", Vec::new()).await;
    assert_eq!((&used["items"][0]["devices"], &used["items"][0]["used_by"][0]["name"]), (&json!(2), &json!("Radio fix")));
    b.post("group/new", &[("name", "South")]).await.unwrap();
    assert_eq!(b.post("group/delete", &[("name", "South"), ("confirm", "x")]).await.unwrap_err(), (400, "not_confirmed".to_owned()));
    assert_eq!(b.post("group/delete", &[("name", "South"), ("confirm", "South")]).await.unwrap(), "/groups");
    let (status, ..) = b.send("GET", "/groups?name=South", FORM, Vec::new(), "text/html").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn the_way_out_of_a_question_leads_to_the_same_address_without_it() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    b.post("group/new", &[("name", "Hall 3")]).await.unwrap();
    for (asked, here, opener) in [
        ("/groups?name=Hall%203&ask=rename", "/groups?name=Hall%203", "rename-group-opener"),
        ("/groups?ask=delete&name=Hall%203", "/groups?name=Hall%203", "delete-group-opener"),
        ("/devices?q=gw&ask=tag", "/devices?q=gw", "tag-all-opener"),
        ("/devices?ask=views", "/devices", "views-dialog-opener"),
        ("/devices/gw-1?ask=tags", "/devices/gw-1", "tags-dialog-opener"),
        ("/devices/gw-1/suspend", "/devices/gw-1", "suspend-dialog-opener"),
    ] {
        let question = b.page(asked).await;
        let question = question.split("card narrow ask").nth(1).and_then(|rest| rest.split("</section>").next()).expect(asked);
        assert!(question.contains(&format!("href=\"{here}#{opener}\"")), "{asked}: {question}");
        let left = b.page(here).await;
        assert!(!left.contains("card narrow ask") && left.contains(&format!("id=\"{opener}\"")), "{here}: {left}");
    }
    let question = b.page("/devices/gw-1?ask=tags").await;
    assert!(question.contains("id=\"page-f-tags\""), "tags are edited without scripts: {question}");
    assert_eq!(b.post("device/tags", &[("id", "gw-1"), ("tags", "eu, hall")]).await.unwrap(), "/devices/gw-1");
}

#[tokio::test]
async fn a_device_says_rule_by_rule_why_it_waits_and_is_confirmed_there() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    let page = b.page("/devices/gw-1/firmware").await;
    assert!(page.contains("Nothing is to come"), "{page}");
    let rollout = b.runs(|spec| RolloutSpec { confirm_at_device: true, ..spec }).await;
    let why = b.api("GET", "/devices/gw-1/why", Vec::new()).await;
    let rules = why["rollouts"][0]["rules"].as_array().unwrap();
    let first = rules.iter().find(|rule| rule["says"] == "blocks").unwrap();
    assert_eq!((&why["outlook"], &first["rule"]), (&json!("blocked"), &json!("agreed")), "{why}");
    assert_eq!(first["fact"].as_str().unwrap(), why["answer"].as_str().unwrap().split_once(": ").unwrap().1);
    let page = b.page("/devices/gw-1/firmware").await;
    assert_eq!(page.matches("The reason: ").count(), 1, "one row: {page}");
    assert!(page.contains("Confirm 1.0.0 for this device"), "{page}");
    let confirm = [("id", "gw-1"), ("rollout", rollout.as_str())];
    assert_eq!(b.post("device/confirm", &confirm).await.unwrap(), "/devices/gw-1/firmware");
    let why = b.api("GET", "/devices/gw-1/why", Vec::new()).await;
    assert_eq!(why["outlook"], "when_it_asks", "{why}");
    let device = b.world.fleet.devices().find(&b.admin, &"gw-1".parse().unwrap()).await.unwrap();
    assert!(b.world.fleet.rollouts().poll(device).await.unwrap().is_some(), "and so it is");
    let page = b.page("/devices/gw-1/firmware").await;
    assert!(page.contains("The update: Offered. May follow: "), "its states are drawn");
}

#[tokio::test]
async fn the_firmware_tab_shows_the_slots_that_a_device_reports() {
    let b = Browser::new().await;
    let device = b.world.device("gw-1", "gateway").await;
    let here = "/devices/gw-1/firmware";
    assert!(!b.page(here).await.contains("Slots of this device"), "it has reported none");
    let slot = |name: &str, version: &str, state| Slot { name: name.into(), version: Some(version.into()), state };
    let slots = vec![slot("rootfs.0", "1.0.0", SlotState::Running), slot("rootfs.1", "<b>2</b>", SlotState::Bad)];
    b.world.fleet.devices().says_slots(&b.world.org, device, slots.try_into().unwrap());
    b.world.fleet.devices().flush_presence(false).await.unwrap();
    let page = b.page(here).await;
    for said in ["Slots of this device", "rootfs.0", "Running", "rootfs.1", "&lt;b&gt;2&lt;/b&gt;", "Bad"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let detail = b.api("GET", "/devices/gw-1", Vec::new()).await;
    assert_eq!((&detail["slots"][0]["version"], &detail["slots"][1]["state"]), (&json!("1.0.0"), &json!("bad")), "{detail}");
    assert!(detail["slots"][0]["since"].is_i64(), "{detail}");
}

#[tokio::test]
async fn a_device_is_pinned_on_its_firmware_tab_which_tells_what_it_said() {
    let b = Browser::new().await;
    let device = b.world.device("gw-1", "gateway").await;
    // A rollout that nobody would get is no plan.
    b.world.device("gw-2", "gateway").await;
    let here = "/devices/gw-1/firmware";
    let page = b.page(here).await;
    assert!(
        page.contains("Not updated yet") && page.contains("Install a version…") && page.contains("href=\"/devices/gw-1/firmware?ask=pin\"")
    );
    let page = b.page(&format!("{here}?ask=pin")).await;
    assert_eq!(page.matches("id=\"pin-reason\"").count(), 1, "asked in the page, and in no dialog beside it: {page}");
    assert_eq!(b.post("device/pin", &[("id", "gw-1")]).await.unwrap_err(), (400, "invalid".to_owned()), "why has to be said");
    assert_eq!(b.post("device/pin", &[("id", "gw-1"), ("reason", "on show")]).await.unwrap(), here);
    b.runs(|spec| spec).await;
    let page = b.page(here).await;
    assert!(page.contains("Pinned to what it runs") && page.contains("on show") && !page.contains("Install a version…"), "{page}");
    assert_eq!(page.matches("The reason: ").count(), 1, "{page}");
    let why = b.api("GET", "/devices/gw-1/why", Vec::new()).await;
    assert!(why["answer"].as_str().unwrap().contains("pinned by ada on ") && why["outlook"] == "blocked", "{why}");
    assert_eq!(b.post("device/unpin", &[("id", "gw-1")]).await.unwrap(), here);

    let rollouts = b.world.fleet.rollouts();
    let update_id = rollouts.poll(device).await.unwrap().expect("an offer").update_id;
    let report = StatusReport {
        update_id: update_id.clone(),
        state: UpdateState::Failed,
        progress: Some(40),
        code: Some("digest_mismatch".into()),
        detail: Some("<b>wrong</b> bytes".into()),
        firmware: None,
        deferred_until: None,
        slots: None,
    };
    rollouts.report(device, report).await.unwrap();
    let page = b.page(here).await;
    for said in ["What it said of 1.0.0 by “Radio fix”", "1 line", "digest_mismatch", "&lt;b&gt;wrong&lt;/b&gt; bytes", "Failed"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("<details open"), "folded until somebody asks");
    assert!(b.page(&format!("{here}?log={update_id}")).await.contains("<details open"));
    let (status, ..) = b.send("GET", &format!("{here}?cur=x"), FORM, Vec::new(), "text/html").await;
    assert_eq!(status, 400, "no place in this list");
}

#[tokio::test]
async fn one_update_is_cancelled_on_the_firmware_tab_and_tried_again_when_that_is_chosen() {
    let b = Browser::new().await;
    let device = b.world.device("gw-1", "gateway").await;
    // Its stage waits for the other one.
    b.world.device("gw-2", "gateway").await;
    let rollout = b.runs(|spec| spec).await;
    let rollouts = b.world.fleet.rollouts();
    let update = rollouts.poll(device).await.unwrap().expect("an offer").update_id.to_string();
    let here = "/devices/gw-1/firmware";
    let page = b.page(here).await;
    assert!(page.contains("Cancel the update…") && page.contains("href=\"/devices/gw-1/firmware?ask=cancel\""), "{page}");
    let question = b.page(&format!("{here}?ask=cancel")).await;
    assert_eq!(question.matches("id=\"cancel-reason\"").count(), 1, "asked in the page, and in no dialog beside it: {question}");
    assert!(question.contains("“Radio fix” goes on without this device"), "{question}");
    let order = [("id", "gw-1"), ("rollout", rollout.as_str()), ("update", update.as_str()), ("reason", "on show")];
    assert_eq!(b.post("device/cancel_update", &order).await.unwrap(), here);
    let page = b.page(here).await;
    assert!(page.contains("cancelled by ada: on show") && !page.contains("Cancel the update…"), "{page}");

    let question = b.page(&format!("/rollouts/{rollout}/retry")).await;
    assert!(question.contains("name=\"classes[]\"") && question.contains("Cancelled (1 device)"), "{question}");
    let retry = [("id", rollout.as_str()), ("verb", "retry"), ("back", "/rollouts")];
    let of = |class: &'static str| [&retry[..], &[("classes[]", class)]].concat();
    assert_eq!(b.post("rollout_act", &retry).await.unwrap_err(), (400, "invalid".to_owned()), "nobody was chosen");
    assert_eq!(b.post("rollout_act", &of("lost")).await.unwrap_err(), (400, "invalid".to_owned()));
    assert_eq!(b.post("rollout_act", &of("failed")).await.unwrap_err(), (409, "not_now".to_owned()), "nobody has failed");
    assert_eq!(rollouts.poll(device).await.unwrap(), None);
    // Without scripts a refusal gives back what was chosen.
    let chosen = format!("id={rollout}&verb=retry&back=%2Frollouts&classes%5B%5D=failed&classes%5B%5D=reverted&reason=once+more");
    let again = b.page(&b.posted("rollout_act", &format!("/rollouts/{rollout}/retry"), chosen).await).await;
    assert!(again.contains("There is no device that failed or went back.") && again.contains("once more"), "{again}");
    for (class, checked) in [("failed", true), ("timed_out", false), ("reverted", true), ("rejected", false), ("cancelled", false)] {
        let (_, input) = again.split_once(&format!("id=\"retry-classes-{class}\"")).unwrap();
        assert_eq!(input.split('>').next().unwrap().contains("checked"), checked, "{class}: {again}");
    }
    assert_eq!(b.post("rollout_act", &of("cancelled")).await.unwrap(), "/rollouts");
    assert!(rollouts.poll(device).await.unwrap().is_some());
}

#[tokio::test]
async fn that_a_device_is_tried_again_by_itself_is_cancelled_in_the_same_place() {
    let b = Browser::new().await;
    let device = b.world.device("gw-1", "gateway").await;
    // Its stage waits for the other one.
    b.world.device("gw-2", "gateway").await;
    let retry = Retry { classes: vec![RetryClass::Failed], times: 3, wait_min: 30 };
    let rollout = b.runs(|spec| RolloutSpec { retry: Some(retry), ..spec }).await;
    let rollouts = b.world.fleet.rollouts();
    let update_id = rollouts.poll(device).await.unwrap().expect("an offer").update_id;
    let update = update_id.to_string();
    let (state, progress, code, detail, firmware) = (UpdateState::Failed, None, None, None, None);
    let report = StatusReport { update_id, state, progress, code, detail, firmware, deferred_until: None, slots: None };
    rollouts.report(device, report).await.unwrap();
    let why = b.api("GET", "/devices/gw-1/why", Vec::new()).await;
    assert_eq!((&why["outlook"], &why["rollouts"][0]["may_cancel"]), (&json!("blocked"), &json!(true)), "{why}");
    let here = "/devices/gw-1/firmware";
    let question = b.page(&format!("{here}?ask=cancel")).await;
    assert!(question.contains("Nothing is under way at the device") && question.contains("Keep the retry"), "{question}");
    let order = [("id", "gw-1"), ("rollout", rollout.as_str()), ("update", update.as_str()), ("reason", "on show")];
    assert_eq!(b.post("device/cancel_update", &order).await.unwrap(), here);
    let page = b.page(here).await;
    assert!(page.contains("cancelled by ada: on show") && page.contains("Failed") && !page.contains("Cancel the update…"), "{page}");
}

#[tokio::test]
async fn the_page_of_a_rollout_draws_its_states_and_the_way_it_came() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    let rollout = b.runs(|spec| spec).await;
    let page = b.page(&format!("/rollouts/{rollout}")).await;
    let said = "The rollout: Running. Before: Draft, Waiting for approval, Approved. May follow: Paused, Halted, Rolling back, Completed, Stopping.";
    assert_eq!(page.matches(said).count(), 2, "for the eye and for who can't see it: {page}");
    let arcs: usize = fleet::rollouts::state::ROLLOUT.iter().map(|(_, next)| next.len()).sum();
    let drawing = page.split("<svg viewBox=\"0 0 360 ").nth(1).unwrap().split("</svg>").next().unwrap();
    assert_eq!(drawing.matches("<path").count(), arcs, "each transition of the table");
    assert!(b.page("/freezes").await.contains("href=\"/rollouts\" aria-current=\"page\""), "where freezes are found");
}

#[tokio::test]
async fn the_page_of_a_release_draws_its_states_and_says_where_it_is() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    let (one, _) = b.release().await;
    let path = format!("/firmware/{one}");
    let page = b.page(&path).await;
    let said = "The release: Published. Before: Verified. May follow: Deprecated, Recalled.";
    assert_eq!(page.matches(said).count(), 2, "for the eye and for who can't see it: {page}");
    assert_eq!(page.matches("0 of 1 device run it").count(), 2, "the bar and its words: {page}");
    assert!(page.contains("New rollout with this") && page.contains("No rollout uses it yet."), "{page}");
    for (verb, says) in
        [("deprecate", "It is deprecated: new rollouts can"), ("recall", "It was recalled: no device installs it any more.")]
    {
        let form = [("id", one.as_str()), ("verb", verb), ("confirm", "1.0.0"), ("reason", "burns")];
        b.post("release_act", &form).await.unwrap();
        let page = b.page(&path).await;
        assert!(page.contains("aria-describedby=\"why-roll\"") && page.contains(says), "{says} is not in {page}");
    }
    let page = b.page(&path).await;
    assert!(page.contains("Reason: burns.") && page.contains("No device runs it any more."), "{page}");
}

#[tokio::test]
async fn two_releases_stand_beside_each_other_without_scripts() {
    let b = Browser::new().await;
    assert!(b.page("/firmware/compare").await.contains("No release yet"));
    let (one, _) = b.release().await;
    let first = b.page(&format!("/firmware/compare?after={one}")).await;
    assert!(first.contains("Nothing before it"), "{first}");
    let pair = fleet::releases::signing::SigningKeyPair::generate(&fleet::entropy::SeededEntropy::new(1)).unwrap();
    let manifest = fleet::testing::manifest("1.1.0", 2, &[("fw.bin", "raw", b"firmware 2")]);
    let two = b.world.publish(&b.admin, &pair, &manifest, &[("fw.bin", b"firmware 2".as_slice())]).await;
    let page = b.page(&format!("/firmware/compare?after={two}")).await;
    assert!(page.contains("<h1") && page.contains("gateway 1.1.0 against 1.0.0"), "the one before it is chosen: {page}");
    assert!(page.contains("2 fields differ, 1 file differs · +2 B in all"), "{page}");
    assert!(page.contains("Fields that differ") && page.contains("Changed"), "{page}");
    let turned = b.page(&format!("/firmware/compare?before={two}&after={one}")).await;
    assert!(turned.contains("gateway 1.0.0 against 1.1.0"), "{turned}");
    let same = b.page(&format!("/firmware/compare?before={two}&after={two}")).await;
    assert!(same.contains("Nothing differs"), "{same}");
    assert!(b.page("/firmware").await.contains("href=\"/firmware/compare\""));
}

/// What `openssl` made: an authority, and an image's signature below it.
fn made_by_openssl(name: &str) -> (String, Vec<u8>) {
    let all = include_str!("../../core/src/releases/containers/testdata/signatures.txt");
    let block = all.split("== ").find_map(|block| block.strip_prefix(name)?.strip_prefix('\n')).unwrap();
    let base64: String = block.split_whitespace().collect();
    let bytes = STANDARD.decode(&base64).unwrap();
    (base64, bytes)
}

#[tokio::test]
async fn u_5_a_file_tells_how_its_signature_stands_to_the_image_keys() {
    let b = Browser::new().await;
    assert!(b.page("/firmware").await.contains("None is known: who has signed an image is shown"));
    let mut image = Vec::new();
    for (name, content) in [("sw-description", "sw-description"), ("sw-description.sig", "cms")] {
        let content = made_by_openssl(content).1;
        let fields = [1, 0o100_644, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
        image.extend_from_slice(b"070701");
        image.extend(fields.iter().flat_map(|field| format!("{field:08X}").into_bytes()));
        image.extend_from_slice(format!("{name}\0").as_bytes());
        image.resize(image.len().next_multiple_of(4), 0);
        image.extend_from_slice(&content);
        image.resize(image.len().next_multiple_of(4), 0);
    }
    b.release().await;
    let pair = fleet::releases::signing::SigningKeyPair::generate(&fleet::entropy::SeededEntropy::new(1)).unwrap();
    let manifest = fleet::testing::manifest("1.1.0", 2, &[("fw.swu", "raw", image.as_slice())]);
    let release = b.world.publish(&b.admin, &pair, &manifest, &[("fw.swu", image.as_slice())]).await;
    let path = format!("/firmware/{release}");
    let page = b.page(&path).await;
    assert!(page.contains("Unknown signer") && page.contains("devices check it by themselves"), "{page}");

    let add = async |key: &str| b.post("image_key_add", &[("name", "Image authority"), ("key", key)]).await;
    assert_eq!(add("nonsense").await.unwrap_err(), (400, "bad_image_key".to_owned()));
    let authority = made_by_openssl("authority").0;
    assert_eq!(add(&authority).await.unwrap(), "/firmware#image-keys");
    let id = b.api("GET", "/image-keys", Vec::new()).await["items"][0]["id"].as_str().unwrap().to_owned();
    let asked = b.page(&format!("/firmware?forget={id}")).await;
    assert!(asked.contains("Remove Image authority") && asked.contains("certificate · O=Example, CN=Example image authority"), "{asked}");
    let page = b.page(&path).await;
    let said = "signed by O=Example, CN=Example builds, trusted by the image key Image authority";
    assert!(page.contains("Signature trusted") && page.contains(said), "{page}");

    assert_eq!(b.post("image_key_remove", &[("id", &id)]).await.unwrap(), "/firmware#image-keys");
    assert!(b.page(&path).await.contains("Unknown signer"));
    assert_eq!(b.post("image_key_remove", &[("id", &id)]).await.unwrap_err(), (404, "no_image_key".to_owned()));
}

#[tokio::test]
async fn the_page_of_a_certificate_draws_its_states() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    let id = b.api("GET", "/certificates?rows=1", Vec::new()).await["items"][0]["id"].as_str().unwrap().to_owned();
    let page = b.page(&format!("/certificates/{id}")).await;
    let said = "The certificate: Valid. May follow: Superseded, Revoked, Expired, Not trusted.";
    assert_eq!(page.matches(said).count(), 2, "{page}");
}

#[tokio::test]
async fn a_view_of_the_list_is_saved_opened_and_removed_without_scripts() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    let page = b.page("/devices?cols=status,tags&ask=views").await;
    assert!(page.contains("name=\"cols\" value=\"status,tags\"") && page.contains("Name of the view"), "{page}");
    assert!(page.contains("role=\"searchbox\""), "a plain search until the page listens: {page}");
    let back = "/devices?cols=status,tags";
    let plain = [("name", "Plain"), ("q", "type:gateway"), ("sort", "-last_seen"), ("cols", "status,tags"), ("back", back)];
    assert_eq!(b.post("devices/view", &plain).await.unwrap(), back);
    assert!(b.page("/devices?ask=views").await.contains("Remove Plain"));
    let views = b.api("GET", "/device-views", Vec::new()).await;
    assert_eq!(views["items"], json!([{ "name": "Plain", "q": "type:gateway", "sort": "-last_seen", "columns": ["status", "tags"] }]));
    let broken = [("name", "Broken"), ("q", "tag:")];
    assert_eq!(b.post("devices/view", &broken).await.unwrap_err(), (400, "bad_selector".to_owned()));
    assert_eq!(b.post("devices/view", &[("name", " ")]).await.unwrap_err(), (400, "invalid".to_owned()));

    let all = b.api("PUT", "/device-views/All%20of%20them", json!({ "q": "" }).to_string().into_bytes()).await;
    assert_eq!((&all["name"], all["columns"].as_array().unwrap().len()), (&json!("All of them"), 7));
    b.api("DELETE", "/device-views/All%20of%20them", Vec::new()).await;
    let forget = [("name", "Plain"), ("back", "/devices")];
    assert_eq!(b.post("devices/view/forget", &forget).await.unwrap(), "/devices");
    assert_eq!(b.post("devices/view/forget", &forget).await.unwrap_err().0, 404);
}

#[tokio::test]
async fn a_device_tells_what_happened_to_it_and_selectors_know_the_fleet() {
    let b = Browser::new().await;
    b.world.device("gw-1", "gateway").await;
    b.api("PUT", "/devices/gw-1/tags", json!({ "tags": ["eu"] }).to_string().into_bytes()).await;
    let page = b.page("/devices/gw-1/activity").await;
    for said in ["Enrolled", "Certificate issued", "Tags changed", "tags: eu", "/audit?q=gw-1", "/devices/gw-1/activity?show=deeds"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(b.page("/devices/gw-1/activity?show=connections").await.contains("It was not connected lately"));
    assert!(b.page("/devices/gw-1/activity?before=1").await.contains("Nothing before that"));
    let json = async |path: &str| {
        let (status, _, body) = b.send("GET", path, FORM, Vec::new(), "application/json").await;
        assert!(status.is_success(), "{path}: {status}");
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()
    };
    // As the browser asks when it goes from one tab to the next.
    let view = json("/rpc/device?id=gw-1&activity[show]=updates&activity[before]=5").await;
    assert_eq!(view["activity"], json!({ "items": [], "next": null, "may_audit": true }));
    let known = json("/rpc/devices/values?").await;
    assert_eq!((&known["types"], &known["tags"]), (&json!(["gateway"]), &json!(["eu"])));
}
