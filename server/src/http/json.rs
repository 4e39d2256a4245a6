//! Pure: JSON bodies of every face, and what is said of queries. A list in the place of an object is refused at any depth ([`Objects`]), though the library would take it, its members by
//! their places; and what the library says of a body becomes our own words, without the names of our types.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use wire::objects::Objects;

/// What the library says first of more lists and objects inside of each other than it reads (127); that of YAML has the same words.
pub(crate) const TOO_DEEP: &str = "recursion limit exceeded";

/// What a body says, or a sentence about why it can't be read.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|first| *first != b'{') {
        return Err("The body must be a JSON object.".to_owned());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let said = serde_path_to_error::deserialize(Objects(&mut json)).map_err(|e| words(body, &e.path().to_string(), e.inner()))?;
    // Nothing may follow the object.
    json.end().map_err(|e| words(body, ".", &e))?;
    Ok(said)
}

fn words(body: &[u8], path: &str, error: &serde_json::Error) -> String {
    match error.classify() {
        // Before it is asked whether it is JSON: what skips a value goes to any depth.
        Category::Syntax if error.to_string().starts_with(TOO_DEEP) => {
            format!(
                "The body has too many lists and objects inside of each other: look at line {}, column {}.",
                error.line(),
                error.column()
            )
        }
        Category::Data => of_data(path, &error.to_string()),
        // Of JSON the library says so too, where a number stands in the place of a word.
        Category::Syntax if is_json(body) => format!("{} is not what it may be.", subject(path)),
        Category::Eof => "The body ends before its JSON object does.".to_owned(),
        Category::Syntax | Category::Io => format!("The body is no JSON: look at line {}, column {}.", error.line(), error.column()),
    }
}

fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

fn subject(path: &str) -> String {
    if path == "." { "The body".to_owned() } else { format!("The field {path}") }
}

/// Of JSON that is none of ours, or of what another library says in the same words: `path` is where, as `stages[0].name`, or `.` for the whole.
pub(crate) fn of_data(path: &str, said: &str) -> String {
    let said = said.rsplit_once(" at line ").map_or(said, |(what, _)| what);
    let inside = |name: &str| if path == "." { name.to_owned() } else { format!("{path}.{name}") };
    let subject = subject(path);
    let name = |rest: &str| rest.split('`').next().unwrap_or_default().to_owned();
    if let Some(rest) = said.strip_prefix("missing field `") {
        return format!("The field {} is missing.", inside(&name(rest)));
    }
    if let Some(rest) = said.strip_prefix("duplicate field `") {
        return format!("The field {} is there twice.", name(rest));
    }
    if let Some(rest) = said.strip_prefix("unknown field `") {
        let known = rest.split_once(", expected ").map(|(_, known)| format!("; it may be {}", bare(known))).unwrap_or_default();
        return format!("There is no field {}{known}.", name(rest));
    }
    let expected = said.rsplit_once(", expected ").map(|(_, expected)| expected);
    let too_large = said.strip_prefix("invalid value: integer `").is_some_and(|number| !number.starts_with('-'));
    match (said, expected) {
        (_, Some(_)) if too_large => format!("{subject} is too large."),
        (said, Some(known)) if said.starts_with("unknown variant ") => format!("{subject} is not {}.", bare(known)),
        (said, Some(kind)) if said.starts_with("invalid type: ") => format!("{subject} is not {}.", kind_of(kind)),
        (said, Some(kind)) if said.starts_with("invalid value: ") => format!("{subject} is out of bounds: it is not {}.", kind_of(kind)),
        (said, _) if said.starts_with("invalid length ") => format!("{subject} has too many or too few members."),
        (said, _) if said.starts_with("data did not match ") => format!("{subject} has none of the forms that it may have."),
        // Said by our own types.
        (said, _) => format!("{subject} can't be read: {}.", said.trim_end_matches('.')),
    }
}

/// A sentence about a query that can't be read, of what the library says: `rows: invalid digit found in string`.
pub fn of_query(said: &str) -> String {
    let named = |(path, _): &(&str, &str)| !path.contains([' ', '`']);
    let (path, what) = said.split_once(": ").filter(named).unwrap_or((".", said));
    // A parameter has none inside of it.
    let path = if what.starts_with("missing field ") { "." } else { path };
    let subject = subject(path);
    let sentence = match what {
        "number too large to fit in target type" => format!("{subject} is too large."),
        "invalid digit found in string" | "cannot parse integer from empty string" | "number too small to fit in target type" => {
            format!("{subject} is no whole number that it may be.")
        }
        "invalid float literal" | "cannot parse float from empty string" => format!("{subject} is not a number."),
        "provided string was not `true` or `false`" => format!("{subject} is not true or false."),
        what => of_data(path, what),
    };
    sentence.replacen("The field ", "The parameter ", 1).replacen("There is no field ", "There is no parameter ", 1).replacen(
        "The body ",
        "The query ",
        1,
    )
}

/// Words of a list without the marks around each.
fn bare(list: &str) -> String {
    list.replace('`', "")
}

