//! The browser journeys: a small fleet with the dev binaries and the release bundle, Playwright on it, and afterwards a
//! look into the server's log.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::rust;
use super::tally::{Tally, second_tries};
use crate::demo::{self, Demo};
use crate::{apt, browser, npm, paths, process, site};

pub fn run() -> Result<Tally> {
    let modules = npm::browser_tests()?;
    let chromium = browser::ensure(&modules)?;
    // One journey is about what counts a day later.
    if process::on_path(&["sqlite3"]).is_none() {
        apt::install(&["sqlite3"]).context("SQLite's own program (sqlite3) was not found")?;
    }
    site::build()?;
    rust::compile()?;
    let results = paths::root().join("end2end/results");
    fs::create_dir_all(&results)?;
    let access = results.join("system.json");
    let options = demo::Options {
        // More than a page of the list.
        devices: 54,
        flaky: 2,
        soak: 1,
        pace: 1.0,
        dev: true,
        no_build: true,
        json: Some(access.clone()),
        keep: false,
    };
    let mut demo = Demo::start(&options)?;
    let log = demo.access.server_log.clone();
    let mut playwright = Command::new("node");
    playwright.arg(modules.join("@playwright/test/cli.js")).arg("test").current_dir(paths::root().join("end2end"));
    playwright.env("CHROMIUM", chromium).env("END2END_SYSTEM", &access).env("FORCE_COLOR", "0");
    let finished = process::watch("Playwright", &mut playwright);
    let alive = demo.check();
    let stopped = stop_keeping_log(demo, &log);
    let finished = finished?;
    if !finished.status.success() {
        process::show_tail(&finished.log, 150)?;
    }
    let report = fs::read(results.join("report.json")).context("Playwright wrote no report")?;
    let report = serde_json::from_slice(&report)?;
    let tally = Tally::of_playwright(&report).context("Playwright's report has no counts")?;
    show_pages(&results.join("artifacts"))?;
    for name in second_tries(&report) {
        println!("passed only at its second try: {name}");
    }
    if !finished.status.success() && tally.failed == 0 {
        bail!("Playwright ended with {} (log: {})", finished.status, finished.log.display());
    }
    alive?;
    let server_log = stopped?;
    let panics = panics(&server_log);
    if !panics.is_empty() {
        bail!("the server panicked {} times during the journeys:\n{}", panics.len(), panics.join("\n"));
    }
    let leaks = leaks(&server_log);
    if !leaks.is_empty() {
        // Not the lines: this output is kept by whoever runs it.
        bail!("the server's log has secrets in it, {} lines (attack list 45): see end2end/results/fleetward.log", leaks.len());
    }
    Ok(tally)
}

/// Prints what the first few pages showed on which a journey failed, as Playwright wrote it down: artifacts of a machine elsewhere are gone.
fn show_pages(artifacts: &Path) -> Result<()> {
    const PAGES: usize = 3;
    const LINES: usize = 120;
    let Ok(folders) = fs::read_dir(artifacts) else { return Ok(()) };
    let mut pages: Vec<_> =
        folders.filter_map(|folder| Some(folder.ok()?.path().join("error-context.md"))).filter(|page| page.is_file()).collect();
    pages.sort();
    for page in pages.iter().take(PAGES) {
        println!("{}", page.display());
        fs::read_to_string(page)?
            .lines()
            .skip_while(|line| !line.starts_with("# Page snapshot"))
            .take(LINES)
            .for_each(|line| println!("  {line}"));
    }
    Ok(())
}

/// Stops the system and returns the server's whole log, kept beside the screenshots as well.
fn stop_keeping_log(demo: Demo, log: &Path) -> Result<String> {
    let kept = paths::root().join("end2end/results/fleetward.log");
    // The log's folder goes with the system, so the file is held open across the stop.
    let mut open = fs::File::open(log)?;
    demo.stop()?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut open, &mut text)?;
    fs::write(kept, &text)?;
    Ok(text)
}

/// Lines that a panic leaves, whatever the log's format.
fn panics(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("panicked at")).collect()
}

/// Lines with a bearer secret, an access token or a private key in them. Set-up codes are meant to be read there.
fn leaks(log: &str) -> Vec<&str> {
    const SECRET: usize = 43;
    let bearer = |word: &str| {
        let mut parts = word.splitn(3, '_');
        matches!(parts.next(), Some("fat" | "fet" | "fgt" | "ftt")) && parts.nth(1).is_some_and(|secret| secret.len() >= SECRET)
    };
    let token = |word: &str| word.starts_with("eyJ") && word.split('.').count() == 3;
    let mark = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.');
    log.lines().filter(|line| line.contains("PRIVATE KEY") || line.split(mark).any(|word| bearer(word) || token(word))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_45_a_secret_in_a_log_is_found() {
        let secret = "x".repeat(43);
        for line in [
            format!("INFO enrolled token=\"fet_0193a0b0_{secret}\""),
            format!("DEBUG header=Bearer fat_0193a0b0_{secret}"),
            "INFO cookie access=eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln;".to_owned(),
            "-----BEGIN PRIVATE KEY-----".to_owned(),
        ] {
            assert_eq!(leaks(&line).len(), 1, "{line}");
        }
        for line in ["INFO token ent_0193a0b0 made", "prefix fet_ of tokens", "version 1.2.3"] {
            assert_eq!(leaks(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn a_panic_is_found_in_plain_and_in_json_logs() {
        let log = "INFO ready\nthread 'tokio-rt-worker' panicked at app/src/lib.rs:3:5:\n{\"message\":\"task panicked at x.rs\"}\nbye";
        assert_eq!(panics(log).len(), 2);
    }
}
