//! What is known of a release that was recalled, and what is to be done about the devices that run it.

use crate::{
    Timestamp,
    ids::{ReleaseId, RolloutId},
    releases::ReleaseUse,
    states::RolloutState,
};
use serde::{Deserialize, Serialize};

/// A release's recall.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recalled {
    /// When it was recalled.
    pub at: Timestamp,
    /// Who did it; empty where that is not known.
    pub by: String,
    /// Why; empty where nobody said.
    pub reason: String,
    /// How many devices run it all the same.
    pub running: i64,
    /// The selector that means them.
    pub selector: String,
    /// Rollouts with it that are under way: each halts, or has halted.
    #[serde(default)]
    pub halted: Vec<RolloutId>,
    /// Rollouts with it that were sent for approval: the request of each is void, and it is a draft again or becomes one in a moment.
    #[serde(default)]
    pub voided: Vec<RolloutId>,
    /// Rollouts with it that were approved and have not begun: each stops.
    #[serde(default)]
    pub stopped: Vec<RolloutId>,
    /// The release that devices can be brought to; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<GoodRelease>,
}

/// A good release of the type of one that was recalled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GoodRelease {
    /// Its id.
    pub release: ReleaseId,
    /// Its version.
    pub version: String,
    /// Whether it has to be signed again under a higher sequence first: devices never install a lower one than they run.
    pub sign_again: bool,
}

/// What becomes of a rollout in this state when its release is recalled; nothing of one that is only written, goes back already, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByRecall {
    /// It halts.
    Halts,
    /// Its request for approval is void, and it is a draft again.
    Voided,
    /// It stops before it has begun.
    Stops,
}

impl ByRecall {
    /// What becomes of it.
    pub const fn of(state: RolloutState) -> Option<Self> {
        match state {
            RolloutState::Running | RolloutState::Paused | RolloutState::Halted => Some(Self::Halts),
            RolloutState::WaitingForApproval => Some(Self::Voided),
            RolloutState::Approved | RolloutState::Scheduled => Some(Self::Stops),
            _ => None,
        }
    }

    /// For people, behind its name.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Halts => "halts",
            Self::Voided => "is a draft again: its request for approval is void",
            Self::Stops => "stops before it has begun",
        }
    }
}

impl Recalled {
    /// What has become, or becomes, of a rollout with it; nothing of one that it does not concern.
    pub fn makes_of(&self, rollout: &ReleaseUse) -> Option<ByRecall> {
        if self.voided.contains(&rollout.id) { Some(ByRecall::Voided) } else { ByRecall::of(rollout.state) }
    }

    /// How devices that run it get something good, in a sentence.
    pub fn way(&self) -> String {
        match &self.back {
            Some(GoodRelease { version, sign_again: false, .. }) => format!("Bring them to {version} by a rollout to {}", self.selector),
            Some(GoodRelease { version, sign_again: true, .. }) => format!(
                "Devices never install a lower sequence than they run: sign {version} again under a higher one and publish that, or publish what mends \
                 this, and bring it to {} by a rollout",
                self.selector
            ),
            None => format!("Publish a release with a higher sequence that mends this, and bring it to {} by a rollout", self.selector),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_said() {
        let way = |back: Option<bool>| {
            let release: ReleaseId = format!("rel_{:032x}", 1).parse().unwrap();
            let back = back.map(|sign_again| GoodRelease { release, version: "2.0.0".into(), sign_again });
            let selector = "type:gateway version:2.1.0".to_owned();
            Recalled {
                at: Timestamp(0),
                by: String::new(),
                reason: String::new(),
                running: 8,
                selector,
                halted: Vec::new(),
                voided: Vec::new(),
                stopped: Vec::new(),
                back,
            }
            .way()
        };
        assert_eq!(way(Some(false)), "Bring them to 2.0.0 by a rollout to type:gateway version:2.1.0");
        assert!(way(Some(true)).contains("sign 2.0.0 again under a higher one"));
        assert!(way(None).starts_with("Publish a release with a higher sequence"));
    }
}
