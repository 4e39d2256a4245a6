//! Revocations beside the database (K-7): a backup that is put back must not bring back what was revoked after it. Owns one append-only
//! file of JSON lines, each synced before the revocation it tells of is committed. Refuses to decide anything: what is in the file is done again
//! when the room opens, which is `agreeing.rs`'s.
//!
//! A line whose transaction failed afterwards is done with the next start all the same: somebody wanted it.

mod agreeing;
mod leaked;

use super::{Error, Pki, registered::ListMark, store};
use crate::{db::Tx, lines};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};
use wire::{
    Timestamp,
    blocked::BY_HAND,
    ids::{AuthorityId, OrgId},
};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Entry {
    /// A certificate was revoked. Where the reason is that its key is compromised, the key is blocked from then on, whatever became of the certificate.
    Revoked(Revoked),
    /// A key was blocked by hand, or one of which no line of a revocation tells. Lines that earlier versions can't read are left out by them.
    Blocked(LeakedKey),
    /// A key that was blocked by hand may be used again. It has to be in the journal first: what stands there wins with the next start.
    Unblocked {
        /// The organization that had blocked it.
        org: OrgId,
        /// SHA-256 of its `SubjectPublicKeyInfo`.
        #[serde(with = "hexed")]
        spki_sha256: Vec<u8>,
        /// When.
        at: Timestamp,
    },
    /// An authority was given up, because somebody else may have its key.
    Compromised {
        /// Its organization.
        org: OrgId,
        /// Its id.
        authority: AuthorityId,
        /// When.
        at: Timestamp,
    },
    /// An authority's name was given: a backup from before would give it once more, with another key (P-7). By the slug, which stands in the name, and not by
    /// the organization's id: one that is made anew has another.
    Named {
        /// The slug of its organization.
        organization: String,
        /// Its kind.
        kind: String,
        /// The how manieth of its kind it is.
        generation: i64,
    },
    /// A root's key was removed: a backup from before still has it.
    Offline {
        /// Its organization.
        org: OrgId,
        /// Its id.
        authority: AuthorityId,
        /// When.
        at: Timestamp,
    },
    /// A registered authority is believed, or not any more: a backup from before may say otherwise.
    Registered {
        /// Its organization.
        org: OrgId,
        /// Its id.
        authority: AuthorityId,
        /// Whether it is believed from now on.
        believed: bool,
        /// When.
        at: Timestamp,
    },
    /// A registered authority's list counts: a backup from before has an older one, or none. By what it is told, and not the list, which may be 10 MiB long
    /// every hour: a database that was set back lets nobody in until the list is here again.
    OwnersList {
        /// Its organization.
        org: OrgId,
        /// Its authority.
        authority: AuthorityId,
        /// Its number, forty hex digits; empty when it has none.
        number: String,
        /// When it was made.
        this_update: Timestamp,
        /// SHA-256 of it.
        #[serde(with = "hexed")]
        sha256: Vec<u8>,
    },
    /// A list was brought that nobody here can sign again: a backup from before has an older one.
    List {
        /// Its organization.
        org: OrgId,
        /// Its root.
        authority: AuthorityId,
        /// Its number.
        number: i64,
        /// When it was made.
        this_update: Timestamp,
        /// Until when it holds.
        next_update: Timestamp,
        /// DER.
        #[serde(with = "hexed")]
        der: Vec<u8>,
    },
}

impl Entry {
    /// Of a registered authority's list.
    pub fn owners_list(org: OrgId, authority: AuthorityId, list: ListMark) -> Self {
        Self::OwnersList { org, authority, number: list.number, this_update: list.this_update, sha256: list.sha256 }
    }
}

/// A revoked certificate, with all that a list needs of one that the database does not know.
#[expect(clippy::struct_field_names, reason = "the columns of the table, which are also the words of the file")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub(super) struct Revoked {
    pub id: String,
    pub org_id: String,
    pub issuer_id: String,
    #[serde(with = "hexed")]
    pub serial: Vec<u8>,
    #[serde(with = "hexed")]
    pub fingerprint: Vec<u8>,
    #[serde(with = "hexed")]
    pub spki_sha256: Vec<u8>,
    pub subject: String,
    pub not_before: i64,
    pub not_after: i64,
    pub revoked_at: i64,
    pub revoked_by: String,
    pub reason: String,
    // Not in the lines of earlier versions.
    #[serde(default)]
    pub invalidity_date: Option<i64>,
    #[serde(default)]
    pub revocation_note: String,
    #[serde(default)]
    pub raised_at: Option<i64>,
    #[serde(default)]
    pub raised_by: String,
}

