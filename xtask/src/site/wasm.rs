//! The wasm and its JavaScript glue: cargo → wasm-bindgen (as a library, so its version is the one in `Cargo.lock`) →
//! binaryen's `wasm-opt` → esbuild, which folds the snippets into the glue.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

use super::cache::{self, Key};
use crate::{paths, process, progress, toolchain};

/// What rustc emits for `wasm32-unknown-unknown` today; wasm-opt refuses the file without being told.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
];

/// `fleetward.js` and `fleetward_bg.wasm`, optimised.
pub struct Client {
    pub js: PathBuf,
    pub wasm: PathBuf,
}

/// Cargo decides whether the client is out of date; the steps behind it run only when its output changed.
pub fn bundle(tools: &Path) -> Result<Client> {
    process::run(
        "client: compile for the browser",
        process::cargo().args(["build", "--package", "client", "--target", toolchain::WASM, "--profile", "wasm-release"]),
    )?;
    let compiled = paths::target().join(toolchain::WASM).join("wasm-release/client.wasm");
    let key = Key::new("wasm 3").with_file(&compiled)?.with_file(&paths::root().join("xtask/package-lock.json"))?;
    let done = cache::or_make("wasm", key, |out| {
        let raw = out.join("raw");
        bind(&compiled, &raw)?;
        optimise(tools, &raw.join("fleetward_bg.wasm"), &out.join("fleetward_bg.wasm"))?;
        minify(tools, &raw.join("fleetward.js"), &out.join("fleetward.js"))?;
        fs::remove_dir_all(&raw)?;
        Ok(())
    })?;
    Ok(Client { js: done.join("fleetward.js"), wasm: done.join("fleetward_bg.wasm") })
}

fn bind(compiled: &Path, out: &Path) -> Result<()> {
    progress::during("client: wasm-bindgen", String::new, || {
        Bindgen::new()
            .input_path(compiled)
            .out_name("fleetward")
            .web(true)?
            .typescript(false)
            .remove_name_section(true)
            .remove_producers_section(true)
            // The shell passes the hashed address of the wasm, so the glue needs no guess of its own.
            .omit_default_module_path(true)
            .generate(out)
            .context("wasm-bindgen")
    })
}

fn optimise(tools: &Path, from: &Path, to: &Path) -> Result<()> {
    let mut wasm_opt = Command::new("node");
    wasm_opt.arg(tools.join("binaryen/bin/wasm-opt")).arg("-Oz").args(FEATURES).arg(from).arg("-o").arg(to);
    process::run("client: wasm-opt -Oz", &mut wasm_opt)?;
    Ok(())
}

fn minify(tools: &Path, from: &Path, to: &Path) -> Result<()> {
    let mut esbuild = Command::new("node");
    esbuild.arg(tools.join("esbuild/bin/esbuild")).arg(from).args(["--bundle", "--minify", "--format=esm", "--target=es2022"]);
    esbuild
        // What the server serves is loaded when it is needed, not built in.
        .args(["--external:/pkg/*", "--log-level=warning"])
        .arg(format!("--outfile={}", to.display()));
    process::run("client: bundle the glue", &mut esbuild)?;
    Ok(())
}
