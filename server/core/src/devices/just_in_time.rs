//! Just-in-time registration (E-10): a device that shows a certificate of a registered authority for the first time becomes a device, waits for a
//! person, or is refused, as the authority's policy says. Owns that decision; the chain was checked in the handshake, and certificates are the `pki`
//! room's.
//!
//! A name that is taken is never taken over: a certificate counts for a device that is there only when the device is this authority's own and
//! the key is the one it has, or a person has said so. Of a device whose certificates were revoked, too, only a person lets in another one.

mod turning_away;

pub(super) use turning_away::TurnedAway;

use super::{
    Away, DeviceNo, Devices, Error,
    admission::in_scope,
    entry::{self, NewDevice},
    given_groups::{self, Newcomer},
    requests::{self, LIFE_MS, MOST, RequestRow},
    store, words,
};
use crate::{
    access::{Act, Actor, Who, audit, may},
    bus::Event,
    db::{Sql, Tx, exec, row},
    pki::{
        Arrival, Refused,
        csr::sha256,
        registered::{
            self, NewRegisteredLeaf,
            gate::{self, DeviceCertificate},
            leaves::{self, Has},
            store::RegisteredRow,
            template::Template,
        },
    },
};
use serde_json::json;
use wire::{
    Timestamp,
    enrolment::Returns,
    ids::{AuthorityId, CertificateId, DeviceId, EnrolmentRequestId},
    registered::{JustInTime, JustInTimePolicy, NewRegisteredAuthority, RegisteredAuthority, RegisteredState},
    states::{DeviceState, EnrolmentRequestState},
};

/// In which devices a day are counted.
const DAY_MS: i64 = 24 * 3_600_000;
/// No device's number.
const NOBODY: DeviceNo = 0;
const ASK: Sql = Sql::same(
    "INSERT INTO enrolment_requests (id, org_id, token_id, spki_sha256, csr_sha256, device_id, device_type, hardware, attributes, key_alg, address,
                                     state, asked_at, expires_at, leaf, returns)
     VALUES ($1, $2, $3, $4, $5, $6, $7, '', '{}', $8, $9, 'pending', $10, $11, $12, $13)
     ON CONFLICT (org_id, token_id, spki_sha256) DO UPDATE SET csr_sha256 = excluded.csr_sha256, leaf = excluded.leaf, device_id = excluded.device_id,
            id = excluded.id, returns = excluded.returns, state = 'pending', asked_at = excluded.asked_at, expires_at = excluded.expires_at, certificate_id = ''
     WHERE enrolment_requests.state = 'enrolled' OR (enrolment_requests.state = 'pending' AND enrolment_requests.device_id = excluded.device_id)",
);
const ASKING: Sql =
    Sql::same("SELECT COUNT(*) FROM enrolment_requests WHERE org_id = $1 AND token_id = $2 AND state = 'pending' AND expires_at > $3");

pub(crate) const ALL: &[&Sql] = &[&ASK, &ASKING];

/// What became of an arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// It is in, by this certificate.
    In(DeviceNo, CertificateId),
    /// Another instance was faster.
    Known,
    /// A person decides.
    Waits,
    /// It is refused; the word for the books.
    Refused(&'static str),
}

/// A device's certificate by its authority, read.
struct Shown<'a> {
    authority: &'a AuthorityId,
    ca: &'a RegisteredRow,
    device_id: DeviceId,
    certificate: DeviceCertificate,
    der: &'a [u8],
}

/// What is there under the name already.
enum Place {
    /// Nothing.
    Free,
    /// A device of this authority, a certificate that it has or had, and which.
    Own(DeviceNo, CertificateId, Has),
    /// Somebody else.
    Taken(&'static str),
}

impl Place {
    /// Why a device of the fleet would ask a person.
    const fn returns(&self) -> Option<Returns> {
        match self {
            Self::Own(_, _, Has::Revoked) => Some(Returns::RevokedBefore),
            Self::Own(..) => Some(Returns::NewKey),
            Self::Free | Self::Taken(_) => None,
        }
    }
}

impl Devices {
    /// Registers an authority by its certificate: PEM, DER, or the base64 of DER. It is unverified and says what its verification certificate has to name.
    pub async fn register_authority(&self, actor: &Actor, new: &NewRegisteredAuthority) -> Result<RegisteredAuthority, Error> {
        let label = words::label(&new.label, "authority")?;
        Ok(self.pki.register_authority(actor, &label, new.certificate.trim().as_bytes()).await?)
    }

