//! Reading stored content again, all of it about once a week: disks lose bits, and people remove files. What is wrong is set aside and said;
//! the same file, uploaded again, heals it. The order is in the database, so a restart goes on where it was. Refuses to know where a right copy
//! could be had.

use super::{
    Error, Releases,
    store::{self, Check},
};
use crate::{
    Result,
    access::{Actor, audit},
    bus::{Bus, Event},
    db::{self, Conn, Tx},
    hash,
};
use aws_lc_rs::digest::{Context, SHA256};
use futures::StreamExt as _;
use serde_json::json;
use std::{
    error::Error as StdError,
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;
use wire::{
    Timestamp,
    ids::{Digest, OrgId, ReleaseId},
    releases::Damage,
};

/// Bytes that are read in a second at most: little beside what devices download, and enough for 4 TB in a week.
const PACE: u64 = 8 << 20;
/// Milliseconds after which right content is read again.
const AGAIN_MS: i64 = 6 * 24 * 3600 * 1000;
/// Milliseconds after which damaged content is looked at again: somebody may have put it right by hand.
const LOOK_AGAIN_MS: i64 = 3600 * 1000;
/// What a read fails with when the process has too much open or too little memory (`ENOMEM`, `ENFILE`, `EMFILE`): no word about the content.
const PASSING: [i32; 3] = [12, 23, 24];

/// What was read and found since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    bytes: AtomicU64,
    damaged: AtomicU64,
}

/// What the machine room is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Bytes of stored content that were read and compared since the start.
    pub checked_bytes: u64,
    /// Contents of releases that are damaged now.
    pub damaged: u64,
}

/// Releases whose files turned out to be damaged, or are right again.
type Changed = Vec<(OrgId, ReleaseId)>;

impl Releases {
    /// Reads and compares the content that was read longest ago, if that is long enough ago. For a worker; false when nothing is due. Takes a
    /// second for every 8 MiB; given up in the middle, it begins that content again.
    pub async fn scrub(&self) -> Result<bool> {
        let now = self.clock.now();
        let mut on = self.db.read().await?;
        let due = store::due(&mut on, now.plus(-AGAIN_MS), now.plus(-LOOK_AGAIN_MS)).await?;
        self.count_damaged(&mut on).await?;
        drop(on);
        let Some((digest, size)) = due else { return Ok(false) };
        let damage = self.compare(&digest, size, Some(PACE)).await?;
        self.conclude(&digest, now, damage).await?;
        self.count_damaged(&mut self.db.read().await?).await?;
        Ok(true)
    }

    /// Whether this content is known to be damaged.
    pub(super) async fn is_damaged(&self, on: &mut impl Conn, digest: &Digest) -> Result<bool, Error> {
        Ok(store::check(on, digest).await?.is_some_and(|check| check.damage.is_some()))
    }

    /// Damaged files of releases, for the overview of somebody who may read.
    pub(crate) async fn damaged(&self, org: &OrgId, most: usize) -> Result<Vec<store::DamagedFile>> {
        Ok(store::damaged(&mut self.db.read().await?, org, i64::try_from(most).unwrap_or(i64::MAX)).await?)
    }

    /// What the machine room is told.
    pub fn figures(&self) -> Figures {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Figures { checked_bytes: get(&self.scrubbed.bytes), damaged: get(&self.scrubbed.damaged) }
    }

    pub(super) async fn count_damaged(&self, on: &mut impl Conn) -> Result<()> {
        self.scrubbed.damaged.store(store::count_damaged(on).await?.unsigned_abs(), Ordering::Relaxed);
        Ok(())
    }

