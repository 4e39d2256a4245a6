//! The example of the manual, applied to a fleet on both engines.

use super::{
    Rollout, answer, looked,
    orders::{Decision, OfDevice, Order, Plain, Reasoned, Signed, Staged},
    proves,
    shown::{Devices, Shown, Which},
};
use fleet::{
    access::Actor,
    db::EngineKind,
    entropy::SeededEntropy,
    releases::signing::SigningKeyPair,
    testing::{World, manifest},
};
use rstest::rstest;
use std::path::PathBuf;
use wire::{
    Timestamp,
    rollouts::{Call, Counts, Finding, Show, Tab, UpdateSort, Verdict, Worse},
    states::{Role, RolloutState},
    transfers::TransferLimits,
    updates::UpdateFailure,
};

const EXAMPLE: &str = include_str!("../../plans/example.yaml");

async fn publish(w: &World, admin: &Actor) {
    let key = SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap();
    w.fleet.releases().add_key(admin, "build", &key.public_pem()).await.unwrap();
    w.publish(admin, &key, &manifest("2.0.0", 2, &[("fw.bin", "raw", b"firmware")]), &[("fw.bin", b"firmware")]).await;
}

fn which(text: &str) -> Which {
    Which { rollout: text.parse().unwrap() }
}

/// A folder with a plan and a token, and the fleet they are for.
struct Desk {
    w: World,
    folder: tempfile::TempDir,
    devices: Vec<fleet::devices::DeviceNo>,
}

