//! Pure: JSON in which an object is an object, at any depth. The library takes a list for one as well, its members by their places (serde's `visit_seq`
//! of a struct), which no description of ours says. Owns that refusal and nothing else; refuses to know what is read.
//!
//! Except in what serde puts by until it knows its type: of an internally tagged enum only that it is no list itself is judged, not the structs in its
//! variants, and of an untagged one nothing. A frame of a device is therefore read by its type first, then as what it is.

use serde::{
    Deserialize,
    de::{self, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor},
};
use std::fmt;

/// What an internally tagged enum says that it expects; a list in its place would be its tag and the rest.
const TAGGED: &str = "internally tagged enum";

/// Reads a text, the whole of it.
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let read = T::deserialize(Objects(&mut json))?;
    json.end()?;
    Ok(read)
}

/// A deserializer, or what it hands out, under the rule; all that is read through it is, too.
#[derive(Debug)]
pub struct Objects<T>(pub T);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A struct, or a variant like one.
    Object,
    /// Whatever comes.
    Any,
    /// Something else, for which a list is right or wrong by itself.
    Other,
}

/// Takes what comes, as its own visitor does, but no list for an object.
struct Within<V> {
    visitor: V,
    wanted: Wanted,
}

macro_rules! handed_on {
    ($($method:ident $wanted:ident $(($($name:ident: $kind:ty),+))?;)+) => {$(
        fn $method<V: Visitor<'de>>(self, $($($name: $kind,)+)? visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($($name,)+)? Within { visitor, wanted: Wanted::$wanted })
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    handed_on! {
        deserialize_any Any;
        deserialize_bool Other;
        deserialize_i8 Other;
        deserialize_i16 Other;
        deserialize_i32 Other;
        deserialize_i64 Other;
        deserialize_i128 Other;
        deserialize_u8 Other;
        deserialize_u16 Other;
        deserialize_u32 Other;
        deserialize_u64 Other;
        deserialize_u128 Other;
        deserialize_f32 Other;
        deserialize_f64 Other;
        deserialize_char Other;
        deserialize_str Other;
        deserialize_string Other;
        deserialize_bytes Other;
        deserialize_byte_buf Other;
        deserialize_option Other;
        deserialize_unit Other;
        deserialize_unit_struct Other (name: &'static str);
        deserialize_newtype_struct Other (name: &'static str);
        deserialize_seq Other;
        deserialize_tuple Other (len: usize);
        deserialize_tuple_struct Other (name: &'static str, len: usize);
        deserialize_map Other;
        deserialize_struct Object (name: &'static str, fields: &'static [&'static str]);
        deserialize_enum Other (name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier Other;
        deserialize_ignored_any Other;
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! taken_as_it_is {
    ($($method:ident($kind:ty);)+) => {$(
        fn $method<E: de::Error>(self, value: $kind) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Within<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    taken_as_it_is! {
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Objects(inner))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Objects(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        let expected: &dyn Expected = &self;
        let refused = match self.wanted {
            Wanted::Object => true,
            Wanted::Any => expected.to_string().starts_with(TAGGED),
            Wanted::Other => false,
        };
        if refused {
            return Err(A::Error::invalid_type(Unexpected::Seq, expected));
        }
        self.visitor.visit_seq(Objects(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Objects(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, chosen: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Objects(chosen))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Objects(inner))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Objects(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Objects<A> {
    type Error = A::Error;
    type Variant = Objects<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0.variant_seed(Objects(seed)).map(|(chosen, rest)| (chosen, Objects(rest)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Objects(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Within { visitor, wanted: Wanted::Other })
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Within { visitor, wanted: Wanted::Object })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Place {
        x: u8,
        y: u8,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Way {
        Straight,
        To(Place),
        Both { first: Place, pair: (u8, u8) },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Tagged {
        Named { name: String },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Whole<'a> {
        #[serde(default)]
        list: Vec<Place>,
        #[serde(default)]
        map: BTreeMap<String, Option<Place>>,
        #[serde(default)]
        way: Option<Way>,
        #[serde(default)]
        tagged: Option<Tagged>,
        #[serde(default)]
        anything: serde_json::Value,
        #[serde(default)]
        text: &'a str,
    }

    #[test]
    fn a_list_is_no_object_at_any_depth() {
        assert!(serde_json::from_str::<Place>("[1,2]").is_ok(), "the library by itself");
        for text in [
            "[[],{}]",
            r#"{"list":[[1,2]]}"#,
            r#"{"list":[{"x":1,"y":2},[]]}"#,
            "[]",
            r#"{"map":{"a":[1,2]}}"#,
            r#"{"way":{"to":[1,2]}}"#,
            r#"{"way":{"both":[{"x":1,"y":2},[3,4]]}}"#,
            r#"{"way":{"both":{"first":[1,2],"pair":[3,4]}}}"#,
            r#"{"tagged":["named","a"]}"#,
        ] {
            let refused = from_str::<Whole<'_>>(text).unwrap_err().to_string();
            assert!(refused.starts_with("invalid type: sequence, expected "), "{text}: {refused}");
        }
    }

    #[test]
    fn everything_else_is_read_as_the_library_reads_it() {
        for text in [
            "{}",
            r#"{"list":[{"x":1,"y":2}],"map":{"a":{"x":1,"y":2},"b":null},"way":"straight","text":"borrowed"}"#,
            r#"{"way":{"to":{"x":1,"y":2}},"tagged":{"kind":"named","name":"a"},"anything":[1,[2,{"a":[]}],-3.5,null,true,"b"]}"#,
            r#"{"way":{"both":{"first":{"x":1,"y":2},"pair":[3,4]}}}"#,
            r#"{"list":{}}"#,
            r#"{"list":[{"x":1}]}"#,
            r#"{"list":[{"x":300,"y":2}]}"#,
            r#"{"text":"\n"}"#,
            "{} {}",
            "{",
        ] {
            let (plain, read) = (serde_json::from_str::<Whole<'_>>(text), from_str::<Whole<'_>>(text));
            assert_eq!(read.map_err(|e| e.to_string()), plain.map_err(|e| e.to_string()), "{text}");
        }
    }
}
