//! `release list`: which releases are listed, and what speaks against each of them.

use super::super::said::{every, one_of, table};
use clap::Args;
use fleet::{Fleet, access::Actor};
use std::fmt::Write as _;
use wire::{
    page::MAX_ROWS,
    releases::{ReleaseCheck, ReleaseQuery, ReleaseRow},
    states::ReleaseState,
};

/// Which releases are listed; all unless something is said.
#[derive(Debug, Clone, Default, Args)]
pub struct Wanted {
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = one_of::<ReleaseState>(ReleaseState::ALL.iter().map(|s| s.as_str())))]
    state: Option<ReleaseState>,
    /// Only those for this device type
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<String>,
    /// Only those whose signatures or stored files stand like this
    #[arg(long, value_name = "HOW", value_parser = one_of::<ReleaseCheck>(ReleaseCheck::ALL.iter().map(|c| c.as_str())))]
    check: Option<ReleaseCheck>,
    /// Only those with this text in their version, their device type or their notes
    #[arg(long, alias = "search", value_name = "TEXT", default_value = "", hide_default_value = true)]
    q: String,
}

/// The list, in whole lines.
pub(super) async fn told(fleet: &Fleet, actor: &Actor, wanted: Wanted) -> fleet::Result<String> {
    let Wanted { state, device_type, check, q } = wanted;
    let query = ReleaseQuery { q, state, device_type, check, cursor: None, rows: Some(MAX_ROWS) };
    let page = async |cursor: Option<String>| fleet.releases().list(actor, &ReleaseQuery { cursor, ..query.clone() }).await;
    let rows = every(page).await?;
    Ok(if rows.is_empty() && query.narrows() { "No release matches.\n".to_owned() } else { lines(rows) })
}

/// Pure: the releases as a table, and under it what to do about those that are damaged.
fn lines(rows: Vec<ReleaseRow>) -> String {
    let damaged: Vec<String> = rows.iter().filter(|r| r.damaged > 0).map(|r| r.id.to_string()).collect();
    let line = |r: ReleaseRow| {
        let damage = if r.damaged > 0 { r.damaged.to_string() } else { String::new() };
        vec![r.id.to_string(), r.device_type, r.version, r.sequence.to_string(), r.state.to_string(), damage, r.quarantine]
    };
    let head = ["ID", "TYPE", "VERSION", "SEQUENCE", "STATE", "DAMAGED", "QUARANTINE"];
    let mut out = table(&head, &rows.into_iter().map(line).collect::<Vec<_>>());
    if !damaged.is_empty() {
        // Writing to a string can't fail.
        let _ = writeln!(
            out,
            "Damaged files are not given out: {}. `fleetward release upload` with the same file heals it.",
            damaged.join(", ")
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Timestamp;

    #[test]
    fn a_damaged_file_is_told_in_the_list_with_what_heals_it() {
        let row = |damaged| ReleaseRow {
            id: format!("rel_{:032x}", 7).parse().unwrap(),
            device_type: "gateway".into(),
            version: "1.0.0".into(),
            sequence: 1,
            state: ReleaseState::Published,
            quarantine: String::new(),
            size: 8,
            signed_by: vec!["build".into()],
            created_at: Timestamp(0),
            created_by: "Oli".into(),
            installed: 0,
            rollouts: 0,
            damaged,
        };
        assert_eq!(lines(vec![row(0)]).lines().count(), 2, "a head and a line");
        let told = lines(vec![row(2)]);
        assert!(told.lines().nth(1).unwrap().ends_with("published  2"), "{told}");
        assert!(told.contains("Damaged files are not given out: rel_0") && told.contains("release upload"), "{told}");
    }
}
