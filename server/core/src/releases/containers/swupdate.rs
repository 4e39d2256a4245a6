//! Pure: SWUpdate images (`.swu`): a cpio archive in the new ASCII format (`newc`, also with checksums), whose first member is `sw-description`, in
//! libconfig or JSON, and whose second is its signature where there is one (SWUpdate's manual, "Images and sw-description").

use super::{MOST_FITS, cms::SignedData, libconfig, signature::Signed, text, texts, unread};
use serde_json::Value;
use wire::releases::{Container, ContainerKind, ImageSignatureKind};

/// Bytes of a member's head, of which every field is eight hex digits behind the magic.
const FIELDS: usize = 110;
/// Longest name that is read.
const LONGEST_NAME: usize = 256;
/// Most bytes of a description.
const LARGEST: usize = 256 << 10;

/// One member: its name, its content as far as it is here, its size, and what follows.
struct Member<'a> {
    name: &'a str,
    content: Option<&'a [u8]>,
    size: usize,
    rest: &'a [u8],
}

/// What the image says; none when it isn't one.
pub(super) fn read(head: &[u8]) -> Option<Container> {
    let first = member(head).filter(|m| m.name == "sw-description")?;
    let mut container = unread(ContainerKind::Swupdate);
    match first.content.filter(|_| first.size <= LARGEST) {
        None => container.note = format!("its sw-description of {} bytes was not read", first.size),
        Some(content) => {
            let signed = member(first.rest).filter(|m| m.name == "sw-description.sig");
            container.signature = Some(signed.map_or(0, |m| i64::try_from(m.size).unwrap_or(i64::MAX)));
            match description(content) {
                Ok(software) => fill(&mut container, &software),
                Err(problem) => container.note = format!("its sw-description can't be read: {problem}"),
            }
        }
    }
    Some(container)
}

/// The signature of the description, if there is one that is here as a whole. An RSA signature has no form of its own, but the size of its key.
pub(super) fn signed(head: &[u8]) -> Option<Signed> {
    const SIZES: [usize; 5] = [64, 128, 256, 384, 512];
    let first = member(head).filter(|m| m.name == "sw-description")?;
    let signature = member(first.rest).filter(|m| m.name == "sw-description.sig")?.content?;
    let kind = if SignedData::read(signature).is_some() {
        ImageSignatureKind::Cms
    } else if !SIZES.contains(&signature.len()) && is_openpgp(signature) {
        ImageSignatureKind::Pgp
    } else {
        ImageSignatureKind::Raw
    };
    Some(Signed { kind, signature: signature.to_vec(), content: first.content.map(<[u8]>::to_vec) })
}

/// Whether it begins like a signature packet (RFC 9580 §4.2), or in its armour.
fn is_openpgp(signature: &[u8]) -> bool {
    const SIGNATURE: u8 = 2;
    let tag = match signature.first() {
        Some(head) if head & 0xc0 == 0xc0 => Some(head & 0x3f),
        Some(head) if head & 0xc0 == 0x80 => Some((head >> 2) & 0x0f),
        _ => None,
    };
    tag == Some(SIGNATURE) || signature.starts_with(b"-----BEGIN PGP")
}

fn member(bytes: &[u8]) -> Option<Member<'_>> {
    let fields = bytes.get(..FIELDS)?;
    if !fields.starts_with(b"070701") && !fields.starts_with(b"070702") {
        return None;
    }
    let field = |n: usize| {
        let digits = fields.get(6 + 8 * n..14 + 8 * n).filter(|d| d.iter().all(u8::is_ascii_hexdigit))?;
        usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let (size, name_size) = (field(6)?, field(11)?);
    if !(2..=LONGEST_NAME).contains(&name_size) {
        return None;
    }
    let name = bytes.get(FIELDS..FIELDS + name_size)?.strip_suffix(b"\0")?;
    let begin = (FIELDS + name_size).next_multiple_of(4);
    let end = begin.checked_add(size)?;
    let rest = end.checked_next_multiple_of(4).and_then(|next| bytes.get(next..)).unwrap_or_default();
    Some(Member { name: std::str::from_utf8(name).ok()?, content: bytes.get(begin..end), size, rest })
}

/// The `software` of a description.
fn description(content: &[u8]) -> Result<Value, String> {
    let content = std::str::from_utf8(content).map_err(|_| "it is no text; it may be encrypted".to_owned())?;
    let mut whole: Value = if content.trim_start().starts_with('{') {
        serde_json::from_str(content).map_err(|e| e.to_string())?
    } else {
        libconfig::parse(content)?
    };
    whole.get_mut("software").filter(|s| s.is_object()).map(Value::take).ok_or_else(|| "it has no software in it".to_owned())
}

/// Revisions stand in the software itself, or in the part of each board.
fn fill(container: &mut Container, software: &Value) {
    const REVISIONS: &str = "hardware-compatibility";
    container.version = text(software.get("version"));
    container.name = text(software.get("description"));
    container.fits = texts(software.get(REVISIONS));
    for board in software.as_object().into_iter().flat_map(|map| map.values()) {
        for revision in texts(board.get(REVISIONS)) {
            // One more than is kept tells that there are more.
            if container.fits.len() > MOST_FITS {
                return;
            }
            if !container.fits.contains(&revision) {
                container.fits.push(revision);
            }
        }
    }
}
