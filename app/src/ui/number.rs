//! Pure: numbers for people.

/// `12481` → `12,481`.
pub fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        out.push('−');
    }
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Bytes as `0 B`, `999 B`, `1.5 KiB`, `12 MiB`: two significant digits below ten, whole numbers above.
pub fn bytes(n: i64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let n = n.max(0);
    let unit = (0..4).take_while(|u| n >> (10 * (u + 1)) > 0).count();
    if unit == 0 {
        return format!("{n} B");
    }
    let tenths = (i128::from(n) * 10) >> (10 * unit);
    if tenths < 100 { format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]) } else { format!("{} {}", tenths / 10, UNITS[unit]) }
}

/// `part` of `whole` in percent with one digit; `0` of nothing.
pub fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "0 %".to_owned();
    }
    let tenths = (i128::from(part) * 1000 + i128::from(whole) / 2) / i128::from(whole);
    if tenths % 10 == 0 { format!("{} %", tenths / 10) } else { format!("{}.{} %", tenths / 10, tenths % 10) }
}

/// `1 device`, `2 devices`: a count with its noun.
pub fn counted(n: i64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// A measured value: as many digits as it needs to be told from its neighbours, four at most.
pub fn value(v: f64) -> String {
    let a = v.abs();
    if a >= 10_000.0 {
        format!("{v:.0}")
    } else if a >= 100.0 {
        format!("{v:.1}")
    } else {
        format!("{v:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(12_481), "12,481");
        assert_eq!(grouped(-1_000_000), "−1,000,000");
        assert_eq!(grouped(i64::MIN).chars().filter(char::is_ascii_digit).count(), 19);
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(12 << 20), "12 MiB");
        assert_eq!(bytes(i64::MAX), "8388607 TiB");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(3, 3), "100 %");
        assert_eq!(percent(0, 0), "0 %");
        assert_eq!(counted(1, "device", "devices"), "1 device");
        assert_eq!(value(83.456), "83.46");
        assert_eq!(value(12_345.6), "12346");
    }
}
