//! `release upload`: files go in, and a release is made of them. Refuses to know how a release is judged, when one is there already, and how bytes are stored.

use anyhow::{Context as _, Result, bail};
use fleet::{Fleet, access::Actor, releases::Created};
use std::path::PathBuf;
use tokio_util::io::ReaderStream;
use wire::releases::{NewRelease, NewUpload, ReleaseDetail};

/// What has become of the files.
pub(super) struct Sent {
    /// The release, and whether it was made of them.
    pub created: Created,
    /// A line for each file that was damaged and is whole again, and each release that it is a file of.
    pub healed: Vec<String>,
}

/// Takes the files in, one after the other, and makes a release of them, or finds the one that they are.
pub(super) async fn upload(fleet: &Fleet, actor: &Actor, files: &[PathBuf]) -> Result<Sent> {
    let releases = fleet.releases();
    let (mut uploads, mut healed) = (Vec::new(), Vec::new());
    for path in files {
        let name = path.file_name().and_then(|n| n.to_str()).with_context(|| format!("{} has no name in UTF-8", path.display()))?;
        let file = tokio::fs::File::open(path).await.with_context(|| format!("reading {}", path.display()))?;
        let size = i64::try_from(file.metadata().await.with_context(|| format!("reading {}", path.display()))?.len())?;
        if size < 1 {
            bail!("{} is empty: a file of a release has at least 1 byte.", path.display());
        }
        let begun = releases.begin_upload(actor, NewUpload { name: name.to_owned(), size, sha256: None }).await?;
        let whole = releases.append(actor, &begun.id, 0, ReaderStream::new(file)).await?;
        for id in whole.healed {
            healed.push(line(name, &releases.detail(actor, &id).await?));
        }
        uploads.push(whole.id);
    }
    Ok(Sent { created: releases.create(actor, NewRelease { uploads }).await?, healed })
}

fn line(file: &str, release: &ReleaseDetail) -> String {
    let row = &release.row;
    let name =
        if row.version.is_empty() { "an upload without a manifest".to_owned() } else { format!("{} {}", row.device_type, row.version) };
    format!("{file} was damaged and is whole again: it is a file of {name} ({})", row.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::{db::EngineKind, releases::signing::SigningKeyPair, testing::World};
    use wire::releases::ReleaseQuery;

    #[rstest::rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_file_that_is_sent_to_heal_a_release_makes_no_other_one(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let (admin, releases) = (w.admin().await, w.fleet.releases());
        let pair = SigningKeyPair::generate(&fleet::entropy::SeededEntropy::new(1)).unwrap();
        releases.add_key(&admin, "build", &pair.public_pem()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let files = [at("fw.bin"), at("fw.manifest.json")];
        std::fs::write(&files[0], b"firmware").unwrap();
        std::fs::write(&files[1], pair.sign(&fleet::testing::manifest("1.0.0", 1, &[("fw.bin", "raw", b"firmware")])).unwrap()).unwrap();
        let first = upload(&w.fleet, &admin, &files).await.unwrap();
        let (made, healed) = (first.created.release.row, first.healed);
        assert!(first.created.new && healed.is_empty(), "nothing was damaged: {healed:?}");
        releases.publish(&admin, &made.id).await.unwrap();
        let digest = releases.detail(&admin, &made.id).await.unwrap().artifacts[0].sha256.to_string();
        let stored = w.folder.path().join("artifacts/blobs/sha256").join(&digest[..2]).join(&digest[2..]);

        for sent in [&files[..1], &files[..]] {
            std::fs::remove_file(&stored).unwrap();
            w.clock.advance(8 * 24 * 3_600_000);
            while releases.scrub().await.unwrap() {}
            let listed = async || releases.list(&admin, &ReleaseQuery::default()).await.unwrap();
            assert_eq!(listed().await.items[0].damaged, 1);
            let now = upload(&w.fleet, &admin, sent).await.unwrap();
            assert_eq!((now.created.new, &now.created.release.row.id), (false, &made.id), "{sent:?}");
            assert_eq!(
                now.healed,
                [format!("fw.bin was damaged and is whole again: it is a file of {} 1.0.0 ({})", made.device_type, made.id)]
            );
            let after = listed().await;
            assert_eq!((after.total, after.items[0].damaged), (1, 0), "{sent:?}");
        }

        // What is sent for more than that makes a release as ever, also beside a file that heals one.
        std::fs::write(at("other.bin"), b"something else").unwrap();
        assert!(upload(&w.fleet, &admin, &[at("other.bin")]).await.unwrap().created.new);
        std::fs::remove_file(&stored).unwrap();
        w.clock.advance(8 * 24 * 3_600_000);
        while releases.scrub().await.unwrap() {}
        let both = upload(&w.fleet, &admin, &[at("fw.bin"), at("other.bin")]).await.unwrap();
        assert_eq!((both.healed.len(), both.created.new, both.created.release.artifacts.len()), (1, true, 2));
        std::fs::write(at("empty.bin"), b"").unwrap();
        let refused = upload(&w.fleet, &admin, &[at("empty.bin")]).await.err().unwrap().to_string();
        assert!(refused.ends_with("empty.bin is empty: a file of a release has at least 1 byte."), "{refused}");
    }
}
