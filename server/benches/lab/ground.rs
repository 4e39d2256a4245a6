//! Fleetward as it is, over a folder that was prepared once: enrolled devices, their keys, a token that may do anything. Every measurement starts
//! the real binary over it, with real listeners and the embedded database on this disk.

use crate::{
    Outcome, Size, figure, heap, http,
    machine::{Server, free_address},
    tls::{Identity, Trust},
};
use fleet::{access::Actor, clock::SystemClock, devices::Attempt, entropy::OsEntropy};
use futures::{StreamExt as _, stream};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use server::{config::Config, run::Running};
use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{net::TcpStream, time::Instant};
use wire::{
    enrolment::{CreatedEnrolmentToken, EnrolRequest, NewEnrolmentToken},
    pki::CertificateQuery,
    states::Role,
};

/// Where the prepared folder is.
const GROUND: &str = "BENCH_GROUND";
/// Uses that one enrolment token has at most.
const USES: usize = 10_000;

/// What is known of the folder.
#[derive(Serialize, Deserialize)]
struct Notes {
    token: String,
    /// Of another admin, who approves.
    approver: String,
    authority: String,
    roots: Vec<String>,
    /// What follows the leaf in every device's chain.
    chain: Vec<String>,
    /// Leaf and PKCS#8 of each device.
    devices: Vec<(String, String)>,
}

/// A running Fleetward.
pub struct Ground {
    pub server: Server,
    pub device: SocketAddr,
    pub enrol: SocketAddr,
    pub publish: SocketAddr,
    operator: SocketAddr,
    notes: Notes,
    // Removed after the server is killed; none when it runs over the folder itself.
    _copy: Option<tempfile::TempDir>,
}

/// With its permissions: a key that others may read is refused.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, into) = {
            let entry = entry.unwrap();
            let into = to.join(entry.file_name());
            (entry.path(), into)
        };
        if entry.is_dir() {
            copy_folder(&entry, &into);
        } else {
            fs::copy(&entry, &into).unwrap();
            // Whatever the system still has to write would be written while it is measured.
            fs::File::open(&into).and_then(|file| file.sync_all()).unwrap();
        }
    }
}

/// Makes the folder.
pub async fn prepare(folder: &str, size: Size) -> Outcome {
    let folder = Path::new(folder);
    let config = Config::on_free_ports(folder.join("data"));
    let running = server::run::start_with(config, Arc::new(SystemClock), Arc::new(OsEntropy)).await.unwrap();
    let system = Actor::system(running.fleet.default_org().clone());
    let access = running.fleet.access();
    access.create_user(&system, "bench@example.com", "Bench", Role::Admin, "a long enough password").await.unwrap();
    let token = access.create_token_for(&system, "bench@example.com", "bench", Role::Admin, 1).await.unwrap().secret;
    access.create_user(&system, "second@example.com", "Second", Role::Admin, "a long enough password").await.unwrap();
    let approver = access.create_token_for(&system, "second@example.com", "bench", Role::Admin, 1).await.unwrap().secret;
    let mut enrolled = Vec::new();
    let begun = Instant::now();
    for first in (0..size.devices).step_by(USES) {
        let secret = running.fleet.devices().create_enrolment_token(&system, new_token()).await.unwrap().secret;
        let numbers = first..size.devices.min(first + USES);
        let enrolling =
            stream::iter(numbers.map(|number| enrol(&running, &secret, format!("bench-{number:05}")))).buffered(crate::IN_FLIGHT);
        enrolled.extend(enrolling.collect::<Vec<_>>().await);
    }
    let rate = figure(size.devices) / begun.elapsed().as_secs_f64();
    let page = running.fleet.pki().certificates_page(&system, &CertificateQuery::default()).await.unwrap();
    let authority = page.authorities.into_iter().find(|a| a.kind == "device").unwrap().id.to_string();
    let (first, _) = enrolled.first().unwrap();
    let (roots, chain) = (first.trust_bundle.clone(), first.chain.clone());
    let devices = enrolled.into_iter().map(|(answer, key)| (answer.certificate, hex::encode(key))).collect();
    let notes = Notes { token, approver, authority, roots, chain, devices };
    fs::write(folder.join("notes.json"), serde_json::to_vec(&notes).unwrap()).unwrap();
    running.stop().await.unwrap();
    Outcome::from([("value", rate)])
}

/// A token for as many devices as one may be for.
pub fn new_token() -> NewEnrolmentToken {
    NewEnrolmentToken {
        label: "bench".into(),
        device_type: "gw".into(),
        max_uses: USES.try_into().unwrap(),
        hours: 1,
        ..NewEnrolmentToken::default()
    }
}

async fn enrol(running: &Running, secret: &str, name: String) -> (wire::enrolment::Enrolled, Vec<u8>) {
    let (key, csr) = csr(&name);
    let request = request(&name, csr);
    let attempt = Attempt { secret, request: &request, address: "127.0.0.1" };
    (running.fleet.devices().enrol(attempt).await.unwrap(), key)
}

/// What a device sends to enrol.
pub fn request(name: &str, csr: String) -> EnrolRequest {
    EnrolRequest { csr, device_id: Some(name.to_owned()), device_type: "gw".into(), hardware: "A".into(), attributes: BTreeMap::default() }
}

/// A P-256 key (PKCS#8) and a request for it, PEM.
pub fn csr(name: &str) -> (Vec<u8>, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    (key.serialize_der(), params.serialize_request(&key).unwrap().pem().unwrap())
}

