use super::*;
use proptest::{prelude::*, test_runner::TestCaseError};
use rstest::rstest;
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

/// What a run does before it is cut.
#[derive(Debug, Clone)]
struct Plan {
    /// Frames of each device, each of so many samples.
    frames: Vec<Vec<u8>>,
    /// After so many looks at the scheduler the process ends.
    cuts: Vec<u16>,
    /// Whether the log is folded meanwhile.
    fold: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let frames = prop::collection::vec(prop::collection::vec(0_u8..5, 1..12), 1..6);
    (frames, prop::collection::vec(0_u16..400, 1..4), any::<bool>()).prop_map(|(frames, cuts, fold)| Plan { frames, cuts, fold })
}

/// Every sample has a time of its own, so "exactly once" can be counted.
fn samples(seq: u64, n: u8) -> Vec<Sample> {
    (0..i64::from(n))
        .map(|i| sample(if i % 2 == 0 { "cpu" } else { "mem" }, START.0 - 7 * HOUR + i64::try_from(seq).unwrap() * 1_800_000 + i, 1.5))
        .collect()
}

/// Sends what isn't acknowledged, is cut, and begins again; at last everything sent is there once.
async fn live_through(kind: EngineKind, plan: &Plan) -> Result<(), TestCaseError> {
    let mut room = Room::open(kind).await;
    for cut in plan.cuts.iter().map(Some).chain([None]) {
        let mut acked = BTreeMap::new();
        let mut receipts = Vec::new();
        for (device, frames) in (1_i64..).zip(&plan.frames) {
            let intake = room.intake(device, "s").await;
            acked.insert(device, intake.acked());
            for (seq, n) in (1_u64..).zip(frames).filter(|(seq, _)| *seq > intake.acked()) {
                receipts.push((device, seq, intake.send(seq, samples(seq, *n)).await.unwrap()));
            }
        }
        let folding = async {
            if plan.fold {
                room.telemetry.compact_tick().await.unwrap();
                room.telemetry.compact_tick().await.unwrap();
            }
        };
        let work = async {
            let acks = async {
                for (device, seq, receipt) in receipts {
                    let done = receipt.synced().await.unwrap();
                    assert!(done.acked >= seq);
                    acked.insert(device, done.acked);
                }
            };
            tokio::join!(acks, folding);
        };
        match cut {
            Some(cut) => {
                tokio::select! {
                    biased;
                    () = work => {}
                    () = async { for _ in 0..*cut { tokio::task::yield_now().await } } => {}
                }
                room = room.crash().await;
            }
            None => work.await,
        }
        for (device, frames) in (1_i64..).zip(&plan.frames) {
            let stored = room.intake(device, "s").await.acked();
            prop_assert!(stored >= acked[&device], "device {device}: {} was acknowledged, {stored} is stored", acked[&device]);
            let mut expected: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
            for (seq, n) in (1_u64..=stored).zip(frames) {
                for s in samples(seq, *n) {
                    expected.entry(s.m).or_default().push((s.t, s.v));
                }
            }
            prop_assert_eq!(room.all(device).await, expected.into_iter().collect::<Vec<_>>(), "device {}", device);
        }
    }
    Ok(())
}

fn run(kind: EngineKind, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases, max_shrink_iters: 20, ..ProptestConfig::default() });
    runner.run(&plan(), |plan| runtime.block_on(live_through(kind, &plan))).unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite, 24)]
#[case::postgres(EngineKind::Postgres, 8)]
fn a_process_that_ends_anywhere_loses_and_doubles_nothing(#[case] kind: EngineKind, #[case] cases: u32) {
    run(kind, cases);
}

const VICTIM: &str = "FLEETWARD_TEST_VICTIM";

/// Not a test by itself: the process that [`kill_nine_loses_nothing_acknowledged`] starts and kills. Prints what was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_victim() {
    let Ok(file) = std::env::var(VICTIM) else { return };
    let db = Db::open(&crate::db::Location::Sqlite(file.into()), Store::Telemetry).await.unwrap();
    let room = Room::over(db, tempfile::tempdir().unwrap()).await;
    let fold = async {
        loop {
            room.telemetry.compact_tick().await.unwrap();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    let send = async {
        let intakes = [(1, room.intake(1, "s").await), (2, room.intake(2, "s").await)];
        for seq in 1..=200_u64 {
            for (device, intake) in &intakes {
                // Ten samples a frame, spread over 16 hours of the past.
                let t = START.0 - 17 * HOUR + i64::try_from(seq).unwrap() * 290_000;
                let frame = (0..10).map(|i| sample("cpu", t + i, 1.0)).collect();
                let done = intake.send(seq, frame).await.unwrap().synced().await.unwrap();
                println!("acked {device} {}", done.acked);
            }
        }
        println!("all sent");
    };
    tokio::select! { () = fold => {}, () = send => {} }
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn kill_nine_loses_nothing_acknowledged() {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(9));
    for trial in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("telemetry.db");
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "telemetry::tests::crash::the_victim", "--nocapture"])
            .env(VICTIM, &file)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stop_after = 1 + entropy.below(300);
        let mut acked = BTreeMap::new();
        let mut seen = 0;
        for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "all sent" {
                break;
            }
            if let Some((_, rest)) = line.split_once("acked ") {
                let (device, seq) = rest.split_once(' ').unwrap();
                acked.insert(device.parse::<i64>().unwrap(), seq.parse::<u64>().unwrap());
                seen += 1;
                if seen == stop_after {
                    victim.kill().unwrap();
                }
            }
        }
        let _ = victim.kill();
        victim.wait().unwrap();
        assert!(seen >= stop_after, "trial {trial}: the victim worked");
        let db = Db::open(&crate::db::Location::Sqlite(file), Store::Telemetry).await.unwrap();
        let room = Room::over(db, folder).await;
        for folded in [false, true] {
            if folded {
                room.telemetry.compact_tick().await.unwrap();
            }
            for device in [1, 2] {
                let Some(acked) = acked.get(&device) else { continue };
                let stored = room.intake(device, "s").await.acked();
                assert!(stored >= *acked, "trial {trial}: {acked} acknowledged, {stored} stored");
                let times: Vec<_> = room.all(device).await.remove(0).1.into_iter().map(|p| p.0).collect();
                let expected: Vec<_> = (1..=i64::try_from(stored).unwrap())
                    .flat_map(|seq| (0..10).map(move |i| START.0 - 17 * HOUR + seq * 290_000 + i))
                    .collect();
                assert_eq!(times, expected, "trial {trial}: each sample once");
            }
        }
    }
}
