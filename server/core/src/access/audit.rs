//! The audit log: one hash chain an organization, `h(n) = SHA-256(h(n-1) ‖ row)` (K-8), written in the transaction of what it tells.

use super::{Access, Act, Actor, Error, allowed, heads::Expected, may, store};
use crate::{
    db::{self, Conn, Tx, containing, exec, row, rows},
    hash::sha256,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use wire::{
    Timestamp,
    access::{AUDIT_LOOKED_AT, AUDIT_REQUEST as REQUEST, AuditEntry, AuditHead, AuditPage, AuditQuery, OpenedEntry},
    ids::OrgId,
    page::{DEFAULT_ROWS, MAX_ROWS, NOT_A_CURSOR, Page},
};

/// Takes the place of the next entry until the transaction ends: whoever changes the organization after looking at it holds first, so that of two
/// at once the second looks at what the first has left. Comes before every other row of the room.
///
/// On PostgreSQL two transactions that take the same rows in two orders wait for each other until one is undone. The order: first what an action is about
/// (tokens, devices, the trust clock, a rollout, the organization's row), then the audit log's head, and behind it only what nobody takes before it (people,
/// releases, their keys).
pub async fn hold(tx: &mut Tx, org: &OrgId) -> Result<(), db::Error> {
    row!(tx, (i64,), store::AUDIT_HOLD, org.as_str())?.map(drop).ok_or_else(|| db::Error::corrupt(format!("no audit head for {org}")))
}

/// Something that was done, for the books.
#[derive(Debug)]
pub struct Deed<'a> {
    /// Who did it, in whose organization, from where.
    pub actor: &'a Actor,
    /// What, as `object.verb`.
    pub action: &'a str,
    /// To what.
    pub object: &'a str,
    /// More of it. Must hold no secret: it is shown to operators and exported.
    pub detail: serde_json::Value,
}

/// Appends one entry. `detail` must hold no secret: it is shown to operators and exported.
pub async fn append(
    tx: &mut Tx,
    actor: &Actor,
    now: Timestamp,
    action: &str,
    object: &str,
    detail: &serde_json::Value,
) -> Result<(), db::Error> {
    append_all(tx, now, &[Deed { actor, action, object, detail: detail.clone() }]).await
}

/// Appends entries in their order, those of each organization to its own chain; as many trips for many as for one.
pub async fn append_all(tx: &mut Tx, now: Timestamp, deeds: &[Deed<'_>]) -> Result<(), db::Error> {
    let mut by_org: BTreeMap<&str, Vec<&Deed<'_>>> = BTreeMap::new();
    for deed in deeds {
        by_org.entry(deed.actor.org.as_str()).or_default().push(deed);
    }
    for (org, deeds) in by_org {
        let count = i64::try_from(deeds.len()).map_err(db::Error::corrupt)?;
        // Raising the head first takes its row lock, so two writers can't take the same place.
        let head = row!(tx, (i64, Vec<u8>), store::AUDIT_ADVANCE, org, count)?;
        let (last, mut hash) = head.ok_or_else(|| db::Error::corrupt(format!("no audit head for {org}")))?;
        let mut rows = Vec::with_capacity(deeds.len());
        for (deed, seq) in deeds.into_iter().zip(last - count + 1..) {
            let detail = told(deed);
            let entry = Entry {
                seq,
                at: now.0,
                actor: deed.actor.label(),
                address: deed.actor.address.clone(),
                action: deed.action.into(),
                object: deed.object.into(),
                detail,
            };
            hash = entry.hash(&hash);
            rows.push(Written { org, entry, hash: format!("\\x{}", hex::encode(&hash)) });
        }
        exec!(tx, store::AUDIT_INSERT, db::list(&rows)?)?;
        exec!(tx, store::AUDIT_SET_HEAD, org, hash.as_slice())?;
    }
    Ok(())
}

/// What stands in the books beside who did what: the deed's own words, and the request that it was done by (K-8).
fn told(deed: &Deed<'_>) -> String {
    let request = deed.actor.request.as_str();
    match &deed.detail {
        Value::Null if request.is_empty() => String::new(),
        Value::Null => json!({ REQUEST: request }).to_string(),
        Value::Object(words) if !request.is_empty() => {
            let mut words = words.clone();
            words.entry(REQUEST).or_insert_with(|| json!(request));
            Value::Object(words).to_string()
        }
        other => other.to_string(),
    }
}

/// An entry on its way into the books.
#[derive(Serialize)]
struct Written<'a> {
    org: &'a str,
    #[serde(flatten)]
    entry: Entry,
    hash: String,
}

