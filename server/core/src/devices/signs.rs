//! What a refused enrolment says of whoever made it (E-3, A-14, A-15): told as a sign of attack, in the books of whom it concerns. Whoever is
//! refused learns nothing of it: every secret that is no good gets the same answer after the same look into the database.

use super::{
    Devices, Error,
    admission::Standing,
    claims::{self, ClaimRow},
    enrolment::{Attempt, Over},
    store,
    tokens::{PREFIX, TokenRow},
};
use crate::{
    access::attacks::{Kind, Sign},
    bearer,
    bus::Event,
    db::{exec, row, rows},
    pki::{self, csr},
    source::Source,
};
use serde_json::{Map, Value, json};
use wire::{
    Timestamp,
    enrolment::EnrolRequest,
    ids::{DeviceId, EnrolmentTokenId, OrgId},
};

/// A token that is tried again and again is noted once in so many milliseconds.
const NOTED_FOR: i64 = 60_000;
/// Of the addresses from which a token let devices in, the books name so many.
const NAMED: usize = 5;

/// Whose credential an attempt came with.
#[derive(Default)]
pub(super) struct Brought {
    /// Whether it proves something: the right secret of a token that was made here, or the key of a claim. A token of another organization than the address
    /// names is unknown there.
    pub(super) proved: bool,
    org: Option<OrgId>,
    /// Token or claim.
    id: String,
    label: String,
    /// A token with its right secret.
    right: Option<TokenRow>,
}

impl Devices {
    /// Tells of a refusal that is a sign of attack. What can't be found out for the books is left out of them.
    pub(super) async fn tell_refused(&self, attempt: Attempt<'_>, over: Over<'_>, refusal: &Error, (brought, now): (Brought, Timestamp)) {
        let guessed = matches!(refusal, Error::BadToken | Error::Frozen(_)) && !attempt.secret.is_empty();
        if !guessed && !matches!(refusal, Error::Pki(pki::Error::KeyInUse(_))) {
            return;
        }
        let org = brought.org.or_else(|| over.org.cloned()).or_else(|| over.open.cloned());
        let mut detail = asked_for(attempt.request);
        if !brought.label.is_empty() {
            detail.insert("token".into(), json!(brought.label));
        }
        let object = if brought.id.is_empty() { "enrolment".to_owned() } else { brought.id };
        if let Error::Pki(pki::Error::KeyInUse(whose)) = refusal {
            let asked = csr::gate_over(attempt.request.csr.as_bytes(), None, over.channel).ok();
            self.pki.tell_key_in_use(org, attempt.address, object, asked.as_ref(), whose, detail).await;
            return;
        }
        let kind = match brought.right {
            None => Kind::GuessedToken,
            Some(token) => {
                let code = if matches!(refusal, Error::Frozen(_)) { "frozen_token" } else { why(&token, now) };
                detail.insert("code".into(), json!(code));
                let let_in_from = self.elsewhere(&token, attempt.address, now).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, token = token.id, "from where a token is used again could not be looked at");
                    None
                });
                let kind = if let_in_from.is_some() { Kind::TokenElsewhere } else { Kind::SpentToken };
                detail.extend(let_in_from.map(|from| ("let_in_from".to_owned(), json!(from))));
                kind
            }
        };
        self.pki.attacks().tell(Sign { kind, org, from: attempt.address.to_owned(), object, detail });
    }

    /// From where a token that is used up let devices in, if it was from nowhere here: then somebody else may have its secret (E-3), and the token says so from
    /// now on.
    async fn elsewhere(&self, token: &TokenRow, address: &str, now: Timestamp) -> Result<Option<Vec<String>>, Error> {
        if token.uses < token.max_uses || address.is_empty() {
            return Ok(None);
        }
        let (origins, here) = (self.let_in_from(token, now).await?, Source::of(address));
        if origins.is_empty() || origins.iter().any(|origin| Source::of(origin) == here) {
            return Ok(None);
        }
        let noted = token.reused_at.is_some_and(|at| now.since(Timestamp(at)) < NOTED_FOR);
        if !noted {
            let mut tx = self.db.write().await?;
            exec!(&mut tx, store::TOKEN_REUSED, token.id.as_str(), now.0, address, now.plus(-NOTED_FOR).0)?;
            tx.commit().await?;
            self.bus.tell(Event::Enrolment { org: token.org_id.parse().map_err(crate::db::Error::corrupt)? });
        }
        Ok(Some(origins.iter().take(NAMED).cloned().collect()))
    }

    /// Tokens that were tried again from elsewhere after they were used up, since an instant: label, from where last, and when.
    pub(crate) async fn reused_tokens(&self, org: &OrgId, since: Timestamp, limit: i64) -> Result<Vec<(String, String, Timestamp)>, Error> {
        let found = rows!(&mut self.db.read().await?, (String, String, i64), store::TOKENS_REUSED, org.as_str(), since.0, limit)?;
        Ok(found.into_iter().map(|(label, from, at)| (label, from, Timestamp(at))).collect())
    }

    /// What an attempt came with, as the database knows it.
    pub(super) async fn brought(&self, attempt: Attempt<'_>, over: Over<'_>) -> Result<Brought, Error> {
        if let Some((id, secret)) = bearer::read::<EnrolmentTokenId>(PREFIX, attempt.secret) {
            let Some(token) = row!(&mut self.db.read().await?, TokenRow, store::TOKEN, id.as_str())? else { return Ok(Brought::default()) };
            let org = Some(token.org_id.parse().map_err(crate::db::Error::corrupt)?);
            let (label, right) = (token.label.clone(), bearer::fits(secret, &token.secret_hash));
            let proved = right && (over.org.is_none() || over.org == org.as_ref());
            return Ok(Brought { proved, org, id: token.id.clone(), label, right: right.then_some(token) });
        }
        let Some(claim) = over.claim.filter(|_| attempt.secret.is_empty()) else { return Ok(Brought::default()) };
        let Some(row) = row!(&mut self.db.read().await?, ClaimRow, claims::CLAIM, claim.as_str())? else { return Ok(Brought::default()) };
        let org = Some(row.org_id.parse().map_err(crate::db::Error::corrupt)?);
        Ok(Brought { proved: true, org, id: claim.to_string(), label: row.label, right: None })
    }
}

/// What a request asks for, for the books (K-8): which device, and by which CSR. What can't be read is left out.
pub(super) fn asked_for(request: &EnrolRequest) -> Map<String, Value> {
    let mut detail = Map::new();
    let (digest, name) = csr::said(request.csr.as_bytes()).unzip();
    // EST has the name in the request alone.
    if let Some(device_id) = request.device_id.as_deref().and_then(|id| id.parse::<DeviceId>().ok()).or(name.flatten()) {
        detail.insert("device_id".into(), json!(device_id));
    }
    if let Some(digest) = digest {
        detail.insert("csr_sha256".into(), json!(hex::encode(digest)));
    }
    detail
}

/// Why a token with its right secret was refused.
fn why(token: &TokenRow, now: Timestamp) -> &'static str {
    match Standing::of(token, now) {
        Standing::Revoked => "revoked_token",
        Standing::Spent if token.expires_at <= now.0 => "expired_token",
        Standing::Spent => "spent_token",
        // Good, but not where it was shown.
        Standing::Usable => "foreign_token",
    }
}
