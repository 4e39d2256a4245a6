//! The server in process: real sockets, real TLS, the real agent, both engines. One binary, so that it is linked once.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop at the first surprise")]

mod attacks;
mod audit;
mod claim_hook;
mod closed_pipe;
mod codes;
mod console;
mod ddi;
mod est;
mod est_binding;
mod est_lines;
mod fetched;
mod in_force;
mod joining;
mod journey;
mod key_types;
mod live;
mod operations;
mod organizations;
mod own_ca;
mod proxied;
mod publish;
mod recovery;
mod refusals;
mod renewals;
mod rest;
mod roots;
mod server_keys;
mod signing;
mod soak;
mod standby;
mod stock;
mod stop;
mod support;
mod tls;
mod trust;
