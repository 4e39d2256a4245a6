//! The reference device for Linux and the fleet simulator.
//!
//! A [`Device`](device::Device) makes its key, enrols, keeps its channel open, buffers what it measures until the server has it on disk, and
//! updates itself in two slots. Nothing in it trusts the server blindly: manifests are checked against keys that were put on the device by its
//! owner. Everything a device does can also be driven by hand: [`identity::enrol`], [`channel::Channel::connect`],
//! [`simulate::Fleet::start`].
//!
//! ```text
//! device ─┬─ identity ── http ── tls ── clock
//!         ├─ channel ─────────── tls
//!         ├─ buffer                          (samples on disk)
//!         ├─ update ── slots ── files        (A/B, manifests, downloads)
//!         ├─ metrics | simulate::model       (what is measured)
//!         └─ settings ──────── files         (what it was told about itself)
//! ```

pub mod backoff;
pub mod buffer;
pub mod channel;
pub mod clock;
pub mod device;
pub mod entropy;
pub mod files;
pub mod http;
pub mod identity;
pub mod metrics;
#[cfg(test)]
mod peer;
pub mod platform;
pub mod settings;
pub mod simulate;
pub mod slots;
pub mod tls;
pub mod update;

/// What this agent calls itself.
pub const AGENT: &str = concat!("fleetward-agent/", env!("CARGO_PKG_VERSION"));
