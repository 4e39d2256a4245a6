//! Enrolment (pki.md E-1 to E-6): a secret and a CSR become a device and its certificate, exactly once; with a person's word in between, where
//! the token or its absence asks for it (`requests.rs`).

use super::{
    DeviceNo, Devices, Error,
    claims::{self, ClaimRow},
    presence::{clean, set_attributes},
    source::Source,
    store,
    tokens::{PREFIX, TokenRow, split_tags},
};
use crate::{
    access::{Actor, Who, audit},
    bearer,
    bus::Event,
    db::{Tx, exec, row},
    pki::{Csr, Issued, NewLeaf, csr},
};
use serde_json::json;
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    enrolment::{EnrolRequest, Enrolled, EnrolmentMode},
    ids::{CertificateId, ClaimId, DeviceId, EnrolmentTokenId, Id as _, OrgId},
    states::DeviceState,
};

/// A lost answer can be asked for again this long (E-3).
pub(super) const RETRY_MS: i64 = 15 * 60 * 1000;

/// Where devices reach us; printed into enrolment lines and answers.
#[derive(Debug, Clone)]
pub struct EnrolmentUrls {
    /// The enrol listener, `https://host:port`.
    pub enrol: String,
    /// The device listener, `https://host:port`.
    pub device: String,
}

/// One request to enrol.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The bearer secret, `fet_…`; empty where there was none.
    pub secret: &'a str,
    /// What the device sent.
    pub request: &'a EnrolRequest,
    /// From where.
    pub address: &'a str,
}

/// What a flow knows beside the request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Over<'a> {
    /// The organization the address names; a token of another one is unknown there.
    pub org: Option<&'a OrgId>,
    /// The connection's `tls-exporter` (RFC 9266), for a CSR that is bound to it (E-12).
    pub channel: Option<&'a [u8; 32]>,
    /// The claim whose certificate the connection shows; a token counts before it (E-9).
    pub claim: Option<&'a ClaimId>,
    /// The organization that is asked when there is no token, if it can be asked here (E-6).
    pub open: Option<&'a OrgId>,
}

/// Which device that is in the fleet already may be enrolled anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaces {
    /// None: who comes with a shared secret could take over a device's name.
    Nobody,
    /// One that waits for its first certificate: a person has named it.
    Expected,
    /// One of exactly this name: the token was made for it.
    Itself,
}

/// What an attempt may become once token and CSR were read.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) org: OrgId,
    /// None for a device that comes by another way.
    pub(super) token: Option<EnrolmentTokenId>,
    /// The claim, for a device that comes by one.
    pub(super) claim: Option<ClaimId>,
    pub(super) label: String,
    /// By what it was let in, for the books.
    pub(super) enrolled_by: String,
    pub(super) replaces: Replaces,
    pub(super) tags: Vec<String>,
    pub(super) device_id: DeviceId,
    pub(super) device_type: String,
    pub(super) hardware: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) csr: Csr,
    pub(super) address: String,
}

impl Admission {
    /// The token's or the claim's id; empty without one.
    pub(super) fn credential(&self) -> &str {
        let token = self.token.as_ref().map(EnrolmentTokenId::as_str);
        token.or(self.claim.as_ref().map(ClaimId::as_str)).unwrap_or_default()
    }
}

/// What a token is still good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Something new.
    Usable,
    /// What it was used for already.
    Spent,
    /// Nothing that has not become a certificate.
    Revoked,
}

impl Standing {
    const fn of(token: &TokenRow, now: Timestamp) -> Self {
        if token.revoked_at.is_some() {
            Self::Revoked
        } else if token.expires_at <= now.0 || token.uses >= token.max_uses {
            Self::Spent
        } else {
            Self::Usable
        }
    }
}

impl Devices {
    /// Enrols a device. The same token with the same CSR within 15 minutes, or with the same key before its certificate was first used,
    /// gets the same certificate again and costs no use; 200 parallel attempts on a one-use token make one certificate.
    pub async fn enrol(&self, attempt: Attempt<'_>) -> Result<Enrolled, Error> {
        self.enrol_over(attempt, Over::default()).await
    }

