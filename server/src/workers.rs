//! The work behind the listeners: what runs when, and what happens when it fails. The work itself is the core's, idempotent and without input:
//! any instance may do it. A failure is logged and tried again with the next tick.

use crate::{
    device::{Channels, Nudge},
    lifecycle::Lifecycle,
    tls::{Registry, follow},
};
use fleet::{Fleet, bus::Event};
use std::time::Duration;
use tokio::{sync::broadcast::error::RecvError, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Starts all of them.
pub(crate) fn start(lifecycle: &Lifecycle, fleet: &Fleet, channels: &Channels, registry: &Registry) {
    let soft = lifecycle.soft();
    let until = |soft: &CancellationToken, work: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        let soft = soft.clone();
        async move {
            tokio::select! { () = work => {}, () = soft.cancelled() => {} }
        }
    };
    let pki = fleet.pki().clone();
    lifecycle.spawn("trust", until(&soft, Box::pin(async move { pki.work().await })));
    lifecycle.spawn("cut", until(&soft, Box::pin(follow(registry.clone(), fleet.pki().trust()))));
    lifecycle.spawn("presence", until(&soft, Box::pin(presence(fleet.clone()))));
    lifecycle.spawn("nudges", until(&soft, Box::pin(nudges(fleet.clone(), channels.clone()))));
    lifecycle.spawn("rollouts", until(&soft, Box::pin(rollouts(fleet.clone()))));
    lifecycle.spawn("compaction", until(&soft, Box::pin(compaction(fleet.clone()))));
    lifecycle.spawn("retention", until(&soft, Box::pin(every(Duration::from_hours(1), fleet.clone(), "retention"))));
    lifecycle.spawn("uploads", until(&soft, Box::pin(every(Duration::from_mins(10), fleet.clone(), "uploads"))));
    lifecycle.spawn("answers", until(&soft, Box::pin(every(Duration::from_hours(1), fleet.clone(), "answers"))));
    let (live, stop) = (fleet.clone(), soft.clone());
    lifecycle.spawn("live", async move { live.relay(stop).await });
}

async fn every(period: Duration, fleet: Fleet, what: &'static str) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let outcome = match what {
            "retention" => fleet.telemetry().retention_tick().await.map(drop),
            "answers" => fleet.repeats().sweep().await.map(drop),
            _ => fleet.releases().sweep().await.map(drop),
        };
        if let Err(e) = outcome {
            tracing::warn!(worker = what, error = %e, "a tick failed; the next one tries again");
        }
    }
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
    loop {
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(Event::Rollout { .. } | Event::Release { .. }) | Err(RecvError::Lagged(_)) => {
                        // A burst of reports is one tick.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        break;
                    }
                    Ok(_) => {}
                    Err(RecvError::Closed) => return,
                },
                _ = ticks.tick() => break,
            }
        }
        if let Err(e) = fleet.rollouts().tick().await {
            tracing::warn!(error = %e, "a rollout tick failed; the next one tries again");
        }
        // What the tick itself told is not news to it.
        events = events.resubscribe();
    }
}

/// Tells open channels that there may be something for them.
async fn nudges(fleet: Fleet, channels: Channels) {
    let mut events = fleet.bus().listen();
    loop {
        match events.recv().await {
            Ok(Event::OffersOpen { org, .. }) => channels.nudge_all(&org),
            Ok(Event::Cancelled { org, device, update }) => channels.nudge(&org, device, &Nudge::Cancel(update)),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => channels.nudge_all(fleet.default_org()),
            Err(RecvError::Closed) => return,
        }
    }
}
