//! The listeners over real sockets: who gets in, what nobody gets around, and how fast a revocation bites (H-1 to H-8).

mod attacks;
mod clones;
mod floods;
mod handshake;
mod life;
mod operator;
mod proxied;
mod revocation;
mod rig;
mod rollover;
mod rotation;
mod shedding;
mod signs;

pub use rig::{get_of, http2, presents};
