//! `fleetward transfer-limits`: how fast files go to devices, and how many bytes a device may be sent.

use anyhow::Result;
use fleet::{Fleet, access::Actor};
use std::str::FromStr;
use wire::transfers::TransferLimits;

/// What is to be changed; nothing shows what holds.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Change {
    /// Bytes a second of all downloads together, at least 10,000; `none` is no limit
    #[arg(long, value_name = "N|none")]
    bandwidth: Option<Limit<u64>>,
    /// The attribute whose value says at which site a device is; an empty one is none
    #[arg(long, value_name = "NAME")]
    site_attribute: Option<String>,
    /// Bytes a second of all downloads to one site, at least 10,000; `none` is no limit
    #[arg(long, value_name = "N|none")]
    site_bandwidth: Option<Limit<u64>>,
    /// MB of files that a device may be sent in 30 days; `none` is no budget
    #[arg(long, value_name = "N|none")]
    data_budget_mb: Option<Limit<u32>>,
}

/// A number, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit<T>(Option<T>);

impl<T: FromStr> FromStr for Limit<T> {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            number => number.parse().map(|n| Self(Some(n))).map_err(|_| "it is neither a whole number nor none"),
        }
    }
}

pub(super) async fn run(fleet: &Fleet, change: Change) -> Result<String> {
    let (actor, transfers) = (Actor::shell(fleet.default_org().clone()), fleet.transfers());
    let before = transfers.limits(&actor).await?;
    let wanted = TransferLimits {
        bandwidth: change.bandwidth.map_or(before.bandwidth, |limit| limit.0),
        site_attribute: change.site_attribute.unwrap_or_else(|| before.site_attribute.clone()),
        site_bandwidth: change.site_bandwidth.map_or(before.site_bandwidth, |limit| limit.0),
        data_budget_mb: change.data_budget_mb.map_or(before.data_budget_mb, |limit| limit.0),
    };
    let now = if wanted == before { before } else { transfers.set_limits(&actor, wanted).await? };
    let said = |limit: Option<u64>| limit.map_or_else(|| "none".to_owned(), |n| n.to_string());
    Ok(format!(
        "bandwidth: {}\nsite_attribute: {}\nsite_bandwidth: {}\ndata_budget_mb: {}\n",
        said(now.bandwidth),
        now.site_attribute,
        said(now.site_bandwidth),
        said(now.data_budget_mb.map(u64::from))
    ))
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
    async fn what_is_named_is_changed_and_the_rest_stays(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let change = |bandwidth: &str, budget: &str| Change {
            bandwidth: Some(bandwidth.parse().unwrap()),
            data_budget_mb: Some(budget.parse().unwrap()),
            ..Change::default()
        };
        let set = run(&w.fleet, change("50000", "200")).await.unwrap();
        assert_eq!(set, "bandwidth: 50000\nsite_attribute: \nsite_bandwidth: none\ndata_budget_mb: 200\n");
        let only = Change { bandwidth: Some(Limit(None)), ..Change::default() };
        assert_eq!(run(&w.fleet, only).await.unwrap(), "bandwidth: none\nsite_attribute: \nsite_bandwidth: none\ndata_budget_mb: 200\n");
        let slow = run(&w.fleet, change("9", "none")).await.unwrap_err();
        assert!(super::super::in_words(slow).to_string().contains("at least 10,000"), "as the console says it");
        assert!(run(&w.fleet, Change::default()).await.unwrap().ends_with("data_budget_mb: 200\n"), "nothing was changed");
        assert!("fast".parse::<Limit<u64>>().is_err());
    }
}
