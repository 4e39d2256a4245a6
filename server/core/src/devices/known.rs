//! Enrolment tokens that devices have shown here, in memory, so that a rush with one token does not read it for each device. Only what never changes of
//! a token may be taken from here; what is left of it, and whether it was revoked, is the database's to say in the transaction that uses it.

use super::{
    Devices, Error,
    tokens::{PREFIX, TokenRow},
};
use crate::bearer;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use wire::ids::EnrolmentTokenId;

/// Most tokens that are kept; beyond, all are read again.
const MOST: usize = 1000;

/// The tokens, each shown with its right secret once.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<EnrolmentTokenId, Arc<TokenRow>>>);

impl Known {
    fn get(&self, id: &EnrolmentTokenId) -> Option<Arc<TokenRow>> {
        self.0.lock().get(id).map(Arc::clone)
    }

    fn keep(&self, id: EnrolmentTokenId, token: &Arc<TokenRow>) {
        let mut all = self.0.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(id, Arc::clone(token));
    }
}

impl Devices {
    /// The token behind this secret, as it was when it was shown first.
    pub(super) async fn known_token(&self, secret: &str) -> Result<Arc<TokenRow>, Error> {
        let (id, part) = bearer::read::<EnrolmentTokenId>(PREFIX, secret).ok_or(Error::BadToken)?;
        // A wrong secret asks the database, as that of an unknown token does: the time must not tell which there are.
        if let Some(token) = self.known.get(&id).filter(|token| bearer::fits(part, &token.secret_hash)) {
            return Ok(token);
        }
        let token = Arc::new(self.token(secret).await?);
        self.known.keep(id, &token);
        Ok(token)
    }
}