#[derive(sqlx::FromRow, Serialize)]
pub(super) struct Entry {
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) actor: String,
    pub(super) address: String,
    pub(super) action: String,
    pub(super) object: String,
    pub(super) detail: String,
}

impl Entry {
    fn shown(self) -> AuditEntry {
        let Self { seq, at, actor, address, action, object, detail } = self;
        AuditEntry { seq, at: Timestamp(at), actor, address, action, object, detail }
    }

    /// Length-prefixed fields, so that no two entries have the same bytes.
    pub(super) fn hash(&self, previous: &[u8]) -> Vec<u8> {
        let mut bytes = previous.to_vec();
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.at.to_be_bytes());
        for field in [&self.actor, &self.address, &self.action, &self.object, &self.detail] {
            bytes.extend((field.len() as u64).to_be_bytes());
            bytes.extend(field.as_bytes());
        }
        sha256(&bytes).to_vec()
    }
}

/// What the verifier found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Entries checked.
    pub entries: i64,
    /// The first entry whose hash is wrong, or that is missing.
    pub broken_at: Option<i64>,
}

/// When the entry in this place was written; none where there is none.
async fn at(on: &mut impl Conn, org: &str, seq: i64) -> Result<Option<Timestamp>, db::Error> {
    Ok(row!(on, (i64,), store::AUDIT_AT, org, seq)?.map(|(at,)| Timestamp(at)))
}

