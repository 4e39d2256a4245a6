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

/// A measured value: as many digits as it needs to be told from its neighbours, four at most. What is too long for that has an exponent.
pub fn value(v: f64) -> String {
    let a = v.abs();
    if a >= 1e13 && a.is_finite() {
        let (mut mantissa, mut exponent) = (v, 0);
        while mantissa.abs() >= 10.0 {
            (mantissa, exponent) = (mantissa / 10.0, exponent + 1);
        }
        return format!("{}e{exponent}", plain((mantissa * 1000.0).round() / 1000.0));
    }
    decimal(
        v,
        if a >= 10_000.0 {
            0
        } else if a >= 100.0 {
            1
        } else {
            2
        },
    )
}

/// The units a unit is told in, the smallest first, with how many of it they are.
pub const fn scales(unit: &str) -> &'static [(f64, &'static str)] {
    const KI: f64 = 1024.0;
    match unit.as_bytes() {
        b"B" => &[(1.0, "B"), (KI, "KiB"), (KI * KI, "MiB"), (KI * KI * KI, "GiB"), (KI * KI * KI * KI, "TiB")],
        b"B/s" => &[(1.0, "B/s"), (KI, "KiB/s"), (KI * KI, "MiB/s"), (KI * KI * KI, "GiB/s")],
        b"s" => &[(1.0, "s"), (60.0, "min"), (3600.0, "h"), (86_400.0, "d")],
        _ => &[],
    }
}

/// The unit that values of up to `most` of `unit` are told in, and how many of `unit` it is.
pub fn scale(unit: &'static str, most: f64) -> (f64, &'static str) {
    scales(unit).iter().rev().find(|(n, _)| most.abs() >= *n).or_else(|| scales(unit).first()).copied().unwrap_or((1.0, unit))
}

/// A measured value with its unit, in the size people say it in: `6000` `B/s` is `5.86 KiB/s`.
pub fn measured(v: f64, unit: &'static str) -> String {
    let (n, unit) = scale(unit, v);
    format!("{} {unit}", value(v / n)).trim_end().to_owned()
}

/// Round numbers within `lo..hi` for the rules of a chart, three to six of them: steps of 1, 2 or 5 times a power of ten.
pub fn ticks(lo: f64, hi: f64) -> Vec<f64> {
    // In halves: the span of what a number can hold is more than a number can hold.
    let raw = (hi / 2.0 - lo / 2.0) / 2.5;
    if !(raw > 0.0 && raw.is_finite()) {
        return Vec::new();
    }
    let mut power = 1.0;
    while power * 10.0 <= raw {
        power *= 10.0;
    }
    while power > raw {
        power /= 10.0;
    }
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= raw).unwrap_or(raw);
    let first = (lo / step).ceil();
    (0..12).map(|i| (first + f64::from(i)) * step).take_while(|v| *v <= hi).collect()
}

/// A number with so many digits behind the point, at most 6; halves are rounded away from zero. What is too large for it, or no number, is a dash.
///
/// The formatting of the standard library is exact to the last of seventeen digits and brings tables of 20 KB; no page shows such numbers.
pub fn decimal(v: f64, digits: u32) -> String {
    let scale = 10_i64.pow(digits.min(6));
    #[expect(clippy::cast_precision_loss, reason = "a power of ten up to a million")]
    let scaled = (v.abs() * scale as f64 + 0.5).floor();
    if scaled.is_nan() || scaled >= 9e15 {
        return "–".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "below 2^53")]
    let scaled = scaled as i64;
    let sign = if v < 0.0 && scaled > 0 { "-" } else { "" };
    if digits == 0 { format!("{sign}{scaled}") } else { format!("{sign}{}.{:02$}", scaled / scale, scaled % scale, digits.min(6) as usize) }
}

