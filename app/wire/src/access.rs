//! People, sessions and API tokens as the console and the REST face show them.

use crate::{
    Timestamp,
    ids::{ApiTokenId, OrgId, SessionId, UserId},
    states::Role,
};
use serde::{Deserialize, Serialize};

/// Who is looking at a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Viewer {
    /// The person.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// The organization's name.
    pub organization: String,
    /// Counts for the navigation.
    pub nav: NavCounts,
}

/// Numbers beside the navigation's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NavCounts {
    /// Devices in the fleet.
    pub devices: i64,
    /// Rollouts that run.
    pub rollouts: i64,
    /// Rollouts waiting for this person's decision.
    pub approvals: i64,
    /// Roots whose private key should leave the server, for those who can see to it (P-11).
    pub root_keys: i64,
    /// What else is to be done about roots, for the same people.
    pub root_tasks: i64,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their address, used to sign in.
    pub email: String,
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub created_at: Timestamp,
    /// Until then sign-in is refused from at least one place, after too many wrong passwords from there.
    pub locked_until: Option<Timestamp>,
    /// Whether the account was switched off.
    pub disabled: bool,
}

/// A signed-in browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_seen_at: Timestamp,
    /// From where.
    pub address: String,
    /// With what.
    pub user_agent: String,
    /// Whether it is the one asking.
    pub current: bool,
}

/// An API token; its secret is shown once, when it is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiToken {
    /// Its id.
    pub id: ApiTokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// End of its life.
    pub expires_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Whether the caller may revoke it.
    pub may_revoke: bool,
}

/// Days an API token lives at most.
pub const MAX_TOKEN_DAYS: u32 = 366;

/// A new API token with its secret: the only time it is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedApiToken {
    /// The token.
    pub token: ApiToken,
    /// `fat_…`
    pub secret: String,
}

/// All the people page shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeoplePage {
    /// Everybody, by name.
    pub users: Vec<User>,
    /// API tokens, newest first.
    pub tokens: Vec<ApiToken>,
    /// Whether the caller may change people.
    pub may_edit: bool,
    /// Whether the caller may make and revoke API tokens.
    pub may_make_tokens: bool,
    /// When this was read.
    pub at: Timestamp,
}

/// All the account page shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPage {
    /// The person.
    pub user: User,
    /// Their live sessions, newest first.
    pub sessions: Vec<Session>,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Position in the chain.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who, in words.
    pub actor: String,
    /// From where; empty for the server itself.
    pub address: String,
    /// What, for example `rollout.approve`.
    pub action: String,
    /// On what, for example a rollout's id.
    pub object: String,
    /// More, as text.
    pub detail: String,
}

/// The form of an exported audit log, as its first line names it.
pub const AUDIT_EXPORT_FORMAT: &str = "fleetward-audit/1";

/// What the chain of an organization's audit log ended with at some time: a line of the file that heads are told in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// Whose log it is.
    pub organization: OrgId,
    /// The last entry.
    pub seq: i64,
    /// That entry's hash, hex.
    pub hash: String,
    /// When that was so.
    pub at: Timestamp,
}

/// The first line of an exported audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditExport {
    /// [`AUDIT_EXPORT_FORMAT`].
    pub format: String,
    /// Whose log it is.
    pub organization: OrgId,
    /// When it was exported.
    pub exported_at: Timestamp,
    /// The entry that its first one follows; 0 when it begins with the log.
    pub after: i64,
    /// That entry's hash, hex; empty when it begins with the log.
    pub before: String,
    /// Its last entry.
    pub last: i64,
    /// That entry's hash, hex.
    pub head: String,
}

/// Every other line of an exported audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportedEntry {
    /// The entry.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// Its hash, hex: SHA-256 over the hash of the entry before, `seq` and `at` as eight octets each, and `actor`, `address`, `action`, `object` and
    /// `detail` as UTF-8, each after its length in eight octets; numbers are big-endian.
    pub hash: String,
}

/// Which entries of the audit log are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditQuery {
    /// A part of who did it, of what was done, of what it was done to, of the address, or of the details, where names and reasons are; empty means all.
    pub q: String,
    /// A part of who did it; empty means everybody.
    pub actor: String,
    /// A part of what was done, for example `rollout.`; empty means everything.
    pub action: String,
    /// From this instant on.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    #[serde(default)]
    pub rows: Option<u32>,
}

/// So many entries a search by words looks at for one page, and counts in at most.
pub const AUDIT_LOOKED_AT: i64 = 50_000;

/// The word of an entry's detail that is the id of the request by which it was done: the one in `x-request-id`, and in the log.
pub const AUDIT_REQUEST: &str = "request";

/// All the audit page shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Entries, newest first. Of a search by words `total` is how many there are among the newest [`AUDIT_LOOKED_AT`] of the span.
    pub entries: crate::page::Page<AuditEntry>,
    /// A search by words looked at so many entries that it stopped: at the one from then. The next page goes on from there.
    pub looked_to: Option<Timestamp>,
    /// Whether the caller may export it.
    pub may_export: bool,
    /// The entry that is looked at, if one is asked for and there is one in this place.
    #[serde(default)]
    pub opened: Option<OpenedEntry>,
}

/// One entry of the audit log with its place in the chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenedEntry {
    /// The entry.
    pub entry: AuditEntry,
    /// Its hash, hex, as [`ExportedEntry::hash`].
    pub hash: String,
    /// The hash of the entry before, hex; empty of the first one.
    pub before: String,
}
