//! Heads of the audit log's chains beside the database (K-8): once an hour what each chain ends with is appended to a file, and told to the server's
//! log. A chain that was written anew since, or cut off, hashes well and does not contain one of them. Owns the file's form and the search for its heads;
//! refuses to know who takes it away to where nobody can change it.

use super::{Access, Error, store};
use crate::{
    db::{self, rows},
    lines,
};
use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::atomic::{AtomicI64, Ordering},
};
use wire::{Timestamp, access::AuditHead, ids::OrgId};

const HOUR: i64 = 3_600_000;

/// Why a file can't be compared with.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    /// It can't be read.
    #[error("the file can't be read: {0}")]
    Read(#[from] io::Error),
    /// Something in it is no head.
    #[error("line {0} is no head of an audit log; take it out if a crash has torn it")]
    Line(usize),
}

/// Where heads are told, and in which hour that was done last.
#[derive(Debug)]
pub struct AuditHeads {
    path: PathBuf,
    hour: AtomicI64,
}

impl AuditHeads {
    /// A file at this place, which is made when it isn't there.
    pub fn at(path: PathBuf) -> Self {
        Self { path, hour: AtomicI64::new(i64::MIN) }
    }

    /// Appends those of which the file does not say already that they are the newest of their chain, and gives them back.
    async fn append(&self, heads: Vec<AuditHead>) -> io::Result<Vec<AuditHead>> {
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || -> io::Result<Vec<AuditHead>> {
            let mut file = lines::open(&path)?;
            let newest = newest(&path)?;
            let told =
                |head: &AuditHead| newest.get(&head.organization).is_some_and(|last| (last.seq, &last.hash) == (head.seq, &head.hash));
            let new: Vec<AuditHead> = heads.into_iter().filter(|head| !told(head)).collect();
            let mut text = Vec::new();
            for head in &new {
                serde_json::to_writer(&mut text, head)?;
                text.push(b'\n');
            }
            if !text.is_empty() {
                lines::append(&mut file, &text)?;
            }
            Ok(new)
        });
        written.await.map_err(io::Error::other)?
    }
}

/// The newest head of each chain in a file. What is none in it is the verifier's to complain about.
fn newest(path: &Path) -> io::Result<HashMap<OrgId, AuditHead>> {
    let mut newest = HashMap::new();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        if let Ok(head) = serde_json::from_slice::<AuditHead>(&line?) {
            newest.insert(head.organization.clone(), head);
        }
    }
    Ok(newest)
}

/// All heads of a file, in its order.
pub fn read_heads(file: impl BufRead) -> Result<Vec<AuditHead>, HeadsError> {
    let mut heads = Vec::new();
    for (number, line) in (1..).zip(file.lines()) {
        let line = line?;
        if !line.is_empty() {
            heads.push(serde_json::from_str(&line).map_err(|_| HeadsError::Line(number))?);
        }
    }
    Ok(heads)
}

impl Access {
    /// Worker: tells what each organization's chain ends with, at the first call of an hour by the clock, if it has grown since: in the file, and in a line
    /// of the server's log. Gives what was told. After a failure the hour's next call tries again.
    pub async fn tell_heads(&self, to: &AuditHeads) -> Result<Vec<AuditHead>, Error> {
        let hour = self.clock.now().0.div_euclid(HOUR);
        if to.hour.load(Ordering::Relaxed) == hour {
            return Ok(Vec::new());
        }
        let found = rows!(&mut self.db.read().await?, (String, i64, Vec<u8>), store::AUDIT_HEADS)?;
        // Not before they were read: an export of that time has to contain them.
        let at = self.clock.now();
        let mut heads = Vec::with_capacity(found.len());
        for (org, seq, hash) in found {
            heads.push(AuditHead { organization: org.parse().map_err(db::Error::corrupt)?, seq, hash: hex::encode(hash), at });
        }
        let told = to.append(heads).await.map_err(|error| Error::Heads { path: to.path.clone(), error })?;
        for head in &told {
            tracing::info!(organization = %head.organization, seq = head.seq, hash = head.hash, at = %head.at, "head of the audit log");
        }
        to.hour.store(hour, Ordering::Relaxed);
        Ok(told)
    }
}

/// The heads that a walk along a chain has to meet, the first ones ahead.
pub(super) struct Expected<'a> {
    ahead: VecDeque<&'a AuditHead>,
    missing: Option<&'a AuditHead>,
}

impl<'a> Expected<'a> {
    /// Those of this organization, on a walk that begins behind entry `after`; 0 is the beginning of the chain.
    pub fn of(heads: &'a [AuditHead], org: &OrgId, after: i64) -> Self {
        let mut ahead: Vec<_> = heads.iter().filter(|head| head.organization == *org && head.seq >= after.max(1)).collect();
        ahead.sort_by_key(|head| head.seq);
        Self { ahead: ahead.into(), missing: None }
    }

