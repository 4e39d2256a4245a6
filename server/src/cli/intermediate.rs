//! `fleetward ca csr`, `csrs` and `issue-intermediate`: an issuing authority whose certificate is made where the root's key is (K-5). The request travels, and
//! its key's hash by another way: on both sides it is the same, or the file was swapped.

use super::{
    files,
    roots::{RootKey, read},
};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use fleet::{
    Fleet,
    access::Actor,
    entropy::OsEntropy,
    pki::{offline, pem},
};
use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
};
use wire::{
    Timestamp,
    roots::{AuthorityRequest, NewAuthorityRequest},
};

/// A certificate for a request, signed where the root's key is.
#[derive(Debug, Clone, Args)]
pub(super) struct Issue {
    #[command(flatten)]
    key: RootKey,
    /// The request, as `ca csr` wrote it
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,
    /// The SHA-256 of the key, as `ca csr` printed it on the server; a request for another key is refused. It must come by another way than the file
    #[arg(long, value_name = "SHA256")]
    key_sha256: Option<String>,
    /// How many years it lives, for an authority for devices with a factory profile: 5 to 15 [default: 5]
    #[arg(long, value_name = "N")]
    years: Option<u32>,
    /// Where to write the certificate and its root's; must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// `ca csr`.
pub(super) async fn csr(fleet: &Fleet, actor: &Actor, new: NewAuthorityRequest, out: &Path) -> Result<()> {
    let made = fleet.pki().request_authority(actor, new).await.map_err(|e| e.fault())?;
    files::write(out, made.csr.as_bytes(), files::PUBLIC)?;
    let AuthorityRequest { id, subject, public_key_sha256, .. } = made;
    println!("{id}  {subject}");
    println!("The key's SHA-256:        {public_key_sha256}");
    println!("Take it there by another way than the file: whoever swaps the file could have a key of their own signed.");
    let csr = out.display();
    println!(
        "Where the root's key is:  fleetward ca issue-intermediate --root root.age --csr {csr} --key-sha256 {public_key_sha256} --out ca.pem"
    );
    println!("Then here:                fleetward ca import ca.pem");
    println!("Then it is staged; it issues after:  fleetward ca activate ID, with the id that the import says");
    Ok(())
}

/// `ca csrs`.
pub(super) async fn csrs(fleet: &Fleet, actor: &Actor) -> Result<()> {
    for request in fleet.pki().authority_requests(actor).await? {
        let AuthorityRequest { id, subject, key, created_by, created_at, public_key_sha256, .. } = request;
        println!("{id}  {subject}  key {key}, SHA-256 {public_key_sha256}  made by {created_by}, {created_at}");
    }
    Ok(())
}

/// `ca issue-intermediate`.
pub(super) fn sign(issue: &Issue, now: Timestamp) -> Result<()> {
    let Issue { key, csr, key_sha256, years, out } = issue;
    let root = key.open()?;
    let request = read(csr)?;
    let told = || csr.display().to_string();
    let asked = offline::asked(&request).with_context(told)?;
    match key_sha256 {
        Some(meant) => asked.is_for(meant).with_context(told)?,
        None => compare(&asked)?,
    }
    let signed = offline::issue(&root, &request, *years, now, &OsEntropy).with_context(told)?;
    let chain = [pem("CERTIFICATE", &signed.der), pem("CERTIFICATE", &root.certificate)].concat();
    files::write(out, chain.as_bytes(), files::PUBLIC)?;
    println!("signed   {}", signed.subject);
    println!("key      SHA-256 {}", asked.key_sha256);
    println!("for      {}s, pathlen 0, valid {} to {}", signed.purpose, signed.validity.from, signed.validity.until);
    println!("written  {}; bring it back: fleetward ca import {}", out.display(), out.display());
    Ok(())
}

/// Says what has to be the same on the server, where nobody has said what it is. A person at a terminal has to say that it is.
fn compare(asked: &offline::Asked) -> Result<()> {
    println!("The request asks for {}", asked.subject);
    println!("    with the key SHA-256 {}", asked.key_sha256);
    println!(
        "COMPARE IT with what fleetward ca csrs prints on the server: if it is another one, the file was swapped, and whoever did that gets an authority."
    );
    if !std::io::stdin().is_terminal() {
        println!(
            "It was not compared here. --key-sha256 does that, and signs nothing else. If it is another one, destroy what was written."
        );
        return Ok(());
    }
    print!("Is it the same? Type yes: ");
    std::io::stdout().flush().context("asking whether it is the same")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("reading the answer")?;
    if answer.trim() == "yes" { Ok(()) } else { bail!("nothing was signed") }
}
