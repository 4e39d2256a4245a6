//! What crosses a boundary: ids, DTOs, faults, live and device frames.
//!
//! Owns the shapes that server, browser, agent and scripts agree on, and their JSON form. Refuses to know how any of them is stored, served or
//! shown: no I/O, no clock, no async, and it builds for wasm32.

pub mod access;
pub mod activity;
pub mod blocked;
pub mod change;
pub mod connections;
pub mod consents;
pub mod device;
pub mod devices;
pub mod enrolment;
pub mod facets;
pub mod fault;
pub mod ids;
pub mod live;
pub mod machines;
pub mod manifest;
pub mod objects;
pub mod overview;
pub mod page;
pub mod percent;
pub mod pki;
pub mod profiles;
pub mod registered;
pub mod releases;
pub mod revocation;
pub mod rollouts;
pub mod roots;
pub mod selector;
pub mod signing;
pub mod slots;
pub mod states;
pub mod telemetry;
pub mod time;
pub mod transfers;
pub mod updates;
pub mod views;

pub use fault::{Fault, FaultKind};
pub use time::Timestamp;
