//! Fleetward as it is: real listeners, real certificates, the embedded database on this disk.

use crate::{
    Shape,
    load::{self, Identity},
};
use fleet::{access::Actor, clock::SystemClock, devices::Attempt, entropy::OsEntropy};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use server::config::Config;
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};
use wire::enrolment::{EnrolRequest, NewEnrolmentToken};

pub async fn measure(shape: Shape) -> f64 {
    // On the disk that the build is on; a temporary folder may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let config = Config {
        data: folder.path().join("data"),
        operator_addr: any,
        device_addr: any,
        enrol_addr: any,
        ops_addr: any,
        ..Config::default()
    };
    let running = server::run::start_with(config, Arc::new(SystemClock), Arc::new(OsEntropy)).await.unwrap();
    let fleet = running.fleet.clone();
    let system = Actor::system(fleet.default_org().clone());
    let mut devices = Vec::new();
    for i in 0..shape.connections {
        let name = format!("bench-{i}");
        let new = NewEnrolmentToken {
            label: name.clone(),
            pattern: name.clone(),
            device_type: "gw".into(),
            tags: Vec::new(),
            max_uses: 1,
            hours: 1,
        };
        let token = fleet.devices().create_enrolment_token(&system, new).await.unwrap();
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
        let attempt = Attempt { secret: &token.secret, request: &request, address: "127.0.0.1" };
        let enrolled = fleet.devices().enrol(attempt).await.unwrap();
        let der = |pem: &String| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        devices.push(Identity {
            roots: enrolled.trust_bundle.iter().map(der).collect(),
            chain: std::iter::once(&enrolled.certificate).chain(&enrolled.chain).map(der).collect(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        });
    }
    let per_second = load::measure(shape, running.device_addr, devices).await;
    let figures = fleet.telemetry().figures();
    let (samples, frames, commits) = (figures.samples, figures.frames, figures.commits);
    eprintln!("{samples} samples of {frames} frames in {commits} commits; {} not folded yet", figures.unfolded);
    assert_eq!((figures.refused, figures.repeated, figures.damaged), (0, 0, 0));
    running.stop().await.unwrap();
    per_second
}