/// A key that gets no certificate any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub(super) struct LeakedKey {
    #[serde(with = "hexed")]
    pub spki_sha256: Vec<u8>,
    pub org_id: String,
    // That of a certificate's revocation, or that it was blocked by hand.
    pub reason: String,
    pub blocked_at: i64,
    pub blocked_by: String,
    // The certificate that was revoked; empty where none was.
    pub certificate_id: String,
    pub note: String,
}

impl LeakedKey {
    /// The key of a revoked certificate. It was blocked when its compromise was told, which may have been later.
    pub fn of(one: &Revoked) -> Self {
        let (blocked_at, by) = one.raised_at.map_or((one.revoked_at, &one.revoked_by), |at| (at, &one.raised_by));
        Self {
            spki_sha256: one.spki_sha256.clone(),
            org_id: one.org_id.clone(),
            reason: one.reason.clone(),
            blocked_at,
            blocked_by: by.clone(),
            certificate_id: one.id.clone(),
            note: String::new(),
        }
    }

    /// Whether a person has blocked it: one that was compromised stays blocked for good.
    pub fn by_hand(&self) -> bool {
        self.reason == BY_HAND
    }
}

/// Bytes as hex.
mod hexed {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Arc<parking_lot::Mutex<File>>,
    /// How often it was written.
    #[cfg(test)]
    pub writes: std::sync::atomic::AtomicUsize,
}

impl Journal {
    /// The journal at this place; an empty one where there is none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = lines::open(path).map_err(|error| Error::Journal { path: path.to_owned(), error })?;
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(parking_lot::Mutex::new(file)),
            #[cfg(test)]
            writes: std::sync::atomic::AtomicUsize::default(),
        })
    }

    /// Writes these down for good. When this returns they are on the disk.
    pub async fn append(&self, entries: &[Entry]) -> Result<(), Error> {
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry).map_err(|e| self.wrong(e.into()))?;
            text.push(b'\n');
        }
        #[cfg(test)]
        self.writes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let file = Arc::clone(&self.file);
        let written = tokio::task::spawn_blocking(move || lines::append(&mut file.lock(), &text));
        written.await.map_err(|e| self.wrong(std::io::Error::other(e)))?.map_err(|e| self.wrong(e))
    }

    /// All that was written. The last line may be torn by a crash: its revocation was not acknowledged.
    fn read(&self) -> Result<Vec<Entry>, Error> {
        let file = File::open(&self.path).map_err(|e| self.wrong(e))?;
        let mut entries = Vec::new();
        for (number, line) in (1..).zip(BufReader::new(file).split(b'\n')) {
            let line = line.map_err(|e| self.wrong(e))?;
            if line.is_empty() {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(entry) => entries.push(entry),
                Err(_) => {
                    tracing::error!(path = %self.path.display(), line = number, "a line of the revocation journal can't be read and is left out");
                }
            }
        }
        Ok(entries)
    }

    fn wrong(&self, error: std::io::Error) -> Error {
        Error::Journal { path: self.path.clone(), error }
    }
}

impl Pki {
    /// What the journal is told of a certificate that this transaction revokes; none when it was never signed, or there is no journal.
    pub(super) async fn for_journal(&self, tx: &mut Tx, id: &wire::ids::CertificateId) -> Result<Option<Entry>, Error> {
        if self.journal.is_none() {
            return Ok(None);
        }
        Ok(store::revoked_one(tx, id).await?.map(Entry::Revoked))
    }

    /// Tells the journal what a transaction revokes, all of it in one write; just before it is committed. An operator's revocation does not wait for a full
    /// disk: what could not be written is logged and written when the disk takes it again.
    pub(super) async fn journal_all(&self, told: &[Entry]) {
        if let Some(journal) = &self.journal
            && !told.is_empty()
        {
            self.tell(journal, told).await;
        }
    }

    /// The same of a root whose key is removed.
    pub(super) async fn journal_offline(&self, org: &OrgId, authority: &AuthorityId, at: Timestamp) {
        if let Some(journal) = &self.journal {
            self.tell(journal, &[Entry::Offline { org: org.clone(), authority: authority.clone(), at }]).await;
        }
    }

