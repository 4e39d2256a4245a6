//! The rollouts' controller against a hostile fleet, from seeds: devices that are offline, slow, fail, lie, revert, flap, fall silent and
//! come back late; two planners that act on stale snapshots; people who pause, resume, promote, retry, stop, recall, cancel the updates of single
//! devices and set the clock; devices that refuse to stop, or have begun before they hear of it; a fleet that changes meanwhile.
//!
//! After every step the invariants hold, and when the turmoil is over every rollout ends or has halted with a reason. The controller here is
//! the shipped one (`plan`, `control`, `admission`, `hearing`, `Course`), with a `Vec` as its table of updates. The invariants are asserted by the store
//! after every change in debug builds as well, and `rollouts/tests` runs fleets through both databases.
//!
//! `FLEETWARD_SIM_SEEDS=N` runs N seeds instead of 200; `FLEETWARD_SIM_SEED=S` runs one and prints what happened.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "rollout_sim/devices.rs"]
mod devices;
#[path = "rollout_sim/world/mod.rs"]
mod world;

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};
use world::World;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|v| v.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Runs the seeds on all processors and adds up what happened. The first seed that fails is named and ends it.
fn run_all(seeds: u64) -> world::Tally {
    let next = AtomicU64::new(0);
    let seen = Mutex::new(world::Tally::default());
    let failed = Mutex::new(None::<u64>);
    std::thread::scope(|threads| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds || failed.lock().unwrap().is_some() {
                        return;
                    }
                    if let Ok(tally) = std::panic::catch_unwind(|| World::run(seed, false).tally) {
                        seen.lock().unwrap().add(&tally);
                    } else {
                        let mut failed = failed.lock().unwrap();
                        *failed = Some(failed.map_or(seed, |other| other.min(seed)));
                    }
                }
            });
        }
    });
    if let Some(seed) = failed.into_inner().unwrap() {
        println!("first failing seed: {seed}");
        panic!("seed {seed} fails: run it alone with FLEETWARD_SIM_SEED={seed}");
    }
    seen.into_inner().unwrap()
}

