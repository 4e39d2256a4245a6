//! Two places for firmware and a link that says which one runs.
//!
//! Owns `slots/a`, `slots/b` and the symbolic link `current`. A slot is sealed once every payload was read back from it and had the digest that
//! its manifest promises; only a sealed slot can be made current, so whatever is current was verified. Refuses to know why a slot changes.

use crate::files::Folder;
use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};
use wire::{
    ids::Digest,
    manifest::{Manifest, Payload},
};

const SEAL: &str = "seal.json";
const CURRENT: &str = "current";

/// One of the two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// `slots/a`.
    A,
    /// `slots/b`.
    B,
}

impl Slot {
    /// The one that is not this.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a sealed slot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The manifest's version.
    pub version: String,
    /// The manifest's sequence; 0 for what came from the factory.
    pub sequence: u64,
    /// Its payloads; each is a file named by its digest.
    pub payloads: Vec<Payload>,
    /// Whether it was installed or tried, and is not well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bad: bool,
}

/// Why a slot cannot be sealed or made current.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk.
    #[error("slots: {0}")]
    Files(#[from] io::Error),
    /// A payload in the slot is not what the manifest promises.
    #[error("payload {name:?} in slot {slot} has the digest {found}, the manifest says {expected}")]
    Digest {
        /// Which slot.
        slot: Slot,
        /// The payload's label.
        name: String,
        /// What the manifest says.
        expected: Digest,
        /// What was read back.
        found: Digest,
    },
    /// Nothing verified is in the slot.
    #[error("slot {0} holds nothing verified and must not be started")]
    Unsealed(Slot),
}

/// Both slots and the link.
#[derive(Debug, Clone)]
pub struct Slots {
    state: Folder,
    a: Folder,
    b: Folder,
}

impl Slots {
    /// The slots in the state folder; where there are none, slot `a` is made current with what came from the factory.
    pub fn open(state: Folder, factory_version: &str) -> Result<Self, Error> {
        let slots = state.folder("slots")?;
        let this = Self { a: slots.folder("a")?, b: slots.folder("b")?, state };
        if this.link()?.is_none() {
            if this.seal(Slot::A)?.is_none() {
                let seal = Seal { version: factory_version.to_owned(), sequence: 0, payloads: Vec::new(), bad: false };
                this.put(Slot::A, &seal)?;
            }
            this.activate(Slot::A)?;
        }
        Ok(this)
    }

    /// The slot that runs, or will after the next restart.
    pub fn active(&self) -> Result<Slot, Error> {
        let target = self.link()?;
        match target.as_deref().and_then(Path::file_name).and_then(|n| n.to_str()) {
            Some("a") => Ok(Slot::A),
            Some("b") => Ok(Slot::B),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the link `current` points nowhere we know").into()),
        }
    }

    /// Where the slot's files are.
    pub fn path(&self, slot: Slot) -> &Path {
        self.folder(slot).path()
    }

