//! Who may sign firmware, how many of them must, and for which device an offer is (U-1, U-2).
//!
//! Two documents in DSSE envelopes beside the manifest: the [`KeySet`], signed offline by the keys before it and by its own, and the [`Assignment`],
//! signed online by the server for one device and a few hours. Nothing here signs or verifies.

use crate::{
    Timestamp,
    ids::{AssignmentKeyId, DeviceId, Digest, ReleaseId, RolloutId, UpdateId},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The `payloadType` of key sets.
pub const KEY_SET_TYPE: &str = "application/vnd.fleetward.key-set+json";
/// The `payloadType` of assignments.
pub const ASSIGNMENT_TYPE: &str = "application/vnd.fleetward.assignment+json";
/// The version of both documents' schema.
pub const SCHEMA: u32 = 1;
/// Where a device fetches a key set: this and its version. Answered with an [`Envelope`](crate::manifest::Envelope).
pub const KEY_SETS: &str = "/device/v1/key-sets/";
/// Most signatures that can be asked for: as many as an envelope may have.
pub const MAX_THRESHOLD: u32 = 16;
/// Most keys of a key set.
pub const MAX_KEYS: usize = 64;
/// Most device types with a threshold of their own.
pub const MAX_TYPES: usize = 200;
/// The longest an assignment may hold, in milliseconds (24 h).
pub const MAX_ASSIGNMENT_MS: i64 = 24 * 3600 * 1000;

/// How many different trusted keys must have signed a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Of every device type that has none of its own, 1 to 16.
    #[serde(default = "one")]
    pub threshold: u32,
    /// Device types that ask for another number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub device_types: Vec<TypeThreshold>,
}

/// A device type's own threshold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TypeThreshold {
    /// The type, compared exactly.
    pub device_type: String,
    /// How many, 1 to 16.
    pub threshold: u32,
}

const fn one() -> u32 {
    1
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { threshold: 1, device_types: Vec::new() }
    }
}

impl Thresholds {
    /// How many keys must have signed a release of this type.
    pub fn of(&self, device_type: &str) -> u32 {
        self.device_types.iter().find(|t| t.device_type == device_type).map_or(self.threshold, |t| t.threshold)
    }

    /// The greatest of them: so many sign a change of who may sign.
    pub fn quorum(&self) -> u32 {
        self.device_types.iter().map(|t| t.threshold).fold(self.threshold, u32::max)
    }

    /// The first thing that is wrong, for `keys` keys: a field, and a clause that follows its name.
    pub fn problem(&self, keys: usize) -> Option<(&'static str, String)> {
        let all = std::iter::once(self.threshold).chain(self.device_types.iter().map(|t| t.threshold));
        for (n, field) in all.zip(std::iter::once("threshold").chain(std::iter::repeat("device_types"))) {
            if !(1..=MAX_THRESHOLD).contains(&n) {
                return Some((field, format!("asks for {n} signatures; 1 to {MAX_THRESHOLD} can be asked for")));
            }
            if usize::try_from(n).unwrap_or(usize::MAX) > keys {
                return Some((field, format!("asks for {n} signatures, and there {} only", counted(keys))));
            }
        }
        if self.device_types.len() > MAX_TYPES {
            return Some(("device_types", format!("are {}; at most {MAX_TYPES} are taken", self.device_types.len())));
        }
        let mut seen = BTreeSet::new();
        for of in &self.device_types {
            let name = of.device_type.as_str();
            if name.is_empty() || name.len() > 64 || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
                return Some(("device_types", "name a type that no manifest can have: 1 to 64 bytes without white space".to_owned()));
            }
            if !seen.insert(name) {
                return Some(("device_types", format!("name {name:?} twice")));
            }
        }
        None
    }
}

fn counted(keys: usize) -> String {
    if keys == 1 { "is 1 key".to_owned() } else { format!("are {keys} keys") }
}

/// The keys that devices are to trust from here on (U-1). Version N+1 is signed by enough keys of version N and by enough of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeySet {
    /// Version of this schema, [`SCHEMA`].
    pub schema: u32,
    /// Goes up by exactly one.
    pub version: u64,
    /// When it was made.
    pub created: Timestamp,
    /// From then on no device installs anything by it, until the next set came; that may follow on it all the same (as TUF has it of its root). Without
    /// one it never ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The keys.
    pub keys: Vec<ListedKey>,
    /// How many of them must sign.
    pub thresholds: Thresholds,
}

