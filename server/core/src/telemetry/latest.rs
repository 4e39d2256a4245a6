//! The last values of metrics over many devices, for selectors: as far as samples are folded, which is half a minute behind at the most. What a page
//! shows of one device is [`Telemetry::latest`](super::Telemetry::latest).

use super::store;
use crate::db::{Db, Error};
use wire::{Timestamp, ids::OrgId, selector::Metric, telemetry::KnownMetric};

/// Names that are told at most.
const NAMES: i64 = 200;
/// Names that are looked through at most for one that is not known.
const LOOKED_THROUGH: i64 = 1000;

/// A way to read them.
#[derive(Clone)]
pub struct LastValues(Db);

impl std::fmt::Debug for LastValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LastValues")
    }
}

impl LastValues {
    /// Over the telemetry store.
    pub const fn new(db: Db) -> Self {
        Self(db)
    }

    /// The last value of a metric and its instant, of the devices after one number up to another that ever sent it.
    pub(crate) async fn of(&self, org: &OrgId, metric: &str, (after, last): (i64, i64)) -> Result<Vec<(i64, Timestamp, f64)>, Error> {
        store::last_of(&mut self.0.read().await?, org, metric, (after, last)).await
    }

    /// The metrics that devices ever sent, the first 200 by name, each with the last value of the device that came last.
    pub(crate) async fn names(&self, org: &OrgId) -> Result<Vec<KnownMetric>, Error> {
        let found = store::names::names_of(&mut self.0.read().await?, org, NAMES).await?;
        let last = |t: Option<i64>, v: Option<f64>| t.zip(v).map(|(t, v)| (Timestamp(t), v));
        Ok(found.into_iter().map(|(name, t, v)| KnownMetric { name, last: last(t, v) }).collect())
    }

    /// The names of the metrics that devices ever sent, the first 1000, and whether these are all.
    pub(crate) async fn known(&self, org: &OrgId) -> Result<(Vec<String>, bool), Error> {
        let found = store::names::names_of(&mut self.0.read().await?, org, LOOKED_THROUGH + 1).await?;
        let all = i64::try_from(found.len()).is_ok_and(|n| n <= LOOKED_THROUGH);
        Ok((found.into_iter().map(|(name, ..)| name).collect(), all))
    }

    /// The devices whose last value is what is asked for.
    pub(crate) async fn having(&self, org: &OrgId, asked: &Metric, now: Timestamp) -> Result<Vec<i64>, Error> {
        let all = self.of(org, &asked.name, (0, i64::MAX)).await?;
        Ok(all.into_iter().filter(|(_, t, v)| asked.holds(*t, *v, now)).map(|(device, ..)| device).collect())
    }
}
