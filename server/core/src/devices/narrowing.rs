//! Which devices a selector can mean at most, asked of indexes before a list is read: what few match must not be looked for along the list's order through
//! a fleet of a million. Owns those questions and what their answers leave to be asked; what a selector means is the filter's.

use super::selector::{Field, Selector};
use crate::db::{Conn, Error, Sql, literal, row};
use std::collections::BTreeSet;
use wire::ids::OrgId;

/// Where more match, the list's own order meets enough of them soon. The fleets of tests are smaller.
pub(super) const FEW: usize = if cfg!(test) { 1_000 } else { 10_000 };
const MORE: i64 = if cfg!(test) { 1_001 } else { 10_001 };
/// Letters of a piece that the index of words knows.
const PIECE: usize = 3;

/// The devices `n` that a statement gives, as one row: a JSON list of their numbers, and how many they are. Ten thousand rows would cost ten times as much.
macro_rules! numbers {
    ($from:literal) => {
        numbers!($from, $from)
    };
    ($sqlite:literal, $postgres:literal) => {
        Sql::split(
            concat!("SELECT json_group_array(n), COUNT(*) FROM (", $sqlite, ") AS f"),
            concat!("SELECT CAST(COALESCE(json_agg(n), CAST('[]' AS JSON)) AS TEXT), COUNT(*) FROM (", $postgres, ") AS f"),
        )
    };
}

const TAGGED: Sql = numbers!("SELECT device AS n FROM device_tags WHERE org_id = $1 AND tag = $2 LIMIT $3");
const ATTRIBUTED: Sql = numbers!("SELECT device AS n FROM device_attributes WHERE org_id = $1 AND name = $2 AND value = $3 LIMIT $4");
const GROUPED: Sql = numbers!(
    "SELECT m.device AS n FROM device_groups g JOIN group_members m ON m.group_id = g.id WHERE g.org_id = $1 AND g.name = $2 LIMIT $3"
);
const VERSION: Sql = numbers!("SELECT number AS n FROM devices WHERE org_id = $1 AND version = $2 LIMIT $3");
const UPDATE: Sql = numbers!("SELECT number AS n FROM devices WHERE org_id = $1 AND update_state = $2 AND update_state <> '' LIMIT $3");
/// SQLite's index knows pieces of three letters and asks for all of `$3`, PostgreSQL's the whole pattern `$2`.
const WORD: Sql = numbers!(
    "SELECT rowid AS n FROM device_words WHERE device_words MATCH $3 AND $1 <> '' AND $2 <> '' LIMIT $4",
    "SELECT number AS n FROM devices WHERE org_id = $1 AND device_id_lower LIKE $2 ESCAPE '\\' AND CAST($3 AS TEXT) <> '' LIMIT $4"
);

pub(crate) const ALL: &[&Sql] = &[&TAGGED, &ATTRIBUTED, &GROUPED, &VERSION, &UPDATE, &WORD];

/// Numbers of at most ten thousand devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Few {
    /// A JSON list.
    numbers: String,
    count: usize,
}

impl Few {
    /// The numbers as a JSON list.
    pub(super) fn numbers(&self) -> &str {
        &self.numbers
    }

    /// Of one statement's row, when they are few enough.
    fn of(row: Option<(String, i64)>) -> Option<Self> {
        let (numbers, count) = row?;
        let count = usize::try_from(count).ok().filter(|count| *count <= FEW)?;
        Some(Self { numbers, count })
    }

    /// Together with others; each once.
    fn and(&self, others: &Self) -> Result<Option<Self>, Error> {
        let numbers = |few: &Self| serde_json::from_str::<BTreeSet<i64>>(&few.numbers).map_err(Error::corrupt);
        let mut all = numbers(self)?;
        all.append(&mut numbers(others)?);
        let count = all.len();
        Ok((count <= FEW).then_some(Self { numbers: serde_json::to_string(&all).map_err(Error::corrupt)?, count }))
    }
}

