//! The page of the manual: what was measured, how, against what, and where a goal was missed. Written by the run alone, so it never says more than was
//! measured.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::Result;

use super::super::pairs::{Measured, median};
use super::super::report::shown;
use super::super::workloads::{Limit, VALUE};
use super::{Results, Taken, Workload, chart, value};
use crate::{paths, process};

/// In the manual.
const PAGE: &str = "app/docs/pki-benchmark.md";
/// Why a goal was missed, in words of those who looked into it: not measured, so not written by the run.
const REASONS: &str = "server/benches/pki/reasons.md";

/// Writes the page; a quick run's is for trying it out and lands in `target/bench`.
pub fn write(results: &Results) -> Result<()> {
    let path = if results.quick { paths::target().join("bench/pki.md") } else { paths::root().join(PAGE) };
    let folder = path.parent().map_or_else(paths::root, std::path::Path::to_path_buf);
    fs::create_dir_all(&folder)?;
    let reasons = fs::read_to_string(paths::root().join(REASONS)).unwrap_or_default();
    fs::write(&path, markdown(results, &machine(), &reasons)?)?;
    println!("{}", path.display());
    Ok(())
}

fn markdown(results: &Results, machine: &str, reasons: &str) -> Result<String> {
    let mut text = String::from("# How fast the certificate authority is\n\n");
    if results.quick {
        text += "**A quick run of an unoptimised build. Its figures mean nothing.**\n\n";
    }
    writeln!(
        text,
        "`cargo xtask bench pki` measured this and wrote this page, in {}.\n\n{machine}\n",
        crate::progress::span(results.took)
    )?;
    text += "Server and clients share the machine, so every rate holds for both together. The two sides of a pair run one after the other, each freshly \
             started, every second pair in the other order; a ratio is the median of the pairs' ratios, with the smallest and the largest beside it. \
             Both sides have P-256 certificates, TLS 1.3, AES-256-GCM and X25519, resume nothing, and are asked by the same client. A run counts only if \
             every answer was right. `per_cpu_s` is by second of the server's processor time. Memory is what the process has of its own (`RssAnon`).\n\n";
    text += "| workload | goal | reached | |\n|---|---|---:|---|\n";
    for Taken { workload, alone, pairs } in &results.workloads {
        for goal in workload.goals {
            let figures = pairs.as_ref().map_or_else(|| median_of(alone, goal.figure), |pairs| ours(pairs, goal.figure));
            verdict(&mut text, workload, name(workload, goal.figure), &goal.limit, figures)?;
        }
        for (figure, limit) in workload.ratios {
            let what = format!("{} ÷ {}", name(workload, figure), workload.peer.map_or("", |(_, title)| title));
            verdict(&mut text, workload, &what, limit, pairs.as_ref().map_or(f64::NAN, |pairs| pairs.ratio_of(figure).0))?;
        }
    }
    if !results.failed.is_empty() {
        writeln!(text, "\n**Not everything got through.** What is missing or measured alone below is so because of this:\n")?;
        for failed in &results.failed {
            writeln!(text, "- {failed}")?;
        }
    }
    for Taken { workload, alone, pairs } in &results.workloads {
        writeln!(text, "\n## {}\n\n{}\n", workload.title, workload.what)?;
        let Some(pairs) = pairs else {
            text += "| figure | median | each run |\n|---|---:|---|\n";
            for figure in alone.first().map(|first| first.keys().cloned().collect::<Vec<_>>()).unwrap_or_default() {
                let each: Vec<String> = alone.iter().filter_map(|run| run.get(&figure)).map(|v| shown(*v)).collect();
                writeln!(text, "| {} | {} | {} |", name(workload, &figure), shown(median_of(alone, &figure)), each.join(", "))?;
            }
            if workload.name == "join" {
                floor(&mut text, workload, &results.floor)?;
            }
            continue;
        };
        let peer = workload.peer.map_or("", |(_, title)| title);
        writeln!(text, "| median of {} pairs | Fleetward | {peer} | ratio |\n|---|---:|---:|---:|", pairs.all().len())?;
        for (figure, (a, b)) in pairs.medians() {
            let (ratio, low, high) = pairs.ratio_of(figure);
            let ratio = if ratio.is_finite() { format!("{ratio:.2} ({low:.2} to {high:.2})") } else { "–".to_owned() };
            writeln!(text, "| {} | {} | {} | {ratio} |", name(workload, figure), shown(a), shown(b))?;
        }
        if workload.name == "join" {
            floor(&mut text, workload, &results.floor)?;
        }
    }
    text += "\n## The floor of this machine\n\nWhat the arithmetic alone takes on one core, with the same library; two cores at most do twice as much, and here \
             they also run the clients.\n\n| | a second, one core |\n|---|---:|\n";
    for (title, rate) in &results.raw {
        writeln!(text, "| {title} | {} |", shown(*rate))?;
    }
    curves(&mut text, results)?;
    writeln!(text, "\n## What it was measured against\n\n| program | version |\n|---|---|")?;
    for (program, version) in versions() {
        writeln!(text, "| {program} | {version} |")?;
    }
    text += "\nnginx and mosquitto here are Debian's, built with the OpenSSL above; newer ones may be faster.\n";
    if !reasons.is_empty() {
        writeln!(text, "\n## Why a goal was missed\n\n{}", reasons.trim())?;
    }
    Ok(text)
}

