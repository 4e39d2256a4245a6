//! Pure: what the planner has to know beside the course, and the answers.

use crate::rollouts::{
    draw::Cut,
    evidence::{Groups, Look},
};
use std::collections::BTreeMap;

/// Something that is only counted when it is needed, because it walks the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Who is in the rollout.
    Targets,
    /// Who of the running stage's reach still waits.
    Remaining,
    /// Who of the stage succeeded and went dark.
    Dark,
    /// Who had a part in the rollout and runs its release.
    Runs,
    /// What the metrics of the stage are, on updated devices and on others, since the watch began.
    Figures(Look),
}

/// What was found out.
#[derive(Debug, Clone, PartialEq)]
pub enum Survey {
    /// The draw.
    Targets {
        /// One a stage.
        cuts: Vec<Cut>,
        /// Where stages end by stratum, where the cuts alone don't say it.
        strata: BTreeMap<String, Vec<i64>>,
        /// Who was drawn into stages given as a number; none where there is no such stage.
        members: Option<Vec<i64>>,
        /// The highest device number there is.
        last_device: i64,
    },
    /// Who still waits.
    Remaining {
        /// How many devices.
        waiting: i64,
        /// The highest device number there is.
        last_device: i64,
    },
    /// Who went dark.
    Dark {
        /// How many devices.
        devices: i64,
    },
    /// Who runs the release.
    Runs {
        /// How many devices.
        devices: i64,
    },
    /// What the metrics are.
    Figures {
        /// For which look.
        look: Look,
        /// One for each metric that is looked at, in the order of [`super::evidence::open`].
        groups: Vec<Groups>,
    },
}
