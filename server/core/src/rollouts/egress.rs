//! Pure: what the downloads of a plan weigh on the limits of data and bandwidth: bytes stage by stage, how many a second the governor lets out at most and
//! how long they take at least by that, and whose data budget they meet. It reckons as if nothing else were sent meanwhile, and knows neither how fast a
//! device's own line is nor how many servers share the work, each of which keeps a limit by itself.

use super::throttle::pace;
use crate::devices::{DeviceNo, Facts};
use std::collections::HashMap;
use wire::{
    rollouts::{Egress, RolloutSpec},
    transfers::TransferLimits,
};

/// What limits the downloads of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Bytes a second of all of them together: the narrower of the plan's limit and the organization's.
    pub shared: Option<u64>,
    /// The attribute that says at which site a device is, and bytes a second of all downloads to one site.
    pub site: Option<(String, u64)>,
    /// Bytes that a device may be sent in 30 days before it is offered nothing more; none also where the plan does not ask for it.
    pub budget: Option<i64>,
}

impl Bounds {
    /// Of a plan, in an organization that allows this.
    pub fn of(spec: &RolloutSpec, limits: &TransferLimits) -> Self {
        let budget = limits.data_budget_mb.filter(|_| !spec.ignore_data_budget);
        Self {
            shared: spec.bandwidth.into_iter().chain(limits.bandwidth).min(),
            site: limits.site_bandwidth.map(|rate| (limits.site_attribute.clone(), rate)),
            budget: budget.map(|mb| i64::from(mb) * 1_000_000),
        }
    }

    /// Why a device that has used it up gets it later.
    pub fn used_up(&self) -> String {
        format!("has used up its data budget of {} MB in 30 days", self.budget.unwrap_or(0) / 1_000_000)
    }

    /// How a device that was sent so much in 30 days stands when it downloads so much more.
    pub fn room(&self, spent: i64, bytes: u64) -> Room {
        let Some(budget) = self.budget else { return Room::Enough };
        if spent >= budget {
            return Room::UsedUp;
        }
        let after = spent.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
        if after >= budget { Room::Last } else { Room::Enough }
    }
}

/// How a device stands with its data budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It is below its budget, before and after.
    Enough,
    /// It gets this, which brings it to its budget or beyond, and nothing after it.
    Last,
    /// It has used it up and gets this later, when enough of it is 30 days ago.
    UsedUp,
}

/// The downloads of the devices that a plan is for, taken one after the other.
#[derive(Debug)]
pub struct Load {
    bounds: Bounds,
    /// Bytes that devices were sent in 30 days, of those that they matter for.
    spent: HashMap<DeviceNo, i64>,
    sites: HashMap<String, usize>,
    parcels: Vec<Parcel>,
}

#[derive(Debug, Clone, Copy)]
struct Parcel {
    device: DeviceNo,
    bytes: u64,
    site: Option<usize>,
    room: Room,
}

/// What a plan's downloads come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Weighed {
    /// Bytes of each stage.
    pub stages: Vec<u64>,
    /// Milliseconds that the downloads of each stage take at least.
    pub least_ms: Vec<i64>,
    /// Devices that get it later, because they have used up their budget.
    pub put_off: Vec<DeviceNo>,
    /// Devices that it brings to their budget.
    pub last: i64,
    /// How many bytes a second that is; none of nobody.
    pub egress: Option<Egress>,
}

impl Load {
    /// Nobody's downloads yet. `spent` are bytes that devices were sent in 30 days; a device that is not in it counts as one that was sent nothing.
    pub fn new(bounds: Bounds, spent: HashMap<DeviceNo, i64>) -> Self {
        Self { bounds, spent, sites: HashMap::new(), parcels: Vec::new() }
    }

    /// Takes the next device that the plan is for, and the bytes that it downloads.
    pub fn take(&mut self, device: DeviceNo, facts: &Facts, bytes: u64) {
        let site = self.bounds.site.as_ref().and_then(|(attribute, _)| facts.attributes.get(attribute));
        let next = self.sites.len();
        let site = site.map(|name| *self.sites.entry(name.clone()).or_insert(next));
        let room = self.bounds.room(self.spent.get(&device).copied().unwrap_or(0), bytes);
        self.parcels.push(Parcel { device, bytes, site, room });
    }

