//! `fleetward device renew`: one device, or every one that a selector means, one after the other.

use super::{authority, said::Named, selected::hint};
use anyhow::Result;
use fleet::{Fleet, access::Actor};
use std::fmt::Write as _;
use wire::{
    ids::{AuthorityId, CertificateId, DeviceId},
    pki::{ManyRenewals, RenewMany},
};

#[derive(Debug, clap::Args)]
pub(super) struct Renewal {
    /// The device's id
    #[arg(
        value_name = "DEVICE",
        required_unless_present_any = ["select", "authority"],
        conflicts_with_all = ["select", "authority", "minutes", "yes"]
    )]
    device: Option<DeviceId>,
    /// Every device that this means instead, for example 'type:gateway tag:eu'; '' for all
    #[arg(long, visible_alias = "q", alias = "selector", value_name = "SELECTOR")]
    select: Option<String>,
    /// Only devices that have a certificate of this authority to renew, by its id or its name
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<Named<AuthorityId>>,
    /// Over how many minutes they are told, one after the other, at most a week; so long that a hundred a second are told unless given
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<u32>,
    /// Ask them. Without it you are told how many they are, and nobody is asked
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(fleet: &Fleet, actor: &Actor, order: Renewal) -> Result<()> {
    let Renewal { device, select, authority: named, minutes, yes } = order;
    if let Some(device) = device {
        let order = fleet.devices().order_renewal(actor, &device).await?;
        println!(
            "{device}: ordered to renew {}. A running server tells it within seconds where it is connected.",
            words(&order.certificates)
        );
        return Ok(());
    }
    let authority = match named {
        Some(named) => Some(authority::meant(fleet, actor, named).await?),
        None => None,
    };
    let authority = authority.map(|id| id.to_string());
    let many = RenewMany { q: Some(select.unwrap_or_default()), authority, minutes, ..RenewMany::default() };
    hint(fleet, actor, many.q.as_deref().unwrap_or_default()).await?;
    let would = fleet.devices().preview_renewals(actor, &many).await?;
    if !yes {
        println!("{} Nobody was asked. Say --yes to ask them.", told(&would, "would be asked"));
        return Ok(());
    }
    let done = fleet.devices().order_renewals(actor, &RenewMany { expected: Some(would.devices), ..many }).await?;
    println!("{} A running server tells those that are connected.", told(&done, "are asked"));
    Ok(())
}

/// Pure: these ids in words.
fn words(ids: &[CertificateId]) -> String {
    ids.iter().map(CertificateId::as_str).collect::<Vec<_>>().join(" and ")
}

/// Pure: whom an order asks, whom it leaves out, and over how long they are told.
fn told(order: &ManyRenewals, asked: &str) -> String {
    let mut out = format!("{} of {} devices {asked} to renew", order.asked, order.devices);
    // Writing to a string can't fail.
    let _ = match order.minutes {
        0 => write!(out, ", all at once."),
        minutes => write!(out, ", over {minutes} min."),
    };
    let left_out = [
        (order.suspended, "suspended"),
        (order.nothing_to_renew, "with nothing to renew here"),
        (order.already_asked, "asked already"),
        (order.no_channel, "without a channel so far, which renew by themselves"),
        (order.for_later, "for another order: one asks 100,000"),
    ];
    let left_out: Vec<String> = left_out.iter().filter(|(n, _)| *n > 0).map(|(n, why)| format!("{n} {why}")).collect();
    if !left_out.is_empty() {
        let _ = write!(out, " Left out: {}.", left_out.join(", "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Timestamp;

    #[test]
    fn what_is_left_out_is_said_with_why() {
        let order = ManyRenewals {
            devices: 12,
            asked: 12,
            suspended: 0,
            nothing_to_renew: 0,
            already_asked: 0,
            no_channel: 0,
            for_later: 0,
            minutes: 0,
            told_by: Timestamp(0),
        };
        assert_eq!(told(&order, "are asked"), "12 of 12 devices are asked to renew, all at once.");
        let some = ManyRenewals { asked: 8, suspended: 1, nothing_to_renew: 2, already_asked: 1, minutes: 3, ..order };
        assert_eq!(
            told(&some, "would be asked"),
            "8 of 12 devices would be asked to renew, over 3 min. Left out: 1 suspended, 2 with nothing to renew here, 1 asked already."
        );
    }

    #[tokio::test]
    async fn devices_are_asked_by_a_selector_when_that_is_said_twice() {
        let w = fleet::testing::World::open(fleet::db::EngineKind::Sqlite).await;
        let shell = Actor::shell(w.fleet.default_org().clone());
        for id in ["gw-1", "gw-2"] {
            let device = w.device(id, "gateway").await;
            w.channel(device).await;
        }
        let order = |yes| Renewal { device: None, select: Some("type:gateway".into()), authority: None, minutes: Some(5), yes };
        let waiting = async || {
            let many = RenewMany { q: Some("type:gateway".into()), ..RenewMany::default() };
            w.fleet.devices().preview_renewals(&shell, &many).await.unwrap().already_asked
        };
        run(&w.fleet, &shell, order(false)).await.unwrap();
        assert_eq!(waiting().await, 0, "it only told how many they are");
        run(&w.fleet, &shell, order(true)).await.unwrap();
        assert_eq!(waiting().await, 2);
        let nobodys = Renewal { authority: Some("Nobody's CA".parse().unwrap()), ..order(true) };
        assert_eq!(run(&w.fleet, &shell, nobodys).await.unwrap_err().to_string(), "there is no authority Nobody's CA");
    }
}
