//! Making releases of uploads: what is signed and fits becomes verified, everything else is kept in quarantine with the reason.

use super::{
    Error, Releases,
    acceptance::{self, File, MANIFEST_ENDING, Quarantine},
    again, containers, image_keys,
    manifest::{self, Verified},
    reading, state,
    store::{self, Judged, NewRow},
};
use crate::{
    Result,
    access::{Act, Actor, audit, may},
    bus::Event,
    db::Tx,
};
use serde_json::json;
use std::collections::BTreeSet;
use tokio::sync::OwnedMutexGuard;
use wire::{
    ids::{OrgId, ReleaseId, UploadId},
    manifest::Manifest,
    releases::{Container, NewRelease, ReleaseDetail},
    states::ReleaseState,
};

/// What has become of uploads.
#[derive(Debug)]
pub struct Created {
    /// The release.
    pub release: ReleaseDetail,
    /// Whether it was made of them; it was there already where what it is made of was sent again.
    pub new: bool,
}

impl Releases {
    /// Makes a release of finished uploads, which are used up by it. Files that the manifest names and that a release of the organization has
    /// already need not be among them: to go back to an older release, only its new manifest is uploaded. Wrong content does not fail: the release is kept as a draft whose
    /// `quarantine` says why it can't be published. What a release is made of makes no second one: sent again, with its manifest and no other file, it gives
    /// that release; so do files without a manifest that have all healed one. Fails with a conflict when something else was signed as the same version or
    /// sequence.
    pub async fn create(&self, actor: &Actor, new: NewRelease) -> Result<Created> {
        may(actor, Act::Upload)?;
        let (mut files, sealed, healed) = self.gather(actor, &new.uploads).await?;
        let envelope = match &sealed {
            Some(file) => Some(self.envelope(file).await?),
            None => None,
        };
        // An envelope that is too large is judged by its size, and not kept.
        let bytes = envelope.as_ref().map(|e| e.as_ref().map_or(&[][..], Vec::as_slice));
        let claimed = bytes.and_then(manifest::claims);
        let there = match (bytes, &claimed) {
            // A release that was removed since is not there any more, and what healed it is nobody's.
            (None, _) => match healed {
                Some(id) => store::release_alone(&mut self.db.read().await?, &actor.org, &id).await?.map(|_| id),
                None => None,
            },
            (Some(bytes), Some(claimed)) => again::sent(&mut self.db.read().await?, &actor.org, (bytes, claimed), &files).await?,
            // One that can't be read is judged like any other upload.
            (Some(_), None) => None,
        };
        if let Some(id) = there {
            return self.found(actor, &id, (&new.uploads, sealed)).await;
        }
        let sent = files.len();
        let held = self.take_stored(actor, claimed.as_ref(), &mut files).await?;
        let mut on = self.db.read().await?;
        let (keys, thresholds) = (store::active_keys(&mut on, &actor.org).await?, store::thresholds(&mut on, &actor.org).await?);
        drop(on);
        let now = self.clock.now();
        let mut judgement = match &envelope {
            Some(Err(size)) => Err(Quarantine::Manifest(manifest::ManifestError::TooLarge(*size))),
            _ => acceptance::judge(bytes, (&keys, &thresholds), &files, now),
        };
        let size = files.iter().map(|f| f.size).sum();
        let stored = files.len() - sent;
        let files = self.recognised(files).await?;
        refuse_formats(&mut judgement, files.iter().map(|(file, container)| (&file.name, container.as_ref())));
        let id: ReleaseId = self.entropy.id(now);
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        self.continues(&mut tx, &actor.org, &mut judgement).await?;
        let judged = judged(&judgement, claimed.as_ref());
        let reason = judgement.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let row = NewRow {
            id: &id,
            size,
            envelope: bytes.filter(|b| !b.is_empty()),
            envelope_sha256: sealed.as_ref().map(|f| f.sha256.as_str()).unwrap_or_default(),
            created_by: &actor.label(),
        };
        let judged = Judged { quarantine: &reason, ..judged };
        store::insert(&mut tx, &actor.org, &row, &judged, &files, now).await.map_err(|e| taken(e, &judged))?;
        for upload in &new.uploads {
            if !store::delete_upload(&mut tx, upload).await? {
                return Err(Error::NoUpload.into());
            }
        }
        let detail = json!({ "type": judged.device_type, "version": judged.version, "quarantine": reason, "files_here_already": stored });
        audit::append(&mut tx, actor, now, "release.create", id.as_str(), &detail).await?;
        // Read before the commit: after it there is nothing to refuse any more, the uploads are used up.
        let made = reading::detail(&mut tx, actor, &id).await?;
        tx.commit().await?;
        drop(held);
        self.bus.tell(Event::Release { org: actor.org.clone(), id: id.clone() });
        // The envelope is kept with the release; its copy in the store is not needed any more.
        if let Some(file) = sealed {
            self.discard_after(&file.sha256).await;
        }
        Ok(Created { release: self.with_signatures(&actor.org, made).await, new: true })
    }