    /// Believes a verified authority's devices from now on, new ones as the policy says; for one that is active, another policy.
    pub async fn enable_authority(&self, actor: &Actor, id: &AuthorityId, policy: JustInTimePolicy) -> Result<RegisteredAuthority, Error> {
        may(actor, Act::Authorities)?;
        words::check_tags(&policy.tags)?;
        Template::parse(&policy.template).map_err(|why| Error::invalid("template", why))?;
        if !(1..=1_000_000).contains(&policy.max_devices) {
            return Err(Error::invalid("max_devices", "An authority lets in 1 to 1,000,000 devices."));
        }
        if !(1..=100_000).contains(&policy.per_day) {
            return Err(Error::invalid("per_day", "An authority lets in 1 to 100,000 devices a day."));
        }
        let groups = if policy.groups.is_empty() {
            Vec::new()
        } else {
            // Nothing is written here: the authority's row is the other room's.
            given_groups::meant(&mut self.db.write().await?, actor, &policy.groups).await?
        };
        let policy = JustInTimePolicy {
            groups: groups.into_iter().map(|group| group.id.to_string()).collect(),
            device_type: words::device_type(&policy.device_type)?,
            pattern: words::pattern(&policy.pattern)?,
            template: policy.template.trim().to_owned(),
            ..policy
        };
        Ok(self.pki.enable_authority(actor, id, &policy).await?)
    }

    /// Decides about new devices of registered authorities until it is dropped. One that can't be decided about is brought up again by its next dial.
    pub async fn watch_arrivals(&self) {
        while let Some(arrival) = self.pki.next_arrival().await {
            self.arrived(&arrival).await;
        }
    }

    /// Decides about those that wait now; how many.
    #[cfg(any(test, feature = "testing"))]
    pub async fn decide_arrivals(&self) -> usize {
        let mut decided = 0;
        while let Some(arrival) = self.pki.waiting_arrival().await {
            self.arrived(&arrival).await;
            decided += 1;
        }
        decided
    }

    async fn arrived(&self, arrival: &Arrival) {
        if let Err(error) = self.register_arrival(arrival).await {
            self.pki.trust().forget_arrival(&arrival.leaf);
            tracing::error!(authority = %arrival.authority, %error, "a device of a registered authority could not be decided about");
        }
    }

    async fn register_arrival(&self, arrival: &Arrival) -> Result<(), Error> {
        let now = self.clock.now();
        let address = arrival.from.map(|from| from.to_string()).unwrap_or_default();
        let actor = Actor { address, ..Actor::system(arrival.org.clone()) };
        if let Some(code) = arrival.unfit {
            return self.turn_away(&actor, arrival, code, now).await;
        }
        let mut tx = self.db.write().await?;
        // Its row first, as everywhere: new devices of one authority come one after the other.
        let Some(ca) = registered::store::held(&mut tx, &arrival.authority).await? else { return Ok(()) };
        match self.decide_arrival(&mut tx, &actor, arrival, &ca, now).await? {
            Fate::Refused(code) => {
                drop(tx);
                self.turn_away(&actor, arrival, code, now).await?;
            }
            Fate::Known => {
                drop(tx);
                self.pki.reload().await?;
            }
            Fate::Waits => {
                tx.commit().await?;
                self.bus.tell(Event::Enrolment { org: actor.org });
            }
            Fate::In(device, _) => {
                tx.commit().await?;
                self.pki.reload().await?;
                self.bus.tell(Event::Trust);
                self.bus.tell(Event::Device { org: actor.org, device });
            }
        }
        Ok(())
    }

    async fn decide_arrival(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        arrival: &Arrival,
        ca: &RegisteredRow,
        now: Timestamp,
    ) -> Result<Fate, Error> {
        if leaves::known(tx, &sha256(&arrival.leaf)).await? {
            return Ok(Fate::Known);
        }
        if ca.state()? != RegisteredState::Active || ca.org_id != arrival.org.as_str() {
            return Ok(Fate::Refused("not_active"));
        }
        let shown = match read(&arrival.authority, ca, &arrival.leaf, now) {
            Ok(shown) => shown,
            Err(code) => return Ok(Fate::Refused(code)),
        };
        if leaves::is_revoked(tx, &arrival.authority, &shown.certificate).await? {
            return Ok(Fate::Refused("revoked"));
        }
        let policy = ca.just_in_time()?;
        let place = self.place(tx, actor, &shown).await?;
        match place {
            Place::Taken(code) => Ok(Fate::Refused(code)),
            // It was renewed by its own authority, with the key that it has proved twice now.
            Place::Own(_, _, Has::SameKey) => self.take(tx, actor, &shown, place, now).await,
            _ if policy == JustInTime::Off => Ok(Fate::Refused("just_in_time_off")),
            Place::Free if ca.admitted >= ca.max_devices => Ok(Fate::Refused("too_many_devices")),
            Place::Free if policy == JustInTime::Auto && (ca.day_at <= now.plus(-DAY_MS).0 || ca.day_admitted < ca.per_day) => {
                self.take(tx, actor, &shown, place, now).await
            }
            // Over the day's number; or a new key for a device that is there, as whoever has the authority could make one for anybody (E-10); or
            // another certificate for one whose own was revoked.
            Place::Free | Place::Own(..) => self.ask_about(tx, actor, &shown, &place, now).await,
        }
    }

