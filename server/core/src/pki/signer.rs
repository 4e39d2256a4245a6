//! Whether anything is signed at the moment, for whoever looks after the machine: a token that hangs, is gone, takes nobody in, or lacks a key (K-4).
//! Owns the answer; what a token says is `token.rs`'s, who waits for it `turns.rs`'s. Devices that are in need no signature, and go on.

use super::{
    Error, Pki,
    authorities::{Authorities, Authority, Found},
    guard::belongs,
    turns,
};
use wire::ids::{AuthorityId, OrgId};

/// Why not all that is asked for is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSigning {
    /// A word that names no token, file or authority.
    pub code: &'static str,
    /// What is wrong, and what to do about it.
    pub why: String,
    /// Nothing at all is signed for whoever asked; otherwise `why` says who does not sign.
    pub whole: bool,
}

/// What is said of a token that hangs.
const HANGS: &str = "the PKCS#11 token does not answer: see that it has power, and that its module reaches it over the network";

impl Pki {
    /// Why certificates or lists are not signed at the moment, of this organization or of any; none while they are. From memory: the token is asked every
    /// minute, and by whatever is signed. An organization hears of its own authorities alone, and of a token only when it needs it.
    pub fn not_signing(&self, org: Option<&OrgId>) -> Option<NotSigning> {
        let all = self.authorities.load();
        let asked: Vec<_> = all.iter().filter(|a| org.is_none_or(|org| a.org == *org) && signs(a)).collect();
        if (org.is_none() || asked.iter().any(|a| a.on_token() || !a.has_key()))
            && let Some(out) = self.token_out()
        {
            return Some(out);
        }
        let lacking: Vec<_> = asked.iter().filter(|a| self.lacks_key(a)).collect();
        let first = lacking.first()?;
        let whole = lacking.len() == asked.len();
        let others = match lacking.len() - 1 {
            0 => String::new(),
            1 => " and one more".to_owned(),
            more => format!(" and {more} more"),
        };
        let verb = if lacking.len() == 1 { "signs" } else { "sign" };
        let why = format!("{}{others} {verb} nothing: {}", first.subject, self.no_key(first)?);
        Some(NotSigning { code: "token_key_missing", why, whole })
    }

    /// Why this authority signs nothing at the moment, in words; none while it signs, and of one that has not to. From memory, as [`Self::not_signing`].
    pub(super) fn silence_of(&self, authority: &Authority) -> Option<String> {
        if !signs(authority) {
            return None;
        }
        if (authority.on_token() || !authority.has_key())
            && let Some(out) = self.token_out()
        {
            return Some(out.why);
        }
        if self.lacks_key(authority) { self.no_key(authority) } else { None }
    }

    /// What is wrong with all of the token; none while it answers, and where there is none.
    fn token_out(&self) -> Option<NotSigning> {
        if self.turns.hang() {
            return Some(NotSigning { code: "token_hangs", why: HANGS.to_owned(), whole: true });
        }
        let trouble = self.token.as_ref()?.trouble()?;
        Some(NotSigning { code: trouble.code(), why: trouble.to_string(), whole: true })
    }

    /// That this authority's key is missing, in words.
    fn no_key(&self, authority: &Authority) -> Option<String> {
        match &self.token {
            Some(token) => Some(token.no_key(authority.id.as_str()).to_string()),
            None => authority.signer().err().map(|error| error.to_string()),
        }
    }

    /// How many authorities don't sign because their keys are missing.
    pub fn keys_missing(&self) -> usize {
        self.authorities.load().iter().filter(|a| signs(a) && self.lacks_key(a)).count()
    }

    fn lacks_key(&self, authority: &Authority) -> bool {
        !authority.has_key() || (authority.on_token() && self.token.as_ref().is_some_and(|token| token.lacks(authority.id.as_str())))
    }

    /// Asks the token whether it would sign, so that it is known before somebody needs it, and for keys that it did not have when their authorities were
    /// opened: those that it has now, and that are theirs, sign from here on.
    pub(super) async fn look_at_token(&self) -> Result<(), Error> {
        let Some(token) = self.token.clone() else { return Ok(()) };
        let lacking: Authorities = self.authorities.load().iter().filter(|a| signs(a) && !a.has_key()).cloned().collect();
        let look = move || {
            let mut found = Found::new();
            if !token.look() {
                return found;
            }
            for authority in lacking {
                let Ok(Some(key)) = token.find(authority.id.as_str()) else { continue };
                if belongs(&key, &authority.der).is_ok() {
                    found.insert(authority.id.clone(), key);
                } else {
                    tracing::error!(
                        authority = authority.subject,
                        "the key of its name on the token is not its own, or does not sign; it signs nothing"
                    );
                }
            }
            found
        };
        // That it is late is what `turns` knows from then on. What was found is handed on: whoever follows trust does not wait for the token again.
        let found = self.turns.take(turns::LONGEST, look).await.unwrap_or_default();
        let anew: Vec<AuthorityId> = found.keys().cloned().collect();
        if anew.is_empty() { Ok(()) } else { self.reload_anew(&anew, found).await }
    }
}

/// Whether it has to sign. A root whose key is elsewhere on purpose is no trouble (K-5).
fn signs(authority: &Authority) -> bool {
    authority.trusted() && !authority.is_offline()
}

impl From<NotSigning> for wire::pki::SignerLost {
    fn from(not: NotSigning) -> Self {
        Self { why: not.why, whole: not.whole }
    }
}

#[cfg(test)]
mod tests {
    use crate::{db::EngineKind, testing::World};
    use std::{sync::mpsc, time::Duration};

    #[tokio::test]
    async fn k4_a_token_that_hangs_is_told_of_until_it_answers() {
        let w = World::open(EngineKind::Sqlite).await;
        let pki = w.fleet.pki();
        assert_eq!(pki.not_signing(None), None);
        let (answer, hanging) = mpsc::channel::<()>();
        assert!(pki.turns.take(Duration::from_millis(50), move || hanging.recv().is_ok()).await.is_err());
        assert_eq!(pki.not_signing(None).unwrap().code, "token_hangs");
        answer.send(()).unwrap();
        while pki.turns.hang() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(pki.not_signing(None), None);
    }
}
