//! How long after a revocation was asked for the device's connection is closed, while so many others are connected and stay so.

use crate::{
    Outcome, Size, figure,
    ground::{Ground, csr, request},
    http::{Client, post},
    percentiles,
    pki::join::{Speech, hold, join},
    tls,
};
use futures::{StreamExt as _, stream};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How many are revoked, one after the other.
const REVOKED: usize = 100;
/// How many dial at a time.
const DIALLING: usize = 64;

pub async fn measure(_: &str, size: Size) -> Outcome {
    let ground = Ground::start().await;
    let trust = ground.trust();
    let clients: Vec<_> = ground.identities(size.devices).iter().map(|identity| trust.client(Some(identity))).collect();
    let mut joining = stream::iter(clients.iter().enumerate().map(|(number, client)| join(client, ground.device, number, Speech::Ours)))
        .buffer_unordered(DIALLING);
    let mut others = Vec::with_capacity(clients.len());
    while let Some(joined) = joining.next().await {
        others.push(tokio::spawn(hold(joined.unwrap())));
    }
    let secret = ground.secrets(REVOKED).await.remove(0);
    let run = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    let mut enrolling = Client::new(tls::connect(&trust.client(None), ground.enrol, 0).await.unwrap());
    let (mut api, mut times, mut answered) = (ground.api().await, Vec::new(), Vec::new());
    for number in 0..REVOKED {
        let name = format!("revoked-{run}-{number}");
        let (key, csr) = csr(&name);
        let body = serde_json::to_string(&request(&name, csr)).unwrap();
        let answer = enrolling.ask(&post("/device/v1/enrol", &secret, &body)).await.unwrap();
        let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let identity = ground.identity(said["certificate"].as_str().unwrap_or_else(|| panic!("{said}")), key);
        let client = trust.client(Some(&identity));
        let closed = tokio::spawn(hold(join(&client, ground.device, size.devices + number, Speech::Ours).await.unwrap()));
        let certificate = ground.certificate_id(&mut api, &name).await;
        let begun = Instant::now();
        let ended = tokio::spawn(async move {
            closed.await.unwrap();
            begun.elapsed()
        });
        ground.revoke(&mut api, &certificate).await;
        answered.push(begun.elapsed());
        times.push(timeout(Duration::from_secs(10), ended).await.expect("closed within ten seconds").unwrap());
        assert!(join(&client, ground.device, size.devices + number, Speech::Ours).await.is_err(), "a revoked device came back");
    }
    sleep(Duration::from_millis(100)).await;
    assert!(others.iter().all(|other| !other.is_finished()), "a device that was not revoked was cut off");
    let ((p50, p99), (_, answered)) = (percentiles(&mut times), percentiles(&mut answered));
    Outcome::from([("value", p99), ("p50_ms", p50), ("answered_p99_ms", answered), ("connected", figure(others.len()))])
}
