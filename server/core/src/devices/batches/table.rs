//! Pure: batches as text, one device a line: JSON lines, and CSV (RFC 4180) with a line of names at its beginning. A CSR is PEM, or base64 of DER.

use super::read::{Asked, Broken, Each, Entry, MOST_OF_ENTRY, Refused};
use crate::{csv, text::unseen};
use serde::Deserialize;
use std::io::{BufRead, Read as _};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    device_id: String,
    #[serde(default, alias = "type")]
    device_type: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    csr: String,
}

pub(super) fn json_lines(from: &mut impl BufRead, each: Each<'_>) -> Result<(), Broken> {
    for at in 1_u64.. {
        let mut line = Vec::new();
        let most = MOST_OF_ENTRY as u64 + 1;
        if from.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let whole = line.len() <= MOST_OF_ENTRY;
        if !whole && !line.ends_with(b"\n") {
            from.skip_until(b'\n')?;
        }
        if whole && line.trim_ascii().is_empty() {
            continue;
        }
        let said = if whole { json_line(&line) } else { Err(Refused::too_large()) };
        each(Entry { label: format!("line {at}"), said })?;
    }
    Ok(())
}

fn json_line(line: &[u8]) -> Result<Asked, Refused> {
    let line: Line = serde_json::from_slice(line).map_err(|e| {
        // Which column is enough; what stands there is not repeated.
        let text = format!(
            "This line is not what is expected at column {}. Send {{\"device_id\": …, \"device_type\": …, \"csr\": …}}.",
            e.column()
        );
        Refused::new("bad_json", text)
    })?;
    Ok(Asked { device_id: line.device_id, device_type: line.device_type, tags: line.tags.join(" "), csr: line.csr.into_bytes() })
}

/// The columns a batch may have, and where each is.
struct Columns {
    device_id: Option<usize>,
    device_type: Option<usize>,
    tags: Option<usize>,
    csr: Option<usize>,
    /// How many there are.
    count: usize,
    separator: u8,
}

const NO_NAMES: Broken = Broken::Malformed(
    "The first line of a CSV names its columns: device_id, device_type, csr, and if you like tags. A CSR may also come as JSON lines, zip or tar.",
);

impl Columns {
    fn of(record: &[String], separator: u8) -> Result<Self, Broken> {
        let mut columns = Self { device_id: None, device_type: None, tags: None, csr: None, count: record.len(), separator };
        for (at, name) in record.iter().enumerate() {
            let column = match name.trim_start_matches('\u{feff}').trim().to_ascii_lowercase().as_str() {
                "device_id" => &mut columns.device_id,
                "device_type" | "type" => &mut columns.device_type,
                "tags" => &mut columns.tags,
                "csr" => &mut columns.csr,
                _ => return Err(NO_NAMES),
            };
            if column.replace(at).is_some() {
                return Err(NO_NAMES);
            }
        }
        if columns.csr.is_none() && columns.device_id.is_none() { Err(NO_NAMES) } else { Ok(columns) }
    }

    fn asked(&self, record: &[String]) -> Result<Asked, Refused> {
        if record.len() != self.count {
            let text = format!("This line has {} columns, and the first line names {}.", record.len(), self.count);
            return Err(Refused::new("bad_csv", text));
        }
        let cell = |at: Option<usize>| at.and_then(|at| record.get(at)).map(|c| c.trim().to_owned()).unwrap_or_default();
        let tags = wire::devices::words(&cell(self.tags)).join(" ");
        Ok(Asked { device_id: cell(self.device_id), device_type: cell(self.device_type), tags, csr: cell(self.csr).into_bytes() })
    }
}

pub(super) fn csv(from: &mut impl BufRead, each: Each<'_>) -> Result<(), Broken> {
    let Some(csv::Record { text: Some(first), .. }) = csv::record(from, MOST_OF_ENTRY)? else { return Err(NO_NAMES) };
    let separator = csv::separator(&first);
    let columns = Columns::of(&csv::cells(&first, separator).ok_or(NO_NAMES)?, separator)?;
    let mut at = 1;
    while let Some(csv::Record { text, lines }) = csv::record(from, MOST_OF_ENTRY)? {
        at += 1;
        let number = at;
        at += lines;
        let record = match text {
            None => Err(Refused::too_large()),
            Some(text) if text.trim().is_empty() => continue,
            Some(text) => {
                csv::cells(&text, columns.separator).ok_or_else(|| Refused::new("bad_csv", "The quotes of this line do not fit."))
            }
        };
        let said = record.and_then(|record| columns.asked(&record));
        let named = said.as_ref().ok().map(|a| a.device_id.chars().filter(|c| !unseen(*c)).take(64).collect::<String>());
        let label = named.filter(|n| !n.is_empty()).map_or_else(|| format!("line {number}"), |n| format!("line {number}: {n}"));
        each(Entry { label, said })?;
    }
    Ok(())
}
