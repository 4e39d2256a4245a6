//! One certificate in two places, over real sockets.

use super::rig::{Identity, PATIENCE, Rig, ask, rig};
use rustls::version::TLS13;
use rustls_pki_types::ServerName;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

async fn connect_from(rig: &Rig, identity: &Identity, from: &str) -> TlsStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    let stream = socket.connect(rig.device).await.unwrap();
    let config = Arc::new(rig.client(Some(identity), &TLS13));
    TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_35_one_certificate_that_speaks_from_two_networks_is_a_possible_clone() {
    let rig = rig().await;
    let fleet = rig.world.fleet.clone();
    let watch = tokio::spawn(async move { fleet.devices().watch_clones().await });
    let (one, mover, neighbour) = (rig.enrol("gw-1").await, rig.enrol("gw-2").await, rig.enrol("gw-3").await);
    let trust = rig.world.fleet.pki().trust();
    let system = fleet::access::Actor::system(rig.world.org.clone());
    let suspicion = async |id: &str| rig.world.fleet.device(&system, &id.parse().unwrap()).await.unwrap().suspicion;

    // A device that moves on twice.
    let wanderer = rig.enrol("gw-4").await;
    let mut first = connect_from(&rig, &wanderer, "127.0.1.1").await;
    ask(&mut first, "/who").await.unwrap();
    let mut second = connect_from(&rig, &wanderer, "127.0.2.1").await;
    rig.registry.tell_clones(&trust);
    drop(first);
    tokio::time::sleep(Duration::from_millis(100)).await;
    ask(&mut second, "/who").await.unwrap();
    rig.registry.tell_clones(&trust);
    let mut third = connect_from(&rig, &wanderer, "127.0.3.1").await;
    for _ in 0..2 {
        rig.registry.tell_clones(&trust);
        ask(&mut third, "/who").await.unwrap();
    }
    rig.registry.tell_clones(&trust);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(suspicion("gw-4").await, None, "it left connections behind, and speaks on the last alone");

    // A device that has moved, one with two connections of one network, and a clone.
    let mut before = connect_from(&rig, &mover, "127.0.1.1").await;
    ask(&mut before, "/who").await.unwrap();
    let mut after = connect_from(&rig, &mover, "127.0.2.1").await;
    let mut near = [connect_from(&rig, &neighbour, "127.0.1.1").await, connect_from(&rig, &neighbour, "127.0.1.2").await];
    let mut real = connect_from(&rig, &one, "127.0.1.1").await;
    let mut clone = connect_from(&rig, &one, "127.0.2.1").await;
    for stream in [&mut after, &mut real, &mut clone].into_iter().chain(&mut near) {
        ask(stream, "/who").await.unwrap();
    }
    rig.registry.tell_clones(&trust);
    for stream in [&mut after, &mut real].into_iter().chain(&mut near) {
        ask(stream, "/who").await.unwrap();
    }
    rig.registry.tell_clones(&trust);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(suspicion("gw-1").await, None, "the other side has not spoken since");
    ask(&mut clone, "/who").await.unwrap();
    rig.registry.tell_clones(&trust);
    let noted = async {
        while suspicion("gw-1").await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, noted).await.expect("a clone is noted");
    let sign = suspicion("gw-1").await.unwrap().sign;
    assert!(sign.contains("127.0.1.1") && sign.contains("127.0.2.1"), "{sign}");
    assert_eq!((suspicion("gw-2").await, suspicion("gw-3").await), (None, None));
    watch.abort();
}
