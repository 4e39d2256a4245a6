//! Releases and uploads as pages and scripts see them.

mod difference;
mod image_signature;
mod installs;
mod query;
mod recalled;

pub use difference::{ComparisonPage, FileChange, FileDifference, ReleaseChoice, ReleaseDifference};
pub use image_signature::{ImageKey, ImageKeyKind, ImageSignature, ImageSignatureKind, ImageSignatureState, MOST_IMAGE_KEYS};
pub use installs::{MOST_VERSIONS, ReleaseInstalls, ReleasePage, VersionInstalls};
pub use query::{ReleaseCheck, ReleaseQuery};
pub use recalled::{ByRecall, GoodRelease, Recalled};

use crate::{
    Timestamp,
    ids::{Digest, ReleaseId, RolloutId, SigningKeyId, UploadId},
    page::Page,
    rollouts::Counts,
    signing::{AssignmentKey, KEY_SET_SOON_MS, KeySetRow, SignatureStanding, SigningPolicy},
    states::{ReleaseState, RolloutState},
    transfers::TransfersPage,
};
use serde::{Deserialize, Serialize};

crate::states::words! {
    /// What can be done to a release.
    ReleaseVerb {
        /// Let rollouts use it.
        Publish = "publish",
        /// Take it off the list for new rollouts.
        Deprecate = "deprecate",
        /// Withdraw it: no new installs, running rollouts halt.
        Recall = "recall",
        /// Look at a quarantined one again.
        Recheck = "recheck",
        /// Remove one that was never published.
        Remove = "remove",
    }
}

crate::states::words! {
    /// What is wrong with stored content.
    Damage {
        /// Its bytes are not what they were.
        Changed = "changed",
        /// It is not there any more.
        Missing = "missing",
        /// The disk fails to read it.
        Unreadable = "unreadable",
    }
}

crate::states::words! {
    /// Where a delta is.
    DeltaState {
        /// It will be made.
        Waiting = "waiting",
        /// It is being made.
        Making = "making",
        /// Devices get it.
        Ready = "ready",
        /// It saves too little, or would take too much to make.
        NotWorth = "not_worth",
        /// It could not be made; that is tried again a day later.
        Failed = "failed",
        /// Nothing says which file of the older release it follows.
        Unpaired = "unpaired",
    }
}

crate::states::words! {
    /// Containers that device updaters install.
    ContainerKind {
        /// An image of SWUpdate.
        Swupdate = "swupdate",
        /// A bundle of RAUC.
        Rauc = "rauc",
        /// An artifact of Mender.
        Mender = "mender",
    }
}

/// What a container says of itself. Nothing of it is believed here: the updater on the device verifies it. How a signature in it stands is its
/// [`ImageSignature`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Container {
    /// What it is.
    pub kind: ContainerKind,
    /// Its name or description; empty when it says none.
    pub name: String,
    /// Its version; empty when it says none.
    pub version: String,
    /// What it is for: hardware revisions (SWUpdate), the `compatible` (RAUC), device types (Mender). Empty when it does not say.
    pub fits: Vec<String>,
    /// Bytes of its signature; 0 when it has none, absent when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<i64>,
    /// More for people: its format, its payloads' types, or what of it could not be read.
    pub note: String,
}

/// A release in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseRow {
    /// Its id.
    pub id: ReleaseId,
    /// The device type it is for.
    pub device_type: String,
    /// Its version.
    pub version: String,
    /// Its sequence.
    pub sequence: i64,
    /// Where it is in its life.
    pub state: ReleaseState,
    /// Why it is quarantined; empty when it isn't.
    pub quarantine: String,
    /// Bytes of all its artifacts.
    pub size: i64,
    /// Names of the keys whose signatures were right.
    pub signed_by: Vec<String>,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// How many devices run this version.
    pub installed: i64,
    /// How many rollouts use it, whatever became of them.
    #[serde(default)]
    pub rollouts: i64,
    /// How many of its stored files are damaged: they are not given out until they were uploaded again.
    #[serde(default)]
    pub damaged: i64,
}

/// All the firmware page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReleasesPage {
    /// Those asked for, newest first.
    pub releases: Page<ReleaseRow>,
    /// How many there are, whatever is asked for.
    #[serde(default)]
    pub all: i64,
    /// The device types that there are releases for, in the order of letters; at most 100.
    #[serde(default)]
    pub types: Vec<String>,
    /// Keys that manifests are checked against.
    pub keys: Vec<SigningKey>,
    /// How many of them have to sign.
    #[serde(default)]
    pub policy: SigningPolicy,
    /// What devices are told of them, newest first.
    #[serde(default)]
    pub key_sets: Vec<KeySetRow>,
    /// The server's own keys that say which device an offer is for, newest first.
    #[serde(default)]
    pub assignment_keys: Vec<AssignmentKey>,
    /// The keys that signatures inside images are held against, newest first.
    #[serde(default)]
    pub image_keys: Vec<ImageKey>,
    /// How fast and how much devices may download.
    #[serde(default)]
    pub transfers: TransfersPage,
    /// Whether the caller may upload.
    pub may_upload: bool,
    /// Whether the caller may manage keys.
    pub may_edit_keys: bool,
    /// When this was read.
    #[serde(default)]
    pub at: Timestamp,
}

impl ReleasesPage {
    /// The key set that devices follow and its end, if that is near or over.
    pub fn key_set_ending(&self) -> Option<(&KeySetRow, Timestamp)> {
        let newest = self.key_sets.first()?;
        newest.expires.filter(|end| end.since(self.at) <= KEY_SET_SOON_MS).map(|end| (newest, end))
    }
}

