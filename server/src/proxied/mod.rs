//! Devices behind a proxy that ends their TLS: what it says of their certificates is believed where the configuration says so, and nowhere else (H-8).
//!
//! Owns the listener for such proxies, and who each of its requests is from. Refuses to know who is trusted (it asks [`crate::tls`], which judges a passed-on
//! certificate by the handshake's own code) and what a device may do. Many devices share one connection here, one after the other: an identity is a request's,
//! and what is registered for revocations is the connection for as long as that request, or the websocket it became, has it.

mod header;
mod listener;
mod request;

pub use header::Header;
pub use listener::{Proxies, serve};
pub use request::Door;
