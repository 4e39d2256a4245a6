use super::{db_sql::Count, *};
use crate::access::Who;
use rstest::rstest;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn long_ranges_come_from_rollups_and_keep_their_extremes(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let days = 3;
    let from = START.0 - days * 24 * HOUR;
    let value = |i: i64| {
        if i == 100_003 {
            1e6
        } else if i == 200_001 {
            -1e6
        } else {
            ((i * 37) % 1000) as f64
        }
    };
    let n = days * 24 * 3600;
    let all: Vec<_> = (0..n).map(|i| sample("cpu", from + i * 1000, value(i))).collect();
    for (seq, frame) in (1_u64..).zip(all.chunks(10_000)) {
        room.put(1, "a", seq, frame.to_vec()).await;
    }
    room.telemetry.compact_tick().await.unwrap();
    // What is not folded yet is in the picture, too.
    let last = u64::try_from(n).unwrap().div_ceil(10_000) + 1;
    room.put(1, "a", last, vec![sample("cpu", START.0 - 1, 2e6)]).await;
    for points in [10, 300, 2_000] {
        let h = room.history(1, from, START.0, points).await;
        let s = &h.series[0];
        assert!(h.decimated && s.t.len() <= points as usize && s.t.is_sorted(), "{points}: {}", s.t.len());
        for (t, v) in s.t.iter().zip(&s.v) {
            assert!(
                (*t, *v) == (START.0 - 1, 2e6) || ((t - from) % 1000 == 0 && value((t - from) / 1000) == *v),
                "{t} {v} was never measured"
            );
        }
        let (low, high) = (s.v.iter().copied().fold(f64::MAX, f64::min), s.v.iter().copied().fold(f64::MIN, f64::max));
        assert_eq!((low, high), (-1e6, 2e6));
    }
    let hour = room.history(1, from + HOUR, from + HOUR + 600_000, 2_000).await;
    assert!(!hour.decimated);
    assert_eq!(hour.series[0].t, (3600..4200).map(|i| from + i * 1000).collect::<Vec<_>>());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_query_says_which_metrics_and_who_may_ask(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let t = START.0 - HOUR;
    room.put(1, "a", 1, vec![sample("a", t, 1.0), sample("b", t, 2.0), sample("c", t, 3.0)]).await;
    let system = Actor::system(room.org.clone());
    for folded in [false, true] {
        if folded {
            room.telemetry.compact_tick().await.unwrap();
        }
        for (metrics, expected) in
            [(vec![], vec!["a", "b", "c"]), (vec!["b"], vec!["b"]), (vec!["c", "a", "zzz"], vec!["a", "c"]), (vec!["zzz"], vec![])]
        {
            let metrics = metrics.into_iter().map(str::to_owned).collect();
            let q = HistoryQuery { metrics, ..Room::query(1, t, t + 1, 10) };
            let h = room.telemetry.history(&system, &q, 1).await.unwrap();
            assert_eq!(h.series.iter().map(|s| s.metric.as_str()).collect::<Vec<_>>(), expected);
        }
        assert!(room.history(1, t + 1, t + HOUR, 10).await.series.is_empty(), "from is inclusive, to is not");
        assert!(room.history(1, t - HOUR, t, 10).await.series.is_empty());
    }
    for wrong in [
        Room::query(1, t, t, 100),
        Room::query(1, t, t - 1, 100),
        Room::query(1, 0, t, 100),
        Room::query(1, t, t + 1, 9),
        Room::query(1, t, t + 1, 2_001),
    ] {
        assert_eq!(room.telemetry.history(&system, &wrong, 1).await.unwrap_err().fault().code, "bad_history_query");
    }
    let device = Actor { who: Who::Device { device: 1, device_id: id(1) }, ..Actor::system(room.org.clone()) };
    assert!(room.telemetry.history(&device, &Room::query(1, t, t + 1, 10), 1).await.is_err(), "a device reads nothing");
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn the_latest_value_survives_folding_and_restarts(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    room.put(1, "a", 1, vec![sample("cpu", START.0, 1.0), sample("mem", START.0 - 5, 2.0)]).await;
    // What a device had buffered is not newer than what it sent before.
    room.put(1, "a", 2, vec![sample("cpu", START.0 - HOUR, 9.0), sample("mem", START.0, 3.0)]).await;
    let expected = |l: Vec<LatestValue>| {
        let values: Vec<_> = l.iter().map(|v| (v.metric.as_str(), v.at, v.value)).collect();
        assert_eq!(values, [("cpu", START, 1.0), ("mem", START, 3.0)]);
    };
    expected(room.telemetry.latest(&room.org, 1).await.unwrap());
    let room = room.crash().await;
    expected(room.telemetry.latest(&room.org, 1).await.unwrap());
    room.telemetry.compact_tick().await.unwrap();
    room.put(1, "a", 3, vec![sample("cpu", START.0 - HOUR, 8.0)]).await;
    room.telemetry.compact_tick().await.unwrap();
    let room = room.crash().await;
    expected(room.telemetry.latest(&room.org, 1).await.unwrap());
    assert!(room.telemetry.latest(&room.org, 99).await.unwrap().is_empty());
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn samples_go_after_thirty_days_and_rollups_after_a_year(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    room.put(1, "a", 1, vec![sample("cpu", START.0, 1.0), sample("cpu", START.0 + 1, 5.0)]).await;
    room.telemetry.compact_tick().await.unwrap();
    room.clock.advance(30 * 24 * HOUR);
    room.telemetry.retention_tick().await.unwrap();
    assert_eq!(room.count(Count::Chunks).await, 1, "the thirtieth day is not over");
    room.clock.advance(2 * HOUR);
    room.telemetry.retention_tick().await.unwrap();
    assert_eq!((room.count(Count::Chunks).await, room.count(Count::Rollups).await), (0, 1));
    let h = room.history(1, START.0, START.0 + HOUR, 100).await;
    assert_eq!((h.decimated, &h.series[0].v), (true, &vec![1.0, 5.0]), "rollups still show it");
    room.clock.advance(336 * 24 * HOUR);
    room.telemetry.retention_tick().await.unwrap();
    assert_eq!(room.count(Count::Rollups).await, 0);
}
