//! One statement for many rows: they go as one JSON list, which each engine unfolds in its own words, so that a hundred rows cost one trip, and come as one.
//! Refuses to know what they are.

use super::sql::Error;
use serde::{Deserialize as _, Deserializer, Serialize, Serializer, de::DeserializeOwned};

/// `many!(head, [kind name, …], tail)` is `head`, the columns of the list in `$1`, and `tail`, which may be a `concat!`. A kind is `text`, `int` (NULL where the value is
/// null) or `bytes` (a [`Bytes`]). With `held` and a table at the end its rows keep their state until the transaction ends, with `kept` they are only there
/// until then; SQLite's writer is alone anyway. Parsed once (`jsonb_each`, SQLite 3.51): `json_each` writes a row out as text and parses it again for each of its columns.
macro_rules! many {
    ($head:literal, [$($columns:tt)+], $tail:expr) => { $crate::db::many!(@split $head, [$($columns)+], $tail, "") };
    ($head:literal, [$($columns:tt)+], $tail:expr, held $held:ident) => {
        $crate::db::many!(@split $head, [$($columns)+], $tail, concat!(" FOR NO KEY UPDATE OF ", stringify!($held)))
    };
    ($head:literal, [$($columns:tt)+], $tail:expr, kept $kept:ident) => {
        $crate::db::many!(@split $head, [$($columns)+], $tail, concat!(" FOR KEY SHARE OF ", stringify!($kept)))
    };
    (@split $head:literal, [$kind:ident $name:ident $(, $kinds:ident $names:ident)*], $tail:expr, $locked:expr) => {
        $crate::db::Sql::split(
            concat!(
                $head,
                $crate::db::many!(@sqlite $kind $name) $(, ", ", $crate::db::many!(@sqlite $kinds $names))*,
                " FROM jsonb_each($1) WHERE TRUE",
                $tail
            ),
            concat!(
                $head,
                "x.", stringify!($name) $(, ", x.", stringify!($names))*,
                " FROM json_to_recordset(CAST($1 AS JSON)) AS x(",
                $crate::db::many!(@postgres $kind $name) $(, ", ", $crate::db::many!(@postgres $kinds $names))*,
                ") WHERE TRUE",
                $tail,
                $locked
            ),
        )
    };
    (@sqlite text $name:ident) => { concat!("value->>'", stringify!($name), "' AS ", stringify!($name)) };
    (@sqlite int $name:ident) => { concat!("value->>'", stringify!($name), "' AS ", stringify!($name)) };
    (@sqlite bytes $name:ident) => { concat!("unhex(substr(value->>'", stringify!($name), "', 3)) AS ", stringify!($name)) };
    (@postgres text $name:ident) => { concat!(stringify!($name), " TEXT") };
    (@postgres int $name:ident) => { concat!(stringify!($name), " BIGINT") };
    (@postgres bytes $name:ident) => { concat!(stringify!($name), " BYTEA") };
}

pub(crate) use many;

/// `listed!([column, …], statement)` is what the statement gives, as one JSON list with a list for each row: read by [`unlisted`], many rows cost a
/// fraction of what they cost handed over one by one. Truth is to be cast to `INTEGER`, which both engines write alike.
macro_rules! listed {
    ([$first:ident $(, $more:ident)*], $($statement:tt)+) => {
        $crate::db::Sql::split(
            concat!(
                "SELECT json_group_array(json_array(r.", stringify!($first) $(, ", r.", stringify!($more))*, ")) FROM (", $($statement)+, ") AS r"
            ),
            concat!(
                "SELECT CAST(COALESCE(json_agg(json_build_array(r.", stringify!($first) $(, ", r.", stringify!($more))*,
                ")), CAST('[]' AS JSON)) AS TEXT) FROM (", $($statement)+, ") AS r"
            ),
        )
    };
}

pub(crate) use listed;

/// The rows of a `listed!` statement.
pub(crate) fn unlisted<T: DeserializeOwned>(row: Option<(String,)>) -> Result<Vec<T>, Error> {
    row.map_or_else(|| Ok(Vec::new()), |(rows,)| serde_json::from_str(&rows).map_err(Error::corrupt))
}

/// What a list says with 0 and 1.
pub(crate) fn truth<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(u8::deserialize(from)? != 0)
}

/// Bytes in such a list, in PostgreSQL's hexadecimal.
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("\\x{}", hex::encode(self.0)))
    }
}

/// The list that a statement unfolds.
pub(crate) fn list<T: Serialize>(rows: &[T]) -> Result<String, Error> {
    serde_json::to_string(rows).map_err(Error::corrupt)
}

/// The same of rows that have one column, of this name.
pub(crate) fn column<T: Serialize>(name: &'static str, values: impl IntoIterator<Item = T>) -> Result<String, Error> {
    let rows: Vec<Only<T>> = values.into_iter().map(|value| Only { name, value }).collect();
    list(&rows)
}

struct Only<T> {
    name: &'static str,
    value: T,
}

impl<T: Serialize> Serialize for Only<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.name, &self.value)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_one_column_has_its_name() {
        assert_eq!(column("device", [1, 2]).unwrap(), r#"[{"device":1},{"device":2}]"#);
        assert_eq!(column("id", ["a"]).unwrap(), r#"[{"id":"a"}]"#);
        assert_eq!(column("id", Vec::<i64>::new()).unwrap(), "[]");
    }
}
