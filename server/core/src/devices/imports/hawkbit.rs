//! Pure: devices as hawkBit's Management API lists them, `GET /rest/v1/targets`: one page, an array of pages or targets, or several documents one behind
//! the other, as they are when pages are fetched into one file. What it says besides is not read. What is read takes no more room than the file,
//! whatever it is filled with.

use super::{
    super::presence::clean,
    lines::{MOST_LINES, Parsed, Reading, Refusal, Said, Unreadable},
};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

fn odd() -> Refusal {
    let text =
        "This is not as hawkBit writes a target: controllerId, name, description, securityToken and targetTypeName are texts in its list.";
    Refusal::new("", text)
}

/// A member of a target.
#[derive(Default)]
enum Member {
    /// Not there, or null.
    #[default]
    Unsaid,
    Text(String),
    /// Something else.
    Odd,
}

impl Member {
    fn text(self) -> Result<Option<String>, Refusal> {
        match self {
            Self::Unsaid => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Odd => Err(odd()),
        }
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member of a target")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Text(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Member, E> {
        Ok(Member::Unsaid)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Member, E> {
        Ok(Member::Odd)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Member, E> {
        Ok(Member::Odd)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Member, E> {
        Ok(Member::Odd)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Member, E> {
        Ok(Member::Odd)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Member, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Odd)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Odd)
    }
}

/// A target, as far as it is kept.
#[derive(Default)]
struct Target {
    controller_id: Member,
    name: Member,
    description: Member,
    security_token: Member,
    type_name: Member,
    group: Member,
}

impl Target {
    fn said(self) -> Result<Said, Refusal> {
        let none = || Refusal::new("device_id", "This is no target: it has no controllerId. Send what GET /rest/v1/targets answers.");
        let people = [("name", self.name.text()?), ("description", self.description.text()?), ("group", self.group.text()?)];
        let mut said = Said {
            device_type: self.type_name.text()?.unwrap_or_default(),
            security_token: self.security_token.text()?.unwrap_or_default(),
            device_id: self.controller_id.text()?.ok_or_else(none)?,
            ..Said::default()
        };
        for (attribute, words) in people {
            // People may have written more than an attribute holds: its beginning is kept, on one line.
            let words = words.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
            said.known_as(attribute, &clean(&words));
        }
        Ok(said)
    }
}

/// What a document is, or a part of it.
#[derive(PartialEq, Eq)]
enum Shape {
    Array,
    /// Its targets are an array.
    Page,
    Target,
    /// Nothing that targets are listed by.
    Other,
}

/// The targets of a document, in their order; of more than a file may have only so many that it is refused.
struct Document {
    targets: Vec<Result<Said, Refusal>>,
    shape: Shape,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut targets = Vec::new();
        let shape = Targets(&mut targets).deserialize(from)?;
        Ok(Self { targets, shape })
    }
}

/// Reads a target, a page of them, or an array of either.
struct Targets<'a>(&'a mut Vec<Result<Said, Refusal>>);

impl Targets<'_> {
    fn push(self, said: Result<Said, Refusal>) {
        if self.0.len() <= MOST_LINES {
            self.0.push(said);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Targets<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Shape, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Targets<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("targets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        while seq.next_element_seed(Targets(&mut *self.0))?.is_some() {}
        Ok(Shape::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let (mut target, mut content) = (Target::default(), None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "content" => content = Some(map.next_value_seed(Targets(&mut *self.0))?),
                "controllerId" => target.controller_id = map.next_value()?,
                "name" => target.name = map.next_value()?,
                "description" => target.description = map.next_value()?,
                "securityToken" => target.security_token = map.next_value()?,
                "targetTypeName" => target.type_name = map.next_value()?,
                "group" => target.group = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let named = !matches!(target.controller_id, Member::Unsaid);
        Ok(match content {
            Some(Shape::Array) => Shape::Page,
            Some(_) => Shape::Other,
            None => {
                self.push(target.said());
                if named { Shape::Target } else { Shape::Other }
            }
        })
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Shape, E> {
        self.push(Err(odd()));
        Ok(Shape::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Shape, E> {
        self.push(Err(odd()));
        Ok(Shape::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Shape, E> {
        self.push(Err(odd()));
        Ok(Shape::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Shape, E> {
        self.push(Err(odd()));
        Ok(Shape::Other)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Shape, E> {
        self.push(Err(odd()));
        Ok(Shape::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Shape, E> {
        self.push(Err(odd()));
        Ok(Shape::Other)
    }
}

/// All targets of a file.
pub(super) fn parse(file: &[u8]) -> Result<Parsed, Unreadable> {
    let file = file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file);
    let (mut reading, mut at, mut listed) = (Reading::default(), 0, false);
    for document in serde_json::Deserializer::from_slice(file).into_iter::<Document>() {
        let Document { targets, shape } = document.map_err(|e| {
            let text =
                format!("This is no whole JSON: it breaks off or is wrong at line {}, column {}. Fetch it again.", e.line(), e.column());
            Unreadable::Malformed(text)
        })?;
        listed |= shape != Shape::Other;
        for said in targets {
            at += 1;
            reading.take(at, said)?;
        }
    }
    if at > 0 && !listed {
        let text = "This is no list of targets. Send what GET /rest/v1/targets answers, a page with an array as its `content`, or an array of pages or targets.";
        return Err(Unreadable::Malformed(text.to_owned()));
    }
    reading.done()
}
