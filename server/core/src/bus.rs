//! Wake-ups between rooms: topic and id, never data. Receivers read again. Those that do work (rollouts, channels of devices) also look by
//! themselves now and then, so a lost wake-up only costs them time; the live relay does not, and a screen shows what changed with the next
//! wake-up. In-process: another instance's wake-ups don't come. Refuses to know what anybody does with them.

use tokio::sync::broadcast;
use wire::ids::{OrgId, ReleaseId, RolloutId};

/// Something changed; read it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A device's row, presence or tags. The number is [`crate::devices::DeviceNo`]'s.
    Device {
        /// Whose.
        org: OrgId,
        /// Which.
        device: i64,
    },
    /// A rollout, its stages or its updates.
    Rollout {
        /// Whose.
        org: OrgId,
        /// Which.
        id: RolloutId,
    },
    /// More devices may be offered this rollout than before: connected ones should ask.
    OffersOpen {
        /// Whose.
        org: OrgId,
        /// Which.
        id: RolloutId,
    },
    /// A freeze was made, or ended early: connected devices should ask.
    Frozen {
        /// Whose.
        org: OrgId,
    },
    /// This device's update was taken back.
    Cancelled {
        /// Whose.
        org: OrgId,
        /// Which device.
        device: i64,
        /// Which update.
        update: wire::ids::UpdateId,
    },
    /// A release.
    Release {
        /// Whose.
        org: OrgId,
        /// Which.
        id: ReleaseId,
    },
    /// Enrolment: a request that waits, or whether devices without a token may ask.
    Enrolment {
        /// Whose.
        org: OrgId,
    },
    /// A request for a second person, or whether there must be one; an alarm about an authority.
    Consent {
        /// Whose.
        org: OrgId,
    },
    /// Who may connect changed: certificates, authorities, device states.
    Trust,
}

/// The in-process bus.
#[derive(Debug, Clone)]
pub struct Bus(broadcast::Sender<Event>);

impl Default for Bus {
    fn default() -> Self {
        Self(broadcast::channel(4096).0)
    }
}

impl Bus {
    /// Tells everybody who listens now. Never waits, never fails.
    pub fn tell(&self, event: Event) {
        // An error only says that nobody listens.
        let _ = self.0.send(event);
    }
    /// Listens from now on. A receiver that lags is told so and must treat everything as changed.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
