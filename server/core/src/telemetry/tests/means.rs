use super::*;
use rstest::rstest;

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn a_device_is_the_mean_of_its_whole_minutes(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    // Two days before now, a sample every ten minutes; each hour has its own value, and each device its own level.
    let from = START.0 - 48 * HOUR - START.0.rem_euclid(HOUR);
    let value = |device: i64, t: i64| (t.div_euclid(HOUR) % 5 + 100 * device) as f64;
    let devices: Vec<i64> = (1..=3).collect();
    for device in &devices {
        let all: Vec<_> = (0..47 * 6).map(|n| from + n * 600_000).map(|t| sample("cpu", t, value(*device, t))).collect();
        room.put(*device, "a", 1, all).await;
        room.put(*device, "a", 2, vec![sample("other", from, 1e9)]).await;
    }
    let means = room.telemetry.means();
    let expected = |device: i64, begin: i64, end: i64| {
        let within: Vec<f64> =
            (0..47 * 6).map(|n| from + n * 600_000).filter(|t| (begin..end).contains(t)).map(|t| value(device, t)).collect();
        within.iter().sum::<f64>() / within.len() as f64
    };
    let ranges = [(0, 47 * HOUR), (1_800_000, 5 * HOUR + 600_000), (2 * HOUR, 3 * HOUR), (600_000, 1_260_000), (0, 600_000)];
    for round in 0..3 {
        for (begin, end) in ranges {
            let (begin, end) = (from + begin, from + end);
            let mut found = means.of(&room.org, "cpu", &devices, Timestamp(begin + 30), Timestamp(end + 59_999)).await.unwrap();
            found.sort_by(f64::total_cmp);
            let wanted: Vec<f64> = devices.iter().map(|d| expected(*d, begin, end)).collect();
            assert_eq!(found.len(), 3, "round {round}");
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((found - wanted).abs() < 1e-9, "round {round}: {found} is not {wanted}");
            }
        }
        // Unfolded, then folded, then the mixture.
        room.telemetry.compact_tick().await.unwrap();
        if round == 2 {
            room.put(1, "a", 3, vec![sample("cpu", from + 600_000, value(1, from))]).await;
            let one = means.of(&room.org, "cpu", &[1], Timestamp(from), Timestamp(from + HOUR)).await.unwrap();
            assert!((one[0] - value(1, from)).abs() < 1e-9);
        }
    }
    let nobody = means.of(&room.org, "cpu", &devices, Timestamp(START.0 - 60_000), Timestamp(START.0)).await.unwrap();
    assert_eq!(nobody, [0.0; 0], "who sent nothing is no figure");
    let other: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(9));
    let stranger: OrgId = other.id(Timestamp(5));
    assert_eq!(means.of(&stranger, "cpu", &devices, Timestamp(from), Timestamp(START.0)).await.unwrap(), [0.0; 0]);
    assert_eq!(means.of(&room.org, "cpu", &devices, Timestamp(from), Timestamp(from)).await.unwrap(), [0.0; 0]);
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test]
async fn many_devices_are_read_in_slices_and_another_instance_sees_the_same(#[case] kind: EngineKind) {
    let room = Room::open(kind).await;
    let devices: Vec<i64> = (1..=450).collect();
    for device in &devices {
        room.put(*device, "a", 1, vec![sample("cpu", START.0 - 120_000, *device as f64)]).await;
    }
    let all = |of: Telemetry| {
        let (org, devices) = (room.org.clone(), devices.clone());
        async move {
            let mut found = of.means().of(&org, "cpu", &devices, Timestamp(START.0 - HOUR), START).await.unwrap();
            found.sort_by(f64::total_cmp);
            found
        }
    };
    let found = all(room.another().await).await;
    assert_eq!(found, devices.iter().map(|d| *d as f64).collect::<Vec<_>>());
}
