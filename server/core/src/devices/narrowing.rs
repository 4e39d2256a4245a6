//! How the devices that a selector means are looked for, asked of indexes before a list is read: what few match must not be looked for along the list's
//! order through a fleet of a million. Owns those questions and what their answers leave to be asked; what a selector means is the filter's.

use super::{
    DeviceNo,
    along::Along,
    filter::may_mean_decommissioned,
    selector::{Field, Selector},
};
use crate::{
    db::{Conn, Error, Sql, literal, row},
    pki::store::cut,
};
use std::collections::BTreeSet;
use wire::{
    devices::{CertificateStanding, Presence},
    ids::OrgId,
};

/// Where more match, the list's own order meets enough of them soon. The fleets of tests are smaller.
pub(super) const FEW: usize = if cfg!(test) { 1_000 } else { 10_000 };
/// So many are read and sorted in less time than any other way is looked for.
const SOME: usize = if cfg!(test) { 100 } else { 1_000 };
/// Letters of a piece that the index of words knows.
const PIECE: usize = 3;

/// The devices `n` that a statement gives, as one row: a JSON list of their numbers, and how many they are. Ten thousand rows would cost ten times as much.
macro_rules! numbers {
    ($from:expr) => {
        numbers!($from, $from)
    };
    ($sqlite:expr, $postgres:expr) => {
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
/// Of those that lists have unless they are asked for decommissioned ones.
const TYPE: Sql = numbers!(
    "SELECT number AS n FROM devices WHERE org_id = $1 AND device_type = $2 AND deleted_at IS NULL AND state <> 'decommissioned' LIMIT $3"
);
/// The same.
const HARDWARE: Sql = numbers!(
    "SELECT number AS n FROM devices WHERE org_id = $1 AND hardware = $2 AND deleted_at IS NULL AND state <> 'decommissioned' LIMIT $3"
);
const STATE: Sql = numbers!("SELECT number AS n FROM devices WHERE org_id = $1 AND state = $2 LIMIT $3");
/// Every state there is, because the index has it before presence.
const ONLINE: Sql = numbers!(
    "SELECT number AS n FROM devices WHERE org_id = $1 AND state IN ('preregistered','pending','active','suspended','decommissioned') AND online = $2 LIMIT $3"
);
/// All of which a certificate was cut off: whether the last one was is still to be asked of each. A few at any size, unless a whole batch was revoked.
const CUT: Sql = numbers!(concat!(
    "SELECT DISTINCT c.device AS n FROM certificates c WHERE c.org_id = $1 AND ",
    cut!(),
    " AND c.device IS NOT NULL AND c.fingerprint IS NOT NULL LIMIT $2"
));
/// SQLite's index knows pieces of three letters and asks for all of `$3`, PostgreSQL's the whole pattern `$2`.
const WORD: Sql = numbers!(
    "SELECT rowid AS n FROM device_words WHERE device_words MATCH $3 AND $1 <> '' AND $2 <> '' LIMIT $4",
    "SELECT number AS n FROM devices WHERE org_id = $1 AND device_id_lower LIKE $2 ESCAPE '\\' AND CAST($3 AS TEXT) <> '' LIMIT $4"
);

/// No organization has more devices than its highest number; that is known at once, and how many there are would have to be counted.
const FLEET: Sql = Sql::same("SELECT MAX(number) FROM devices WHERE org_id = $1");

pub(crate) const ALL: &[&Sql] =
    &[&FLEET, &TAGGED, &ATTRIBUTED, &GROUPED, &VERSION, &UPDATE, &TYPE, &HARDWARE, &STATE, &ONLINE, &CUT, &WORD];

/// Whether a device has this type, this tag, this version or this hardware; of another field nothing is known.
pub(super) async fn any(on: &mut impl Conn, org: &OrgId, field: &Field, value: &str) -> Result<bool, Error> {
    let sql = match field {
        Field::Type => TYPE,
        Field::Tag => TAGGED,
        Field::Version => VERSION,
        Field::Hardware => HARDWARE,
        _ => return Ok(false),
    };
    Ok(row!(on, (String, i64), sql, org.as_str(), value, 1_i64)?.is_some_and(|(_, found)| found > 0))
}

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

    /// These; never more than [`FEW`].
    pub(super) fn these(numbers: &[DeviceNo]) -> Result<Self, Error> {
        Ok(Self { numbers: serde_json::to_string(numbers).map_err(Error::corrupt)?, count: numbers.len() })
    }

    /// Of one statement's row, when they are at most so many.
    fn of(row: Option<(String, i64)>, most: usize) -> Option<Self> {
        let (numbers, count) = row?;
        let count = usize::try_from(count).ok().filter(|count| *count <= most)?;
        Some(Self { numbers, count })
    }

    /// By number: neighbours lie together, and many are read one after the other.
    fn by_number(self) -> Result<Self, Error> {
        let mut numbers: Vec<i64> = serde_json::from_str(&self.numbers).map_err(Error::corrupt)?;
        numbers.sort_unstable();
        Ok(Self { numbers: serde_json::to_string(&numbers).map_err(Error::corrupt)?, count: self.count })
    }

    /// Together with others; each once.
    fn and(&self, others: &Self, most: usize) -> Result<Option<Self>, Error> {
        let numbers = |few: &Self| serde_json::from_str::<BTreeSet<i64>>(&few.numbers).map_err(Error::corrupt);
        let mut all = numbers(self)?;
        all.append(&mut numbers(others)?);
        let count = all.len();
        Ok((count <= most).then_some(Self { numbers: serde_json::to_string(&all).map_err(Error::corrupt)?, count }))
    }
}

/// How the devices of a selector are looked for; through the whole fleet when there is neither.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    /// At most ten thousand devices, among which are all that are meant, and what is still to be asked of them; none where more may be meant, or where
    /// no index knows.
    pub(super) few: Option<(Few, Selector)>,
    /// For a list by ids, a condition whose index has them in that order, and what is still to be asked; none where the few are read and sorted sooner.
    pub(super) along: Option<(Along, Selector)>,
    /// For a list in another order, how the few may be met along it; none where they are read and sorted sooner, however long the page is.
    pub(super) met: Option<Spread>,
}

