//! E-1: groups that devices are put into as they come in, by whichever way, on both engines; and tokens for several ids.

use super::{
    Attempt, Error, World, csr, enrol,
    just_in_time::{Theirs, dial, elsewhere, policy},
    new_token, request,
};
use crate::{
    access::Actor,
    db::{EngineKind, tests::somebody_waits},
    devices::{NewBatch, Over},
    pki::Refusal,
};
use bytes::Bytes;
use rstest::rstest;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use wire::{
    FaultKind,
    devices::DeviceQuery,
    enrolment::{EnrolmentMode, GivenGroup, NewClaim, NewEnrolmentToken},
    ids::GroupId,
    registered::{JustInTime, JustInTimePolicy},
    states::DeviceState,
};

async fn members(w: &World, group: &str) -> Vec<String> {
    let query = DeviceQuery { q: format!("group:\"{group}\""), ..DeviceQuery::default() };
    let system = Actor::system(w.org.clone());
    w.fleet.devices().list(&system, &query).await.unwrap().items.into_iter().map(|d| d.device_id.to_string()).collect()
}

async fn made(w: &World, operator: &Actor, name: &str) -> GroupId {
    w.fleet.devices().create_group(operator, name).await.unwrap().id
}

/// What the books say of the device's coming in.
async fn booked(w: &World, action: &str, device: &str) -> Value {
    let log = w.fleet.access().audit_page(&Actor::system(w.org.clone()), None).await.unwrap();
    let entry = log.entries.items.into_iter().find(|e| e.action == action && e.object == device).unwrap();
    serde_json::from_str(&entry.detail).unwrap()
}

fn giving(groups: &[&str], uses: i64) -> NewEnrolmentToken {
    NewEnrolmentToken { groups: groups.iter().map(|&group| group.into()).collect(), ..new_token("", uses) }
}

