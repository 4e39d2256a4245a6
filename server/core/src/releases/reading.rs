//! What pages, scripts and rollouts read: lists, details, artifacts.

use super::{
    ArtifactFile, Error, Releases, Signed, acceptance, containers, label, manifest, ordering, policy, recalled, state, store, succession,
};
use crate::{
    Result,
    access::{Act, Actor, allowed, may},
    db::{self, Conn},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use wire::{
    ids::{Digest, OrgId, ReleaseId},
    manifest::{Envelope, Manifest, version_again},
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    releases::{GoBack, ReleaseDetail, ReleaseQuery, ReleaseRow, ReleasesPage},
    selector::near,
    states::ReleaseState,
    transfers::TransfersPage,
};

/// How many releases of lower sequences a release's version is compared with.
const COMPARED: i64 = 200;

/// A release as a rollout uses it: its signature was checked when it was verified and again when it was published.
#[derive(Debug, Clone)]
pub struct RolloutRelease {
    /// The row as in lists, but for how many devices run it and files of it are damaged, which nothing waits for: [`installed`] and
    /// [`damaged_in`](super::damaged_in) say so.
    pub row: ReleaseRow,
    /// What was signed.
    pub manifest: Manifest,
    /// The envelope, for devices.
    pub envelope: Envelope,
    /// SHA-256 of the envelope's bytes as they were uploaded: what an approval binds. Signatures that were added since change nothing of it.
    pub digest: Digest,
    /// The version of the organization's newest key set; 0 when it has none.
    pub key_set: u64,
    /// Where it is in its life.
    pub state: ReleaseState,
}

/// Releases that new rollouts may use, newest first; at most 200.
pub async fn published(on: &mut impl Conn, org: &OrgId) -> Result<Vec<ReleaseRow>, db::Error> {
    store::published(on, org).await
}

/// How many devices of this type run this version. Takes the longer the more there are.
pub async fn installed(on: &mut impl Conn, org: &OrgId, device_type: &str, version: &str) -> Result<i64, db::Error> {
    store::installed(on, org, device_type, version).await
}

/// Why devices refuse a release by the newest key set: it has too few signatures. None where it has enough, or the organization has no key set.
pub async fn short_of_signatures(on: &mut impl Conn, org: &OrgId, release: &RolloutRelease) -> Result<Option<String>, db::Error> {
    if release.key_set == 0 {
        return Ok(None);
    }
    let envelope = store::body(on, org, &release.row.id).await?.and_then(|body| body.envelope);
    let standing = policy::standing(on, org, &release.row, envelope.as_deref()).await?;
    Ok(standing.as_ref().and_then(|s| policy::falls_short(release.state, s)))
}

/// A release that was verified, for a rollout; none when there is no such release here or it is in quarantine.
pub async fn for_rollout(on: &mut impl Conn, org: &OrgId, id: &ReleaseId) -> Result<Option<RolloutRelease>, db::Error> {
    let Some(row) = store::release_alone(on, org, id).await? else { return Ok(None) };
    if row.state == ReleaseState::Draft {
        return Ok(None);
    }
    let body = store::body(on, org, id).await?.ok_or_else(|| db::Error::corrupt(format!("{id} has no body")))?;
    let bytes = body.envelope.ok_or_else(|| db::Error::corrupt(format!("{id} is {} without an envelope", row.state)))?;
    let mut envelope = manifest::open(&bytes).map_err(db::Error::corrupt)?;
    let manifest = manifest::claims(&bytes).ok_or_else(|| db::Error::corrupt(format!("the manifest of {id}")))?;
    envelope.signatures.extend(store::added(on, org, id).await?.into_iter().map(|s| s.signature));
    let key_set = store::newest_key_set(on, org).await?.map_or(0, |(version, _)| version.unsigned_abs());
    Ok(Some(RolloutRelease { state: row.state, row, manifest, envelope, digest: sha256(&bytes), key_set }))
}

/// By whom a release is signed, and whom the organization's key sets lead to it.
pub async fn signed(on: &mut impl Conn, org: &OrgId, release: &RolloutRelease) -> Result<Signed, db::Error> {
    let signed = Signed::of(&release.envelope);
    if release.key_set == 0 {
        return Ok(signed);
    }
    let mut sets = Vec::new();
    for (bytes, ..) in store::key_sets(on, org).await? {
        let (envelope, _, set) = succession::open(&bytes).map_err(db::Error::corrupt)?;
        sets.push((envelope, set));
    }
    // Who knows older ones than are read is offered it and looks itself.
    Ok(if sets.len() < store::KEY_SETS { signed.led(&release.row.device_type, &sets) } else { signed.anybody() })
}

impl Releases {
    /// A page of releases, newest first, and the signing keys.
    pub async fn releases_page(&self, actor: &Actor, query: &ReleaseQuery) -> Result<ReleasesPage> {
        let releases = self.list(actor, query).await?;
        let (keys, image_keys, types, all) = {
            let mut on = self.db.read().await?;
            let all = if query.narrows() { store::count(&mut on, &actor.org).await? } else { releases.total };
            let types = store::types(&mut on, &actor.org).await?;
            (store::keys(&mut on, &actor.org).await?, store::image_keys(&mut on, &actor.org).await?, types, all)
        };
        let (policy, key_sets) = (self.signing_policy(actor).await?, self.key_sets(actor).await?);
        // Whose rooms they are add their own.
        let (transfers, assignment_keys) = (TransfersPage::default(), Vec::new());
        let (may_upload, may_edit_keys) = (allowed(actor, Act::Upload), allowed(actor, Act::Keys));
        let at = self.clock.now();
        Ok(ReleasesPage {
            releases,
            all,
            types,
            keys,
            policy,
            key_sets,
            assignment_keys,
            image_keys,
            transfers,
            may_upload,
            may_edit_keys,
            at,
        })
    }

    /// A page of the releases that are asked for, newest first. The total is of all pages.
    pub async fn list(&self, actor: &Actor, query: &ReleaseQuery) -> Result<Page<ReleaseRow>> {
        may(actor, Act::Read)?;
        // Ids sort by their creation, so the last id of a page is its cursor.
        let before: String = match query.cursor.as_deref() {
            None => ReleaseId::BEHIND.to_owned(),
            Some(c) => c
                .parse::<ReleaseId>()
                .map_err(|_| Error::Value { field: "cursor", problem: "is not one that this list gave".to_owned() })?
                .into(),
        };
        let mut on = self.db.read().await?;
        let rows = query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
        let found = store::page(&mut on, &actor.org, query, (&before, i64::from(rows) + 1)).await?;
        let total =
            if query.narrows() { store::count_in(&mut on, &actor.org, query).await? } else { store::count(&mut on, &actor.org).await? };
        Ok(Page::cut(found, rows, total, |last| last.id.to_string()))
    }

    /// The release of a device type that has this version and was verified; where there are several the published one.
    pub async fn named(&self, actor: &Actor, device_type: &str, version: &str) -> Result<Option<ReleaseRow>> {
        may(actor, Act::Read)?;
        Ok(store::named(&mut self.db.read().await?, &actor.org, device_type, version).await?)
    }

    /// What was meant where there is no release of this name: the device type that was, or that a slip of a finger makes of it, and the version that a slip
    /// makes of it, if there is one. None where no device type is near.
    pub async fn nearest(&self, actor: &Actor, device_type: &str, version: &str) -> Result<Option<(String, Option<String>)>> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let types = store::types(&mut on, &actor.org).await?;
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let Some(meant) = types.iter().copied().find(|known| *known == device_type).or_else(|| near(device_type, &types)) else {
            return Ok(None);
        };
        let found = store::of_type(&mut on, &actor.org, meant).await?;
        let versions: Vec<&str> = found.iter().map(|(version, _)| version.as_str()).collect();
        Ok(Some((meant.to_owned(), near(version, &versions).map(str::to_owned))))
    }

    /// Releases in quarantine, newest first, for the overview of somebody who may read.
    pub(crate) async fn quarantined(&self, org: &OrgId, most: usize) -> Result<Vec<ReleaseRow>> {
        Ok(store::quarantined(&mut self.db.read().await?, org, i64::try_from(most).unwrap_or(i64::MAX)).await?)
    }

    /// A release as lists show it.
    pub(crate) async fn row(&self, actor: &Actor, id: &ReleaseId) -> Result<ReleaseRow> {
        may(actor, Act::Read)?;
        Ok(store::release(&mut self.db.read().await?, &actor.org, id).await?.ok_or(Error::NoRelease)?)
    }

    /// The releases of a device type by their versions, the newest first; at most 500. For somebody who may read.
    pub(crate) async fn of_type(&self, org: &OrgId, device_type: &str) -> Result<Vec<(String, ReleaseId)>> {
        Ok(store::of_type(&mut self.db.read().await?, org, device_type).await?)
    }

    /// What a release is and what can be done with it, without the rollouts that use it: [`Fleet::release_detail`](crate::Fleet::release_detail) adds them.
    pub async fn detail(&self, actor: &Actor, id: &ReleaseId) -> Result<ReleaseDetail> {
        may(actor, Act::Read)?;
        let mut found = detail(&mut self.db.read().await?, actor, id).await?;
        let deltas = std::mem::take(&mut found.deltas);
        found.deltas = Box::pin(self.with_gaps(&actor.org, &found.row, deltas)).await?;
        Ok(self.with_signatures(&actor.org, found).await)
    }

    /// A release's envelope as it was uploaded, with the signatures that were added since, and a name for its file.
    pub async fn envelope_file(&self, actor: &Actor, id: &ReleaseId) -> Result<(String, Vec<u8>)> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let row = store::release(&mut on, &actor.org, id).await?.ok_or(Error::NoRelease)?;
        let body = store::body(&mut on, &actor.org, id).await?.ok_or(Error::NoRelease)?;
        let envelope = store::signed(&mut on, &actor.org, id, body.envelope.as_deref()).await?.ok_or(Error::NoManifest)?;
        Ok((label::manifest_name(&row.device_type, &row.version), envelope))
    }

    /// Opens a file of a release for whoever may read that, and says what it is called.
    pub async fn artifact_file(&self, actor: &Actor, id: &ReleaseId, digest: &Digest) -> Result<(String, ArtifactFile)> {
        may(actor, Act::Read)?;
        let artifacts = {
            let mut on = self.db.read().await?;
            store::release(&mut on, &actor.org, id).await?.ok_or(Error::NoRelease)?;
            store::artifacts(&mut on, &actor.org, id).await?
        };
        let file = artifacts.into_iter().find(|artifact| artifact.sha256 == *digest).ok_or(Error::NoArtifact)?;
        Ok((file.name, self.open_in_time(digest).await?))
    }

    /// Opens an artifact for reading; content that is known to be damaged is not given out, and none that looks otherwise than it did when it was
    /// compared with its digest. Whether somebody may have it is asked before: for devices by `rollouts().may_download`, for people by
    /// [`artifact_file`](Self::artifact_file).
    pub async fn open_artifact(&self, digest: &Digest) -> Result<ArtifactFile> {
        let now = self.clock.now();
        let check = store::check(&mut self.db.read().await?, digest).await?;
        if check.as_ref().is_some_and(|check| check.damage.is_some()) {
            return Err(Error::Damaged.into());
        }
        let file = self.disk.find(digest).await.map_err(Error::Store)?.ok_or(Error::NoArtifact)?;
        if self.disk.as_before(digest, &file) != Some(true) {
            Box::pin(self.look(digest, &file, check.map(|check| check.checked_at), now)).await?;
        }
        Ok(file)
    }
}

