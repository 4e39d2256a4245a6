//! From where tokens that are used up let devices in (E-3). Owns what is remembered of that, so that whoever tries one again and again costs one look a
//! minute; refuses to judge anybody.

use super::{Devices, Error, store, tokens::TokenRow};
use crate::db::rows;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use wire::Timestamp;

/// So many milliseconds it is remembered. A token that is used up lets others in only where a use came to nothing.
const KEPT_FOR: i64 = 60_000;
/// Of so many tokens at once.
const TOKENS: usize = 64;
/// A token that let devices in from more addresses than these is used from everywhere: one address more says nothing.
pub(super) const MOST: usize = 500;

/// Since when, and the addresses.
type Kept = (Timestamp, Arc<[String]>);

/// What is remembered, by the token's id.
#[derive(Default)]
pub(super) struct LetIn(Mutex<HashMap<String, Kept>>);

impl LetIn {
    fn kept(&self, token: &str, now: Timestamp) -> Option<Arc<[String]>> {
        let kept = self.0.lock();
        let (at, from) = kept.get(token)?;
        (0..KEPT_FOR).contains(&now.since(*at)).then(|| Arc::clone(from))
    }

    fn keep(&self, token: &str, from: &Arc<[String]>, now: Timestamp) {
        let mut kept = self.0.lock();
        if kept.len() >= TOKENS && !kept.contains_key(token) {
            kept.retain(|_, (at, _)| (0..KEPT_FOR).contains(&now.since(*at)));
            if kept.len() >= TOKENS {
                kept.clear();
            }
        }
        kept.insert(token.to_owned(), (now, Arc::clone(from)));
    }
}

impl Devices {
    /// The addresses from which a token let devices in; none where they are not known, or too many to say anything. Looked up once a minute.
    pub(super) async fn let_in_from(&self, token: &TokenRow, now: Timestamp) -> Result<Arc<[String]>, Error> {
        if let Some(from) = self.let_in.kept(&token.id, now) {
            return Ok(from);
        }
        let (org, id, bound) = (token.org_id.as_str(), token.id.as_str(), i64::try_from(MOST + 1).unwrap_or(i64::MAX));
        let found = rows!(&mut self.db.read().await?, (String,), store::TOKEN_ORIGINS, org, id, bound)?;
        let places = if found.len() > MOST { Vec::new() } else { found };
        let from: Arc<[String]> = places.into_iter().map(|(address,)| address).collect();
        self.let_in.keep(&token.id, &from, now);
        Ok(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_tokens_are_remembered_for_a_minute() {
        let (let_in, from): (LetIn, Arc<[String]>) = (LetIn::default(), Arc::from(["192.0.2.1".to_owned()]));
        for n in 0..TOKENS {
            let_in.keep(&n.to_string(), &from, Timestamp(0));
        }
        assert_eq!(let_in.kept("0", Timestamp(KEPT_FOR - 1)).as_deref(), Some(&*from));
        assert_eq!(let_in.kept("0", Timestamp(KEPT_FOR)), None);
        assert_eq!(let_in.kept("0", Timestamp(-1)), None, "the clock was set back");
        for n in 0..10 * TOKENS {
            let_in.keep(&format!("other {n}"), &from, Timestamp(1));
            assert!(let_in.0.lock().len() <= TOKENS);
        }
    }
}
