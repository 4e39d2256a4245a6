//! `fleetward group`: groups of devices, filled by a selector or by names.

use super::print_table;
use anyhow::{Result, bail};
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use wire::{
    devices::{DeviceQuery, GroupMany},
    ids::DeviceId,
};

#[derive(Debug, Subcommand)]
pub(super) enum Group {
    /// Groups, how many devices are in each, and the rollouts that ask for them
    List,
    /// Make an empty group
    Create {
        /// Its name
        name: String,
    },
    /// Give a group another name
    Rename {
        /// Its name
        name: String,
        /// Its new name
        to: String,
    },
    /// Delete a group; its devices stay
    Delete {
        /// Its name
        name: String,
    },
    /// Put devices into a group, all or none
    Add(Members),
    /// Take devices out of a group, all or none
    Remove(Members),
}

#[derive(Debug, clap::Args)]
pub(super) struct Members {
    /// The group's name
    name: String,
    /// Devices by their ids
    #[arg(value_name = "DEVICE", conflicts_with = "select", required_unless_present = "select")]
    devices: Vec<DeviceId>,
    /// Every device that a selector means, for example 'type:gateway tag:eu'
    #[arg(long, visible_alias = "q", value_name = "SELECTOR")]
    select: Option<String>,
}

pub(super) async fn run(fleet: &Fleet, command: Group) -> Result<()> {
    let actor = Actor::shell(fleet.default_org().clone());
    match command {
        Group::List => {
            let line = |group: wire::devices::DeviceGroup| {
                let users: Vec<String> = group.used_by.into_iter().map(|rollout| rollout.name).collect();
                vec![group.name, group.devices.to_string(), users.join(", ")]
            };
            let rows: Vec<Vec<String>> = fleet.groups(&actor).await?.into_iter().map(line).collect();
            print_table(&["GROUP", "DEVICES", "ROLLOUTS"], &rows);
        }
        Group::Create { name } => {
            let made = fleet.devices().create_group(&actor, &name).await?;
            println!("{} is there, and empty.", made.name);
        }
        Group::Rename { name, to } => {
            fleet.rename_group(&actor, &name, &to).await?;
            println!("{name} is called {} now.", to.trim());
        }
        Group::Delete { name } => {
            fleet.delete_group(&actor, &name).await?;
            println!("{name} is deleted; its devices stay.");
        }
        Group::Add(members) => change(fleet, &actor, members, false).await?,
        Group::Remove(members) => change(fleet, &actor, members, true).await?,
    }
    Ok(())
}

async fn change(fleet: &Fleet, actor: &Actor, members: Members, out: bool) -> Result<()> {
    let Members { name, devices, select } = members;
    let q = select.unwrap_or_default();
    let expected = if devices.is_empty() {
        fleet.devices().list(actor, &DeviceQuery { q: q.clone(), rows: Some(1), ..DeviceQuery::default() }).await?.total
    } else {
        0
    };
    if devices.is_empty() && expected == 0 {
        bail!("no device matches {q}");
    }
    let done = fleet.devices().group_many(actor, &name, &GroupMany { q, devices, out, expected }).await?;
    println!("{name}: {} {}.", done.devices, if out { "taken out" } else { "put in" });
    Ok(())
}
