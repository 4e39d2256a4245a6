//! The desk where devices are let in (E-2, E-3): those that come at the same time share one transaction, its trips to the database and its
//! sync, and each has its answer after the commit. Refuses to know who may come; `admission.rs` has decided what each may become.

use super::{
    DeviceNo, Error,
    admission::{Admission, Credential},
    claims,
    enrolment::RETRY_MS,
    entry::{self, LetIn, Note},
    gave::{Gave, gave, give},
    store,
};
use crate::{
    access::Actor,
    bus::{Bus, Event},
    clock::Clock,
    db::{Db, Tx, exec, list, rows},
    pki::{self, Issued, Pki, TRIES, Undone as _},
    refused::Refused,
};
use parking_lot::Mutex;
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Notify, oneshot};
use wire::{Timestamp, ids::CertificateId};

/// Most that are let in together.
const MOST: usize = 128;
/// The same where signatures are a token's (K-4): they are made one after the other, and have a deadline together.
const MOST_BY_TOKEN: usize = 8;
/// How long a pass waits for as many as came before. A pass costs about as many trips to the database for one as for all of them, so in a rush it is
/// sooner over for everybody. Who comes alone does not wait, unless as the first after a rush.
const GATHER: Duration = Duration::from_millis(3);

/// What an admission became.
pub(super) enum Answer {
    /// A certificate that was made just now.
    New(Box<Issued>),
    /// The one that it gave before (E-3).
    Again(CertificateId),
}

struct Order {
    admission: Admission,
    answer: oneshot::Sender<Result<Answer, Error>>,
}

pub(super) struct Desk {
    db: Db,
    clock: Arc<dyn Clock>,
    bus: Bus,
    pki: Arc<Pki>,
    waiting: Mutex<Vec<Order>>,
    came: Notify,
    // One at a time works; whoever comes meanwhile is in its next transaction. What it holds is how many were here at the last one.
    working: tokio::sync::Mutex<usize>,
}

