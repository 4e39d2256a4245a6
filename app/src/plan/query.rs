//! Pure: a query string as pairs and back (`application/x-www-form-urlencoded`, WHATWG URL §5), the same on the server and in the browser.

/// The pairs of a query string, in their order. Takes it with or without the question mark; what is not valid UTF-8 is replaced.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let query = query.strip_prefix('?').unwrap_or(query);
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

/// Appends a pair to a query string.
pub fn push(query: &mut String, key: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    encode(query, key);
    query.push('=');
    encode(query, value);
}

/// Appends the place of a page in its list: how many rows lie in front of it, and the cursor that it begins behind. The first page has an empty one, and
/// nothing is appended.
pub fn push_place(query: &mut String, before: i64, cursor: &str) {
    if !cursor.is_empty() {
        push(query, "from", &before.to_string());
        push(query, "cur", cursor);
    }
}

/// The address of a path with this query string; of the path alone where that is empty.
pub fn address(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The query string with this value for a key whose values need no encoding; none when it has it already. Every other pair stays byte for byte as it is.
pub fn with(query: &str, key: &str, value: &str) -> Option<String> {
    let query = query.strip_prefix('?').unwrap_or(query);
    let own = |pair: &&str| pair.split_once('=').is_some_and(|(name, _)| name == key);
    let pair = format!("{key}={value}");
    if query.split('&').filter(own).eq([pair.as_str()]) {
        return None;
    }
    let others = query.split('&').filter(|one| !one.is_empty() && !own(one));
    Some(others.chain([pair.as_str()]).collect::<Vec<_>>().join("&"))
}

/// The query string without the pairs whose key is one of those to be left out, as it is written. Every other pair stays byte for byte as it is.
pub fn without(query: &str, left_out: impl Fn(&str) -> bool) -> String {
    let query = query.strip_prefix('?').unwrap_or(query);
    let others = query.split('&').filter(|pair| !pair.is_empty() && !left_out(pair.split_once('=').map_or(*pair, |(key, _)| key)));
    others.collect::<Vec<_>>().join("&")
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        match b {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                let digits = (ahead.next().and_then(digit), ahead.next().and_then(digit));
                if let (Some(high), Some(low)) = digits {
                    bytes.push(high << 4 | low);
                    rest = ahead;
                } else {
                    bytes.push(b'%');
                }
            }
            _ => bytes.push(b),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn digit(b: u8) -> Option<u8> {
    char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

fn encode(out: &mut String, text: &str) {
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(char::from(b)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.extend([b >> 4, b & 15].into_iter().filter_map(|n| char::from_digit(u32::from(n), 16)).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pair_is_put_into_a_query_and_the_others_stay_as_they_are() {
        assert_eq!(with("?step=review&name=A%20b+c", "draw", "rol_1").as_deref(), Some("step=review&name=A%20b+c&draw=rol_1"));
        assert_eq!(with("draw=rol_0&a=1&draw=", "draw", "rol_1").as_deref(), Some("a=1&draw=rol_1"));
        assert_eq!(with("a=1&draw=rol_1", "draw", "rol_1"), None);
        assert_eq!(with("", "draw", "rol_1").as_deref(), Some("draw=rol_1"));
    }

    #[test]
    fn pairs_are_left_out_of_a_query_and_the_others_stay_as_they_are() {
        assert_eq!(without("?a=1&b=x%20y+z&&b&c", |key| key == "a"), "b=x%20y+z&b&c");
        assert_eq!(without("b=1&a&b", |key| key == "b"), "a");
        assert_eq!(without("", |_| true), "");
    }

    #[test]
    fn what_is_written_is_read_back() {
        for value in ["", "tag:eu online:yes", "a&b=c", "100 %", "50%", "ü€😀", "+", "<script>"] {
            let mut query = String::new();
            push(&mut query, "stages.0.name", value);
            push(&mut query, "q", "x");
            assert_eq!(pairs(&query), [("stages.0.name".to_owned(), value.to_owned()), ("q".into(), "x".into())], "{query}");
        }
    }

    #[test]
    fn an_address_says_no_more_than_it_has_to() {
        let mut query = String::new();
        push_place(&mut query, 50, "");
        assert_eq!(address("/firmware", &query), "/firmware");
        push_place(&mut query, 50, "17.~ x");
        assert_eq!(address("/firmware", &query), "/firmware?from=50&cur=17.%7E+x");
    }

    #[test]
    fn a_broken_query_is_read_as_far_as_it_goes() {
        assert_eq!(
            pairs("?a=%&b=%4&c=%zz&d&=e&&"),
            [
                ("a".to_owned(), "%".to_owned()),
                ("b".into(), "%4".into()),
                ("c".into(), "%zz".into()),
                ("d".into(), String::new()),
                (String::new(), "e".into()),
            ]
        );
        assert_eq!(pairs("a=%ff"), [("a".to_owned(), "\u{fffd}".to_owned())]);
    }
}
