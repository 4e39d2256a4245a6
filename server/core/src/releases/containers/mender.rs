//! Pure: Mender artifacts (`.mender`): an uncompressed tar of `version`, `manifest`, sometimes its signature, and the header, a tar of its own with
//! `header-info` as first file (Mender's artifact format, versions 2 and 3).

use super::{signature::Signed, text, texts, unread};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::io::Read;
use tar::{Archive, Entry};
use wire::releases::{Container, ContainerKind, ImageSignatureKind};

/// Files that are looked through for the header, and files of the header that are looked through for its info.
const MOST_ENTRIES: usize = 8;
/// Most bytes of the two JSON files, of the manifest and its signature.
const LARGEST: u64 = 64 << 10;
/// Most bytes that are decompressed of a header.
const UNPACKED: u64 = 1 << 20;

/// What the artifact says; none when it isn't one.
pub(super) fn read(head: &[u8]) -> Option<Container> {
    let mut archive = Archive::new(head);
    let mut entries = archive.entries().ok()?.take(MOST_ENTRIES);
    let mut version = entries.next()?.ok().filter(|e| is(e, "version"))?;
    let version = json(&mut version)?;
    if version.get("format").and_then(Value::as_str) != Some("mender") {
        return None;
    }
    let mut container = unread(ContainerKind::Mender);
    "its header was not read".clone_into(&mut container.note);
    for entry in entries {
        let Ok(entry) = entry else { break };
        if is(&entry, "manifest.sig") {
            container.signature = i64::try_from(entry.size()).ok();
        } else if is(&entry, "header.tar.gz") {
            return Some(filled(container, GzDecoder::new(entry).take(UNPACKED)));
        } else if is(&entry, "header.tar") {
            return Some(filled(container, entry.take(UNPACKED)));
        } else if is(&entry, "header.tar.xz") || is(&entry, "header.tar.zst") {
            "its header is compressed with xz or zstd, which is not read here".clone_into(&mut container.note);
            break;
        }
    }
    Some(container)
}

/// The signature of the manifest, which lists the digests of all other files but of what was added to it later (`manifest-augment`).
pub(super) fn signed(head: &[u8]) -> Option<Signed> {
    let mut archive = Archive::new(head);
    let mut manifest = None;
    for entry in archive.entries().ok()?.take(MOST_ENTRIES) {
        let mut entry = entry.ok()?;
        if is(&entry, "manifest") {
            manifest = bytes(&mut entry);
        } else if is(&entry, "manifest.sig") {
            let signature = STANDARD.decode(bytes(&mut entry)?.trim_ascii()).ok()?;
            return Some(Signed { kind: ImageSignatureKind::Raw, signature, content: manifest });
        }
    }
    None
}

/// The same with what its header says.
fn filled(mut container: Container, header: impl Read) -> Container {
    // The signature stands before the header: there is none now, or it was seen.
    container.signature = container.signature.or(Some(0));
    let mut archive = Archive::new(header);
    let info = archive.entries().ok().and_then(|entries| {
        let mut entries = entries.take(MOST_ENTRIES).map_while(Result::ok);
        entries.find(|entry| is(entry, "header-info")).and_then(|mut entry| json(&mut entry))
    });
    let Some(info) = info else { return container };
    let (provides, depends) = (info.get("artifact_provides"), info.get("artifact_depends"));
    // Version 3 has both in groups of their own, version 2 at the top.
    container.name = text(provides.and_then(|p| p.get("artifact_name")).or_else(|| info.get("artifact_name")));
    container.fits = texts(depends.and_then(|d| d.get("device_type")).or_else(|| info.get("device_types_compatible")));
    let parts = info.get("payloads").or_else(|| info.get("updates")).and_then(Value::as_array);
    let kinds: Vec<String> =
        parts.into_iter().flatten().map(|part| text(part.get("type"))).filter(|kind| !kind.is_empty()).take(8).collect();
    container.note = kinds.join(", ");
    container
}

fn is<R: Read>(entry: &Entry<'_, R>, name: &str) -> bool {
    entry.path_bytes().as_ref() == name.as_bytes()
}

fn json<R: Read>(entry: &mut Entry<'_, R>) -> Option<Value> {
    serde_json::from_slice(&bytes(entry)?).ok()
}

/// A file's content, if it is no larger than it may be.
fn bytes<R: Read>(entry: &mut Entry<'_, R>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(LARGEST + 1).read_to_end(&mut bytes).ok().filter(|read| *read as u64 <= LARGEST)?;
    Some(bytes)
}
