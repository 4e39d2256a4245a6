//! Pure: the names that a Rust source takes from a path, as text: comments, texts and what is compiled for tests only are passed over. Refuses to know
//! which names are good.

/// The code of a source: without what only people read, and what is compiled for tests only. Lines stay where they are.
pub fn code(source: &str) -> String {
    without_tests(&bare(source))
}

/// The names that begin where a way (`crate::`) ends, each with its line.
pub fn names(code: &str, way: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(way) {
        let goes_on = code[..at].ends_with(|before: char| is_word(before) || before == ':');
        if !goes_on {
            let from = at + way.len();
            let line = |place: usize| code[..from + place].matches('\n').count() + 1;
            found.extend(first_words(&code[from..]).into_iter().map(|(place, name)| (line(place), name.to_owned())));
        }
    }
    found
}

/// The first word of a path, or of each path in the braces that begin here, and where it stands.
fn first_words(paths: &str) -> Vec<(usize, &str)> {
    if !paths.starts_with('{') {
        return word(paths).map(|name| (0, name)).into_iter().collect();
    }
    let (mut found, mut deep, mut begins) = (Vec::new(), 0_u32, true);
    for (at, c) in paths.char_indices() {
        match c {
            '{' => deep += 1,
            '}' if deep == 1 => break,
            '}' => deep -= 1,
            ',' => begins = deep == 1,
            c if begins && is_word(c) => {
                found.extend(word(&paths[at..]).map(|name| (at, name)));
                begins = false;
            }
            _ => {}
        }
    }
    found
}

fn word(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The code without what is compiled for tests only. Lines stay where they are.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(") {
        let (before, item) = rest.split_at(at);
        kept.push_str(before);
        let attribute = &item[..item.find(']').map_or(item.len(), |end| end + 1)];
        if attribute.contains("test") && !attribute.contains("not(test") {
            let length = item_length(item);
            kept.extend(item[..length].chars().filter(|c| *c == '\n'));
            rest = &item[length..];
        } else {
            kept.push_str(attribute);
            rest = &item[attribute.len()..];
        }
    }
    kept.push_str(rest);
    kept
}

/// How long the item is that begins here with its attributes: to its semicolon or the end of its braces.
fn item_length(item: &str) -> usize {
    let mut deep = 0_u32;
    for (at, c) in item.char_indices() {
        match c {
            '(' | '[' | '{' => deep += 1,
            // The end of what the item is in.
            ')' | ']' | '}' if deep == 0 => return at,
            '}' if deep == 1 => return at + 1,
            ')' | ']' | '}' => deep -= 1,
            ';' if deep == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// The source without comments, texts and characters, which may say anything. Lines stay where they are.
fn bare(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let (mut rest, mut in_word) = (source, false);
    while let Some(first) = rest.chars().next() {
        if let Some(length) = hidden(rest, in_word) {
            out.push(' ');
            out.extend(rest[..length].chars().filter(|c| *c == '\n'));
            (rest, in_word) = (&rest[length..], false);
        } else {
            out.push(first);
            (rest, in_word) = (&rest[first.len_utf8()..], is_word(first));
        }
    }
    out
}

/// How long the comment, text or character is that begins here; none where code does.
fn hidden(rest: &str, in_word: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(comment_length(rest));
    }
    if let Some(text) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = text.find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        return Some(end.map_or(rest.len(), |end| end + 2));
    }
    if let Some(character) = rest.strip_prefix('\'') {
        // `'a'` and `'\''`, but not the lifetime `'a`.
        let mut chars = character.chars();
        let first = chars.next()?;
        let end = if first == '\\' { 2 + character.get(2..)?.find('\'')? } else { first.len_utf8() };
        return (first == '\\' || chars.next() == Some('\'')).then_some(end + 2);
    }
    if in_word {
        return None;
    }
    // Raw texts: r"…", br#"…"#.
    let marks = rest.strip_prefix(['b', 'c']).unwrap_or(rest).strip_prefix('r')?;
    let hashes = marks.len() - marks.trim_start_matches('#').len();
    let text = marks[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text.find(&close).map_or(rest.len(), |end| rest.len() - text.len() + end + close.len()))
}

/// Comments stand in each other.
fn comment_length(rest: &str) -> usize {
    let (mut at, mut deep) = (0, 0_u32);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            deep += 1;
            at += 2;
        } else if here.starts_with("*/") {
            deep -= 1;
            at += 2;
            if deep == 0 {
                break;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(source: &str) -> Vec<(usize, String)> {
        names(&code(source), "crate::")
    }

    fn at(line: usize, name: &str) -> (usize, String) {
        (line, name.to_owned())
    }

    #[test]
    fn paths_are_found_alone_and_in_braces() {
        assert_eq!(named("\nfn f() -> crate::pki::Kek {}"), [at(2, "pki")]);
        assert_eq!(
            named("use crate::{\n    Result,\n    db::{Db, row},\n    pki::{self, Kek},\n};"),
            [at(2, "Result"), at(3, "db"), at(4, "pki")]
        );
        assert!(named("use my_crate::pki; use mycrate::{a}; use crate::*;").is_empty());
        assert_eq!(names("use super::super::super::pki; use super::super::db;", "super::super::"), [at(1, "super"), at(1, "db")]);
    }

    #[test]
    fn comments_texts_and_tests_are_passed_over() {
        let source = r##"
            //! Like [`crate::pki::Kek`].
            /* crate::pki /* crate::pki */ crate::pki */
            const TEXT: &str = "crate::pki \" crate::pki";
            const RAW: &str = r#"crate::pki " crate::pki"#;
            fn quote<'a>(c: &'a char) -> bool { matches!(c, '"' | '\'' | '\\' | '{') }
            #[cfg(test)]
            mod tests { use crate::pki::Kek; fn f() { let _ = "}"; } }
            #[cfg(any(test, feature = "testing"))]
            use crate::pki::Kek;
        "##;
        let found = named(source);
        assert!(found.is_empty(), "{found:?}");
        // What comes behind them is read again, where it stands.
        let lines = source.matches('\n').count();
        assert_eq!(named(&format!("{source}#[cfg(not(test))]\nuse crate::db;")), [at(lines + 2, "db")]);
    }
}
