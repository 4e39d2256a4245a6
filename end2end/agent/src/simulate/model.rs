//! What a simulated device measures: seeded random walks around a daily wave, plausible to look at and the same for the same seed.

use crate::{
    entropy::Entropy,
    metrics::{Source, round},
};
use std::{f64::consts::TAU, sync::Arc};
use wire::{Timestamp, device::Sample};

const DAY_MS: i64 = 86_400_000;

/// A value that wanders and is drawn back to where it belongs.
#[derive(Debug, Clone)]
struct Walk {
    value: f64,
    home: f64,
    step: f64,
    pull: f64,
    range: (f64, f64),
}

impl Walk {
    fn new(home: f64, step: f64, pull: f64, range: (f64, f64)) -> Self {
        Self { value: home, home, step, pull, range }
    }

    fn go(&mut self, entropy: &Entropy, home_by: f64) -> f64 {
        let home = self.home + home_by;
        // The sum of two even draws leans to the middle, as noise does.
        let noise = entropy.between(-1.0, 1.0) + entropy.between(-1.0, 1.0);
        self.value += (home - self.value) * self.pull + noise * self.step;
        self.value = self.value.clamp(self.range.0, self.range.1);
        self.value
    }
}

/// The sensors of one simulated gateway.
#[derive(Debug)]
pub struct Model {
    entropy: Arc<Entropy>,
    cpu: Walk,
    memory: Walk,
    case: Walk,
    rssi: Walk,
    battery: f64,
    charging: bool,
    /// Minutes of work that make the processor busy for a while.
    busy: u32,
    phase: f64,
    started: Option<Timestamp>,
}

impl Model {
    /// Sensors that differ a little from device to device.
    pub fn new(entropy: Arc<Entropy>) -> Self {
        let e = &entropy;
        Self {
            cpu: Walk::new(e.between(8.0, 30.0), 2.0, 0.1, (0.5, 100.0)),
            memory: Walk::new(e.between(30.0, 60.0), 0.3, 0.01, (5.0, 98.0)),
            case: Walk::new(e.between(18.0, 30.0), 0.05, 0.02, (-25.0, 90.0)),
            rssi: Walk::new(e.between(-85.0, -55.0), 1.0, 0.05, (-112.0, -40.0)),
            battery: e.between(40.0, 100.0),
            charging: e.unit() < 0.5,
            busy: 0,
            phase: e.between(-0.05, 0.05),
            started: None,
            entropy,
        }
    }
}

impl Source for Model {
    fn sample(&mut self, now: Timestamp, out: &mut Vec<Sample>) {
        let e = &self.entropy;
        let started = *self.started.get_or_insert(now);
        #[expect(clippy::cast_precision_loss, reason = "a share of a day")]
        let day = now.millis().rem_euclid(DAY_MS) as f64 / DAY_MS as f64;
        // Warmest in the middle of the afternoon, coldest before dawn.
        let wave = ((day + self.phase - 0.375) * TAU).sin();
        if self.busy == 0 && e.unit() < 0.003 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "20 to 120")]
            let seconds = e.between(20.0, 120.0) as u32;
            self.busy = seconds;
        }
        self.busy = self.busy.saturating_sub(1);
        let cpu = self.cpu.go(e, wave.max(0.0) * 10.0 + if self.busy > 0 { 45.0 } else { 0.0 });
        let memory = self.memory.go(e, if self.busy > 0 { 6.0 } else { 0.0 });
        let temperature = self.case.go(e, wave * 6.0 + cpu * 0.15);
        let rssi = self.rssi.go(e, 0.0);
        self.battery = (self.battery + if self.charging { 0.02 } else { -0.006 }).clamp(0.0, 100.0);
        if self.battery >= 100.0 {
            self.charging = false;
        } else if self.battery < 25.0 {
            self.charging = true;
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
        let uptime = (now.since(started) / 1000) as f64;
        let values = [
            ("cpu.percent", cpu),
            ("mem.percent", memory),
            ("temp.celsius", temperature),
            ("battery.percent", self.battery),
            ("net.rssi_dbm", rssi),
            ("uptime.s", uptime),
        ];
        out.extend(values.map(|(m, v)| Sample { m: m.to_owned(), t: now.millis(), v: round(v) }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(seed: u64) -> Vec<Sample> {
        let mut model = Model::new(Entropy::seeded(seed));
        let mut out = Vec::new();
        (0..3600).for_each(|s| model.sample(Timestamp(1_800_000_000_000 + s * 1000), &mut out));
        out
    }

    #[test]
    fn the_same_seed_measures_the_same_and_everything_stays_plausible() {
        assert_eq!(hour(1), hour(1));
        assert_ne!(hour(1), hour(2));
        for seed in 0..20 {
            for s in hour(seed) {
                let range = match s.m.as_str() {
                    "temp.celsius" => -25.0..=90.0,
                    "net.rssi_dbm" => -112.0..=-40.0,
                    "uptime.s" => 0.0..=3600.0,
                    _ => 0.0..=100.0,
                };
                assert!(range.contains(&s.v), "{s:?}");
            }
        }
    }
}
