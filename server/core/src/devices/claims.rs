//! Claims (E-9): a shared certificate, good on the enrol listener alone, that trades a CSR for a device's own certificate within its bounds. Made
//! and disabled by people; used in `enrolment.rs`.

use super::{
    Devices, Error,
    given_groups::{self, Named},
    paging::{self, Place},
    words,
};
use crate::{
    access::{Act, Actor, audit, may},
    bus::Event,
    db::{Sql, Tx, exec, row, rows},
    pki::{Csr, NewClaimLeaf, ServerKey, csr, signed_ahead},
    qr,
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;
use wire::{
    Timestamp,
    enrolment::{AgentKey, Claim, ClaimDevice, CodeSecret, CreatedClaim, NewClaim},
    ids::ClaimId,
    page::Page,
};
use zeroize::Zeroizing;

const HOUR_MS: i64 = 3_600_000;
/// How long a person who stands at the device has.
const TRUSTED_MS: i64 = 5 * 60 * 1000;
/// A rate is counted over so long.
const WINDOW_MS: i64 = 60_000;

const INSERT: Sql = Sql::same(
    "INSERT INTO claims (id, org_id, label, pattern, device_type, tags, certificate_id, trusted_user, max_uses, per_minute, created_at, created_by,
                         expires_at, trust_seq, profile, group_ids)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
);
macro_rules! claim {
    ($rest:literal) => {
        Sql::same(concat!(
            "SELECT id, org_id, label, pattern, device_type, tags, certificate_id, trusted_user, max_uses, uses, per_minute, window_at, window_uses,
            created_at, created_by, expires_at, disabled_at, last_used_at, profile, group_ids
     FROM claims ",
            $rest
        ))
    };
}
pub(super) const CLAIM: Sql = claim!("WHERE id = $1");
const CLAIMS: Sql = claim!("WHERE org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
const CLAIMS_COUNT: Sql = Sql::same("SELECT COUNT(*) FROM claims WHERE org_id = $1");
const DISABLE: Sql = Sql::same("UPDATE claims SET disabled_at = $3 WHERE org_id = $1 AND id = $2 AND disabled_at IS NULL");
const RETRUST: Sql = Sql::same("UPDATE claims SET trust_seq = $2 WHERE id = $1");
/// $3 is the beginning of the minute before $2.
const USE: Sql = Sql::same(
    "UPDATE claims SET uses = uses + 1, last_used_at = $2,
            window_uses = CASE WHEN window_at <= $3 THEN 1 ELSE window_uses + 1 END,
            window_at = CASE WHEN window_at <= $3 THEN $2 ELSE window_at END
     WHERE id = $1 AND uses < max_uses AND expires_at > $2 AND disabled_at IS NULL AND (window_at <= $3 OR window_uses < per_minute)
     AND EXISTS (SELECT 1 FROM certificates c JOIN authorities a ON a.id = c.issuer_id
                 WHERE c.id = claims.certificate_id AND c.state = 'active' AND a.state IN ('active', 'retiring'))",
);
pub(super) const ENROLMENT: Sql = Sql::same(
    "SELECT e.csr_sha256, e.certificate_id, e.at, d.device_id FROM claim_enrolments e JOIN devices d ON d.number = e.device
     WHERE e.claim_id = $1 AND e.spki_sha256 = $2 AND d.deleted_at IS NULL ORDER BY e.at DESC LIMIT 1",
);
pub(super) const ENROLMENT_INSERT: Sql = Sql::same(
    "INSERT INTO claim_enrolments (claim_id, org_id, csr_sha256, spki_sha256, device, certificate_id, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (claim_id, spki_sha256, csr_sha256) DO UPDATE SET certificate_id = excluded.certificate_id, at = excluded.at",
);
const DEVICES: Sql = Sql::same(
    "SELECT d.number, d.device_id, d.state, MIN(e.at) FROM claim_enrolments e JOIN devices d ON d.number = e.device
     WHERE e.org_id = $1 AND e.claim_id = $2 AND e.device > $3 GROUP BY d.number, d.device_id, d.state ORDER BY d.number LIMIT $4",
);
const DEVICES_COUNT: Sql = Sql::same("SELECT COUNT(DISTINCT device) FROM claim_enrolments WHERE org_id = $1 AND claim_id = $2");

pub(crate) const ALL: &[&Sql] =
    &[&INSERT, &CLAIM, &CLAIMS, &CLAIMS_COUNT, &DISABLE, &RETRUST, &USE, &ENROLMENT, &ENROLMENT_INSERT, &DEVICES, &DEVICES_COUNT];

#[derive(sqlx::FromRow)]
pub(super) struct ClaimRow {
    pub(super) id: String,
    pub(super) org_id: String,
    pub(super) label: String,
    pub(super) pattern: String,
    pub(super) device_type: String,
    pub(super) tags: String,
    certificate_id: String,
    trusted_user: bool,
    max_uses: i64,
    uses: i64,
    per_minute: i64,
    window_at: i64,
    window_uses: i64,
    pub(super) created_at: i64,
    created_by: String,
    expires_at: i64,
    disabled_at: Option<i64>,
    last_used_at: Option<i64>,
    pub(super) profile: String,
    pub(super) group_ids: String,
}

impl ClaimRow {
    /// Whether a person has ended it.
    pub(super) const fn is_disabled(&self) -> bool {
        self.disabled_at.is_some()
    }

    /// Whether something new may be asked of it.
    pub(super) fn standing(&self, now: Timestamp) -> Result<(), Error> {
        if self.is_disabled() || self.expires_at <= now.0 || self.uses >= self.max_uses {
            return Err(Error::BadClaim);
        }
        if self.window_at > now.plus(-WINDOW_MS).0 && self.window_uses >= self.per_minute {
            return Err(Error::ClaimRate);
        }
        Ok(())
    }

    /// As people see it; `frozen` is by which authority's end.
    fn shown(self, frozen: Option<String>, named: &Named) -> Result<Claim, Error> {
        Ok(Claim {
            id: self.id.parse().map_err(crate::db::Error::corrupt)?,
            label: self.label,
            pattern: self.pattern,
            device_type: self.device_type,
            tags: words::split_words(&self.tags),
            groups: named.groups(&self.group_ids),
            profile: self.profile,
            trusted_user: self.trusted_user,
            max_uses: self.max_uses,
            uses: self.uses,
            per_minute: self.per_minute,
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            expires_at: Timestamp(self.expires_at),
            disabled_at: self.disabled_at.map(Timestamp),
            last_used_at: self.last_used_at.map(Timestamp),
            frozen_by: frozen,
        })
    }
}

/// The beginning of the minute in which uses are counted.
const fn window(now: Timestamp) -> i64 {
    now.0 - WINDOW_MS
}

/// Takes one use of a claim, within its bounds.
pub(super) async fn take(tx: &mut Tx, id: &ClaimId, now: Timestamp) -> Result<(), Error> {
    if exec!(&mut *tx, USE, id.as_str(), now.0, window(now))? == 1 {
        return Ok(());
    }
    // It may be as good as before, only used too often in this minute: then its device asks again.
    row!(tx, ClaimRow, CLAIM, id.as_str())?.ok_or(Error::BadClaim)?.standing(now)?;
    Err(Error::BadClaim)
}

/// What making and disabling a claim takes: one of five minutes, for a person who stands at the device, less than a lasting one.
const fn judging(trusted_user: bool) -> Act {
    if trusted_user { Act::Enrol } else { Act::Claims }
}

/// A claim that passed the gate, before it is booked.
struct WantedClaim {
    id: ClaimId,
    label: String,
    pattern: String,
    device_type: String,
    tags: Vec<String>,
    groups: Vec<String>,
    trusted_user: bool,
    max_uses: i64,
    per_minute: i64,
    expires_at: Timestamp,
    profile: String,
}

impl Devices {
    /// Makes a claim. The key, if it is made here, is in the answer and nowhere else. A claim of five minutes takes an operator, a longer one an admin.
    pub async fn create_claim(&self, actor: &Actor, new: NewClaim) -> Result<CreatedClaim, Error> {
        may(actor, judging(new.trusted_user))?;
        let (label, pattern) = (words::label(&new.label, "claim")?, words::pattern(&new.pattern)?);
        let device_type = words::device_type(&new.device_type)?;
        words::check_tags(&new.tags)?;
        let (max_uses, life) = if new.trusted_user { (1, TRUSTED_MS) } else { (new.max_uses, new.hours.saturating_mul(HOUR_MS)) };
        if !(1..=100_000).contains(&max_uses) {
            return Err(Error::invalid("max_uses", "A claim is used 1 to 100,000 times."));
        }
        if !(TRUSTED_MS..=8760 * HOUR_MS).contains(&life) {
            return Err(Error::invalid("hours", "A claim lives 1 to 8760 hours (365 days)."));
        }
        if !(1..=10_000).contains(&new.per_minute) {
            return Err(Error::invalid("per_minute", "A claim is used 1 to 10,000 times a minute."));
        }
        let (csr, made) = match new.csr.trim() {
            "" => {
                let key = ServerKey::generate()?;
                (key.request(), Some(key))
            }
            pem => (csr::gate(pem.as_bytes(), None).map_err(crate::pki::Error::from)?, None),
        };
        let profile = new.profile.trim().to_owned();
        // Before an authority is made for a claim that comes to nothing.
        self.pki.profile_is_there(&mut self.db.read().await?, &actor.org, &profile).await?;
        if !new.groups.is_empty() {
            given_groups::meant(&mut self.db.write().await?, actor, &new.groups).await?;
        }
        self.pki.ensure_claim_authority(actor).await?;
        let now = self.clock.now();
        let wanted = WantedClaim {
            id: self.entropy.id(now),
            label,
            pattern,
            device_type,
            tags: new.tags,
            groups: new.groups,
            trusted_user: new.trusted_user,
            max_uses,
            per_minute: new.per_minute,
            expires_at: now.plus(life),
            profile,
        };
        let chain = signed_ahead!(self.pki, Box::pin(self.book_claim(actor, &wanted, &csr, now)).await)?;
        self.pki.reload().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        let mut on = self.db.read().await?;
        let row = row!(&mut on, ClaimRow, CLAIM, wanted.id.as_str())?.ok_or(Error::NotFound("claim"))?;
        let named = Named::of(&mut on, &actor.org, &[row.group_ids.as_str()]).await?;
        let makes = AgentKey::for_any_of(&self.pki.profile_keys(&mut on, &actor.org, &row.profile).await?);
        let key = made.map(ServerKey::into_pkcs8);
        self.claim_card((row.shown(None, &named)?, makes), chain, key.as_deref().map_or(&[][..], Vec::as_slice))
    }

    /// A claim with its certificate, in one transaction; what stands for the claim to whoever shows it, PEM.
    async fn book_claim(&self, actor: &Actor, new: &WantedClaim, csr: &Csr, now: Timestamp) -> Result<String, Error> {
        let mut tx = self.db.write().await?;
        self.pki.profile_is_there(&mut tx, &actor.org, &new.profile).await?;
        let groups = given_groups::meant(&mut tx, actor, &new.groups).await?;
        // A certificate lives an hour at least (P-6); the claim's own end counts.
        let until = new.expires_at.max(now.plus(2 * HOUR_MS));
        let by = actor.label();
        let leaf = NewClaimLeaf { org: &actor.org, claim: &new.id, csr, until, enrolled_by: &by, origin: actor.origin() };
        let leaf = self.pki.issue_claim(&mut tx, leaf).await?;
        exec!(
            &mut tx,
            INSERT,
            new.id.as_str(),
            actor.org.as_str(),
            new.label.as_str(),
            new.pattern.as_str(),
            new.device_type.as_str(),
            new.tags.join(" "),
            leaf.id.as_str(),
            new.trusted_user,
            new.max_uses,
            new.per_minute,
            now.0,
            by.as_str(),
            new.expires_at.0,
            leaf.trust_seq,
            new.profile.as_str(),
            given_groups::kept(&groups)
        )?;
        let detail = json!({
            "label": new.label, "pattern": new.pattern, "device_type": new.device_type, "tags": new.tags, "groups": groups, "max_uses": new.max_uses,
            "until": new.expires_at, "trusted_user": new.trusted_user, "profile": new.profile,
        });
        audit::append(&mut tx, actor, now, "claim.create", new.id.as_str(), &detail).await?;
        tx.commit().await?;
        Ok(leaf.chain)
    }

    /// A claim that this actor has just made, with its key (base64 of PKCS#8), which they have kept: for a page that is shown in another request than
    /// the one that made it.
    pub async fn claim_again(&self, actor: &Actor, id: &ClaimId, key: &str) -> Result<CreatedClaim, Error> {
        may(actor, Act::Enrol)?;
        let key = STANDARD.decode(key).map(Zeroizing::new).map_err(|_| Error::invalid("key", "This is no key."))?;
        let mut on = self.db.read().await?;
        let found = row!(&mut on, ClaimRow, CLAIM, id.as_str())?.filter(|c| c.org_id == actor.org.as_str());
        let found = found.ok_or(Error::NotFound("claim"))?;
        let certificate = found.certificate_id.parse().map_err(crate::db::Error::corrupt)?;
        let chain = self.pki.claim_chain(&mut on, &actor.org, &certificate).await?;
        let named = Named::of(&mut on, &actor.org, &[found.group_ids.as_str()]).await?;
        let makes = AgentKey::for_any_of(&self.pki.profile_keys(&mut on, &actor.org, &found.profile).await?);
        self.claim_card((found.shown(None, &named)?, makes), chain, &key)
    }

    /// A claim with what a person does with it; `key` is empty when it was made elsewhere, and `makes` is one that its profile takes of its devices.
    fn claim_card(&self, (claim, makes): (Claim, AgentKey), certificate: String, key: &[u8]) -> Result<CreatedClaim, Error> {
        if key.is_empty() {
            return Ok(CreatedClaim { claim, certificate, key: String::new(), code: String::new(), qr: None });
        }
        // The listener knows the authority above it, so the leaf is all that a device has to show; a code with more is hard to scan.
        let leaf = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(crate::db::Error::corrupt)?;
        let secret = CodeSecret::Claim { certificate: URL_SAFE_NO_PAD.encode(&leaf), key: URL_SAFE_NO_PAD.encode(key) };
        let code = self.code(secret, &claim.pattern, &claim.device_type, makes);
        let qr = claim.trusted_user.then(|| qr::picture(&code)).flatten();
        Ok(CreatedClaim { claim, certificate, key: crate::pem::encode("PRIVATE KEY", key), code, qr })
    }

    /// Disables a claim at once; devices it let in stay. It takes whoever could have made it.
    pub async fn disable_claim(&self, actor: &Actor, id: &ClaimId) -> Result<(), Error> {
        // Who may disable none is not told which there are.
        may(actor, Act::Enrol)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        let found = row!(&mut tx, ClaimRow, CLAIM, id.as_str())?.filter(|c| c.org_id == actor.org.as_str());
        let found = found.ok_or(Error::NotFound("claim"))?;
        may(actor, judging(found.trusted_user))?;
        let certificate = found.certificate_id.parse().map_err(crate::db::Error::corrupt)?;
        // The claim's row before the trust clock, as its uses take them: two orders would wait for each other on PostgreSQL.
        if exec!(&mut tx, DISABLE, actor.org.as_str(), id.as_str(), now.0)? == 0 {
            // Done before; nothing is written without a commit.
            return Ok(());
        }
        let seq = self.pki.revoke_claim(&mut tx, actor, &certificate).await?;
        exec!(&mut tx, RETRUST, id.as_str(), seq)?;
        audit::append(&mut tx, actor, now, "claim.disable", id.as_str(), &json!({ "uses": found.uses })).await?;
        tx.commit().await?;
        self.pki.reload().await?;
        self.bus.tell(Event::Trust);
        self.bus.tell(Event::Enrolment { org: actor.org.clone() });
        Ok(())
    }

    /// A page of claims, newest first.
    pub async fn claims(&self, actor: &Actor, cursor: Option<&str>, size: Option<u32>) -> Result<Page<Claim>, Error> {
        may(actor, Act::Read)?;
        let (place, org) = (Place::newest_first::<ClaimId>(cursor, size)?, actor.org.as_str());
        let mut on = self.db.read().await?;
        let total = row!(&mut on, (i64,), CLAIMS_COUNT, org)?.map_or(0, |r| r.0);
        let found = rows!(&mut on, ClaimRow, CLAIMS, org, place.id.as_str(), place.limit())?;
        let named = Named::of(&mut on, &actor.org, &found.iter().map(|c| c.group_ids.as_str()).collect::<Vec<_>>()).await?;
        let shown = |row: ClaimRow| {
            let frozen = self.pki.frozen(&actor.org, Timestamp(row.created_at));
            row.shown(frozen, &named)
        };
        let shown = found.into_iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(shown, place.rows, total, |claim| claim.id.to_string()))
    }

    /// A page of the devices that a claim let in, in the order they came.
    pub async fn claim_devices(
        &self,
        actor: &Actor,
        id: &ClaimId,
        cursor: Option<&str>,
        size: Option<u32>,
    ) -> Result<Page<ClaimDevice>, Error> {
        may(actor, Act::Read)?;
        let (after, size, org) = (paging::after(cursor)?, paging::size(size), actor.org.as_str());
        let mut on = self.db.read().await?;
        let total = row!(&mut on, (i64,), DEVICES_COUNT, org, id.as_str())?.map_or(0, |r| r.0);
        let limit = i64::from(size) + 1;
        let found = rows!(&mut on, (i64, String, String, i64), DEVICES, org, id.as_str(), after, limit)?;
        let shown = |(number, device_id, state, at): (i64, String, String, i64)| {
            let (device_id, state) =
                (device_id.parse().map_err(crate::db::Error::corrupt)?, state.parse().map_err(crate::db::Error::corrupt)?);
            Ok::<_, Error>((number, ClaimDevice { device_id, state, at: Timestamp(at) }))
        };
        let shown = found.into_iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        let Page { items, next, total } = Page::cut(shown, size, total, |(number, _)| number.to_string());
        Ok(Page { items: items.into_iter().map(|(_, device)| device).collect(), next, total })
    }
}
