//! Certificates and authorities as pages show them.

mod certificates;
mod renewals;
pub mod steps;

use crate::{
    Timestamp,
    blocked::BlockedKey,
    ids::{AuthorityId, DeviceId},
    roots::{AuthorityRequest, ListStanding, RootDuty},
    states::{AuthorityState, AuthorityStep, ClonePolicy, KeyPlace, RecoveryPolicy, RekeyPolicy},
};
use serde::{Deserialize, Serialize};

pub use certificates::{
    CertificateDetail, CertificateQuery, CertificateRow, CertificateSort, CertificatesPage, DecodedCertificate, OWNERS_LIST,
};
pub use renewals::{MAX_RENEWAL_MINUTES, ManyRenewals, RenewMany, RenewalOrder, RenewalProgress, RenewalUnderWay};

pub use crate::{
    profiles::{CertificateProfile, KeyType, MAX_FACTORY_HOURS, MAX_PROFILE_HOURS, ProfileKeys, ProfileRules},
    revocation::{MAX_REVOCATION_NOTE, Revocation, RevocationReason, RevokedCertificate},
};

/// An authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorityRow {
    /// Its id.
    pub id: AuthorityId,
    /// `root`, `device`, `server` or `claim`.
    pub kind: String,
    /// The how manieth of its kind it is.
    pub generation: i64,
    /// Who signed it: itself, if it is a root.
    pub issuer: AuthorityId,
    /// Its subject.
    pub subject: String,
    /// SHA-256 of the DER in hex.
    pub fingerprint: String,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// Where it is in its life.
    pub state: AuthorityState,
    /// Where its private key is.
    pub key: KeyPlace,
    /// Whether its certificate was signed elsewhere and brought here.
    pub imported: bool,
    /// When its key was last written into a file that leaves this server; roots only.
    pub exported_at: Option<Timestamp>,
    /// The certificate, PEM.
    pub pem: String,
}

impl AuthorityRow {
    /// The `CN` of its subject, or all of it when it has none.
    pub fn common_name(&self) -> &str {
        common_name(&self.subject)
    }
}

/// An authority in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListedAuthority {
    /// The authority.
    #[serde(flatten)]
    pub row: AuthorityRow,
    /// A certificate with its signature that was never issued here, until a person has looked at it (H-4); none of one that is believed no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AuthorityAlarm>,
}

/// The `CN` of a subject as it is written in rows, or all of it when it has none.
pub fn common_name(subject: &str) -> &str {
    subject.split(", ").find_map(|part| part.strip_prefix("CN=")).unwrap_or(subject)
}

/// An authority with what hangs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorityStanding {
    /// The authority.
    pub row: AuthorityRow,
    /// Device certificates of it that are valid and in use.
    pub certificates: i64,
    /// Those among them that have no successor in use: their devices would be cut off without this authority.
    pub devices: i64,
    /// Of one that issues to devices or listeners, and of their root: when it has to be followed, because less than twice the longest life of what is issued
    /// by it, or below it, is left of it from then on; with a factory profile less than that life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow_from: Option<Timestamp>,
    /// Whether it has to be followed by now, and one more under its root would have to be followed at once, cut to the root's end: the root has to be
    /// followed instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root_first: bool,
    /// Why it signs nothing at the moment, though it should: its key is out of reach (K-4). None while it signs, and where its key is elsewhere on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_signing: Option<String>,
    /// A certificate with its signature that was never issued here, until a person has looked at it (H-4); none of one that is believed no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<AuthorityAlarm>,
}

impl AuthorityStanding {
    /// Whether it has to be followed by now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.follow_from.is_some_and(|from| from <= now)
    }

    /// How many whole days before its end it has to be followed.
    pub fn ahead_days(&self) -> i64 {
        self.follow_from.map_or(0, |from| self.row.not_after.since(from) / 86_400_000)
    }
}

/// How far the fleet is with a trust bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BundleReach {
    /// The bundle's version.
    pub version: i64,
    /// Active devices that say they hold it or a later one, or have fetched that over their certificate.
    pub holders: i64,
    /// Active devices.
    pub devices: i64,
    /// Active devices that never can tell: without a certificate of their own they fetch no bundle, and have no channel to say so. They count neither as
    /// holding it nor as missing.
    #[serde(default)]
    pub cannot_tell: i64,
}