/// All a release's page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[expect(clippy::struct_excessive_bools, reason = "one for each thing the caller may do now")]
pub struct ReleaseDetail {
    /// The row as in the list.
    pub row: ReleaseRow,
    /// Release notes.
    pub notes: String,
    /// Hardware revisions it runs on; empty means all.
    pub hardware: Vec<String>,
    /// The lowest sequence it can be installed over.
    pub min_sequence: i64,
    /// SHA-256 of the manifest's bytes; empty when there is none.
    pub manifest_sha256: String,
    /// The manifest as text; empty when there is none.
    pub manifest: String,
    /// Its files.
    pub artifacts: Vec<ArtifactRow>,
    /// What devices download instead of its files when they run an older release, newest first.
    #[serde(default)]
    pub deltas: Vec<DeltaRow>,
    /// How its signatures stand now; absent when it has no manifest that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signatures: Option<SignatureStanding>,
    /// Whether the caller may add a signature.
    #[serde(default)]
    pub may_sign: bool,
    /// What in its files or in its place after other releases speaks against it; it can be published all the same.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Rollouts that use it, newest first; at most 50.
    pub rollouts: Vec<ReleaseUse>,
    /// Its recall, where it was recalled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalled: Option<Recalled>,
    /// How to go back to it, where a newer one was published and the caller may upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub go_back: Option<GoBack>,
    /// Whether the caller's role drafts rollouts; of this release while it is published.
    #[serde(default)]
    pub may_draft: bool,
    /// Whether the caller may publish it now.
    pub may_publish: bool,
    /// Whether the caller may recall it now.
    pub may_recall: bool,
    /// Whether the caller may deprecate it now.
    pub may_deprecate: bool,
    /// Whether the caller may have it checked again: it is quarantined.
    pub may_recheck: bool,
    /// Whether the caller may delete it: it was never published.
    pub may_remove: bool,
}

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ArtifactRow {
    /// Its label.
    pub name: String,
    /// Its size in bytes.
    pub size: i64,
    /// Its digest.
    pub sha256: Digest,
    /// When its stored bytes were last read and compared with the digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// What is wrong with its stored bytes: nobody gets them until the same file was uploaded again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<Damage>,
    /// What it says of itself, where it is a container that is recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The signature in the container and how it stands, where it has one and was looked at now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<ImageSignature>,
}

/// A file of a release told as its difference from the file of an older release that it follows: what a device downloads that runs the older one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeltaRow {
    /// The file's label.
    pub file: String,
    /// Bytes of the whole file.
    pub full_size: i64,
    /// The older release.
    pub from: ReleaseId,
    /// Its version.
    pub from_version: String,
    /// Where the delta is.
    pub state: DeltaState,
    /// Why there is none; empty unless `not_worth`, `failed` or `unpaired`.
    pub why: String,
    /// Bytes of the delta; absent while they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// How much of the file was read, in percent, while it is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

impl DeltaRow {
    /// Percent of the download that it saves, in words; none while that is not known. From 99 % on with a tenth, so that what is nearly all of it is told from
    /// what is not.
    pub fn saves(&self) -> Option<String> {
        let thousandths = self.size.map(|size| (self.full_size - size).max(0).saturating_mul(1000) / self.full_size.max(1))?;
        let (whole, tenth) = (thousandths / 10, thousandths % 10);
        Some(if whole >= 99 && tenth > 0 { format!("{whole}.{tenth} %") } else { format!("{whole} %") })
    }
}

/// How to go back to a release on purpose: its files are signed again under a higher sequence, where the key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GoBack {
    /// The newest version that was published: what devices would go back from.
    pub from: String,
    /// The name its manifest is downloaded under.
    pub manifest: String,
    /// The version it will have.
    pub version: String,
    /// What to run where the key is.
    pub command: String,
}

/// A rollout that uses a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseUse {
    /// The rollout.
    pub id: RolloutId,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub state: RolloutState,
    /// The stage that runs, from 1; 0 before the first.
    #[serde(default)]
    pub stage: u32,
    /// How many stages it has.
    #[serde(default)]
    pub stages: u32,
    /// Its devices by how they fare; all 0 before it has begun.
    #[serde(default)]
    pub counts: Counts,
}

/// A public key that release manifests are checked against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SigningKey {
    /// Its id here.
    pub id: SigningKeyId,
    /// What people call it.
    pub name: String,
    /// SHA-256 (hex) of the 32 key bytes: the `keyid` of signatures.
    pub keyid: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Begin an upload. Chunks follow as `PUT /api/v1/uploads/{id}?offset=N`; a cut upload goes on at the offset that `GET` tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewUpload {
    /// A label, never a path; at most 200 bytes.
    pub name: String,
    /// Size in bytes.
    pub size: i64,
    /// The digest it should have, if the sender knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Its label.
    pub name: String,
    /// Size it will have.
    pub size: i64,
    /// Bytes that are safely here; send from this offset.
    pub received: i64,
    /// The content's digest once all is here.
    pub sha256: Option<Digest>,
    /// Releases of which this was a damaged file, which is whole again by it; told by the request that brought the last byte.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub healed: Vec<ReleaseId>,
}

/// Make a release of finished uploads. With a manifest among them (`*.manifest.json`, an envelope) it is checked; without, it is quarantined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRelease {
    /// The finished uploads: artifacts and one envelope.
    pub uploads: Vec<UploadId>,
}
