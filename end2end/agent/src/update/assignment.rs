//! Pure: whether an offer is meant for this device, now (U-2, U-3, A-41): the server has signed that for every offer since it could. Says nothing
//! about whether the firmware may be installed: that is what the manifest's own signatures are for.

use super::{keys::TrustedKeys, rules::Refusal};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use wire::{
    Timestamp,
    device::Offer,
    ids::Digest,
    manifest::{Envelope, pre_authentication},
    signing::{ASSIGNMENT_TYPE, Assignment, MAX_ASSIGNMENT_MS, SCHEMA},
    states::UpdateState,
};

/// How far the clocks of server and device may be apart, in milliseconds.
pub const SKEW_MS: i64 = 5 * 60 * 1000;

/// Who this device is and whose assignments it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Director {
    /// The name that the device was enrolled under.
    pub device_id: String,
    /// The server's keys as the trust bundle has them; none from a server that is older than assignments are.
    pub keys: TrustedKeys,
}

/// The newest assignment that was taken. Once there is one, there is no way back to offers without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its counter.
    pub counter: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// What is wrong with an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It may be right in a moment, with the next trust bundle or the next offer; until then nothing is done with it.
    Passing(&'static str),
    /// It is out of its time, or has no assignment: an offer that comes like this is refused, one that has become so waits to be renewed.
    Stale(Refusal),
    /// It is not for this device.
    Wrong(Refusal),
}

fn refuse(code: &'static str, detail: impl Into<String>) -> Refusal {
    Refusal { state: UpdateState::Rejected, code, detail: detail.into() }
}

fn wrong(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::Wrong(refuse(code, detail))
}

/// What is to be remembered of an offer that this device may act on now; nothing where neither side knows assignments.
pub fn judge(offer: &Offer, director: &Director, seen: Option<&Seen>, now: Timestamp) -> Result<Option<Seen>, Problem> {
    let Some(envelope) = &offer.assignment else {
        if seen.is_none() && director.keys.is_empty() {
            return Ok(None);
        }
        let detail = "the offer has no assignment, and this server signs them; the server may not be the one it was";
        return Err(Problem::Stale(refuse("assignment_missing", detail)));
    };
    let payload = signed(envelope, &director.keys)?;
    let assignment: Assignment =
        serde_json::from_slice(&payload).map_err(|e| wrong("bad_assignment", format!("the assignment is not understood: {e}")))?;
    let this = Seen { counter: assignment.counter, sha256: sha256(&payload) };
    if assignment.schema != SCHEMA {
        return Err(wrong("bad_assignment", format!("schema {} is not {SCHEMA}; update the agent first", assignment.schema)));
    }
    if assignment.device_id.as_str() != director.device_id {
        return Err(wrong(
            "assignment_of_another",
            format!("the assignment is for {:?}, this is {:?}", assignment.device_id.as_str(), director.device_id),
        ));
    }
    if assignment.update_id != offer.update_id || assignment.rollout_id != offer.rollout_id {
        return Err(wrong("assignment_of_another", format!("the assignment is for update {}", assignment.update_id)));
    }
    let manifest = BASE64.decode(&offer.envelope.payload).map_err(|e| wrong("bad_envelope", format!("payload: {e}")))?;
    if assignment.manifest_sha256 != sha256(&manifest) {
        return Err(wrong("assignment_of_another", "the assignment is for another manifest than the offer has"));
    }
    if !(1..=MAX_ASSIGNMENT_MS).contains(&assignment.expires.since(assignment.issued)) {
        return Err(wrong("bad_assignment", "the assignment holds for more than 24 hours, or for none"));
    }
    if let Some(seen) = seen
        && (this.counter < seen.counter || (this.counter == seen.counter && this.sha256 != seen.sha256))
    {
        let detail = format!("the assignment has counter {}, {} was here before: it is an old one", this.counter, seen.counter);
        return Err(wrong("assignment_replayed", detail));
    }
    if now.since(assignment.expires) >= SKEW_MS {
        let detail = format!("the assignment held until {}, here it is {}", assignment.expires.readable(), now.readable());
        return Err(Problem::Stale(refuse("assignment_expired", detail)));
    }
    if assignment.issued.since(now) > SKEW_MS {
        let detail = format!("the assignment is from {}, here it is {}; look at the clocks", assignment.issued.readable(), now.readable());
        return Err(Problem::Stale(refuse("assignment_early", detail)));
    }
    Ok(Some(this))
}

