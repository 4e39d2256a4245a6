//! Pure: why a PKCS#11 token can't be used, in words that say what to do (K-4). Refuses to know sessions; and PINs, which stand in no word.

use cryptoki::error::{Error as TokenError, RvError};
use std::path::PathBuf;

/// Why the token can't be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenTrouble {
    /// The module's file is not there.
    #[error("there is no PKCS#11 module at {0}: give pkcs11_module the library of the token's vendor (SoftHSM's is libsofthsm2.so)")]
    NoModule(PathBuf),
    /// The file is there, and is no module for this machine.
    #[error(
        "loading the PKCS#11 module {path} failed ({why}): see that it is the vendor's PKCS#11 library for this machine's architecture, and \
         that Fleetward's user may read it and what it needs"
    )]
    BadModule {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// No token of this label.
    #[error("no token is labelled {label:?}; {}: give pkcs11_token its label, or see that the token is plugged in and its module finds it (pkcs11-tool --list-slots)", there(.others))]
    NoToken {
        /// The label that was given.
        label: String,
        /// Those there are.
        others: Vec<String>,
    },
    /// The token takes another PIN.
    #[error(
        "the token refuses the PIN: write the user's PIN (not the security officer's) into the file that pkcs11_pin_file names. Each try counts, and a \
         token locks itself after a few, so this one is not tried again before that file is written anew or the server is started again{}",
        if *.last { "; the next wrong one locks it" } else { "" }
    )]
    PinIncorrect {
        /// The token says that one more wrong PIN locks it.
        last: bool,
    },
    /// Too many wrong ones.
    #[error(
        "the token has locked the user's PIN after too many wrong ones: have the security officer set a new one (C_InitPIN; pkcs11-tool --init-pin), and write that into the PIN file: once that is written the server tries it, and not before"
    )]
    PinLocked,
    /// It wants another one.
    #[error(
        "the user's PIN has expired: set a new one (pkcs11-tool --change-pin), and write it into the PIN file: once that is written the server tries it, and not before"
    )]
    PinExpired,
    /// The token was never given one.
    #[error("the token has no user's PIN yet: have the security officer set one (pkcs11-tool --init-pin), and write it into the PIN file")]
    PinNotSet,
    /// The token is there, the key is not.
    #[error(
        "the token {label:?} has no key with the id {id}: it is another token of this label, or its keys were deleted. Restore the token's backup, or give pkcs11_token the label of the one that has the key"
    )]
    NoKey {
        /// The token's label.
        label: String,
        /// What the key is called there.
        id: String,
    },
    /// It was there, and is gone.
    #[error("the token is gone: plug it in, or see that its module reaches it over the network")]
    Gone,
    /// What else a module may say.
    #[error("{0}")]
    Other(String),
}

fn there(others: &[String]) -> String {
    if others.is_empty() { "there is none".to_owned() } else { format!("there are {}", others.join(", ")) }
}

impl TokenTrouble {
    /// What an error of the module means, said while this was done.
    pub(super) fn of(what: &str, error: &TokenError) -> Self {
        use RvError as E;
        match error {
            TokenError::Pkcs11(E::PinIncorrect | E::PinInvalid | E::PinLenRange, _) => Self::PinIncorrect { last: false },
            TokenError::Pkcs11(E::PinLocked, _) => Self::PinLocked,
            TokenError::Pkcs11(E::PinExpired, _) => Self::PinExpired,
            TokenError::Pkcs11(E::UserPinNotInitialized, _) => Self::PinNotSet,
            TokenError::Pkcs11(E::TokenNotPresent | E::DeviceRemoved | E::TokenNotRecognized, _) => Self::Gone,
            other => Self::Other(format!("{what}: {other}")),
        }
    }

    /// Whether it is the PIN that the token does not take: each try of a wrong one brings it nearer to locking itself.
    pub(super) const fn is_about_the_pin(&self) -> bool {
        matches!(self, Self::PinIncorrect { .. } | Self::PinLocked | Self::PinExpired | Self::PinNotSet)
    }

    /// A word for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoModule(_) => "token_module_missing",
            Self::BadModule { .. } => "token_module_bad",
            Self::NoToken { .. } => "token_label_unknown",
            Self::PinIncorrect { .. } => "token_pin_incorrect",
            Self::PinLocked => "token_pin_locked",
            Self::PinExpired => "token_pin_expired",
            Self::PinNotSet => "token_pin_not_set",
            Self::NoKey { .. } => "token_key_missing",
            Self::Gone => "token_gone",
            Self::Other(_) => "token_late",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cryptoki::context::Function;

    #[test]
    fn what_a_token_says_of_its_pin_is_told_apart_with_what_to_do() {
        let of = |error| TokenTrouble::of("logging in", &TokenError::Pkcs11(error, Function::Login));
        for (error, code, does) in [
            (RvError::PinIncorrect, "token_pin_incorrect", "pkcs11_pin_file"),
            (RvError::PinLenRange, "token_pin_incorrect", "pkcs11_pin_file"),
            (RvError::PinLocked, "token_pin_locked", "--init-pin"),
            (RvError::PinExpired, "token_pin_expired", "--change-pin"),
            (RvError::UserPinNotInitialized, "token_pin_not_set", "--init-pin"),
            (RvError::TokenNotPresent, "token_gone", "plug it in"),
            (RvError::HostMemory, "token_late", "logging in"),
        ] {
            let trouble = of(error);
            assert_eq!(trouble.code(), code);
            assert!(trouble.to_string().contains(does), "{trouble}");
            assert_eq!(trouble.is_about_the_pin(), code.contains("_pin_"), "{trouble}");
        }
        assert!(TokenTrouble::PinIncorrect { last: true }.to_string().ends_with("the next wrong one locks it"));
    }

    #[test]
    fn a_wrong_label_is_told_with_those_there_are() {
        let said = |others: &[&str]| {
            TokenTrouble::NoToken { label: "fleet".into(), others: others.iter().map(|label| format!("{label:?}")).collect() }.to_string()
        };
        assert!(said(&["prod", "test"]).contains(r#"no token is labelled "fleet"; there are "prod", "test": give pkcs11_token"#));
        assert!(said(&[]).contains("there is none"));
    }
}
