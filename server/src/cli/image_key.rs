//! `fleetward image-key`: certificates and public keys that signatures inside images are held against (U-5). The words are those of the REST API. Refuses to
//! know how a signature is checked.

use super::table;
use anyhow::{Context as _, Result};
use clap::Subcommand;
use fleet::{Fleet, access::Actor};
use std::path::PathBuf;
use wire::{ids::ImageKeyId, releases::ImageKey as Row};

#[derive(Debug, Subcommand)]
pub(super) enum ImageKey {
    /// List the image keys, newest first
    List,
    /// Hold signatures inside images against a certificate or a public key
    Add {
        /// What people call it
        #[arg(long)]
        name: String,
        /// The certificate of whoever signs images or of the authority above, or a public key, as PEM
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Forget one
    Remove {
        /// The key's id
        id: ImageKeyId,
    },
}

pub(super) async fn run(fleet: &Fleet, command: ImageKey) -> Result<String> {
    let (actor, releases) = (Actor::shell(fleet.default_org().clone()), fleet.releases());
    Ok(match command {
        ImageKey::List => {
            let keys = releases.image_keys(&actor).await?;
            if keys.is_empty() {
                return Ok("No image key is known: fleetward image-key add makes one known.\n".to_owned());
            }
            table(&["ID", "KIND", "ENDS", "ADDED", "NAME", "ABOUT"], &keys.iter().map(line).collect::<Vec<_>>())
        }
        ImageKey::Add { name, file } => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            let key = releases.add_image_key(&actor, &name, &text).await?;
            format!("{}  {}  {}\n", key.id, key.about, key.fingerprint)
        }
        ImageKey::Remove { id } => {
            releases.remove_image_key(&actor, &id).await?;
            format!("{id} is forgotten: signatures inside images are not held against it any more.\n")
        }
    })
}

fn line(key: &Row) -> Vec<String> {
    let ends = key.not_after.map_or_else(|| "never".to_owned(), wire::Timestamp::readable);
    vec![key.id.to_string(), key.kind.to_string(), ends, key.created_at.readable(), key.name.clone(), key.about.clone()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, releases::signing::SigningKeyPair, testing::World};
    use rstest::rstest;

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn u_5_keys_for_images_are_added_listed_and_removed_beside_the_server(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let ask = async |command| run(&w.fleet, command).await.map_err(|e| super::super::in_words(e).to_string());
        assert!(ask(ImageKey::List).await.unwrap().starts_with("No image key is known"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("image.pub");
        std::fs::write(&file, SigningKeyPair::generate(&fleet::entropy::OsEntropy).unwrap().public_pem()).unwrap();
        let add = |file: &PathBuf| ImageKey::Add { name: "Mender builds".into(), file: file.clone() };
        let added = ask(add(&file)).await.unwrap();
        assert!(added.starts_with("imk_") && added.contains("Ed25519"), "{added}");
        assert!(ask(add(&file)).await.unwrap_err().contains("known image key already"));
        let listed = ask(ImageKey::List).await.unwrap();
        assert!(listed.contains("never") && listed.contains("Mender builds"), "{listed}");
        let id: ImageKeyId = added.split_whitespace().next().unwrap().parse().unwrap();
        ask(ImageKey::Remove { id: id.clone() }).await.unwrap();
        assert!(ask(ImageKey::Remove { id }).await.unwrap_err().contains("no such image key"));
        std::fs::write(&file, "-----BEGIN NONSENSE-----").unwrap();
        assert!(ask(add(&file)).await.unwrap_err().contains("no certificate and no public key"));
    }
}
