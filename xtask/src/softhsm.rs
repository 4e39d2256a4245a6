//! SoftHSM for the tests of authorities whose keys are on a PKCS#11 token: the library, and a folder for tokens that lives as long as the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{apt, process, scratch};

/// Where distributions put the library.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// An empty store of tokens; removed when dropped.
pub struct SoftHsm {
    library: PathBuf,
    folder: tempfile::TempDir,
}

impl SoftHsm {
    /// Finds or installs it and makes the store.
    pub fn prepare() -> Result<Self> {
        let library = if let Some(found) = library() {
            found
        } else {
            apt::install(&["softhsm2"]).context("SoftHSM (softhsm2-util, libsofthsm2.so) was not found")?;
            library().context("softhsm2 is installed, but its library is in none of the usual places")?
        };
        let folder = scratch::folder("fleetward-softhsm-")?;
        let tokens = folder.path().join("tokens");
        std::fs::create_dir(&tokens)?;
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
        std::fs::write(folder.path().join("softhsm2.conf"), text)?;
        Ok(Self { library, folder })
    }

    /// Tells a command's tests where it is.
    pub fn tell(&self, command: &mut Command) {
        command.env("TEST_PKCS11_MODULE", &self.library).env("SOFTHSM2_CONF", self.folder.path().join("softhsm2.conf"));
    }
}

fn library() -> Option<PathBuf> {
    process::on_path(&["softhsm2-util"])?;
    LIBRARIES.iter().map(Path::new).find(|path| path.exists()).map(Path::to_owned)
}
