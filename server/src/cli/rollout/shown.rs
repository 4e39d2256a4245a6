//! `rollout show`, `devices` and `preview-devices`: one rollout by its id or its name, its plan, and its devices. Refuses to know how a device fares and why,
//! which the core says.

use super::{
    super::said::{Named, every, one_of, table},
    status,
};
use crate::plans::written;
use anyhow::{Context as _, Result};
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::fmt::Write as _;
use wire::{
    Timestamp,
    ids::RolloutId,
    page::MAX_ROWS,
    rollouts::{ApprovalRow, PreviewDevice, PreviewQuery, RolloutDetail, Show, UpdateQuery, UpdateRow, UpdateSort, approvals_of},
    updates::UpdateFailure,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Shown {
    /// How a rollout stands, stage by stage, what was decided on it, what can be done with it, and what happened
    Show {
        #[command(flatten)]
        which: Which,
        /// Its plan instead, all of what its digest signs, as YAML that `rollout diff` reads
        #[arg(long)]
        plan: bool,
    },
    /// The devices of a rollout: the stage of each, how its update stands or ended, and why
    #[command(visible_alias = "updates")]
    Devices(Devices),
    /// Which device would be in which stage of a rollout that has not begun, and why others would not get it
    PreviewDevices {
        #[command(flatten)]
        which: Which,
        /// Only this stage, from 1; 0 is those that would not get it
        #[arg(long, value_name = "NUMBER")]
        stage: Option<u32>,
    },
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Which {
    /// The rollout's id, or its name, which means the newest one that is called so
    #[arg(value_name = "ID|NAME")]
    pub(in crate::cli) rollout: Named<RolloutId>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Devices {
    #[command(flatten)]
    pub(super) which: Which,
    /// Only this stage, from 1
    #[arg(long, value_name = "NUMBER")]
    pub(super) stage: Option<u32>,
    /// Only those that fare like this
    #[arg(long, value_name = "HOW", value_parser = one_of::<Show>(Show::ALL.iter().map(|s| s.as_str())))]
    pub(super) show: Option<Show>,
    /// Only those whose update ended like this; --show does not count then
    #[arg(long, value_name = "HOW", value_parser = one_of::<UpdateFailure>(UpdateFailure::ALL.iter().map(|f| f.as_str())))]
    pub(super) outcome: Option<UpdateFailure>,
    /// Only those that a selector means, for example 'tag:eu -online:yes'
    #[arg(long, visible_alias = "q", value_name = "SELECTOR", default_value = "", hide_default_value = true)]
    pub(super) select: String,
    /// In this order, for at most 2,000 devices; as they joined the fleet unless given
    #[arg(long, value_name = "ORDER", allow_hyphen_values = true, value_parser = one_of::<UpdateSort>(UpdateSort::ALL.iter().map(|s| s.as_str())))]
    pub(super) sort: Option<UpdateSort>,
}

/// What is asked for, in whole lines.
pub(super) async fn told(fleet: &Fleet, actor: &Actor, command: Shown) -> Result<String> {
    match command {
        Shown::Show { which, plan } => {
            let id = meant(fleet, actor, which).await?;
            let rollout = Box::pin(fleet.rollouts().detail(actor, &id)).await?;
            Ok(if plan { planned(&rollout) } else { lines(&rollout) })
        }
        Shown::Devices(wanted) => Box::pin(devices(fleet, actor, wanted)).await,
        Shown::PreviewDevices { which, stage } => {
            let id = meant(fleet, actor, which).await?;
            let page = async |cursor: Option<String>| {
                let query = PreviewQuery { stage, cursor, rows: Some(MAX_ROWS) };
                Box::pin(fleet.rollouts().preview_devices(actor, &id, &query)).await
            };
            let rows: Vec<Vec<String>> = every(page).await?.into_iter().map(placed).collect();
            Ok(if rows.is_empty() { "No device is in it.\n".to_owned() } else { table(&["DEVICE", "STAGE", "WHY"], &rows) })
        }
    }
}

/// The id of the rollout that is meant.
pub(in crate::cli) async fn meant(fleet: &Fleet, actor: &Actor, which: Which) -> Result<RolloutId> {
    match which.rollout {
        Named::Id(id) => Ok(id),
        Named::Name(name) => {
            let found = fleet.rollouts().named(actor, &name).await?;
            found.map(|row| row.id).with_context(|| format!("there is no rollout {name}"))
        }
    }
}

async fn devices(fleet: &Fleet, actor: &Actor, wanted: Devices) -> Result<String> {
    let Devices { which, stage, show, outcome, select, sort } = wanted;
    let id = meant(fleet, actor, which).await?;
    let (show, sort) = (show.unwrap_or_default(), sort.unwrap_or_default());
    let query = UpdateQuery { stage, show, outcome, q: select, sort, cursor: None, rows: Some(MAX_ROWS) };
    let page = async |cursor: Option<String>| {
        let query = UpdateQuery { cursor, ..query.clone() };
        Box::pin(fleet.rollouts().updates(actor, &id, &query)).await
    };
    let rows: Vec<Vec<String>> = every(page).await?.into_iter().map(device).collect();
    Ok(if rows.is_empty() {
        "No device fits. Of a rollout that has not begun, `fleetward rollout preview-devices` lists who would be in it.\n".to_owned()
    } else {
        table(&["DEVICE", "STAGE", "OUTCOME", "ATTEMPTS", "FROM", "CHANGED", "WHY"], &rows)
    })
}

fn device(row: UpdateRow) -> Vec<String> {
    let why: Vec<String> = [row.code, row.detail].into_iter().filter(|part| !part.is_empty()).collect();
    let changed = row.updated_at.map(Timestamp::rfc3339).unwrap_or_default();
    let (stage, attempts) = (row.stage.to_string(), row.attempts.to_string());
    vec![row.device_id.to_string(), stage, row.state.to_string(), attempts, row.from_version, changed, why.join(": ")]
}

fn placed(row: PreviewDevice) -> Vec<String> {
    let stage = row.stage.map_or_else(|| "none".to_owned(), |stage| stage.to_string());
    vec![row.device_id.to_string(), stage, row.reason.or(row.put_off).unwrap_or_default()]
}

/// Pure: the plan of a rollout, with what it is the plan of.
fn planned(rollout: &RolloutDetail) -> String {
    let (row, back) = (&rollout.row, rollout.way_back.as_ref().map(|back| back.version.as_str()));
    format!("# {}, digest {}\n{}", row.id, rollout.digest, written(&rollout.spec, (&row.device_type, &row.version), back))
}

/// Pure: a rollout as it stands, and then what its page has beside that.
fn lines(rollout: &RolloutDetail) -> String {
    let (row, spec) = (&rollout.row, &rollout.spec);
    let mut out = status(rollout, 0);
    let selector = if spec.selector.is_empty() { "every device of the type" } else { spec.selector.as_str() };
    let readable = |at: Option<Timestamp>| at.map(Timestamp::readable).unwrap_or_default();
    let standing = rollout.standing.as_ref();
    let possible: Vec<&str> = rollout.actions.iter().filter(|a| a.blocked.is_none()).map(|a| a.verb.as_str()).collect();
    out.push('\n');
    // Writing to a string can't fail.
    for (name, value) in [
        ("Author", format!("{} on {}", row.author, row.created_at.readable())),
        ("Changed", row.updated_at.readable()),
        ("Release", rollout.release.id.to_string()),
        ("For", selector.to_owned()),
        ("Reason", spec.reason.clone()),
        ("Digest", rollout.digest.to_string()),
        ("Plan", format!("`fleetward rollout show --plan {}` prints all that the digest signs", row.id)),
        ("Approvals", standing.map(|s| approvals_of(s.given, s.needed, &s.from)).unwrap_or_default()),
        ("Decided by", readable(standing.and_then(|s| s.decide_by))),
        ("Starts at", readable(spec.start_at)),
        ("Begins by", readable(rollout.start_by)),
        ("Way back", rollout.way_back.as_ref().map(|back| format!("{} ({})", back.version, back.release)).unwrap_or_default()),
        ("Takes back", rollout.back_of.as_ref().map(|of| format!("{} ({})", of.name, of.id)).unwrap_or_default()),
        ("Possible", possible.join(", ")),
    ] {
        if !value.is_empty() {
            let _ = writeln!(out, "{name:<12}{value}");
        }
    }
    for action in &rollout.actions {
        if let Some(why) = &action.blocked {
            let _ = writeln!(out, "Not now     {}: {why}", action.verb);
        }
    }
    let decisions: Vec<Vec<String>> = rollout.approvals.iter().map(decision).collect();
    if !decisions.is_empty() {
        let _ = write!(out, "\n{}", table(&["DECIDED", "BY", "SAYS", "REMARK"], &decisions));
    }
    let happened = rollout.history.iter().map(|event| vec![event.at.to_string(), event.by.clone(), event.text.clone()]);
    let happened: Vec<Vec<String>> = happened.collect();
    if !happened.is_empty() {
        let _ = write!(out, "\n{}", table(&["WHEN", "WHO", "WHAT"], &happened));
    }
    out
}

fn decision(row: &ApprovalRow) -> Vec<String> {
    let word = if row.approved { "yes" } else { "no" };
    let says = match (row.void, &row.uncounted) {
        (true, _) => format!("{word}, void"),
        (false, Some(why)) => format!("{word}, does not count: {why}"),
        (false, None) => word.to_owned(),
    };
    vec![row.at.to_string(), row.by_name.clone(), says, row.remark.clone()]
}
