//! Pure: numbers, spans and instants as people write them.

use crate::ui::number::{kilobytes, read_decimal, read_kilobytes};
use wire::{Timestamp, rollouts::Problem};

/// What is wrong with an input.
pub(super) fn problem(field: &str, message: &str) -> Problem {
    Problem { field: field.to_owned(), message: message.to_owned() }
}

/// A selector of an input, read by the parser that the core uses, so that a mistake is said while it is typed.
pub(super) fn selector(text: &str, field: &str, wrong: &mut Vec<Problem>) {
    if let Err(e) = wire::selector::Selector::parse(text.trim()) {
        wrong.push(problem(field, &e.sentence()));
    }
}

/// A number of an input, or a problem and the type's zero.
pub(super) fn number<N: std::str::FromStr + Default>(text: &str, field: &str, message: &str, wrong: &mut Vec<Problem>) -> N {
    text.trim().parse().unwrap_or_else(|_| {
        wrong.push(problem(field, message));
        N::default()
    })
}

/// A number of an input that may be empty, which is none; or a problem and none.
pub(super) fn optional<N: std::str::FromStr>(text: &str, field: &str, message: &str, wrong: &mut Vec<Problem>) -> Option<N> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    text.parse().map_err(|_| wrong.push(problem(field, message))).ok()
}

/// One of the words of an input, of which nothing is the usual one; or a problem and the usual one.
pub(super) fn word<W: std::str::FromStr + Default>(text: &str, field: &str, message: &str, wrong: &mut Vec<Problem>) -> W {
    if text.trim().is_empty() { W::default() } else { number(text, field, message, wrong) }
}

/// A decimal of an input that may be empty, which is none; or a problem and none.
pub(super) fn decimal(text: &str, field: &str, message: &str, wrong: &mut Vec<Problem>) -> Option<f64> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    read_decimal(text).or_else(|| {
        wrong.push(problem(field, message));
        None
    })
}

/// A limit of an input: the text of a number, or nothing.
pub(super) fn limit_text(limit: Option<u32>) -> String {
    limit.map_or_else(String::new, |n| n.to_string())
}

/// Bytes a second of an input in kilobytes (1,000 bytes) that may be empty, which is no limit; or a problem and none.
pub(super) fn speed(text: &str, field: &str, wrong: &mut Vec<Problem>) -> Option<u64> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    read_kilobytes(text).or_else(|| {
        wrong.push(problem(field, "Write kilobytes a second, for example 500, or leave it empty."));
        None
    })
}

/// Bytes a second as kilobytes, or nothing.
pub(super) fn speed_text(bytes: Option<u64>) -> String {
    bytes.map(kilobytes).unwrap_or_default()
}

/// A percentage of an input, with or without its sign, or a problem and zero.
pub(super) fn percentage(text: &str, field: &str, message: &str, wrong: &mut Vec<Problem>) -> f64 {
    read_decimal(text.trim().trim_end_matches('%').trim_end()).unwrap_or_else(|| {
        wrong.push(problem(field, message));
        0.0
    })
}

/// Seconds of `90 s`, `10 min`, `2 h`, `1 d`; a bare number means minutes, nothing means none.
pub(super) fn span(text: &str) -> Option<u32> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0);
    }
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor = match unit.trim() {
        "s" | "sec" => 1,
        "" | "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    digits.parse::<u32>().ok()?.checked_mul(factor)
}

/// A span in its largest whole unit.
pub(super) fn span_text(seconds: u32) -> String {
    match seconds {
        s if s > 0 && s % 86_400 == 0 => format!("{} d", s / 86_400),
        s if s > 0 && s % 3600 == 0 => format!("{} h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// The instant of `2026-11-22T09:57`, UTC (the value of a `datetime-local` input).
pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut time = time.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute) = (time.next()?.ok()?, time.next()?.ok()?);
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || !(0..24).contains(&hour)
        || !(0..60).contains(&minute)
    {
        return None;
    }
    // Days from civil, after Howard Hinnant's public-domain derivation.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y / 400;
    let yoe = y - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    let at = Timestamp(((days * 24 + hour) * 60 + minute) * 60_000);
    // The 31st of a month with 30 days would be another day.
    let (_, _, printed, ..) = at.civil();
    (i64::from(printed) == day).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("", Some(0)),
            ("90 s", Some(90)),
            ("10min", Some(600)),
            ("5", Some(300)),
            ("2 h", Some(7200)),
            ("1 d", Some(86_400)),
            ("x", None),
            ("1 week", None),
            ("9999999999 d", None),
        ] {
            assert_eq!(span(text), seconds, "{text}");
        }
        for seconds in [0, 1, 59, 60, 90, 3600, 5400, 86_400] {
            assert_eq!(span(&span_text(seconds)), Some(seconds));
        }
    }
}
