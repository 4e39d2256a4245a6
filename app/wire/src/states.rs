//! The states things are in, as words on the wire. Which transitions are legal is the core's business (one pure file a machine).

macro_rules! words { ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* })*) => { $(
    $(#[$doc])*
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
    pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }
    impl $name {
        /// Every one, of states in the order of the life they describe.
        pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        /// The word used on the wire and in the database.
        pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word),* } }
    }
    impl std::str::FromStr for $name {
        type Err = $crate::states::UnknownState;
        fn from_str(s: &str) -> Result<Self, $crate::states::UnknownState> {
            match s { $($word => Ok(Self::$variant),)* _ => Err($crate::states::UnknownState { word: s.to_owned(), known: &[$($word),*] }) }
        }
    }
    impl std::fmt::Display for $name { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) } }
    // Written out: utoipa's derive does not see a `rename` whose word came through a macro.
    #[cfg(feature = "openapi")]
    impl utoipa::PartialSchema for $name {
        fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
            let text = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::String);
            text.enum_values(Some(Self::ALL.iter().map(|state| state.as_str()))).build().into()
        }
    }
    #[cfg(feature = "openapi")]
    impl utoipa::ToSchema for $name {}
)* } }

/// A word that is none of those there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of: {}", known.join(", "))]
pub struct UnknownState {
    /// The word.
    pub word: String,
    /// Those there are.
    pub known: &'static [&'static str],
}

pub(crate) use words;

