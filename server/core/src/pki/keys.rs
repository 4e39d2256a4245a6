//! Secrets at rest (K-1, K-2): each under a data key of its own, which is wrapped by the key-encryption key (KEK); the KEK is never in the
//! database. Refuses to know what the secrets are for. Nothing here has `Debug` or `Serialize` that shows a key.

mod files;

use super::root_file::SHORTEST_PASSPHRASE;
use crate::entropy::Entropy;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hmac,
};
use files::{OTHERS, OTHERS_AND_GROUP, create, read};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use zeroize::{Zeroize as _, Zeroizing};

const VERSION: u8 = 1;
const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;
const KEK_ID: usize = 8;
const WRAPPED: usize = NONCE + KEY + TAG;
const HEADER: usize = 1 + KEK_ID + WRAPPED;

const TOO_SHORT: &str = "holds a passphrase of fewer than 12 characters, which whoever has the database could guess. For a fleet that is new write a longer one \
                         into it. One that began with it is moved to a key file first, with the server stopped: fleetward kek rotate --to FILE; then give \
                         key_file instead";

/// Why a secret can't be sealed or opened. Every one of them stops the start (K-2).
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read or made.
    #[error("key file {path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is not there. A new one in its place would open nothing, so it is never made silently.
    #[error("key file {0} is missing; put it back from where you keep it")]
    Missing(PathBuf),
    /// Others may read it.
    #[error("key file {0} can be read by others than its owner; run: chmod 0600 {0}")]
    Permissions(PathBuf),
    /// Somebody else's: whoever owns it may know it, or put another one in its place.
    #[error(
        "key file {path} belongs to another user (uid {owner}): run Fleetward as that user, or give the file to the one it runs as: chown {own} {path}"
    )]
    Owner {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// Not 32 bytes, or a passphrase that is none.
    #[error("key file {path} {problem}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Sealed under another KEK.
    #[error("this secret is sealed under another key-encryption key; start with the key file it was made with")]
    WrongKek,
    /// Cut, changed, or moved from another place.
    #[error("a sealed secret was changed or is not where it belongs")]
    Tampered,
    /// The private key opens but is not the one of its certificate.
    #[error("the private key of {0} does not belong to its certificate")]
    Mismatch(String),
    /// It was in the database a moment ago.
    #[error("{0} is gone again")]
    Gone(&'static str),
    /// The PKCS#11 token can't be used.
    #[error("PKCS#11 token: {0}")]
    Token(super::token::TokenTrouble),
    /// The cipher itself failed.
    #[error("the cipher failed")]
    Cipher,
}

struct KekKey {
    key: RandomizedNonceKey,
    seal: hmac::Key,
    id: [u8; KEK_ID],
}

/// The key-encryption key in memory. Cheap to clone.
#[derive(Clone)]
pub struct Kek(Arc<KekKey>);

impl std::fmt::Debug for Kek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kek({})", hex::encode(self.0.id))
    }
}

impl Kek {
    /// A KEK of these bytes.
    pub fn new(key: &[u8; KEY]) -> Result<Self, KeyError> {
        // The id tells KEKs apart without saying anything of the key.
        let digest = super::csr::sha256(&[b"fleetward kek id/v1".as_slice(), key].concat());
        let mut id = [0; KEK_ID];
        id.copy_from_slice(&digest[..KEK_ID]);
        // A key of its own, so that tags say nothing of what is wrapped.
        let of_tags = Zeroizing::new(super::csr::sha256(&[b"fleetward tags/v1".as_slice(), key].concat()));
        let seal = hmac::Key::new(hmac::HMAC_SHA256, of_tags.as_ref());
        Ok(Self(Arc::new(KekKey { key: cipher(key)?, seal, id })))
    }