    /// Who has the name.
    async fn place(&self, tx: &mut Tx, actor: &Actor, shown: &Shown<'_>) -> Result<Place, Error> {
        let lower = shown.device_id.as_str().to_lowercase();
        let held = row!(tx, (i64, String, String), store::BY_ID_HELD, actor.org.as_str(), lower)?;
        let Some((device, device_id, state)) = held else { return Ok(Place::Free) };
        if matches!(state.parse().map_err(crate::db::Error::corrupt)?, DeviceState::Suspended | DeviceState::Decommissioned) {
            return Ok(Place::Taken("device_not_active"));
        }
        let own = leaves::of_device(tx, device, shown.authority, &shown.certificate.spki_sha256).await?;
        Ok(match own {
            Some((certificate, has)) if state == DeviceState::Active.as_str() && device_id == shown.device_id.as_str() => {
                Place::Own(device, certificate, has)
            }
            _ => Place::Taken("device_exists"),
        })
    }

    /// Lets it in: the device's row where there is none, its certificate, the books.
    async fn take(&self, tx: &mut Tx, actor: &Actor, shown: &Shown<'_>, place: Place, now: Timestamp) -> Result<Fate, Error> {
        let enrolled_by = format!("authority {}", shown.ca.label);
        let (device, replaces) = match place {
            Place::Taken(code) => return Ok(Fate::Refused(code)),
            Place::Own(device, certificate, _) => (device, Some(certificate)),
            Place::Free => {
                let (org, id) = (actor.org.as_str(), shown.device_id.as_str());
                let new = NewDevice {
                    org,
                    device_id: id,
                    lower: &id.to_lowercase(),
                    device_type: &shown.ca.device_type,
                    hardware: "",
                    state: DeviceState::Active.as_str(),
                    enrolled_at: now.0,
                    enrolled_by: &enrolled_by,
                };
                let made = entry::insert(tx, &[new]).await?.into_values().next();
                let Some(device) = made else { return Ok(Fate::Refused("device_exists")) };
                for tag in words::split_words(&shown.ca.tags) {
                    exec!(tx, store::TAG_INSERT, device, org, tag)?;
                }
                registered::store::count_admitted(tx, shown.authority, now, now.plus(-DAY_MS)).await?;
                let itself = Actor::device(&actor.org, device, &shown.device_id, &actor.address);
                let groups = words::split_words(&shown.ca.group_ids);
                let joined = given_groups::put_in(tx, &[Newcomer { device, org, groups: &groups }]).await?;
                let mut detail = json!({ "by": enrolled_by, "authority": shown.authority });
                for joined in &joined {
                    joined.say(&mut detail);
                }
                audit::append(tx, &itself, now, "device.enrol", id, &detail).await?;
                (device, None)
            }
        };
        let leaf = NewRegisteredLeaf {
            actor,
            authority: shown.authority,
            device,
            device_id: &shown.device_id,
            certificate: &shown.certificate,
            der: shown.der,
            enrolled_by: &enrolled_by,
            replaces: replaces.as_ref(),
        };
        if !self.pki.registered_key_is_free(tx, &leaf).await? {
            return Ok(Fate::Refused("key_in_use"));
        }
        Ok(match self.pki.add_registered_leaf(tx, &leaf).await? {
            Some(certificate) => Fate::In(device, certificate),
            // Another instance has just written it down.
            None => Fate::Known,
        })
    }

