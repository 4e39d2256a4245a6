//! `.br` and `.gz` beside every file that shrinks, at the highest levels: it is done once and sent for ever.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Below this a compressed answer saves nothing that a packet would notice.
const SMALLEST: usize = 512;
const SHRINKABLE: [&str; 5] = ["wasm", "js", "css", "svg", "json"];

/// Writes the compressed neighbours that are missing or older than the file, and returns their paths.
pub fn beside(file: &Path) -> Result<Vec<PathBuf>> {
    let extension = file.extension().unwrap_or_default().to_string_lossy().into_owned();
    if !SHRINKABLE.contains(&extension.as_str()) {
        return Ok(Vec::new());
    }
    let bytes = fs::read(file)?;
    if bytes.len() <= SMALLEST {
        return Ok(Vec::new());
    }
    let mut written = Vec::new();
    for (suffix, compress) in [("br", brotli as fn(&[u8]) -> Result<Vec<u8>>), ("gz", gzip)] {
        let path = file.with_extension(format!("{extension}.{suffix}"));
        if !is_newer(&path, file)? {
            fs::write(&path, compress(&bytes)?).with_context(|| format!("writing {}", path.display()))?;
        }
        written.push(path);
    }
    Ok(written)
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 24, size_hint: bytes.len(), ..Default::default() };
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &params)?;
    Ok(out)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    // No name and no time in the header: the same input gives the same bytes.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn is_newer(path: &Path, than: &Path) -> Result<bool> {
    let Ok(meta) = fs::metadata(path) else { return Ok(false) };
    Ok(meta.modified()? >= fs::metadata(than)?.modified()?)
}