    /// The same by a flow whose address names an organization, or whose connection a CSR may be bound to.
    pub async fn enrol_over(&self, attempt: Attempt<'_>, over: Over<'_>) -> Result<Enrolled, Error> {
        let now = self.clock.now();
        let outcome = self.admit_and_issue(attempt, over, now).await;
        let Err(refusal) = &outcome else { return outcome };
        if matches!(refusal, Error::Pending) {
            return outcome;
        }
        tracing::info!(address = attempt.address, error = %refusal, "enrolment refused");
        if !is_guess(refusal) {
            return outcome;
        }
        // Only after a refusal: behind one address may be a whole factory, and those who hold a right token pay for nobody's guesses.
        if !self.guesses.open(attempt.address, now) {
            return Err(Error::TooMany);
        }
        self.guesses.fail(attempt.address, now);
        outcome
    }

    async fn admit_and_issue(&self, attempt: Attempt<'_>, over: Over<'_>, now: Timestamp) -> Result<Enrolled, Error> {
        if let (true, Some(claim)) = (attempt.secret.is_empty(), over.claim) {
            return self.by_claim(claim, &attempt, over, now).await;
        }
        if attempt.secret.is_empty() {
            return self.without_token(&attempt, over, now).await;
        }
        let token = self.token(attempt.secret).await?;
        if over.org.is_some_and(|org| org.as_str() != token.org_id) {
            return Err(Error::BadToken);
        }
        let admission = match admission(&token, &attempt, over) {
            Err(refusal) => {
                self.note_refusal((&token.org_id, &token.id, &token.label), &attempt, &refusal, now).await?;
                return Err(refusal);
            }
            admitted => admitted?,
        };
        let standing = Standing::of(&token, now);
        if token.mode == EnrolmentMode::Approval.as_str() {
            let certificate = self.by_approval(&admission, standing, now).await?;
            return self.answer(&admission, &certificate, now).await;
        }
        if let Some(again) = self.given_before(&admission, now).await? {
            return self.answer(&admission, &again, now).await;
        }
        if standing != Standing::Usable {
            if self.guesses.open(attempt.address, now) {
                self.note_reuse(&admission, now).await?;
            }
            return Err(Error::BadToken);
        }
        let certificate = match self.issue(&admission, now).await {
            // A parallel attempt with the same CSR may have taken the last use, or the name; then its certificate is the answer.
            Err(e @ (Error::BadToken | Error::Exists(_))) => self.given_before(&admission, now).await?.ok_or(e)?,
            Err(e) => {
                self.note_refusal((&token.org_id, &token.id, &token.label), &attempt, &e, now).await?;
                return Err(e);
            }
            Ok(issued) => issued,
        };
        self.answer(&admission, &certificate, now).await
    }

    /// A device that shows a claim's certificate (E-9): within the claim's bounds, as with a token, and with the same answer again (E-3).
    async fn by_claim(&self, claim: &ClaimId, attempt: &Attempt<'_>, over: Over<'_>, now: Timestamp) -> Result<Enrolled, Error> {
        let row = row!(&mut self.db.read().await?, ClaimRow, claims::CLAIM, claim.as_str())?.ok_or(Error::BadClaim)?;
        if over.org.is_some_and(|org| org.as_str() != row.org_id) {
            return Err(Error::BadClaim);
        }
        let books = (row.org_id.as_str(), row.id.as_str(), row.label.as_str());
        let admission = match by_bounds(&row, claim, attempt, over) {
            Ok(admission) => admission,
            Err(refusal) => {
                self.note_refusal(books, attempt, &refusal, now).await?;
                return Err(refusal);
            }
        };
        if let Some(again) = self.given_before(&admission, now).await? {
            return self.answer(&admission, &again, now).await;
        }
        row.standing(now)?;
        let certificate = match self.issue(&admission, now).await {
            Err(e @ (Error::BadClaim | Error::Exists(_))) => self.given_before(&admission, now).await?.ok_or(e)?,
            Err(e) => {
                self.note_refusal(books, attempt, &e, now).await?;
                return Err(e);
            }
            Ok(issued) => issued,
        };
        self.answer(&admission, &certificate, now).await
    }

