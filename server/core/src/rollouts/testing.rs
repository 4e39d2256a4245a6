//! What the tests of this room share.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "tests may stop at the first surprise")]

use super::course::{Course, Stage};
use crate::{
    entropy::{Entropy, SeededEntropy},
    releases::Signed,
};
use wire::{
    Timestamp,
    ids::RolloutId,
    manifest::{Envelope, Signature},
    rollouts::{GateSpec, Reach, RolloutSpec, StageSpec},
    states::{ReleaseState, RolloutState},
};

/// The rollout id of a seed.
pub fn rollout_id(seed: u64) -> RolloutId {
    let entropy: &dyn Entropy = &SeededEntropy::new(seed);
    entropy.id(Timestamp(1_700_000_000_000))
}

/// A release that keys of these ids have signed.
pub fn signed_by(ids: &[&str]) -> Signed {
    let signatures = ids.iter().map(|id| Signature { keyid: (*id).to_owned(), sig: String::new() }).collect();
    Signed::of(&Envelope { payload_type: String::new(), payload: String::new(), signatures })
}

/// A stage with this reach and nothing else said.
pub fn stage(reach: Reach) -> StageSpec {
    StageSpec { name: String::new(), reach, soak_s: 0, confirm: false, gate: GateSpec::default() }
}

/// A plan of these stages and nothing else said.
pub fn spec(stages: Vec<StageSpec>) -> RolloutSpec {
    RolloutSpec::new("spring".into(), "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().expect("a release id"), stages)
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
        windowed: false,
        gate: None,
        verdict: None,
        way_back: None,
        summary: String::new(),
        stages: stages.into_iter().map(Stage::pending).collect(),
    }
}