/// A number as a person would write it: up to six digits behind the point, no more than it needs.
pub fn plain(v: f64) -> String {
    let text = decimal(v, 6);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Reads a number as a person writes it, `12` or `12.5`: at most fifteen digits, so that the value is the nearest there is.
pub fn read_decimal(text: &str) -> Option<f64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = [whole, part].concat();
    let right = !digits.is_empty() && digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit()) && !whole.is_empty();
    #[expect(clippy::cast_precision_loss, reason = "fifteen digits are below 2^53")]
    let all = digits.parse::<i64>().ok().filter(|_| right)? as f64;
    Some((0..part.len()).fold(1.0, |scale, _| scale * 10.0)).map(|scale| all / scale)
}

/// Bytes of a number of kilobytes (1,000 bytes) as a person writes it; none where it is no number, or a giant one.
pub fn read_kilobytes(text: &str) -> Option<u64> {
    let kilobytes = read_decimal(text.trim()).filter(|kilobytes| *kilobytes < 1e12)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and far below 2⁵³")]
    Some((kilobytes * 1000.0).round() as u64)
}

/// Bytes as a number of kilobytes, as a person would write it.
pub fn kilobytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a speed, far below 2⁵³")]
    plain(bytes as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_come_back() {
        for bytes in [0, 1, 62_500, 10_000, 999_999_999] {
            assert_eq!(read_kilobytes(&kilobytes(bytes)), Some(bytes));
        }
        assert_eq!(
            (read_kilobytes(" 62.5 "), read_kilobytes("-1"), read_kilobytes("fast"), read_kilobytes("")),
            (Some(62_500), None, None, None)
        );
    }

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
        assert_eq!(value(-0.001), "0.00");
        assert_eq!(value(-12.345), "-12.35");
        assert_eq!(value(f64::NAN), "–");
        assert_eq!(value(1e300), "1e300");
        assert_eq!(value(-1.2345e14), "-1.235e14");
    }

    #[test]
    fn measured_values_come_in_the_unit_people_say() {
        assert_eq!(measured(6000.0, "B/s"), "5.86 KiB/s");
        assert_eq!(measured(15_000.0, "s"), "4.17 h");
        assert_eq!(measured(0.5, "s"), "0.50 s");
        assert_eq!(measured(-2048.0, "B"), "-2.00 KiB");
        assert_eq!(measured(55.0, "%"), "55.00 %");
        assert_eq!(measured(3.0, ""), "3.00");
    }

    #[test]
    fn ticks_are_round_and_few() {
        let told = |lo, hi| ticks(lo, hi).into_iter().map(plain).collect::<Vec<_>>();
        assert_eq!(told(-6.35, 107.9), ["0", "50", "100"]);
        assert_eq!(told(41.2, 43.3), ["41.5", "42", "42.5", "43"]);
        assert_eq!(told(0.0, 1.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        for (lo, hi) in [(f64::MIN, f64::MAX), (-1e308, 1e308), (1e-9, 3e-9), (9e15, 9e15 + 8.0), (-3.0, -1.0)] {
            let all = ticks(lo, hi);
            assert!((2..=6).contains(&all.len()) && all.iter().all(|v| (lo..=hi).contains(v)), "{lo} {hi} {all:?}");
        }
        assert!(ticks(1.0, 1.0).is_empty() && ticks(f64::NAN, 1.0).is_empty());
    }

    #[test]
    fn percentages_survive_being_written_and_read() {
        for tenths in 0..=1000 {
            let v = f64::from(tenths) / 10.0;
            assert_eq!(read_decimal(&plain(v)), Some(v), "{v}");
        }
        assert_eq!(plain(100.0), "100");
        assert_eq!(plain(12.5), "12.5");
        assert_eq!(read_decimal("0.125"), Some(0.125));
        for text in ["", ".", ".5", "-1", "1e3", "1,5", "inf", "NaN", "1234567890123456"] {
            assert_eq!(read_decimal(text), None, "{text}");
        }
    }
}
