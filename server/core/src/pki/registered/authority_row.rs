//! A registered authority as its row has it, and as pages show it. Refuses to read or write one.

use crate::db::Error;
use wire::{
    Timestamp,
    registered::{JustInTime, JustInTimePolicy, RegisteredAuthority, RegisteredState},
};

/// A registered authority's row.
#[derive(sqlx::FromRow)]
pub(crate) struct RegisteredRow {
    pub id: String,
    pub org_id: String,
    pub label: String,
    pub subject: String,
    pub key_alg: String,
    pub spki_sha256: Vec<u8>,
    pub fingerprint: Vec<u8>,
    pub der: Vec<u8>,
    pub not_before: i64,
    pub not_after: i64,
    pub state: String,
    pub code: String,
    pub code_until: i64,
    pub just_in_time: String,
    pub device_type: String,
    pub tags: String,
    pub group_ids: String,
    pub template: String,
    pub pattern: String,
    pub max_devices: i64,
    pub per_day: i64,
    pub ended_list: String,
    pub exchange: bool,
    pub admitted: i64,
    pub day_at: i64,
    pub day_admitted: i64,
    pub last_admitted_at: Option<i64>,
    pub refused: i64,
    pub created_at: i64,
    pub created_by: String,
    pub verified_at: Option<i64>,
    pub devices: i64,
    pub last_seen_at: Option<i64>,
}

impl RegisteredRow {
    pub fn state(&self) -> Result<RegisteredState, Error> {
        self.state.parse().map_err(Error::corrupt)
    }

    pub fn just_in_time(&self) -> Result<JustInTime, Error> {
        self.just_in_time.parse().map_err(Error::corrupt)
    }

    pub fn shown(self, now: Timestamp) -> Result<RegisteredAuthority, Error> {
        let asks = !self.code.is_empty() && self.code_until > now.0;
        // A policy that was never set is what a person is offered first.
        let unset = self.max_devices == 0;
        let offered = JustInTimePolicy::default();
        Ok(RegisteredAuthority {
            id: self.id.parse().map_err(Error::corrupt)?,
            state: self.state()?,
            code_until: asks.then_some(Timestamp(self.code_until)),
            policy: JustInTimePolicy {
                just_in_time: self.just_in_time()?,
                device_type: self.device_type,
                tags: wire::devices::words(&self.tags),
                groups: wire::devices::words(&self.group_ids),
                template: self.template,
                pattern: self.pattern,
                max_devices: if unset { offered.max_devices } else { self.max_devices },
                per_day: if unset { offered.per_day } else { self.per_day },
                ended_list: self.ended_list.parse().map_err(Error::corrupt)?,
                exchange: self.exchange,
            },
            label: self.label,
            subject: self.subject,
            key_alg: self.key_alg,
            spki_sha256: hex::encode(&self.spki_sha256),
            fingerprint: hex::encode(&self.fingerprint),
            not_before: Timestamp(self.not_before),
            not_after: Timestamp(self.not_after),
            code: asks.then_some(self.code),
            list: None,
            list_address: None,
            list_awaited: None,
            devices: self.devices,
            admitted: self.admitted,
            last_admitted_at: self.last_admitted_at.map(Timestamp),
            last_seen_at: self.last_seen_at.map(Timestamp),
            refused: self.refused,
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            verified_at: self.verified_at.map(Timestamp),
            pem: crate::pem::encode("CERTIFICATE", &self.der),
        })
    }
}
