//! Pure: whether a device that says which keys it trusts takes a release by its signatures (U-1): by those keys, or by the newest key set where they lead
//! to it. Where that is not certain it does: the device looks itself, and installs nothing that it does not trust.

use std::collections::{BTreeMap, BTreeSet};
use wire::{
    device::{MAX_ATTRIBUTE, NO_KEYS, SIGNATURES_NEEDED, TRUSTED_KEYS},
    manifest::Envelope,
    signing::KeySet,
};

/// Fewest digits of a key's id that name it.
const LEAST_DIGITS: usize = 16;
/// Digits of a whole id.
const DIGITS: usize = 64;

/// What a device says of whom it believes.
#[derive(Debug)]
struct Trusts<'a> {
    keys: Vec<&'a str>,
    need: usize,
}

impl<'a> Trusts<'a> {
    /// None where it says nothing of it, or nothing that can be read.
    fn of(attributes: &'a BTreeMap<String, String>) -> Option<Self> {
        let said = attributes.get(TRUSTED_KEYS)?;
        let keys: Vec<&str> = if said == NO_KEYS { Vec::new() } else { said.split_whitespace().collect() };
        let is_id =
            |word: &&str| (LEAST_DIGITS..=DIGITS).contains(&word.len()) && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        // What was too long to be kept does not name them all; a space at its end was not kept either.
        let whole = said.len() + 1 < MAX_ATTRIBUTE;
        if !whole || !keys.iter().all(is_id) || (keys.is_empty() && said != NO_KEYS) {
            return None;
        }
        let need = attributes.get(SIGNATURES_NEEDED).and_then(|n| n.parse::<usize>().ok()).unwrap_or(1).max(1);
        Some(Self { keys, need })
    }

    /// How many of these keys it trusts.
    fn among(&self, ids: &BTreeSet<String>) -> usize {
        ids.iter().filter(|id| self.keys.iter().any(|key| id.starts_with(key))).count()
    }
}

/// Whether a device says which keys it trusts, so that it can be read.
pub fn says_trust(attributes: &BTreeMap<String, String>) -> bool {
    Trusts::of(attributes).is_some()
}

/// By whom a release is signed, and whom key sets lead to it. Whether the signatures are right is not asked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    by: BTreeSet<String>,
    /// Keys by which one of the key sets is believed, and from there all up to the newest, by which the release is signed enough.
    leads: BTreeSet<String>,
    /// Nobody can say whom it does not suit.
    anybody: bool,
}

impl Signed {
    /// By whom this envelope of a release is signed, where there are no key sets, or they are not looked at.
    pub fn of(release: &Envelope) -> Self {
        Self { by: signers(release), leads: BTreeSet::new(), anybody: false }
    }

    /// The same of a release for this type, with all key sets there are, the newest first. Each is signed by enough of the keys before it.
    #[must_use]
    pub fn led(self, device_type: &str, sets: &[(Envelope, KeySet)]) -> Self {
        let newest = sets.first().map(|(_, set)| set);
        let enough = newest.is_some_and(|set| {
            let keys: BTreeSet<String> = super::succession::keys(set).into_iter().map(|key| key.keyid).collect();
            u32::try_from(keys.intersection(&self.by).count()).is_ok_and(|n| n >= set.thresholds.of(device_type))
        });
        let leads = if enough { sets.iter().flat_map(|(envelope, _)| signers(envelope)).collect() } else { BTreeSet::new() };
        Self { leads, ..self }
    }

    /// The same where it is not known whom key sets lead to it: nobody is said not to take it.
    #[must_use]
    pub fn anybody(self) -> Self {
        Self { anybody: true, ..self }
    }

    /// Whether a device with these attributes takes it, as far as they say. One that asks for more signatures than one may still not follow a key set that
    /// one of its keys has signed; that it finds itself.
    pub fn is_enough_for(&self, attributes: &BTreeMap<String, String>) -> bool {
        self.anybody || Trusts::of(attributes).is_none_or(|own| own.among(&self.by) >= own.need || own.among(&self.leads) > 0)
    }
}

