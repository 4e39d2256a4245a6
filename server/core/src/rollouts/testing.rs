//! What the tests of this room share.

use super::course::{Course, Stage};
use crate::entropy::{Entropy, SeededEntropy};
use wire::{
    Timestamp,
    ids::RolloutId,
    rollouts::{GateSpec, Reach, StageSpec},
    states::{ReleaseState, RolloutState},
};

/// The rollout id of a seed.
pub fn rollout_id(seed: u64) -> RolloutId {
    let entropy: &dyn Entropy = &SeededEntropy::new(seed);
    entropy.id(Timestamp(1_700_000_000_000))
}

/// A stage with this reach and nothing else said.
pub fn stage(reach: Reach) -> StageSpec {
    StageSpec { name: String::new(), reach, soak_s: 0, confirm: false, gate: GateSpec::default() }
}

/// An approved rollout of these stages.
pub fn approved(stages: Vec<StageSpec>) -> Course {
    Course {
        state: RolloutState::Approved,
        generation: 1,
        release: ReleaseState::Published,
        begin_at: None,
        timeout_ms: 3_600_000,
        stage: 0,
        cut: super::draw::NOBODY,
        doors_until: Timestamp(0),
        last_device: 0,
        throttled: false,
        summary: String::new(),
        stages: stages.into_iter().map(Stage::pending).collect(),
    }
}