    /// A tag (HMAC-SHA-256, RFC 2104) that only instances with this KEK can make: by it what was given away is known again without being kept.
    pub(super) fn tag(&self, text: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac::sign(&self.0.seal, text).as_ref());
        tag
    }

    /// A key for one purpose of another room, which says nothing of this one: only instances with this KEK can make it.
    pub(crate) fn key_for(&self, purpose: &[u8]) -> hmac::Key {
        let key = Zeroizing::new(self.tag(purpose));
        hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
    }

    /// Whether a tag is of this text; in constant time.
    pub(super) fn made(&self, text: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0.seal, text, tag).is_ok()
    }

    /// The KEK of a 32-byte key file. The file must belong to its owner alone (0400 or 0600).
    pub fn of_file(path: &Path) -> Result<Self, KeyError> {
        Self::of_bytes(path, &read(path, OTHERS_AND_GROUP)?)
    }

    /// The KEK of a credential that the service manager hands over (systemd's `LoadCredentialEncrypted=`). Its folder is the service's alone;
    /// the group's bits of its mode are the mask of an access list, and say nothing.
    pub fn of_credential(path: &Path) -> Result<Self, KeyError> {
        Self::of_bytes(path, &read(path, OTHERS)?)
    }

    fn of_bytes(path: &Path, bytes: &[u8]) -> Result<Self, KeyError> {
        let key: &[u8; KEY] =
            bytes.try_into().map_err(|_| KeyError::Content { path: path.to_owned(), problem: "does not hold exactly 32 bytes" })?;
        Self::new(key)
    }

    /// Makes a key file with fresh randomness; for a fleet that has none yet. Never over another file.
    pub fn make_file(path: &Path, entropy: &dyn Entropy) -> Result<(), KeyError> {
        create(path, Zeroizing::new(entropy.bytes::<KEY>()).as_ref())
    }

    /// Makes the salt of a passphrase; it is no secret, but the KEK is lost with it. Never over another file.
    pub fn make_salt(path: &Path, entropy: &dyn Entropy) -> Result<(), KeyError> {
        create(path, &entropy.bytes::<16>())
    }

    /// The KEK of a passphrase file and its salt by Argon2id with 64 MiB, 3 passes and 4 lanes (RFC 9106 §4, second choice). A line break at
    /// the passphrase's end does not count.
    pub fn of_passphrase(passphrase: &Path, salt: &Path) -> Result<Self, KeyError> {
        let text = Self::passphrase(passphrase)?;
        let salt_bytes = read(salt, OTHERS_AND_GROUP)?;
        let params = argon2::Params::new(64 * 1024, 3, 4, Some(KEY)).map_err(|_| KeyError::Cipher)?;
        let mut key = Zeroizing::new([0; KEY]);
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(&text, &salt_bytes, key.as_mut())
            .map_err(|_| KeyError::Content { path: salt.to_owned(), problem: "is not a salt" })?;
        Self::new(&key)
    }

    /// The passphrase of a file, without the line break at its end.
    pub fn passphrase(file: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut text = read(file, OTHERS_AND_GROUP)?;
        while text.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            text.pop();
        }
        if text.is_empty() {
            return Err(KeyError::Content { path: file.to_owned(), problem: "holds no passphrase" });
        }
        Ok(text)
    }

    /// Whether a passphrase's salt can be used, without the work of using it.
    pub fn check_salt(salt: &Path) -> Result<(), KeyError> {
        if read(salt, OTHERS_AND_GROUP)?.len() < argon2::MIN_SALT_LEN {
            return Err(KeyError::Content { path: salt.to_owned(), problem: "is not a salt" });
        }
        Ok(())
    }

    /// Whether the passphrase of a file is one that a fleet may stand on: at least 12 characters. A shorter one still opens what
    /// it has sealed, so that its fleet can be moved to another key.
    pub fn check_passphrase(file: &Path) -> Result<(), KeyError> {
        if String::from_utf8_lossy(&Self::passphrase(file)?).chars().count() < SHORTEST_PASSPHRASE {
            return Err(KeyError::Content { path: file.to_owned(), problem: TOO_SHORT });
        }
        Ok(())
    }

    /// Seals a secret. It opens only with the same `aad`: say what it is and whose, so that it can't be moved elsewhere.
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut data_key = Zeroizing::new([0; KEY]);
        aws_lc_rs::rand::fill(data_key.as_mut()).map_err(|_| KeyError::Cipher)?;
        let mut out = Vec::with_capacity(HEADER + NONCE + plain.len() + TAG);
        out.push(VERSION);
        out.extend(self.0.id);
        // The wrapping binds purpose and KEK; a new KEK re-wraps this part only (K-6).
        out.extend(encrypt(&self.0.key, &self.wrapping(aad), data_key.as_ref())?);
        out.extend(encrypt(&cipher(&data_key)?, aad, plain)?);
        Ok(out)
    }

    /// Opens what [`Kek::seal`] made.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let (header, body) = sealed.split_at_checked(HEADER).ok_or(KeyError::Tampered)?;
        if header[0] != VERSION {
            return Err(KeyError::Tampered);
        }
        if header[1..=KEK_ID] != self.0.id {
            return Err(KeyError::WrongKek);
        }
        let data_key = decrypt(&self.0.key, &self.wrapping(aad), &header[1 + KEK_ID..])?;
        let data_key: &[u8; KEY] = data_key.as_slice().try_into().map_err(|_| KeyError::Tampered)?;
        decrypt(&cipher(data_key)?, aad, body)
    }

    /// The same secret under another KEK: its data key is wrapped anew, the secret itself stays as it is (K-6). What is under the other one
    /// already is given back unchanged, so that a second run does no harm.
    pub fn rewrap(&self, to: &Self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        if to.open(aad, sealed).is_ok() {
            return Ok(sealed.to_vec());
        }
        self.open(aad, sealed)?;
        let (header, body) = sealed.split_at_checked(HEADER).ok_or(KeyError::Tampered)?;
        let data_key = decrypt(&self.0.key, &self.wrapping(aad), &header[1 + KEK_ID..])?;
        let wrapped = encrypt(&to.0.key, &to.wrapping(aad), &data_key)?;
        Ok([&[VERSION], to.0.id.as_slice(), &wrapped, body].concat())
    }

    fn wrapping(&self, aad: &[u8]) -> Vec<u8> {
        [b"data-key/v1".as_slice(), &self.0.id, aad].concat()
    }
}

