//! The room on both engines: four eyes, a course from end to end, faults, lists, and a storm of devices with two controllers.

mod again;
mod agreeing;
mod applying;
mod approval;
mod approvers;
mod back;
mod beside;
mod budgets;
mod cancelling;
mod changes;
mod choosing;
mod confirming;
mod course;
mod ddi;
mod deltas;
mod each_gate;
mod evidence;
mod expected;
mod expiring;
mod faults;
mod glass;
mod going_on;
mod holding;
mod inbox;
mod large;
mod limits;
mod lists;
mod narrowing;
mod order;
mod pinning;
mod planning;
mod quorum;
mod report;
mod said;
mod set_aside;
mod storm;
mod time;
mod trusting;
mod untried;
mod uses;

use super::{
    Rollouts,
    course::{Course, sound},
    state::Class,
    store::records,
};
use crate::{
    access::Actor,
    bus::Event,
    db::{EngineKind, Sql, exec, row, rows},
    devices::DeviceNo,
    entropy::SeededEntropy,
    releases::signing::SigningKeyPair,
    testing::{self, World},
};
use std::collections::BTreeSet;
use wire::{
    Fault, Timestamp,
    device::{Offer, Running, StatusReport},
    ids::{Digest, ReleaseId, RolloutId, UpdateId},
    manifest::Manifest,
    rollouts::{ApprovalsPage, Counts, GateSpec, InboxQuery, InboxTab, Reach, RolloutDetail, RolloutSpec, StageSpec, UpdateQuery},
    states::{RolloutState, UpdateState},
};

const DEVICE: Sql = Sql::same(
    "INSERT INTO devices (org_id, device_id, device_id_lower, device_type, hardware, state, enrolled_at, enrolled_by, version, sequence, online)
     VALUES ($1, $2, $2, 'gateway', 'A', 'active', 0, 'test', '1.0.0', 1, TRUE) RETURNING number",
);
const BY_STATE: Sql =
    Sql::same("SELECT stage, state, again, COUNT(*) FROM updates WHERE rollout_id = $1 AND latest = TRUE GROUP BY stage, state, again");
const OPEN_PER_DEVICE: Sql = Sql::same("SELECT device, COUNT(*) FROM updates WHERE open = TRUE GROUP BY device HAVING COUNT(*) > 1");

/// A fleet of gateways on 1.0.0, a published release 2.0.0, an operator and an admin.
struct Scene {
    w: World,
    ada: Actor,
    oli: Actor,
    release: ReleaseId,
    devices: Vec<DeviceNo>,
}

fn stage(reach: Reach) -> StageSpec {
    StageSpec { name: String::new(), reach, soak_s: 0, confirm: false, gate: GateSpec::default() }
}

fn key() -> SigningKeyPair {
    SigningKeyPair::generate(&SeededEntropy::new(1)).unwrap()
}

fn fault<T: std::fmt::Debug>(result: crate::Result<T>) -> Fault {
    result.expect_err("a refusal").fault()
}

impl Scene {
    async fn open(kind: EngineKind, devices: usize) -> Self {
        Self::over(World::open(kind).await, devices).await
    }

    /// The same in a world that is open.
    async fn over(w: World, devices: usize) -> Self {
        let (ada, oli) = (w.admin().await, w.operator().await);
        w.fleet.releases().add_key(&ada, "build", &key().public_pem()).await.unwrap();
        let mut scene = Self { w, ada, oli, release: "rel_00000000000000000000000000000000".parse().unwrap(), devices: Vec::new() };
        scene.release = scene.publish("2.0.0", 2).await;
        for n in 1..=devices {
            scene.join(&format!("gw-{n}")).await;
        }
        scene
    }

    fn rollouts(&self) -> &Rollouts {
        self.w.fleet.rollouts()
    }

    /// A published release for gateways.
    async fn publish(&self, version: &str, sequence: u64) -> ReleaseId {
        self.publish_until(version, sequence, None).await
    }

    /// The same, whose manifest expires then.
    async fn publish_until(&self, version: &str, sequence: u64, expires: Option<Timestamp>) -> ReleaseId {
        let content = format!("firmware {version}");
        let manifest = Manifest { expires, ..testing::manifest(version, sequence, &[("fw.bin", "raw", content.as_bytes())]) };
        self.w.publish(&self.oli, &key(), &manifest, &[("fw.bin", content.as_bytes())]).await
    }

    /// One more device.
    async fn join(&mut self, device_id: &str) -> DeviceNo {
        let mut tx = self.rollouts().db.write().await.unwrap();
        let (number,) = row!(&mut tx, (i64,), DEVICE, self.w.org.as_str(), device_id).unwrap().unwrap();
        tx.commit().await.unwrap();
        self.devices.push(number);
        number
    }

