//! Pure: what was meant with a field that there is none of: the nearest name, an attribute or a metric. Refuses to know the rest of the grammar.

/// The fields that have values.
const MATCHED: [&str; 11] = ["id", "type", "hw", "version", "tag", "group", "state", "online", "presence", "certificate", "update"];
/// The fields that are compared and need no name of their own.
const COMPARED: [&str; 3] = ["version", "sequence", "last_seen"];

/// What to write instead of `name:rest`, as a sentence with a blank behind it; empty where nothing suggests itself.
pub(super) fn matched(name: &str, rest: &str) -> String {
    let value = value(rest);
    if name.eq_ignore_ascii_case("metric") {
        let compares = value.contains(['<', '>']);
        return format!("Write metric.{value}{}. ", if compares { "" } else { ">80" });
    }
    if name.eq_ignore_ascii_case("attr") {
        return format!("Write attr.{value}{}. ", if value.contains(':') { "" } else { ":abc" });
    }
    if !plain(name) {
        return String::new();
    }
    let attribute = format!("attr.{name}:{value} if {name} is an attribute that devices report. ");
    match near(name, &MATCHED) {
        Some(field) => format!("Write {field}:{value}, or {attribute}"),
        None => format!("Write {attribute}"),
    }
}

/// The same of a comparison: `rest` begins with its sign.
pub(super) fn compared(name: &str, rest: &str) -> String {
    let known = MATCHED.iter().any(|field| name.eq_ignore_ascii_case(field));
    let attribute = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("attr."));
    if known || attribute || !plain(name) {
        return String::new();
    }
    let behind = value(rest);
    match near(name, &COMPARED) {
        Some(field) => format!("Write {field}{behind}. "),
        None => format!("Write metric.{name}{behind} if {name} is a metric. "),
    }
}

/// Whether it could be the name of an attribute or a metric.
fn plain(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    (1..=64).contains(&name.len()) && name.chars().all(letter) && !name.starts_with('.') && !name.ends_with('.')
}

/// The value that stands first, with its quotation marks; `abc` where there is none.
fn value(rest: &str) -> &str {
    let end = match rest.strip_prefix('"') {
        Some(inside) => inside.find('"').map_or(0, |end| end + 2),
        None => rest.find([' ', '\t', '\n', '(', ')', ',', '"']).unwrap_or(rest.len()),
    };
    if end == 0 { "abc" } else { &rest[..end] }
}

/// The one of these that a slip of a finger or two makes of it; upper and lower case are no slips. Two letters in each other's place are one that is told
/// of the shortest name, too.
#[must_use]
pub fn near<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    let close = |field: &&'a str| {
        let (lower, most) = (field.to_lowercase(), (field.len() / 3).min(2));
        let slips = distance(&name, &lower);
        let swapped = slips == 1 && letters(&name) == letters(&lower);
        // Of a short name nothing else would be left.
        (slips <= most || swapped).then_some(((slips, !swapped), *field))
    };
    known.iter().filter_map(close).min_by_key(|(slips, _)| *slips).map(|(_, field)| field)
}

/// Letters that are missing, too many, another or in each other's place.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let other = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + other);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::Selector;

    #[test]
    fn the_nearest_name_an_attribute_or_a_metric_is_suggested_first() {
        for (text, says) in [
            ("tga:eu", "Write tag:eu, or attr.tga:eu if tga is an attribute that devices report. Fields are "),
            ("typ:x", "Write type:x, or attr.typ:x if "),
            ("Tags:\"a b\" x", "Write tag:\"a b\", or "),
            ("site:lab", "Write attr.site:lab if site is an attribute that devices report. Fields are "),
            ("ip:10", "Write attr.ip:10 if "),
            ("cpu.load>80", "Write metric.cpu.load>80 if cpu.load is a metric. Only "),
            ("metric:cpu.load>80", "Write metric.cpu.load>80. Fields are "),
            ("metric:cpu.load", "Write metric.cpu.load>80. "),
            ("attr:site:lab", "Write attr.site:lab. "),
            ("versoin>=1.2", "Write version>=1.2. Only "),
            ("hw>1", "Only version, "),
            ("attr.x>1", "Only version, "),
            ("§:1", "Fields are "),
            ("attr.:1", "Fields are "),
            ("metric.>1", "Only version, "),
        ] {
            let hint = Selector::parse(text).unwrap_err().hint;
            assert!(hint.starts_with(says), "{text}: {hint}");
        }
    }

    #[test]
    fn two_letters_in_each_others_place_are_near_however_short_the_name() {
        for (text, known, meant) in [
            ("ue", &["us", "eu"][..], Some("eu")),
            ("UE", &["eu"][..], Some("eu")),
            ("ux", &["eu", "us"][..], None),
            ("xe", &["eu"][..], None),
            ("cpu.prcent", &["cpu.percent", "cpu.load"][..], Some("cpu.percent")),
            ("tga", &["tag"][..], Some("tag")),
        ] {
            assert_eq!(near(text, known), meant, "{text}");
        }
    }

    #[test]
    fn case_is_no_slip() {
        let known = ["GATEWAY-4", "Sensor", "gw"];
        for (text, meant) in [("gatewya-4", Some("GATEWAY-4")), ("SENSOR", Some("Sensor")), ("GW", Some("gw")), ("gx", None), ("", None)] {
            assert_eq!(near(text, &known), meant, "{text}");
        }
    }

    #[test]
    fn a_slip_is_one_of_the_finger() {
        assert_eq!(
            [("tga", "tag"), ("typ", "type"), ("tag", "tag"), ("", "tag"), ("site", "state")].map(|(a, b)| distance(a, b)),
            [1, 1, 0, 3, 2]
        );
    }
}