impl BundleReach {
    /// The share of the active devices, in percent, that must hold a bundle before what it brings is relied on.
    pub const ENOUGH: i64 = 99;

    /// Active devices that could tell and don't hold it.
    pub const fn missing(&self) -> i64 {
        self.devices - self.holders - self.cannot_tell
    }

    /// Active devices that nobody knows to hold it: those, and those that never can tell. They are lost when what came before it ends.
    pub const fn unsure(&self) -> i64 {
        self.devices - self.holders
    }

    /// Whether [`Self::ENOUGH`] percent of those that can tell hold it. While a root is followed the old one still vouches for the new one, so that the
    /// others find their way.
    pub const fn enough(&self) -> bool {
        self.holders * 100 >= (self.devices - self.cannot_tell) * Self::ENOUGH
    }
}

/// The certificates that devices are to trust, and those that lead to them. Its version grows with every change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrustBundle {
    /// Version; 0 is none.
    pub version: i64,
    /// What a device trusts our listeners by, PEM: every root that counts.
    pub roots: Vec<String>,
    /// Roots certified by one another while one takes over from the other, PEM.
    pub cross: Vec<String>,
    /// Issuing authorities of the device's organization, PEM: what chains are made of, no anchors.
    pub issuing: Vec<String>,
    /// The Ed25519 public keys that assignments are signed with, 64 hex digits each (U-2).
    #[serde(default)]
    pub assignment_keys: Vec<String>,
}

/// A certificate by which one root vouches for another's key (RFC 4210 §4.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CrossCertificate {
    /// Whose key is certified.
    pub subject: String,
    /// Which root signed.
    pub issuer: String,
    /// End of validity.
    pub not_after: Timestamp,
    /// SHA-256 of the DER in hex.
    pub fingerprint: String,
    /// PEM.
    pub pem: String,
}

/// Something that can be done with an authority now, or not yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorityAction {
    /// What.
    pub step: AuthorityStep,
    /// Why it can't be done at the moment, and what to do first.
    pub blocked: Option<String>,
    /// Whether it is done only when it is forced.
    pub forced: bool,
    /// How many devices are cut off by it, as far as they have told.
    pub cut: i64,
}

/// All the page of authorities shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthoritiesPage {
    /// The authorities, roots first.
    pub authorities: Vec<AuthorityStanding>,
    /// How far the fleet is with the newest trust bundle.
    pub bundle: BundleReach,
    /// Active devices that don't say that they hold it, by id: at most [`crate::page::DEFAULT_ROWS`], those behind the place that was asked for.
    #[serde(default)]
    pub behind: Vec<DeviceId>,
    /// Where the rest of them begins; none when that is all.
    #[serde(default)]
    pub behind_next: Option<String>,
    /// Whether the caller may change them.
    pub may_manage: bool,
    /// What is to be done about roots; empty for those who may not.
    pub duties: Vec<RootDuty>,
    /// Keys that wait for a certificate made elsewhere; empty for those who may not.
    pub requests: Vec<AuthorityRequest>,
    /// When this was read.
    pub at: Timestamp,
}

/// Longest time in which devices of an authority that has ended may come back by their keys, in days.
pub const MAX_WAY_BACK_DAYS: u32 = 90;

/// How devices of an authority that was given up may come back by the keys they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ComingBack {
    /// By a person's approval, at once, or not any more.
    pub how: RecoveryPolicy,
    /// For how many days from now on, 1 to [`MAX_WAY_BACK_DAYS`]; means nothing when it is off.
    #[serde(default)]
    pub days: u32,
}

/// What is left to do about an authority for devices that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Aftermath {
    /// Enrolment tokens and claims made until then are frozen; none when nothing is.
    pub frozen_at: Option<Timestamp>,
    /// Active devices that have a certificate of it and none that is believed.
    pub left_behind: i64,
    /// How they may come back by their keys now.
    pub way_back: RecoveryPolicy,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Whether the caller may change that.
    pub may_manage: bool,
}

/// How many devices may come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LeftBehind {
    /// Active devices that have a certificate of the authority and none that is believed.
    pub devices: i64,
}

