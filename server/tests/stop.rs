//! The process is stopped, politely and not, in the middle of a download, an ingest and an upload: nothing that was acknowledged is lost, and
//! all three go on where they were.

use crate::{
    journey::enrolment_token,
    rest::Rest,
    support::{TestServer, eventually},
};
use fleet::{access::Actor, clock::SystemClock, db::EngineKind, devices::Attempt, entropy::OsEntropy};
use futures::{SinkExt as _, StreamExt as _, stream};
use reqwest::Method;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use serde_json::json;
use server::config::Config;
use std::{
    collections::BTreeMap,
    io,
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::frame::coding::CloseCode},
};
use wire::{
    Timestamp,
    device::{Down, Offer, Sample, Samples, Up},
    enrolment::EnrolRequest,
    telemetry::HistoryQuery,
};

const TYPE: &str = "gateway";
const DEVICES: usize = 3;
const PATIENCE: Duration = Duration::from_mins(1);
/// What a device downloads; at the pace of [`SIP`] it takes some seconds.
const ARTIFACT: usize = 24 << 20;
/// What the pipeline uploads meanwhile: this much is acknowledged before the stop, the rest is under way.
const ACKNOWLEDGED: usize = 2 << 20;
const UPLOAD: usize = 24 << 20;
/// Frames of a device that wait for their acknowledgement.
const WINDOW: u64 = 32;
/// Bytes read or sent at a time, and the pause after them.
const SIP: usize = 64 << 10;
const PAUSE: Duration = Duration::from_millis(8);

#[rstest]
#[case::politely_on_sqlite(EngineKind::Sqlite, Signal::TERM)]
#[case::politely_on_postgres(EngineKind::Postgres, Signal::TERM)]
#[case::at_once_on_sqlite(EngineKind::Sqlite, Signal::KILL)]
#[case::at_once_on_postgres(EngineKind::Postgres, Signal::KILL)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_is_lost(#[case] kind: EngineKind, #[case] signal: Signal) {
    let polite = signal == Signal::TERM;
    // Everything is made ready in process, and goes on in a process of its own.
    let server = TestServer::start(kind).await;
    let rest = Rest::of(&server, TYPE).await;
    let mut devices = Vec::new();
    for number in 0..DEVICES {
        devices.push(Device::enrol(&server, &format!("gw-{number}")).await);
    }
    let (old, new) = (content(ARTIFACT, 3), content(UPLOAD, 5));
    let release = rest.release("1.1.0", 2, &old).await;
    rest.approved_rollout(&release).await;
    let (config, _folder) = server.stop_to_go_on().await;

    let process = Process::start(&config).await;
    let mut streams = Vec::new();
    let (offered, mut offers) = mpsc::unbounded_channel();
    for device in &devices {
        let (channel, acked) = device.open(&config).await;
        assert_eq!(acked, 0);
        let acked = Arc::new(AtomicU64::new(0));
        let stream = ingest(device.name.clone(), device.begin, channel, Arc::clone(&acked), offered.clone());
        streams.push((acked, tokio::spawn(stream)));
    }
    let (device, offer) = timeout(PATIENCE, offers.recv()).await.expect("an offer").unwrap();
    let device = devices.iter().find(|d| d.name == device).unwrap();
    let got = Arc::new(AtomicUsize::new(0));
    let downloading = device.download(&config, &offer, 0, Arc::clone(&got));
    let (id, sent, uploading) = upload(&rest, &new).await;
    eventually("all three are under way", PATIENCE, || async {
        let streaming = streams.iter().all(|(acked, _)| acked.load(Ordering::SeqCst) > 100);
        streaming && got.load(Ordering::SeqCst) > ARTIFACT / 8 && sent.load(Ordering::SeqCst) > UPLOAD / 4
    })
    .await;
    assert!(!uploading.is_finished() && !downloading.is_finished(), "something was over before the stop");

    let ended = process.end(signal).await;
    assert_eq!(ended.success(), polite, "{ended:?}");
    let (mut whole, status) = downloading.await.unwrap();
    assert_eq!(status, 200);
    if polite {
        assert_eq!(whole.len(), old.len(), "what was being downloaded came to its end");
    } else {
        assert!(whole.len() < old.len(), "the download was cut");
    }
    let acknowledged = uploading.await.unwrap().unwrap_or(ACKNOWLEDGED);
    let mut counts = Vec::new();
    for (acked, stream) in streams {
        let closed = stream.await.unwrap();
        if polite {
            assert_eq!(closed, Some(CloseCode::Restart));
        }
        counts.push(acked.load(Ordering::SeqCst));
    }

    let process = Process::start(&config).await;
    for (device, acked) in devices.iter().zip(&counts) {
        let (_, held) = device.open(&config).await;
        assert!(held >= *acked, "{}: {acked} were acknowledged and {held} are held", device.name);
    }
    if whole.len() < old.len() {
        let (rest, status) = device.download(&config, &offer, whole.len(), Arc::default()).await.unwrap();
        assert_eq!(status, 206);
        whole.extend(rest);
    }
    assert!(whole == old, "the download is not the artifact");
    let received = rest.get(&format!("/uploads/{id}")).await["received"].as_u64().unwrap();
    let received = usize::try_from(received).unwrap();
    assert!(received >= acknowledged, "{acknowledged} bytes were acknowledged and {received} are held");
    let answer = rest.chunk(&id, received, new[received..].to_vec()).await;
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let manifest = rest.upload("firmware.manifest.json", &rest.manifest("1.2.0", 3, &new)).await;
    // The digest is compared with the signed one, so a release in order is the file byte for byte.
    rest.publish(&json!([id, manifest])).await;
    assert!(process.end(Signal::TERM).await.success());

    let running = server::run::start_with(config, Arc::new(SystemClock), Arc::new(OsEntropy)).await.unwrap();
    for (device, acked) in devices.iter().zip(counts) {
        device.counted(&running, acked).await;
    }
    running.stop().await.unwrap();
}