    /// The walk has come to this entry.
    pub fn meet(&mut self, seq: i64, hash: &[u8]) {
        while let Some(&head) = self.ahead.front().filter(|head| head.seq <= seq) {
            self.ahead.pop_front();
            if head.seq != seq || head.hash != hex::encode(hash) {
                self.missing.get_or_insert(head);
            }
        }
    }

    /// The first one that the walk has missed so far.
    pub fn missed(&self) -> Option<AuditHead> {
        self.missing.cloned()
    }

    /// The same at the chain's end; what was told after `until`, where that is known, may be of a later one.
    pub fn end(self, until: Option<Timestamp>) -> Option<AuditHead> {
        let owed = |head: &&AuditHead| until.is_none_or(|until| head.at <= until);
        self.missing.or_else(|| self.ahead.into_iter().find(owed)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{Actor, audit::Entry, verify_export_by},
        db::{EngineKind, Sql, exec, row},
        testing::World,
    };
    use rstest::rstest;
    use std::{io::Write as _, os::unix::fs::PermissionsExt as _};
    use wire::states::Role;

    fn place(w: &World) -> PathBuf {
        w.folder.path().join("audit-heads.jsonl")
    }

    fn told(w: &World) -> Vec<AuditHead> {
        read_heads(BufReader::new(File::open(place(w)).unwrap())).unwrap()
    }

    async fn grow(w: &World, by: usize) {
        let admin = w.admin().await;
        for _ in 0..by {
            w.fleet.access().create_token(&admin, "t", Role::Viewer, 1).await.unwrap();
        }
    }

    /// A log with two heads told an hour apart, and two entries after them.
    async fn with_two_heads(kind: EngineKind) -> (World, [AuditHead; 2]) {
        let w = World::open(kind).await;
        let heads = AuditHeads::at(place(&w));
        for _ in 0..2 {
            grow(&w, 3).await;
            w.clock.advance(HOUR);
            assert_eq!(w.fleet.access().tell_heads(&heads).await.unwrap().len(), 1);
        }
        grow(&w, 2).await;
        let told = told(&w).try_into().unwrap();
        (w, told)
    }

    /// Whether the chain holds by itself, and the first head that is not in it.
    async fn verified(w: &World, heads: &[AuditHead]) -> (bool, Option<AuditHead>) {
        let (found, missing) = w.fleet.access().verify_audit_by(&Actor::system(w.org.clone()), heads).await.unwrap();
        (found.broken_at.is_none(), missing)
    }

    /// The same of an export.
    async fn exported(w: &World, heads: &[AuditHead], after: i64) -> (bool, Option<AuditHead>) {
        let (access, actor) = (w.fleet.access(), Actor::system(w.org.clone()));
        let head = access.export_audit(&actor, after).await.unwrap();
        let mut lines = vec![serde_json::to_string(&head).unwrap()];
        let entries = access.exported_audit(&actor, &head, after).await.unwrap();
        lines.extend(entries.iter().map(|entry| serde_json::to_string(entry).unwrap()));
        let (_, found, missing) = verify_export_by(lines.join("\n").as_bytes(), heads).unwrap();
        (found.broken_at.is_none(), missing)
    }

    /// Changes the entries from `from` on and all hashes that hang on them, as somebody can who has the database.
    async fn write_anew(w: &World, from: i64) {
        let org = w.org.as_str();
        let mut tx = w.fleet.access().db.write().await.unwrap();
        let all = rows!(&mut tx, (i64, i64, String, String, String, String, String, Vec<u8>), store::AUDIT_WALK, org, 0_i64, i64::MAX);
        let mut hash = Vec::new();
        for (seq, at, actor, address, action, object, detail, _) in all.unwrap() {
            let actor = if seq < from { actor } else { format!("not {actor}") };
            let entry = Entry { seq, at, actor, address, action, object, detail };
            hash = entry.hash(&hash);
            let change = Sql::same("UPDATE audit SET actor = $3, hash = $4 WHERE org_id = $1 AND seq = $2");
            exec!(&mut tx, change, org, seq, entry.actor.as_str(), hash.as_slice()).unwrap();
        }
        exec!(&mut tx, store::AUDIT_SET_HEAD, org, hash.as_slice()).unwrap();
        tx.commit().await.unwrap();
    }

    /// Takes away what is after this entry, and the trace of it.
    async fn cut(w: &World, last: i64) {
        let org = w.org.as_str();
        let mut tx = w.fleet.access().db.write().await.unwrap();
        exec!(&mut tx, Sql::same("DELETE FROM audit WHERE org_id = $1 AND seq > $2"), org, last).unwrap();
        let (hash,) = row!(&mut tx, (Vec<u8>,), store::AUDIT_HASH, org, last).unwrap().unwrap();
        exec!(&mut tx, Sql::same("UPDATE audit_heads SET seq = $2, hash = $3 WHERE org_id = $1"), org, last, hash.as_slice()).unwrap();
        tx.commit().await.unwrap();
    }

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn k_8_heads_are_told_once_an_hour_when_the_log_has_grown(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let (access, heads) = (w.fleet.access(), AuditHeads::at(place(&w)));
        grow(&w, 1).await;
        // Worlds begin on the hour.
        let [first] = access.tell_heads(&heads).await.unwrap().try_into().unwrap();
        assert_eq!((&first.organization, first.at, first.hash.len()), (&w.org, w.clock_now(), 64));
        grow(&w, 2).await;
        w.clock.advance(HOUR - 1);
        assert!(access.tell_heads(&heads).await.unwrap().is_empty(), "in the same hour");
        w.clock.advance(1);
        let [second] = access.tell_heads(&heads).await.unwrap().try_into().unwrap();
        assert_eq!((second.seq, second.at), (first.seq + 2, w.clock_now()));
        w.clock.advance(HOUR);
        assert!(access.tell_heads(&heads).await.unwrap().is_empty(), "it has not grown");
        // A restart begins by looking, and knows from the file what was told.
        let again = AuditHeads::at(place(&w));
        assert!(access.tell_heads(&again).await.unwrap().is_empty());
        assert_eq!(told(&w), [first, second]);
        assert_eq!(std::fs::metadata(place(&w)).unwrap().permissions().mode() & 0o777, 0o600);

        // What can't be written is tried again within the hour.
        let wrong = AuditHeads::at(w.folder.path().to_owned());
        for _ in 0..2 {
            assert!(matches!(access.tell_heads(&wrong).await, Err(Error::Heads { .. })));
        }
        // A torn line spoils no other, and does not pass for a head.
        File::options().append(true).open(place(&w)).unwrap().write_all(b"{\"organization\":").unwrap();
        grow(&w, 1).await;
        w.clock.advance(HOUR);
        assert_eq!(access.tell_heads(&heads).await.unwrap().len(), 1);
        let read = read_heads(BufReader::new(File::open(place(&w)).unwrap()));
        assert!(matches!(read, Err(HeadsError::Line(3))), "{read:?}");
        assert_eq!(newest(&place(&w)).unwrap()[&w.org].at, w.clock_now());
    }

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_37_a_log_that_was_written_anew_lacks_a_head(#[case] kind: EngineKind) {
        let (w, heads) = with_two_heads(kind).await;
        let [first, second] = heads.clone();
        assert_eq!(verified(&w, &heads).await, (true, None), "an untouched one has them all");
        assert_eq!(exported(&w, &heads, 0).await, (true, None));
        assert_eq!(exported(&w, &heads, first.seq).await, (true, None), "also the one that a part begins after");
        let twice = [&heads[..], &heads[..]].concat();
        assert_eq!(verified(&w, &twice).await, (true, None), "another instance tells the same");
        let other = AuditHead { organization: w.entropy.id(w.clock_now()), hash: "00".into(), ..first.clone() };
        assert_eq!(verified(&w, &[other]).await, (true, None), "another organization's says nothing of this one");

        // The newest entries, with every hash right again.
        write_anew(&w, second.seq).await;
        assert_eq!(verified(&w, &[]).await, (true, None), "by itself it holds");
        assert_eq!(verified(&w, &heads).await, (true, Some(second.clone())));
        assert_eq!(exported(&w, &heads, 0).await, (true, Some(second)));
        write_anew(&w, first.seq).await;
        assert_eq!(verified(&w, &heads).await, (true, Some(first.clone())), "the first one is named");
        assert_eq!(exported(&w, &heads, first.seq).await, (true, Some(first)));
    }

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_37_a_log_whose_end_was_cut_off_lacks_a_head(#[case] kind: EngineKind) {
        let (w, heads) = with_two_heads(kind).await;
        let [first, second] = heads.clone();
        // An older export is not to blame for what was told after it.
        let later = AuditHead { seq: second.seq + 1000, at: w.clock_now().plus(HOUR), ..second.clone() };
        assert_eq!(exported(&w, std::slice::from_ref(&later), 0).await, (true, None));
        assert_eq!(verified(&w, std::slice::from_ref(&later)).await, (true, Some(later)), "the log itself is the newest there is");

        cut(&w, second.seq - 1).await;
        assert_eq!(verified(&w, &[]).await, (true, None), "by itself it holds");
        assert_eq!(verified(&w, &heads).await, (true, Some(second.clone())));
        assert_eq!(exported(&w, &heads[..1], first.seq - 1).await, (true, None));
        // Grown over the place, it has another entry there.
        grow(&w, 5).await;
        assert_eq!(verified(&w, &heads).await, (true, Some(second.clone())));
        assert_eq!(exported(&w, &heads, 0).await, (true, Some(second)));
        cut(&w, first.seq - 1).await;
        assert_eq!(verified(&w, &heads).await, (true, Some(first)));
    }
}
