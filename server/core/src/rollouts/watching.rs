//! What a look at metrics sees: a stage's updated devices, and devices of the rollout that are not updated yet and connected, each with the mean of its samples
//! since the watch began.

use super::{
    Rollouts,
    course::Course,
    draw,
    evidence::{self, Groups, Look, MOST},
    plan::Survey,
    store::{parts, records::Record},
    ticking::target,
};
use crate::{Result, db::Read, devices::DeviceNo};
use std::collections::{BinaryHeap, HashSet};
use wire::ids::RolloutId;

impl Rollouts {
    pub(super) async fn figures(&self, on: &mut Read, record: &Record, course: &Course, look: Look) -> Result<Survey> {
        let Some(stage) = course.current() else { return Ok(Survey::Figures { look, groups: Vec::new() }) };
        let mut updated = Lowest::new(&record.id);
        for device in parts::updated(on, &record.id, course.stage, look.from).await? {
            updated.take(device);
        }
        let target = target(on, record).await?;
        let touched: HashSet<DeviceNo> = parts::touched(on, &record.id).await?.into_iter().collect();
        let mut control = Lowest::new(&record.id);
        self.walk(on, record, |device, facts, busy| {
            if facts.online && !touched.contains(&device) && target.check(facts, busy).is_ok() {
                control.take(device);
            }
        })
        .await?;
        let sampled = updated.more || control.more;
        let (updated, control) = (updated.devices(), control.devices());
        let (from, to) = (look.from, self.clock.now());
        let mut groups = Vec::new();
        for gate in evidence::open(stage) {
            groups.push(Groups {
                updated: self.means.of(&record.org, &gate.metric, &updated, from, to).await?,
                control: self.means.of(&record.org, &gate.metric, &control, from, to).await?,
                sampled,
            });
        }
        Ok(Survey::Figures { look, groups })
    }
}

/// The devices with the lowest places, so many as are compared: a part that has nothing to do with how they fare, and the same each time.
struct Lowest<'a> {
    rollout: &'a RolloutId,
    kept: BinaryHeap<(i64, DeviceNo)>,
    more: bool,
}

impl<'a> Lowest<'a> {
    const fn new(rollout: &'a RolloutId) -> Self {
        Self { rollout, kept: BinaryHeap::new(), more: false }
    }

    fn take(&mut self, device: DeviceNo) {
        self.kept.push((draw::place(self.rollout, device), device));
        if self.kept.len() > MOST {
            self.kept.pop();
            self.more = true;
        }
    }

    fn devices(self) -> Vec<DeviceNo> {
        let mut out: Vec<DeviceNo> = self.kept.into_iter().map(|(_, device)| device).collect();
        out.sort_unstable();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::rollout_id;

    #[test]
    fn of_many_the_same_part_is_taken_in_whatever_order() {
        let id = rollout_id(3);
        let of = |devices: &mut dyn Iterator<Item = i64>| {
            let mut lowest = Lowest::new(&id);
            devices.for_each(|d| lowest.take(d));
            (lowest.more, lowest.devices())
        };
        let (more, some) = of(&mut (1..=3000));
        assert!(more && some.len() == MOST && some.is_sorted());
        assert_eq!((more, some.clone()), of(&mut (1..=3000).rev()));
        let highest = some.iter().map(|d| draw::place(&id, *d)).max().unwrap();
        assert!((1..=3000).filter(|d| !some.contains(d)).all(|d| draw::place(&id, d) > highest));
        assert_eq!(of(&mut (1..=2)), (false, vec![1, 2]));
    }
}
