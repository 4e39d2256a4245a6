//! Pure: RAUC bundles: a squashfs, for the newer formats with hash tree or encrypted, then a CMS signature (RFC 5652), then the signature's size as
//! eight bytes, the highest first (RAUC's manual, "Bundle formats"). In the newer formats the manifest is what the CMS signs and holds, and is read
//! here; in plain ones it is a file of the squashfs, and is not.

use super::{Ends, unread};
use crate::pki::der::{Value, children, split};
use wire::releases::{Container, ContainerKind};

/// Most bytes of a signature: what RAUC itself takes.
const LARGEST: usize = 64 << 10;
/// How a squashfs of version 4 begins, where its size stands, and its least size.
const MAGIC: &[u8] = b"hsqs";
const USED: std::ops::Range<usize> = 40..48;
const SUPERBLOCK: u64 = 96;
/// 1.2.840.113549.1.7.2, signed data.
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;
const OCTETS: u8 = 0x04;
const ZEROTH: u8 = 0xa0;

/// What the bundle says; none when it isn't one.
pub(super) fn read(ends: Ends<'_>) -> Option<Container> {
    let (before, size) = ends.tail.split_last_chunk::<8>()?;
    let size = usize::try_from(u64::from_be_bytes(*size)).ok().filter(|s| (1..=LARGEST).contains(s))?;
    let signature = before.get(before.len().checked_sub(size)?..)?;
    let content = signed(signature)?;
    let room = ends.size.checked_sub(8 + size as u64)?;
    let plain = squashfs(ends.head).is_some_and(|used| (SUPERBLOCK..=room).contains(&used));
    let mut container = unread(ContainerKind::Rauc);
    container.signature = i64::try_from(size).ok();
    match content {
        Content::Held(manifest) => {
            let manifest = std::str::from_utf8(manifest).unwrap_or_default();
            let compatible = setting(manifest, "update", "compatible")?;
            container.fits = vec![compatible.to_owned()];
            let update = |key| setting(manifest, "update", key).unwrap_or_default();
            update("version").clone_into(&mut container.version);
            update("description").clone_into(&mut container.name);
            container.note = setting(manifest, "bundle", "format").map(|format| format!("format {format}")).unwrap_or_default();
        }
        // Anything may end in a signature; a squashfs that does is a bundle.
        Content::Elsewhere if plain => {
            "format plain: what it fits is inside its file system and was not read".clone_into(&mut container.note);
        }
        Content::Elsewhere => return None,
    }
    Some(container)
}

fn squashfs(head: &[u8]) -> Option<u64> {
    let used = head.get(USED).filter(|_| head.starts_with(MAGIC))?;
    Some(u64::from_le_bytes(used.try_into().ok()?))
}

/// What a signature signs.
enum Content<'a> {
    /// The signature holds it.
    Held(&'a [u8]),
    /// It stands before the signature.
    Elsewhere,
}

/// The content of signed data; none when it is no signed data of CMS. Nothing is verified: devices do that, with the certificates of their owner.
fn signed(cms: &[u8]) -> Option<Content<'_>> {
    let info = children(expect(split(cms).ok()?.0, SEQUENCE)?).ok()?;
    let [kind, data] = info.as_slice() else { return None };
    if expect(*kind, OBJECT)? != SIGNED_DATA {
        return None;
    }
    let data = children(expect(split(expect(*data, ZEROTH)?).ok()?.0, SEQUENCE)?).ok()?;
    let inner = children(expect(*data.get(2)?, SEQUENCE)?).ok()?;
    expect(*inner.first()?, OBJECT)?;
    match inner.get(1) {
        None => Some(Content::Elsewhere),
        Some(held) => Some(Content::Held(expect(split(expect(*held, ZEROTH)?).ok()?.0, OCTETS)?)),
    }
}

fn expect(value: Value<'_>, tag: u8) -> Option<&[u8]> {
    (value.tag == tag).then_some(value.content)
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
