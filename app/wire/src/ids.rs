//! Typed identifiers. An id made by Fleetward is `prefix_` + 32 hex digits of a `UUIDv7`, so ids of one kind sort by their creation.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Why a text is not an id; the message is fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: expected {expected}")]
pub struct BadId {
    /// What was being parsed, for example `rollout id`.
    pub kind: &'static str,
    /// The accepted form in words.
    pub expected: &'static str,
}

/// An id that Fleetward makes itself.
pub trait Id: TryFrom<String, Error = BadId> {
    /// What every id of this kind begins with, without the underscore.
    const PREFIX: &'static str;
}

macro_rules! ids { ($($(#[$doc:meta])* $name:ident = $prefix:literal, $kind:literal;)*) => { $(
    $(#[$doc])*
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
    #[serde(try_from = "String", into = "String")]
    pub struct $name(String);
    impl $name {
        /// Sorts behind every id of this kind: where a list begins that is newest first.
        pub const BEHIND: &'static str = concat!($prefix, "~");
        /// The id as text.
        pub fn as_str(&self) -> &str { &self.0 }
    }
    impl Id for $name {
        const PREFIX: &'static str = $prefix;
    }
    impl FromStr for $name {
        type Err = BadId;
        fn from_str(s: &str) -> Result<Self, BadId> { Self::try_from(s.to_owned()) }
    }
    impl TryFrom<String> for $name {
        type Error = BadId;
        fn try_from(s: String) -> Result<Self, BadId> {
            let ok = s.strip_prefix($prefix).and_then(|r| r.strip_prefix('_'))
                .is_some_and(|r| r.len() == 32 && r.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            if ok { Ok(Self(s)) } else { Err(BadId { kind: $kind, expected: concat!($prefix, "_ and 32 hex digits") }) }
        }
    }
    impl From<$name> for String { fn from(id: $name) -> String { id.0 } }
    impl fmt::Display for $name { fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) } }
)* } }

ids! {
    /// The unit of isolation.
    OrgId = "org", "organization id";
    /// A person with a login.
    UserId = "usr", "user id";
    /// A signed-in browser.
    SessionId = "ses", "session id";
    /// A bearer token for scripts.
    ApiTokenId = "tok", "API token id";
    /// A secret that trades a CSR for a certificate.
    EnrolmentTokenId = "ent", "enrolment token id";
    /// A secret that speaks for one device.
    TargetTokenId = "tgt", "target token id";
    /// A secret that speaks for every device of an organization that has no certificate.
    GatewayTokenId = "gwt", "gateway token id";
    /// A group of devices.
    GroupId = "grp", "group id";
    /// A device's request to join that waits for a person.
    EnrolmentRequestId = "enr", "enrolment request id";
    /// A batch of CSRs from a factory.
    EnrolmentBatchId = "ebt", "enrolment batch id";
    /// A file of devices that is looked at before it is imported.
    DeviceImportId = "imp", "import id";
    /// A shared certificate that trades a CSR for a device's own.
    ClaimId = "clm", "claim id";
    /// A certification authority's key and certificate.
    AuthorityId = "ca", "authority id";
    /// A request for a second person to agree.
    ConsentId = "con", "request id";
    /// An order to many devices to renew, while it is carried out.
    RenewalOrderId = "rno", "renewal order id";
    /// An issued certificate.
    CertificateId = "crt", "certificate id";
    /// A key that the server signs assignments with.
    AssignmentKeyId = "ask", "assignment key id";
    /// A public key that release manifests are checked against.
    SigningKeyId = "key", "signing key id";
    /// A key that signatures inside images are held against.
    ImageKeyId = "imk", "image key id";
    /// An upload in progress.
    UploadId = "upl", "upload id";
    /// A version of firmware.
    ReleaseId = "rel", "release id";
    /// A staged distribution of one release.
    RolloutId = "rol", "rollout id";
    /// One device's part in a rollout.
    UpdateId = "upd", "update id";
    /// A decision over a rollout's digest.
    ApprovalId = "app", "approval id";
    /// A time in which no rollout offers anything new.
    FreezeId = "frz", "freeze id";
    /// People who approve, put together under a name.
    ApproverGroupId = "apg", "approver group id";
    /// A rollout's start without its approvals.
    GlassId = "brk", "break glass id";
}

/// The name an owner gave a device: `[A-Za-z0-9][A-Za-z0-9._:-]{0,63}` (P-3); compared case-sensitively, unique without case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

impl DeviceId {
    /// The id as its owner wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeviceId {
    type Error = BadId;
    fn try_from(s: String) -> Result<Self, BadId> {
        let rest = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
        let ok = s.len() <= 64 && s.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()) && s.bytes().all(rest);
        if ok {
            Ok(Self(s))
        } else {
            Err(BadId { kind: "device id", expected: "1 to 64 letters, digits, '.', '_', ':' or '-', the first a letter or digit" })
        }
    }
}
impl FromStr for DeviceId {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        Self::try_from(s.to_owned())
    }
}
impl From<DeviceId> for String {
    fn from(id: DeviceId) -> String {
        id.0
    }
}
impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an organization in addresses, where an organization is made: 1 to 40 of `[a-z0-9-]`, a letter or digit first and last. It stands in the
/// identities inside certificates, in hawkBit's paths and before the dot of EST's labels, so it has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrgSlug(String);

