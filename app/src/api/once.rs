//! Secrets that are shown once, to a browser without JavaScript.
//!
//! With JavaScript a new secret is the answer of the call. A plain form post, however, is answered by a redirect, so the secret has to survive
//! one more request without being kept on the server or standing in an address: it travels in an `HttpOnly` cookie that only the page it is
//! for receives, lives a minute, and is taken away by the page that shows it.

use super::caller::{Answer, Cookies};
use http::{HeaderValue, header};
use serde::{Serialize, de::DeserializeOwned};

/// What the cookie is called.
const NAME: &str = "fw_once";
/// Seconds it lives.
const LIVES: u32 = 60;

/// Reads the secret meant for this page, if one waits. Call before the first await.
pub fn taken<T: DeserializeOwned>() -> Option<T> {
    let text = super::caller::cookie(NAME)?;
    serde_json::from_slice(&unhex(&text)?).ok()
}

/// Takes the cookie away from the browser again; `path` is the page's.
pub fn forget(answer: &Answer, cookies: Cookies, path: &str) {
    set(answer, cookies, path, "", 0);
}

/// Hands `secret` to the page at `path` if the request was a plain form; otherwise the answer itself carries it.
pub fn hand_over<T: Serialize>(answer: &Answer, cookies: Cookies, path: &str, secret: &T) {
    if !answer.to_form() {
        return;
    }
    if let Ok(json) = serde_json::to_vec(secret) {
        set(answer, cookies, path, &hex(&json), LIVES);
    }
}

fn set(answer: &Answer, cookies: Cookies, path: &str, value: &str, seconds: u32) {
    let secure = if cookies.secure { "; Secure" } else { "" };
    let cookie = format!("{NAME}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    if let (Some(response), Ok(cookie)) = (answer.response(), HeaderValue::from_str(&cookie)) {
        response.append_header(header::SET_COOKIE, cookie);
    }
}

/// Bytes as hex: every byte of JSON may stand in a cookie then.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).filter_map(|n| char::from_digit(u32::from(n), 16)).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() % 2 == 1 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_the_cookie() {
        let secret = "fet_\u{fc}\"; Path=/";
        assert_eq!(unhex(&hex(secret.as_bytes())).unwrap(), secret.as_bytes());
        assert_eq!(unhex("abc"), None);
        assert_eq!(unhex("zz"), None);
        assert_eq!(unhex("\u{fc}"), None);
    }
}
