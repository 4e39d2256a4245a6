//! How many samples a second are acknowledged after a sync, from devices' sockets over mutual TLS; server and devices share this machine.
//!
//! `ingest ours|floor [connections] [samples a frame] [seconds]` prints one number. `floor` is what the chosen stack leaves: the same TLS, the
//! same websocket, the same JSON, an append and a group-committed `fdatasync`, and nothing else: no identity, no positions, nothing readable.
//! `cargo xtask bench ingest` runs both in turn.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement may stop at the first surprise")]

mod floor;
mod load;
mod ours;

use std::time::Duration;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Devices, each with a connection of its own.
    pub connections: usize,
    /// Samples of a frame.
    pub samples: usize,
    /// How long is counted, after a second of warming up.
    pub counted: Duration,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with("--")).collect();
    let number = |i: usize, default: usize| words.get(i).map_or(default, |w| w.parse().unwrap());
    let shape = Shape { connections: number(1, 8), samples: number(2, 100), counted: Duration::from_secs(number(3, 5) as u64) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let per_second = match words.first().map(String::as_str) {
        Some("ours") => runtime.block_on(ours::measure(shape)),
        Some("floor") => runtime.block_on(floor::measure(shape)),
        // `cargo bench` without words compiles and passes.
        _ => return,
    };
    println!("{per_second:.0}");
}
