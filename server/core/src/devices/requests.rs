//! Requests to join that wait for a person (E-6): made by devices whose token asks for approval, or that have none where the organization
//! allows it; decided by operators. A request is about one key: what is approved is that key under that name, and nothing else.

use super::{
    Away, Devices, Error,
    admission::{Admission, Credential, Standing},
    desk,
    enrolment::RETRY_MS,
    paging::Place,
    presence::facts,
    store, tokens,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{Tx, exec, row, rows},
    pki::{registered, signed_ahead},
    source::Source,
};
use serde_json::json;
use std::collections::BTreeMap;
use wire::{
    Timestamp,
    enrolment::{EnrolmentRequest, EnrolmentSettings, Returns},
    ids::{CertificateId, EnrolmentRequestId, OrgId},
    page::Page,
    states::{DeviceState, EnrolmentRequestState},
};

/// Most requests without a token that wait at once in an organization; those with one are bounded by the token's uses.
pub(super) const MOST: i64 = 1000;
/// How long a request waits, and how long an approved one may be collected.
pub(super) const LIFE_MS: i64 = 7 * 24 * 3600 * 1000;
/// Seconds until a waiting device should ask again.
pub(super) const POLL_S: u32 = 15;

/// A request as the store has it.
#[derive(sqlx::FromRow)]
pub(super) struct RequestRow {
    id: String,
    /// The token's id, or the registered authority's where there is a certificate already.
    pub(super) credential: String,
    spki_sha256: Vec<u8>,
    csr_sha256: Vec<u8>,
    pub(super) device_id: String,
    device_type: String,
    hardware: String,
    attributes: String,
    key_alg: String,
    token: String,
    pub(super) address: String,
    state: String,
    asked_at: i64,
    expires_at: i64,
    certificate_id: String,
    issued_at: i64,
    recovers: String,
    returns: String,
    leaf: Option<Vec<u8>>,
}

/// What a waiting device and the person beside it compare: the first 32 bits of SHA-256 of its public key, 8 hex digits.
fn code(spki_sha256: &[u8]) -> String {
    hex::encode(spki_sha256.get(..4).unwrap_or(spki_sha256))
}

impl RequestRow {
    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The certificate that waits, of a device of a registered authority (E-10).
    pub(super) fn leaf(&self) -> Option<&[u8]> {
        self.leaf.as_deref()
    }

    /// Of which certificate the request is, by its hash.
    pub(super) fn is_of(&self, sha256: &[u8], device_id: &str) -> bool {
        self.csr_sha256 == sha256 && self.device_id == device_id
    }

    /// Why a device of the fleet asks.
    pub(super) fn returns(&self) -> Result<Option<Returns>, Error> {
        let word = Some(self.returns.as_str()).filter(|word| !word.is_empty());
        Ok(word.map(|word| word.parse().map_err(crate::db::Error::corrupt)).transpose()?)
    }

    /// Where it stands.
    pub(super) fn state(&self) -> Result<EnrolmentRequestState, crate::db::Error> {
        self.state.parse().map_err(crate::db::Error::corrupt)
    }

    fn shown(self) -> Result<EnrolmentRequest, Error> {
        let returns = self.returns()?;
        Ok(EnrolmentRequest {
            returns,
            id: self.id.parse().map_err(crate::db::Error::corrupt)?,
            device_id: self.device_id.parse().map_err(crate::db::Error::corrupt)?,
            code: code(&self.spki_sha256),
            spki_sha256: hex::encode(&self.spki_sha256),
            device_type: self.device_type,
            hardware: self.hardware,
            attributes: serde_json::from_str(&self.attributes).map_err(crate::db::Error::corrupt)?,
            key_alg: self.key_alg,
            token: self.token,
            authority: self.leaf.is_some(),
            recovers: !self.recovers.is_empty(),
            address: self.address,
            asked_at: Timestamp(self.asked_at),
            expires_at: Timestamp(self.expires_at),
        })
    }
}

/// Refuses a name that a device has, in whatever state: a request never replaces one (E-6).
async fn name_is_free(tx: &mut Tx, org: &OrgId, device_id: &str) -> Result<(), Error> {
    let held = row!(tx, (i64, String, String), store::BY_ID, org.as_str(), device_id.to_lowercase())?;
    let Some((_, device_id, state)) = held else { return Ok(()) };
    let state: DeviceState = state.parse().map_err(crate::db::Error::corrupt)?;
    Err(match state {
        DeviceState::Suspended | DeviceState::Decommissioned => Error::NotActive(Away::of(state, device_id)),
        DeviceState::Preregistered | DeviceState::Pending | DeviceState::Active => Error::Exists(device_id),
    })
}

