//! The pre-provisioning hook (pki.md E-9): somebody outside has a say before a claim lets a new key in. Owns what is asked, and that silence is a no.
//! Refuses to know how it is asked, and how long that may take; the composition root gives that.

use super::{Devices, Error, admission::Admission, claims::ClaimRow, gave::gave};
use futures::future::BoxFuture;
use std::{fmt, sync::Arc};
use wire::{
    Timestamp,
    enrolment::{HookAnswer, HookQuestion},
    ids::ClaimId,
};

/// Asks; what failed is for the log.
type Ask = dyn Fn(HookQuestion) -> BoxFuture<'static, Result<HookAnswer, String>> + Send + Sync;

/// Longest reason that is kept.
const LONGEST_REASON: usize = 200;

/// The way to the hook.
#[derive(Clone)]
pub struct Hook(Arc<Ask>);

impl Hook {
    /// A hook that is asked so. The call has to end by itself; an error of it is a refusal.
    pub fn new(ask: impl Fn(HookQuestion) -> BoxFuture<'static, Result<HookAnswer, String>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

impl Devices {
    /// Whether the hook, where there is one, lets this in. It is not asked about a key that this claim gave a certificate already, nor for a claim that is
    /// good for nothing new.
    pub(super) async fn ask_hook(&self, claim: &ClaimRow, id: &ClaimId, a: &Admission, now: Timestamp) -> Result<(), Error> {
        let Some(Hook(ask)) = &self.hook else { return Ok(()) };
        let known = gave(&mut self.db.read().await?, &[a]).await?.pop().flatten();
        if known.is_some() {
            return Ok(());
        }
        claim.standing(now)?;
        let question = HookQuestion {
            organization: a.org.clone(),
            claim: id.clone(),
            label: a.label.clone(),
            device_id: a.device_id.clone(),
            device_type: a.device_type.clone(),
            hardware: a.hardware.clone(),
            attributes: a.attributes.clone(),
            spki_sha256: hex::encode(a.csr.spki_sha256),
            address: a.address.clone(),
        };
        match ask(question).await {
            Ok(HookAnswer { allow: true, .. }) => Ok(()),
            Ok(HookAnswer { allow: false, reason }) => {
                Err(Error::HookRefused(reason.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect()))
            }
            Err(error) => {
                tracing::warn!(claim = id.as_str(), device = %a.device_id, error, "the pre-provisioning hook gives no answer; nobody comes in by a claim");
                Err(Error::HookSilent)
            }
        }
    }
}
