//! Roots whose keys are kept elsewhere: what is to be done about them, and the files that go to where a key is and come back.

use crate::{
    Timestamp,
    ids::AuthorityId,
    pki::{AuthorityRow, AuthorityUse},
    states::KeyPlace,
};
use serde::{Deserialize, Serialize};

crate::states::words! {
    /// Something that an administrator owes a root.
    RootTask {
        /// Its key is on this server only: write it into a file (P-11).
        Export = "export",
        /// Its key is in a file, and on this server still: remove it here (P-11).
        Remove = "remove",
        /// Its list of revoked certificates is out of date: sign one where the key is.
        SignList = "sign_list",
        /// Nothing leads from it to the root that follows: sign that one's key where the key is.
        SignCross = "sign_cross",
    }
}

crate::states::words! {
    /// The key of a root that is made here (P-1). Issuing authorities have P-256 either way: devices verify with those over and over.
    RootKey {
        /// NIST P-256, which the small TLS stacks of devices and their secure elements verify too.
        P256 = "p-256",
        /// NIST P-384: the root signs with ecdsa-with-SHA384.
        P384 = "p-384",
    }
}

/// One task with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RootDuty {
    /// The root.
    pub root: AuthorityId,
    /// Its subject.
    pub subject: String,
    /// What is to be done.
    pub task: RootTask,
    /// Why, in words.
    pub text: String,
    /// The lines that do it, in their order; those that need the root's key run where that is.
    pub commands: Vec<String>,
    /// Until when, if there is an end to it.
    pub due: Option<Timestamp>,
    /// What needs the root's file once its key is taken away from here; nothing for other tasks.
    #[serde(default)]
    pub then: Vec<RootNeed>,
}

/// Something that needs a root's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RootNeed {
    /// What, in words.
    pub text: String,
    /// When at the latest, where that is known.
    pub when: Option<Timestamp>,
    /// The line that does it now, while the key is here; none where it can't be done before.
    pub now: Option<String>,
}

/// What to make a request for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewAuthorityRequest {
    /// What the authority will issue to; not `root`.
    pub kind: AuthorityUse,
    /// Whether a root that is not known here yet will sign it: the name it proposes is the next root's.
    #[serde(default)]
    pub own_root: bool,
    /// Whether to begin anew where there is a request already: that one's certificate can't be brought back any more.
    #[serde(default)]
    pub fresh: bool,
}

/// A key that was made here and waits for its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuthorityRequest {
    /// The id that the authority will have.
    pub id: AuthorityId,
    /// What it will issue to.
    pub kind: AuthorityUse,
    /// The name it proposes.
    pub subject: String,
    /// SHA-256 of its key's `SubjectPublicKeyInfo` (DER) in hex. Whoever signs the request compares it with what came to them by another way than the request.
    pub public_key_sha256: String,
    /// Where its private key is.
    pub key: KeyPlace,
    /// The request, PEM (PKCS#10).
    pub csr: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// Certificates on their way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BroughtCertificates {
    /// The certificate for a request's key and, if its root is not known here, that root's; or the certificate by which one root vouches for another.
    /// PEM, in any order.
    pub certificates: String,
}

/// What they came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Imported {
    /// The authority that is staged now, or the root that another one vouches for now.
    pub authority: AuthorityRow,
    /// The root that came along and is staged as well.
    pub root: Option<AuthorityRow>,
    /// Whether it was a certificate of one root for another.
    pub cross: bool,
}

/// An entry that a root's list must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ListEntry {
    /// Serial number in hex.
    pub serial: String,
    /// `CRLReason` (RFC 5280 §5.3.1): 2 for a compromised authority, 4 for one that was followed.
    pub reason: u8,
    /// Since when.
    pub at: Timestamp,
}

/// What a root's next list has to say, for whoever has its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// The root.
    pub authority: AuthorityId,
    /// Its subject.
    pub subject: String,
    /// SHA-256 of its certificate in hex.
    pub fingerprint: String,
    /// The least number that the list may have.
    pub number: i64,
    /// Its entries.
    pub entries: Vec<ListEntry>,
}

/// A list of revoked certificates on its way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BroughtList {
    /// The list, PEM (`X509 CRL`).
    pub list: String,
}

/// A root's list as it is served now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListStanding {
    /// Its number.
    pub number: i64,
    /// When it was made.
    pub this_update: Timestamp,
    /// Until when it holds.
    pub next_update: Timestamp,
}
