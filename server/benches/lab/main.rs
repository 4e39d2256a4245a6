//! What Fleetward does under load, measured beside peers that do the same work: the certificate authority in `pki`, releases and rollouts in
//! `rollouts`. The server under test is always a process of its own, so that its processor time and its memory are its own; it shares this machine's
//! cores with the clients in here.
//!
//! `lab prepare FOLDER --devices N` makes the folder that Fleetward is started over, of enrolled devices; `lab prepare-fleet FOLDER --devices N` one whose
//! devices are only written down, but for a few that are enrolled. `BENCH_GROUND` names it from then on.
//! `lab WORKLOAD SIDE [--devices N] [--seconds S]` measures once and prints one line of JSON: `value` and whatever else was seen, by name.
//! `cargo xtask bench pki` and `cargo xtask bench rollouts` take the sides in turn and judge them.
//! `BENCH_PROFILE` and `BENCH_HEAP` name files that a profile of Fleetward's time or of its heap is written to; figures of such a run mean nothing.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement may stop at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "a measurement is about the machine's own time")]

mod ground;
mod heap;
mod http;
mod machine;
mod peers;
mod pki;
mod raw;
mod rollouts;
mod serve;
mod tls;

use std::{collections::BTreeMap, time::Duration};

/// The result and what was seen beside it, each in the unit that its name ends with.
type Outcome = BTreeMap<&'static str, f64>;

/// How large a measurement is.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Devices that take part.
    devices: usize,
    /// How long is counted, where time is what ends it.
    time: Duration,
}

/// Fleetward's, in clients and floor too.
#[global_allocator]
static ALLOCATOR: heap::Noting = heap::Noting;

/// Requests, handshakes or connections under way at a time, where it isn't all of them.
const IN_FLIGHT: usize = 16;

fn main() {
    if let Some(file) = heap::here() {
        return heap::serve(file);
    }
    let mut size = Size { devices: 1000, time: Duration::from_secs(4) };
    let (mut words, mut given) = (Vec::new(), std::env::args().skip(1));
    while let Some(word) = given.next() {
        match word.as_str() {
            "--devices" => size.devices = given.next().unwrap().parse().unwrap(),
            "--seconds" => size.time = Duration::from_secs_f64(given.next().unwrap().parse().unwrap()),
            // `cargo bench` says so.
            "--bench" => {}
            _ => words.push(word),
        }
    }
    machine::open_many_files();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut outcome = runtime.block_on(async {
        match words.as_slice() {
            ["prepare", folder] => Box::pin(ground::prepare(folder, size)).await,
            ["prepare-fleet", folder] => Box::pin(rollouts::fleet::prepare(folder, size)).await,
            ["raw", what] => raw::measure(what, size),
            // The floor's servers, started by the workloads themselves.
            ["serve", what, folder] => serve::run(what, folder).await,
            [workload, side] => match pki::measure(workload, side, size).await {
                Some(outcome) => outcome,
                None => rollouts::measure(workload, side, size).await.unwrap_or_else(|| panic!("there is no workload {workload}")),
            },
            // `cargo bench` without words compiles and passes.
            _ => Outcome::new(),
        }
    });
    // What nobody was there to be measured of: JSON has no word for it, the page has a dash.
    outcome.retain(|_, value| value.is_finite());
    if !outcome.is_empty() {
        println!("{}", serde_json::to_string(&outcome).unwrap());
    }
}

/// The median and the 99th percentile of durations, in milliseconds.
fn percentiles(durations: &mut [Duration]) -> (f64, f64) {
    durations.sort_unstable();
    let at = |share: usize| durations.get((durations.len().saturating_sub(1)) * share / 100).map_or(f64::NAN, |d| d.as_secs_f64() * 1000.0);
    (at(50), at(99))
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
fn figure(count: impl TryInto<u64, Error: std::fmt::Debug>) -> f64 {
    count.try_into().unwrap() as f64
}
