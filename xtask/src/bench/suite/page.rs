//! The page of the manual: what was measured, how, against what, and where a goal was missed. Written by the run alone, so it never says more than was
//! measured.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::Result;

use super::super::pairs::{Measured, median};
use super::super::report::shown;
use super::super::workloads::{Limit, VALUE};
use super::heap::Heap;
use super::profile::Profile;
use super::{Column, Results, Suite, Taken, Workload, chart};
use crate::{paths, process};

/// Writes the page; a quick run's is for trying it out and lands in `target/bench`.
pub fn write(results: &Results) -> Result<()> {
    let suite = results.suite;
    let path =
        if results.quick { paths::target().join("bench").join(suite.name).with_extension("md") } else { paths::root().join(suite.page) };
    let folder = path.parent().map_or_else(paths::root, std::path::Path::to_path_buf);
    fs::create_dir_all(&folder)?;
    let reasons = fs::read_to_string(paths::root().join(suite.reasons)).unwrap_or_default();
    fs::write(&path, markdown(results, &machine(), &versions(suite), &reasons)?)?;
    println!("{}", path.display());
    Ok(())
}

fn markdown(results: &Results, machine: &str, versions: &[(&str, String)], reasons: &str) -> Result<String> {
    let mut text = format!("# {}\n\n", results.suite.title);
    if results.quick {
        text += "**A quick run of an unoptimised build. Its figures mean nothing.**\n\n";
    }
    writeln!(
        text,
        "`cargo xtask bench {}` measured this and wrote this page, in {}.\n\n{machine}\n",
        results.suite.name,
        crate::progress::span(results.took)
    )?;
    text += "Server and clients share the machine, so every rate holds for both together. The two sides of a pair run one after the other, each freshly \
             started, every second pair in the other order; a ratio is the median of the pairs' ratios, with the smallest and the largest beside it. ";
    text += results.suite.common;
    text += " A run counts only if every answer was right. Memory is what the process has of its own (`RssAnon`).\n\n";
    text += "| workload | goal | reached | |\n|---|---|---:|---|\n";
    for taken in &results.workloads {
        let workload = taken.workload;
        for goal in workload.goals {
            row(&mut text, workload.title, name(workload, goal.figure), &goal.limit, taken.reached(goal.figure))?;
        }
        for (figure, limit) in workload.ratios {
            let what = format!("{} ÷ {}", name(workload, figure), workload.peer.map_or("", |(_, title)| title));
            row(&mut text, workload.title, &what, limit, taken.ratio(figure))?;
        }
        beside_floor(&mut text, taken, results)?;
    }
    grown(&mut text, results)?;
    if !results.failed.is_empty() {
        writeln!(text, "\n**Not everything got through.** What is missing or measured alone below is so because of this:\n")?;
        for failed in &results.failed {
            writeln!(text, "- {failed}")?;
        }
    }
    for Taken { workload, alone, pairs, profile, heap } in &results.workloads {
        writeln!(text, "\n## {}\n\n{}\n", workload.title, workload.what)?;
        let Some(pairs) = pairs else {
            text += "| figure | median | each run |\n|---|---:|---|\n";
            for figure in alone.first().map(|first| first.keys().cloned().collect::<Vec<_>>()).unwrap_or_default() {
                let each: Vec<String> = alone.iter().filter_map(|run| run.get(&figure)).map(|v| shown(*v)).collect();
                writeln!(text, "| {} | {} | {} |", name(workload, &figure), shown(median_of(alone, &figure)), each.join(", "))?;
            }
            floor(&mut text, workload, results)?;
            profiled(&mut text, profile.as_ref())?;
            held(&mut text, heap.as_ref())?;
            continue;
        };
        let peer = workload.peer.map_or("", |(_, title)| title);
        writeln!(text, "| median of {} pairs | Fleetward | {peer} | ratio |\n|---|---:|---:|---:|", pairs.all().len())?;
        for (figure, (a, b)) in pairs.medians() {
            let (ratio, low, high) = pairs.ratio_of(figure);
            let ratio = if ratio.is_finite() { format!("{ratio:.2} ({low:.2} to {high:.2})") } else { "–".to_owned() };
            writeln!(text, "| {} | {} | {} | {ratio} |", name(workload, figure), shown(a), shown(b))?;
        }
        floor(&mut text, workload, results)?;
        profiled(&mut text, profile.as_ref())?;
        held(&mut text, heap.as_ref())?;
    }
    if !results.raw.is_empty() {
        text += "\n## The floor of this machine\n\nWhat the arithmetic alone takes on one core, with the same library; two cores at most do twice as much, \
                 and here they also run the clients.\n\n| | a second, one core |\n|---|---:|\n";
    }
    for (title, rate) in &results.raw {
        writeln!(text, "| {title} | {} |", shown(*rate))?;
    }
    curves(&mut text, results)?;
    writeln!(text, "\n## What it was measured against\n\n| program | version |\n|---|---|")?;
    for (program, version) in versions {
        writeln!(text, "| {program} | {version} |")?;
    }
    text += "\nThe peers are Debian's, those with TLS built with the OpenSSL above; newer ones may be faster.\n";
    if !reasons.is_empty() {
        writeln!(text, "\n## Why a goal was missed\n\n{}", reasons.trim())?;
    }
    Ok(text)
}