impl Desk {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>, bus: Bus, pki: Arc<Pki>) -> Arc<Self> {
        Arc::new(Self { db, clock, bus, pki, waiting: Mutex::default(), came: Notify::new(), working: tokio::sync::Mutex::default() })
    }

    /// Lets one in, with whoever else is there. A caller that goes away meanwhile is let in all the same and may ask again.
    pub(super) async fn enrol(self: &Arc<Self>, admission: Admission) -> Result<Answer, Error> {
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().push(Order { admission, answer });
        self.came.notify_one();
        let desk = Arc::clone(self);
        // By itself, because the transaction is not this caller's alone.
        self.db.beyond(async move { desk.serve().await });
        // It is dropped unanswered only when the work ended before its time: it may be asked again.
        answered.await.unwrap_or_else(|_| Err(crate::db::Error::Busy.into()))
    }

    /// Works until nobody waits. Who has to wait for another pass stands behind those that came meanwhile.
    async fn serve(&self) {
        let mut crowd = self.working.lock().await;
        loop {
            self.gather(*crowd).await;
            let orders: Vec<Order> = {
                let mut waiting = self.waiting.lock();
                let count = waiting.len().min(self.most());
                waiting.drain(..count).collect()
            };
            if orders.is_empty() {
                return;
            }
            let served = orders.len();
            let left = self.answer(orders).await;
            let mut waiting = self.waiting.lock();
            *crowd = served - left.len() + waiting.len();
            waiting.extend(left);
        }
    }

    fn most(&self) -> usize {
        if self.pki.signs_by_token() { MOST_BY_TOKEN } else { MOST }
    }

    /// Waits a moment for as many as were here before, if that was more than one and somebody is here now.
    async fn gather(&self, crowd: usize) {
        let here = || self.waiting.lock().len();
        let all = async {
            while (1..crowd.min(self.most())).contains(&here()) {
                self.came.notified().await;
            }
        };
        // Who does not come in time is in the next pass.
        let _late = tokio::time::timeout(GATHER, all).await;
    }

    /// Answers those that one pass can; gives the others back.
    async fn answer(&self, mut orders: Vec<Order>) -> Vec<Order> {
        let admissions: Vec<&Admission> = orders.iter().map(|o| &o.admission).collect();
        let mut left = Vec::new();
        match self.pass(&admissions).await {
            Ok(answers) => {
                for (order, answer) in orders.into_iter().zip(answers) {
                    match answer {
                        Some(answer) => reply(order, Ok(answer)),
                        None => left.push(order),
                    }
                }
            }
            Err(Refused::These(refused)) => {
                let mut refused: HashMap<usize, Error> = refused.into_iter().collect();
                for (place, order) in orders.into_iter().enumerate() {
                    match refused.remove(&place) {
                        Some(e) => reply(order, Err(e)),
                        None => left.push(order),
                    }
                }
            }
            Err(Refused::All(e)) => {
                let last = orders.pop();
                if orders.is_empty() {
                    last.into_iter().zip([e]).for_each(|(order, e)| reply(order, Err(e)));
                } else if let Error::Pki(pki::Error::TokenLate) = e {
                    // Whoever comes again finds what it signs meanwhile.
                    orders.into_iter().chain(last).for_each(|order| reply(order, Err(pki::Error::TokenLate.into())));
                } else if let Error::Db(crate::db::Error::Busy | crate::db::Error::Full) = e {
                    // Each by itself would wait as long, one after the other.
                    let full = matches!(e, Error::Db(crate::db::Error::Full));
                    let why = || if full { crate::db::Error::Full } else { crate::db::Error::Busy };
                    orders.into_iter().chain(last).for_each(|order| reply(order, Err(why().into())));
                } else {
                    // The database says of all what may be true of one; each by itself finds out.
                    tracing::debug!(error = %e, "enrolments go on one by one");
                    for order in orders.into_iter().chain(last).filter(|order| !order.answer.is_closed()) {
                        left.extend(Box::pin(self.answer(vec![order])).await);
                    }
                }
            }
        }
        left
    }

    /// One transaction, and before it the signatures that are a token's. An admission has no answer yet when another one of this pass has to be written
    /// before it.
    async fn pass(&self, admissions: &[&Admission]) -> Result<Vec<Option<Answer>>, Refused<Error>> {
        let mut left = TRIES;
        loop {
            let refusal = match Box::pin(self.pass_at_once(admissions)).await {
                Err(Refused::All(refusal)) if left > 0 => refusal,
                outcome => return outcome,
            };
            left -= 1;
            let wanting = refusal.wanting().map_err(Refused::All)?;
            self.pki.sign_ahead(wanting).await.map_err(|e| Refused::All(Error::from(e)))?;
        }
    }

    async fn pass_at_once(&self, admissions: &[&Admission]) -> Result<Vec<Option<Answer>>, Refused<Error>> {
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let mut uses = held(&mut tx, admissions, now).await?;
        let given = self.given(&mut tx, admissions, now).await?;
        let mut answers: Vec<Option<Answer>> = given.into_iter().map(|g| g.map(Answer::Again)).collect();
        let (mut places, mut refused) = (Vec::new(), Vec::new());
        let mut apart = Apart::default();
        for (place, a) in admissions.iter().enumerate().filter(|(place, _)| answers[*place].is_none()) {
            if !apart.add(a) {
                continue;
            }
            match take(&mut tx, a, &mut uses, now).await {
                Ok(true) => places.push(place),
                Ok(false) => {}
                Err(Error::Db(e)) => return Err(e.into()),
                Err(e) => refused.push((place, e)),
            }
        }
        Refused::none(refused)?;
        if places.is_empty() {
            return Ok(answers);
        }
        let chosen: Vec<&Admission> = places.iter().map(|place| admissions[*place]).collect();
        let made = entry::let_in(&self.pki, &mut tx, &chosen, note, now).await.map_err(|e| moved(e, &places))?;
        write_down(&mut tx, &chosen, &made, &uses, now).await?;
        tx.commit().await?;
        for LetIn { device, issued, .. } in &made {
            self.pki.admit(issued);
            self.bus.tell(Event::Device { org: issued.org().clone(), device: *device });
        }
        self.bus.tell(Event::Trust);
        for (place, LetIn { issued, .. }) in places.into_iter().zip(made) {
            answers[place] = Some(Answer::New(Box::new(issued)));
        }
        Ok(answers)
    }

    /// What each credential already gave for the key, if it may be given again (E-3): a revoked certificate never.
    async fn given(&self, tx: &mut Tx, admissions: &[&Admission], now: Timestamp) -> Result<Vec<Option<CertificateId>>, Error> {
        let mut given = Vec::with_capacity(admissions.len());
        for (a, gave) in admissions.iter().zip(gave(tx, admissions).await?) {
            given.push(match gave {
                Some(gave) => self.again(tx, a, gave, now).await?,
                None => None,
            });
        }
        Ok(given)
    }

    async fn again(&self, tx: &mut Tx, a: &Admission, gave: Gave, now: Timestamp) -> Result<Option<CertificateId>, Error> {
        // The same request may have got a key of ours before (E-8); that certificate is not for its own.
        if !self.pki.is_for(tx, &gave.certificate, &a.csr).await? {
            return Ok(None);
        }
        let recent = gave.csr_sha256 == a.csr.csr_sha256 && now.since(gave.at) < RETRY_MS;
        let again = if recent { self.pki.active(tx, &gave.certificate).await? } else { self.pki.unused(tx, &gave.certificate).await? };
        Ok(again.then_some(gave.certificate))
    }
}