/// What is expected, without the name of a type.
fn kind_of(expected: &str) -> String {
    let first = expected.split(' ').next().unwrap_or_default();
    match first {
        "u8" | "u16" | "u32" | "u64" | "usize" | "NonZeroU32" => "a whole number that is not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "string" | "str" | "borrowed" | "variant" => "a string".to_owned(),
        "unit" | "option" => "empty".to_owned(),
        "struct" | "enum" | "map" | "internally" | "adjacently" => "an object".to_owned(),
        "tuple" | "sequence" => "a list".to_owned(),
        "a" | "an" | "any" => match expected {
            "a sequence" => "a list".to_owned(),
            "a boolean" => "true or false".to_owned(),
            "a map" => "an object".to_owned(),
            other => bare(other),
        },
        _ => "what it may be".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        DarkBlue,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "size")]
        _size: u32,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "name")]
        _name: String,
        #[serde(rename = "colour", default)]
        _colour: Option<Colour>,
        #[serde(rename = "parts", default)]
        _parts: Vec<Inner>,
    }

    #[test]
    fn a_body_is_an_object_and_nothing_else() {
        for body in ["[]", "[\"a\"]", " [\"a\", null, []]", "\"a\"", "7", "null", "true"] {
            assert_eq!(read::<Outer>(body.as_bytes()).unwrap_err(), "The body must be a JSON object.", "{body}");
        }
        assert!(read::<Outer>(b" {\"name\": \"a\", \"colour\": \"dark_blue\", \"parts\": [{\"size\": 1}]} ").is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_without_our_types() {
        for (body, says) in [
            ("", "The body ends before its JSON object does."),
            ("{", "The body ends before its JSON object does."),
            ("{name}", "The body is no JSON: look at line 1, column 2."),
            ("{}", "The field name is missing."),
            ("{\"name\": 7}", "The field name is not a string."),
            ("{\"name\": \"a\", \"name\": \"b\"}", "The field name is there twice."),
            ("{\"name\": \"a\", \"nme\": 1}", "There is no field nme; it may be one of name, colour, parts."),
            ("{\"name\": \"a\", \"colour\": \"green\"}", "The field colour is not red or dark_blue."),
            ("{\"name\": \"a\", \"colour\": 7}", "The field colour is not what it may be."),
            ("{\"name\": \"a\", \"parts\": 7}", "The field parts is not a list."),
            ("{\"name\": \"a\", \"parts\": [{}]}", "The field parts[0].size is missing."),
            ("{\"name\": \"a\", \"parts\": [\"x\"]}", "The field parts[0] is not an object."),
            (
                "{\"name\": \"a\", \"parts\": [{\"size\": -1}]}",
                "The field parts[0].size is out of bounds: it is not a whole number that is not negative.",
            ),
            ("{\"name\": \"a\", \"parts\": [{\"size\": 5000000000}]}", "The field parts[0].size is too large."),
        ] {
            assert_eq!(read::<Outer>(body.as_bytes()).unwrap_err(), says, "{body}");
        }
        let more = read::<Outer>(b"{\"name\": \"a\"} {}").unwrap_err();
        assert!(more.starts_with("The body is no JSON: "), "{more}");
    }

    #[test]
    fn a_query_is_refused_in_the_same_words() {
        for (library, says) in [
            ("rows: invalid digit found in string", "The parameter rows is no whole number that it may be."),
            ("rows: number too large to fit in target type", "The parameter rows is too large."),
            ("all: provided string was not `true` or `false`", "The parameter all is not true or false."),
            ("state: unknown variant `foo`, expected `open` or `over`", "The parameter state is not open or over."),
            ("unknown variant `foo`, expected `open` or `over`", "The query is not open or over."),
            ("unknown field `nme`, expected one of `rows`, `q`", "There is no parameter nme; it may be one of rows, q."),
            ("nme: unknown field `nme`, expected `rows` or `q`", "There is no parameter nme; it may be rows or q."),
            ("missing field `from`", "The parameter from is missing."),
            ("from: missing field `from`", "The parameter from is missing."),
            ("duplicate field `rows`", "The parameter rows is there twice."),
        ] {
            assert_eq!(of_query(library), says, "{library}");
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_said_to_be() {
        #[derive(Debug, Deserialize)]
        struct Anything {
            #[serde(rename = "any")]
            _any: serde_json::Value,
        }
        // The object around it is one level, too.
        let body = |depth: usize| format!("{{\"any\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(read::<Anything>(body(126).as_bytes()).is_ok());
        for depth in [127, 128, 1000] {
            let said = read::<Anything>(body(depth).as_bytes()).unwrap_err();
            assert!(said.starts_with("The body has too many lists and objects inside of each other: look at line 1, column 1"), "{said}");
        }
    }

    #[test]
    fn a_list_is_no_object_inside_of_a_body_either() {
        for list in ["[]", "[1]", "[1, 2]"] {
            let body = format!("{{\"name\": \"a\", \"parts\": [{{\"size\": 1}}, {list}]}}");
            assert_eq!(read::<Outer>(body.as_bytes()).unwrap_err(), "The field parts[1] is not an object.", "{list}");
        }
        let tagged = read::<wire::consents::AskConsent>(b"{\"deed\": [\"approvals_off\"], \"remark\": \"a\"}").unwrap_err();
        assert_eq!(tagged, "The field deed is not an object.");
    }
}
