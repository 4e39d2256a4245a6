//! Enrolment codes: what a page shows once as a QR code lets the real agent in, without JavaScript as well.

use crate::{journey::enrolment_token, support::TestServer};
use agent::{
    clock::System,
    identity::{Enrolment, Error, Identity, Store, enrol},
    tls::{Claim, Trust},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use wire::{
    enrolment::{CodeSecret, EnrolCode},
    states::Role,
};

/// Enrols as the agent does that is given this code.
async fn join(code: &str) -> Result<Identity, Error> {
    let code: EnrolCode = code.parse().unwrap();
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (token, claim) = match &code.secret {
        CodeSecret::Token(token) => (token.clone(), None),
        CodeSecret::Claim { certificate, key } => (String::new(), Some(Arc::new(Claim::of_der(bytes(certificate), bytes(key))))),
    };
    let folder = tempfile::tempdir().unwrap();
    let enrolment = Enrolment {
        url: code.url,
        token,
        claim,
        organization: None,
        trust: Trust::Pinned(code.root.parse().unwrap()),
        device_id: code.device_id.unwrap(),
        device_type: code.device_type.unwrap_or_default(),
        hardware: "A".into(),
        attributes: BTreeMap::new(),
        key: code.alg,
    };
    enrol(&Store::open(folder.path()).unwrap(), &enrolment, System::new()).await
}

#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn a_code_lets_the_agent_in_once(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let token = enrolment_token(&server, "gw-1", "gateway", 1).await;
    assert!(token.qr.is_some());
    assert_eq!(join(&token.code).await.unwrap().device_id(), "gw-1");

    // E-9: certificate and key of a claim fit into a code, and are enough.
    let operator = server.token("oli", Role::Operator).await;
    let ask = json!({ "label": "bench", "pattern": "gw-2", "trusted_user": true });
    let made = server.http.post(server.url("/api/v1/claims")).bearer_auth(&operator).json(&ask).send().await.unwrap();
    let made: Value = made.json().await.unwrap();
    assert!(made["qr"]["size"].as_u64().is_some_and(|size| size < 140), "{}", made["qr"]["size"]);
    let code = made["code"].as_str().unwrap();
    assert_eq!(join(code).await.unwrap().device_id(), "gw-2");
    assert!(join(&code.replace("id=gw-2", "id=gw-3")).await.is_err(), "it is used up, and for another device");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_a_code_once_without_script() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let browser = server.browser("oli", Role::Operator).await;
    let read = async || browser.get(server.url("/enrolment?tab=claim")).send().await.unwrap().text().await.unwrap();
    let token = [("label", "t"), ("pattern", "gw-1"), ("device_type", ""), ("tags", ""), ("max_uses", "1"), ("hours", "1")];
    for (call, form) in [("/rpc/enrolment_token_new", &token[..]), ("/rpc/claim_here", &[("label", "here"), ("pattern", "gw-2")])] {
        let posted = server.post_form(&browser, call, form).await;
        assert!(posted.status().is_redirection(), "{call}: {}", posted.status());
        let shown = read().await;
        let (before, after) = shown.split_once("class=\"qr\"").unwrap_or_else(|| panic!("{call}: no code"));
        let svg = format!("{}{}", before.rsplit("<svg").next().unwrap(), after.split("</svg>").next().unwrap());
        assert!(svg.contains("role=\"img\"") && svg.contains("aria-label=\"Scan it"), "{svg:.200}");
        assert!(svg.contains("width=\"240\"") && svg.contains("fill=\"#fff\""), "it has its place and its light ground: {svg:.300}");
        assert!(shown.contains("fleetward://enrol?url="), "also as text");
        let again = read().await;
        assert!(!again.contains("class=\"qr\"") && !again.contains("fleetward://enrol?"), "{call}: shown once");
    }
    server.stop().await;
}
