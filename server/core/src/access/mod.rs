//! People, sessions, API tokens, rights, the audit log and the signs of attack that go into it.
//!
//! Owns who may do what and who did what. Refuses to know cookies, headers and pages: it takes and gives secrets as text, and the listeners
//! decide how they travel.

pub mod attacks;
pub mod audit;
mod error;
mod export;
mod hashing;
mod heads;
mod jwt;
mod organizations;
mod password;
mod policy;
mod sessions;
mod setting_up;
pub(crate) mod store;
#[cfg(test)]
mod tests;
mod throttle;
mod tokens;
mod users;

pub use error::Error;
pub use export::{ExportError, verify_export, verify_export_by};
pub use heads::{AuditHeads, HeadsError, read_heads};
pub use organizations::Organization;
pub use policy::{Act, Actor, Who, allowed, may};
pub use sessions::{Origin, SignedIn};
pub use setting_up::SetUpCode;
pub(crate) use throttle::Throttle;
pub(crate) use users::{admins, admins_beside, is_admin, name_of};

use crate::{bus::Bus, clock::Clock, db::Db, entropy::Entropy, source::Source};
use attacks::Attacks;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicI64},
};
use wire::ids::OrgId;

/// The room's façade.
pub struct Access {
    db: Db,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    bus: Bus,
    jwt: jwt::Keys,
    hashing: hashing::Hashing,
    // Where refused sign-ins are told; nowhere until there is one.
    attacks: Option<Attacks>,
    // Passwords tried, by source: guessing gets slow before it gets anywhere.
    passwords: Throttle<Source>,
    // The same by person, of those who are signed in and change theirs.
    own_passwords: Throttle,
    // Wrong tokens and set-up codes, apart: they can't be guessed, so only who sends wrong ones is held up, and signing in never is.
    wrong_secrets: Throttle<Source>,
    wrong_codes: Throttle,
    // When old sign-in attempts were last cleared away.
    purged: AtomicI64,
    set_up_code: Mutex<Option<String>>,
    // They never change, and every poll of a device asks for one.
    slugs: Mutex<BTreeMap<OrgId, String>>,
}

impl Access {
    /// The room over an open store. `signing_key` is the PKCS#8 of the Ed25519 key that access tokens are signed with.
    pub fn new(db: Db, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, bus: Bus, signing_key: &[u8]) -> Result<Self, Error> {
        let jwt = jwt::Keys::new(signing_key)?;
        Ok(Self {
            db,
            clock,
            entropy,
            bus,
            jwt,
            hashing: hashing::Hashing::new(),
            attacks: None,
            passwords: Throttle::new(10, 60_000),
            own_passwords: Throttle::new(10, 60_000),
            wrong_secrets: Throttle::new(10, 60_000),
            wrong_codes: Throttle::new(10, 60_000),
            purged: AtomicI64::new(0),
            set_up_code: Mutex::new(None),
            slugs: Mutex::default(),
        })
    }

    /// The room that tells of refused sign-ins there; without it they are in no books.
    #[must_use]
    pub fn telling(self, attacks: Attacks) -> Self {
        Self { attacks: Some(attacks), ..self }
    }
}