    /// A device that has nothing but its key asks to join (E-6); only where the organization lets it.
    async fn without_token(&self, attempt: &Attempt<'_>, over: Over<'_>, now: Timestamp) -> Result<Enrolled, Error> {
        let org = over.open.ok_or(Error::BadToken)?;
        // Closed again, it still answers those that asked while it was open; to strangers it is as if it had never been.
        let (open, asked) = self.askable(org, now).await?;
        if !open && !asked {
            return Err(Error::NoToken);
        }
        let (device_id, csr) = named(attempt.request, over)?;
        let admission = Admission {
            org: org.clone(),
            token: None,
            claim: None,
            label: String::new(),
            enrolled_by: "approval".to_owned(),
            replaces: Replaces::Nobody,
            tags: Vec::new(),
            device_id,
            device_type: clean(&attempt.request.device_type),
            hardware: clean(&attempt.request.hardware),
            attributes: attempt.request.attributes.clone(),
            csr,
            address: attempt.address.to_owned(),
        };
        let standing = if open { Standing::Usable } else { Standing::Spent };
        let certificate = self.by_approval(&admission, standing, now).await?;
        self.answer(&admission, &certificate, now).await
    }

    async fn token(&self, secret: &str) -> Result<TokenRow, Error> {
        let (id, secret) = bearer::read::<EnrolmentTokenId>(PREFIX, secret).ok_or(Error::BadToken)?;
        let found = row!(&mut self.db.read().await?, TokenRow, store::TOKEN, id.as_str())?.ok_or(Error::BadToken)?;
        if bearer::fits(secret, &found.secret_hash) { Ok(found) } else { Err(Error::BadToken) }
    }

    /// The certificate this token already gave for this key, if it may be given again (E-3): a revoked one never.
    async fn given_before(&self, a: &Admission, now: Timestamp) -> Result<Option<CertificateId>, Error> {
        let mut on = self.db.read().await?;
        let given = if a.claim.is_some() { claims::ENROLMENT } else { store::ENROLMENT };
        let found = row!(&mut on, (Vec<u8>, String, i64, String), given, a.credential(), a.csr.spki_sha256.as_slice())?;
        let Some((csr_sha256, certificate, at, device_id)) = found else { return Ok(None) };
        if device_id != a.device_id.as_str() {
            return Ok(None);
        }
        let certificate: CertificateId = certificate.parse().map_err(crate::db::Error::corrupt)?;
        let recent = csr_sha256 == a.csr.csr_sha256 && now.since(Timestamp(at)) < RETRY_MS;
        let again = if recent { self.pki.active(&mut on, &certificate).await? } else { self.pki.unused(&mut on, &certificate).await? };
        Ok(again.then_some(certificate))
    }

    async fn issue(&self, a: &Admission, now: Timestamp) -> Result<CertificateId, Error> {
        let mut tx = self.db.write().await?;
        let (used, spent, gave) = if a.claim.is_some() {
            (exec!(&mut tx, claims::USE, a.credential(), now.0, claims::window(now))?, Error::BadClaim, claims::ENROLMENT_INSERT)
        } else {
            (exec!(&mut tx, store::TOKEN_USE, a.credential(), now.0)?, Error::BadToken, store::ENROLMENT_INSERT)
        };
        if used == 0 {
            // A claim may be as good as before, only used too often in this minute: then its device asks again.
            if let Some(row) = row!(&mut tx, ClaimRow, claims::CLAIM, a.credential())?.filter(|_| a.claim.is_some()) {
                row.standing(now)?;
            }
            return Err(spent);
        }
        let (device, issued) = self.let_in(&mut tx, a, now).await?;
        exec!(
            &mut tx,
            gave,
            a.credential(),
            a.org.as_str(),
            a.csr.csr_sha256.as_slice(),
            a.csr.spki_sha256.as_slice(),
            device,
            issued.id.as_str(),
            now.0
        )?;
        self.finish(tx, a, device, issued, now).await
    }

    /// The device's row and its certificate.
    pub(super) async fn let_in(&self, tx: &mut Tx, a: &Admission, now: Timestamp) -> Result<(DeviceNo, Issued), Error> {
        let device = register(tx, a, now).await?;
        let leaf = NewLeaf { org: &a.org, device, device_id: &a.device_id, csr: &a.csr, enrolled_by: &a.enrolled_by, replaces: None };
        Ok((device, self.pki.issue_device(tx, leaf).await?))
    }

