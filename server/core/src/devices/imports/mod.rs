//! Import: devices of another system or of a spreadsheet come into the fleet's books, most often with what they authenticate by there. A file is read and
//! checked as a whole, looked at beside what is there, and then taken in some lines at a time; the same file again changes nothing. New devices are
//! preregistered, as by a target token or by a line of a batch. Refuses to know where a file came from: faces read it.

mod compare;
mod hawkbit;
mod laid;
mod lines;
pub(crate) mod store;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod work;

pub use lines::{MOST_BYTES as MOST_IMPORT_BYTES, Unreadable};

use super::Error;
use bytes::Bytes;
use lines::Parsed;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportFormat {
    /// CSV (RFC 4180), the first line of which names the columns.
    Csv,
    /// hawkBit's list of targets, JSON.
    HawkBit,
}

impl ImportFormat {
    /// What a file is by how it begins: no CSV of devices begins with a bracket.
    #[must_use]
    pub fn of(file: &[u8]) -> Self {
        let text = file.strip_prefix("\u{feff}".as_bytes()).unwrap_or(file);
        match text.trim_ascii_start().first() {
            Some(b'{' | b'[') => Self::HawkBit,
            _ => Self::Csv,
        }
    }
}

/// What is asked of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportHow {
    /// Only say what it would come to.
    pub preview: bool,
    /// Change devices that are there where the file says otherwise, instead of leaving them as they are.
    pub update: bool,
}

/// All that a file says. Reading takes the processor, which the tasks of the runtime share.
async fn read(file: Bytes, format: ImportFormat) -> Result<Parsed, Error> {
    if file.len() > lines::MOST_BYTES {
        return Err(Unreadable::TooLarge.into());
    }
    let parse = move || match format {
        ImportFormat::Csv => table::parse(&file),
        ImportFormat::HawkBit => hawkbit::parse(&file),
    };
    let read = tokio::task::spawn_blocking(parse).await;
    Ok(read.map_err(|_| Unreadable::Malformed("The file could not be read to its end. Send it again.".to_owned()))??)
}
