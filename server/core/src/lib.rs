//! The domain of Fleetward: identity, devices, releases, rollouts, telemetry, access.
//!
//! Owns every rule and every table. Refuses to know HTTP, TLS sockets and pages. Each room is a folder: a façade whose methods take the
//! [`Actor`](access::Actor) first, pure files for what must never go wrong, and a `store.rs` with the room's SQL.
//!
//! README.md shows which room may name which; `cargo xtask test` holds it. What several rooms do as one is in a file here, as methods of [`Fleet`].

pub mod access;
mod activity;
pub mod asked;
mod bearer;
pub mod bus;
pub mod clock;
pub mod csv;
pub mod db;
pub mod devices;
pub mod entropy;
mod error;
mod forgetting;
mod founding;
mod grouping;
mod hash;
pub mod in_force;
mod kept;
mod lines;
mod live;
pub mod network;
mod overview;
mod pem;
pub mod pki;
pub mod qr;
mod refused;
pub mod releases;
pub mod repeats;
pub mod rollouts;
mod rooms;
pub mod source;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod transfers;

pub use error::{Error, Result};
pub use founding::Founded;
pub use rooms::{Fleet, Settings, statements};
