//! Pure: what a device's frame says. A sample that can't be read is left out and told; the rest of its frame stands, so that one `NaN` never
//! holds up a stream. A list is no object, at any depth.

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, Error as _, IgnoredAny, IntoDeserializer as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};
use wire::{
    device::{Hello, Sample, Samples, StatusReport, Up},
    objects,
};

/// A frame that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Frame {
    pub up: Up,
    /// Samples that were left out of it.
    pub left_out: Option<LeftOut>,
}

/// Samples that say nothing, by what is wrong with the first of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub samples: u32,
    pub code: &'static str,
    pub message: &'static str,
}

/// Reads a frame. The error names fields and places, never our insides.
pub(super) fn read(text: &str) -> Result<Frame, serde_json::Error> {
    match whole(text) {
        Ok(up) => Ok(Frame { up, left_out: None }),
        Err(error) => sample_by_sample(text).ok_or(error),
    }
}

/// What says which of [`Up`] a frame is.
const TYPE: &str = "type";
const TYPES: [&str; 3] = ["hello", "samples", "status"];

/// As what its type says: what is put by until the type is known would be judged from outside alone ([`objects`]).
fn whole(text: &str) -> Result<Up, serde_json::Error> {
    let Begun { kind, read } = objects::from_str(text)?;
    match (read, kind) {
        (Some(up), _) => Ok(up),
        (None, Kind::Hello) => objects::from_str(text).map(Up::Hello),
        (None, Kind::Samples) => objects::from_str(text).map(Up::Samples),
        (None, Kind::Status) => objects::from_str(text).map(Up::Status),
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Hello,
    Samples,
    Status,
}

impl Kind {
    fn of<E: de::Error>(word: &str) -> Result<Self, E> {
        match word {
            "hello" => Ok(Self::Hello),
            "samples" => Ok(Self::Samples),
            "status" => Ok(Self::Status),
            _ => Err(E::unknown_variant(word, &TYPES)),
        }
    }
}

/// A frame after one reading.
struct Begun {
    kind: Kind,
    /// All of it where it began with its type, as agents write it. What stood before its type is still to be read.
    read: Option<Up>,
}

impl<'de> Deserialize<'de> for Begun {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Beginning)
    }
}

struct Beginning;

impl<'de> Visitor<'de> for Beginning {
    type Value = Begun;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Begun, A::Error> {
        let mut next = map.next_key::<String>()?;
        if next.as_deref() == Some(TYPE) {
            let kind = Kind::of::<A::Error>(&map.next_value::<String>()?)?;
            let rest = MapAccessDeserializer::new(Rest(map));
            let up = match kind {
                Kind::Hello => Up::Hello(Hello::deserialize(rest)?),
                Kind::Samples => Up::Samples(Samples::deserialize(rest)?),
                Kind::Status => Up::Status(StatusReport::deserialize(rest)?),
            };
            return Ok(Begun { kind, read: Some(up) });
        }
        let mut kind = None;
        while let Some(key) = next {
            if key != TYPE {
                map.next_value::<IgnoredAny>()?;
            } else if kind.is_none() {
                kind = Some(map.next_value::<String>()?);
            } else {
                return Err(A::Error::duplicate_field(TYPE));
            }
            next = map.next_key()?;
        }
        let kind = Kind::of::<A::Error>(&kind.ok_or_else(|| A::Error::missing_field(TYPE))?)?;
        Ok(Begun { kind, read: None })
    }
}

/// The members behind the type, which is said once.
struct Rest<A>(A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        match self.0.next_key::<String>()? {
            None => Ok(None),
            Some(key) if key == TYPE => Err(A::Error::duplicate_field(TYPE)),
            Some(key) => seed.deserialize(key.into_deserializer()).map(Some),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

/// A samples frame whose samples are looked at one by one.
#[derive(Deserialize)]
struct Loose<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    seq: u64,
    #[serde(borrow)]
    samples: Vec<&'a RawValue>,
}

/// What a sample must have beside its value.
#[derive(Deserialize)]
#[expect(dead_code, reason = "only whether they can be read is of interest")]
struct Place<'a> {
    m: Cow<'a, str>,
    t: i64,
}

