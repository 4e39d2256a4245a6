//! The audit log taken out by REST and by the command line, and checked where neither server nor data folder is (pki.md K-8, A-37).

use crate::support::TestServer;
use fleet::db::EngineKind;
use std::{path::Path, process::Output};
use tokio::process::Command;
use wire::states::Role;

async fn fleetward(folder: &Path, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetward"));
    let Output { status, stdout, stderr } = command.args(words).current_dir(folder).kill_on_drop(true).output().await.unwrap();
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
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
