//! Devices of registered authorities that are turned away: each is counted, and a few a minute are written into the books.

use super::super::{Devices, Error};
use crate::{
    access::{Actor, Throttle, audit},
    pki::{
        Arrival,
        csr::sha256,
        registered::{self, gate},
    },
};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashMap;
use wire::{Timestamp, ids::AuthorityId};

/// Refusals of one authority that are written into the books in a minute; the others are counted.
const BOOKED: u32 = 10;

/// Refusals, booked in bounds.
#[derive(Debug)]
pub(in crate::devices) struct TurnedAway {
    books: Throttle,
    /// The same of certificates that no handshake takes. Apart: whoever shows them has not proved a key, and must not crowd out those that have.
    unproved: Throttle,
    unbooked: Mutex<HashMap<AuthorityId, i64>>,
}

impl Default for TurnedAway {
    fn default() -> Self {
        Self { books: Throttle::new(BOOKED, 60_000), unproved: Throttle::new(BOOKED, 60_000), unbooked: Mutex::default() }
    }
}

impl Devices {
    /// Counts a refusal, and writes it into the books unless there were many.
    pub(super) async fn turn_away(&self, actor: &Actor, arrival: &Arrival, code: &'static str, now: Timestamp) -> Result<(), Error> {
        tracing::info!(authority = %arrival.authority, code, "a device of a registered authority was refused");
        let books = if arrival.unfit.is_some() { &self.turned_away.unproved } else { &self.turned_away.books };
        if !books.take(arrival.authority.as_str(), now) {
            *self.turned_away.unbooked.lock().entry(arrival.authority.clone()).or_default() += 1;
            return Ok(());
        }
        let unbooked = self.turned_away.unbooked.lock().remove(&arrival.authority).unwrap_or_default();
        let mut tx = self.db.write().await?;
        registered::store::count_refused(&mut tx, &arrival.authority, unbooked + 1).await?;
        let detail = json!({
            "code": code,
            "name": gate::shown_name(&arrival.leaf, 200),
            "fingerprint": hex::encode(sha256(&arrival.leaf)),
            "unbooked": unbooked,
        });
        audit::append(&mut tx, actor, now, "registered_authority.refuse", arrival.authority.as_str(), &detail).await?;
        tx.commit().await?;
        Ok(())
    }
}
