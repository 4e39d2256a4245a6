//! Pure: what a batch gives back, as a zip archive of stored entries (APPNOTE 6.3, §4.3) and as CSV that no spreadsheet takes for formulas.
//! A batch has at most 10,000 certificates, so neither counts nor sizes need the 64-bit forms.

use wire::Timestamp;

/// An archive that grows in memory.
pub(super) struct Archive {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u16,
    stamp: u32,
}

impl Archive {
    /// An empty one, whose files are from this instant.
    pub(super) fn new(at: Timestamp) -> Self {
        Self { bytes: Vec::new(), directory: Vec::new(), entries: 0, stamp: dos(at) }
    }

    /// Adds a file.
    pub(super) fn add(&mut self, name: &str, data: &[u8]) {
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let begins = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        // Version 2.0, names in UTF-8 (bit 11), stored.
        let mut common = Vec::new();
        for half in [20_u16, 1 << 11, 0] {
            common.extend(half.to_le_bytes());
        }
        for whole in [self.stamp, crc32fast::hash(data), size, size] {
            common.extend(whole.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).unwrap_or_default().to_le_bytes());
        common.extend([0, 0]);
        self.bytes.extend(*b"PK\x03\x04");
        self.bytes.extend(&common);
        self.bytes.extend(name.as_bytes());
        self.bytes.extend(data);
        // Made on Unix by version 2.0; no comment, one disk, a regular file that its owner writes and all read.
        self.directory.extend(*b"PK\x01\x02\x14\x03");
        self.directory.extend(&common);
        self.directory.extend([0; 6]);
        self.directory.extend((0o100_644_u32 << 16).to_le_bytes());
        self.directory.extend(begins.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.entries = self.entries.saturating_add(1);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let (size, begins) = (self.directory.len(), self.bytes.len());
        self.bytes.extend(&self.directory);
        self.bytes.extend(*b"PK\x05\x06\0\0\0\0");
        self.bytes.extend(self.entries.to_le_bytes());
        self.bytes.extend(self.entries.to_le_bytes());
        for whole in [size, begins] {
            self.bytes.extend(u32::try_from(whole).unwrap_or(u32::MAX).to_le_bytes());
        }
        self.bytes.extend([0, 0]);
        self.bytes
    }
}

/// Time and date as MS-DOS has them, UTC; before 1980 there was none.
fn dos(at: Timestamp) -> u32 {
    let Ok(at) = time::OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1000)) else { return 0x0021_0000 };
    let Some(year) = u32::try_from(at.year()).ok().and_then(|y| y.checked_sub(1980)).filter(|y| *y < 128) else { return 0x0021_0000 };
    let date = (year << 9) | (u32::from(u8::from(at.month())) << 5) | u32::from(at.day());
    (date << 16) | (u32::from(at.hour()) << 11) | (u32::from(at.minute()) << 5) | (u32::from(at.second()) / 2)
}

/// A line of CSV (RFC 4180), every cell in quotes.
pub(super) fn csv_line(cells: &[&str]) -> String {
    let mut line = cells.iter().map(|c| format!("\"{}\"", inert(c).replace('"', "\"\""))).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// The text so that a spreadsheet shows it and does not reckon with it.
fn inert(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_24_no_cell_is_a_formula() {
        assert_eq!(
            csv_line(&["=1+1", "+x", "-x", "@x", "gw-1", "say \"hi\", now"]),
            "\"'=1+1\",\"'+x\",\"'-x\",\"'@x\",\"gw-1\",\"say \"\"hi\"\", now\"\r\n"
        );
    }
}
