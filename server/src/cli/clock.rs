//! `fleetward clock`: whether a server has found that its machine's clock jumped, after which it issues nothing. A command beside a server
//! sees what was written down; the clock of a server that runs is accepted there, over the console or the REST API.

use anyhow::Result;
use fleet::{Fleet, access::Actor};
use std::fmt::Write as _;
use wire::{access::AuditQuery, pki::ClockJump};

/// What a server writes down about its clock, as it begins in the audit log.
const JUMP: &str = "clock.jump";
const RIGHT: &str = "clock.right";
const ACCEPT: &str = "clock.accept";

pub(super) async fn run(fleet: &Fleet) -> Result<String> {
    let actor = Actor::shell(fleet.default_org().clone());
    let mut asked = AuditQuery { action: "clock.".to_owned(), ..AuditQuery::default() };
    let last = loop {
        let page = fleet.access().find_audit(&actor, &asked).await?.entries;
        let found = page.items.into_iter().find(|e| [JUMP, RIGHT, ACCEPT].contains(&e.action.as_str()));
        if found.is_some() || page.next.is_none() {
            break found;
        }
        asked.cursor = page.next;
    };
    let mut out = format!("This machine's clock shows {}.\n", fleet.clock().now().readable());
    // Writing to a string can't fail.
    let _ = match last {
        None => writeln!(out, "No server has seen its clock jump."),
        Some(e) if e.action == JUMP => {
            let detail: serde_json::Value = serde_json::from_str(&e.detail).unwrap_or_default();
            let by = detail["by_ms"].as_i64().map_or_else(|| "an unknown time".to_owned(), |by_ms| ClockJump { by_ms }.to_string());
            writeln!(
                out,
                "{}: a server saw its clock jump by {by}. It issues nothing until the clock is set right, or an admin accepts the new time: in the \
                 console under Certificates, or with POST /api/v1/clock/accept. Restarting the server takes the time to be right as well.",
                e.at.readable()
            )
        }
        Some(e) if e.action == ACCEPT => writeln!(out, "{}: {} accepted the time as it was after a jump.", e.at.readable(), e.actor),
        Some(e) => writeln!(out, "{}: after a jump, the clock was found to be right again.", e.at.readable()),
    };
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, testing::World};
    use rstest::rstest;

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_20_what_servers_saw_of_their_clocks_is_told_beside_them(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let pki = w.fleet.pki();
        let say = async || run(&w.fleet).await.unwrap();
        assert!(say().await.ends_with("No server has seen its clock jump.\n"));
        w.clock.jump(86_400_000);
        pki.tick().await.unwrap_err();
        let said = say().await;
        assert!(said.contains("saw its clock jump by +") && said.contains("/api/v1/clock/accept"), "{said}");
        w.clock.jump(-86_400_000);
        pki.tick().await.unwrap();
        assert!(say().await.contains("found to be right again"));
        w.clock.jump(-7_200_000);
        pki.accept_time(&w.admin().await).await.unwrap();
        let said = say().await;
        assert!(said.contains("accepted the time as it was after a jump"), "{said}");
    }
}