/// At most ten thousand devices, among which are all that the selector means, and what is still to be asked of them; none where it may mean more, or
/// where no index knows.
pub(super) async fn few(on: &mut impl Conn, org: &OrgId, selector: &Selector) -> Result<Option<(Few, Selector)>, Error> {
    let parts = match selector {
        Selector::All(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    for (place, part) in parts.iter().enumerate() {
        if let Some(found) = of_part(on, org, part).await? {
            let mut left = parts.to_vec();
            if stands_beside(part) {
                left.remove(place);
            }
            return Ok(Some((found, Selector::All(left))));
        }
    }
    Ok(None)
}

/// Whether it is about rows beside the device, so that asking each device again would cost as much as reading it. The index's answer is exact then.
fn stands_beside(part: &Selector) -> bool {
    matches!(part, Selector::Is(Field::Tag | Field::Attribute(_) | Field::Group, _))
}

/// The same of one condition that must hold.
async fn of_part(on: &mut impl Conn, org: &OrgId, part: &Selector) -> Result<Option<Few>, Error> {
    match part {
        Selector::Word(word) => named(on, org, word).await,
        Selector::Is(field, values) => {
            let mut all: Option<Few> = None;
            for value in values {
                let Some(found) = of_value(on, org, field, value).await? else { return Ok(None) };
                all = match all {
                    None => Some(found),
                    Some(before) => match before.and(&found)? {
                        None => return Ok(None),
                        together => together,
                    },
                };
            }
            Ok(all)
        }
        _ => Ok(None),
    }
}

async fn of_value(on: &mut impl Conn, org: &OrgId, field: &Field, value: &str) -> Result<Option<Few>, Error> {
    if *field == Field::Id {
        return named(on, org, value).await;
    }
    if value.is_empty() || value.contains('*') {
        return Ok(None);
    }
    let org = org.as_str();
    let found = match field {
        Field::Tag => row!(on, (String, i64), TAGGED, org, value, MORE)?,
        Field::Attribute(name) => row!(on, (String, i64), ATTRIBUTED, org, name.as_str(), value, MORE)?,
        Field::Group => row!(on, (String, i64), GROUPED, org, value, MORE)?,
        Field::Version => row!(on, (String, i64), VERSION, org, value, MORE)?,
        Field::Update => row!(on, (String, i64), UPDATE, org, value, MORE)?,
        _ => return Ok(None),
    };
    Ok(Few::of(found))
}

/// Devices whose id has the word in it, or every piece of it between stars.
async fn named(on: &mut impl Conn, org: &OrgId, word: &str) -> Result<Option<Few>, Error> {
    let word = word.to_lowercase();
    let pattern =
        if word.contains('*') { word.split('*').map(literal).collect::<Vec<_>>().join("%") } else { format!("%{}%", literal(&word)) };
    for pieces in questions(&word) {
        let found = row!(on, (String, i64), WORD, org.as_str(), pattern.as_str(), pieces, MORE)?;
        if let Some(found) = Few::of(found) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What the index of words is asked, one after the other: the last letters and the first, because many ids have the rest in common, and then all.
fn questions(word: &str) -> Vec<String> {
    let longest = word.split('*').max_by_key(|part| part.chars().count()).unwrap_or_default();
    let letters: Vec<char> = longest.chars().collect();
    let pieces: Vec<String> =
        letters.windows(PIECE).map(|piece| format!("\"{}\"", String::from_iter(piece).replace('"', "\"\""))).collect();
    let Some(last) = pieces.len().checked_sub(1) else { return Vec::new() };
    let ends = [vec![last.saturating_sub(PIECE), last], vec![0, PIECE.min(last)], (0..=last).collect()];
    let mut asked: Vec<String> = Vec::new();
    for mut places in ends {
        places.dedup();
        let question = places.into_iter().map(|at| pieces[at].as_str()).collect::<Vec<_>>().join(" AND ");
        if !asked.contains(&question) {
            asked.push(question);
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_put_together() {
        let few = |numbers: &str, count| Few::of(Some((numbers.to_owned(), count)));
        let some = |numbers, count| few(numbers, count).unwrap();
        let both = |one: &Few, other: &Few| one.and(other).unwrap();
        assert_eq!(both(&some("[1,3]", 2), &some("[2,3]", 2)), few("[1,2,3]", 3));
        assert_eq!(both(&some("[]", 0), &some("[3, 4]", 2)), few("[3,4]", 2));
        assert_eq!(both(&some("[]", 0), &some("[]", 0)), few("[]", 0));
        let many = serde_json::to_string(&(2..=FEW + 1).collect::<Vec<_>>()).unwrap();
        assert_eq!((few("[1]", MORE), both(&some("[1]", 1), &some(&many, MORE - 1))), (None, None));
    }

    #[test]
    fn a_word_is_asked_for_by_its_ends_first() {
        assert_eq!(questions("ab"), [""; 0]);
        assert_eq!(questions("abc"), [r#""abc""#]);
        assert_eq!(questions("ab-0123"), [r#""b-0" AND "123""#, r#""ab-" AND "012""#, r#""ab-" AND "b-0" AND "-01" AND "012" AND "123""#]);
        assert_eq!(questions("x*a\"bc"), [r#""a""b" AND """bc""#]);
    }
}
