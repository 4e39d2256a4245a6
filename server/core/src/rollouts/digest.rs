//! Pure: what an approval binds. SHA-256 over one unambiguous form of everything that decides what runs where and when; any edit to it makes
//! another digest, and an approval of the old one is void.
//!
//! The form is a list of fields, each a length (64 bits, big-endian) and its bytes, beginning with the form's name. Floats are their
//! IEEE 754 bits with −0 as 0. Name and reason are in it too: they are what the approver read.

use super::timing::Timing;
use wire::{
    ids::{Digest, OrgId, RolloutId},
    rollouts::{GateAction, GateSpec, Growth, MetricGate, Order, Rate, Reach, Retry, RolloutSpec, StepLimits, Urgency, Window},
};

const FORM: &str = "fleetward rollout approval 1";
/// The form of plans with limits that the first one has no field for. A plan without them keeps its first form, and with it the approvals that
/// were given before there were such limits.
const FORM_WITH_LIMITS: &str = "fleetward rollout approval 2";
// What follows stands behind either form in the order of these constants, each only where a plan says something of it: a plan that says nothing of what
// was added later keeps the digest that it was approved by.

/// What stands behind the last stage of a plan whose updates somebody at each device confirms.
const CONFIRMED_AT_DEVICE: &str = "confirmed at the device";
/// Begins what a plan says of how its files travel.
const TRANSFERS: &str = "fleetward rollout transfers 1";
/// What follows behind the form of a plan that says something of time: its window, its urgency, whether it only fetches and whether freezes hold it.
const TIME: &str = "fleetward rollout approval, time 1";
/// What follows either form when a plan has what neither has a field for: gates that do more than halt, a way back, retries, a priority.
const THEN_WAY_BACK: &str = "fleetward rollout approval: actions, way back, retries, priority";

/// What follows when a plan says in which order devices come, how fast, or which share of those that belong together update at once.
const ORDER: &str = "fleetward rollout approval: order, rate, share 1";
/// What follows when a plan compares metrics, has a gate of the whole rollout, or limits steps.
const EVIDENCE: &str = "fleetward rollout approval: metrics, whole gate, steps";

/// What follows when a gate limits how many devices may fail to install, or refuse.
const CLASSES: &str = "fleetward rollout approval: failed, rejected";

/// The digest of a rollout: `manifest` is the SHA-256 of the release's signed envelope, which names the payloads; `payloads` are theirs;
/// `way_back` is the SHA-256 of the envelope of the release that devices go back to.
pub fn of(
    org: &OrgId,
    rollout: &RolloutId,
    spec: &RolloutSpec,
    manifest: &Digest,
    payloads: &[Digest],
    way_back: Option<&Digest>,
) -> Digest {
    let mut form = Form(Vec::with_capacity(512));
    let limited = limited(spec);
    form.text(if limited { FORM_WITH_LIMITS } else { FORM });
    form.text(org.as_str());
    form.text(rollout.as_str());
    form.text(spec.release.as_str());
    form.text(manifest.as_str());
    form.number(payloads.len() as u64);
    for payload in payloads {
        form.text(payload.as_str());
    }
    // Every field is named here, so that a new one can't be forgotten.
    let RolloutSpec {
        name,
        release: _,
        selector,
        stages,
        start_at,
        timeout_min,
        reason,
        at_once,
        budget,
        confirm_at_device,
        bandwidth,
        ignore_data_budget,
        window: _,
        urgency: _,
        download_only: _,
        during_freeze: _,
        way_back: back,
        retry,
        priority,
        order,
        rate,
        gate: whole,
        steps,
    } = spec;
    form.text(name);
    form.text(selector);
    form.text(reason);
    form.number(u64::from(*timeout_min));
    form.text(&start_at.map_or_else(String::new, |at| at.millis().to_string()));
    if limited {
        form.optional(*at_once);
        form.text(budget.as_ref().map_or("", |b| &b.attribute));
        form.optional(budget.as_ref().and_then(|b| b.at_most));
    }
    form.number(stages.len() as u64);
    for stage in stages {
        let wire::rollouts::StageSpec { name, reach, soak_s, confirm, gate } = stage;
        form.text(name);
        match reach {
            Reach::Percent(p) => {
                form.text("percent");
                form.float(*p);
            }
            Reach::Count(n) => {
                form.text("count");
                form.number(u64::from(*n));
            }
            Reach::Matching(selector) => {
                form.text("matching");
                form.text(selector);
            }
        }
        form.number(u64::from(*soak_s));
        form.number(u64::from(*confirm));
        form.gate(gate, limited);
    }
    if *confirm_at_device {
        form.text(CONFIRMED_AT_DEVICE);
    }
    if bandwidth.is_some() || *ignore_data_budget {
        form.text(TRANSFERS);
        form.text(&bandwidth.map_or_else(String::new, |n| n.to_string()));
        form.number(u64::from(*ignore_data_budget));
    }
    form.time(Timing::of(spec));
    if goes_back(spec) {
        form.text(THEN_WAY_BACK);
        for stage in stages {
            form.text(stage.gate.action.as_str());
        }
        form.text(back.as_ref().map_or("", |release| release.as_str()));
        form.text(way_back.map_or("", |manifest| manifest.as_str()));
        form.number(u64::from(retry.is_some()));
        if let Some(Retry { classes, times, wait_min }) = retry {
            form.number(classes.len() as u64);
            for class in classes {
                form.text(class.as_str());
            }
            form.number(u64::from(*times));
            form.number(u64::from(*wait_min));
        }
        form.number(u64::from(*priority));
    }
    let share = budget.as_ref().and_then(|b| b.at_most_percent);
    if order.is_some() || rate.is_some() || share.is_some() {
        form.text(ORDER);
        form.order(order.as_ref());
        form.number(u64::from(rate.is_some()));
        if let Some(Rate { per_minute, growth }) = rate {
            form.number(u64::from(*per_minute));
            form.number(u64::from(growth.is_some()));
            if let Some(Growth { factor, successes, at_most }) = growth {
                form.float(*factor);
                form.number(u64::from(*successes));
                form.number(u64::from(*at_most));
            }
        }
        form.number(u64::from(share.is_some()));
        if let Some(percent) = share {
            form.float(percent);
        }
    }
    if stages.iter().any(|s| !s.gate.metrics.is_empty()) || whole.is_some() || !steps.is_none() {
        form.text(EVIDENCE);
        for stage in stages {
            form.metrics(&stage.gate.metrics);
        }
        form.number(u64::from(whole.is_some()));
        if let Some(gate) = whole {
            form.gate(gate, true);
            form.text(gate.action.as_str());
            form.metrics(&gate.metrics);
        }
        let StepLimits { downloading_min, installing_min, rebooting_min, verifying_min } = steps;
        for limit in [downloading_min, installing_min, rebooting_min, verifying_min] {
            form.optional(*limit);
        }
    }
    let gates = || stages.iter().map(|s| &s.gate).chain(whole);
    if gates().any(|g| g.max_failed.is_some() || g.max_rejected.is_some()) {
        form.text(CLASSES);
        // The gate of the whole rollout is the one behind those of the stages, if the plan has one: how many stages there are has been said.
        for gate in gates() {
            form.optional(gate.max_failed);
            form.optional(gate.max_rejected);
        }
    }
    Digest::from_bytes(&crate::hash::sha256(&form.0))
}

