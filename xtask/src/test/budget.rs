//! What a first visit may cost on the wire. Over the target is said, over the limit fails.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::tally::Tally;
use crate::site::{self, Site};

struct Budget {
    what: &'static str,
    roles: &'static [&'static str],
    /// The compressed neighbour that browsers get; empty for what is compressed in itself.
    suffix: &'static str,
    target: u64,
    limit: u64,
}

const KIB: u64 = 1024;
const BUDGETS: [Budget; 5] = [
    Budget { what: "first wasm, brotli", roles: &["wasm"], suffix: ".br", target: 330 * KIB, limit: 420 * KIB },
    Budget { what: "glue, gzip", roles: &["js"], suffix: ".gz", target: 12 * KIB, limit: 18 * KIB },
    Budget { what: "style sheet, gzip", roles: &["css"], suffix: ".gz", target: 10 * KIB, limit: 14 * KIB },
    Budget { what: "chart module, gzip", roles: &["chart"], suffix: ".gz", target: 25 * KIB, limit: 30 * KIB },
    Budget { what: "fonts of a page", roles: &["font_sans", "font_mono"], suffix: "", target: 56 * KIB, limit: 64 * KIB },
];

pub fn check() -> Result<Tally> {
    let site = site::build()?;
    let mut over = Vec::new();
    for budget in &BUDGETS {
        let size = size(&site, budget)?;
        let verdict = match size {
            size if size > budget.limit => "TOO LARGE",
            size if size > budget.target => "over the target",
            _ => "ok",
        };
        println!(
            "    {:20} {:>7} KiB of {:>4} (target {:>4})  {verdict}",
            budget.what,
            tenths(size),
            budget.limit / KIB,
            budget.target / KIB
        );
        if size > budget.limit {
            over.push(budget.what);
        }
    }
    println!("    {:20} {:>7} KiB in {} files, each when it is needed", "its parts, brotli", tenths(parts(&site)?), site.parts.len());
    if !over.is_empty() {
        bail!("over the size limit: {}", over.join("; "));
    }
    Ok(Tally { passed: BUDGETS.len() as u64, ..Tally::default() })
}

fn parts(site: &Site) -> Result<u64> {
    site.parts.iter().map(|part| Ok(fs::metadata(beside(part.clone(), ".br"))?.len())).sum()
}

/// The compressed neighbour of a file.
fn beside(file: PathBuf, suffix: &str) -> PathBuf {
    let mut file = file.into_os_string();
    file.push(suffix);
    file.into()
}

fn size(site: &Site, budget: &Budget) -> Result<u64> {
    let mut sum = 0;
    for role in budget.roles {
        sum += fs::metadata(beside(site.file(role)?, budget.suffix))?.len();
    }
    Ok(sum)
}

fn tenths(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(KIB);
    format!("{}.{}", tenths / 10, tenths % 10)
}
