//! `fleetward audit`: the chain of the audit log checked, here or in a file on any machine, and taken out as such a file.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use fleet::{
    Fleet,
    access::{Actor, verify_export},
};
use std::{
    fs::{File, OpenOptions},
    io::{BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Recompute the whole hash chain and say whether it holds
    Verify {
        /// An exported file instead of the database; needs neither server nor data folder
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
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

impl Audit {
    /// The file to check, when that is all there is to do.
    pub(super) fn offline(&self) -> Option<&Path> {
        match self {
            Self::Verify { file } => file.as_deref(),
            Self::Export { .. } => None,
        }
    }
}

pub(super) async fn run(fleet: &Fleet, command: Audit) -> Result<ExitCode> {
    let actor = Actor::shell(fleet.default_org().clone());
    match command {
        Audit::Verify { .. } => {
            let found = fleet.access().verify_audit(&actor).await?;
            Ok(say(found.entries, found.broken_at))
        }
        Audit::Export { out, after } => {
            match out {
                Some(path) => {
                    let mut new = OpenOptions::new();
                    // Who did what is nobody else's business.
                    let file = new.write(true).create_new(true).mode(0o600).open(&path).with_context(|| format!("{}", path.display()))?;
                    export(fleet, &actor, after, BufWriter::new(file)).await?;
                }
                None => export(fleet, &actor, after, std::io::stdout().lock()).await?,
            }
            Ok(ExitCode::SUCCESS)
        }
    }
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
pub(super) fn verify(path: &Path) -> Result<ExitCode> {
    let file = File::open(path).with_context(|| format!("{}", path.display()))?;
    let (export, found) = verify_export(BufReader::new(file)).with_context(|| format!("{}", path.display()))?;
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
    Ok(say(found.entries, found.broken_at))
}

fn say(entries: i64, broken_at: Option<i64>) -> ExitCode {
    match broken_at {
        None => {
            println!("{entries} entries, the chain holds.");
            ExitCode::SUCCESS
        }
        Some(at) => {
            println!("The chain is broken at entry {at}: it, or one after it, was changed or removed. {entries} entries before it hold.");
            ExitCode::FAILURE
        }
    }
}
