//! Authorities' keys on a PKCS#11 token (K-4): a hardware security module, or SoftHSM. The key is made on it and never leaves it; we keep the
//! public half. Owns the session; refuses to know what is signed, which is the guard's business (K-3).
//!
//! A session may be lost at any time: the module was restarted, the token was pulled out and put back, its network was gone. Whoever asks next opens
//! another one. Where that fails nothing is signed, and the next who asks tries again.
//!
//! Whoever asks waits on the caller's thread, which the runtime replaces meanwhile: tens of microseconds with SoftHSM, some milliseconds with a module on the
//! network. What is made or signed is asked for with no transaction open (`ahead.rs`), on a thread of its own that is given up after a while (`turns.rs`).

mod curve;
mod trouble;

pub use trouble::TokenTrouble;

use super::{guard, keys::KeyError};
use aws_lc_rs::signature::UnparsedPublicKey;
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11},
    error::{Error as TokenError, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::{Session, SessionState, UserType},
    slot::Slot,
    types::AuthPin,
};
use parking_lot::Mutex;
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use std::{
    collections::HashMap,
    mem::{self, ManuallyDrop},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};
use wire::roots::RootKey;

/// Modules that this process has initialized: each may be once.
static MODULES: LazyLock<Mutex<HashMap<PathBuf, Pkcs11>>> = LazyLock::new(Mutex::default);

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSettings {
    /// The vendor's library.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
    /// A file that holds the user's PIN, readable by its owner only.
    pub pin_file: PathBuf,
}

/// An open session, and the how manieth it is. What handles name is one session's business: in another one the same number may be another key's.
struct Line {
    session: Session,
    number: u64,
    /// Its module has been begun anew since: the session's handle is nobody's, or another session's.
    ended: bool,
}

/// An open token, logged in.
pub(super) struct Token {
    module: Pkcs11,
    label: String,
    pin: AuthPin,
    line: Mutex<Line>,
    /// What was wrong with it when it was asked last.
    trouble: Mutex<Option<TokenTrouble>>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("label", &self.label).finish_non_exhaustive()
    }
}

fn wrong(what: &str) -> impl Fn(TokenError) -> KeyError + '_ {
    move |error| KeyError::Token(TokenTrouble::of(what, &error))
}

