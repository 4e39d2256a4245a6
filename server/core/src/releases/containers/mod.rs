//! Pure: recognising the containers that device updaters install, and what they say of themselves: SWUpdate images, RAUC bundles, Mender artifacts.
//!
//! Reads the two ends of a file, never more, and believes nothing: no length in them is allotted, no decompression goes past its bound, and a
//! file that is not understood is just a file. What they say is for people to see and for [`contradictions`]; devices decide by the signed
//! manifest. A signature in them is held against the image keys that an organization knows ([`judge`]), and what that finds is for people to see as well.
//! Refuses to know where files and keys are kept.

mod cms;
mod libconfig;
mod mender;
mod rauc;
mod signature;
#[cfg(test)]
mod signature_tests;
mod swupdate;
#[cfg(test)]
mod tests;

pub(super) use signature::{Known, about, judge};

use crate::text::spaced;
use signature::Signed;
use wire::releases::{Container, ContainerKind, ImageSignature, ImageSignatureState};

/// Bytes of a file's beginning that are looked at.
pub const HEAD: usize = 1 << 20;
/// Bytes of a file's end that are looked at: a RAUC signature and its size.
pub const TAIL: usize = (64 << 10) + 8;
/// Most things a container is said to fit that are judged by, and most characters of each word of it. One more is kept, which says that there are more.
const MOST_FITS: usize = 64;
const LONGEST: usize = 200;

/// The two ends of a file; of a short one they overlap.
#[derive(Debug, Clone, Copy)]
pub struct Ends<'a> {
    /// Its first bytes, at most [`HEAD`].
    pub head: &'a [u8],
    /// Its last bytes, at most [`TAIL`].
    pub tail: &'a [u8],
    /// Bytes of the whole file.
    pub size: u64,
}

/// What the file is, if it is a container.
pub fn recognise(ends: Ends<'_>) -> Option<Container> {
    swupdate::read(ends.head).or_else(|| mender::read(ends.head)).or_else(|| rauc::read(ends)).map(bounded)
}

/// The signature in a container of this kind, with what it signs; none where it has none that is found at the two ends.
pub(super) fn signed(kind: ContainerKind, ends: Ends<'_>) -> Option<Signed> {
    match kind {
        ContainerKind::Swupdate => swupdate::signed(ends.head),
        ContainerKind::Mender => mender::signed(ends.head),
        ContainerKind::Rauc => rauc::signed(ends),
    }
}

/// Whether it is a bundle in RAUC's plain format.
pub(super) fn is_plain(container: &Container) -> bool {
    container.kind == ContainerKind::Rauc && rauc::is_plain(&container.note)
}

/// What a signature, or the want of one, speaks against a container where image keys are known; empty when nothing does.
pub(super) fn doubts(name: &str, container: &Container, signature: Option<&ImageSignature>, known: bool) -> Vec<String> {
    let mut all = Vec::new();
    match (signature, container.signature) {
        (Some(signature), _) if signature.state == ImageSignatureState::Invalid => {
            all.push(format!("{name} is signed inside, and the signature is invalid: {}", signature.why));
        }
        (Some(signature), _) if known && signature.state == ImageSignatureState::UnknownSigner => {
            let by = if signature.by.is_empty() { String::new() } else { format!(" by {}", signature.by.join(", ")) };
            all.push(format!("{name} is signed inside{by}, and {}", signature.why));
        }
        (None, Some(0)) if known => all.push(format!("{name} is not signed inside, and there are image keys here")),
        _ => {}
    }
    all
}

/// What speaks against this container in a release for this type and these revisions; empty when nothing does. The manifest is what counts for
/// Fleetward's devices; but what installs the file on them goes by the container, and would refuse it there.
pub fn contradictions(name: &str, container: &Container, device_type: &str, hardware: &[String]) -> Option<String> {
    let fits = &container.fits;
    if fits.is_empty() || fits.len() > MOST_FITS {
        return None;
    }
    let named = fits.join(", ");
    match container.kind {
        ContainerKind::Mender if !fits.iter().any(|f| f == device_type) => {
            Some(format!("{name} is a Mender artifact for {named}, the manifest says {device_type}: its client would refuse it"))
        }
        // A revision in SWUpdate may be a pattern, which only SWUpdate can judge.
        ContainerKind::Swupdate if !fits.iter().any(|f| f.starts_with("#RE:")) => {
            let left: Vec<&str> = hardware.iter().filter(|h| !fits.contains(h)).map(String::as_str).collect();
            (!left.is_empty()).then(|| {
                let left = left.join(", ");
                format!("{name} is an SWUpdate image for hardware {named}, the manifest also says {left}: SWUpdate would refuse it there")
            })
        }
        _ => None,
    }
}

/// Words of others as they can be kept and shown.
fn bounded(mut c: Container) -> Container {
    let short = |text: &str| spaced(text.trim(), LONGEST);
    c.fits.truncate(MOST_FITS + 1);
    Container {
        name: short(&c.name),
        version: short(&c.version),
        fits: c.fits.iter().map(|f| short(f)).collect(),
        note: short(&c.note),
        ..c
    }
}

/// One of a kind, of which nothing is known yet.
const fn unread(kind: ContainerKind) -> Container {
    Container { kind, name: String::new(), version: String::new(), fits: Vec::new(), signature: None, note: String::new() }
}

/// A text or a number of some JSON, as a text; empty for anything else.
fn text(value: Option<&serde_json::Value>) -> String {
    match value {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The texts and numbers of a list.
fn texts(value: Option<&serde_json::Value>) -> Vec<String> {
    let all = value.and_then(serde_json::Value::as_array).into_iter().flatten();
    all.map(|v| text(Some(v))).filter(|t| !t.is_empty()).take(MOST_FITS + 1).collect()
}
