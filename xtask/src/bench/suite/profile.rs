//! Where a server's processor time went, for the page of a run that missed a goal of time: one more run of ours under Linux' own sampling profiler,
//! and its report read. Owns what is asked of `perf` and how its report is shown; which run it watches is the course's business.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{apt, process};

/// What names the file to the measuring program.
pub const ASKED: &str = "BENCH_PROFILE";

/// Functions that are shown, and the least share of the time one of them has, in per cent.
const SHOWN: usize = 14;
const LEAST: f64 = 0.8;
/// Names of generic functions can be longer than any page is wide.
const WIDEST: usize = 110;

/// Shares of the time in per cent, largest first.
#[derive(Debug, PartialEq)]
pub struct Profile {
    /// By program, library or kernel.
    pub places: Vec<(String, f64)>,
    /// By function, itself without what it calls, with the place it is in.
    pub functions: Vec<(String, String, f64)>,
}

/// Whoever isn't here is installed: Debian's `linux-perf`.
pub fn install() -> Result<()> {
    if process::on_path(&["perf"]).is_some() { Ok(()) } else { apt::install(&["linux-perf"]) }
}

/// What was recorded in a file.
pub fn read(file: &Path) -> Result<Profile> {
    let mut report = Command::new("perf");
    report.args(["report", "--stdio", "--no-children", "--call-graph", "none", "--fields", "overhead,dso,symbol"]);
    report.args(["--field-separator", "|", "--input"]).arg(file);
    let profile = parse(&process::capture(&mut report)?);
    ensure!(!profile.functions.is_empty(), "the profile has no samples");
    Ok(profile)
}

/// The lines `12.34%|object|[.] function` of a report.
fn parse(report: &str) -> Profile {
    let (mut places, mut functions) = (BTreeMap::<String, f64>::new(), Vec::new());
    for line in report.lines().filter(|line| !line.starts_with('#')) {
        let mut cells = line.splitn(3, '|').map(str::trim);
        let (Some(share), Some(place), Some(function)) = (cells.next(), cells.next(), cells.next()) else { continue };
        let Ok(share) = share.trim_end_matches('%').parse::<f64>() else { continue };
        let place = place.trim_matches(['[', ']']).replace("kernel.kallsyms", "the kernel");
        *places.entry(place.clone()).or_default() += share;
        // The mark before the name says whether it is the kernel's, which the place says already.
        let function = function.split_once("] ").map_or(function, |(_, name)| name);
        functions.push((short(function), place, share));
    }
    let mut places: Vec<(String, f64)> = places.into_iter().filter(|(_, share)| *share >= LEAST).collect();
    places.sort_by(|a, b| b.1.total_cmp(&a.1));
    functions.sort_by(|a, b| b.2.total_cmp(&a.2));
    functions.retain(|(.., share)| *share >= LEAST);
    functions.truncate(SHOWN);
    Profile { places, functions }
}

/// A name that fits on a page.
pub fn short(name: &str) -> String {
    if name.chars().count() <= WIDEST { name.to_owned() } else { name.chars().take(WIDEST - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_by_place_and_function() {
        let report = "# Overhead|Shared Object|Symbol\n#\n 61.50%  |fleetward         |[.] sqlite3VdbeExec  \n 20.25%  |[kernel.kallsyms]   \
                      |[k] finish_task_switch.isra.0\n 18.00%  |[kernel.kallsyms]|[k] copy_page\n  0.25%  |libc.so.6|[.] memcpy\n\n";
        let profile = parse(report);
        assert_eq!(profile.places, [("fleetward".to_owned(), 61.5), ("the kernel".to_owned(), 38.25)]);
        let names: Vec<&str> = profile.functions.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["sqlite3VdbeExec", "finish_task_switch.isra.0", "copy_page"]);
        assert_eq!(profile.functions[1].1, "the kernel");
    }

    #[test]
    fn a_name_is_as_wide_as_a_page_at_most() {
        assert_eq!(short(&"x".repeat(500)).chars().count(), WIDEST);
        assert_eq!(short("poll"), "poll");
    }
}
