//! Slots that a device names and that can't be read: they cost nothing else of what it says. Owns what the log says of them; refuses to know what becomes of
//! those that can.

use fleet::pki::DevicePeer;
use serde::Deserialize;
use wire::{objects, slots::Slots};

/// Says in the log why the slots of a frame or a body were passed over, where it names some.
pub(super) fn note(peer: &DevicePeer, text: &str, taken: Option<&Slots>) {
    if let Some(why) = passed_over(text, taken) {
        tracing::debug!(device = %peer.device_id, error = %why, "the slots that a device named were passed over");
    }
}

/// What is looked at of a text whose slots were not taken.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only whether they can be read is of interest")]
struct Named {
    #[serde(default)]
    slots: Option<Slots>,
}

fn passed_over(text: &str, taken: Option<&Slots>) -> Option<serde_json::Error> {
    if taken.is_some() || !text.contains(r#""slots""#) {
        return None;
    }
    objects::from_str::<Named>(text).err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::slots::Slot;

    #[test]
    fn what_is_wrong_with_slots_is_known() {
        for none in [r#"{"type":"status"}"#, r#"{"slots":null}"#, r#"{"attributes":{"slots":"2"}}"#, r#"{"slots":[]}"#] {
            assert!(passed_over(none, None).is_none(), "{none}");
        }
        let twice = r#"{"slots":[{"name":"a","state":"good"},{"name":"a","state":"bad"}]}"#;
        for (wrong, why) in [
            (r#"{"slots":[{"name":"a","state":"booted"}]}"#, "unknown variant `booted`"),
            (r#"{"slots":[["a","1.0","good"]]}"#, "invalid type: sequence"),
            (twice, "each `name` stands in `slots` once"),
        ] {
            let said = passed_over(wrong, None).unwrap().to_string();
            assert!(said.starts_with(why), "{said}");
        }
        let none = Slots::try_from(Vec::<Slot>::new()).unwrap();
        assert!(passed_over(twice, Some(&none)).is_none(), "they were taken");
    }
}
