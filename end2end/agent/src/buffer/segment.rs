//! One file of the buffer: records with consecutive numbers, written only at its end.

use super::record::{self, HEAD, Record};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// What is known of a file without reading it again.
#[derive(Debug, Clone)]
pub struct Segment {
    path: PathBuf,
    /// Number of its first record, whether that is written yet or not.
    pub first: u64,
    /// Number of the record that would be written next.
    pub next: u64,
    /// Bytes of whole records.
    pub bytes: u64,
    /// How many samples they hold.
    pub samples: u64,
}

impl Segment {
    /// The name of the file whose first record has this number; names sort like numbers.
    fn name(first: u64) -> String {
        format!("{first:020}.log")
    }

    /// The number in a file's name.
    pub fn number(name: &str) -> Option<u64> {
        name.strip_suffix(".log").filter(|n| n.len() == 20).and_then(|n| n.parse().ok())
    }

    /// Makes an empty file.
    pub fn create(folder: &Path, first: u64) -> io::Result<Self> {
        let path = folder.join(Self::name(first));
        OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path)?;
        Ok(Self { path, first, next: first, bytes: 0, samples: 0 })
    }

    /// Reads through a file and cuts off whatever is not a whole record with the expected number: a write that a crash tore, or damage.
    pub fn recover(folder: &Path, first: u64) -> io::Result<Self> {
        let path = folder.join(Self::name(first));
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let written = file.metadata()?.len();
        let mut segment = Self { path, first, next: first, bytes: 0, samples: 0 };
        let mut reader = BufReader::with_capacity(1 << 16, &file);
        let mut json = Vec::new();
        while let Some(head) = read(&mut reader, &mut json)? {
            if head.number != segment.next {
                break;
            }
            segment.next += 1;
            segment.bytes += (HEAD + head.length) as u64;
            segment.samples += u64::from(head.samples);
        }
        if segment.bytes < written {
            file.set_len(segment.bytes)?;
            file.sync_all()?;
        }
        Ok(segment)
    }

    /// Writes a record at the end. After an error (a full disk) the file is as it was before.
    pub fn append(&mut self, bytes: &[u8], samples: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        if let Err(e) = file.write_all_at(bytes, self.bytes) {
            file.set_len(self.bytes)?;
            return Err(e);
        }
        self.next += 1;
        self.bytes += bytes.len() as u64;
        self.samples += samples;
        Ok(())
    }

    /// Its file, to be synced elsewhere.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes the file.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

/// A place in a segment, for reading record after record.
#[derive(Debug)]
pub struct Cursor {
    reader: BufReader<File>,
    /// First number of the segment it reads.
    pub segment: u64,
    /// Number of the record it stands before.
    pub next: u64,
}

impl Cursor {
    /// Stands before the record `number` of the segment, which must hold it.
    pub fn before(segment: &Segment, number: u64) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(1 << 13, File::open(&segment.path)?);
        let mut start = [0; HEAD];
        for _ in segment.first..number {
            reader.read_exact(&mut start)?;
            let head = record::head(&start).ok_or_else(|| damaged(&segment.path))?;
            reader.seek_relative(i64::try_from(head.length).unwrap_or(i64::MAX))?;
        }
        Ok(Self { reader, segment: segment.first, next: number })
    }

    /// The next record. The caller knows that there is one.
    pub fn read(&mut self, segment: &Segment) -> io::Result<Record> {
        let mut json = Vec::new();
        let head = read(&mut self.reader, &mut json)?.filter(|h| h.number == self.next).ok_or_else(|| damaged(&segment.path))?;
        self.next += 1;
        let samples = serde_json::from_slice(&json)?;
        Ok(Record { number: head.number, samples, length: HEAD + head.length })
    }
}

/// Reads one record into `json`; none where no whole and intact one follows.
fn read(reader: &mut impl io::Read, json: &mut Vec<u8>) -> io::Result<Option<record::Head>> {
    let mut start = [0; HEAD];
    let torn = |e: io::Error| if e.kind() == io::ErrorKind::UnexpectedEof { Ok(None) } else { Err(e) };
    if let Err(e) = reader.read_exact(&mut start) {
        return torn(e);
    }
    let Some(head) = record::head(&start) else { return Ok(None) };
    json.resize(head.length, 0);
    if let Err(e) = reader.read_exact(json) {
        return torn(e);
    }
    Ok(record::intact(&start, head, json).then_some(head))
}

fn damaged(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} changed under us", path.display()))
}
