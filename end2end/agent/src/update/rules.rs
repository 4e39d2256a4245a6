//! Pure: whether this device may install what it is offered.
//!
//! The device's own judgement (U-1, U-3, A-38, A-39): signature by a key its owner trusts, type, hardware, sequence, expiry. The
//! server's word counts for nothing here.

use super::keys::TrustedKeys;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use wire::{
    Timestamp,
    device::{Download, Running},
    manifest::{Envelope, Manifest, PAYLOAD_TYPE, SCHEMA, pre_authentication},
    states::UpdateState,
};

/// Why not, in words for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `rejected`, or `not_applicable` where nothing is wrong with the offer.
    pub state: UpdateState,
    /// A word for programs.
    pub code: &'static str,
    /// A line for people: what is wrong and what to do.
    pub detail: String,
}

fn reject(code: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal { state: UpdateState::Rejected, code, detail: detail.into() }
}

/// Refuses while the newest key set that there is has ended (U-1; TUF 5.3.10): a server that holds the next one back would keep this device with
/// keys that their owner has left behind.
pub fn in_time(ended: Option<(u64, Timestamp)>) -> Result<(), Refusal> {
    match ended {
        None => Ok(()),
        Some((version, end)) => Err(reject(
            "key_set_expired",
            format!(
                "key set {version}, which says whose firmware this device installs, has ended on {}; publish the next one, and look at this device's clock",
                end.readable()
            ),
        )),
    }
}

/// The manifest in the envelope, if enough trusted keys signed exactly these bytes. Nothing of an envelope is looked at before that.
pub fn open(envelope: &Envelope, keys: &TrustedKeys) -> Result<Manifest, Refusal> {
    if keys.is_empty() {
        return Err(reject("no_trusted_key", "no signing key is trusted on this device; start the agent with --trusted-key"));
    }
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(reject("bad_envelope", format!("payload type {:?} is not {PAYLOAD_TYPE}", envelope.payload_type)));
    }
    let payload = BASE64.decode(&envelope.payload).map_err(|e| reject("bad_envelope", format!("payload: {e}")))?;
    if !envelope.signatures.iter().any(|s| keys.knows(&s.keyid)) {
        return Err(reject("unknown_signer", "no signature is by a key that this device trusts"));
    }
    let message = pre_authentication(&envelope.payload_type, &payload);
    match keys.signers(&envelope.signatures, &message) {
        0 => return Err(reject("bad_signature", "the signature does not fit the manifest: it was changed after it was signed")),
        have if have < keys.threshold() => {
            let need = keys.threshold();
            return Err(reject("too_few_signatures", format!("{have} of {need} signatures by keys that this device trusts")));
        }
        _ => {}
    }
    let manifest: Manifest =
        serde_json::from_slice(&payload).map_err(|e| reject("bad_manifest", format!("the manifest is not understood: {e}")))?;
    if manifest.schema != SCHEMA {
        return Err(reject("bad_manifest", format!("schema {} is not {SCHEMA}; update the agent first", manifest.schema)));
    }
    Ok(manifest)
}

/// Whether a device that runs `running` and has confirmed up to sequence `floor` may install the manifest now from these downloads.
pub fn admit(manifest: &Manifest, downloads: &[Download], running: &Running, floor: u64, now: Timestamp) -> Result<(), Refusal> {
    if manifest.device_type != running.device_type {
        return Err(reject("wrong_device_type", format!("it is for {:?}, this is a {:?}", manifest.device_type, running.device_type)));
    }
    if !manifest.hardware.is_empty() && !manifest.hardware.contains(&running.hardware) {
        return Err(reject(
            "wrong_hardware",
            format!("it is for hardware {}, this is {:?}", manifest.hardware.join(", "), running.hardware),
        ));
    }
    if manifest.sequence == running.sequence {
        return Err(Refusal {
            state: UpdateState::NotApplicable,
            code: "already_installed",
            detail: format!("sequence {} runs already", running.sequence),
        });
    }
    let newest = floor.max(running.sequence);
    if manifest.sequence < newest {
        return Err(reject(
            "sequence_too_old",
            format!("sequence {} is below {newest}; to go back, sign the old release again under a higher sequence", manifest.sequence),
        ));
    }
    if running.sequence < manifest.min_sequence {
        return Err(reject(
            "sequence_too_low",
            format!("it installs over sequence {} or newer, this runs {}", manifest.min_sequence, running.sequence),
        ));
    }
    if manifest.expires.is_some_and(|expires| expires <= now) {
        return Err(reject("expired", "the manifest has expired; sign it again with a later end"));
    }
    if manifest.payloads.is_empty() {
        return Err(reject("bad_manifest", "the manifest names no file"));
    }
    if let Some(missing) = manifest.payloads.iter().find(|p| !downloads.iter().any(|d| d.sha256 == p.sha256)) {
        return Err(reject("missing_download", format!("the offer has no address for {:?}", missing.name)));
    }
    Ok(())
}

