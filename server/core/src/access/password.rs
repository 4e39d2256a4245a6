//! Pure but slow: passwords and their Argon2id hashes (RFC 9106, 19 MiB, two passes: OWASP's first choice for interactive sign-in).
//! Callers run it off the async threads.

use super::Error;
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};

/// The least length of a password, in characters.
const LEAST: usize = 12;

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(19 * 1024, 2, 1, None).map_err(|e| Error::Crypto(e.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Refuses what is too short or absurdly long.
pub(super) fn acceptable(password: &str) -> Result<(), Error> {
    match password.chars().count() {
        n if n < LEAST => Err(Error::invalid("password", format!("The password is too short: use at least {LEAST} characters."))),
        n if n > 1000 => Err(Error::invalid("password", "The password is too long: use at most 1,000 characters.")),
        _ => Ok(()),
    }
}

/// The hash to store, in PHC text form.
pub(super) fn hash(password: &str, salt: [u8; 16]) -> Result<String, Error> {
    argon2()?.hash_password_with_salt(password.as_bytes(), &salt).map(|h| h.to_string()).map_err(|e| Error::Crypto(e.to_string()))
}

/// Whether the password is the one behind the hash. With no hash it spends the same time and says no, so that an unknown address
/// can't be told from a wrong password by the clock.
pub(super) fn matches(password: &str, stored: Option<&str>) -> Result<bool, Error> {
    match stored {
        None => hash(password, [0; 16]).map(|_| false),
        Some(stored) => {
            let stored = PasswordHash::new(stored).map_err(|e| Error::Crypto(e.to_string()))?;
            Ok(argon2()?.verify_password(password.as_bytes(), &stored).is_ok())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        let stored = hash("correct horse battery", [7; 16]).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(matches("correct horse battery", Some(&stored)).unwrap());
        assert!(!matches("correct horse batterz", Some(&stored)).unwrap());
        assert!(!matches("correct horse battery", None).unwrap());
    }
}
