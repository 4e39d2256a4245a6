//! Rows of the attack list that are about handshakes alone, tried with openssl and by hand.

use super::rig::{BOTH, Identity, PATIENCE, Rig, ask, drain, handshake, rig};
use fleet::testing::START;
use rcgen::{CertificateParams, KeyPair};
use rustls::{time_provider::TimeProvider, version::TLS13};
use rustls_pki_types::UnixTime;
use std::{net::SocketAddr, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    process::Command,
    time::{sleep, timeout},
};

/// `openssl s_client` on a listener that wants no certificate; what it is told goes in when it has shaken hands.
async fn s_client(rig: &Rig, arguments: &[&str], told: &str) -> String {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &rig.enrol.to_string(), "-servername", "localhost"]).args(arguments);
    openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut openssl = openssl.spawn().expect("openssl is installed");
    let mut input = openssl.stdin.take().unwrap();
    let told = told.to_owned();
    tokio::spawn(async move {
        sleep(Duration::from_secs(1)).await;
        // It may have ended before it was told anything.
        let _ = input.write_all(told.as_bytes()).await;
        sleep(Duration::from_secs(2)).await;
    });
    let said = timeout(PATIENCE, openssl.wait_with_output()).await.expect("openssl ends").unwrap();
    String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned()
}

/// Has `openssl s_client` ask for another handshake within the connection (RFC 5246 §7.4.1.1), which `R` on a line by itself does, and says how
/// many came to their end. It waits for an answer to its question, so it is ended after some seconds.
async fn handshakes(listener: SocketAddr, arguments: &[&str]) -> usize {
    let mut openssl = Command::new("timeout");
    openssl.args(["5", "openssl", "s_client", "-tls1_2", "-state", "-connect", &listener.to_string(), "-servername", "localhost"]);
    openssl.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut openssl = openssl.spawn().expect("openssl is installed");
    let mut input = openssl.stdin.take().unwrap();
    let asking = async {
        sleep(Duration::from_secs(1)).await;
        let _ = input.write_all(b"R\n").await;
        sleep(Duration::from_secs(3)).await;
        drop(input);
    };
    let (said, ()) = tokio::join!(timeout(PATIENCE, openssl.wait_with_output()), asking);
    let said = said.expect("openssl ends").unwrap();
    let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.contains("RENEGOTIATING"), "it has asked: {said}");
    said.matches("SSL_connect:SSLv3/TLS read finished").count()
}

