//! Whose firmware this device installs, over the years (U-1): the keys and the number of signatures that its owner gave it, and the key sets that
//! followed on them, each signed by enough of the keys before it and by enough of its own. The server carries them here; it can neither make one nor
//! leave one out, and so can lower no threshold.
//!
//! Owns `keys.json`: the last set that was believed, and what the owner had said when it was. When the owner says something else, that holds.

use super::keys::TrustedKeys;
use crate::files::Folder;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use std::io;
use wire::{
    Timestamp,
    manifest::{Envelope, pre_authentication},
    signing::{KEY_SET_TYPE, KeySet},
};

const FILE: &str = "keys.json";

/// Whom the device believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    seed: TrustedKeys,
    set: Option<KeySet>,
}

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    seed: Vec<String>,
    threshold: u32,
    set: KeySet,
}

impl Trust {
    /// What the owner says now, and the key set that followed on it.
    pub fn open(folder: &Folder, seed: TrustedKeys) -> io::Result<Self> {
        let Some(bytes) = folder.read(FILE)? else { return Ok(Self { seed, set: None }) };
        let kept: Kept = serde_json::from_slice(&bytes)?;
        let same = kept.threshold == seed.threshold() && kept.seed == Vec::<String>::from(seed.clone());
        Ok(Self { seed, set: same.then_some(kept.set) })
    }

    /// What the owner said.
    pub const fn seed(&self) -> &TrustedKeys {
        &self.seed
    }

    /// The version of the key set that holds; none while it is what the owner said.
    pub fn version(&self) -> Option<u64> {
        self.set.as_ref().map(|set| set.version)
    }

    /// The version and the end of the key set that holds, if it has ended: by it no firmware is judged any more, but the next set still is.
    pub fn ended(&self, now: Timestamp) -> Option<(u64, Timestamp)> {
        let set = self.set.as_ref()?;
        set.expires.filter(|_| set.ended(now)).map(|end| (set.version, end))
    }

    /// The keys, and how many of them must have signed firmware for this type.
    pub fn keys(&self, device_type: &str) -> TrustedKeys {
        match &self.set {
            Some(set) => listed(set, set.thresholds.of(device_type)),
            None => self.seed.clone(),
        }
    }

    /// Believes the key set, if it follows on what was believed: from then on versions go up by exactly one. The first may have any version, since
    /// whoever gives a device its keys need not know how many sets there were.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn follow(&self, envelope: &Envelope) -> Result<Self, String> {
        if envelope.payload_type != KEY_SET_TYPE {
            return Err(format!("payload type {:?} is not {KEY_SET_TYPE}", envelope.payload_type));
        }
        let payload = BASE64.decode(&envelope.payload).map_err(|e| format!("payload: {e}"))?;
        let message = pre_authentication(&envelope.payload_type, &payload);
        let before = match &self.set {
            Some(set) => listed(set, set.thresholds.quorum()),
            None => self.seed.clone(),
        };
        // The signatures first: until enough have signed, not a word of it is read.
        enough(&before, envelope, &message).map_err(|(have, need)| format!("{have} of {need} signatures by the keys trusted here"))?;
        let set: KeySet = serde_json::from_slice(&payload).map_err(|e| format!("it is not understood: {e}"))?;
        if let Some(problem) = set.problem() {
            return Err(format!("it {problem}"));
        }
        if let Some(expected) = self.version().map(|v| v.saturating_add(1))
            && set.version != expected
        {
            return Err(format!("it has version {}, {expected} is the next one", set.version));
        }
        let own = listed(&set, set.thresholds.quorum());
        enough(&own, envelope, &message).map_err(|(have, need)| format!("{have} of {need} signatures by its own keys"))?;
        Ok(Self { seed: self.seed.clone(), set: Some(set) })
    }

    /// Writes it down.
    pub fn keep(&self, folder: &Folder) -> io::Result<()> {
        let Some(set) = &self.set else { return Ok(()) };
        let kept = Kept { seed: self.seed.clone().into(), threshold: self.seed.threshold(), set: set.clone() };
        folder.write(FILE, &serde_json::to_vec_pretty(&kept)?)
    }
}

fn listed(set: &KeySet, threshold: u32) -> TrustedKeys {
    let mut keys = TrustedKeys::none().with_threshold(threshold);
    for key in set.keys.iter().filter_map(wire::signing::ListedKey::bytes) {
        keys.add(key);
    }
    keys
}

