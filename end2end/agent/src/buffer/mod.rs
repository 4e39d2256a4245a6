//! What the device measured and the server does not have on disk yet.
//!
//! Owns the folder `buffer/`: segment files with numbered records, bounded in size, and `stream.json`, which says how the records' numbers
//! become the sequence numbers of a stream (`wire::device`). Survives `kill -9` at any byte; a power cut costs at most what was not synced.
//! Refuses to know how and when frames travel.
//!
//! A stream's numbers have no gaps and are never used twice, so the server can tell a repetition from news. Where that cannot be kept (the
//! buffer was full and dropped its oldest records, a power cut took records that the server already has, the server lost some), the rest goes
//! out under a new stream, but only after the old stream's last word on what the server holds: [`Step::Turn`].

mod record;
mod segment;

use crate::files::Folder;
use record::Record;
use segment::{Cursor, Segment};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
};
use wire::device::{Sample, Samples};

/// Most bytes unless told otherwise.
pub const DEFAULT_BYTES: u64 = 64 << 20;

const STREAM: &str = "stream.json";

/// The stream that records are sent under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stream {
    /// Its name.
    name: String,
    /// Record number minus sequence number.
    base: u64,
    /// The last record there was when the buffer was opened, until the server is heard of again: nothing behind it can have been sent, even if
    /// the server holds such numbers from records that a power cut took.
    #[serde(default)]
    opened_at: Option<u64>,
}

/// What to do next on a connection.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Send this.
    Send(Samples),
    /// Nothing is waiting.
    Idle,
    /// What comes next is not the stream's next number. Once nothing is in flight any more, [`Buffer::turn`] and connect again.
    Turn,
}

/// Samples on disk, in order, each until it is acknowledged.
#[derive(Debug)]
pub struct Buffer {
    folder: Folder,
    most: u64,
    stream: Stream,
    segments: VecDeque<Segment>,
    /// Everything up to this number is on the server's disk.
    acked: u64,
    /// Everything up to this number was sent on this connection, or is known to the server.
    sent: u64,
    /// The highest number that the server may have seen.
    seen: u64,
    /// The server holds numbers of this stream that we have not given to what we hold now.
    taken: bool,
    cursor: Option<Cursor>,
    dropped: u64,
    unsynced: Vec<PathBuf>,
}

impl Buffer {
    /// Opens the buffer in `folder`, keeping at most `most` bytes (at least 64 KiB); `name` draws a name for a stream where a new one begins.
    pub fn open(folder: impl Into<PathBuf>, most: u64, name: impl FnOnce() -> String) -> io::Result<Self> {
        let folder = Folder::open(folder)?;
        let mut firsts: Vec<u64> = folder.names()?.iter().filter_map(|n| Segment::number(n)).collect();
        firsts.sort_unstable();
        let mut segments = firsts.iter().map(|&first| Segment::recover(folder.path(), first)).collect::<io::Result<VecDeque<_>>>()?;
        let kept = folder.read(STREAM)?.and_then(|bytes| serde_json::from_slice::<Stream>(&bytes).ok());
        let mut next = segments.back().map_or(1, |s| s.next);
        let mut stream = match kept {
            Some(stream) if !segments.is_empty() => stream,
            _ => Stream { name: name(), base: segments.front().map_or(next, |s| s.first) - 1, opened_at: None },
        };
        // Several starts without a word from the server count as one; another power cut may have taken more.
        let opened_at = stream.opened_at.unwrap_or(u64::MAX).min(next - 1).max(stream.base);
        stream.opened_at = Some(opened_at);
        folder.write(STREAM, &serde_json::to_vec(&stream)?)?;
        if segments.is_empty() || next <= stream.base {
            next = next.max(stream.base + 1);
            segments.push_back(Segment::create(folder.path(), next)?);
        }
        let first = segments.front().map_or(next, |s| s.first);
        let acked = (first - 1).max(stream.base);
        Ok(Self {
            folder,
            most: most.max(1 << 16),
            stream,
            segments,
            acked,
            sent: acked,
            seen: opened_at,
            taken: false,
            cursor: None,
            dropped: 0,
            unsynced: Vec::new(),
        })
    }

    /// The name of the stream that frames belong to now.
    pub fn stream(&self) -> &str {
        &self.stream.name
    }

    /// Records that the server does not hold yet.
    pub fn waiting(&self) -> u64 {
        self.last() - self.acked.min(self.last())
    }

