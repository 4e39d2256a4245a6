//! The native device protocol, version 1: JSON text frames on the websocket `/device/v1/channel` of the device listener.
//!
//! The device speaks first with [`Up::Hello`]; the server answers [`Down::Welcome`], which says up to which sequence number it already has the
//! device's samples. From then on both sides send when they have something. Frames are at most [`MAX_FRAME`] bytes; a larger one closes the
//! socket with 1009. Unknown fields are ignored on both sides; an unknown `type` is answered with [`Down::Refused`].
//!
//! | frame | direction | meaning |
//! |---|---|---|
//! | `hello` | up | what runs here, and which sample stream follows |
//! | `samples` | up | measured values under one sequence number |
//! | `status` | up | how an update goes |
//! | `welcome` | down | who the server says you are, its time, the last sequence number it holds |
//! | `ack` | down | everything of the stream up to `seq` is on disk and synced |
//! | `refused` | down | something in a frame was not taken, and why |
//! | `offer` | down | there is an update |
//! | `cancel` | down | the update was taken back |
//! | `status_ack` | down | the status is recorded |
//! | `renew` | down | renew your certificate now, with the key it has or another one: it is overdue, its authority retires, or an operator has ordered it |
//! | `trust_bundle` | down | there is another trust bundle: fetch it |

use crate::{
    Timestamp,
    ids::{DeviceId, Digest, RolloutId, UpdateId},
    manifest::Envelope,
    slots::{Slots, read_if_right},
    states::UpdateState,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where the trust bundle is fetched on the device listener, as [`TrustBundle`](crate::pki::TrustBundle).
pub const TRUST_BUNDLE: &str = "/device/v1/trust-bundle";
/// Where a payload is fetched on the device listener: this and its SHA-256 in hex. `GET` and `HEAD`, with Range.
pub const ARTIFACTS: &str = "/device/v1/artifacts/";
/// Most bytes of one frame.
pub const MAX_FRAME: usize = 1 << 20;
/// Most samples of one frame.
pub const MAX_SAMPLES: usize = 10_000;
/// Most different metrics one device may have.
pub const MAX_METRICS: usize = 500;
/// Most bytes of a metric's name; letters, digits, `_`, `.`, `-`, `/`, `:` only.
pub const MAX_METRIC_NAME: usize = 64;
/// Most attributes a device may report, each key and value at most [`MAX_ATTRIBUTE`] bytes.
pub const MAX_ATTRIBUTES: usize = 64;
/// Most bytes of an attribute's key or value.
pub const MAX_ATTRIBUTE: usize = 256;
/// The attribute in which a device says its IANA zone, for example `Europe/Berlin`. A plan's maintenance window is in this zone.
pub const TIMEZONE: &str = "timezone";
/// The attribute in which a device says `yes` when it waits for the window of an offer by itself ([`Offer::install_from`]). It is then offered updates
/// before their window opens, and may fetch them early; every other device is offered them while the window is open only.
pub const WAITS_FOR_WINDOW: &str = "waits_for_window";
/// The attribute in which a device says `yes` when it asks somebody before it begins an offer that wants that ([`Offer::needs_confirmation`]). Every other
/// device is offered such an update only after somebody has confirmed it in the console.
pub const CONFIRMS_UPDATES: &str = "confirms_updates";
/// The attribute in which a device says which keys it trusts to sign firmware: their ids, or their first 16 hex digits at least, apart by spaces, or
/// [`NO_KEYS`]. It is not offered what they have not signed. One that says nothing is offered everything and looks itself.
pub const TRUSTED_KEYS: &str = "trusted_keys";
/// What a device says there that trusts no key.
pub const NO_KEYS: &str = "none";
/// The attribute in which a device says how many of the keys that it trusts must have signed; one unless it says so.
pub const SIGNATURES_NEEDED: &str = "signatures_needed";
/// A sample may be at most this far ahead of the server's clock, in milliseconds.
pub const MAX_AHEAD_MS: i64 = 5 * 60 * 1000;
/// A sample may be at most this old, in milliseconds (30 days): what a device buffered while it was cut off.
pub const MAX_AGE_MS: i64 = 30 * 24 * 3600 * 1000;

crate::states::words! {
    /// How the attributes that a device sends meet those it sent before, where a protocol leaves that to the device.
    Telling {
        /// What it names is set, the rest stays.
        Merge = "merge",
        /// What it does not name goes.
        Replace = "replace",
        /// What it names goes.
        Remove = "remove",
    }
}

/// What a device sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Up {
    /// First frame of every connection.
    Hello(Hello),
    /// Measured values.
    Samples(Samples),
    /// How an update goes.
    Status(StatusReport),
}

