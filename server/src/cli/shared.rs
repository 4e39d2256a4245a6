//! `fleetward shared-secret-settings`, `target-token` and `gateway-token`: shared secrets of hawkBit's clients, which have no certificate.

use super::said::table;
use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use fleet::{Fleet, access::Actor};
use wire::{
    Timestamp,
    enrolment::{GatewayToken as Row, NewGatewayToken, NewTargetToken, SharedSecretSettings},
    ids::{DeviceId, GatewayTokenId},
};

/// What is to be changed; nothing shows what holds.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Settings {
    /// Whether target and gateway tokens are taken: whoever copies one speaks for its devices
    #[arg(long, value_enum)]
    tokens: Option<Switch>,
    /// Whether gateways may announce devices that nobody knows; they wait until a person lets them in
    #[arg(long, value_enum)]
    newcomers: Option<Switch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    /// It is so
    On,
    /// It is not; tokens stay as they are
    Off,
}

#[derive(Debug, Subcommand)]
pub(super) enum TargetToken {
    /// Make a device's target token, in the place of the one it has; prints the secret, once. Lets a device back in whose certificate was revoked
    Create {
        /// The device's id; one that is not there is preregistered
        #[arg(value_name = "DEVICE")]
        device: DeviceId,
        /// Type of a device that is not there
        #[arg(long, alias = "type", value_name = "TYPE", default_value = "", hide_default_value = true)]
        device_type: String,
        /// Hardware revision of a device that is not there
        #[arg(long, default_value = "", hide_default_value = true)]
        hardware: String,
    },
    /// Revoke a device's target token
    Revoke {
        /// The device's id
        #[arg(value_name = "DEVICE")]
        device: DeviceId,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum GatewayToken {
    /// Make a gateway token; prints the secret, once
    Create {
        /// What it is for
        #[arg(long)]
        label: String,
        /// Type given to devices that it announces
        #[arg(long, alias = "type", value_name = "TYPE", default_value = "", hide_default_value = true)]
        device_type: String,
    },
    /// List the gateway tokens, newest first
    List,
    /// Revoke a gateway token; devices that it announced stay
    Revoke {
        /// The token's id
        id: GatewayTokenId,
    },
}

pub(super) async fn settings(fleet: &Fleet, change: &Settings) -> Result<String> {
    let (actor, devices) = (Actor::shell(fleet.default_org().clone()), fleet.devices());
    let mut now = devices.shared_secrets(&actor).await?.settings;
    if change.tokens.is_some() || change.newcomers.is_some() {
        let to = |wanted: Option<Switch>, now: bool| wanted.map_or(now, |switch| switch == Switch::On);
        now = SharedSecretSettings { tokens: to(change.tokens, now.tokens), newcomers: to(change.newcomers, now.newcomers) };
        devices.set_shared_secrets(&actor, now).await?;
    }
    let word = |on: bool| if on { "on" } else { "off" };
    Ok(format!("tokens: {}\nnewcomers: {}\n", word(now.tokens), word(now.newcomers)))
}

pub(super) async fn target(fleet: &Fleet, command: TargetToken) -> Result<String> {
    let (actor, devices) = (Actor::shell(fleet.default_org().clone()), fleet.devices());
    Ok(match command {
        TargetToken::Create { device, device_type, hardware } => {
            let made = devices.create_target_token(&actor, &device, &NewTargetToken { device_type, hardware }).await?;
            format!("{}\n{}\n", made.device_id, made.secret)
        }
        TargetToken::Revoke { device } => {
            devices.drop_target_token(&actor, &device).await?;
            format!("{device} has no target token any more.\n")
        }
    })
}

pub(super) async fn gateway(fleet: &Fleet, command: GatewayToken) -> Result<String> {
    let (actor, devices) = (Actor::shell(fleet.default_org().clone()), fleet.devices());
    Ok(match command {
        GatewayToken::Create { label, device_type } => {
            let made = devices.create_gateway_token(&actor, &NewGatewayToken { label, device_type }).await?;
            format!("{}\n{}\n", made.token.id, made.secret)
        }
        GatewayToken::List => {
            let rows: Vec<Vec<String>> = devices.shared_secrets(&actor).await?.gateways.into_iter().map(line).collect();
            if rows.is_empty() { "There is no gateway token.\n".to_owned() } else { table(&["ID", "STATE", "LAST USED", "LABEL"], &rows) }
        }
        GatewayToken::Revoke { id } => {
            devices.revoke_gateway_token(&actor, &id).await?;
            format!("{id} is revoked.\n")
        }
    })
}

fn line(token: Row) -> Vec<String> {
    let state = if token.revoked_at.is_some() { "revoked" } else { "usable" };
    let used = token.last_used_at.map_or_else(|| "never".to_owned(), Timestamp::readable);
    vec![token.id.to_string(), state.to_owned(), used, token.label]
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
    async fn tokens_are_switched_on_made_and_revoked_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let refused = settings(&w.fleet, &Settings { tokens: None, newcomers: Some(Switch::On) }).await.unwrap_err();
        assert!(super::super::in_words(refused).to_string().contains("Switch tokens on"), "as the console says it");
        let on = Settings { tokens: Some(Switch::On), newcomers: None };
        assert_eq!(settings(&w.fleet, &on).await.unwrap(), "tokens: on\nnewcomers: off\n");
        assert_eq!(settings(&w.fleet, &Settings::default()).await.unwrap(), "tokens: on\nnewcomers: off\n");

        assert_eq!(gateway(&w.fleet, GatewayToken::List).await.unwrap(), "There is no gateway token.\n");
        let made = gateway(&w.fleet, GatewayToken::Create { label: "hall".into(), device_type: "gateway".into() }).await.unwrap();
        let (id, secret) = made.split_once('\n').unwrap();
        assert!(secret.starts_with("fgt_"), "{made}");
        gateway(&w.fleet, GatewayToken::Revoke { id: id.parse().unwrap() }).await.unwrap();
        let list = gateway(&w.fleet, GatewayToken::List).await.unwrap();
        assert!(list.contains("revoked") && list.contains("hall") && !list.contains("fgt_"), "{list}");

        let device: DeviceId = "gw-1".parse().unwrap();
        let create = TargetToken::Create { device: device.clone(), device_type: "gateway".into(), hardware: String::new() };
        assert!(target(&w.fleet, create).await.unwrap().starts_with("gw-1\nftt_"));
        target(&w.fleet, TargetToken::Revoke { device: device.clone() }).await.unwrap();
        assert!(target(&w.fleet, TargetToken::Revoke { device }).await.is_err());
    }
}
