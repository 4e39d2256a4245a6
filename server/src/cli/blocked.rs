//! `fleetward cert blocked-key`: keys that nobody gets a certificate for any more.

use super::said::{every, table};
use anyhow::{Context as _, Result};
use clap::{ArgGroup, Subcommand};
use fleet::{Fleet, access::Actor};
use std::path::PathBuf;
use wire::{
    blocked::{BlockedKey, NewBlockedKey},
    page::MAX_ROWS,
};

#[derive(Debug, Subcommand)]
pub(super) enum BlockedKeys {
    /// List them, newest first: compromised ones, and those that were blocked by hand
    List,
    /// Block a key that was found where others can read it, whether or not there is a certificate for it
    Add(Add),
    /// Let a key that was blocked by hand be used again; a compromised one stays blocked for good
    Remove {
        /// SHA-256 of the key, as the list shows it
        spki_sha256: String,
    },
}

/// The key, and why.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("blocked").required(true).args(["spki_sha256", "public_key"]))]
pub(super) struct Add {
    /// SHA-256 of the public key's DER (openssl pkey -pubout -outform DER), 64 hex digits with or without colons
    #[arg(long, alias = "spki", value_name = "SHA256")]
    spki_sha256: Option<String>,
    /// A file with its public key, a CSR or a certificate for it, as PEM; never the private key
    #[arg(long, alias = "public", value_name = "FILE")]
    public_key: Option<PathBuf>,
    /// Where it was found, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) async fn run(fleet: &Fleet, actor: &Actor, command: BlockedKeys) -> Result<()> {
    let pki = fleet.pki();
    match command {
        BlockedKeys::List => print!("{}", list(fleet, actor).await?),
        BlockedKeys::Add(add) => println!("{}", block(fleet, actor, add).await?),
        BlockedKeys::Remove { spki_sha256 } => {
            pki.unblock_key(actor, &spki_sha256).await?;
            println!("{spki_sha256} may be used again.");
        }
    }
    Ok(())
}

async fn block(fleet: &Fleet, actor: &Actor, add: Add) -> Result<String> {
    let Add { spki_sha256, public_key, reason } = add;
    let public_key = match public_key {
        Some(path) => std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?,
        None => String::new(),
    };
    let key = fleet.pki().block_key(actor, &NewBlockedKey { spki_sha256: spki_sha256.unwrap_or_default(), public_key, reason }).await?;
    let said = format!("{} is blocked since {}: no certificate is made for it any more.", key.spki_sha256, key.blocked_at.readable());
    Ok(match key.used_by {
        Some(device) => format!("{said} {device} has one, which stays until you revoke it."),
        None => said,
    })
}

async fn list(fleet: &Fleet, actor: &Actor) -> Result<String> {
    let pki = fleet.pki();
    let page = async |cursor: Option<String>| pki.blocked_keys(actor, cursor.as_deref(), Some(MAX_ROWS)).await;
    let rows: Vec<Vec<String>> = every(page).await?.into_iter().map(line).collect();
    Ok(if rows.is_empty() {
        "No key is blocked.\n".to_owned()
    } else {
        table(&["KEY (SHA-256)", "SINCE", "BY", "BECAUSE OF", "IN USE BY", "REASON"], &rows)
    })
}

fn line(key: BlockedKey) -> Vec<String> {
    let nothing = if key.by_hand { "by hand" } else { "a compromise" };
    let because = key.certificate.map_or_else(|| nothing.to_owned(), |certificate| certificate.to_string());
    let used_by = key.used_by.map(|device| device.to_string()).unwrap_or_default();
    vec![key.spki_sha256, key.blocked_at.to_string(), key.blocked_by, because, used_by, key.reason.replace(['\n', '\r'], " ")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{
        db::EngineKind,
        testing::{World, csr_by},
    };
    use rcgen::KeyPair;
    use rstest::rstest;

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_key_is_blocked_by_a_file_listed_and_freed(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let actor = Actor::shell(w.org.clone());
        assert_eq!(list(&w.fleet, &actor).await.unwrap(), "No key is blocked.\n");
        let key = KeyPair::generate().unwrap();
        w.enrol("gw-1", "sim", csr_by(&key, "gw-1")).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        let add = |reason: &str| Add { spki_sha256: None, public_key: Some(file.clone()), reason: reason.to_owned() };
        assert!(block(&w.fleet, &actor, add("x")).await.unwrap_err().to_string().starts_with("reading "));
        std::fs::write(&file, key.public_key_pem()).unwrap();
        let said = block(&w.fleet, &actor, add("in the image of 2.1")).await.unwrap();
        assert!(said.ends_with("gw-1 has one, which stays until you revoke it."), "{said}");
        let shown = list(&w.fleet, &actor).await.unwrap();
        assert!(shown.contains("by hand") && shown.contains("in the image of 2.1") && shown.lines().count() == 2, "{shown}");
        let spki_sha256 = shown.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        run(&w.fleet, &actor, BlockedKeys::Remove { spki_sha256 }).await.unwrap();
        assert_eq!(list(&w.fleet, &actor).await.unwrap(), "No key is blocked.\n");
    }
}
