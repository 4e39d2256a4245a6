//! `fleetward audit`: the audit log read, its chain checked, here or in a file on any machine, and taken out as such a file.

use super::{
    files,
    said::{self, instant_flag},
};
use anyhow::{Context as _, Result};
use clap::Subcommand;
use fleet::{
    Fleet,
    access::{Actor, audit::Verified, read_heads, verify_export_by},
};
use std::{
    fs::File,
    io::{BufReader, BufWriter, Write},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::ExitCode,
};
use wire::{
    Timestamp,
    access::{AuditEntry, AuditHead, AuditQuery},
    ids::OrgId,
    page::MAX_ROWS,
};

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// List entries, newest first
    List(List),
    /// Recompute the whole hash chain and say whether it holds
    Verify {
        /// An exported file instead of the database; needs neither server nor data folder
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The file in which a server has told the log's heads, hour by hour (`audit_heads`): the log must contain them, or it was written anew or cut off
        #[arg(long, value_name = "FILE")]
        heads: Option<PathBuf>,
    },
    /// Write the audit log as JSON lines with the hashes of its chain
    Export {
        /// The file, which must not exist; printed unless given
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Only what follows this entry, for example the last one of the export before
        #[arg(long, value_name = "N", default_value_t = 0)]
        after: i64,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// A part of who did it, of what was done, of what it was done to, of the address, or of the details, where names and reasons are
    #[arg(long, value_name = "TEXT", default_value = "")]
    q: String,
    /// A part of who did it
    #[arg(long, value_name = "TEXT", default_value = "")]
    actor: String,
    /// A part of what was done, for example rollout.
    #[arg(long, value_name = "TEXT", default_value = "")]
    action: String,
    /// From this instant on, for example 2026-11-22T09:57:00Z
    #[arg(long, value_name = "TIME", value_parser = instant_flag)]
    since: Option<Timestamp>,
    /// Before this instant
    #[arg(long, value_name = "TIME", value_parser = instant_flag)]
    until: Option<Timestamp>,
    /// At most so many entries
    #[arg(long, value_name = "N", default_value_t = 50)]
    rows: usize,
}

impl Audit {
    /// The file to check, when that is all there is to do, and the one with the heads that it must contain.
    pub(super) fn offline(&self) -> Option<(&Path, Option<&Path>)> {
        match self {
            Self::Verify { file, heads } => file.as_deref().map(|file| (file, heads.as_deref())),
            Self::List(_) | Self::Export { .. } => None,
        }
    }
}