/// What ours is of the suite's floor, where that has a goal.
fn beside_floor(text: &mut String, taken: &Taken, results: &Results) -> Result<()> {
    let (workload, suite) = (taken.workload, results.suite);
    let Some((_, side)) = suite.floor.filter(|(name, _)| *name == workload.name) else { return Ok(()) };
    for (figure, limit) in suite.beside_floor {
        let what = format!("{} ÷ {side}", name(workload, figure));
        row(text, workload.title, &what, limit, taken.reached(figure) / median_of(&results.floor, figure))?;
    }
    Ok(())
}

/// What the suite's floor takes, behind the workload that it is the floor of.
fn floor(text: &mut String, workload: &Workload, results: &Results) -> Result<()> {
    let Some((_, side)) = results.suite.floor.filter(|(name, _)| *name == workload.name) else { return Ok(()) };
    writeln!(
        text,
        "\nThe {side}, rustls and tokio with a websocket, Fleetward's allocator and nothing behind it, in the same run:\n\n| figure | {side} |\n|---|---:|"
    )?;
    for figure in results.floor.first().map(|first| first.keys().cloned().collect::<Vec<_>>()).unwrap_or_default() {
        writeln!(text, "| {} | {} |", name(workload, &figure), shown(median_of(&results.floor, &figure)))?;
    }
    Ok(())
}

/// Where the time of a workload that missed a goal went.
fn profiled(text: &mut String, profile: Option<&Result<Profile, String>>) -> Result<()> {
    let profile = match profile {
        None => return Ok(()),
        Some(Err(error)) => {
            writeln!(text, "\nA goal was missed; there is no profile: {error}")?;
            return Ok(());
        }
        Some(Ok(profile)) => profile,
    };
    let places: Vec<String> = profile.places.iter().map(|(place, share)| format!("{place} {share:.1} %")).collect();
    writeln!(
        text,
        "\nA goal was missed. Where the server's processor time went in one more run, by samples: {}. The functions with the most, without what they \
         call:\n\n| function | in | share |\n|---|---|---:|",
        places.join(", ")
    )?;
    for (function, place, share) in &profile.functions {
        writeln!(text, "| `{}` | {place} | {share:.1} % |", function.replace('|', "\\|"))?;
    }
    Ok(())
}