fn cipher(key: &[u8; KEY]) -> Result<RandomizedNonceKey, KeyError> {
    RandomizedNonceKey::new(&AES_256_GCM, key).map_err(|_| KeyError::Cipher)
}

/// nonce ‖ ciphertext ‖ tag. The cipher draws its nonces itself, so none can be used twice by mistake.
fn encrypt(key: &RandomizedNonceKey, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut text = plain.to_vec();
    let Ok(nonce) = key.seal_in_place_append_tag(Aad::from(aad), &mut text) else {
        text.zeroize();
        return Err(KeyError::Cipher);
    };
    Ok([nonce.as_ref().as_slice(), &text].concat())
}

fn decrypt(key: &RandomizedNonceKey, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (nonce, text) = sealed.split_at_checked(NONCE).ok_or(KeyError::Tampered)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::Tampered)?;
    let mut text = Zeroizing::new(text.to_vec());
    let length = key.open_in_place(nonce, Aad::from(aad), text.as_mut_slice()).map_err(|_| KeyError::Tampered)?.len();
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_36_a_secret_opens_where_it_belongs_and_nowhere_else() {
        let kek = Kek::new(&[7; 32]).unwrap();
        let sealed = kek.seal(b"ca-key/v1 one", b"secret").unwrap();
        assert_eq!(kek.open(b"ca-key/v1 one", &sealed).unwrap().as_slice(), b"secret");
        assert!(matches!(kek.open(b"ca-key/v1 two", &sealed), Err(KeyError::Tampered)), "swapped between owners (attack list 36)");
        assert!(matches!(Kek::new(&[8; 32]).unwrap().open(b"ca-key/v1 one", &sealed), Err(KeyError::WrongKek)));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(kek.open(b"ca-key/v1 one", &changed).is_err(), "octet {at}");
            assert!(kek.open(b"ca-key/v1 one", &sealed[..at]).is_err(), "cut at {at}");
        }
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
    }

    #[test]
    fn another_kek_opens_what_was_wrapped_for_it() {
        let (old, new) = (Kek::new(&[7; 32]).unwrap(), Kek::new(&[8; 32]).unwrap());
        let sealed = old.seal(b"x", b"secret").unwrap();
        let again = old.rewrap(&new, b"x", &sealed).unwrap();
        assert_eq!(new.open(b"x", &again).unwrap().as_slice(), b"secret");
        assert!(matches!(old.open(b"x", &again), Err(KeyError::WrongKek)));
        assert_eq!(old.rewrap(&new, b"x", &again).unwrap(), again, "a second run changes nothing");
        assert!(matches!(old.rewrap(&new, b"y", &sealed), Err(KeyError::Tampered)));
        assert!(matches!(Kek::new(&[9; 32]).unwrap().rewrap(&new, b"x", &sealed), Err(KeyError::WrongKek)));
    }

    #[test]
    fn a_key_file_is_made_once_and_must_be_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        assert!(matches!(Kek::of_file(&path), Err(KeyError::Missing(_))));
        assert!(!path.exists());
        Kek::make_file(&path, &SeededEntropy::new(1)).unwrap();
        let sealed = Kek::of_file(&path).unwrap().seal(b"x", b"y").unwrap();
        assert!(Kek::make_file(&path, &SeededEntropy::new(2)).is_err());
        assert_eq!(Kek::of_file(&path).unwrap().open(b"x", &sealed).unwrap().as_slice(), b"y");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            assert!(matches!(Kek::of_file(&path), Err(KeyError::Permissions(_))));
            assert!(Kek::of_credential(&path).is_ok(), "a credential's access list shows in its group bits");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(Kek::of_credential(&path), Err(KeyError::Permissions(_))));
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        // Only the superuser can give a file away.
        #[cfg(unix)]
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            let refused = Kek::of_file(&path).unwrap_err();
            assert!(matches!(refused, KeyError::Owner { owner: 12_345, own: 0, .. }), "{refused}");
            assert!(Kek::of_credential(&path).is_err());
            std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        }
        #[cfg(unix)]
        assert_eq!(
            [(0, 0), (0, 7), (7, 7), (7, 0), (7, 8)].map(|(owner, own)| files::foreign(owner, own)),
            [false, false, false, true, true]
        );
        std::fs::write(&path, b"short").unwrap();
        assert!(matches!(Kek::of_file(&path), Err(KeyError::Content { .. })));
    }

    #[test]
    fn a_passphrase_gives_the_same_key_again() {
        let folder = tempfile::tempdir().unwrap();
        let (words, salt) = (folder.path().join("words"), folder.path().join("salt"));
        create(&words, b"correct horse\n").unwrap();
        assert!(matches!(Kek::of_passphrase(&words, &salt), Err(KeyError::Missing(_))));
        Kek::make_salt(&salt, &SeededEntropy::new(1)).unwrap();
        let sealed = Kek::of_passphrase(&words, &salt).unwrap().seal(b"x", b"y").unwrap();
        assert!(Kek::of_passphrase(&words, &salt).unwrap().open(b"x", &sealed).is_ok());
        Kek::check_passphrase(&words).unwrap();
        for (text, enough) in [
            ("1", false),
            ("elevenchars", false),
            ("elevenchars\n", false),
            ("twelve chars", true),
            ("zwölf Zeichen", true),
            ("öööööö", false),
        ] {
            std::fs::write(&words, text).unwrap();
            assert_eq!(Kek::check_passphrase(&words).is_ok(), enough, "{text:?}");
        }
        assert!(Kek::of_passphrase(&words, &salt).is_ok(), "a short one opens what it has sealed");
        std::fs::write(&words, b"wrong horse").unwrap();
        assert!(matches!(Kek::of_passphrase(&words, &salt).unwrap().open(b"x", &sealed), Err(KeyError::WrongKek)));
    }
}
