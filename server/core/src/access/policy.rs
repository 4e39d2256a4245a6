//! Pure: who may do what. The only place where roles meet acts; every service method asks here first.

use super::Error;
use crate::asked::{self, Origin};
use wire::{
    ids::{ApiTokenId, DeviceId, OrgId, SessionId, UserId},
    states::Role,
};

/// Who acts, made by the listener's guard from a session, a token or a client certificate; nothing else makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The organization everything happens in.
    pub org: OrgId,
    /// Who.
    pub who: Who,
    /// From where; empty for the system.
    pub address: String,
    /// By which request; empty where nobody asked over HTTP.
    pub request: String,
}

/// The kinds of actors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A person in a browser.
    Session {
        /// The session.
        session: SessionId,
        /// The person.
        user: UserId,
        /// Their name, for the audit log.
        name: String,
        /// Their role.
        role: Role,
    },
    /// A script.
    Token {
        /// The token.
        token: ApiTokenId,
        /// The person who made it: they count as the author of what it does.
        user: UserId,
        /// Their name: anybody may call a token anything.
        person: String,
        /// Its name.
        name: String,
        /// Its role.
        role: Role,
    },
    /// A device, by its certificate.
    Device {
        /// Its number.
        device: i64,
        /// Its name.
        device_id: DeviceId,
    },
    /// Fleetward itself: workers.
    System,
    /// Whoever has the command line on the server's own machine.
    Shell,
}

impl Actor {
    /// Fleetward itself, in this organization.
    pub const fn system(org: OrgId) -> Self {
        Self { org, who: Who::System, address: String::new(), request: String::new() }
    }
    /// Whoever has the command line on the server's own machine: they may do all, and the books say that it was a person.
    pub const fn shell(org: OrgId) -> Self {
        Self { org, who: Who::Shell, address: String::new(), request: String::new() }
    }
    /// Nobody in particular, by the request that is being answered, from this address.
    pub fn stranger(org: OrgId, address: &str) -> Self {
        Self { org, who: Who::System, address: address.to_owned(), request: asked::request() }
    }
    /// The same actor, by this request.
    #[must_use]
    pub fn by_request(self, request: &str) -> Self {
        Self { request: request.to_owned(), ..self }
    }
    /// From where, and by which request.
    pub fn origin(&self) -> Origin<'_> {
        Origin { address: &self.address, request: &self.request }
    }
    /// A device that has shown who it is, from this address, by the request that is being answered.
    pub fn device(org: &OrgId, device: i64, device_id: &DeviceId, address: &str) -> Self {
        let who = Who::Device { device, device_id: device_id.clone() };
        Self { org: org.clone(), who, address: address.to_owned(), request: asked::request() }
    }
    /// The role, where there is one.
    pub const fn role(&self) -> Option<Role> {
        match &self.who {
            Who::Session { role, .. } | Who::Token { role, .. } => Some(*role),
            Who::Device { .. } | Who::System | Who::Shell => None,
        }
    }
    /// The person behind it: the one in the browser, or the one who made the token.
    pub const fn user(&self) -> Option<&UserId> {
        match &self.who {
            Who::Session { user, .. } | Who::Token { user, .. } => Some(user),
            Who::Device { .. } | Who::System | Who::Shell => None,
        }
    }
    /// In words, for audit and history.
    pub fn label(&self) -> String {
        match &self.who {
            Who::Session { name, .. } => name.clone(),
            Who::Token { name, person, .. } => format!("{person} by token {name}"),
            Who::Device { device_id, .. } => format!("device {device_id}"),
            Who::System => "automatic".to_owned(),
            Who::Shell => "command line".to_owned(),
        }
    }
}

