//! `fleetward device list`, `tag`, `suspend-all` and `resume-all`: every device that a selector means.

use super::print_table;
use crate::http::api::{DEVICE_COLUMNS, device_line};
use anyhow::Result;
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use wire::{
    devices::{DeviceQuery, DeviceRow, StepMany, TagMany},
    states::DeviceStep,
};

#[derive(Debug, Subcommand)]
pub(super) enum Selected {
    /// Devices that a selector means, as a table or as CSV
    List {
        /// For example 'type:gateway tag:eu'; all of them unless given
        #[arg(long, visible_alias = "q", value_name = "SELECTOR", default_value = "")]
        select: String,
        /// As CSV, with the columns of the console's file
        #[arg(long)]
        csv: bool,
    },
    /// Add tags to every device that a selector means, and take others away; all or none
    Tag {
        /// For example 'type:gateway tag:eu'
        #[arg(long, visible_alias = "q", value_name = "SELECTOR")]
        select: String,
        /// A tag they get; may be given again
        #[arg(long, value_name = "TAG", required_unless_present = "remove")]
        add: Vec<String>,
        /// A tag they lose; may be given again
        #[arg(long, value_name = "TAG")]
        remove: Vec<String>,
    },
    /// Cut every device off for now that a selector means; all or none
    SuspendAll(Meant),
    /// Let every suspended device in again that a selector means; all or none
    ResumeAll(Meant),
}

#[derive(Debug, clap::Args)]
pub(super) struct Meant {
    /// For example 'type:gateway tag:eu'
    #[arg(long, visible_alias = "q", value_name = "SELECTOR")]
    select: String,
    /// Do it. Without it you are told how many devices that are, and nothing is changed
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(fleet: &Fleet, actor: &Actor, command: Selected) -> Result<()> {
    match command {
        Selected::List { select, csv } => list(fleet, actor, &select, csv).await,
        Selected::Tag { select, add, remove } => {
            let query = DeviceQuery { q: select.clone(), rows: Some(1), ..DeviceQuery::default() };
            let expected = fleet.devices().list(actor, &query).await?.total;
            let tagged = fleet.devices().tag_many(actor, &TagMany { q: select, devices: Vec::new(), add, remove, expected }).await?;
            println!("{} tagged.", tagged.devices);
            Ok(())
        }
        Selected::SuspendAll(meant) => step(fleet, actor, meant, DeviceStep::Suspend).await,
        Selected::ResumeAll(meant) => step(fleet, actor, meant, DeviceStep::Resume).await,
    }
}

async fn step(fleet: &Fleet, actor: &Actor, Meant { select, yes }: Meant, step: DeviceStep) -> Result<()> {
    let query = DeviceQuery { q: select.clone(), rows: Some(1), ..DeviceQuery::default() };
    let expected = fleet.devices().list(actor, &query).await?.total;
    hint(fleet, actor, &select).await?;
    if !yes {
        println!("{select:?} means {expected} devices. Nothing was changed. Say --yes to {step} them.");
        return Ok(());
    }
    let done = fleet.devices().change_many(actor, &StepMany { q: select, devices: Vec::new(), step, expected }).await?;
    println!("{step} is done to {} of {} devices. A running server follows within seconds.", done.changed, done.devices);
    Ok(())
}

/// Says beside an answer what a selector asks for that there is none of.
pub(super) async fn hint(fleet: &Fleet, actor: &Actor, select: &str) -> Result<()> {
    for hint in fleet.devices().hints(actor, select).await? {
        eprintln!("note: {hint}");
    }
    Ok(())
}

async fn list(fleet: &Fleet, actor: &Actor, select: &str, csv: bool) -> Result<()> {
    hint(fleet, actor, select).await?;
    if csv {
        print!("{}", fleet::csv::line(&DEVICE_COLUMNS));
    }
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let (part, next) = fleet.devices().export(actor, select, cursor).await?;
        for row in part {
            if csv {
                print!("{}", device_line(row));
            } else {
                rows.push(cells(row));
            }
        }
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    if !csv {
        print_table(&["DEVICE", "TYPE", "STATE", "ONLINE", "FIRMWARE", "TAGS"], &rows);
    }
    Ok(())
}

fn cells(row: DeviceRow) -> Vec<String> {
    let online = if row.online { "yes" } else { "no" };
    vec![row.device_id.to_string(), row.device_type, row.state.to_string(), online.to_owned(), row.version, row.tags.join(" ")]
}