    /// The books, the commit, and the news of it.
    pub(super) async fn finish(
        &self,
        mut tx: Tx,
        a: &Admission,
        device: DeviceNo,
        issued: Issued,
        now: Timestamp,
    ) -> Result<CertificateId, Error> {
        let actor = Actor { org: a.org.clone(), who: Who::Device { device, device_id: a.device_id.clone() }, address: a.address.clone() };
        let detail = json!({ "by": a.enrolled_by, "serial": issued.serial, "ignored_extensions": a.csr.ignored });
        audit::append(&mut tx, &actor, now, "device.enrol", a.device_id.as_str(), &detail).await?;
        tx.commit().await?;
        self.pki.admit(&issued);
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Device { org: a.org.clone(), device });
        Ok(issued.id)
    }

    async fn answer(&self, a: &Admission, certificate: &CertificateId, now: Timestamp) -> Result<Enrolled, Error> {
        Ok(self.pki.enrolled(&a.org, certificate, &self.urls.device, now).await?)
    }

    /// A spent token with a key it never saw is a sign of a stolen token (E-3).
    async fn note_reuse(&self, a: &Admission, now: Timestamp) -> Result<(), Error> {
        let actor = Actor { org: a.org.clone(), who: Who::System, address: a.address.clone() };
        let mut tx = self.db.write().await?;
        let detail = json!({ "token": a.label, "device_id": a.device_id });
        audit::append(&mut tx, &actor, now, "enrolment_token.reuse", a.credential(), &detail).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A good token with a request that is refused is an attack, a wrong device profile, or a device that was sent away and tries; all are for the
    /// books (E-4, E-1, A-34).
    async fn note_refusal(
        &self,
        (org, credential, label): (&str, &str, &str),
        attempt: &Attempt<'_>,
        refusal: &Error,
        now: Timestamp,
    ) -> Result<(), Error> {
        if !(is_guess(refusal) || matches!(refusal, Error::NotActive(_))) || !self.guesses.open(attempt.address, now) {
            return Ok(());
        }
        let org = org.parse().map_err(crate::db::Error::corrupt)?;
        let actor = Actor { org, who: Who::System, address: attempt.address.to_owned() };
        let mut tx = self.db.write().await?;
        let detail = json!({ "token": label, "code": refusal.fault().code });
        let action = if credential.starts_with(ClaimId::PREFIX) { "claim.refuse" } else { "enrolment_token.refuse" };
        audit::append(&mut tx, &actor, now, action, credential, &detail).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Whether a refusal says that somebody tries what they may not. A busy database, a full disk or a suspended device are nobody's guess.
const fn is_guess(refusal: &Error) -> bool {
    matches!(refusal, Error::BadToken | Error::OutOfScope(_) | Error::Source | Error::Bound(_) | Error::Pki(crate::pki::Error::Csr(_)))
}

/// The name and the CSR of a request, through the one gate.
fn named(request: &EnrolRequest, over: Over<'_>) -> Result<(DeviceId, Csr), Error> {
    let wanted = request
        .device_id
        .as_deref()
        .map(|id| id.parse::<DeviceId>().map_err(|e| Error::invalid("device_id", e.to_string())))
        .transpose()?;
    let csr = csr::gate_over(request.csr.as_bytes(), wanted.as_ref(), over.channel).map_err(crate::pki::Error::from)?;
    let device_id = wanted
        .or_else(|| csr.common_name.clone())
        .ok_or_else(|| Error::invalid("device_id", "Give a device id in the request or as the CSR's common name."))?;
    Ok((device_id, csr))
}

fn admission(token: &TokenRow, attempt: &Attempt<'_>, over: Over<'_>) -> Result<Admission, Error> {
    let request = attempt.request;
    if !token.source.is_empty() {
        let source: Source = token.source.parse().map_err(crate::db::Error::corrupt)?;
        if !attempt.address.parse().is_ok_and(|address| source.contains(address)) {
            return Err(Error::Source);
        }
    }
    let (device_id, csr) = named(request, over)?;
    if !token.pattern.is_empty() && !covers(&token.pattern, device_id.as_str()) {
        return Err(Error::OutOfScope(device_id.to_string()));
    }
    for (bound, is, what) in [(&token.spki_sha256, csr.spki_sha256, "key"), (&token.csr_sha256, csr.csr_sha256, "CSR")] {
        if !bound.is_empty() && *bound != hex::encode(is) {
            return Err(Error::Bound(what));
        }
    }
    let device_type = if token.device_type.is_empty() { clean(&request.device_type) } else { token.device_type.clone() };
    Ok(Admission {
        org: token.org_id.parse().map_err(crate::db::Error::corrupt)?,
        token: Some(token.id.parse().map_err(crate::db::Error::corrupt)?),
        claim: None,
        label: token.label.clone(),
        enrolled_by: format!("token {}", token.label),
        // What waited for a person replaces nobody, however exact its token is (E-6).
        replaces: if token.mode != EnrolmentMode::Approval.as_str() && token.pattern.eq_ignore_ascii_case(device_id.as_str()) {
            Replaces::Itself
        } else {
            Replaces::Nobody
        },
        tags: split_tags(&token.tags),
        device_id,
        device_type,
        hardware: clean(&request.hardware),
        attributes: request.attributes.clone(),
        csr,
        address: attempt.address.to_owned(),
    })
}

/// What a claim lets in, if it does.
fn by_bounds(claim: &ClaimRow, id: &ClaimId, attempt: &Attempt<'_>, over: Over<'_>) -> Result<Admission, Error> {
    let request = attempt.request;
    let (device_id, csr) = named(request, over)?;
    if !claim.pattern.is_empty() && !covers(&claim.pattern, device_id.as_str()) {
        return Err(Error::OutOfScope(device_id.to_string()));
    }
    Ok(Admission {
        org: claim.org_id.parse().map_err(crate::db::Error::corrupt)?,
        token: None,
        claim: Some(id.clone()),
        label: claim.label.clone(),
        enrolled_by: format!("claim {}", claim.label),
        replaces: Replaces::Nobody,
        tags: split_tags(&claim.tags),
        device_id,
        device_type: if claim.device_type.is_empty() { clean(&request.device_type) } else { claim.device_type.clone() },
        hardware: clean(&request.hardware),
        attributes: request.attributes.clone(),
        csr,
        address: attempt.address.to_owned(),
    })
}

/// Whether a token's pattern covers the id; `*` stands for any characters, case does not matter.
fn covers(pattern: &str, id: &str) -> bool {
    use super::selector::{Facts, Field, Selector};
    Selector::Is(Field::Id, vec![pattern.to_owned()]).matches(&Facts { device_id: id.to_owned(), ..Facts::default() })
}

/// Finds or makes the device's row. A device that is already in the fleet can only be enrolled anew by a token made for exactly its id;
/// otherwise anybody with a shared token could take over a device's name.
async fn register(tx: &mut Tx, a: &Admission, now: Timestamp) -> Result<DeviceNo, Error> {
    let lower = a.device_id.as_str().to_lowercase();
    let known = row!(tx, (i64, String, String), store::BY_ID_HELD, a.org.as_str(), lower.as_str())?;
    let device = if let Some((device, device_id, state)) = known {
        let state: DeviceState = state.parse().map_err(crate::db::Error::corrupt)?;
        match state {
            DeviceState::Suspended | DeviceState::Decommissioned => return Err(Error::NotActive(device_id)),
            // A recommissioned one has its name and history already, too.
            DeviceState::Active if a.replaces != Replaces::Itself => return Err(Error::Exists(device_id)),
            DeviceState::Preregistered if a.replaces == Replaces::Nobody => return Err(Error::Exists(device_id)),
            DeviceState::Active | DeviceState::Preregistered if device_id != a.device_id.as_str() => return Err(Error::Exists(device_id)),
            DeviceState::Active | DeviceState::Preregistered | DeviceState::Pending => {}
        }
        exec!(tx, store::REENROL, device, a.device_type.as_str(), a.hardware.as_str(), now.0, a.enrolled_by.as_str())?;
        device
    } else {
        let made = row!(
            tx,
            (i64,),
            store::INSERT,
            a.org.as_str(),
            a.device_id.as_str(),
            lower.as_str(),
            a.device_type.as_str(),
            a.hardware.as_str(),
            DeviceState::Active.as_str(),
            now.0,
            a.enrolled_by.as_str()
        )?;
        // Nothing was inserted: a parallel attempt has just taken the name.
        made.ok_or_else(|| Error::Exists(a.device_id.to_string()))?.0
    };
    if !a.attributes.is_empty() {
        set_attributes(tx, &a.org, device, &a.attributes).await?;
    }
    for tag in &a.tags {
        exec!(tx, store::TAG_INSERT, device, a.org.as_str(), tag.as_str())?;
    }
    Ok(device)
}
