//! Pure: slips that could be read, but only as something that no device has: signs and marks of other languages. Says what was meant instead. A field whose
//! values are any text may have such signs in them, and keeps them. Refuses to know the rest of the grammar; what stands between quotation marks is never
//! looked at.

use super::{
    Field, Selector, Version,
    parse::{self, wrong},
};
use crate::devices::SelectorError;

/// Marks that other languages and word processors quote with. This one knows `"` alone.
pub(super) const MARKS: [char; 9] = ['\'', '`', '‘', '’', '“', '”', '„', '«', '»'];

/// What ends a bare value.
const ENDS: [char; 7] = [' ', '\t', '\n', '(', ')', ',', '"'];

/// Refuses what begins here as the value of a field, where it can't be meant.
pub(super) fn value(field: &Field, rest: &str, at: usize) -> Result<(), SelectorError> {
    let bare = until(rest, &ENDS);
    let is = |text: &str| Selector::Is(field.clone(), vec![text.to_owned()]).to_string();
    // A field that has only some words has none with such signs.
    let any = field.words().is_none() && field.states().is_none();
    let literal = |text: &str| if any { format!(" If that is part of it, write {}.", is(text)) } else { String::new() };
    if rest.starts_with(MARKS) && !(is_text(field) && closes(bare)) {
        return Err(quoted((rest, bare), at, is, literal));
    }
    if is_text(field) {
        return Ok(());
    }
    if let Some(sign) = bare.find(['<', '>']) {
        let compared = bare.trim_start_matches('=');
        if *field == Field::Version && compared.starts_with(['<', '>']) {
            // Nothing but the colon is too much.
            let (how, than) = split(compared);
            let than = if Version::parse(than).is_some() { than } else { "1.2.0" };
            return Err(wrong(at + sign, "a version is compared without the colon", format!("Write version{how}{than}.")));
        }
        let hint = format!("Only version, sequence, last_seen and metric.NAME compare, without a colon.{}", literal(bare));
        return Err(wrong(at + sign, format!("{} can't be compared", field.name()), hint));
    }
    let meant = bare.trim_start_matches(['=', '!']);
    if meant.len() < bare.len() {
        let not = if bare.starts_with('!') { "-" } else { "" };
        let meant = is(if meant.is_empty() { "abc" } else { meant });
        let sign = bare.chars().next().unwrap_or('=');
        return Err(wrong(at, format!("a {sign} behind the colon"), format!("Write {not}{meant}.{}", literal(bare))));
    }
    Ok(())
}

/// Whether its values are any text: what people call devices, and what devices say of themselves. Ids, versions and words of this system have none of these
/// signs.
const fn is_text(field: &Field) -> bool {
    matches!(field, Field::Type | Field::Hardware | Field::Tag | Field::Group | Field::Attribute(_))
}

/// Whether a value that begins with a mark ends with one: nobody has left off in the middle of it.
fn closes(bare: &str) -> bool {
    bare.chars().nth(1).is_some() && bare.ends_with(MARKS)
}

/// Refuses what begins here as a word, or as a field, where it can't be meant: no device id has such signs.
pub(super) fn word(rest: &str, at: usize) -> Result<(), SelectorError> {
    let bare = until(rest, &ENDS);
    if rest.starts_with(MARKS) {
        // No device id has one.
        return Err(quoted((rest, bare), at, |text| Selector::Word(text.to_owned()).to_string(), |_| String::new()));
    }
    if bare.starts_with('!') {
        return Err(wrong(at, "a ! in front of a condition", "Write - to leave devices out, as in -tag:lab."));
    }
    // Behind one of these it is a field's value.
    let name = until(bare, &[':', '<', '>', '=']);
    let sign = &bare[name.len()..];
    if let Some(joins) = name.find(['&', '|']).filter(|joins| *joins == 0 || sign.is_empty()) {
        let (joint, instead) = if name[joins..].starts_with('&') {
            ("a & between conditions", "Write and, or nothing at all: conditions side by side have to hold together.")
        } else {
            ("a | between conditions", "Write or, as in tag:eu or tag:us.")
        };
        return Err(wrong(at + joins, joint, instead));
    }
    if !sign.starts_with('=') {
        return Ok(());
    }
    let (asked, not) = name.strip_suffix('!').map_or((name, ""), |asked| (asked, "-"));
    let than = sign.trim_start_matches(['=', '<', '>']);
    let than = if than.is_empty() { "abc" } else { than };
    let hint = match parse::field(asked, than, at) {
        Ok(Field::Version) if sign.starts_with("=<") => format!("Write version<={than}."),
        Ok(Field::Version) if sign.starts_with("=>") => format!("Write version>={than}."),
        Ok(field) => format!("Write {not}{}.", Selector::Is(field, vec![than.to_owned()])),
        // It says how that field is asked for, or which fields there are.
        Err(e) => e.hint,
    };
    Err(wrong(at + name.len(), "a = where no value can be", hint))
}

