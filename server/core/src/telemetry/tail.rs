//! The log's unfolded tail in memory: what was acknowledged is readable at once. Rebuilt from the log when the room opens, and compared with
//! it where other instances write, too. Knows which rows are in the round that is being folded.

use super::{Point, batch, store};
use crate::db::{Db, EngineKind, Error};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// How often the log is looked into again when folding went on meanwhile. It never goes on so often.
const LOOKS: u32 = 1_000;

/// A device's samples of one log row, in the order they were received.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// The log row.
    pub row: i64,
    /// The samples.
    pub points: Arc<[Point]>,
}

/// The tail. Cheap to share behind an [`Arc`].
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    generation: i64,
    /// Rows held, and whether each is in the round under way.
    rows: HashMap<i64, bool>,
    devices: BTreeMap<i64, Vec<Segment>>,
    samples: usize,
}

/// What the log said at one instant: the generation, how far its round is folded, which rows it has and whether each is in the round, and those
/// rows that were not held.
#[derive(Debug)]
pub(super) struct Look {
    generation: i64,
    cursor: i64,
    before: HashSet<i64>,
    there: HashMap<i64, bool>,
    read: Vec<(i64, bool, batch::Devices)>,
    damaged: Vec<i64>,
}

impl Inner {
    fn add(&mut self, row: i64, round: bool, device: i64, points: Arc<[Point]>) {
        debug_assert!(self.rows.get(&row).is_none_or(|r| *r == round));
        self.samples += points.len();
        self.devices.entry(device).or_default().push(Segment { row, points });
    }
    /// Keeps the segments that `keep` wants.
    fn retain(&mut self, keep: impl Fn(i64, &Segment) -> bool) {
        let mut samples = 0;
        self.devices.retain(|device, segments| {
            segments.retain(|s| keep(*device, s));
            samples += segments.iter().map(|s| s.points.len()).sum::<usize>();
            !segments.is_empty()
        });
        self.samples = samples;
    }
}

impl Tail {
    /// Adds a row that was just committed here.
    pub fn committed(&self, row: i64, devices: impl Iterator<Item = (i64, Arc<[Point]>)>) {
        let mut inner = self.0.lock();
        // A round that began between the commit and now has read the row from the log already.
        if inner.rows.contains_key(&row) {
            return;
        }
        inner.rows.insert(row, false);
        for (device, points) in devices {
            inner.add(row, false, device, points);
        }
    }

    /// How many samples wait to be folded.
    pub fn samples(&self) -> usize {
        self.0.lock().samples
    }

    /// A device's unfolded samples in the order of the log, and the generation they belong to.
    pub fn of(&self, device: i64) -> (i64, Vec<Segment>) {
        let inner = self.0.lock();
        let mut segments = inner.devices.get(&device).cloned().unwrap_or_default();
        segments.sort_by_key(|s| s.row);
        (inner.generation, segments)
    }

    /// The unfolded samples of some devices from `from` on and before `to`, and the generation they belong to.
    pub fn between(&self, devices: &[i64], from: i64, to: i64) -> (i64, Vec<(i64, Point)>) {
        let inner = self.0.lock();
        let mut out = Vec::new();
        for device in devices {
            for segment in inner.devices.get(device).into_iter().flatten() {
                out.extend(segment.points.iter().filter(|p| (from..to).contains(&p.t)).map(|p| (*device, *p)));
            }
        }
        (inner.generation, out)
    }

    /// The next devices behind `cursor` with samples in the round under way, until they have `enough` samples; none when the tail is of another
    /// `generation`. What is said to be no more in the round is deleted from the log, so this must not be guessed.
    pub fn in_round(&self, generation: i64, cursor: i64, enough: usize) -> Option<Vec<(i64, Vec<Segment>)>> {
        let inner = self.0.lock();
        if inner.generation != generation {
            return None;
        }
        let mut out = Vec::new();
        let mut samples = 0;
        for (device, segments) in inner.devices.range(cursor.saturating_add(1)..) {
            let mut mine: Vec<_> = segments.iter().filter(|s| inner.rows.get(&s.row) == Some(&true)).cloned().collect();
            if mine.is_empty() {
                continue;
            }
            mine.sort_by_key(|s| s.row);
            samples += mine.iter().map(|s| s.points.len()).sum::<usize>();
            out.push((*device, mine));
            if samples >= enough {
                break;
            }
        }
        Some(out)
    }