    /// What the slot holds; none where it is not sealed.
    pub fn seal(&self, slot: Slot) -> Result<Option<Seal>, Error> {
        let bytes = self.folder(slot).read(SEAL)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Breaks the slot's seal and clears it of everything that the manifest does not name; parts of what it names, and of these deltas to it, stay,
    /// to be gone on with.
    pub fn prepare(&self, slot: Slot, manifest: &Manifest, deltas: &[&Digest]) -> Result<(), Error> {
        let folder = self.folder(slot);
        folder.remove(SEAL)?;
        for name in folder.names()? {
            let part = name.strip_suffix(".part");
            let digest = part.unwrap_or(&name);
            let coming = part.is_some() && deltas.iter().any(|delta| delta.as_str() == digest);
            if !coming && !manifest.payloads.iter().any(|p| p.sha256.as_str() == digest) {
                folder.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Breaks the seal of a slot that does not run, and removes everything in it.
    pub fn clear(&self, slot: Slot) -> Result<(), Error> {
        let folder = self.folder(slot);
        folder.remove(SEAL)?;
        for name in folder.names()? {
            folder.remove(&name)?;
        }
        Ok(())
    }

    /// Where the payload lies in the slot once it is whole.
    pub fn payload(&self, slot: Slot, digest: &Digest) -> PathBuf {
        self.path(slot).join(digest.as_str())
    }

    /// Where the payload lies while it comes in.
    pub fn part(&self, slot: Slot, digest: &Digest) -> PathBuf {
        self.path(slot).join(format!("{digest}.part"))
    }

    /// The part is whole: gives it its name.
    pub fn complete(&self, slot: Slot, digest: &Digest) -> Result<(), Error> {
        Ok(self.folder(slot).rename(&format!("{digest}.part"), digest.as_str())?)
    }

    /// Removes a delta and what was being made of it.
    pub fn forget(&self, slot: Slot, delta: &Digest) -> Result<(), Error> {
        self.folder(slot).remove(&format!("{delta}.part"))?;
        Ok(self.folder(slot).remove(delta.as_str())?)
    }

    /// Reads every payload back from the slot and seals it (U-3: re-hash slot, A-42). Takes as long as reading them takes.
    pub fn verify_and_seal(&self, slot: Slot, manifest: &Manifest) -> Result<(), Error> {
        for payload in &manifest.payloads {
            let found = digest_of(&self.payload(slot, &payload.sha256))?;
            if found != payload.sha256 {
                // It must not be taken for whole next time.
                self.folder(slot).remove(payload.sha256.as_str())?;
                return Err(Error::Digest { slot, name: payload.name.clone(), expected: payload.sha256.clone(), found });
            }
        }
        let Manifest { version, sequence, payloads, .. } = manifest.clone();
        self.put(slot, &Seal { version, sequence, payloads, bad: false })
    }

    /// Notes that what a slot holds is not well, until something else is put into it.
    pub fn condemn(&self, slot: Slot) -> Result<(), Error> {
        let Some(seal) = self.seal(slot)?.filter(|seal| !seal.bad) else { return Ok(()) };
        self.put(slot, &Seal { bad: true, ..seal })
    }

    /// Makes a sealed slot the one that runs after the next restart, at once.
    pub fn activate(&self, slot: Slot) -> Result<(), Error> {
        if self.seal(slot)?.is_none() {
            return Err(Error::Unsealed(slot));
        }
        Ok(self.state.link(CURRENT, &Path::new("slots").join(slot.name()))?)
    }

    fn put(&self, slot: Slot, seal: &Seal) -> Result<(), Error> {
        Ok(self.folder(slot).write(SEAL, &serde_json::to_vec_pretty(seal).map_err(io::Error::from)?)?)
    }

    fn folder(&self, slot: Slot) -> &Folder {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }

    fn link(&self) -> Result<Option<PathBuf>, Error> {
        match fs::read_link(self.state.path().join(CURRENT)) {
            Ok(target) => Ok(Some(target)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

/// The SHA-256 of a file's content.
pub fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut file = fs::File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(finish(context)),
            n => context.update(&piece[..n]),
        }
    }
}

/// The digest that was computed.
pub fn finish(context: Context) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest::from_bytes(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Timestamp;

    fn manifest(content: &[u8]) -> Manifest {
        let mut context = Context::new(&SHA256);
        context.update(content);
        let payload =
            Payload { name: "../../etc/passwd".into(), size: content.len() as u64, sha256: finish(context), format: "raw".into() };
        Manifest {
            schema: 1,
            device_type: "gw".into(),
            hardware: vec![],
            version: "2.0".into(),
            sequence: 2,
            min_sequence: 0,
            payloads: vec![payload],
            created: Timestamp(0),
            expires: None,
            notes: String::new(),
        }
    }

    #[test]
    fn a_42_only_what_was_read_back_right_can_be_started() {
        let dir = tempfile::tempdir().unwrap();
        let slots = Slots::open(Folder::open(dir.path()).unwrap(), "1.0").unwrap();
        assert_eq!(slots.active().unwrap(), Slot::A);
        assert!(matches!(slots.activate(Slot::B), Err(Error::Unsealed(Slot::B))));

        let manifest = manifest(b"firmware");
        let digest = &manifest.payloads[0].sha256;
        slots.prepare(Slot::B, &manifest, &[]).unwrap();
        fs::write(slots.part(Slot::B, digest), b"firmwarf").unwrap();
        slots.complete(Slot::B, digest).unwrap();
        assert!(matches!(slots.verify_and_seal(Slot::B, &manifest), Err(Error::Digest { .. })));
        assert!(slots.activate(Slot::B).is_err());

        fs::write(slots.payload(Slot::B, digest), b"firmware").unwrap();
        slots.verify_and_seal(Slot::B, &manifest).unwrap();
        slots.activate(Slot::B).unwrap();
        let again = Slots::open(Folder::open(dir.path()).unwrap(), "1.0").unwrap();
        assert_eq!(again.active().unwrap(), Slot::B);
        assert_eq!(again.seal(Slot::B).unwrap().unwrap().version, "2.0");
    }

    #[test]
    fn what_is_not_well_is_known_until_something_else_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let slots = Slots::open(Folder::open(dir.path()).unwrap(), "1.0").unwrap();
        slots.condemn(Slot::B).unwrap();
        assert_eq!(slots.seal(Slot::B).unwrap(), None, "nothing is there");
        let manifest = manifest(b"firmware");
        fs::write(slots.payload(Slot::B, &manifest.payloads[0].sha256), b"firmware").unwrap();
        slots.verify_and_seal(Slot::B, &manifest).unwrap();
        let well = slots.seal(Slot::B).unwrap().unwrap();
        slots.condemn(Slot::B).unwrap();
        assert_eq!(slots.seal(Slot::B).unwrap().unwrap(), Seal { bad: true, ..well.clone() });
        slots.prepare(Slot::B, &manifest, &[]).unwrap();
        slots.verify_and_seal(Slot::B, &manifest).unwrap();
        assert_eq!(slots.seal(Slot::B).unwrap().unwrap(), well);
    }

    #[test]
    fn a_seal_of_before_says_nothing_bad() {
        let seal: Seal = serde_json::from_str(r#"{"version":"1.0","sequence":1,"payloads":[]}"#).unwrap();
        assert!(!seal.bad);
        assert!(!serde_json::to_string(&seal).unwrap().contains("bad"));
    }

    #[test]
    fn preparing_keeps_what_the_manifest_names_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let slots = Slots::open(Folder::open(dir.path()).unwrap(), "1.0").unwrap();
        let manifest = manifest(b"firmware");
        let part = slots.part(Slot::B, &manifest.payloads[0].sha256);
        fs::write(&part, b"firm").unwrap();
        let deltas = [Digest::from_bytes(&[7; 32]), Digest::from_bytes(&[8; 32])];
        for (delta, name) in deltas.iter().zip([slots.part(Slot::B, &deltas[0]), slots.part(Slot::B, &deltas[1])]) {
            fs::write(name, delta.as_str()).unwrap();
        }
        fs::write(slots.path(Slot::B).join("old"), b"x").unwrap();
        slots.prepare(Slot::B, &manifest, &[&deltas[0]]).unwrap();
        assert!(part.exists() && !slots.path(Slot::B).join("old").exists());
        assert!(slots.part(Slot::B, &deltas[0]).exists() && !slots.part(Slot::B, &deltas[1]).exists());
    }
}
