//! The work on a batch: a line a transaction, so that each is by itself (E-7). Whoever works holds the batch, so a server and a command
//! beside it take turns, and after a stop it goes on where the last commit was.

use super::{
    super::{
        DeviceNo, Devices, Error,
        admission::{Admission, Credential, Replaces},
        enrolment::is_guess,
        entry::{self, LetIn, NewDevice, Note},
        given_groups::{self, Newcomer},
        presence::clean,
        store as devices,
        words::{check_tags, split_words},
    },
    BatchRow, store,
};
use crate::{
    access::{Actor, audit},
    bus::Event,
    db::{Tx, exec, row, rows},
    pki::{self, Csr, Issued, ServerKey, csr, est, signed_ahead},
};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    enrolment::{BatchLineState, BatchState},
    ids::{CertificateId, DeviceId, OrgId},
    states::DeviceState,
};

#[derive(sqlx::FromRow)]
struct Waiting {
    line: i64,
    label: String,
    device_id: String,
    device_type: String,
    tags: String,
    csr: Vec<u8>,
}

impl Waiting {
    /// Where people find it, for the books: the line of the file, as the label has it, or the name in the archive. The number of the record is another one.
    fn place(&self) -> Value {
        let number = self.label.strip_prefix("line ").and_then(|rest| rest.split(':').next());
        number.and_then(|number| number.parse::<u64>().ok()).map_or_else(|| json!(self.label), |number| json!(number))
    }
}

/// What became of a line.
struct Done {
    device_id: String,
    /// None of a device that is only registered.
    certificate: Option<CertificateId>,
    /// The certificate, if it was made just now.
    issued: Option<Issued>,
    /// Whether its key was made here.
    with_key: bool,
}

/// What a look at a batch came to.
pub(super) enum Worked {
    /// A line is done; if a key was made for it, for whom and which.
    Line(Option<(String, ServerKey)>),
    /// No line waits any more.
    Through,
    /// Somebody else is at it, or it was stopped.
    Gone,
}

/// What came of lines that asked for a certificate since somebody has last taken them: the words of refusals, or `issued`.
#[derive(Debug, Default)]
pub(in crate::devices) struct Outcomes(Mutex<BTreeMap<String, u64>>);

impl Outcomes {
    fn count(&self, word: &str) {
        *self.0.lock().entry(word.to_owned()).or_default() += 1;
    }
}

