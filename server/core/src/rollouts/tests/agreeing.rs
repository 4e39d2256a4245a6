//! The explanation and the planner agree, whatever happened: who is told that it gets the release now is offered exactly that, and who is told a
//! blocker is offered nothing. Random fleets and people, from seeds, on both engines.

use super::{Scene, stage};
use crate::{
    db::{EngineKind, Sql, exec},
    devices::DeviceNo,
    entropy::{Entropy, SeededEntropy},
    rollouts::Saw,
};
use rstest::rstest;
use std::collections::BTreeMap;
use wire::{
    device::{CONFIRMS_UPDATES, NO_KEYS, TRUSTED_KEYS, WAITS_FOR_WINDOW},
    ids::{FreezeId, ReleaseId, RolloutId},
    rollouts::{Budget, EndClass, Growth, NewFreeze, Outlook, Rate, Reach, Retry, RetryClass, RolloutSpec, Rule, Verb, WhyRollout},
    states::UpdateState,
    transfers::TransferLimits,
};

const MINUTE: i64 = 60_000;
const SAYS: Sql = Sql::same(
    "INSERT INTO device_attributes (device, org_id, name, value, place)
     VALUES ($1, $2, $3, $4, (SELECT device_id_lower FROM devices WHERE number = $1)) ON CONFLICT (device, name) DO UPDATE SET value = excluded.value",
);
const ONLINE: Sql = Sql::same("UPDATE devices SET online = $2 WHERE number = $1");
const SENT: Sql = Sql::same(
    "INSERT INTO device_bytes (device, day, bytes) VALUES ($1, $2, $3) ON CONFLICT (device, day) DO UPDATE SET bytes = excluded.bytes",
);

struct Turmoil {
    s: Scene,
    luck: SeededEntropy,
    releases: Vec<ReleaseId>,
    rollouts: Vec<RolloutId>,
    freezes: Vec<FreezeId>,
    seen: BTreeMap<String, u32>,
}

impl Turmoil {
    async fn open(kind: EngineKind, seed: u64) -> Self {
        let s = Scene::open(kind, 5).await;
        let mut releases = vec![s.release.clone()];
        for sequence in 3..=5 {
            releases.push(s.publish(&format!("{sequence}.0.0"), sequence).await);
        }
        let turmoil =
            Self { s, luck: SeededEntropy::new(seed), releases, rollouts: Vec::new(), freezes: Vec::new(), seen: BTreeMap::new() };
        let limits = TransferLimits { data_budget_mb: Some(1), ..TransferLimits::default() };
        turmoil.s.w.fleet.transfers().set_limits(&turmoil.s.ada, limits).await.unwrap();
        turmoil
    }

    fn roll(&self, below: usize) -> usize {
        usize::from(u16::from_be_bytes(<dyn Entropy>::bytes::<2>(&self.luck))) % below
    }

    fn chance(&self, percent: usize) -> bool {
        self.roll(100) < percent
    }

    fn pick<T: Clone>(&self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { of.get(self.roll(of.len())).cloned() }
    }

    fn device(&self) -> DeviceNo {
        self.s.devices[self.roll(self.s.devices.len())]
    }

    /// A plan that says anything at all.
    fn plan(&self) -> RolloutSpec {
        let last = stage(Reach::Percent(100.0));
        let stages = if self.chance(40) { vec![stage(Reach::Count(2)), last] } else { vec![last] };
        let retry = Retry { classes: vec![RetryClass::Failed], times: 2, wait_min: 30 };
        RolloutSpec {
            release: self.pick(&self.releases).unwrap(),
            selector: self.pick(&["", "", "attr.site:north", "-attr.site:north", "id:gw-1,gw-2"]).unwrap().to_owned(),
            at_once: self.chance(25).then_some(1),
            budget: self.chance(25).then(|| self.budget()),
            rate: self.chance(25).then(|| self.rate()),
            confirm_at_device: self.chance(30),
            ignore_data_budget: self.chance(40),
            window: self.chance(30).then(|| self.s.opens_in(i64::try_from(self.roll(300)).unwrap())),
            during_freeze: self.chance(20),
            retry: self.chance(50).then_some(retry),
            priority: if self.chance(30) { 6 } else { 5 },
            ..self.s.spec(stages)
        }
    }

    /// A number of a site's devices, or a share of them.
    fn budget(&self) -> Budget {
        let percent = self.pick(&[None, Some(1.0), Some(40.0), Some(100.0)]).flatten();
        Budget { attribute: "site".into(), at_most: percent.is_none().then_some(1), at_most_percent: percent }
    }

