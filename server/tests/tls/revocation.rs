//! How fast a revocation bites, and that nobody slips past it (H-5, H-6, R-6).

use super::rig::{PATIENCE, SECOND, ask, drain, get_of, handshake, http2, rig, rig_with, send};
use axum::body::Body;
use fleet::db::EngineKind;
use futures::StreamExt as _;
use rustls::version::TLS13;
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
async fn a_5_a_revocation_cuts_live_connections_on_sqlite() {
    Box::pin(cut_within_a_second(EngineKind::Sqlite)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_5_a_revocation_cuts_live_connections_on_postgres() {
    Box::pin(cut_within_a_second(EngineKind::Postgres)).await;
}

/// H-5: connect and revoke at the same time, many times; nobody slips through between the two checks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_5_nobody_survives_a_race_of_connecting_and_revoking() {
    let rig = Arc::new(rig().await);
    let mut races = Vec::new();
    for n in 0..60 {
        let identity = Arc::new(rig.enrol(&format!("gw-{n}")).await);
        let (racer, revoker) = (rig.clone(), rig.clone());
        let same = identity.clone();
        races.push(tokio::spawn(async move {
            let connect = async {
                let mut stream = handshake(racer.client(Some(&same), &TLS13), racer.device).await?;
                send(&mut stream, "/endless").await?;
                drain(&mut stream).await;
                io::Result::Ok(())
            };
            let revoke = async {
                tokio::time::sleep(Duration::from_millis(n % 12)).await;
                revoker.revoke(&identity).await;
            };
            // The download never ends by itself: that both come back means it was cut or refused.
            tokio::join!(timeout(PATIENCE, connect), revoke).0.is_ok()
        }));
    }
    for race in races {
        assert!(race.await.unwrap(), "a revoked device kept its connection");
    }
    // The client has seen its end; the server's half of it may take a moment longer, but no more than a revocation may.
    let gone = async {
        while !rig.registry.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SECOND, gone).await.expect("nobody is left");
}
