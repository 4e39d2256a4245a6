//! Sees to it that the bundle's folder exists, so that its path can be resolved: without it a development binary compiled
//! before the first bundle would never find one.

use std::{env, fs, io, path::Path};

fn main() -> io::Result<()> {
    let site = Path::new("../target/site");
    fs::create_dir_all(site)?;
    println!("cargo::rerun-if-changed=build.rs");
    // Only a release binary carries the bundle; a development binary reads it when it is asked.
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::rerun-if-changed={}", site.display());
    }
    Ok(())
}
