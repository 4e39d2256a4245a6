//! An owner's authority over real sockets (E-10): everything their side does is openssl's and curl's, as it is pasted.

mod fetched;
mod later;
mod nothing_fetched;
mod unfit;

use crate::{
    stock::Stock,
    support::{TestServer, eventually},
};
use axum::body::Body;
use fleet::db::EngineKind;
use hyper::client::conn::http2::SendRequest;
use reqwest::Method;
use rstest::rstest;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use server::config::Config;
use std::{process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::{Child, Command},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;
use wire::{registered::verification_lines, states::Role};

const PATIENCE: Duration = Duration::from_secs(20);
const BUNDLE: &str = "/device/v1/trust-bundle";

/// A server, an admin's token, and the folder in which the owner of an authority works.
pub struct Rig {
    pub server: TestServer,
    pub stock: Stock,
    secret: String,
}

impl Rig {
    async fn start(kind: EngineKind) -> Self {
        // The lists of these tests are near.
        Self::over(TestServer::start_with(kind, |config| Config { list_fetch_private: true, ..config }).await).await
    }

    pub async fn over(server: TestServer) -> Self {
        let stock = Stock::of(&server);
        let secret = server.token("ada", Role::Admin).await;
        Self { server, stock, secret }
    }

    pub async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = self.server.url(&format!("/api/v1/registered-authorities{path}"));
        let answer = self.server.http.request(method, url).bearer_auth(&self.secret).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// An authority whose certificate and key are `ca.pem` and `ca.key` in the folder, with what else openssl is told.
    pub async fn authority(&self, more: &[&str]) {
        let new =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=Plant CA"];
        self.stock.openssl(&[&new[..], &["-keyout", "ca.key", "-out", "ca.pem"], more].concat()).await;
    }

    /// Registers it, proves possession with the lines as they are shown, and enables it.
    pub async fn enabled(&self, policy: &Value) -> String {
        let (status, made) = self.call(Method::POST, "", json!({ "label": "Plant", "certificate": self.stock.read("ca.pem") })).await;
        assert_eq!((status, made["state"].as_str()), (201, Some("unverified")), "{made}");
        let id = made["id"].as_str().unwrap().to_owned();
        for line in verification_lines(made["code"].as_str().unwrap()) {
            self.stock.shell(&line).await;
        }
        let (status, verified) =
            self.call(Method::POST, &format!("/{id}/verify"), json!({ "certificate": self.stock.read("verify.pem") })).await;
        assert_eq!((status, verified["state"].as_str()), (200, Some("verified")), "{verified}");
        let (status, enabled) = self.call(Method::POST, &format!("/{id}/enable"), policy.clone()).await;
        assert_eq!((status, enabled["state"].as_str()), (200, Some("active")), "{enabled}");
        id
    }

    /// An authority that is enabled, with two devices of it that were let in by themselves: `meter-1` and `meter-2`.
    async fn two_meters(&self) -> String {
        self.authority(&[]).await;
        let id = self.enabled(&json!({ "just_in_time": "auto" })).await;
        for name in ["meter-1", "meter-2"] {
            self.leaf(name, "ca", "extendedKeyUsage=clientAuth").await;
            self.let_in(name).await;
        }
        id
    }

    /// Makes `{name}.key` and `{name}.pem` with this common name, signed by `{by}.pem`; what is above the leaf is appended by the caller.
    pub async fn leaf(&self, name: &str, by: &str, extensions: &str) {
        self.stock.request(name, &format!("/CN={name}")).await;
        self.stock.write(&format!("{name}.ext"), extensions);
        let (csr, ca, key, out, ext) =
            (format!("{name}.der"), format!("{by}.pem"), format!("{by}.key"), format!("{name}.pem"), format!("{name}.ext"));
        let sign = ["x509", "-req", "-inform", "DER", "-in", &csr, "-CA", &ca, "-CAkey", &key, "-CAcreateserial", "-days", "30", "-sha256"];
        self.stock.openssl(&[&sign[..], &["-extfile", &ext, "-out", &out]].concat()).await;
    }

    /// Revokes these files with the authority's own tool, and makes its next list.
    async fn list(&self, revoke: &[&str], out: &str) {
        let config = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=1\ncrl_extensions=x\n\
                      [x]\nauthorityKeyIdentifier=keyid\n";
        if !self.stock.file("crl.cnf").exists() {
            for (file, content) in [("crl.cnf", config), ("index.txt", ""), ("crlnumber", "1000\n")] {
                self.stock.write(file, content);
            }
        }
        let by = ["ca", "-config", "crl.cnf", "-keyfile", "ca.key", "-cert", "ca.pem"];
        for certificate in revoke {
            self.stock.openssl(&[&by[..], &["-revoke", certificate, "-crl_reason", "keyCompromise"]].concat()).await;
        }
        self.stock.openssl(&[&by[..], &["-gencrl", "-out", out]].concat()).await;
    }

    /// One dial to the device listener; the status of the answer, 0 without one.
    async fn dial(&self, name: &str) -> u16 {
        self.dial_by(name, &["--tlsv1.3"]).await
    }

    async fn dial_by(&self, name: &str, version: &[&str]) -> u16 {
        let url = format!("https://127.0.0.1:{}{BUNDLE}", self.server.running.device_addr.port());
        let folder = self.stock.file("");
        let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
        let fixed = [
            "-s",
            "--max-time",
            "20",
            "--cacert",
            "root.pem",
            "--cert",
            &cert,
            "--key",
            &key,
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            &url,
        ];
        let arguments = [&fixed[..], version].concat();
        let done = Command::new("curl").args(arguments).current_dir(folder).output().await.unwrap();
        String::from_utf8_lossy(&done.stdout).parse().unwrap_or_default()
    }

    /// A connection that is kept open after one answer.
    async fn stays(&self, name: &str) -> Child {
        self.stays_by(name, &[], &format!("GET {BUNDLE} HTTP/1.1\r\nhost: localhost\r\n\r\n"), "200").await
    }

    /// The same with what else openssl is told, for another request and its answer.
    async fn stays_by(&self, name: &str, more: &[&str], request: &str, status: &str) -> Child {
        let at = format!("127.0.0.1:{}", self.server.running.device_addr.port());
        let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
        let fixed = ["s_client", "-connect", &at, "-CAfile", "root.pem", "-cert", &cert, "-key", &key, "-quiet"];
        let arguments = [&fixed[..], more].concat();
        let mut child = Command::new("openssl")
            .args(arguments)
            .current_dir(self.stock.file(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        timeout(PATIENCE, child.stdout.as_mut().unwrap().read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"));
        child
    }

    /// The same over HTTP/2, by a client of its own; the task ends with the connection, which stays open as long as requests could be sent.
    async fn stays_by_http2(&self, name: &str) -> (SendRequest<Body>, JoinHandle<hyper::Result<()>>) {
        let (root, shown) = (self.stock.read("root.pem"), self.stock.read(&format!("{name}.pem")));
        let chain = CertificateDer::pem_slice_iter(shown.as_bytes()).map(Result::unwrap).collect();
        let key = rcgen::KeyPair::from_pem(&self.stock.read(&format!("{name}.key"))).unwrap();
        let mut config = crate::tls::presents(&root, chain, &key);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let (mut requests, ends) = crate::tls::http2(self.shakes_hands(config).await.unwrap()).await;
        let answer = timeout(PATIENCE, requests.send_request(crate::tls::get_of(BUNDLE))).await.unwrap().unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
        (requests, ends)
    }

    /// With the device listener.
    async fn shakes_hands(&self, config: rustls::ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(("127.0.0.1", self.server.running.device_addr.port())).await?;
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, socket).await
    }

    async fn let_in(&self, name: &str) {
        eventually(name, PATIENCE, || async { self.dial(name).await == 200 }).await;
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_a_device_of_an_own_authority_is_in_with_its_second_dial_and_cut_with_the_authority(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.authority(&[]).await;
    // Nothing is believed before it was proved and enabled.
    rig.leaf("meter-1", "ca", "extendedKeyUsage=clientAuth").await;
    assert_eq!(rig.dial("meter-1").await, 0);
    let id = rig.enabled(&json!({ "just_in_time": "auto", "device_type": "meter", "pattern": "meter-*" })).await;
    let at = format!("/{id}");

    assert_eq!(rig.dial("meter-1").await, 0, "the first dial is decided about");
    rig.let_in("meter-1").await;
    let (_, shown) = rig.call(Method::GET, &at, json!({})).await;
    assert_eq!((shown["devices"].as_i64(), shown["admitted"].as_i64()), (Some(1), Some(1)));
    // TLS 1.2, and a certificate that says nothing of what it is good for.
    rig.leaf("meter-2", "ca", "basicConstraints=CA:FALSE").await;
    assert_eq!(rig.dial_by("meter-2", &["--tls-max", "1.2"]).await, 0);
    eventually("TLS 1.2", PATIENCE, || async { rig.dial_by("meter-2", &["--tls-max", "1.2"]).await == 200 }).await;
    // Good for servers alone; an authority; out of the pattern: never.
    rig.leaf("meter-3", "ca", "extendedKeyUsage=serverAuth").await;
    rig.leaf("meter-4", "ca", "basicConstraints=CA:TRUE").await;
    rig.leaf("gauge-1", "ca", "extendedKeyUsage=clientAuth").await;
    for name in ["meter-3", "meter-4", "gauge-1", "gauge-1"] {
        assert_eq!(rig.dial(name).await, 0, "{name}");
    }
    eventually("refusals are counted", PATIENCE, || async { rig.call(Method::GET, &at, json!({})).await.1["refused"] == 3 }).await;

    // Its authority disabled, a device's connection is over within a second, and the next is none.
    let mut live = rig.stays("meter-1").await;
    let began = Instant::now();
    assert_eq!(rig.call(Method::POST, &format!("{at}/disable"), json!({})).await.0, 200);
    timeout(Duration::from_secs(1), live.wait()).await.expect("cut within a second").unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(rig.dial("meter-1").await, 0);
    assert_eq!(rig.call(Method::POST, &format!("{at}/enable"), json!({ "just_in_time": "off" })).await.0, 200);
    assert_eq!(rig.dial("meter-1").await, 200, "enabled again it is as before");

    // The same for the device alone: suspended, and its certificate revoked.
    let mut live = rig.stays("meter-1").await;
    let system = rig.server.system();
    let fleet = &rig.server.running.fleet;
    fleet.devices().change(&system, &"meter-1".parse().unwrap(), wire::states::DeviceStep::Suspend).await.unwrap();
    timeout(Duration::from_secs(1), live.wait()).await.expect("cut within a second").unwrap();
    assert_eq!(rig.dial("meter-1").await, 0);
    // Nothing of it was an alarm about keys of ours (H-4).
    assert_eq!(fleet.pki().trust().unknown_seen(), 0);
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_chains_with_an_authority_between_are_followed_as_far_as_allowed(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.authority(&[]).await;
    rig.leaf("line", "ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign").await;
    rig.enabled(&json!({ "just_in_time": "auto" })).await;
    rig.leaf("meter-1", "line", "extendedKeyUsage=clientAuth").await;
    assert_eq!(rig.dial("meter-1").await, 0, "without what is between nobody can follow");
    // With it, and with the authority itself, as many clients send it.
    let chain = format!("{}{}{}", rig.stock.read("meter-1.pem"), rig.stock.read("line.pem"), rig.stock.read("ca.pem"));
    rig.stock.write("meter-1.pem", chain);
    rig.let_in("meter-1").await;

    // An authority that allows none between.
    rig.authority(&["-addext", "basicConstraints=critical,CA:TRUE,pathlen:0", "-subj", "/CN=Strict CA"]).await;
    rig.leaf("inner", "ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign").await;
    rig.enabled(&json!({ "just_in_time": "auto" })).await;
    rig.leaf("meter-2", "inner", "extendedKeyUsage=clientAuth").await;
    let chain = format!("{}{}", rig.stock.read("meter-2.pem"), rig.stock.read("inner.pem"));
    rig.stock.write("meter-2.pem", chain);
    rig.leaf("meter-3", "ca", "extendedKeyUsage=clientAuth").await;
    rig.let_in("meter-3").await;
    for _ in 0..2 {
        assert_eq!(rig.dial("meter-2").await, 0, "its path length is kept, though webpki looks at no anchor's");
    }
    rig.server.stop().await;
}

/// a public certificate without its key brings nothing up, and names that are equal bring nobody in.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_32_nobody_is_brought_up_without_the_key_or_by_a_name(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.authority(&[]).await;
    let id = rig.enabled(&json!({ "just_in_time": "auto" })).await;
    rig.leaf("meter-1", "ca", "extendedKeyUsage=clientAuth").await;
    // The certificate with another key: TLS is not through, so nothing is decided.
    let certificate = CertificateDer::from(pem(&rig.stock.read("meter-1.pem")));
    let key = rcgen::KeyPair::generate().unwrap();
    let thief = crate::tls::presents(&rig.stock.read("root.pem"), vec![certificate], &key);
    let mut buffer = [0; 16];
    if let Ok(mut stream) = rig.shakes_hands(thief).await {
        assert!(!matches!(stream.read(&mut buffer).await, Ok(n) if n > 0), "no answer without the key");
    }
    // Another authority of the same name.
    rig.stock.shell("mv ca.pem true.pem; mv ca.key true.key").await;
    rig.authority(&[]).await;
    rig.leaf("meter-2", "ca", "extendedKeyUsage=clientAuth").await;
    for _ in 0..2 {
        assert_eq!(rig.dial("meter-2").await, 0);
    }
    let (_, shown) = rig.call(Method::GET, &format!("/{id}"), json!({})).await;
    assert_eq!((shown["admitted"].as_i64(), shown["refused"].as_i64()), (Some(0), Some(0)), "neither was ever decided about");
    rig.let_in("meter-1").await;
    rig.server.stop().await;
}

fn pem(text: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(text.as_bytes()).unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tab_of_own_authorities_works_without_a_script() {
    let rig = Rig::start(EngineKind::Sqlite).await;
    rig.authority(&[]).await;
    let browser = rig.server.browser("bea", Role::Admin).await;
    let page = async |path: &str| browser.get(rig.server.url(path)).send().await.unwrap().text().await.unwrap();
    assert!(page("/enrolment?tab=own").await.contains("No own authority yet"));
    let certificate = rig.stock.read("ca.pem");
    let refused = rig.server.post_form(&browser, "/rpc/registered_authority_new", &[("label", "Plant"), ("certificate", "x")]).await;
    assert!(refused.status().is_redirection() || refused.status().is_client_error(), "{}", refused.status());
    let made = rig.server.post_form(&browser, "/rpc/registered_authority_new", &[("label", "Plant"), ("certificate", &certificate)]).await;
    let led = made.headers()["location"].to_str().unwrap().to_owned();
    assert!(led.starts_with("/enrolment?tab=own&ca=ca_"), "{led}");
    let id = led.rsplit('=').next().unwrap().to_owned();
    let shown = rig.call(Method::GET, &format!("/{id}"), json!({})).await.1;
    let code = shown["code"].as_str().unwrap();
    let steps = page(&led).await;
    assert!(steps.contains(code) && steps.contains("openssl x509 -req") && steps.contains("Not proved yet"));
    for line in verification_lines(code) {
        rig.stock.shell(&line).await;
    }
    rig.server
        .post_form(&browser, "/rpc/registered_authority_verify", &[("id", &id), ("certificate", &rig.stock.read("verify.pem"))])
        .await;
    assert!(page(&led).await.contains("Proved, not enabled"));
    let words = [("just_in_time", "pending"), ("device_type", "meter"), ("tags", "a, b"), ("template", "{CN}"), ("pattern", "")];
    let numbers = [("id", id.as_str()), ("max_devices", "10"), ("per_day", "5")];
    rig.server.post_form(&browser, "/rpc/registered_authority_enable", &[&words[..], &numbers[..]].concat()).await;
    let shown = rig.call(Method::GET, &format!("/{id}"), json!({})).await.1;
    assert_eq!((shown["state"].as_str(), &shown["policy"]["tags"]), (Some("active"), &json!(["a", "b"])));
    assert_eq!((&shown["policy"]["exchange"], &shown["policy"]["ended_list"]), (&json!(false), &json!("closed")));
    assert!(page(&led).await.contains("Bring its list of revoked certificates"));
    let none = rig.server.post_form(&browser, "/rpc/registered_authority_list", &[("id", &id), ("list", "x")]).await;
    assert!(none.headers()["location"].to_str().unwrap().contains("__err="), "{none:?}");
    // Where it is fetched: refused beside its field, and shown.
    let at = "/rpc/registered_authority_list_address";
    let none = rig.server.post_form(&browser, at, &[("id", &id), ("url", "ldap://pki/plant")]).await;
    let back = none.headers()["location"].to_str().unwrap().to_owned();
    assert!(back.contains("__err="), "{none:?}");
    let refused = page(&format!("{led}&{}", back.split_once('?').unwrap().1)).await;
    assert!(refused.contains("f-list-url-err") && refused.contains("begins with http://"), "{refused}");
    rig.server.post_form(&browser, at, &[("id", &id), ("url", "http://127.0.0.1:1/plant.crl")]).await;
    let tried = || async { page(&led).await.contains("no connection") };
    eventually("what came of it is shown", PATIENCE, tried).await;
    assert!(page(&led).await.contains("http://127.0.0.1:1/plant.crl") && page("/enrolment?tab=own").await.contains("List not fetched"));
    // Wanted at once, and just asked.
    assert!(page(&led).await.contains("Fetch now"));
    let early = rig.server.post_form(&browser, "/rpc/registered_authority_fetch_list", &[("id", &id)]).await;
    let back = early.headers()["location"].to_str().unwrap().to_owned();
    assert!(page(&format!("{led}&{}", back.split_once('?').unwrap().1)).await.contains("was asked a moment ago"), "{back}");
    assert!(page(&format!("{led}&disable={id}")).await.contains("cut off within a second"));
    rig.server.post_form(&browser, "/rpc/registered_authority_disable", &[("id", &id)]).await;
    assert!(page(&led).await.contains("Disabled"));
    // Who may only look sees the list and no form.
    let viewer = rig.server.browser("vic", Role::Viewer).await;
    let seen = viewer.get(rig.server.url(&led)).send().await.unwrap().text().await.unwrap();
    assert!(seen.contains("Plant") && seen.contains("Only admins register an authority"));
    assert!(!seen.contains("/rpc/registered_authority_new") && !seen.contains("Fetch now"));
    rig.server.stop().await;
}