macro_rules! acts { ($($(#[$doc:meta])* $name:ident = $word:literal from $role:ident,)*) => {
    /// Something an actor may want to do.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Act { $($(#[$doc])* $name,)* }
    impl Act {
        /// Every act.
        pub const ALL: &'static [Self] = &[$(Self::$name),*];
        /// The word used in the audit log and in refusals.
        pub const fn as_str(self) -> &'static str { match self { $(Self::$name => $word),* } }
        /// The least role that may.
        pub const fn least(self) -> Role { match self { $(Self::$name => Role::$role),* } }
    }
} }

acts! {
    /// See devices, releases, rollouts, certificates, telemetry.
    Read = "fleet.read" from Viewer,
    /// Make and revoke enrolment tokens.
    Enrol = "device.enrol" from Operator,
    /// Decide on devices that ask to join.
    ApproveDevices = "device.approve" from Operator,
    /// Make and disable claims that last longer than five minutes.
    Claims = "claim.manage" from Admin,
    /// Let devices without a token ask to join.
    OpenEnrolment = "enrolment.open" from Admin,
    /// Let shared secrets speak for devices, make and revoke those of gateways.
    Gateways = "gateway.manage" from Admin,
    /// Change tags, pin and unpin, decommission.
    EditDevices = "device.edit" from Operator,
    /// Suspend and resume devices.
    Suspend = "device.suspend" from Operator,
    /// Delete devices with what they have sent.
    DeleteDevices = "device.delete" from Admin,
    /// Give the id of a decommissioned device free again.
    Recommission = "device.recommission" from Admin,
    /// Upload artifacts and make releases.
    Upload = "release.upload" from Operator,
    /// Publish or deprecate a verified release.
    Publish = "release.publish" from Operator,
    /// Recall a release.
    Recall = "release.recall" from Admin,
    /// Draft, edit and submit rollouts.
    Draft = "rollout.draft" from Operator,
    /// Start, pause, resume, promote, stop, retry.
    Control = "rollout.control" from Operator,
    /// Decide on a rollout that somebody else drafted.
    Approve = "rollout.approve" from Admin,
    /// Start a rollout in an emergency without its approvals.
    BreakGlass = "rollout.break_glass" from Admin,
    /// Change how fast and how much goes to devices.
    TransferLimits = "transfer.limits" from Admin,
    /// Make and end freezes.
    Freeze = "freeze.manage" from Admin,
    /// Revoke certificates.
    Revoke = "certificate.revoke" from Operator,
    /// Change what holds for clones, keys at renewal and ended certificates.
    Rules = "certificate.rules" from Admin,
    /// Manage signing keys.
    Keys = "key.manage" from Admin,
    /// Manage authorities.
    Authorities = "authority.manage" from Admin,
    /// Manage people and their roles.
    People = "people.manage" from Admin,
    /// Make and revoke API tokens.
    Tokens = "token.manage" from Operator,
    /// Read the audit log.
    Audit = "audit.read" from Operator,
    /// Take the audit log out as a file.
    ExportAudit = "audit.export" from Admin,
}

/// Whether the actor may. Devices may nothing of this: what a device does has methods of its own that take its number from the connection.
pub const fn allowed(actor: &Actor, act: Act) -> bool {
    match (&actor.who, actor.role()) {
        (Who::System | Who::Shell, _) => true,
        (_, Some(role)) => role as u8 >= act.least() as u8,
        (_, None) => false,
    }
}

/// The same as an error that says which role is needed.
pub fn may(actor: &Actor, act: Act) -> Result<(), Error> {
    if allowed(actor, act) { Ok(()) } else { Err(Error::Denied { act: act.as_str(), needs: act.least() }) }
}

/// Refuses everybody but Fleetward itself and whoever has the command line on the server's own machine: what concerns more organizations than one is no role
/// of any of them.
pub(super) fn of_the_machine(actor: &Actor) -> Result<(), Error> {
    if matches!(actor.who, Who::System | Who::Shell) { Ok(()) } else { Err(Error::NeedsMachine) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{Entropy, SeededEntropy};
    use std::fmt::Write as _;
    use wire::Timestamp;

    #[test]
    fn the_whole_matrix() {
        let entropy: &dyn Entropy = &SeededEntropy::new(1);
        let org: OrgId = entropy.id(Timestamp(0));
        let mut table = String::new();
        for act in Act::ALL {
            let cell = |role| {
                let who = Who::Session { session: entropy.id(Timestamp(0)), user: entropy.id(Timestamp(0)), name: String::new(), role };
                if allowed(&Actor { who, ..Actor::system(org.clone()) }, *act) { "yes" } else { "-" }
            };
            let _ = writeln!(table, "{:<20} {:<8} {:<8} {}", act.as_str(), cell(Role::Viewer), cell(Role::Operator), cell(Role::Admin));
        }
        insta::assert_snapshot!(table);
        let device = Who::Device { device: 1, device_id: "gw-1".parse().unwrap() };
        let device = Actor { who: device, ..Actor::system(org) };
        assert!(Act::ALL.iter().all(|a| !allowed(&device, *a)), "a device has no role");
        assert!(of_the_machine(&device).is_err() && of_the_machine(&Actor::shell(device.org.clone())).is_ok());
    }
}
