//! Results as Markdown in `target/bench`, with what is needed to judge them.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Workload;
use super::pairs::Pairs;
use crate::{paths, process};

/// Writes `target/bench/NAME.md` and says the result in one line.
pub fn write(workload: &Workload, pairs: &Pairs) -> Result<()> {
    let dir = paths::target().join("bench");
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{}.md", workload.name));
    fs::write(&path, markdown(workload, pairs, &machine())?)?;
    let (low, high) = pairs.spread();
    println!("{}: ratio {:.3} ({low:.3} to {high:.3}); {}", workload.name, pairs.ratio(), path.display());
    Ok(())
}

fn markdown(workload: &Workload, pairs: &Pairs, machine: &str) -> Result<String> {
    let [ours, other] = workload.sides;
    let (ours_median, other_median) = pairs.medians();
    let (low, high) = pairs.spread();
    let mut text = format!("# {}\n\n{}\n\n{machine}\n\n", workload.name, workload.what);
    writeln!(text, "**{ours} ÷ {other} = {:.3}** (median of {} pairs; {low:.3} to {high:.3})\n", pairs.ratio(), pairs.all().len())?;
    writeln!(text, "| pair | {ours}, {unit} | {other}, {unit} | ratio |\n|---:|---:|---:|---:|", unit = workload.unit)?;
    for (number, (a, b)) in pairs.all().iter().enumerate() {
        writeln!(text, "| {} | {a:.1} | {b:.1} | {:.3} |", number + 1, a / b)?;
    }
    writeln!(text, "| median | {ours_median:.1} | {other_median:.1} | {:.3} |", pairs.ratio())?;
    Ok(text)
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
    use super::*;

    #[test]
    fn a_report_shows_every_pair_and_the_ratio() {
        let workload = Workload {
            name: "ingest",
            what: "Samples.",
            sides: ["ours", "floor"],
            unit: "samples/s",
            prepare: || anyhow::bail!("not here"),
        };
        let pairs = Pairs::measure("ingest", 3, Box::new(|| Ok(50.0)), Box::new(|| Ok(100.0))).unwrap();
        let text = markdown(&workload, &pairs, "Commit abc.").unwrap();
        assert!(text.contains("**ours ÷ floor = 0.500** (median of 3 pairs; 0.500 to 0.500)"), "{text}");
        assert_eq!(text.matches("| 50.0 | 100.0 | 0.500 |").count(), 4, "{text}");
    }
}
