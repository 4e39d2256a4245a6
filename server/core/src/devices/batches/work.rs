//! The work on a batch: some lines a transaction, each of them by itself (pki.md E-7). Whoever works holds the batch, so a server and a command
//! beside it take turns, and after a stop it goes on where the last commit was.

use super::{
    super::{
        Devices, Error,
        enrolment::{Admission, Replaces},
        presence::clean,
        store as devices,
        tokens::{check_tags, split_tags},
    },
    BatchRow, store,
};
use crate::{
    access::{Actor, audit},
    bus::Event,
    db::{Tx, exec, row, rows},
    pki::{self, Issued, csr, est},
};
use serde_json::json;
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    enrolment::{BatchLineState, BatchState},
    ids::{DeviceId, OrgId},
    states::DeviceState,
};

/// Lines a transaction. One: it takes a device's row and then the trust clock, as everybody does; with a second line it would hold the clock while it
/// waits for a row, and on PostgreSQL two such wait for each other.
const AT_ONCE: i64 = 1;

#[derive(sqlx::FromRow)]
struct Waiting {
    line: i64,
    device_id: String,
    device_type: String,
    tags: String,
    csr: Vec<u8>,
}

/// What became of a line.
struct Done {
    device_id: String,
    issued: Option<Issued>,
}

impl Devices {
    /// Waits until a batch has come in; the worker also looks by itself now and then.
    pub async fn batches_due(&self) {
        self.batches_due.notified().await;
    }

    /// Works on the oldest batch for one transaction; says whether there may be more to do.
    pub async fn work_batches(&self) -> Result<bool, Error> {
        let Some(batch) = row!(&mut self.db.read().await?, BatchRow, store::NEXT)? else { return Ok(false) };
        let org: OrgId = batch.org_id.parse().map_err(crate::db::Error::corrupt)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let held = row!(&mut tx, (String,), store::HELD, batch.id.as_str())?;
        if held.is_none_or(|(state,)| state != BatchState::Working.as_str()) {
            return Ok(true);
        }
        let lines = rows!(&mut tx, Waiting, store::WAITING, batch.id.as_str(), AT_ONCE)?;
        let actor = Actor::system(org.clone());
        if lines.is_empty() {
            exec!(&mut tx, store::END, batch.id.as_str(), BatchState::Done.as_str(), now.0)?;
            let detail = json!({ "issued": batch.issued, "registered": batch.registered, "refused": batch.refused });
            audit::append(&mut tx, &actor, now, "enrolment_batch.done", &batch.id, &detail).await?;
            tx.commit().await?;
            self.bus.tell(Event::Enrolment { org });
            return Ok(true);
        }
        let (mut issued, mut registered, mut refused) = (Vec::new(), 0_i64, 0_i64);
        for line in lines {
            let number = line.line;
            let said = line.device_id.clone();
            exec!(&mut tx, store::LINE_BEGIN)?;
            let outcome = self.line(&mut tx, &org, &batch, line, now).await;
            let (device_id, state, code, message, certificate) = match outcome {
                Ok(Done { device_id, issued: Some(made) }) => {
                    let certificate = made.id.to_string();
                    issued.push(made);
                    (device_id, BatchLineState::Issued, String::new(), String::new(), certificate)
                }
                Ok(Done { device_id, issued: None }) => {
                    registered += 1;
                    (device_id, BatchLineState::Registered, String::new(), String::new(), String::new())
                }
                Err(e) if is_the_lines(&e) => {
                    exec!(&mut tx, store::LINE_UNDO)?;
                    refused += 1;
                    let fault = e.fault();
                    (said, BatchLineState::Refused, fault.code, fault.message, String::new())
                }
                // The database, or our own authority: the line is not to blame, and the whole round is tried again.
                Err(e) => return Err(e),
            };
            exec!(&mut tx, store::LINE_END)?;
            let nothing: &[u8] = &[];
            exec!(&mut tx, store::LINE_DONE, batch.id.as_str(), number, device_id, state.as_str(), code, message, certificate, nothing)?;
        }
        let made = i64::try_from(issued.len()).unwrap_or(i64::MAX);
        exec!(&mut tx, store::PROGRESS, batch.id.as_str(), made, registered, refused)?;
        tx.commit().await?;
        for made in &issued {
            self.pki.admit(made);
        }
        if !issued.is_empty() {
            self.bus.tell(Event::Trust);
        }
        self.bus.tell(Event::Enrolment { org });
        Ok(true)
    }

