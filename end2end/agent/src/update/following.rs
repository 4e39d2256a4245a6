//! Fetching the key sets between what this device believes and what there is (U-1), before firmware is judged by them.

use super::{
    Updates,
    execute::{Means, Stop},
};
use crate::{backoff::Backoff, http};
use wire::{device::Offer, manifest::Envelope, signing::KEY_SETS};

/// Most sets that are asked for in one go; there is one in a change of keys.
const MOST: usize = 1000;

impl Updates {
    /// Believes every key set up to the one that the offer names, as far as they follow on one another. What does not follow changes nothing, and the
    /// firmware is judged by what is believed.
    pub(super) async fn follow_key_sets(&self, offer: &Offer, means: &Means<'_>) -> Result<(), Stop> {
        let believed = self.trust.lock().version();
        let first = believed.map_or(1, |v| v.saturating_add(1));
        for version in (first..=offer.key_set).take(MOST) {
            let Some(envelope) = self.key_set(version, offer, means).await? else { return Ok(()) };
            let followed = self.trust.lock().follow(&envelope);
            match followed {
                Ok(next) => {
                    next.keep(&self.folder)?;
                    *self.trust.lock() = next;
                    tracing::info!(version, "another key set is believed");
                    // Those in between may have ended: it is the last one that counts.
                    if let (true, Some((_, end))) = (version == offer.key_set, self.trust.lock().ended(means.clock.now())) {
                        tracing::warn!(version, %end, "the newest key set has ended: nothing is installed until the next one came");
                    }
                }
                // Keys given by hand may be those of any set: the ones before it say nothing here.
                Err(why) if self.trust.lock().version().is_none() => tracing::debug!(version, why, "not a key set for the keys given here"),
                Err(why) => {
                    tracing::warn!(version, why, "the key set is not believed; the keys stay what they are");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// One key set, again and again over cuts; none where the server has none or makes no sense.
    async fn key_set(&self, version: u64, offer: &Offer, means: &Means<'_>) -> Result<Option<Envelope>, Stop> {
        let (mut backoff, mut carrier) = (Backoff::reconnect(), means.carrier.clone());
        loop {
            carrier.up().await;
            let asked = async { (means.client)()?.ask::<Envelope>(&format!("{KEY_SETS}{version}")).await };
            let error: http::Error = match asked.await {
                Ok(envelope) => return Ok(Some(envelope)),
                Err(error) => error,
            };
            if !error.passing() || means.clock.now() >= offer.deadline {
                tracing::warn!(version, %error, "the key set is not there; the keys stay what they are");
                return Ok(None);
            }
            let wait = backoff.wait(means.entropy.unit());
            tracing::info!(version, %error, ?wait, "the key set did not come; asking again");
            tokio::time::sleep(wait).await;
        }
    }
}