impl Ground {
    /// Starts Fleetward over the folder.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with more in its environment.
    pub async fn start_with(environment: &[(&str, &str)]) -> Self {
        let folder = PathBuf::from(std::env::var_os(GROUND).unwrap_or_else(|| panic!("{GROUND} names the folder that `prepare` made")));
        let notes: Notes = serde_json::from_slice(&fs::read(folder.join("notes.json")).unwrap()).unwrap();
        // Every measurement begins with the same: what an earlier one left behind would weigh on it.
        let copy = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        copy_folder(&folder.join("data"), &copy.path().join("data"));
        Self::run(notes, &copy.path().join("data"), Some(copy), environment).await
    }

    /// Starts it over the folder itself, so that what is done there stays.
    pub async fn over(folder: &Path) -> Self {
        let notes = serde_json::from_slice(&fs::read(folder.join("notes.json")).unwrap()).unwrap();
        Self::run(notes, &folder.join("data"), None, &[]).await
    }

    async fn run(notes: Notes, data: &Path, copy: Option<tempfile::TempDir>, environment: &[(&str, &str)]) -> Self {
        let [operator, device, enrol, publish, ops] = [(); 5].map(|()| free_address());
        let mut serve = heap::fleetward();
        serve.args(["serve", "--log", "warn", "--data"]).arg(data).envs(environment.iter().copied());
        for (key, address) in [("OPERATOR", operator), ("DEVICE", device), ("ENROL", enrol), ("PUBLISH", publish), ("OPS", ops)] {
            serve.env(format!("FLEETWARD_{key}_ADDR"), address.to_string());
        }
        let server = Server::start(&mut serve, device).await;
        let ground = Self { server, device, enrol, publish, operator, notes, _copy: copy };
        ground.ready(ops).await;
        ground
    }

    /// Until everything is in memory: what a load balancer waits for.
    async fn ready(&self, ops: SocketAddr) {
        for _ in 0..600 {
            if let Ok(tcp) = TcpStream::connect(ops).await
                && http::Client::new(tcp).ask(&http::get("/readyz")).await.is_ok_and(|answer| answer.status == 200)
            {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("Fleetward is not ready");
    }

    /// What its clients trust.
    pub fn trust(&self) -> Trust {
        Trust::new(self.notes.roots.iter().map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()))
    }

    /// So many enrolled devices.
    pub fn identities(&self, count: usize) -> Vec<Identity> {
        assert!(self.notes.devices.len() >= count, "only {} devices were prepared", self.notes.devices.len());
        self.notes.devices[..count].iter().map(|(leaf, key)| self.identity(leaf, hex::decode(key).unwrap())).collect()
    }

    /// A device of this certificate and key.
    pub fn identity(&self, leaf: &str, key: Vec<u8>) -> Identity {
        let pem = std::iter::once(leaf).chain(self.notes.chain.iter().map(String::as_str));
        Identity { chain: pem.map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).collect(), key }
    }

    /// Secrets that are good for so many enrolments.
    pub async fn secrets(&self, enrolments: usize) -> Vec<String> {
        let mut api = self.api().await;
        let (body, mut secrets) = (serde_json::to_string(&new_token()).unwrap(), Vec::new());
        for _ in 0..enrolments.div_ceil(USES) {
            let answer = api.ask(&http::post("/api/v1/enrolment-tokens", &self.notes.token, &body)).await.unwrap();
            assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
            secrets.push(serde_json::from_slice::<CreatedEnrolmentToken>(&answer.body).unwrap().secret);
        }
        secrets
    }

    /// Requests to enrol new devices, ready to be sent.
    pub async fn enrolments(&self, count: usize) -> Vec<Vec<u8>> {
        let secrets = self.secrets(count).await;
        let run = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
        let one = |number: usize| {
            let name = format!("new-{run}-{number}");
            let body = serde_json::to_string(&request(&name, csr(&name).1)).unwrap();
            http::post("/device/v1/enrol", &secrets[number / USES], &body)
        };
        (0..count).map(one).collect()
    }

    /// The first admin at the API, who drafts, or the second, who approves.
    pub async fn admin(&self, second: bool) -> http::Rest {
        http::Rest::new(self.operator, if second { &self.notes.approver } else { &self.notes.token }).await
    }

    /// A connection to the console's listener.
    pub async fn api(&self) -> http::Client<TcpStream> {
        http::Client::new(TcpStream::connect(self.operator).await.unwrap())
    }

    /// The certificate of the device of this name, by its id.
    pub async fn certificate_id(&self, api: &mut http::Client<TcpStream>, device: &str) -> String {
        let path = format!("/api/v1/certificates?q={device}");
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\r\n", self.notes.token);
        let answer = api.ask(request.as_bytes()).await.unwrap();
        let page: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        page["items"][0]["id"].as_str().unwrap_or_else(|| panic!("{page}")).to_owned()
    }

    /// Revokes a certificate; back when the server says that it is done.
    pub async fn revoke(&self, api: &mut http::Client<TcpStream>, certificate: &str) {
        let path = format!("/api/v1/certificates/{certificate}/revoke");
        let answer = api.ask(&http::post(&path, &self.notes.token, r#"{"reason":"superseded"}"#)).await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    }

    /// The first root, as a certificate.
    pub fn root(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.notes.roots[0].as_bytes()).unwrap()
    }

    /// The authority of devices, by its id.
    pub fn authority(&self) -> &str {
        &self.notes.authority
    }

    /// Its certificate, and the first device's, PEM.
    pub fn issuer_and_leaf(&self) -> (&str, &str) {
        (&self.notes.chain[0], &self.notes.devices[0].0)
    }
}