    /// The same of a registered authority that is not believed any more.
    pub(super) async fn journal_disabled(&self, org: &OrgId, authority: &AuthorityId, at: Timestamp) {
        if let Some(journal) = &self.journal {
            self.tell(journal, &[Entry::Registered { org: org.clone(), authority: authority.clone(), believed: false, at }]).await;
        }
    }

    /// The same of one that is believed from now on. It has to be in the journal first: what stands there wins with the next start.
    pub(super) async fn journal_enabled(&self, org: &OrgId, authority: &AuthorityId, at: Timestamp) -> Result<(), Error> {
        let Some(journal) = &self.journal else { return Ok(()) };
        journal.append(&[Entry::Registered { org: org.clone(), authority: authority.clone(), believed: true, at }]).await
    }

    /// The same of the names of authorities that are made. They have to be in the journal first: who has a certificate of one of them can't be told from who has
    /// one of another authority of that name.
    pub(super) async fn journal_named(&self, names: &[Entry]) -> Result<(), Error> {
        match &self.journal {
            Some(journal) if !names.is_empty() => journal.append(names).await,
            _ => Ok(()),
        }
    }

    /// The same of a key that may be used again.
    pub(super) async fn journal_unblocked(&self, org: &OrgId, spki_sha256: &[u8], at: Timestamp) -> Result<(), Error> {
        let Some(journal) = &self.journal else { return Ok(()) };
        journal.append(&[Entry::Unblocked { org: org.clone(), spki_sha256: spki_sha256.to_vec(), at }]).await
    }

    /// The same of a list that was brought.
    pub(super) async fn journal_list(&self, org: &OrgId, authority: &AuthorityId, list: &super::PublishedCrl) {
        if let Some(journal) = &self.journal {
            let (org, authority, der) = (org.clone(), authority.clone(), list.der.to_vec());
            let (number, this_update, next_update) = (list.number, list.this_update, list.next_update);
            self.tell(journal, &[Entry::List { org, authority, number, this_update, next_update, der }]).await;
        }
    }

    /// The same of a registered authority's list, once it counts: one that does not would close its authority with the next start. What this has missed the
    /// next start tells.
    pub(super) async fn journal_owners_list(&self, org: &OrgId, authority: &AuthorityId, list: &ListMark) {
        if let Some(journal) = &self.journal {
            self.tell(journal, &[Entry::owners_list(org.clone(), authority.clone(), list.clone())]).await;
        }
    }

    async fn tell(&self, journal: &Journal, entries: &[Entry]) {
        if let Err(error) = journal.append(entries).await {
            tracing::error!(%error, "a revocation is not in the journal yet; a backup put back now would not know of it");
            self.journal_behind.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn entry(id: &str) -> Entry {
        Entry::Revoked(Revoked {
            id: id.into(),
            org_id: "o".into(),
            issuer_id: "a".into(),
            serial: vec![1, 2],
            fingerprint: vec![3; 32],
            spki_sha256: vec![4; 32],
            subject: "gw-1".into(),
            not_before: 0,
            not_after: 1,
            revoked_at: 2,
            revoked_by: "ada".into(),
            reason: "key_compromise".into(),
            invalidity_date: Some(1),
            revocation_note: "stolen".into(),
            raised_at: Some(2),
            raised_by: "bob".into(),
        })
    }

    #[tokio::test]
    async fn what_was_appended_is_read_also_around_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations.log");
        let mark = ListMark { number: format!("{:0>40}", "5f"), this_update: Timestamp(3), sha256: vec![7; 32] };
        let (org, authority) = (format!("org_{:032}", 1).parse().unwrap(), format!("ca_{:032}", 2).parse().unwrap());
        let list = Entry::owners_list(org, authority, mark);
        let blocked = Entry::Blocked(LeakedKey {
            spki_sha256: vec![5; 32],
            org_id: "o".into(),
            reason: "key_compromise".into(),
            blocked_at: 3,
            blocked_by: "ada".into(),
            certificate_id: "a".into(),
            note: String::new(),
        });
        Journal::open(&path).unwrap().append(&[entry("a"), list.clone(), blocked.clone(), entry("b")]).await.unwrap();
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"what":"revoked","id":"#).unwrap();
        let again = Journal::open(&path).unwrap();
        again.append(&[entry("c")]).await.unwrap();
        assert_eq!(again.read().unwrap(), [entry("a"), list, blocked, entry("b"), entry("c")]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(matches!(Journal::open(folder.path()), Err(Error::Journal { .. })));
    }
}
