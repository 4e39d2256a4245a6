//! `fleetward release`: signatures of releases. Signing needs a key and the manifest, no server and no data folder.

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
use wire::{ids::ReleaseId, manifest::Manifest};
use zeroize::Zeroizing;

/// What can be done with signatures.
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
    /// Where to write the manifest with the signature added; over the old one unless given.
    #[arg(long, value_name = "FILE", conflicts_with = "detached")]
    pub out: Option<PathBuf>,
    /// Write the signature alone to this file, and leave the manifest as it is.
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
        std::fs::write(out, format!("{signature}\n")).with_context(|| format!("writing {}", out.display()))?;
        out
    } else {
        let out = args.out.as_ref().unwrap_or(&args.manifest);
        std::fs::write(out, written(&signed)?).with_context(|| format!("writing {}", out.display()))?;
        out
    };
    let (described, signatures) = (payload("manifest", "", &mut &*STANDARD.decode(&envelope.payload)?)?, signed.signatures.len());
    println!("{} {} (sequence {}), manifest {}", manifest.device_type, manifest.version, manifest.sequence, described.sha256);
    for file in &manifest.payloads {
        println!("  {}  {} bytes  {}", file.sha256, file.size, file.name);
    }
    println!("{}: signed with {}, signature {signatures}", out.display(), key.keyid());
    Ok(())
}

/// Adds what is in the file and says how the release stands.
pub async fn add_signature(args: &NewSignature, fleet: &Fleet) -> Result<()> {
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
        sign(&second).unwrap();
        let verified = verify(&std::fs::read(at("m.manifest.json")).unwrap(), &keys).unwrap();
        assert_eq!((verified.manifest, verified.signed_by), (manifest, vec!["one".to_owned(), "two".to_owned()]));

        std::fs::write(at("fw.bin"), b"Firmware").unwrap();
        let other = sign(&SignRelease { out: Some(at("o.manifest.json")), ..second }).unwrap_err().to_string();
        assert!(other.contains("nothing was signed") && !at("o.manifest.json").exists(), "{other}");
    }
}
