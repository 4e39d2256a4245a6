//! Authorities' keys on a PKCS#11 token (K-4): a hardware security module, or SoftHSM. The key is made on it and never leaves it; we keep the
//! public half. Owns the session; refuses to know what is signed, which is the guard's business (K-3).
//!
//! A signature waits for the token on the caller's thread, which the runtime replaces meanwhile: tens of microseconds with SoftHSM, some milliseconds
//! with a module on the network.

use super::{csr::sha256, keys::KeyError};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error as TokenError, RvError},
    mechanism::Mechanism,
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};
use parking_lot::Mutex;
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

/// `secp256r1`, DER (RFC 5480 §2.1.1.1).
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// An uncompressed point of that curve.
const POINT: usize = 65;
/// A signature as PKCS#11 has it: r and s, 32 bytes each.
const RAW: usize = 64;

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

/// An open token, logged in.
pub(super) struct Token {
    module: Pkcs11,
    slot: Slot,
    pin: AuthPin,
    session: Mutex<Session>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("slot", &self.slot).finish_non_exhaustive()
    }
}

fn wrong(what: &str) -> impl Fn(TokenError) -> KeyError + '_ {
    move |error| KeyError::Token(format!("{what}: {error}"))
}

impl Token {
    /// Opens the token and logs in.
    pub fn open(settings: &TokenSettings) -> Result<Arc<Self>, KeyError> {
        let module = module(&settings.module)?;
        let slots = module.get_slots_with_token().map_err(wrong("listing the slots"))?;
        let named = |slot: &Slot| module.get_token_info(*slot).is_ok_and(|info| info.label().trim_end() == settings.label);
        let slot = slots
            .into_iter()
            .find(named)
            .ok_or_else(|| KeyError::Token(format!("no token is labelled {:?}; see pkcs11-tool --list-slots", settings.label)))?;
        let pin = super::keys::Kek::passphrase(&settings.pin_file)?;
        let pin = String::from_utf8(pin.to_vec())
            .map_err(|_| KeyError::Content { path: settings.pin_file.clone(), problem: "does not hold a PIN in UTF-8" })?;
        let pin = AuthPin::new(pin.into());
        let session = logged_in(&module, slot, &pin)?;
        Ok(Arc::new(Self { module, slot, pin, session: Mutex::new(session) }))
    }

    /// Makes a P-256 key under this name. It can't be read or copied from the token.
    pub fn generate(self: &Arc<Self>, name: &str) -> Result<TokenKey, KeyError> {
        let named = [Attribute::Token(true), Attribute::Id(name.as_bytes().to_vec()), Attribute::Label(name.as_bytes().to_vec())];
        let public = [Attribute::Private(false), Attribute::Verify(true), Attribute::EcParams(P256.to_vec())];
        let private = [Attribute::Private(true), Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Sign(true)];
        let (public, private) = ([&named[..], &public].concat(), [&named[..], &private].concat());
        self.with(|session| session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private)).map_err(wrong("making a key"))?;
        self.find(name)?.ok_or_else(|| KeyError::Token("the key that was just made is not there".to_owned()))
    }

    /// The key of this name; none when the token has none.
    pub fn find(self: &Arc<Self>, name: &str) -> Result<Option<TokenKey>, KeyError> {
        let id = Attribute::Id(name.as_bytes().to_vec());
        let one = |class| {
            let template = [Attribute::Class(class), id.clone()];
            self.with(|session| Ok(session.find_objects(&template)?.into_iter().next())).map_err(wrong("looking for a key"))
        };
        let (Some(private), Some(public)) = (one(ObjectClass::PRIVATE_KEY)?, one(ObjectClass::PUBLIC_KEY)?) else { return Ok(None) };
        let attributes =
            self.with(|session| session.get_attributes(public, &[AttributeType::EcPoint])).map_err(wrong("reading a public key"))?;
        let point = attributes.into_iter().find_map(|a| if let Attribute::EcPoint(point) = a { Some(point) } else { None });
        let point = point.and_then(|p| unwrapped(&p)).ok_or_else(|| KeyError::Token("a key on the token is not a P-256 key".to_owned()))?;
        Ok(Some(TokenKey { token: Arc::clone(self), name: name.to_owned(), private: Mutex::new(private), point }))
    }

    /// Asks the token; once more on a new session when the old one was lost, for example because the module was restarted.
    fn with<T>(&self, ask: impl Fn(&Session) -> Result<T, TokenError>) -> Result<T, TokenError> {
        let mut session = self.session.lock();
        match ask(&session) {
            Err(TokenError::Pkcs11(
                RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::DeviceError
                | RvError::DeviceRemoved
                | RvError::UserNotLoggedIn,
                _,
            )) => {
                let fresh = self.module.open_rw_session(self.slot)?;
                log_in(&fresh, &self.pin)?;
                *session = fresh;
                ask(&session)
            }
            answer => answer,
        }
    }
}