    /// So few a minute that devices wait, and it grows so fast that they don't for long.
    fn rate(&self) -> Rate {
        let growth = Growth { factor: 2.0, successes: 1, at_most: 4 };
        Rate { per_minute: 1, growth: self.chance(50).then_some(growth) }
    }

    /// Somebody does something; a refusal is as good as any other answer.
    async fn act(&mut self) {
        let (room, device) = (self.s.rollouts(), self.device());
        let rollout = self.pick(&self.rollouts);
        match self.roll(19) {
            0 | 1 => {
                let id = room.draft(&self.s.oli, self.plan()).await.unwrap();
                if self.chance(90) && room.submit(&self.s.oli, &id).await.is_ok() && self.chance(90) {
                    let digest = self.s.detail(&id).await.digest;
                    let _ = room.approve(&self.s.ada, &id, &digest, "looks good").await;
                }
                self.rollouts.push(id);
            }
            2 => {
                if let Some(id) = rollout {
                    let _ = match self.roll(6) {
                        0 => room.stop(&self.s.oli, &id, "enough").await,
                        1 | 2 => room.pause(&self.s.oli, &id, "a moment").await,
                        _ => room.resume(&self.s.oli, &id, "go on").await,
                    };
                }
            }
            3 => {
                if let Some(id) = rollout {
                    let _ = room.resume(&self.s.oli, &id, "go on").await;
                }
            }
            4 => {
                let now = self.s.w.clock_now();
                let new = NewFreeze { name: "frost".into(), reason: String::new(), from: now, until: now.plus(90 * MINUTE) };
                self.freezes.push(room.freeze(&self.s.ada, new).await.unwrap().id);
            }
            5 => {
                if let Some(id) = self.freezes.pop() {
                    let _ = room.end_freeze(&self.s.ada, &id, "").await;
                }
            }
            6 => self.s.set_device_state(device, if self.chance(60) { "active" } else { "suspended" }).await,
            7 => self.write(SAYS, device, "site", if self.chance(50) { "north" } else { "south" }).await,
            8 => self.write(SAYS, device, CONFIRMS_UPDATES, if self.chance(50) { "yes" } else { "no" }).await,
            9 => self.write(SAYS, device, WAITS_FOR_WINDOW, if self.chance(50) { "yes" } else { "no" }).await,
            10 => {
                if let Some(id) = rollout {
                    let name = format!("gw-{}", self.roll(5) + 1).parse().unwrap();
                    let _ = room.confirm_in_console(&self.s.oli, &id, &name).await;
                }
            }
            11 => {
                let mut tx = room.db.write().await.unwrap();
                exec!(&mut tx, ONLINE, device, self.chance(70)).unwrap();
                let day = crate::transfers::budget::day(self.s.w.clock_now());
                exec!(&mut tx, SENT, device, day, if self.chance(55) { 2_000_000_i64 } else { 0 }).unwrap();
                tx.commit().await.unwrap();
            }
            12 | 13 => {
                let open = room.updates_of(device).await.unwrap().into_iter().find(|update| !update.state.finished());
                if let Some(update) = open {
                    let states = [UpdateState::Downloading, UpdateState::Failed, UpdateState::Failed, UpdateState::Verifying];
                    let _ = self.s.say(device, &update.id, self.pick(&states).unwrap()).await;
                    if self.chance(30) {
                        let sequence: u64 = update.to_version[..1].parse().unwrap();
                        self.s.succeed(device, &update.id, &update.to_version, sequence).await;
                    }
                }
            }
            14 => {
                let name = format!("gw-{}", self.roll(5) + 1).parse().unwrap();
                let _ = if self.chance(12) {
                    room.pin(&self.s.oli, &name, "it is on show").await.map(drop)
                } else {
                    room.unpin(&self.s.oli, &name).await
                };
            }
            15 => {
                let own = &super::key().keyid()[..16];
                self.write(SAYS, device, TRUSTED_KEYS, if self.chance(20) { NO_KEYS } else { own }).await;
            }
            16 => self.by_hand(rollout).await,
            _ => {
                let minutes = self.pick(&[1, 7, 40, 200]).unwrap();
                self.s.w.clock.advance(minutes * MINUTE);
            }
        }
        self.s.rollouts().tick().await.unwrap();
    }

    /// Somebody cancels the update of a device, or has everybody tried again who is not done.
    async fn by_hand(&self, rollout: Option<RolloutId>) {
        let Some(id) = rollout else { return };
        let room = self.s.rollouts();
        if self.chance(70) {
            let name = format!("gw-{}", self.roll(5) + 1).parse().unwrap();
            let _ = room.cancel_update(&self.s.oli, &id, &name, None, "it is on show").await;
        } else {
            let all = Saw { classes: Some(EndClass::ALL), ..Saw::default() };
            let _ = room.act_on(&self.s.oli, &id, Verb::Retry, all, "").await;
        }
    }