/// The place of the first entry of this instant or later, by halving: places are in the order of their times, as far as the clock was never set back.
async fn first_since(on: &mut impl Conn, org: &str, last: i64, instant: Timestamp) -> Result<i64, db::Error> {
    let (mut low, mut high) = (1, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if at(on, org, middle).await?.is_some_and(|at| at < instant) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

impl Access {
    /// A page of the log, newest first.
    pub async fn audit_page(&self, actor: &Actor, cursor: Option<&str>) -> Result<AuditPage, Error> {
        self.search_audit(actor, "", cursor).await
    }

    /// A page of those entries whose actor, action, object, address or detail contains `q`, newest first; an empty one is in all of them.
    pub async fn search_audit(&self, actor: &Actor, q: &str, cursor: Option<&str>) -> Result<AuditPage, Error> {
        self.find_audit(actor, &AuditQuery { q: q.to_owned(), cursor: cursor.map(str::to_owned), ..AuditQuery::default() }).await
    }

    /// A page of the entries that are asked for, newest first. No index knows the words that people look for, so a search by words looks at
    /// [`AUDIT_LOOKED_AT`] entries a page, says where it stopped, and goes on from there with the next one.
    pub async fn find_audit(&self, actor: &Actor, query: &AuditQuery) -> Result<AuditPage, Error> {
        self.look(actor, query, AUDIT_LOOKED_AT).await
    }

    /// The same, where a search by words looks at so many entries.
    pub(super) async fn look(&self, actor: &Actor, query: &AuditQuery, most: i64) -> Result<AuditPage, Error> {
        may(actor, Act::Audit)?;
        let before = match &query.cursor {
            None => i64::MAX,
            Some(c) => c.parse().map_err(|_| Error::invalid("cursor", NOT_A_CURSOR))?,
        };
        let asked = query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS);
        let (org, rows) = (actor.org.as_str(), asked as usize);
        let (q, by, action) = (containing(&query.q), containing(&query.actor), containing(&query.action));
        let mut on = self.db.read().await?;
        // The chain's head counts its entries, and their places have no gaps: a span of places is a number of entries.
        let last = row!(&mut on, (i64, Vec<u8>), store::AUDIT_HEAD, org)?.map_or(0, |(seq, _)| seq);
        let first = match query.since {
            None => 1,
            Some(at) => first_since(&mut on, org, last, at).await?,
        };
        let end = match query.until {
            None => last + 1,
            Some(at) => first_since(&mut on, org, last, at).await?,
        };
        let all = q.is_empty() && by.is_empty() && action.is_empty();
        let reach = |end: i64| if all { first } else { first.max(end.saturating_sub(most)) };
        let top = before.min(end);
        let floor = reach(top);
        let limit = i64::from(asked) + 1;
        let found = rows!(&mut on, Entry, store::AUDIT_PAGE, org, floor, top, q.as_str(), by.as_str(), action.as_str(), limit)?;
        let total = if all {
            (end - first).max(0)
        } else {
            row!(&mut on, (i64,), store::AUDIT_COUNT, org, reach(end), end, q.as_str(), by.as_str(), action.as_str())?.map_or(0, |r| r.0)
        };
        let more = found.len() > rows;
        let stopped = !more && floor > first;
        let items: Vec<AuditEntry> = found.into_iter().take(rows).map(Entry::shown).collect();
        let next = if more { items.last().map(|e| e.seq.to_string()) } else { stopped.then(|| floor.to_string()) };
        let looked_to = if stopped { at(&mut on, org, floor).await? } else { None };
        Ok(AuditPage { entries: Page { items, next, total }, looked_to, may_export: allowed(actor, Act::ExportAudit), opened: None })
    }

    /// The entry in this place with its hash and that of the one before; none where there is none.
    pub async fn audit_entry(&self, actor: &Actor, seq: i64) -> Result<Option<OpenedEntry>, Error> {
        may(actor, Act::Audit)?;
        let mut on = self.db.read().await?;
        let (org, after) = (actor.org.as_str(), seq.saturating_sub(2));
        let found = rows!(&mut on, (i64, i64, String, String, String, String, String, Vec<u8>), store::AUDIT_WALK, org, after, seq)?;
        let (mut before, mut opened) = (String::new(), None);
        for (at_seq, at, actor, address, action, object, detail, hash) in found {
            if at_seq == seq {
                let entry = Entry { seq, at, actor, address, action, object, detail }.shown();
                opened = Some((entry, hex::encode(hash)));
            } else {
                before = hex::encode(hash);
            }
        }
        Ok(opened.map(|(entry, hash)| OpenedEntry { entry, hash, before }))
    }

    /// Entries about a device and what belongs to it (their ids in small letters) from before an instant, newest first; at most so many.
    pub(crate) async fn deeds_about_device(
        &self,
        actor: &Actor,
        objects: &BTreeSet<String>,
        before: Timestamp,
        most: i64,
    ) -> Result<Vec<AuditEntry>, Error> {
        may(actor, Act::Audit)?;
        let objects = db::column("object", objects)?;
        let mut on = self.db.read().await?;
        let found = rows!(&mut on, Entry, store::AUDIT_ABOUT, objects.as_str(), actor.org.as_str(), before.0, most)?;
        Ok(found.into_iter().map(Entry::shown).collect())
    }

    /// Walks the whole chain of the actor's organization, as it is now, and recomputes every hash. What a running server adds meanwhile is not
    /// looked at.
    pub async fn verify_audit(&self, actor: &Actor) -> Result<Verified, Error> {
        self.verify_audit_by(actor, &[]).await.map(|(verified, _)| verified)
    }

    /// The same, and the first of these heads that the chain does not contain. Read them before this is called: a running server tells more.
    pub async fn verify_audit_by(&self, actor: &Actor, heads: &[AuditHead]) -> Result<(Verified, Option<AuditHead>), Error> {
        may(actor, Act::Audit)?;
        let org = &actor.org;
        let mut expected = Expected::of(heads, org, 0);
        let mut on = self.db.read().await?;
        let (last, end) = row!(&mut on, (i64, Vec<u8>), store::AUDIT_HEAD, org.as_str())?.unwrap_or_default();
        let (mut previous, mut seq) = (Vec::new(), 0);
        loop {
            let batch =
                rows!(&mut on, (i64, i64, String, String, String, String, String, Vec<u8>), store::AUDIT_WALK, org.as_str(), seq, last)?;
            if batch.is_empty() {
                break;
            }
            for (at_seq, at, actor, address, action, object, detail, hash) in batch {
                let entry = Entry { seq: at_seq, at, actor, address, action, object, detail };
                if at_seq != seq + 1 || entry.hash(&previous) != hash {
                    return Ok((Verified { entries: seq, broken_at: Some(seq + 1) }, expected.missed()));
                }
                expected.meet(at_seq, &hash);
                (previous, seq) = (hash, at_seq);
            }
        }
        // A chain whose end was cut off still hashes well; the head tells.
        let broken_at = (last == 0 || last != seq || end != previous).then_some(seq + 1);
        Ok((Verified { entries: seq, broken_at }, expected.end(None)))
    }
}