impl Desk {
    /// Of eight gateways and firmware for them, with the tokens of two admins, `token` and `eves`.
    async fn of_eight(kind: EngineKind) -> (Self, Actor, Actor) {
        let w = World::open(kind).await;
        let (admin, eve) = (w.admin().await, w.person("eve", Role::Admin).await);
        publish(&w, &admin).await;
        let mut devices = Vec::new();
        for n in 1..=8 {
            devices.push(w.device(&format!("gw-{n}"), "gateway").await);
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, actor) in [("token", &admin), ("eves", &eve)] {
            let token = w.fleet.access().create_token(actor, "ci", Role::Admin, 1).await.unwrap();
            std::fs::write(folder.path().join(name), token.secret).unwrap();
        }
        (Self { w, folder, devices }, admin, eve)
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("plan.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn apply(&self, text: &str) -> Result<String, String> {
        let (file, token_file) = (self.file(text), self.folder.path().join("token"));
        answer(&self.w.fleet, Rollout::Apply { file, token_file }).await.map_err(|e| format!("{e:#}"))
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_example_is_drafted_compared_and_edited(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (admin, oli) = (w.admin().await, w.operator().await);
    let desk = Desk { w, folder: tempfile::tempdir().unwrap(), devices: Vec::new() };
    let fleet = &desk.w.fleet;
    let diff = async |text: &str| answer(fleet, Rollout::Diff { file: desk.file(text) }).await.map_err(|e| format!("{e:#}"));
    assert!(desk.apply(EXAMPLE).await.unwrap_err().contains("token"), "nobody drafts without a token");
    std::fs::write(desk.folder.path().join("token"), "fat_nonsense").unwrap();
    assert!(desk.apply(EXAMPLE).await.unwrap_err().contains("`fleetward token create` makes one"));
    let token = fleet.access().create_token(&oli, "ci", Role::Operator, 1).await.unwrap();
    std::fs::write(desk.folder.path().join("token"), token.secret).unwrap();

    let missing = desk.apply(EXAMPLE).await.unwrap_err();
    assert!(missing.contains("plan.yaml:5 there is no release 2.0.0 for gateway."), "{missing}");
    publish(&desk.w, &admin).await;
    assert!(diff(EXAMPLE).await.unwrap().starts_with("There is no rollout “Gateway 2.0.0 for Europe” yet"));
    for (slip, meant) in [
        (EXAMPLE.replace("device_type: gateway", "device_type: gatewy"), "for gatewy. Did you mean gateway 2.0.0? Upload"),
        (EXAMPLE.replace("version: 2.0.0", "version: 2.0.1"), "2.0.1 for gateway. Did you mean gateway 2.0.0? Upload"),
        (EXAMPLE.replace("version: 2.0.0", "version: 7.7.7"), "7.7.7 for gateway. Upload"),
    ] {
        let refused = diff(&slip).await.unwrap_err();
        assert!(refused.contains(meant), "{refused}");
    }
    let refused = diff(&EXAMPLE.replace("selector: tag:eu -tag:lab", "selector: tga:eu")).await.unwrap_err();
    assert!(refused.contains("plan.yaml:7 selector: "), "{refused}");
    let drafted = desk.apply(EXAMPLE).await.unwrap();
    assert!(drafted.contains(" is drafted."), "{drafted}");
    assert!(desk.apply(EXAMPLE).await.unwrap().contains("has this plan already (draft)"));

    // Somebody else decides: the person of the token is its author.
    let page = fleet.rollouts().list(&admin, None, Tab::All, 10).await.unwrap().rollouts;
    assert_eq!((page.total, page.items[0].author.as_str()), (1, oli.label().as_str()));

    let wider = EXAMPLE.replace("percent: 25", "percent: 40");
    let expected = "  Stage 2 A quarter, reach: up to 25 % → up to 40 %\n";
    assert!(diff(&wider).await.unwrap().ends_with(&format!("(draft) has another plan:\n{expected}")));
    let status = answer(fleet, Rollout::Status { file: desk.file(&wider) }).await.unwrap();
    assert!(
        status.contains("gateway 2.0.0: draft\n")
            && status.contains("Stage 2 A quarter: pending")
            && status.contains("`fleetward rollout diff`"),
        "{status}"
    );
    assert!(desk.apply(&wider).await.unwrap().ends_with(&format!("is edited, and a draft:\n{expected}")));
    assert!(diff(&wider).await.unwrap().ends_with("has this plan (draft).\n"));

    let wrong = desk.apply(&EXAMPLE.replace("percent: 25", "percent: 250")).await.unwrap_err();
    assert!(wrong.contains("plan.yaml:20 stages.1.reach: Choose a percentage over 0 and up to 100."), "{wrong}");
    let twice = desk.apply(&EXAMPLE.replace("A quarter", "Canary")).await.unwrap_err();
    assert!(twice.contains("plan.yaml:20 stages.1.name: Stage 2 is called as stage 1 is. Give each"), "{twice}");

    // What would be refused is told by the comparison as well, with what differs.
    for (slip, at) in [
        (EXAMPLE.replace("selector: tag:eu -tag:lab", "selector: \"tag:eu and\""), "plan.yaml:7 selector: "),
        (EXAMPLE.replace("# start_at: 2027-01-15T06:00:00Z", "start_at: 2020-01-01T00:00:00Z #"), "plan.yaml:9 start_at: "),
        (EXAMPLE.replace("timeout_min: 60", "timeout_min: 60\npriority: 99"), "plan.yaml:9 priority: "),
        (EXAMPLE.replace("percent: 25", "percent: 250"), "plan.yaml:20 stages.1.reach: "),
    ] {
        let (refused, compared) = (desk.apply(&slip).await.unwrap_err(), diff(&slip).await.unwrap_err());
        assert!(refused.contains(at), "{refused}");
        let differs = compared.strip_prefix(&refused).unwrap_or_else(|| panic!("{compared} does not say {refused}"));
        assert!(differs.starts_with("\nrol_") && differs.contains(" (draft) has another plan:\n"), "{compared}");
    }
    assert!(diff(&wider).await.unwrap().ends_with("has this plan (draft).\n"), "nothing has changed");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_rollout_goes_from_its_draft_to_its_end_by_commands(#[case] kind: EngineKind) {
    let (desk, admin, _) = Desk::of_eight(kind).await;
    let fleet = &desk.w.fleet;
    let token = |name: &str| desk.folder.path().join(name);
    let run = async |command| answer(fleet, command).await.map_err(|e| format!("{:#}", super::super::in_words(e)));
    let order = async |order| run(Rollout::Order(order)).await;
    let plan = EXAMPLE.replace("selector: tag:eu -tag:lab\n", "").replace("percent: 25", "percent: 50");

    let preview = run(Rollout::Preview { file: desk.file(&plan) }).await.unwrap();
    assert!(preview.contains("8 devices would get it") && preview.contains("Stage 1 Canary: 2 devices\n"), "{preview}");
    assert!(preview.contains("No limit of bandwidth holds all of it; it is sent to up to "), "{preview}");
    for (plan, wrong) in [
        (plan.replace("percent: 50", "percent: 250"), "stages.1.reach: "),
        (plan.replace("reason:", "selector: tga:eu\nreason:"), "selector: "),
    ] {
        let refused = run(Rollout::Preview { file: desk.file(&plan) }).await.unwrap_err();
        assert!(refused.contains("plan.yaml has problems:\n") && refused.contains(wrong), "{refused}");
    }
    let limits = TransferLimits { bandwidth: Some(10_000), ..TransferLimits::default() };
    fleet.transfers().set_limits(&admin, limits).await.unwrap();
    let limited = run(Rollout::Preview { file: desk.file(&plan) }).await.unwrap();
    assert!(limited.contains(" a second from each server, to up to "), "{limited}");
    assert_eq!(run(Rollout::List { tab: None }).await.unwrap().lines().count(), 1, "a preview keeps nothing");
    desk.apply(&plan).await.unwrap();
    let row = fleet.rollouts().list(&admin, None, Tab::All, 10).await.unwrap().rollouts.items.remove(0);
    let id = row.id;
    assert!(run(Rollout::List { tab: None }).await.unwrap().contains(id.as_str()));

    let signed = |name: &str| Signed { which: which(id.as_str()), token_file: token(name) };
    let sent = order(Order::Submit(signed("token"))).await.unwrap();
    let digest = fleet.rollouts().detail(&admin, &id).await.unwrap().digest;
    assert!(sent.contains("waiting_for_approval") && sent.contains(digest.as_str()), "{sent}");
    let decision = |name: &str| Decision { by: signed(name), reason: "Read.".into() };
    let approve = |name: &str| Order::Approve { digest: digest.clone(), of: decision(name) };
    let own = order(approve("token")).await.unwrap_err();
    assert!(own.contains("someone else must decide"), "{own}");
    assert_eq!(fleet.rollouts().detail(&admin, &id).await.unwrap().row.state, RolloutState::WaitingForApproval);
    order(approve("eves")).await.unwrap();
    assert_eq!(fleet.rollouts().detail(&admin, &id).await.unwrap().row.state, RolloutState::Running);

    let reasoned = |reason: &str| Reasoned { of: Plain { which: which(&row.name), token_file: None }, reason: reason.into() };
    let paused = order(Order::Pause(reasoned("storm"))).await.unwrap();
    assert!(paused.contains("paused") && paused.contains("Paused by command line: storm"), "{paused}");
    let twice = order(Order::Pause(reasoned(""))).await.unwrap_err();
    assert!(twice.contains("paused already"), "{twice}");
    let nobodys = Reasoned { of: Plain { which: which("Winter"), token_file: None }, reason: String::new() };
    assert_eq!(order(Order::Stop(nobodys)).await.unwrap_err(), "there is no rollout Winter");
    let staged = |stage| Staged { by: reasoned(""), stage };
    // What runs is never edited, and the comparison ends as applying would.
    let other = plan.replace("percent: 50", "percent: 40");
    let (refused, compared) = (desk.apply(&other).await.unwrap_err(), run(Rollout::Diff { file: desk.file(&other) }).await.unwrap_err());
    assert!(refused.contains("has begun with another plan") && compared.starts_with(&refused), "{refused}\n{compared}");
    assert!(compared.ends_with("(paused) has another plan:\n  Stage 2 A quarter, reach: up to 50 % → up to 40 %"), "{compared}");
    assert!(run(Rollout::Diff { file: desk.file(&plan) }).await.unwrap().ends_with("has this plan (paused).\n"));
    let stale = order(Order::Resume(staged(Some(2)))).await.unwrap_err();
    assert!(stale.contains("It has moved on: stage 2 was the current one"), "{stale}");
    order(Order::Resume(staged(Some(1)))).await.unwrap();
    order(Order::Stop(reasoned("enough"))).await.unwrap();
    assert!(matches!(fleet.rollouts().detail(&admin, &id).await.unwrap().row.state, RolloutState::Stopping | RolloutState::Stopped));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_rollout_and_its_devices_are_shown_by_id_and_by_name(#[case] kind: EngineKind) {
    let (desk, admin, eve) = Desk::of_eight(kind).await;
    let fleet = &desk.w.fleet;
    desk.apply(&EXAMPLE.replace("selector: tag:eu -tag:lab\n", "").replace("percent: 25", "percent: 50")).await.unwrap();
    let row = fleet.rollouts().list(&admin, None, Tab::All, 10).await.unwrap().rollouts.items.remove(0);
    let run = async |command| answer(fleet, command).await.map_err(|e| format!("{:#}", super::super::in_words(e)));
    let shown = async |command| run(Rollout::Shown(command)).await;
    let all = || Devices { which: which(&row.name), stage: None, show: None, outcome: None, select: String::new(), sort: None };

    let show = |name: &str| Shown::Show { which: which(name), plan: false };
    let drafted = shown(show(&row.name)).await.unwrap();
    assert!(drafted.contains("draft") && drafted.contains("For         every device of the type\n"), "{drafted}");
    assert!(shown(Shown::Devices(all())).await.unwrap().contains("`fleetward rollout preview-devices`"));
    let ahead = shown(Shown::PreviewDevices { which: which(&row.name), stage: None }).await.unwrap();
    assert_eq!(ahead.lines().count(), 9, "{ahead}");
    let first = shown(Shown::PreviewDevices { which: which(row.id.as_str()), stage: Some(1) }).await.unwrap();
    assert_eq!(first.lines().count(), 3, "two are the canaries: {first}");
    let none = shown(Shown::PreviewDevices { which: which(row.id.as_str()), stage: Some(9) }).await.unwrap_err();
    assert!(none.contains("stages: choose 1 to "), "{none}");
    let plan = shown(Shown::Show { which: which(&row.name), plan: true }).await.unwrap();
    assert!(plan.starts_with(&format!("# {}, digest ", row.id)) && plan.contains("    gate:\n"), "{plan}");
    let same = run(Rollout::Diff { file: desk.file(&plan) }).await.unwrap();
    assert!(same.contains("has this plan (draft)"), "it is a file that says the same: {same}");
    let nobody = shown(show("Winter")).await.unwrap_err();
    assert_eq!(nobody, "there is no rollout Winter");

    fleet.rollouts().submit(&admin, &row.id).await.unwrap();
    let digest = fleet.rollouts().detail(&admin, &row.id).await.unwrap().digest;
    let tab = async |tab| run(Rollout::List { tab: Some(tab) }).await.unwrap().lines().count();
    assert_eq!((tab(Tab::Waiting).await, tab(Tab::Running).await), (2, 1));
    fleet.rollouts().approve(&eve, &row.id, &digest, "Read.").await.unwrap();
    let said = shown(show(&row.name)).await.unwrap();
    assert_eq!(said, shown(show(row.id.as_str())).await.unwrap());
    for part in [": running\n", "Stage 1 Canary: ", &format!("Digest      {digest}\n"), "eve  yes   Read.\n", "WHEN", "Possible    "] {
        assert!(said.contains(part), "{part:?} in:\n{said}");
    }
    let devices = shown(Shown::Devices(all())).await.unwrap();
    assert!(devices.starts_with("DEVICE  STAGE  OUTCOME  ") && devices.lines().count() == 9, "{devices}");
    let canaries = shown(Shown::Devices(Devices { stage: Some(1), ..all() })).await.unwrap();
    assert_eq!(canaries.lines().count(), 3, "{canaries}");
    let last = shown(Shown::Devices(Devices { sort: Some(UpdateSort::DeviceDesc), ..all() })).await.unwrap();
    assert!(last.lines().nth(1).unwrap().starts_with("gw-8 "), "{last}");
    let one = shown(Shown::Devices(Devices { select: "gw-3".into(), ..all() })).await.unwrap();
    assert!(one.lines().count() == 2 && one.contains("\ngw-3 "), "{one}");
    for none in [Devices { outcome: Some(UpdateFailure::TimedOut), ..all() }, Devices { show: Some(Show::Succeeded), ..all() }] {
        assert!(shown(Shown::Devices(none)).await.unwrap().starts_with("No device fits."));
    }
    let wrong = shown(Shown::Devices(Devices { select: "tga:eu".into(), ..all() })).await.unwrap_err();
    assert!(wrong.contains("At character "), "{wrong}");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_cancels_beside_a_server_is_told_when_the_device_hears_of_it(#[case] kind: EngineKind) {
    let (desk, admin, eve) = Desk::of_eight(kind).await;
    let fleet = &desk.w.fleet;
    desk.apply(&EXAMPLE.replace("selector: tag:eu -tag:lab\n", "").replace("percent: 25", "percent: 50")).await.unwrap();
    let row = fleet.rollouts().list(&admin, None, Tab::All, 10).await.unwrap().rollouts.items.remove(0);
    fleet.rollouts().submit(&admin, &row.id).await.unwrap();
    let digest = fleet.rollouts().detail(&admin, &row.id).await.unwrap().digest;
    fleet.rollouts().approve(&eve, &row.id, &digest, "Read.").await.unwrap();
    let mut offered = None;
    for (n, device) in (1..).zip(&desk.devices) {
        if fleet.rollouts().poll(*device).await.unwrap().is_some() {
            offered = Some(format!("gw-{n}"));
        }
    }
    let by = Reasoned { of: Plain { which: which(&row.name), token_file: None }, reason: "on show".into() };
    let order = OfDevice { by, device: offered.expect("a canary").parse().unwrap() };
    let said = answer(fleet, Rollout::CancelDevice(order)).await.unwrap();
    assert!(said.contains("is cancelled. The server that runs tells the device within a second"), "{said}");
}

#[test]
fn a_stage_says_what_its_devices_prove() {
    let verdict =
        |succeeded, finished| Verdict { finished, succeeded, errors: finished - succeeded, sample: 3, ..Verdict::new(Call::Wait, "") };
    assert_eq!(proves(&verdict(10, 10).bounded()), ["10 of 10 finished devices succeeded: 72.2 % or more do, 95 % sure"]);
    assert_eq!(proves(&verdict(0, 0).bounded()), [""; 0]);
    let counts = Counts { total: 20, succeeded: 17, failed: 3, ..Counts::default() };
    assert_eq!(
        proves(&verdict(17, 18).seen_at(Timestamp(1_795_341_432_000)).beside(&counts).bounded()),
        [
            "as the gate saw it 22 Nov 2026 09:57 UTC: 17 of 18 finished devices succeeded: 74.2 % or more do, 95 % sure",
            "as of now: 17 of 20 finished devices succeeded: 63.9 % or more do, 95 % sure",
        ]
    );
}

#[test]
fn a_look_that_a_person_went_on_in_spite_of_says_so() {
    let found = Finding {
        look: 2,
        looks: 4,
        at: Timestamp(2),
        from: Timestamp(1),
        metric: "cpu.load".into(),
        worse: Worse::Higher,
        call: Call::Halt,
        text: "cpu.load is worse".into(),
        updated: 9,
        control: 9,
        needed: 5,
        sampled: false,
        compared: None,
        seen: false,
    };
    assert_eq!(looked(&found), "look 2 of 4: cpu.load is worse");
    assert_eq!(looked(&Finding { seen: true, ..found }), "look 2 of 4: cpu.load is worse; a person went on in spite of it");
    let no = Verdict { sample: 3, ..Verdict::new(Call::Halt, "cpu.load is worse") };
    assert!(!no.tells_who_went_on());
    let over = no.overruled("oli");
    assert!(over.tells_who_went_on() && Verdict::new(Call::Wait, format!("3 are missing; {}", over.text)).tells_who_went_on());
}
