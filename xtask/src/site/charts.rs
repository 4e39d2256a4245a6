//! The chart module: our glue and uPlot in one file, loaded only by pages that show a chart.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::cache::{self, Key};
use crate::{paths, process};

/// `chart.js`, an ES module without imports.
pub fn bundle(tools: &Path) -> Result<PathBuf> {
    let source = paths::root().join("app/assets/js/chart.src.js");
    let key = Key::new("chart 1").with_file(&source)?.with_file(&paths::root().join("xtask/package-lock.json"))?;
    let done = cache::or_make("chart", key, |out| {
        let mut esbuild = Command::new("node");
        esbuild.arg(tools.join("esbuild/bin/esbuild")).arg(&source).args(["--bundle", "--minify", "--format=esm", "--target=es2022"]);
        esbuild.args(["--legal-comments=inline", "--log-level=warning"]).arg(format!("--outfile={}", out.join("chart.js").display()));
        // The source lies in app/, the package in xtask/.
        esbuild.env("NODE_PATH", tools);
        process::run("chart module", &mut esbuild)?;
        Ok(())
    })?;
    Ok(done.join("chart.js"))
}