/// Whose the memory of a workload that missed a goal of it was.
fn held(text: &mut String, heap: Option<&Result<Heap, String>>) -> Result<()> {
    let heap = match heap {
        None => return Ok(()),
        Some(Err(error)) => {
            writeln!(text, "\nA goal of memory was missed; there is no profile of the heap: {error}")?;
            return Ok(());
        }
        Some(Ok(heap)) => heap,
    };
    writeln!(
        text,
        "\n**Where the memory of one connection is.** A goal of memory was missed. In one more run, with {} connections, every block was noted that was taken \
         from when they began and not given back: {:.0} bytes for each. A holder is the function that asked, behind the standard library's collections; \
         beside it is what of Fleetward's it did so for. What the compiler has put into another function counts as that one's. The figure above has more: what \
         C libraries ask for themselves (cryptography, the database), what the allocator rounds up to and keeps between blocks, and the stacks of threads.\n\n\
         | holder | for | bytes |\n|---|---|---:|",
        heap.holders, heap.bytes
    )?;
    let cell = |name: &str| if name == "–" { name.to_owned() } else { format!("`{}`", name.replace('|', "\\|")) };
    for (holder, ours, bytes) in &heap.shares {
        writeln!(text, "| {} | {} | {bytes:.0} |", cell(holder), cell(ours))?;
    }
    let rest = heap.bytes - heap.shares.iter().map(|(.., bytes)| bytes).sum::<f64>();
    writeln!(text, "| everything else | | {rest:.0} |")?;
    Ok(())
}

fn row(text: &mut String, title: &str, what: &str, limit: &Limit, reached: f64) -> Result<()> {
    let (than, value) = match limit {
        Limit::AtLeast(value) => ("at least", value),
        Limit::AtMost(value) => ("at most", value),
    };
    let word = match (reached.is_nan(), limit.holds(reached)) {
        (true, _) => "**not measured**",
        (false, true) => "reached",
        (false, false) => "**missed**",
    };
    let reached = shown(reached);
    writeln!(text, "| {title} | {what}: {than} {value} | {reached} | {word} |")?;
    Ok(())
}

/// What a curve says at a size of the fleet.
fn at(taken: &[(&str, Measured)], column: &Column) -> f64 {
    taken.iter().find(|(name, _)| *name == column.workload).and_then(|(_, m)| m.get(column.figure).copied()).unwrap_or(f64::NAN)
}

/// How much more the largest fleet takes than the smallest, where that has a goal.
fn grown(text: &mut String, results: &Results) -> Result<()> {
    let (Some((small, first)), Some((large, last))) = (results.curve.first(), results.curve.last()) else { return Ok(()) };
    for column in results.suite.curve {
        if let Some(limit) = &column.growth {
            let what = format!("{}: with {large} devices ÷ with {small}", column.title);
            row(text, "From few devices to many", &what, limit, at(last, column) / at(first, column))?;
        }
    }
    Ok(())
}

/// The curves: as a table for everybody, as a picture for who prefers it.
fn curves(text: &mut String, results: &Results) -> Result<()> {
    let columns = results.suite.curve;
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    writeln!(text, "\n## From few devices to many\n\n| devices | {} |\n|---:|{}", titles.join(" | "), "---:|".repeat(columns.len()))?;
    for (devices, taken) in &results.curve {
        let cells: Vec<String> = columns.iter().map(|column| shown(at(taken, column))).collect();
        writeln!(text, "| {devices} | {} |", cells.join(" | "))?;
    }
    text.push('\n');
    for column in columns.iter().filter(|column| column.drawn) {
        let points: Vec<(usize, f64)> = results.curve.iter().map(|(devices, taken)| (*devices, at(taken, column))).collect();
        text.push_str(&chart::bars(column.title, &points));
    }
    Ok(())
}

