//! A Chromium for the browser journeys: the one that is named, the system's, Debian's package, or Playwright's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::{apt, process};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// Finds one or gets one. `modules` is end2end's `node_modules`, whose Playwright can download its own as the last way.
pub fn ensure(modules: &Path) -> Result<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM") {
        let named = PathBuf::from(named);
        return if named.is_file() { Ok(named) } else { bail!("CHROMIUM names {}, which is no file", named.display()) };
    }
    if let Some(found) = look() {
        return Ok(found);
    }
    let Err(apt) = apt::install(&["chromium"]) else {
        return look().context("chromium was installed, but is not on PATH");
    };
    let mut playwright = Command::new("node");
    playwright.arg(modules.join("playwright/cli.js")).args(["install", "chromium"]);
    process::run("Playwright: download Chromium", &mut playwright).with_context(|| format!("no Chromium found; {apt:#}"))?;
    look().context("Playwright downloaded Chromium, but it is not where it was expected")
}

fn look() -> Option<PathBuf> {
    process::on_path(&NAMES).or_else(downloaded)
}

/// Playwright keeps its browsers in the user's cache, a folder per revision.
fn downloaded() -> Option<PathBuf> {
    let cache = env::var_os("PLAYWRIGHT_BROWSERS_PATH")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache/ms-playwright")))?;
    let mut revisions: Vec<PathBuf> = fs::read_dir(cache).ok()?.flatten().map(|entry| entry.path()).collect();
    revisions.sort();
    let programs = ["chrome-linux/chrome", "chrome-linux64/chrome"];
    revisions.iter().rev().flat_map(|dir| programs.map(|program| dir.join(program))).find(|file| file.is_file())
}
