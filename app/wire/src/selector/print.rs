//! Pure: tree to text that parses to the same tree.

use super::{Metric, Selector, refuse, standing};
use std::fmt;

/// A value as it is written.
pub(super) struct Value<'a>(pub(super) &'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quoted(f, self.0)
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let plain = !value.contains([' ', '\t', '\n', '(', ')', ',', '"', '\\', ':', '<', '>', '=']) && !value.starts_with(['-', '!']);
    let bare = !value.is_empty() && plain && !value.starts_with(refuse::MARKS);
    if bare && !value.eq_ignore_ascii_case("or") && !value.eq_ignore_ascii_case("and") && value.trim() == value {
        return f.write_str(value);
    }
    always(f, value)
}

fn always(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    write!(f, "\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], between: &str| {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    f.write_str(between)?;
                }
                match part {
                    Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(parts) => list(f, parts, " "),
            Self::Any(parts) => list(f, parts, " or "),
            Self::Not(part) => match **part {
                // Two - side by side are no term.
                Self::All(_) | Self::Any(_) | Self::Not(_) => write!(f, "-({part})"),
                _ => write!(f, "-{part}"),
            },
            // Bare they are refused as slips.
            Self::Word(word) if word.contains(['&', '|']) || word.eq_ignore_ascii_case("not") => always(f, word),
            Self::Word(word) => quoted(f, word),
            Self::Sequence(how, n) => write!(f, "sequence{}{n}", how.as_str()),
            Self::Version(how, version) => write!(f, "version{}{version}", how.as_str()),
            Self::Metric(Metric { name, how, value, within }) => {
                write!(f, "metric.{name}{}{value}", how.as_str())?;
                within.map_or(Ok(()), |ms| write!(f, "@{}", standing::written(ms)))
            }
            Self::Silent(how, ms) => write!(f, "last_seen{}{}", how.as_str(), standing::written(*ms)),
            Self::Is(field, values) => {
                write!(f, "{}:", field.name())?;
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        f.write_str(",")?;
                    }
                    quoted(f, value)?;
                }
                Ok(())
            }
        }
    }
}
