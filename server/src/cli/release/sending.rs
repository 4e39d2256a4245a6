//! `release upload`: files go in, and a release is made of them, unless they were sent to heal releases that there are. Refuses to know how a release is
//! judged, and how bytes are stored.

use anyhow::{Context as _, Result};
use fleet::{Fleet, access::Actor, releases::manifest::claims};
use std::{collections::BTreeSet, path::PathBuf};
use tokio_util::io::ReaderStream;
use wire::{
    ids::{Digest, ReleaseId},
    manifest::Manifest,
    releases::{NewRelease, NewUpload, ReleaseDetail},
};

/// What the name of a manifest ends with.
const MANIFEST: &str = ".manifest.json";

/// What has become of the files.
pub(super) struct Sent {
    /// The release that was made of them; none where they have healed others and were sent for nothing else.
    pub made: Option<ReleaseDetail>,
    /// A line for each file that was damaged and is whole again, and each release that it is a file of.
    pub healed: Vec<String>,
}

/// Takes the files in, one after the other, and makes a release of them. Files that are whole again by it make no release that nobody asked for.
pub(super) async fn upload(fleet: &Fleet, actor: &Actor, files: &[PathBuf]) -> Result<Sent> {
    let releases = fleet.releases();
    let (mut uploads, mut content, mut manifest) = (Vec::new(), Vec::new(), None);
    let (mut healed, mut ids) = (Vec::new(), BTreeSet::new());
    for path in files {
        let name = path.file_name().and_then(|n| n.to_str()).with_context(|| format!("{} has no name in UTF-8", path.display()))?;
        let file = tokio::fs::File::open(path).await.with_context(|| format!("reading {}", path.display()))?;
        let size = i64::try_from(file.metadata().await.with_context(|| format!("reading {}", path.display()))?.len())?;
        let begun = releases.begin_upload(actor, NewUpload { name: name.to_owned(), size, sha256: None }).await?;
        let whole = releases.append(actor, &begun.id, 0, ReaderStream::new(file)).await?;
        for id in whole.healed {
            healed.push((name.to_owned(), id.clone()));
            ids.insert(id);
        }
        if name.ends_with(MANIFEST) {
            manifest = Some(path);
        } else {
            content.extend(whole.sha256);
        }
        uploads.push(whole.id);
    }
    let mut whole_again = Vec::new();
    for id in &ids {
        whole_again.push(releases.detail(actor, id).await?);
    }
    let claimed = match manifest {
        Some(path) if !ids.is_empty() => claims(&tokio::fs::read(path).await.with_context(|| format!("reading {}", path.display()))?),
        _ => None,
    };
    let only = match (&claimed, manifest) {
        (Some(claimed), _) => whole_again.iter().any(|release| is(release, claimed)),
        // One that can't be read is judged like any other upload.
        (None, Some(_)) => false,
        (None, None) => all_of(&content, &whole_again),
    };
    // What is left of these uploads is swept with those that nobody goes on with; the content stays, because releases need it.
    let made = if only { None } else { Some(releases.create(actor, NewRelease { uploads }).await?) };
    Ok(Sent { made, healed: healed.iter().filter_map(|(file, id)| line(file, id, &whole_again)).collect() })
}

/// Whether the manifest is that of this release.
fn is(release: &ReleaseDetail, claimed: &Manifest) -> bool {
    let row = &release.row;
    row.device_type == claimed.device_type && row.version == claimed.version && u64::try_from(row.sequence) == Ok(claimed.sequence)
}

/// Whether there are such releases, and every file is one of theirs.
fn all_of(content: &[Digest], releases: &[ReleaseDetail]) -> bool {
    let known = |digest: &Digest| releases.iter().flat_map(|r| &r.artifacts).any(|artifact| artifact.sha256 == *digest);
    !releases.is_empty() && content.iter().all(known)
}

fn line(file: &str, id: &ReleaseId, releases: &[ReleaseDetail]) -> Option<String> {
    let row = &releases.iter().find(|release| release.row.id == *id)?.row;
    let name =
        if row.version.is_empty() { "an upload without a manifest".to_owned() } else { format!("{} {}", row.device_type, row.version) };
    Some(format!("{file} was damaged and is whole again: it is a file of {name} ({id})"))
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
        let (made, healed) = (first.made.unwrap().row, first.healed);
        assert!(healed.is_empty(), "nothing was damaged: {healed:?}");
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
            assert!(now.made.is_none(), "{sent:?}");
            assert_eq!(
                now.healed,
                [format!("fw.bin was damaged and is whole again: it is a file of {} 1.0.0 ({})", made.device_type, made.id)]
            );
            let after = listed().await;
            assert_eq!((after.total, after.items[0].damaged), (1, 0), "{sent:?}");
        }

        // What is sent for more than that makes a release as ever.
        std::fs::write(at("other.bin"), b"something else").unwrap();
        assert!(upload(&w.fleet, &admin, &[at("other.bin")]).await.unwrap().made.is_some());
    }
}
