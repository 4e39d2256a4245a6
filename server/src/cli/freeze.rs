//! `fleetward freeze`: the calendar of times in which no rollout offers anything new.

use super::said::{instant_flag, table};
use anyhow::Result;
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use wire::{
    Timestamp,
    ids::FreezeId,
    rollouts::{FreezeRow, NewFreeze},
};

#[derive(Debug, Subcommand)]
pub(super) enum Freeze {
    /// List the freezes, the latest first
    List,
    /// Freeze the organization for a time: no rollout offers anything new, unless its plan says that it goes on
    Create {
        /// What people call it
        name: String,
        /// Its first instant, for example 2027-12-20T00:00:00Z; from now on unless given
        #[arg(long, value_name = "INSTANT", value_parser = instant_flag)]
        from: Option<Timestamp>,
        /// The first instant after it; at most a year later
        #[arg(long, value_name = "INSTANT", value_parser = instant_flag)]
        until: Timestamp,
        /// Why: everybody sees it
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// End a freeze early, or take back one that has not begun
    End {
        /// The id that the list shows
        id: FreezeId,
        /// Why, for the audit log
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
}

pub(super) async fn run(fleet: &Fleet, command: Freeze) -> Result<String> {
    let (actor, rollouts) = (Actor::shell(fleet.default_org().clone()), fleet.rollouts());
    Ok(match command {
        Freeze::List => {
            let page = rollouts.freezes(&actor).await?;
            let rows: Vec<Vec<String>> = page.freezes.iter().map(|freeze| line(freeze, page.at)).collect();
            if rows.is_empty() { "There is no freeze.\n".to_owned() } else { table(&["ID", "STATE", "FROM", "UNTIL", "NAME"], &rows) }
        }
        Freeze::Create { name, from, until, reason } => {
            let from = from.unwrap_or_else(|| fleet.clock().now());
            let made = rollouts.freeze(&actor, NewFreeze { name, reason, from, until }).await?;
            format!("{} “{}” holds from {} until {}.\n", made.id, made.name, made.from.readable(), made.until.readable())
        }
        Freeze::End { id, reason } => {
            let ended = rollouts.end_freeze(&actor, &id, &reason).await?;
            format!("“{}” is over.\n", ended.name)
        }
    })
}

fn line(freeze: &FreezeRow, at: Timestamp) -> Vec<String> {
    let state = if freeze.lifted().is_some() {
        "lifted"
    } else if freeze.ended_at.is_some() {
        "taken back"
    } else if freeze.over(at) {
        "over"
    } else if freeze.holds(at) {
        "holds"
    } else {
        "ahead"
    };
    vec![freeze.id.to_string(), state.to_owned(), freeze.from.rfc3339(), freeze.until.rfc3339(), freeze.name.clone()]
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
    async fn a_freeze_is_made_and_ended_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        assert_eq!(run(&w.fleet, Freeze::List).await.unwrap(), "There is no freeze.\n");
        let create = |until| Freeze::Create { name: "Year's end".into(), from: None, until, reason: String::new() };
        let now = w.clock_now();
        let past = run(&w.fleet, create(now.plus(-1))).await.unwrap_err();
        assert!(super::super::in_words(past).to_string().contains("after it begins"), "as the console says it");
        let made = run(&w.fleet, create(now.plus(3_600_000))).await.unwrap();
        let id: FreezeId = made.split_whitespace().next().unwrap().parse().unwrap();
        assert!(run(&w.fleet, Freeze::List).await.unwrap().contains("holds"));
        let end = || Freeze::End { id: id.clone(), reason: "the fix is urgent".into() };
        assert_eq!(run(&w.fleet, end()).await.unwrap(), "“Year's end” is over.\n");
        assert!(run(&w.fleet, Freeze::List).await.unwrap().contains(" lifted "));
        assert!(run(&w.fleet, end()).await.is_err());
        let log = w.fleet.access().audit_page(&w.admin().await, None).await.unwrap().entries.items;
        assert!(log.iter().any(|e| e.action == "freeze.end" && e.detail.contains("the fix is urgent")), "{log:?}");
    }
}
