//! A private key on the token: signs, and knows its handle in each session. Refuses to know what it signs.

use super::{super::guard, Line, Token, TokenTrouble, curve, elsewhere, module::object};
use aws_lc_rs::signature::UnparsedPublicKey;
use cryptoki::{
    context::Function,
    error::{Error as TokenError, RvError},
    mechanism::Mechanism,
    object::{ObjectClass, ObjectHandle},
};
use parking_lot::Mutex;
use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};
use std::{cell::Cell, sync::Arc};
use wire::roots::RootKey;

/// A private key on a token.
pub(in crate::pki) struct TokenKey {
    token: Arc<Token>,
    name: String,
    /// Its handle, and in which session.
    private: Mutex<(u64, ObjectHandle)>,
    curve: RootKey,
    point: Vec<u8>,
}

impl TokenKey {
    /// The key of this name, by its handle in the session of this number.
    pub(super) fn new(token: &Arc<Token>, name: &str, private: (u64, ObjectHandle), (curve, point): (RootKey, Vec<u8>)) -> Self {
        Self { token: Arc::clone(token), name: name.to_owned(), private: Mutex::new(private), curve, point }
    }

    /// r and s.
    fn raw(&self, digest: &[u8]) -> Result<Vec<u8>, TokenTrouble> {
        let lacking = Cell::new(false);
        let signed = elsewhere(|| {
            self.token.with("signing", |line| {
                let handle = self.handle(line)?;
                lacking.set(handle.is_none());
                let handle = handle.ok_or(TokenError::Pkcs11(RvError::KeyHandleInvalid, Function::FindObjects))?;
                line.session.sign(&Mechanism::Ecdsa, handle, digest)
            })
        });
        match &signed {
            Ok(_) => self.token.has(&self.name),
            Err(_) if lacking.get() => self.token.has_not(&self.name),
            Err(_) => {}
        }
        signed
    }

    /// Its handle in this session; none when the token does not have it.
    fn handle(&self, line: &Line) -> Result<Option<ObjectHandle>, TokenError> {
        let mut known = self.private.lock();
        if known.0 != line.number {
            let Some(found) = object(&line.session, ObjectClass::PRIVATE_KEY, &self.name)? else { return Ok(None) };
            *known = (line.number, found);
        }
        Ok(Some(known.1))
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