fn shown(groups: &[GivenGroup]) -> Vec<(&str, bool)> {
    groups.iter().map(|group| (group.name.as_str(), group.deleted)).collect()
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_token_puts_its_devices_into_groups_that_may_be_renamed_and_deleted(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, viewer) = (w.operator().await, w.viewer().await);
    let devices = w.fleet.devices();
    let (north, hall) = (made(&w, &operator, "north").await, made(&w, &operator, "Hall 3").await);
    let token = devices.create_enrolment_token(&operator, giving(&["Hall 3", north.as_str(), " north "], 9)).await.unwrap();
    assert_eq!(shown(&token.token.groups), [("Hall 3", false), ("north", false)], "by name and id, each once");
    assert_eq!(booked(&w, "enrolment_token.create", token.token.id.as_str()).await["groups"][0]["id"], json!(hall));

    enrol(&w, &token.secret, &request(&csr("gw-1"), "gw-1")).await.unwrap();
    assert_eq!((members(&w, "north").await, members(&w, "Hall 3").await), (vec!["gw-1".to_owned()], vec!["gw-1".to_owned()]));
    let told = booked(&w, "device.enrol", "gw-1").await;
    let told: BTreeSet<&str> = told["groups"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(told, BTreeSet::from(["Hall 3", "north"]), "what is in the books goes by names");

    w.fleet.rename_group(&operator, "north", "east").await.unwrap();
    enrol(&w, &token.secret, &request(&csr("gw-2"), "gw-2")).await.unwrap();
    assert_eq!(members(&w, "east").await, ["gw-1", "gw-2"], "it is the same group");

    // A group that nothing names is forgotten; one that is named is told of by its last name.
    made(&w, &operator, "nobody's").await;
    for name in ["east", "nobody's"] {
        w.fleet.delete_group(&operator, name).await.unwrap();
    }
    enrol(&w, &token.secret, &request(&csr("gw-3"), "gw-3")).await.unwrap();
    assert_eq!(members(&w, "Hall 3").await, ["gw-1", "gw-2", "gw-3"]);
    let told = booked(&w, "device.enrol", "gw-3").await;
    assert_eq!((&told["groups"], &told["deleted_groups"]), (&json!(["Hall 3"]), &json!([north])));
    let all = devices.enrolment_tokens(&viewer, None, None).await.unwrap().items;
    assert_eq!(shown(&all[0].groups), [("Hall 3", false), ("east", true)]);
    assert_eq!(all[0].groups[1].words(), "group east (deleted)");
    let page = devices.enrolment_page(&operator).await.unwrap();
    assert_eq!(shown(&page.groups), [("Hall 3", false)], "what can be chosen");

    // A group of the same name is another one.
    made(&w, &operator, "east").await;
    enrol(&w, &token.secret, &request(&csr("gw-4"), "gw-4")).await.unwrap();
    assert!(members(&w, "east").await.is_empty());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn only_groups_that_are_there_are_given(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, admin) = (w.operator().await, w.admin().await);
    let devices = w.fleet.devices();
    made(&w, &operator, "north").await;
    let stranger = elsewhere(&w).await;
    let foreign = devices.create_group(&stranger, "theirs").await.unwrap().id;
    let many: Vec<String> = (0..21).map(|n| format!("g{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for groups in [&["south"][..], &["north", "theirs"], &[foreign.as_str()], &many] {
        let Err(refused) = devices.create_enrolment_token(&operator, giving(groups, 1)).await else { panic!("{groups:?}") };
        let fault = refused.fault();
        assert_eq!((fault.kind, fault.field.as_deref()), (FaultKind::Invalid, Some("groups")), "{groups:?}");
    }
    assert!(devices.enrolment_tokens(&admin, None, None).await.unwrap().items.is_empty(), "nothing was made");
    let theirs = devices.create_enrolment_token(&stranger, giving(&["theirs"], 1)).await.unwrap();
    assert_eq!(shown(&theirs.token.groups), [("theirs", false)]);
}

/// What was enrolled with a token that asks a person is put there when the person has said yes, as its token says then.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn who_waits_for_a_person_is_in_no_group_before(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices = w.fleet.devices();
    made(&w, &operator, "north").await;
    let asking = NewEnrolmentToken { mode: EnrolmentMode::Approval, ..giving(&["north"], 2) };
    let token = devices.create_enrolment_token(&operator, asking).await.unwrap();
    let asked = request(&csr("gw-1"), "gw-1");
    assert!(matches!(enrol(&w, &token.secret, &asked).await, Err(Error::Pending)));
    assert!(members(&w, "north").await.is_empty());
    let waiting = devices.enrolment_requests(&operator, None, None).await.unwrap().items;
    devices.approve_enrolment(&operator, &waiting[0].id).await.unwrap();
    enrol(&w, &token.secret, &asked).await.unwrap();
    assert_eq!(members(&w, "north").await, ["gw-1"]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn claims_and_batches_give_groups_as_tokens_do(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let (operator, admin) = (w.operator().await, w.admin().await);
    let devices = w.fleet.devices();
    made(&w, &operator, "north").await;
    let groups = vec!["north".to_owned()];
    let claim = NewClaim {
        groups: groups.clone(),
        trusted_user: false,
        max_uses: 5,
        ..NewClaim::here("image".into(), String::new(), String::new())
    };
    let claim = devices.create_claim(&admin, claim).await.unwrap().claim;
    assert_eq!(shown(&claim.groups), [("north", false)]);
    let over = Over { claim: Some(&claim.id), ..Over::default() };
    let asked = request(&csr("gw-1"), "gw-1");
    devices.enrol_over(Attempt { secret: "", request: &asked, address: "192.0.2.1" }, over).await.unwrap();
    assert_eq!(members(&w, "north").await, ["gw-1"]);

    let lines = [json!({ "device_id": "gw-2", "csr": csr("gw-2") }), json!({ "device_id": "gw-3" })].map(|line| line.to_string());
    let new = || NewBatch { label: "lot 17".into(), groups: groups.clone(), ..NewBatch::default() };
    let body = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(lines.join("\n")))]);
    let batch = devices.receive_batch(&operator, new(), body).await.unwrap();
    assert_eq!(shown(&batch.groups), [("north", false)]);
    while devices.work_batches().await.unwrap() {}
    assert_eq!(members(&w, "north").await, ["gw-1", "gw-2", "gw-3"], "those without a request as well");
    for (action, device) in [("device.enrol", "gw-2"), ("device.preregister", "gw-3")] {
        assert_eq!(booked(&w, action, device).await["groups"], json!(["north"]), "{device}");
    }
    let wrong = NewBatch { groups: vec!["south".into()], ..new() };
    let nothing = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::new())]);
    assert!(matches!(devices.receive_batch(&operator, wrong, nothing).await, Err(Error::Invalid { field: "groups", .. })));

    w.fleet.delete_group(&operator, "north").await.unwrap();
    let claims = devices.claims(&admin, None, None).await.unwrap().items;
    let batch = devices.batch(&admin, &batch.id).await.unwrap();
    assert_eq!((shown(&claims[0].groups), shown(&batch.groups)), (vec![("north", true)], vec![("north", true)]));
    let asked = request(&csr("gw-4"), "gw-4");
    w.clock.advance(61_000);
    devices.enrol_over(Attempt { secret: "", request: &asked, address: "192.0.2.1" }, over).await.unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn devices_of_an_own_authority_are_put_into_its_groups(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let admin = w.admin().await;
    let devices = w.fleet.devices();
    let (north, south) = (made(&w, &admin, "north").await, made(&w, &admin, "south").await);
    let theirs = Theirs::new(&w, "Plant CA");
    let given = JustInTimePolicy { groups: vec!["north".into(), south.to_string()], ..policy(JustInTime::Auto) };
    let anchor = theirs.enabled(&w, &admin, given).await;
    let kept = w.fleet.pki().registered_authority(&admin, &anchor.id).await.unwrap().policy;
    assert_eq!(kept.groups, [north.to_string(), south.to_string()], "by their ids");
    assert_eq!(dial(&w, &anchor, &theirs.fresh(&w, "meter-1")).await, Err(Refusal::Arriving));
    w.fleet.delete_group(&admin, "south").await.unwrap();
    assert_eq!(dial(&w, &anchor, &theirs.fresh(&w, "meter-2")).await, Err(Refusal::Arriving));
    assert_eq!(members(&w, "north").await, ["meter-1", "meter-2"]);
    let told = booked(&w, "device.enrol", "meter-2").await;
    assert_eq!((&told["groups"], &told["deleted_groups"]), (&json!(["north"]), &json!([south])));
    let page = devices.enrolment_page(&admin).await.unwrap();
    assert_eq!(shown(&page.groups), [("north", false), ("south", true)], "the policy names it still");
    // Given anew it has to be there.
    assert!(matches!(devices.enable_authority(&admin, &anchor.id, kept).await, Err(Error::Invalid { field: "groups", .. })));
}

