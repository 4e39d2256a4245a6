//! `fleetward key`: signing keys. A private key is made and stays where manifests are signed; the fleet gets its public half only.

use super::table;
use anyhow::{Context as _, Result, bail};
use fleet::{Fleet, access::Actor, entropy::OsEntropy, releases::signing::SigningKeyPair};
use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use wire::{ids::SigningKeyId, releases::SigningKey};

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
    for file in [&args.out, &public] {
        if file.exists() {
            bail!("{} exists already; a key is never overwritten. Choose another file.", file.display());
        }
    }
    let key = SigningKeyPair::generate(&OsEntropy)?;
    write(&args.out, key.private_pem()?.as_bytes(), 0o600)?;
    write(&public, key.public_pem().as_bytes(), 0o644)?;
    println!("private key  {}  (keep it offline, it can't be made again)", args.out.display());
    println!("public key   {}", public.display());
    println!("key id       {}", key.keyid());
    Ok(())
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

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let written = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.with_context(|| format!("writing {}", path.display()))
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
