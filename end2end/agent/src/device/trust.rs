//! The roots that the device believes in: another bundle is fetched when the server has one.

use super::{Core, Ending, Error};
use crate::{
    backoff::Backoff,
    identity::{self, fetch, proven},
};
use std::sync::Arc;

impl Core {
    /// Keeps the trust bundle the server's newest, for ever.
    pub(super) async fn keep_trust(&self) -> Result<Ending, Error> {
        let mut offered = self.bundle.subscribe();
        let mut backoff = Backoff::renewal();
        loop {
            let version = *offered.borrow_and_update();
            if version == 0 || version == self.identity.borrow().trust_bundle() {
                if offered.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                continue;
            }
            self.carrier.clone().up().await;
            match self.take_trust().await {
                Ok(version) => {
                    backoff.reset();
                    tracing::info!(version, "the trust bundle is kept");
                    // The server may have one that is newer still; it says so in its next welcome.
                    self.bundle.send_if_modified(|known| std::mem::replace(known, version) != version);
                }
                Err(error @ identity::Error::Files(_)) => return Err(error.into()),
                Err(error) => {
                    let wait = backoff.wait(self.entropy.unit());
                    tracing::warn!(%error, ?wait, "the trust bundle is not taken");
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        _ = offered.changed() => {}
                    }
                }
            }
        }
    }

    async fn take_trust(&self) -> Result<i64, identity::Error> {
        let asked = Arc::clone(&self.identity.borrow());
        let bundle = fetch(&asked, Arc::clone(&self.clock)).await?;
        proven(&asked, &bundle, Arc::clone(&self.clock)).await?;
        // The certificate may have been renewed meanwhile: the bundle goes with the one there is now.
        let current = Arc::clone(&self.identity.borrow());
        let version = bundle.version;
        let kept = Arc::new(self.store.keep_trust(&current, bundle)?);
        *self.tls.lock() = kept.tls(Arc::clone(&self.clock))?;
        // The channel comes back with it and says which version it was made with.
        self.identity.send_replace(kept);
        Ok(version)
    }
}
