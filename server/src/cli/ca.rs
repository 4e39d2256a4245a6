//! `fleetward ca`: authorities, one generation after another. A server that runs beside it follows within a second. What is done with roots' keys is in
//! `roots.rs`.

use super::{
    authority::{Which, held, meant, show},
    following, given_up,
    intermediate::{self, Issue},
    one_of,
    registered::{self, Registered},
    roots::{self, Crl, Offline, Root},
    said::person,
};
use anyhow::Result;
use app::ui::number::counted;
use clap::{Subcommand, ValueEnum};
use fleet::{Fleet, access::Actor};
use std::{path::PathBuf, process::ExitCode};
use wire::{
    consents::{ConsentCard, ConsentsPage, ServerKeyRule},
    ids::{AuthorityId, ConsentId, Digest},
    pki::{AuthorityStanding, AuthorityUse, ComingBack, steps::not_from},
    roots::NewAuthorityRequest,
    states::{AuthorityState, AuthorityStep, RecoveryPolicy},
};

#[derive(Debug, Subcommand)]
pub(super) enum Ca {
    /// List the authorities, those that were registered, and how many devices hold the newest trust bundle
    List,
    /// Make the next authority: believed at once, issuing when it is activated; one for claims issues at once, and is made only where none lives long enough
    Stage {
        /// What it will issue to
        #[arg(long = "kind", alias = "for", value_enum, value_name = "USE")]
        purpose: Purpose,
    },
    /// Show one authority: what hangs on it, and what can be done with it; of one that was registered, what becomes of its devices
    Show {
        #[command(flatten)]
        which: Which,
        /// Only its certificate, PEM
        #[arg(long)]
        pem: bool,
    },
    /// Let a staged authority issue; its predecessor is retiring from then on, and devices are told to renew
    Activate {
        #[command(flatten)]
        which: Which,
        /// A root only: also while fewer than 99 in 100 active devices hold the trust bundle that it is in
        #[arg(long)]
        force: bool,
    },
    /// Stop believing an authority that does not issue any more
    Retire {
        #[command(flatten)]
        which: Which,
        /// Also while certificates of it are in use, whose devices are cut off, or while devices don't hold the root that follows it
        #[arg(long)]
        force: bool,
        /// With --force: do it. Without it you are told how many devices are cut off, and nothing is changed
        #[arg(long)]
        yes: bool,
    },
    /// Say whether a second person has to approve what is done with authorities; saying so here takes one, and the audit log tells of it
    Approvals {
        /// on or off
        #[arg(value_enum)]
        rule: Rule,
    },
    /// Where two people decide, say whether keys are made for devices; saying here that they are takes one, and the audit log tells of it
    ServerKeys {
        /// on or off
        #[arg(value_enum)]
        rule: Making,
    },
    /// List the requests for a second person, with what each would do
    Requests,
    /// Approve a request for a second person, and have it done
    Approve {
        /// The digest of exactly what was asked for, as `fleetward ca requests` shows it
        #[arg(long)]
        digest: Digest,
        #[command(flatten)]
        of: Decision,
    },
    /// Reject a request for a second person
    Reject(Decision),
    /// Take a request for a second person back; whoever asked does that
    Withdraw {
        /// The request's id
        id: ConsentId,
        /// File with an API token of the admin who asked
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
    /// Print what devices are to trust now, as JSON
    TrustBundle,
    /// Give up an authority whose key somebody else may have; its devices are cut off until they enrol again or are let back: see recover-devices
    Compromise {
        #[command(flatten)]
        which: Which,
        /// Do it. Without it you are told how many devices are cut off, and nothing is changed
        #[arg(long)]
        yes: bool,
    },
    /// Say that the alarm about a certificate that was never issued here, but has an authority's signature, was looked at
    ClearAlarm(Which),
    /// Let enrolment tokens and claims count again that were frozen when an authority was given up; look through them before
    ThawTokens(Which),
    /// Let the devices of an authority that was given up or retired come back by the keys they have, over the enrol listener
    RecoverDevices {
        #[command(flatten)]
        which: Which,
        /// approval: a person approves each; auto: at once; off: not any more
        #[arg(long, default_value = "approval", value_parser = one_of::<RecoveryPolicy>(RecoveryPolicy::ALL.iter().map(|p| p.as_str())))]
        how: RecoveryPolicy,
        /// For so many days, 1 to 90
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
    /// A root's private key: take it away from this server, and sign with it where it is kept
    #[command(subcommand)]
    Root(Root),
    /// Make a key here and write a request for its certificate, to be signed where the root's key is
    Csr {
        /// What the authority will issue to
        #[arg(long = "kind", alias = "for", value_enum, value_name = "USE")]
        purpose: Purpose,
        /// A root of your own will sign it, that this server does not know yet
        #[arg(long)]
        own_root: bool,
        /// Begin anew; the certificate of the request before can't be brought back any more
        #[arg(long)]
        fresh: bool,
        /// Where to write the request; must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// List the requests that wait for their certificate
    Csrs,
    /// Give up a request that waits for its certificate; its key is forgotten
    WithdrawCsr {
        /// The request's id
        id: AuthorityId,
    },
    /// Sign the certificate of an issuing authority with a root's file; works without network and data folder
    IssueIntermediate(Issue),
    /// Bring a certificate back that was signed where the root's key is; a root of your own comes along in the same file
    Import {
        /// The certificates, PEM
        file: PathBuf,
    },
    /// Lists of revoked certificates of a root whose key is not here
    #[command(subcommand)]
    Crl(Crl),
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Making {
    /// By EST serverkeygen, and for batches whose keys are made here
    On,
    /// None from now on
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

impl Ca {
    /// What runs where a root's key is, without a fleet.
    pub(super) fn offline(&self) -> Option<Offline<'_>> {
        match self {
            Self::IssueIntermediate(issue) => Some(Offline::Issue(issue)),
            Self::Root(root) => root.offline(),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Purpose {
    /// Devices
    Device,
    /// The listeners that devices connect to
    Server,
    /// Claims, by which many devices ask for their own certificates
    Claim,
    /// The other authorities: the next root, which brings its own issuing authorities along
    Root,
}

impl From<Purpose> for AuthorityUse {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Device => Self::Device,
            Purpose::Server => Self::Server,
            Purpose::Claim => Self::Claim,
            Purpose::Root => Self::Root,
        }
    }
}

/// What a script sees that has not said --yes, as where a flag is missing that a command can't do without.
const UNSAID: u8 = 2;

pub(super) async fn run(fleet: &Fleet, command: Ca) -> Result<ExitCode> {
    let actor = Actor::shell(fleet.default_org().clone());
    let pki = fleet.pki();
    match command {
        Ca::List => {
            let page = pki.authorities_page(&actor).await?;
            for standing in page.authorities {
                let due = following::mark(&standing, page.at);
                let AuthorityStanding { row: a, certificates, alarm, .. } = standing;
                let (state, key) = (a.state.as_str(), a.key.as_str());
                println!(
                    "{}  {:<6}  {state:<11}  key {key:<7}  {certificates:>6} devices' certificates  until {}  {}{due}",
                    a.id, a.kind, a.not_after, a.subject
                );
                if let Some(alarm) = alarm {
                    println!("    ALARM: somebody else may have its key, seen at {}: {}", alarm.at, alarm.sign);
                }
            }
            registered::list(fleet, &actor).await?;
            println!("{}", held(&page.bundle));
            for request in page.requests {
                println!("{}  waits for its certificate  {}", request.id, request.subject);
            }
            roots::say(&page.duties);
        }
        Ca::Show { which, pem } => {
            let id = meant(fleet, &actor, which.id).await?;
            if let Some(theirs) = pki.registered_authorities(&actor).await?.into_iter().find(|a| a.id == id) {
                print!("{}", if pem { theirs.pem } else { registered::told(&theirs) });
            } else {
                let authority = pki.authority(&actor, &id).await?;
                if pem { print!("{}", authority.standing.row.pem) } else { show(&authority) }
            }
        }
        Ca::Registered(command) => registered::run(fleet, &actor, command).await?,
        Ca::Stage { purpose } => {
            let (staged, made) = match purpose {
                Purpose::Claim => pki.make_claim_authority(&actor).await?,
                other => (pki.stage_authority(&actor, other.into()).await?, true),
            };
            roots::say_staged(&staged, made, &pki.list_authorities(&actor)?);
            roots::say_beside(&pki.root_duties(&actor).await?);
        }
        Ca::Activate { which, force } => {
            let id = meant(fleet, &actor, which.id).await?;
            activate(fleet, &actor, &id, force).await?;
        }
        Ca::Retire { which, force, yes } => {
            let id = meant(fleet, &actor, which.id).await?;
            if force
                && !yes
                && let Some(what) = would(fleet, &actor, &id, AuthorityStep::Retire).await?
            {
                println!("{what}");
                return Ok(ExitCode::from(UNSAID));
            }
            pki.retire_authority(&actor, &id, force).await?;
            println!("{id} is retired.");
            roots::say(&pki.root_duties(&actor).await?);
        }
        Ca::Approvals { rule } => {
            pki.set_approvals(&actor, rule == Rule::On).await?;
            println!(
                "{}",
                if rule == Rule::On { "Two people decide on authorities from now on." } else { "One person is enough from now on." }
            );
        }
        Ca::ServerKeys { rule } => {
            pki.set_server_keys(&actor, rule == Making::On).await?;
            println!(
                "{}",
                if rule == Making::On { "Keys are made for devices from now on." } else { "No keys are made for devices from now on." }
            );
        }
        Ca::Requests => requests(&pki.consents_page(&actor).await?),
        Ca::Approve { digest, of: Decision { id, remark } } => {
            let row = pki.approve_consent(&actor, &id, &digest, &remark).await?;
            println!("{}: done.", row.deed.words());
        }
        Ca::Reject(Decision { id, remark }) => {
            let row = pki.reject_consent(&actor, &id, &remark).await?;
            println!("{}: rejected.", row.deed.words());
        }
        Ca::Withdraw { id, token_file } => {
            let row = pki.withdraw_consent(&person(fleet, &token_file).await?, &id).await?;
            println!("{}: taken back.", row.deed.words());
        }
        Ca::TrustBundle => println!("{}", serde_json::to_string_pretty(&*pki.read_trust_bundle(&actor)?)?),
        Ca::Compromise { which, yes } => {
            let id = meant(fleet, &actor, which.id).await?;
            if !yes && let Some(what) = would(fleet, &actor, &id, AuthorityStep::Compromise).await? {
                println!("{what}");
                return Ok(ExitCode::from(UNSAID));
            }
            pki.compromise_authority(&actor, &id).await?;
            println!("Nothing of {id} is believed any more. A running server closes its connections within a second.");
            given_up::say(&pki.authority(&actor, &id).await?, &pki.list_authorities(&actor)?);
            roots::say(&pki.root_duties(&actor).await?);
        }
        Ca::ClearAlarm(which) => {
            let id = meant(fleet, &actor, which.id).await?;
            pki.clear_alarm(&actor, &id).await?;
            println!("{id} has no alarm any more.");
        }
        Ca::ThawTokens(which) => {
            let id = meant(fleet, &actor, which.id).await?;
            pki.thaw_tokens(&actor, &id).await.map_err(|e| e.fault())?;
            println!("Enrolment tokens and claims made before {id} was given up count again.");
        }
        Ca::RecoverDevices { which, how, days } => {
            let id = meant(fleet, &actor, which.id).await?;
            let left = pki.recover_devices(&actor, &id, ComingBack { how, days }).await.map_err(|e| e.fault())?;
            match how {
                RecoveryPolicy::Off => println!("Devices of {id} don't come back by their keys any more."),
                RecoveryPolicy::Approval => {
                    println!("{left} devices may come back by their keys for {days} days; each waits for a person's approval.");
                }
                RecoveryPolicy::Auto => println!("{left} devices may come back by their keys for {days} days, at once."),
            }
        }
        Ca::Root(command) => roots::root(fleet, &actor, command).await?,
        Ca::Csr { purpose, own_root, fresh, out } => {
            intermediate::csr(fleet, &actor, NewAuthorityRequest { kind: purpose.into(), own_root, fresh }, &out).await?;
        }
        Ca::Csrs => intermediate::csrs(fleet, &actor).await?,
        Ca::WithdrawCsr { id } => {
            pki.withdraw_authority_request(&actor, &id).await.map_err(|e| e.fault())?;
            println!("{id} is given up and its key forgotten.");
        }
        Ca::Import { file } => roots::import(fleet, &actor, &file).await?,
        Ca::Crl(command) => roots::crl(fleet, &actor, command).await?,
        // Done before a fleet was opened.
        Ca::IssueIntermediate(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// What a step would cut off, which is said before it is done; nothing of a step that is refused, or was done before.
async fn would(fleet: &Fleet, actor: &Actor, id: &AuthorityId, step: AuthorityStep) -> Result<Option<String>> {
    let authority = fleet.pki().authority(actor, id).await?;
    let row = &authority.standing.row;
    if not_from(step, &row.kind, row.state).is_some() {
        return Ok(None);
    }
    let cut = authority.actions.iter().find(|action| action.step == step).map_or(0, |action| action.cut);
    let done = if step == AuthorityStep::Retire { "retired" } else { "given up" };
    let name = row.common_name();
    let devices = counted(cut, "device", "devices");
    Ok(Some(format!("{name} would be {done}: {devices} would be cut off. Nothing was changed. Say --yes to do it.")))
}

async fn activate(fleet: &Fleet, actor: &Actor, id: &AuthorityId, force: bool) -> Result<()> {
    let pki = fleet.pki();
    let kind = pki.authority(actor, id).await?.standing.row.kind;
    let before = pki.list_authorities(actor)?.into_iter().find(|a| a.kind == kind && a.state == AuthorityState::Active);
    pki.activate_authority(actor, id, force).await?;
    match before {
        Some(before) => println!("{id} issues now; its predecessor {} is retiring.", before.id),
        None => println!("{id} issues now."),
    }
    Ok(())
}

fn requests(page: &ConsentsPage) {
    println!("{}", if page.on { "Two people decide on authorities." } else { "One person is enough to decide on authorities." });
    match page.server_keys {
        ServerKeyRule::Needed => println!("No keys are made for devices until they agree to it."),
        ServerKeyRule::Agreed => println!("They have agreed that keys are made for devices."),
        ServerKeyRule::Off | ServerKeyRule::Configured => {}
    }
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
