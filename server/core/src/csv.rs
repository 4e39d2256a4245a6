//! Pure: CSV (RFC 4180): lines that no spreadsheet takes for formulas (attack list 24), and what others wrote, read. Refuses to know what it holds.

mod reading;

pub(crate) use reading::{Record, cells, record, separator};

/// A line of CSV, every cell in quotes.
pub fn line<T: AsRef<str>>(cells: &[T]) -> String {
    let mut text = String::new();
    push_line(&mut text, cells);
    text
}

/// The same, behind the lines there are.
pub fn push_line<T: AsRef<str>>(text: &mut String, cells: &[T]) {
    for (number, cell) in cells.iter().enumerate() {
        text.push_str(if number == 0 { "\"" } else { ",\"" });
        push_inert(text, cell.as_ref());
        text.push('"');
    }
    text.push_str("\r\n");
}

/// The cell so that a spreadsheet shows it and does not reckon with it, quotes doubled.
fn push_inert(text: &mut String, cell: &str) {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        text.push('\'');
    }
    for (number, part) in cell.split('"').enumerate() {
        if number > 0 {
            text.push_str("\"\"");
        }
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_24_no_cell_is_a_formula() {
        assert_eq!(
            line(&["=1+1", "+x", "-x", "@x", "\tx", "gw-1", "say \"hi\", now"]),
            "\"'=1+1\",\"'+x\",\"'-x\",\"'@x\",\"'\tx\",\"gw-1\",\"say \"\"hi\"\", now\"\r\n"
        );
    }
}
