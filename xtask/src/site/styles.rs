//! The style sheet: `style/main.css` and what it imports in one minified file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::cache::{self, Key};
use crate::{paths, process};

const TARGETS: &str = "chrome >= 120, firefox >= 120, safari >= 17.4";

/// `app.css`. A syntax error in any layer is an error here, never a half style sheet.
pub fn bundle(tools: &Path) -> Result<PathBuf> {
    let style = paths::root().join("style");
    let mut key = Key::new("css 1").with(TARGETS.as_bytes()).with_file(&paths::root().join("xtask/package-lock.json"))?;
    for file in paths::files_below(&style)?.iter().filter(|file| file.extension().is_some_and(|ext| ext == "css")) {
        key = key.with_file(file)?;
    }
    let done = cache::or_make("css", key, |out| {
        let mut lightningcss = Command::new(binary(tools)?);
        lightningcss.args(["--bundle", "--minify", "--targets", TARGETS]).arg(style.join("main.css"));
        lightningcss.arg("--output-file").arg(out.join("app.css"));
        process::run("style sheet", &mut lightningcss)?;
        Ok(())
    })?;
    Ok(done.join("app.css"))
}

/// npm puts the program of this platform into a package of its own; the install script that would link it does not run.
fn binary(tools: &Path) -> Result<PathBuf> {
    fs::read_dir(tools)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("lightningcss-cli-"))
        .map(|entry| entry.path().join("lightningcss"))
        .find(|file| file.is_file())
        .context("no lightningcss-cli for this platform among the npm packages")
}
