//! A rollout to 100,000 devices: how much is read and written when it moves, whatever the time that takes. A tick reads no row a device, an order writes a
//! few rows, and what is about many devices comes in parts.

use super::{Scene, stage};
use crate::{
    db::{EngineKind, Sql, counting, counting::Ran, exec, rows, select},
    devices::store as devices,
    rollouts::store::{courses, records, strata},
};
use rstest::rstest;
use wire::{
    ids::RolloutId,
    rollouts::{GateSpec, Order, Reach, RolloutSpec, Show, StageSpec, UpdateQuery, UpdateSort, Verb},
    states::{RolloutState, StageState, UpdateState},
};

const FLEET: i64 = 100_000;
const HOUR: i64 = 3_600_000;
/// What a tick or an order runs at most, and what a statement of it gives and changes: a few rows, however large the fleet is.
const STATEMENTS: usize = 120;
const FEW: u64 = 50;

const WRITE_DOWN: Sql = Sql::same(
    "INSERT INTO devices (org_id, device_id, device_id_lower, device_type, hardware, state, enrolled_at, enrolled_by, version, sequence, online)
     SELECT CAST($1 AS TEXT), 'gw-' || n.i, 'gw-' || n.i, 'gateway', 'A', 'active', 0, 'test', '1.0.0', 1, TRUE
     FROM (WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2) SELECT i FROM n) AS n",
);
const SITES: Sql = Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     SELECT number, org_id, 'site', 's' || (number % 100), device_id_lower FROM devices",
);
const NUMBERS: Sql = Sql::same("SELECT number FROM devices ORDER BY number LIMIT 5000");
/// Everybody who had no turn yet has an offer; half of them fall silent in an hour.
const OFFER: Sql = Sql::same(
    "INSERT INTO updates (id, org_id, rollout_id, device, stage, state, open, latest, again, from_version, attempts, deadline, created_at, updated_at, passed)
     SELECT 'upd_0000000000000000000000' || (1000000000 + d.number), d.org_id, CAST($1 AS TEXT), d.number, CAST($2 AS BIGINT), 'offered', TRUE, TRUE, FALSE, '1.0.0', 1,
            CASE d.number % 2 WHEN 0 THEN CAST($3 AS BIGINT) ELSE CAST($4 AS BIGINT) END, CAST($5 AS BIGINT), CAST($5 AS BIGINT), 2
     FROM devices d WHERE NOT EXISTS (SELECT 1 FROM updates u WHERE u.rollout_id = $1 AND u.device = d.number)",
);
const COUNT_OFFERS: Sql = Sql::same(
    "UPDATE rollout_stages SET updating = updating + waiting, waiting = 0, tally = tally + 1 WHERE rollout_id = $1 AND number = $2",
);

/// Stages of one device in a hundred, a tenth, a half, and the rest; each goes on on the evidence of one device.
fn stages() -> Vec<StageSpec> {
    let gate = GateSpec { success_percent: 0.0, error_percent: 100.0, min_sample: 1, ..GateSpec::default() };
    let reaches = [Reach::Count(1_000), Reach::Percent(10.0), Reach::Percent(50.0), Reach::Percent(100.0)];
    reaches.map(|reach| StageSpec { gate: gate.clone(), ..stage(reach) }).to_vec()
}

fn returned(ran: &[Ran]) -> u64 {
    ran.iter().map(|r| r.returned).max().unwrap_or(0)
}

fn affected(ran: &[Ran]) -> u64 {
    ran.iter().map(|r| r.affected).sum()
}

/// Whatever the fleet's size: few statements, few rows each.
fn small(what: &str, ran: &[Ran]) {
    assert!((1..=STATEMENTS).contains(&ran.len()), "{what} runs {} statements", ran.len());
    assert!(returned(ran) <= FEW, "{what} reads {} rows at once: {:?}", returned(ran), ran.iter().max_by_key(|r| r.returned));
    assert!(affected(ran) <= FEW, "{what} changes {} rows: {:?}", affected(ran), ran.iter().max_by_key(|r| r.affected));
}

impl Scene {
    async fn large(kind: EngineKind) -> Self {
        Self::of(kind, FLEET).await
    }

    /// So many devices at a hundred sites.
    async fn of(kind: EngineKind, devices: i64) -> Self {
        let mut s = Box::pin(Self::open(kind, 0)).await;
        let mut tx = s.rollouts().db.write().await.unwrap();
        exec!(&mut tx, WRITE_DOWN, s.w.org.as_str(), devices).unwrap();
        exec!(&mut tx, SITES).unwrap();
        tx.commit().await.unwrap();
        let mut on = s.rollouts().db.read().await.unwrap();
        s.devices = rows!(&mut on, (i64,), NUMBERS).unwrap().into_iter().map(|(number,)| number).collect();
        drop(on);
        s
    }

