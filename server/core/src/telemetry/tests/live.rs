use super::*;
use crate::bus::Event;
use std::{convert::Infallible, sync::atomic::AtomicU32};
use wire::{
    live::{Data, DeviceLive, Position, Tell, Topic},
    overview::FleetCounts,
};

fn org(n: u8) -> OrgId {
    format!("org_{n:032x}").parse().unwrap()
}

fn topic(device: i64) -> Topic {
    Topic::Device(id(device))
}

fn live(points: &[(&str, i64, f64)]) -> Data {
    let points = points.iter().map(|(m, t, v)| wire::live::MetricPoints { metric: (*m).into(), points: vec![(*t, *v)] }).collect();
    Data::Device(DeviceLive { online: None, points, at: START })
}

/// What a topic looks like at first sight.
fn sight(data: Option<Data>) -> std::future::Ready<Result<Option<Data>, Infallible>> {
    std::future::ready(Ok(data))
}

fn state() -> impl Future<Output = Result<Option<Data>, Infallible>> {
    sight(Some(live(&[("cpu", 0, 0.0)])))
}

/// The times of all points of a metric.
fn times(data: &Data, metric: &str) -> Vec<i64> {
    let Data::Device(d) = data else { panic!("{data:?}") };
    d.points.iter().filter(|m| m.metric == metric).flat_map(|m| m.points.iter().map(|p| p.0)).collect()
}

#[tokio::test]
async fn a_subscription_is_a_snapshot_and_what_follows() {
    let hub = Hub::new(7);
    let (mut feed, mut other) = (hub.feed(org(1)), hub.feed(org(2)));
    feed.subscribe(topic(1), None, state()).await.unwrap();
    other.subscribe(topic(1), None, state()).await.unwrap();
    let Some(Tell::Snapshot { seq: start, .. }) = feed.try_next() else { panic!("a snapshot first") };
    other.try_next().unwrap();
    hub.publish(&org(1), &topic(1), || live(&[("cpu", 1, 1.0)]));
    let Tell::Delta { seq, data, .. } = feed.next().await else { panic!("a delta") };
    assert_eq!((seq, times(&data, "cpu")), (start + 1, vec![1]));
    assert!(other.try_next().is_none(), "another organization's device of the same name is another topic");
    hub.publish(&org(1), &topic(2), || panic!("nobody listens, nothing is made"));
    feed.unsubscribe(&topic(1));
    hub.publish(&org(1), &topic(1), || live(&[("cpu", 2, 1.0)]));
    assert!(feed.try_next().is_none());
}

#[tokio::test]
async fn a_cut_connection_resumes_where_it_was() {
    let hub = Hub::new(7);
    let mut feed = hub.feed(org(1));
    feed.subscribe(topic(1), None, state()).await.unwrap();
    let Some(Tell::Snapshot { seq: start, .. }) = feed.try_next() else { panic!() };
    drop(feed);
    for t in 1..=3 {
        hub.publish(&org(1), &topic(1), || live(&[("cpu", t, 0.0)]));
    }
    let resume = async |epoch, seq| {
        let mut feed = hub.feed(org(1));
        feed.subscribe(topic(1), Some(Position { epoch, seq }), state()).await.unwrap();
        let first = feed.try_next();
        assert!(feed.try_next().is_none());
        first
    };
    let Some(Tell::Delta { seq, data, .. }) = resume(7, start + 1).await else { panic!("it resumes") };
    assert_eq!((seq, times(&data, "cpu")), (start + 3, vec![2, 3]), "folded into one, nothing lost");
    assert!(resume(7, start + 3).await.is_none(), "nothing happened meanwhile");
    assert!(matches!(resume(8, start + 1).await, Some(Tell::Snapshot { .. })), "another server run");
    assert!(matches!(resume(7, start + 4).await, Some(Tell::Snapshot { .. })), "a number that was never told");
    for t in 0..300 {
        hub.publish(&org(1), &topic(1), || live(&[("cpu", t, 0.0)]));
    }
    assert!(matches!(resume(7, start + 1).await, Some(Tell::Snapshot { .. })), "too long ago");
}

