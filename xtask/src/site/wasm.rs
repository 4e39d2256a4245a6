//! The wasm and its JavaScript glue: cargo → the cut into a first module and its parts → wasm-bindgen (both as libraries, so their versions
//! are those of `Cargo.lock`) → binaryen's `wasm-opt` → esbuild, which folds the loader and the snippets into the glue.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use wasm_bindgen_cli_support::Bindgen;
use wasm_split_cli_support::Options;

use super::cache::{self, Key, short_hash};
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

/// The glue and the first module, optimised, and the modules that are fetched when they are needed.
pub struct Client {
    pub js: PathBuf,
    pub wasm: PathBuf,
    /// Their names carry their hash already, because the glue knows them by it.
    pub parts: Vec<PathBuf>,
}

/// The glue's name among the intermediate files, and the loader's beside it.
const GLUE: &str = "fleetward.js";
const LOADER: &str = "parts.js";

/// Cargo decides whether the client is out of date; the steps behind it run only when its output changed.
pub fn bundle(tools: &Path) -> Result<Client> {
    let mut compile = process::cargo();
    compile.args([
        "rustc",
        "--package",
        "client",
        "--lib",
        "--crate-type",
        "cdylib",
        "--target",
        toolchain::WASM,
        "--profile",
        "wasm-release",
    ]);
    // The cut follows the relocations.
    compile.args(["--", "-C", "link-arg=--emit-relocs"]);
    process::run("client: compile for the browser", &mut compile)?;
    let compiled = paths::target().join(toolchain::WASM).join("wasm-release/client.wasm");
    let key = Key::new("wasm 4").with_file(&compiled)?.with_file(&paths::root().join("xtask/package-lock.json"))?;
    let done = cache::or_make("wasm", key, |out| make(tools, &compiled, out))?;
    let parts = paths::files_below(&done.join("parts"))?;
    Ok(Client { js: done.join(GLUE), wasm: done.join("fleetward.wasm"), parts })
}

fn make(tools: &Path, compiled: &Path, out: &Path) -> Result<()> {
    let raw = out.join("raw");
    let cut = progress::during("client: cut into parts", String::new, || split(compiled, &raw))?;
    bind(&raw.join("main.wasm"), &raw)?;
    optimise(tools, &raw.join("fleetward_bg.wasm"), &out.join("fleetward.wasm"))?;
    let parts = out.join("parts");
    fs::create_dir_all(&parts)?;
    let mut loader = fs::read_to_string(raw.join(LOADER))?;
    for part in cut {
        let name = part.file_stem().context("a part without a name")?.to_string_lossy().into_owned();
        let small = raw.join("small.wasm");
        optimise(tools, &part, &small)?;
        let hashed = format!("{}.{}.wasm", plain(&name), short_hash(&fs::read(&small)?));
        fs::rename(&small, parts.join(&hashed))?;
        let named = format!("\"./{name}.wasm\"");
        anyhow::ensure!(loader.contains(&named), "the loader does not know the part {name}");
        loader = loader.replace(&named, &format!("\"./{hashed}\""));
    }
    fs::write(raw.join(LOADER), loader)?;
    minify(tools, &raw.join(GLUE), &out.join(GLUE))?;
    fs::remove_dir_all(&raw)?;
    Ok(())
}

/// Cuts where the application says. Leaves `main.wasm` and the loader in the folder and gives the parts.
fn split(compiled: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(out)?;
    let wasm = fs::read(compiled)?;
    let main = out.join("main.wasm");
    let (glue, loader) = (format!("./{GLUE}"), format!("./{LOADER}"));
    let mut options = Options::new(&wasm);
    options.output_dir = out;
    options.main_out_path = &main;
    options.main_module = &glue;
    options.link_name = &loader;
    let split = wasm_split_cli_support::transform(options).map_err(|error| anyhow!("cutting the wasm: {error:#}"))?;
    Ok(split.split_modules)
}

/// A part's name without the number that only the macro needs.
fn plain(name: &str) -> &str {
    let name = name.strip_prefix("split_").unwrap_or(name);
    match name.rsplit_once('_') {
        Some((word, number)) if number.len() > 8 && number.bytes().all(|b| b.is_ascii_digit()) => word,
        _ => name,
    }
}

fn bind(main: &Path, out: &Path) -> Result<()> {
    progress::during("client: wasm-bindgen", String::new, || {
        Bindgen::new()
            .input_path(main)
            .out_name("fleetward")
            .web(true)?
            .typescript(false)
            // The parts import these from the first module.
            .keep_lld_exports(true)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_by_their_word() {
        assert_eq!(plain("split_devices_6567347332477556527"), "devices");
        assert_eq!(plain("split_people"), "people");
        assert_eq!(plain("chunk_12"), "chunk_12");
    }
}
