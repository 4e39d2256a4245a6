//! Reads what other rollouts have for the devices that a plan is for: who is being updated by them, from whom this one takes over, and who goes first.
//! Owns no words; [`elsewhere`] says what comes of it.

use super::{
    admission::Rank,
    elsewhere::{self, Earlier, Has, How},
    store::{back, parts, records, strata},
    survey::Miss,
    ticking::{asked, target},
};
use crate::{
    db::{Error as DbError, Read},
    devices::{DeviceNo, Facts},
};
use std::collections::{BTreeMap, HashSet};
use wire::ids::{OrgId, RolloutId};

/// Devices whose rollouts are asked for at once.
const AT_ONCE: usize = 5_000;

/// The other rollouts, as far as they are known before the fleet is walked.
pub(super) struct Contending {
    /// Who has an offer that the plan takes over.
    offered: HashSet<DeviceNo>,
    earlier: Vec<Earlier>,
}

/// Which devices of the plan a walk has met that others have.
pub(super) struct Met {
    updated: Vec<DeviceNo>,
    offered: Vec<DeviceNo>,
    /// For how many each of [`Contending::earlier`] goes first.
    earlier: Vec<i64>,
}

impl Contending {
    /// Of a plan of this rank for a device type, as the rollout of this id.
    pub(super) async fn read(on: &mut Read, org: &OrgId, id: &RolloutId, (device_type, rank): (&str, Rank)) -> Result<Self, DbError> {
        let offered = parts::taken_over(on, org, id, rank).await?;
        let mut earlier = Vec::new();
        for record in records::running_beside(on, org, device_type, id).await? {
            if record.rank().order(&record.id) > rank.order(id) {
                continue;
            }
            let cuts: Vec<i64> = records::stages(on, &record).await?.iter().map(|stage| stage.cut).collect();
            earlier.push(Earlier {
                target: target(on, &record).await?,
                kept: strata::of(on, &record, cuts).await?,
                settled: parts::settled(on, &record.id).await?,
                members: back::members(on, record.back_of.as_ref()).await?,
                priority: record.spec.priority,
                name: record.spec.name,
                id: record.id,
            });
        }
        Ok(Self { offered, earlier })
    }

    /// The metrics that those ask for which go first.
    pub(super) fn metrics(&self) -> impl Iterator<Item = &str> {
        self.earlier.iter().flat_map(|other| asked(&other.target, &other.kept.lot))
    }

    /// What is met before the walk.
    pub(super) fn nobody(&self) -> Met {
        Met { updated: Vec::new(), offered: Vec::new(), earlier: vec![0; self.earlier.len()] }
    }

    /// Takes a device of the walk into account, by why the plan is not for it; none when it is.
    pub(super) fn meet(&self, met: &mut Met, (device, facts): (DeviceNo, &Facts), missed: Option<Miss>) {
        match missed {
            Some(Miss::Busy) => met.updated.push(device),
            None if self.offered.contains(&device) => met.offered.push(device),
            None => {
                for (other, devices) in self.earlier.iter().zip(&mut met.earlier) {
                    *devices += i64::from(other.means(device, facts));
                }
            }
            Some(_) => {}
        }
    }

    /// What comes of it for a plan that brings this sequence, in sentences.
    pub(super) async fn said(&self, on: &mut Read, id: &RolloutId, met: &Met, sequence: i64) -> Result<Vec<String>, DbError> {
        let mut all = having(on, id, &met.updated, How::Updates).await?;
        all.extend(having(on, id, &met.offered, How::Offers).await?);
        for (other, devices) in self.earlier.iter().zip(&met.earlier).filter(|(_, devices)| **devices > 0) {
            let how = How::First(other.priority);
            all.push(Has { name: other.name.clone(), sequence: other.target.sequence, devices: *devices, how });
        }
        Ok(elsewhere::said(&mut all, sequence))
    }
}

/// The rollouts that these devices have an open update of, and how many each.
async fn having(on: &mut Read, id: &RolloutId, devices: &[DeviceNo], how: How) -> Result<Vec<Has>, DbError> {
    let mut by = BTreeMap::<String, Has>::new();
    for some in devices.chunks(AT_ONCE) {
        for (other, name, sequence, devices) in parts::holding(on, id, some).await? {
            by.entry(other).or_insert(Has { name, sequence, devices: 0, how }).devices += devices;
        }
    }
    Ok(by.into_values().collect())
}
