//! The audit log taken out by REST and by the command line, and checked where neither server nor data folder is (K-8, A-37).

use crate::{
    journey::enrolment_token,
    stock::Stock,
    support::{self, TestServer, eventually},
};
use fleet::db::EngineKind;
use rstest::rstest;
use serde_json::{Value, json};
use server::config::Config;
use std::{path::Path, time::Duration};
use wire::{access::AuditHead, states::Role};

async fn fleetward(folder: &Path, words: &[&str]) -> (bool, String) {
    let (well, said, why) = support::fleetward(folder, words).await;
    (well, said + &why)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_37_an_export_is_checked_on_another_machine() {
    let server = TestServer::start(EngineKind::Sqlite).await;
    let admin = server.token("ada", Role::Admin).await;
    let (here, away) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let export = server.http.get(server.url("/api/v1/audit/export")).bearer_auth(&admin).send().await.unwrap();
    assert_eq!(export.status(), 200);
    let text = export.text().await.unwrap();
    std::fs::write(away.path().join("audit.jsonl"), &text).unwrap();
    let verify = ["audit", "verify", "--file", "audit.jsonl"];
    let (holds, said) = fleetward(away.path(), &verify).await;
    assert!(holds && said.contains("the chain holds"), "{said}");

    // One name changed, then the last line gone.
    std::fs::write(away.path().join("audit.jsonl"), text.replacen("\"actor\":\"", "\"actor\":\"x", 1)).unwrap();
    let (holds, said) = fleetward(away.path(), &verify).await;
    assert!(!holds && said.contains("broken at entry"), "{said}");
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(away.path().join("audit.jsonl"), lines[..lines.len() - 1].join("\n")).unwrap();
    let (holds, said) = fleetward(away.path(), &verify).await;
    assert!(!holds && said.contains(&format!("broken at entry {}", lines.len() - 1)), "{said}");
    std::fs::write(away.path().join("audit.jsonl"), "{}").unwrap();
    assert!(!fleetward(away.path(), &verify).await.0);

    // On the server's own machine, beside it; only what came since.
    let (data, after) = (server.data().display().to_string(), (lines.len() - 1).to_string());
    let out = ["audit", "export", "--data", &data, "--after", &after, "--out", "next.jsonl"];
    let (done, said) = fleetward(here.path(), &out).await;
    assert!(done, "{said}");
    assert!(!fleetward(here.path(), &out).await.0, "a file that is there is not written over");
    let next = std::fs::read_to_string(here.path().join("next.jsonl")).unwrap();
    assert!(next.lines().last().unwrap().contains("command line"), "{next}");
    let (holds, said) = fleetward(here.path(), &["audit", "verify", "--file", "next.jsonl"]).await;
    assert!(holds && said.contains(&format!("It follows entry {after}")), "{said}");
    assert!(fleetward(here.path(), &["audit", "verify", "--data", &data]).await.0);

    // The page has the way for those who may.
    for (name, role, may) in [("bea", Role::Admin, true), ("oli", Role::Operator, false)] {
        let browser = server.browser(name, role).await;
        let page = browser.get(server.url("/audit")).send().await.unwrap().text().await.unwrap();
        assert_eq!(page.contains("/api/v1/audit/export"), may, "{name}");
    }
    server.stop().await;
}

/// K-8: what the server tells beside its database finds a log that is not the one it was, here and in an exported file.
#[tokio::test(flavor = "multi_thread")]
async fn k_8_a_log_is_compared_with_the_heads_that_its_server_has_told() {
    let elsewhere = tempfile::tempdir().unwrap();
    let heads = elsewhere.path().join("heads.jsonl");
    let server = TestServer::start_with(EngineKind::Sqlite, |config| Config { audit_heads: Some(heads.clone()), ..config }).await;
    eventually("the first head is told", Duration::from_secs(20), || async { !std::fs::read(&heads).unwrap_or_default().is_empty() }).await;
    let admin = server.token("ada", Role::Admin).await;
    let export = server.http.get(server.url("/api/v1/audit/export")).bearer_auth(&admin).send().await.unwrap();
    std::fs::write(elsewhere.path().join("audit.jsonl"), export.text().await.unwrap()).unwrap();
    let data = server.data().display().to_string();
    let (here, file) = (["audit", "verify", "--data", &data, "--heads"], ["audit", "verify", "--file", "audit.jsonl", "--heads"]);
    let told = std::fs::read_to_string(&heads).unwrap();
    std::fs::write(elsewhere.path().join("told.jsonl"), &told).unwrap();
    let head: AuditHead = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    for words in [here, file] {
        let verify = async |file: &str| fleetward(elsewhere.path(), &[&words[..], &[file]].concat()).await;
        let (holds, said) = verify("told.jsonl").await;
        assert!(holds && said.contains("It contains what told.jsonl has of its heads"), "{said}");

        // As if the log had been another one when it was told.
        let other = AuditHead { hash: "ab".repeat(32), ..head.clone() };
        std::fs::write(elsewhere.path().join("other.jsonl"), format!("{told}{}\n", serde_json::to_string(&other).unwrap())).unwrap();
        let (holds, said) = verify("other.jsonl").await;
        assert!(!holds && said.contains("the chain holds"), "by itself it does: {said}");
        assert!(said.contains(&format!("entry {} with the hash {}", other.seq, other.hash)), "{said}");
        // As if there had been more of it.
        let longer = AuditHead { seq: head.seq + 1000, ..head.clone() };
        std::fs::write(elsewhere.path().join("longer.jsonl"), format!("{told}{}\n", serde_json::to_string(&longer).unwrap())).unwrap();
        let (holds, said) = verify("longer.jsonl").await;
        assert!(!holds && said.contains(&format!("entry {} with the hash", longer.seq)), "{said}");
        // What says nothing proves nothing.
        std::fs::write(elsewhere.path().join("none.jsonl"), "").unwrap();
        let (holds, said) = verify("none.jsonl").await;
        assert!(!holds && said.contains("has no head of these entries"), "{said}");
        std::fs::write(elsewhere.path().join("wrong.jsonl"), format!("{told}{{}}\n")).unwrap();
        let (holds, said) = verify("wrong.jsonl").await;
        assert!(!holds && said.contains("line 2 is no head"), "{said}");
    }
    server.stop().await;
}

/// K-8: from where a certificate was asked for, by which request and CSR, is in its row; by a stock client, and by a person's script.
#[rstest]
#[case::sqlite(EngineKind::Sqlite)]
#[case::postgres(EngineKind::Postgres)]
#[tokio::test(flavor = "multi_thread")]
async fn k_8_what_was_asked_for_is_found_by_its_request(#[case] kind: EngineKind) {
    let server = TestServer::start(kind).await;
    let stock = Stock::of(&server);
    let admin = server.token("ada", Role::Admin).await;
    let row = async |action: &str| {
        let log = server.running.fleet.access().search_audit(&server.system(), action, None).await.unwrap().entries.items;
        // What the server issues to itself comes from nowhere.
        let row = log.into_iter().find(|e| e.action == action && !e.address.is_empty()).unwrap_or_else(|| panic!("no {action}"));
        let detail: Value = serde_json::from_str(&row.detail).unwrap();
        (
            row.address,
            detail["request"].as_str().unwrap_or_default().to_owned(),
            detail["csr_sha256"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let hash = async |name: &str| {
        let said = stock.openssl(&["dgst", "-sha256", "-r", &format!("{name}.der")]).await;
        said.split_whitespace().next().unwrap().to_owned()
    };
    let secret = enrolment_token(&server, "gw-1", "gateway", 1).await.secret;
    stock.request("gw-1", "/CN=gw-1").await;
    let issued = stock.est("simpleenroll", &secret, "gw-1.b64", &["-H", "X-Request-Id: line-7"]).await;
    assert_eq!(issued.status, 200, "{issued:?}");
    for action in ["certificate.issue", "device.enrol"] {
        assert_eq!(row(action).await, ("127.0.0.1".to_owned(), "line-7".to_owned(), hash("gw-1").await), "{action}");
    }

    // Renewed over the certificate; what is no plain word gets an id of ours.
    assert_eq!(stock.unpack(&issued, "gw-1.pem").await, 1);
    stock.request("next", "/CN=gw-1").await;
    let own = ["--cert", "gw-1.pem", "--key", "gw-1.key", "-H", "Content-Type: application/pkcs10", "-H", "X-Request-Id: <b>7</b>"];
    let renewed = stock.enrol("/.well-known/est/simplereenroll", &[&own[..], &["--data-binary", "@next.b64"]].concat()).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    let (address, request, csr) = row("certificate.issue").await;
    assert_eq!((address.as_str(), request.len(), csr), ("127.0.0.1", 36, hash("next").await), "{request}");

    // By a script: the answer says under which id it is in the books, and the page shows what they have.
    let list: Value =
        server.http.get(server.url("/api/v1/certificates?q=gw-1")).bearer_auth(&admin).send().await.unwrap().json().await.unwrap();
    let id = list["items"][0]["id"].as_str().unwrap();
    let revoke = server.http.post(server.url(&format!("/api/v1/certificates/{id}/revoke"))).bearer_auth(&admin);
    let answer = revoke.json(&json!({ "reason": "superseded" })).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(row("certificate.revoke").await.1, answer.headers()["x-request-id"].to_str().unwrap());
    let page = server.browser("bea", Role::Admin).await.get(server.url("/audit?action=certificate.issue")).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains(&hash("gw-1").await) && page.contains("line-7"));
    assert!(server.running.fleet.access().verify_audit(&server.system()).await.unwrap().broken_at.is_none());
    server.stop().await;
}
