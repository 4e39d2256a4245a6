use super::{db_sql::Count, *};
use rstest::rstest;
use wire::device::{MAX_METRICS, MAX_SAMPLES};

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn frames_are_acknowledged_in_order_after_few_commits(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let intake = room.intake(1, "a").await;
    assert_eq!(intake.acked(), 0);
    let mut receipts = Vec::new();
    for seq in 1..=100 {
        let t = START.0 - 100_000 + i64::try_from(seq).unwrap();
        receipts.push((seq, intake.send(seq, vec![sample("cpu", t, 0.5), sample("mem", t, 1.0)]).await.unwrap()));
    }
    let mut acked = 0;
    for (seq, receipt) in receipts {
        let done = receipt.synced().await.unwrap();
        assert!(done.acked >= seq && done.acked >= acked && done.refused.is_none());
        acked = done.acked;
    }
    assert_eq!(acked, 100);
    assert_eq!(intake.acked(), 100);
    let rows = room.count(Count::LogRows).await;
    assert!(rows < 50, "{rows} commits for 100 frames that were there at once");
    assert_eq!(room.all(1).await.iter().map(|s| s.1.len()).collect::<Vec<_>>(), [100, 100]);
    assert_eq!(room.another().await.intake(&room.org, 1, &id(1), "a").await.unwrap().acked(), 100, "and the store says so, too");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_repeated_frame_is_acknowledged_again_and_stored_once(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let intake = room.intake(1, "a").await;
    let frame = |seq: i64| vec![sample("cpu", START.0 + seq, 1.0)];
    let first = intake.send(1, frame(1)).await.unwrap();
    let again = intake.send(1, frame(1)).await.unwrap();
    let next = intake.send(2, frame(2)).await.unwrap();
    assert!(first.synced().await.unwrap().acked >= 1);
    assert!(again.synced().await.unwrap().acked >= 1, "sent again while it was queued");
    assert_eq!(next.synced().await.unwrap().acked, 2);
    assert_eq!(room.put(1, "a", 1, frame(1)).await, Ingested { acked: 2, refused: None });
    assert_eq!(room.all(1).await, [("cpu".to_owned(), vec![(START.0 + 1, 1.0), (START.0 + 2, 1.0)])]);
    assert_eq!(room.telemetry.figures().repeated, 2);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_gap_is_refused_whole_and_mended(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let frame = |seq: i64| vec![sample("cpu", START.0 + seq, 1.0)];
    room.put(1, "a", 1, frame(1)).await;
    let refused = room.put(1, "a", 3, frame(3)).await;
    assert_eq!(refused.acked, 1);
    assert_eq!(refused.refused.as_ref().map(|r| (r.samples, r.code)), Some((1, "gap")));
    assert_eq!(room.put(1, "a", 0, frame(0)).await.acked, 1, "nothing is below the first");
    assert_eq!(room.put(1, "a", 2, frame(2)).await.acked, 2);
    assert_eq!(room.put(1, "a", 3, frame(3)).await, Ingested { acked: 3, refused: None });
    assert_eq!(room.put(1, "b", 7, frame(7)).await.refused.unwrap().code, "gap", "a new stream begins at 1");
    assert_eq!(room.all(1).await[0].1.len(), 3);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn what_can_not_be_stored_is_left_out_and_named(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let t = START.0;
    let month = 30 * 24 * HOUR;
    let long = "x".repeat(65);
    let cases = [
        (sample("cpu", t, f64::NAN), "not_finite"),
        (sample("cpu", t, f64::INFINITY), "not_finite"),
        (sample("cpu", t, f64::NEG_INFINITY), "not_finite"),
        (sample("cpu", 0, 1.0), "too_old"),
        (sample("cpu", i64::MIN, 1.0), "too_old"),
        (sample("cpu", t - month - 1, 1.0), "too_old"),
        (sample("cpu", t + 300_001, 1.0), "ahead_of_time"),
        (sample("cpu", i64::MAX, 1.0), "ahead_of_time"),
        (sample("", t, 1.0), "bad_metric"),
        (sample("<script>", t, 1.0), "bad_metric"),
        (sample("a\0b", t, 1.0), "bad_metric"),
        (sample("ünit", t, 1.0), "bad_metric"),
        (sample(&long, t, 1.0), "bad_metric"),
    ];
    let mut seq = 0;
    for (bad, code) in cases {
        seq += 1;
        let done = room.put(1, "a", seq, vec![sample("good", t + i64::try_from(seq).unwrap(), 1.0), bad.clone()]).await;
        assert_eq!(done.acked, seq, "{bad:?}: the frame counts");
        assert_eq!(done.refused.map(|r| (r.samples, r.code)), Some((1, code)), "{bad:?}");
    }
    for (t, v) in [(t - month, 0.0), (t + 300_000, f64::MIN_POSITIVE), (t, f64::MAX), (t, f64::MIN), (t, -0.0)] {
        seq += 1;
        assert_eq!(room.put(1, "a", seq, vec![sample("edge", t, v)]).await, Ingested { acked: seq, refused: None });
    }
    assert_eq!(room.telemetry.figures().refused, 13);
    room.telemetry.compact_tick().await.unwrap();
    let series = room.history(1, t - month, t + HOUR, 2_000).await.series;
    assert_eq!(series.iter().map(|s| (s.metric.as_str(), s.t.len())).collect::<Vec<_>>(), [("edge", 5), ("good", 13)]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn ten_thousand_metrics_of_one_device_stop_at_the_limit(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let many = |from: usize| (from..from + MAX_SAMPLES).map(|i| sample(&format!("m{i}"), START.0, 1.0)).collect::<Vec<_>>();
    let done = room.put(1, "a", 1, many(0)).await;
    let left_out = u32::try_from(MAX_SAMPLES - MAX_METRICS).unwrap();
    assert_eq!(done.refused.map(|r| (r.samples, r.code)), Some((left_out, "too_many_metrics")));
    let room = room.crash().await;
    let done = room.put(1, "a", 2, many(100)).await;
    assert_eq!(done.acked, 2);
    assert_eq!(done.refused.map(|r| r.samples), Some(u32::try_from(MAX_SAMPLES - 400).unwrap()), "the limit outlives a restart");
    assert_eq!(room.telemetry.latest(&room.org, 1).await.unwrap().len(), MAX_METRICS);
    let mut too_many = many(0);
    too_many.push(sample("one-more", START.0, 1.0));
    let done = room.put(1, "a", 3, too_many).await;
    assert_eq!((done.acked, done.refused.unwrap().code), (3, "too_many_samples"));
    assert_eq!(room.put(2, "a", 1, vec![sample("m", START.0, 1.0)]).await.refused, None, "another device is not concerned");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn streams_and_organizations_keep_apart(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let other: OrgId = "org_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
    let mine = room.intake(1, "a").await;
    let theirs = room.telemetry.intake(&other, 2, &id(2), "a").await.unwrap();
    let (one, two) = (mine.send(1, vec![sample("cpu", START.0, 1.0)]).await, theirs.send(1, vec![sample("cpu", START.0, 2.0)]).await);
    one.unwrap().synced().await.unwrap();
    two.unwrap().synced().await.unwrap();
    for folded in [false, true] {
        if folded {
            room.telemetry.compact_tick().await.unwrap();
        }
        assert_eq!(room.all(1).await[0].1, [(START.0, 1.0)]);
        assert!(room.all(2).await.is_empty(), "a device of another organization has no history here");
        assert!(room.telemetry.latest(&room.org, 2).await.unwrap().is_empty());
        assert_eq!(room.telemetry.latest(&other, 2).await.unwrap()[0].value, 2.0);
    }
    for bad in ["", "a\nb", "a\0", &"s".repeat(65)] {
        let refused = room.telemetry.intake(&room.org, 1, &id(1), bad).await.unwrap_err();
        assert_eq!(refused.fault().code, "bad_stream");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_stream_that_moved_between_instances_is_stored_once(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let there = room.another().await;
    let frame = |seq: u64| vec![sample("cpu", START.0 + i64::try_from(seq).unwrap(), 1.0)];
    let old = room.intake(1, "a").await;
    for seq in 1..=3 {
        old.send(seq, frame(seq)).await.unwrap().synced().await.unwrap();
    }
    let moved = there.intake(&room.org, 1, &id(1), "a").await.unwrap();
    assert_eq!(moved.acked(), 3);
    for seq in 4..=6 {
        moved.send(seq, frame(seq)).await.unwrap().synced().await.unwrap();
    }
    // The old connection still has frames that were resent over the new one.
    assert_eq!(old.send(4, frame(4)).await.unwrap().synced().await.unwrap().acked, 6);
    let back = room.intake(1, "a").await;
    assert_eq!(back.acked(), 6);
    assert_eq!(back.send(7, frame(7)).await.unwrap().synced().await.unwrap().acked, 7);
    if kind == EngineKind::Postgres {
        let expected: Vec<_> = (1..=7).map(|i| (START.0 + i, 1.0)).collect();
        assert_eq!(room.all(1).await[0].1, expected, "what the other instance took is readable here, before it is folded");
        assert_eq!(there.compact_tick().await.unwrap(), 1);
        assert_eq!(room.all(1).await[0].1, expected, "and after");
        assert_eq!(room.telemetry.compact_tick().await.unwrap(), 0, "there is nothing left to fold here");
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_graceful_stop_stores_what_was_taken_and_takes_no_more(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let intake = room.intake(1, "a").await;
    let mut receipts = Vec::new();
    for seq in 1..=20 {
        receipts.push(intake.send(seq, vec![sample("cpu", START.0 + i64::try_from(seq).unwrap(), 1.0)]).await.unwrap());
    }
    room.telemetry.drain().await.unwrap();
    for receipt in receipts {
        receipt.synced().await.unwrap();
    }
    assert_eq!(intake.send(21, vec![]).await.unwrap_err().fault().code, "stopping");
    let room = room.crash().await;
    assert_eq!(room.all(1).await[0].1.len(), 20);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn old_streams_of_a_device_are_forgotten(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    for i in 0..20 {
        room.clock.advance(1);
        room.put(1, &format!("s{i}"), 1, vec![sample("cpu", START.0 + i, 1.0)]).await;
    }
    room.put(2, "only", 1, vec![]).await;
    room.telemetry.retention_tick().await.unwrap();
    assert_eq!(room.count(Count::Streams).await, 9);
    assert_eq!(room.intake(1, "s19").await.acked(), 1);
    assert_eq!(room.all(1).await[0].1.len(), 20, "their samples stay");
}

// Only SQLite: its one writer can be held from outside, which stands for a slow disk.
#[tokio::test]
async fn a_slow_disk_slows_the_greedy_device_and_nobody_else() {
    let room = Room::open(EngineKind::Sqlite).await;
    room.put(1, "a", 1, vec![sample("cpu", START.0, 0.0)]).await;
    room.put(2, "a", 1, vec![sample("cpu", START.0, 0.0)]).await;
    let disk = room.db.write().await.unwrap();
    let greedy = room.intake(1, "a").await;
    let full = || vec![sample("cpu", START.0, 1.0); MAX_SAMPLES];
    let first = greedy.send(2, full()).await.unwrap();
    let second = greedy.send(3, full()).await.unwrap();
    let mut third = Box::pin(greedy.send(4, full()));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut third).await.is_err(), "its share of the queue is used up");
    let modest = room.intake(2, "a").await;
    let quick = tokio::time::timeout(Duration::from_secs(5), modest.send(2, vec![sample("cpu", START.0, 1.0)])).await.unwrap().unwrap();
    drop(disk);
    assert!(first.synced().await.unwrap().acked >= 2);
    assert!(second.synced().await.unwrap().acked >= 3);
    assert_eq!(quick.synced().await.unwrap().acked, 2);
    assert_eq!(third.await.unwrap().synced().await.unwrap().acked, 4);
}

// Only SQLite: PostgreSQL's disk can't be filled from here; its 53100 takes the same way.
#[tokio::test]
async fn a_full_disk_holds_samples_unacknowledged_and_recovers_by_itself() {
    let room = Room::open(EngineKind::Sqlite).await;
    room.put(1, "a", 1, vec![sample("cpu", START.0, 1.0)]).await;
    db_sql::leave_room(&room.db, 2).await;
    let intake = room.intake(1, "a").await;
    let mut held = Vec::new();
    for seq in 2..=6 {
        held.push(intake.send(seq, (0..2_000).map(|i| sample("cpu", START.0 - i, 1.0)).collect()).await.unwrap());
    }
    tokio::time::timeout(Duration::from_secs(5), async {
        while !room.telemetry.figures().held {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the commit fails");
    assert_eq!(intake.acked(), 1, "nothing is acknowledged");
    assert_eq!(room.all(1).await[0].1, [(START.0, 1.0)], "reads go on");
    db_sql::leave_room(&room.db, 100_000).await;
    for receipt in held {
        receipt.synced().await.unwrap();
    }
    assert!(!room.telemetry.figures().held);
    assert_eq!(intake.acked(), 6);
    let room = room.crash().await;
    let h = room.history(1, START.0 - HOUR, START.0 + HOUR, 2_000).await;
    assert!(h.decimated);
    assert_eq!(room.telemetry.figures().unfolded, 10_001);
}

#[tokio::test]
async fn whoever_watches_the_committer_learns_of_its_end() {
    let room = Room::open(EngineKind::Sqlite).await;
    room.put(1, "a", 1, vec![sample("cpu", START.0, 1.0)]).await;
    let waits = tokio::time::timeout(Duration::from_millis(20), room.telemetry.committing()).await;
    assert!(waits.is_err(), "it works");
    room.telemetry.committer.abort();
    tokio::time::timeout(Duration::from_secs(10), room.telemetry.committing()).await.unwrap();
}

// Only SQLite: a trigger there stands for another instance that is always faster.
#[tokio::test]
async fn a_stream_that_never_stands_still_is_tried_again_with_pauses_and_told() {
    let room = Room::open(EngineKind::Sqlite).await;
    db_sql::run(&room.db, db_sql::NOTHING_MOVES).await;
    let receipt = room.intake(1, "a").await.send(1, vec![sample("cpu", START.0, 1.0)]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), async {
        while !room.telemetry.figures().held {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it is told after the third");
    assert_eq!(room.count(Count::LogRows).await, 0);
    db_sql::run(&room.db, db_sql::ALL_MOVES).await;
    assert_eq!(receipt.synced().await.unwrap().acked, 1);
    assert!(!room.telemetry.figures().held);
}