    async fn write(&self, sql: Sql, device: DeviceNo, name: &str, value: &str) {
        let mut tx = self.s.rollouts().db.write().await.unwrap();
        exec!(&mut tx, sql, device, self.s.w.org.as_str(), name, value).unwrap();
        tx.commit().await.unwrap();
    }

    /// What a device is told, against what it is offered.
    async fn compare(&mut self, device: DeviceNo) {
        let room = self.s.rollouts();
        let why = room.explained(device).await.unwrap();
        let before = room.updates_of(device).await.unwrap().into_iter().find(|update| !update.state.finished());
        let offered = room.poll(device).await.unwrap();
        match why.outlook {
            Outlook::UnderWay => assert!(before.is_some(), "{why:?}"),
            Outlook::Now | Outlook::WhenItAsks => {
                let offer = offered.unwrap_or_else(|| panic!("told that it gets it, and gets nothing: {why:?}"));
                assert_eq!(offer.rollout_id, why.rollouts[0].id, "{why:?}");
                assert!(why.rollouts[0].blocker().is_none_or(|blocker| blocker.rule == Rule::Asks));
            }
            Outlook::Blocked => {
                assert!(offered.is_none(), "told that it is kept back, and offered something: {why:?}");
                let done = |rollout: &WhyRollout| rollout.outlook == Outlook::Done;
                assert!(why.rollouts.iter().all(|rollout| done(rollout) || rollout.blocker().is_some()), "{why:?}");
            }
            Outlook::Done => assert!(offered.is_none() && why.rollouts[0].blocker().is_none(), "{why:?}"),
            Outlook::Nothing => assert!(offered.is_none() && why.answer.is_empty() && why.rollouts.is_empty(), "{why:?}"),
        }
        // Who waits for a rate is told by when its turn comes, and never a time that has passed.
        let waits = why.rollouts.iter().filter_map(|rollout| rollout.blocker()).filter(|blocker| blocker.rule == Rule::AtOnce);
        for blocker in waits {
            assert!(blocker.again_at.is_none_or(|at| at >= room.clock.now()), "{why:?}");
            if blocker.fact.contains("begun within a minute") {
                assert!(blocker.again_at.is_some() && blocker.fact.contains("its turn is estimated by"), "{why:?}");
                *self.seen.entry("rate".to_owned()).or_default() += 1;
            }
            if blocker.fact.contains("devices with site") {
                *self.seen.entry("budget".to_owned()).or_default() += 1;
            }
        }
        let blocker = why.rollouts.first().and_then(|rollout| rollout.blocker()).map(|blocker| blocker.rule.to_string());
        *self.seen.entry(why.outlook.to_string()).or_default() += 1;
        if why.outlook == Outlook::Blocked {
            *self.seen.entry(blocker.unwrap()).or_default() += 1;
        }
    }
}

async fn run(kind: EngineKind, seed: u64, steps: usize) -> BTreeMap<String, u32> {
    let mut turmoil = Turmoil::open(kind, seed).await;
    for _ in 0..steps {
        turmoil.act().await;
        let device = turmoil.device();
        turmoil.compare(device).await;
    }
    turmoil.seen
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite, 18)]
#[case::postgres(EngineKind::Postgres, 3)]
#[tokio::test]
async fn what_is_explained_is_what_is_offered(#[case] kind: EngineKind, #[case] seeds: u64) {
    let mut seen = BTreeMap::<String, u32>::new();
    for seed in 0..seeds {
        for (what, times) in Box::pin(run(kind, seed, 120)).await {
            *seen.entry(what).or_default() += times;
        }
    }
    if kind == EngineKind::Sqlite {
        // Each of these was the reason at least once, or the comparison would be worth little.
        let rules = [
            Rule::OwnTurn,
            Rule::Selected,
            Rule::Active,
            Rule::Pinned,
            Rule::Older,
            Rule::Signed,
            Rule::GoesOut,
            Rule::Stage,
            Rule::Time,
            Rule::AtOnce,
            Rule::DataBudget,
            Rule::Agreed,
        ];
        let outlooks = [Outlook::Nothing, Outlook::UnderWay, Outlook::Now, Outlook::WhenItAsks, Outlook::Blocked, Outlook::Done];
        let limits = ["rate", "budget"].map(str::to_owned);
        let expected = rules.iter().map(ToString::to_string).chain(outlooks.iter().map(ToString::to_string)).chain(limits);
        for what in expected {
            assert!(seen.contains_key(&what), "{what} never came: {seen:?}");
        }
    }
}