    async fn line(&self, tx: &mut Tx, org: &OrgId, batch: &BatchRow, line: Waiting, now: Timestamp) -> Result<Done, Error> {
        let wanted = (!line.device_id.is_empty())
            .then(|| line.device_id.parse::<DeviceId>().map_err(|e| Error::invalid("device_id", format!("{e}."))))
            .transpose()?;
        let device_type = if line.device_type.is_empty() { batch.device_type.clone() } else { clean(&line.device_type) };
        let mut tags = split_tags(&batch.tags);
        tags.extend(split_tags(&line.tags));
        check_tags(&tags)?;
        if line.csr.is_empty() {
            let device_id = wanted.ok_or_else(|| Error::invalid("device_id", "This line has neither a CSR nor a device id."))?;
            self.preregister(tx, org, batch, &device_id, &device_type, &tags, now).await?;
            return Ok(Done { device_id: device_id.to_string(), issued: None });
        }
        let pem = est::request(&line.csr).map_err(pki::Error::from)?;
        let csr = csr::gate(pem.as_bytes(), wanted.as_ref()).map_err(pki::Error::from)?;
        let device_id = wanted
            .or_else(|| csr.common_name.clone())
            .ok_or_else(|| Error::invalid("device_id", "Give a device id beside the CSR or as its common name."))?;
        let admission = Admission {
            org: org.clone(),
            token: None,
            claim: None,
            label: batch.label.clone(),
            enrolled_by: format!("batch {}", batch.label),
            // A person has named these devices, so those that wait for their first certificate get it.
            replaces: Replaces::Expected,
            tags,
            device_id,
            device_type,
            hardware: String::new(),
            attributes: BTreeMap::new(),
            csr,
            address: String::new(),
        };
        let (_, issued) = self.let_in(tx, &admission, now).await?;
        let detail = json!({ "batch": batch.id, "line": line.line, "serial": issued.serial, "ignored_extensions": admission.csr.ignored });
        let actor = Actor::system(org.clone());
        audit::append(tx, &actor, now, "device.enrol", admission.device_id.as_str(), &detail).await?;
        Ok(Done { device_id: admission.device_id.to_string(), issued: Some(issued) })
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
        let made = row!(
            &mut *tx,
            (i64,),
            devices::INSERT,
            org.as_str(),
            device_id.as_str(),
            device_id.as_str().to_lowercase(),
            device_type,
            "",
            DeviceState::Preregistered.as_str(),
            now.0,
            format!("batch {}", batch.label)
        )?;
        let (device,) = made.ok_or_else(|| Error::Exists(device_id.to_string()))?;
        for tag in tags {
            exec!(&mut *tx, devices::TAG_INSERT, device, org.as_str(), tag.as_str())?;
        }
        let actor = Actor::system(org.clone());
        audit::append(tx, &actor, now, "device.preregister", device_id.as_str(), &json!({ "batch": batch.id })).await?;
        Ok(())
    }
}

/// Whether it is what the line says that can't be taken, and not the server that can't do it now.
const fn is_the_lines(e: &Error) -> bool {
    matches!(e, Error::Invalid { .. } | Error::Exists(_) | Error::NotActive(_) | Error::Pki(pki::Error::Csr(_) | pki::Error::KeyInUse(_)))
}
