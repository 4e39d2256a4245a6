//! Pure: how many rows signs of attack make. Of one kind from one source one at once, and then one that says how many came in between: after a minute,
//! after two, and so on up to an hour, as long as it goes on. Of one kind at most [`ROOM`] a minute, whatever there are of sources. Whoever writes the
//! first ones of a minute by itself has the others held, apart from those that it counts apart: they are in one row after the minute, and so on. Everything
//! that is seen is in some row's count, or in the count of what was dropped.

use super::{Kind, Sign};
use crate::source::Source;
use std::collections::{HashMap, VecDeque};
use wire::Timestamp;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// Rows of one kind in a minute.
pub(super) const ROOM: u32 = 10;
/// Sources that are told apart at once.
pub(super) const SOURCES: usize = 4096;
/// Rows that wait for the database.
pub(super) const WAITING: usize = 256;

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The last of those that it counts.
    pub sign: Sign,
    /// How many from this source.
    pub times: u64,
    /// How many of the kind from sources that got no row of their own.
    pub others: u64,
}

/// What is told of as one: a kind from a source, and what the teller counts apart beside that; nothing for most.
type Key = (Kind, Source, String);

#[derive(Debug)]
struct Window {
    began: Timestamp,
    long: i64,
    /// How many have come since it began, and the last of them.
    held: u64,
    last: Option<Sign>,
}

/// What was seen and not written yet, and what may be written.
#[derive(Debug, Default)]
pub(super) struct Books {
    windows: HashMap<Key, Window>,
    /// When the minute of each kind began, and the rows in it.
    minutes: HashMap<Kind, (Timestamp, u32)>,
    /// Of sources without a row.
    unsaid: HashMap<Kind, u64>,
    rows: VecDeque<Row>,
    /// How many are in no row.
    pub dropped: u64,
}

impl Books {
    /// Takes one in that was seen so many times; says whether there is a row to write at once.
    pub fn see(&mut self, sign: Sign, times: u64, now: Timestamp) -> bool {
        let key = (sign.kind, Source::of(&sign.from), String::new());
        if let Some(window) = self.windows.get_mut(&key) {
            window.held += times;
            window.last = Some(sign);
            return false;
        }
        if self.windows.len() >= SOURCES || !self.room(sign.kind, now) {
            *self.unsaid.entry(sign.kind).or_default() += times;
            return false;
        }
        self.windows.insert(key, Window { began: now, long: MINUTE, held: 0, last: None });
        self.push(sign, times)
    }

    /// Takes one in that gets no row at once, because its teller has written enough of them: it is in the count of the row that is due after the minute.
    pub fn hold(&mut self, sign: Sign, apart: String, now: Timestamp) {
        let key = (sign.kind, Source::of(&sign.from), apart);
        if let Some(window) = self.windows.get_mut(&key) {
            window.held += 1;
            window.last = Some(sign);
        } else if self.windows.len() >= SOURCES {
            *self.unsaid.entry(sign.kind).or_default() += 1;
        } else {
            self.windows.insert(key, Window { began: now, long: MINUTE, held: 1, last: Some(sign) });
        }
    }

    /// The rows that are to be written by now; they are the caller's from then on.
    pub fn due(&mut self, now: Timestamp) -> Vec<Row> {
        let over = |window: &Window| now.since(window.began).abs() >= window.long;
        let ended: Vec<_> = self.windows.iter().filter(|(_, window)| over(window)).map(|(key, _)| key.clone()).collect();
        for key in ended {
            let Some(window) = self.windows.remove(&key) else { continue };
            // A quiet one is forgotten.
            let Some(last) = window.last else { continue };
            if self.room(key.0, now) {
                self.windows.insert(key, Window { began: now, long: (window.long * 2).min(HOUR), held: 0, last: None });
                self.push(last, window.held);
            } else {
                *self.unsaid.entry(key.0).or_default() += window.held;
            }
        }
        let unsaid: Vec<Kind> = self.unsaid.keys().copied().collect();
        for kind in unsaid {
            if self.room(kind, now) {
                let many = Sign { kind, org: None, from: String::new(), object: kind.code().to_owned(), detail: serde_json::Map::new() };
                self.push(many, 0);
            }
        }
        self.rows.drain(..).collect()
    }

    /// Takes rows back that could not be written.
    pub fn put_back(&mut self, rows: Vec<Row>) {
        for row in rows.into_iter().rev() {
            if self.rows.len() < WAITING {
                self.rows.push_front(row);
            } else {
                self.dropped += row.times + row.others;
            }
        }
    }

    /// Takes a place of this minute, if there is one.
    fn room(&mut self, kind: Kind, now: Timestamp) -> bool {
        let minute = self.minutes.entry(kind).or_insert((now, 0));
        if now.since(minute.0).abs() >= MINUTE {
            *minute = (now, 0);
        }
        let room = minute.1 < ROOM;
        minute.1 += u32::from(room);
        room
    }