/// All an authority's page shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorityDetail {
    /// The authority and what hangs on it.
    pub standing: AuthorityStanding,
    /// What is written in its certificate.
    pub decoded: DecodedCertificate,
    /// From its issuer to the root; empty for a root.
    pub chain: Vec<AuthorityRow>,
    /// Certificates by which roots vouch for each other, where it has a part in them.
    pub cross: Vec<CrossCertificate>,
    /// The one of its kind and root that comes after it, staged or active already.
    pub successor: Option<AuthorityRow>,
    /// Of a staged root, and of a staged authority for devices: the one that issues to devices now. It is retiring as soon as this one is activated, and as
    /// many `devices` as hang on it are told to renew then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_over_from: Option<AuthorityStanding>,
    /// How far the fleet is with the first trust bundle that it is in.
    pub reach: BundleReach,
    /// What can be done with it; empty for those who may not.
    pub actions: Vec<AuthorityAction>,
    /// Whether another admin is asked before it is done (K-6). Giving an authority up is never held up.
    pub second_person: bool,
    /// What is to be done about its root's key; empty for those who may not.
    pub duties: Vec<RootDuty>,
    /// Its list of revoked certificates as it is served; none when there is none.
    pub list: Option<ListStanding>,
    /// When it was retired or given up.
    pub ended_at: Option<Timestamp>,
    /// A certificate with its signature that was never issued here, until a person has looked at it.
    pub alarm: Option<AuthorityAlarm>,
    /// Those of its chain that have such an alarm: somebody else may have their key (H-4).
    pub alarmed: Vec<AuthorityId>,
    /// Whether the caller may say so.
    pub may_clear: bool,
    /// What is left to do about it since, if it was for devices.
    pub aftermath: Option<Aftermath>,
    /// How far its devices are with orders to renew; none where nothing of it is renewed: it is not for devices, or nothing of it is believed.
    pub renewals: Option<RenewalProgress>,
    /// When this was read.
    pub at: Timestamp,
}

/// Somebody else may have an authority's key, or the database was set back (H-4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorityAlarm {
    /// What was seen, in words.
    pub sign: String,
    /// When.
    pub at: Timestamp,
}

/// The machine's clock is off against one that nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClockJump {
    /// By so many milliseconds; negative when it went back.
    pub by_ms: i64,
}

impl std::fmt::Display for ClockJump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.by_ms < 0 { '-' } else { '+' };
        write!(f, "{sign}{}", crate::time::duration(self.by_ms.saturating_abs()))
    }
}

/// Authorities' keys are out of reach (K-4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerLost {
    /// Why, and what to do, in words; where it is not about all of them, with who signs nothing.
    pub why: String,
    /// Nothing new is signed, whoever would sign it.
    pub whole: bool,
}

/// What the server's clock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClockPage {
    /// Whether it has jumped; nothing is issued then.
    pub jump: Option<ClockJump>,
    /// Whether the caller may accept the new time.
    pub may_accept: bool,
    /// What it shows.
    pub at: Timestamp,
}

/// How many weeks the calendar of ends shows.
pub const WEEKS: u32 = 52;

/// Longest time after its certificate's end in which a device may be recovered, in days.
pub const MAX_RECOVERY_DAYS: u32 = 365;

/// What an organization wants of its devices' certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct IdentityRules {
    /// What is done about a possible clone: an old certificate that is used after its successor was, or one that is connected from two networks.
    pub clones: ClonePolicy,
    /// Whether the key may or must change with a renewal.
    pub rekey: RekeyPolicy,
    /// Whether a device whose certificate has ended may come back by its old key.
    pub recovery: RecoveryPolicy,
    /// For how many days after its end, 1 to [`MAX_RECOVERY_DAYS`].
    pub recovery_days: u32,
}

/// The rules as a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesPage {
    /// As they are.
    pub rules: IdentityRules,
    /// The profiles, by name.
    pub profiles: Vec<CertificateProfile>,
    /// The keys that were blocked last, newest first.
    pub blocked: Vec<BlockedKey>,
    /// How many are blocked in all.
    pub blocked_total: i64,
    /// Whether the caller may change rules and profiles, and let a key that was blocked by hand be used again.
    pub may_edit: bool,
    /// Whether the caller may block keys.
    pub may_block: bool,
}

/// What an issuing authority issues to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuthorityUse {
    /// Devices.
    Device,
    /// The listeners that devices connect to.
    Server,
    /// Claims: shared certificates by which devices ask for their own.
    Claim,
    /// The other authorities: a root.
    Root,
}