    /// Looks at a quarantined release again, for example after its signer's key was added. Leaves any other release as it is.
    pub async fn recheck(&self, actor: &Actor, id: &ReleaseId) -> Result<ReleaseDetail> {
        may(actor, Act::Upload)?;
        self.judge_again(actor, id).await?;
        self.detail(actor, id).await
    }

    /// Removes a release that was never published, with its files where nothing else needs them.
    pub async fn remove(&self, actor: &Actor, id: &ReleaseId) -> Result<()> {
        may(actor, Act::Publish)?;
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        let row = store::release(&mut tx, &actor.org, id).await?.ok_or(Error::NoRelease)?;
        let files = store::files(&mut tx, &actor.org, id).await?;
        // What a rollout uses is kept by the schema, whose room the rollouts are.
        match store::delete(&mut tx, &actor.org, id).await {
            Err(e) if e.is_referenced() && !state::was_published(row.state) => return Err(Error::Used.into()),
            Err(e) if !e.is_referenced() => return Err(Error::Db(e).into()),
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(Error::Kept.into()),
        }
        let detail = json!({ "type": row.device_type, "version": row.version });
        audit::append(&mut tx, actor, self.clock.now(), "release.remove", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Release { org: actor.org.clone(), id: id.clone() });
        for file in files {
            self.discard_after(&file.sha256).await;
        }
        Ok(())
    }

