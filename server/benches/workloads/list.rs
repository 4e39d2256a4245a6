//! How many times a second the device list is rendered: 50 of 10,000 devices, for a viewer, twenty requests at a time.
//!
//! The floor is the same 50 devices read by the core and written as JSON: the same question to the same database, without a page around it.

use crate::{Outcome, fleetward::Fleetward, percentiles};
use fleet::access::Actor;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use wire::devices::DeviceQuery;

const DEVICES: usize = 10_000;
const AT_ONCE: usize = 20;
const COUNTED: Duration = Duration::from_secs(5);

pub async fn ours() -> Outcome {
    // The scripts with the data of the page follow its end.
    Box::pin(measure("/devices", |page| page.contains("</html>"))).await
}

pub async fn floor() -> Outcome {
    let fleetward = Fleetward::start(DEVICES).await;
    let fleet = fleetward.running.fleet.clone();
    let actor = Actor::system(fleet.default_org().clone());
    let done = Arc::new(AtomicBool::new(false));
    let begun = Instant::now();
    let readers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (fleet, actor, done) = (fleet.clone(), actor.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut lists = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    let list = fleet.devices().list(&actor, &DeviceQuery::default()).await.unwrap();
                    assert!(serde_json::to_string(&list).unwrap().contains("bench-"));
                    lists += 1;
                }
                lists
            })
        })
        .collect();
    tokio::time::sleep(COUNTED).await;
    done.store(true, Ordering::Relaxed);
    let mut lists = 0;
    for reader in readers {
        lists += reader.await.unwrap();
    }
    let seconds = begun.elapsed().as_secs_f64();
    fleetward.stop().await;
    Outcome::from([("value", f64::from(lists) / seconds)])
}

async fn measure(path: &str, whole: fn(&str) -> bool) -> Outcome {
    let fleetward = Fleetward::start(DEVICES).await;
    let token = fleetward.viewer().await;
    let client = reqwest::Client::new();
    let url = format!("http://{}{path}", fleetward.running.operator_addr);
    let done = Arc::new(AtomicBool::new(false));
    let get = |client: reqwest::Client, token: String, url: String| async move {
        let begun = Instant::now();
        let answer = client.get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        (answer.text().await.unwrap(), begun.elapsed())
    };
    let (page, _) = get(client.clone(), token.clone(), url.clone()).await;
    assert!(whole(&page), "the page is cut: {page}");
    let rows = (0..DEVICES).filter(|n| page.contains(&crate::fleetward::device_name(*n))).count();
    assert_eq!(rows, 50, "{page}");
    let begun = Instant::now();
    let readers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (client, token, url, done) = (client.clone(), token.clone(), url.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut took = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let (page, time) = get(client.clone(), token.clone(), url.clone()).await;
                    assert!(whole(&page), "a page is cut");
                    took.push(time);
                }
                took
            })
        })
        .collect();
    tokio::time::sleep(COUNTED).await;
    done.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    for reader in readers {
        took.extend(reader.await.unwrap());
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(&mut took);
    fleetward.stop().await;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let per_second = took.len() as f64 / seconds;
    #[expect(clippy::cast_precision_loss, reason = "a page's size")]
    let page_kb = page.len() as f64 / 1e3;
    Outcome::from([("value", per_second), ("p50_ms", p50), ("p99_ms", p99), ("page_kb", page_kb)])
}