fn sample_by_sample(text: &str) -> Option<Frame> {
    let text = without_odd_numbers(text);
    let loose: Loose<'_> = objects::from_str(&text).ok().filter(|loose: &Loose<'_>| loose.kind == "samples")?;
    let (mut samples, mut left_out) = (Vec::with_capacity(loose.samples.len()), None::<LeftOut>);
    for raw in loose.samples {
        match objects::from_str::<Sample>(raw.get()) {
            Ok(sample) => samples.push(sample),
            Err(_) => left_out.get_or_insert_with(|| reason(raw)).samples += 1,
        }
    }
    Some(Frame { up: Up::Samples(Samples { seq: loose.seq, samples }), left_out })
}

fn reason(raw: &RawValue) -> LeftOut {
    let (code, message) = match objects::from_str::<Place<'_>>(raw.get()) {
        Ok(_) => ("not_finite", "A value must be a finite number: leave out what could not be measured."),
        Err(_) => ("bad_sample", "A sample has a metric `m`, a time `t` in Unix milliseconds and a value `v`."),
    };
    LeftOut { samples: 0, code, message }
}

/// `NaN` and `Infinity`, which some libraries write though JSON has no such thing, become `null`.
fn without_odd_numbers(text: &str) -> String {
    const ODD: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
    let (mut out, mut rest, mut quoted) = (String::with_capacity(text.len()), text, false);
    while let Some(c) = rest.chars().next() {
        if let Some(odd) = ODD.iter().find(|odd| !quoted && rest.starts_with(**odd)) {
            out.push_str("null");
            rest = &rest[odd.len()..];
            continue;
        }
        let escaped = quoted && c == '\\';
        quoted ^= c == '"';
        let end = rest.char_indices().nth(if escaped { 2 } else { 1 }).map_or(rest.len(), |(at, _)| at);
        out.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn samples(frame: &Frame) -> (u64, Vec<(&str, f64)>) {
        let Up::Samples(Samples { seq, samples }) = &frame.up else { panic!("{frame:?}") };
        (*seq, samples.iter().map(|s| (s.m.as_str(), s.v)).collect())
    }

    #[rstest]
    #[case::python("NaN", "not_finite")]
    #[case::python_infinity("-Infinity", "not_finite")]
    #[case::javascript("null", "not_finite")]
    #[case::too_large("1e999", "not_finite")]
    #[case::text("\"1\"", "not_finite")]
    fn one_value_that_is_none_costs_only_itself(#[case] value: &str, #[case] code: &str) {
        let text =
            format!(r#"{{"type":"samples","seq":3,"samples":[{{"m":"a","t":1,"v":{value}}},{{"m":"NaN\"Infinity","t":1,"v":2.5}}]}}"#);
        let frame = read(&text).unwrap();
        assert_eq!(samples(&frame), (3, vec![("NaN\"Infinity", 2.5)]));
        let left_out = frame.left_out.unwrap();
        assert_eq!((left_out.samples, left_out.code), (1, code));
    }

    #[test]
    fn a_sample_without_its_parts_is_left_out_too() {
        let frame = read(r#"{"type":"samples","seq":4,"samples":[7,{"m":"a","t":1,"v":1},{"t":1,"v":1}]}"#).unwrap();
        assert_eq!(samples(&frame), (4, vec![("a", 1.0)]));
        assert_eq!(frame.left_out.unwrap(), LeftOut { samples: 2, ..reason(serde_json::from_str("7").unwrap()) });
    }

    #[test]
    fn a_good_frame_is_taken_as_it_is_and_another_is_refused_whole() {
        assert_eq!(read(r#"{"type":"samples","seq":1,"samples":[]}"#).unwrap().left_out, None);
        for bad in [
            "",
            "{",
            "NaN",
            r#"{"type":"samples","samples":[]}"#,
            r#"{"type":"status","seq":1,"samples":[]}"#,
            r#"{"type":"samples","seq":-1,"samples":[]}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let unknown = read(r#"{"type":"hallo"}"#).unwrap_err().to_string();
        assert!(unknown.contains("`hello`, `samples`, `status`"), "{unknown}");
    }

    #[test]
    fn the_type_may_come_later_and_is_said_once() {
        let late = read(r#"{"seq":5,"samples":[{"v":1.5,"t":1,"m":"a"}],"type":"samples"}"#).unwrap();
        assert_eq!((samples(&late), &late.left_out), ((5, vec![("a", 1.5)]), &None));
        assert_eq!(read(r#"{"type":"samples","seq":5,"samples":[{"m":"a","t":1,"v":1.5}],"more":{"x":[1]}}"#).unwrap(), late);
        for twice in [
            r#"{"type":"status","update_id":"upd_0123456789abcdef0123456789abcdef","state":"succeeded","type":"status"}"#,
            r#"{"state":"succeeded","type":"status","update_id":"upd_0123456789abcdef0123456789abcdef","type":"status"}"#,
        ] {
            assert!(read(twice).is_err_and(|e| e.to_string().starts_with("duplicate field `type`")), "{twice}");
        }
        assert!(read(r#"{"seq":5}"#).is_err_and(|e| e.to_string().starts_with("missing field `type`")));
        let late = r#"{"agent":"a","boot_id":"b","stream":"s","firmware":["1.0",1,"gw","A"],"type":"hello"}"#;
        assert!(read(late).is_err_and(|e| e.to_string().starts_with("invalid type: sequence")));
    }

    #[test]
    fn a_list_is_no_object_in_a_frame_either() {
        for bad in [
            r#"["samples",1,[]]"#,
            r#"["samples",{"seq":1,"samples":[]}]"#,
            r#"{"type":"hello","agent":"a","boot_id":"b","stream":"s","firmware":["1.0",1,"gw","A"]}"#,
            r#"{"type":"status","update_id":"upd_0123456789abcdef0123456789abcdef","state":"succeeded","firmware":["1.0",1,"gw","A"]}"#,
        ] {
            assert!(read(bad).is_err_and(|e| e.to_string().starts_with("invalid type: sequence")), "{bad}");
        }
        let frame = read(r#"{"type":"samples","seq":2,"samples":[["a",1,2.5],{"m":"a","t":1,"v":1}]}"#).unwrap();
        assert_eq!(samples(&frame), (2, vec![("a", 1.0)]));
        assert_eq!(frame.left_out.map(|left_out| (left_out.samples, left_out.code)), Some((1, "bad_sample")));
        let hello = r#"{"type":"hello","agent":"a","boot_id":"b","stream":"s","firmware":{"version":"1.0","device_type":"gw"},"new":[1]}"#;
        assert!(matches!(read(hello), Ok(Frame { up: Up::Hello(_), left_out: None })), "fields that are not known are ignored");
    }

    const ODDITIES: [&str; 8] = ["1", "-2.5e3", "NaN", "-Infinity", "null", "1e999", "\"1\"", "{}"];

    proptest::proptest! {
        #[test]
        fn what_is_read_of_any_text_reads_the_same_again(text in ".{0,200}") {
            if let Ok(frame) = read(&text) {
                let again = read(&serde_json::to_string(&frame.up).unwrap()).unwrap();
                proptest::prop_assert_eq!(again, Frame { up: frame.up, left_out: None });
            }
        }

        #[test]
        fn every_sample_is_taken_or_told(seq in 0..u64::MAX, values in proptest::collection::vec(proptest::sample::select(ODDITIES.to_vec()), 0..20)) {
            let samples: Vec<String> = values.iter().map(|value| format!(r#"{{"m":"a","t":1,"v":{value}}}"#)).collect();
            let frame = read(&format!(r#"{{"type":"samples","seq":{seq},"samples":[{}]}}"#, samples.join(","))).unwrap();
            let told = frame.left_out.as_ref().map_or(0, |left_out| left_out.samples);
            let (read, taken) = self::samples(&frame);
            proptest::prop_assert_eq!(read, seq);
            proptest::prop_assert_eq!(taken.len() + usize::try_from(told).unwrap(), values.len());
            proptest::prop_assert!(taken.iter().all(|(_, v)| v.is_finite()));
        }
    }
}