    /// The generation, and whether a round is under way in it.
    pub fn round(&self) -> (i64, bool) {
        let inner = self.0.lock();
        (inner.generation, inner.rows.values().any(|r| *r))
    }

    /// The devices up to `cursor` were folded into chunks with the step to `generation`.
    pub fn folded(&self, cursor: i64, generation: i64) {
        let mut inner = self.0.lock();
        // A look into the log has told it already, and perhaps of another round.
        if inner.generation >= generation {
            return;
        }
        let rows = std::mem::take(&mut inner.rows);
        inner.retain(|device, s| device > cursor || rows.get(&s.row) != Some(&true));
        inner.rows = rows;
        inner.generation = generation;
    }

    /// The round's rows are gone from the log.
    pub fn round_ended(&self, generation: i64) {
        let mut inner = self.0.lock();
        if inner.generation >= generation {
            return;
        }
        let rows = std::mem::take(&mut inner.rows);
        inner.retain(|_, s| rows.get(&s.row) != Some(&true));
        inner.rows = rows.into_iter().filter(|(_, round)| !round).collect();
        inner.generation = generation;
    }

    /// Makes the tail equal to the log: reads rows that aren't held, drops what has been folded. Returns rows that can't be read.
    pub async fn catch_up(&self, db: &Db) -> Result<Vec<i64>, Error> {
        for _ in 0..LOOKS {
            if let Some(damaged) = self.take(self.look(db).await?) {
                return Ok(damaged);
            }
        }
        Err(Error::corrupt("the folding generation went back: the database is another one than this server began on; restart it"))
    }

    /// Looks into the log, and changes nothing.
    pub async fn look(&self, db: &Db) -> Result<Look, Error> {
        let before: HashSet<i64> = self.0.lock().rows.keys().copied().collect();
        let mut on = db.read().await?;
        let found = store::log_rows(&mut on).await?;
        let Some((generation, cursor)) = found.first().map(|r| (r.generation, r.cursor)) else {
            return Err(Error::corrupt("the folding row is gone"));
        };
        let there: HashMap<i64, bool> = found.iter().filter_map(|r| Some((r.id?, r.round? == 1))).collect();
        let mut missing: Vec<_> = there.iter().filter(|(id, _)| !before.contains(id)).map(|(id, round)| (*id, *round)).collect();
        missing.sort_unstable();
        let (mut read, mut damaged) = (Vec::new(), Vec::new());
        for (id, round) in missing {
            // Gone between the two reads: it was folded, and the generation says so to whoever compares it.
            let Some(blob) = store::log_row(&mut on, id).await? else { continue };
            match batch::read(&blob) {
                Ok(devices) => read.push((id, round, devices)),
                Err(e) => {
                    tracing::error!(row = id, error = %e, "a row of the sample log is damaged; it is set aside");
                    damaged.push(id);
                }
            }
        }
        Ok(Look { generation, cursor, before, there, read, damaged })
    }

    /// Makes the tail equal to what was seen, and gives the rows that can't be read; none, and nothing changes, when folding has gone on since:
    /// the marks of an earlier round would let rows of this one be deleted that nobody has folded.
    pub fn take(&self, look: Look) -> Option<Vec<i64>> {
        let Look { generation, cursor, before, there, read, damaged } = look;
        let mut inner = self.0.lock();
        if generation < inner.generation {
            return None;
        }
        for (id, round, devices) in read {
            if inner.rows.insert(id, round).is_none() {
                for (device, points) in devices {
                    inner.add(id, round, device, points.into());
                }
            }
        }
        // Rows that came after the look into the log stay; those that were seen before and are gone now were folded.
        let mut rows = std::mem::take(&mut inner.rows);
        rows.retain(|id, round| {
            *round = there.get(id).copied().unwrap_or(*round);
            there.contains_key(id) || !before.contains(id)
        });
        inner.retain(|device, s| rows.get(&s.row).is_some_and(|round| !round || device > cursor));
        inner.rows = rows;
        inner.generation = generation;
        Some(damaged)
    }

    /// Whether somebody else may write the log, so that reads must catch up first.
    pub fn shared(db: &Db) -> bool {
        db.kind() == EngineKind::Postgres
    }
}