    fn push(&mut self, sign: Sign, times: u64) -> bool {
        let others = self.unsaid.remove(&sign.kind).unwrap_or_default();
        let fits = self.rows.len() < WAITING;
        if fits {
            self.rows.push_back(Row { sign, times, others });
        } else {
            self.dropped += times + others;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sign(kind: Kind, from: &str) -> Sign {
        Sign { kind, org: None, from: from.into(), object: "x".into(), detail: serde_json::Map::new() }
    }

    const REVOKED: Kind = Kind::RevokedCertificate;

    #[test]
    fn one_source_makes_a_row_at_once_and_then_ever_fewer() {
        let mut books = Books::default();
        let mut rows = Vec::new();
        // One a second for a day.
        for second in 0..86_400 {
            let now = Timestamp(second * 1000);
            books.see(sign(REVOKED, "192.0.2.1"), 1, now);
            rows.extend(books.due(now).into_iter().map(|row| (second, row.times)));
        }
        assert_eq!(rows[..4], [(0, 1), (60, 60), (180, 120), (420, 240)]);
        assert!(rows.len() < 32, "{rows:?}");
        // After an hour of silence it is new.
        let later = Timestamp(90_000_000);
        assert!(books.due(later).iter().all(|row| row.times > 0));
        assert!(books.due(later.plus(HOUR)).is_empty());
        assert!(books.see(sign(REVOKED, "192.0.2.1"), 1, later.plus(HOUR)));
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_another_kind_is_another_row() {
        let mut books = Books::default();
        let now = Timestamp(0);
        for (kind, from, row) in [
            (REVOKED, "2001:db8:1:2::1", true),
            (REVOKED, "2001:db8:1:2:ffff::9", false),
            (REVOKED, "2001:db8:1:3::1", true),
            (REVOKED, "::ffff:192.0.2.1", true),
            (REVOKED, "192.0.2.1", false),
            (Kind::NeverIssued, "192.0.2.1", true),
            (REVOKED, "", true),
            (REVOKED, "nowhere", false),
        ] {
            assert_eq!(books.see(sign(kind, from), 1, now), row, "{from}");
        }
    }

    #[test]
    fn a_flood_from_everywhere_makes_few_rows_and_hides_no_other_kind() {
        let mut books = Books::default();
        let mut rows = Vec::new();
        for n in 0_u32..20_000 {
            // Ten minutes.
            let now = Timestamp(i64::from(n) * 30);
            books.see(sign(REVOKED, &std::net::Ipv4Addr::from(n).to_string()), 1, now);
            rows.extend(books.due(now));
        }
        assert!(rows.len() <= 11 * ROOM as usize, "{}", rows.len());
        assert!(books.windows.len() <= SOURCES);
        assert!(books.see(sign(Kind::NeverIssued, "192.0.2.1"), 1, Timestamp(600_000)));
        rows.extend(books.due(Timestamp(900_000)));
        let counted: u64 = rows.iter().filter(|row| row.sign.kind == REVOKED).map(|row| row.times + row.others).sum();
        assert_eq!(counted, 20_000, "every one of them is in a row's count");
    }

    #[test]
    fn what_its_teller_does_not_write_is_counted_after_the_minute_and_apart() {
        let mut books = Books::default();
        let hold =
            |books: &mut Books, apart: &str, now| books.hold(sign(Kind::RefusedByToken, "192.0.2.1"), apart.to_owned(), Timestamp(now));
        for n in 0..90 {
            hold(&mut books, "one", n);
        }
        hold(&mut books, "other", 90);
        assert!(books.due(Timestamp(MINUTE - 1)).is_empty(), "its teller has written the first ones");
        let counts = |rows: Vec<Row>| {
            let mut all: Vec<_> = rows.into_iter().map(|row| row.times).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(counts(books.due(Timestamp(MINUTE + 90))), [1, 90]);
        // It goes on: after two minutes.
        hold(&mut books, "one", MINUTE + 100);
        assert!(books.due(Timestamp(2 * MINUTE + 100)).is_empty());
        assert_eq!(counts(books.due(Timestamp(4 * MINUTE))), [1]);
        // Beyond all bounds they are counted still.
        for n in 0..=SOURCES {
            hold(&mut books, &n.to_string(), HOUR);
        }
        assert_eq!(books.windows.len(), SOURCES);
        let mut rows = books.due(Timestamp(HOUR));
        for minutes in 1..=3 {
            rows.extend(books.due(Timestamp(HOUR + minutes * MINUTE)));
        }
        assert_eq!(rows.iter().map(|row| row.times + row.others).sum::<u64>(), SOURCES as u64 + 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_kind_has_more_rows_than_it_may(seen in prop::collection::vec((0..3_usize, 0..40_u8, 0..30_000_i64, any::<bool>()), 1..400)) {
            let mut books = Books::default();
            let (mut now, mut rows, mut minute) = (Timestamp(0), Vec::new(), HashMap::<(Kind, i64), u32>::new());
            for (kind, from, pause, fails) in &seen {
                now = now.plus(*pause);
                books.see(sign(Kind::ALL[*kind], &format!("192.0.2.{from}")), 1, now);
                let due = books.due(now);
                if *fails {
                    books.put_back(due);
                } else {
                    rows.extend(due);
                }
            }
            for _ in 0..2 {
                now = now.plus(2 * HOUR);
                rows.extend(books.due(now));
            }
            let counted: u64 = rows.iter().map(|row| row.times + row.others).sum();
            prop_assert_eq!(counted + books.dropped, seen.len() as u64);
            for (kind, (began, n)) in &books.minutes {
                *minute.entry((*kind, began.0)).or_default() += n;
            }
            prop_assert!(minute.values().all(|n| *n <= ROOM));
        }
    }
}
