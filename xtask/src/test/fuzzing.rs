//! Every fuzz target for a bounded time, beginning with its committed corpus. Longer runs are `cargo xtask fuzz`'s.

use anyhow::Result;

use super::tally::Tally;
use crate::fuzz;

/// Enough for the whole corpus and some hundred thousand inputs made from it.
const SECONDS: u32 = 15;

pub fn run() -> Result<Tally> {
    let binaries = fuzz::compile()?;
    let mut tally = Tally::default();
    for target in fuzz::TARGETS {
        match binaries.run(target, SECONDS) {
            Ok(seen) => {
                println!("  {target}: {} runs, {} edges covered", seen.runs, seen.edges);
                tally.passed += 1;
            }
            Err(error) => {
                println!("  error: {error:#}");
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}
