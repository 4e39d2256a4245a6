//! The trust bundle: fetched over the identity that believes in the one before, tried, and only then kept.

use super::{Error, Identity, Store};
use crate::{
    clock::Clock,
    tls::{self, Endpoint},
};
use std::sync::Arc;
use wire::{device::TRUST_BUNDLE, pki::TrustBundle};

/// Fetches the bundle there is now.
pub async fn fetch(identity: &Identity, clock: Arc<dyn Clock>) -> Result<TrustBundle, Error> {
    Ok(identity.client(clock)?.ask(TRUST_BUNDLE).await?)
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
        enrolled.assignment_keys = bundle.assignment_keys;
        self.keep(enrolled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        peer::{Authority, Peer},
    };

    fn answer(bundle: &TrustBundle) -> Vec<u8> {
        let body = serde_json::to_string(bundle).unwrap();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    fn pem(authority: &Authority) -> String {
        let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &authority.root);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    }

    /// what would lock the device out is not kept, whoever sent it.
    #[tokio::test]
    async fn only_a_bundle_that_leads_back_to_the_server_is_kept() {
        let stranger = Authority::new("stranger");
        let bundle = |version, roots| TrustBundle { version, roots, ..TrustBundle::default() };
        let foreign = bundle(2, vec![pem(&stranger)]);
        let (first, _heard) = Peer::saying(vec![answer(&foreign), Vec::new()]).await;
        let dir = tempfile::tempdir().unwrap();
        first.authority.enrol(dir.path(), "gw-1", &first.url);
        let store = Store::open(dir.path()).unwrap();
        let identity = store.load().unwrap().unwrap();
        assert_eq!(identity.trust_bundle(), 0);
        assert_eq!(fetch(&identity, clock::System::new()).await.unwrap(), foreign);
        assert!(matches!(proven(&identity, &foreign, clock::System::new()).await, Err(Error::Tls(tls::Error::Distrusted { .. }))));
        let empty = bundle(3, Vec::new());
        assert!(proven(&identity, &empty, clock::System::new()).await.is_err(), "no root is no trust");

        let both = bundle(4, vec![pem(&stranger), pem(&first.authority)]);
        proven(&identity, &both, clock::System::new()).await.unwrap();
        store.keep_trust(&identity, both).unwrap();
        let kept = store.load().unwrap().unwrap();
        assert_eq!((kept.trust_bundle(), kept.fingerprint()), (4, identity.fingerprint()));
    }
}