/// Who asked may be gone; what was written stays, and is given again when they come back.
fn reply(order: Order, answer: Result<Answer, Error>) {
    if order.answer.send(answer).is_err() {
        tracing::debug!(device = %order.admission.device_id, "who enrolled did not wait for the answer");
    }
}

/// The keys and names of a pass: each once.
#[derive(Default)]
struct Apart<'a> {
    keys: HashSet<&'a [u8]>,
    names: HashSet<(&'a str, String)>,
}

impl<'a> Apart<'a> {
    fn add(&mut self, a: &'a Admission) -> bool {
        let name = (a.org.as_str(), a.device_id.as_str().to_lowercase());
        if self.keys.contains(a.csr.spki_sha256.as_slice()) || self.names.contains(&name) {
            return false;
        }
        self.keys.insert(&a.csr.spki_sha256) && self.names.insert(name)
    }
}

/// A token's uses: how many are left, and how many this pass takes.
#[derive(Debug, Clone, Copy)]
struct Uses {
    usable: bool,
    left: i64,
    taken: i64,
}

/// The tokens of these, which keep their state until the transaction ends.
async fn held(tx: &mut Tx, admissions: &[&Admission], now: Timestamp) -> Result<BTreeMap<String, Uses>, Error> {
    let tokens: HashSet<&str> = admissions
        .iter()
        .filter_map(|a| match &a.credential {
            Credential::Token(id) => Some(id.as_str()),
            Credential::None | Credential::Claim(_) => None,
        })
        .collect();
    if tokens.is_empty() {
        return Ok(BTreeMap::new());
    }
    let asked: Vec<_> = tokens.into_iter().map(|id| json!({ "id": id })).collect();
    let rows = rows!(tx, (String, i64, i64, i64, Option<i64>), store::TOKENS_HELD, list(&asked)?)?;
    Ok(rows
        .into_iter()
        .map(|(id, uses, max_uses, expires_at, revoked_at)| {
            (id, Uses { usable: uses < max_uses && expires_at > now.0 && revoked_at.is_none(), left: max_uses - uses, taken: 0 })
        })
        .collect())
}

/// Takes a use of the credential; `false` when this pass has taken the last one, so that what becomes of it is not known yet.
async fn take(tx: &mut Tx, a: &Admission, uses: &mut BTreeMap<String, Uses>, now: Timestamp) -> Result<bool, Error> {
    match &a.credential {
        Credential::Token(id) => {
            let token = uses.get_mut(id.as_str()).filter(|token| token.usable).ok_or(Error::BadToken)?;
            if token.taken == token.left {
                return Ok(false);
            }
            token.taken += 1;
            Ok(true)
        }
        Credential::Claim(claim) => {
            claims::take(tx, claim, now).await?;
            Ok(true)
        }
        Credential::None => Err(Error::BadToken),
    }
}

/// The places of a pass, from those of what was let in.
fn moved(refused: Refused<Error>, places: &[usize]) -> Refused<Error> {
    match refused {
        Refused::These(these) => Refused::These(these.into_iter().map(|(place, e)| (places[place], e)).collect()),
        Refused::All(e) => Refused::All(e),
    }
}

/// What each credential gave, and the uses that it cost.
async fn write_down(
    tx: &mut Tx,
    let_in: &[&Admission],
    made: &[LetIn],
    uses: &BTreeMap<String, Uses>,
    now: Timestamp,
) -> Result<(), crate::db::Error> {
    let given = let_in.iter().zip(made).map(|(a, made)| (*a, made.device, &made.issued.id));
    give(tx, &given.collect::<Vec<_>>(), now).await?;
    let taken: Vec<_> = uses.iter().filter(|(_, u)| u.taken > 0).map(|(id, u)| json!({ "id": id, "taken": u.taken })).collect();
    if !taken.is_empty() {
        exec!(&mut *tx, store::TOKENS_USE, list(&taken)?, now.0)?;
    }
    Ok(())
}

/// That a device was let in by what it brought, for the books: the device itself is the one who acted.
pub(super) fn note(a: &Admission, device: DeviceNo) -> Note {
    let mut detail = json!({ "by": a.enrolled_by });
    if let Some(digest) = a.csr.digest() {
        detail["csr_sha256"] = json!(digest);
    }
    // The pass is nobody's request alone.
    Note { by: Actor::device(&a.org, device, &a.device_id, &a.address).by_request(&a.request), detail }
}
