//! Signs of attack: refusals that honest devices don't meet, and wrong passwords, on their way into the audit log (K-8, table (e)). Owns how they are told and that they
//! cost little: who tells waits for nothing, and a flood writes a few rows. Refuses to know sockets, and what was refused why: the rooms say that.

mod pace;

use super::{Actor, audit};
use crate::{
    asked,
    clock::Clock,
    db::{self, Db},
};
use pace::{Books, Row};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;
use wire::{access::AUDIT_REQUEST, ids::OrgId};

macro_rules! kinds { ($($(#[$doc:meta])* $name:ident = $code:literal in $action:literal,)*) => {
    /// What was seen: a closed set, the words of metrics and of the audit log.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Kind { $($(#[$doc])* $name,)* }
    impl Kind {
        /// Every kind.
        pub const ALL: &'static [Self] = &[$(Self::$name),*];
        /// The reason code.
        pub const fn code(self) -> &'static str { match self { $(Self::$name => $code),* } }
        /// The action in the audit log.
        pub const fn action(self) -> &'static str { match self { $(Self::$name => $action),* } }
    }
} }

kinds! {
    /// A revoked certificate was shown again.
    RevokedCertificate = "revoked" in "handshake.refuse",
    /// One whose successor is in use was shown after its last day.
    SupersededCertificate = "superseded" in "handshake.refuse",
    /// The certificate of a suspended or decommissioned device was shown.
    InactiveDevice = "suspended" in "handshake.refuse",
    /// A certificate that is signed by itself, or by nobody who is believed here.
    UnknownIssuer = "unknown_issuer" in "handshake.refuse",
    /// A certificate that is good for something else.
    WrongPurpose = "wrong_purpose" in "handshake.refuse",
    /// A certificate was shown without the key that belongs to it.
    KeyNotProved = "key_not_proved" in "handshake.refuse",
    /// A certificate of ours whose signature was written otherwise: ECDSA lets anybody do that.
    AlteredSignature = "altered_signature" in "handshake.refuse",
    /// One of our authorities has signed it, and the database has never heard of it (H-4).
    NeverIssued = "never_issued" in "certificate.never_issued",
    /// An enrolment secret that was never given out.
    GuessedToken = "guessed_token" in "enrolment.guess",
    /// A right enrolment secret that is used up, over or withdrawn, with a key that it never let in (E-3).
    SpentToken = "spent_token" in "enrolment_token.reuse",
    /// The same of one that is used up, from an address from which it let nobody in: somebody else may have it.
    TokenElsewhere = "token_elsewhere" in "enrolment_token.reuse",
    /// A device asks for a certificate for a key that is not its own.
    KeyInUse = "key_in_use" in "certificate.refuse",
    /// A right enrolment secret came with a request that it does not let through (E-1, A-10 to A-13).
    RefusedByToken = "refused_by_token" in "enrolment_token.refuse",
    /// The same of a claim's certificate (E-9).
    RefusedByClaim = "refused_by_claim" in "claim.refuse",
    /// Somebody tried to sign in with a wrong password, or as nobody who is here.
    WrongPassword = "wrong_password" in "session.refused",
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sign {
    /// What was seen.
    pub kind: Kind,
    /// Whom it concerns; without one it goes into the books of the first organization.
    pub org: Option<OrgId>,
    /// From where; empty when nobody knows.
    pub from: String,
    /// The object of the row.
    pub object: String,
    /// What is known beside that. Must hold no secret.
    pub detail: Map<String, Value>,
}

struct Shared {
    db: Db,
    clock: Arc<dyn Clock>,
    org: OrgId,
    books: Mutex<Books>,
    told: Notify,
    seen: [AtomicU64; Kind::ALL.len()],
}

/// Where signs are told. Cheap to clone.
#[derive(Clone)]
pub struct Attacks(Arc<Shared>);

impl fmt::Debug for Attacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attacks").finish_non_exhaustive()
    }
}

impl Attacks {
    /// Books over an open store; what concerns nobody in particular goes to `org`.
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>, org: OrgId) -> Self {
        let seen = [const { AtomicU64::new(0) }; Kind::ALL.len()];
        Self(Arc::new(Shared { db, clock, org, books: Mutex::default(), told: Notify::new(), seen }))
    }

    /// Tells of a sign. Waits for nothing: whether there is a row for it, and when, is decided here, and written by [`Attacks::write_down`].
    pub fn tell(&self, sign: Sign) {
        self.tell_of(sign, 1);
    }

    /// The same for one that was seen so many times.
    pub(crate) fn tell_of(&self, mut sign: Sign, times: u64) {
        say_request(&mut sign);
        self.count(sign.kind, times);
        if self.0.books.lock().see(sign, times, self.0.clock.now()) {
            self.0.told.notify_one();
        }
    }

    /// Counts one whose row its teller writes by itself.
    pub(crate) fn written(&self, kind: Kind) {
        self.count(kind, 1);
    }

    /// Tells of one whose teller has written enough of them for this minute: a row after the minute says how many there were, apart from those with another
    /// `apart`.
    pub(crate) fn hold(&self, mut sign: Sign, apart: String) {
        say_request(&mut sign);
        self.count(sign.kind, 1);
        self.0.books.lock().hold(sign, apart, self.0.clock.now());
    }

    fn count(&self, kind: Kind, times: u64) {
        if let Some(seen) = self.0.seen.get(kind as usize) {
            seen.fetch_add(times, Ordering::Relaxed);
        }
    }

    /// How often each kind was seen since the start.
    pub fn seen(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.iter().zip(&self.0.seen).map(|(kind, n)| (*kind, n.load(Ordering::Relaxed)))
    }

    /// How many of them will be in no row: too many rows waited for the database.
    pub fn dropped(&self) -> u64 {
        self.0.books.lock().dropped
    }

    /// Waits until there is something to write.
    pub async fn told(&self) {
        self.0.told.notified().await;
    }

    /// Writes the rows that are due into the audit log, in one transaction. What can't be written waits for the next call, in bounds.
    pub async fn write_down(&self) -> Result<(), db::Error> {
        let now = self.0.clock.now();
        let rows = self.0.books.lock().due(now);
        if rows.is_empty() {
            return Ok(());
        }
        let written = self.write(&rows).await;
        if written.is_err() {
            self.0.books.lock().put_back(rows);
        }
        written
    }

    async fn write(&self, rows: &[Row]) -> Result<(), db::Error> {
        let actor = |row: &Row| {
            let org = row.sign.org.clone().unwrap_or_else(|| self.0.org.clone());
            Actor { address: row.sign.from.clone(), ..Actor::system(org) }
        };
        let actors: Vec<Actor> = rows.iter().map(actor).collect();
        let deeds: Vec<_> = rows
            .iter()
            .zip(&actors)
            .map(|(row, actor)| audit::Deed { actor, action: row.sign.kind.action(), object: &row.sign.object, detail: detail(row) })
            .collect();
        let mut tx = self.0.db.write().await?;
        audit::append_all(&mut tx, self.0.clock.now(), &deeds).await?;
        tx.commit().await
    }
}

/// The row is written behind the answer, where nobody knows the request any more (K-8).
fn say_request(sign: &mut Sign) {
    let request = asked::request();
    if !request.is_empty() {
        sign.detail.entry(AUDIT_REQUEST).or_insert_with(|| json!(request));
    }
}

/// What is known of the last one, why it was refused, and how many there were: from there, and from elsewhere since the last row of the kind.
fn detail(row: &Row) -> Value {
    let mut all = row.sign.detail.clone();
    all.entry("code").or_insert_with(|| json!(row.sign.kind.code()));
    all.insert("times".to_owned(), json!(row.times));
    if row.others > 0 {
        all.insert("elsewhere".to_owned(), json!(row.others));
    }
    Value::Object(all)
}
