//! `fleetward ca root`, `import` and `crl`: roots whose keys are kept elsewhere (K-5). What signs with a root's file runs on a machine without network
//! and data folder; the rest opens the fleet. Requests of authorities, and what signs them, are in `intermediate.rs`.

use super::{
    authority::after_import,
    files,
    intermediate::{self, Issue},
};
use crate::hardening;
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use fleet::{
    Fleet,
    access::Actor,
    clock::{Clock as _, SystemClock},
    entropy::OsEntropy,
    pki::{Holding, Lock, Passphrase, RootFile, Unlock, offline, pem},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
};
use wire::{
    ids::AuthorityId,
    pki::AuthorityRow,
    roots::{ListRequest, RootDuty, RootNeed},
    states::AuthorityState,
};
use zeroize::Zeroizing;

/// A root's file, and what opens it.
#[derive(Debug, Clone, Args)]
pub(super) struct RootKey {
    /// The root's file, as `ca root export` wrote it, or a root's certificate and private key as PEM
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    #[command(flatten)]
    open: Open,
}

/// What opens a locked file.
#[derive(Debug, Clone, Args)]
pub(super) struct Open {
    /// A file with the passphrase; - asks for it, or reads it from the standard input when that is no terminal
    #[arg(long, value_name = "FILE", conflicts_with = "identity_file")]
    passphrase_file: Option<PathBuf>,
    /// The age identity that the file is locked to
    #[arg(long, value_name = "FILE")]
    identity_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Root {
    /// Write a root's certificate and private key into an age file, which leaves the server
    Export {
        /// The root's id; the active one unless given
        #[arg(long, value_name = "ID")]
        authority: Option<AuthorityId>,
        /// A file with the passphrase that locks it, at least 12 characters; - asks for it, or reads it from the standard input when that is no terminal
        #[arg(long, value_name = "FILE", required_unless_present = "recipient", conflicts_with = "recipient")]
        passphrase_file: Option<PathBuf>,
        /// An age recipient instead: only who has its identity opens the file
        #[arg(long, value_name = "age1…")]
        recipient: Option<String>,
        /// Where to write it; must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Remove a root's private key from this server, once you have shown that you hold its file
    Offline {
        /// The root's id; the active one unless given
        #[arg(long, value_name = "ID")]
        authority: Option<AuthorityId>,
        /// The root's file; it is opened to see that the key is in it
        #[arg(long, value_name = "FILE", required_unless_present = "proof", conflicts_with = "proof")]
        file: Option<PathBuf>,
        #[command(flatten)]
        open: Open,
        /// Instead: what `ca root check` says of the file that was written last, where it is kept
        #[arg(long, value_name = "HEX")]
        proof: Option<String>,
        /// Do not ask a person at a terminal whether to go on
        #[arg(long)]
        yes: bool,
    },
    /// Open a root's file and try its key, and say what proves that; works without network and data folder
    Check(RootKey),
    /// Sign a root's list of revoked certificates; works without network and data folder
    Crl {
        #[command(flatten)]
        key: RootKey,
        /// What the list has to say, as `ca crl request` wrote it
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// Where to write the list; must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign the key of the root that follows, so that devices find their way to it; works without network and data folder
    Cross {
        #[command(flatten)]
        key: RootKey,
        /// The other root's certificate, PEM
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// Where to write what is signed; must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Crl {
    /// Write down what the next list of a root must say whose key is not here
    Request {
        /// The root's id
        id: AuthorityId,
        /// Where to write it; must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Publish a list that was signed where the root's key is
    Import {
        /// The root's id
        id: AuthorityId,
        /// The list, PEM or DER
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

/// What runs where a root's key is.
pub(super) enum Offline<'a> {
    Issue(&'a Issue),
    Crl { key: &'a RootKey, request: &'a Path, out: &'a Path },
    Cross { key: &'a RootKey, certificate: &'a Path, out: &'a Path },
    Check(&'a RootKey),
}

impl Root {
    /// Whether it needs no fleet.
    pub(super) fn offline(&self) -> Option<Offline<'_>> {
        match self {
            Self::Crl { key, request, out } => Some(Offline::Crl { key, request, out }),
            Self::Cross { key, certificate, out } => Some(Offline::Cross { key, certificate, out }),
            Self::Check(key) => Some(Offline::Check(key)),
            Self::Export { .. } | Self::Offline { .. } => None,
        }
    }
}

/// Signs with a root's file, and says what; or only opens it.
pub(super) fn sign(what: &Offline<'_>) -> Result<()> {
    hardening::keep_memory_private().context("keeping other processes out of this one's memory")?;
    let now = SystemClock.now();
    match what {
        Offline::Issue(issue) => intermediate::sign(issue, now)?,
        Offline::Crl { key, request, out } => {
            let root = key.open()?;
            let wanted: ListRequest =
                serde_json::from_slice(&read(request)?).with_context(|| format!("{} is no request of a list", request.display()))?;
            let der = offline::list(&root, &wanted, now).with_context(|| request.display().to_string())?;
            files::write(out, pem("X509 CRL", &der).as_bytes(), files::PUBLIC)?;
            println!("signed   a list of {} certificates of {}, for 30 days", wanted.entries.len(), wanted.subject);
            println!("written  {}; bring it back: fleetward ca crl import {} --file {}", out.display(), wanted.authority, out.display());
        }
        Offline::Cross { key, certificate, out } => {
            let root = key.open()?;
            let bytes = read(certificate)?;
            let other =
                CertificateDer::from_pem_slice(&bytes).ok().with_context(|| format!("{} has no certificate", certificate.display()))?;
            let signed = offline::cross(&root, &other, now, &OsEntropy).with_context(|| certificate.display().to_string())?;
            files::write(out, pem("CERTIFICATE", &signed.der).as_bytes(), files::PUBLIC)?;
            println!("signed   {}, until {}", signed.subject, signed.validity.until);
            println!("written  {}; bring it back: fleetward ca import {}", out.display(), out.display());
        }
        Offline::Check(key) => {
            let root = key.open()?;
            println!("opens  {}, with its private key", root.subject());
            println!("proof  {}", hex::encode(root.proof));
            let id = root.authority.as_ref().map(|id| format!(" --authority {id}")).unwrap_or_default();
            println!("Where the key still is as well, this removes it:  fleetward ca root offline{id} --proof {}", hex::encode(root.proof));
        }
    }
    Ok(())
}

/// `ca root export` and `offline`.
pub(super) async fn root(fleet: &Fleet, actor: &Actor, command: Root) -> Result<()> {
    let pki = fleet.pki();
    match command {
        Root::Export { authority, passphrase_file, recipient, out } => {
            // Before somebody is asked for a passphrase; that nothing is written over is seen to where it is written.
            if out.exists() {
                bail!("{} exists already; a root's file is never overwritten. Choose another one.", out.display());
            }
            let lock = match (passphrase_file, recipient) {
                (Some(file), _) => Lock::Passphrase(passphrase(&file, &["New passphrase: ", "Once more: "])?),
                (None, recipient) => Lock::Recipient(recipient.unwrap_or_default()),
            };
            let exported = pki.export_root(actor, authority.as_ref(), lock).await?;
            files::write(&out, &exported.file, files::PRIVATE)?;
            println!("{} with its private key is in {}.", exported.root.subject, out.display());
            println!("Keep two copies in safe places, and the passphrase elsewhere.");
            for line in needed(&pki.root_needs(actor, authority.as_ref())?) {
                println!("{line}");
            }
            println!("Then remove the key from here:");
            println!("  fleetward ca root offline --authority {} --file {} --passphrase-file FILE", exported.root.id, out.display());
        }
        Root::Offline { authority, file, open, proof, yes } => {
            let opened = file.map(|file| open.read(&file)).transpose()?;
            let holding = match (&opened, proof) {
                (Some(file), _) => Holding::Opened(file),
                (None, proof) => {
                    let bytes = hex::decode(proof.unwrap_or_default().trim()).ok().and_then(|b| <[u8; 32]>::try_from(b).ok());
                    Holding::Proof(bytes.context("--proof takes the 64 hex digits that ca root check says")?)
                }
            };
            announce(&pki.root_needs(actor, authority.as_ref())?, yes)?;
            let root = pki.take_root_offline(actor, authority.as_ref(), holding).await?;
            println!("The private key of {} is not on this server any more. A running server forgets it within a second.", root.subject);
            println!("Backups from before still have it, encrypted: destroy them, or the key-encryption key they were made under.");
            println!("Its list of revoked certificates holds for 30 days; sign the next one with: fleetward ca crl request {}", root.id);
        }
        Root::Crl { .. } | Root::Cross { .. } | Root::Check(_) => {}
    }
    Ok(())
}

/// What will need the root's file, before its key goes. A person at a terminal may think better of it.
fn announce(needs: &[RootNeed], yes: bool) -> Result<()> {
    for line in needed(needs) {
        println!("{line}");
    }
    if yes || !std::io::stdin().is_terminal() {
        return Ok(());
    }
    print!("Remove the key from this server? Type yes: ");
    std::io::stdout().flush().context("asking whether to go on")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("reading the answer")?;
    if answer.trim() == "yes" { Ok(()) } else { bail!("nothing was done: the key is still here") }
}

fn needed(needs: &[RootNeed]) -> Vec<String> {
    let line = |need: &RootNeed| {
        let when = need.when.map(|at| format!(" (by {})", at.readable())).unwrap_or_default();
        let now = need.now.as_ref().map(|line| format!("\n      now:  {line}")).unwrap_or_default();
        format!("  - {}{when}{now}", need.text)
    };
    if needs.is_empty() {
        return Vec::new();
    }
    std::iter::once("Once the key is gone from here, this needs the root's file:".to_owned()).chain(needs.iter().map(line)).collect()
}

/// `ca import`.
pub(super) async fn import(fleet: &Fleet, actor: &Actor, file: &Path) -> Result<()> {
    let text = String::from_utf8(read(file)?).ok().with_context(|| format!("{} is not PEM", file.display()))?;
    let imported = fleet.pki().import_authority(actor, &text).await.map_err(|e| e.fault())?;
    if imported.cross {
        println!("{} is vouched for by another root now.", imported.authority.subject);
        return Ok(());
    }
    if let Some(root) = &imported.root {
        println!("{}  {} is staged: a root of your own, without a key here.", root.id, root.subject);
    }
    println!("{}  {} is staged.", imported.authority.id, imported.authority.subject);
    println!("{}", after_import(&imported.authority, &fleet.pki().list_authorities(actor)?));
    Ok(())
}

/// `ca crl`.
pub(super) async fn crl(fleet: &Fleet, actor: &Actor, command: Crl) -> Result<()> {
    match command {
        Crl::Request { id, out } => {
            let request = fleet.pki().list_request(actor, &id).await.map_err(|e| e.fault())?;
            files::write(&out, serde_json::to_string_pretty(&request)?.as_bytes(), files::PUBLIC)?;
            println!("Where the root's key is:  fleetward ca root crl --root root.age --request {} --out root.crl", out.display());
            println!("Then here:                fleetward ca crl import {id} --file root.crl");
        }
        Crl::Import { id, file } => {
            let list = fleet.pki().import_list(actor, &id, &read(&file)?).await.map_err(|e| e.fault())?;
            println!("List {} is published; it holds until {}.", list.number, list.next_update);
        }
    }
    Ok(())
}

/// The id of an authority that was to be made, and beside it that there was one already, or what of `all` was made along with a root.
pub(super) fn say_staged(staged: &AuthorityRow, made: bool, all: &[AuthorityRow]) {
    if !made {
        eprintln!("None was made: {} issues to claims, and lives long enough for the next one.", staged.subject);
    }
    println!("{}", staged.id);
    let along = |a: &&AuthorityRow| staged.kind == "root" && a.state == AuthorityState::Staged && a.kind != "root";
    for along in all.iter().filter(along) {
        eprintln!("With it: {}  {}, staged under it.", along.id, along.subject);
    }
}

/// What is to be done about roots, with the lines that do it.
pub(super) fn say(duties: &[RootDuty]) {
    duties.iter().flat_map(lines).for_each(|line| println!("{line}"));
}

/// The same beside an answer that scripts read.
pub(super) fn say_beside(duties: &[RootDuty]) {
    duties.iter().flat_map(lines).for_each(|line| eprintln!("{line}"));
}

fn lines(duty: &RootDuty) -> Vec<String> {
    let head = [format!("To do ({}): {}", duty.task, duty.subject), format!("  {}", duty.text)];
    head.into_iter().chain(needed(&duty.then)).chain(duty.commands.iter().map(|line| format!("    {line}"))).collect()
}

impl RootKey {
    /// Its certificate and key, tried against each other.
    pub(super) fn open(&self) -> Result<RootFile> {
        self.open.read(&self.root)
    }
}

impl Open {
    fn read(&self, file: &Path) -> Result<RootFile> {
        let with = match (&self.passphrase_file, &self.identity_file) {
            (Some(words), _) => Some(Unlock::Passphrase(passphrase(words, &["Passphrase: "])?)),
            (None, Some(identity)) => {
                let text = Zeroizing::new(std::fs::read_to_string(identity).with_context(|| format!("reading {}", identity.display()))?);
                Some(Unlock::Identity(Passphrase::new(text)))
            }
            (None, None) => None,
        };
        RootFile::read(&Zeroizing::new(read(file)?), with.as_ref()).with_context(|| file.display().to_string())
    }
}

/// The one line of a file, or of the standard input; a person at a terminal is asked, unseen, as often as there are questions.
fn passphrase(file: &Path, questions: &[&str]) -> Result<Passphrase> {
    let mut text = Zeroizing::new(String::new());
    if file != Path::new("-") {
        *text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    } else if std::io::stdin().is_terminal() {
        let ask = |question: &&str| rpassword::prompt_password(question).map(Zeroizing::new).context("asking for the passphrase");
        let said = questions.iter().map(ask).collect::<Result<Vec<_>>>()?;
        if said.windows(2).any(|two| two[0] != two[1]) {
            bail!("these were two passphrases, nothing was written: try again");
        }
        *text = said.first().map_or_else(String::new, |first| first.to_string());
    } else {
        std::io::stdin().take(4096).read_to_string(&mut text).context("reading the passphrase from the standard input")?;
    }
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        bail!("{} holds no passphrase", if file == Path::new("-") { "the standard input".into() } else { file.display().to_string() });
    }
    Ok(Passphrase::new(Zeroizing::new(line.to_owned())))
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("reading {}", file.display()))
}
