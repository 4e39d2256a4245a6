//! What third parties see, by real HTTP and with their own tools: `openssl verify -crl_check`, `openssl ocsp`, `curl` (R-7, R-8; RFC 5280, 6960).

use crate::{
    journey::enrolment_token,
    support::{TestServer, eventually},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::{db::EngineKind, devices::Attempt, testing::csr};
use rstest::rstest;
use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::process::Command;
use wire::{
    enrolment::{EnrolRequest, Enrolled},
    pki::{CertificateQuery, Revocation, RevocationReason},
};

/// A server whose certificates say where it publishes, and files for programs.
struct Rig {
    server: TestServer,
    files: tempfile::TempDir,
    base: String,
}

impl Rig {
    async fn start(kind: EngineKind) -> Self {
        // The address is frozen into the authorities, so it must be known before they are made.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let publish_addr = free.local_addr().unwrap();
        drop(free);
        let base = format!("http://{publish_addr}");
        let server =
            TestServer::start_with(kind, |config| server::config::Config { publish_addr, publish_url: Some(format!("{base}/")), ..config })
                .await;
        assert_eq!(server.running.publish_addr, publish_addr);
        let rig = Self { server, files: tempfile::tempdir().unwrap(), base };
        for (kind, name) in [("root", "root.pem"), ("device", "issuer.pem")] {
            let der = rig.fetch(&format!("/ca/{}.cer", rig.authority(kind).await)).await;
            rig.write(&format!("{name}.der"), &der);
            let out = rig.openssl(&["x509", "-inform", "DER", "-in", &format!("{name}.der"), "-out", name]).await;
            assert!(out.0, "{}", out.1);
        }
        let both = ["root.pem", "issuer.pem"].map(|name| std::fs::read_to_string(rig.path(name)).unwrap()).concat();
        rig.write("chain.pem", both.as_bytes());
        rig
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    async fn authority(&self, kind: &str) -> String {
        let page = self.server.running.fleet.pki().certificates_page(&self.server.system(), &CertificateQuery::default()).await.unwrap();
        page.authorities.into_iter().find(|a| a.kind == kind).unwrap().id.to_string()
    }

    async fn fetch(&self, path: &str) -> Vec<u8> {
        let answer = self.server.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.bytes().await.unwrap().to_vec()
    }

    async fn enrol(&self, name: &str) -> Enrolled {
        let token = enrolment_token(&self.server, name, "gw", 1).await;
        let request = EnrolRequest {
            csr: csr(name),
            device_id: Some(name.into()),
            device_type: "gw".into(),
            hardware: "A".into(),
            attributes: BTreeMap::default(),
        };
        let attempt = Attempt { secret: &token.secret, request: &request, address: "127.0.0.1" };
        let enrolled = self.server.running.fleet.devices().enrol(attempt).await.unwrap();
        self.write(&format!("{name}.pem"), enrolled.certificate.as_bytes());
        enrolled
    }

    async fn revoke(&self, name: &str) {
        let pki = self.server.running.fleet.pki();
        let page = pki.certificates_page(&self.server.system(), &CertificateQuery::default()).await.unwrap();
        let row = page.certificates.items.into_iter().find(|c| c.device_id.as_str() == name).unwrap();
        // RFC 5280 §5.3.2, 2026-01-02T03:04:05Z.
        let since = Some(wire::Timestamp(1_767_323_045_000));
        let how = Revocation { invalidity_date: since, note: "stolen".to_owned(), ..RevocationReason::KeyCompromise.into() };
        pki.revoke(&self.server.system(), &row.id, how).await.unwrap();
    }

    /// Whether it succeeded, and all it said.
    async fn run(&self, program: &str, args: &[&str]) -> (bool, String) {
        let out = Command::new(program).args(args).current_dir(self.files.path()).output().await.expect("openssl and curl are installed");
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
    }

    async fn openssl(&self, args: &[&str]) -> (bool, String) {
        self.run("openssl", args).await
    }

    /// The newest lists of root and device authority, as `openssl verify` takes them.
    async fn lists(&self) -> String {
        let mut all = String::new();
        for kind in ["root", "device"] {
            let der = self.fetch(&format!("/crl/{}.crl", self.authority(kind).await)).await;
            self.write("list.der", &der);
            let (ok, pem) = self.openssl(&["crl", "-inform", "DER", "-in", "list.der"]).await;
            assert!(ok, "{pem}");
            all += &pem;
        }
        self.write("lists.pem", all.as_bytes());
        self.openssl(&["crl", "-inform", "DER", "-in", "list.der", "-noout", "-text"]).await.1
    }

    async fn verify(&self, leaf: &str) -> (bool, String) {
        let args = ["-crl_check_all", "-CRLfile", "lists.pem", "-CAfile", "root.pem", "-untrusted", "issuer.pem", leaf];
        self.openssl(&[&["verify", "-x509_strict", "-extended_crl"][..], &args].concat()).await
    }

    async fn ocsp(&self, about: &[&str]) -> String {
        let url = format!("{}/ocsp", self.base);
        let (ok, said) =
            self.openssl(&[&["ocsp", "-url", &url, "-issuer", "issuer.pem", "-CAfile", "chain.pem"][..], about].concat()).await;
        assert!(ok && said.contains("Response verify OK"), "{said}");
        said
    }
}

fn contains(path: &Path, what: &[u8]) -> bool {
    std::fs::read(path).unwrap().windows(what.len()).any(|w| w == what)
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_believes_our_lists_and_our_answers(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let good = rig.enrol("gw-1").await;
    rig.enrol("gw-2").await;
    let (_, text) = rig.openssl(&["x509", "-in", "gw-1.pem", "-noout", "-text"]).await;
    let device = rig.authority("device").await;
    for url in [format!("{}/crl/{device}.crl", rig.base), format!("{}/ocsp", rig.base), format!("{}/ca/{device}.cer", rig.base)] {
        assert!(text.contains(&format!("URI:{url}\n")), "{url} is not in\n{text}");
    }
    assert_eq!(good.chain.len(), 1);

    let text = rig.lists().await;
    assert!(text.contains("Issuing Distribution Point: critical") && text.contains("No Revoked Certificates"), "{text}");
    for leaf in ["gw-1.pem", "gw-2.pem"] {
        let (ok, said) = rig.verify(leaf).await;
        assert!(ok, "{said}");
    }
    eventually("a new certificate is known to the responder", Duration::from_secs(10), || async {
        rig.ocsp(&["-cert", "gw-2.pem"]).await.contains("gw-2.pem: good")
    })
    .await;

    rig.revoke("gw-2").await;
    // At once by OCSP, with a nonce and without.
    for nonce in [&["-cert", "gw-2.pem"][..], &["-cert", "gw-2.pem", "-no_nonce"]] {
        let said = rig.ocsp(nonce).await;
        assert!(said.contains("gw-2.pem: revoked") && said.contains("Reason: keyCompromise"), "{said}");
        assert!(!said.contains("no nonce in response"), "{said}");
    }
    for hash in ["-sha256", "-sha384", "-sha512"] {
        assert!(rig.ocsp(&[hash, "-cert", "gw-1.pem", "-no_nonce"]).await.contains("gw-1.pem: good"), "{hash}");
    }
    assert!(rig.ocsp(&["-serial", "0x4000000000000000000000000000000000000001"]).await.contains(": unknown"));

    // And within seconds by the list: together with what is revoked meanwhile.
    eventually("the list has it", Duration::from_secs(20), || async { rig.lists().await.contains("Key Compromise") }).await;
    let text = rig.lists().await;
    assert!(text.contains("Invalidity Date") && text.contains("Jan  2 03:04:05 2026 GMT"), "{text}");
    assert!(!text.contains("stolen"), "a note is not published");
    assert!(rig.verify("gw-1.pem").await.0);
    let (ok, said) = rig.verify("gw-2.pem").await;
    assert!(!ok && said.contains("certificate revoked"), "{said}");

    // The GET form, as a client behind a cache uses it.
    let made = ["ocsp", "-issuer", "issuer.pem", "-cert", "gw-2.pem", "-no_nonce", "-reqout", "request.der"];
    assert!(rig.openssl(&made).await.0);
    let encoded = STANDARD.encode(std::fs::read(rig.path("request.der")).unwrap());
    let escaped = encoded.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    for path in [encoded, escaped] {
        let url = format!("{}/ocsp/{path}", rig.base);
        let (ok, head) = rig.run("curl", &["-sS", "--path-as-is", "-D", "-", "-o", "answer.der", &url]).await;
        let head = head.to_ascii_lowercase();
        assert!(ok && head.contains("content-type: application/ocsp-response") && head.contains("cache-control: max-age="), "{head}");
        let read = ["ocsp", "-respin", "answer.der", "-issuer", "issuer.pem", "-cert", "gw-2.pem", "-CAfile", "chain.pem", "-no_nonce"];
        let (ok, said) = rig.openssl(&read).await;
        assert!(ok && said.contains("gw-2.pem: revoked"), "{said}");
    }

    // A client that holds the list does not get it again.
    let url = format!("{}/crl/{device}.crl", rig.base);
    let first = rig.server.http.get(&url).send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    assert_eq!(rig.server.http.get(&url).header("if-none-match", tag).send().await.unwrap().status().as_u16(), 304);
    rig.server.stop().await;
}

/// Attack list 43: another issuer's certificate, a thousand requests, a giant nonce, a path with two slashes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_43_what_is_not_ours_or_too_much_is_refused() {
    let rig = Rig::start(EngineKind::Sqlite).await;
    rig.enrol("gw-1").await;
    let foreign = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    rig.write("foreign.pem", foreign.cert.pem().as_bytes());
    let url = format!("{}/ocsp", rig.base);
    let (_, said) = rig.openssl(&["ocsp", "-url", &url, "-issuer", "foreign.pem", "-cert", "foreign.pem"]).await;
    assert!(said.contains("unauthorized (6)"), "{said}");

    let eleven = ["-cert", "gw-1.pem"].repeat(11);
    let (_, said) = rig.openssl(&[&["ocsp", "-url", &url, "-issuer", "issuer.pem"][..], &eleven].concat()).await;
    assert!(said.contains("malformedrequest (1)"), "{said}");
    let thousand = ["-serial", "1"].repeat(1000);
    let made = [&["ocsp", "-issuer", "issuer.pem", "-reqout", "thousand.der"][..], &thousand].concat();
    assert!(rig.openssl(&made).await.0);
    let post = async |body: Vec<u8>| {
        let request = rig.server.http.post(&url).header("content-type", "application/ocsp-request");
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    };
    assert_eq!(post(std::fs::read(rig.path("thousand.der")).unwrap()).await.0, 413);

    // A nonce of four kilobytes, in a request that openssl made: cut out and made longer.
    assert!(rig.openssl(&["ocsp", "-issuer", "issuer.pem", "-cert", "gw-1.pem", "-no_nonce", "-reqout", "request.der"]).await.0);
    assert!(!contains(&rig.path("request.der"), &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2]));
    let plain = std::fs::read(rig.path("request.der")).unwrap();
    // The two outer wrappers have one length octet each.
    let giant = with_nonce(&plain[4..], 4000);
    assert_eq!(post(giant).await, (200, vec![0x30, 3, 0x0a, 1, 1]), "malformedRequest");
    let (status, answer) = post(with_nonce(&plain[4..], 128)).await;
    assert!(status == 200 && answer.len() > 128, "the longest nonce is taken");

    for path in ["/ocsp//", "/ocsp/%2F%2F", "/ocsp/..//..//etc/passwd", "/ocsp/%00", "//ocsp//"] {
        let (_, head) = rig.run("curl", &["-sS", "--path-as-is", "-D", "-", "-o", "x", &format!("{}{path}", rig.base)]).await;
        let status = head.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "200" | "404"), "{path}: {head}");
        if status == "200" {
            assert_eq!(std::fs::read(rig.path("x")).unwrap(), [0x30, 3, 0x0a, 1, 1], "{path}");
        }
    }
    rig.server.stop().await;
}

/// A request around this list of certificates, with a nonce of so many octets.
fn with_nonce(list: &[u8], length: usize) -> Vec<u8> {
    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, 0x82];
        match content.len() {
            short @ 0..=0x7f => out = vec![tag, u8::try_from(short).unwrap()],
            long @ 0x80..=0xff => out = vec![tag, 0x81, u8::try_from(long).unwrap()],
            longer => out.extend(u16::try_from(longer).unwrap().to_be_bytes()),
        }
        out.extend_from_slice(content);
        out
    }
    let id = wrap(0x06, &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2]);
    let extension = wrap(0x30, &[id, wrap(0x04, &wrap(0x04, &vec![7; length]))].concat());
    let extensions = wrap(0xa2, &wrap(0x30, &extension));
    wrap(0x30, &wrap(0x30, &[list.to_vec(), extensions].concat()))
}
