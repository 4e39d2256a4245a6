//! What Fleetward does under load, measured beside a floor; server and clients share this machine.
//!
//! `workloads WORKLOAD ours|floor` measures once and prints one line of JSON: `value` and whatever else was seen, by name.
//! `cargo xtask bench` takes the two sides in turn and judges them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement may stop at the first surprise")]

mod device;
mod fleetward;
mod floor;
mod ingest;
mod latency;
mod list;
mod start;

use std::{collections::BTreeMap, time::Duration};

/// The result and what was seen beside it, each in the unit that its name ends with.
type Outcome = BTreeMap<&'static str, f64>;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|w| !w.starts_with("--")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let outcome = match words.as_slice() {
        ["ingest", "ours"] => runtime.block_on(ingest::ours()),
        ["ingest", "floor"] => runtime.block_on(ingest::floor()),
        ["latency", "ours"] => runtime.block_on(latency::ours()),
        ["latency", "floor"] => runtime.block_on(latency::floor()),
        ["list", "ours"] => runtime.block_on(list::ours()),
        ["list", "floor"] => runtime.block_on(list::floor()),
        ["start", "ours"] => start::ours(),
        ["start", "floor"] => start::floor(),
        ["bare-server", address] => return runtime.block_on(start::bare_server(address)),
        // `cargo bench` without words compiles and passes.
        _ => return,
    };
    println!("{}", serde_json::to_string(&outcome).unwrap());
}

/// The median and the 99th percentile of durations, in milliseconds.
fn percentiles(durations: &mut [Duration]) -> (f64, f64) {
    durations.sort_unstable();
    let at = |share: usize| durations[(durations.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    (at(50), at(99))
}
