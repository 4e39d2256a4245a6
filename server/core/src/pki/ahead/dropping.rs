//! The end of authorities that were made and that nobody has booked (K-4): the key is destroyed on the token, with a word in the books. A key that may be
//! somebody's is left where it is, with a word as well: what is destroyed on a token is in no backup. Refuses to know what they were made for.

use super::{
    super::{
        Error, Pki,
        csr::sha256,
        keys::KeyError,
        store,
        token::{Destroyed, Token},
        turns,
    },
    KEPT,
};
use crate::{
    access::{Actor, audit},
    db::Tx,
};
use rcgen::PublicKeyData as _;
use serde_json::json;
use std::{collections::HashMap, sync::Arc};
use wire::{Timestamp, ids::AuthorityId};

/// What became of a key that nobody has come back for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Destroyed,
    /// There was none on the token.
    None,
    /// It is there, and why.
    Left(&'static str),
}

const FROM_BEFORE: &str = "it was written down before this server opened the database, which may be a backup or a copy: an authority may have been booked with \
                           this key since. Destroy it with the token's own tools once no fleet has such an authority";
const IN_USE: &str = "an authority or an open request has this key";
const KEPT_BY_TOKEN: &str = "the token does not let it be destroyed";

impl Fate {
    /// As the audit log has it.
    const fn word(self) -> &'static str {
        match self {
            Self::Destroyed => "destroyed",
            Self::None => "none",
            Self::Left(_) => "left",
        }
    }
}

impl Pki {
    /// Destroys keys that nobody came back for, each with a word in the books. One that the token does not destroy keeps none of the others back; it is tried
    /// again with the next round. A token that is out is asked no further, and one that is not ours is left to those who have it.
    pub(in crate::pki) async fn drop_unbooked(&self) -> Result<(), Error> {
        let before = self.clock.now().plus(-KEPT);
        let label = self.token.as_ref().map_or("", |token| token.label());
        let mut behind = (i64::MIN, String::new());
        let mut outcome = Ok(());
        loop {
            let page = store::unbooked(&mut self.db.read().await?, (before, label), (behind.0, &behind.1)).await?;
            let Some(last) = page.last() else { return outcome };
            behind = (last.reserved_at, last.id.clone());
            let doomed = self.spare(page).await?;
            let mut fates = HashMap::new();
            let destroyed = self.destroy(&doomed, &mut fates).await;
            self.tell_dropped(&doomed, &fates).await?;
            let over = destroyed.is_err() && (self.turns.hang() || self.token.as_ref().is_some_and(|token| token.trouble().is_some()));
            outcome = outcome.and(destroyed);
            if over {
                return outcome;
            }
        }
    }

    /// Leaves the keys that an authority may have been booked with by somebody whom this database does not know of; gives the others, which nobody books
    /// from here on.
    async fn spare(&self, page: Vec<store::Unbooked>) -> Result<Vec<store::Unbooked>, Error> {
        let mut tx = self.db.write().await?;
        let (mut doomed, mut spared) = (Vec::new(), Vec::new());
        for one in page {
            let id: AuthorityId = one.id.parse().map_err(crate::db::Error::corrupt)?;
            // What was given up when the backup was made was booked by nobody after it.
            if one.given_up == 0 && one.reserved_at < self.opened_at.0 && !one.token.is_empty() {
                // In one go: were it only given up here, whoever comes next would take it for one that nobody can have.
                if store::take_unbooked(&mut tx, &id).await? {
                    spared.push((one, Fate::Left(FROM_BEFORE)));
                }
            } else if store::give_up_unbooked(&mut tx, &id).await? {
                doomed.push(one);
            }
        }
        tell(&mut tx, self.clock.now(), &spared.iter().map(|(one, fate)| (one, *fate)).collect::<Vec<_>>()).await?;
        tx.commit().await?;
        Ok(doomed)
    }

