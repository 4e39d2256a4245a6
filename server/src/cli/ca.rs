//! `fleetward ca`: authorities, one generation after another. A server that runs beside it follows within seconds.

use super::registered::{self, Registered};
use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use fleet::{Fleet, access::Actor};
use wire::{
    consents::{ConsentCard, ConsentsPage},
    ids::{AuthorityId, ConsentId},
    pki::{AuthorityDetail, AuthorityStanding, AuthorityUse, BundleReach},
    states::AuthorityState,
};

#[derive(Debug, Subcommand)]
pub(super) enum Ca {
    /// List the authorities, those that were registered, and how many devices hold the newest trust bundle
    List,
    /// Make the next authority: believed at once, issuing when it is activated
    Stage {
        /// What it will issue to
        #[arg(long = "for", visible_alias = "kind", value_enum, value_name = "USE")]
        purpose: Purpose,
    },
    /// Show one authority: what hangs on it, and what can be done with it
    Show {
        /// The authority's id
        id: AuthorityId,
    },
    /// Let a staged authority issue; its predecessor is retiring from then on, and devices are told to renew
    Activate {
        /// The authority's id
        id: AuthorityId,
        /// A root only: also while fewer than 99 in 100 active devices hold the trust bundle that it is in
        #[arg(long)]
        force: bool,
    },
    /// Stop believing an authority that does not issue any more
    Retire {
        /// The authority's id
        id: AuthorityId,
        /// Also while certificates of it are in use, whose devices are cut off, or while devices don't hold the root that follows it
        #[arg(long)]
        force: bool,
    },
    /// Say whether two people decide on authorities; here one is enough to say so, and the audit log tells of it
    Approvals {
        /// on or off
        #[arg(value_enum)]
        rule: Rule,
    },
    /// List the requests for a second person, with what each would do
    Requests,
    /// Approve a request for a second person, and have it done
    Approve(Decision),
    /// Reject a request for a second person
    Reject(Decision),
    /// Give up an authority whose key somebody else may have; its devices are cut off and have to enrol again
    Compromise {
        /// The authority's id
        id: AuthorityId,
    },
    #[command(flatten)]
    Registered(Registered),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Rule {
    /// Every step but giving one up is asked for by one admin and approved by another
    On,
    /// One admin is enough
    Off,
}

#[derive(Debug, clap::Args)]
pub(super) struct Decision {
    /// The request's id
    id: ConsentId,
    /// Why: it is kept with the request
    #[arg(long)]
    remark: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Purpose {
    /// Devices
    Device,
    /// The listeners that devices connect to
    Server,
    /// The other authorities: the next root, which brings its own issuing authorities along
    Root,
}

pub(super) async fn run(fleet: &Fleet, command: Ca) -> Result<()> {
    let actor = Actor::shell(fleet.default_org().clone());
    let pki = fleet.pki();
    match command {
        Ca::List => {
            let page = pki.authorities_page(&actor).await?;
            for AuthorityStanding { row: a, certificates, .. } in page.authorities {
                let (state, key) = (a.state.as_str(), a.key.as_str());
                println!(
                    "{}  {:<6}  {state:<11}  key {key:<7}  {certificates:>6} devices' certificates  until {}  {}",
                    a.id, a.kind, a.not_after, a.subject
                );
            }
            registered::list(fleet, &actor).await?;
            println!("{}", held(&page.bundle));
        }
        Ca::Registered(command) => registered::run(fleet, &actor, command).await?,
        Ca::Show { id } => show(&pki.authority(&actor, &id).await?),
        Ca::Stage { purpose } => {
            let purpose = match purpose {
                Purpose::Device => AuthorityUse::Device,
                Purpose::Server => AuthorityUse::Server,
                Purpose::Root => AuthorityUse::Root,
            };
            println!("{}", pki.stage_authority(&actor, purpose).await?.id);
        }
        Ca::Activate { id, force } => {
            pki.activate_authority(&actor, &id, force).await?;
            println!("{id} issues now; its predecessor is retiring.");
        }
        Ca::Retire { id, force } => {
            pki.retire_authority(&actor, &id, force).await?;
            println!("{id} is retired.");
        }
        Ca::Approvals { rule } => {
            pki.set_approvals(&actor, rule == Rule::On).await?;
            println!(
                "{}",
                if rule == Rule::On { "Two people decide on authorities from now on." } else { "One person is enough from now on." }
            );
        }
        Ca::Requests => requests(&pki.consents_page(&actor).await?),
        Ca::Approve(Decision { id, remark }) => {
            let row = pki.consent(&actor, &id).await?;
            pki.approve_consent(&actor, &id, &row.digest, &remark).await?;
            println!("{}: done.", row.deed.words());
        }
        Ca::Reject(Decision { id, remark }) => {
            let row = pki.reject_consent(&actor, &id, &remark).await?;
            println!("{}: rejected.", row.deed.words());
        }
        Ca::Compromise { id } => {
            pki.compromise_authority(&actor, &id).await?;
            println!("Nothing of {id} is believed any more. Make and activate another one, and enrol its devices again.");
        }
    }
    Ok(())
}

fn requests(page: &ConsentsPage) {
    println!("{}", if page.on { "Two people decide on authorities." } else { "One person is enough to decide on authorities." });
    for ConsentCard { row, cut, blocked, .. } in &page.waiting {
        println!("{}  {}  asked by {} until {}: {}", row.id, row.deed.words(), row.asked_name, row.expires_at, row.remark);
        for effect in &row.effects {
            let from = effect.from.map_or("made", AuthorityState::as_str);
            println!("    {}: {from} -> {}", effect.name, effect.to);
        }
        if *cut > 0 {
            println!("    cuts off {cut} devices as of now");
        }
        println!("    digest {}", row.digest);
        if let Some(why) = blocked {
            println!("    {why}");
        }
    }
    for row in &page.over {
        println!(
            "{}  {}  asked by {}, {} {}  {}",
            row.id,
            row.deed.words(),
            row.asked_name,
            row.state,
            row.decided_name,
            row.decided_remark
        );
    }
}

fn held(reach: &BundleReach) -> String {
    format!("{} of {} active devices hold trust bundle {}", reach.holders, reach.devices, reach.version)
}

fn show(a: &AuthorityDetail) {
    let row = &a.standing.row;
    println!("{}", row.subject);
    println!("  id           {}", row.id);
    println!("  state        {}, key {}", row.state, row.key);
    println!("  valid        {} to {}", row.not_before, row.not_after);
    println!("  fingerprint  {}", row.fingerprint);
    println!("  in use       {} certificates, {} of them without a successor", a.standing.certificates, a.standing.devices);
    println!("  known        {}", held(&a.reach));
    for above in &a.chain {
        println!("  under        {} ({})", above.subject, above.state);
    }
    for cross in &a.cross {
        println!("  vouching     {} for {}, until {}", cross.issuer, cross.subject, cross.not_after);
    }
    for action in &a.actions {
        let forced = if action.forced { format!(" with --force; {} devices are cut off", action.cut) } else { String::new() };
        println!("  {:<11}  {}", action.step, action.blocked.clone().unwrap_or_else(|| format!("possible{forced}")));
    }
    print!("{}", row.pem);
}
