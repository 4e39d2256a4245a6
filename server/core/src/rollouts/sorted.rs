//! Pure: the devices of a list in another order than that in which they joined, and where its pages begin.
//!
//! Only whole lists for which at most [`MOST_SORTED`] devices are looked at are sorted, as they were read. No index has the rows of a large rollout in these
//! orders, and none is made: by state and by change each word of a device would have to be written to it as well, by id and by version those indexes are the
//! devices' own, for whom a rollout's part is one of a million. A stage is no help, because who is in it is known of each device that is looked at. What takes
//! that many is narrowed first: by how they fare, by how their updates ended, by a search for a few.
//!
//! [`MOST_SORTED`]: wire::rollouts::MOST_SORTED

use super::Error;
use crate::devices::DeviceNo;
use std::cmp::Ordering;
use wire::{
    rollouts::{UpdateRow, UpdateSort},
    selector::order_of,
    states::UpdateState,
};

/// What a device is sorted by; its number decides between equals.
type Key = (String, DeviceNo);

/// A page of the list in this order, behind this cursor, and the cursor of the next one. A cursor says where its page ended by what stood there, so it stays
/// good when that device has gone on.
pub(super) fn page(
    all: Vec<(DeviceNo, UpdateRow)>,
    sort: UpdateSort,
    cursor: Option<&str>,
    rows: usize,
) -> Result<(Vec<UpdateRow>, Option<String>), Error> {
    let behind = cursor.map(place).transpose()?;
    let order = |a: &Key, b: &Key| if sort.descends() { b.cmp(a) } else { a.cmp(b) };
    let mut keyed: Vec<(Key, UpdateRow)> = all.into_iter().map(|(device, row)| ((key(&row, sort), device), row)).collect();
    if let Some(behind) = &behind {
        keyed.retain(|(key, _)| order(key, behind) == Ordering::Greater);
    }
    keyed.sort_by(|(a, _), (b, _)| order(a, b));
    let more = keyed.len() > rows;
    keyed.truncate(rows);
    let next = keyed.last().filter(|_| more).map(|((key, device), _)| format!("{device}.{key}"));
    Ok((keyed.into_iter().map(|(_, row)| row).collect(), next))
}

fn place(cursor: &str) -> Result<Key, Error> {
    let (device, key) = cursor.split_once('.').ok_or_else(Error::not_a_cursor)?;
    Ok((key.to_owned(), device.parse().map_err(|_| Error::not_a_cursor())?))
}

/// What sorts as text.
fn key(row: &UpdateRow, sort: UpdateSort) -> String {
    use UpdateSort as S;
    match sort {
        S::Joined => String::new(),
        S::Device | S::DeviceDesc => row.device_id.as_str().to_lowercase(),
        S::State | S::StateDesc => format!("{:02}", UpdateState::ALL.iter().position(|state| *state == row.state).unwrap_or_default()),
        S::Version | S::VersionDesc => order_of(&row.from_version),
        S::Changed | S::ChangedDesc => format!("{:020}", row.updated_at.map_or(0, |at| at.0.max(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Timestamp;

    fn row(device: &str, state: UpdateState, from: &str, at: Option<i64>) -> UpdateRow {
        UpdateRow {
            id: None,
            device_id: device.parse().unwrap(),
            stage: 1,
            state,
            progress: None,
            from_version: from.into(),
            attempts: 1,
            code: String::new(),
            detail: String::new(),
            online: true,
            offered_at: None,
            updated_at: at.map(Timestamp),
            ended_at: None,
        }
    }

    fn all() -> Vec<(DeviceNo, UpdateRow)> {
        vec![
            (1, row("pump-9", UpdateState::Succeeded, "1.10.0", Some(9))),
            (2, row("Gate-2", UpdateState::Queued, "1.9.0", None)),
            (3, row("gate-1", UpdateState::Downloading, "1.9.0", Some(100))),
            (4, row("pump-1", UpdateState::Succeeded, "", Some(20))),
        ]
    }

    /// The whole list by pages of so many rows.
    fn walked(sort: UpdateSort, rows: usize) -> Vec<String> {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let (items, next) = page(all(), sort, cursor.as_deref(), rows).unwrap();
            seen.extend(items.into_iter().map(|row| row.device_id.to_string()));
            cursor = next;
            if cursor.is_none() {
                return seen;
            }
        }
    }

    #[test]
    fn every_order_holds_each_device_once_on_pages_of_any_size() {
        for sort in UpdateSort::ALL {
            let whole = walked(*sort, 10);
            assert_eq!(whole.len(), 4, "{sort}");
            for rows in 1..=4 {
                assert_eq!(walked(*sort, rows), whole, "{sort}, {rows} at once");
            }
        }
    }

    #[test]
    fn devices_are_sorted_by_what_people_see() {
        assert_eq!(walked(UpdateSort::Joined, 9), ["pump-9", "Gate-2", "gate-1", "pump-1"]);
        assert_eq!(walked(UpdateSort::Device, 9), ["gate-1", "Gate-2", "pump-1", "pump-9"]);
        assert_eq!(walked(UpdateSort::DeviceDesc, 9), ["pump-9", "pump-1", "Gate-2", "gate-1"]);
        assert_eq!(walked(UpdateSort::State, 9), ["Gate-2", "gate-1", "pump-9", "pump-1"]);
        assert_eq!(walked(UpdateSort::VersionDesc, 9)[0], "pump-9", "1.10 is newer than 1.9");
        assert_eq!(walked(UpdateSort::ChangedDesc, 9), ["gate-1", "pump-1", "pump-9", "Gate-2"]);
    }

    #[test]
    fn a_cursor_of_another_list_is_none_of_this_one() {
        for cursor in ["", "17", "x.1.0.0"] {
            assert!(page(all(), UpdateSort::Version, Some(cursor), 2).is_err(), "{cursor}");
        }
    }
}