/// Drops requests that have ended: those by this credential in this organization, or all. One that a token paid for and that gave no certificate gives
/// the use back; a rejected one has done so before. Each is dropped once, so each does that once.
pub(super) async fn forget(tx: &mut Tx, of: Option<(&OrgId, &str)>, now: Timestamp) -> Result<(), crate::db::Error> {
    let (org, credential) = of.map_or(("", ""), |(org, credential)| (org.as_str(), credential));
    let ended = rows!(tx, (String, String), store::REQUESTS_FORGET, org, credential, now.0)?;
    // In their order, as everybody takes tokens.
    let mut back: BTreeMap<&str, i64> = BTreeMap::new();
    for (token, state) in &ended {
        if matches!(state.parse().map_err(crate::db::Error::corrupt)?, EnrolmentRequestState::Pending | EnrolmentRequestState::Approved) {
            *back.entry(token).or_default() += 1;
        }
    }
    for (token, uses) in back {
        tokens::give_back(tx, token, uses).await?;
    }
    Ok(())
}

impl Devices {
    /// Drops all requests that have ended. Runs on its own, so that a token has its uses back also when nobody asks.
    pub async fn forget_requests(&self) -> Result<(), Error> {
        let now = self.clock.now();
        if row!(&mut self.db.read().await?, (i64,), store::REQUESTS_ENDED, now.0)?.is_none_or(|(ended,)| ended == 0) {
            return Ok(());
        }
        let mut tx = self.db.write().await?;
        forget(&mut tx, None, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What becomes of an attempt that needs a person's word.
    pub(super) async fn by_approval(&self, a: &Admission, standing: Standing, now: Timestamp) -> Result<CertificateId, Error> {
        let found = row!(
            &mut self.db.read().await?,
            RequestRow,
            store::REQUEST_OF,
            a.org.as_str(),
            a.credential.as_str(),
            a.csr.spki_sha256.as_slice(),
            now.0
        )?;
        let Some(request) = found else {
            return match standing {
                Standing::Usable => self.ask_a_person(a, now).await,
                _ if a.credential == Credential::None => Err(Error::NoToken),
                _ => Err(Error::BadToken),
            };
        };
        // A request has taken its use of the token; a revoked token takes what it asked for with it.
        let state = request.state()?;
        if standing == Standing::Revoked && state != EnrolmentRequestState::Enrolled {
            return Err(Error::BadToken);
        }
        if request.device_id != a.device_id.as_str() {
            let text = format!("This key asked to join as {}. Ask under that name, or make another key.", request.device_id);
            return Err(Error::invalid("device_id", text));
        }
        match state {
            EnrolmentRequestState::Approved => self.collect(a, &request, now).await,
            EnrolmentRequestState::Rejected => Err(Error::Rejected(a.device_id.to_string())),
            EnrolmentRequestState::Enrolled => {
                let certificate: CertificateId = request.certificate_id.parse().map_err(crate::db::Error::corrupt)?;
                let mut on = self.db.read().await?;
                // E-3, as with any token.
                let recent = request.csr_sha256 == a.csr.csr_sha256 && now.since(Timestamp(request.issued_at)) < RETRY_MS;
                let again =
                    if recent { self.pki.active(&mut on, &certificate).await? } else { self.pki.unused(&mut on, &certificate).await? };
                if again { Ok(certificate) } else { Err(Error::Exists(a.device_id.to_string())) }
            }
            EnrolmentRequestState::Pending => Err(Error::Pending),
        }
    }

    /// Writes a request down. It takes a use of its token now: a token for ten devices has ten requests waiting at most, not a thousand. The use comes
    /// back when nothing comes of the request.
    async fn ask_a_person(&self, a: &Admission, now: Timestamp) -> Result<CertificateId, Error> {
        // Who has a token pays with its uses, not for what strangers ask from the same address.
        if a.credential == Credential::None && !self.asks.take(&Source::of(&a.address), now) {
            return Err(Error::TooMany);
        }
        let mut tx = self.db.write().await?;
        // Holds the organization, so that a thousand and first request sees the thousandth.
        let open = row!(&mut tx, (bool,), store::ORG_HELD, a.org.as_str())?.is_some_and(|(open,)| open);
        if a.credential == Credential::None && !open {
            return Err(Error::NoToken);
        }
        name_is_free(&mut tx, &a.org, a.device_id.as_str()).await?;
        self.pki.may_have_key(&mut tx, &a.org, &a.csr).await?;
        forget(&mut tx, Some((&a.org, a.credential.as_str())), now).await?;
        let waiting = row!(&mut tx, (i64,), store::REQUESTS_WAITING, a.org.as_str())?.map_or(0, |(n,)| n);
        if a.credential == Credential::None && waiting >= MOST {
            return Err(Error::QueueFull);
        }
        let id: EnrolmentRequestId = self.entropy.id(now);
        let attributes = serde_json::to_string(&facts(&a.attributes)).map_err(crate::db::Error::corrupt)?;
        let inserted = exec!(
            &mut tx,
            store::REQUEST_INSERT,
            id.as_str(),
            a.org.as_str(),
            a.credential.as_str(),
            a.csr.spki_sha256.as_slice(),
            a.csr.csr_sha256.as_slice(),
            a.device_id.as_str(),
            a.device_type.as_str(),
            a.hardware.as_str(),
            attributes,
            a.csr.key_alg.to_string(),
            a.address.as_str(),
            now.0,
            now.plus(LIFE_MS).0
        )?;
        if inserted == 0 {
            // The same device, asking twice at the same moment.
            return Err(Error::Pending);
        }
        if let Credential::Token(token) = &a.credential {
            tokens::take(&mut tx, token, now).await?;
        }
        let actor = Actor::stranger(a.org.clone(), &a.address).by_request(&a.request);
        let csr = hex::encode(a.csr.csr_sha256);
        let detail = json!({ "device_id": a.device_id, "code": code(&a.csr.spki_sha256), "csr_sha256": csr, "token": a.label });
        audit::append(&mut tx, &actor, now, "enrolment_request.ask", id.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Enrolment { org: a.org.clone() });
        Err(Error::Pending)
    }

    /// Issues what was approved: to the key that was approved, once.
    async fn collect(&self, a: &Admission, request: &RequestRow, now: Timestamp) -> Result<CertificateId, Error> {
        signed_ahead!(self.pki, Box::pin(self.collect_at_once(a, request, now)).await)
    }

    async fn collect_at_once(&self, a: &Admission, request: &RequestRow, now: Timestamp) -> Result<CertificateId, Error> {
        let mut tx = self.db.write().await?;
        let csr = a.csr.csr_sha256.as_slice();
        if exec!(&mut tx, store::REQUEST_TAKE, request.id.as_str(), csr, now.0, now.plus(LIFE_MS).0)? == 0 {
            // Collected at the same moment by the same device; its next question is answered with that certificate.
            return Err(Error::Pending);
        }
        // What a person has seen is let in, not what the device says now.
        let seen = Admission {
            device_type: request.device_type.clone(),
            hardware: request.hardware.clone(),
            attributes: serde_json::from_str(&request.attributes).map_err(crate::db::Error::corrupt)?,
            ..a.clone()
        };
        let made = self.let_in(&mut tx, &seen, desk::note, now).await?;
        exec!(&mut tx, store::REQUEST_GAVE, request.id.as_str(), made.issued.id.as_str())?;
        self.finish(tx, &seen, made).await
    }

    /// Notes that an approved request has what it asked for, when it came with a certificate.
    pub(super) async fn given(&self, tx: &mut Tx, request: &RequestRow, certificate: &CertificateId, now: Timestamp) -> Result<(), Error> {
        exec!(tx, store::REQUEST_TAKE, request.id.as_str(), request.csr_sha256.as_slice(), now.0, now.plus(LIFE_MS).0)?;
        exec!(tx, store::REQUEST_GAVE, request.id.as_str(), certificate.as_str())?;
        Ok(())
    }

    /// A page of the requests that wait, oldest first.
    pub async fn enrolment_requests(
        &self,
        actor: &Actor,
        cursor: Option<&str>,
        size: Option<u32>,
    ) -> Result<Page<EnrolmentRequest>, Error> {
        may(actor, Act::Read)?;
        let (place, now, org) = (Place::oldest_first::<EnrolmentRequestId>(cursor, size)?, self.clock.now().0, actor.org.as_str());
        let mut on = self.db.read().await?;
        let total = row!(&mut on, (i64,), store::REQUESTS_COUNT, org, now)?.map_or(0, |r| r.0);
        let found = rows!(&mut on, RequestRow, store::REQUESTS, org, now, place.id.as_str(), place.limit())?;
        let shown = found.into_iter().map(RequestRow::shown).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(shown, place.rows, total, |r| r.id.to_string()))
    }

    /// Lets the device of a request in: it gets its certificate the next time it asks. Refused when its name was taken meanwhile.
    pub async fn approve_enrolment(&self, actor: &Actor, id: &EnrolmentRequestId) -> Result<(), Error> {
        self.decide(actor, id, true).await
    }

    /// Sends the device of a request away; it is told so when it asks again within a week.
    pub async fn reject_enrolment(&self, actor: &Actor, id: &EnrolmentRequestId) -> Result<(), Error> {
        self.decide(actor, id, false).await
    }

    async fn decide(&self, actor: &Actor, id: &EnrolmentRequestId, approved: bool) -> Result<(), Error> {
        may(actor, Act::ApproveDevices)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        // The authority's row before the request's, as new devices of it take them: two orders would wait for each other on PostgreSQL.
        let asked = row!(&mut tx, RequestRow, store::REQUEST, actor.org.as_str(), id.as_str())?;
        if let Some(asked) = asked.filter(|r| r.leaf.is_some()) {
            let authority = asked.credential.parse().map_err(crate::db::Error::corrupt)?;
            registered::store::held(&mut tx, &authority).await?;
        }
        let (state, action) = if approved {
            (EnrolmentRequestState::Approved, "enrolment_request.approve")
        } else {
            (EnrolmentRequestState::Rejected, "enrolment_request.reject")
        };
        let until = now.plus(LIFE_MS).0;
        if exec!(&mut tx, store::REQUEST_DECIDE, actor.org.as_str(), id.as_str(), state.as_str(), now.0, actor.label(), until)? == 0 {
            return Err(Error::NotFound("waiting enrolment request"));
        }
        let request = row!(&mut tx, RequestRow, store::REQUEST, actor.org.as_str(), id.as_str())?;
        let request = request.ok_or(Error::NotFound("waiting enrolment request"))?;
        if !approved {
            tokens::give_back(&mut tx, &request.credential, 1).await?;
        }
        // A device that comes back has its name already, and has proved that it is its own.
        if approved && request.recovers.is_empty() && request.leaf.is_none() {
            name_is_free(&mut tx, &actor.org, &request.device_id).await?;
        }
        // One that came with a certificate has nothing left to collect. Before the audit log's head, as everybody takes devices and the trust clock.
        let taken = if approved && request.leaf.is_some() { Some(self.take_waiting(&mut tx, actor, &request, now).await?) } else { None };
        let mut detail =
            json!({ "device_id": request.device_id, "code": code(&request.spki_sha256), "spki_sha256": hex::encode(&request.spki_sha256) });
        if request.leaf.is_none() {
            detail["csr_sha256"] = json!(hex::encode(&request.csr_sha256));
        }
        audit::append(&mut tx, actor, now, action, id.as_str(), &detail).await?;
        tx.commit().await?;
        if let Some(device) = taken {
            self.pki.reload().await?;
            self.bus.tell(Event::Trust);
            self.bus.tell(Event::Device { org: actor.org.clone(), device });
        }
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        Ok(())
    }

    /// How devices without a token may ask to join.
    pub async fn enrolment_settings(&self, actor: &Actor) -> Result<EnrolmentSettings, Error> {
        may(actor, Act::Read)?;
        Ok(self.askable(&actor.org, self.clock.now()).await?.0)
    }

    /// How devices without a token may ask to join, and whether any has asked whose request has not ended.
    pub(super) async fn askable(&self, org: &OrgId, now: Timestamp) -> Result<(EnrolmentSettings, bool), Error> {
        let found = row!(&mut self.db.read().await?, (bool, String, bool), store::ORG_ASKABLE, org.as_str(), now.0)?;
        let (open, profile, asked) = found.unwrap_or_default();
        Ok((EnrolmentSettings { open, profile }, asked))
    }

    /// Lets devices without a token ask to join, or no longer; requests that wait stay. Their certificates are of the profile that holds when they are
    /// issued.
    pub async fn set_open_enrolment(&self, actor: &Actor, to: &EnrolmentSettings) -> Result<(), Error> {
        may(actor, Act::OpenEnrolment)?;
        let (now, profile) = (self.clock.now(), to.profile.trim());
        let mut tx = self.db.write().await?;
        self.pki.profile_is_there(&mut tx, &actor.org, profile).await?;
        if exec!(&mut tx, store::ORG_SET_OPEN, actor.org.as_str(), to.open, profile)? == 0 {
            return Err(Error::NotFound("organization"));
        }
        let detail = json!({ "open": to.open, "profile": profile });
        audit::append(&mut tx, actor, now, "enrolment.open", actor.org.as_str(), &detail).await?;
        tx.commit().await?;
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        Ok(())
    }
}