#[test]
fn whatever_a_fleet_does_the_invariants_hold_and_every_rollout_ends() {
    if let Some(seed) = setting("FLEETWARD_SIM_SEED") {
        let world = World::run(seed, true);
        println!("{:#?}", world.tally);
        return;
    }
    let seeds = setting("FLEETWARD_SIM_SEEDS").unwrap_or(200);
    let mut seen = run_all(seeds);
    // Among those it is luck whether devices go dark before something else ends their rollout.
    for seed in 0..5 {
        let dark = World::darkened(seed);
        assert_eq!((dark.tally.dark_halts, dark.offered_beyond_first_stage()), (1, 0), "seed {seed}: {:?}", dark.history.last());
        seen.add(&dark.tally);
    }
    println!("{seen:#?}");
    // A simulation in which nothing happens proves nothing; a few seeds can't show everything.
    if seeds < 200 {
        return;
    }
    for (n, what) in [
        (seen.offers, "offers"),
        (seen.stale, "stale plans"),
        (seen.timed_out, "timeouts"),
        (seen.lies, "lies"),
        (seen.claims, "successes without evidence"),
        (seen.proven, "successes that were proven later"),
        (seen.belied, "successes that were belied by what runs"),
        (seen.never_proven, "successes that were never proven"),
        (seen.reverted, "reverts"),
        (seen.withdrawn, "withdrawals"),
        (seen.requeued, "retries"),
        (seen.late_words, "late words"),
        (seen.halted, "halts"),
        (seen.completed, "completions"),
        (seen.stopped, "stops"),
        (seen.recounts, "recounts"),
        (seen.resumed_after_halt, "resumptions after a halt"),
        (seen.recalled, "recalls"),
        (seen.recalled_under_way, "recalls of what was under way and held"),
        (seen.not_applicable, "releases that were not for a device"),
        (seen.held_back, "devices that waited for others"),
        (seen.dark_halts, "halts over devices that went dark"),
        (seen.failed_halts, "halts over devices that could not install"),
        (seen.refused_halts, "halts over devices that refused"),
        (seen.clock_jumps, "clocks that were set"),
        (seen.shut, "devices whose window was closed"),
        (seen.paused_by_gate, "gates that paused"),
        (seen.retried, "retries by themselves"),
        (seen.superseded, "updates that a newer rollout took over"),
        (seen.set_out, "ways back"),
        (seen.went_back, "devices that went back"),
        (seen.rolled_back, "rollouts that were taken back"),
        (seen.looks, "looks at metrics"),
        (seen.metric_halts, "halts over a metric"),
        (seen.too_few, "looks with too few devices"),
        (seen.stuck, "devices that were stuck in a step"),
        (seen.whole_halts, "gates of the whole rollout that said no"),
        (seen.cancelled, "updates that people cancelled"),
        (seen.cancelled_again, "cancelled updates that people had tried again"),
        (seen.cancelled_unoffered, "retries that people cancelled before they were offered"),
        (seen.reopened, "stages that were done and went on with devices that were tried again"),
        (seen.refused, "cancellations that devices refused"),
        (seen.went_on, "devices that went on with what was taken back"),
        (seen.went_on_well, "successes of those"),
        (seen.went_on_badly, "failures of those"),
        (seen.reopened_by_devices, "stages that were done and went on with those"),
        (seen.set_aside, "last stages that waited for a person because of cancelled devices"),
    ] {
        assert!(n > 0, "no seed had any {what}");
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in [3, 17, 42] {
        assert_eq!(World::run(seed, false).history, World::run(seed, false).history);
    }
}

#[test]
fn a_healthy_fleet_is_updated_to_the_last_device() {
    for seed in 0..20 {
        let world = World::healthy(seed);
        assert_eq!(world.tally.completed, 1, "seed {seed}: {:?}", world.history.last());
        assert!(world.everybody_runs_the_release(), "seed {seed}");
    }
}

#[test]
fn a_release_that_fails_everywhere_never_leaves_its_first_stage() {
    for seed in 0..20 {
        let world = World::doomed(seed);
        // A gate that pauses is resumed until everybody has failed.
        if world.tally.paused_by_gate > 0 {
            continue;
        }
        assert_eq!((world.tally.halted + world.tally.rolled_back, world.tally.completed), (1, 0), "seed {seed}");
        assert!(world.offered_beyond_first_stage() == 0, "seed {seed}");
    }
}

#[test]
fn firmware_that_makes_devices_fare_worse_is_stopped_while_its_first_stage_is_watched() {
    let stopped = (0..60).filter(|seed| {
        let world = World::measured(*seed, true, 99.0, 65.0);
        assert!(!world.halted_by_a_metric() || world.offered_beyond_first_stage() == 0, "seed {seed}");
        world.halted_by_a_metric()
    });
    assert_eq!(stopped.count(), 60);
}

#[test]
fn firmware_that_changes_nothing_is_stopped_no_more_often_than_the_confidence_says() {
    // Any effect counts here, so that only the level holds; four looks share it. 10 % of 200 are 20; four standard deviations above that is 37.
    let stopped = (0..200).filter(|seed| World::measured(*seed, false, 90.0, 50.0).halted_by_a_metric()).count();
    assert!(stopped <= 37, "{stopped} of 200");
    // As plans are usually written it is rare.
    let stopped = (0..200).filter(|seed| World::measured(*seed, false, 99.0, 65.0).halted_by_a_metric()).count();
    assert!(stopped <= 6, "{stopped} of 200");
}

#[test]
fn a_store_that_applies_stale_plans_is_caught() {
    let caught = (0..20).filter(|seed| std::panic::catch_unwind(|| World::sloppy(*seed)).is_err()).count();
    assert!(caught >= 10, "only {caught} of 20 seeds noticed");
}
