//! What a release is made of, sent again: to heal a damaged file of it, or because nobody knew how the first time had ended. Owns when two uploads are one
//! release; refuses to know how another one is judged.

use super::{Created, Error, Releases, acceptance::File, manifest, store};
use crate::{
    Result,
    access::Actor,
    db::{Conn, Error as DbError},
};
use wire::{
    ids::{Digest, OrgId, ReleaseId, UploadId},
    manifest::Manifest,
    states::ReleaseState,
};

/// The release that these files and this manifest make, where there is one: of the same type, version and sequence, by the same manifest, whose files have the
/// digests of its own. A file that it has not is none of it, so nothing that is new is taken for it. A draft is the same only by the very same envelope and
/// files: another signature, or a file that was missing, may be all that it waits for.
pub(super) async fn sent(
    on: &mut impl Conn,
    org: &OrgId,
    (envelope, claimed): (&[u8], &Manifest),
    files: &[File],
) -> Result<Option<ReleaseId>, DbError> {
    let Ok(sequence) = i64::try_from(claimed.sequence) else { return Ok(None) };
    for (id, state, kept) in store::of_version(on, org, (claimed.device_type.as_str(), claimed.version.as_str(), sequence)).await? {
        let draft = state == ReleaseState::Draft;
        let same = if draft { kept == envelope } else { manifest::claims(&kept).as_ref() == Some(claimed) };
        if same && holds(&store::files(on, org, &id).await?, files, claimed) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Whether a release of these files has all that were sent and all that the manifest names, and nothing else.
fn holds(own: &[File], sent: &[File], claimed: &Manifest) -> bool {
    let has = |sha256: &Digest| own.iter().any(|file| file.sha256 == *sha256);
    let meant = |file: &File| sent.iter().any(|s| s.sha256 == file.sha256) || claimed.payloads.iter().any(|p| p.sha256 == file.sha256);
    sent.iter().all(|file| has(&file.sha256)) && claimed.payloads.iter().all(|payload| has(&payload.sha256)) && own.iter().all(meant)
}

impl Releases {
    /// The release that was sent again, judged as of now while it is a draft. The uploads are used up; their content stays with it.
    pub(super) async fn found(&self, actor: &Actor, id: &ReleaseId, (uploads, sealed): (&[UploadId], Option<File>)) -> Result<Created> {
        match self.judge_again(actor, id).await {
            // Another one has become that version meanwhile: the draft stays what it is.
            Ok(()) | Err(crate::Error::Releases(Error::Exists { .. })) => {}
            Err(e) => return Err(e),
        }
        let release = self.detail(actor, id).await?;
        let mut tx = self.db.write().await?;
        for upload in uploads {
            if !store::delete_upload(&mut tx, upload).await? {
                return Err(Error::NoUpload.into());
            }
        }
        tx.commit().await?;
        if let Some(file) = sealed {
            self.discard_after(&file.sha256).await;
        }
        Ok(Created { release, new: false })
    }
}
