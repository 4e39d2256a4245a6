//! Whom an order about many devices is about: those that are named, or those that a selector means. Owns what names mean, and that nobody else is meant than
//! whoever orders has seen. Refuses to know what is ordered.

use super::{DeviceNo, Devices, Error, Selector, filter::Asked, listing::base};
use crate::db::{Conn, Sql, Tx, Value, list, many, rows, select};
use serde::Serialize;
use std::collections::HashMap;
use wire::{
    ids::{DeviceId, OrgId},
    page::MAX_ROWS,
    states::DeviceState,
};

/// Most devices that one order is about.
pub const MOST_AT_ONCE: i64 = 10_000;

const NUMBERS: Sql = many!(
    "SELECT d.device_id_lower, d.number, d.state FROM (SELECT ",
    [text org, text lower],
    ") AS w JOIN devices d ON d.org_id = w.org AND d.device_id_lower = w.lower WHERE d.deleted_at IS NULL"
);

pub(crate) const ALL: &[&Sql] = &[&NUMBERS];

#[derive(Serialize)]
struct Called<'a> {
    org: &'a str,
    lower: String,
}

/// How many devices an order takes by name.
#[derive(Debug, Clone, Copy)]
pub(super) enum ByName {
    /// As many as a page of a list has.
    Page,
    /// As many as any order is about.
    All,
}

impl ByName {
    fn most(self) -> i64 {
        match self {
            Self::Page => i64::from(MAX_ROWS),
            Self::All => MOST_AT_ONCE,
        }
    }

    /// What is said to whoever names more.
    fn refusal(self) -> String {
        match self {
            Self::Page => format!("At most {MAX_ROWS} devices are named at once. Give a selector for more."),
            Self::All => format!("At most {} devices are changed at once. Name fewer.", most_at_once()),
        }
    }
}

/// [`MOST_AT_ONCE`] for people.
fn most_at_once() -> String {
    format!("{},{:03}", MOST_AT_ONCE / 1000, MOST_AT_ONCE % 1000)
}

/// Whom an order is about.
pub(super) enum Whom<'a> {
    /// The devices of these names; never none.
    Named(&'a [DeviceId]),
    /// Those that match.
    Meant(Selector, Asked),
}

/// What the audit log says an order was about.
pub(super) fn about(q: &str, named: &[DeviceId]) -> String {
    match named {
        [] if q.trim().is_empty() => "every device".to_owned(),
        [] => q.to_owned(),
        [one] => one.to_string(),
        some => format!("{} devices by name", some.len()),
    }
}