    fn spec(&self, stages: Vec<StageSpec>) -> RolloutSpec {
        let stages = (1..).zip(stages).map(|(n, stage)| StageSpec { name: StageSpec::usual_name(n), ..stage }).collect();
        RolloutSpec { release: self.release.clone(), reason: "because".into(), ..super::testing::spec(stages) }
    }

    async fn detail(&self, id: &RolloutId) -> RolloutDetail {
        self.rollouts().page(&self.ada, id, &UpdateQuery::default()).await.unwrap().rollout
    }

    /// All that waits for approval, as this person sees it.
    async fn inbox(&self, actor: &Actor) -> ApprovalsPage {
        self.rollouts().approvals(actor, &InboxQuery { tab: InboxTab::Waiting, cursor: None }).await.unwrap()
    }

    async fn state(&self, id: &RolloutId) -> RolloutState {
        self.detail(id).await.row.state
    }

    /// A rollout that oli drafted and ada approved.
    async fn approved(&self, spec: RolloutSpec) -> RolloutId {
        let id = self.rollouts().draft(&self.oli, spec).await.unwrap();
        self.rollouts().submit(&self.oli, &id).await.unwrap();
        let digest = self.detail(&id).await.digest;
        self.rollouts().approve(&self.ada, &id, &digest, "looks good").await.unwrap();
        id
    }

    /// Asks for every device, and gives those that were offered something.
    async fn poll_all(&self) -> Vec<(DeviceNo, Offer)> {
        let mut offered = Vec::new();
        for device in &self.devices {
            if let Some(offer) = self.rollouts().poll(*device).await.unwrap() {
                offered.push((*device, offer));
            }
        }
        offered
    }

    async fn say(&self, device: DeviceNo, update: &UpdateId, state: UpdateState) -> crate::Result<UpdateState> {
        self.rollouts().report(device, says(update, state)).await
    }

    /// Says that the device succeeded and runs this.
    async fn succeed(&self, device: DeviceNo, update: &UpdateId, version: &str, sequence: u64) -> UpdateState {
        let firmware = Running { version: version.into(), sequence, device_type: "gateway".into(), hardware: "A".into() };
        let report = StatusReport { firmware: Some(firmware), ..says(update, UpdateState::Succeeded) };
        self.rollouts().report(device, report).await.unwrap()
    }

    /// The server sends these bytes of a file to the device, as far as it may have them.
    async fn sends(&self, device: DeviceNo, file: &Digest, part: std::ops::Range<u64>) {
        let fetching = self.rollouts().may_download(device, file).await.unwrap().expect("its own file");
        self.rollouts().was_sent(&fetching, file, &part).await.unwrap();
    }