fn enough(keys: &TrustedKeys, envelope: &Envelope, message: &[u8]) -> Result<(), (u32, u32)> {
    let have = keys.signers(&envelope.signatures, message);
    if have >= keys.threshold() && !keys.is_empty() { Ok(()) } else { Err((have, keys.threshold())) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use wire::{
        manifest::Signature,
        signing::{ListedKey, SCHEMA, Thresholds, TypeThreshold},
    };

    fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn public(seed: u8) -> [u8; 32] {
        pair(seed).public_key().as_ref().try_into().unwrap()
    }

    pub fn seed(of: &[u8], threshold: u32) -> TrustedKeys {
        let mut keys = TrustedKeys::none().with_threshold(threshold);
        for n in of {
            keys.add(public(*n));
        }
        keys
    }

    pub fn sign(payload_type: &str, payload: &[u8], by: &[u8]) -> Envelope {
        let message = pre_authentication(payload_type, payload);
        let signatures = by.iter().map(|n| Signature {
            keyid: hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &public(*n))),
            sig: BASE64.encode(pair(*n).sign(&message).as_ref()),
        });
        Envelope { payload_type: payload_type.into(), payload: BASE64.encode(payload), signatures: signatures.collect() }
    }

    pub fn set(version: u64, threshold: u32, of: &[u8], by: &[u8]) -> Envelope {
        ending(version, threshold, of, by, None)
    }

    pub fn ending(version: u64, threshold: u32, of: &[u8], by: &[u8], expires: Option<Timestamp>) -> Envelope {
        let keys = of.iter().map(|n| ListedKey { name: format!("key {n}"), public: hex::encode(public(*n)) }).collect();
        let device_types = vec![TypeThreshold { device_type: "lamp".into(), threshold: 1 }];
        let set =
            KeySet { schema: SCHEMA, version, created: Timestamp(0), expires, keys, thresholds: Thresholds { threshold, device_types } };
        sign(KEY_SET_TYPE, &serde_json::to_vec(&set).unwrap(), by)
    }

    fn bare(of: &[u8], threshold: u32) -> Trust {
        Trust { seed: seed(of, threshold), set: None }
    }

    #[test]
    fn u_1_a_chain_of_sets_leads_from_the_first_keys_to_the_last() {
        let mut trust = bare(&[1, 2], 1);
        for (next, version) in [(set(1, 2, &[1, 2, 3], &[1, 2]), 1), (set(2, 2, &[2, 3, 4], &[2, 3]), 2), (set(3, 1, &[4], &[3, 4]), 3)] {
            trust = trust.follow(&next).unwrap();
            assert_eq!(trust.version(), Some(version));
        }
        assert_eq!((trust.keys("gw").threshold(), trust.keys("gw").named()), (1, seed(&[4], 1).named()));
        let two = bare(&[1], 1).follow(&set(7, 2, &[1, 2], &[1, 2])).unwrap();
        assert_eq!((two.version(), two.keys("gw").threshold(), two.keys("lamp").threshold()), (Some(7), 2, 1), "a type has its own");
    }

    #[test]
    fn u_1_a_set_that_has_ended_is_followed_on_all_the_same() {
        let first = bare(&[1], 1).follow(&ending(1, 1, &[2], &[1, 2], Some(Timestamp(5)))).unwrap();
        assert_eq!((first.ended(Timestamp(4)), first.ended(Timestamp(5))), (None, Some((1, Timestamp(5)))));
        let next = first.follow(&set(2, 1, &[3], &[2, 3])).unwrap();
        assert_eq!((next.version(), next.ended(Timestamp(i64::MAX))), (Some(2), None));
        assert_eq!(bare(&[1], 1).ended(Timestamp(i64::MAX)), None, "what the owner said holds until the owner says something else");
    }

    #[test]
    fn u_1_a_server_lowers_no_threshold_and_swaps_no_key() {
        let trust = bare(&[1, 2, 3], 2).follow(&set(4, 2, &[1, 2, 3], &[1, 2])).unwrap();
        let refused = |next: Envelope, words: &str| {
            let said = trust.follow(&next).unwrap_err();
            assert!(said.contains(words), "{words}: {said}");
        };
        refused(set(5, 1, &[1, 2, 3], &[1]), "1 of 2 signatures by the keys trusted here");
        refused(set(5, 1, &[1, 2, 3], &[1, 1]), "1 of 2");
        refused(set(5, 1, &[9], &[9, 9]), "0 of 2");
        refused(set(5, 2, &[1, 8, 9], &[1, 8, 9]), "1 of 2 signatures by the keys trusted here");
        refused(set(5, 2, &[1, 8, 9], &[1, 2]), "1 of 2 signatures by its own keys");
        refused(set(4, 1, &[1, 2, 3], &[1, 2]), "5 is the next one");
        refused(set(3, 1, &[1, 2, 3], &[1, 2]), "5 is the next one");
        refused(set(6, 2, &[1, 2, 3], &[1, 2]), "5 is the next one");
        refused(set(5, 4, &[1, 2, 3], &[1, 2]), "asks for 4");
        let mut manifest = set(5, 1, &[1, 2, 3], &[1, 2]);
        manifest.payload_type = wire::manifest::PAYLOAD_TYPE.into();
        refused(manifest, "payload type");
        assert!(bare(&[], 1).follow(&set(1, 1, &[1], &[1])).is_err(), "who trusts nobody follows nobody");
    }

    #[test]
    fn it_is_kept_until_the_owner_says_something_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path()).unwrap();
        let open = |keys: &TrustedKeys| Trust::open(&folder, keys.clone()).unwrap();
        let first = seed(&[1], 1);
        open(&first).follow(&set(3, 2, &[1, 2], &[1, 2])).unwrap().keep(&folder).unwrap();
        assert_eq!((open(&first).version(), open(&first).keys("gw").threshold()), (Some(3), 2));
        assert_eq!(open(&seed(&[1], 2)).version(), None, "another threshold by hand");
        assert_eq!(open(&seed(&[1, 5], 1)).version(), None, "other keys by hand");
        folder.write(FILE, b"{}").unwrap();
        assert!(Trust::open(&folder, first).is_err(), "damage is said, and not taken for nothing");
    }
}