/// On PostgreSQL writers run side by side: who comes in amid the deletion of a group waits for its end, and is not refused for it.
#[tokio::test]
async fn a_group_that_goes_at_that_moment_holds_nobody_up() {
    let w = World::open(EngineKind::Postgres).await;
    let operator = w.operator().await;
    let devices = w.fleet.devices();
    let north = made(&w, &operator, "north").await;
    let token = devices.create_enrolment_token(&operator, giving(&["north"], 2)).await.unwrap();
    enrol(&w, &token.secret, &request(&csr("gw-1"), "gw-1")).await.unwrap();

    let mut deleting = devices.db.write().await.unwrap();
    devices.delete_group(&mut deleting, &operator, "north").await.unwrap();
    let coming = {
        let (fleet, secret) = (w.fleet.clone(), token.secret.clone());
        tokio::spawn(async move {
            let asked = request(&csr("gw-2"), "gw-2");
            fleet.devices().enrol(Attempt { secret: &secret, request: &asked, address: "192.0.2.1" }).await
        })
    };
    somebody_waits(&devices.db).await;
    deleting.commit().await.unwrap();
    coming.await.unwrap().unwrap();
    assert_eq!(booked(&w, "device.enrol", "gw-2").await["deleted_groups"], json!([north]));
}

/// Several ids in one token: none but these, whoever is named and waits for its first certificate, and no device that has one.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_token_may_be_for_several_ids(#[case] kind: EngineKind) {
    let w = World::open(kind).await;
    let operator = w.operator().await;
    let devices = w.fleet.devices();
    let body = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{\"device_id\":\"gw-2\"}\n{\"device_id\":\"cam-7\"}"))]);
    devices.receive_batch(&operator, NewBatch::default(), body).await.unwrap();
    while devices.work_batches().await.unwrap() {}
    let token = devices.create_enrolment_token(&operator, new_token(" gw-1, gw-2\ncam-* ", 9)).await.unwrap();
    assert_eq!(token.token.pattern, "gw-1 gw-2 cam-*");
    assert!(token.command.contains("--device-id \"$(hostname)\"") && !token.code.contains("id="), "it names no one device");
    for id in ["gw-1", "GW-2x", "gw-3", "gw-2", "cam-1", "cam-7"] {
        let outcome = enrol(&w, &token.secret, &request(&csr(id), id)).await.map(drop).map_err(|e| e.fault().code);
        let expected = match id {
            "GW-2x" | "gw-3" => Err("identity_mismatch".to_owned()),
            // A pattern names nobody in particular.
            "cam-7" => Err("device_exists".to_owned()),
            _ => Ok(()),
        };
        assert_eq!(outcome, expected, "{id}");
    }
    let again = enrol(&w, &token.secret, &request(&csr("gw-1"), "gw-1")).await;
    assert!(matches!(again, Err(Error::Exists(_))), "others have the same secret");
    let query = DeviceQuery { q: "id:gw-2".into(), ..DeviceQuery::default() };
    assert_eq!(devices.list(&operator, &query).await.unwrap().items[0].state, DeviceState::Active);
    for bad in ["gw/1", "gw-1 gw?2", &"x".repeat(65), &"a ".repeat(101)] {
        let refused = devices.create_enrolment_token(&operator, new_token(bad, 1)).await;
        assert!(matches!(refused, Err(Error::Invalid { field: "pattern", .. })), "{bad}");
    }
}
