//! Authorities' keys on a PKCS#11 token (K-4): a hardware security module, or SoftHSM. The key is made on it and never leaves it; we keep the
//! public half. Owns the session; refuses to know what is signed, which is the guard's business (K-3).
//!
//! A session may be lost at any time: the module was restarted, the token was pulled out and put back, its network was gone. Whoever asks next opens
//! another one. Where that fails nothing is signed, and the next who asks tries again; but never with a PIN that was refused (`token/pin.rs`).
//!
//! Whoever asks waits on the caller's thread, which the runtime replaces meanwhile: tens of microseconds with SoftHSM, some milliseconds with a module on the
//! network. What is made or signed is asked for with no transaction open (`ahead.rs`), on a thread of its own that is given up after a while (`turns.rs`).

mod curve;
mod key;
mod module;
mod pin;
#[cfg(test)]
mod trials;
mod trouble;

pub(super) use key::TokenKey;
pub use trouble::TokenTrouble;

use super::keys::KeyError;
use cryptoki::{
    context::{Function, Pkcs11},
    error::{Error as TokenError, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, ObjectClass},
    session::{Session, SessionState},
    slot::Slot,
};
use module::{is_lost, object, wrong};
use parking_lot::Mutex;
use pin::Pin;
use serde::{Deserialize, Serialize};
#[cfg(test)]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{
    cell::Cell,
    collections::BTreeSet,
    mem::{self, ManuallyDrop},
    path::PathBuf,
    sync::Arc,
};
use wire::roots::RootKey;

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSettings {
    /// The vendor's library.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
    /// A file that holds the user's PIN, readable by its owner only.
    pub pin_file: PathBuf,
}

impl TokenSettings {
    /// Whether the token answers and takes the PIN, which is given to it once: a wrong one counts.
    pub fn answers(&self) -> Result<(), KeyError> {
        Token::open(self).map(drop)
    }
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
    pin: Mutex<Pin>,
    line: Mutex<Line>,
    /// What was wrong with all of it when it was asked last.
    trouble: Mutex<Option<TokenTrouble>>,
    /// Keys that it was to sign with, and does not have.
    missing: Mutex<BTreeSet<String>>,
    #[cfg(test)]
    logins: AtomicUsize,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("label", &self.label).finish_non_exhaustive()
    }
}

/// What became of a key that was to be destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destroyed {
    /// It was there, and is no more.
    Gone,
    /// There was none.
    None,
    /// The token does not let it be destroyed (`CKA_DESTROYABLE`).
    Kept,
}

/// Why the token did not do what it was asked.
struct Failure {
    trouble: TokenTrouble,
    /// It would do nothing else either.
    whole: bool,
}

impl Token {
    /// Opens the token and logs in.
    pub fn open(settings: &TokenSettings) -> Result<Arc<Self>, KeyError> {
        let module = module::load(&settings.module)?;
        let slot = module::slot_of(&module, settings)?;
        let pin = Pin::read(&settings.pin_file)?;
        let session = module.open_rw_session(slot).map_err(wrong("opening a session"))?;
        module::log_in(&module, slot, &session, &pin.shown()).map_err(KeyError::Token)?;
        Ok(Arc::new(Self {
            module,
            label: settings.label.clone(),
            pin: Mutex::new(pin),
            line: Mutex::new(Line { session, number: 0, ended: false }),
            trouble: Mutex::default(),
            missing: Mutex::default(),
            #[cfg(test)]
            logins: AtomicUsize::default(),
        }))
    }

