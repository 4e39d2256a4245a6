//! The work behind the listeners: what runs when, and what happens when it fails. The work itself is the core's, idempotent and without input:
//! any instance may do it. A failure is logged and tried again with the next tick.

use crate::{
    device::Channels,
    lifecycle::Lifecycle,
    list_fetch::{self, Fetcher},
    observe::Metrics,
    tls::{Registry, follow},
};
use fleet::{Fleet, access::AuditHeads, bus::Event, pki::registered::DueList};
use futures::{StreamExt as _, stream};
use std::{pin::Pin, time::Duration};
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    time::{Interval, MissedTickBehavior},
};

const HOUR: Duration = Duration::from_hours(1);
/// Lists that are fetched at once. Each takes as much memory as it is long.
const LISTS: usize = 4;

/// Starts all of them. `near`: whether lists may be fetched from private addresses.
pub(crate) fn start(
    lifecycle: &Lifecycle,
    fleet: &Fleet,
    channels: &Channels,
    registry: &Registry,
    heads: AuditHeads,
    near: bool,
    metrics: &Metrics,
) {
    let pki = fleet.pki().clone();
    until_stop(lifecycle, "trust", async move { pki.work().await });
    until_stop(lifecycle, "cut", follow(registry.clone(), fleet.pki().trust()));
    until_stop(lifecycle, "clones", clones(fleet.clone()));
    until_stop(lifecycle, "arrivals", arrivals(fleet.clone()));
    until_stop(lifecycle, "attacks", attacks(fleet.clone()));
    until_stop(lifecycle, "presence", presence(fleet.clone()));
    until_stop(lifecycle, "nudges", nudges(fleet.clone(), channels.clone()));
    until_stop(lifecycle, "rollouts", rollouts(fleet.clone()));
    until_stop(lifecycle, "committer", committer(fleet.clone()));
    until_stop(lifecycle, "compaction", compaction(fleet.clone()));
    until_stop(lifecycle, "batches", batches(fleet.clone(), metrics.clone()));
    until_stop(lifecycle, "scrubbing", scrubbing(fleet.clone()));
    until_stop(lifecycle, "suspects", suspects(fleet.clone()));
    until_stop(lifecycle, "deltas", deltas(fleet.clone()));
    until_stop(lifecycle, "lists", lists(fleet.clone(), near));
    until_stop(lifecycle, "serving", serving(fleet.clone()));
    until_stop(lifecycle, "audit heads", audit_heads(fleet.clone(), heads));
    let ticking = |name, period, work: Work| until_stop(lifecycle, name, every(period, name, fleet.clone(), work));
    ticking("transfers", Duration::from_secs(2), |fleet| Box::pin(fleet.transfers().write_down()));
    ticking("data", HOUR, |fleet| Box::pin(fleet.transfers().forget()));
    ticking("retention", HOUR, |fleet| Box::pin(async move { fleet.telemetry().retention_tick().await.map(drop) }));
    ticking("connections", HOUR, |fleet| Box::pin(async move { Ok(fleet.devices().forget_connections().await?) }));
    ticking("requests", Duration::from_mins(1), |fleet| Box::pin(async move { Ok(fleet.devices().forget_requests().await?) }));
    ticking("words", HOUR, |fleet| Box::pin(fleet.rollouts().forget_said()));
    ticking("deleted", Duration::from_mins(10), |fleet| Box::pin(fleet.forget_deleted()));
    ticking("answers", HOUR, |fleet| Box::pin(async move { fleet.repeats().sweep().await.map(drop) }));
    ticking("batches", HOUR, |fleet| Box::pin(async move { Ok(fleet.devices().sweep_batches().await?) }));
    ticking("renewals", Duration::from_secs(5), |fleet| Box::pin(async move { Ok(fleet.devices().carry_on_renewals().await?) }));
    ticking("imports", HOUR, |fleet| Box::pin(async move { Ok(fleet.devices().sweep_imports().await?) }));
    ticking("uploads", Duration::from_mins(10), |fleet| Box::pin(async move { fleet.releases().sweep().await.map(drop) }));
    let (live, stop) = (fleet.clone(), lifecycle.soft());
    lifecycle.spawn("live", async move { live.relay(stop).await });
}

/// Runs a worker until the server begins to stop; it may be dropped at any await.
fn until_stop(lifecycle: &Lifecycle, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    let soft = lifecycle.soft();
    lifecycle.spawn(name, async move {
        tokio::select! { () = work => {}, () = soft.cancelled() => {} }
    });
}

/// One round of a worker.
type Work = for<'a> fn(&'a Fleet) -> Pin<Box<dyn Future<Output = fleet::Result<()>> + Send + 'a>>;

