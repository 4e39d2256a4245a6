//! Pure: what can happen to a rollout, as planner and people say it.

use crate::rollouts::draw::Cut;
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    rollouts::{EndClass, Finding, Verdict},
    states::{RolloutState, StageState},
};

/// One thing that happens to a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The rollout changes its state.
    Enter {
        /// To which.
        to: RolloutState,
        /// Why, in one sentence.
        summary: String,
    },
    /// Something is said of it; nothing else happens.
    Say {
        /// In one sentence.
        summary: String,
    },
    /// It may begin now.
    BeginNow,
    /// Its devices are drawn into the stages.
    Draw {
        /// One a stage.
        cuts: Vec<Cut>,
        /// Where stages end by stratum, where the cuts alone don't say it.
        strata: BTreeMap<String, Vec<i64>>,
        /// Who was drawn into stages given as a number; none where there is no such stage.
        members: Option<Vec<i64>>,
        /// The highest device number there is.
        last_device: i64,
    },
    /// A stage begins. Devices that the stage before did not reach go on in this one.
    Begin {
        /// Which.
        stage: u32,
        /// Until when devices may come.
        doors_until: Timestamp,
    },
    /// The running stage's doors open or close.
    Doors {
        /// Until when devices may come.
        until: Timestamp,
    },
    /// A stage that was stopped goes on; a metric that stopped it is not looked at again.
    Reopen {
        /// Which.
        stage: u32,
        /// Until when devices may come.
        doors_until: Timestamp,
        /// Who goes on in spite of what stopped it.
        by: String,
        /// Whether its gate begins anew: what is known of its devices by now is not held against it again. Not where a metric or the gate of the whole rollout
        /// stopped it: nobody has gone on in spite of what its own gate says.
        anew: bool,
    },
    /// A stage whose devices were done goes on with those that are tried again, or that go on with what was taken back from them. What is known by now
    /// stays held against it.
    Again {
        /// Which.
        stage: u32,
    },
    /// A stage is watched for a while.
    Soak {
        /// Which.
        stage: u32,
        /// Until when.
        until: Timestamp,
        /// Why.
        verdict: Verdict,
    },
    /// A stage waits for a person.
    Hold {
        /// Which.
        stage: u32,
        /// Why.
        verdict: Verdict,
    },
    /// A gate said no, and the stage stays where it is.
    Note {
        /// Which.
        stage: u32,
        /// Why.
        verdict: Verdict,
    },
    /// A stage ends.
    Close {
        /// Which.
        stage: u32,
        /// How.
        to: StageState,
        /// Why, when a gate said so.
        verdict: Option<Verdict>,
    },
    /// The devices that still wait in the running stage were counted.
    Recount {
        /// Which stage.
        stage: u32,
        /// How many.
        waiting: i64,
        /// The highest device number there is by now.
        last_device: i64,
    },
    /// Those of a stage's devices that succeeded and went dark were counted.
    Dark {
        /// Which stage.
        stage: u32,
        /// How many.
        devices: i64,
    },
    /// The metrics of a stage were looked at.
    Look {
        /// Which stage.
        stage: u32,
        /// Which look of its watch, from 1.
        look: u32,
        /// What was found.
        findings: Vec<Finding>,
    },
    /// The gate of the whole rollout said no.
    Judged {
        /// Why.
        verdict: Verdict,
    },
    /// A person goes on in spite of that: what is known by now of any stage is not held against the rollout again. What the gates of its stages say holds.
    GoOn {
        /// Who.
        by: String,
    },
    /// Updates whose deadline has passed have timed out.
    TimeOut,
    /// Updates that have not begun to download are taken back; with `recalled` also those that have not begun to install. They wait again, or
    /// with `for_good` are left out.
    Withdraw {
        /// Also take back what is downloading or downloaded.
        recalled: bool,
        /// They don't come again.
        for_good: bool,
    },
    /// Devices whose updates ended like this wait again, in the running stage.
    Requeue {
        /// How; each once.
        classes: Vec<EndClass>,
    },
    /// The rollout that takes devices back is made.
    SetOut {
        /// How many devices are to go back.
        devices: i64,
        /// In one sentence.
        summary: String,
    },
}
