//! Pure: which REST requests the source text of tests writes down.
//!
//! A request is a method (`.get(`, `put(`, `Method::POST`) and a path in a string. The method is the last one before the path in the same statement, or
//! the first one behind it, as with a table whose loop sends it. A path may have a name (`let path = format!("/rollouts/{id}");`), go on from one
//! (`"{path}/approve"`), or stand below what a function of the same file puts in front of it (`"/api/v1/claims{path}"`). Addresses of pages, which are
//! whole where `url(…)` takes them, are none.
//!
//! What is not seen counts as not tried: a path that is put together in another way, a method that only a function elsewhere names, a fixed word of a path
//! that a value fills in, the empty path below a function's. What is seen is text: that it is sent, and how it is answered, is said by the test that has
//! it. A name that means another path later in the same function is taken for both.

use std::collections::BTreeMap;

/// A method in capitals, and a path below `/api/v1`.
pub type Request = (String, String);

enum Token<'a> {
    Word(&'a str),
    Text(&'a str),
    Mark(char),
}

/// Every request of a source text, its helpers in it.
pub fn requests(source: &str) -> Vec<Request> {
    let tokens = tokens(source);
    let bases = bases(&tokens);
    let mut named: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut found = Vec::new();
    for statement in tokens.split(|token| matches!(token, Token::Mark(';'))) {
        let methods = methods(statement);
        let name = naming(statement, &methods);
        let mut meant = Vec::new();
        for (at, token) in statement.iter().enumerate() {
            let paths = match token {
                Token::Word("fn") => {
                    named.clear();
                    continue;
                }
                Token::Word(word) => named.get(word).cloned().unwrap_or_default(),
                Token::Text(text) => paths(text, is_whole(&statement[..at]), &named),
                Token::Mark(_) => continue,
            };
            if name.is_some_and(|(from, _)| at > from) {
                meant.extend(paths);
            } else if let Some(method) = method_of(&methods, at) {
                let below = bases.iter().flat_map(|base| paths.iter().map(move |path| format!("{base}{path}")));
                found.extend(below.chain(paths.iter().cloned()).map(|path| (method.to_owned(), path)));
            }
        }
        if let Some((_, name)) = name {
            named.insert(name, meant);
        }
    }
    found
}

/// The operation that a request is for: of several whose template fits the one with the most fixed words.
pub fn meant<'a>(operations: &'a [Request], (method, path): &Request) -> Option<&'a Request> {
    let words = |template: &str| template.split('/').filter(|part| !part.starts_with('{')).count();
    operations.iter().filter(|(m, template)| m == method && fits(template, path)).max_by_key(|(_, template)| words(template))
}

/// Whether a path is one of a template: its fixed words, and something for each of its names.
fn fits(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (one, other) = (template.split('/'), path.split('/'));
    one.clone().count() == other.clone().count()
        && one.zip(other).all(|(wanted, part)| wanted == part || (wanted.starts_with('{') && !part.is_empty()))
}

/// The paths that a string stands for.
fn paths(text: &str, whole: bool, named: &BTreeMap<&str, Vec<String>>) -> Vec<String> {
    let goes_on = text.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    if let Some((known, rest)) = goes_on.and_then(|(name, rest)| Some((named.get(name)?, rest))) {
        return known.iter().map(|path| format!("{path}{rest}")).collect();
    }
    let below = text.strip_prefix("/api/v1").or((!whole).then_some(text));
    below.filter(|path| path.starts_with('/')).map(str::to_owned).into_iter().collect()
}

