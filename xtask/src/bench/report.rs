//! Results as Markdown in `target/bench`, with what is needed to judge them.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::Result;

use super::pairs::Pairs;
use super::workloads::{Goal, Limit, VALUE, Workload};
use crate::{paths, process};

/// Writes `target/bench/NAME.md` and says the result in one line.
pub fn write(workload: &Workload, pairs: &Pairs) -> Result<()> {
    let dir = paths::target().join("bench");
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{}.md", workload.name));
    fs::write(&path, markdown(workload, pairs, &machine())?)?;
    let (low, high) = pairs.spread();
    println!("{}: ratio {:.3} ({low:.3} to {high:.3}); {}", workload.name, pairs.ratio(), path.display());
    for goal in workload.goals {
        println!("  {}", judged(goal, workload, pairs));
    }
    Ok(())
}

fn markdown(workload: &Workload, pairs: &Pairs, machine: &str) -> Result<String> {
    let (other, unit) = (workload.floor, workload.unit);
    let (low, high) = pairs.spread();
    let mut text = format!("# {}\n\n{}\n\n{machine}\n\n", workload.name, workload.what);
    writeln!(text, "**Fleetward ÷ {other} = {:.3}** (median of {} pairs; {low:.3} to {high:.3})\n", pairs.ratio(), pairs.all().len())?;
    for goal in workload.goals {
        writeln!(text, "- {}", judged(goal, workload, pairs))?;
    }
    writeln!(text, "\n| pair | Fleetward, {unit} | {other}, {unit} | ratio |\n|---:|---:|---:|---:|")?;
    for (number, (a, b)) in pairs.all().enumerate() {
        writeln!(text, "| {} | {} | {} | {:.3} |", number + 1, shown(a), shown(b), a / b)?;
    }
    writeln!(text, "\n| median of | Fleetward | {other} |\n|---|---:|---:|")?;
    for (name, (a, b)) in pairs.medians() {
        writeln!(text, "| {} | {} | {} |", figure(name, unit), shown(a), shown(b))?;
    }
    Ok(text)
}

/// A goal beside what was reached.
fn judged(goal: &Goal, workload: &Workload, pairs: &Pairs) -> String {
    let reached = pairs.medians().get(goal.figure).map_or(f64::NAN, |(ours, _)| *ours);
    let (than, limit) = match goal.limit {
        Limit::AtLeast(limit) => ("at least", limit),
        Limit::AtMost(limit) => ("at most", limit),
    };
    let word = if goal.limit.holds(reached) { "reached" } else { "MISSED" };
    format!("{}: {}, the goal is {than} {limit}: {word}", figure(goal.figure, workload.unit), shown(reached))
}

/// A tenth of a millisecond says nothing of a latency below one.
pub(super) fn shown(value: f64) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    if value.abs() < 10.0 { format!("{value:.3}") } else { format!("{value:.1}") }
}

fn figure<'a>(name: &'a str, unit: &'a str) -> &'a str {
    if name == VALUE { unit } else { name }
}

/// The commit, the cores and the load: a result without them can't be compared with another day's.
fn machine() -> String {
    let commit =
        process::capture(Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(paths::root())).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("unknown").to_owned();
    format!("Commit {}, {cores} cores, load {load} at the end.", commit.trim())
}

#[cfg(test)]
mod tests {
    use super::super::pairs::Measured;
    use super::*;

    #[test]
    fn a_report_shows_every_pair_and_the_ratio() {
        let workload = Workload {
            name: "ingest",
            what: "Samples.",
            floor: "floor",
            unit: "samples/s",
            goals: &[Goal { figure: VALUE, limit: Limit::AtLeast(60.0) }, Goal { figure: "p99_ms", limit: Limit::AtMost(5.0) }],
        };
        let figures = |value: f64| Measured::from([(VALUE.to_owned(), value), ("p99_ms".to_owned(), 4.0)]);
        let pairs = Pairs::measure("ingest", 3, Box::new(move || Ok(figures(50.0))), Box::new(move || Ok(figures(100.0)))).unwrap();
        let text = markdown(&workload, &pairs, "Commit abc.").unwrap();
        assert!(text.contains("**Fleetward ÷ floor = 0.500** (median of 3 pairs; 0.500 to 0.500)"), "{text}");
        assert_eq!(text.matches("| 50.0 | 100.0 | 0.500 |").count(), 3, "{text}");
        assert!(text.contains("- samples/s: 50.0, the goal is at least 60: MISSED"), "{text}");
        assert!(text.contains("- p99_ms: 4.000, the goal is at most 5: reached"), "{text}");
    }
}
