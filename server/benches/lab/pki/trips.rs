//! How often an issue asks the database and waits for it: counted on the wire between Fleetward and PostgreSQL, where a trip is words of ours after
//! words of its. The embedded database has no wire; its statements are the same.

use crate::{
    IN_FLIGHT, Outcome, Size, figure,
    ground::{csr, new_token, request},
    machine::free_address,
};
use fleet::{access::Actor, clock::SystemClock, devices::Attempt, entropy::OsEntropy, testing};
use futures::{StreamExt as _, stream};
use server::config::Config;
use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Issues before the count, in which every statement is prepared.
const WARM: usize = 20;

/// Nothing else speaks meanwhile but the workers, which are slow and few. Those that come at once share a transaction, so it is counted for one after
/// the other (`alone`), and with as many in flight as in the other workloads.
pub async fn measure(size: Size) -> Outcome {
    // A database of its own in the PostgreSQL that TEST_POSTGRES_URL names, without a schema: one that has it belongs to a fleet, whose key file would be missed.
    let url = testing::bare_postgres().await;
    let (who, rest) = url.rsplit_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    let (at, trips) = (free_address(), Arc::new(AtomicUsize::new(0)));
    let server = tokio::net::lookup_host(server).await.unwrap().find(SocketAddr::is_ipv4).unwrap();
    tokio::spawn(relay(TcpListener::bind(at).await.unwrap(), server, Arc::clone(&trips)));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("url");
    fs::write(&file, format!("{who}@{at}/{database}")).unwrap();
    let config = Config { database_url_file: Some(file), ..Config::on_free_ports(folder.path().join("data")) };
    let running = server::run::start_with(config, Arc::new(SystemClock), Arc::new(OsEntropy)).await.unwrap();
    let devices = running.fleet.devices();
    let secret = devices.create_enrolment_token(&Actor::system(running.fleet.default_org().clone()), new_token()).await.unwrap().secret;
    let counted = size.devices.min(1000);
    let (fleet, secret) = (running.fleet.clone(), Arc::new(secret));
    let enrol = |name: String| {
        let (fleet, secret) = (fleet.clone(), Arc::clone(&secret));
        async move {
            let request = request(&name, csr(&name).1);
            fleet.devices().enrol(Attempt { secret: &secret, request: &request, address: "127.0.0.1" }).await.unwrap();
        }
    };
    let count = async |phase: &str, at_once: usize| {
        let asked = stream::iter((0..WARM).map(|n| enrol(format!("{phase}-warm-{n}"))));
        asked.buffer_unordered(at_once).collect::<Vec<()>>().await;
        let begun = trips.load(Ordering::Relaxed);
        let asked = stream::iter((0..counted).map(|n| enrol(format!("{phase}-{n}"))));
        asked.buffer_unordered(at_once).collect::<Vec<()>>().await;
        figure(trips.load(Ordering::Relaxed) - begun) / figure(counted)
    };
    let alone = count("alone", 1).await;
    let together = count("together", IN_FLIGHT).await;
    running.stop().await.unwrap();
    Outcome::from([("value", together), ("alone", alone)])
}

/// Carries connections to the database and counts the turns.
async fn relay(listener: TcpListener, to: SocketAddr, trips: Arc<AtomicUsize>) {
    while let Ok((ours, _)) = listener.accept().await {
        let Ok(its) = TcpStream::connect(to).await else { continue };
        ours.set_nodelay(true).unwrap();
        its.set_nodelay(true).unwrap();
        let ((mut from_us, mut to_us), (mut from_it, mut to_it)) = (ours.into_split(), its.into_split());
        let answered = Arc::new(AtomicBool::new(true));
        let (trips, turn) = (Arc::clone(&trips), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut words = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = from_us.read(&mut words).await {
                if turn.swap(false, Ordering::Relaxed) {
                    trips.fetch_add(1, Ordering::Relaxed);
                }
                if to_it.write_all(&words[..count]).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            let mut words = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = from_it.read(&mut words).await {
                answered.store(true, Ordering::Relaxed);
                if to_us.write_all(&words[..count]).await.is_err() {
                    return;
                }
            }
        });
    }
}
