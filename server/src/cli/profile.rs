//! `fleetward cert profile`: kinds of device certificates that tokens, claims, batches and approvals without a token give.

use super::{one_of, print_table};
use anyhow::Result;
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use wire::{
    pki::{KeyType, ProfileRules},
    states::RekeyPolicy,
};

#[derive(Debug, Subcommand)]
pub(super) enum Profile {
    /// List the profiles
    List,
    /// Make a profile, or change it: what is issued from now on follows it, renewals too
    Set {
        /// Its name: lower-case letters, digits and -
        name: String,
        /// For how many hours its certificates hold, at most 19,800 (825 days), with --factory at most 87,600 (ten years)
        #[arg(long, value_name = "N")]
        hours: u32,
        /// They are given once, where devices are made, and hold for more than 825 days
        #[arg(long)]
        factory: bool,
        /// A type of key they are for; may be given again, every type unless given
        #[arg(long = "key", value_name = "TYPE", value_parser = one_of::<KeyType>(KeyType::ALL.iter().map(|k| k.as_str())))]
        keys: Vec<KeyType>,
        /// Whether the key may change with a renewal; what holds in the organization unless given
        #[arg(long, value_name = "POLICY", value_parser = one_of::<RekeyPolicy>(RekeyPolicy::ALL.iter().map(|p| p.as_str())))]
        rekey: Option<RekeyPolicy>,
    },
    /// Remove a profile that nothing is of any more
    Remove {
        /// Its name
        name: String,
    },
}

pub(super) async fn run(fleet: &Fleet, actor: &Actor, command: Profile) -> Result<()> {
    let pki = fleet.pki();
    match command {
        Profile::List => {
            let rows: Vec<Vec<String>> = pki
                .profiles(actor)
                .await?
                .into_iter()
                .map(|p| {
                    let keys = p.rules.keys.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", ");
                    let keys = if keys.is_empty() { "every type".to_owned() } else { keys };
                    let rekey = p.rules.rekey.map_or("as the organization", RekeyPolicy::as_str).to_owned();
                    vec![p.name, p.rules.hours.to_string(), keys, rekey, p.active.to_string()]
                })
                .collect();
            if rows.is_empty() {
                println!("There is no profile.");
            } else {
                print_table(&["NAME", "HOURS", "KEYS", "REKEY", "ACTIVE"], &rows);
            }
        }
        Profile::Set { name, hours, factory, keys, rekey } => {
            pki.set_profile(actor, &name, ProfileRules { hours, factory, keys, rekey }).await?;
            println!(
                "{name} is set. Tokens, claims, batches and the setting for devices without a token give such certificates with --profile {name}."
            );
        }
        Profile::Remove { name } => {
            pki.remove_profile(actor, &name).await?;
            println!("{name} is removed.");
        }
    }
    Ok(())
}