/// Whether another session may do what this one could not.
const fn is_lost(error: &TokenError) -> bool {
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

impl Token {
    /// Opens the token and logs in.
    pub fn open(settings: &TokenSettings) -> Result<Arc<Self>, KeyError> {
        let module = module(&settings.module)?;
        let slot = slot(&module, &settings.label).map_err(wrong("listing the slots"))?;
        let slot = slot.ok_or_else(|| KeyError::Token(no_token(&module, &settings.label)))?;
        let pin = super::keys::Kek::passphrase(&settings.pin_file)?;
        let pin = String::from_utf8(pin.to_vec())
            .map_err(|_| KeyError::Content { path: settings.pin_file.clone(), problem: "does not hold a PIN in UTF-8" })?;
        let pin = AuthPin::new(pin.into());
        let session = module.open_rw_session(slot).map_err(wrong("opening a session"))?;
        log_in(&session, &pin).map_err(|error| KeyError::Token(refused(&module, slot, &error)))?;
        let line = Mutex::new(Line { session, number: 0, ended: false });
        Ok(Arc::new(Self { module, label: settings.label.clone(), pin, line, trouble: Mutex::default() }))
    }

    /// Makes a key on this curve under this name. It can't be read or copied from the token.
    pub fn generate(self: &Arc<Self>, name: &str, curve: RootKey) -> Result<TokenKey, KeyError> {
        let named = [Attribute::Token(true), Attribute::Id(name.as_bytes().to_vec()), Attribute::Label(name.as_bytes().to_vec())];
        let public = [Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(curve::parameters(curve).to_vec())];
        let private = [Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Sign(true)];
        let (public, private) = ([&named[..], &public].concat(), [&named[..], &private].concat());
        self.ready().map_err(wrong("making a key"))?;
        // Not by way of `with`, which may ask twice: there would be two of this name.
        let made = elsewhere(|| self.line.lock().session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private));
        made.map_err(wrong("making a key"))?;
        self.find(name)?.ok_or_else(|| KeyError::Token(self.no_key(name)))
    }

    /// The key of this name; none when the token has none.
    pub fn find(self: &Arc<Self>, name: &str) -> Result<Option<TokenKey>, KeyError> {
        // Who is not logged in is shown no private key, and told nothing of it.
        self.ready().map_err(wrong("looking for a key"))?;
        let found = self.with(|line| {
            let private = object(&line.session, ObjectClass::PRIVATE_KEY, name)?;
            let public = object(&line.session, ObjectClass::PUBLIC_KEY, name)?;
            let (Some(private), Some(public)) = (private, public) else { return Ok(None) };
            let attributes = line.session.get_attributes(public, &[AttributeType::EcParams, AttributeType::EcPoint])?;
            Ok(Some(((line.number, private), attributes)))
        });
        let Some((private, attributes)) = found.map_err(wrong("looking for a key"))? else { return Ok(None) };
        let (mut curve, mut point) = (None, None);
        for attribute in attributes {
            match attribute {
                Attribute::EcParams(parameters) => curve = curve::named(&parameters),
                Attribute::EcPoint(found) => point = Some(found),
                _ => {}
            }
        }
        let read = curve.zip(point).and_then(|(curve, point)| Some((curve, curve::unwrapped(curve, &point)?)));
        let (curve, point) =
            read.ok_or_else(|| KeyError::Token(TokenTrouble::Other(format!("the key {name} on the token is not a P-256 or P-384 key"))))?;
        Ok(Some(TokenKey { token: Arc::clone(self), name: name.to_owned(), private: Mutex::new(private), curve, point }))
    }

    /// Destroys the key of this name, both its halves; so that there is none afterwards, if there was one or not.
    pub fn destroy(&self, name: &str) -> Result<(), KeyError> {
        self.ready().map_err(wrong("destroying a key"))?;
        let destroyed = elsewhere(|| {
            self.with(|line| {
                for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
                    while let Some(found) = object(&line.session, class, name)? {
                        line.session.destroy_object(found)?;
                    }
                }
                Ok(())
            })
        });
        destroyed.map_err(wrong("destroying a key"))
    }

    /// Its label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// That it is there, and has no key of this name.
    pub fn no_key(&self, name: &str) -> TokenTrouble {
        TokenTrouble::NoKey { label: self.label.clone(), id: name.to_owned() }
    }

    /// What was wrong with it when it was asked last; none when it answered.
    pub fn trouble(&self) -> Option<TokenTrouble> {
        self.trouble.lock().clone()
    }

    /// Asks it whether it would sign. A PIN that it refuses is not tried again for this: each try may be the last. Nor does that it answers bring
    /// back a key that it lacks; what is signed next tells.
    pub fn look(&self) {
        if !self.trouble.lock().as_ref().is_some_and(TokenTrouble::waits_for_a_person) {
            // What is wrong is kept, and was logged.
            let _ = self.ready();
        }
    }

    /// Asks the token; once more on a new session when the old one was lost. What it comes to is kept for whoever asks how the token does.
    fn with<T>(&self, ask: impl Fn(&Line) -> Result<T, TokenError>) -> Result<T, TokenError> {
        let answer = self.with_line(ask);
        let now = answer.as_ref().err().map(|error| TokenTrouble::of("asking the token", error));
        let before = mem::replace(&mut *self.trouble.lock(), now.clone());
        match (before, now) {
            (None, Some(trouble)) => tracing::error!(%trouble, token = self.label, "the token signs nothing"),
            (Some(_), None) => tracing::info!(token = self.label, "the token signs again"),
            _ => {}
        }
        answer
    }

    fn with_line<T>(&self, ask: impl Fn(&Line) -> Result<T, TokenError>) -> Result<T, TokenError> {
        let mut line = self.line.lock();
        match ask(&line) {
            Err(error) if is_lost(&error) => {
                tracing::warn!(%error, token = self.label, "the token's session is lost; opening another one");
                self.renew(&mut line)?;
                ask(&line)
            }
            answer => answer,
        }
    }

    /// Sees to a session that is logged in.
    fn ready(&self) -> Result<(), TokenError> {
        self.with(|line| match line.session.get_session_info()?.session_state() {
            SessionState::RwUser => Ok(()),
            _ => Err(TokenError::Pkcs11(RvError::UserNotLoggedIn, Function::GetSessionInfo)),
        })
    }

    /// A new session. The token may have come back in another slot, and its module anew.
    fn renew(&self, line: &mut Line) -> Result<(), TokenError> {
        initialize(&self.module)?;
        let mut found = slot(&self.module, &self.label)?;
        if found.is_none() {
            // There are modules that look for tokens only as they begin. All of this process' sessions end with it; other tokens find that out.
            self.module.clone().finalize()?;
            line.ended = true;
            initialize(&self.module)?;
            found = slot(&self.module, &self.label)?;
        }
        let slot = found.ok_or(TokenError::Pkcs11(RvError::TokenNotPresent, Function::GetSlotList))?;
        let session = self.module.open_rw_session(slot)?;
        log_in(&session, &self.pin)?;
        let number = line.number + 1;
        let before = mem::replace(line, Line { session, number, ended: false });
        if before.ended {
            // To close it might close the new one.
            let _ = ManuallyDrop::new(before.session);
        }
        Ok(())
    }
}

#[cfg(test)]
impl Token {
    const ANOTHER: &'static str = "12344321";

    /// How many objects are on it: two to a key.
    pub fn objects(&self) -> Result<usize, TokenError> {
        self.ready()?;
        Ok(self.line.lock().session.find_objects(&[Attribute::Token(true)])?.len())
    }

    /// Ends what this process has with it, as a module that was restarted does: nobody is logged in, and no handle of a private key means anything.
    pub fn forget_us(&self) -> Result<(), TokenError> {
        self.line.lock().session.logout()
    }

    /// The same, and it takes nobody in again.
    pub fn lock_us_out(&self) -> Result<(), TokenError> {
        self.line.lock().session.set_pin(&self.pin, &AuthPin::new(Self::ANOTHER.into()))?;
        self.forget_us()
    }