/// What everybody dialling at once takes with nothing behind it.
fn floor(text: &mut String, workload: &Workload, runs: &[Measured]) -> Result<()> {
    text.push_str(
        "\nThe floor, rustls and tokio with a websocket and nothing behind it, in the same run:\n\n| figure | floor |\n|---|---:|\n",
    );
    for figure in runs.first().map(|first| first.keys().cloned().collect::<Vec<_>>()).unwrap_or_default() {
        writeln!(text, "| {} | {} |", name(workload, &figure), shown(median_of(runs, &figure)))?;
    }
    Ok(())
}

fn verdict(text: &mut String, workload: &Workload, what: &str, limit: &Limit, reached: f64) -> Result<()> {
    let (than, value) = match limit {
        Limit::AtLeast(value) => ("at least", value),
        Limit::AtMost(value) => ("at most", value),
    };
    let word = match (reached.is_nan(), limit.holds(reached)) {
        (true, _) => "**not measured**",
        (false, true) => "reached",
        (false, false) => "**missed**",
    };
    let reached = if reached.is_nan() { "–".to_owned() } else { shown(reached) };
    writeln!(text, "| {} | {what}: {than} {value} | {reached} | {word} |", workload.title)?;
    Ok(())
}

/// The curves: as a table for everybody, as a picture for who prefers it.
fn curves(text: &mut String, results: &Results) -> Result<()> {
    text.push_str("\n## From few devices to many\n\n| devices | all joined, s | refused | bytes each | CPU each, µs | live p99, ms | revoked to closed p99, ms |\n");
    text.push_str("|---:|---:|---:|---:|---:|---:|---:|\n");
    for (devices, join, revoke) in &results.curve {
        let of = |figure: &str| shown(join.get(figure).copied().unwrap_or(f64::NAN));
        let cells = [VALUE, "refused", "bytes_each", "cpu_us_each", "live_p99_ms"].map(of).join(" | ");
        writeln!(text, "| {devices} | {cells} | {} |", shown(value(revoke)))?;
    }
    let points = |of: fn(&(usize, Measured, Measured)) -> f64| results.curve.iter().map(|row| (row.0, of(row))).collect::<Vec<_>>();
    text.push('\n');
    text.push_str(&chart::bars("Seconds until all have joined", &points(|row| value(&row.1))));
    text.push_str(&chart::bars("Milliseconds from revoked to closed, 99th percentile", &points(|row| value(&row.2))));
    Ok(())
}

