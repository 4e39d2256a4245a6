//! `fleetward key`: signing keys. A private key is made and stays where manifests are signed; the fleet gets its public half only.

use super::{
    files,
    key_set::{KeySets, SetThreshold},
    table,
};
use crate::config::Flags;
use anyhow::{Context as _, Result};
use clap::Subcommand;
use fleet::{Fleet, access::Actor, entropy::OsEntropy, releases::signing::SigningKeyPair};
use std::{
    fs::File,
    path::{Path, PathBuf},
};
use wire::{ids::SigningKeyId, releases::SigningKey};

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key pair for signing releases; works without a data folder
    Generate(GenerateKey),
    /// Let the fleet trust releases that are signed with a key
    Add {
        #[command(flatten)]
        add: AddKey,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// List the keys that releases are trusted by, newest first
    List(Box<Flags>),
    /// Stop trusting a key for uploads and publications from now on
    Revoke {
        /// The key's id, as the list shows it
        id: SigningKeyId,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// How many keys must have signed a release
    Threshold {
        #[command(flatten)]
        threshold: SetThreshold,
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Key sets: which keys devices trust, signed by those before
    #[command(subcommand)]
    Set(KeySets),
}

/// Make a key pair for signing releases; works without a data folder.
#[derive(Debug, Clone, clap::Args)]
pub struct GenerateKey {
    /// Where to write the private key; the public key is written beside it as FILE.pub. Neither file may exist.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Let the fleet trust releases that are signed with a key.
#[derive(Debug, Clone, clap::Args)]
pub struct AddKey {
    /// What people call it, for example the build server's name.
    #[arg(long)]
    pub name: String,
    /// The public key's file, as `key generate` wrote it.
    #[arg(long, value_name = "FILE")]
    pub public: PathBuf,
}

/// Writes a new key pair and says where and under which id.
pub fn generate(args: &GenerateKey) -> Result<()> {
    let public = beside(&args.out);
    let key = SigningKeyPair::generate(&OsEntropy)?;
    let pem = key.private_pem()?;
    both(&args.out, &public, |private_file, public_file| {
        files::fill(&public, public_file, key.public_pem().as_bytes())?;
        files::fill(&args.out, private_file, pem.as_bytes())
    })?;
    println!("private key  {}  (keep it offline, it can't be made again)", args.out.display());
    println!("public key   {}", public.display());
    println!("key id       {}", key.keyid());
    Ok(())
}

/// Both files, or none: neither is filled before both have a place, and where filling fails neither stays.
fn both(private: &Path, public: &Path, fill: impl FnOnce(&mut File, &mut File) -> Result<()>) -> Result<()> {
    files::write_by(private, files::PRIVATE, |private_file| {
        files::write_by(public, files::PUBLIC, |public_file| fill(private_file, public_file))
    })
}

/// Adds a public key to the default organization and prints its ids.
pub async fn add(args: &AddKey, fleet: &Fleet) -> Result<()> {
    let text = std::fs::read_to_string(&args.public).with_context(|| format!("reading {}", args.public.display()))?;
    let actor = Actor::shell(fleet.default_org().clone());
    let key = fleet.releases().add_key(&actor, &args.name, &text).await.map_err(|e| e.fault())?;
    println!("{}  {}", key.id, key.keyid);
    Ok(())
}

/// The keys of the default organization.
pub(super) async fn list(fleet: &Fleet) -> Result<String> {
    let keys = fleet.releases().keys(&Actor::shell(fleet.default_org().clone())).await?;
    if keys.is_empty() {
        return Ok("No key is trusted. fleetward key generate makes one, key add has it trusted.\n".to_owned());
    }
    let line = |key: &SigningKey| {
        let state = key.revoked_at.map_or_else(|| "trusted".to_owned(), |at| format!("revoked {}", at.readable()));
        vec![key.id.to_string(), state, key.created_at.readable(), key.name.clone(), key.keyid.clone()]
    };
    Ok(table(&["ID", "STATE", "ADDED", "NAME", "KEY ID"], &keys.iter().map(line).collect::<Vec<_>>()))
}

/// Stops trusting one of them.
pub(super) async fn revoke(fleet: &Fleet, id: &SigningKeyId) -> Result<String> {
    fleet.releases().revoke_key(&Actor::shell(fleet.default_org().clone()), id).await?;
    Ok(format!("{id} is revoked: nothing new is published by it. What was published stays; recall it if the key was stolen.\n"))
}

/// `FILE.pub`, whatever FILE's own extension is.
fn beside(private: &Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, testing::World};
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let args = GenerateKey { out: folder.path().join("build.key") };
        generate(&args).unwrap();
        let mode = std::fs::metadata(&args.out).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(folder.path().join("build.key.pub").exists());
        let before = std::fs::read(&args.out).unwrap();
        assert!(generate(&args).unwrap_err().to_string().contains("exists already"));
        assert_eq!(std::fs::read(&args.out).unwrap(), before);
        // With a public half in the way there is no private one either.
        std::fs::remove_file(&args.out).unwrap();
        assert!(generate(&args).unwrap_err().to_string().contains("build.key.pub exists already"));
        assert!(!args.out.exists());
    }

    #[test]
    fn a_pair_that_could_not_be_written_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let args = GenerateKey { out: folder.path().join("build.key") };
        let public = beside(&args.out);
        let failed = both(&args.out, &public, |_, public_file| {
            files::fill(&public, public_file, b"public")?;
            assert!(args.out.exists() && public.exists());
            // A disk that takes no more.
            files::fill(&args.out, &mut File::open(&args.out)?, b"private")
        });
        assert!(failed.unwrap_err().to_string().starts_with("writing "));
        assert!(!args.out.exists() && !public.exists());
        generate(&args).unwrap();
    }

    #[tokio::test]
    async fn keys_are_listed_and_revoked_beside_the_server() {
        let w = World::open(EngineKind::Sqlite).await;
        assert!(list(&w.fleet).await.unwrap().starts_with("No key is trusted."));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("build.key");
        generate(&GenerateKey { out: file.clone() }).unwrap();
        add(&AddKey { name: "build".into(), public: beside(&file) }, &w.fleet).await.unwrap();
        let listed = list(&w.fleet).await.unwrap();
        assert!(listed.contains("trusted") && listed.contains("build"), "{listed}");
        let id = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
        revoke(&w.fleet, &id).await.unwrap();
        assert!(list(&w.fleet).await.unwrap().contains("revoked 22 Nov 2026"));
        let again = add(&AddKey { name: "build".into(), public: beside(&file) }, &w.fleet).await.unwrap_err().to_string();
        assert!(again.contains("does not come back"), "{again}");
    }
}