    /// Records that were sent on this connection and are not acknowledged.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.acked.min(self.sent)
    }

    /// How many samples were given up since the buffer was opened, because there was no room for them.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Keeps samples; they count as dropped when they don't fit in a frame or the disk is full (which is the error).
    pub fn append(&mut self, samples: &[Sample]) -> io::Result<()> {
        let count = samples.len() as u64;
        let result = self.try_append(samples);
        if result.is_err() {
            self.dropped += count;
            // It may have read ahead into what was taken back.
            self.cursor = None;
        }
        result
    }

    fn try_append(&mut self, samples: &[Sample]) -> io::Result<()> {
        let number = self.last() + 1;
        let bytes = record::encode(number, samples)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "samples that no frame can carry"))?;
        let full = self.segments.back().is_some_and(|s| s.bytes > 0 && s.bytes + bytes.len() as u64 > self.segment_bytes());
        if full {
            self.roll()?;
        }
        while self.segments.len() > 1 && self.bytes() + bytes.len() as u64 > self.most {
            self.give_up_oldest()?;
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.append(&bytes, samples.len() as u64)?;
            if self.unsynced.last().is_none_or(|path| path != segment.path()) {
                self.unsynced.push(segment.path().to_owned());
            }
        }
        Ok(())
    }

    /// Begins a connection: the server holds the stream up to sequence number `acked`. Sending starts behind that.
    ///
    /// The server may hold less than was acknowledged (it was restored from a backup) or more than we know of (a power cut took the end of our
    /// buffer); then [`Buffer::step`] says [`Step::Turn`].
    pub fn welcome(&mut self, acked: u64) -> io::Result<()> {
        let held = self.stream.base.saturating_add(acked);
        self.taken = held > self.seen;
        self.sent = held.min(self.seen);
        self.cursor = None;
        self.forget(self.sent)?;
        if !self.taken && self.stream.opened_at.take().is_some() {
            self.keep_stream()?;
        }
        Ok(())
    }

    /// The next frame to send, at most once a connection.
    pub fn step(&mut self) -> io::Result<Step> {
        let number = self.sent + 1;
        if self.taken {
            return Ok(Step::Turn);
        }
        // A dropped or damaged record leaves a hole; an empty last segment begins where the next record will.
        let Some(segment) = self.segments.iter().find(|s| s.next > number) else { return Ok(Step::Idle) };
        if segment.first > number {
            return Ok(if segment.first == segment.next { Step::Idle } else { Step::Turn });
        }
        let mut cursor = match self.cursor.take() {
            Some(cursor) if cursor.segment == segment.first && cursor.next == number => cursor,
            _ => Cursor::before(segment, number)?,
        };
        let Record { number, samples, .. } = cursor.read(segment)?;
        // At the end the file is closed until there is more: an idle device holds no file open.
        self.cursor = (cursor.next < segment.next).then_some(cursor);
        self.sent = number;
        self.seen = self.seen.max(number);
        Ok(Step::Send(Samples { seq: number - self.stream.base, samples }))
    }

    /// The server has everything up to sequence number `seq` on disk. A number that was never sent is taken for the last one that was.
    pub fn ack(&mut self, seq: u64) -> io::Result<()> {
        self.forget(self.stream.base.saturating_add(seq).min(self.sent))
    }

    /// Goes on under a new stream, behind the hole. Only when nothing is in flight: what the server may hold without our knowing would arrive
    /// a second time under the new name.
    pub fn turn(&mut self, name: String) -> io::Result<()> {
        let beyond = self.segments.iter().find(|s| s.next > self.sent + 1 && s.next > s.first);
        let base = beyond.map_or(self.sent, |s| self.sent.max(s.first - 1));
        self.stream = Stream { name, base, opened_at: None };
        self.keep_stream()?;
        (self.taken, self.sent, self.seen, self.cursor) = (false, base, base, None);
        self.forget(base)
    }

    /// The files with writes that are not synced yet, to be synced by the caller where blocking does no harm. One may be gone by then.
    pub fn unsynced(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.unsynced)
    }

    /// Where the buffer is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Drops what is on the server's disk: whole segments, and the last one where it has grown.
    fn forget(&mut self, number: u64) -> io::Result<()> {
        self.acked = self.acked.max(number);
        while self.segments.len() > 1 && self.segments.front().is_some_and(|s| s.next <= self.acked + 1) {
            if let Some(segment) = self.segments.pop_front() {
                segment.remove()?;
            }
        }
        if let Some(only) = self.segments.back()
            && self.segments.len() == 1
            && only.next <= self.acked + 1
            && only.bytes > self.segment_bytes() / 4
        {
            self.roll()?;
            if let Some(segment) = self.segments.pop_front() {
                segment.remove()?;
            }
        }
        Ok(())
    }

    fn keep_stream(&self) -> io::Result<()> {
        self.folder.write(STREAM, &serde_json::to_vec(&self.stream)?)
    }

    fn give_up_oldest(&mut self) -> io::Result<()> {
        if let Some(segment) = self.segments.pop_front() {
            let records = (segment.next - segment.first).max(1);
            let lost = segment.next.saturating_sub(segment.first.max(self.acked + 1));
            // Exact where nothing of the segment was acknowledged; a share of its samples otherwise.
            self.dropped += segment.samples * lost / records;
            segment.remove()?;
        }
        Ok(())
    }

    fn roll(&mut self) -> io::Result<()> {
        let next = self.last() + 1;
        self.segments.push_back(Segment::create(self.folder.path(), next)?);
        self.folder.sync()
    }

    fn last(&self) -> u64 {
        self.segments.back().map_or(self.acked, |s| s.next - 1)
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum()
    }

    fn segment_bytes(&self) -> u64 {
        (self.most / 16).clamp(1 << 12, 4 << 20)
    }
}

#[cfg(test)]
mod tests;
