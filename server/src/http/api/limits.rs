//! How often one caller may ask: a bucket of requests per token and per session that fills up again with time.

use crate::http::fault::Problem;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use fleet::{
    access::{Actor, Who},
    clock::Clock,
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use wire::{Fault, FaultKind};

/// Requests that may come at once.
const BURST: i64 = 400;
/// Requests a second in the long run.
const PER_SECOND: i64 = 100;
/// Callers remembered; those with a full bucket need not be.
const REMEMBERED: usize = 10_000;

/// The buckets.
pub(super) struct Limits {
    clock: Arc<dyn Clock>,
    buckets: Mutex<HashMap<String, Bucket>>,
}

/// Thousandths of requests that are left, as of a time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: i64,
    at: i64,
}

impl Bucket {
    fn filled(self, now: i64) -> Self {
        // A clock that was set back fills nothing.
        let gained = (now - self.at).clamp(0, BURST * 1000).saturating_mul(PER_SECOND);
        Self { left: (self.left + gained).min(BURST * 1000), at: now }
    }
}

impl Limits {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, buckets: Mutex::default() }
    }

    /// Takes one request from the caller's bucket, or says in how many seconds there is one.
    fn take(&self, caller: String) -> Result<(), u32> {
        let now = self.clock.now().0;
        let mut buckets = self.buckets.lock();
        if buckets.len() >= REMEMBERED {
            buckets.retain(|_, b| b.filled(now).left < BURST * 1000);
        }
        let bucket = buckets.entry(caller).or_insert(Bucket { left: BURST * 1000, at: now });
        *bucket = bucket.filled(now);
        if bucket.left < 1000 {
            return Err(1);
        }
        bucket.left -= 1000;
        Ok(())
    }
}

/// Who a request counts for: the token or the session, not the address it comes from.
pub(super) fn caller(actor: &Actor) -> String {
    match &actor.who {
        Who::Session { session, .. } => session.to_string(),
        Who::Token { token, .. } => token.to_string(),
        Who::Device { device, .. } => format!("device {device}"),
        Who::System => "system".to_owned(),
        Who::Shell => "shell".to_owned(),
    }
}

pub(super) async fn limit(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let taken = request.extensions().get::<Actor>().map_or(Ok(()), |actor| limits.take(caller(actor)));
    match taken {
        Ok(()) => next.run(request).await,
        Err(seconds) => {
            let fault = Fault::new(FaultKind::TooMany, "too_many_requests", "Too many requests. Wait as long as Retry-After says.");
            Problem(fault.retry_after(seconds)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::clock::ManualClock;
    use wire::Timestamp;

    #[test]
    fn a_burst_is_taken_and_time_fills_the_bucket_again() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let limits = Limits::new(clock.clone());
        let burst = (0..1000).filter(|_| limits.take("a".into()).is_ok()).count();
        assert_eq!(i64::try_from(burst), Ok(BURST));
        assert!(limits.take("b".into()).is_ok(), "others are not held up");
        clock.advance(1000);
        let after = (0..1000).filter(|_| limits.take("a".into()).is_ok()).count();
        assert_eq!(i64::try_from(after), Ok(PER_SECOND));
        clock.advance(-500_000);
        assert!(limits.take("a".into()).is_err(), "a clock that is set back gives nothing");
    }
}
