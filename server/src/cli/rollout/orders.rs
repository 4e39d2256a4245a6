//! Orders to a rollout, by the words of the REST API. What four eyes have to see is done by a person, who shows an API token: whoever has the command line
//! alone sends nothing for approval, approves nothing and starts nothing. Each order is refused as the console would refuse it.

use super::{
    super::said::{one_of, person},
    shown::{Which, meant},
};
use anyhow::Result;
use clap::Subcommand;
use fleet::{Fleet, access::Actor, rollouts::Saw};
use std::path::PathBuf;
use wire::{
    ids::{DeviceId, Digest},
    rollouts::{EndClass, Verb},
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Order {
    /// Send a draft for approval
    Submit(Signed),
    /// Approve exactly the plan of a digest; its author can't
    Approve {
        /// The digest, as the rollout and `fleetward approval inbox` show it
        #[arg(long)]
        digest: Digest,
        #[command(flatten)]
        of: Decision,
    },
    /// Reject a rollout; its author can edit it and send it again
    Reject(Decision),
    /// Begin a scheduled rollout now, before its time
    Start(Explained),
    /// No new offers for now; what is under way goes on
    Pause(Reasoned),
    /// Go on, also after a gate said no
    Resume(Staged),
    /// Let the next stage begin, also before the watch of the present one has ended
    Promote(Staged),
    /// End a rollout before its end; --reason says why
    Stop(Reasoned),
    /// Offer it again to the devices that failed or timed out, or to those whose updates ended as --class says
    Retry(Again),
    /// Take devices back by the way back of the plan; --reason says why
    RollBack(Reasoned),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Signed {
    #[command(flatten)]
    pub(super) which: Which,
    /// File with an API token of the person who does it
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Explained {
    #[command(flatten)]
    pub(super) by: Signed,
    /// Why, for the history
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct OfDevice {
    #[command(flatten)]
    pub(super) by: Reasoned,
    /// The device's id
    #[arg(value_name = "DEVICE")]
    pub(super) device: DeviceId,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Decision {
    #[command(flatten)]
    pub(super) by: Signed,
    /// Why: it is kept with the decision
    #[arg(long, visible_alias = "remark")]
    pub(super) reason: String,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Plain {
    #[command(flatten)]
    pub(super) which: Which,
    /// File with an API token of the person who does it; the history says "command line" unless given
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Reasoned {
    #[command(flatten)]
    pub(super) of: Plain,
    /// Why, for the history
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Staged {
    #[command(flatten)]
    pub(super) by: Reasoned,
    /// The current stage as you saw it, from 1: refused where another one is by now
    #[arg(long, value_name = "NUMBER")]
    pub(super) stage: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Again {
    #[command(flatten)]
    pub(super) by: Reasoned,
    /// How the updates ended that are tried again. May be given several times; failed and timed out unless given
    #[arg(long = "class", value_name = "CLASS", value_parser = one_of::<EndClass>(EndClass::ALL.iter().map(|c| c.as_str())))]
    pub(super) classes: Vec<EndClass>,
}

/// What is asked of the core.
struct Asked {
    verb: Verb,
    which: Which,
    token_file: Option<PathBuf>,
    digest: Option<Digest>,
    stage: Option<u32>,
    classes: Vec<EndClass>,
    reason: String,
}

impl Order {
    fn asked(self) -> Asked {
        let plain = |verb, Plain { which, token_file }, reason| Asked {
            verb,
            which,
            token_file,
            digest: None,
            stage: None,
            classes: Vec::new(),
            reason,
        };
        let signed = |verb, Signed { which, token_file }, reason| plain(verb, Plain { which, token_file: Some(token_file) }, reason);
        let staged = |verb, Staged { by: Reasoned { of, reason }, stage }| Asked { stage, ..plain(verb, of, reason) };
        match self {
            Self::Submit(by) => signed(Verb::Submit, by, String::new()),
            Self::Approve { digest, of: Decision { by, reason } } => Asked { digest: Some(digest), ..signed(Verb::Approve, by, reason) },
            Self::Reject(Decision { by, reason }) => signed(Verb::Reject, by, reason),
            Self::Start(Explained { by, reason }) => signed(Verb::Start, by, reason),
            Self::Pause(Reasoned { of, reason }) => plain(Verb::Pause, of, reason),
            Self::Resume(by) => staged(Verb::Resume, by),
            Self::Promote(by) => staged(Verb::Promote, by),
            Self::Stop(Reasoned { of, reason }) => plain(Verb::Stop, of, reason),
            Self::Retry(Again { by: Reasoned { of, reason }, classes }) => Asked { classes, ..plain(Verb::Retry, of, reason) },
            Self::RollBack(Reasoned { of, reason }) => plain(Verb::RollBack, of, reason),
        }
    }
}

/// Who does it: whose token is in the file, and the command line where there is none.
async fn by(fleet: &Fleet, shell: Actor, token_file: Option<PathBuf>) -> Result<Actor> {
    match token_file {
        Some(file) => person(fleet, &file).await,
        None => Ok(shell),
    }
}

/// Cancels the update of one device.
pub(super) async fn cancel(fleet: &Fleet, shell: Actor, of: OfDevice) -> Result<String> {
    let OfDevice { by: Reasoned { of: Plain { which, token_file }, reason }, device } = of;
    let actor = by(fleet, shell, token_file).await?;
    let id = meant(fleet, &actor, which).await?;
    Box::pin(fleet.rollouts().cancel_update(&actor, &id, &device, None, &reason)).await?;
    let name = Box::pin(fleet.rollouts().detail(&actor, &id)).await?.row.name;
    let hears = if fleet.served().await? {
        "The server that runs tells the device within a second where it is connected, or when it asks, if it has begun with it."
    } else {
        "No server runs now: the device is told when one runs again and it asks."
    };
    Ok(format!("{device}: its update by “{name}” ({id}) is cancelled. {hears}\n"))
}

/// Gives the order, and says how the rollout stands then.
pub(super) async fn give(fleet: &Fleet, shell: Actor, order: Order) -> Result<String> {
    let Asked { verb, which, token_file, digest, stage, classes, reason } = order.asked();
    let actor = by(fleet, shell, token_file).await?;
    let id = meant(fleet, &actor, which).await?;
    let rollouts = fleet.rollouts();
    let saw = Saw { digest: digest.as_ref(), stage, classes: (!classes.is_empty()).then_some(&*classes) };
    Box::pin(rollouts.act_on(&actor, &id, verb, saw, &reason)).await?;
    let now = Box::pin(rollouts.detail(&actor, &id)).await?;
    let digest = if verb == Verb::Submit { format!("digest {}\n", now.digest) } else { String::new() };
    Ok(format!("{id} “{}”: {}. {}\n{digest}", now.row.name, now.row.state, now.row.summary))
}
