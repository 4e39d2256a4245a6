//! Pure: devices as hawkBit's Management API lists them, `GET /rest/v1/targets`: one page, an array of pages or targets, or several documents one behind
//! the other, as they are when pages are fetched into one file. What it says besides is not read.

use super::{
    super::presence::clean,
    lines::{Parsed, Reading, Refusal, Said, Unreadable},
};
use serde::Deserialize;
use serde_json::Value;

/// A target, as far as it is kept.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    controller_id: Option<String>,
    name: Option<String>,
    description: Option<String>,
    security_token: Option<String>,
    #[serde(rename = "targetTypeName")]
    type_name: Option<String>,
    group: Option<String>,
}

impl Target {
    fn said(self) -> Result<Said, Refusal> {
        let none = || Refusal::new("device_id", "This is no target: it has no controllerId. Send what GET /rest/v1/targets answers.");
        let mut said = Said {
            device_id: self.controller_id.ok_or_else(none)?,
            device_type: self.type_name.unwrap_or_default(),
            security_token: self.security_token.unwrap_or_default(),
            ..Said::default()
        };
        for (attribute, words) in [("name", self.name), ("description", self.description), ("group", self.group)] {
            // People may have written more than an attribute holds: its beginning is kept, on one line.
            let words = words.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
            said.known_as(attribute, &clean(&words));
        }
        Ok(said)
    }
}

fn target(value: Value) -> Result<Said, Refusal> {
    let odd = |_| {
        let text = "This is not as hawkBit writes a target: controllerId, name, description, securityToken and targetTypeName are texts in its list.";
        Refusal::new("", text)
    };
    serde_json::from_value::<Target>(value).map_err(odd)?.said()
}

/// The targets of a document, in their order.
fn targets(document: Value, each: &mut impl FnMut(Value) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
    match document {
        Value::Array(all) => all.into_iter().try_for_each(|one| targets(one, each)),
        Value::Object(mut page) if page.get("content").is_some_and(Value::is_array) => {
            targets(page.remove("content").unwrap_or_default(), each)
        }
        other => each(other),
    }
}

/// All targets of a file.
pub(super) fn parse(file: &[u8]) -> Result<Parsed, Unreadable> {
    let file = file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file);
    let (mut reading, mut at) = (Reading::default(), 0);
    for document in serde_json::Deserializer::from_slice(file).into_iter::<Value>() {
        let document = document.map_err(|e| {
            let text =
                format!("This is no whole JSON: it breaks off or is wrong at line {}, column {}. Fetch it again.", e.line(), e.column());
            Unreadable::Malformed(text)
        })?;
        targets(document, &mut |value| {
            at += 1;
            reading.take(at, target(value))
        })?;
    }
    reading.done()
}
