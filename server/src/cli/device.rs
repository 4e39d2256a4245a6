//! `fleetward device`: the steps of a device's life and certificates for a whole batch of devices, for when the console is out of reach.

use super::{batches, files, imports, one_of, renewal, selected, watched};
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use fleet::{
    Fleet,
    access::Actor,
    devices::{NewBatch, Pieces, Seal},
};
use futures::{StreamExt as _, channel::mpsc};
use std::{
    fmt::Write as _,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};
use tokio_util::io::ReaderStream;
use wire::{
    enrolment::{BatchLineState, BatchState},
    ids::{DeviceId, EnrolmentBatchId, RolloutId},
    pki::RevocationReason,
    rollouts::Why,
    states::DeviceStep,
};
use zeroize::Zeroizing;

#[derive(Debug, Subcommand)]
pub(super) enum Device {
    /// Let a device in that a gateway has announced
    Admit(Which),
    /// Cut a device off for now; its certificates stay as they are
    Suspend(Which),
    /// Let a suspended device in again
    Resume(Which),
    /// Take a device out for good: its certificates are revoked, its id stays reserved
    Decommission(Which),
    /// Let the id of a decommissioned device be enrolled again
    Recommission(Which),
    /// Take a device out for good and delete what it has sent; its id is free once its last certificate has ended
    Delete(Which),
    /// Order a device, or every one that a selector means, to renew its certificate now, whatever its age: it is told where it is connected, and otherwise
    /// when it connects
    Renew(renewal::Renewal),
    /// Say that the sign of a possible clone was looked at
    Clear(Which),
    #[command(flatten)]
    Selected(selected::Selected),
    #[command(flatten)]
    Watched(watched::Watched),
    /// Why a device is, or is not, updating: rule by rule, and when each is looked at again
    Why(Which),
    /// Confirm a rollout's update of a device that asks nobody itself
    Confirm {
        #[command(flatten)]
        which: Which,
        /// The rollout's id
        #[arg(long)]
        rollout: RolloutId,
    },
    /// Pin a device to what it runs: no rollout moves it until it is unpinned
    Pin {
        #[command(flatten)]
        which: Which,
        /// Why, for those who come across it
        #[arg(long)]
        reason: String,
    },
    /// Let rollouts move a device again that was pinned
    Unpin(Which),
    /// Import devices from CSV, or from hawkBit's list of targets
    Import(imports::Import),
    /// Issue certificates for a file of CSRs: CSV, JSON lines, zip, tar or tar.gz, at most 10,000
    SendBatch(SendBatch),
    #[command(flatten)]
    Batches(batches::OfBatches),
    /// Revoke every certificate that a batch made, and those that they were renewed to
    RevokeBatch {
        /// The batch's id
        id: EnrolmentBatchId,
        /// Why (RFC 5280 §5.3.1)
        #[arg(long, value_parser = one_of::<RevocationReason>(RevocationReason::ALL.iter().map(|r| r.as_str())))]
        reason: RevocationReason,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct SendBatch {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is, for lists; its name unless given
    #[arg(long)]
    label: Option<String>,
    /// Type of the devices whose line names none
    #[arg(long, alias = "type", value_name = "TYPE", default_value = "")]
    device_type: String,
    /// A tag for its devices; may be given again
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A group that its devices are put into, by its name or id; may be given again
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The profile of the certificates it gives: see cert profile list
    #[arg(long, value_name = "NAME", default_value = "")]
    profile: String,
    /// Where the certificates go: a zip archive with manifest.csv, certs/ and chain.pem
    #[arg(long, value_name = "ZIP")]
    out: PathBuf,
    /// Make keys for the lines without a CSR, where the configuration allows it (`allow_server_keygen`); the archive is an encrypted age file then
    #[arg(long)]
    make_keys: bool,
    /// Encrypt the archive for this age recipient, age1…
    #[arg(long, value_name = "AGE1…", requires = "make_keys")]
    recipient: Option<String>,
    /// A file with the passphrase to encrypt the archive with
    #[arg(long, value_name = "FILE", requires = "make_keys", conflicts_with = "recipient")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The device's id
    #[arg(value_name = "DEVICE")]
    pub(super) device: DeviceId,
}

pub(super) async fn device(fleet: &Fleet, command: Device) -> Result<()> {
    let actor = Actor::shell(fleet.default_org().clone());
    let (Which { device }, step) = match command {
        Device::Admit(which) => (which, DeviceStep::Admit),
        Device::Suspend(which) => (which, DeviceStep::Suspend),
        Device::Resume(which) => (which, DeviceStep::Resume),
        Device::Decommission(which) => (which, DeviceStep::Decommission),
        Device::Recommission(which) => (which, DeviceStep::Recommission),
        Device::Delete(which) => (which, DeviceStep::Delete),
        Device::Renew(order) => return renewal::run(fleet, &actor, order).await,
        Device::Clear(Which { device }) => {
            fleet.devices().clear_suspicion(&actor, &device).await?;
            println!("{device}: the next sign of a clone will be told again.");
            return Ok(());
        }
        Device::Watched(command) => return Box::pin(watched::run(fleet, &actor, command)).await,
        Device::Selected(command) => return selected::run(fleet, &actor, command).await,
        Device::Why(Which { device }) => {
            print!("{}", told(&fleet.why(&actor, &device).await?));
            return Ok(());
        }
        Device::Confirm { which: Which { device }, rollout } => {
            fleet.rollouts().confirm_in_console(&actor, &rollout, &device).await?;
            println!("{device}: confirmed. It is offered the update when its turn has come.");
            return Ok(());
        }
        Device::Pin { which: Which { device }, reason } => {
            let pin = fleet.rollouts().pin(&actor, &device, &reason).await?;
            println!("{device}: {}", pin.words());
            return Ok(());
        }
        Device::Unpin(Which { device }) => {
            fleet.rollouts().unpin(&actor, &device).await?;
            println!("{device}: not pinned. Rollouts may move it again.");
            return Ok(());
        }
        Device::Import(import) => return imports::run(fleet, &actor, import).await,
        Device::SendBatch(batch) => return take_in(fleet, &actor, batch).await,
        Device::Batches(command) => return batches::run(fleet, &actor, command).await,
        Device::RevokeBatch { id, reason } => {
            fleet.devices().revoke_batch(&actor, &id, reason).await?;
            println!("The certificates of {id} are revoked. A running server closes their connections within a second.");
            return Ok(());
        }
    };
    fleet.devices().change(&actor, &device, step).await?;
    println!("{device}: {step} is done. A running server follows within a second.");
    Ok(())
}

/// Pure: an explanation in lines: the answer, then the rules of each rollout, the one that keeps the device back marked.
fn told(why: &Why) -> String {
    let answer = if why.answer.is_empty() { "No rollout concerns this device." } else { &why.answer };
    let mut out = format!("{answer}\n");
    for rollout in &why.rollouts {
        // Writing to a string can't fail.
        let _ = writeln!(out, "\n{} ({}, {}): {}", rollout.name, rollout.version, rollout.id, rollout.outlook);
        let first = rollout.blocker();
        for reason in &rollout.rules {
            let mark = if Some(reason) == first { ">" } else { " " };
            let at = reason.again_at.map_or_else(String::new, |at| format!(" ({})", at.readable()));
            let again = if reason.again.is_empty() { String::new() } else { format!(" [{}{at}]", reason.again.trim_end_matches('.')) };
            let _ = writeln!(out, "{mark} {:<12} {:<10} {}{again}", reason.rule.as_str(), reason.says.as_str(), reason.fact);
        }
    }
    out
}

async fn take_in(fleet: &Fleet, actor: &Actor, batch: SendBatch) -> Result<()> {
    let SendBatch { file, label, device_type, tags, groups, profile, out, make_keys, recipient, passphrase_file } = batch;
    if make_keys && !fleet.pki().makes_keys() {
        bail!(
            "keys are made for devices only where allow_server_keygen is true: in the configuration file, as FLEETWARD_ALLOW_SERVER_KEYGEN=true, or with \
             --allow-server-keygen"
        );
    }
    let seal = if make_keys { Some(seal(recipient.as_deref(), passphrase_file.as_deref())?) } else { None };
    let label = label.unwrap_or_else(|| file.file_name().unwrap_or_default().to_string_lossy().into_owned());
    let opened = tokio::fs::File::open(&file).await.with_context(|| format!("opening {}", file.display()))?;
    let (new, body) = (NewBatch { label, device_type, tags, groups, profile }, ReaderStream::new(opened));
    // Its keys are encrypted, and nobody else's business all the same.
    let mode = if seal.is_some() { files::PRIVATE } else { files::PUBLIC };
    // The file is there before anything is issued: certificates that have no place to go would be lost.
    let filled = files::filled(&out, mode, async |file| match seal {
        Some(seal) => with_keys(fleet, actor, (new, body), seal, (out.as_path(), file)).await,
        None => without_keys(fleet, actor, (new, body), (out.as_path(), file)).await,
    });
    let batch = Box::pin(filled).await?;
    tell(fleet, actor, &batch, &out).await
}

/// Issues certificates for keys that are made here, and writes the archive while they are made.
async fn with_keys(
    fleet: &Fleet,
    actor: &Actor,
    (new, body): (NewBatch, ReaderStream<tokio::fs::File>),
    seal: Seal,
    (out, file): (&Path, &mut File),
) -> Result<EnrolmentBatchId> {
    let devices = fleet.devices();
    let batch = devices.receive_batch_for_keys(actor, new, &seal, body).await?;
    println!("{}: {} lines.", batch.id, batch.lines);
    let (to, mut pieces): (Pieces, _) = mpsc::channel(4);
    // The pieces go with the writing: when it fails, the making learns of it and revokes what it made.
    let writing = async move {
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            file.write_all(&piece)?;
        }
        file.sync_all()
    };
    let (made, written) = tokio::join!(devices.hand_out_keys(actor, &batch.id, seal, to), writing);
    written.with_context(|| format!("writing {}; what was made for it is revoked", out.display()))?;
    made?;
    Ok(batch.id)
}

/// Issues certificates for the requests, and writes the archive when all are done. If that fails, the batch still has it: `device batch-result`.
async fn without_keys(
    fleet: &Fleet,
    actor: &Actor,
    (new, body): (NewBatch, ReaderStream<tokio::fs::File>),
    (out, file): (&Path, &mut File),
) -> Result<EnrolmentBatchId> {
    let devices = fleet.devices();
    let batch = devices.receive_batch(actor, new, body).await?;
    println!("{}: {} lines.", batch.id, batch.lines);
    // A server that runs works on it as well; they take turns.
    loop {
        devices.work_batches().await?;
        if devices.batch(actor, &batch.id).await?.state != BatchState::Working {
            break;
        }
    }
    files::fill(out, file, &devices.batch_result(actor, &batch.id).await?)?;
    Ok(batch.id)
}

/// For whom an archive with keys is encrypted.
fn seal(recipient: Option<&str>, passphrase_file: Option<&Path>) -> Result<Seal> {
    let passphrase = passphrase_file.map(crate::config::secret).transpose()?.map(Zeroizing::new).unwrap_or_default();
    Ok(Seal::of(recipient.unwrap_or_default(), &passphrase)?)
}

/// What became of a batch's lines.
async fn tell(fleet: &Fleet, actor: &Actor, id: &EnrolmentBatchId, out: &Path) -> Result<()> {
    let devices = fleet.devices();
    let batch = devices.batch(actor, id).await?;
    let mut cursor = None;
    loop {
        let page = devices.batch_lines(actor, id, Some(BatchLineState::Refused), cursor.as_deref(), Some(200)).await?;
        for line in page.items {
            println!("{}: {} ({})", line.label, line.message, line.code);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    println!("{} issued, {} registered, {} refused; in {}.", batch.issued, batch.registered, batch.refused, out.display());
    if batch.refused > 0 {
        bail!("{} lines were refused; the others are done", batch.refused);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{
        Timestamp,
        rollouts::{Outlook, Reason, Rule, Says, WhyRollout},
    };

    #[test]
    fn the_first_rule_that_blocks_is_marked() {
        let reason = |rule, says, fact: &str| Reason { rule, says, fact: fact.into(), again: String::new(), again_at: None };
        let waits = Reason {
            again: "When its window opens.".into(),
            again_at: Some(Timestamp(7_200_000)),
            ..reason(Rule::Time, Says::Blocks, "its window opens later.")
        };
        let rules = vec![reason(Rule::Stage, Says::Met, "it is in it."), waits, reason(Rule::Asks, Says::Blocks, "offline.")];
        let id = "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
        let rollout = WhyRollout {
            id,
            name: "spring".into(),
            version: "2.0.0".into(),
            outlook: Outlook::Blocked,
            rules,
            may_confirm: false,
            may_cancel: false,
        };
        let why = Why { outlook: Outlook::Blocked, answer: "its window opens later.".into(), rollouts: vec![rollout] };
        let lines: Vec<String> = told(&why).lines().map(str::to_owned).collect();
        assert_eq!(lines[2], "spring (2.0.0, rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2): blocked");
        assert_eq!(lines[4], "> time         blocks     its window opens later. [When its window opens (1 Jan 1970 02:00 UTC)]");
        assert!(lines[3].starts_with("  stage") && lines[5].starts_with("  asks"));
        assert_eq!(told(&Why::default()), "No rollout concerns this device.\n");
    }

    #[tokio::test]
    async fn a_device_is_pinned_and_let_go() {
        let w = fleet::testing::World::open(fleet::db::EngineKind::Sqlite).await;
        w.device("gw-1", "gateway").await;
        let which = || Which { device: "gw-1".parse().unwrap() };
        let shown = async || {
            let shell = Actor::shell(w.fleet.default_org().clone());
            w.fleet.device(&shell, &"gw-1".parse().unwrap()).await.unwrap().pin
        };
        device(&w.fleet, Device::Pin { which: which(), reason: "on show".into() }).await.unwrap();
        let pin = shown().await.unwrap();
        assert_eq!((pin.by.as_str(), pin.reason.as_str()), ("command line", "on show"));
        assert!(device(&w.fleet, Device::Pin { which: which(), reason: " ".into() }).await.is_err(), "without a reason");
        device(&w.fleet, Device::Unpin(which())).await.unwrap();
        assert_eq!(shown().await, None);
    }

    #[tokio::test]
    async fn keys_that_may_not_be_made_name_the_setting() {
        let w = fleet::testing::World::open(fleet::db::EngineKind::Sqlite).await;
        let folder = tempfile::tempdir().unwrap();
        let (file, out) = (folder.path().join("lot.csv"), folder.path().join("lot.zip.age"));
        std::fs::write(&file, "device_id,device_type,csr\ngw-1,gateway,\n").unwrap();
        let batch = SendBatch {
            file,
            label: None,
            device_type: String::new(),
            tags: Vec::new(),
            groups: Vec::new(),
            profile: String::new(),
            out: out.clone(),
            make_keys: true,
            recipient: None,
            passphrase_file: None,
        };
        let refused = device(&w.fleet, Device::SendBatch(batch)).await.unwrap_err().to_string();
        assert!(refused.contains("allow_server_keygen is true") && refused.contains("--allow-server-keygen"), "{refused}");
        assert!(!out.exists());
    }
}
