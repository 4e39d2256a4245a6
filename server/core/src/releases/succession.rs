//! Pure: whether a key set follows on the keys before it (U-1, the root rule of TUF): its version is exactly one more, and both enough of the
//! keys before it and enough of its own have signed it. Refuses to know where key sets are kept.

use super::{
    acceptance::count,
    manifest::{Key, MAX_ENVELOPE, MAX_SIGNATURES},
    quorum,
    signing::keyid,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use wire::{
    manifest::Envelope,
    signing::{KEY_SET_TYPE, KeySet},
};

/// What was believed before.
#[derive(Debug, Clone)]
pub struct Before<'a> {
    /// The keys.
    pub keys: &'a [Key],
    /// How many of them have to sign.
    pub quorum: u32,
    /// The version of the set that they are of; none before the first.
    pub version: Option<u64>,
}

/// Why a key set is not believed. Fit to be shown behind "The key set".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not an envelope of a key set.
    #[error("can't be read: {0}")]
    Unreadable(String),
    /// Something in it is out of its bounds.
    #[error("{0}")]
    Wrong(String),
    /// Not the next one.
    #[error("has version {version}; {expected} is the next one")]
    Version {
        /// Its own.
        version: u64,
        /// The next.
        expected: u64,
    },
    /// A signature does not fit.
    #[error("was changed after {0:?} had signed it")]
    Changed(String),
    /// Too few signatures by the keys before it.
    #[error("has {have} of {need} signatures by the keys that are trusted before it")]
    Before {
        /// How many it has.
        have: u32,
        /// How many it needs.
        need: u32,
    },
    /// Its time is over.
    #[error("has ended at {0}; make one that ends later, or never")]
    Ended(wire::Timestamp),
    /// Too few signatures by its own keys.
    #[error("has {have} of {need} signatures by its own keys")]
    Own {
        /// How many it has.
        have: u32,
        /// How many it needs.
        need: u32,
    },
}

/// Reads an envelope of a key set without believing it, with its payload's bytes.
pub fn open(bytes: &[u8]) -> Result<(Envelope, Vec<u8>, KeySet), KeySetError> {
    let unreadable = |why: String| KeySetError::Unreadable(why.chars().filter(|c| !c.is_control()).take(200).collect());
    if bytes.len() > MAX_ENVELOPE {
        return Err(unreadable(format!("it has {} bytes, at most {MAX_ENVELOPE} are taken", bytes.len())));
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|e| unreadable(e.to_string()))?;
    if envelope.payload_type != KEY_SET_TYPE {
        return Err(unreadable(format!("its payload type is not {KEY_SET_TYPE}")));
    }
    if envelope.signatures.len() > MAX_SIGNATURES {
        return Err(unreadable(format!("it has more than {MAX_SIGNATURES} signatures")));
    }
    let payload = STANDARD.decode(&envelope.payload).map_err(|_| unreadable("its payload is not base64".to_owned()))?;
    let set: KeySet = serde_json::from_slice(&payload).map_err(|e| unreadable(e.to_string()))?;
    match set.problem() {
        Some(problem) => Err(KeySetError::Wrong(problem)),
        None => Ok((envelope, payload, set)),
    }
}

/// The keys of a set.
pub fn keys(set: &KeySet) -> Vec<Key> {
    let listed = set.keys.iter().filter_map(|k| Some((k, k.bytes()?)));
    listed.map(|(k, public)| Key { name: k.name.clone(), keyid: keyid(&public), public }).collect()
}

