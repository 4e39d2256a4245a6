//! The device list at the API while the fleet reports: twenty people each ask ten times a second for pages of all kinds, and devices send a thousand
//! samples a second.

use crate::{
    Outcome, Size, figure,
    ground::Ground,
    http::Rest,
    percentiles,
    pki::join::{Speech, join, say},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, interval, sleep};

const PEOPLE: usize = 20;
/// Between one person's questions.
const PAUSE: Duration = Duration::from_millis(100);
/// Devices that report, and how often.
const REPORTING: usize = 100;
const EVERY: Duration = Duration::from_millis(100);

/// What people ask, by kind: pages in each order, from far behind, of filters wide and narrow, and what they search for.
const QUESTIONS: [(&str, &str); 14] = [
    ("list", "/devices"),
    ("list", "/devices?sort=-last_seen"),
    ("list", "/devices?sort=version"),
    ("deep", "/devices?sort=-device_id"),
    ("deep", "/devices?sort=last_seen"),
    ("filter", "/devices?q=type:gw%20version:1.1.0"),
    ("filter", "/devices?q=type:gw%20version:1.1.0&sort=-last_seen"),
    ("filter", "/devices?q=tag:canary"),
    ("filter", "/devices?q=update:failed&sort=-last_seen"),
    ("filter", "/devices?q=attr.site:site-07%20type:gw"),
    ("filter", "/devices?q=version:9.9.9"),
    ("search", "/devices?q=0079190"),
    ("search", "/devices?q=north-00"),
    ("search", "/devices?q=nobody-has-this-name"),
];

pub async fn pages(size: Size) -> Outcome {
    let ground = Ground::start().await;
    let done = Arc::new(AtomicBool::new(false));
    let reports = Arc::new(AtomicUsize::new(0));
    let reporting = report(&ground, size, &done, &reports).await;
    // What is read from the disk for the first time is not what is measured; how long it takes is seen beside it.
    let mut admin = ground.admin(false).await;
    let first = Instant::now();
    for (_, question) in QUESTIONS {
        admin.get(question).await;
    }
    let first = first.elapsed();
    let (counted, begun) = (reports.load(Ordering::Relaxed), Instant::now());
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let (rest, done) = (ground.admin(number % 2 == 0).await, Arc::clone(&done));
        people.push(tokio::spawn(person(rest, number, done)));
    }
    sleep(size.time).await;
    let reported = figure(reports.load(Ordering::Relaxed) - counted) / begun.elapsed().as_secs_f64();
    done.store(true, Ordering::Relaxed);
    let mut times: BTreeMap<&'static str, Vec<Duration>> = BTreeMap::new();
    for person in people {
        for (kind, time) in person.await.unwrap() {
            times.entry(kind).or_default().push(time);
        }
    }
    reporting.iter().for_each(tokio::task::JoinHandle::abort);
    let mut all: Vec<Duration> = times.values().flatten().copied().collect();
    let mut p99 = |kind: &str| percentiles(times.get_mut(kind).unwrap()).1;
    let kinds =
        [("list_p99_ms", p99("list")), ("deep_p99_ms", p99("deep")), ("filter_p99_ms", p99("filter")), ("search_p99_ms", p99("search"))];
    let asked = figure(all.len()) / begun.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(&mut all);
    let mut outcome = Outcome::from(kinds);
    outcome.extend([
        ("value", p99),
        ("p50_ms", p50),
        ("asked_per_s", asked),
        ("reports_per_s", reported),
        ("first_s", first.as_secs_f64()),
    ]);
    outcome
}

/// Devices that send samples until it is done, each acknowledged before the next.
async fn report(ground: &Ground, size: Size, done: &Arc<AtomicBool>, reports: &Arc<AtomicUsize>) -> Vec<tokio::task::JoinHandle<()>> {
    let (trust, mut reporting) = (ground.trust(), Vec::new());
    for (number, identity) in ground.identities(REPORTING.min(size.devices)).iter().enumerate() {
        let mut joined = join(&trust.client(Some(identity)), ground.device, number, Speech::Ours).await.unwrap();
        let (done, reports) = (Arc::clone(done), Arc::clone(reports));
        reporting.push(tokio::spawn(async move {
            let mut due = interval(EVERY);
            for number in 1.. {
                due.tick().await;
                if done.load(Ordering::Relaxed) || say(&mut joined, number).await.is_err() {
                    return;
                }
                reports.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    reporting
}

/// Asks one thing after the other; deep pages are reached by their cursors.
async fn person(mut rest: Rest, number: usize, done: Arc<AtomicBool>) -> Vec<(&'static str, Duration)> {
    let (mut times, mut cursor) = (Vec::new(), String::new());
    sleep(PAUSE * u32::try_from(number).unwrap() / u32::try_from(PEOPLE).unwrap()).await;
    for turn in number.. {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let (kind, question) = QUESTIONS[turn % QUESTIONS.len()];
        let deep = kind == "deep" && question.ends_with("-device_id");
        let path = if deep && !cursor.is_empty() { format!("{question}&cursor={cursor}") } else { question.to_owned() };
        let asked = Instant::now();
        let page = rest.get(&path).await;
        times.push((kind, asked.elapsed()));
        assert!(page["items"].is_array(), "{page}");
        if deep {
            page["next"].as_str().unwrap_or_default().clone_into(&mut cursor);
        }
        sleep(PAUSE).await;
    }
    times
}

/// The whole fleet as a file: devices a second.
pub async fn export(size: Size) -> Outcome {
    let ground = Ground::start().await;
    let mut admin = ground.admin(false).await;
    let (before, begun) = (ground.server.used(), Instant::now());
    let lines = admin.lines("/devices:export").await;
    let elapsed = begun.elapsed().as_secs_f64();
    let grown = ground.server.used().bytes - before.bytes;
    assert!(lines > size.devices, "{lines} lines");
    Outcome::from([("value", figure(size.devices) / elapsed), ("s", elapsed), ("grown_mb", grown / 1e6)])
}
