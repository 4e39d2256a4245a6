//! What `fleetward ca` says of one authority, and of how far the fleet is with a trust bundle; and which authority a name means.

use super::{
    following, roots,
    said::{Named, only},
};
use anyhow::Result;
use app::ui::number::counted;
use fleet::{Fleet, access::Actor};
use wire::{
    ids::AuthorityId,
    pki::{AuthorityDetail, AuthorityRow, BundleReach, common_name},
    states::AuthorityState,
};

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The authority's id, its name, or the label it was registered under
    #[arg(value_name = "ID|NAME")]
    pub(super) id: Named<AuthorityId>,
}

/// The authority of an id, of its name, or of the label that it was registered under.
pub(super) async fn meant(fleet: &Fleet, actor: &Actor, named: Named<AuthorityId>) -> Result<AuthorityId> {
    let name = match named {
        Named::Id(id) => return Ok(id),
        Named::Name(name) => name,
    };
    let pki = fleet.pki();
    let ours = pki.list_authorities(actor)?.into_iter().filter(|a| [a.common_name(), a.subject.as_str()].contains(&name.as_str()));
    let mut found: Vec<AuthorityId> = ours.map(|a| a.id).collect();
    let registered = pki.registered_authorities(actor).await?.into_iter();
    let named = registered.filter(|a| [a.label.as_str(), common_name(&a.subject), a.subject.as_str()].contains(&name.as_str()));
    found.extend(named.map(|a| a.id));
    only("authority", &name, found)
}

/// The staged root that an authority was staged with: it takes over with that one, and not by itself.
pub(super) fn staged_root<'a>(authority: &AuthorityRow, all: &'a [AuthorityRow]) -> Option<&'a AuthorityRow> {
    all.iter().find(|a| a.id == authority.issuer && a.state == AuthorityState::Staged)
}

/// What is to be done before an authority issues that was just imported. A root is activated with one for devices and one for listeners under it.
pub(super) fn after_import(imported: &AuthorityRow, all: &[AuthorityRow]) -> String {
    let root = staged_root(imported, all);
    let there =
        |kind: &str| root.is_none_or(|r| all.iter().any(|a| a.kind == kind && a.issuer == r.id && a.state == AuthorityState::Staged));
    if there("device") && there("server") {
        format!("It issues nothing yet. Let it:  fleetward ca activate {}", root.map_or(&imported.id, |root| &root.id))
    } else {
        "It issues nothing yet; import the other one first.".to_owned()
    }
}

/// How far the fleet is with a trust bundle, in a line.
pub(super) fn held(reach: &BundleReach) -> String {
    let silent = if reach.cannot_tell > 0 { format!("; {} can never tell", reach.cannot_tell) } else { String::new() };
    format!("{} of {} active devices hold trust bundle {}, {} don't{silent}", reach.holders, reach.devices, reach.version, reach.missing())
}

/// All that is known of an authority.
pub(super) fn show(a: &AuthorityDetail) {
    let row = &a.standing.row;
    println!("{}", row.subject);
    println!("  id           {}", row.id);
    let brought = if row.imported { ", signed elsewhere" } else { "" };
    println!("  state        {}, key {}{brought}", row.state, row.key);
    println!("  valid        {} to {}", row.not_before, row.not_after);
    if let Some(lines) = following::lines(&a.standing) {
        println!("{lines}");
    }
    println!("  fingerprint  {}", row.fingerprint);
    println!("  in use       {} certificates, {} of them without a successor", a.standing.certificates, a.standing.devices);
    println!("  known        {}", held(&a.reach));
    for above in &a.chain {
        let alarm = if a.alarmed.contains(&above.id) { ", ALARM" } else { "" };
        println!("  under        {} ({}{alarm})", above.subject, above.state);
    }
    for cross in &a.cross {
        println!("  vouching     {} for {}, until {}", cross.issuer, cross.subject, cross.not_after);
    }
    if let Some(before) = &a.takes_over_from {
        println!("  takes over   from {}: {} told to renew then", before.row.id, counted(before.devices, "device is", "devices are"));
    }
    for action in a.actions.iter().filter(|action| action.blocked.is_none()) {
        let forced = if action.forced { format!(" with --force; {} devices are cut off", action.cut) } else { String::new() };
        println!("  possible     {}{forced}", action.step);
    }
    for action in &a.actions {
        if let Some(why) = &action.blocked {
            println!("  not now      {}: {why}", action.step);
        }
    }
    if let Some(renewals) = a.renewals.filter(|r| r.asked > 0) {
        println!("  renewing     {} of {} devices that were asked have renewed", renewals.renewed, renewals.asked);
    }
    if let Some(after) = &a.aftermath {
        println!("  left behind  {} devices", after.left_behind);
        if let Some(at) = after.frozen_at {
            println!("  frozen       enrolment tokens and claims made until {at}");
        }
        if let Some(until) = after.until {
            println!("  way back     {}, until {until}", after.way_back);
        }
    }
    if let Some(list) = &a.list {
        println!("  list         number {}, until {}", list.number, list.next_update);
    }
    if let Some(alarm) = &a.alarm {
        println!("  ALARM        {} {}", alarm.at, alarm.sign);
    }
    roots::say(&a.duties);
    print!("{}", row.pem);
}
