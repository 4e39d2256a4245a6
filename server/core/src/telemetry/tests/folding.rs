use super::{db_sql::Count, *};
use proptest::prelude::*;
use rstest::rstest;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn folding_changes_where_samples_are_and_not_what_they_say(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let frame = |from: i64, n: i64| {
        (0..n).map(|i| sample(if i % 3 == 0 { "mem" } else { "cpu" }, from + i * 60_000, (i % 7) as f64)).collect::<Vec<_>>()
    };
    room.put(1, "a", 1, frame(START.0 - 3 * HOUR, 150)).await;
    room.put(2, "a", 1, frame(START.0 - HOUR, 30)).await;
    let before = (room.all(1).await, room.all(2).await);
    assert!(room.telemetry.compact_tick().await.unwrap() >= 1);
    assert_eq!(room.count(Count::LogRows).await, 0, "the log is empty");
    assert_eq!(room.telemetry.figures().unfolded, 0);
    assert_eq!(room.count(Count::Chunks).await, room.count(Count::Rollups).await, "one block per series and hour");
    assert_eq!((room.all(1).await, room.all(2).await), before);
    assert_eq!(room.telemetry.compact_tick().await.unwrap(), 0, "nothing to do");

    // Late samples go into the hours they belong to, in order; of one instant the earlier received first.
    let blocks = room.count(Count::Chunks).await;
    room.put(1, "a", 2, vec![sample("cpu", START.0 - 3 * HOUR + 60_000, -5.0), sample("cpu", START.0 - 3 * HOUR + 90_000, -6.0)]).await;
    let late = room.all(1).await;
    let of_cpu: Vec<_> = late[0].1.iter().filter(|p| p.0 < START.0 - 3 * HOUR + 130_000).copied().collect();
    let base = START.0 - 3 * HOUR;
    assert_eq!(of_cpu, [(base + 60_000, 1.0), (base + 60_000, -5.0), (base + 90_000, -6.0), (base + 120_000, 2.0)]);
    room.telemetry.compact_tick().await.unwrap();
    assert_eq!(room.all(1).await, late);
    assert_eq!(room.count(Count::Chunks).await, blocks, "merged into the blocks that were there");
    let room = room.crash().await;
    assert_eq!((room.all(1).await, room.all(2).await), (late, before.1), "and a restart finds it so");
}

