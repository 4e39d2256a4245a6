//! Server functions: who asks → the core → a wire type. One file a room; each function is a few lines.
//!
//! Reads are `GET /rpc/…` and may be repeated; changes are form posts that also work without JavaScript. All of them answer errors as
//! [`fault::ApiFault`]. `/rpc` belongs to the bundle of the same build; scripts use `/api/v1`.

#![expect(missing_docs, reason = "the server macro makes a public struct of the arguments; they are described at the function")]

pub mod approvals;
pub mod audit;
#[cfg(feature = "ssr")]
pub mod caller;
pub mod certificates;
#[cfg(feature = "ssr")]
pub mod cookies;
pub mod decode;
pub mod devices;
pub mod enrolment;
pub mod fault;
#[cfg(feature = "hydrate")]
pub mod fetch;
pub mod freezes;
pub mod groups;
pub mod once;
pub mod overview;
pub mod packed;
pub mod people;
pub mod registered;
pub mod releases;
pub mod renewals;
pub mod rollouts;
pub mod session;
pub mod shared;
pub mod signing;
pub mod telemetry;
pub mod transfers;
pub mod views;
