//! How keys that were made here leave: in an archive that is encrypted as it grows (age, age-encryption.org/v1), for a recipient whose key is elsewhere or
//! under a passphrase. Nothing of it is in clear beyond the file that is being written.

use super::{super::Error, archive::Archive};
use age::{
    Encryptor,
    secrecy::{ExposeSecret as _, SecretString},
    stream::StreamWriter,
    x25519,
};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    io::{self, Write},
    iter,
    sync::Arc,
};
use wire::Timestamp;

/// Fewest characters of a passphrase: what it protects is copied around, and guessed at by whoever finds it.
const SHORTEST: usize = 12;

/// For whom an archive is encrypted.
#[derive(Clone)]
pub enum Seal {
    /// For the holder of the key to this recipient, `age1…`.
    Recipient(x25519::Recipient),
    /// For whoever knows the passphrase.
    Passphrase(SecretString),
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Seal {
    /// By what a person gives: exactly one of the two.
    pub fn of(recipient: &str, passphrase: &str) -> Result<Self, Error> {
        match (recipient.trim(), passphrase) {
            ("", "") => Err(Error::invalid("recipient", "Give an age recipient (age1…) or a passphrase: keys do not leave unencrypted.")),
            ("", passphrase) if passphrase.chars().count() < SHORTEST => Err(Error::invalid(
                "passphrase",
                "A passphrase has at least 12 characters. Better: an age recipient, whose key is never sent.",
            )),
            ("", passphrase) => Ok(Self::Passphrase(SecretString::from(passphrase.to_owned()))),
            (recipient, "") => match recipient.parse() {
                Ok(recipient) => Ok(Self::Recipient(recipient)),
                Err(_) => {
                    Err(Error::invalid("recipient", "This is no age recipient: one begins with age1 and is the public line of age-keygen."))
                }
            },
            _ => Err(Error::invalid("recipient", "Give either a recipient or a passphrase: an archive is for one of them.")),
        }
    }

    /// In a word.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Recipient(_) => "recipient",
            Self::Passphrase(_) => "passphrase",
        }
    }

    /// An archive under this seal. Takes a second of the processor with a passphrase: not for a task of the runtime.
    pub(super) fn archive(&self, at: Timestamp) -> io::Result<(SealedArchive, Outbox)> {
        let outbox = Outbox::default();
        let encryptor = match self {
            Self::Recipient(recipient) => Encryptor::with_recipients(iter::once(recipient as _)).map_err(io::Error::other)?,
            Self::Passphrase(words) => Encryptor::with_user_passphrase(SecretString::from(words.expose_secret().to_owned())),
        };
        let writer = encryptor.wrap_output(outbox.clone())?;
        Ok((SealedArchive(Archive::onto(writer, at)), outbox))
    }
}

/// A zip archive that is encrypted while it grows.
pub(super) struct SealedArchive(pub(super) Archive<zip::write::StreamWriter<StreamWriter<Outbox>>>);

impl SealedArchive {
    /// Writes the end of the archive and of the encryption, without which nothing of the last piece can be read.
    pub(super) fn end(self) -> io::Result<()> {
        self.0.end()?.finish().map(drop)
    }
}

/// What is encrypted and waits to be sent.
#[derive(Clone, Default)]
pub(super) struct Outbox(Arc<Mutex<Vec<u8>>>);

impl Outbox {
    /// All there is; it is gone from here then.
    pub(super) fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock()).into()
    }
}

impl Write for Outbox {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::START;
    use std::io::Read as _;

    #[test]
    fn e_8_an_archive_opens_for_its_recipient_alone() {
        let (holder, stranger) = (x25519::Identity::generate(), x25519::Identity::generate());
        let seal = Seal::of(&format!(" {} ", holder.to_public()), "").unwrap();
        let (mut archive, outbox) = seal.archive(START).unwrap();
        archive.0.add("keys/gw-1.pem", b"a private key").unwrap();
        archive.end().unwrap();
        let sealed = outbox.take();
        assert!(!sealed.windows(9).any(|w| w == b"a private") && !sealed.windows(4).any(|w| w == b"gw-1"), "nothing is in clear");
        assert!(age::decrypt(&stranger, &sealed).is_err());
        let opened = age::decrypt(&holder, &sealed).unwrap();
        let mut zip = zip::ZipArchive::new(io::Cursor::new(opened)).unwrap();
        let mut text = String::new();
        zip.by_name("keys/gw-1.pem").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a private key");
    }

    #[test]
    fn e_8_a_seal_is_one_of_two_and_no_weak_one() {
        let recipient = x25519::Identity::generate().to_public().to_string();
        for (recipient, passphrase, field) in [
            ("", "", "recipient"),
            ("age1nonsense", "", "recipient"),
            (recipient.as_str(), "correct horse battery", "recipient"),
            ("", "eleven char", "passphrase"),
        ] {
            let Err(Error::Invalid { field: at, .. }) = Seal::of(recipient, passphrase) else { panic!("{recipient:?} {passphrase:?}") };
            assert_eq!(at, field);
        }
        let words = Seal::of("", "correct horse battery").unwrap();
        assert_eq!(format!("{words:?}"), "passphrase");
    }
}
