//! Fleetward as it is: real listeners, real certificates, the embedded database on this disk.

use crate::device::Identity;
use fleet::{access::Actor, clock::SystemClock, devices::Attempt, entropy::OsEntropy};
use futures::{StreamExt as _, stream};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use server::{config::Config, run::Running};
use std::{collections::BTreeMap, sync::Arc};
use wire::{
    enrolment::{EnrolRequest, NewEnrolmentToken},
    states::Role,
};

/// A running server with enrolled devices.
pub struct Fleetward {
    pub running: Running,
    pub devices: Vec<Identity>,
    _folder: tempfile::TempDir,
}

/// The name of the device with this number.
pub fn device_name(number: usize) -> String {
    format!("bench-{number:05}")
}

impl Fleetward {
    /// Starts one and enrols so many devices.
    pub async fn start(devices: usize) -> Self {
        // On the disk that the build is on; a temporary folder may be memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let config = Config::on_free_ports(folder.path().join("data"));
        let running = server::run::start_with(config, Arc::new(SystemClock), Arc::new(OsEntropy)).await.unwrap();
        let new = NewEnrolmentToken {
            label: "bench".into(),
            pattern: "bench-*".into(),
            device_type: "gw".into(),
            tags: Vec::new(),
            max_uses: devices.try_into().unwrap(),
            hours: 1,
            ..NewEnrolmentToken::default()
        };
        let system = Actor::system(running.fleet.default_org().clone());
        let token = running.fleet.devices().create_enrolment_token(&system, new).await.unwrap();
        let enrolling = stream::iter((0..devices).map(|number| enrol(&running, &token.secret, device_name(number)))).buffered(16);
        let devices = enrolling.collect().await;
        Self { running, devices, _folder: folder }
    }

    /// An API token that may read.
    pub async fn viewer(&self) -> String {
        let system = Actor::system(self.running.fleet.default_org().clone());
        let access = self.running.fleet.access();
        access.create_user(&system, "bench@example.com", "Bench", Role::Viewer, "a long enough password").await.unwrap();
        access.create_token_for(&system, "bench@example.com", "bench", Role::Viewer, 1).await.unwrap().secret
    }

    pub async fn stop(self) {
        self.running.stop().await.unwrap();
    }
}

async fn enrol(running: &Running, secret: &str, name: String) -> Identity {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name.as_str());
    let request = EnrolRequest {
        csr: params.serialize_request(&key).unwrap().pem().unwrap(),
        device_id: Some(name),
        device_type: "gw".into(),
        hardware: "A".into(),
        attributes: BTreeMap::default(),
    };
    let attempt = Attempt { secret, request: &request, address: "127.0.0.1" };
    let enrolled = running.fleet.devices().enrol(attempt).await.unwrap();
    let der = |pem: &String| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    Identity {
        roots: enrolled.trust_bundle.iter().map(der).collect(),
        chain: std::iter::once(&enrolled.certificate).chain(&enrolled.chain).map(der).collect(),
        key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
    }
}