    /// Everybody who is offered something installs it.
    async fn everybody_updates(&self) -> usize {
        let offered = self.poll_all().await;
        for (device, offer) in &offered {
            self.say(*device, &offer.update_id, UpdateState::Downloading).await.unwrap();
            assert_eq!(self.succeed(*device, &offer.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
        }
        self.rollouts().tick().await.unwrap();
        offered.len()
    }

    /// The course as it is kept, after it was found sound and its counts what counting gives.
    async fn checked(&self, id: &RolloutId) -> Course {
        let mut on = self.rollouts().db.read().await.unwrap();
        let (_, course) = records::course(&mut on, &self.w.org, id).await.unwrap().unwrap();
        assert_eq!(sound(&course), Ok(()));
        let mut counted = vec![Counts::default(); course.stages.len()];
        for (stage, state, again, n) in rows!(&mut on, (i64, String, bool, i64), BY_STATE, id.as_str()).unwrap() {
            if !again {
                Class::of(state.parse().unwrap()).add(&mut counted[usize::try_from(stage).unwrap() - 1], n);
            }
        }
        for (kept, counted) in course.stages.iter().zip(&counted) {
            for class in Class::ALL.into_iter().filter(|c| *c != Class::Waiting) {
                assert_eq!(class.of_counts(&kept.counts), class.of_counts(counted), "{class:?} of {:?}", kept.counts);
            }
        }
        assert_eq!(rows!(&mut on, (i64, i64), OPEN_PER_DEVICE).unwrap(), []);
        course
    }

    /// The events told since the last call.
    fn told(events: &mut tokio::sync::broadcast::Receiver<Event>) -> Vec<Event> {
        std::iter::from_fn(|| events.try_recv().ok()).collect()
    }
}

fn says(update: &UpdateId, state: UpdateState) -> StatusReport {
    StatusReport {
        update_id: update.clone(),
        state,
        progress: None,
        code: None,
        detail: None,
        firmware: None,
        deferred_until: None,
        slots: None,
    }
}

#[tokio::test]
async fn every_statement_of_the_room_is_listed() {
    // A statement that is not in `ALL` is not prepared on both engines.
    let sources = [
        include_str!("../store/confirming.rs"),
        include_str!("../store/approvers.rs"),
        include_str!("../store/back.rs"),
        include_str!("../store/courses.rs"),
        include_str!("../store/ddi.rs"),
        include_str!("../store/dark.rs"),
        include_str!("../store/deltas.rs"),
        include_str!("../store/freezes.rs"),
        include_str!("../store/glass.rs"),
        include_str!("../store/history.rs"),
        include_str!("../store/lists.rs"),
        include_str!("../store/log.rs"),
        include_str!("../store/offers.rs"),
        include_str!("../store/parts.rs"),
        include_str!("../store/plans.rs"),
        include_str!("../store/quorum.rs"),
        include_str!("../store/records.rs"),
        include_str!("../store/sent.rs"),
        include_str!("../store/strata.rs"),
        include_str!("../store/turns.rs"),
        include_str!("../store/updates.rs"),
        include_str!("../store/uses.rs"),
    ];
    let made: usize = sources.iter().map(|s| s.matches(": Sql =").count()).sum();
    assert_eq!(made, super::store::ALL.len());
}

/// The words of each `IN (…)` of the one statement that holds this text.
fn lists_in(all: &[&Sql], text: &str) -> Vec<BTreeSet<String>> {
    let found: Vec<_> = all.iter().filter(|sql| sql.sqlite.contains(text)).collect();
    assert_eq!(found.len(), 1, "{text}");
    let of = |list: &str| list.split(')').next().unwrap().split(',').map(|word| word.trim().trim_matches('\'').to_owned()).collect();
    found[0].sqlite.split(" IN (").skip(1).map(of).collect()
}

fn words(of: impl Fn(UpdateState) -> bool) -> BTreeSet<String> {
    UpdateState::ALL.iter().filter(|s| of(**s)).map(ToString::to_string).collect()
}

#[test]
fn states_listed_in_statements_are_those_of_the_machines() {
    use super::state::{ROLLOUT, UPDATE, ended, legal};
    let all = super::store::ALL;
    let error = |s| matches!(Class::of(s), Class::Failed | Class::Reverted | Class::TimedOut | Class::Rejected);
    assert_eq!(lists_in(all, "AND ($3 = 0 OR u.stage = $3) AND (CASE WHEN u.again"), [words(error)]);
    assert_eq!(lists_in(all, "GROUP BY u.state, u.code"), [words(error)]);
    assert_eq!(lists_in(all, "'rejected') AND u.state = $4"), [words(error)]);
    let counted = lists_in(crate::devices::store::ALL, "SUM(CASE WHEN update_state IN");
    assert_eq!(counted, [words(|s| !s.finished()), words(error)]);
    let not_begun = words(|s| legal(UPDATE, s, UpdateState::Downloading) && s != UpdateState::Queued && !s.finished());
    let not_installing = words(|s| legal(UPDATE, s, UpdateState::Cancelled) && s != UpdateState::Queued);
    assert_eq!(
        lists_in(all, "SELECT COUNT(*) FROM updates\n     WHERE rollout_id = $1 AND open = TRUE AND state IN"),
        std::slice::from_ref(&not_installing)
    );
    let withdrawn: BTreeSet<_> = all.iter().filter(|s| s.sqlite.contains("SET state = 'cancelled'")).map(|s| s.sqlite).collect();
    assert_eq!(withdrawn.len(), 4);
    for (sql, expected) in withdrawn.iter().zip([&not_begun, &not_installing, &not_installing, &not_begun]) {
        assert_eq!(lists_in(all, sql), std::slice::from_ref(expected));
    }
    for text in ["SET state = 'superseded'", "AND NOT (x.sequence < $3"] {
        assert_eq!(lists_in(all, text), std::slice::from_ref(&not_begun));
    }
    // Every state of a rollout is in one tab, and what ended is in the tab that names none.
    let tabs = lists_in(all, "ORDER BY x.id DESC LIMIT $4");
    let tabs: Vec<String> = tabs.into_iter().flatten().collect();
    let alive: BTreeSet<_> = RolloutState::ALL.iter().filter(|s| !ended(ROLLOUT, **s)).map(ToString::to_string).collect();
    let alive_and_asked: BTreeSet<_> = alive.iter().filter(|s| !["draft", "rejected"].contains(&s.as_str())).cloned().collect();
    assert_eq!(lists_in(all, "ORDER BY u.id DESC LIMIT 20)))")[0], alive_and_asked);
    assert_eq!((tabs.len(), tabs.into_iter().collect::<BTreeSet<_>>()), (alive.len(), alive));
}

const SET_STATE: Sql = Sql::same("UPDATE devices SET state = $2 WHERE number = $1");

impl Scene {
    async fn set_device_state(&self, device: DeviceNo, state: &str) {
        let mut tx = self.rollouts().db.write().await.unwrap();
        exec!(&mut tx, SET_STATE, device, state).unwrap();
        tx.commit().await.unwrap();
    }
}
