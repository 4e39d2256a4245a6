//! Who gets in, and with which alert the others are turned away (H-1 to H-4, H-8).

use super::rig::{BOTH, Identity, ask, get_of, handshake, handshake_with, http2, rig};
use axum::body::Body;
use fleet::access::Actor;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rustls::{AlertDescription, HandshakeKind, version::TLS13};
use std::sync::Arc;

#[tokio::test]
async fn a_31_a_device_is_known_by_its_certificate_and_by_nothing_else() {
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    for version in BOTH {
        let mut stream = handshake(rig.client(Some(&one), version), rig.device).await.unwrap();
        let answer = ask(&mut stream, "/who").await.unwrap();
        assert!(answer.ends_with("gw-1 0"), "the forged header is gone (H-8): {answer}");
        assert_eq!(rig.registry.len(), 1);
        drop(stream);
    }
    // The enrol listener asks for a certificate but does without.
    let mut stream = handshake(rig.client(None, &TLS13), rig.enrol).await.unwrap();
    assert!(ask(&mut stream, "/who").await.unwrap().ends_with("nobody 0"));
    let mut stream = handshake(rig.client(Some(&one), &TLS13), rig.enrol).await.unwrap();
    assert!(ask(&mut stream, "/who").await.unwrap().ends_with("gw-1 0"));
}

/// Attack list 1, 2, 3, 4, 9.
#[tokio::test]
async fn a_01_to_04_strangers_are_refused_with_the_alert_that_says_why() {
    let rig = rig().await;
    let good = rig.enrol("gw-1").await;

    // Another authority, even one with our authority's name.
    let forged = |name: &str| {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::default();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name = rcgen::DistinguishedName::new();
        ca.distinguished_name.push(DnType::OrganizationName, "default");
        ca.distinguished_name.push(DnType::CommonName, name);
        let mut leaf = CertificateParams::default();
        leaf.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let der = leaf.signed_by(&key, &Issuer::from_params(&ca, &ca_key)).unwrap();
        Identity::of(vec![der.into()], &key)
    };
    let (other, same_name) = (forged("Somebody's CA"), forged("Fleetward Device CA G1-1"));
    // The listener's own certificate, whose authority is no anchor for devices (P-8).
    let listener = rig.world.fleet.pki().server_identity().unwrap();
    let listener = Identity { chain: listener.chain.clone(), key: listener.key.clone_key() };
    // Somebody else's certificate without its key.
    let stolen = Identity::of(good.chain.clone(), &KeyPair::generate().unwrap());

    let revoked = rig.enrol("gw-2").await;
    rig.revoke(&revoked).await;
    let gone = rig.enrol("gw-3").await;
    let system = Actor::system(rig.world.org.clone());
    rig.world.fleet.devices().decommission(&system, &"gw-3".parse().unwrap()).await.unwrap();

    for version in BOTH {
        assert_eq!(rig.alert(Some(&good), version).await, None);
        assert_eq!(rig.alert(None, version).await, Some(AlertDescription::CertificateRequired));
        assert_eq!(rig.alert(Some(&other), version).await, Some(AlertDescription::UnknownCA));
        let same = rig.alert(Some(&same_name), version).await;
        assert!(matches!(same, Some(AlertDescription::UnknownCA | AlertDescription::DecryptError)), "{same:?}");
        assert_eq!(rig.alert(Some(&listener), version).await, Some(AlertDescription::UnsupportedCertificate));
        assert_eq!(rig.alert(Some(&stolen), version).await, Some(AlertDescription::DecryptError));
        assert_eq!(rig.alert(Some(&revoked), version).await, Some(AlertDescription::CertificateRevoked));
        assert_eq!(rig.alert(Some(&gone), version).await, Some(AlertDescription::CertificateRevoked));
    }
    rig.world.clock.advance(91 * 86_400_000);
    assert_eq!(rig.alert(Some(&good), &TLS13).await, Some(AlertDescription::CertificateExpired));
    rig.world.clock.advance(-93 * 86_400_000);
    assert_eq!(rig.alert(Some(&good), &TLS13).await, Some(AlertDescription::CertificateExpired), "not valid yet");
}

/// What a device fetches most is firmware, which HTTP/1.1 carries at less cost; one that speaks only HTTP/2 gets that.
#[tokio::test]
async fn a_device_is_served_over_http_1_1_where_it_can_be_and_over_http_2_where_not() {
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    for version in BOTH {
        let dial = async |offered: &[&str]| {
            let mut config = rig.client(Some(&one), version);
            config.alpn_protocols = offered.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
            handshake(config, rig.device).await
        };
        // Whichever it likes better; and one that says nothing, as many do.
        for (offered, settled) in [
            (&["h2", "http/1.1"][..], Some("http/1.1")),
            (&["http/1.1", "h2"], Some("http/1.1")),
            (&["http/1.1"], Some("http/1.1")),
            (&["imap", "http/1.1"], Some("http/1.1")),
            (&[], None),
        ] {
            let mut stream = dial(offered).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), settled.map(str::as_bytes), "{version:?} {offered:?}");
            let answer = ask(&mut stream, "/who").await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("gw-1 0"), "{version:?} {offered:?}: {answer}");
        }
        for offered in [&["h2"][..], &["imap", "h2"]] {
            let stream = dial(offered).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "{version:?} {offered:?}");
            let (mut requests, _) = http2(stream).await;
            let answer = requests.send_request(get_of("/who")).await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
            let said = axum::body::to_bytes(Body::new(answer.into_body()), 64).await.unwrap();
            assert_eq!(&said[..], b"gw-1 0");
        }
        // Nothing in common (RFC 7301 section 3.2).
        let error = dial(&["imap"]).await.unwrap_err();
        let said = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        assert_eq!(said, Some(&rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)), "{version:?}");
    }
}

/// H-2: rustls does not look at a resumed client's certificate, so nothing is ever resumed.
#[tokio::test]
async fn a_06_no_session_is_ever_resumed() {
    let rig = rig().await;
    let one = rig.enrol("gw-1").await;
    for version in BOTH {
        for address in [rig.device, rig.enrol] {
            // One configuration keeps one session store, as a device would.
            let config = Arc::new(rig.client(Some(&one), version));
            for _ in 0..3 {
                let mut stream = handshake_with(&config, address).await.unwrap();
                ask(&mut stream, "/who").await.unwrap();
                let tls = stream.get_ref().1;
                assert_ne!(tls.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");
                assert_eq!(tls.tls13_tickets_received(), 0);
            }
        }
    }
}

/// a claim's certificate asks on the enrol listener and is a stranger on the device listener.
#[tokio::test]
async fn a_09_a_claim_is_no_device() {
    let rig = rig().await;
    let claim = rig.claim().await;
    for version in BOTH {
        assert_eq!(rig.alert(Some(&claim), version).await, Some(AlertDescription::UnknownCA));
        let mut stream = handshake(rig.client(Some(&claim), version), rig.enrol).await.unwrap();
        assert!(ask(&mut stream, "/who").await.unwrap().ends_with("nobody 0"), "it is no peer there either");
    }
}
