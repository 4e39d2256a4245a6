//! `fleetward key`: signing keys. A private key is made and stays where manifests are signed; the fleet gets its public half only.

use anyhow::{Context as _, Result, bail};
use fleet::{Fleet, access::Actor, entropy::OsEntropy, releases::signing::SigningKeyPair};
use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

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
}