impl Devices {
    /// What came of lines that asked for a certificate since this was last asked, how often each, for counters.
    pub fn take_batch_outcomes(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.batch_outcomes.0.lock())
    }

    /// Waits until a batch has come in; the worker also looks by itself now and then.
    pub async fn batches_due(&self) {
        self.batches_due.notified().await;
    }

    /// Works on a line of the oldest batch of those that can go on; says whether there may be more to do.
    ///
    /// One line a transaction: it takes a device's row and then the trust clock, as everybody does. With a second line it would hold the clock while it
    /// waits for a row, and on PostgreSQL two such wait for each other.
    pub async fn work_batches(&self) -> Result<bool, Error> {
        let mut failed = None;
        // One organization without an authority must not hold up the others.
        for batch in rows!(&mut self.db.read().await?, BatchRow, store::NEXT)? {
            match self.work_on(&batch).await {
                Ok(_) => return Ok(true),
                Err(e) => {
                    tracing::warn!(batch = batch.id, error = %e, "a batch does not go on; it is tried again");
                    failed = Some(e);
                }
            }
        }
        failed.map_or(Ok(false), Err)
    }

    /// Works on its next line, in the state in which it was read.
    pub(super) async fn work_on(&self, batch: &BatchRow) -> Result<Worked, Error> {
        // Drawn once a line, however often the line is done anew.
        let mut key = None;
        signed_ahead!(self.pki, Box::pin(self.work_on_at_once(batch, &mut key)).await)
    }

    async fn work_on_at_once(&self, batch: &BatchRow, key: &mut Option<ServerKey>) -> Result<Worked, Error> {
        let org: OrgId = batch.org_id.parse().map_err(crate::db::Error::corrupt)?;
        let now = self.clock.now();
        let Some(mut tx) = self.hold(batch).await? else { return Ok(Worked::Gone) };
        let Some(line) = row!(&mut tx, Waiting, store::WAITING, batch.id.as_str())? else {
            // One with keys has ended when they are handed out.
            if batch.state == BatchState::MakingKeys.as_str() {
                return Ok(Worked::Through);
            }
            exec!(&mut tx, store::END, batch.id.as_str(), BatchState::Done.as_str(), now.0)?;
            let detail = json!({ "issued": batch.issued, "registered": batch.registered, "refused": batch.refused });
            audit::append(&mut tx, &Actor::system(org.clone()), now, "enrolment_batch.done", &batch.id, &detail).await?;
            tx.commit().await?;
            self.bus.tell(Event::Enrolment { org });
            return Ok(Worked::Through);
        };
        let (number, place, said, request) = (line.line, line.place(), line.device_id.clone(), line.csr.clone());
        let outcome = match self.line(&mut tx, &org, batch, line, key, now).await {
            Ok(done) => Ok(done),
            Err(e) if is_the_lines(&e) => {
                // Nothing of it stays but why.
                drop(tx);
                let Some(again) = self.hold(batch).await? else { return Ok(Worked::Gone) };
                tx = again;
                Err(e)
            }
            // The database, or our own authority: the line is not to blame, and is tried again.
            Err(e) => return Err(e),
        };
        let (made, registered, refused) = match &outcome {
            Ok(Done { certificate: Some(_), .. }) => (1, 0, 0),
            Ok(Done { certificate: None, .. }) => (0, 1, 0),
            Err(_) => (0, 0, 1),
        };
        let fault = outcome.as_ref().err().map(Error::fault);
        let (code, message) = fault.as_ref().map_or(("", ""), |fault| (fault.code.as_str(), fault.message.as_str()));
        let (device_id, state, code, message, certificate) = match &outcome {
            Ok(Done { device_id, certificate: Some(id), .. }) => (device_id.as_str(), BatchLineState::Issued, "", "", id.as_str()),
            Ok(Done { device_id, certificate: None, .. }) => (device_id.as_str(), BatchLineState::Registered, "", "", ""),
            Err(_) => (said.as_str(), BatchLineState::Refused, code, message, ""),
        };
        let nothing: &[u8] = &[];
        let changed =
            exec!(&mut tx, store::LINE_DONE, batch.id.as_str(), number, device_id, state.as_str(), code, message, certificate, nothing)?;
        if changed == 0 {
            // Somebody else was at it between two transactions.
            return Ok(Worked::Line(None));
        }
        exec!(&mut tx, store::PROGRESS, batch.id.as_str(), made, registered, refused)?;
        // For the books as with a token, and as few of them.
        if outcome.as_ref().is_err_and(is_guess) && self.booked.take(batch.id.as_str(), now) {
            let detail = json!({ "line": place, "device_id": said, "code": code });
            audit::append(&mut tx, &Actor::system(org.clone()), now, "enrolment_batch.refuse", &batch.id, &detail).await?;
        }
        tx.commit().await?;
        if registered == 0 {
            self.batch_outcomes.count(if made == 1 { "issued" } else { code });
        }
        let anothers = if let Err(Error::Pki(pki::Error::KeyInUse(whose))) = &outcome { Some(*whose) } else { None };
        if let Some(whose) = anothers {
            self.tell_line(&org, batch, (place, &said), &request, whose).await;
        }
        if let Ok(Done { issued: Some(issued), .. }) = &outcome {
            self.pki.admit(issued);
            self.bus.tell(Event::Trust);
        }
        self.bus.tell(Event::Enrolment { org });
        Ok(Worked::Line(outcome.ok().filter(|done| done.with_key).and_then(|done| Some((done.device_id, key.take()?)))))
    }

    /// Tells that a line asks for a certificate for a key that is another's.
    async fn tell_line(&self, org: &OrgId, batch: &BatchRow, (place, device_id): (Value, &str), request: &[u8], whose: &str) {
        let asked = est::request(request).ok().and_then(|pem| csr::gate(pem.as_bytes(), None).ok());
        let mut detail = Map::new();
        detail.insert("batch".into(), json!(batch.label));
        detail.insert("line".into(), place);
        if let Ok(device_id) = device_id.parse::<DeviceId>() {
            detail.insert("device_id".into(), json!(device_id));
        }
        self.pki.tell_key_in_use(Some(org.clone()), "", batch.id.clone(), asked.as_ref(), whose, detail).await;
    }

    /// A transaction that holds the batch; none when there is nothing to do on it any more.
    async fn hold(&self, batch: &BatchRow) -> Result<Option<Tx>, Error> {
        let mut tx = self.db.write().await?;
        let held = row!(&mut tx, (String,), store::HELD, batch.id.as_str())?;
        Ok(held.is_some_and(|(state,)| state == batch.state).then_some(tx))
    }

    async fn line(
        &self,
        tx: &mut Tx,
        org: &OrgId,
        batch: &BatchRow,
        line: Waiting,
        key: &mut Option<ServerKey>,
        now: Timestamp,
    ) -> Result<Done, Error> {
        let wanted = (!line.device_id.is_empty())
            .then(|| line.device_id.parse::<DeviceId>().map_err(|e| Error::invalid("device_id", format!("{e}."))))
            .transpose()?;
        let device_type = if line.device_type.is_empty() { batch.device_type.clone() } else { clean(&line.device_type) };
        let mut tags = split_words(&batch.tags);
        tags.extend(split_words(&line.tags));
        check_tags(&tags)?;
        if line.csr.is_empty() && batch.state == BatchState::MakingKeys.as_str() {
            let device_id = wanted.ok_or_else(|| Error::invalid("device_id", "This line has neither a CSR nor a device id."))?;
            // Asked with every line: it may be taken back while they are made (K-6).
            self.may_make_keys(tx, org.as_str()).await?;
            let drawn = match key.take() {
                Some(drawn) => drawn,
                None => ServerKey::generate()?,
            };
            let key = &*key.insert(drawn);
            return self.line_with_key(tx, org, batch, &line.place(), (device_id, device_type, tags), key, now).await;
        }
        if line.csr.is_empty() {
            let device_id = wanted.ok_or_else(|| Error::invalid("device_id", "This line has neither a CSR nor a device id."))?;
            self.preregister(tx, org, batch, &device_id, &device_type, &tags, now).await?;
            return Ok(Done { device_id: device_id.to_string(), certificate: None, issued: None, with_key: false });
        }
        let pem = est::request(&line.csr).map_err(pki::Error::from)?;
        let csr = csr::gate(pem.as_bytes(), wanted.as_ref()).map_err(pki::Error::from)?;
        let device_id = wanted
            .or_else(|| csr.common_name.clone())
            .ok_or_else(|| Error::invalid("device_id", "Give a device id beside the CSR or as its common name."))?;
        let admission = admitted(org, batch, (device_id, device_type, tags), csr);
        // The same request in a second batch, because the first one's result was lost (E-3).
        if let Some(given) = self.pki.given_to(tx, org, &admission.device_id, &admission.csr).await?
            && row!(&mut *tx, (i64,), store::LINE_OF, batch.id.as_str(), given.as_str())?.is_none()
        {
            return Ok(Done { device_id: admission.device_id.to_string(), certificate: Some(given), issued: None, with_key: false });
        }
        let issued = self.admit_line(tx, batch, &line.place(), &admission, now).await?;
        Ok(Done { device_id: admission.device_id.to_string(), certificate: Some(issued.id.clone()), issued: Some(issued), with_key: false })
    }

    /// A line without a request, whose key is made here (E-8).
    #[expect(clippy::too_many_arguments, reason = "what a line is made of")]
    async fn line_with_key(
        &self,
        tx: &mut Tx,
        org: &OrgId,
        batch: &BatchRow,
        place: &Value,
        named: Named,
        key: &ServerKey,
        now: Timestamp,
    ) -> Result<Done, Error> {
        let mut admission = admitted(org, batch, named, key.request());
        // The keys of an archive that nobody got are made anew; a device that has ever connected, or has a key of its own, is not replaced.
        let lost = row!(&mut *tx, (i64,), store::FORSAKEN, org.as_str(), admission.device_id.as_str())?.is_some();
        if lost {
            admission.replaces = Replaces::Itself;
        }
        let issued = self.admit_line(tx, batch, place, &admission, now).await?;
        if lost {
            self.pki.forsake(tx, &issued, None).await?;
        }
        Ok(Done { device_id: admission.device_id.to_string(), certificate: Some(issued.id.clone()), issued: Some(issued), with_key: true })
    }

    async fn admit_line(&self, tx: &mut Tx, batch: &BatchRow, place: &Value, a: &Admission, now: Timestamp) -> Result<Issued, Error> {
        let note =
            |a: &Admission, _: DeviceNo| Note { by: Actor::system(a.org.clone()), detail: json!({ "batch": batch.id, "line": place }) };
        let LetIn { issued, .. } = self.let_in(tx, a, note, now).await?;
        Ok(issued)
    }

    /// Makes a device known that enrols later, with a token made for exactly its id.
    #[expect(clippy::too_many_arguments, reason = "what a device's row is made of")]
    async fn preregister(
        &self,
        tx: &mut Tx,
        org: &OrgId,
        batch: &BatchRow,
        device_id: &DeviceId,
        device_type: &str,
        tags: &[String],
        now: Timestamp,
    ) -> Result<(), Error> {
        let lower = device_id.as_str().to_lowercase();
        let new = NewDevice {
            org: org.as_str(),
            device_id: device_id.as_str(),
            lower: &lower,
            device_type,
            hardware: "",
            state: DeviceState::Preregistered.as_str(),
            enrolled_at: now.0,
            enrolled_by: &format!("batch {}", batch.label),
        };
        let made = entry::insert(tx, &[new]).await?;
        let device = made.into_values().next().ok_or_else(|| Error::Exists(device_id.to_string()))?;
        for tag in tags {
            exec!(&mut *tx, devices::TAG_INSERT, device, org.as_str(), tag.as_str())?;
        }
        let groups = split_words(&batch.group_ids);
        let joined = given_groups::put_in(tx, &[Newcomer { device, org: org.as_str(), groups: &groups }]).await?;
        let mut detail = json!({ "batch": batch.id });
        for joined in &joined {
            joined.say(&mut detail);
        }
        audit::append(tx, &Actor::system(org.clone()), now, "device.preregister", device_id.as_str(), &detail).await?;
        Ok(())
    }
}

/// A device's name, type and tags.
type Named = (DeviceId, String, Vec<String>);

/// What a batch lets in for this request.
fn admitted(org: &OrgId, batch: &BatchRow, (device_id, device_type, tags): Named, csr: Csr) -> Admission {
    Admission {
        org: org.clone(),
        credential: Credential::None,
        label: batch.label.clone(),
        enrolled_by: format!("batch {}", batch.label),
        // A person has named these devices, so those that wait for their first certificate get it.
        replaces: Replaces::Expected,
        tags,
        groups: split_words(&batch.group_ids),
        device_id,
        device_type,
        hardware: String::new(),
        attributes: BTreeMap::new(),
        csr,
        profile: batch.profile.clone(),
        address: String::new(),
        request: String::new(),
    }
}

/// Whether it is what the line says that can't be taken, and not the server that can't do it now.
const fn is_the_lines(e: &Error) -> bool {
    use pki::Error as P;
    matches!(
        e,
        Error::Invalid { .. }
            | Error::Exists(_)
            | Error::NotActive(_)
            | Error::Pki(P::Csr(_) | P::KeyInUse(_) | P::KeyType(_) | P::NoProfile)
    )
}
