//! The vendor's library: begun once a process, asked for the token with a label, and taken at its word when it takes nobody in. Refuses to know what a
//! session is used for.

use super::{super::keys::KeyError, TokenSettings, TokenTrouble};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error as TokenError, RvError},
    object::{Attribute, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

/// Modules that this process has initialized: each may be once.
static MODULES: LazyLock<Mutex<HashMap<PathBuf, Pkcs11>>> = LazyLock::new(Mutex::default);

pub(super) fn wrong(what: &str) -> impl Fn(TokenError) -> KeyError + '_ {
    move |error| KeyError::Token(TokenTrouble::of(what, &error))
}

/// Whether another session may do what this one could not.
pub(super) const fn is_lost(error: &TokenError) -> bool {
    use RvError as E;
    matches!(
        error,
        TokenError::Pkcs11(
            E::SessionHandleInvalid
                | E::SessionClosed
                | E::DeviceError
                | E::DeviceRemoved
                | E::TokenNotPresent
                | E::TokenNotRecognized
                | E::UserNotLoggedIn
                | E::KeyHandleInvalid
                | E::ObjectHandleInvalid
                | E::CryptokiNotInitialized
                // What modules say of a network that was gone for a moment.
                | E::GeneralError
                | E::FunctionFailed,
            _
        )
    )
}

/// Whether it is about one key, said by a token that does answer.
pub(super) const fn is_of_one_key(error: &TokenError) -> bool {
    matches!(error, TokenError::Pkcs11(RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid | RvError::ActionProhibited, _))
}

/// The module, initialized.
pub(super) fn load(path: &Path) -> Result<Pkcs11, KeyError> {
    let mut all = MODULES.lock();
    if let Some(known) = all.get(path) {
        return Ok(known.clone());
    }
    // A bare name is looked for where the system keeps its libraries, so that the file is not here says nothing by itself.
    let bad = |error: TokenError| {
        KeyError::Token(if path.exists() {
            TokenTrouble::BadModule { path: path.to_owned(), why: error.to_string() }
        } else {
            TokenTrouble::NoModule(path.to_owned())
        })
    };
    let module = Pkcs11::new(path).map_err(bad)?;
    initialize(&module).map_err(wrong("initializing the PKCS#11 module"))?;
    all.insert(path.to_owned(), module.clone());
    Ok(module)
}

pub(super) fn initialize(module: &Pkcs11) -> Result<(), TokenError> {
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(TokenError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        other => other,
    }
}

/// Where the token is that these settings name.
pub(super) fn slot_of(module: &Pkcs11, settings: &TokenSettings) -> Result<Slot, KeyError> {
    let found = slot(module, &settings.label).map_err(wrong("listing the slots"))?;
    found.ok_or_else(|| KeyError::Token(no_token(module, &settings.label)))
}

/// Where the token with this label is.
pub(super) fn slot(module: &Pkcs11, label: &str) -> Result<Option<Slot>, TokenError> {
    let named = |slot: &Slot| module.get_token_info(*slot).is_ok_and(|info| info.label().trim_end() == label);
    Ok(module.get_slots_with_token()?.into_iter().find(named))
}

/// That there is no token of this label, and which there are.
fn no_token(module: &Pkcs11, label: &str) -> TokenTrouble {
    let slots = module.get_slots_with_token().unwrap_or_default();
    let labels = slots.into_iter().filter_map(|slot| Some(module.get_token_info(slot).ok()?.label().trim_end().to_owned()));
    let others = labels.filter(|label| !label.is_empty()).map(|label| format!("{label:?}")).collect();
    TokenTrouble::NoToken { label: label.to_owned(), others }
}

/// Logs in. Sessions of one process are logged in together.
pub(super) fn log_in(module: &Pkcs11, slot: Slot, session: &Session, pin: &AuthPin) -> Result<(), TokenTrouble> {
    match session.login(UserType::User, Some(pin)) {
        Ok(()) | Err(TokenError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(error) => Err(refused(module, slot, &error)),
    }
}

/// Why it takes nobody in. Some modules call a PIN wrong that is locked, and the token's flags tell.
fn refused(module: &Pkcs11, slot: Slot, error: &TokenError) -> TokenTrouble {
    match (TokenTrouble::of("logging in to the token", error), module.get_token_info(slot)) {
        (TokenTrouble::PinIncorrect { .. }, Ok(info)) if info.user_pin_locked() => TokenTrouble::PinLocked,
        (TokenTrouble::PinIncorrect { .. }, Ok(info)) => TokenTrouble::PinIncorrect { last: info.user_pin_final_try() },
        (trouble, _) => trouble,
    }
}

/// The object of this class and name.
pub(super) fn object(session: &Session, class: ObjectClass, name: &str) -> Result<Option<ObjectHandle>, TokenError> {
    let template = [Attribute::Class(class), Attribute::Id(name.as_bytes().to_vec())];
    Ok(session.find_objects(&template)?.into_iter().next())
}
