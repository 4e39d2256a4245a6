//! Batches of CSRs from a factory (E-7).

use super::GivenGroup;
use crate::{
    Timestamp,
    ids::{CertificateId, EnrolmentBatchId},
};
use serde::{Deserialize, Serialize};

crate::states::words! {
    /// How far a batch of CSRs is.
    BatchState {
        /// Its lines are coming in.
        Receiving = "receiving",
        /// Its certificates are made.
        Working = "working",
        /// Its keys and certificates are made while whoever sent it takes them along.
        MakingKeys = "making_keys",
        /// Every line has come to an end.
        Done = "done",
        /// Stopped by a person; what was made stays.
        Cancelled = "cancelled",
    }
    /// What became of a batch's line.
    BatchLineState {
        /// Not looked at yet.
        Waiting = "waiting",
        /// The device has its certificate.
        Issued = "issued",
        /// The device is registered; it enrols later with a token made for exactly its id.
        Registered = "registered",
        /// Nothing: the line says why.
        Refused = "refused",
    }
}

/// A batch of CSRs from a factory (E-7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrolmentBatch {
    /// Its id.
    pub id: EnrolmentBatchId,
    /// What it is.
    pub label: String,
    /// Type of its devices whose line names none.
    pub device_type: String,
    /// Tags given to its devices.
    pub tags: Vec<String>,
    /// Groups that its devices are put into.
    #[serde(default)]
    pub groups: Vec<GivenGroup>,
    /// The profile of the certificates it gives; empty means none.
    #[serde(default)]
    pub profile: String,
    /// How far it is.
    pub state: BatchState,
    /// How many lines it has.
    pub lines: i64,
    /// How many of them have their certificate.
    pub issued: i64,
    /// How many are registered without one.
    pub registered: i64,
    /// How many were refused.
    pub refused: i64,
    /// When it was sent.
    pub created_at: Timestamp,
    /// Who sent it.
    pub created_by: String,
    /// When its last line was done.
    pub ended_at: Option<Timestamp>,
    /// How the archive with its keys was encrypted, `recipient` or `passphrase`; empty when no keys were made here (E-8).
    pub sealed_for: String,
    /// When its certificates were revoked as one.
    pub revoked_at: Option<Timestamp>,
}

/// A line of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchLine {
    /// Its number, from 1.
    pub line: i64,
    /// Its file's name or its place, for people.
    pub label: String,
    /// The device, as far as it is known.
    pub device_id: String,
    /// What became of it.
    pub state: BatchLineState,
    /// Why it was refused, in a word.
    pub code: String,
    /// Why it was refused, and what to do.
    pub message: String,
    /// The certificate it got.
    pub certificate: Option<CertificateId>,
}

/// A batch with the lines that were refused, the first 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchDetail {
    /// The batch.
    pub batch: EnrolmentBatch,
    /// Its refused lines.
    pub refused: Vec<BatchLine>,
}
