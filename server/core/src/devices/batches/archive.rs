//! Pure: what a batch gives back, as a zip archive.

use std::io::{self, Cursor, Seek, Write};
use wire::Timestamp;
use zip::{
    CompressionMethod, DateTime, ZipWriter,
    write::{SimpleFileOptions, StreamWriter},
};

/// An archive that grows, in memory unless it is written on.
pub(super) struct Archive<W: Write + Seek = Cursor<Vec<u8>>> {
    zip: ZipWriter<W>,
    options: SimpleFileOptions,
}

impl Archive {
    /// An empty one, whose files are from this instant.
    pub(super) fn new(at: Timestamp) -> Self {
        Self::with(ZipWriter::new(Cursor::default()), at)
    }

    /// The whole archive.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        Ok(self.zip.finish()?.into_inner())
    }
}

impl<W: Write> Archive<StreamWriter<W>> {
    /// An empty one that is written on as it grows.
    pub(super) fn onto(to: W, at: Timestamp) -> Self {
        Self::with(ZipWriter::new_stream(to), at)
    }

    /// Writes its end.
    pub(super) fn end(self) -> io::Result<W> {
        Ok(self.zip.finish()?.into_inner())
    }
}

impl<W: Write + Seek> Archive<W> {
    fn with(zip: ZipWriter<W>, at: Timestamp) -> Self {
        let at = time::OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)).ok();
        let at = at.and_then(|t| {
            let year = u16::try_from(t.year()).ok()?;
            DateTime::from_date_and_time(year, t.month().into(), t.day(), t.hour(), t.minute(), t.second()).ok()
        });
        // Certificates hardly become smaller, and a stored archive is read by anything.
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).unix_permissions(0o644);
        Self { zip, options: options.last_modified_time(at.unwrap_or_default()) }
    }

    /// Adds a file.
    pub(super) fn add(&mut self, name: &str, data: &[u8]) -> io::Result<()> {
        self.zip.start_file(name, self.options)?;
        self.zip.write_all(data)
    }
}
