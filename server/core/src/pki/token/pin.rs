//! The user's PIN: read from its file, and not given to the token again once that has refused it, until the file has changed. Each try may be the last one
//! before a token locks itself. Refuses to know sessions.

use super::{
    super::keys::{Kek, KeyError},
    TokenTrouble,
};
use cryptoki::types::AuthPin;
use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};
use zeroize::Zeroizing;

/// A PIN, and what has become of it.
pub(super) struct Pin {
    file: PathBuf,
    text: Zeroizing<String>,
    /// When its file was written.
    written: Option<SystemTime>,
    /// What the token said when it refused it.
    refused: Option<TokenTrouble>,
}

impl Pin {
    /// The PIN of this file.
    pub fn read(file: &Path) -> Result<Self, KeyError> {
        // Before it is read: what is written in between is another one to whoever looks next.
        let written = std::fs::metadata(file).and_then(|about| about.modified()).ok();
        let text = String::from_utf8(Kek::passphrase(file)?.to_vec())
            .map_err(|_| KeyError::Content { path: file.to_owned(), problem: "does not hold a PIN in UTF-8" })?;
        Ok(Self { file: file.to_owned(), text: Zeroizing::new(text), written, refused: None })
    }

    /// As the token takes it.
    pub fn shown(&self) -> AuthPin {
        AuthPin::new(self.text.as_str().into())
    }

    /// What the token says of it.
    pub fn judged(&mut self, outcome: &Result<(), TokenTrouble>) {
        self.refused = outcome.as_ref().err().filter(|trouble| trouble.is_about_the_pin()).cloned();
    }

    /// Why it must not be tried: it was refused, and its file has not been written since. Whoever has the token take the same one again writes the file
    /// anew.
    pub fn refusal(&mut self) -> Option<TokenTrouble> {
        let trouble = self.refused.clone()?;
        match Self::read(&self.file) {
            Ok(now) if now.written != self.written || *now.text != *self.text => {
                *self = now;
                None
            }
            _ => Some(trouble),
        }
    }
}

#[cfg(test)]
impl Pin {
    /// Writes the same one into its file.
    pub fn write_again(&self) {
        std::fs::write(&self.file, format!("{}\n", *self.text)).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

    #[test]
    fn a_pin_that_was_refused_is_tried_again_when_its_file_has_changed_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pin");
        fs::write(&file, "1234\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let at = |seconds| {
            fs::File::options().write(true).open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        };
        at(1).unwrap();
        let mut pin = Pin::read(&file).unwrap();
        assert_eq!(pin.refusal(), None);
        pin.judged(&Err(TokenTrouble::Gone));
        assert_eq!(pin.refusal(), None, "a token that is gone says nothing of a PIN");

        let wrong = TokenTrouble::PinIncorrect { last: true };
        pin.judged(&Err(wrong.clone()));
        for _ in 0..3 {
            assert_eq!(pin.refusal(), Some(wrong.clone()));
        }
        fs::rename(&file, folder.path().join("away")).unwrap();
        assert_eq!(pin.refusal(), Some(wrong.clone()), "nor when it is gone");
        fs::rename(folder.path().join("away"), &file).unwrap();
        assert_eq!(pin.refusal(), Some(wrong.clone()));

        fs::write(&file, "5678\n").unwrap();
        at(1).unwrap();
        assert_eq!(pin.refusal(), None, "another one");
        pin.judged(&Err(wrong.clone()));
        assert_eq!(pin.refusal(), Some(wrong.clone()));
        at(2).unwrap();
        assert_eq!(pin.refusal(), None, "the same one, written again");
        pin.judged(&Err(wrong));
        pin.judged(&Ok(()));
        assert_eq!(pin.refusal(), None);
    }
}
