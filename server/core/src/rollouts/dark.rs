//! Those of a rollout's devices that went dark, page by page and searched. Owns in which parts they are looked for; what dark means is the gate's, and what a
//! search means is asked of the devices.

use super::{
    Rollouts,
    store::{dark, parts::Rows, records::Record},
    wanted::Wanted,
};
use crate::{
    Result,
    db::Read,
    devices::{DeviceNo, filter::Asked, listing::matching},
};

/// Turns looked at for one page; a page may be short and still have a next one.
const LOOKED_AT: i64 = 20_000;
/// Turns looked at at once.
const BATCH: i64 = 1000;
/// Devices that a search's index names whose turns are looked at at once.
const NAMED: usize = 1000;

impl Rollouts {
    /// Those of them that are wanted, in the order of their numbers: one more than a page, where there are so many. Beside them the last device that was
    /// looked at; none where no more are left. A batch costs three statements at most, however many of it are dark.
    pub(super) async fn gone_dark(&self, on: &mut Read, record: &Record, wanted: &Wanted<'_>) -> Result<(Rows, Option<DeviceNo>)> {
        let (id, stage, now) = (&record.id, wanted.stage, self.clock.now());
        let search = match wanted.search {
            Some(search) => Some((search, Asked::of(search, self.last.as_ref(), (self.db.kind(), &record.org, now)).await?)),
            None => None,
        };
        let mut named = wanted.few.map(|few| &few[few.partition_point(|device| *device <= wanted.after)..]);
        let (mut found, mut at, mut looked) = (Rows::new(), wanted.after, 0);
        while found.len() <= wanted.rows && looked < LOOKED_AT {
            let (mut some, last) = match named {
                Some(left) => {
                    let (these, rest) = left.split_at(left.len().min(NAMED));
                    named = Some(rest);
                    let last = these.last().copied().filter(|_| !rest.is_empty());
                    (dark::dark_among(on, id, these, stage, now).await?, last)
                }
                None => dark::gone_dark(on, id, (at, BATCH), stage, now).await?,
            };
            if let Some((search, asked)) = &search
                && !some.is_empty()
            {
                let numbers: Vec<DeviceNo> = some.iter().map(|(device, _)| *device).collect();
                let meant = matching(on, &record.org, (*search, asked), &numbers).await?;
                some.retain(|(device, _)| meant.contains(device));
            }
            found.extend(some);
            let Some(last) = last else { return Ok((found, None)) };
            (at, looked) = (last, looked + BATCH);
        }
        Ok((found, Some(at)))
    }
}
