//! Whether anything is signed at the moment, for whoever looks after the machine: a token that hangs, is gone, takes nobody in, or lacks a key (K-4).
//! Owns the answer; what a token says is `token.rs`'s, who waits for it `turns.rs`'s. Devices that are in need no signature, and go on.

use super::{Pki, authorities::Authority, turns};
use std::sync::Arc;
use wire::ids::OrgId;

/// Why not all that is asked for is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSigning {
    /// A word that names no token, file or authority.
    pub code: &'static str,
    /// What is wrong, and what to do about it.
    pub why: String,
}

impl Pki {
    /// Why certificates or lists are not signed at the moment, of this organization or of any; none while they are. From memory: the token is asked every
    /// minute, and by whatever is signed.
    pub fn not_signing(&self, org: Option<&OrgId>) -> Option<NotSigning> {
        if self.turns.hang() {
            let why =
                "the PKCS#11 token does not answer: see that it has power, and that its module reaches it over the network".to_owned();
            return Some(NotSigning { code: "token_hangs", why });
        }
        if let Some(trouble) = self.token.as_ref().and_then(|token| token.trouble()) {
            return Some(NotSigning { code: trouble.code(), why: trouble.to_string() });
        }
        let all = self.authorities.load();
        // A root whose key is elsewhere on purpose is no trouble (K-5).
        let asked = |a: &&Arc<Authority>| org.is_none_or(|org| a.org == *org);
        let lacking = all.iter().filter(asked).find(|a| a.trusted() && !a.has_key() && !a.is_offline())?;
        let why = match (&self.token, lacking.signer()) {
            (Some(token), _) => format!("{} signs nothing: {}", lacking.subject, token.no_key(lacking.id.as_str())),
            (None, Err(error)) => error.to_string(),
            (None, Ok(_)) => return None,
        };
        Some(NotSigning { code: "token_key_missing", why })
    }

    /// Asks the token whether it would sign, so that it is known before somebody needs it.
    pub(super) async fn look_at_token(&self) {
        let Some(token) = self.token.clone() else { return };
        // That it is late is what `turns` knows from then on.
        let _late = self.turns.take(turns::LONGEST, move || token.look()).await;
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