/// What runs on the device, said once a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Agent name and version, for example `fleetward-agent/0.1.0`.
    pub agent: String,
    /// Changes with every boot of the device.
    pub boot_id: String,
    /// What is installed and running.
    pub firmware: Running,
    /// The device's own facts; replaces what it said before.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Name of the buffer whose samples follow; a new one is drawn when the buffer was lost. At most 64 bytes.
    pub stream: String,
    /// The version of the trust bundle that this connection was made with; 0 when the device knows of none.
    #[serde(default)]
    pub trust_bundle: i64,
    /// Every place in which the device keeps firmware; replaces what it said before. None from an agent that doesn't say, or not in words that can be read: none
    /// are shown then.
    #[serde(default, deserialize_with = "read_if_right", skip_serializing_if = "Option::is_none")]
    pub slots: Option<Slots>,
}

/// The firmware a device runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Running {
    /// Version as in the manifest it was installed from.
    pub version: String,
    /// Sequence as in the manifest it was installed from; 0 before the first update.
    #[serde(default)]
    pub sequence: u64,
    /// The device's type as in manifests.
    pub device_type: String,
    /// Hardware revision.
    #[serde(default)]
    pub hardware: String,
}

/// Samples under one sequence number. Numbers of a stream start at 1 and have no gaps; a frame at or below the acknowledged number is
/// acknowledged again and not stored again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// Position in the stream.
    pub seq: u64,
    /// The values.
    pub samples: Vec<Sample>,
}

/// One measured value. `v` must be finite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Metric, for example `cpu.load`.
    pub m: String,
    /// When, in Unix milliseconds by the device's clock.
    pub t: i64,
    /// How much.
    pub v: f64,
}

/// A device's word on an update. Reports may be repeated; a state that the update has already left is ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Which update.
    pub update_id: UpdateId,
    /// Where it is.
    pub state: UpdateState,
    /// Percent of the current step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// A word for programs when it failed, for example `digest_mismatch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// A line for people, at most 1,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What runs now, after a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Running>,
    /// With `awaiting_confirmation` or `awaiting_window`: it was put off until then, and is not counted as silent before; at most 7 days from the offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred_until: Option<Timestamp>,
    /// Its slots, where they stand otherwise than it said last. They count whatever becomes of the report, which counts whether they can be read or not.
    #[serde(default, deserialize_with = "read_if_right", skip_serializing_if = "Option::is_none")]
    pub slots: Option<Slots>,
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Down {
    /// Answer to `hello`.
    Welcome(Welcome),
    /// Everything of the stream up to `seq` is synced to disk.
    Ack {
        /// Highest stored sequence number without a gap below it.
        seq: u64,
    },
    /// Part of a frame was not taken; the rest was. The connection goes on.
    Refused {
        /// The frame's sequence number, where it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        /// How many samples were left out.
        samples: u32,
        /// A word for programs, for example `not_finite`, `too_old`, `too_many_metrics`, `bad_frame`.
        code: String,
        /// What to do about it.
        message: String,
    },
    /// There is an update for this device.
    Offer(Box<Offer>),
    /// The update was taken back; stop if it is not installing yet.
    Cancel {
        /// Which update.
        update_id: UpdateId,
    },
    /// The status report is recorded.
    StatusAck {
        /// Which update.
        update_id: UpdateId,
        /// The state as the server holds it now.
        state: UpdateState,
    },
    /// Renew the certificate now, without waiting for its window: it is overdue, its authority retires, or an operator has ordered it. Said once on a
    /// connection for each of these, and again on the next one with the same certificate; of a certificate that has been renewed meanwhile it means nothing.
    Renew,
    /// There is another trust bundle than the one the device said it holds: fetch it from [`TRUST_BUNDLE`] and connect again with it.
    TrustBundle {
        /// The version there is now.
        version: i64,
    },
}

/// The server's answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Who you are by your certificate.
    pub device_id: DeviceId,
    /// Server time.
    pub server_time: Timestamp,
    /// Highest stored sequence number of the stream; 0 when the stream is new.
    pub acked: u64,
    /// Seconds between the server's pings; three left unanswered close the socket.
    pub ping_s: u32,
    /// The version of the trust bundle there is. A device that holds another one fetches it.
    #[serde(default)]
    pub trust_bundle: i64,
}

