//! Pure: records of CSV (RFC 4180) as they come, line ends within quotes included. Refuses to know what the columns are called.

use std::io::{self, BufRead, Read as _};

/// A record that is not taken apart yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// None of one that is too long, no UTF-8, or has a quote that nobody closes.
    pub text: Option<String>,
    /// How many line ends are within its quotes.
    pub lines: u64,
}

/// The next record, of which at most so many bytes are kept; none at the end.
pub(crate) fn record(from: &mut impl BufRead, most: usize) -> io::Result<Option<Record>> {
    let (mut text, mut quoted, mut lines, mut any, mut too_long) = (Vec::new(), false, 0, false, false);
    loop {
        let before = text.len();
        let taken = (most + 1).saturating_sub(before).max(1) as u64;
        let n = from.by_ref().take(taken).read_until(b'\n', &mut text)?;
        if n == 0 {
            // A quote that nobody closed takes the rest of the file with it.
            let whole = !too_long && !quoted;
            return Ok(any.then(|| Record { text: String::from_utf8(text).ok().filter(|_| whole), lines }));
        }
        any = true;
        let piece = text.get(before..).unwrap_or_default();
        quoted = piece.iter().fold(quoted, |inside, b| inside ^ (*b == b'"'));
        let ended = piece.ends_with(b"\n");
        if text.len() > most {
            too_long = true;
            text.clear();
        }
        if ended {
            if !quoted {
                return Ok(Some(Record { text: String::from_utf8(text).ok().filter(|_| !too_long), lines }));
            }
            lines += 1;
        }
    }
}

/// What stands between the cells of a file whose first record is this: the semicolon of spreadsheets where the comma is in numbers, or the comma.
pub(crate) fn separator(first: &str) -> u8 {
    if first.contains(';') && !first.contains(',') { b';' } else { b',' }
}

/// The cells of a record; none when its quotes do not fit.
pub(crate) fn cells(record: &str, separator: u8) -> Option<Vec<String>> {
    let record = record.strip_suffix('\n').unwrap_or(record);
    let record = record.strip_suffix('\r').unwrap_or(record);
    let (mut cells, mut cell, mut letters, mut quoted, mut was_quoted) =
        (Vec::new(), String::new(), record.chars().peekable(), false, false);
    while let Some(c) = letters.next() {
        match c {
            '"' if quoted => {
                if letters.next_if_eq(&'"').is_some() {
                    cell.push('"');
                } else {
                    quoted = false;
                    was_quoted = true;
                }
            }
            '"' if cell.is_empty() && !was_quoted => quoted = true,
            c if !quoted && c == char::from(separator) => {
                cells.push(std::mem::take(&mut cell));
                was_quoted = false;
            }
            _ if was_quoted || (!quoted && c == '"') => return None,
            c => cell.push(c),
        }
    }
    cells.push(cell);
    (!quoted).then_some(cells)
}