/// All a release's page shows to this actor, who may read, but for the gaps between its deltas.
pub(super) async fn detail(on: &mut impl Conn, actor: &Actor, id: &ReleaseId) -> Result<ReleaseDetail, Error> {
    let row = store::release(on, &actor.org, id).await?.ok_or(Error::NoRelease)?;
    let body = store::body(on, &actor.org, id).await?.ok_or(Error::NoRelease)?;
    let artifacts = store::artifacts(on, &actor.org, id).await?;
    let hardware = body.hardware()?;
    let warned = artifacts.iter().filter_map(|a| Some((&a.name, a.container.as_ref()?)));
    let mut warnings: Vec<String> =
        warned.filter_map(|(name, c)| containers::contradictions(name, c, &row.device_type, &hardware)).collect();
    if row.state != ReleaseState::Draft {
        // Of one that came before that was refused; a draft's quarantine says it.
        let formats = acceptance::of_allowed_formats(artifacts.iter().map(|a| (&a.name, a.container.as_ref())));
        warnings.extend(formats.err().map(|refused| refused.to_string()));
    }
    let signatures = policy::standing(on, &actor.org, &row, body.envelope.as_deref()).await?;
    warnings.extend(signatures.as_ref().and_then(|s| policy::falls_short(row.state, s)));
    if row.state != ReleaseState::Recalled {
        let before = store::before(on, &actor.org, (&row.device_type, row.sequence), COMPARED).await?;
        warnings.extend(ordering::disagree(&row.version, row.sequence, before.iter().map(|(_, version)| version.as_str())));
    }
    let deltas = store::deltas_of(on, &actor.org, id).await?;
    let recalled = recalled::of(on, &actor.org, &row).await?;
    let whole = artifacts.iter().all(|a| a.damage.is_none());
    let go_back = if whole { go_back(on, actor, &row).await? } else { None };
    let can = |act, step| allowed(actor, act) && state::step(row.state, step).is_some();
    Ok(ReleaseDetail {
        hardware,
        warnings,
        may_sign: allowed(actor, Act::Upload) && signatures.is_some() && row.state != ReleaseState::Recalled,
        signatures,
        notes: body.notes,
        min_sequence: body.min_sequence,
        manifest_sha256: body.envelope_sha256,
        manifest: body.envelope.as_deref().map(readable).unwrap_or_default(),
        artifacts,
        deltas,
        // Whose room they are adds them.
        rollouts: Vec::new(),
        recalled,
        go_back,
        may_draft: allowed(actor, Act::Draft),
        may_publish: can(Act::Publish, state::Step::Publish),
        may_recall: can(Act::Recall, state::Step::Recall),
        may_deprecate: can(Act::Publish, state::Step::Deprecate),
        may_recheck: allowed(actor, Act::Upload) && row.state == ReleaseState::Draft && !row.quarantine.is_empty(),
        may_remove: allowed(actor, Act::Publish) && !state::was_published(row.state),
        row,
    })
}

