//! Rows of the attack list that are about handshakes alone, tried by hand.

use super::rig::{BOTH, Identity, ask, drain, handshake, rig};
use fleet::testing::START;
use rcgen::{CertificateParams, KeyPair};
use rustls::{time_provider::TimeProvider, version::TLS13};
use rustls_pki_types::UnixTime;
use std::{sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::timeout};

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