/// Whether a plan has something that only [`THEN_WAY_BACK`] has fields for.
fn goes_back(spec: &RolloutSpec) -> bool {
    let acts = spec.stages.iter().any(|s| s.gate.action != GateAction::Halt);
    acts || spec.way_back.is_some() || spec.retry.is_some() || spec.priority > 0
}

/// Whether a plan has something that only the second form has a field for.
fn limited(spec: &RolloutSpec) -> bool {
    let of_gate = |g: &GateSpec| g.max_reverted.is_some() || g.max_timed_out.is_some() || g.max_dark.is_some();
    spec.at_once.is_some() || spec.budget.is_some() || spec.stages.iter().any(|s| of_gate(&s.gate))
}

struct Form(Vec<u8>);

impl Form {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend((bytes.len() as u64).to_be_bytes());
        self.0.extend(bytes);
    }
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
    fn number(&mut self, n: u64) {
        self.bytes(&n.to_be_bytes());
    }
    /// A number, or an empty field for none.
    fn optional(&mut self, n: Option<u32>) {
        self.text(&n.map_or_else(String::new, |n| n.to_string()));
    }
    /// A gate without its action, its metrics, and the limits that are in [`CLASSES`].
    fn gate(&mut self, gate: &GateSpec, limited: bool) {
        let GateSpec {
            success_percent,
            error_percent,
            min_sample,
            max_errors,
            max_failed: _,
            max_reverted,
            max_timed_out,
            max_rejected: _,
            max_dark,
            action: _,
            metrics: _,
        } = gate;
        self.float(*success_percent);
        self.float(*error_percent);
        self.number(u64::from(*min_sample));
        self.number(u64::from(*max_errors));
        if limited {
            for limit in [max_reverted, max_timed_out, max_dark] {
                self.optional(*limit);
            }
        }
    }
    fn metrics(&mut self, metrics: &[MetricGate]) {
        self.number(metrics.len() as u64);
        for MetricGate { metric, worse, min_devices, effect_percent, min_shift, confidence_percent, too_few } in metrics {
            self.text(metric);
            self.text(worse.as_str());
            self.number(u64::from(*min_devices));
            self.float(*effect_percent);
            self.number(u64::from(min_shift.is_some()));
            self.float(min_shift.unwrap_or_default());
            self.float(*confidence_percent);
            self.text(too_few.as_str());
        }
    }
    /// Nothing for a plan that says nothing of time.
    fn time(&mut self, timing: Timing) {
        if timing == Timing::default() {
            return;
        }
        let Timing { window, urgency, download_only, during_freeze } = timing;
        self.text(TIME);
        self.number(u64::from(window.is_some()));
        if let Some(Window { days, from, until, zone }) = window {
            self.number(days.len() as u64);
            for day in days {
                self.text(day.as_str());
            }
            self.text(&from.to_string());
            self.text(&until.to_string());
            self.text(&zone);
        }
        match urgency {
            Urgency::Soft => self.text("soft"),
            Urgency::Forced => self.text("forced"),
            Urgency::ForcedAfter(at) => {
                self.text("forced_after");
                self.text(&at.millis().to_string());
            }
        }
        self.number(u64::from(download_only));
        self.number(u64::from(during_freeze));
    }
    fn order(&mut self, order: Option<&Order>) {
        match order {
            None => self.text(""),
            Some(Order::Random) => self.text("random"),
            Some(Order::Spread(attribute)) => {
                self.text("spread");
                self.text(attribute);
            }
            Some(Order::Listed(ids)) => {
                self.text("listed");
                self.number(ids.len() as u64);
                for id in ids {
                    self.text(id.as_str());
                }
            }
        }
    }
    fn float(&mut self, x: f64) {
        let x = if x == 0.0 { 0.0 } else { x };
        self.number(x.to_bits());
    }
}

#[cfg(test)]
mod tests;