    /// Has these destroyed, and says what became of each as far as it came. The first failure is what it comes to; the others are tried all the same.
    async fn destroy(&self, doomed: &[store::Unbooked], fates: &mut HashMap<String, Fate>) -> Result<(), Error> {
        fates.extend(doomed.iter().filter(|one| one.token.is_empty()).map(|one| (one.id.clone(), Fate::None)));
        let names: Vec<String> = doomed.iter().filter(|one| !one.token.is_empty()).map(|one| one.id.clone()).collect();
        let Some(token) = self.token.clone().filter(|_| !names.is_empty()) else { return Ok(()) };
        let mut outcome: Result<(), Error> = Ok(());
        let asked = Arc::clone(&token);
        let look = move || each(&asked, names, |name| Ok(asked.find(name)?.map(|key| sha256(&key.subject_public_key_info()))));
        let mut free = Vec::new();
        for (name, found) in self.turns.take(turns::LONGEST, look).await.map_err(|turns::Late| Error::TokenLate)? {
            match found {
                Ok(digest) => {
                    if store::key_in_use(&mut self.db.read().await?, &name, digest.as_ref()).await? {
                        fates.insert(name, Fate::Left(IN_USE));
                    } else {
                        free.push(name);
                    }
                }
                Err(error) => outcome = outcome.and(Err(error.into())),
            }
        }
        let destroy = move || each(&token, free, |name| token.destroy(name));
        for (name, destroyed) in self.turns.take(turns::LONGEST, destroy).await.map_err(|turns::Late| Error::TokenLate)? {
            let fate = match destroyed {
                Ok(Destroyed::Gone) => Fate::Destroyed,
                Ok(Destroyed::None) => Fate::None,
                Ok(Destroyed::Kept) => Fate::Left(KEPT_BY_TOKEN),
                Err(error) => {
                    outcome = outcome.and(Err(error.into()));
                    continue;
                }
            };
            fates.insert(name, fate);
        }
        outcome
    }

    /// Of two who have destroyed them one tells of it.
    async fn tell_dropped(&self, doomed: &[store::Unbooked], fates: &HashMap<String, Fate>) -> Result<(), Error> {
        if fates.is_empty() {
            return Ok(());
        }
        let mut tx = self.db.write().await?;
        let mut dropped = Vec::with_capacity(fates.len());
        for one in doomed {
            if let Some(fate) = fates.get(&one.id)
                && store::drop_unbooked(&mut tx, &one.id).await?
            {
                dropped.push((one, *fate));
            }
        }
        tell(&mut tx, self.clock.now(), &dropped).await?;
        Ok(tx.commit().await?)
    }
}

/// Asks for one after the other, until the token as a whole is out: whoever asked on would wait for each.
fn each<T>(token: &Token, names: Vec<String>, ask: impl Fn(&str) -> Result<T, KeyError>) -> Vec<(String, Result<T, KeyError>)> {
    let mut all = Vec::with_capacity(names.len());
    for name in names {
        let answer = ask(&name);
        if let Err(error) = &answer {
            tracing::warn!(%error, key = name, token = token.label(), "a key that nobody needs is not destroyed; it is tried again");
        }
        let over = answer.is_err() && token.trouble().is_some();
        all.push((name, answer));
        if over {
            break;
        }
    }
    all
}

/// Says in the books what became of them.
async fn tell(tx: &mut Tx, now: Timestamp, fates: &[(&store::Unbooked, Fate)]) -> Result<(), Error> {
    if fates.is_empty() {
        return Ok(());
    }
    let mut actors = Vec::with_capacity(fates.len());
    for (one, _) in fates {
        actors.push(Actor::system(one.org_id.parse().map_err(crate::db::Error::corrupt)?));
    }
    let deeds = fates.iter().zip(&actors).map(|((one, fate), actor)| {
        let mut detail =
            json!({ "subject": one.subject, "token": one.token, "reserved_at": Timestamp(one.reserved_at), "key": fate.word() });
        if let Fate::Left(why) = fate {
            detail["why"] = json!(why);
            tracing::warn!(key = one.id, token = one.token, "a key is left on the token: {why}");
        }
        audit::Deed { actor, action: "authority.abandon", object: one.id.as_str(), detail }
    });
    audit::append_all(tx, now, &deeds.collect::<Vec<_>>()).await?;
    tracing::warn!(authorities = fates.len(), "authorities came to nothing before they were booked");
    Ok(())
}