/// A key of a key set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ListedKey {
    /// What people call it.
    pub name: String,
    /// The Ed25519 public key: 64 lower-case hex digits.
    pub public: String,
}

impl ListedKey {
    /// The 32 bytes; none when it is not written as it has to be.
    pub fn bytes(&self) -> Option<[u8; 32]> {
        let mut out = [0; 32];
        let digits = self.public.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        for (to, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            *to = (value(pair[0])? << 4) | value(pair[1])?;
        }
        Some(out)
    }
}

impl KeySet {
    /// Whether it has ended.
    pub fn ended(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// The first thing that is wrong with it, as a clause; the same for who makes, who publishes and who believes it.
    pub fn problem(&self) -> Option<String> {
        if self.schema != SCHEMA {
            return Some(format!("has schema {}; {SCHEMA} is read here", self.schema));
        }
        if self.version == 0 || i64::try_from(self.version).is_err() {
            return Some("has a version out of range: they start at 1".to_owned());
        }
        if self.ended(self.created) {
            return Some("ends before it was made".to_owned());
        }
        if self.keys.is_empty() || self.keys.len() > MAX_KEYS {
            return Some(format!("has {} keys; 1 to {MAX_KEYS} are taken", self.keys.len()));
        }
        let mut seen = BTreeSet::new();
        for key in &self.keys {
            if key.name.is_empty() || key.name.len() > 100 || key.name.trim() != key.name || key.name.contains(char::is_control) {
                return Some("names a key with nothing, with more than 100 bytes, or with signs that can't be seen".to_owned());
            }
            match key.bytes() {
                None => return Some(format!("has {:?} without a public key of 64 lower-case hex digits", key.name)),
                // One key under two names would sign twice.
                Some(bytes) if !seen.insert(bytes) => return Some(format!("has the key of {:?} twice", key.name)),
                Some(_) => {}
            }
        }
        self.thresholds.problem(self.keys.len()).map(|(field, problem)| format!("is wrong: {field} {problem}"))
    }
}

/// What the server says an offer is for (U-2): one device, one update, one manifest, for a few hours. With it a device refuses what was meant for
/// another one or for another day; what may be installed at all is said by the manifest's own signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Version of this schema, [`SCHEMA`].
    pub schema: u32,
    /// For whom.
    pub device_id: DeviceId,
    /// The rollout.
    pub rollout_id: RolloutId,
    /// The device's part in it.
    pub update_id: UpdateId,
    /// SHA-256 of the manifest: of the payload's bytes as they were signed.
    pub manifest_sha256: Digest,
    /// When it was signed.
    pub issued: Timestamp,
    /// It holds until then, at most [`MAX_ASSIGNMENT_MS`] after it was signed.
    pub expires: Timestamp,
    /// Goes up with every assignment of the device; the same one may come again.
    pub counter: u64,
}

/// A key that assignments are signed with. Its private half never leaves the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AssignmentKey {
    /// Its id here.
    pub id: AssignmentKeyId,
    /// SHA-256 (hex) of the 32 key bytes: the `keyid` of signatures.
    pub keyid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
}

/// How releases of an organization have to be signed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SigningPolicy {
    /// How many keys must have signed.
    pub thresholds: Thresholds,
    /// How many keys are trusted.
    pub keys: i64,
    /// The version of the key set that decides about keys and thresholds; absent while people do, one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_set: Option<i64>,
    /// Published releases with fewer signatures than they would need now. They stay published; devices that ask for more refuse them.
    #[serde(default)]
    pub short: Vec<ShortRelease>,
}

/// A published release with too few signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShortRelease {
    /// Its id.
    pub id: ReleaseId,
    /// Its type.
    pub device_type: String,
    /// Its version.
    pub version: String,
    /// By how many trusted keys it is signed.
    pub have: u32,
    /// By how many it should be.
    pub need: u32,
}

/// A key set that ends within this time is told of.
pub const KEY_SET_SOON_MS: i64 = 30 * 24 * 3_600_000;