    /// Makes a key on this curve under this name. It can't be read or copied from the token.
    pub fn generate(self: &Arc<Self>, name: &str, curve: RootKey) -> Result<TokenKey, KeyError> {
        let named = [Attribute::Token(true), Attribute::Id(name.as_bytes().to_vec()), Attribute::Label(name.as_bytes().to_vec())];
        let public = [Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(curve::parameters(curve).to_vec())];
        let private = [Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Sign(true)];
        let (public, private) = ([&named[..], &public].concat(), [&named[..], &private].concat());
        self.ready("making a key")?;
        // Not by way of `with`, which may ask twice: there would be two of this name.
        let made = elsewhere(|| self.line.lock().session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private));
        made.map_err(wrong("making a key"))?;
        self.find(name)?.ok_or_else(|| KeyError::Token(self.no_key(name)))
    }

    /// The key of this name; none when the token has none.
    pub fn find(self: &Arc<Self>, name: &str) -> Result<Option<TokenKey>, KeyError> {
        const DOING: &str = "looking for a key";
        // Who is not logged in is shown no private key, and told nothing of it.
        elsewhere(|| self.ready(DOING))?;
        let found = elsewhere(|| {
            self.with(DOING, |line| {
                let private = object(&line.session, ObjectClass::PRIVATE_KEY, name)?;
                let public = object(&line.session, ObjectClass::PUBLIC_KEY, name)?;
                let (Some(private), Some(public)) = (private, public) else { return Ok(None) };
                let attributes = line.session.get_attributes(public, &[AttributeType::EcParams, AttributeType::EcPoint])?;
                Ok(Some(((line.number, private), attributes)))
            })
        });
        let Some((private, attributes)) = found.map_err(KeyError::Token)? else { return Ok(None) };
        let (mut curve, mut point) = (None, None);
        for attribute in attributes {
            match attribute {
                Attribute::EcParams(parameters) => curve = curve::named(&parameters),
                Attribute::EcPoint(found) => point = Some(found),
                _ => {}
            }
        }
        let read = curve.zip(point).and_then(|(curve, point)| Some((curve, curve::unwrapped(curve, &point)?)));
        let public =
            read.ok_or_else(|| KeyError::Token(TokenTrouble::Other(format!("the key {name} on the token is not a P-256 or P-384 key"))))?;
        self.has(name);
        Ok(Some(TokenKey::new(self, name, private, public)))
    }

    /// Destroys the key of this name, both its halves, and says whether there was one.
    pub fn destroy(&self, name: &str) -> Result<Destroyed, KeyError> {
        const DOING: &str = "destroying a key";
        self.ready(DOING)?;
        // Also what was destroyed in a session that was lost then.
        let gone = Cell::new(false);
        let kept = elsewhere(|| {
            self.with(DOING, |line| {
                for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
                    while let Some(found) = object(&line.session, class, name)? {
                        match line.session.destroy_object(found) {
                            Err(TokenError::Pkcs11(RvError::ActionProhibited, _)) => return Ok(true),
                            other => other?,
                        }
                        gone.set(true);
                    }
                }
                Ok(false)
            })
        });
        Ok(match (kept.map_err(KeyError::Token)?, gone.get()) {
            (true, _) => Destroyed::Kept,
            (false, true) => Destroyed::Gone,
            (false, false) => Destroyed::None,
        })
    }

    /// Its label.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// That it is there, and has no key of this name.
    pub fn no_key(&self, name: &str) -> TokenTrouble {
        TokenTrouble::NoKey { label: self.label.clone(), id: name.to_owned() }
    }

    /// What was wrong with all of it when it was asked last; none when it answered.
    pub fn trouble(&self) -> Option<TokenTrouble> {
        self.trouble.lock().clone()
    }

    /// Whether it was to sign with the key of this name, and did not have it. Another key's success says nothing of this one.
    pub fn lacks(&self, name: &str) -> bool {
        self.missing.lock().contains(name)
    }

    /// Why it is not asked for anything: it has refused the PIN, and there is no other one to give it.
    pub fn refusal(&self) -> Option<TokenTrouble> {
        self.pin.lock().refusal()
    }

    /// Asks it whether it would sign, and for keys that it lacked; whether it answers.
    pub fn look(&self) -> bool {
        // What is wrong is kept, and was logged.
        if self.ready("looking at the token").is_err() {
            return false;
        }
        let missing: Vec<String> = self.missing.lock().iter().cloned().collect();
        for name in missing {
            let found = self.with("looking for a key", |line| object(&line.session, ObjectClass::PRIVATE_KEY, &name));
            if matches!(found, Ok(Some(_))) {
                self.has(&name);
            }
        }
        true
    }

    fn has(&self, name: &str) {
        if self.missing.lock().remove(name) {
            tracing::info!(key = name, token = self.label, "the token has the key again");
        }
    }

    fn has_not(&self, name: &str) {
        if self.missing.lock().insert(name.to_owned()) {
            tracing::error!(token = self.label, "{}", self.no_key(name));
        }
    }

    /// Asks the token; once more on a new session when the old one was lost. What it comes to is kept for whoever asks how the token does.
    fn with<T>(&self, what: &str, ask: impl Fn(&Line) -> Result<T, TokenError>) -> Result<T, TokenTrouble> {
        let answer = self.with_line(what, ask);
        let now = answer.as_ref().err().filter(|failure| failure.whole).map(|failure| failure.trouble.clone());
        let before = mem::replace(&mut *self.trouble.lock(), now.clone());
        match (before, now) {
            (None, Some(trouble)) => tracing::error!(%trouble, token = self.label, "the token signs nothing"),
            (Some(_), None) => tracing::info!(token = self.label, "the token signs again"),
            _ => {}
        }
        answer.map_err(|failure| failure.trouble)
    }

    fn with_line<T>(&self, what: &str, ask: impl Fn(&Line) -> Result<T, TokenError>) -> Result<T, Failure> {
        let said = |error: TokenError| Failure { trouble: TokenTrouble::of(what, &error), whole: !module::is_of_one_key(&error) };
        let mut line = self.line.lock();
        match ask(&line) {
            Err(error) if is_lost(&error) => {
                self.renew(&mut line, &error).map_err(|trouble| Failure { trouble, whole: true })?;
                ask(&line).map_err(said)
            }
            answer => answer.map_err(said),
        }
    }

    /// Sees to a session that is logged in.
    fn ready(&self, what: &str) -> Result<(), KeyError> {
        let asked = self.with(what, |line| match line.session.get_session_info()?.session_state() {
            SessionState::RwUser => Ok(()),
            _ => Err(TokenError::Pkcs11(RvError::UserNotLoggedIn, Function::GetSessionInfo)),
        });
        asked.map_err(KeyError::Token)
    }

    /// A new session. The token may have come back in another slot, and its module anew.
    fn renew(&self, line: &mut Line, lost: &TokenError) -> Result<(), TokenTrouble> {
        if let Some(trouble) = self.refusal() {
            return Err(trouble);
        }
        tracing::warn!(error = %lost, token = self.label, "the token's session is lost; opening another one");
        let said = |error: TokenError| TokenTrouble::of("opening a session", &error);
        module::initialize(&self.module).map_err(said)?;
        let mut found = module::slot(&self.module, &self.label).map_err(said)?;
        if found.is_none() {
            // There are modules that look for tokens only as they begin. All of this process' sessions end with it; other tokens find that out.
            self.module.clone().finalize().map_err(said)?;
            line.ended = true;
            module::initialize(&self.module).map_err(said)?;
            found = module::slot(&self.module, &self.label).map_err(said)?;
        }
        let slot = found.ok_or(TokenTrouble::Gone)?;
        let session = self.module.open_rw_session(slot).map_err(said)?;
        self.log_in(slot, &session)?;
        let number = line.number + 1;
        let before = mem::replace(line, Line { session, number, ended: false });
        if before.ended {
            // To close it might close the new one.
            let _ = ManuallyDrop::new(before.session);
        }
        Ok(())
    }

    fn log_in(&self, slot: Slot, session: &Session) -> Result<(), TokenTrouble> {
        #[cfg(test)]
        self.logins.fetch_add(1, Ordering::SeqCst);
        let pin = self.pin.lock().shown();
        let outcome = module::log_in(&self.module, slot, session, &pin);
        self.pin.lock().judged(&outcome);
        outcome
    }
}

/// Lets the runtime's other tasks go on while a token thinks; where there is but one thread they wait.
fn elsewhere<T>(ask: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(ask),
        _ => ask(),
    }
}