    /// What is wrong with the stored content; an error where that can't be said now. `pace` is how many bytes are read in a second at most.
    pub(super) async fn compare(&self, digest: &Digest, size: i64, pace: Option<u64>) -> Result<Option<Damage>> {
        let file = match self.disk.find(digest).await {
            Ok(Some(file)) if i64::try_from(file.size) == Ok(size) => file,
            Ok(Some(_)) => return Ok(Some(Damage::Changed)),
            Ok(None) => return Ok(Some(Damage::Missing)),
            Err(e) if unreadable(&e) => return Ok(Some(Damage::Unreadable)),
            Err(e) => return Err(Error::Store(e).into()),
        };
        let mut bytes = match file.read_range(0..file.size).await {
            Ok(bytes) => bytes,
            Err(e) if unreadable(&e) => return Ok(Some(Damage::Unreadable)),
            Err(e) => return Err(e),
        };
        let (begun, mut read, mut context) = (Instant::now(), 0, Context::new(&SHA256));
        while let Some(piece) = bytes.next().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(e) if unreadable(&e) => return Ok(Some(Damage::Unreadable)),
                Err(e) => return Err(Error::Io(e).into()),
            };
            context.update(&piece);
            read += piece.len() as u64;
            self.scrubbed.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if let Some(pace) = pace {
                tokio::time::sleep_until(begun + Duration::from_millis(read.saturating_mul(1000) / pace)).await;
            }
        }
        if Digest::from_bytes(&hash::finished(context)) != *digest {
            return Ok(Some(Damage::Changed));
        }
        self.disk.is_right(digest, &file);
        Ok(None)
    }

    /// Writes down what was found by a look that began at `begun`, and sets aside what is wrong.
    pub(super) async fn conclude(&self, digest: &Digest, begun: Timestamp, damage: Option<Damage>) -> Result<()> {
        let _shelf = self.shelf.lock().await;
        let mut tx = self.db.write().await?;
        let known = store::check(&mut tx, digest).await?;
        // Put in anew while the old one was being read, or removed because nothing needs it any more.
        if known.is_some_and(|known| known.checked_at > begun) || !store::content_used(&mut tx, digest).await? {
            return Ok(());
        }
        // A delta is made again from what it was made of; until then devices take whole files.
        if damage.is_some() && store::make_anew(&mut tx, digest, self.clock.now()).await? {
            store::forget_check(&mut tx, digest).await?;
            tx.commit().await?;
            self.disk.cut(digest);
            self.disk.remove(digest).await.map_err(Error::Store)?;
            self.deltas_wanted.notify_one();
            tracing::warn!(%digest, ?damage, "a stored delta is damaged; it is made again");
            return Ok(());
        }
        let changed = record(&mut tx, digest, (begun, self.clock.now()), damage).await?;
        tx.commit().await?;
        // Only now, because a failing disk takes its time. What is written down keeps the content from everybody, wherever it lies; where a crash comes
        // between, the next look sets it aside.
        match damage {
            Some(Damage::Changed) => {
                let (disk, wrong) = (self.disk.clone(), digest.clone());
                let moved = tokio::task::spawn_blocking(move || disk.set_aside(&wrong)).await.map_err(io::Error::other).flatten();
                if let Err(error) = moved {
                    tracing::warn!(%digest, %error, "damaged content could not be set aside; it stays where it is and is not given out");
                    self.disk.cut(digest);
                }
            }
            Some(_) => self.disk.cut(digest),
            None => {}
        }
        match damage {
            Some(damage) if !changed.is_empty() => {
                tracing::error!(%digest, %damage, releases = changed.len(), "stored content is damaged; it is not given out until it was uploaded again");
            }
            None if !changed.is_empty() => tracing::info!(%digest, "stored content that was damaged is right again"),
            _ => {}
        }
        tell(&self.bus, changed);
        Ok(())
    }
}

/// Writes down what is known of a content now by a look that began at `looked`: what is written to it while it is read is younger than that. Gives the
/// releases for which it is news; it is in their organizations' audit logs.
pub(super) async fn record(
    tx: &mut Tx,
    digest: &Digest,
    (looked, now): (Timestamp, Timestamp),
    damage: Option<Damage>,
) -> Result<Changed, db::Error> {
    let before = store::check(tx, digest).await?.and_then(|known| known.damage);
    let since = before.map_or(now, |(_, since)| since);
    // What was set aside is missing in its place, but that is not what happened to it.
    let damage = match (before, damage) {
        (Some((Damage::Changed, _)), Some(Damage::Missing)) => Some(Damage::Changed),
        (_, found) => found,
    };
    store::set_check(tx, digest, &Check { checked_at: looked, damage: damage.map(|damage| (damage, since)) }).await?;
    if before.is_some() == damage.is_some() {
        return Ok(Vec::new());
    }
    let users = store::content_users(tx, digest).await?;
    let (action, word) = damage.map_or(("release.heal", ""), |damage| ("release.damage", damage.as_str()));
    for (org, id) in &users {
        let detail = json!({ "sha256": digest, "damage": word });
        audit::append(tx, &Actor::system(org.clone()), now, action, id.as_str(), &detail).await?;
    }
    Ok(users)
}

/// Says that these releases' pages show something else now.
pub(super) fn tell(bus: &Bus, changed: Changed) {
    for (org, id) in changed {
        bus.tell(Event::Release { org, id });
    }
}

/// Whether a failure to read is the content's: anything but a shortage of our own.
fn unreadable(error: &(dyn StdError + 'static)) -> bool {
    let (mut cause, mut told) = (Some(error), false);
    while let Some(e) = cause {
        if let Some(code) = e.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            if PASSING.contains(&code) {
                return false;
            }
            told = true;
        }
        cause = e.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_of_our_own_says_nothing_about_the_content() {
        let store =
            |code| Error::Store(object_store::Error::Generic { store: "disk", source: Box::new(io::Error::from_raw_os_error(code)) });
        assert!(unreadable(&io::Error::from_raw_os_error(5)) && unreadable(&store(5)));
        assert!(!unreadable(&io::Error::from_raw_os_error(24)) && !unreadable(&store(24)));
        assert!(!unreadable(&io::Error::other("something else")));
    }
}