/// A published key set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeySetRow {
    /// Its version.
    pub version: i64,
    /// How many keys must sign.
    pub thresholds: Thresholds,
    /// Names of its keys.
    pub keys: Vec<String>,
    /// When it ends, if it does: devices install nothing by it from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was published here.
    pub published_at: Timestamp,
    /// By whom.
    pub published_by: String,
}

/// How the signatures of a release stand now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignatureStanding {
    /// By how many trusted keys it is signed.
    pub have: u32,
    /// By how many it has to be.
    pub need: u32,
    /// Its signatures, in their order.
    pub signatures: Vec<SignatureRow>,
}

/// A signature of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignatureRow {
    /// The key's id.
    pub keyid: String,
    /// What people call the key; empty when nobody here knows it.
    pub name: String,
    /// Whether it counts: right, and by a key that is trusted now.
    pub counts: bool,
    /// Why it does not; empty when it does.
    pub why: String,
    /// When it was added; absent when it was in the envelope that was uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Timestamp>,
    /// By whom it was added.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub added_by: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> KeySet {
        let key = |n: u8| ListedKey { name: format!("key {n}"), public: format!("{n:02x}").repeat(32) };
        let thresholds = Thresholds { threshold: 1, device_types: vec![TypeThreshold { device_type: "gw".into(), threshold: 2 }] };
        KeySet { schema: SCHEMA, version: 1, created: Timestamp(0), expires: None, keys: vec![key(1), key(0xab)], thresholds }
    }

    #[test]
    fn a_type_has_its_own_threshold_and_the_greatest_changes_the_keys() {
        let set = set();
        assert_eq!((set.thresholds.of("gw"), set.thresholds.of("other"), set.thresholds.quorum()), (2, 1, 2));
        assert_eq!((Thresholds::default().of("gw"), Thresholds::default().quorum()), (1, 1));
        assert_eq!(set.keys[1].bytes(), Some([0xab; 32]));
        assert_eq!(set.problem(), None);
    }

    #[test]
    fn each_rule_of_a_key_set_has_its_refusal() {
        let says = |change: fn(&mut KeySet), words: &str| {
            let mut set = set();
            change(&mut set);
            let problem = set.problem().unwrap_or_default();
            assert!(problem.contains(words), "{words}: {problem:?}");
        };
        says(|s| s.schema = 2, "schema 2");
        says(|s| s.version = 0, "start at 1");
        says(|s| s.expires = Some(s.created), "ends before it was made");
        says(|s| s.keys.clear(), "has 0 keys");
        says(|s| s.keys[0].name.clear(), "names a key");
        says(|s| s.keys[0].public.pop().map_or((), drop), "64 lower-case hex digits");
        says(|s| s.keys[0].public = "AB".repeat(32), "64 lower-case hex digits");
        says(|s| s.keys[0].public = s.keys[1].public.clone(), "twice");
        says(|s| s.thresholds.threshold = 0, "asks for 0");
        says(|s| s.thresholds.threshold = 3, "there are 2 keys only");
        says(|s| s.thresholds.device_types[0].threshold = 17, "1 to 16");
        says(|s| s.thresholds.device_types.push(s.thresholds.device_types[0].clone()), "\"gw\" twice");
        says(|s| s.thresholds.device_types[0].device_type = "a b".into(), "no manifest can have");
    }

    #[test]
    fn it_ends_only_where_it_says_so() {
        let (never, ends) = (set(), KeySet { expires: Some(Timestamp(5)), ..set() });
        assert!(!never.ended(Timestamp(i64::MAX)) && !ends.ended(Timestamp(4)) && ends.ended(Timestamp(5)));
        assert!(!serde_json::to_string(&never).unwrap().contains("expires"), "older agents know no such word");
        assert_eq!(ends.problem(), None);
    }

    #[test]
    fn a_field_that_stands_twice_is_no_document() {
        let text = serde_json::to_string(&set()).unwrap();
        let twice = text.replacen("\"version\":1", "\"version\":1,\"version\":2", 1);
        assert!(serde_json::from_str::<KeySet>(&text).is_ok());
        assert!(serde_json::from_str::<KeySet>(&twice).unwrap_err().to_string().contains("duplicate field"));
    }
}