/// What signs this release again, so that devices with a newer one take it. A recalled one is nothing to go back to; neither is one whose files are
/// damaged, until they are healed.
async fn go_back(on: &mut impl Conn, actor: &Actor, row: &ReleaseRow) -> Result<Option<GoBack>, Error> {
    let usable = matches!(row.state, ReleaseState::Published | ReleaseState::Deprecated);
    if !usable || !allowed(actor, Act::Upload) {
        return Ok(None);
    }
    let newest = store::newest(on, &actor.org, &row.device_type).await?;
    let Some(newest) = newest.filter(|n| n.sequence > row.sequence) else { return Ok(None) };
    let sequence = store::last_sequence(on, &actor.org, &row.device_type).await?.saturating_add(1).unsigned_abs();
    let version = version_again(&row.version, sequence);
    let manifest = label::manifest_name(&row.device_type, &row.version);
    let out = label::manifest_name(&row.device_type, &version);
    let command = format!("fleetward sign --again {manifest} --sequence {sequence} \\\n  --key release.key --out {out}");
    Ok(Some(GoBack { from: newest.version, manifest, version, command }))
}

/// SHA-256 of some bytes.
pub(super) fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(&crate::hash::sha256(bytes))
}

/// The signed payload, indented for people; the envelope itself where it can't be read.
fn readable(envelope: &[u8]) -> String {
    let payload = manifest::open(envelope).ok().and_then(|e| STANDARD.decode(e.payload).ok());
    let bytes = payload.as_deref().unwrap_or(envelope);
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(value) => format!("{value:#}"),
        Err(_) => String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control() || *c == '\n').take(20_000).collect(),
    }
}
