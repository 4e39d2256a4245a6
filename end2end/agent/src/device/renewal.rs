//! A new certificate in time: when its window opens or the server asks; and after its end, or when it is refused, where the server lets
//! devices come back.

use super::{Core, Ending, Error};
use crate::{
    backoff::Backoff,
    http,
    identity::{self, recover, renew},
    tls::Fingerprint,
};
use ::http::StatusCode;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::sync::watch;

/// Clocks of devices jump; the window is looked at this often instead of slept for.
const LOOK_EVERY: Duration = Duration::from_mins(1);

impl Core {
    /// Keeps the certificate fresh, for ever.
    pub(super) async fn keep_certificate(&self) -> Result<Ending, Error> {
        let mut backoff = Backoff::renewal();
        let mut asked = self.renew.subscribe();
        // What was asked for once stays to be done.
        let mut again = false;
        loop {
            let due = async {
                while self.clock.now() < self.identity.borrow().renew_after() {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            };
            if !std::mem::take(&mut again) {
                tokio::select! {
                    () = due => {}
                    () = self.asked(&mut asked) => {}
                }
            }
            self.carrier.clone().up().await;
            let current = Arc::clone(&self.identity.borrow());
            let ended = self.clock.now() > current.not_after() || self.turned_away.load(Ordering::Relaxed);
            let outcome = match self.config.enrol_url.as_deref().filter(|_| ended) {
                Some(url) => recover(&self.store, &current, url, Arc::clone(&self.clock)).await,
                None => renew(&self.store, &current, Arc::clone(&self.clock)).await,
            };
            let renewed = match outcome {
                Ok(renewed) => Arc::new(renewed),
                Err(identity::Error::Http(http::Error::Answer { status: StatusCode::ACCEPTED, retry_after, .. })) => {
                    let (wait, code) = (Duration::from_secs(retry_after.unwrap_or(60).clamp(1, 3600)), self.store.comparison_code()?);
                    tracing::info!(
                        code,
                        ?wait,
                        "waiting for an operator to let this device come back; the console must show the same code"
                    );
                    tokio::time::sleep(wait).await;
                    continue;
                }
                Err(error @ identity::Error::Files(_)) => return Err(error.into()),
                Err(error) => {
                    let wait = backoff.wait(self.entropy.unit());
                    tracing::warn!(%error, ?wait, "the certificate is not renewed");
                    tokio::select! {
                        // A device that was turned away is asked again by its next attempt to connect.
                        () = tokio::time::sleep(wait) => again = !ended,
                        // Whoever orders it now may have mended why it failed; the order is taken above, so that it shortens one wait only.
                        () = self.ordered(asked.clone()) => {}
                    }
                    continue;
                }
            };
            backoff.reset();
            *self.tls.lock() = renewed.tls(Arc::clone(&self.clock))?;
            tracing::info!(until = %renewed.not_after(), "the certificate is renewed");
            // The channel comes back with it, which is also how the server learns that it arrived.
            self.identity.send_replace(renewed);
        }
    }

    /// Waits until the server asks on a channel: unlike a server that lets nobody in, it may be asked again before the wait is over. What it said is left for
    /// [`Core::asked`].
    async fn ordered(&self, mut asked: watch::Receiver<Option<Fingerprint>>) {
        loop {
            self.asked(&mut asked).await;
            if !self.turned_away.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Waits until the server asks for another certificate in the place of the one there is now. It asks on every channel, so also on one that was
    /// opened while the renewal was under way: what it says of a certificate that has been renewed is done.
    async fn asked(&self, asked: &mut watch::Receiver<Option<Fingerprint>>) {
        while asked.changed().await.is_ok() {
            if *asked.borrow_and_update() == self.identity.borrow().fingerprint() {
                return;
            }
        }
        // The sender lives as long as the device.
        std::future::pending::<()>().await;
    }
}
