//! The browser bundle: `target/site`, complete, content-hashed and pre-compressed, and `assets.json` that tells the server
//! the names. The server embeds the folder; nothing else is needed at run time.
//!
//! Every costly step is a function of its inputs, kept under the hash of those inputs, so a second run only copies.

mod assemble;
mod cache;
mod charts;
mod precompress;
mod styles;
mod wasm;

pub use assemble::Site;

use anyhow::Result;

use crate::{npm, toolchain};

/// Builds whatever is out of date. Guarantees that `target/site` holds exactly one consistent bundle when it returns.
pub fn build() -> Result<Site> {
    toolchain::ensure_wasm_target()?;
    let tools = npm::build_tools()?;
    let chart = charts::bundle(&tools)?;
    let css = styles::bundle(&tools)?;
    let client = wasm::bundle(&tools)?;
    assemble::assemble(&client, &css, &chart)
}
