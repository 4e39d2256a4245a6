//! The trust bundle (pki.md ): fetched over the identity that believes in the one before, tried, and only then kept.

use super::{Error, Identity, Store};
use crate::{
    clock::Clock,
    http,
    tls::{self, Endpoint},
};
use std::sync::Arc;
use wire::{device::TRUST_BUNDLE, pki::TrustBundle};

/// Most bytes of a bundle: some hundred certificates.
const LARGEST: usize = 256 * 1024;

/// Fetches the bundle there is now.
pub async fn fetch(identity: &Identity, clock: Arc<dyn Clock>) -> Result<TrustBundle, Error> {
    let mut answer = identity.client(clock)?.get(TRUST_BUNDLE, 0).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = answer.piece().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LARGEST {
            return Err(http::Error::Unexpected(format!("a trust bundle of more than {LARGEST} bytes")).into());
        }
    }
    Ok(serde_json::from_slice(&bytes).map_err(|e| http::Error::Unexpected(e.to_string()))?)
}

/// Connects believing in nothing but the bundle's roots: one that would lock the device out is never kept.
pub async fn proven(identity: &Identity, bundle: &TrustBundle, clock: Arc<dyn Clock>) -> Result<(), Error> {
    let mut roots = Vec::new();
    for pem in &bundle.roots {
        roots.extend(tls::certificates(pem.as_bytes())?);
    }
    let config = identity.tls_trusting(tls::roots(&roots)?, clock)?;
    let endpoint: Endpoint = identity.device_url().parse()?;
    tls::connect(&config, &endpoint).await?;
    Ok(())
}

impl Store {
    /// Keeps the bundle with the identity there is now, at once and for good.
    pub fn keep_trust(&self, identity: &Identity, bundle: TrustBundle) -> Result<Identity, Error> {
        let mut enrolled = identity.enrolled.clone();
        (enrolled.trust_bundle, enrolled.trust_bundle_version) = (bundle.roots, bundle.version);
        self.keep(enrolled)
    }
}
