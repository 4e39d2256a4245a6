//! Pure: lines of CSV (RFC 4180) that no spreadsheet takes for formulas (attack list 24). Refuses to know what they hold.

/// A line of CSV, every cell in quotes.
pub fn line<T: AsRef<str>>(cells: &[T]) -> String {
    let quoted = |cell: &T| format!("\"{}\"", inert(cell.as_ref()).replace('"', "\"\""));
    let mut line = cells.iter().map(quoted).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// The text so that a spreadsheet shows it and does not reckon with it.
fn inert(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{cell}") } else { cell.to_owned() }
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