#[tokio::test(start_paused = true)]
async fn topics_are_forgotten_after_two_minutes_and_their_numbers_never_come_again() {
    let hub = Hub::new(7);
    let mut feed = hub.feed(org(1));
    feed.subscribe(topic(1), None, state()).await.unwrap();
    hub.publish(&org(1), &topic(1), || live(&[("cpu", 1, 0.0)]));
    drop(feed);
    tokio::time::advance(Duration::from_secs(119)).await;
    hub.sweep();
    hub.publish(&org(1), &topic(1), || live(&[("cpu", 2, 0.0)]));
    tokio::time::advance(Duration::from_secs(2)).await;
    hub.sweep();
    hub.publish(&org(1), &topic(1), || panic!("the topic is gone"));
    let mut feed = hub.feed(org(1));
    feed.subscribe(topic(1), Some(Position { epoch: 7, seq: 1 }), state()).await.unwrap();
    let Some(Tell::Snapshot { seq, .. }) = feed.try_next() else { panic!("it can't resume a forgotten topic") };
    assert!(seq >= 2);
}

#[tokio::test]
async fn a_slow_browser_gets_the_newest_of_each_series_and_is_told() {
    let hub = Hub::new(7);
    let mut slow = hub.feed(org(1));
    slow.subscribe(topic(1), None, state()).await.unwrap();
    slow.subscribe(Topic::Devices, None, sight(Some(Data::Changed))).await.unwrap();
    while slow.try_next().is_some() {}
    for t in 1..=100 {
        hub.publish(&org(1), &topic(1), || live(&[("cpu", t, 0.0), ("mem", t, 0.0)]));
        hub.publish(&org(1), &Topic::Devices, || Data::Changed);
    }
    let Some(Tell::Delta { data, .. }) = slow.try_next() else { panic!("a short pause loses nothing") };
    assert_eq!(times(&data, "cpu"), (1..=100).collect::<Vec<_>>());
    assert!(matches!(slow.try_next(), Some(Tell::Delta { data: Data::Changed, .. })), "a hundred changes are one");
    assert!(slow.try_next().is_none());
    for t in 1..=3_000 {
        hub.publish(&org(1), &topic(1), || live(&[("cpu", t, 0.0), ("mem", t, 0.0)]));
    }
    assert_eq!(slow.try_next(), Some(Tell::Lagged { topic: topic(1), skipped: 2_999 }));
    let Some(Tell::Delta { data, .. }) = slow.try_next() else { panic!("and then the newest") };
    assert_eq!(times(&data, "cpu").last(), Some(&3_000));
    assert!(times(&data, "cpu").len() < 2_000);
    hub.publish(&org(1), &topic(1), || live(&[("cpu", 3_001, 0.0)]));
    assert!(matches!(slow.try_next(), Some(Tell::Delta { .. })), "lag is told once");
}

#[tokio::test]
async fn what_does_not_exist_and_what_is_too_much_is_refused() {
    let hub = Hub::new(7);
    let mut feed = hub.feed(org(1));
    feed.subscribe(topic(404), None, sight(None)).await.unwrap();
    assert_eq!(feed.try_next(), Some(Tell::Refused { topic: topic(404) }));
    assert_eq!(feed.subscribe(topic(405), None, async { Err("busy") }).await, Err("busy"));
    assert!(feed.try_next().is_none(), "what can't be read now is not refused");
    assert_eq!(hub.len(), 0, "what doesn't exist takes no memory");
    for device in 0..64 {
        feed.subscribe(topic(device), None, state()).await.unwrap();
        assert!(matches!(feed.try_next(), Some(Tell::Snapshot { .. })));
    }
    feed.subscribe(topic(64), None, state()).await.unwrap();
    assert_eq!(feed.try_next(), Some(Tell::Refused { topic: topic(64) }));
    feed.subscribe(topic(1), None, state()).await.unwrap();
    assert!(matches!(feed.try_next(), Some(Tell::Snapshot { .. })), "again is not one more");
}