    async fn counted_tick(&self) -> Vec<Ran> {
        let (ticked, ran) = counting::counted(self.rollouts().tick()).await;
        ticked.unwrap();
        ran
    }

    /// The first device that is offered it installs it.
    async fn one_succeeds(&mut self) {
        for at in 0..self.devices.len() {
            let device = self.devices[at];
            if let Some(offer) = self.rollouts().poll(device).await.unwrap() {
                self.say(device, &offer.update_id, UpdateState::Downloading).await.unwrap();
                assert_eq!(self.succeed(device, &offer.update_id, "2.0.0", 2).await, UpdateState::Succeeded);
                self.devices.swap_remove(at);
                return;
            }
        }
        panic!("nobody is offered anything");
    }

    /// No statement of a tick goes through a table that has a row a device.
    async fn along_indexes(&self, ran: &[Ran]) {
        let mut on = self.rollouts().db.read().await.unwrap();
        for statement in ran.iter().filter(|r| r.sql.starts_with("SELECT")) {
            let plan: Vec<(i64, i64, i64, String)> = select(&mut on, format!("EXPLAIN QUERY PLAN {}", statement.sql), &[]).await.unwrap();
            let scans = |step: &str| ["SCAN d", "SCAN updates", "SCAN u"].iter().any(|scan| step.starts_with(scan));
            let wrong: Vec<_> = plan.iter().filter(|step| scans(&step.3)).collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", statement.sql);
        }
    }

    /// Everybody who waits in the last stage has an offer, as if all of them had asked.
    async fn everybody_is_offered_it(&self, id: &RolloutId, stage: i64) {
        let now = self.w.clock_now();
        let mut tx = self.rollouts().db.write().await.unwrap();
        let (soon, late) = (now.plus(HOUR).0, now.plus(48 * HOUR).0);
        let offered = exec!(&mut tx, OFFER, id.as_str(), stage, soon, late, now.0).unwrap();
        assert_eq!(offered, u64::try_from(FLEET).unwrap() - 3);
        assert_eq!(exec!(&mut tx, COUNT_OFFERS, id.as_str(), stage).unwrap(), 1);
        tx.commit().await.unwrap();
    }
}

