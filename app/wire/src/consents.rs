//! The two-person rule for authorities (K-6, A-37): what is asked for, by whom, what exactly would happen, and what became of it.

use crate::{
    Timestamp,
    ids::{AuthorityId, ConsentId, Digest, UserId},
    pki::AuthorityUse,
    states::AuthorityState,
};
use serde::{Deserialize, Serialize};

/// Longest remark, in characters.
pub const MAX_REMARK: usize = 500;

crate::states::words! {
    /// What became of a request.
    ConsentState {
        /// Another admin has to decide.
        Waiting = "waiting",
        /// Approved, and done in the same moment.
        Done = "done",
        /// Another admin said no.
        Rejected = "rejected",
        /// Whoever asked took it back.
        Withdrawn = "withdrawn",
        /// What it was about has changed since.
        Void = "void",
        /// Nobody decided in time.
        Expired = "expired",
    }
    /// Who says whether the server makes keys for devices (E-8, K-6), and what was said.
    ServerKeyRule {
        /// The installation makes none (`allow_server_keygen`), whoever agrees.
        Off = "off",
        /// The installation makes them, and one person is enough here, so nobody is asked.
        Configured = "configured",
        /// The installation would make them, and two people decide here who have not agreed to it.
        Needed = "needed",
        /// Two people have agreed to it.
        Agreed = "agreed",
    }
}

/// Something about authorities that takes two people where the organization wants it so. It is kept as this JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "deed", rename_all = "snake_case", deny_unknown_fields)]
pub enum Deed {
    /// Make the next authority for a use; the root's key signs it.
    Stage {
        /// What it will issue to.
        kind: AuthorityUse,
    },
    /// Let a staged authority issue.
    Activate {
        /// Which.
        authority: AuthorityId,
        /// A root only: also while too few devices hold it.
        #[serde(default)]
        force: bool,
    },
    /// Stop believing an authority.
    Retire {
        /// Which.
        authority: AuthorityId,
        /// Also while devices depend on it.
        #[serde(default)]
        force: bool,
    },
    /// Make the authority of claims, which the root's key signs.
    ClaimAuthority,
    /// From now on one person is enough again.
    ApprovalsOff,
    /// Make keys for devices, as far as the installation allows it (`allow_server_keygen`), until an admin says otherwise.
    ServerKeys,
}

impl Deed {
    /// The authority that it is done to, where there is one already.
    pub const fn authority(&self) -> Option<&AuthorityId> {
        match self {
            Self::Activate { authority, .. } | Self::Retire { authority, .. } => Some(authority),
            Self::Stage { .. } | Self::ClaimAuthority | Self::ApprovalsOff | Self::ServerKeys => None,
        }
    }

    /// In words for people, without the authority's name.
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Stage { kind: AuthorityUse::Device } => "Stage the next authority for devices",
            Self::Stage { kind: AuthorityUse::Server } => "Stage the next authority for the listeners",
            Self::Stage { kind: AuthorityUse::Claim } => "Stage the next authority of claims",
            Self::Stage { kind: AuthorityUse::Root } => "Stage the next root",
            Self::Activate { force: false, .. } => "Activate",
            Self::Activate { force: true, .. } => "Activate by force",
            Self::Retire { force: false, .. } => "Retire",
            Self::Retire { force: true, .. } => "Retire by force",
            Self::ClaimAuthority => "Make the authority of claims",
            Self::ApprovalsOff => "Let one person be enough again",
            Self::ServerKeys => "Let the server make keys for devices",
        }
    }
}

/// What happens to one authority.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsentEffect {
    /// Which; none for one that is made.
    pub authority: Option<AuthorityId>,
    /// Its common name, or what is made.
    pub name: String,
    /// The state it is in; none for one that is made.
    pub from: Option<AuthorityState>,
    /// The state it comes to.
    pub to: AuthorityState,
}

/// Asking for a second person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AskConsent {
    /// What should be done.
    pub deed: Deed,
    /// Why, in 1 to [`MAX_REMARK`] characters.
    pub remark: String,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsentRow {
    /// Its id.
    pub id: ConsentId,
    /// What should be done.
    pub deed: Deed,
    /// What exactly would happen.
    pub effects: Vec<ConsentEffect>,
    /// SHA-256 over deed and effects: what is approved.
    pub digest: Digest,
    /// Who asked.
    pub asked_by: UserId,
    /// Their name.
    pub asked_name: String,
    /// Why.
    pub remark: String,
    /// When.
    pub asked_at: Timestamp,
    /// Until when somebody may decide.
    pub expires_at: Timestamp,
    /// What became of it.
    pub state: ConsentState,
    /// Who decided; empty while nobody has.
    pub decided_name: String,
    /// Why, or what has changed.
    pub decided_remark: String,
    /// When.
    pub decided_at: Option<Timestamp>,
}

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsentCard {
    /// The request.
    pub row: ConsentRow,
    /// How many devices would be cut off, as of now. A number that moves, so it is not part of what is approved; see `force` in the deed.
    pub cut: i64,
    /// Why this caller can't approve it; none when they can.
    pub blocked: Option<String>,
    /// Whether the caller asked for it, and may take it back.
    pub own: bool,
}

/// All the page of requests shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsentsPage {
    /// Whether two people are asked for.
    pub on: bool,
    /// How many admins there are.
    pub admins: i64,
    /// Who says whether the server makes keys for devices, and what was said.
    pub server_keys: ServerKeyRule,
    /// Waiting, the oldest first.
    pub waiting: Vec<ConsentCard>,
    /// Over, the newest first; at most 50.
    pub over: Vec<ConsentRow>,
    /// Whether the caller's role may ask and decide.
    pub may_decide: bool,
    /// When this was read.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_is_tagged_json_that_takes_no_unknown_field() {
        let id = "ca_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";
        let text = format!(r#"{{"deed":"retire","authority":"{id}","force":true}}"#);
        let deed: Deed = serde_json::from_str(&text).unwrap();
        assert_eq!(deed, Deed::Retire { authority: id.parse().unwrap(), force: true });
        assert_eq!(serde_json::to_string(&deed).unwrap(), text);
        let unforced: Deed = serde_json::from_str(&format!(r#"{{"deed":"activate","authority":"{id}"}}"#)).unwrap();
        assert_eq!(unforced, Deed::Activate { authority: id.parse().unwrap(), force: false });
        assert!(serde_json::from_str::<Deed>(&format!(r#"{{"deed":"activate","authority":"{id}","forse":true}}"#)).is_err());
        assert_eq!(serde_json::from_str::<Deed>(r#"{"deed":"approvals_off"}"#).unwrap(), Deed::ApprovalsOff);
        assert_eq!(serde_json::from_str::<Deed>(r#"{"deed":"server_keys"}"#).unwrap(), Deed::ServerKeys);
    }
}