/// A `not` in front of what begins with `rest`.
pub(super) fn not(rest: &str, at: usize) -> SelectorError {
    let next = until(rest, &[' ', '\t', '\n', '(', ')', '"']);
    let whole = !next.is_empty() && !next.starts_with('-') && next.len() <= 60 && !rest[next.len()..].starts_with(['(', '"']);
    let meant = match next {
        "" if rest.starts_with('(') => "-(tag:lab or tag:eu)".to_owned(),
        next if whole => format!("-{next}"),
        _ => "-tag:lab".to_owned(),
    };
    wrong(
        at,
        "a not in front of a condition",
        format!("Write {meant} to leave devices out. A word of an id is \"not\" in quotation marks."),
    )
}

/// A text in marks that quote nothing here. `is` writes what it would mean, `literal` adds how the marks themselves would be asked for.
fn quoted((rest, bare): (&str, &str), at: usize, is: impl Fn(&str) -> String, literal: impl Fn(&str) -> String) -> SelectorError {
    let inside = rest.trim_start_matches(MARKS);
    let closed = inside.find(MARKS).filter(|end| !inside[..*end].contains([':', '"', '(', ')']));
    let meant = closed.map_or_else(|| bare.trim_matches(MARKS), |end| &inside[..end]);
    let whole = closed.map_or(bare, |end| &rest[..rest.len() - inside[end..].trim_start_matches(MARKS).len()]);
    let mark = rest.chars().next().unwrap_or('\'');
    let message = format!("a {mark} is no quotation mark here");
    if meant.is_empty() {
        return wrong(at, message, "Write quotation marks around a value that has blanks, as in type:\"gw box\".");
    }
    let blanks = if closed.is_some() { String::new() } else { format!(", or {} where it has blanks", is(&format!("{meant} box"))) };
    wrong(at, message, format!("Write {}{blanks}.{}", is(meant), literal(whole)))
}

/// The sign that a comparison begins with, and what is behind it.
fn split(compared: &str) -> (&str, &str) {
    let width = if compared[1..].starts_with('=') { 2 } else { 1 };
    compared.split_at(width)
}