/// Bytes that are not the same anywhere.
fn content(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

/// Fleetward as it is run.
struct Process(Child);

impl Process {
    async fn start(config: &Config) -> Self {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_fleetward"));
        serve.arg("serve").stdin(Stdio::null()).kill_on_drop(true).env("FLEETWARD_DATA", &config.data).env("FLEETWARD_DRAIN_S", "30");
        let addresses = [
            ("OPERATOR", config.operator_addr),
            ("DEVICE", config.device_addr),
            ("ENROL", config.enrol_addr),
            ("PUBLISH", config.publish_addr),
            ("OPS", config.ops_addr),
        ];
        for (listener, address) in addresses {
            serve.env(format!("FLEETWARD_{listener}_ADDR"), address.to_string());
        }
        if let Some(file) = &config.database_url_file {
            serve.env("FLEETWARD_DATABASE_URL_FILE", file);
        }
        let process = Self(serve.spawn().unwrap());
        let ready = format!("http://{}/readyz", config.ops_addr);
        eventually("the process is ready", PATIENCE, || async {
            reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        process
    }

    async fn end(mut self, signal: Signal) -> ExitStatus {
        let id = i32::try_from(self.0.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        timeout(PATIENCE, self.0.wait()).await.expect("the process ends").unwrap()
    }
}

type Channel = WebSocketStream<TlsStream<TcpStream>>;
/// Where offers are told, with the device they came to.
type Offers = mpsc::UnboundedSender<(String, Box<Offer>)>;

struct Device {
    name: String,
    tls: TlsConnector,
    /// The time of its sample number 0.
    begin: i64,
}

impl Device {
    async fn enrol(server: &TestServer, name: &str) -> Self {
        let token = enrolment_token(server, name, TYPE, 1).await;
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let request = EnrolRequest {
            csr: params.serialize_request(&key).unwrap().pem().unwrap(),
            device_id: Some(name.into()),
            device_type: TYPE.into(),
            hardware: "A".into(),
            attributes: BTreeMap::default(),
        };
        let attempt = Attempt { secret: &token.secret, request: &request, address: "127.0.0.1" };
        let enrolled = server.running.fleet.devices().enrol(attempt).await.unwrap();
        let der = |pem: &String| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(enrolled.trust_bundle.iter().map(der));
        let chain = std::iter::once(&enrolled.certificate).chain(&enrolled.chain).map(der).collect();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let begin = server.running.fleet.clock().now().0 - 20 * 3_600_000;
        Self { name: name.into(), tls: TlsConnector::from(Arc::new(config)), begin }
    }

    async fn dial(&self, config: &Config) -> TlsStream<TcpStream> {
        let tcp = TcpStream::connect(config.device_addr).await.unwrap();
        self.tls.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap()
    }

    /// Opens the channel and gives what the server says it holds.
    async fn open(&self, config: &Config) -> (Channel, u64) {
        let (mut channel, _) = client_async("wss://localhost/device/v1/channel", self.dial(config).await).await.unwrap();
        let hello = json!({
            "type": "hello", "agent": "test/1", "boot_id": "b", "stream": format!("from-{}", self.begin),
            "firmware": { "version": "1.0.0", "sequence": 1, "device_type": TYPE, "hardware": "A" },
        });
        channel.send(Message::text(hello.to_string())).await.unwrap();
        loop {
            let Some(Ok(Message::Text(text))) = timeout(PATIENCE, channel.next()).await.unwrap() else { continue };
            if let Down::Welcome(welcome) = serde_json::from_str(&text).unwrap() {
                return (channel, welcome.acked);
            }
        }
    }

    /// Downloads an offer's first payload from this byte on, slowly, until its end or a cut. Gives the bytes and the status.
    fn download(&self, config: &Config, offer: &Offer, from: usize, got: Arc<AtomicUsize>) -> JoinHandle<(Vec<u8>, u16)> {
        let (path, tls, at) = (offer.downloads[0].path.clone(), self.tls.clone(), config.device_addr);
        tokio::spawn(async move {
            let tcp = TcpStream::connect(at).await.unwrap();
            let mut tls = tls.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
            let range = format!("range: bytes={from}-\r\n");
            let range = if from > 0 { range.as_str() } else { "" };
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{range}connection: close\r\n\r\n");
            tls.write_all(request.as_bytes()).await.unwrap();
            let (mut answer, mut piece) = (Vec::new(), vec![0; SIP]);
            // A cut is the end of it like any other here; how much came is what counts.
            while let Ok(n @ 1..) = tls.read(&mut piece).await {
                answer.extend_from_slice(&piece[..n]);
                got.store(answer.len(), Ordering::SeqCst);
                sleep(PAUSE).await;
            }
            let head = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head") + 4;
            let status = std::str::from_utf8(&answer[..head]).unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            (answer.split_off(head), status)
        })
    }

    /// Fails unless samples 1 to `acked` are there, each once, in order.
    async fn counted(&self, running: &server::run::Running, acked: u64) {
        let actor = Actor::system(running.fleet.default_org().clone());
        let number = running.fleet.devices().find(&actor, &self.name.parse().unwrap()).await.unwrap();
        let mut seen = Vec::new();
        for first in (0..=acked).step_by(500) {
            let time = |n: u64| Timestamp(self.begin + i64::try_from(n).unwrap() * 1000);
            let (from, to) = (time(first), time(first + 500));
            let query = HistoryQuery { device_id: self.name.parse().unwrap(), metrics: Vec::new(), from, to, points: 2000 };
            let history = running.fleet.telemetry().history(&actor, &query, number).await.unwrap();
            assert!(!history.decimated);
            seen.extend(history.series.iter().flat_map(|s| s.v.clone()));
        }
        let wanted: Vec<f64> = (1..=u32::try_from(acked).unwrap()).map(f64::from).collect();
        assert!(seen.starts_with(&wanted), "{}: of {acked} acknowledged samples {} are there: {:?} …", self.name, seen.len(), &seen[..3]);
    }
}

/// Sends numbered samples until the channel ends, and gives the code it was closed with.
async fn ingest(name: String, begin: i64, channel: Channel, acked: Arc<AtomicU64>, offers: Offers) -> Option<CloseCode> {
    let (mut out, mut back) = channel.split();
    let known = Arc::clone(&acked);
    let sending = async move {
        for seq in 1_u64.. {
            while seq > known.load(Ordering::SeqCst) + WINDOW {
                sleep(Duration::from_millis(1)).await;
            }
            let sample =
                Sample { m: "count".into(), t: begin + i64::try_from(seq).unwrap() * 1000, v: f64::from(u32::try_from(seq).unwrap()) };
            let frame = serde_json::to_string(&Up::Samples(Samples { seq, samples: vec![sample] })).unwrap();
            if out.send(Message::text(frame)).await.is_err() {
                break;
            }
        }
        // The reader finds out why.
        std::future::pending::<()>().await;
    };
    let reading = async move {
        while let Some(Ok(message)) = back.next().await {
            match message {
                Message::Text(text) => match serde_json::from_str(&text).unwrap() {
                    Down::Ack { seq } => acked.store(seq, Ordering::SeqCst),
                    Down::Offer(offer) => drop(offers.send((name.clone(), offer))),
                    Down::Refused { code, message, .. } => panic!("{code}: {message}"),
                    _ => {}
                },
                Message::Close(frame) => return frame.map(|frame| frame.code),
                _ => {}
            }
        }
        None
    };
    tokio::select! { code = reading => code, () = sending => None }
}

/// Begins an upload, has the first part acknowledged and the rest under way. Gives its id, what was sent, and how many bytes the running
/// request was acknowledged with, if it was.
async fn upload(rest: &Rest, bytes: &[u8]) -> (String, Arc<AtomicUsize>, JoinHandle<Option<usize>>) {
    let begun = rest.post(&rest.operator, "/uploads", &json!({ "name": "firmware.bin", "size": bytes.len() })).await;
    let id = begun["id"].as_str().unwrap().to_owned();
    let answer = rest.chunk(&id, 0, bytes[..ACKNOWLEDGED].to_vec()).await;
    assert!(answer.status().is_success());
    let sent = Arc::new(AtomicUsize::new(ACKNOWLEDGED));
    let pieces: Vec<Vec<u8>> = bytes[ACKNOWLEDGED..].chunks(SIP).map(<[u8]>::to_vec).collect();
    let count = Arc::clone(&sent);
    let body = stream::iter(pieces).then(move |piece| {
        let count = Arc::clone(&count);
        async move {
            sleep(PAUSE).await;
            count.fetch_add(piece.len(), Ordering::SeqCst);
            Ok::<_, io::Error>(piece)
        }
    });
    let put = rest.request(Method::PUT, &format!("/uploads/{id}?offset={ACKNOWLEDGED}"));
    let put = put.header("content-type", "application/octet-stream").body(reqwest::Body::wrap_stream(body)).send();
    let running = tokio::spawn(async move {
        let answer = put.await.ok().filter(|answer| answer.status().is_success())?;
        let upload: serde_json::Value = answer.json().await.ok()?;
        usize::try_from(upload["received"].as_u64()?).ok()
    });
    (id, sent, running)
}