    /// What they come to when the stages take these of them, by the turn in which they were taken.
    pub fn weigh(&self, spec: &RolloutSpec, who: &[Vec<usize>]) -> Weighed {
        let mut out = Weighed::default();
        // Bytes to each site; made once, and zero again after every stage.
        let mut to_sites = vec![0_u64; self.sites.len()];
        let (mut peak, mut together, mut paced, mut before) = (Some(0_u64), 0_i64, 0_u64, 0_i64);
        for stage in who {
            let devices = count(stage.len());
            let (mut bytes, mut largest, mut homeless) = (0_u64, 0_u64, false);
            for parcel in stage.iter().filter_map(|turn| self.parcels.get(*turn)) {
                bytes = bytes.saturating_add(parcel.bytes);
                largest = largest.max(parcel.bytes);
                match parcel.site.and_then(|site| to_sites.get_mut(site)) {
                    Some(sum) => *sum = sum.saturating_add(parcel.bytes),
                    None => homeless = true,
                }
                out.put_off.extend((parcel.room == Room::UsedUp).then_some(parcel.device));
                out.last += i64::from(parcel.room == Room::Last);
            }
            let side_by_side = spec.at_once.map_or(devices, |most| devices.min(i64::from(most.max(1))));
            out.least_ms.push(self.least_ms(bytes, &to_sites, side_by_side));
            let held = self.held(&to_sites, side_by_side, homeless).map(|rate| rate.min(bytes));
            // A stage that downloads nothing is held by its nothing.
            let held = if bytes == 0 { Some(0) } else { held };
            peak = peak.zip(held).map(|(one, other)| one.max(other));
            together = together.max(side_by_side);
            if let Some(rate) = &spec.rate {
                let begin = pace(rate, before.saturating_add(devices)).clamp(0, devices);
                paced = paced.max(begin.unsigned_abs().saturating_mul(largest).div_ceil(60));
            }
            before = before.saturating_add(devices);
            out.stages.push(bytes);
            to_sites.fill(0);
        }
        let paced = spec.rate.as_ref().map(|_| bounded(paced));
        let least_ms = out.least_ms.iter().fold(0, |sum: i64, one| sum.saturating_add(*one));
        out.egress = (before > 0).then(|| Egress { peak: peak.map(bounded), together, paced, least_ms });
        out
    }

    /// Bytes a second that leave at most while so many download side by side; none when something of it has no limit.
    fn held(&self, to_sites: &[u64], side_by_side: i64, homeless: bool) -> Option<u64> {
        let by_site = self.to_sites(to_sites, side_by_side).filter(|_| !homeless);
        self.bounds.shared.into_iter().chain(by_site).min()
    }

    /// Bytes a second that leave at most to all sites together: no more of them at once than devices download side by side.
    fn to_sites(&self, to_sites: &[u64], side_by_side: i64) -> Option<u64> {
        let sites = count(to_sites.iter().filter(|bytes| **bytes > 0).count()).min(side_by_side);
        self.bounds.site.as_ref().map(|(_, rate)| rate.saturating_mul(sites.unsigned_abs()))
    }

    /// Milliseconds that so many bytes take at least while so many download side by side: all of them by the shared limit, those to the busiest site by
    /// the site's, and those to all sites by as many sites as there are at once.
    fn least_ms(&self, bytes: u64, to_sites: &[u64], side_by_side: i64) -> i64 {
        let shared = self.bounds.shared.map_or(0, |rate| takes(bytes, rate));
        let busiest = to_sites.iter().copied().max().unwrap_or(0);
        let site = self.bounds.site.as_ref().map_or(0, |(_, rate)| takes(busiest, *rate));
        let all = to_sites.iter().fold(0, |sum: u64, one| sum.saturating_add(*one));
        let sites = self.to_sites(to_sites, side_by_side).map_or(0, |rate| takes(all, rate));
        shared.max(site).max(sites)
    }
}