    /// Writes it down for a person to decide.
    async fn ask_about(&self, tx: &mut Tx, actor: &Actor, shown: &Shown<'_>, place: &Place, now: Timestamp) -> Result<Fate, Error> {
        let org = actor.org.as_str();
        let device = if let Place::Own(device, ..) = place { *device } else { NOBODY };
        // What nobody could approve is not asked: the key of a past compromise, or of somebody else.
        if !registered::may_have(tx, &shown.certificate.spki_sha256, device, shown.authority).await? {
            return Ok(Fate::Refused("key_in_use"));
        }
        requests::forget(tx, Some((&actor.org, shown.authority.as_str())), now).await?;
        if row!(tx, (i64,), ASKING, org, shown.authority.as_str(), now.0)?.is_some_and(|(waiting,)| waiting >= MOST) {
            return Ok(Fate::Refused("too_many_pending"));
        }
        let (spki, fingerprint, returns) = (shown.certificate.spki_sha256.as_slice(), sha256(shown.der), place.returns());
        let asked = row!(tx, RequestRow, store::REQUEST_OF, org, shown.authority.as_str(), spki, now.0)?;
        let pending = asked.as_ref().map(RequestRow::state).transpose()? == Some(EnrolmentRequestState::Pending);
        let waiting = asked.filter(|_| pending);
        if let Some(request) = waiting
            && request.is_of(&fingerprint, shown.device_id.as_str())
            && request.returns()? == returns
        {
            // It dials while it waits; that is no news.
            return Ok(Fate::Waits);
        }
        let id: EnrolmentRequestId = self.entropy.id(now);
        let asked = exec!(
            tx,
            ASK,
            id.as_str(),
            org,
            shown.authority.as_str(),
            spki,
            fingerprint.as_slice(),
            shown.device_id.as_str(),
            shown.ca.device_type.as_str(),
            shown.certificate.key_alg.to_string(),
            actor.address.as_str(),
            now.0,
            now.plus(LIFE_MS).0,
            shown.der,
            returns.map_or("", Returns::as_str)
        )?;
        if asked == 0 {
            // A person has decided about this key before, or it asked under another name.
            return Ok(Fate::Refused("rejected"));
        }
        let detail = json!({ "device_id": shown.device_id, "authority": shown.authority, "fingerprint": hex::encode(fingerprint), "returns": returns });
        audit::append(tx, actor, now, "enrolment_request.ask", id.as_str(), &detail).await?;
        Ok(Fate::Waits)
    }

    /// Lets in what a person has approved: the certificate that waited, under the name they have seen.
    pub(super) async fn take_waiting(&self, tx: &mut Tx, actor: &Actor, request: &RequestRow, now: Timestamp) -> Result<DeviceNo, Error> {
        let gone = |why: &str| {
            Error::invalid("id", format!("{why} Reject the request; the device asks again when it has a certificate that counts."))
        };
        let leaf = request.leaf().ok_or(Error::NotFound("waiting enrolment request"))?;
        let authority: AuthorityId = request.credential.parse().map_err(crate::db::Error::corrupt)?;
        let ca = registered::store::held(tx, &authority).await?.filter(|ca| ca.org_id == actor.org.as_str());
        let ca = ca.ok_or(Refused::NotFound).map_err(crate::pki::Error::from)?;
        if ca.state()? != RegisteredState::Active {
            return Err(crate::pki::Error::from(Refused::State(ca.state()?)).into());
        }
        let shown =
            read(&authority, &ca, leaf, now).map_err(|_| gone("Its certificate has ended, or no longer fits the authority's policy."))?;
        let place = self.place(tx, actor, &shown).await?;
        // What was approved is what the person saw.
        if matches!(place, Place::Free | Place::Own(..)) && place.returns() != request.returns()? {
            return Err(gone("Since it asked, a device of this name has come in, or its certificate was revoked."));
        }
        let system = Actor { who: Who::System, address: request.address.clone(), ..actor.clone() };
        match self.take(tx, &system, &shown, place, now).await? {
            Fate::In(device, certificate) => {
                self.given(tx, request, &certificate, now).await?;
                Ok(device)
            }
            Fate::Refused("device_not_active") => {
                let name = shown.device_id.as_str();
                let held = row!(tx, (i64, String, String), store::BY_ID, actor.org.as_str(), name.to_lowercase())?;
                let state = held.map_or(Ok(DeviceState::Decommissioned), |(_, _, state)| state.parse::<DeviceState>());
                Err(Error::NotActive(Away::of(state.map_err(crate::db::Error::corrupt)?, name.to_owned())))
            }
            Fate::Refused("device_exists") => Err(Error::Exists(shown.device_id.to_string())),
            Fate::Refused(_) | Fate::Known | Fate::Waits => Err(gone("Its key is in use.")),
        }
    }
}

/// What a certificate says, under its authority's policy; or the word for the books.
fn read<'a>(authority: &'a AuthorityId, ca: &'a RegisteredRow, der: &'a [u8], now: Timestamp) -> Result<Shown<'a>, &'static str> {
    let certificate = gate::device(der, now)?;
    let template = Template::parse(&ca.template).map_err(|_| "bad_template")?;
    let device_id = template.device_id(&certificate.names).ok_or("no_device_id")?;
    in_scope(&ca.pattern, &device_id).map_err(|_| "identity_mismatch")?;
    Ok(Shown { authority, ca, device_id, certificate, der })
}