fn name<'a>(workload: &'a Workload, figure: &'a str) -> &'a str {
    match figure {
        VALUE => workload.unit,
        "per_cpu_s" => "by second of the server's CPU",
        "p50_ms" => "median, ms",
        "p99_ms" => "99th percentile, ms",
        "refused" => "refused on the way",
        "bytes_each" => "memory of one connection, bytes",
        "cpu_us_each" => "CPU of the server for each, µs",
        "live_lost" => "those connected, lost",
        "live_before_p99_ms" => "those connected, before: answer p99, ms",
        "live_p99_ms" => "those connected, meanwhile: answer p99, ms",
        "answered_p99_ms" => "the request's answer, p99, ms",
        "connected" => "others connected",
        "alone" => "one after the other",
        "pause_p99_ms" => "paused or resumed, 99th percentile, ms",
        "stop_ms" => "stopped, 99th percentile, ms",
        "offered_ms" => "the next stage's first device asked and was offered it, median, ms",
        "start_s" => "drafted, approved and begun, s",
        "list_p99_ms" => "first pages, 99th percentile, ms",
        "deep_p99_ms" => "pages from far behind, 99th percentile, ms",
        "filter_p99_ms" => "filters, 99th percentile, ms",
        "search_p99_ms" => "words in ids, 99th percentile, ms",
        "asked_per_s" => "pages asked for, a second",
        "reports_per_s" => "samples acknowledged meanwhile, a second",
        "first_s" => "each question once, right after the start, s",
        "grown_mb" => "memory it took, MB",
        "gb_per_cpu_s" => "GB by second of the server's CPU",
        "members" => "members",
        other => other,
    }
}

fn median_of(runs: &[Measured], figure: &str) -> f64 {
    median(runs.iter().filter_map(|run| run.get(figure).copied()))
}

fn machine() -> String {
    let said =
        |program: &str, args: &[&str]| process::capture(Command::new(program).args(args).current_dir(paths::root())).unwrap_or_default();
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |(_, name)| name).to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "Commit {}, {cores} cores of {cpu}, Linux {}, load over the last 15 minutes {}.",
        said("git", &["describe", "--always", "--dirty"]).trim(),
        said("uname", &["-r"]).trim(),
        load.split_whitespace().nth(2).unwrap_or("unknown")
    )
}

fn versions(suite: &Suite) -> Vec<(&'static str, String)> {
    let package = |name: &str| {
        let version = process::capture(Command::new("dpkg-query").args(["--show", "--showformat", "${Version}", name]));
        version.unwrap_or_else(|_| "not a Debian package here".to_owned())
    };
    let rustc = process::capture(Command::new("rustc").arg("--version")).unwrap_or_default();
    let mut versions: Vec<_> = suite.peers.iter().map(|(program, name)| (*program, package(name))).collect();
    versions.push(("Rust", rustc.trim().to_owned()));
    versions
}