/// Milliseconds for so many bytes at so many a second.
fn takes(bytes: u64, rate: u64) -> i64 {
    i64::try_from((u128::from(bytes) * 1000).div_ceil(u128::from(rate.max(1)))).unwrap_or(i64::MAX)
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn bounded(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollouts::testing::{spec, stage};
    use proptest::prelude::*;
    use wire::rollouts::{Growth, Rate, Reach};

    fn at(site: &str) -> Facts {
        let mut facts = Facts::default();
        if !site.is_empty() {
            facts.attributes.insert("site".to_owned(), site.to_owned());
        }
        facts
    }

    fn plan() -> RolloutSpec {
        spec(vec![stage(Reach::Count(1)), stage(Reach::Percent(100.0))])
    }

    /// Four downloads of 1 MB each, of which the first stage has one: two to Oslo, one to Bergen, one to nowhere.
    fn load(bounds: Bounds, sites: [&str; 4]) -> Load {
        let spent = [(1, 1_500_000), (2, 2_000_000), (3, 999_999)].into();
        let mut load = Load::new(bounds, spent);
        for (device, site) in (1..).zip(sites) {
            load.take(device, &at(site), 1_000_000);
        }
        load
    }

    fn who() -> Vec<Vec<usize>> {
        vec![vec![1], vec![0, 2, 3]]
    }

    const SITES: [&str; 4] = ["oslo", "oslo", "bergen", ""];

    #[test]
    fn without_limits_only_bytes_are_known() {
        let found = load(Bounds::default(), SITES).weigh(&plan(), &who());
        assert_eq!((found.stages.as_slice(), found.least_ms.as_slice()), (&[1_000_000, 3_000_000][..], &[0, 0][..]));
        assert_eq!((found.put_off.len(), found.last), (0, 0));
        assert_eq!(found.egress, Some(Egress { peak: None, together: 3, paced: None, least_ms: 0 }));
        assert_eq!(load(Bounds::default(), SITES).weigh(&plan(), &[vec![], vec![]]).egress, None, "nobody downloads nothing");
    }

    #[test]
    fn the_narrower_of_the_plans_limit_and_the_organizations_holds() {
        let limits = TransferLimits { bandwidth: Some(500_000), ..TransferLimits::default() };
        let own = RolloutSpec { bandwidth: Some(100_000), ..plan() };
        assert_eq!((Bounds::of(&plan(), &limits).shared, Bounds::of(&own, &limits).shared), (Some(500_000), Some(100_000)));
        let found = load(Bounds::of(&own, &limits), SITES).weigh(&own, &who());
        assert_eq!(found.least_ms, [10_000, 30_000]);
        assert_eq!(found.egress, Some(Egress { peak: Some(100_000), together: 3, paced: None, least_ms: 40_000 }));
        let wide = Bounds { shared: Some(1 << 40), ..Bounds::default() };
        assert_eq!(
            load(wide, SITES).weigh(&plan(), &who()).egress.and_then(|e| e.peak),
            Some(3_000_000),
            "never more than there is to send"
        );
    }

    #[test]
    fn sites_hold_what_goes_to_them_and_nothing_else() {
        let bounds = Bounds { site: Some(("site".into(), 100_000)), ..Bounds::default() };
        let found = load(bounds.clone(), SITES).weigh(&plan(), &who());
        assert_eq!(
            (found.least_ms.as_slice(), found.egress.as_ref().and_then(|e| e.peak)),
            (&[10_000, 10_000][..], None),
            "one has no site"
        );
        let all = load(bounds.clone(), ["oslo", "oslo", "bergen", "bergen"]);
        assert_eq!(all.weigh(&plan(), &who()).egress.and_then(|e| e.peak), Some(200_000));
        assert_eq!(all.weigh(&plan(), &who()).least_ms, [10_000, 20_000], "both to Bergen go after each other");
        let alone = RolloutSpec { at_once: Some(1), ..plan() };
        let found = all.weigh(&alone, &who());
        let egress = found.egress.unwrap();
        assert_eq!((egress.peak, egress.together), (Some(100_000), 1), "one at once is one site at once");
        assert_eq!((found.least_ms.as_slice(), egress.least_ms), (&[10_000, 30_000][..], 40_000), "and the sites go after each other");
        assert_eq!(load(bounds.clone(), SITES).weigh(&alone, &who()).least_ms, [10_000, 20_000], "who has no site is held by none");
        let narrow = Bounds { shared: Some(50_000), ..bounds };
        assert_eq!(load(narrow, SITES).weigh(&plan(), &who()).egress.and_then(|e| e.peak), Some(50_000), "shared by all of them");
    }

    #[test]
    fn a_rate_says_what_is_asked_for_on_average() {
        let paced = |rate| load(Bounds::default(), SITES).weigh(&RolloutSpec { rate: Some(rate), ..plan() }, &who()).egress.unwrap().paced;
        let steady = Rate { per_minute: 2, growth: None };
        assert_eq!(paced(steady.clone()), Some(33_334), "2 MB a minute");
        let growing = Rate { growth: Some(Growth { factor: 2.0, successes: 1, at_most: 1000 }), ..steady };
        assert_eq!(paced(growing), Some(50_000), "no more than the stage has");
    }

    #[test]
    fn a_budget_puts_off_who_has_used_it_up_and_tells_who_will_have() {
        let limits = TransferLimits { data_budget_mb: Some(2), ..TransferLimits::default() };
        let bounds = Bounds::of(&plan(), &limits);
        let found = load(bounds.clone(), SITES).weigh(&plan(), &who());
        assert_eq!((found.put_off.as_slice(), found.last), (&[2][..], 1));
        assert_eq!(
            [999_999, 1_000_000, 1_999_999, 2_000_000].map(|spent| bounds.room(spent, 1_000_000)),
            [Room::Enough, Room::Last, Room::Last, Room::UsedUp]
        );
        assert_eq!(load(bounds, SITES).weigh(&plan(), &[vec![0], vec![3]]).put_off, [0; 0], "only those that a stage takes");
        let over = RolloutSpec { ignore_data_budget: true, ..plan() };
        let found = load(Bounds::of(&over, &limits), SITES).weigh(&over, &who());
        assert_eq!((found.put_off.len(), found.last), (0, 0));
    }

    proptest! {
        #[test]
        fn what_leaves_at_most_is_enough_to_be_done_in_time(bytes in prop::collection::vec((1u64..5_000_000, 0usize..4), 1..30), shared in prop::option::of(10_000u64..2_000_000), site in prop::option::of(10_000u64..2_000_000)) {
            let bounds = Bounds { shared, site: site.map(|rate| ("site".to_owned(), rate)), budget: None };
            let mut load = Load::new(bounds, HashMap::new());
            for (device, (bytes, site)) in (1..).zip(&bytes) {
                load.take(device, &at(["oslo", "bergen", "tromsø", "vardø"][*site]), *bytes);
            }
            let all = [(0..bytes.len()).collect::<Vec<_>>()];
            let found = load.weigh(&spec(vec![stage(Reach::Percent(100.0))]), &all);
            let egress = found.egress.as_ref().unwrap();
            prop_assert_eq!(egress.peak.is_some(), shared.is_some() || site.is_some());
            if let Some(peak) = egress.peak {
                let sent = i128::from(peak) * i128::from(egress.least_ms);
                prop_assert!(sent >= i128::from(found.stages[0]) * 1000 || i128::from(peak) == i128::from(found.stages[0]), "{egress:?} {found:?}");
            }
        }

        // Every download is more than a second's worth, so no peak is cut to what there is to send.
        #[test]
        fn no_stage_is_done_sooner_than_at_its_peak(sites in prop::collection::vec(0usize..4, 2..30), split in 1usize..30, at_once in prop::option::of(1u32..6), shared in prop::option::of(10_000u64..2_000_000), site in prop::option::of(10_000u64..2_000_000), bytes in 2_000_000u64..5_000_000) {
            let bounds = Bounds { shared, site: site.map(|rate| ("site".to_owned(), rate)), budget: None };
            let mut load = Load::new(bounds, HashMap::new());
            for (device, site) in (1..).zip(&sites) {
                load.take(device, &at(["oslo", "bergen", "tromsø", "vardø"][*site]), bytes);
            }
            let (first, rest): (Vec<usize>, Vec<usize>) = (0..sites.len()).partition(|turn| *turn < split.min(sites.len() - 1));
            let spec = RolloutSpec { at_once, ..plan() };
            let enough = |least_ms: i64, bytes: u64, peak: i64| i128::from(least_ms) * i128::from(peak) >= i128::from(bytes) * 1000;
            let found = load.weigh(&spec, &[first.clone(), rest.clone()]);
            let egress = found.egress.as_ref().unwrap();
            if let Some(peak) = egress.peak {
                prop_assert!(enough(egress.least_ms, found.stages.iter().sum(), peak), "{egress:?} {found:?}");
            }
            for who in [first, rest] {
                let stage = load.weigh(&spec, &[who]);
                if let Some(peak) = stage.egress.as_ref().and_then(|e| e.peak) {
                    prop_assert!(enough(stage.least_ms[0], stage.stages[0], peak), "{stage:?}");
                }
            }
        }
    }
}
