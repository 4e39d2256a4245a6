//! Pure: RAUC bundles: a squashfs, for the newer formats with hash tree or encrypted, then a CMS signature (RFC 5652), then the signature's size as
//! eight bytes, the highest first (RAUC's manual, "Bundle formats"). In the newer formats the manifest is what the CMS signs and holds, and is read
//! here; in plain ones it is a file of the squashfs, and is not.

use super::{Ends, cms::SignedData, signature::Signed, unread};
use wire::releases::{Container, ContainerKind, ImageSignatureKind};

/// Most bytes of a signature: what RAUC itself takes.
const LARGEST: usize = 64 << 10;
/// How what is said of a bundle in the plain format begins, up to a colon.
const PLAIN: &str = "format plain";
/// How a squashfs of version 4 begins, where its size stands, and its least size.
const MAGIC: &[u8] = b"hsqs";
const USED: std::ops::Range<usize> = 40..48;
const SUPERBLOCK: u64 = 96;

/// What the bundle says; none when it isn't one.
pub(super) fn read(ends: Ends<'_>) -> Option<Container> {
    let signature = signature(ends)?;
    let content = SignedData::read(signature)?.content;
    let size = signature.len();
    let room = ends.size.checked_sub(8 + size as u64)?;
    let plain = squashfs(ends.head).is_some_and(|used| (SUPERBLOCK..=room).contains(&used));
    let mut container = unread(ContainerKind::Rauc);
    container.signature = i64::try_from(size).ok();
    match content {
        Some(manifest) => {
            let manifest = std::str::from_utf8(&manifest).unwrap_or_default();
            let compatible = setting(manifest, "update", "compatible")?;
            container.fits = vec![compatible.to_owned()];
            let update = |key| setting(manifest, "update", key).unwrap_or_default();
            update("version").clone_into(&mut container.version);
            update("description").clone_into(&mut container.name);
            container.note = setting(manifest, "bundle", "format").map(|format| format!("format {format}")).unwrap_or_default();
        }
        // Anything may end in a signature; a squashfs that does is a bundle.
        None if plain => container.note = format!("{PLAIN}: what it fits is inside its file system and was not read"),
        None => return None,
    }
    Some(container)
}

/// The signature of a bundle, and what it signs where it holds that: the manifest. In the plain format it signs all that stands before it.
pub(super) fn signed(ends: Ends<'_>) -> Option<Signed> {
    Some(Signed { kind: ImageSignatureKind::Cms, signature: signature(ends)?.to_vec(), content: None })
}

/// Whether this was said of a bundle in the plain format.
pub(super) fn is_plain(note: &str) -> bool {
    note.split(':').next() == Some(PLAIN)
}

/// The bytes between the file system and the size at the end.
fn signature(ends: Ends<'_>) -> Option<&[u8]> {
    let (before, size) = ends.tail.split_last_chunk::<8>()?;
    let size = usize::try_from(u64::from_be_bytes(*size)).ok().filter(|s| (1..=LARGEST).contains(s))?;
    before.get(before.len().checked_sub(size)?..)
}

fn squashfs(head: &[u8]) -> Option<u64> {
    let used = head.get(USED).filter(|_| head.starts_with(MAGIC))?;
    Some(u64::from_le_bytes(used.try_into().ok()?))
}

/// A setting of a manifest, which is a key file: sections in brackets, `key=value`.
fn setting<'a>(file: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let mut inside = false;
    for line in file.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            inside = name == section;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| inside)
            && name.trim() == key
        {
            return Some(value.trim());
        }
    }
    None
}