fn name<'a>(workload: &'a Workload, figure: &'a str) -> &'a str {
    match figure {
        VALUE => workload.unit,
        "per_cpu_s" => "by second of the server's CPU",
        "p50_ms" => "median, ms",
        "p99_ms" => "99th percentile, ms",
        "refused" => "refused on the way",
        "bytes_each" => "bytes of an idle connection",
        "cpu_us_each" => "CPU of the server for each, µs",
        "live_before_p99_ms" => "those connected, before: answer p99, ms",
        "live_p99_ms" => "those connected, meanwhile: answer p99, ms",
        "answered_p99_ms" => "the request's answer, p99, ms",
        "connected" => "others connected",
        "alone" => "one after the other",
        other => other,
    }
}

fn ours(pairs: &super::Pairs, figure: &str) -> f64 {
    pairs.medians().get(figure).map_or(f64::NAN, |(ours, _)| *ours)
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

fn versions() -> Vec<(&'static str, String)> {
    let package = |name: &str| {
        let version = process::capture(Command::new("dpkg-query").args(["--show", "--showformat", "${Version}", name]));
        version.unwrap_or_else(|_| "not a Debian package here".to_owned())
    };
    let rustc = process::capture(Command::new("rustc").arg("--version")).unwrap_or_default();
    vec![
        ("nginx", package("nginx-light")),
        ("mosquitto", package("mosquitto")),
        ("cfssl", package("golang-cfssl")),
        ("OpenSSL", package("openssl")),
        ("Rust", rustc.trim().to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::super::pairs::Pairs;
    use super::super::WORKLOADS;
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_page_tells_goals_ratios_curves_and_reasons() {
        let figures = |value: f64, cpu: f64| Measured::from([(VALUE.to_owned(), value), ("per_cpu_s".to_owned(), cpu)]);
        let handshake = WORKLOADS.iter().find(|w| w.name == "handshake").unwrap();
        let issue = WORKLOADS.iter().find(|w| w.name == "issue").unwrap();
        let trips = WORKLOADS.iter().find(|w| w.name == "trips").unwrap();
        let pairs = Pairs::measure("t", 3, Box::new(move || Ok(figures(30.0, 50.0))), Box::new(move || Ok(figures(10.0, 20.0)))).unwrap();
        let results = Results {
            workloads: vec![
                Taken { workload: handshake, alone: Vec::new(), pairs: Some(pairs) },
                Taken { workload: trips, alone: vec![figures(12.0, 1.0)], pairs: None },
                Taken { workload: issue, alone: vec![figures(9.0, 1.0)], pairs: None },
            ],
            failed: vec!["issue beside cfssl: a client gave up".to_owned()],
            floor: Vec::new(),
            raw: vec![("signatures", 50_000.0)],
            curve: vec![(100, figures(0.1, 1.0), figures(3.0, 1.0)), (1000, figures(0.4, 1.0), figures(4.0, 1.0))],
            quick: false,
            took: Duration::from_mins(20),
        };
        let text = markdown(&results, "Commit abc.", "The database asks too often.\n").unwrap();
        assert!(text.contains("| handshakes/s ÷ nginx: at least 2 | 3.000 | reached |"), "{text}");
        assert!(text.contains("| by second of the server's CPU ÷ nginx: at least 3 | 2.500 | **missed** |"), "{text}");
        assert!(text.contains("| round trips: at most 3 | 12.0 | **missed** |"), "{text}");
        assert!(text.contains("| certificates/s ÷ cfssl: at least 1.5 | – | **not measured** |"), "{text}");
        assert!(text.contains("\n- issue beside cfssl: a client gave up\n"), "{text}");
        assert!(text.contains("| 1000 | 0.400 | NaN |"), "{text}");
        assert!(text.ends_with("## Why a goal was missed\n\nThe database asks too often.\n"), "{text}");
    }
}