pub(super) async fn run(fleet: &Fleet, command: Audit) -> Result<ExitCode> {
    let actor = Actor::shell(fleet.default_org().clone());
    match command {
        Audit::List(asked) => {
            said::shown(list(fleet, &actor, asked).await)?;
            Ok(ExitCode::SUCCESS)
        }
        Audit::Verify { heads, .. } => {
            let heads = Heads::read(heads.as_deref())?;
            let (found, missing) = fleet.access().verify_audit_by(&actor, &heads.all).await?;
            let holds = say(found);
            let whole = heads.say(&actor.org, &(1..=found.entries), missing.as_ref());
            Ok(exit(holds && whole))
        }
        Audit::Export { out, after } => {
            match out {
                Some(path) => {
                    // Who did what is nobody else's business.
                    let filled = files::filled(&path, files::PRIVATE, async |file| {
                        export(fleet, &actor, after, BufWriter::new(&mut *file)).await?;
                        file.sync_all().with_context(|| format!("writing {}", path.display()))
                    });
                    Box::pin(filled).await?;
                }
                None => export(fleet, &actor, after, std::io::stdout().lock()).await?,
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Goes from page to page, as far back as it takes.
async fn list(fleet: &Fleet, actor: &Actor, asked: List) -> Result<String> {
    let List { q, actor: by, action, since, until, rows } = asked;
    let mut query = AuditQuery { q, actor: by, action, since, until, cursor: None, rows: Some(MAX_ROWS) };
    let mut lines = Vec::new();
    loop {
        let page = fleet.access().find_audit(actor, &query).await?.entries;
        lines.extend(page.items.into_iter().take(rows - lines.len()).map(line));
        if page.next.is_none() || lines.len() >= rows {
            return Ok(said::table(&["NO", "WHEN", "WHO", "FROM", "WHAT", "ON", "DETAIL"], &lines));
        }
        query.cursor = page.next;
    }
}

fn line(entry: AuditEntry) -> Vec<String> {
    let AuditEntry { seq, at, actor, address, action, object, detail } = entry;
    vec![seq.to_string(), at.to_string(), actor, address, action, object, detail]
}

async fn export(fleet: &Fleet, actor: &Actor, mut after: i64, mut to: impl Write) -> Result<()> {
    let head = fleet.access().export_audit(actor, after).await?;
    writeln!(to, "{}", serde_json::to_string(&head)?)?;
    loop {
        let some = fleet.access().exported_audit(actor, &head, after).await?;
        let Some(last) = some.last() else { break };
        after = last.entry.seq;
        for entry in &some {
            writeln!(to, "{}", serde_json::to_string(entry)?)?;
        }
    }
    to.flush()?;
    Ok(())
}

/// Checks an exported file.
pub(super) fn verify(path: &Path, heads: Option<&Path>) -> Result<ExitCode> {
    let heads = Heads::read(heads)?;
    let file = File::open(path).with_context(|| format!("{}", path.display()))?;
    let (export, found, missing) = verify_export_by(BufReader::new(file), &heads.all).with_context(|| format!("{}", path.display()))?;
    println!(
        "{}, entries {} to {}, exported at {}, ends with {}",
        export.organization,
        export.after + 1,
        export.last,
        export.exported_at,
        export.head
    );
    if export.after > 0 {
        println!("It follows entry {} with the hash {}: compare that with the export before.", export.after, export.before);
    }
    let holds = say(found);
    let whole = heads.say(&export.organization, &(export.after.max(1)..=export.after + found.entries), missing.as_ref());
    Ok(exit(holds && whole))
}

/// The heads that a log must contain.
struct Heads<'a> {
    path: Option<&'a Path>,
    all: Vec<AuditHead>,
}

impl<'a> Heads<'a> {
    /// Those of this file; none, if there is no file to compare with.
    fn read(path: Option<&'a Path>) -> Result<Self> {
        let Some(file) = path else { return Ok(Self { path, all: Vec::new() }) };
        let opened = File::open(file).with_context(|| format!("{}", file.display()))?;
        let all = read_heads(BufReader::new(opened)).with_context(|| format!("{}", file.display()))?;
        Ok(Self { path, all })
    }

    /// Says whether these entries are a log that contains them, and which is the first that is missing. A file that says nothing of them proves nothing.
    fn say(&self, org: &OrgId, entries: &RangeInclusive<i64>, missing: Option<&AuditHead>) -> bool {
        let Some(path) = self.path else { return true };
        if let Some(AuditHead { seq, hash, at, .. }) = missing {
            println!(
                "The log does not contain what was its head at {}: entry {seq} with the hash {hash}. Since then this entry, or one before it, was \
                 written anew, or the log was cut off before it; or a backup from before was put back.",
                at.readable()
            );
            return false;
        }
        let within = self.all.iter().filter(|head| head.organization == *org && entries.contains(&head.seq)).count();
        if within == 0 {
            println!("{} has no head of these entries: give the file that belongs to this log, or leave --heads out.", path.display());
            return false;
        }
        println!("It contains what {} has of its heads, {within} of them.", path.display());
        true
    }
}

/// Says whether the chain holds by itself.
fn say(Verified { entries, broken_at }: Verified) -> bool {
    match broken_at {
        None => println!("{entries} entries, the chain holds."),
        Some(at) => {
            println!("The chain is broken at entry {at}: it, or one after it, was changed or removed. {entries} entries before it hold.");
        }
    }
    broken_at.is_none()
}

fn exit(right: bool) -> ExitCode {
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
