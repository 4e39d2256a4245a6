//! Answers of the server as values, with as little code in the browser as possible.
//!
//! `serde_json` read straight into forty DTOs makes its parser once for each of them, twice where two readers are used, and accepts structs
//! written as arrays: a third of the bundle. Here JSON is parsed into a tree once and the DTOs are taken out of the tree; what a DTO of ours is
//! never written as is not understood.

use super::fault::ApiFault;
use serde::{
    de::{
        self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
        VariantAccess, Visitor, value::StringDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_json::Value;
use std::fmt::{self, Display};
use wire::FaultKind;

/// Reads a DTO. What does not fit is a page of another release of the server.
pub fn decode<T: DeserializeOwned>(text: &str) -> Result<T, ApiFault> {
    try_decode(text).ok_or_else(unfit)
}

/// Reads a DTO, or nothing.
pub fn try_decode<T: DeserializeOwned>(text: &str) -> Option<T> {
    take(parse(text)?)
}

/// Takes a DTO out of a tree.
pub fn take<T: DeserializeOwned>(tree: Value) -> Option<T> {
    T::deserialize(Tree(tree)).ok()
}

/// The tree of a text.
pub fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn unfit() -> ApiFault {
    ApiFault::new(FaultKind::Internal, "version", "The server answered in an unexpected form. Reload the page.")
}

/// That something does not fit; where and why would cost more than it helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unfit;

impl Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unexpected form")
    }
}
impl std::error::Error for Unfit {}
impl de::Error for Unfit {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
    fn invalid_type(_: Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }
    fn invalid_value(_: Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self
    }
    fn invalid_length(_: usize, _: &dyn de::Expected) -> Self {
        Self
    }
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        Self
    }
    fn missing_field(_: &'static str) -> Self {
        Self
    }
    fn duplicate_field(_: &'static str) -> Self {
        Self
    }
}

struct Tree(Value);

impl<'de> Deserializer<'de> for Tree {
    type Error = Unfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(b),
            Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
                (Some(n), ..) => visitor.visit_i64(n),
                (None, Some(n), _) => visitor.visit_u64(n),
                (None, None, Some(n)) => visitor.visit_f64(n),
                (None, None, None) => Err(Unfit),
            },
            Value::String(s) => visitor.visit_string(s),
            Value::Array(all) => visitor.visit_seq(Items(all.into_iter())),
            Value::Object(all) => visitor.visit_map(Entries { entries: all.into_iter(), value: None }),
        }
    }
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if let Value::Bool(b) = self.0 { visitor.visit_bool(b) } else { Err(Unfit) }
    }
    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.0.as_i64().map_or(Err(Unfit), |n| visitor.visit_i64(n))
    }
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.0.as_u64().map_or(Err(Unfit), |n| visitor.visit_u64(n))
    }
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_u64(visitor)
    }
    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_u64(visitor)
    }
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_u64(visitor)
    }
    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_i64(visitor)
    }
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.0.as_f64().map_or(Err(Unfit), |n| visitor.visit_f64(n))
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if let Value::String(s) = self.0 { visitor.visit_string(s) } else { Err(Unfit) }
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_str(visitor)
    }
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_str(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if let Value::Array(all) = self.0 { visitor.visit_seq(Items(all.into_iter())) } else { Err(Unfit) }
    }
    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        if let Value::Object(all) = self.0 { visitor.visit_map(Entries { entries: all.into_iter(), value: None }) } else { Err(Unfit) }
    }
    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_map(visitor)
    }
    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, value: Value::Null }),
            Value::Object(all) => match all.into_iter().next() {
                Some((name, value)) => visitor.visit_enum(Variant { name, value }),
                None => Err(Unfit),
            },
            _ => Err(Unfit),
        }
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }
    forward_to_deserialize_any! { i8 i16 i128 u128 f32 char bytes byte_buf unit_struct tuple_struct }
}

struct Items(std::vec::IntoIter<Value>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Unfit;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unfit> {
        self.0.next().map(|value| seed.deserialize(Tree(value))).transpose()
    }
}

