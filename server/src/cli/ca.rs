//! `fleetward ca`: authorities, one generation after another. A server that runs beside it follows within seconds.

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use fleet::{Fleet, access::Actor};
use wire::{ids::AuthorityId, pki::AuthorityUse};

#[derive(Debug, Subcommand)]
pub(super) enum Ca {
    /// List the authorities
    List,
    /// Make the next authority: believed at once, issuing when it is activated
    Stage {
        /// What it will issue to
        #[arg(long = "for", value_enum, value_name = "USE")]
        purpose: Purpose,
    },
    /// Let a staged authority issue; its predecessor is retiring from then on, and devices are told to renew
    Activate {
        /// The authority's id
        id: AuthorityId,
    },
    /// Stop believing an authority that does not issue any more
    Retire {
        /// The authority's id
        id: AuthorityId,
        /// Also while certificates of it are in use: their devices are cut off
        #[arg(long)]
        force: bool,
    },
    /// Give up an authority whose key somebody else may have; its devices are cut off and have to enrol again
    Compromise {
        /// The authority's id
        id: AuthorityId,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Purpose {
    /// Devices
    Device,
    /// The listeners that devices connect to
    Server,
}

pub(super) async fn run(fleet: &Fleet, command: Ca) -> Result<()> {
    let actor = Actor::system(fleet.default_org().clone());
    let pki = fleet.pki();
    match command {
        Ca::List => {
            for a in pki.list_authorities(&actor)? {
                println!("{}  {:<6}  {:<11}  until {}  {}", a.id, a.kind, a.state.as_str(), a.not_after, a.subject);
            }
        }
        Ca::Stage { purpose } => {
            let purpose = match purpose {
                Purpose::Device => AuthorityUse::Device,
                Purpose::Server => AuthorityUse::Server,
            };
            println!("{}", pki.stage_authority(&actor, purpose).await?.id);
        }
        Ca::Activate { id } => {
            pki.activate_authority(&actor, &id).await?;
            println!("{id} issues now; its predecessor is retiring.");
        }
        Ca::Retire { id, force } => {
            pki.retire_authority(&actor, &id, force).await?;
            println!("{id} is retired.");
        }
        Ca::Compromise { id } => {
            pki.compromise_authority(&actor, &id).await?;
            println!("Nothing of {id} is believed any more. Make and activate another one, and enrol its devices again.");
        }
    }
    Ok(())
}
