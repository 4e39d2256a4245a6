//! `fleetward assignment-key`: the server's own keys, which say for which device an offer is (U-2). The words are those of the REST API.

use super::table;
use anyhow::Result;
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use wire::{ids::AssignmentKeyId, signing::AssignmentKey as Row};

#[derive(Debug, Subcommand)]
pub(super) enum AssignmentKey {
    /// List the keys, newest first
    List,
    /// Make another key; offers are signed with it and with those before, until they are retired
    Make,
    /// Retire a key; devices stop believing it when they have the next trust bundle, which they fetch when they connect
    Retire {
        /// The key's id
        id: AssignmentKeyId,
    },
}

pub(super) async fn run(fleet: &Fleet, command: AssignmentKey) -> Result<String> {
    let (actor, pki) = (Actor::shell(fleet.default_org().clone()), fleet.pki());
    Ok(match command {
        AssignmentKey::List => {
            let rows: Vec<Vec<String>> = pki.assignment_keys(&actor).await?.iter().map(line).collect();
            table(&["ID", "STATE", "MADE", "BY", "KEY ID"], &rows)
        }
        AssignmentKey::Make => {
            let made = pki.make_assignment_key(&actor).await?;
            let held = "Retire the one before when most devices hold the new trust bundle (fleetward ca list says how many).";
            format!("{}\nOffers are signed with it from now on. {held}\n", made.id)
        }
        AssignmentKey::Retire { id } => {
            pki.retire_assignment_key(&actor, &id).await?;
            format!("{id} is retired. A running server follows within seconds.\n")
        }
    })
}

fn line(key: &Row) -> Vec<String> {
    let state = key.retired_at.map_or_else(|| "in use".to_owned(), |at| format!("retired {}", at.readable()));
    vec![key.id.to_string(), state, key.created_at.readable(), key.created_by.clone(), key.keyid.clone()]
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
    async fn u_2_keys_of_assignments_follow_one_another_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let ask = async |command| run(&w.fleet, command).await.map_err(|e| super::super::in_words(e).to_string());
        let ids = async || {
            let list = ask(AssignmentKey::List).await.unwrap();
            let ids = list.lines().skip(1).map(|line| line.split_whitespace().next().unwrap().parse::<AssignmentKeyId>().unwrap());
            (list.clone(), ids.collect::<Vec<_>>())
        };
        let (_, first) = ids().await;
        let retire = |id: &AssignmentKeyId| AssignmentKey::Retire { id: id.clone() };
        let only = ask(retire(&first[0])).await.unwrap_err();
        assert!(only.contains("Make another one first"), "{only}");
        let made = ask(AssignmentKey::Make).await.unwrap();
        assert!(made.starts_with("ask_") && ids().await.1.len() == 2, "{made}");
        ask(retire(&first[0])).await.unwrap();
        let (list, _) = ids().await;
        assert!(list.contains("in use") && list.contains("retired 22 Nov 2026"), "{list}");
        let unknown = format!("ask_{}", "0".repeat(32)).parse().unwrap();
        assert!(ask(AssignmentKey::Retire { id: unknown }).await.unwrap_err().ends_with('.'));
    }
}
