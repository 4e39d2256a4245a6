//! What this room refuses or fails at, and what of it the other side gets to see.

use super::state::Step;
use wire::{Fault, FaultKind, ids::Digest, releases::MOST_IMAGE_KEYS, states::ReleaseState};

/// Releases, uploads, signing keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such release here.
    #[error("There is no such release.")]
    NoRelease,
    /// No such upload here, or it expired.
    #[error("There is no such upload; unused ones are removed after 24 hours. Begin a new one.")]
    NoUpload,
    /// No such key here.
    #[error("There is no such signing key.")]
    NoKey,
    /// It was uploaded without one.
    #[error("This release has no manifest: it was uploaded without one.")]
    NoManifest,
    /// No such image key here.
    #[error("There is no such image key.")]
    NoImageKey,
    /// Neither a certificate nor a public key that images are signed with.
    #[error(
        "That is no certificate and no public key that could be an image key: send one of them, as PEM or as the base64 of its DER, with a key of RSA, P-256, P-384 or Ed25519."
    )]
    BadImageKey,
    /// It is known already.
    #[error("This certificate or key is a known image key already.")]
    ImageKeyExists,
    /// As many as there may be.
    #[error("{MOST_IMAGE_KEYS} image keys are known; remove one that is not needed any more.")]
    TooManyImageKeys,
    /// No such file here.
    #[error("There is no such file.")]
    NoArtifact,
    /// It is here, but not as it was.
    #[error("The file is damaged on the server and is not given out. It comes back when the same file was uploaded again.")]
    Damaged,
    /// It may not be what it was, and is being compared.
    #[error("The file was written to on the server, and is being compared with its digest before it is given out. Try again in a moment.")]
    Suspect {
        /// Until it is compared, at the speed at which content was compared last.
        seconds: u32,
    },
    /// A value out of its bounds; the problem is a clause that follows the field's name.
    #[error("The {field} {problem}.")]
    Value {
        /// The input field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Larger than this server takes.
    #[error("The file has {size} bytes; this server takes at most {largest}.")]
    TooLarge {
        /// Announced.
        size: i64,
        /// Allowed.
        largest: i64,
    },
    /// Too many uploads are open.
    #[error("{0} uploads are open already. Finish some, or wait until unused ones expire.")]
    TooManyUploads(i64),
    /// The chunk does not begin where the last one ended.
    #[error("The upload goes on at offset {received}.")]
    Offset {
        /// Bytes that are safely here.
        received: i64,
    },
    /// More bytes than were announced.
    #[error("More bytes came than the {size} that were announced. Go on at offset {received} with the right ones, or begin a new upload.")]
    TooMuch {
        /// Announced.
        size: i64,
        /// Bytes that are safely here.
        received: i64,
    },
    /// More bytes are on their way than are missing.
    #[error(
        "The chunk announces {announced} bytes, and {left} are missing. Go on at offset {received} with the right ones, or begin a new upload."
    )]
    Announced {
        /// Bytes of the chunk.
        announced: u64,
        /// Bytes that are not here yet.
        left: u64,
        /// Bytes that are safely here.
        received: i64,
    },
    /// The bytes stopped in the middle.
    #[error("The upload was cut off. {received} bytes are safely here; go on at that offset.")]
    Cut {
        /// Bytes that are safely here.
        received: i64,
    },
    /// Another request for the same upload took over, or the server stops.
    #[error("The upload was interrupted by the server. {received} bytes are safely here; go on at that offset.")]
    Interrupted {
        /// Bytes that are safely here.
        received: i64,
    },
    /// The whole content is not what was announced.
    #[error("The content's SHA-256 is {actual}, {expected} was announced. The upload was removed; begin a new one.")]
    DigestMismatch {
        /// Announced.
        expected: Digest,
        /// Received.
        actual: Digest,
    },
    /// The content can't be found any more.
    #[error("The upload's content is lost. Begin a new one.")]
    Lost,
    /// A release can't be made of these uploads.
    #[error("{0}")]
    Uploads(String),
    /// Another release has the same version or sequence.
    #[error("There is a release of {device_type} with the same version ({version}) or sequence ({sequence}) already. Build with new ones.")]
    Exists {
        /// The type.
        device_type: String,
        /// The version.
        version: String,
        /// The sequence.
        sequence: i64,
    },
    /// The state forbids it.
    #[error("A release that is {from} can't be changed by {step}.")]
    State {
        /// Where it is.
        from: ReleaseState,
        /// What was wanted.
        step: Step,
    },
    /// It is in quarantine, or would be if it were looked at again.
    #[error("The release can't be published: {0}.")]
    Quarantined(String),
    /// Only what was never published can be removed.
    #[error("A release that was published stays; recall it if it must not be installed any more.")]
    Kept,
    /// What a rollout uses, also as a draft, is not removed.
    #[error("A rollout uses this release, and be it as a draft, so it stays. The release's page lists its rollouts.")]
    Used,
    /// Not a public key.
    #[error("That is {0}.")]
    BadKey(#[from] super::signing::SigningError),
    /// The key is known already.
    #[error("This key is known already{}.", if *revoked { " and was revoked; a revoked key does not come back, make a new one" } else { "" })]
    KeyExists {
        /// Whether it was revoked.
        revoked: bool,
    },
    /// Signatures that can't be taken.
    #[error("The signature can't be taken: {0}.")]
    BadSignature(String),
    /// By a key that nobody here trusts.
    #[error("No signature of it is by a key that is trusted here.")]
    NotTrusted,
    /// A key signs once.
    #[error("This key has signed the release already; another one has to.")]
    SignedAlready,
    /// No such key set here.
    #[error("There is no key set of this version.")]
    NoKeySet,
    /// A key set that does not follow on what is trusted.
    #[error("The key set {0}.")]
    KeySet(super::succession::KeySetError),
    /// A key of it was revoked here.
    #[error("The key set has {0:?}, which was revoked here; a revoked key does not come back.")]
    RevokedInSet(String),
    /// People don't decide one by one any more.
    #[error("Key set {0} says which keys are trusted and how many must sign. Publish the next one, signed by its quorum.")]
    KeySetDecides(i64),
    /// The disk is full.
    #[error("The server's disk is full. {received} bytes of the upload are safe; free some space and go on at that offset.")]
    NoSpace {
        /// Bytes that are safely here.
        received: i64,
    },
    /// Reading or writing a file failed.
    #[error("the file store: {0}")]
    Io(#[from] std::io::Error),
    /// The artifact store failed.
    #[error("the artifact store: {0}")]
    Store(#[from] object_store::Error),
    /// The database, while an upload was being received.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
}

impl Error {
    /// What the other side gets to see.
    pub fn fault(&self) -> Fault {
        use FaultKind as K;
        let say = |kind, code: &str| Fault::new(kind, code, self.to_string());
        match self {
            Self::NoRelease => say(K::NotFound, "no_release"),
            Self::NoUpload => say(K::NotFound, "no_upload"),
            Self::NoKey => say(K::NotFound, "no_signing_key"),
            Self::NoImageKey => say(K::NotFound, "no_image_key"),
            Self::BadImageKey => say(K::Invalid, "bad_image_key").at("key"),
            Self::ImageKeyExists => say(K::Conflict, "image_key_exists").at("key"),
            Self::TooManyImageKeys => say(K::Conflict, "too_many_image_keys"),
            Self::NoManifest => say(K::NotFound, "no_manifest"),
            Self::NoArtifact => say(K::NotFound, "no_artifact"),
            Self::Damaged => say(K::Busy, "artifact_damaged").retry_after(600),
            Self::Suspect { seconds } => say(K::Busy, "artifact_suspect").retry_after(*seconds),
            Self::Value { field, .. } => say(K::Invalid, "bad_value").at(*field),
            Self::TooLarge { .. } => say(K::TooLarge, "file_too_large").at("size"),
            Self::TooManyUploads(_) => say(K::TooMany, "too_many_uploads").retry_after(3600),
            Self::Offset { .. } => say(K::Conflict, "wrong_offset").at("offset"),
            Self::TooMuch { .. } => say(K::Invalid, "too_many_bytes"),
            Self::Announced { .. } => say(K::TooLarge, "too_many_bytes"),
            Self::Cut { .. } => say(K::Invalid, "upload_cut"),
            Self::Interrupted { .. } => say(K::Busy, "upload_interrupted").retry_after(1),
            Self::DigestMismatch { .. } => say(K::Invalid, "digest_mismatch").at("sha256"),
            Self::Lost => say(K::Gone, "upload_lost"),
            Self::Uploads(_) => say(K::Invalid, "bad_uploads").at("uploads"),
            Self::Exists { .. } => say(K::Conflict, "release_exists"),
            Self::State { .. } => say(K::Conflict, "wrong_state"),
            Self::Quarantined(_) => say(K::Conflict, "quarantined"),
            Self::Kept => say(K::Conflict, "release_kept"),
            Self::Used => say(K::Conflict, "release_used"),
            Self::BadKey(_) => say(K::Invalid, "bad_key").at("public"),
            Self::KeyExists { .. } => say(K::Conflict, "key_exists").at("public"),
            Self::BadSignature(_) => say(K::Invalid, "bad_signature").at("signature"),
            Self::NotTrusted => say(K::Invalid, "unknown_signer").at("signature"),
            Self::SignedAlready => say(K::Conflict, "signed_already").at("signature"),
            Self::NoKeySet => say(K::NotFound, "no_key_set"),
            Self::KeySet(_) => say(K::Invalid, "bad_key_set").at("key_set"),
            Self::RevokedInSet(_) => say(K::Conflict, "revoked_key").at("key_set"),
            Self::KeySetDecides(_) => say(K::Conflict, "key_set_decides"),
            Self::NoSpace { .. } => say(K::NoSpace, "disk_full"),
            Self::Io(e) if is_full(e) => crate::db::Error::Full.fault(),
            Self::Io(_) | Self::Store(_) => {
                tracing::error!(error = %self, "artifact store error");
                Fault::new(K::Internal, "internal", "Something failed on the server. The request id finds it in the log.")
            }
            Self::Db(e) => e.fault(),
        }
    }
}

/// Whether a write failed for lack of space.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
