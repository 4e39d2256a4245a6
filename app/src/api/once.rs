//! Secrets that are shown once, also to a browser without JavaScript.
//!
//! With JavaScript a new secret is the answer of the call. A plain form post, however, is answered by a redirect, so the secret has to survive
//! one more request without being kept on the server or standing in an address: it travels in an `HttpOnly` cookie that only the page it is
//! for receives, lives a minute, and is taken away by the page that shows it. Nothing but the secret and the id of what it belongs to is in the
//! cookie: browsers drop one of more than 4 KiB.

#[cfg(feature = "ssr")]
use super::caller::{Call, cookie};
use serde::{Deserialize, Serialize};

/// A page that makes secrets, and the one that was just made by a form without JavaScript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown<P, C> {
    /// The page.
    pub page: P,
    /// Shown this once.
    pub created: Option<C>,
}

/// What the cookie is called.
#[cfg(feature = "ssr")]
const NAME: &str = "fw_once";
/// Seconds it lives.
#[cfg(feature = "ssr")]
const LIVES: u32 = 60;

/// A secret on its way to the page that shows it.
#[cfg(feature = "ssr")]
pub struct Waiting {
    /// What it belongs to.
    pub id: String,
    /// The secret.
    pub secret: String,
}

/// The secret meant for this page, if one waits. Call before the first await.
#[cfg(feature = "ssr")]
pub fn waiting() -> Option<Waiting> {
    read(&cookie(NAME)?)
}

#[cfg(feature = "ssr")]
fn read(value: &str) -> Option<Waiting> {
    let (id, secret) = value.split_once('.')?;
    Some(Waiting { id: id.to_owned(), secret: secret.to_owned() })
}

#[cfg(feature = "ssr")]
impl Call {
    /// Takes the secret that waits for the page at `path` away from the browser and makes what is shown of it: `of` finds what the id names.
    pub fn shown_once<C>(&self, path: &str, waiting: Option<Waiting>, of: impl FnOnce(&str, String) -> Option<C>) -> Option<C> {
        let Waiting { id, secret } = waiting?;
        self.take_once(path);
        of(&id, secret)
    }

    /// Takes the secret that waits for the page at `path` away from the browser. Where what is shown of it must be read first, call it after that: what
    /// could not be read is then shown when the page is asked for again.
    pub fn take_once(&self, path: &str) {
        self.set_once(path, "", 0);
    }

    /// Hands the secret of `id` to the page at `path` if the request was a plain form; otherwise the answer itself carries it.
    pub fn hand_over(&self, path: &str, id: &str, secret: &str) {
        if self.to_form() {
            self.set_once(path, &format!("{id}.{secret}"), LIVES);
        }
    }

    fn set_once(&self, path: &str, value: &str, seconds: u32) {
        let secure = if self.cookies().secure { "; Secure" } else { "" };
        self.set_cookie(&format!("{NAME}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"));
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::read;

    #[test]
    fn a_cookie_is_an_id_and_a_secret() {
        let waiting = read("tok_0193.fat_0193_a-b_c").unwrap();
        assert_eq!((waiting.id.as_str(), waiting.secret.as_str()), ("tok_0193", "fat_0193_a-b_c"));
        assert!(read("").is_none() && read("7b7d").is_none());
    }
}