#[cfg(test)]
mod tests {
    use super::super::super::pairs::Pairs;
    use super::super::super::pki::SUITE;
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_page_tells_goals_ratios_curves_and_reasons() {
        let figures = |value: f64, cpu: f64| Measured::from([(VALUE.to_owned(), value), ("per_cpu_s".to_owned(), cpu)]);
        let handshake = SUITE.workloads.iter().find(|w| w.name == "handshake").unwrap();
        let issue = SUITE.workloads.iter().find(|w| w.name == "issue").unwrap();
        let trips = SUITE.workloads.iter().find(|w| w.name == "trips").unwrap();
        let pairs = Pairs::measure("t", 3, Box::new(move || Ok(figures(30.0, 50.0))), Box::new(move || Ok(figures(10.0, 20.0)))).unwrap();
        let profile = Profile {
            places: vec![("fleetward".to_owned(), 70.0), ("the kernel".to_owned(), 30.0)],
            functions: vec![("p256_sign".to_owned(), "fleetward".to_owned(), 41.25)],
        };
        let heap = Heap {
            holders: 1_000,
            bytes: 20_000.4,
            shares: vec![
                ("rustls::a|b".to_owned(), "server::tls::accept".to_owned(), 12_000.0),
                ("tokio::spawn".to_owned(), "–".to_owned(), 3_000.2),
            ],
        };
        let results = Results {
            suite: &SUITE,
            workloads: vec![
                Taken { workload: handshake, alone: Vec::new(), pairs: Some(pairs), profile: Some(Ok(profile)), heap: None },
                Taken {
                    workload: trips,
                    alone: vec![figures(12.0, 1.0)],
                    pairs: None,
                    profile: Some(Err("no perf".to_owned())),
                    heap: Some(Ok(heap)),
                },
                Taken {
                    workload: issue,
                    alone: vec![figures(9.0, 1.0)],
                    pairs: None,
                    profile: None,
                    heap: Some(Err("it ended".to_owned())),
                },
            ],
            failed: vec!["issue beside cfssl: a client gave up".to_owned()],
            floor: Vec::new(),
            raw: vec![("signatures", 50_000.0)],
            curve: vec![
                (100, vec![("join", figures(0.1, 1.0)), ("revoke", figures(3.0, 1.0))]),
                (1000, vec![("join", figures(0.4, 1.0)), ("revoke", figures(4.0, 1.0))]),
            ],
            quick: false,
            took: Duration::from_mins(20),
        };
        let text = markdown(&results, "Commit abc.", &[("nginx", "1.0".to_owned())], "The database asks too often.\n").unwrap();
        assert!(text.contains("| handshakes/s ÷ nginx: at least 2 | 3.000 | reached |"), "{text}");
        assert!(text.contains("| by second of the server's CPU ÷ nginx: at least 3 | 2.500 | **missed** |"), "{text}");
        assert!(text.contains("| round trips: at most 3 | 12.0 | **missed** |"), "{text}");
        assert!(text.contains("| certificates/s ÷ cfssl: at least 1.5 | – | **not measured** |"), "{text}");
        assert!(text.contains("\n- issue beside cfssl: a client gave up\n"), "{text}");
        assert!(text.contains("| 1000 | 0.400 | – |"), "{text}");
        assert!(text.contains("| nginx | 1.0 |"), "{text}");
        assert!(text.contains("by samples: fleetward 70.0 %, the kernel 30.0 %."), "{text}");
        assert!(text.contains("| `p256_sign` | fleetward | 41.2 % |"), "{text}");
        assert!(text.contains("\nA goal was missed; there is no profile: no perf\n"), "{text}");
        assert!(text.contains("with 1000 connections,") && text.contains(": 20000 bytes for each."), "{text}");
        assert!(
            text.contains(
                "| `rustls::a\\|b` | `server::tls::accept` | 12000 |\n| `tokio::spawn` | – | 3000 |\n| everything else | | 5000 |\n"
            ),
            "{text}"
        );
        assert!(text.contains("\nA goal of memory was missed; there is no profile of the heap: it ended\n"), "{text}");
        assert!(text.ends_with("## Why a goal was missed\n\nThe database asks too often.\n"), "{text}");
    }

    #[test]
    fn a_goal_beside_the_floor_is_held_against_the_same_run() {
        let figures = |live: f64| Measured::from([("live_p99_ms".to_owned(), live), ("live_lost".to_owned(), 0.0)]);
        let join = SUITE.workloads.iter().find(|w| w.name == "join").unwrap();
        let judged = |ours: f64, floor: Vec<Measured>| {
            let results = Results {
                suite: &SUITE,
                workloads: vec![Taken { workload: join, alone: vec![figures(ours)], pairs: None, profile: None, heap: None }],
                failed: Vec::new(),
                floor,
                raw: Vec::new(),
                curve: Vec::new(),
                quick: false,
                took: Duration::from_mins(1),
            };
            markdown(&results, "Commit abc.", &[], "").unwrap()
        };
        let row = "| Everybody dials at once | those connected, meanwhile: answer p99, ms ÷ floor: at most 1 |";
        let text = judged(1500.0, vec![figures(2000.0)]);
        assert!(text.contains(&format!("{row} 0.750 | reached |")), "{text}");
        assert!(text.contains("| those connected, lost: at most 0 | 0.000 | reached |"), "{text}");
        assert!(judged(3000.0, vec![figures(2000.0)]).contains(&format!("{row} 1.500 | **missed** |")));
        assert!(judged(3000.0, Vec::new()).contains(&format!("{row} – | **not measured** |")));
    }
}