async fn every(period: Duration, name: &'static str, fleet: Fleet, work: Work) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(e) = work(&fleet).await {
            tracing::warn!(worker = name, error = %e, "a tick failed; the next one tries again");
        }
    }
}

/// Looks whether another server has taken over the database; ends when one has, and with it the server.
async fn serving(fleet: Fleet) {
    let mut ticks = tokio::time::interval(Duration::from_secs(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match fleet.still_serves().await {
            Ok(()) => {}
            Err(e @ fleet::db::Error::Open(_)) => {
                tracing::error!(error = %e, "another server has taken over");
                return;
            }
            Err(e) => tracing::warn!(error = %e, "asking for the database's lock failed; the next tick tries again"),
        }
    }
}

/// Tells the heads of the audit log's chains beside the database (K-8): the core says once an hour, this looks every minute.
async fn audit_heads(fleet: Fleet, heads: AuditHeads) {
    let mut ticks = tokio::time::interval(Duration::from_mins(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(e) = fleet.access().tell_heads(&heads).await {
            tracing::error!(error = %e, "the head of the audit log could not be told; the next tick tries again");
        }
    }
}

/// Acts on signs that somebody else holds a device's key.
async fn clones(fleet: Fleet) {
    fleet.devices().watch_clones().await;
}

/// Decides about devices of registered authorities that are seen for the first time.
async fn arrivals(fleet: Fleet) {
    fleet.devices().watch_arrivals().await;
}

/// Writes signs of attack into the audit log, those of a moment together; every five seconds also how many came since.
async fn attacks(fleet: Fleet) {
    loop {
        // Either wakes it.
        let _ = tokio::time::timeout(Duration::from_secs(5), fleet.attacks().told()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Err(e) = fleet.attacks().write_down().await {
            tracing::warn!(error = %e, "writing signs of attack down failed; it is tried again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Samples are committed by a task of the core's own, which runs from its opening to its closing; this ends when that does, and the server with it.
async fn committer(fleet: Fleet) {
    fleet.telemetry().committing().await;
}

/// The samples' log is folded when it has gathered for a while, or much.
async fn compaction(fleet: Fleet) {
    loop {
        fleet.telemetry().compaction_due().await;
        if let Err(e) = fleet.telemetry().compact_tick().await {
            tracing::warn!(error = %e, "folding samples failed; it is tried again");
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
}

/// Batches of CSRs, as soon as one has come in; every five seconds also what a command beside the server has left.
async fn batches(fleet: Fleet, metrics: Metrics) {
    loop {
        let worked = fleet.devices().work_batches().await;
        for (outcome, times) in fleet.devices().take_batch_outcomes() {
            metrics.enrolments.get_or_create(&vec![("outcome", outcome)]).inc_by(times);
        }
        match worked {
            // Others who write come in between.
            Ok(true) => tokio::time::sleep(Duration::from_millis(5)).await,
            Ok(false) => {
                // Either wakes it.
                let _ = tokio::time::timeout(Duration::from_secs(5), fleet.devices().batches_due()).await;
            }
            Err(e) => {
                tracing::warn!(error = %e, "working on a batch failed; it is tried again");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

/// Stored content is read again and compared, one after the other at the core's own pace; when nothing is due, it looks again a minute later.
async fn scrubbing(fleet: Fleet) {
    loop {
        match fleet.releases().scrub().await {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(Duration::from_mins(1)).await,
            Err(e) => {
                tracing::warn!(error = %e, "comparing stored content failed; it is tried again");
                tokio::time::sleep(Duration::from_mins(1)).await;
            }
        }
    }
}

/// Stored content that was written to since it was compared, as soon as somebody asks for it: devices wait for that.
async fn suspects(fleet: Fleet) {
    loop {
        fleet.releases().suspected().await;
        if let Err(e) = fleet.releases().compare_suspects().await {
            tracing::warn!(error = %e, "comparing stored content failed; it is tried again when it is asked for");
        }
    }
}

/// Deltas, as soon as a release is published; every minute also what was left or failed.
async fn deltas(fleet: Fleet) {
    loop {
        match fleet.releases().make_delta().await {
            Ok(true) => {}
            Ok(false) => {
                // Either wakes it.
                let _ = tokio::time::timeout(Duration::from_mins(1), fleet.releases().deltas_due()).await;
            }
            Err(e) => {
                tracing::warn!(error = %e, "making a delta failed; it is tried again");
                tokio::time::sleep(Duration::from_mins(1)).await;
            }
        }
    }
}

/// Lists of revoked certificates that admins have named an address for: when they are due, and at once when one was named or wanted; every five seconds also
/// what a command beside the server has named or wanted.
async fn lists(fleet: Fleet, near: bool) {
    let fetcher = Fetcher::new(list_fetch::WITHIN, near).map_err(|e| format!("the HTTP client can't be made: {e}"));
    loop {
        match fleet.pki().lists_due().await {
            Ok(due) if due.is_empty() => {
                // Either wakes it.
                let _ = tokio::time::timeout(Duration::from_secs(5), fleet.pki().list_wanted()).await;
            }
            Ok(due) => {
                let (fleet, fetcher) = (&fleet, &fetcher);
                let each = |due: DueList| async move {
                    let answer = match fetcher {
                        Ok(fetcher) => fetcher.fetch(&due.url, due.known.as_ref()).await,
                        Err(error) => Err(error.clone()),
                    };
                    if let Err(e) = fleet.pki().list_came(&due, answer).await {
                        tracing::warn!(authority = %due.authority, error = %e, "a fetched list could not be taken; it is asked for again");
                    }
                };
                stream::iter(due).for_each_concurrent(LISTS, each).await;
            }
            Err(e) => {
                tracing::warn!(error = %e, "looking for lists to fetch failed; it is tried again");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

/// Presence is written within a tenth of a second, last-seen times every five.
async fn presence(fleet: Fleet) {
    let mut seen = tokio::time::interval(Duration::from_secs(5));
    seen.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let with_seen = tokio::select! {
            () = fleet.devices().presence_changed() => {
                // A storm of reconnects comes as one batch.
                tokio::time::sleep(Duration::from_millis(50)).await;
                false
            }
            _ = seen.tick() => true,
        };
        if let Err(e) = fleet.devices().flush_presence(with_seen).await {
            tracing::warn!(error = %e, "writing presence failed");
        }
    }
}

/// Rollouts advance when something happened in one, and every second anyway: soaks end and schedules begin by themselves.
async fn rollouts(fleet: Fleet) {
    let mut events = fleet.bus().listen();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while rollouts_due(&mut events, &mut ticks).await {
        if let Err(e) = fleet.rollouts().tick().await {
            tracing::warn!(error = %e, "a rollout tick failed; the next one tries again");
        }
    }
}

/// Waits until rollouts are to be looked at; false when the bus is gone. What was told until then is over with that look; what is told during it is
/// news for the next one. That may be the tick's own word: then one more tick finds nothing to do, and tells nothing.
async fn rollouts_due(events: &mut Receiver<Event>, ticks: &mut Interval) -> bool {
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(Event::Rollout { .. } | Event::Release { .. }) | Err(RecvError::Lagged(_)) => {
                    // A burst of reports is one tick.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    break;
                }
                Ok(_) => {}
                Err(RecvError::Closed) => return false,
            },
            _ = ticks.tick() => break,
        }
    }
    while !matches!(events.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
    true
}

/// Tells open channels that there may be something for them: rollouts opened, an update was taken back, or the device itself changed, its
/// tags for example; and the memory of devices that have nothing to do. That another process has moved a rollout is told by the next tick here; what else
/// another instance told comes with the channels' own looks.
async fn nudges(fleet: Fleet, channels: Channels) {
    let mut events = fleet.bus().listen();
    // From here on nothing is missed.
    fleet.rollouts().hears(None);
    loop {
        let event = events.recv().await;
        // Before anybody is told to ask.
        fleet.rollouts().hears(event.as_ref().ok());
        match event {
            Ok(Event::OffersOpen { org, .. } | Event::Frozen { org }) => channels.nudge_all(&org),
            Ok(Event::Cancelled { org, device, .. } | Event::Device { org, device }) => channels.nudge(&org, device),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => channels.nudge_everybody(),
            Err(RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::bus::Bus;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn what_is_told_during_a_tick_is_looked_at_after_it() {
        let (bus, mut ticks) = (Bus::default(), tokio::time::interval(HOUR));
        let mut events = bus.listen();
        let told = || Event::Release { org: format!("org_{:032}", 1).parse().unwrap(), id: format!("rel_{:032}", 1).parse().unwrap() };
        assert!(rollouts_due(&mut events, &mut ticks).await, "the first tick is at once");
        for _ in 0..3 {
            bus.tell(told());
        }
        assert!(tokio::time::timeout(SOON, rollouts_due(&mut events, &mut ticks)).await.unwrap());
        assert!(events.is_empty(), "a burst is one tick");
        bus.tell(Event::Trust);
        bus.tell(told());
        assert!(tokio::time::timeout(SOON, rollouts_due(&mut events, &mut ticks)).await.unwrap(), "nothing is lost in between");
        drop(bus);
        assert!(!tokio::time::timeout(SOON, rollouts_due(&mut events, &mut ticks)).await.unwrap());
    }
}
