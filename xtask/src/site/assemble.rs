//! Puts the pieces into `target/site` under names that carry their content's hash, and writes down the names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::cache::short_hash;
use super::precompress;
use super::wasm::Client;
use crate::{paths, progress};

/// Role → address, as `assets.json` holds it. The roles are fixed: `css js wasm chart icons world favicon font_sans
/// font_sans_ext font_mono`; a page that preloads a font or a script asks by role.
pub type Assets = BTreeMap<String, String>;

/// A finished bundle.
pub struct Site {
    pub root: PathBuf,
    pub assets: Assets,
    /// The modules that are fetched when somebody goes where they are needed.
    pub parts: Vec<PathBuf>,
}

impl Site {
    /// The file on disk behind a role.
    pub fn file(&self, role: &str) -> Result<PathBuf> {
        let address = self.assets.get(role).with_context(|| format!("the bundle has no {role}"))?;
        Ok(self.root.join(address.trim_start_matches('/')))
    }
}

/// Static files with a role, and the name each gets before its hash.
const STATIC: [(&str, &str); 6] = [
    ("icons", "icons.svg"),
    ("world", "world.svg"),
    ("favicon", "favicon.svg"),
    ("font_sans", "fonts/geist-latin-wght-normal.woff2"),
    ("font_sans_ext", "fonts/geist-latin-ext-wght-normal.woff2"),
    ("font_mono", "fonts/geist-mono-latin-wght-normal.woff2"),
];

/// Pictures that markup names by a fixed address; the server sends these with a validator, not as immutable.
const FIXED: [&str; 3] = ["icons.svg", "world.svg", "favicon.svg"];

pub fn assemble(client: &Client, css: &Path, chart: &Path) -> Result<Site> {
    let root = paths::site();
    let mut bundle = Bundle { pkg: root.join("pkg"), assets: Assets::new(), kept: Vec::new() };
    fs::create_dir_all(&bundle.pkg)?;
    let from = paths::root().join("app/assets");
    for (role, file) in STATIC {
        let bytes = fs::read(from.join(file)).with_context(|| format!("reading app/assets/{file}"))?;
        bundle.add(role, file.rsplit('/').next().unwrap_or(file), &bytes)?;
    }
    bundle.add("chart", "chart.js", &fs::read(chart)?)?;
    bundle.add("js", "fleetward.js", &fs::read(&client.js)?)?;
    bundle.add("wasm", "fleetward.wasm", &fs::read(&client.wasm)?)?;
    let mut parts = Vec::new();
    for part in &client.parts {
        let file = bundle.pkg.join(part.file_name().context("a part without a name")?);
        bundle.keep(file.clone(), &fs::read(part)?)?;
        parts.push(file);
    }
    let css = with_hashed_fonts(&fs::read_to_string(css)?, &bundle.assets)?;
    bundle.add("css", "app.css", css.as_bytes())?;
    for file in FIXED {
        bundle.keep(root.join(file), &fs::read(from.join(file))?)?;
    }
    let Bundle { assets, mut kept, .. } = bundle;
    progress::during("compress", String::new, || {
        for file in kept.clone() {
            kept.extend(precompress::beside(&file)?);
        }
        Ok(())
    })?;
    let manifest = root.join("assets.json");
    write_if_new(&manifest, format!("{}\n", serde_json::to_string_pretty(&assets)?).as_bytes())?;
    kept.push(manifest);
    for stale in paths::files_below(&root)?.iter().filter(|file| !kept.contains(file)) {
        fs::remove_file(stale)?;
    }
    Ok(Site { root, assets, parts })
}

struct Bundle {
    pkg: PathBuf,
    assets: Assets,
    kept: Vec<PathBuf>,
}

impl Bundle {
    fn add(&mut self, role: &str, file: &str, bytes: &[u8]) -> Result<()> {
        let (stem, ext) = file.split_once('.').context("an asset without an extension")?;
        let name = format!("{stem}.{}.{ext}", short_hash(bytes));
        self.assets.insert(role.to_owned(), format!("/pkg/{name}"));
        self.keep(self.pkg.join(name), bytes)
    }

    fn keep(&mut self, path: PathBuf, bytes: &[u8]) -> Result<()> {
        write_if_new(&path, bytes)?;
        self.kept.push(path);
        Ok(())
    }
}

/// An unchanged file keeps its time, and with it whatever cargo built from it.
fn write_if_new(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// `url(/fonts/x.woff2)` → the hashed address. A font that the style sheet names and we don't have is an error.
fn with_hashed_fonts(css: &str, assets: &Assets) -> Result<String> {
    let mut css = css.to_owned();
    for (role, file) in STATIC {
        if let (true, Some(address)) = (file.starts_with("fonts/"), assets.get(role)) {
            css = css.replace(&format!("/{file}"), address);
        }
    }
    if let Some(at) = css.find("/fonts/") {
        let name: String = css[at..].chars().take_while(|c| !"\")'".contains(*c)).collect();
        bail!("style/ names {name}, which is not among the fonts of xtask/src/site/assemble.rs");
    }
    Ok(css)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fonts_get_their_hashed_address_and_unknown_ones_are_refused() {
        let assets = Assets::from([("font_mono".to_owned(), "/pkg/m.1234.woff2".to_owned())]);
        let css = "src:url(/fonts/geist-mono-latin-wght-normal.woff2)format(\"woff2\")";
        assert_eq!(with_hashed_fonts(css, &assets).unwrap(), "src:url(/pkg/m.1234.woff2)format(\"woff2\")");
        let unknown = with_hashed_fonts("src:url(\"/fonts/comic.woff2\")", &assets).unwrap_err();
        assert!(unknown.to_string().contains("/fonts/comic.woff2"), "{unknown}");
    }
}