words! {
    /// What a person or a token may do; each role includes the ones before it.
    Role {
        /// Reads everything in the organization.
        Viewer = "viewer",
        /// Runs the fleet: enrols, uploads, drafts rollouts.
        Operator = "operator",
        /// Approves rollouts, and manages people, keys and trust.
        Admin = "admin",
    }
    /// A device's standing. Online, stale and offline are presence, not state.
    DeviceState {
        /// Known before it was ever seen.
        Preregistered = "preregistered",
        /// Asked to enrol, waits for a person.
        Pending = "pending",
        /// In the fleet.
        Active = "active",
        /// Cut off for now, can come back.
        Suspended = "suspended",
        /// Gone for good; its id stays reserved.
        Decommissioned = "decommissioned",
    }
    /// What a person does to a device; how one becomes active is the business of enrolment.
    DeviceStep {
        /// Let in: a device that a gateway has announced and that has no certificate.
        Admit = "admit",
        /// Cut off for now: its certificates stay as they are and are refused.
        Suspend = "suspend",
        /// Let in again with the certificates it has.
        Resume = "resume",
        /// Out for good: its certificates are revoked, its id stays reserved.
        Decommission = "decommission",
        /// Its id may be enrolled again, with a new certificate.
        Recommission = "recommission",
        /// Out for good, and out of every list, with all it has sent; its id is free once its last certificate has ended.
        Delete = "delete",
    }
    /// What is done when two seem to hold one device's key.
    ClonePolicy {
        /// People are told.
        Alert = "alert",
        /// The device is suspended as well.
        Suspend = "suspend",
    }
    /// What a renewal may bring.
    RekeyPolicy {
        /// A new key only.
        Required = "required",
        /// The same key or a new one.
        Allowed = "allowed",
        /// The same key only, for devices whose secure element has room for one.
        Forbidden = "forbidden",
    }
    /// Whether a device whose certificate has ended may prove with its old key who it is.
    RecoveryPolicy {
        /// It has to enrol again.
        Off = "off",
        /// A person approves it.
        Approval = "approval",
        /// It gets a new certificate at once.
        Auto = "auto",
    }
    /// Where an attempt to join stands that a person decides on.
    EnrolmentRequestState {
        /// Nobody has decided.
        Pending = "pending",
        /// A person lets it in; its certificate is issued when it asks next.
        Approved = "approved",
        /// A person has refused it.
        Rejected = "rejected",
        /// It has its certificate.
        Enrolled = "enrolled",
    }
    /// A certificate's life.
    CertificateState {
        /// Serial reserved, not signed yet.
        Issuing = "issuing",
        /// Usable.
        Active = "active",
        /// Replaced by a newer one.
        Superseded = "superseded",
        /// Withdrawn, for a reason.
        Revoked = "revoked",
        /// Past its end.
        Expired = "expired",
        /// Its authority is not believed any more: given up, retired by force, or an own one that was disabled. A view, like what expires soon: the
        /// certificate itself stays as it is.
        Untrusted = "untrusted",
    }
    /// An issuing authority's life.
    AuthorityState {
        /// Made and trusted, does not issue yet.
        Staged = "staged",
        /// Issues.
        Active = "active",
        /// Trusted, no longer issues.
        Retiring = "retiring",
        /// No longer trusted.
        Retired = "retired",
        /// Its key is lost to somebody else.
        Compromised = "compromised",
    }
    /// What can be done with an authority.
    AuthorityStep {
        /// Make the one that comes after it.
        Stage = "stage",
        /// Let it issue.
        Activate = "activate",
        /// Stop believing it.
        Retire = "retire",
        /// Give it up: somebody else has its key.
        Compromise = "compromise",
    }
    /// Where a device's key was made (E-8).
    KeyOrigin {
        /// On the device, or by its owner: it was never here.
        Device = "device",
        /// Here; it was given out once with the certificate and is kept nowhere.
        Server = "server",
    }
    /// Where a private key is.
    KeyPlace {
        /// On a PKCS#11 token.
        Token = "token",
        /// Sealed on this machine.
        Here = "here",
        /// Not on this machine.
        Offline = "offline",
    }
    /// A release's life.
    ReleaseState {
        /// Being put together, or quarantined with a reason.
        Draft = "draft",
        /// Signature and digests are right.
        Verified = "verified",
        /// May be rolled out.
        Published = "published",
        /// Still installed, not for new rollouts.
        Deprecated = "deprecated",
        /// Must not be installed any more; running rollouts halt.
        Recalled = "recalled",
    }
    /// A rollout's life.
    RolloutState {
        /// Being edited.
        Draft = "draft",
        /// Somebody else has to decide.
        WaitingForApproval = "waiting_for_approval",
        /// Somebody else said no.
        Rejected = "rejected",
        /// Decided, not started.
        Approved = "approved",
        /// Starts by itself at a time.
        Scheduled = "scheduled",
        /// Goes out.
        Running = "running",
        /// A person paused it.
        Paused = "paused",
        /// A gate stopped it.
        Halted = "halted",
        /// The way back is under way.
        RollingBack = "rolling_back",
        /// The way back is done.
        RolledBack = "rolled_back",
        /// No new offers; what is under way ends.
        Stopping = "stopping",
        /// Ended before its end.
        Stopped = "stopped",
        /// Every stage ended.
        Completed = "completed",
    }
    /// A stage's life.
    StageState {
        /// Its turn has not come.
        Pending = "pending",
        /// Devices are offered the release.
        Running = "running",
        /// All done; watched for a while.
        Soaking = "soaking",
        /// Waits for a person to go on.
        AwaitingPromotion = "awaiting_promotion",
        /// Ended so that others may follow: it passed its gate, or went on without that.
        Succeeded = "succeeded",
        /// A gate said no.
        Failed = "failed",
        /// Had nothing to do, or was passed over.
        Skipped = "skipped",
    }
    /// One device's part in a rollout.
    UpdateState {
        /// In a running stage, not told yet.
        Queued = "queued",
        /// The device was told.
        Offered = "offered",
        /// The device waits for its maintenance window.
        AwaitingWindow = "awaiting_window",
        /// Somebody at the device has to confirm.
        AwaitingConfirmation = "awaiting_confirmation",
        /// Bytes are on their way.
        Downloading = "downloading",
        /// All bytes are there and their digest is right.
        Downloaded = "downloaded",
        /// Being written to the other slot.
        Installing = "installing",
        /// Restarting into it.
        Rebooting = "rebooting",
        /// Up again, proving its health.
        Verifying = "verifying",
        /// Runs the new release and is healthy.
        Succeeded = "succeeded",
        /// Could not install; may be tried again.
        Failed = "failed",
        /// Refuses it; not to be tried again.
        Rejected = "rejected",
        /// Was silent for too long.
        TimedOut = "timed_out",
        /// Booted, failed, and went back by itself.
        Reverted = "reverted",
        /// Taken back by a person.
        Cancelled = "cancelled",
        /// A newer rollout took over.
        Superseded = "superseded",
        /// Not for this device, with the reason.
        NotApplicable = "not_applicable",
    }
}

impl AuthorityState {
    /// Whether what the authority has signed is believed.
    pub const fn trusted(self) -> bool {
        matches!(self, Self::Staged | Self::Active | Self::Retiring)
    }
}

impl RolloutState {
    /// Whether nothing more happens in it: who waits then was not reached.
    pub const fn ended(self) -> bool {
        matches!(self, Self::Completed | Self::Stopped | Self::RolledBack)
    }
}

impl UpdateState {
    /// Whether nothing more will happen to the update.
    pub const fn finished(self) -> bool {
        use UpdateState as S;
        matches!(self, S::Succeeded | S::Failed | S::Rejected | S::TimedOut | S::Reverted | S::Cancelled | S::Superseded | S::NotApplicable)
    }
    /// Whether it counts as an error in a gate: the device got the release and does not run it.
    pub const fn error(self) -> bool {
        use UpdateState as S;
        matches!(self, S::Failed | S::Rejected | S::TimedOut | S::Reverted)
    }
}
