//! What comes later in an own authority's life: another one below it, its certificate renewed, a device back after its certificate was revoked.

use super::{PATIENCE, Rig};
use crate::support::eventually;
use fleet::db::EngineKind;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use std::time::Duration;
use wire::{pki::RevocationReason, states::Role};

impl Rig {
    /// A device's certificate by `{by}`, sent with what is between.
    async fn below(&self, name: &str, by: &str, between: &[&str]) {
        self.leaf(name, by, "extendedKeyUsage=clientAuth").await;
        let chain = between.iter().fold(self.stock.read(&format!("{name}.pem")), |chain, file| chain + &self.stock.read(file));
        self.stock.write(&format!("{name}.pem"), chain);
    }

    async fn admitted(&self, id: &str) -> i64 {
        self.call(Method::GET, &format!("/{id}"), json!({})).await.1["admitted"].as_i64().unwrap()
    }
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_of_two_registered_authorities_the_nearest_to_the_device_decides(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.authority(&[]).await;
    rig.leaf("line", "ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign").await;
    let plant = rig.enabled(&json!({ "just_in_time": "auto" })).await;
    rig.below("meter-1", "line", &["line.pem"]).await;
    rig.let_in("meter-1").await;

    // Registered later, and below: the lines that prove possession name ca.pem.
    rig.stock.shell("mv ca.pem plant.pem; mv ca.key plant.key; cp line.pem ca.pem; cp line.key ca.key").await;
    let line = rig.enabled(&json!({ "just_in_time": "auto", "pattern": "meter-*" })).await;
    rig.below("meter-2", "line", &["line.pem", "plant.pem"]).await;
    rig.let_in("meter-2").await;
    assert_eq!((rig.admitted(&plant).await, rig.admitted(&line).await), (1, 1), "the nearest has let it in");
    // Out of its pattern, though the one above would take it.
    rig.below("gauge-1", "line", &["line.pem"]).await;
    assert_eq!(rig.dial("gauge-1").await, 0);
    let refusals = || async { rig.call(Method::GET, &format!("/{line}"), json!({})).await.1["refused"] == 1 };
    eventually("the nearest has refused it", PATIENCE, refusals).await;
    assert_eq!(rig.dial("meter-1").await, 200, "a device that is in stays the one's that let it in");
    // Its next certificate for its key comes by the nearest.
    rig.stock.shell("cp meter-1.pem before.pem").await;
    let sign = ["x509", "-req", "-inform", "DER", "-in", "meter-1.der", "-CA", "line.pem", "-CAkey", "line.key", "-CAcreateserial"];
    rig.stock.openssl(&[&sign[..], &["-days", "30", "-sha256", "-extfile", "meter-1.ext", "-out", "next.pem"]].concat()).await;
    rig.stock.shell("cat next.pem line.pem > meter-1.pem").await;
    rig.let_in("meter-1").await;
    assert_eq!((rig.admitted(&plant).await, rig.admitted(&line).await), (1, 1), "nobody new");

    // Disabled, it does not leave its devices to the one above.
    assert_eq!(rig.call(Method::POST, &format!("/{line}/disable"), json!({})).await.0, 200);
    rig.below("meter-3", "line", &["line.pem"]).await;
    for name in ["meter-2", "meter-3", "meter-3"] {
        assert_eq!(rig.dial(name).await, 0, "{name}");
    }
    rig.leaf("meter-4", "plant", "extendedKeyUsage=clientAuth").await;
    rig.let_in("meter-4").await;
    assert_eq!(rig.admitted(&plant).await, 2, "its own");
    rig.stock.shell("mv before.pem meter-1.pem").await;
    assert_eq!(rig.dial("meter-1").await, 200, "by the certificate that the one above has taken");
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_a_renewed_certificate_of_an_authority_takes_the_place_of_the_one_before(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.authority(&["-days", "10"]).await;
    let id = rig.enabled(&json!({ "just_in_time": "auto" })).await;
    rig.below("meter-1", "ca", &["ca.pem"]).await;
    rig.let_in("meter-1").await;
    let mut live = rig.stays("meter-1").await;

    rig.stock.openssl(&["req", "-x509", "-key", "ca.key", "-subj", "/CN=Plant CA", "-days", "3650", "-out", "renewed.pem"]).await;
    let (_, before) = rig.call(Method::GET, &format!("/{id}"), json!({})).await;
    let again = json!({ "label": "Plant", "certificate": rig.stock.read("renewed.pem") });
    let (status, after) = rig.call(Method::POST, "", again.clone()).await;
    assert_eq!((status, after["id"].as_str(), after["state"].as_str()), (201, Some(id.as_str()), Some("active")), "{after}");
    assert!(after["not_after"].as_i64() > before["not_after"].as_i64() && after["code"].is_null(), "{after}");
    assert_eq!((&after["policy"], &after["admitted"]), (&before["policy"], &before["admitted"]));
    let (status, refused) = rig.call(Method::POST, "", again).await;
    assert_eq!((status, refused["code"].as_str()), (409, Some("authority_registered")));

    // Whoever was in is in, also with the certificate before in its chain; and new ones come by either.
    assert!(tokio::time::timeout(Duration::from_secs(1), live.wait()).await.is_err(), "nobody is cut off");
    assert_eq!(rig.dial("meter-1").await, 200);
    rig.stock.shell("mv renewed.pem ca.pem").await;
    rig.below("meter-2", "ca", &["ca.pem"]).await;
    rig.let_in("meter-2").await;
    rig.server.stop().await;
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_a_device_whose_certificate_was_revoked_comes_back_when_a_person_says_so(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.authority(&[]).await;
    rig.enabled(&json!({ "just_in_time": "auto" })).await;
    rig.leaf("meter-1", "ca", "extendedKeyUsage=clientAuth").await;
    rig.let_in("meter-1").await;
    rig.stock.shell("cp meter-1.pem lost.pem; cp meter-1.key lost.key").await;
    let (system, pki) = (rig.server.system(), rig.server.running.fleet.pki());
    let leaf = super::pem(&rig.stock.read("lost.pem"));
    let peer = pki.trust().check(&leaf).unwrap();
    pki.revoke(&system, &peer.certificate, RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(rig.dial("lost").await, 0);

    rig.leaf("meter-1", "ca", "extendedKeyUsage=clientAuth").await;
    let secret = rig.server.token("oli", Role::Operator).await;
    let requests = |method: Method, path: String| {
        let call = rig.server.http.request(method, rig.server.url(&format!("/api/v1/enrolment-requests{path}"))).bearer_auth(&secret);
        async move { call.send().await.unwrap().json::<Value>().await.unwrap_or_default() }
    };
    let waits = || async {
        assert_eq!(rig.dial("meter-1").await, 0, "not by itself");
        requests(Method::GET, String::new()).await["total"] == 1
    };
    eventually("it waits for a person", PATIENCE, waits).await;
    let list = requests(Method::GET, String::new()).await;
    assert_eq!(list["items"][0]["device_id"], "meter-1");
    requests(Method::POST, format!("/{}/approve", list["items"][0]["id"].as_str().unwrap())).await;
    rig.let_in("meter-1").await;
    assert_eq!(rig.dial("lost").await, 0, "what was revoked stays so");
    rig.server.stop().await;
}

/// E-10 by their own tools: a list that `openssl ca` makes cuts off what is on it; and EST gives a device one of our certificates for its own.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_an_owners_list_cuts_off_and_est_gives_a_certificate_of_ours(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    let id = rig.two_meters().await;
    let own = ["--cert", "meter-2.pem", "--key", "meter-2.key"];
    rig.stock.request("ours", "/CN=meter-2").await;
    assert_eq!(rig.stock.est("simpleenroll", "", "ours.b64", &own).await.status, 403, "off unless the policy says so");
    let policy = json!({ "just_in_time": "auto", "exchange": true });
    assert_eq!(rig.call(Method::POST, &format!("/{id}/enable"), policy).await.0, 200);
    let given = rig.stock.est("simpleenroll", "", "ours.b64", &own).await;
    assert_eq!((given.status, rig.stock.unpack(&given, "ours.pem").await), (200, 1), "{given:?}");
    let issuer = rig.stock.openssl(&["x509", "-in", "ours.pem", "-noout", "-issuer", "-subject"]).await;
    assert!(issuer.contains("Fleetward Device CA") && issuer.contains("meter-2"), "{issuer}");
    assert_eq!(rig.dial("ours").await, 200);
    assert_eq!(rig.dial("meter-2").await, 200, "for a day still");

    let bring = async |file: &str| {
        let url = rig.server.url(&format!("/api/v1/registered-authorities/{id}/list"));
        let sent = rig.server.http.put(url).bearer_auth(&rig.secret).body(rig.stock.read(file)).send().await.unwrap();
        let status = sent.status().as_u16();
        (status, sent.json::<Value>().await.unwrap())
    };
    rig.list(&[], "none.crl").await;
    assert_eq!(bring("none.crl").await.0, 200);
    assert_eq!(rig.dial("meter-1").await, 200);
    let mut live = rig.stays("meter-1").await;
    rig.list(&["meter-1.pem"], "one.crl").await;
    let (status, shown) = bring("one.crl").await;
    assert_eq!((status, &shown["list"]["entries"], &shown["list"]["number"]), (200, &json!(1), &json!("0x1001")), "{shown}");
    tokio::time::timeout(Duration::from_secs(1), live.wait()).await.expect("cut within a second").unwrap();
    assert_eq!(rig.dial("meter-1").await, 0);
    assert_eq!(rig.dial("meter-2").await, 200);
    let (status, refused) = bring("none.crl").await;
    assert_eq!((status, refused["code"].as_str()), (409, Some("list_not_newer")));
    assert_eq!(rig.dial("meter-1").await, 0);

    // The same for an authority between: whoever came by it is cut, also a channel, one over HTTP/2 and one on the enrol listener; others stay.
    rig.leaf("line", "ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign").await;
    rig.below("meter-3", "line", &["line.pem"]).await;
    rig.let_in("meter-3").await;
    let (over, bundle) = (["-cert_chain", "line.pem"], format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", super::BUNDLE));
    let enrol = format!("127.0.0.1:{}", rig.server.running.enrol_addr.port());
    let upgrade = "GET /device/v1/channel HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let est = "GET /.well-known/est/cacerts HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut cut = [
        rig.stays_by("meter-3", &over, &bundle, "200").await,
        rig.stays_by("meter-3", &[&over[..], &["-connect", &enrol]].concat(), est, "200").await,
        rig.stays_by("meter-3", &over, upgrade, "101").await,
    ];
    let (mut requests, http2) = rig.stays_by_http2("meter-3").await;
    let mut other = rig.stays("meter-2").await;
    rig.list(&["line.pem"], "two.crl").await;
    assert!(!http2.is_finished(), "it stays by itself");
    assert_eq!(bring("two.crl").await.0, 200);
    let [one, two, three] = &mut cut;
    let ends = async { tokio::join!(one.wait(), two.wait(), three.wait(), http2) };
    let (one, two, three, _) = tokio::time::timeout(Duration::from_secs(1), ends).await.expect("cut within a second");
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert!(requests.send_request(crate::tls::get_of(super::BUNDLE)).await.is_err(), "nothing more over it");
    assert_eq!(rig.dial("meter-3").await, 0);
    assert!(tokio::time::timeout(Duration::from_millis(200), other.wait()).await.is_err(), "others don't notice");
    rig.server.stop().await;
}

/// E-10, A-33: what becomes of our own authorities says nothing about an owner's.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e_10_an_own_authority_is_believed_also_when_the_last_of_ours_is_given_up(#[case] kind: EngineKind) {
    let rig = Rig::start(kind).await;
    rig.authority(&[]).await;
    let id = rig.enabled(&json!({ "just_in_time": "auto", "exchange": true })).await;
    for name in ["meter-1", "meter-2"] {
        rig.leaf(name, "ca", "extendedKeyUsage=clientAuth").await;
        rig.let_in(name).await;
    }
    rig.stock.request("ours", "/CN=meter-2").await;
    let given = rig.stock.est("simpleenroll", "", "ours.b64", &["--cert", "meter-2.pem", "--key", "meter-2.key"]).await;
    assert_eq!((given.status, rig.stock.unpack(&given, "ours.pem").await), (200, 1), "{given:?}");
    assert_eq!(rig.dial("ours").await, 200);

    let (system, pki) = (rig.server.system(), rig.server.running.fleet.pki());
    let mut live = rig.stays("meter-1").await;
    let device = pki.list_authorities(&system).unwrap().into_iter().find(|a| a.kind == "device").unwrap();
    pki.compromise_authority(&system, &device.id).await.unwrap();
    assert!(pki.trust().device_anchors().certificates.is_empty(), "none of ours is left");
    assert_eq!(rig.dial("ours").await, 0, "cut off with its authority");
    assert_eq!(rig.dial("meter-1").await, 200);
    assert_eq!(rig.dial_by("meter-1", &["--tls-max", "1.2"]).await, 200);
    assert!(tokio::time::timeout(Duration::from_millis(200), live.wait()).await.is_err(), "nor is it cut off");
    // New ones come by it, and by nobody else.
    rig.leaf("meter-3", "ca", "extendedKeyUsage=clientAuth").await;
    rig.let_in("meter-3").await;
    rig.stock.shell("mv ca.pem plant.pem; mv ca.key plant.key").await;
    rig.authority(&[]).await;
    rig.leaf("meter-4", "ca", "extendedKeyUsage=clientAuth").await;
    rig.leaf("meter-5", "plant", "extendedKeyUsage=serverAuth").await;
    for name in ["meter-4", "meter-4", "meter-5", "meter-5"] {
        assert_eq!(rig.dial(name).await, 0, "{name}");
    }
    assert_eq!(rig.admitted(&id).await, 3);

    // Disabled, it takes its devices along: then nobody at all is believed.
    assert_eq!(rig.call(Method::POST, &format!("/{id}/disable"), json!({})).await.0, 200);
    tokio::time::timeout(Duration::from_secs(1), live.wait()).await.expect("cut within a second").unwrap();
    for name in ["ours", "meter-1", "meter-3", "meter-4"] {
        assert_eq!(rig.dial(name).await, 0, "{name}");
    }
    assert_eq!(rig.call(Method::POST, &format!("/{id}/enable"), json!({ "just_in_time": "off" })).await.0, 200);
    assert_eq!(rig.dial("meter-1").await, 200, "enabled again it is as before");
    rig.server.stop().await;
}