fn rounds() -> impl Strategy<Value = Vec<(bool, Vec<(i64, u8)>)>> {
    prop::collection::vec((any::<bool>(), prop::collection::vec((0..4 * HOUR, 0_u8..4), 0..40)), 1..8)
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite, 12)]
#[case::postgres(EngineKind::Postgres, 4)]
fn whenever_it_is_folded_history_says_the_same(#[case] kind: EngineKind, #[case] cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases, max_shrink_iters: 20, ..ProptestConfig::default() });
    runner
        .run(&rounds(), |rounds| {
            runtime.block_on(async {
                let room = Room::open(kind).await;
                let mut expected = std::collections::BTreeMap::<String, Vec<(i64, f64)>>::new();
                for (seq, (fold, points)) in (1_u64..).zip(rounds) {
                    let frame: Vec<_> = points.iter().map(|(t, m)| sample(&format!("m{m}"), START.0 - 4 * HOUR + t, *t as f64)).collect();
                    for s in &frame {
                        expected.entry(s.m.clone()).or_default().push((s.t, s.v));
                    }
                    room.put(1, "a", seq, frame).await;
                    if fold {
                        room.telemetry.compact_tick().await.unwrap();
                    }
                    let mut model: Vec<_> = expected.clone().into_iter().collect();
                    for (_, points) in &mut model {
                        points.sort_by_key(|p| p.0);
                    }
                    prop_assert_eq!(room.all(1).await, model);
                }
                Ok(())
            })
        })
        .unwrap();
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_fast_series_gets_several_parts_of_an_hour(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let base = START.0 - HOUR;
    for seq in 1..=4 {
        // 9,000 samples each, interleaved with the frame before.
        let at = i64::try_from(seq).unwrap();
        room.put(1, "a", seq, (0..9_000).map(|i| sample("fast", base + i * 400 + at, (i * 4 + at) as f64)).collect()).await;
        room.telemetry.compact_tick().await.unwrap();
    }
    assert_eq!(room.count(Count::Chunks).await, 4);
    let some = room.history(1, base + 400_000, base + 400_000 + 400 * 400, 2_000).await;
    let expected: Vec<_> = (0..400).flat_map(|i| (1..=4).map(move |at| base + 400_000 + i * 400 + at)).collect();
    assert_eq!(some.series[0].t, expected);
    let whole = room.history(1, base, START.0, 100).await;
    assert!(whole.decimated && whole.series[0].t.len() <= 100);
    assert_eq!(whole.series[0].v.iter().copied().fold(f64::MIN, f64::max), f64::from(8_999 * 4 + 4));
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn reads_and_frames_go_on_while_it_folds(#[case] kind: EngineKind) {
    let room = Arc::new(Room::open(kind).await);
    for device in 1..=30 {
        let frame = (0..1_000).map(|i| sample(&format!("m{}", i % 10), START.0 - i * 3_000, i as f64)).collect();
        room.put(device, "a", 1, frame).await;
    }
    let expected = room.all(7).await;
    let folding = {
        let room = Arc::clone(&room);
        tokio::spawn(async move { room.telemetry.compact_tick().await.unwrap() })
    };
    let mut seq = 1;
    while !folding.is_finished() {
        seq += 1;
        assert_eq!(room.put(8, "a", seq, vec![sample("m0", START.0, 1.0)]).await.acked, seq);
        assert_eq!(room.all(7).await, expected, "neither a hole nor a double in the middle of folding");
    }
    assert!(folding.await.unwrap() >= 2, "in several steps");
    assert_eq!(room.all(7).await, expected);
}

/// A reader's look into the log before a round began, taken for today's in the middle of it, would say that nothing is in the round: its rows would be
/// deleted and folded nowhere.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_look_into_the_log_that_is_out_of_date_takes_nothing_out_of_a_round(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    room.put(1, "a", 1, vec![sample("cpu", START.0 - HOUR, 1.0)]).await;
    let early = room.telemetry.core.tail.look(&room.db).await.unwrap();
    let told = room.telemetry.core.tail.look(&room.db).await.unwrap();
    assert_eq!(room.telemetry.core.tail.take(told), Some(vec![]), "of today");
    room.telemetry.compact_tick().await.unwrap();
    room.put(1, "a", 2, vec![sample("cpu", START.0 - HOUR + 1, 2.0)]).await;
    assert_eq!(room.telemetry.core.tail.take(early), None, "of a round that is over");
    room.telemetry.compact_tick().await.unwrap();
    assert_eq!(room.all(1).await[0].1, [(START.0 - HOUR, 1.0), (START.0 - HOUR + 1, 2.0)]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_round_that_another_instance_has_begun_is_not_begun_again(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    room.put(1, "a", 1, vec![sample("cpu", START.0 - HOUR, 1.0)]).await;
    let (one, other) = (&room.telemetry.core, room.another().await);
    one.catch_up().await.unwrap();
    let (generation, open) = one.tail.round();
    assert!(!open && other.core.begin_round(generation).await.unwrap());
    assert!(!one.begin_round(generation).await.unwrap(), "what it saw is over");
    assert!(room.telemetry.compact_tick().await.unwrap() >= 1, "and goes on with the other's");
    assert_eq!(room.all(1).await[0].1, [(START.0 - HOUR, 1.0)]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn damaged_blocks_are_noticed_and_the_rest_is_served(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    room.put(1, "a", 1, vec![sample("cpu", START.0 - HOUR, 1.0)]).await;
    room.telemetry.compact_tick().await.unwrap();
    db_sql::damage(&room.db, false, b"not a chunk").await;
    room.put(1, "a", 2, vec![sample("cpu", START.0 - HOUR + 1, 2.0)]).await;
    assert_eq!(room.all(1).await[0].1, [(START.0 - HOUR + 1, 2.0)]);
    assert!(room.telemetry.figures().damaged > 0);
    room.telemetry.compact_tick().await.unwrap();
    assert_eq!(room.all(1).await[0].1, [(START.0 - HOUR + 1, 2.0)], "the hour goes on in another part");

    room.put(1, "a", 3, vec![sample("cpu", START.0, 3.0)]).await;
    db_sql::damage(&room.db, true, b"not a row").await;
    let room = room.crash().await;
    assert_eq!(room.count(Count::Aside).await, 1, "set aside, not deleted");
    room.put(1, "a", 4, vec![sample("cpu", START.0 + 1, 4.0)]).await;
    room.telemetry.compact_tick().await.unwrap();
    assert_eq!(room.all(1).await[0].1, [(START.0 - HOUR + 1, 2.0), (START.0 + 1, 4.0)]);
    assert_eq!(room.count(Count::Aside).await, 1);
    room.clock.advance(31 * 24 * HOUR);
    room.telemetry.retention_tick().await.unwrap();
    assert_eq!(room.count(Count::Aside).await, 0);
}