/// An update on offer. The device verifies the envelope with its own keys before it trusts a word of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// This device's part in the rollout; status reports carry it.
    pub update_id: UpdateId,
    /// The rollout.
    pub rollout_id: RolloutId,
    /// The signed manifest, byte for byte as the release's author made it.
    pub envelope: Envelope,
    /// Where each payload is fetched: a path on the device listener, with Range.
    pub downloads: Vec<Download>,
    /// The server counts the device as timed out after this.
    pub deadline: Timestamp,
    /// Somebody at the device has to agree before it begins; until then it reports `awaiting_confirmation`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_confirmation: bool,
    /// It may be fetched at once, and installed from then on; none for at once. An offer that is repeated with other times replaces the ones before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_from: Option<Timestamp>,
    /// The installation begins before then, or waits for the times that the server sends next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_until: Option<Timestamp>,
    /// It is fetched and not installed: `downloaded` is its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub download_only: bool,
    /// The device may put it off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub soft: bool,
    /// What the server has signed for this device alone: an [`Assignment`](crate::signing::Assignment) in an envelope (U-2). A repeated offer
    /// renews it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<Envelope>,
    /// The version of the newest key set, to be fetched from [`KEY_SETS`](crate::signing::KEY_SETS); 0 when there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub key_set: u64,
}

impl Offer {
    /// An offer that says no more than this: to be fetched and installed at once, with nobody asked and nothing to go with it.
    pub const fn new(
        update_id: UpdateId,
        rollout_id: RolloutId,
        envelope: Envelope,
        downloads: Vec<Download>,
        deadline: Timestamp,
    ) -> Self {
        Self {
            update_id,
            rollout_id,
            envelope,
            downloads,
            deadline,
            needs_confirmation: false,
            install_from: None,
            install_until: None,
            download_only: false,
            soft: false,
            assignment: None,
            key_set: 0,
        }
    }
}

#[cfg_attr(not(target_arch = "wasm32"), expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so"))]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// One payload's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// Which payload.
    pub sha256: Digest,
    /// Size in bytes.
    pub size: u64,
    /// Path and query on the device listener.
    pub path: String,
    /// A shorter way to the same bytes, offered when the device said that it runs the release it starts from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Delta>,
}

/// A payload told as its difference from an older file: a zstd frame whose prefix is that file, as `zstd --patch-from` makes it. Nobody signed it;
/// what comes out has to have the payload's digest. A device that has not the older file, or is not sure, fetches the whole payload instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// Path and query on the device listener, with Range.
    pub path: String,
    /// The difference's own digest.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The older file.
    pub base_sha256: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_tagged_json_that_ignores_what_it_does_not_know() {
        let up: Up =
            serde_json::from_str(r#"{"type":"samples","seq":7,"samples":[{"m":"cpu","t":1,"v":0.5,"unit":"x"}],"later":1}"#).unwrap();
        assert_eq!(up, Up::Samples(Samples { seq: 7, samples: vec![Sample { m: "cpu".into(), t: 1, v: 0.5 }] }));
        assert_eq!(serde_json::to_string(&Down::Ack { seq: 7 }).unwrap(), r#"{"type":"ack","seq":7}"#);
    }

    #[test]
    fn a_download_without_a_delta_is_what_it_was_before_there_were_any() {
        let whole = Download { sha256: Digest::from_bytes(&[1; 32]), size: 3, path: "/x".into(), delta: None };
        let text = serde_json::to_string(&whole).unwrap();
        assert_eq!(text, format!(r#"{{"sha256":"{}","size":3,"path":"/x"}}"#, whole.sha256));
        assert_eq!(serde_json::from_str::<Download>(&text).unwrap(), whole);
        let delta = Delta { path: "/y".into(), sha256: Digest::from_bytes(&[2; 32]), size: 1, base_sha256: Digest::from_bytes(&[3; 32]) };
        let shorter = Download { delta: Some(delta), ..whole };
        assert_eq!(serde_json::from_str::<Download>(&serde_json::to_string(&shorter).unwrap()).unwrap(), shorter);
    }

    #[test]
    fn json_has_no_nan() {
        assert!(serde_json::from_str::<Sample>(r#"{"m":"x","t":0,"v":NaN}"#).is_err());
        assert!(serde_json::from_str::<Sample>(r#"{"m":"x","t":0,"v":1e999}"#).is_err());
    }
}