/// Whether a string behind these tokens is the address that `url(…)` takes.
fn is_whole(before: &[Token<'_>]) -> bool {
    let between = |token: &&Token<'_>| matches!(token, Token::Mark('(' | '&' | '!') | Token::Word("format"));
    matches!(before.iter().rev().find(|token| !between(token)), Some(Token::Word("url")))
}

/// What functions put in front of paths: `/claims` of `"/api/v1/claims{path}"`.
fn bases(tokens: &[Token<'_>]) -> Vec<String> {
    let base = |token: &Token<'_>| {
        let Token::Text(text) = token else { return None };
        let (base, _) = text.strip_prefix("/api/v1/")?.strip_suffix('}')?.rsplit_once('{')?;
        base.ends_with(char::is_alphabetic).then(|| format!("/{base}"))
    };
    tokens.iter().filter_map(base).collect()
}

/// Where the methods of a statement are.
fn methods(statement: &[Token<'_>]) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (at, token) in statement.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let called = matches!(statement.get(at + 1), Some(Token::Mark('(')));
        let defined = at.checked_sub(1).is_some_and(|before| matches!(statement[before], Token::Word("fn")));
        let called = called && !defined;
        let method = match *word {
            "get" if called => "GET",
            "put" if called => "PUT",
            "post" if called => "POST",
            "delete" if called => "DELETE",
            "Method" => match statement.get(at + 3) {
                Some(Token::Word("GET")) => "GET",
                Some(Token::Word("PUT")) => "PUT",
                Some(Token::Word("POST")) => "POST",
                Some(Token::Word("DELETE")) => "DELETE",
                _ => continue,
            },
            _ => continue,
        };
        found.push((at, method));
    }
    found
}

fn method_of(methods: &[(usize, &'static str)], at: usize) -> Option<&'static str> {
    let before = methods.iter().rev().find(|(method, _)| *method < at);
    before.or_else(|| methods.first()).map(|(_, method)| *method)
}

/// Where a statement begins to give a name to what is no request, and the name.
fn naming<'a>(statement: &[Token<'a>], methods: &[(usize, &'static str)]) -> Option<(usize, &'a str)> {
    let at = statement.iter().rposition(|token| matches!(token, Token::Word("let")))?;
    if methods.iter().any(|(method, _)| *method > at) {
        return None;
    }
    let name = statement[at + 1..].iter().find_map(|token| match token {
        Token::Word("mut") => None,
        Token::Word(word) => Some(*word),
        _ => None,
    });
    name.map(|name| (at, name))
}

fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if let Some((text, after)) = raw(rest).or_else(|| quoted(rest)) {
            found.push(Token::Text(text));
            rest = after;
        } else if c == '\'' {
            rest = behind_quote(&rest[1..]);
        } else if c == '_' || c.is_alphanumeric() {
            let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            found.push(Token::Word(&rest[..end]));
            rest = &rest[end..];
        } else {
            if !c.is_whitespace() {
                found.push(Token::Mark(c));
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// A raw string in front, and what follows it.
fn raw(rest: &str) -> Option<(&str, &str)> {
    let body = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let text = body[hashes..].strip_prefix('"')?;
    text.split_once(format!("\"{}", &body[..hashes]).as_str())
}

/// A string in front, and what follows it; what is escaped stays so.
fn quoted(rest: &str) -> Option<(&str, &str)> {
    let text = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('"')?;
    let mut escaped = false;
    let end = text.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some((&text[..end], &text[end + 1..]))
}

/// What follows the quote of a character, the character with it, or of a lifetime.
fn behind_quote(rest: &str) -> &str {
    let mut chars = rest.char_indices();
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => chars.find(|(_, c)| *c == '\'').map_or("", |(at, _)| &rest[at + 1..]),
        (Some(_), Some((at, '\''))) => &rest[at + 1..],
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::{Request, meant, requests};

    fn seen(source: &str) -> Vec<String> {
        requests(source).into_iter().map(|(method, path)| format!("{method} {path}")).collect()
    }

    #[test]
    fn requests_are_found_as_tests_write_them() {
        assert_eq!(seen(r#"let a = rest.get("/devices/gw-1").await;"#), ["GET /devices/gw-1"]);
        assert_eq!(seen(r#"rest.post(&o, &format!("/rollouts/{id}/submit"), &json!({})).await"#), ["POST /rollouts/{id}/submit"]);
        assert_eq!(seen(r#"rig.call(reqwest::Method::PUT, "/clock", &x)"#), ["PUT /clock"]);
        assert_eq!(seen(r#"server.http.post(server.url("/api/v1/claims")).json(&json!({ "a": "/b" }))"#), ["POST /claims", "POST /b"]);
        assert_eq!(seen(r#"for (path, body) in [("/a", 1), ("/b", ';')] { s.post(path, body).await; }"#), ["POST /a", "POST /b"]);
        assert_eq!(seen(r#"let mut path = format!("/a/{id}"); x.get(&path); x.delete(&path)"#), ["GET /a/{id}", "DELETE /a/{id}"]);
        assert_eq!(seen(r#"let path = "/a"; x.post(&format!("{path}/end?x=1"), 'é', '\'')"#), ["POST /a/end?x=1"]);
        assert_eq!(
            seen(r#"let u = url(&format!("/api/v1/claims{path}")); u.send(); f(Method::GET, "/{id}/devices")"#),
            ["GET /claims/{id}/devices", "GET /{id}/devices"]
        );
    }

    #[test]
    fn what_is_no_request_is_not_taken_for_one() {
        for source in [
            r#"browser.get(server.url("/devices")).send()"#,
            r#"// rest.get("/devices")"#,
            r#"let path = "/devices"; fn other<'a>(path: &'a str) { http.get(path); }"#,
            r#"async fn get(&self, path: &str) -> Value { self.ask("/devices") }"#,
            r#"assert!(page(&ada, "/devices").await.contains("gw-1"))"#,
        ] {
            assert_eq!(seen(source), [""; 0], "{source}");
        }
    }

    #[test]
    fn a_request_is_for_the_operation_that_says_most() {
        let of = |text: &str| -> Request { text.split_once(' ').map(|(m, p)| (m.to_owned(), p.to_owned())).unwrap() };
        let all = ["GET /rollouts/{id}", "GET /rollouts/approvals", "POST /rollouts/{id}/{verb}", "GET /devices:export"].map(of);
        for (request, wanted) in [
            ("GET /rollouts/{id}", Some(0)),
            ("GET /rollouts/approvals?x=1", Some(1)),
            ("POST /rollouts/{}/start", Some(2)),
            ("POST /rollouts/{id}", None),
            ("GET /devices:export?q={q}", Some(3)),
            ("GET /{list}", None),
            ("GET /rollouts/", None),
        ] {
            assert_eq!(meant(&all, &of(request)), wanted.map(|n: usize| &all[n]), "{request}");
        }
    }
}
