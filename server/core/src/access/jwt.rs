//! Access tokens: our own EdDSA JWTs (RFC 7519, RFC 8037), fifteen minutes long, with the algorithm pinned and a server-side session behind
//! each (A-21). Nobody else's tokens are read here.

use super::Error;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use wire::{
    Timestamp,
    ids::{SessionId, UserId},
};

/// How long an access token is good for, in milliseconds.
pub(super) const LIFE_MS: i64 = 15 * 60 * 1000;
const ISSUER: &str = "fleetward";
const AUDIENCE: &str = "fleetward-console";

/// What an access token says. The role isn't in it: it is read with the session, so a change holds at once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    /// The person.
    pub(super) sub: UserId,
    /// The session.
    pub(super) sid: SessionId,
    iat: i64,
    exp: i64,
}

/// The key pair that every instance over the same database signs and checks with.
pub(super) struct Keys {
    sign: EncodingKey,
    verify: DecodingKey,
    rules: Validation,
}

impl Keys {
    pub(super) fn new(pkcs8: &[u8]) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|e| Error::Crypto(e.to_string()))?;
        let mut rules = Validation::new(Algorithm::EdDSA);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // The expiry is compared with the injected clock below, not with the library's own.
        rules.validate_exp = false;
        Ok(Self { sign: EncodingKey::from_ed_der(pkcs8), verify: DecodingKey::from_ed_der(pair.public_key().as_ref()), rules })
    }

    /// A token for this session, good until `now` + [`LIFE_MS`].
    pub(super) fn issue(&self, user: &UserId, session: &SessionId, now: Timestamp) -> Result<String, Error> {
        let claims = Claims {
            iss: ISSUER.into(),
            aud: AUDIENCE.into(),
            sub: user.clone(),
            sid: session.clone(),
            iat: now.0 / 1000,
            exp: now.plus(LIFE_MS).0 / 1000,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.sign).map_err(|e| Error::Crypto(e.to_string()))
    }

    /// The claims, if the signature, algorithm, issuer, audience and time are right; every other token is just no session.
    pub(super) fn read(&self, token: &str, now: Timestamp) -> Result<Claims, Error> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verify, &self.rules).map_err(|_| Error::NoSession)?.claims;
        if claims.exp <= now.0 / 1000 { Err(Error::NoSession) } else { Ok(claims) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{Entropy, SeededEntropy};
    use base64::Engine as _;

    fn keys() -> Keys {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
        Keys::new(pkcs8.as_ref()).unwrap()
    }

    #[test]
    fn a_21_expired_foreign_and_unsigned_tokens_are_no_session() {
        let keys = keys();
        let entropy: &dyn Entropy = &SeededEntropy::new(3);
        let now = Timestamp(1_795_000_000_000);
        let token = keys.issue(&entropy.id(now), &entropy.id(now), now).unwrap();
        assert!(keys.read(&token, now).is_ok());
        assert!(keys.read(&token, now.plus(LIFE_MS)).is_err(), "expired");
        assert!(super::tests::keys().read(&token, now).is_err(), "another key");

        let b64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let body = token.split('.').nth(1).unwrap();
        let none = format!("{}.{body}.", b64.encode(r#"{"alg":"none","typ":"JWT"}"#));
        assert!(keys.read(&none, now).is_err(), "alg=none");
        let hmac = format!("{}.{body}.{}", b64.encode(r#"{"alg":"HS256","typ":"JWT"}"#), b64.encode([0; 32]));
        assert!(keys.read(&hmac, now).is_err(), "HS256");
        let mut cut = token.clone();
        cut.pop();
        assert!(keys.read(&cut, now).is_err(), "a cut signature");
    }

    /// A-21: by the right key, but for another audience or of another issuer; by a key that everybody knows; and headers that name keys.
    #[test]
    fn a_21_a_token_for_somebody_else_or_by_a_key_of_its_own_choice_is_no_session() {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
        let public = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap().public_key().as_ref().to_vec();
        let keys = Keys::new(pkcs8.as_ref()).unwrap();
        let entropy: &dyn Entropy = &SeededEntropy::new(3);
        let now = Timestamp(1_795_000_000_000);
        let claims = |iss: &str, aud: &str| Claims {
            iss: iss.to_owned(),
            aud: aud.to_owned(),
            sub: entropy.id(now),
            sid: entropy.id(now),
            iat: now.0 / 1000,
            exp: now.plus(LIFE_MS).0 / 1000,
        };
        let signed = |header: &Header, claims: &Claims, key: &EncodingKey| jsonwebtoken::encode(header, claims, key).unwrap();
        let eddsa = Header::new(Algorithm::EdDSA);
        assert!(keys.read(&signed(&eddsa, &claims(ISSUER, AUDIENCE), &keys.sign), now).is_ok());
        for (iss, aud) in [("somebody", AUDIENCE), (ISSUER, "somebody"), ("", ""), (AUDIENCE, ISSUER)] {
            assert!(keys.read(&signed(&eddsa, &claims(iss, aud), &keys.sign), now).is_err(), "of {iss:?} for {aud:?}");
        }
        let hmac = signed(&Header::new(Algorithm::HS256), &claims(ISSUER, AUDIENCE), &EncodingKey::from_secret(&public));
        assert!(keys.read(&hmac, now).is_err(), "a HMAC under the public key");
        let theirs = super::tests::keys();
        for kid in ["../../dev/null", "' OR 1=1 --", "0"] {
            let named = Header { kid: Some(kid.to_owned()), jku: Some("https://evil.example/keys".to_owned()), ..eddsa.clone() };
            assert!(keys.read(&signed(&named, &claims(ISSUER, AUDIENCE), &theirs.sign), now).is_err(), "{kid}");
        }
    }
}