#[tokio::test]
async fn samples_are_shown_before_they_are_synced() {
    let room = Room::open(EngineKind::Sqlite).await;
    let intake = room.intake(1, "a").await;
    let mut feed = room.telemetry.hub().feed(room.org.clone());
    feed.subscribe(topic(1), None, state()).await.unwrap();
    feed.try_next().unwrap();
    let disk = room.db.write().await.unwrap();
    let receipt =
        intake.send(1, vec![sample("cpu", START.0, 1.0), sample("bad name", START.0, 1.0), sample("cpu", START.0 + 1, 2.0)]).await.unwrap();
    let Tell::Delta { data, .. } = feed.next().await else { panic!() };
    assert_eq!(times(&data, "cpu"), [START.0, START.0 + 1], "while the commit still waits for the disk");
    assert!(times(&data, "bad name").is_empty());
    drop(disk);
    receipt.synced().await.unwrap();
    intake.send(1, vec![sample("cpu", START.0, 1.0)]).await.unwrap().synced().await.unwrap();
    assert!(feed.try_next().is_none(), "what is sent again is not shown again");
}

#[tokio::test(start_paused = true)]
async fn wake_ups_become_changes_at_the_topics_pace() {
    let hub = Hub::new(7);
    let bus = Bus::default();
    let asked = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&asked);
    let looked = Arc::new(AtomicU32::new(0));
    let looking = Arc::clone(&looked);
    let reads = Reads {
        counts: Box::new(move |_| {
            counting.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Some(FleetCounts { devices: 3, ..FleetCounts::default() }) })
        }),
        number: Box::new(|_, _| Box::pin(async { Some(5) })),
        online: Box::new(move |_| {
            looking.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Some(true) })
        }),
        now: Box::new(|| START),
    };
    let stop = CancellationToken::new();
    let relay = tokio::spawn(relay::run(hub.clone(), bus.clone(), reads, stop.clone()));
    tokio::task::yield_now().await;
    let mut feed = hub.feed(org(1));
    let changed = || sight(Some(Data::Changed));
    feed.subscribe(Topic::Devices, None, changed()).await.unwrap();
    feed.subscribe(topic(5), None, state()).await.unwrap();
    while feed.try_next().is_some() {}
    let begun = tokio::time::Instant::now();
    let mut changes = 0;
    let mut online = 0;
    for _ in 0..50 {
        bus.tell(Event::Device { org: org(1), device: 5 });
        bus.tell(Event::Device { org: org(2), device: 5 });
        bus.tell(Event::Device { org: org(1), device: 6 });
        tokio::time::sleep(Duration::from_millis(100)).await;
        while let Some(tell) = feed.try_next() {
            match tell {
                Tell::Delta { data: Data::Changed, .. } => changes += 1,
                Tell::Delta { data: Data::Device(d), .. } => online += u32::from(d.online == Some(true)),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert!((5..=6).contains(&changes), "{changes} in five seconds: at most once a second, and the first at once");
    assert_eq!(online, 50, "presence is news at once");
    assert_eq!(looked.load(Ordering::SeqCst), 50, "of devices that nobody watches nothing is read");
    for device in 100..10_000 {
        bus.tell(Event::Device { org: org(1), device });
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let told: Vec<_> = std::iter::from_fn(|| feed.try_next()).collect();
    assert!(told.iter().any(|t| matches!(t, Tell::Delta { data: Data::Device(d), .. } if d.online == Some(true))), "{told:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 0, "nobody watches the counts, nobody counts");
    feed.subscribe(Topic::Fleet, None, sight(Some(Data::Counts(FleetCounts::default())))).await.unwrap();
    feed.try_next();
    tokio::time::sleep(Duration::from_secs(2)).await;
    bus.tell(Event::Device { org: org(1), device: 5 });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let told: Vec<_> = std::iter::from_fn(|| feed.try_next()).collect();
    assert!(told.iter().any(|t| matches!(t, Tell::Delta { data: Data::Counts(c), .. } if c.devices == 3)), "{told:?}");
    stop.cancel();
    relay.await.unwrap();
}
