//! Pure: which trusted keys have signed an envelope (U-1). Whatever is counted here is counted by key: one that signs twice, or under two
//! names, counts once. Refuses to know what the payload says.

use super::manifest::Key;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use wire::manifest::{Envelope, Signature, pre_authentication};

/// What is wrong with a signature by a key that is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is not standard base64.
    Base64,
    /// It does not fit the bytes; the key's name.
    Wrong(String),
}

/// The keys of these that have signed the payload, in their own order, each once. A signature by one of them that is wrong is an error, however many
/// others are right: somebody has changed something. Signatures by others are passed over.
pub fn signers<'k>(envelope: &Envelope, payload: &[u8], keys: &'k [Key]) -> Result<Vec<&'k Key>, Problem> {
    let message = pre_authentication(&envelope.payload_type, payload);
    let mut found: Vec<&Key> = Vec::new();
    for signature in &envelope.signatures {
        let Some(key) = keys.iter().find(|k| k.keyid == signature.keyid) else { continue };
        check(key, &message, signature)?;
        // Compared by the key itself: whatever it is called, it is one.
        if found.iter().all(|k| k.public != key.public) {
            found.push(key);
        }
    }
    found.sort_by_key(|key| keys.iter().position(|k| k.keyid == key.keyid));
    Ok(found)
}

/// Whether a signature is this key's, over this payload in an envelope of this type.
pub fn is_by(key: &Key, envelope: &Envelope, payload: &[u8], signature: &Signature) -> Result<(), Problem> {
    check(key, &pre_authentication(&envelope.payload_type, payload), signature)
}

fn check(key: &Key, message: &[u8], signature: &Signature) -> Result<(), Problem> {
    let sig = STANDARD.decode(&signature.sig).map_err(|_| Problem::Base64)?;
    UnparsedPublicKey::new(&ED25519, key.public).verify(message, &sig).map_err(|_| Problem::Wrong(key.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entropy::SeededEntropy, releases::signing::SigningKeyPair};
    use proptest::prelude::*;

    fn pair(seed: u64) -> (SigningKeyPair, Key) {
        let pair = SigningKeyPair::generate(&SeededEntropy::new(seed)).unwrap();
        let key = Key { name: format!("key {seed}"), keyid: pair.keyid(), public: pair.public() };
        (pair, key)
    }

    fn envelope(payload: &[u8], by: &[&SigningKeyPair]) -> Envelope {
        let signatures = by.iter().map(|pair| pair.signature("t", payload).unwrap()).collect();
        Envelope { payload_type: "t".into(), payload: STANDARD.encode(payload), signatures }
    }

    fn names(envelope: &Envelope, payload: &[u8], keys: &[Key]) -> Result<Vec<String>, Problem> {
        signers(envelope, payload, keys).map(|found| found.into_iter().map(|k| k.name.clone()).collect())
    }

    #[test]
    fn u_1_one_key_is_one_signature_however_often_and_under_whatever_name() {
        let ((one, first), (two, second)) = (pair(1), pair(2));
        let both = [first.clone(), second];
        assert_eq!(names(&envelope(b"x", &[&one, &one, &one]), b"x", &both), Ok(vec!["key 1".into()]));
        assert_eq!(names(&envelope(b"x", &[&two, &one, &two]), b"x", &both), Ok(vec!["key 1".into(), "key 2".into()]));
        // The same key added under another id, as no honest store would have it.
        let alias = Key { name: "alias".into(), keyid: "ff".repeat(32), ..first.clone() };
        let mut twice = envelope(b"x", &[&one, &one]);
        twice.signatures[1].keyid.clone_from(&alias.keyid);
        assert_eq!(names(&twice, b"x", &[first, alias]).unwrap().len(), 1);
    }

    #[test]
    fn u_1_strangers_and_other_payloads_count_for_nothing() {
        let ((one, first), (two, second)) = (pair(1), pair(2));
        assert_eq!(names(&envelope(b"x", &[&one, &two]), b"x", std::slice::from_ref(&first)), Ok(vec!["key 1".into()]));
        assert_eq!(names(&envelope(b"x", &[&one, &two]), b"x", &[]), Ok(vec![]));
        let mut mixed = envelope(b"x", &[&one]);
        mixed.signatures.push(two.signature("t", b"y").unwrap());
        assert_eq!(names(&mixed, b"x", &[first.clone(), second.clone()]), Err(Problem::Wrong("key 2".into())), "made over other bytes");
        mixed.signatures[1] = two.signature("u", b"x").unwrap();
        assert_eq!(names(&mixed, b"x", &[first.clone(), second.clone()]), Err(Problem::Wrong("key 2".into())), "made for another type");
        mixed.signatures[1].sig = "*".into();
        assert_eq!(names(&mixed, b"x", &[first, second]), Err(Problem::Base64));
    }

    proptest! {
        #[test]
        fn never_more_signers_than_different_keys_that_signed(by in prop::collection::vec(0usize..4, 0..10), trusted in 0usize..4) {
            let pairs: Vec<_> = (1..=4).map(pair).collect();
            let signed = envelope(b"x", &by.iter().map(|at| &pairs[*at].0).collect::<Vec<_>>());
            let keys: Vec<Key> = pairs.iter().take(trusted).map(|(_, key)| key.clone()).collect();
            let different: std::collections::BTreeSet<_> = by.iter().filter(|at| **at < trusted).collect();
            prop_assert_eq!(signers(&signed, b"x", &keys).unwrap().len(), different.len());
        }
    }
}