struct Entries {
    entries: serde_json::map::IntoIter,
    value: Option<Value>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Unfit;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unfit> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        let key: StringDeserializer<Unfit> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unfit> {
        seed.deserialize(Tree(self.value.take().unwrap_or_default()))
    }
}

struct Variant {
    name: String,
    value: Value,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Unfit;
    type Variant = Tree;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Tree), Unfit> {
        let name: StringDeserializer<Unfit> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Tree(self.value)))
    }
}

impl<'de> VariantAccess<'de> for Tree {
    type Error = Unfit;
    fn unit_variant(self) -> Result<(), Unfit> {
        Ok(())
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Unfit> {
        seed.deserialize(self)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }
    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_map(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{
        Fault, Timestamp,
        live::{Data, DeviceLive, MetricPoints, Tell},
        rollouts::{GateSpec, Reach, RolloutSpec, StageSpec},
    };

    fn round_trips<T: serde::Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T) {
        let text = serde_json::to_string(value).unwrap();
        assert_eq!(&decode::<T>(&text).unwrap(), value, "{text}");
    }

    #[test]
    fn what_crosses_the_boundary_is_read_as_it_was_written() {
        round_trips(&Fault::new(FaultKind::Conflict, "changed", "Somebody changed it.").at("name").retry_after(3));
        round_trips(&RolloutSpec {
            name: "Gateway \"4.12\" \u{1f680}".into(),
            release: "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap(),
            selector: String::new(),
            stages: vec![
                StageSpec { name: "a".into(), reach: Reach::Percent(12.5), soak_s: 7, confirm: true, gate: GateSpec::default() },
                StageSpec { name: "b".into(), reach: Reach::Count(u32::MAX), soak_s: 0, confirm: false, gate: GateSpec::default() },
            ],
            start_at: Some(Timestamp(-5)),
            timeout_min: 60,
            reason: "why".into(),
            at_once: Some(3),
            budget: Some(wire::rollouts::Budget { attribute: "site".into(), at_most: Some(1), at_most_percent: None }),
            confirm_at_device: true,
            bandwidth: Some(50_000),
            ignore_data_budget: true,
            window: None,
            urgency: wire::rollouts::Urgency::ForcedAfter(Timestamp(7)),
            download_only: true,
            during_freeze: true,
            way_back: None,
            retry: Some(wire::rollouts::Retry { classes: vec![wire::rollouts::RetryClass::Failed], times: 2, wait_min: 30 }),
            priority: 9,
            order: Some(wire::rollouts::Order::Listed(vec!["gw-1".parse().unwrap()])),
            rate: Some(wire::rollouts::Rate {
                per_minute: 5,
                growth: Some(wire::rollouts::Growth { factor: 1.5, successes: 2, at_most: 9 }),
            }),
            gate: Some(GateSpec {
                max_failed: Some(u32::MAX),
                max_rejected: Some(0),
                metrics: vec![wire::rollouts::MetricGate::new("cpu".into(), wire::rollouts::Worse::Higher)],
                ..GateSpec::USUAL
            }),
            steps: wire::rollouts::StepLimits { installing_min: Some(30), ..wire::rollouts::StepLimits::default() },
        });
        round_trips(&Tell::Delta {
            topic: "device/gw-1".parse().unwrap(),
            seq: u64::MAX,
            data: Data::Device(DeviceLive {
                online: Some(false),
                points: vec![MetricPoints { metric: "cpu".into(), points: vec![(1_795_341_432_000, 0.5), (2, 3.0)] }],
                at: Timestamp(i64::MAX),
            }),
        });
        round_trips(&Some((1_i64, String::from("x"))));
        round_trips(&Vec::<Option<bool>>::from([Some(true), None]));
        round_trips(&());
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        for text in ["", "{", "[]", "{\"kind\":\"nonsense\",\"code\":\"\",\"message\":\"\"}", "{\"kind\":\"busy\"}"] {
            assert_eq!(decode::<Fault>(text).unwrap_err().0.code, "version", "{text}");
        }
    }
}