/// Whether an offer may be installed at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hours {
    /// Now.
    Open,
    /// In so many milliseconds.
    In(i64),
    /// Its window is over: the server says when the next one is.
    Over,
}

/// The times of an offer, by the clock of the device.
pub fn hours(from: Option<Timestamp>, until: Option<Timestamp>, now: Timestamp) -> Hours {
    match (from, until) {
        (Some(from), _) if now < from => Hours::In(from.since(now)),
        (_, Some(until)) if now >= until => Hours::Over,
        _ => Hours::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use proptest::prelude::*;
    use wire::{
        ids::Digest,
        manifest::{Payload, Signature},
    };

    fn manifest() -> Manifest {
        Manifest {
            schema: SCHEMA,
            device_type: "gw".into(),
            hardware: vec!["A".into()],
            version: "2.0".into(),
            sequence: 20,
            min_sequence: 5,
            payloads: vec![Payload { name: "rootfs".into(), size: 3, sha256: Digest::from_bytes(&[1; 32]), format: "raw".into() }],
            created: Timestamp(0),
            expires: Some(Timestamp(1000)),
            notes: String::new(),
        }
    }

    fn downloads() -> Vec<Download> {
        vec![Download { sha256: Digest::from_bytes(&[1; 32]), size: 3, path: "/x".into(), delta: None }]
    }

    fn running() -> Running {
        Running { version: "1.0".into(), sequence: 10, device_type: "gw".into(), hardware: "A".into() }
    }

    fn key(seed: u8) -> (Ed25519KeyPair, TrustedKeys) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let mut keys = TrustedKeys::none();
        keys.add(pair.public_key().as_ref().try_into().unwrap());
        (pair, keys)
    }

    fn sign(pair: &Ed25519KeyPair, payload: &[u8]) -> Envelope {
        let sig = pair.sign(&pre_authentication(PAYLOAD_TYPE, payload));
        Envelope {
            payload_type: PAYLOAD_TYPE.into(),
            payload: BASE64.encode(payload),
            signatures: vec![Signature {
                keyid: hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, pair.public_key().as_ref())),
                sig: BASE64.encode(sig.as_ref()),
            }],
        }
    }

    fn code(result: Result<impl Sized, Refusal>) -> &'static str {
        result.err().map_or("ok", |r| r.code)
    }

    #[test]
    fn a_39_an_envelope_opens_for_a_trusted_signature_only() {
        let ((pair, keys), (stranger, _)) = (key(1), key(2));
        let payload = serde_json::to_vec(&manifest()).unwrap();
        let good = sign(&pair, &payload);
        assert_eq!(open(&good, &keys).unwrap(), manifest());
        assert_eq!(code(open(&good, &TrustedKeys::none())), "no_trusted_key");
        assert_eq!(code(open(&sign(&stranger, &payload), &keys)), "unknown_signer");
        // A stranger who claims the trusted key's id.
        let mut claimed = sign(&stranger, &payload);
        claimed.signatures[0].keyid.clone_from(&good.signatures[0].keyid);
        assert_eq!(code(open(&claimed, &keys)), "bad_signature");
        let typed = Envelope { payload_type: "application/json".into(), ..good.clone() };
        assert_eq!(code(open(&typed, &keys)), "bad_envelope");
        let unsigned = Envelope { signatures: vec![], ..good };
        assert_eq!(code(open(&unsigned, &keys)), "unknown_signer");
        let later = serde_json::to_vec(&Manifest { schema: 2, ..manifest() }).unwrap();
        assert_eq!(code(open(&sign(&pair, &later), &keys)), "bad_manifest");
    }

    #[test]
    fn u_1_as_many_different_trusted_keys_as_the_threshold_asks_for() {
        use super::super::trust::tests::{seed, sign};
        let payload = serde_json::to_vec(&manifest()).unwrap();
        let of = |by: &[u8]| sign(PAYLOAD_TYPE, &payload, by);
        let two = seed(&[1, 2, 3], 2);
        assert_eq!(open(&of(&[1, 3]), &two).unwrap(), manifest());
        assert_eq!(code(open(&of(&[1]), &two)), "too_few_signatures");
        assert_eq!(code(open(&of(&[1, 1, 1]), &two)), "too_few_signatures", "one key twice is one");
        assert_eq!(code(open(&of(&[1, 9]), &two)), "too_few_signatures", "a stranger is nobody");
        let mut other = of(&[1]);
        other.signatures.extend(sign(PAYLOAD_TYPE, b"{}", &[2]).signatures);
        assert_eq!(code(open(&other, &two)), "too_few_signatures", "over other bytes");
        let mut renamed = of(&[1, 9]);
        renamed.signatures[1].keyid.clone_from(&of(&[2]).signatures[0].keyid);
        assert_eq!(code(open(&renamed, &two)), "too_few_signatures", "a stranger under a trusted name");
        let twice = String::from_utf8(payload.clone()).unwrap().replacen("\"sequence\":20", "\"sequence\":30,\"sequence\":20", 1);
        assert_eq!(code(open(&sign(PAYLOAD_TYPE, twice.as_bytes(), &[1, 2]), &two)), "bad_manifest", "a field that stands twice");
        assert_eq!(code(open(&sign(PAYLOAD_TYPE, &payload[..payload.len() - 1], &[1, 2]), &two)), "bad_manifest", "cut");
    }

    #[test]
    fn a_38_each_rule_has_its_refusal() {
        let try_with = |change: fn(&mut Manifest)| {
            let mut m = manifest();
            change(&mut m);
            code(admit(&m, &downloads(), &running(), 10, Timestamp(0)))
        };
        assert_eq!(try_with(|_| {}), "ok");
        assert_eq!(try_with(|m| m.hardware.clear()), "ok");
        assert_eq!(try_with(|m| m.expires = None), "ok");
        assert_eq!(try_with(|m| m.device_type = "GW".into()), "wrong_device_type");
        assert_eq!(try_with(|m| m.hardware = vec!["B".into()]), "wrong_hardware");
        assert_eq!(try_with(|m| m.sequence = 10), "already_installed");
        assert_eq!(try_with(|m| m.sequence = 9), "sequence_too_old");
        assert_eq!(try_with(|m| m.min_sequence = 11), "sequence_too_low");
        assert_eq!(try_with(|m| m.expires = Some(Timestamp(0))), "expired");
        assert_eq!(try_with(|m| m.payloads.clear()), "bad_manifest");
        assert_eq!(try_with(|m| m.payloads[0].sha256 = Digest::from_bytes(&[2; 32])), "missing_download");
    }

    proptest! {
        #[test]
        fn no_changed_byte_of_the_payload_passes(at: prop::sample::Index, bit in 0u8..8) {
            let (pair, keys) = key(1);
            let payload = serde_json::to_vec(&manifest()).unwrap();
            let mut envelope = sign(&pair, &payload);
            let mut changed = payload.clone();
            let at = at.index(changed.len());
            changed[at] ^= 1 << bit;
            envelope.payload = BASE64.encode(changed);
            prop_assert_eq!(code(open(&envelope, &keys)), "bad_signature");
        }

        #[test]
        fn a_38_nothing_at_or_below_the_floor_is_ever_admitted(sequence: u64, floor: u64, runs: u64) {
            let m = Manifest { sequence, min_sequence: 0, ..manifest() };
            let running = Running { sequence: runs, ..running() };
            if admit(&m, &downloads(), &running, floor, Timestamp(0)).is_ok() {
                prop_assert!(sequence > runs && sequence >= floor);
            }
        }
    }

    #[test]
    fn an_offer_is_installed_within_its_times_only() {
        let at = |now| hours(Some(Timestamp(5)), Some(Timestamp(9)), Timestamp(now));
        assert_eq!([at(3), at(5), at(8), at(9)], [Hours::In(2), Hours::Open, Hours::Open, Hours::Over]);
        assert_eq!(hours(None, None, Timestamp(3)), Hours::Open);
    }
}
