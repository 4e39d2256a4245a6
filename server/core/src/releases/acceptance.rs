//! Pure: whether what was uploaded is what its manifest says, and of no format that is refused (U-5). Whatever isn't is kept in quarantine with the
//! reason.

use super::{
    containers,
    manifest::{self, Key, ManifestError, Verified},
};
use wire::{Timestamp, ids::Digest, manifest::Manifest, releases::Container, signing::Thresholds};

/// The ending of a manifest's file name.
pub const MANIFEST_ENDING: &str = ".manifest.json";

/// A file as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its label.
    pub name: String,
    /// Its size in bytes.
    pub size: i64,
    /// The digest of what was received.
    pub sha256: Digest,
}

/// The newest release of a type that was ever published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// Its version.
    pub version: String,
    /// Its sequence.
    pub sequence: i64,
}

/// Why a release may not be rolled out. The text is shown to people and kept with the release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Quarantine {
    /// No manifest at all.
    #[error("unsigned: there is no {MANIFEST_ENDING} file among the uploads; make one with `fleetward sign`")]
    Unsigned,
    /// The manifest is not trusted.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Everything is right, and too few have signed it.
    #[error("{have} of {need} signatures: by {}; add another trusted key's, made with `fleetward release sign`", by.join(", "))]
    Signatures {
        /// How many different trusted keys have signed.
        have: u32,
        /// How many have to.
        need: u32,
        /// Their names.
        by: Vec<String>,
    },
    /// A payload was not uploaded, and is not here either.
    #[error("the manifest names {0:?}, which was not uploaded and is in no release here, or is damaged there")]
    Missing(String),
    /// A file that nobody signed.
    #[error("{0:?} was uploaded, but the manifest does not name it")]
    Unnamed(String),
    /// Cut off, or longer than signed.
    #[error("{name:?} has {actual} bytes, the manifest says {signed}")]
    Size {
        /// Which file.
        name: String,
        /// Bytes received.
        actual: i64,
        /// Bytes signed.
        signed: u64,
    },
    /// Changed after it was signed.
    #[error("{name:?} has SHA-256 {actual}, the manifest says {signed}: it is not the file that was signed")]
    Digest {
        /// Which file.
        name: String,
        /// What was received.
        actual: Digest,
        /// What was signed.
        signed: Digest,
    },
    /// A bundle in the format that RAUC advises to refuse.
    #[error(
        "{0:?} is a bundle in RAUC's plain format, which RAUC advises devices to refuse: build it again with format=verity in its manifest's [bundle] \
         section, then sign and upload that"
    )]
    Plain(String),
    /// No device would install it any more.
    #[error("the manifest expired on {0}")]
    Expired(Timestamp),
    /// Devices that run the newest would refuse it.
    #[error(
        "sequence {sequence} is not above {newest}, the highest that was ever published, by {version}, and devices that run that never go back: sign it again with a \
         higher one"
    )]
    Sequence {
        /// Its own.
        sequence: u64,
        /// The published one's.
        newest: i64,
        /// The published one's version.
        version: String,
    },
}

/// Judges an upload: the signature first, then the files against what was signed, and last whether enough keys have signed (U-1): whoever is
/// asked for another signature is asked for the only thing that is missing.
pub fn judge(
    envelope: Option<&[u8]>,
    (keys, thresholds): (&[Key], &Thresholds),
    files: &[File],
    now: Timestamp,
) -> Result<Verified, Quarantine> {
    let verified = manifest::verify(envelope.ok_or(Quarantine::Unsigned)?, keys)?;
    manifest::check_new(&verified.manifest)?;
    if manifest::expired(&verified.manifest, now) {
        return Err(Quarantine::Expired(verified.manifest.expires.unwrap_or_default()));
    }
    for payload in &verified.manifest.payloads {
        let file = files.iter().find(|f| f.name == payload.name).ok_or_else(|| Quarantine::Missing(payload.name.clone()))?;
        if u64::try_from(file.size) != Ok(payload.size) {
            return Err(Quarantine::Size { name: file.name.clone(), actual: file.size, signed: payload.size });
        }
        if file.sha256 != payload.sha256 {
            return Err(Quarantine::Digest { name: file.name.clone(), actual: file.sha256.clone(), signed: payload.sha256.clone() });
        }
    }
    match files.iter().find(|f| verified.manifest.payloads.iter().all(|p| p.name != f.name)) {
        Some(file) => Err(Quarantine::Unnamed(file.name.clone())),
        None => enough(verified, thresholds),
    }
}

fn enough(verified: Verified, thresholds: &Thresholds) -> Result<Verified, Quarantine> {
    let (have, need) = (count(&verified.signed_by), thresholds.of(&verified.manifest.device_type));
    if have < need { Err(Quarantine::Signatures { have, need, by: verified.signed_by }) } else { Ok(verified) }
}

/// Whether no file is of a format that is refused whoever has signed it (U-5): RAUC's plain one, whose signature is looked at only when whoever built its
/// file system may have done much already. Files by their names, with what was recognised in them.
pub fn of_allowed_formats<'a>(files: impl IntoIterator<Item = (&'a String, Option<&'a Container>)>) -> Result<(), Quarantine> {
    match files.into_iter().find(|(_, container)| container.is_some_and(containers::is_plain)) {
        Some((name, _)) => Err(Quarantine::Plain(name.clone())),
        None => Ok(()),
    }
}

/// How many there are, for comparing with a threshold.
pub fn count<T>(of: &[T]) -> u32 {
    u32::try_from(of.len()).unwrap_or(u32::MAX)
}

/// Whether its sequence goes on from what was published (RFC 9124 REQ.SEC.SEQUENCE).
pub fn in_sequence(manifest: &Manifest, newest: Option<&Newest>) -> Result<(), Quarantine> {
    match newest {
        Some(n) if i64::try_from(manifest.sequence).is_ok_and(|s| s <= n.sequence) => {
            Err(Quarantine::Sequence { sequence: manifest.sequence, newest: n.sequence, version: n.version.clone() })
        }
        _ => Ok(()),
    }
}
