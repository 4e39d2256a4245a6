//! Whose a server's memory is, for the page of a run that missed a goal of memory: what it noted in one more run of ours, summed up by who asked for it.
//! Owns who counts as a holder; what is noted, and when, is the measuring program's business.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use serde::Deserialize;

use super::profile::short;

/// The figure whose goals are about memory.
pub const FIGURE: &str = "bytes_each";
/// What names the file to the measuring program.
pub const ASKED: &str = "BENCH_HEAP";
/// Devices that take part at most: to note a block takes many times what it takes to give it.
pub const DEVICES: usize = 1_000;

/// Holders that are shown, and the least share of all bytes one of them has, in per cent.
const SHOWN: usize = 18;
const LEAST: f64 = 0.8;

/// Crates that ask for memory on behalf of whoever calls them.
const PLUMBING: [&str; 14] = [
    "alloc",
    "backtrace",
    "bytes",
    "core",
    "hashbrown",
    "indexmap",
    "lab",
    "mimalloc",
    "once_cell",
    "parking_lot",
    "smallvec",
    "std",
    "tinyvec",
    "__rustc",
];
/// Ours.
const OURS: [&str; 4] = ["app", "fleet", "server", "wire"];

/// What is held, in bytes by holder, each of so many.
#[derive(Debug, PartialEq)]
pub struct Heap {
    pub holders: usize,
    pub bytes: f64,
    /// The function that asked, the function of ours that it did so for, and the bytes of one; most first.
    pub shares: Vec<(String, String, f64)>,
}

/// As the measuring program writes it.
#[derive(Deserialize)]
struct Written {
    holders: usize,
    stacks: Vec<Stack>,
}

#[derive(Deserialize)]
struct Stack {
    bytes: u64,
    /// Names of functions, the innermost first.
    calls: Vec<String>,
}

/// What was noted in a file.
pub fn read(file: &Path) -> Result<Heap> {
    let written: Written = serde_json::from_slice(&fs::read(file)?)?;
    ensure!(written.holders > 0 && !written.stacks.is_empty(), "nothing was noted of the heap");
    Ok(sum(&written))
}

fn sum(written: &Written) -> Heap {
    let mut shares = BTreeMap::<(String, String), f64>::new();
    #[expect(clippy::cast_precision_loss, reason = "no heap here comes near 2^52 bytes")]
    let each = |bytes: u64| bytes as f64 / written.holders as f64;
    for stack in &written.stacks {
        *shares.entry(holder(&stack.calls)).or_default() += each(stack.bytes);
    }
    let bytes = shares.values().sum::<f64>();
    let mut shares: Vec<(String, String, f64)> = shares.into_iter().map(|((holder, ours), bytes)| (holder, ours, bytes)).collect();
    shares.sort_by(|a, b| b.2.total_cmp(&a.2));
    shares.retain(|(.., share)| share / bytes * 100.0 >= LEAST);
    shares.truncate(SHOWN);
    Heap { holders: written.holders, bytes, shares }
}

/// The first function that is no plumbing, and the first of ours; a dash for none.
fn holder(calls: &[String]) -> (String, String) {
    let first = |wanted: &dyn Fn(&str) -> bool| {
        let found = calls.iter().find(|call| krate(call).is_some_and(wanted));
        found.map_or_else(|| "–".to_owned(), |call| short(plain(call)))
    };
    (first(&|krate| !PLUMBING.contains(&krate)), first(&|krate| OURS.contains(&krate)))
}

/// The crate that a function or the type it belongs to is of; none for what C and the linker name, and for functions of a bare type parameter.
fn krate(function: &str) -> Option<&str> {
    // `<&mut crate::Type as other::Trait>::function`, where the type may be a parameter's name.
    let places = function.splitn(2, " as ").map(|place| {
        let place = place.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let place = place.strip_prefix("mut ").or_else(|| place.strip_prefix("dyn ")).unwrap_or(place);
        place.find(|c: char| !c.is_alphanumeric() && c != '_').and_then(|end| place[end..].starts_with("::").then(|| &place[..end]))
    });
    places.flatten().next()
}

/// Without the closures at its end: what a function does is its own, wherever it does it.
fn plain(mut function: &str) -> &str {
    while let Some((outer, last)) = function.rsplit_once("::") {
        if !last.starts_with("{{closure") && !last.starts_with("{closure") {
            break;
        }
        function = outer;
    }
    function
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn memory_is_whose_that_asked_for_it_through_plumbing() {
        let reading = [
            "lab::heap::note",
            "__rust_alloc",
            "<alloc::vec::Vec<T> as core::clone::Clone>::clone",
            "tungstenite::buffer::ReadBuffer<_>::with_capacity",
            "<T as core::convert::Into<U>>::into",
            "server::device::channel::run::{{closure}}::{{closure}}",
        ];
        let task = ["core::ops::function::FnOnce::call_once", "tokio::task::spawn::spawn::{closure#0}", "start_thread"];
        let stacks = vec![
            Stack { bytes: 6_000, calls: calls(&reading) },
            Stack { bytes: 2_000, calls: calls(&reading[2..]) },
            Stack { bytes: 1_990, calls: calls(&task) },
            Stack { bytes: 10, calls: calls(&["clone3"]) },
        ];
        let heap = sum(&Written { holders: 2, stacks });
        let expected = [
            ("tungstenite::buffer::ReadBuffer<_>::with_capacity".to_owned(), "server::device::channel::run".to_owned(), 4_000.0),
            ("tokio::task::spawn::spawn".to_owned(), "–".to_owned(), 995.0),
        ];
        assert_eq!(heap, Heap { holders: 2, bytes: 5_000.0, shares: expected.into() });
    }

    #[test]
    fn a_function_is_its_types_crates() {
        assert_eq!(krate("rustls::conn::ConnectionCommon<T>::read"), Some("rustls"));
        assert_eq!(krate("<&mut hyper::Body as http_body::Body>::poll_frame"), Some("hyper"));
        assert_eq!(krate("<dyn fleet::clock::Clock>::now"), Some("fleet"));
        assert_eq!(krate("<T as core::convert::Into<U>>::into"), Some("core"));
        assert_eq!(krate("<[u8] as bytes::Buf>::advance"), Some("bytes"));
        assert_eq!(krate("mi_malloc_aligned"), None);
        assert_eq!(krate(""), None);
    }
}