fn until<'a>(text: &'a str, ends: &[char]) -> &'a str {
    &text[..text.find(ends).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(text: &str) -> (u32, String) {
        let e = Selector::parse(text).unwrap_err();
        (e.position, e.hint)
    }

    #[test]
    fn a_comparison_behind_a_colon_is_told_from_a_value() {
        assert_eq!(said("version:<1.2.0"), (8, "Write version<1.2.0.".into()));
        assert_eq!(said("tag:eu version:>=2.1.0-rc.1"), (15, "Write version>=2.1.0-rc.1.".into()));
        assert_eq!(said("version:=<1.2").1, "Write version<1.2.");
        assert_eq!(said("version:1.0,<1.2").0, 12, "also further on in a list");
        assert_eq!(said("version:>soon").1, "Write version>1.2.0.");
        let (at, hint) = said("id:>3");
        assert!(at == 3 && hint.starts_with("Only version,") && hint.ends_with("write id:\">3\"."), "{hint}");
        assert_eq!(said("online:<yes").0, 7);
        assert!(said("version < 1.2").1.starts_with("Write the field, the sign and the value without blanks"));
    }

    #[test]
    fn marks_of_other_languages_quote_nothing() {
        let (at, hint) = said("type:'gw");
        assert_eq!(
            (at, hint.as_str()),
            (5, "Write type:gw, or type:\"gw box\" where it has blanks. If that is part of it, write type:\"'gw\".")
        );
        assert_eq!(said("type:'gw box'"), (5, "Write type:\"gw box\". If that is part of it, write type:\"'gw box'\".".into()));
        assert!(said("tag:eu version:“1.2”").1.starts_with("Write version:1.2. "));
        assert_eq!(said("certificate:'revoked'").1, "Write certificate:revoked.");
        assert_eq!(said("'gw 7'").1, "Write \"gw 7\".");
        assert_eq!((said("state:''").0, said("type:'").0), (6, 5));
        for text in ["type:gw\"", "type:gw\"box\"", "type:\"gw\"box", "gw\"box", "\"gw\"box"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
        assert_eq!(said("type:gw\"box\"").0, 7);
        assert!(said("tag:\"x").1.starts_with("Close the quotation mark"));
    }

    #[test]
    fn an_equals_sign_and_an_exclamation_mark_mean_nothing() {
        assert_eq!(said("version=1.2.0"), (7, "Write version:1.2.0.".into()));
        assert_eq!(said("tag==eu").1, "Write tag:eu.");
        assert_eq!(said("tag!=lab").1, "Write -tag:lab.");
        assert_eq!(said("version=>1.2").1, "Write version>=1.2.");
        assert_eq!(said("sequence=12").1, "Write sequence>=12 or sequence<12.");
        assert!(said("colour=red").1.starts_with("Write attr.colour:red if colour is an attribute that devices report. Fields are "));
        assert_eq!(said("!tag:lab").0, 0);
        assert!(said("version:!1.2").1.starts_with("Write -version:1.2. "));
        assert!(said("version:=1.2").1.starts_with("Write version:1.2. "));
    }

    #[test]
    fn words_and_signs_that_join_conditions_elsewhere_join_nothing_here() {
        assert_eq!(said("type:x && tag:b"), (7, "Write and, or nothing at all: conditions side by side have to hold together.".into()));
        assert_eq!(said("type:x || tag:b"), (7, "Write or, as in tag:eu or tag:us.".into()));
        assert_eq!((said("gw|ap").0, said("&tag:b").0), (2, 0));
        assert!(Selector::parse("type:a&b attr.p:a|b \"a&b\"").is_ok(), "values are any text");
        let (at, hint) = said("tag:eu not tag:lab");
        assert!(at == 7 && hint.starts_with("Write -tag:lab to leave devices out."), "{hint}");
        assert!(said("not (tag:a or tag:b)").1.starts_with("Write -(tag:lab or tag:eu) "));
        assert!(said("NOT tag:\"a b\"").1.starts_with("Write -tag:lab "));
        for text in ["not", "id:not tag:lab", "\"not\" tag:lab", "tag:a or not", "(not) tag:a"] {
            let read = Selector::parse(text).unwrap();
            assert_eq!(Selector::parse(&read.to_string()), Ok(read), "{text}");
        }
    }

    #[test]
    fn a_state_that_there_is_none_of_is_refused_with_those_there_are() {
        let (at, hint) = said("state:active,activ");
        assert!(at == 13 && hint.contains("state:active or state:suspended"), "{hint}");
        assert!(said("update:broken").1.contains("update:failed"));
        assert!(said("certificate:bad").1.contains("certificate:revoked"));
        assert!(said("presence:away").1.contains("presence:stale"));
        assert_eq!(Selector::parse("state:ACTIVE").unwrap(), Selector::Is(Field::State, vec!["active".into()]));
        for text in ["state:*ed", "update:timed*", "update:*"] {
            assert!(Selector::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_can_be_meant_is_left_alone() {
        for text in [
            "id:gw-1:a",
            "attr.name:O'Hare",
            "attr.flags:a=b",
            "attr.site:\"'t Hof\"",
            "type:\"<1\"",
            "\"a=b\"",
            "-tag:a (tag:\"b\" or c)",
            "tag:\"a\",\"b\"",
        ] {
            let read = Selector::parse(text).unwrap();
            assert_eq!(Selector::parse(&read.to_string()), Ok(read), "{text}");
        }
    }

    #[test]
    fn a_field_of_any_text_keeps_the_signs_in_it() {
        for (text, value) in [
            ("attr.note:a<b", "a<b"),
            ("attr.owner:'x'", "'x'"),
            ("hw:>3", ">3"),
            ("tag:!lab", "!lab"),
            ("group:=1", "=1"),
            ("type:“gw”", "“gw”"),
        ] {
            let read = Selector::parse(text).unwrap();
            assert!(matches!(&read, Selector::Is(_, values) if values == &[value]), "{text}: {read:?}");
            assert_eq!((Selector::parse(&read.to_string()), Selector::parse_kept(text)), (Ok(read.clone()), Ok(read)), "{text}");
        }
    }

    #[test]
    fn what_was_kept_before_is_still_read() {
        for text in
            ["version:<1.2.0", "type:'gw", "a=b", "!a", "type:gw\"box\"", "state:activ", "not tag:a", "tag:a && tag:b", "and", "tag:a and"]
        {
            assert!(Selector::parse(text).is_err() && Selector::parse_kept(text).is_ok(), "{text}");
        }
        assert!(Selector::parse_kept("tag:").is_err());
    }

    proptest! {
        #[test]
        fn every_refusal_has_its_place_and_a_hint(text in "[a-z:<>=!'“”\" ,.-]{0,16}") {
            if let Err(e) = Selector::parse(&text) {
                prop_assert!(text.is_char_boundary(e.position as usize) && !e.hint.is_empty() && !e.message.is_empty());
            }
        }

        #[test]
        fn what_is_read_strictly_means_the_same_as_ever(text in "[a-z:<>=!'\" ,.*()-]{0,16}") {
            if let Ok(read) = Selector::parse(&text) {
                prop_assert_eq!(Selector::parse_kept(&text), Ok(read));
            }
        }
    }
}