impl Devices {
    /// Who is meant: the devices that are named, at most so many, or those that the selector means where none is.
    pub(super) async fn whom<'a>(&self, org: &OrgId, q: &str, named: &'a [DeviceId], by_name: ByName) -> Result<Whom<'a>, Error> {
        if named.is_empty() {
            let selector = Selector::parse(q).map_err(Error::Selector)?;
            let asked = self.asked(org, &selector).await?;
            return Ok(Whom::Meant(selector, asked));
        }
        if !q.trim().is_empty() {
            return Err(Error::invalid("devices", "Name devices or give a selector, not both."));
        }
        if i64::try_from(named.len()).unwrap_or(i64::MAX) > by_name.most() {
            return Err(Error::invalid("devices", by_name.refusal()));
        }
        Ok(Whom::Named(named))
    }

    /// Refuses names that no device has, and says which; whoever orders looks again. A name that is said twice is one device.
    pub(super) async fn all_known(&self, org: &OrgId, whom: &Whom<'_>) -> Result<(), Error> {
        let Whom::Named(named) = whom else { return Ok(()) };
        let called = called(org, named);
        let there = numbered(&mut self.db.read().await?, &called).await?;
        let unknown = named.iter().zip(&called).filter(|(_, Called { lower, .. })| !there.contains_key(lower));
        let unknown: Vec<&str> = unknown.map(|(id, _)| id.as_str()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Error::invalid("devices", format!("There is no device {}. Nothing was changed.", unknown.join(", "))))
    }

    /// The devices that an order is about now, by number: exactly so many as were expected, at most [`MOST_AT_ONCE`]. Where they are not so many, lists of
    /// what a selector means are counted anew, however lately they were: whoever is refused looks again. Decommissioned ones are only found by a selector
    /// that asks for states.
    pub(super) async fn found(&self, tx: &mut Tx, org: &OrgId, whom: &Whom<'_>, expected: i64) -> Result<Vec<DeviceNo>, Error> {
        let found = match whom {
            Whom::Named(named) => {
                let there = numbered(tx, &called(org, named)).await?;
                let there = there.into_values().filter(|(_, state)| *state != DeviceState::Decommissioned);
                let mut numbers: Vec<DeviceNo> = there.map(|(number, _)| number).collect();
                numbers.sort_unstable();
                numbers
            }
            Whom::Meant(selector, asked) => {
                let filter = base(org, selector, asked);
                let text =
                    format!("SELECT d.number FROM {} WHERE {} ORDER BY d.number LIMIT {}", filter.from, filter.text, MOST_AT_ONCE + 1);
                let found: Vec<(i64,)> = select(&mut *tx, text, &filter.values).await?;
                found.into_iter().map(|(device,)| device).collect()
            }
        };
        let devices = i64::try_from(found.len()).unwrap_or(i64::MAX);
        if devices > MOST_AT_ONCE {
            let text = format!("More than {} devices match, and no more are changed at once. Narrow the filter.", most_at_once());
            return Err(Error::invalid("q", text));
        }
        self.as_expected(org, whom, (expected, devices))?;
        Ok(found)
    }

    /// Refuses an order that finds other devices than so many as were expected; lists of what a selector means are then counted anew.
    pub(super) fn as_expected(&self, org: &OrgId, whom: &Whom<'_>, (expected, found): (i64, i64)) -> Result<(), Error> {
        if found == expected {
            return Ok(());
        }
        if let Whom::Meant(selector, _) = whom {
            self.totals.forget(&(org.clone(), selector.to_string()));
        }
        Err(Error::OtherCount { expected, found })
    }

    /// The next of the devices that an order is about, so many at most, by their numbers from the one behind `after` on; for orders that may be about the
    /// whole fleet. Decommissioned ones are only found by a selector that asks for states.
    pub(super) async fn next_of(
        &self,
        org: &OrgId,
        whom: &Whom<'_>,
        (after, most): (DeviceNo, usize),
    ) -> Result<Vec<(DeviceNo, DeviceState)>, Error> {
        let mut on = self.db.read().await?;
        match whom {
            Whom::Named(named) => {
                let there = numbered(&mut on, &called(org, named)).await?;
                let behind = there.into_values().filter(|(number, state)| *number > after && *state != DeviceState::Decommissioned);
                let mut found: Vec<_> = behind.collect();
                found.sort_unstable_by_key(|(number, _)| *number);
                found.truncate(most);
                Ok(found)
            }
            Whom::Meant(selector, asked) => {
                let mut filter = base(org, selector, asked);
                let after = filter.bind(Value::Int(after));
                let text = format!(
                    "SELECT d.number, d.state FROM {} WHERE {} AND d.number > {after} ORDER BY d.number LIMIT {most}",
                    filter.from, filter.text
                );
                let found: Vec<(i64, String)> = select(&mut on, text, &filter.values).await?;
                let mut known = Vec::with_capacity(found.len());
                for (number, state) in found {
                    known.push((number, state.parse::<DeviceState>().map_err(crate::db::Error::corrupt)?));
                }
                Ok(known)
            }
        }
    }
}

/// The devices of these names, by number and whatever their state; each of them is there, or none is meant.
pub(super) async fn each(tx: &mut Tx, org: &OrgId, named: &[DeviceId]) -> Result<Vec<DeviceNo>, Error> {
    let called = called(org, named);
    let there = numbered(tx, &called).await?;
    let mut numbers = Vec::with_capacity(named.len());
    for (id, Called { lower, .. }) in named.iter().zip(&called) {
        let number = there.get(lower).map(|(number, _)| *number);
        numbers.push(number.ok_or_else(|| Error::invalid("devices", format!("There is no device {id}. Nothing was changed.")))?);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

fn called<'a>(org: &'a OrgId, named: &[DeviceId]) -> Vec<Called<'a>> {
    named.iter().map(|id| Called { org: org.as_str(), lower: id.as_str().to_lowercase() }).collect()
}

/// Who has these names, by name in lower case.
async fn numbered(on: &mut impl Conn, called: &[Called<'_>]) -> Result<HashMap<String, (DeviceNo, DeviceState)>, Error> {
    let found = rows!(on, (String, i64, String), NUMBERS, list(called)?)?;
    let mut there = HashMap::with_capacity(found.len());
    for (lower, number, state) in found {
        let state: DeviceState = state.parse().map_err(crate::db::Error::corrupt)?;
        there.insert(lower, (number, state));
    }
    Ok(there)
}