/// Writes DER into a PEM file in this folder and gives its path.
fn pem(folder: &tempfile::TempDir, name: &str, label: &str, ders: &[&[u8]]) -> String {
    let one = |der: &&[u8]| {
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    let path = folder.path().join(name);
    std::fs::write(&path, ders.iter().map(one).collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_07_a_client_that_wants_to_renegotiate_is_refused() {
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    let folder = tempfile::tempdir().unwrap();
    let chain: Vec<&[u8]> = one.chain.iter().map(AsRef::as_ref).collect();
    let leaf = pem(&folder, "leaf.pem", "CERTIFICATE", &chain[..1]);
    let above = pem(&folder, "chain.pem", "CERTIFICATE", &chain[1..]);
    let key = pem(&folder, "key.pem", "PRIVATE KEY", &[one.key.secret_der()]);

    // A server that allows it shows that the question is one.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut allowing = Command::new("openssl");
    allowing.args(["s_server", "-quiet", "-tls1_2", "-client_renegotiation", "-accept", &port.to_string(), "-cert", &leaf, "-key", &key]);
    allowing.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let allowing = allowing.spawn().expect("openssl is installed");
    sleep(Duration::from_millis(500)).await;
    assert_eq!(handshakes(port, &[]).await, 2, "openssl's own server renegotiates when it is told to");
    drop(allowing);

    let own = ["-cert", &leaf, "-cert_chain", &above, "-key", &key];
    // Secure renegotiation (RFC 5746), and the legacy kind.
    let legacy = [&own[..], &["-legacy_renegotiation"]].concat();
    let asked = [(rig.enrol, &[][..]), (rig.enrol, &["-legacy_renegotiation"]), (rig.device, &own), (rig.device, &legacy)];
    for (listener, arguments) in asked {
        assert_eq!(handshakes(listener, arguments).await, 1, "one handshake a connection: {arguments:?}");
    }
    // Nobody else is hurt by it.
    let mut other = rig.connect(&one).await;
    assert!(ask(&mut other, "/who").await.unwrap().ends_with("gw-1 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_08_old_protocols_and_weak_suites_get_no_handshake() {
    let rig = rig().await;
    let shaken = |said: &str| said.contains("New, TLSv1");
    for good in [&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"][..], &["-tls1_3"]] {
        let said = s_client(&rig, good, "Q\n").await;
        assert!(shaken(&said), "{good:?}: {said}");
    }
    let all = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";
    for (bad, alert) in [
        (&["-tls1", "-cipher", all][..], "alert handshake failure"),
        (&["-tls1_1", "-cipher", all], "alert handshake failure"),
        // CBC, and key exchange without forward secrecy.
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], "alert handshake failure"),
        (&["-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-SHA"], "alert handshake failure"),
        (&["-tls1_2", "-cipher", "ADH-AES128-GCM-SHA256:@SECLEVEL=0"], "alert handshake failure"),
    ] {
        let said = s_client(&rig, bad, "Q\n").await;
        assert!(!shaken(&said) && said.contains(alert), "{bad:?}: {said}");
    }
    // openssl speaks neither any more: SSL 3.0's hello (RFC 6101 §5.6.1.2) with RC4 and 3DES, SSL 2.0's (version 2, three suites).
    let random = [7; 32];
    let body = [&[3, 0], &random[..], &[0, 0, 4, 0, 5, 0, 10, 1, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    let ssl3 = [&[22, 3, 0, 0, length + 4, 1, 0, 0, length], body.as_slice()].concat();
    let ssl2 = [&[0x80, 34, 1, 0, 2, 0, 9, 0, 0, 0, 16, 1, 0, 0x80, 2, 0, 0x80, 6, 0, 0x40], &random[..16]].concat();
    for hello in [ssl3, ssl2] {
        for listener in [rig.device, rig.enrol] {
            let mut stream = TcpStream::connect(listener).await.unwrap();
            stream.write_all(&hello).await.unwrap();
            let mut answer = Vec::new();
            let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("closed at once");
            // Nothing at all, or an alert: never a hello of ours.
            assert!(matches!(answer.as_slice(), [] | [21, ..]) && answer.len() <= 7, "{answer:?}");
        }
    }
}

/// A client whose clock is wrong by so much.
#[derive(Debug)]
struct Off(i64);

impl TimeProvider for Off {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(START.0 + self.0).unwrap())))
    }
}

#[tokio::test]
async fn a_20_a_device_an_hour_behind_gets_in_and_one_in_1970_knows_that_it_can_not() {
    const HOUR: i64 = 3_600_000;
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    let dial = async |off: i64| {
        let mut config = rig.client(Some(&one), &TLS13);
        config.time_provider = Arc::new(Off(off));
        let mut stream = handshake(config, rig.device).await?;
        ask(&mut stream, "/who").await
    };
    // What is issued begins an hour earlier than it is issued (P-6).
    assert!(dial(-HOUR + 1000).await.unwrap().ends_with("gw-1 0"));
    assert!(dial(HOUR).await.unwrap().ends_with("gw-1 0"));
    for off in [-2 * HOUR, -START.0] {
        let error = dial(off).await.unwrap_err().to_string();
        assert!(error.contains("not valid yet"), "{error}");
    }
}

#[tokio::test]
async fn a_27_a_flood_of_certificates_is_refused_and_hurts_nobody() {
    let rig = rig().await;
    let good = rig.enrol("gw-1").await;
    let mut connected = rig.connect(&good).await;
    ask(&mut connected, "/who").await.unwrap();
    let stranger = || {
        let key = KeyPair::generate().unwrap();
        CertificateParams::new(vec!["x".repeat(200)]).unwrap().self_signed(&key).unwrap().der().clone()
    };
    let flood: Vec<_> = (0..300).map(|_| stranger()).collect();
    for version in BOTH {
        // One more than a chain has; and more than a handshake message may hold, 64 KiB.
        for more in [3, 20, 300] {
            let mut chain = good.chain.clone();
            chain.extend_from_slice(&flood[..more]);
            let flooding = Identity { chain, key: good.key.clone_key() };
            let refused = match handshake(rig.client(Some(&flooding), version), rig.device).await {
                Err(_) => true,
                Ok(mut stream) => match ask(&mut stream, "/who").await {
                    Err(_) => true,
                    Ok(answer) => panic!("{more} certificates too many: {answer}"),
                },
            };
            assert!(refused);
        }
    }
    assert!(ask(&mut connected, "/who").await.unwrap().ends_with("gw-1 0"), "who is connected feels nothing");
    let mut again = rig.connect(&good).await;
    assert!(ask(&mut again, "/who").await.unwrap().ends_with("gw-1 0"));
    drop(again);
    // A hello of 64 KiB in many records is cut off as well.
    let mut stream = TcpStream::connect(rig.device).await.unwrap();
    let record = [&[22, 3, 1, 0x40, 0][..], &[1, 0xff, 0xff, 0xff], &[0; 0x4000 - 4]].concat();
    for _ in 0..8 {
        if stream.write_all(&record).await.is_err() {
            break;
        }
    }
    timeout(Duration::from_secs(5), drain(&mut stream)).await.expect("closed before its deadline of ten seconds");
}
