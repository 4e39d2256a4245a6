//! SHA-1 and MD5 of artifacts, for device clients that compare nothing better (hawkBit's). Made when one is first asked for, and kept. They prove
//! nothing here: what may be installed rests on SHA-256 and signatures.

use super::{ArtifactFile, Error, Releases, store};
use crate::{Result, db::Db, hash};
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use futures::StreamExt as _;
use md5::{Digest as _, Md5};
use std::io;
use wire::ids::Digest;

/// Two older checksums of one content, lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksums {
    /// SHA-1 (FIPS 180-4).
    pub sha1: String,
    /// MD5 (RFC 1321).
    pub md5: String,
}

impl Releases {
    /// The checksums of a stored artifact. The first time the whole file is read, one file at a time; that goes on when the caller gives up,
    /// so a client that is less patient than a large file finds them when it asks again.
    pub async fn checksums(&self, digest: &Digest) -> Result<Checksums> {
        if let Some(known) = known(&self.db, digest).await? {
            return Ok(known);
        }
        let file = self.open_in_time(digest).await?;
        let turn = self.summing.clone().lock_owned().await;
        let (db, digest) = (self.db.clone(), digest.clone());
        let made = self.db.beyond(async move {
            let _turn = turn;
            if let Some(known) = known(&db, &digest).await? {
                return Ok(known);
            }
            let sums = sum(&file, &digest).await?;
            let mut tx = db.write().await?;
            store::insert_checksums(&mut tx, &digest, &sums.sha1, &sums.md5).await?;
            tx.commit().await?;
            Ok::<_, crate::Error>(sums)
        });
        made.await.map_err(|e| Error::Io(io::Error::other(e)))?
    }
}

async fn known(db: &Db, digest: &Digest) -> Result<Option<Checksums>> {
    let kept = store::checksums(&mut db.read().await?, digest).await?;
    Ok(kept.map(|(sha1, md5)| Checksums { sha1, md5 }))
}

/// Of bytes that are what they should be: these sums are kept, and clients that compare nothing else would believe them.
async fn sum(file: &ArtifactFile, digest: &Digest) -> Result<Checksums> {
    let (mut sha1, mut md5, mut sha256) = (Context::new(&SHA1_FOR_LEGACY_USE_ONLY), Md5::new(), Context::new(&SHA256));
    let mut bytes = file.read_range(0..file.size).await?;
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(Error::Io)?;
        sha1.update(&piece);
        md5.update(&piece);
        sha256.update(&piece);
    }
    if Digest::from_bytes(&hash::finished(sha256)) != *digest {
        tracing::error!(%digest, "stored content is not what it should be; no checksums are made of it");
        return Err(Error::Damaged.into());
    }
    Ok(Checksums { sha1: hex::encode(sha1.finish()), md5: hex::encode(md5.finalize()) })
}