    /// Takes us in again, when it is asked next.
    pub fn let_us_in(&self) -> Result<(), TokenError> {
        let another = AuthPin::new(Self::ANOTHER.into());
        let line = self.line.lock();
        line.session.login(UserType::User, Some(&another))?;
        line.session.set_pin(&another, &self.pin)?;
        line.session.logout()
    }
}

/// The module, initialized.
fn module(path: &Path) -> Result<Pkcs11, KeyError> {
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

fn initialize(module: &Pkcs11) -> Result<(), TokenError> {
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(TokenError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        other => other,
    }
}

/// That there is no token of this label, and which there are.
fn no_token(module: &Pkcs11, label: &str) -> TokenTrouble {
    let slots = module.get_slots_with_token().unwrap_or_default();
    let labels = slots.into_iter().filter_map(|slot| Some(module.get_token_info(slot).ok()?.label().trim_end().to_owned()));
    let others = labels.filter(|label| !label.is_empty()).map(|label| format!("{label:?}")).collect();
    TokenTrouble::NoToken { label: label.to_owned(), others }
}

/// Why it takes nobody in. Some modules call a PIN wrong that is locked, and the token's flags tell.
fn refused(module: &Pkcs11, slot: Slot, error: &TokenError) -> TokenTrouble {
    match (TokenTrouble::of("logging in to the token", error), module.get_token_info(slot)) {
        (TokenTrouble::PinIncorrect { .. }, Ok(info)) if info.user_pin_locked() => TokenTrouble::PinLocked,
        (TokenTrouble::PinIncorrect { .. }, Ok(info)) => TokenTrouble::PinIncorrect { last: info.user_pin_final_try() },
        (trouble, _) => trouble,
    }
}

/// Where the token with this label is.
fn slot(module: &Pkcs11, label: &str) -> Result<Option<Slot>, TokenError> {
    let named = |slot: &Slot| module.get_token_info(*slot).is_ok_and(|info| info.label().trim_end() == label);
    Ok(module.get_slots_with_token()?.into_iter().find(named))
}

/// Sessions of one process are logged in together.
fn log_in(session: &Session, pin: &AuthPin) -> Result<(), TokenError> {
    match session.login(UserType::User, Some(pin)) {
        Err(TokenError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        other => other,
    }
}

/// The object of this class and name.
fn object(session: &Session, class: ObjectClass, name: &str) -> Result<Option<ObjectHandle>, TokenError> {
    let template = [Attribute::Class(class), Attribute::Id(name.as_bytes().to_vec())];
    Ok(session.find_objects(&template)?.into_iter().next())
}

/// Lets the runtime's other tasks go on while a token thinks; where there is but one thread they wait.
fn elsewhere<T>(ask: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(ask),
        _ => ask(),
    }
}

/// A private key on a token.
pub(super) struct TokenKey {
    token: Arc<Token>,
    name: String,
    /// Its handle, and in which session.
    private: Mutex<(u64, ObjectHandle)>,
    curve: RootKey,
    point: Vec<u8>,
}

impl TokenKey {
    /// r and s.
    fn raw(&self, digest: &[u8]) -> Result<Vec<u8>, TokenError> {
        let signed = elsewhere(|| self.token.with(|line| line.session.sign(&Mechanism::Ecdsa, self.handle(line)?, digest)));
        if matches!(signed, Err(TokenError::Pkcs11(RvError::KeyHandleInvalid, Function::FindObjects))) {
            *self.token.trouble.lock() = Some(self.token.no_key(&self.name));
        }
        signed
    }

    /// Its handle in this session.
    fn handle(&self, line: &Line) -> Result<ObjectHandle, TokenError> {
        let mut known = self.private.lock();
        if known.0 != line.number {
            let found = object(&line.session, ObjectClass::PRIVATE_KEY, &self.name)?;
            *known = (line.number, found.ok_or(TokenError::Pkcs11(RvError::KeyHandleInvalid, Function::FindObjects))?);
        }
        Ok(known.1)
    }
}

impl PublicKeyData for TokenKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        guard::algorithm(self.curve)
    }
}

impl SigningKey for TokenKey {
    /// [`rcgen::Error::RemoteKeyError`] is the token's alone: it does not sign now, and may later.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        // CKM_ECDSA takes the digest and gives r and s.
        let raw = self.raw(curve::digest(self.curve, message).as_ref()).map_err(|error| {
            tracing::error!(%error, key = self.name, token = self.token.label, "the token did not sign");
            rcgen::Error::RemoteKeyError
        })?;
        let signed = curve::signature(self.curve, &raw)
            .filter(|signed| UnparsedPublicKey::new(guard::verifier(self.curve), &self.point).verify(message, signed).is_ok());
        // What is signed with another key, or damaged on its way, would be believed by nobody, and noticed in the field.
        signed.ok_or_else(|| {
            tracing::error!(key = self.name, token = self.token.label, "what the token signed is not this key's");
            rcgen::Error::RemoteKeyError
        })
    }
}