    /// Looks at every draft of the organization again that has a manifest.
    pub(super) async fn recheck_drafts(&self, actor: &Actor) -> Result<()> {
        let drafts = store::drafts(&mut self.db.read().await?, &actor.org).await?;
        for id in drafts {
            match self.judge_again(actor, &id).await {
                // Two quarantined copies of one release: the first becomes it, the second stays where it is.
                Ok(()) | Err(crate::Error::Releases(Error::Exists { .. } | Error::NoRelease)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    pub(super) async fn judge_again(&self, actor: &Actor, id: &ReleaseId) -> Result<()> {
        let mut on = self.db.read().await?;
        let row = store::release(&mut on, &actor.org, id).await?.ok_or(Error::NoRelease)?;
        let body = store::body(&mut on, &actor.org, id).await?.ok_or(Error::NoRelease)?;
        let files = store::files(&mut on, &actor.org, id).await?;
        let artifacts = store::artifacts(&mut on, &actor.org, id).await?;
        let (keys, thresholds) = (store::active_keys(&mut on, &actor.org).await?, store::thresholds(&mut on, &actor.org).await?);
        let signed = store::signed(&mut on, &actor.org, id, body.envelope.as_deref()).await?;
        drop(on);
        if row.state != ReleaseState::Draft {
            return Ok(());
        }
        let now = self.clock.now();
        let mut judgement = acceptance::judge(signed.as_deref(), (&keys, &thresholds), &files, now);
        refuse_formats(&mut judgement, artifacts.iter().map(|a| (&a.name, a.container.as_ref())));
        let mut tx = self.db.write().await?;
        audit::hold(&mut tx, &actor.org).await?;
        self.continues(&mut tx, &actor.org, &mut judgement).await?;
        let reason = judgement.as_ref().err().map(ToString::to_string).unwrap_or_default();
        if reason == row.quarantine {
            return Ok(());
        }
        let claimed = body.envelope.as_deref().and_then(manifest::claims);
        let judged = Judged { quarantine: &reason, ..judged(&judgement, claimed.as_ref()) };
        if store::judge(&mut tx, &actor.org, id, &judged, now).await.map_err(|e| taken(e, &judged))? {
            audit::append(&mut tx, actor, now, "release.recheck", id.as_str(), &json!({ "quarantine": reason })).await?;
            tx.commit().await?;
            self.bus.tell(Event::Release { org: actor.org.clone(), id: id.clone() });
        }
        Ok(())
    }

    /// The files, and the envelope's file apart from them. Beside them the release that they were sent for, where each of them has healed one.
    async fn gather(&self, actor: &Actor, uploads: &[UploadId]) -> Result<(Vec<File>, Option<File>, Option<ReleaseId>), Error> {
        let refuse = |message: String| Err(Error::Uploads(message));
        let most = manifest::MAX_PAYLOADS + 1;
        if uploads.is_empty() || uploads.len() > most {
            return refuse(format!("A release is made of 1 to {most} uploads; {} were given.", uploads.len()));
        }
        if uploads.iter().collect::<BTreeSet<_>>().len() != uploads.len() {
            return refuse("An upload was given twice.".to_owned());
        }
        let mut on = self.db.read().await?;
        let (mut files, mut sealed, mut healed) = (Vec::<File>::new(), None, Vec::new());
        for id in uploads {
            let found = store::upload(&mut on, &actor.org, id).await?.ok_or(Error::NoUpload)?;
            let Some(sha256) = found.sha256.filter(|_| found.stored) else {
                return refuse(format!("{:?} is not whole: {} of {} bytes are here.", found.name, found.received, found.size));
            };
            healed.extend(found.healed);
            let file = File { name: found.name, size: found.size, sha256 };
            if file.name.ends_with(MANIFEST_ENDING) {
                if sealed.replace(file).is_some() {
                    return refuse(format!("There are two {MANIFEST_ENDING} files; a release has one."));
                }
            } else if files.iter().any(|f| f.name == file.name) {
                return refuse(format!("There are two files of the name {:?}.", file.name));
            } else {
                files.push(file);
            }
        }
        let all = healed.len() == uploads.len();
        Ok((files, sealed, healed.into_iter().next().filter(|_| all)))
    }

    /// Adds the files that the manifest names, nobody uploaded, and a release of this organization has already; of other organizations' files
    /// nothing is told and nothing taken. While what this gives is held, they can't be swept away.
    async fn take_stored(&self, actor: &Actor, claimed: Option<&Manifest>, files: &mut Vec<File>) -> Result<Option<OwnedMutexGuard<()>>> {
        let missing: Vec<_> = claimed.into_iter().flat_map(|m| &m.payloads).filter(|p| files.iter().all(|f| f.name != p.name)).collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let held = self.shelf.clone().lock_owned().await;
        let mut on = self.db.read().await?;
        for payload in missing {
            let Some(size) = store::own_content(&mut on, &actor.org, &payload.sha256).await? else { continue };
            let there = self.disk.find(&payload.sha256).await.map_err(Error::Store)?.is_some();
            if there && !self.is_damaged(&mut on, &payload.sha256).await? {
                files.push(File { name: payload.name.clone(), size, sha256: payload.sha256.clone() });
            }
        }
        Ok(Some(held))
    }

    /// The envelope's bytes, or its size where it is too large to be one.
    async fn envelope(&self, file: &File) -> Result<Result<Vec<u8>, usize>> {
        let stored = self.disk.find(&file.sha256).await.map_err(Error::Store)?.ok_or(Error::Lost)?;
        let size = usize::try_from(stored.size).unwrap_or(usize::MAX);
        if size > manifest::MAX_ENVELOPE {
            return Ok(Err(size));
        }
        stored.read_all(manifest::MAX_ENVELOPE).await.map(Ok)
    }

    /// The files with what those say of themselves that are containers. Two ends of each are read.
    async fn recognised(&self, files: Vec<File>) -> Result<Vec<(File, Option<Container>)>> {
        let mut all = Vec::with_capacity(files.len());
        for file in files {
            let stored = self.disk.find(&file.sha256).await.map_err(Error::Store)?.ok_or(Error::Lost)?;
            let (head, tail) = (image_keys::head(&stored).await?, image_keys::tail(&stored).await?);
            let container = containers::recognise(containers::Ends { head: &head, tail: &tail, size: stored.size });
            all.push((file, container));
        }
        Ok(all)
    }

    /// Puts what is right in itself into quarantine when its sequence is behind what was published.
    async fn continues(&self, tx: &mut Tx, org: &OrgId, judgement: &mut Result<Verified, Quarantine>) -> Result<()> {
        if let Ok(verified) = judgement {
            let newest = store::newest(tx, org, &verified.manifest.device_type).await?;
            if let Err(behind) = acceptance::in_sequence(&verified.manifest, newest.as_ref()) {
                *judgement = Err(behind);
            }
        }
        Ok(())
    }
}

/// Puts what is signed into quarantine when a file is of a format that is refused; nobody is asked for one more signature of that.
fn refuse_formats<'a>(judgement: &mut Result<Verified, Quarantine>, files: impl IntoIterator<Item = (&'a String, Option<&'a Container>)>) {
    if matches!(judgement, Ok(_) | Err(Quarantine::Signatures { .. }))
        && let Err(refused) = acceptance::of_allowed_formats(files)
    {
        *judgement = Err(refused);
    }
}

/// What is written of a judgement. A draft shows what its manifest claims, so that people recognise it.
fn judged<'a>(judgement: &'a Result<Verified, Quarantine>, claimed: Option<&'a Manifest>) -> Judged<'a> {
    let (state, signed_by) = match judgement {
        Ok(verified) => (ReleaseState::Verified, verified.signed_by.as_slice()),
        Err(_) => (ReleaseState::Draft, &[][..]),
    };
    let shown = judgement.as_ref().ok().map(|v| &v.manifest).or(claimed);
    let number = |n: u64| i64::try_from(n).unwrap_or_default();
    Judged {
        device_type: shown.map_or("", |m| &m.device_type),
        version: shown.map_or("", |m| &m.version),
        sequence: shown.map_or(0, |m| number(m.sequence)),
        min_sequence: shown.map_or(0, |m| number(m.min_sequence)),
        hardware: shown.map_or(&[], |m| &m.hardware),
        notes: shown.map_or("", |m| &m.notes),
        state,
        quarantine: "",
        signed_by,
    }
}

fn taken(error: crate::db::Error, judged: &Judged<'_>) -> Error {
    if error.is_unique() {
        Error::Exists { device_type: judged.device_type.to_owned(), version: judged.version.to_owned(), sequence: judged.sequence }
    } else {
        Error::Db(error)
    }
}
