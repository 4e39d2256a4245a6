//! Pure: the places in which a device keeps firmware, as it says them (RAUC's slot and boot status), and as they are shown.

use crate::{Timestamp, objects::Objects};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;

/// Most slots that a device may say.
pub const MAX_SLOTS: usize = 8;
/// Most bytes of a slot's name; letters, digits, `_`, `.`, `-`, `/`, `:` only, as in the names of metrics.
pub const MAX_SLOT_NAME: usize = 32;
/// Most bytes of the version in a slot.
pub const MAX_SLOT_VERSION: usize = 256;

crate::states::words! {
    /// How a slot stands.
    SlotState {
        /// The device runs from it.
        Running = "running",
        /// The device runs from it, and goes back to another one unless it proves its health.
        Trying = "trying",
        /// It holds something whole that does not run: what ran before, or what runs after the next restart.
        Good = "good",
        /// What it holds was installed or tried, and is not well.
        Bad = "bad",
        /// It holds nothing that could be started.
        Empty = "empty",
    }
}

/// A slot as its device says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its name on the device, for example `a` or `rootfs.0`.
    pub name: String,
    /// The version of what is in it, as in its manifest; none when nothing is, or the device doesn't know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How it stands.
    pub state: SlotState,
}

/// All slots of a device: at most [`MAX_SLOTS`], no two of one name, every name and version within its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Slot>", into = "Vec<Slot>")]
pub struct Slots(Vec<Slot>);

/// Reads what a device says of its slots, beside other things that count: none where it can't be read or breaks the rules of [`Slots`], because a word that
/// is newer than this server must not cost the connection.
pub(crate) fn read_if_right<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Slots>, D::Error> {
    let said = serde_json::Value::deserialize(from)?;
    // What was put by is judged as what is read at once: a list is no object.
    Ok(Slots::deserialize(Objects(said)).ok())
}

/// Why a list of slots is refused; the message is fit to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSlots {
    /// There are too many.
    #[error("`slots` has at most {MAX_SLOTS} entries")]
    Number,
    /// A name is none.
    #[error("the `name` of a slot is 1 to {MAX_SLOT_NAME} letters, digits, '_', '.', '-', '/' or ':'")]
    Name,
    /// A name stands there twice.
    #[error("each `name` stands in `slots` once")]
    Twice,
    /// A version is too long.
    #[error("the `version` of a slot has at most {MAX_SLOT_VERSION} bytes")]
    Version,
}

impl Slots {
    /// The slots, in the order in which the device said them.
    pub fn as_slice(&self) -> &[Slot] {
        &self.0
    }
}

impl TryFrom<Vec<Slot>> for Slots {
    type Error = BadSlots;
    fn try_from(slots: Vec<Slot>) -> Result<Self, BadSlots> {
        if slots.len() > MAX_SLOTS {
            return Err(BadSlots::Number);
        }
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b':');
        let named = |name: &str| (1..=MAX_SLOT_NAME).contains(&name.len()) && name.bytes().all(fits);
        if !slots.iter().all(|slot| named(&slot.name)) {
            return Err(BadSlots::Name);
        }
        if slots.iter().filter_map(|slot| slot.version.as_ref()).any(|version| version.len() > MAX_SLOT_VERSION) {
            return Err(BadSlots::Version);
        }
        let mut names = BTreeSet::new();
        if !slots.iter().all(|slot| names.insert(slot.name.as_str())) {
            return Err(BadSlots::Twice);
        }
        Ok(Self(slots))
    }
}

impl From<Slots> for Vec<Slot> {
    fn from(slots: Slots) -> Self {
        slots.0
    }
}

