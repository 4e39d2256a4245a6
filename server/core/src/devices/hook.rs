//! The pre-provisioning hook (E-9): somebody outside has a say before a claim lets a new key in. Owns what is asked, and that silence is a no.
//! Refuses to know how it is asked, and how long that may take; the composition root gives that.

use super::{Devices, Error, admission::Admission, claims::ClaimRow, gave::gave};
use crate::text::unseen;
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
/// How often in a minute the hook may say no, or nothing, to devices of one claim before nobody is asked about them: whoever has the claim must not keep it
/// from answering for others.
pub(super) const REFUSALS: u32 = 60;

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
    pub(super) async fn ask_hook(
        &self,
        claim: &ClaimRow,
        id: &ClaimId,
        a: &Admission,
        key_made_here: bool,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(Hook(ask)) = &self.hook else { return Ok(()) };
        let known = gave(&mut self.db.read().await?, &[a]).await?.pop().flatten();
        if known.is_some() {
            return Ok(());
        }
        claim.standing(now)?;
        if !self.hook_refusals.open(id.as_str(), now) {
            return Err(Error::ClaimRate);
        }
        let question = HookQuestion {
            organization: a.org.clone(),
            claim: id.clone(),
            label: a.label.clone(),
            device_id: a.device_id.clone(),
            device_type: a.device_type.clone(),
            hardware: a.hardware.clone(),
            attributes: a.attributes.clone(),
            spki_sha256: hex::encode(a.csr.spki_sha256),
            key_made_here,
            address: a.address.clone(),
        };
        let answer = ask(question).await;
        if !matches!(answer, Ok(HookAnswer { allow: true, .. })) {
            self.hook_refusals.fail(id.as_str(), now);
        }
        match answer {
            Ok(HookAnswer { allow: true, .. }) => Ok(()),
            Ok(HookAnswer { allow: false, reason }) => {
                Err(Error::HookRefused(reason.chars().filter(|c| !unseen(*c)).take(LONGEST_REASON).collect()))
            }
            Err(error) => {
                tracing::warn!(claim = id.as_str(), device = %a.device_id, error, "the pre-provisioning hook gives no answer; nobody comes in by a claim");
                Err(Error::HookSilent)
            }
        }
    }
}
