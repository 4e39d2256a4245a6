//! Pure: all that a device needs to join, as one text that fits into a QR code and is read by a camera or pasted. Refuses to judge what is in it: the
//! agent checks addresses, and the server secrets.
//!
//! `fleetward://enrol?url=https://HOST:8444&root=HEX&token=fet_…[&id=…][&type=…][&alg=…]`, or with `claim=…&key=…` instead of a token. It is a URI (RFC 3986):
//! a value has `%XX` for all but letters, digits and `-._~:/`. The order of the members does not matter; one that is not known is refused, because a
//! device that passes over it would join as something else.

use super::AgentKey;
use crate::percent;
use std::{fmt, str::FromStr};

/// What an enrolment code begins with.
pub const CODE_SCHEME: &str = "fleetward://enrol?";
/// Longest code that is read: more than any QR code holds.
const LONGEST: usize = 4096;

/// By what the device is let in.
#[derive(Clone, PartialEq, Eq)]
pub enum CodeSecret {
    /// An enrolment token's secret, `fet_…` (E-1).
    Token(String),
    /// A claim's certificate and key (E-9).
    Claim {
        /// The certificate, DER in base64url without padding.
        certificate: String,
        /// PKCS#8 in DER, the same way.
        key: String,
    },
}

/// An enrolment code.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolCode {
    /// The enrol listener, `https://host:port`.
    pub url: String,
    /// SHA-256 of the root certificate, hex.
    pub root: String,
    /// By what the device is let in.
    pub secret: CodeSecret,
    /// The name it is to take, where there is only one it may have.
    pub device_id: Option<String>,
    /// Its type, where the token or claim gives one.
    pub device_type: Option<String>,
    /// The key it is to make, where the agent's usual one is not taken.
    pub alg: Option<AgentKey>,
}

/// Secrets are in it, and what is printed ends up in a log.
impl fmt::Debug for EnrolCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolCode").field("url", &self.url).finish_non_exhaustive()
    }
}

impl fmt::Debug for CodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token",
            Self::Claim { .. } => "Claim",
        })
    }
}

/// Why a text is no enrolment code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// It is something else.
    #[error("this is no enrolment code: one begins with {CODE_SCHEME}")]
    Scheme,
    /// Longer than a QR code holds.
    #[error("this enrolment code is too long")]
    TooLong,
    /// A member that is not known, stands twice, or is badly written.
    #[error("the enrolment code's {0:?} can't be read; scan or copy it again, whole")]
    Member(String),
    /// A member is not there.
    #[error("the enrolment code has no {0}; scan or copy it again, whole")]
    Missing(&'static str),
}

impl fmt::Display for EnrolCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{CODE_SCHEME}url={}&root={}", escaped(&self.url), escaped(&self.root))?;
        match &self.secret {
            CodeSecret::Token(token) => write!(f, "&token={}", escaped(token))?,
            CodeSecret::Claim { certificate, key } => write!(f, "&claim={}&key={}", escaped(certificate), escaped(key))?,
        }
        let alg = self.alg.map(|alg| alg.as_str().to_owned());
        for (name, value) in [("id", &self.device_id), ("type", &self.device_type), ("alg", &alg)] {
            if let Some(value) = value {
                write!(f, "&{name}={}", escaped(value))?;
            }
        }
        Ok(())
    }
}