/// A slot as it was reported last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeviceSlot {
    /// Its name on the device.
    pub name: String,
    /// The version of what is in it; none when nothing is, or the device doesn't know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How it stands.
    pub state: SlotState,
    /// Since when it is reported with this version and state.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Hello, StatusReport};

    fn slot(name: &str, version: Option<&str>, state: SlotState) -> Slot {
        Slot { name: name.into(), version: version.map(str::to_owned), state }
    }

    const REPORT: &str = r#""update_id":"upd_0123456789abcdef0123456789abcdef","state":"rebooting""#;
    const HELLO: &str = r#""agent":"a","boot_id":"b","stream":"s","firmware":{"version":"1.0","device_type":"gw"}"#;

    #[test]
    fn slots_go_over_the_wire_and_back() {
        let all = SlotState::ALL.iter().map(|state| slot(state.as_str(), Some("1.0"), *state)).collect::<Vec<_>>();
        let slots = Slots::try_from(all).unwrap();
        let text = serde_json::to_string(&slots).unwrap();
        assert!(text.starts_with(r#"[{"name":"running","version":"1.0","state":"running"},"#), "{text}");
        assert_eq!(serde_json::from_str::<Slots>(&text).unwrap(), slots);
        let hello = format!(
            r#"{{{HELLO},"slots":[{{"name":"rootfs.0","version":"2.0","state":"trying","class":"rootfs"}},{{"name":"/dev/b","state":"empty"}}]}}"#
        );
        let hello: Hello = serde_json::from_str(&hello).unwrap();
        let said = hello.slots.clone().unwrap();
        assert_eq!(said.as_slice(), [slot("rootfs.0", Some("2.0"), SlotState::Trying), slot("/dev/b", None, SlotState::Empty)]);
        assert_eq!(serde_json::from_str::<Hello>(&serde_json::to_string(&hello).unwrap()).unwrap(), hello);
    }

    #[test]
    fn who_knows_of_no_slots_says_none() {
        let hello: Hello = serde_json::from_str(&format!("{{{HELLO}}}")).unwrap();
        assert_eq!(hello.slots, None);
        assert!(!serde_json::to_string(&hello).unwrap().contains("slots"), "a server that is older is told what it was told before");
        let report: StatusReport = serde_json::from_str(&format!("{{{REPORT}}}")).unwrap();
        assert_eq!(report.slots, None);
        assert!(!serde_json::to_string(&report).unwrap().contains("slots"));
    }

    /// With such slots a hello and a report are read as without.
    fn costs_only_itself(slots: &str) {
        let hello = |slots: &str| serde_json::from_str::<Hello>(&format!("{{{HELLO}{slots}}}")).unwrap();
        let report = |slots: &str| serde_json::from_str::<StatusReport>(&format!("{{{REPORT}{slots}}}")).unwrap();
        let said = format!(r#","slots":{slots}"#);
        assert_eq!((hello(&said), report(&said)), (hello(""), report("")), "{slots}");
    }

    #[test]
    fn a_list_out_of_its_bounds_is_refused_whole() {
        let longest = |n: usize| "x".repeat(n);
        let many = |n: usize| (0..n).map(|i| slot(&format!("s{i}"), None, SlotState::Good)).collect::<Vec<_>>();
        for right in [vec![], many(MAX_SLOTS), vec![slot(&longest(MAX_SLOT_NAME), Some(&longest(MAX_SLOT_VERSION)), SlotState::Bad)]] {
            assert_eq!(Slots::try_from(right.clone()).unwrap().as_slice(), right);
        }
        let named = |name: &str| vec![slot(name, None, SlotState::Good)];
        for (wrong, why) in [
            (many(MAX_SLOTS + 1), BadSlots::Number),
            (named(""), BadSlots::Name),
            (named(&longest(MAX_SLOT_NAME + 1)), BadSlots::Name),
            (named("a b"), BadSlots::Name),
            (named("ä"), BadSlots::Name),
            (named("a\n"), BadSlots::Name),
            (named("<b>"), BadSlots::Name),
            (vec![slot("a", Some(&longest(MAX_SLOT_VERSION + 1)), SlotState::Good)], BadSlots::Version),
            ([named("a"), named("a")].concat(), BadSlots::Twice),
        ] {
            let text = serde_json::to_string(&wrong).unwrap();
            assert_eq!(Slots::try_from(wrong), Err(why));
            let error = serde_json::from_str::<Slots>(&text).unwrap_err().to_string();
            assert!(error.starts_with(&why.to_string()), "{error}");
            costs_only_itself(&text);
        }
        for wrong in [r#"[{"name":"a"}]"#, r#"[{"name":"a","state":"booted"}]"#, r#"{"a":"good"}"#, r#"["a"]"#] {
            assert!(serde_json::from_str::<Slots>(wrong).is_err(), "{wrong}");
            costs_only_itself(wrong);
        }
    }

    #[test]
    fn what_is_no_list_of_slots_or_has_a_newer_word_costs_only_itself() {
        let newer = r#"[{"name":"a","state":"running"},{"name":"b","state":"booted"}]"#;
        for wrong in [newer, r#"[["a","1.0","good"]]"#, r#"[{"name":7,"state":"good"}]"#, r#""a""#, "7", "true", "null"] {
            costs_only_itself(wrong);
        }
    }
}
