//! addresses in certificates are somebody else's words. Whatever they name, nobody here goes there.

use super::Rig;
use fleet::db::EngineKind;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_44_no_address_in_a_certificate_is_ever_asked() {
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", trap.local_addr().unwrap());
    let caught = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&caught);
    tokio::spawn(async move {
        while trap.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let rig = Rig::start(EngineKind::Sqlite).await;
    let addresses = format!("crlDistributionPoints=URI:{at}/list.crl\nauthorityInfoAccess=OCSP;URI:{at}/ocsp,caIssuers;URI:{at}/ca.cer");
    // In an authority that somebody registers, and in its verification certificate.
    let own = [format!("crlDistributionPoints=URI:{at}/root.crl"), format!("authorityInfoAccess=OCSP;URI:{at}/o,caIssuers;URI:{at}/c")];
    rig.authority(&["-addext", &own[0], "-addext", &own[1]]).await;
    let id = rig.enabled(&json!({ "just_in_time": "auto", "device_type": "meter" })).await;
    // In a device's certificate on both listeners: good, unknown and revoked.
    rig.leaf("meter-1", "ca", &format!("extendedKeyUsage=clientAuth\n{addresses}")).await;
    rig.dial("meter-1").await;
    rig.let_in("meter-1").await;
    let both = ["--cert", "meter-1.pem", "--key", "meter-1.key"];
    assert_eq!(rig.stock.enrol("/.well-known/est/cacerts", &both).await.status, 200);
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9", "-subj", "/CN=meter-2"];
    let files = ["-keyout", "meter-2.key", "-out", "meter-2.pem", "-addext", own[0].as_str(), "-addext", own[1].as_str()];
    rig.stock.openssl(&[&new[..], &files].concat()).await;
    assert_eq!(rig.dial("meter-2").await, 0);
    let fleet = &rig.server.running.fleet;
    let der = CertificateDer::from_pem_slice(rig.stock.read("meter-1.pem").as_bytes()).unwrap();
    let peer = fleet.pki().trust().check(&der).unwrap();
    fleet.pki().revoke(&rig.server.system(), &peer.certificate, wire::pki::RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(rig.dial("meter-1").await, 0);
    // Shown to people, and given out again.
    let (status, shown) = rig.call(reqwest::Method::GET, &format!("/{id}"), json!({})).await;
    assert_eq!(status, 200, "{shown}");
    let of_device = rig.server.url(&format!("/api/v1/certificates/{}", peer.certificate));
    let detail = rig.server.http.get(of_device).bearer_auth(&rig.secret).send().await.unwrap().text().await.unwrap();
    assert!(detail.contains(&format!("{at}/list.crl")), "the addresses were read: {detail}");
    // The workers have had their turns; and the trap catches who goes there.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(caught.load(Ordering::SeqCst), 0);
    tokio::net::TcpStream::connect(at.trim_start_matches("http://")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(caught.load(Ordering::SeqCst), 1);
    rig.server.stop().await;
}