/// How many there are to be met along an order, and among how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    /// The few that would be read and sorted otherwise.
    few: usize,
    /// Those of them that are meant, as far as is known.
    meant: usize,
    /// All that the order has, at most.
    fleet: usize,
}

impl Spread {
    /// How far along the order to look for so many: twice as far as they are if chance has spread them. None where that is further than there are few.
    /// One that is passed by costs SQLite a fifth of one that is read, and PostgreSQL, which looks at each one's row, nearly as much; looking in vain
    /// comes on top of reading them all.
    pub(super) fn reach(self, wanted: usize, on_postgres: bool) -> Option<usize> {
        let expected = wanted.saturating_mul(self.fleet) / self.meant.max(1);
        let dear = if on_postgres { 4 } else { 1 };
        (expected.saturating_mul(dear) <= self.few).then_some(expected.saturating_mul(2))
    }
}

/// The ways to a page of a list. `known` is how many were meant when they were last counted, if that was kept: it chooses between ways, nothing more.
pub(super) async fn ways(
    on: &mut impl Conn,
    org: &OrgId,
    selector: &Selector,
    (by_id, known): (bool, Option<usize>),
) -> Result<Ways, Error> {
    let parts = match selector {
        Selector::All(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let may_be_gone = may_mean_decommissioned(selector);
    let in_order: Vec<Option<Along>> = parts.iter().map(|part| if by_id { Along::of(part, may_be_gone) } else { None }).collect();
    let in_some_order = in_order.iter().enumerate().filter_map(|(place, along)| Some((along.as_ref()?, place)));
    let best = in_some_order.min_by_key(|(along, _)| along.is_wide());
    let no_few = || Ways { few: None, along: best.map(|(along, place)| (along.clone(), without(parts, place))), met: None };
    // No condition that all of them fulfil has fewer.
    if known.is_some_and(|known| known > FEW) {
        return Ok(no_few());
    }
    let rounds: &[usize] = match parts {
        // Nothing else could be better.
        [_] if best.is_some() => &[SOME],
        [_] => &[FEW],
        // What few match comes before what some thousands do, wherever it stands in the selector.
        _ => &[SOME, FEW],
    };
    for &most in rounds {
        for (place, (part, along)) in parts.iter().zip(&in_order).enumerate() {
            // Whom its index leaves out may be meant.
            if may_be_gone && matches!(part, Selector::Is(Field::Type | Field::Hardware, _)) {
                continue;
            }
            if let Some(found) = of_part(on, org, part, most).await? {
                let many = found.count > SOME;
                let along = along.as_ref().filter(|_| many).map(|along| (along.clone(), without(parts, place)));
                let left = if stands_beside(part) { without(parts, place) } else { Selector::All(parts.to_vec()) };
                let found = if many && along.is_none() { found.by_number()? } else { found };
                let met = if many && !by_id { spread(on, org, found.count, known).await? } else { None };
                return Ok(Ways { few: Some((found, left)), along, met });
            }
        }
    }
    Ok(no_few())
}

async fn spread(on: &mut impl Conn, org: &OrgId, few: usize, known: Option<usize>) -> Result<Option<Spread>, Error> {
    let Some((Some(highest),)) = row!(on, (Option<i64>,), FLEET, org.as_str())? else { return Ok(None) };
    let fleet = usize::try_from(highest).map_err(Error::corrupt)?;
    Ok(Some(Spread { few, meant: known.map_or(few, |known| known.min(few)), fleet }))
}

/// The numbers of a few devices, in their order, among which are all that the selector means; none where more may be meant, or no index knows.
pub(crate) async fn few_meant(on: &mut impl Conn, org: &OrgId, selector: &Selector) -> Result<Option<Vec<DeviceNo>>, Error> {
    let Some((few, _)) = ways(on, org, selector, (false, None)).await?.few else { return Ok(None) };
    let mut numbers: Vec<DeviceNo> = serde_json::from_str(few.numbers()).map_err(Error::corrupt)?;
    numbers.sort_unstable();
    Ok(Some(numbers))
}

/// What is left when one condition is known to hold.
fn without(parts: &[Selector], place: usize) -> Selector {
    let mut left = parts.to_vec();
    left.remove(place);
    Selector::All(left)
}

/// Whether it is about rows beside the device, so that asking each device again would cost as much as reading it. The index's answer is exact then.
fn stands_beside(part: &Selector) -> bool {
    matches!(part, Selector::Is(Field::Tag | Field::Attribute(_) | Field::Group, _))
}

/// At most so many, among which are all of one condition that must hold.
async fn of_part(on: &mut impl Conn, org: &OrgId, part: &Selector, most: usize) -> Result<Option<Few>, Error> {
    match part {
        Selector::Word(word) => named(on, org, word, most).await,
        Selector::Is(field, values) => {
            let mut all: Option<Few> = None;
            for value in values {
                let Some(found) = of_value(on, org, (field, value.as_str()), most).await? else { return Ok(None) };
                all = match all {
                    None => Some(found),
                    Some(before) => match before.and(&found, most)? {
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

async fn of_value(on: &mut impl Conn, org: &OrgId, (field, value): (&Field, &str), most: usize) -> Result<Option<Few>, Error> {
    if *field == Field::Id {
        return named(on, org, value, most).await;
    }
    if value.is_empty() || value.contains('*') {
        return Ok(None);
    }
    let (org, limit) = (org.as_str(), past(most));
    let found = match field {
        Field::Tag => row!(on, (String, i64), TAGGED, org, value, limit)?,
        Field::Attribute(name) => row!(on, (String, i64), ATTRIBUTED, org, name.as_str(), value, limit)?,
        Field::Group => row!(on, (String, i64), GROUPED, org, value, limit)?,
        Field::Version => row!(on, (String, i64), VERSION, org, value, limit)?,
        Field::Update => row!(on, (String, i64), UPDATE, org, value, limit)?,
        Field::Type => row!(on, (String, i64), TYPE, org, value, limit)?,
        Field::Hardware => row!(on, (String, i64), HARDWARE, org, value, limit)?,
        Field::State => row!(on, (String, i64), STATE, org, value, limit)?,
        Field::Online => row!(on, (String, i64), ONLINE, org, value == "yes", limit)?,
        // Whose certificate ended, or who never had one, no index knows: of each that is met it is asked.
        Field::Certificate if value == CertificateStanding::Revoked.as_str() => row!(on, (String, i64), CUT, org, limit)?,
        Field::Presence => row!(on, (String, i64), ONLINE, org, value == Presence::Online.as_str(), limit)?,
        _ => return Ok(None),
    };
    Ok(Few::of(found, most))
}

/// One more than so many, so that more are seen to be more.
fn past(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1)
}

/// Devices whose id has the word in it, or every piece of it between stars.
async fn named(on: &mut impl Conn, org: &OrgId, word: &str, most: usize) -> Result<Option<Few>, Error> {
    let word = word.to_lowercase();
    let pattern =
        if word.contains('*') { word.split('*').map(literal).collect::<Vec<_>>().join("%") } else { format!("%{}%", literal(&word)) };
    for pieces in questions(&word) {
        let found = row!(on, (String, i64), WORD, org.as_str(), pattern.as_str(), pieces, past(most))?;
        if let Some(found) = Few::of(found, most) {
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
        let few = |numbers: &str, count| Few::of(Some((numbers.to_owned(), count)), FEW);
        let some = |numbers, count| few(numbers, count).unwrap();
        let both = |one: &Few, other: &Few| one.and(other, FEW).unwrap();
        assert_eq!(both(&some("[1,3]", 2), &some("[2,3]", 2)), few("[1,2,3]", 3));
        assert_eq!(both(&some("[]", 0), &some("[3, 4]", 2)), few("[3,4]", 2));
        assert_eq!(both(&some("[]", 0), &some("[]", 0)), few("[]", 0));
        let many = serde_json::to_string(&(2..=FEW + 1).collect::<Vec<_>>()).unwrap();
        assert_eq!(Some(some("[3,20,1]", 3).by_number().unwrap()), few("[1,3,20]", 3));
        assert_eq!((few("[1]", past(FEW)), both(&some("[1]", 1), &some(&many, past(FEW) - 1))), (None, None));
    }

    #[test]
    fn the_order_is_walked_where_enough_of_them_are_near() {
        let reach = |few, meant, wanted| Spread { few, meant, fleet: 1_000_000 }.reach(wanted, false);
        assert_eq!((reach(10_000, 10_000, 51), reach(10_000, 5_100, 51)), (Some(10_200), Some(20_000)));
        // More are passed by than there are few.
        assert_eq!([reach(10_000, 5_099, 51), reach(7_000, 7_000, 51), reach(10_000, 0, 51)], [None; 3]);
        assert_eq!((reach(10_000, 10_000, 100), reach(10_000, 10_000, 101)), (Some(20_000), None));
        let smaller = |fleet| Spread { few: 10_000, meant: 10_000, fleet }.reach(51, true);
        assert_eq!((smaller(400_000), smaller(1_000_000)), (Some(4_080), None));
    }

    #[test]
    fn a_word_is_asked_for_by_its_ends_first() {
        assert_eq!(questions("ab"), [""; 0]);
        assert_eq!(questions("abc"), [r#""abc""#]);
        assert_eq!(questions("ab-0123"), [r#""b-0" AND "123""#, r#""ab-" AND "012""#, r#""ab-" AND "b-0" AND "-01" AND "012" AND "123""#]);
        assert_eq!(questions("x*a\"bc"), [r#""a""b" AND """bc""#]);
    }
}