impl FromStr for EnrolCode {
    type Err = CodeError;
    fn from_str(text: &str) -> Result<Self, CodeError> {
        const NAMES: [&str; 8] = ["url", "root", "token", "claim", "key", "id", "type", "alg"];
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(CodeError::TooLong);
        }
        let members = text.strip_prefix(CODE_SCHEME).ok_or(CodeError::Scheme)?;
        let mut found: [Option<String>; NAMES.len()] = Default::default();
        for member in members.split('&') {
            let (name, value) = member.split_once('=').unwrap_or((member, ""));
            let wrong = || CodeError::Member(name.chars().filter(char::is_ascii_alphanumeric).take(20).collect());
            let place = NAMES.iter().position(|known| *known == name).and_then(|at| found.get_mut(at)).ok_or_else(wrong)?;
            let value = unescaped(value).filter(|value| !value.is_empty()).ok_or_else(wrong)?;
            if place.replace(value).is_some() {
                return Err(wrong());
            }
        }
        let [url, root, token, claim, key, device_id, device_type, alg] = found;
        let alg = alg.map(|alg| alg.parse::<AgentKey>()).transpose().map_err(|_| CodeError::Member("alg".to_owned()))?;
        let secret = match (token, claim, key) {
            (Some(token), None, None) => CodeSecret::Token(token),
            (None, Some(certificate), Some(key)) => CodeSecret::Claim { certificate, key },
            (None, Some(_), None) => return Err(CodeError::Missing("key")),
            (None, None, _) => return Err(CodeError::Missing("token")),
            (Some(_), ..) => return Err(CodeError::Member("claim".to_owned())),
        };
        let (url, root) = (url.ok_or(CodeError::Missing("url"))?, root.ok_or(CodeError::Missing("root"))?);
        Ok(Self { url, root, secret, device_id, device_type, alg })
    }
}

/// `:` and `/` may stand in a query as they are (RFC 3986 §3.4), and keep the code short.
fn escaped(text: &str) -> String {
    percent::encoded(text, b":/")
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            let digits = str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_short_and_says_what_is_wrong_with_it() {
        let text = "fleetward://enrol?url=https://h:8444&root=ab&token=fet_1_x&id=gw-1&type=linux%20host";
        let code: EnrolCode = text.parse().unwrap();
        assert_eq!(code.secret, CodeSecret::Token("fet_1_x".into()));
        assert_eq!((code.device_id.as_deref(), code.device_type.as_deref()), (Some("gw-1"), Some("linux host")));
        assert_eq!(code.to_string(), text);
        assert!(!format!("{code:?}").contains("fet_"));
        for (bad, error) in [
            ("https://h:8444", CodeError::Scheme),
            ("fleetward://enrol?", CodeError::Member(String::new())),
            ("fleetward://enrol?url=x&root=y", CodeError::Missing("token")),
            ("fleetward://enrol?url=x&token=y", CodeError::Missing("root")),
            ("fleetward://enrol?root=x&token=y", CodeError::Missing("url")),
            ("fleetward://enrol?url=x&root=y&claim=z", CodeError::Missing("key")),
            ("fleetward://enrol?url=x&root=y&token=a&claim=b&key=c", CodeError::Member("claim".into())),
            ("fleetward://enrol?url=x&url=x&root=y&token=a", CodeError::Member("url".into())),
            ("fleetward://enrol?url=x&root=y&token=a&more=b", CodeError::Member("more".into())),
            ("fleetward://enrol?url=%zz&root=y&token=a", CodeError::Member("url".into())),
            ("fleetward://enrol?url=%+1&root=y&token=a", CodeError::Member("url".into())),
            ("fleetward://enrol?url=x&root=y&token=", CodeError::Member("token".into())),
            ("fleetward://enrol?url=x&root=y&token=a&alg=dsa", CodeError::Member("alg".into())),
        ] {
            assert_eq!(bad.parse::<EnrolCode>().unwrap_err(), error, "{bad}");
        }
        let long = format!("{CODE_SCHEME}url={}", "a".repeat(LONGEST));
        assert_eq!(long.parse::<EnrolCode>().unwrap_err(), CodeError::TooLong);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(url in ".{1,40}", root in ".{1,40}", token in ".{1,40}", id in prop::option::of(".{1,20}"), claim in any::<bool>(), alg in prop::option::of(prop::sample::select(AgentKey::ALL))) {
            let secret = if claim { CodeSecret::Claim { certificate: token.clone(), key: root.clone() } } else { CodeSecret::Token(token) };
            let code = EnrolCode { url, root, secret, device_id: id.clone(), device_type: id, alg };
            let text = code.to_string();
            prop_assert!(text.is_ascii());
            prop_assert_eq!(text.parse::<EnrolCode>().unwrap(), code);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(fleetward://enrol[?])?.{0,60}") {
            let _ = text.parse::<EnrolCode>();
        }
    }
}