impl OrgSlug {
    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OrgSlug {
    type Error = BadId;
    fn try_from(s: String) -> Result<Self, BadId> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let ends = s.bytes().next().is_some_and(letter) && s.bytes().next_back().is_some_and(letter);
        if ends && s.len() <= 40 && s.bytes().all(|b| letter(b) || b == b'-') {
            Ok(Self(s))
        } else {
            Err(BadId { kind: "slug", expected: "1 to 40 small letters, digits and hyphens, the first and the last a letter or digit" })
        }
    }
}
impl FromStr for OrgSlug {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        Self::try_from(s.to_owned())
    }
}
impl From<OrgSlug> for String {
    fn from(slug: OrgSlug) -> String {
        slug.0
    }
}
impl fmt::Display for OrgSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256 digest, written as 64 lower-case hex digits: the name of an artifact's content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest as hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The digest of these 32 bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        Self(bytes.iter().flat_map(|b| [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]).map(char::from).collect())
    }
    /// The first twelve hex digits, enough for a person to tell two files apart.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}
impl TryFrom<String> for Digest {
    type Error = BadId;
    fn try_from(s: String) -> Result<Self, BadId> {
        if s.len() == 64 && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(Self(s))
        } else {
            Err(BadId { kind: "SHA-256 digest", expected: "64 lower-case hex digits" })
        }
    }
}
impl FromStr for Digest {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        Self::try_from(s.to_owned())
    }
}
impl From<Digest> for String {
    fn from(d: Digest) -> String {
        d.0
    }
}
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_device_id_round_trips_or_is_refused(s in ".{0,80}") {
            if let Ok(id) = s.parse::<DeviceId>() {
                prop_assert_eq!(id.as_str(), &s);
                prop_assert!(s.is_ascii() && s.len() <= 64 && !s.contains(['/', '\\', '\0', '<', ' ']));
            }
        }

        #[test]
        fn a_digest_prints_what_it_was_made_of(bytes: [u8; 32]) {
            let d = Digest::from_bytes(&bytes);
            prop_assert_eq!(d.as_str().parse::<Digest>().unwrap(), d);
        }
    }

    #[test]
    fn a_slug_stands_in_every_address_as_it_is() {
        for right in ["a", "7", "acme", "acme-2", "a-b--c", &"x".repeat(40)] {
            assert_eq!(right.parse::<OrgSlug>().unwrap().as_str(), right);
        }
        for wrong in ["", "-", "-a", "a-", "Acme", "a.b", "a b", "a/b", "a_b", "ä", "a\n", &"x".repeat(41)] {
            assert!(wrong.parse::<OrgSlug>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2";
        assert!(id.parse::<RolloutId>().is_ok());
        assert!(id.parse::<ReleaseId>().is_err());
    }

    #[test]
    fn behind_every_id_is_none() {
        let last = format!("rol_{}", "f".repeat(32));
        assert!(last.parse::<RolloutId>().unwrap().as_str() < RolloutId::BEHIND && RolloutId::BEHIND.parse::<RolloutId>().is_err());
    }
}
