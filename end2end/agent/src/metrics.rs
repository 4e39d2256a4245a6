//! What a device measures.
//!
//! Owns the names and units of this host's figures, read from the kernel through `sysinfo`. A figure that the host does not have is left out,
//! never made up. Refuses to know where samples go.
//!
//! | metric | unit |
//! |---|---|
//! | `cpu.percent` | all cores together, 0–100 |
//! | `mem.percent` | memory that is not available to programs, 0–100 |
//! | `load.1` | load average of a minute |
//! | `disk.percent` | the fullest of the file systems of the root and the state folder, 0–100 |
//! | `net.rx_bytes_s`, `net.tx_bytes_s` | bytes a second over all interfaces but the loopback |
//! | `temp.celsius` | the hottest sensor |
//! | `uptime.s` | seconds since boot |

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use sysinfo::{Components, Disks, Networks, System};
use wire::{Timestamp, device::Sample};

/// Something that measures.
pub trait Source: Send {
    /// Appends what is measured at `now` to `out`. Called once an interval; must not take long.
    fn sample(&mut self, now: Timestamp, out: &mut Vec<Sample>);
}

/// Disks fill slowly, and asking for their size can hang on a dead network mount.
const DISKS_EVERY_MS: i64 = 10_000;

/// This Linux host.
pub struct Host {
    state: PathBuf,
    system: System,
    networks: Networks,
    components: Components,
    disk: Option<f64>,
    disk_at: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Host {
    /// Measures this host; `state` is the folder whose file system must not fill up.
    ///
    /// # Errors
    /// What the kernel refuses to tell.
    pub fn new(state: &Path) -> Result<Self, sysinfo::Error> {
        let mut system = System::new()?;
        system.refresh_cpu_usage();
        Ok(Self {
            state: state.to_owned(),
            system,
            networks: Networks::new_with_refreshed_list()?,
            components: Components::new_with_refreshed_list()?,
            disk: None,
            disk_at: None,
            last: None,
        })
    }

    /// The host's facts, to be shown beside its name.
    pub fn attributes() -> BTreeMap<String, String> {
        let facts = [
            ("hostname", System::host_name().ok()),
            ("os", System::long_os_version().ok()),
            ("kernel", System::kernel_version().ok()),
            ("arch", Some(System::cpu_arch())),
            ("cpus", System::physical_core_count().ok().map(|n| n.to_string())),
            (wire::device::TIMEZONE, zone()),
        ];
        facts.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?))).collect()
    }

    fn disk_percent(&self) -> Option<f64> {
        let disks = Disks::new_with_refreshed_list().ok()?;
        let state = self.state.canonicalize().unwrap_or_else(|_| self.state.clone());
        let holding = |path: &Path| {
            let of_path = disks.iter().filter(|d| path.starts_with(d.mount_point()) && d.total_space() > 0);
            of_path.max_by_key(|d| d.mount_point().as_os_str().len())
        };
        [holding(Path::new("/")), holding(&state)]
            .into_iter()
            .flatten()
            .map(|d| percent(d.total_space().saturating_sub(d.available_space()), d.total_space()))
            .reduce(f64::max)
    }
}

impl Source for Host {
    fn sample(&mut self, now: Timestamp, out: &mut Vec<Sample>) {
        let mut put = |metric: &str, value: f64| {
            if value.is_finite() {
                out.push(Sample { m: metric.to_owned(), t: now.millis(), v: round(value) });
            }
        };
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        put("cpu.percent", f64::from(self.system.global_cpu_usage()));
        let total = self.system.total_memory();
        if total > 0 {
            put("mem.percent", percent(total.saturating_sub(self.system.available_memory()), total));
        }
        if let Ok(load) = System::load_average() {
            put("load.1", load.one);
        }
        if self.disk_at.is_none_or(|at| now.since(at).abs() >= DISKS_EVERY_MS) {
            (self.disk, self.disk_at) = (self.disk_percent(), Some(now));
        }
        if let Some(disk) = self.disk {
            put("disk.percent", disk);
        }
        self.networks.refresh(true);
        if let Some(last) = self.last {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = |bytes: u64| bytes as f64 * 1000.0 / now.since(last).max(1) as f64;
            let outside = || self.networks.iter().filter(|(name, _)| *name != "lo").map(|(_, data)| data);
            put("net.rx_bytes_s", rate(outside().map(sysinfo::NetworkData::received).sum()));
            put("net.tx_bytes_s", rate(outside().map(sysinfo::NetworkData::transmitted).sum()));
        }
        self.last = Some(now);
        self.components.refresh(true);
        let hottest = self.components.iter().filter_map(sysinfo::Component::temperature).filter(|t| t.is_finite()).reduce(f32::max);
        if let Some(hottest) = hottest {
            put("temp.celsius", f64::from(hottest));
        }
        if let Ok(uptime) = System::uptime() {
            #[expect(clippy::cast_precision_loss, reason = "seconds since boot fit")]
            put("uptime.s", uptime as f64);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// Two decimals: what a chart can show, and half the bytes on the wire.
pub(crate) fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// The IANA zone of this host, by the file that its local time is a link to.
fn zone() -> Option<String> {
    let file = std::fs::read_link("/etc/localtime").ok()?;
    file.to_str()?.split_once("zoneinfo/").map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_plausible_figures() {
        let mut host = Host::new(Path::new("/tmp")).unwrap();
        let mut out = Vec::new();
        host.sample(Timestamp(1_000), &mut Vec::new());
        host.sample(Timestamp(2_000), &mut out);
        let value = |m: &str| out.iter().find(|s| s.m == m).map(|s| s.v);
        for metric in ["cpu.percent", "mem.percent", "disk.percent"] {
            assert!((0.0..=100.0).contains(&value(metric).unwrap()), "{metric}");
        }
        assert!(value("load.1").unwrap() >= 0.0 && value("uptime.s").unwrap() > 0.0);
        assert!(value("net.rx_bytes_s").unwrap() >= 0.0);
        assert!(out.iter().all(|s| s.t == 2_000 && s.v.is_finite()));
    }
}