fn signers(envelope: &Envelope) -> BTreeSet<String> {
    envelope.signatures.iter().map(|signature| signature.keyid.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::releases::signing::keyid;
    use wire::{
        Timestamp,
        manifest::Signature,
        signing::{ListedKey, SCHEMA, Thresholds, TypeThreshold},
    };

    fn id(n: u8) -> String {
        keyid(&[n; 32])
    }

    fn by(keys: &[u8]) -> Envelope {
        let signatures = keys.iter().map(|n| Signature { keyid: id(*n), sig: String::new() }).collect();
        Envelope { payload_type: String::new(), payload: String::new(), signatures }
    }

    fn says(keys: &[u8], need: Option<&str>) -> BTreeMap<String, String> {
        let named: Vec<String> = keys.iter().map(|n| id(*n)[..16].to_owned()).collect();
        let named = if named.is_empty() { "none".to_owned() } else { named.join(" ") };
        let need = need.map(|need| (SIGNATURES_NEEDED.to_owned(), need.to_owned()));
        std::iter::once((TRUSTED_KEYS.to_owned(), named)).chain(need).collect()
    }

    fn word(text: &str) -> BTreeMap<String, String> {
        [(TRUSTED_KEYS.to_owned(), text.to_owned())].into()
    }

    /// A key set of these keys, signed by those; gateways ask for two of them.
    fn set(version: u64, of: &[u8], signed: &[u8]) -> (Envelope, KeySet) {
        let key = |n: &u8| ListedKey { name: format!("key {n}"), public: hex::encode([*n; 32]) };
        let thresholds = Thresholds { threshold: 1, device_types: vec![TypeThreshold { device_type: "gateway".into(), threshold: 2 }] };
        let keys = of.iter().map(key).collect();
        (by(signed), KeySet { schema: SCHEMA, version, created: Timestamp(0), expires: None, keys, thresholds })
    }

    #[test]
    fn u_1_a_device_takes_what_enough_of_its_keys_have_signed() {
        let signed = Signed::of(&by(&[1, 2, 2]));
        for (keys, need, takes) in [
            (&[][..], None, false),
            (&[3], None, false),
            (&[1], None, true),
            (&[3, 1], Some("1"), true),
            (&[1, 3], Some("2"), false),
            (&[2, 3], Some("2"), false),
            (&[1, 2, 3], Some("2"), true),
            (&[1, 2], Some("3"), false),
            (&[1], Some("0"), true),
            (&[1], Some("a few"), true),
            (&[], Some("0"), false),
        ] {
            assert_eq!(signed.is_enough_for(&says(keys, need)), takes, "{keys:?} {need:?}");
        }
        assert!(!Signed::of(&by(&[])).is_enough_for(&says(&[1], None)), "nobody has signed");
        assert!(signed.is_enough_for(&word(&id(1))), "a whole id");
    }

    #[test]
    fn who_does_not_say_it_looks_itself() {
        let signed = Signed::of(&by(&[1]));
        let whole = id(3);
        let other = &whole[..LEAST_DIGITS];
        assert!(!signed.is_enough_for(&word(other)));
        assert!(!signed.is_enough_for(&word(&[other; 15].join(" "))), "as many as are kept");
        let kept = |text: &str, bytes: usize| text[..bytes].to_owned();
        let cut = [kept(&[other; 16].join(" "), MAX_ATTRIBUTE), kept(&[&whole[..]; 4].join(" "), MAX_ATTRIBUTE - 1)];
        let unread = ["", " ", "yes", "None", "none none", &whole[1..LEAST_DIGITS]].map(str::to_owned);
        for text in unread.into_iter().chain(cut).chain([whole.to_uppercase()]) {
            assert!(signed.is_enough_for(&word(&text)) && !says_trust(&word(&text)), "{text}");
        }
        assert!(signed.is_enough_for(&BTreeMap::new()), "a hawkBit client");
    }

    #[test]
    fn u_1_key_sets_lead_from_old_keys_to_those_that_have_signed() {
        let sets = [set(2, &[3, 4], &[1, 2, 3, 4]), set(1, &[1, 2], &[1, 2, 9])];
        let signed = |keys: &[u8], device_type: &str| Signed::of(&by(keys)).led(device_type, &sets);
        let new = signed(&[3, 4], "gateway");
        for keys in [&[1][..], &[2], &[3], &[9]] {
            assert!(new.is_enough_for(&says(keys, None)), "{keys:?}");
        }
        assert!(new.is_enough_for(&says(&[1, 2], Some("2"))), "its own number holds until it has followed");
        for keys in [&[][..], &[7]] {
            assert!(!new.is_enough_for(&says(keys, None)), "{keys:?} has signed no set");
        }
        assert!(!signed(&[3], "gateway").is_enough_for(&says(&[1], None)), "the newest set asks for two");
        assert!(signed(&[3], "lamp").is_enough_for(&says(&[1], None)), "of this type for one");
        assert!(signed(&[3], "gateway").is_enough_for(&says(&[3], None)), "it may not have followed");
        assert!(!Signed::of(&by(&[3, 4])).is_enough_for(&says(&[1], None)), "without key sets");
        assert_eq!(Signed::of(&by(&[1])).led("gateway", &[]), Signed::of(&by(&[1])));
        assert!(Signed::of(&by(&[1])).anybody().is_enough_for(&says(&[7], None)), "nobody knows what it follows");
    }
}
