//! `fleetward release`: releases from their upload to their recall, and signatures of them. Signing needs a key and the manifest, no server and no data
//! folder. Refuses to know what differs between two releases (`difference`), how devices that run one are told (`installs`), which are listed (`listing`),
//! what is known of one (`showing`), how files go in (`sending`) and out (`fetching`), when one is deleted (`deleting`), and
//! what a recall leaves to do (`recalling`).

mod deleting;
mod difference;
mod fetching;
mod installs;
mod listing;
mod recalling;
mod sending;
mod showing;

use super::{files, said::print_table};
use crate::config::Flags;
use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use fleet::{
    Fleet,
    access::Actor,
    releases::{
        manifest::{claims, open, written},
        signing::{SigningKeyPair, payload},
    },
};
use std::path::{Path, PathBuf};
use wire::{ids::ReleaseId, manifest::Manifest, releases::ReleaseDetail};
use zeroize::Zeroizing;

/// What can be done with releases.
#[derive(Debug, clap::Subcommand)]
pub enum Release {
    /// Add a signature to a manifest that others have signed, offline
    Sign(SignRelease),
    /// Add a signature to a release of the fleet
    AddSignature {
        #[command(flatten)]
        add: NewSignature,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// List the releases, newest first
    List {
        #[command(flatten)]
        wanted: listing::Wanted,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Show all of a release: its state, its files, who has signed it, and what speaks against it
    Show(showing::Chosen),
    /// Write a release's signed manifest, with the signatures that were added since
    Manifest {
        /// The file, which must not exist; printed unless given
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        of: showing::Chosen,
    },
    /// Write a file of a release, byte for byte as it was uploaded
    Artifact {
        /// Which: its name, or its SHA-256
        #[arg(long, value_name = "NAME|SHA256")]
        file: String,
        /// Where to write it; must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        of: showing::Chosen,
    },
    /// Upload files and their manifest, and make a release of them, which is published afterwards; a damaged file of a release that is sent again is whole
    /// again by it, and nothing else is made
    Upload {
        /// The release's files and its manifest (*.manifest.json). Files that a release has already need not be among them
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Look at a quarantined release again, for example after a key was added
    Recheck(Which),
    /// Let rollouts use a verified release
    Publish(Which),
    /// Take a release off the list for new rollouts
    Deprecate(Which),
    /// Withdraw a release: no new installs, running rollouts halt
    Recall {
        /// Why, for the release's page and the audit log; at most 500 bytes
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        which: Which,
    },
    /// Delete a release that was never published, with its files
    #[command(visible_alias = "remove")]
    Delete {
        /// Do it. Without it you are told what would be deleted, and nothing is changed
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        which: Which,
    },
    /// What devices download instead of a release's files when they run an older release
    Deltas(Which),
    /// Show what differs between two releases
    Diff {
        /// The release that the other one is held against
        #[arg(value_name = "BEFORE")]
        before: ReleaseId,
        /// The release that is looked at
        #[arg(value_name = "AFTER")]
        after: ReleaseId,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// How many devices run a release, are to get it, and run other versions of its type
    Installs(Which),
}

/// A release of the fleet.
#[derive(Debug, Clone, clap::Args)]
pub struct Which {
    /// The release's id.
    #[arg(value_name = "RELEASE")]
    id: ReleaseId,
    #[command(flatten)]
    flags: Box<Flags>,
}

impl Release {
    /// Where the fleet is; none for what is done offline.
    pub fn flags(&self) -> Option<&Flags> {
        match self {
            Self::Sign(_) => None,
            Self::AddSignature { flags, .. } | Self::Upload { flags, .. } | Self::Diff { flags, .. } | Self::List { flags, .. } => {
                Some(flags)
            }
            Self::Show(of) | Self::Manifest { of, .. } | Self::Artifact { of, .. } => Some(&of.flags),
            Self::Recheck(which)
            | Self::Publish(which)
            | Self::Deprecate(which)
            | Self::Recall { which, .. }
            | Self::Delete { which, .. }
            | Self::Deltas(which)
            | Self::Installs(which) => Some(&which.flags),
        }
    }
}

/// Add a signature to a manifest that others have signed: where a release needs more than one.
#[derive(Debug, Clone, clap::Args)]
pub struct SignRelease {
    /// The private key's file, as `key generate` wrote it.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// The manifest, as the first signer wrote it or as it was downloaded from the release's page.
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// Files of the release that are here: each is compared with the manifest before anything is signed. May be given several times.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub payload: Vec<PathBuf>,
    /// Where to write the manifest with the signature added, a new file; into the old one unless given.
    #[arg(long, value_name = "FILE", conflicts_with = "detached")]
    pub out: Option<PathBuf>,
    /// Write the signature alone, to this new file, and leave the manifest as it is.
    #[arg(long, value_name = "FILE")]
    pub detached: Option<PathBuf>,
}

/// Add a signature to a release of the fleet.
#[derive(Debug, Clone, clap::Args)]
pub struct NewSignature {
    /// The release.
    #[arg(long, value_name = "rel_…")]
    pub release: ReleaseId,
    /// The signature, or the manifest with it, as `release sign` wrote it.
    #[arg(long, value_name = "FILE")]
    pub signature: PathBuf,
}

/// Shows what is signed, signs it, and writes the outcome.
pub fn sign(args: &SignRelease) -> Result<()> {
    let key = key_of(&args.key)?;
    let bytes = std::fs::read(&args.manifest).with_context(|| format!("reading the manifest {}", args.manifest.display()))?;
    let envelope = open(&bytes).with_context(|| args.manifest.display().to_string())?;
    let manifest = claims(&bytes).with_context(|| format!("{} holds no manifest that a server would take", args.manifest.display()))?;
    for file in &args.payload {
        compare(file, &manifest)?;
    }
    let signed = key.countersign(&envelope)?;
    let out = if let Some(out) = &args.detached {
        let signature = serde_json::to_string_pretty(signed.signatures.last().context("nothing was signed")?)?;
        files::write(out, format!("{signature}\n").as_bytes(), files::PUBLIC)?;
        out
    } else if let Some(out) = &args.out {
        files::write(out, &written(&signed)?, files::PUBLIC)?;
        out
    } else {
        files::replace(&args.manifest, &written(&signed)?)?;
        &args.manifest
    };
    let (described, signatures) = (payload("manifest", "", &mut &*STANDARD.decode(&envelope.payload)?)?, signed.signatures.len());
    println!("{} {} (sequence {}), manifest {}", manifest.device_type, manifest.version, manifest.sequence, described.sha256);
    for file in &manifest.payloads {
        println!("  {}  {} bytes  {}", file.sha256, file.size, file.name);
    }
    println!("{}: signed with {}, signature {signatures}", out.display(), key.keyid());
    Ok(())
}

/// Does what is asked of a fleet.
pub async fn run(fleet: &Fleet, command: Release) -> Result<()> {
    let (actor, releases) = (Actor::shell(fleet.default_org().clone()), fleet.releases());
    match command {
        // It was done before any fleet was opened.
        Release::Sign(_) => {}
        Release::AddSignature { add, .. } => add_signature(&add, fleet).await?,
        Release::List { wanted, .. } => print!("{}", listing::told(fleet, &actor, wanted).await?),
        Release::Upload { files, .. } => {
            let sent = Box::pin(sending::upload(fleet, &actor, &files)).await?;
            for line in &sent.healed {
                println!("{line}");
            }
            let made = sent.created.release;
            if !sent.created.new {
                println!("No release was made of it: this one is there already.");
            }
            tell(&made);
            if !made.row.quarantine.is_empty() {
                bail!("the release can't be published as it is");
            }
        }
        Release::Show(of) => print!("{}", showing::told(fleet, &actor, &of.id(fleet, &actor).await?).await?),
        Release::Manifest { out, of } => {
            print!("{}", fetching::manifest(fleet, &actor, &of.id(fleet, &actor).await?, out.as_deref()).await?);
        }
        Release::Artifact { file, out, of } => {
            print!("{}", fetching::artifact(fleet, &actor, &of.id(fleet, &actor).await?, &file, &out).await?);
        }
        Release::Recheck(Which { id, .. }) => tell(&releases.recheck(&actor, &id).await?),
        Release::Delete { yes, which: Which { id, .. } } => print!("{}", deleting::delete(fleet, &actor, &id, yes).await?),
        Release::Publish(Which { id, .. }) => {
            releases.publish(&actor, &id).await?;
            tell(&releases.detail(&actor, &id).await?);
        }
        Release::Deprecate(Which { id, .. }) => {
            releases.deprecate(&actor, &id).await?;
            tell(&releases.detail(&actor, &id).await?);
        }
        Release::Recall { reason, which: Which { id, .. } } => {
            print!("{}", Box::pin(recalling::recall(fleet, &actor, &id, &reason)).await?);
        }
        Release::Deltas(Which { id, .. }) => {
            let line = |d: wire::releases::DeltaRow| {
                let (size, saves) = (d.size.map(|n| n.to_string()), d.saves());
                let state = d.state.to_string();
                vec![d.from_version, d.file, size.unwrap_or_default(), d.full_size.to_string(), saves.unwrap_or_default(), state, d.why]
            };
            let rows: Vec<Vec<String>> = releases.deltas(&actor, &id).await?.into_iter().map(line).collect();
            print_table(&["FROM", "FILE", "BYTES", "OF", "SAVES", "STATE", "WHY"], &rows);
        }
        Release::Diff { before, after, .. } => print!("{}", difference::told(&releases.difference(&actor, &before, &after).await?)),
        Release::Installs(Which { id, .. }) => print!("{}", installs::told(fleet.release_installs(&actor, &id).await?)),
    }
    Ok(())
}

/// How a release stands, and what speaks against it.
fn tell(release: &ReleaseDetail) {
    let row = &release.row;
    println!("{}", showing::headed(row));
    for line in [&row.quarantine].into_iter().chain(&release.warnings).filter(|line| !line.is_empty()) {
        println!("{line}");
    }
    for file in &release.artifacts {
        if let Some(signature) = &file.signature {
            println!("{} is {}", file.name, signature.told());
        }
    }
}

/// Adds what is in the file and says how the release stands.
async fn add_signature(args: &NewSignature, fleet: &Fleet) -> Result<()> {
    let given = std::fs::read(&args.signature).with_context(|| format!("reading {}", args.signature.display()))?;
    let actor = Actor::shell(fleet.default_org().clone());
    let now = fleet.releases().add_signatures(&actor, &args.release, &given).await.map_err(|e| e.fault())?;
    let standing = now.signatures.unwrap_or_default();
    println!(
        "{} of {} signatures; {}{}",
        standing.have,
        standing.need,
        now.row.state,
        if now.row.quarantine.is_empty() { "" } else { ":" }
    );
    if !now.row.quarantine.is_empty() {
        println!("{}", now.row.quarantine);
    }
    Ok(())
}

pub(super) fn key_of(file: &Path) -> Result<SigningKeyPair> {
    let pem = Zeroizing::new(std::fs::read(file).with_context(|| format!("reading the key {}", file.display()))?);
    SigningKeyPair::from_pem(&pem).with_context(|| file.display().to_string())
}

fn compare(file: &Path, manifest: &Manifest) -> Result<()> {
    let name = file.file_name().and_then(|n| n.to_str()).with_context(|| format!("{} has no name in UTF-8", file.display()))?;
    let Some(signed) = manifest.payloads.iter().find(|p| p.name == name) else {
        bail!("the manifest names no file {name:?}; nothing was signed")
    };
    let mut content = std::fs::File::open(file).with_context(|| format!("reading {}", file.display()))?;
    let here = payload(name, &signed.format, &mut content).with_context(|| format!("reading {}", file.display()))?;
    if here != *signed {
        bail!("{} is not the file that the manifest describes: it has SHA-256 {}; nothing was signed", file.display(), here.sha256);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::key, *};
    use fleet::releases::manifest::{Key, verify};
    use wire::releases::ReleaseQuery;

    #[test]
    fn u_1_a_second_person_signs_what_they_have_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut keys = Vec::new();
        for name in ["one", "two"] {
            key::generate(&key::GenerateKey { out: at(name) }).unwrap();
            let pair = key_of(&at(name)).unwrap();
            keys.push(Key { name: name.into(), keyid: pair.keyid(), public: pair.public() });
        }
        std::fs::write(at("fw.bin"), b"firmware").unwrap();
        let manifest = fleet::testing::manifest("1.0.0", 1, &[("fw.bin", "raw", b"firmware")]);
        std::fs::write(at("m.manifest.json"), key_of(&at("one")).unwrap().sign(&manifest).unwrap()).unwrap();
        let second =
            SignRelease { key: at("two"), manifest: at("m.manifest.json"), payload: vec![at("fw.bin")], out: None, detached: None };
        let before = std::fs::read(at("m.manifest.json")).unwrap();
        let again = sign(&SignRelease { key: at("one"), ..second.clone() }).unwrap_err().to_string();
        assert!(again.contains("has signed it already"), "{again}");
        sign(&SignRelease { detached: Some(at("sig.json")), ..second.clone() }).unwrap();
        assert_eq!(std::fs::read(at("m.manifest.json")).unwrap(), before);
        let signature: wire::manifest::Signature = serde_json::from_slice(&std::fs::read(at("sig.json")).unwrap()).unwrap();
        assert_eq!(signature.keyid, keys[1].keyid);
        for taken in [
            SignRelease { detached: Some(at("sig.json")), ..second.clone() },
            SignRelease { out: Some(at("m.manifest.json")), ..second.clone() },
        ] {
            let said = sign(&taken).unwrap_err().to_string();
            assert!(said.contains("exists already") && said.contains("choose another file"), "{said}");
        }
        assert_eq!(std::fs::read(at("m.manifest.json")).unwrap(), before);
        sign(&second).unwrap();
        let verified = verify(&std::fs::read(at("m.manifest.json")).unwrap(), &keys).unwrap();
        assert_eq!((verified.manifest, verified.signed_by), (manifest, vec!["one".to_owned(), "two".to_owned()]));

        std::fs::write(at("fw.bin"), b"Firmware").unwrap();
        let other = sign(&SignRelease { out: Some(at("o.manifest.json")), ..second }).unwrap_err().to_string();
        assert!(other.contains("nothing was signed") && !at("o.manifest.json").exists(), "{other}");
    }

    #[rstest::rstest]
    #[case::sqlite(fleet::db::EngineKind::Sqlite)]
    #[case::postgres(fleet::db::EngineKind::Postgres)]
    #[tokio::test]
    async fn a_release_goes_from_its_files_to_its_recall_by_commands(#[case] kind: fleet::db::EngineKind) {
        let w = fleet::testing::World::open(kind).await;
        let admin = w.admin().await;
        let pair = SigningKeyPair::generate(&fleet::entropy::SeededEntropy::new(1)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("fw.bin"), b"firmware").unwrap();
        let envelope = pair.sign(&fleet::testing::manifest("1.0.0", 1, &[("fw.bin", "raw", b"firmware")])).unwrap();
        std::fs::write(at("fw.manifest.json"), envelope).unwrap();
        let files = [at("fw.bin"), at("fw.manifest.json")];
        let stranger = sending::upload(&w.fleet, &admin, &files).await.unwrap().created.release;
        assert!(!stranger.row.quarantine.is_empty(), "nobody trusts the key yet");
        w.fleet.releases().remove(&admin, &stranger.row.id).await.unwrap();
        w.fleet.releases().add_key(&admin, "build", &pair.public_pem()).await.unwrap();

        let flags = || Box::new(Flags::default());
        run(&w.fleet, Release::Upload { files: files.to_vec(), flags: flags() }).await.unwrap();
        let row = w.fleet.releases().list(&admin, &ReleaseQuery::default()).await.unwrap().items.remove(0);
        let which = || Which { id: row.id.clone(), flags: flags() };
        let state = async || w.fleet.releases().detail(&admin, &row.id).await.unwrap().row.state.to_string();
        run(&w.fleet, Release::Publish(which())).await.unwrap();
        assert_eq!(state().await, "published");
        run(&w.fleet, Release::List { wanted: listing::Wanted::default(), flags: flags() }).await.unwrap();
        run(&w.fleet, Release::Deltas(which())).await.unwrap();
        run(&w.fleet, Release::Installs(which())).await.unwrap();
        run(&w.fleet, Release::Deprecate(which())).await.unwrap();
        assert_eq!(state().await, "deprecated");
        run(&w.fleet, Release::Recall { reason: "burns".into(), which: which() }).await.unwrap();
        assert_eq!(state().await, "recalled");
        assert!(run(&w.fleet, Release::Publish(which())).await.is_err(), "what is recalled stays so");
    }
}