/// The assignment's bytes, if one of the server's keys has signed exactly these.
fn signed(envelope: &Envelope, keys: &TrustedKeys) -> Result<Vec<u8>, Problem> {
    if envelope.payload_type != ASSIGNMENT_TYPE {
        return Err(wrong("bad_assignment", format!("payload type {:?} is not {ASSIGNMENT_TYPE}", envelope.payload_type)));
    }
    let payload = BASE64.decode(&envelope.payload).map_err(|e| wrong("bad_assignment", format!("payload: {e}")))?;
    let known: Vec<_> = envelope.signatures.iter().filter(|s| keys.knows(&s.keyid)).collect();
    if known.is_empty() {
        return Err(Problem::Passing("its assignment is by a key that the trust bundle here does not have; there may be a newer bundle"));
    }
    let message = pre_authentication(&envelope.payload_type, &payload);
    let good = known.iter().any(|s| BASE64.decode(&s.sig).is_ok_and(|sig| keys.verifies(&s.keyid, &message, &sig)));
    if good { Ok(payload) } else { Err(wrong("bad_assignment", "the server's signature does not fit the assignment")) }
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    Digest::from_bytes(&out)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use proptest::prelude::*;
    use wire::manifest::Signature;

    const HOUR: i64 = 3_600_000;

    pub fn pair(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    pub fn director(device_id: &str, seeds: &[u8]) -> Director {
        let mut keys = TrustedKeys::none();
        for seed in seeds {
            keys.add(pair(*seed).public_key().as_ref().try_into().unwrap());
        }
        Director { device_id: device_id.into(), keys }
    }

    fn seal(payload: &[u8], by: &Ed25519KeyPair) -> Envelope {
        let sig = by.sign(&pre_authentication(ASSIGNMENT_TYPE, payload));
        let signature = Signature { keyid: sha256(by.public_key().as_ref()).to_string(), sig: BASE64.encode(sig.as_ref()) };
        Envelope { payload_type: ASSIGNMENT_TYPE.into(), payload: BASE64.encode(payload), signatures: vec![signature] }
    }

    /// An assignment for this offer as an honest server makes it, changed a little, by the key of this seed.
    pub fn assigned(offer: &Offer, seed: u8, change: impl FnOnce(&mut Assignment)) -> Offer {
        let mut assignment = Assignment {
            schema: SCHEMA,
            device_id: "gw-1".parse().unwrap(),
            rollout_id: offer.rollout_id.clone(),
            update_id: offer.update_id.clone(),
            manifest_sha256: sha256(&BASE64.decode(&offer.envelope.payload).unwrap()),
            issued: Timestamp(0),
            expires: Timestamp(6 * HOUR),
            counter: 5,
        };
        change(&mut assignment);
        Offer { assignment: Some(seal(&serde_json::to_vec(&assignment).unwrap(), &pair(seed))), ..offer.clone() }
    }

    pub fn offer(n: u8, manifest: &[u8]) -> Offer {
        Offer::new(
            format!("upd_{n:032x}").parse().unwrap(),
            format!("rol_{n:032x}").parse().unwrap(),
            Envelope { payload_type: String::new(), payload: BASE64.encode(manifest), signatures: vec![] },
            vec![],
            Timestamp(0),
        )
    }

    fn code(result: Result<Option<Seen>, Problem>) -> &'static str {
        match result {
            Ok(Some(_)) => "ok",
            Ok(None) => "none",
            Err(Problem::Passing(_)) => "passing",
            Err(Problem::Stale(r) | Problem::Wrong(r)) => r.code,
        }
    }

    fn try_with(change: fn(&mut Assignment)) -> &'static str {
        code(judge(&assigned(&offer(1, b"m"), 7, change), &director("gw-1", &[7]), None, Timestamp(HOUR)))
    }

    #[test]
    fn u_2_each_rule_has_its_refusal() {
        assert_eq!(try_with(|_| {}), "ok");
        assert_eq!(try_with(|a| a.schema = 2), "bad_assignment");
        assert_eq!(try_with(|a| a.device_id = "gw-2".parse().unwrap()), "assignment_of_another", "replayed to another device");
        assert_eq!(try_with(|a| a.device_id = "GW-1".parse().unwrap()), "assignment_of_another");
        assert_eq!(try_with(|a| a.update_id = offer(2, b"").update_id), "assignment_of_another");
        assert_eq!(try_with(|a| a.rollout_id = offer(2, b"").rollout_id), "assignment_of_another");
        assert_eq!(try_with(|a| a.manifest_sha256 = sha256(b"n")), "assignment_of_another", "with another manifest");
        assert_eq!(try_with(|a| a.expires = Timestamp(25 * HOUR)), "bad_assignment", "for longer than a day");
        assert_eq!(try_with(|a| a.expires = a.issued), "bad_assignment");
        assert_eq!(try_with(|a| a.expires = Timestamp(HOUR - SKEW_MS + 1)), "ok", "clocks may be that far apart");
        assert_eq!(try_with(|a| a.expires = Timestamp(HOUR - SKEW_MS)), "assignment_expired");
        assert_eq!(try_with(|a| (a.issued, a.expires) = (Timestamp(HOUR + SKEW_MS), Timestamp(2 * HOUR))), "ok");
        assert_eq!(try_with(|a| (a.issued, a.expires) = (Timestamp(HOUR + SKEW_MS + 1), Timestamp(2 * HOUR))), "assignment_early");
    }

    #[test]
    fn u_2_counters_never_go_back_and_the_same_may_come_again() {
        let (of, me) = (offer(1, b"m"), director("gw-1", &[7]));
        let seen = judge(&assigned(&of, 7, |_| {}), &me, None, Timestamp(0)).unwrap().unwrap();
        let then = |change: fn(&mut Assignment)| code(judge(&assigned(&of, 7, change), &me, Some(&seen), Timestamp(0)));
        assert_eq!(then(|_| {}), "ok", "a repeated offer");
        assert_eq!(then(|a| a.counter = 6), "ok");
        assert_eq!(then(|a| a.counter = 4), "assignment_replayed");
        assert_eq!(then(|a| a.expires = Timestamp(7 * HOUR)), "assignment_replayed", "another one under the same counter");
    }

    #[test]
    fn u_2_only_the_servers_own_keys_count() {
        let of = offer(1, b"m");
        let by = |seed, me: &Director| code(judge(&assigned(&of, seed, |_| {}), me, None, Timestamp(0)));
        assert_eq!(by(8, &director("gw-1", &[7])), "passing", "by a stranger: never acted on");
        assert_eq!(by(8, &director("gw-1", &[7, 8])), "ok", "while one key follows on another");
        assert_eq!(by(7, &director("gw-1", &[])), "passing", "the bundle with the key has not come yet");
        // A stranger who claims the server's key id, and a signature over other bytes.
        let mut claimed = assigned(&of, 8, |_| {});
        let right = assigned(&of, 7, |_| {}).assignment.unwrap();
        claimed.assignment.as_mut().unwrap().signatures[0].keyid.clone_from(&right.signatures[0].keyid);
        assert_eq!(code(judge(&claimed, &director("gw-1", &[7]), None, Timestamp(0))), "bad_assignment");
        let mut typed = assigned(&of, 7, |_| {});
        typed.assignment.as_mut().unwrap().payload_type = wire::manifest::PAYLOAD_TYPE.into();
        assert_eq!(code(judge(&typed, &director("gw-1", &[7]), None, Timestamp(0))), "bad_assignment", "a manifest is no assignment");
    }

    #[test]
    fn u_2_once_there_were_assignments_there_is_no_way_back() {
        let (bare, me) = (offer(1, b"m"), director("gw-1", &[7]));
        assert_eq!(code(judge(&bare, &director("gw-1", &[]), None, Timestamp(0))), "none", "an old server");
        assert_eq!(code(judge(&bare, &me, None, Timestamp(0))), "assignment_missing", "a server that has keys for it");
        let seen = judge(&assigned(&bare, 7, |_| {}), &me, None, Timestamp(0)).unwrap().unwrap();
        // Not even when the bundle forgets the keys.
        assert_eq!(code(judge(&bare, &director("gw-1", &[]), Some(&seen), Timestamp(0))), "assignment_missing");
    }

    #[test]
    fn what_stands_twice_or_is_cut_is_no_assignment() {
        let (of, me) = (offer(1, b"m"), director("gw-1", &[7]));
        let payload = BASE64.decode(assigned(&of, 7, |_| {}).assignment.unwrap().payload).unwrap();
        let judged =
            |payload: &[u8]| code(judge(&Offer { assignment: Some(seal(payload, &pair(7))), ..of.clone() }, &me, None, Timestamp(0)));
        assert_eq!(judged(&payload), "ok");
        let text = String::from_utf8(payload.clone()).unwrap();
        let twice = text.replacen("\"device_id\":\"gw-1\"", "\"device_id\":\"gw-2\",\"device_id\":\"gw-1\"", 1);
        assert_ne!(twice, text);
        assert_eq!(judged(twice.as_bytes()), "bad_assignment");
        for at in 0..payload.len() {
            assert_eq!(judged(&payload[..at]), "bad_assignment", "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn no_changed_byte_passes(at: prop::sample::Index, bit in 0u8..8) {
            let mut of = assigned(&offer(1, b"m"), 7, |_| {});
            let envelope = of.assignment.as_mut().unwrap();
            let mut payload = BASE64.decode(&envelope.payload).unwrap();
            let at = at.index(payload.len());
            payload[at] ^= 1 << bit;
            envelope.payload = BASE64.encode(payload);
            prop_assert_eq!(code(judge(&of, &director("gw-1", &[7]), None, Timestamp(0))), "bad_assignment");
        }
    }
}