/// The module, initialized.
fn module(path: &Path) -> Result<Pkcs11, KeyError> {
    let mut all = MODULES.lock();
    if let Some(known) = all.get(path) {
        return Ok(known.clone());
    }
    let module = Pkcs11::new(path).map_err(wrong("loading the PKCS#11 module"))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(TokenError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(wrong("initializing the PKCS#11 module")(error)),
    }
    all.insert(path.to_owned(), module.clone());
    Ok(module)
}

fn logged_in(module: &Pkcs11, slot: Slot, pin: &AuthPin) -> Result<Session, KeyError> {
    let session = module.open_rw_session(slot).map_err(wrong("opening a session"))?;
    log_in(&session, pin).map_err(wrong("logging in to the token"))?;
    Ok(session)
}

/// Sessions of one process are logged in together.
fn log_in(session: &Session, pin: &AuthPin) -> Result<(), TokenError> {
    match session.login(UserType::User, Some(pin)) {
        Err(TokenError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        other => other,
    }
}

/// Lets the runtime's other tasks go on while a token thinks; where there is but one thread they wait.
fn elsewhere<T>(ask: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(ask),
        _ => ask(),
    }
}

/// The point inside the OCTET STRING that PKCS#11 puts around it (§6.3.3); some modules leave that out.
fn unwrapped(point: &[u8]) -> Option<[u8; POINT]> {
    let bare = match point {
        [0x04, 0x41, rest @ ..] if rest.len() == POINT => rest,
        bare => bare,
    };
    bare.try_into().ok().filter(|p: &[u8; POINT]| p[0] == 0x04)
}

/// A private key on a token.
pub(super) struct TokenKey {
    token: Arc<Token>,
    name: String,
    private: Mutex<ObjectHandle>,
    point: [u8; POINT],
}

impl TokenKey {
    fn raw(&self, digest: &[u8; 32]) -> Result<Vec<u8>, KeyError> {
        let private = *self.private.lock();
        let signed = elsewhere(|| self.token.with(|session| session.sign(&Mechanism::Ecdsa, private, digest)));
        match signed {
            // Handles are a session's; after a new one the key is looked for again.
            Err(TokenError::Pkcs11(RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid, _)) => {
                let again = self.token.find(&self.name)?.ok_or_else(|| KeyError::Token(format!("the key {} is gone", self.name)))?;
                let found = *again.private.lock();
                *self.private.lock() = found;
                self.token.with(|session| session.sign(&Mechanism::Ecdsa, found, digest)).map_err(wrong("signing"))
            }
            other => other.map_err(wrong("signing")),
        }
    }
}

impl PublicKeyData for TokenKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for TokenKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        // CKM_ECDSA takes the digest and gives r and s.
        let raw = self.raw(&sha256(message)).map_err(|error| {
            tracing::error!(%error, key = self.name, "the token did not sign");
            rcgen::Error::RemoteKeyError
        })?;
        signature(&raw).ok_or(rcgen::Error::RemoteKeyError)
    }
}

/// `ECDSA-Sig-Value` (RFC 3279 §2.2.3) of r and s.
fn signature(raw: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(RAW / 2).filter(|_| raw.len() == RAW)?;
    let content = [integer(r), integer(s)].concat();
    let length = u8::try_from(content.len()).ok()?;
    Some([&[0x30, length], content.as_slice()].concat())
}

/// A positive INTEGER in as few bytes as there may be (X.690 §8.3).
fn integer(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len().saturating_sub(1));
    let digits = bytes.get(first..).unwrap_or_default();
    let pad: &[u8] = if digits.first().is_some_and(|b| b & 0x80 != 0) { &[0] } else { &[] };
    let length = u8::try_from(pad.len() + digits.len()).unwrap_or(u8::MAX);
    [&[0x02, length], pad, digits].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_and_s_become_der_integers_of_the_shortest_form() {
        let mut raw = [0; RAW];
        raw[31] = 1;
        raw[32] = 0x80;
        let der = signature(&raw).unwrap();
        assert_eq!(der[..5], [0x30, 38, 0x02, 1, 1]);
        assert_eq!(der[5..9], [0x02, 33, 0, 0x80]);
        assert!(super::super::der::strict(&der).is_ok());
        assert!(signature(&raw[1..]).is_none());
        assert_eq!(signature(&[0; RAW]).unwrap(), [0x30, 6, 2, 1, 0, 2, 1, 0]);
    }

    #[test]
    fn a_point_is_taken_with_and_without_its_octet_string() {
        let mut bare = [7; POINT];
        bare[0] = 4;
        assert_eq!(unwrapped(&bare), Some(bare));
        assert_eq!(unwrapped(&[&[0x04, 0x41], &bare[..]].concat()), Some(bare));
        assert_eq!(unwrapped(&[]), None);
        assert_eq!(unwrapped(&[0x04; 97]), None);
    }
}
