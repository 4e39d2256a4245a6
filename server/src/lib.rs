//! The server of Fleetward: listeners, workers, command line.
//!
//! Owns how the outside reaches the core (`fleet`) and how the process lives and dies. Refuses to know any rule of the domain. [`run::start`]
//! is the composition root; nothing past it holds everything.

mod claim_hook;
pub mod cli;
pub mod config;
pub mod device;
mod hardening;
pub mod http;
pub mod lifecycle;
pub mod list_fetch;
pub mod observe;
mod plans;
pub mod proxied;
pub mod publish;
pub mod run;
pub mod tls;
mod workers;