/// The set, if it follows on what was believed before.
pub fn follows(bytes: &[u8], before: &Before<'_>) -> Result<KeySet, KeySetError> {
    let (envelope, payload, set) = open(bytes)?;
    if let Some(version) = before.version
        && set.version != version.saturating_add(1)
    {
        return Err(KeySetError::Version { version: set.version, expected: version.saturating_add(1) });
    }
    let signed = |keys: &[Key]| {
        quorum::signers(&envelope, &payload, keys).map(|found| count(&found)).map_err(|problem| match problem {
            quorum::Problem::Base64 => KeySetError::Unreadable("a signature is not base64".to_owned()),
            quorum::Problem::Wrong(name) => KeySetError::Changed(name),
        })
    };
    let (have, need) = (signed(before.keys)?, before.quorum);
    if have < need {
        return Err(KeySetError::Before { have, need });
    }
    let (have, need) = (signed(&keys(&set))?, set.thresholds.quorum());
    if have < need {
        return Err(KeySetError::Own { have, need });
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entropy::SeededEntropy,
        releases::{manifest::written, signing::SigningKeyPair},
    };
    use wire::{
        Timestamp,
        signing::{ListedKey, SCHEMA, Thresholds},
    };

    fn pair(seed: u64) -> SigningKeyPair {
        SigningKeyPair::generate(&SeededEntropy::new(seed)).unwrap()
    }

    fn set(version: u64, threshold: u32, of: &[u64]) -> KeySet {
        let key = |seed: &u64| ListedKey { name: format!("key {seed}"), public: hex::encode(pair(*seed).public()) };
        let thresholds = Thresholds { threshold, device_types: Vec::new() };
        KeySet { schema: SCHEMA, version, created: Timestamp(0), expires: None, keys: of.iter().map(key).collect(), thresholds }
    }

    fn signed(set: &KeySet, by: &[u64]) -> Vec<u8> {
        let payload = serde_json::to_vec(set).unwrap();
        let signatures = by.iter().map(|seed| pair(*seed).signature(KEY_SET_TYPE, &payload).unwrap()).collect();
        written(&Envelope { payload_type: KEY_SET_TYPE.into(), payload: STANDARD.encode(&payload), signatures }).unwrap()
    }

    /// What is believed is version 3: two of the keys 1, 2 and 3.
    fn after_three(bytes: &[u8]) -> Result<u64, KeySetError> {
        let (before, keys) = (set(3, 2, &[1, 2, 3]), keys(&set(3, 2, &[1, 2, 3])));
        follows(bytes, &Before { keys: &keys, quorum: before.thresholds.quorum(), version: Some(3) }).map(|set| set.version)
    }

    #[test]
    fn u_1_the_next_set_is_signed_by_the_old_and_the_new_quorum() {
        let next = set(4, 2, &[2, 4, 5]);
        assert_eq!(after_three(&signed(&next, &[1, 2, 4])), Ok(4), "key 2 is of both");
        assert_eq!(after_three(&signed(&next, &[1, 2])), Err(KeySetError::Own { have: 1, need: 2 }));
        assert_eq!(after_three(&signed(&next, &[2, 4, 5])), Err(KeySetError::Before { have: 1, need: 2 }));
        assert_eq!(after_three(&signed(&next, &[1, 1, 4, 5])), Err(KeySetError::Before { have: 1, need: 2 }), "one key, two signatures");
        assert_eq!(after_three(&signed(&next, &[])), Err(KeySetError::Before { have: 0, need: 2 }));
    }

    #[test]
    fn u_1_versions_go_up_by_exactly_one() {
        for version in [1, 2, 3, 5, u64::from(u32::MAX)] {
            let other = signed(&set(version, 2, &[1, 2, 3]), &[1, 2, 3]);
            assert_eq!(after_three(&other), Err(KeySetError::Version { version, expected: 4 }));
        }
        assert!(matches!(after_three(&signed(&set(0, 1, &[1]), &[1, 2])), Err(KeySetError::Wrong(_))));
    }

    #[test]
    fn u_1_a_lower_threshold_needs_the_old_one() {
        let lower = set(4, 1, &[1, 2, 3]);
        assert_eq!(after_three(&signed(&lower, &[1])), Err(KeySetError::Before { have: 1, need: 2 }));
        assert_eq!(after_three(&signed(&lower, &[1, 3])), Ok(4));
    }

    #[test]
    fn what_was_changed_or_cut_or_is_another_document_is_not_believed() {
        let good = signed(&set(4, 2, &[1, 2, 3]), &[1, 2]);
        for at in (0..good.len() - 1).step_by(7) {
            assert!(after_three(&good[..at]).is_err(), "cut at {at}");
        }
        let payload = serde_json::to_vec(&set(4, 1, &[1])).unwrap();
        let mut swapped: Envelope = serde_json::from_slice(&good).unwrap();
        swapped.payload = STANDARD.encode(payload);
        assert_eq!(after_three(&written(&swapped).unwrap()), Err(KeySetError::Changed("key 1".into())));
        let retyped = String::from_utf8(good).unwrap().replace(KEY_SET_TYPE, wire::manifest::PAYLOAD_TYPE);
        assert!(matches!(after_three(retyped.as_bytes()), Err(KeySetError::Unreadable(_))));
    }
}