/// What the database would do: open updates are few beside those that have ended, and are found without them, with every offer and every order.
#[tokio::test]
async fn open_updates_are_found_without_those_that_have_ended() {
    let s = Scene::open(EngineKind::Sqlite, 0).await;
    let mut on = s.rollouts().db.read().await.unwrap();
    let of_open = ["FROM updates", "UPDATE updates"];
    let asks =
        |sql: &&&Sql| of_open.iter().any(|verb| sql.sqlite.contains(verb)) && sql.sqlite.contains("WHERE rollout_id = $1 AND open = TRUE");
    let all: Vec<_> = crate::rollouts::store::ALL.iter().filter(asks).collect();
    assert!(all.len() >= 5, "{all:?}");
    for sql in all {
        let plan: Vec<(i64, i64, i64, String)> = select(&mut on, format!("EXPLAIN QUERY PLAN {}", sql.sqlite), &[]).await.unwrap();
        assert!(plan.iter().all(|step| step.3.contains("INDEX updates_overdue")), "{}: {plan:?}", sql.sqlite);
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_rollout_to_a_hundred_thousand_devices_moves_by_a_few_rows(#[case] kind: EngineKind) {
    let mut s = Scene::large(kind).await;
    let id = s.rollouts().draft(&s.oli, s.spec(stages())).await.unwrap();
    s.rollouts().submit(&s.oli, &id).await.unwrap();
    let digest = s.detail(&id).await.digest;

    // The draw walks the fleet, once, in pages; what it writes is the cuts, where each of the hundred sites ends, and who is in the
    // stage that is given as a number.
    let (approved, ran) = counting::counted(s.rollouts().approve(&s.ada, &id, &digest, "looks good")).await;
    approved.unwrap();
    assert!(returned(&ran) <= 2_000 && affected(&ran) <= 1_500, "{} read at once, {} written", returned(&ran), affected(&ran));
    let course = s.checked(&id).await;
    assert_eq!((course.state, course.stage, course.totals().total), (RolloutState::Running, 1, FLEET));
    let shares: Vec<i64> = course.stages.iter().map(|s| s.counts.total).collect();
    assert_eq!(shares, [1_000, 9_000, 40_000, 50_000]);

    for stage in 1..=3 {
        s.one_succeeds().await;
        let quiet = s.counted_tick().await;
        small("a tick", &quiet);
        assert_eq!(affected(&quiet), 0, "nothing is written where nothing happens");
        if kind == EngineKind::Sqlite {
            s.along_indexes(&quiet).await;
        }
        let (promoted, ran) = counting::counted(s.rollouts().act(&s.oli, &id, Verb::Promote, None, "")).await;
        promoted.unwrap();
        small("going on to the next stage", &ran);
        let course = s.checked(&id).await;
        assert_eq!((course.stage, course.current().unwrap().state), (stage + 1, StageState::Running));
    }

    for (verb, state) in [("pausing", RolloutState::Paused), ("resuming", RolloutState::Running)] {
        let (done, ran) = match state {
            RolloutState::Paused => counting::counted(s.rollouts().pause(&s.oli, &id, "a moment")).await,
            _ => counting::counted(s.rollouts().resume(&s.oli, &id, "go on")).await,
        };
        done.unwrap();
        small(verb, &ran);
        assert_eq!(s.state(&id).await, state);
    }

    // Half of the fleet falls silent at the same time: so many at once, and no statement a device.
    s.everybody_is_offered_it(&id, 4).await;
    s.w.clock.advance(2 * HOUR);
    let ran = s.counted_tick().await;
    let most = u64::try_from(courses::AT_ONCE).unwrap();
    let rounds = usize::try_from(FLEET / 2).unwrap().div_ceil(courses::AT_ONCE);
    assert!(ran.iter().all(|r| r.returned <= most && r.affected <= most), "{:?}", ran.iter().max_by_key(|r| r.returned.max(r.affected)));
    assert!(ran.len() <= (rounds + 1) * 60, "{} statements for {rounds} rounds", ran.len());
    let counts = s.checked(&id).await.totals();
    assert!((FLEET / 2 - 3..=FLEET / 2).contains(&counts.timed_out), "{counts:?}");

    // The other half is taken back: a statement for all of them, and the devices in parts.
    let (paused, ran) = counting::counted(s.rollouts().pause(&s.oli, &id, "enough for now")).await;
    paused.unwrap();
    assert!(ran.len() <= STATEMENTS, "{} statements", ran.len());
    assert!(ran.iter().filter(|r| r.affected > most || r.returned > most).count() <= 1, "only the updates themselves");
    let counts = s.checked(&id).await.totals();
    assert_eq!((counts.updating, counts.waiting + counts.timed_out + counts.succeeded), (0, FLEET));

    // Who waits is counted again before it decides anything: the fleet in pages, once in ten minutes and not with every tick.
    s.rollouts().resume(&s.oli, &id, "go on").await.unwrap();
    s.w.clock.advance(HOUR);
    let walked = s.counted_tick().await;
    assert!(walked.iter().any(|r| r.returned > 1_000) && returned(&walked) <= 2_000, "{}", returned(&walked));
    small("a tick after that", &s.counted_tick().await);

    let (stopped, ran) = counting::counted(s.rollouts().stop(&s.oli, &id, "enough")).await;
    stopped.unwrap();
    small("stopping", &ran);
    assert_eq!(s.state(&id).await, RolloutState::Stopped);
    s.checked(&id).await;
}

/// Where stages end and who was drawn into them is read for the devices that are looked at, and says of them what the whole of it says.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_page_of_who_waits_reads_of_the_draw_what_its_devices_need(#[case] kind: EngineKind) {
    let s = Scene::of(kind, 5_000).await;
    let spec = s.spec(vec![stage(Reach::Count(3_000)), stage(Reach::Percent(100.0))]);
    let id = s.approved(RolloutSpec { order: Some(Order::Spread("site".into())), ..spec }).await;
    s.rollouts().tick().await.unwrap();
    let mut on = s.rollouts().db.read().await.unwrap();
    let (record, course) = records::course(&mut on, &s.w.org, &id).await.unwrap().unwrap();
    let kept = strata::of(&mut on, &record, course.stages.iter().map(|stage| stage.cut).collect()).await.unwrap();
    assert_eq!((kept.strata.len(), kept.members.as_ref().unwrap().len()), (101, 3_001));
    let fleet = devices::facts_page(&mut on, &s.w.org, 0, 10_000, s.w.clock_now()).await.unwrap();
    drop(on);
    let of_stage = |stage: u32| {
        let taken = fleet.iter().filter(|(device, facts)| kept.stage_of(&record.id, *device, facts) == Some(stage));
        taken.map(|(_, facts)| facts.device_id.clone()).collect::<Vec<_>>()
    };
    for stage in [1, 2] {
        let (mut listed, mut cursor) = (Vec::new(), None);
        loop {
            let query = UpdateQuery { stage: Some(stage), show: Show::Waiting, cursor, rows: Some(200), ..UpdateQuery::default() };
            let (page, ran) = counting::counted(s.rollouts().page(&s.ada, &id, &query)).await;
            let updates = page.unwrap().updates;
            let of_draw: Vec<_> = ran.iter().filter(|r| r.sql.contains("rollout_members") || r.sql.contains("rollout_strata")).collect();
            // A batch of a thousand, and that members were kept.
            assert!(of_draw.len() >= 2 && of_draw.iter().all(|r| r.returned <= 1_001), "{of_draw:?}");
            listed.extend(updates.items.into_iter().map(|row| row.device_id.to_string()));
            cursor = updates.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(listed, of_stage(stage), "stage {stage}");
    }

    // So many come as they joined: a script is told, and the page shows them so. One of them is found at once.
    let sorted = UpdateQuery { sort: UpdateSort::Device, ..UpdateQuery::default() };
    assert_eq!(super::fault(s.rollouts().updates(&s.ada, &id, &sorted).await).code, "too_many_to_sort");
    let page = s.rollouts().page(&s.ada, &id, &sorted).await.unwrap();
    assert!(!page.sorts && page.updates.items.len() == 50);
    // Its pages follow on each other, by the order that they are in and by an address that still has the other one.
    let joined = UpdateQuery { sort: UpdateSort::Joined, ..sorted.clone() };
    let whole = s.rollouts().updates(&s.ada, &id, &UpdateQuery { rows: Some(100), ..joined.clone() }).await.unwrap();
    let cursor = page.updates.next.clone();
    assert!(cursor.is_some());
    for query in [&joined, &sorted] {
        let second = s.rollouts().page(&s.ada, &id, &UpdateQuery { cursor: cursor.clone(), ..query.clone() }).await.unwrap();
        let walked: Vec<_> = page.updates.items.iter().chain(&second.updates.items).map(|row| row.device_id.clone()).collect();
        let all: Vec<_> = whole.items.iter().map(|row| row.device_id.clone()).collect();
        assert_eq!((walked, second.sorts), (all, false), "{}", query.sort);
    }
    let other = UpdateQuery { cursor: Some("17.gw-1".into()), ..sorted.clone() };
    let from_the_first = s.rollouts().page(&s.ada, &id, &other).await.unwrap();
    assert_eq!(from_the_first.updates.items, page.updates.items);
    let badly = UpdateQuery { show: Show::Failed, ..sorted.clone() };
    assert!(s.rollouts().page(&s.ada, &id, &badly).await.unwrap().sorts, "nobody has failed yet");
    let one = UpdateQuery { q: fleet[4_321].1.device_id.clone(), ..sorted };
    let (found, ran) = counting::counted(s.rollouts().updates(&s.ada, &id, &one)).await;
    assert_eq!(found.unwrap().items[0].device_id.as_str(), fleet[4_321].1.device_id);
    assert!(ran.iter().all(|r| r.returned <= 1_001), "{:?}", ran.iter().map(|r| r.returned).max());
}

/// More than are looked up one by one are met on a walk, which a small fleet is read by whole: so they are sorted, and their total is exact.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_search_that_means_hundreds_of_a_small_fleet_is_sorted(#[case] kind: EngineKind) {
    let s = Scene::of(kind, 300).await;
    let id = s.approved(s.spec(vec![stage(Reach::Percent(100.0))])).await;
    s.rollouts().tick().await.unwrap();
    let query = UpdateQuery { q: "gw-".into(), sort: UpdateSort::DeviceDesc, rows: Some(200), ..UpdateQuery::default() };
    let first = s.rollouts().page(&s.ada, &id, &query).await.unwrap();
    assert!(first.sorts);
    let second = s.rollouts().updates(&s.ada, &id, &UpdateQuery { cursor: first.updates.next.clone(), ..query }).await.unwrap();
    assert_eq!((first.updates.total, second.total, second.next), (300, 300, None));
    let listed: Vec<String> = first.updates.items.iter().chain(&second.items).map(|row| row.device_id.to_string()).collect();
    let mut all: Vec<String> = (1..=300).map(|n| format!("gw-{n}")).collect();
    all.sort();
    all.reverse();
    assert_eq!(listed, all);
}
