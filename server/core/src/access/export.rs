//! The audit log as a file that holds by itself (K-8): a first line that says what is in it, then one entry a line with its hash in the chain.
//! Owns the file's form and its check, which needs no database. Refuses to know how it travels.

use super::{
    Access, Act, Actor, Error,
    audit::{self, Entry, Verified},
    heads::Expected,
    may, store,
};
use crate::{
    db::{row, rows},
    hash::sha256,
};
use serde_json::json;
use std::io::BufRead;
use wire::{
    Timestamp,
    access::{AUDIT_EXPORT_FORMAT, AuditEntry, AuditExport, AuditHead, ExportedEntry},
};

/// Why a file is no export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It can't be read.
    #[error("the file can't be read: {0}")]
    Read(#[from] std::io::Error),
    /// Its first line is not that of an export.
    #[error("the first line does not say that this is an export of an audit log")]
    Head,
    /// It was written by a version that writes another form.
    #[error("the file has the form {0}, which this version does not read")]
    Format(String),
}

impl Access {
    /// Begins an export of what follows entry `after`, 0 for all of it: what the file's first line says. The export is itself the last entry in it.
    pub async fn export_audit(&self, actor: &Actor, after: i64) -> Result<AuditExport, Error> {
        may(actor, Act::ExportAudit)?;
        let org = &actor.org;
        let mut tx = self.db.write().await?;
        let (last, _) = row!(&mut tx, (i64, Vec<u8>), store::AUDIT_HEAD, org.as_str())?.unwrap_or_default();
        let before = if after == 0 {
            Some(Vec::new())
        } else {
            row!(&mut tx, (Vec<u8>,), store::AUDIT_HASH, org.as_str(), after)?.map(|(hash,)| hash)
        };
        let before = before.ok_or_else(|| Error::invalid("after", format!("Give the number of an entry: 0 to {last}.")))?;
        let now = self.clock.now();
        audit::append(&mut tx, actor, now, "audit.export", org.as_str(), &json!({ "after": after })).await?;
        let (last, head) = row!(&mut tx, (i64, Vec<u8>), store::AUDIT_HEAD, org.as_str())?.unwrap_or_default();
        tx.commit().await?;
        Ok(AuditExport {
            format: AUDIT_EXPORT_FORMAT.to_owned(),
            organization: org.clone(),
            exported_at: now,
            after,
            before: hex::encode(before),
            last,
            head: hex::encode(head),
        })
    }

    /// The next entries of an export, those after `cursor`, a thousand at once; none at its end.
    pub async fn exported_audit(&self, actor: &Actor, export: &AuditExport, cursor: i64) -> Result<Vec<ExportedEntry>, Error> {
        may(actor, Act::ExportAudit)?;
        let mut on = self.db.read().await?;
        let (org, last) = (actor.org.as_str(), export.last);
        let found = rows!(&mut on, (i64, i64, String, String, String, String, String, Vec<u8>), store::AUDIT_WALK, org, cursor, last)?;
        let line = |(seq, at, actor, address, action, object, detail, hash): (_, _, _, _, _, _, _, Vec<u8>)| ExportedEntry {
            entry: AuditEntry { seq, at: Timestamp(at), actor, address, action, object, detail },
            hash: hex::encode(hash),
        };
        Ok(found.into_iter().map(line).collect())
    }
}

/// Recomputes the chain of an exported file, from what its first line says came before to what it says is the end.
pub fn verify_export(file: impl BufRead) -> Result<(AuditExport, Verified), ExportError> {
    verify_export_by(file, &[]).map(|(export, verified, _)| (export, verified))
}

