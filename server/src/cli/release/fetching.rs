//! `release manifest` and `release artifact`: what a release is made of, byte for byte as it was uploaded. Refuses to know where it is stored.

use super::super::files;
use anyhow::{Context as _, Result, bail};
use fleet::{Fleet, access::Actor};
use futures::StreamExt as _;
use std::{io::Write as _, path::Path};
use wire::ids::ReleaseId;

/// Writes the manifest into a new file, and says so; without one, what is said is the manifest.
pub(super) async fn manifest(fleet: &Fleet, actor: &Actor, id: &ReleaseId, out: Option<&Path>) -> Result<String> {
    let (_, envelope) = fleet.releases().envelope_file(actor, id).await?;
    let Some(out) = out else { return String::from_utf8(envelope).context("the manifest is no text; write it into a file by --out") };
    files::write(out, &envelope, files::PUBLIC)?;
    Ok(format!("The manifest of {id} is in {}.\n", out.display()))
}

/// Writes one of its files, by its name or its digest, into a new file.
pub(super) async fn artifact(fleet: &Fleet, actor: &Actor, id: &ReleaseId, file: &str, out: &Path) -> Result<String> {
    let releases = fleet.releases();
    let artifacts = Box::pin(releases.detail(actor, id)).await?.artifacts;
    let Some(found) = artifacts.iter().find(|a| a.name == file || a.sha256.as_str() == file) else {
        let names: Vec<&str> = artifacts.iter().map(|a| a.name.as_str()).collect();
        bail!("{id} has no file {file}; it has {}", names.join(", "));
    };
    let (name, stored) = Box::pin(releases.artifact_file(actor, id, &found.sha256)).await?;
    let filled = files::filled(out, files::PUBLIC, async |to| {
        let mut pieces = stored.read_range(0..stored.size).await?;
        while let Some(piece) = pieces.next().await {
            let piece = piece.with_context(|| format!("reading {name}"))?;
            to.write_all(&piece).with_context(|| format!("writing {}", out.display()))?;
        }
        to.sync_all().with_context(|| format!("writing {}", out.display()))
    });
    Box::pin(filled).await?;
    Ok(format!("{name} of {id} is in {}.\n", out.display()))
}
