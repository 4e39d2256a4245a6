//! How fast a revocation bites, and that nobody slips past it (H-5, H-6, R-6).

use super::rig::{Identity, PATIENCE, Rig, SECOND, ask, drain, get_of, handshake, handshake_with, http2, rig, rig_with, send};
use axum::body::Body;
use fleet::db::EngineKind;
use futures::{StreamExt as _, future::join_all};
use rustls::{ClientConfig, version::TLS13};
use server::tls::Limits;
use std::{io, sync::Arc, time::Duration};
use tokio::time::timeout;

/// R-6, attack list 5: HTTP/1 download, HTTP/2 stream, websocket and an idle connection.
async fn cut_within_a_second(kind: EngineKind) {
    let rig = rig_with(kind, Limits::default()).await;
    let (one, bystander) = (rig.enrol("gw-1").await, rig.enrol("gw-2").await);

    let mut download = rig.connect(&one).await;
    ask(&mut download, "/endless").await.unwrap();
    let mut idle = rig.connect(&one).await;
    ask(&mut idle, "/who").await.unwrap();
    let request = "wss://localhost/echo";
    let (mut socket, _) = tokio_tungstenite::client_async(request, rig.connect(&one).await).await.unwrap();
    let mut config = rig.client(Some(&one), &TLS13);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = handshake(config, rig.device).await.unwrap();
    let (mut h2, _) = http2(stream).await;
    let mut body = Body::new(h2.send_request(get_of("/endless")).await.unwrap().into_body()).into_data_stream();
    assert!(body.next().await.unwrap().is_ok());
    let mut other = rig.connect(&bystander).await;
    ask(&mut other, "/who").await.unwrap();
    assert_eq!(rig.registry.len(), 5);

    rig.revoke(&one).await;
    let ends = async {
        tokio::join!(drain(&mut download), drain(&mut idle), async { while matches!(socket.next().await, Some(Ok(_))) {} }, async {
            while matches!(body.next().await, Some(Ok(_))) {}
        },);
        while rig.registry.len() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SECOND, ends).await.expect("every connection is closed within a second");
    assert!(ask(&mut other, "/who").await.unwrap().ends_with("gw-2 0"), "others don't notice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_05_a_revocation_cuts_live_connections_on_sqlite() {
    Box::pin(cut_within_a_second(EngineKind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_05_a_revocation_cuts_live_connections_on_postgres() {
    Box::pin(cut_within_a_second(EngineKind::Postgres)).await;
}

/// Certificates that are revoked while they are used, how many connections race each revocation, and how many certificates are raced at a time: a thousand
/// connections in all, and never as many handshakes as one address may have.
const RACES: u64 = 250;
const RACERS: u64 = 4;
const AT_A_TIME: u64 = 10;

/// H-5, attack list 5: connect and revoke at the same time, a thousand times; nobody slips through between the two checks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_05_nobody_survives_a_race_of_connecting_and_revoking() {
    let rig = Arc::new(rig().await);
    let mut raced = 0;
    for first in (0..RACES).step_by(usize::try_from(AT_A_TIME).unwrap()) {
        let enrolling = (first..first + AT_A_TIME).map(|n| {
            let rig = &rig;
            async move { (n, rig.enrol(&format!("gw-{n}")).await) }
        });
        let enrolled = join_all(enrolling).await;
        let races: Vec<_> = enrolled.into_iter().map(|(n, identity)| tokio::spawn(race(rig.clone(), identity, n))).collect();
        for race in races {
            raced += race.await.unwrap();
        }
    }
    assert_eq!(raced, 1000, "a revoked device kept its connection");
    // The client has seen its end; the server's half of it may take a moment longer, but no more than a revocation may.
    let gone = async {
        while !rig.registry.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SECOND, gone).await.expect("nobody is left");
}

/// A device dials, and loads what never ends by itself.
async fn dial(rig: &Rig, config: &Arc<ClientConfig>, wait: u64) -> io::Result<()> {
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let mut stream = handshake_with(config, rig.device).await?;
    send(&mut stream, "/endless").await?;
    drain(&mut stream).await;
    Ok(())
}

/// A certificate is revoked while its device dials again and again: some connections are through by then, some are under way, some come late. How many of
/// them ended.
async fn race(rig: Arc<Rig>, identity: Identity, n: u64) -> usize {
    let config = Arc::new(rig.client(Some(&identity), &TLS13));
    let revoke = async {
        tokio::time::sleep(Duration::from_millis(n % 12)).await;
        rig.revoke(&identity).await;
    };
    // That it comes back means that it was cut or refused.
    let dialling = (0..RACERS).map(|racer| timeout(PATIENCE, dial(&rig, &config, racer * 4)));
    let (ends, ()) = tokio::join!(join_all(dialling), revoke);
    ends.into_iter().flatten().count()
}