/// The same, and the first of these heads that the file does not contain and has to: it was told before the export, and not before what the file begins
/// with.
pub fn verify_export_by(file: impl BufRead, heads: &[AuditHead]) -> Result<(AuditExport, Verified, Option<AuditHead>), ExportError> {
    let mut lines = file.lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let export: AuditExport = serde_json::from_str(&first).map_err(|_| ExportError::Head)?;
    if export.format != AUDIT_EXPORT_FORMAT {
        return Err(ExportError::Format(export.format));
    }
    let mut seq = export.after;
    let mut previous = hex::decode(&export.before).map_err(|_| ExportError::Head)?;
    let mut expected = Expected::of(heads, &export.organization, export.after);
    let broken = |seq: i64| Verified { entries: seq - export.after, broken_at: Some(seq + 1) };
    // The beginning of a chain has nothing before it; anything else is a hash.
    let length = if export.after == 0 { 0 } else { sha256(b"").len() };
    if previous.len() != length {
        return Ok((export.clone(), broken(seq), expected.missed()));
    }
    expected.meet(seq, &previous);
    for line in lines {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        let Ok(ExportedEntry { entry: e, hash }) = serde_json::from_str::<ExportedEntry>(&line) else {
            return Ok((export.clone(), broken(seq), expected.missed()));
        };
        let of = Entry { seq: e.seq, at: e.at.0, actor: e.actor, address: e.address, action: e.action, object: e.object, detail: e.detail };
        let counted = of.hash(&previous);
        if of.seq != seq + 1 || hash != hex::encode(&counted) {
            return Ok((export.clone(), broken(seq), expected.missed()));
        }
        expected.meet(of.seq, &counted);
        (previous, seq) = (counted, of.seq);
    }
    let whole = seq == export.last && hex::encode(&previous) == export.head;
    let verified = if whole { Verified { entries: seq - export.after, broken_at: None } } else { broken(seq) };
    let missing = expected.end(Some(export.exported_at));
    Ok((export, verified, missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::Error, db::EngineKind, testing::World};
    use rstest::rstest;
    use wire::states::Role;

    async fn file(w: &World, actor: &Actor, after: i64) -> (AuditExport, Vec<String>) {
        let access = w.fleet.access();
        let head = access.export_audit(actor, after).await.unwrap();
        let mut lines = vec![serde_json::to_string(&head).unwrap()];
        let mut cursor = after;
        loop {
            let some = access.exported_audit(actor, &head, cursor).await.unwrap();
            let Some(last) = some.last() else { break };
            cursor = last.entry.seq;
            lines.extend(some.iter().map(|e| serde_json::to_string(e).unwrap()));
        }
        (head, lines)
    }

    fn verify(lines: &[String]) -> Verified {
        verify_export(lines.join("\n").as_bytes()).unwrap().1
    }

    #[rstest]
    #[case::sqlite(EngineKind::Sqlite)]
    #[case::postgres(EngineKind::Postgres)]
    #[tokio::test]
    async fn a_37_an_exported_audit_log_holds_by_itself_and_shows_any_change(#[case] kind: EngineKind) {
        let w = World::open(kind).await;
        let (admin, operator) = (w.admin().await, w.operator().await);
        let access = w.fleet.access();
        for i in 0..6 {
            access.create_token(&admin, &format!("t{i}"), Role::Viewer, 1).await.unwrap();
        }
        assert!(matches!(access.export_audit(&operator, 0).await, Err(Error::Denied { .. })), "admins only");
        let (head, lines) = file(&w, &admin, 0).await;
        assert_eq!(i64::try_from(lines.len()).unwrap(), head.last + 1);
        assert!(lines.last().unwrap().contains("audit.export"), "it tells of itself");
        assert_eq!(verify(&lines), Verified { entries: head.last, broken_at: None });
        // Written meanwhile: not in it, and no harm to it.
        access.create_token(&admin, "later", Role::Viewer, 1).await.unwrap();
        assert!(access.exported_audit(&admin, &head, head.last).await.unwrap().is_empty());

        // The next one begins where this one ended.
        let (next, more) = file(&w, &admin, head.last).await;
        assert_eq!((next.before.as_str(), next.after), (head.head.as_str(), head.last));
        assert_eq!(verify(&more), Verified { entries: 2, broken_at: None });
        let refused = access.export_audit(&admin, next.last + 5).await.unwrap_err();
        assert_eq!(refused.fault().field.as_deref(), Some("after"));
        assert!(access.export_audit(&admin, -1).await.is_err());

        let changed = |at: usize, from: &str, to: &str| {
            let mut other = lines.clone();
            assert!(other[at].contains(from), "{}", other[at]);
            other[at] = other[at].replacen(from, to, 1);
            other
        };
        let at = lines.len() - 3;
        let seq = i64::try_from(at).unwrap();
        assert_eq!(verify(&changed(at, "t4", "t9")).broken_at, Some(seq), "a word");
        assert_eq!(verify(&changed(at, "\"address\":\"", "\"address\":\"1")).broken_at, Some(seq));
        assert_eq!(verify(&changed(at, "{", "x")).broken_at, Some(seq), "no entry at all");
        let mut gone = lines.clone();
        gone.remove(at);
        assert_eq!(verify(&gone).broken_at, Some(seq), "one taken out");
        assert_eq!(verify(&lines[..at]).broken_at, Some(seq), "its end cut off");
        assert_eq!(verify(&changed(0, "\"after\":0", "\"after\":1")).broken_at, Some(2), "the beginning passed over");
        assert!(matches!(verify_export(&b"{}\n"[..]), Err(ExportError::Head)));
        let newer = changed(0, AUDIT_EXPORT_FORMAT, "fleetward-audit/9").join("\n");
        assert!(matches!(verify_export(newer.as_bytes()), Err(ExportError::Format(_))));
    }
}
