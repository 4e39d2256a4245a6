//! The device listeners: mutual TLS, peer identity, live trust, and the registry that cuts connections off.
//!
//! Owns sockets and handshakes up to the first byte of HTTP. Refuses to know who is trusted (it asks [`fleet::pki::TrustHandle`]) and what a
//! device may do. Rules H-1 to H-8 of the project's PKI contract are cited by id.

mod accept;
mod admission;
mod config;
mod cut;
mod ends;
mod listener;
mod protocol;
mod reason;
mod registry;
mod shedding;
mod spelling;
mod verifier;
mod witness;

pub(crate) use accept::{Accepted, accept};
pub(crate) use admission::{Judge, Over, Vouched};
pub use config::{Error, device, enrol, proxy};
pub use cut::Cut;
pub(crate) use listener::without_identity;
pub use listener::{ChannelBinding, Endpoint, PeerAddr, Stop, peer_address, serve};
pub(crate) use protocol::{Http, speak};
pub use reason::{Reason, Reasons};
pub(crate) use registry::Registration;
pub use registry::{Registry, follow};
pub(crate) use shedding::{Gate, PROXY_KEEPS};
pub use shedding::{Limits, Stats};
