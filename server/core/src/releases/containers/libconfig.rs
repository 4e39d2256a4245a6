//! Pure: the notation of libconfig (its manual, chapter 2), which most `sw-description` files are written in, read into JSON. Groups become objects,
//! arrays and lists become arrays; of a name that is set twice the last counts. `@include` names a file that isn't here and is passed over.

use serde_json::{Map, Number, Value};
use std::{iter::Peekable, str::Chars};

/// Deepest nesting that is read.
const DEPTH: usize = 24;

/// What can be wrong.
type Problem = &'static str;

/// Reads a whole configuration: one object.
pub fn parse(input: &str) -> Result<Value, Problem> {
    let mut reader = Reader { chars: input.chars().peekable() };
    let top = reader.settings(None, DEPTH)?;
    Ok(Value::Object(top))
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    /// Settings up to the closing sign, or to the end of the input.
    fn settings(&mut self, close: Option<char>, depth: usize) -> Result<Map<String, Value>, Problem> {
        let mut map = Map::new();
        loop {
            self.blank()?;
            match (self.chars.peek().copied(), close) {
                (None, None) => return Ok(map),
                (None, Some(_)) => return Err("it ends inside a group"),
                (Some(c), Some(end)) if c == end => {
                    self.chars.next();
                    return Ok(map);
                }
                (Some('@'), _) => self.line(),
                (Some(c), _) if name_begins(c) => {
                    let name = self.take(name_goes_on);
                    self.blank()?;
                    if !matches!(self.chars.next(), Some('=' | ':')) {
                        return Err("a name is not followed by = or :");
                    }
                    let value = self.value(depth)?;
                    map.insert(name, value);
                    self.blank()?;
                    self.chars.next_if(|c| matches!(c, ';' | ','));
                }
                _ => return Err("a setting does not begin with a name"),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Problem> {
        let depth = depth.checked_sub(1).ok_or("it is nested too deeply")?;
        self.blank()?;
        match self.chars.peek().copied() {
            Some('{') => {
                self.chars.next();
                self.settings(Some('}'), depth).map(Value::Object)
            }
            Some('[') => self.values(']', depth),
            Some('(') => self.values(')', depth),
            Some('"') => self.strings(),
            Some(_) => scalar(&self.take(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))),
            None => Err("it ends before a value"),
        }
    }

    fn values(&mut self, close: char, depth: usize) -> Result<Value, Problem> {
        self.chars.next();
        let mut all = Vec::new();
        loop {
            self.blank()?;
            if self.chars.next_if_eq(&close).is_some() {
                return Ok(Value::Array(all));
            }
            all.push(self.value(depth)?);
            self.blank()?;
            if self.chars.next_if_eq(&',').is_none() && self.chars.peek() != Some(&close) {
                return Err("a list is not closed");
            }
        }
    }

    /// Strings one after the other are one string.
    fn strings(&mut self) -> Result<Value, Problem> {
        let mut text = String::new();
        while self.chars.next_if_eq(&'"').is_some() {
            loop {
                match self.chars.next().ok_or("it ends inside a text")? {
                    '"' => break,
                    '\\' => text.push(self.escape()?),
                    c => text.push(c),
                }
            }
            self.blank()?;
        }
        Ok(Value::String(text))
    }

    fn escape(&mut self) -> Result<char, Problem> {
        Ok(match self.chars.next().ok_or("it ends inside a text")? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\u{c}',
            'x' => {
                let mut digit = || self.chars.next().and_then(|c| c.to_digit(16)).ok_or("\\x is not followed by two digits");
                let (high, low) = (digit()?, digit()?);
                char::from_u32(high * 16 + low).ok_or("\\x is no character")?
            }
            c => c,
        })
    }

    /// Passes over white space and comments.
    fn blank(&mut self) -> Result<(), Problem> {
        loop {
            match self.chars.peek() {
                Some(c) if c.is_whitespace() => {
                    self.chars.next();
                }
                Some('#') => self.line(),
                Some('/') => {
                    self.chars.next();
                    match self.chars.next() {
                        Some('/') => self.line(),
                        Some('*') => self.comment()?,
                        _ => return Err("a slash that begins no comment"),
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), Problem> {
        let mut star = false;
        loop {
            match self.chars.next().ok_or("it ends inside a comment")? {
                '/' if star => return Ok(()),
                c => star = c == '*',
            }
        }
    }

    fn line(&mut self) {
        while self.chars.next().is_some_and(|c| c != '\n') {}
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.chars.next_if(|c| wanted(*c)) {
            taken.push(c);
        }
        taken
    }
}

const fn name_begins(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '*'
}

const fn name_goes_on(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '*' | '-' | '_')
}

fn scalar(word: &str) -> Result<Value, Problem> {
    if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") {
        return Ok(Value::Bool(word.eq_ignore_ascii_case("true")));
    }
    let whole = word.trim_end_matches('L');
    let hex = whole.strip_prefix("0x").or_else(|| whole.strip_prefix("0X"));
    let number = match hex {
        Some(digits) => i64::from_str_radix(digits, 16).ok().map(Number::from),
        None => whole.parse::<i64>().ok().map(Number::from).or_else(|| whole.parse().ok().and_then(Number::from_f64)),
    };
    number.map(Value::Number).ok_or("a value is neither a text nor a number nor true or false")
}
