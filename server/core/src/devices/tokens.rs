//! Enrolment tokens (E-1): made, listed, revoked by operators; used in `enrolment.rs`.

use super::{
    Devices, Error,
    given_groups::{self, Named},
    paging::Place,
    store, words,
};
use crate::{
    access::{Act, Actor, allowed, audit, may},
    bearer,
    db::{Tx, exec, row, rows},
    hash::printed,
    network::Network,
    qr,
};
use serde_json::json;
use std::str::FromStr;
use wire::{
    Timestamp,
    enrolment::{
        AgentKey, Claims, CodeSecret, CreatedEnrolmentToken, EnrolCode, EnrolmentLists, EnrolmentPage, EnrolmentToken, GivenGroup, Listed,
        NewEnrolmentToken, agent_line,
    },
    ids::{ClaimId, EnrolmentBatchId, EnrolmentRequestId, EnrolmentTokenId},
    page::Page,
    registered::RegisteredAuthorities,
};

/// What enrolment secrets begin with.
pub(super) const PREFIX: &str = "fet";
const HOUR_MS: i64 = 3600 * 1000;

#[derive(sqlx::FromRow)]
pub(super) struct TokenRow {
    pub(super) id: String,
    pub(super) org_id: String,
    pub(super) label: String,
    pub(super) pattern: String,
    pub(super) device_type: String,
    pub(super) tags: String,
    pub(super) max_uses: i64,
    pub(super) uses: i64,
    pub(super) secret_hash: Vec<u8>,
    pub(super) created_at: i64,
    created_by: String,
    pub(super) expires_at: i64,
    pub(super) revoked_at: Option<i64>,
    last_used_at: Option<i64>,
    pub(super) source: String,
    pub(super) mode: String,
    pub(super) spki_sha256: String,
    pub(super) csr_sha256: String,
    pub(super) profile: String,
    pub(super) group_ids: String,
    pub(super) reused_at: Option<i64>,
    reused_from: String,
    connected: i64,
}

impl TokenRow {
    /// As people see it; `frozen` is by which authority's end.
    fn shown(self, frozen: Option<String>, named: &Named) -> Result<EnrolmentToken, Error> {
        Ok(EnrolmentToken {
            id: self.id.parse().map_err(crate::db::Error::corrupt)?,
            label: self.label,
            pattern: self.pattern,
            device_type: self.device_type,
            tags: words::split_words(&self.tags),
            groups: named.groups(&self.group_ids),
            max_uses: self.max_uses,
            uses: self.uses,
            created_at: Timestamp(self.created_at),
            created_by: self.created_by,
            expires_at: Timestamp(self.expires_at),
            revoked_at: self.revoked_at.map(Timestamp),
            last_used_at: self.last_used_at.map(Timestamp),
            source: self.source,
            mode: self.mode.parse().map_err(crate::db::Error::corrupt)?,
            spki_sha256: self.spki_sha256,
            csr_sha256: self.csr_sha256,
            profile: self.profile,
            connected: self.connected,
            frozen_by: frozen,
            reused_at: self.reused_at.map(Timestamp),
            reused_from: self.reused_from,
        })
    }
}

/// The one id that a pattern covers, if it is one id.
fn only(pattern: &str) -> Option<&str> {
    Some(pattern).filter(|id| !id.is_empty() && !id.contains(['*', ' ']))
}

/// A SHA-256 as tools print it, with colons or without; empty means none.
fn digest(field: &'static str, text: &str) -> Result<String, Error> {
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    let read = printed(text).ok_or_else(|| Error::invalid(field, "Give the SHA-256 as 64 hex digits, or leave it empty."))?;
    Ok(hex::encode(read))
}

/// Takes one use of a token, if there is one left.
pub(super) async fn take(tx: &mut Tx, id: &EnrolmentTokenId, now: Timestamp) -> Result<(), Error> {
    if exec!(tx, store::TOKEN_USE, id.as_str(), now.0)? == 1 { Ok(()) } else { Err(Error::BadToken) }
}

/// Gives uses of a token back that came to nothing; nothing is done for what is no token.
pub(super) async fn give_back(tx: &mut Tx, id: &str, uses: i64) -> Result<(), crate::db::Error> {
    exec!(tx, store::TOKEN_RETURN, id, uses).map(drop)
}

/// The cursor, if it is an id of this kind.
fn is<Id: FromStr>(cursor: Option<&str>) -> Option<&str> {
    cursor.filter(|c| c.parse::<Id>().is_ok())
}

impl Devices {
    /// Makes a token. The secret is in the answer and nowhere else.
    pub async fn create_enrolment_token(&self, actor: &Actor, new: NewEnrolmentToken) -> Result<CreatedEnrolmentToken, Error> {
        may(actor, Act::Enrol)?;
        let (label, pattern) = (words::label(&new.label, "token")?, words::pattern(&new.pattern)?);
        let device_type = words::device_type(&new.device_type)?;
        if !(1..=10_000).contains(&new.max_uses) {
            return Err(Error::invalid("max_uses", "A token is used 1 to 10,000 times."));
        }
        if !(1..=720).contains(&new.hours) {
            return Err(Error::invalid("hours", "A token lives 1 to 720 hours (30 days)."));
        }
        words::check_tags(&new.tags)?;
        let source = match new.source.trim() {
            "" => String::new(),
            text => text.parse::<Network>().map_err(|e| Error::invalid("source", e.to_string()))?.to_string(),
        };
        let (spki_sha256, csr_sha256) = (digest("spki_sha256", &new.spki_sha256)?, digest("csr_sha256", &new.csr_sha256)?);
        let now = self.clock.now();
        let id: EnrolmentTokenId = self.entropy.id(now);
        let (secret, kept) = bearer::mint(PREFIX, &id, &*self.entropy);
        let expires_at = now.plus(new.hours * HOUR_MS);
        let profile = new.profile.trim().to_owned();
        let mut tx = self.db.write().await?;
        self.pki.profile_is_there(&mut tx, &actor.org, &profile).await?;
        let groups = given_groups::meant(&mut tx, actor, &new.groups).await?;
        let key = AgentKey::for_any_of(&self.pki.profile_keys(&mut tx, &actor.org, &profile).await?);
        exec!(
            &mut tx,
            store::TOKEN_INSERT,
            id.as_str(),
            actor.org.as_str(),
            label.as_str(),
            pattern.as_str(),
            device_type.as_str(),
            new.tags.join(" "),
            new.max_uses,
            kept.as_slice(),
            now.0,
            actor.label(),
            expires_at.0,
            source.as_str(),
            new.mode.as_str(),
            spki_sha256.as_str(),
            csr_sha256.as_str(),
            profile.as_str(),
            given_groups::kept(&groups)
        )?;
        let detail = json!({
            "label": label, "pattern": pattern, "device_type": device_type, "tags": new.tags, "groups": groups, "max_uses": new.max_uses,
            "hours": new.hours, "mode": new.mode, "source": source, "profile": profile, "spki_sha256": spki_sha256, "csr_sha256": csr_sha256,
        });
        audit::append(&mut tx, actor, now, "enrolment_token.create", id.as_str(), &detail).await?;
        tx.commit().await?;
        let token = EnrolmentToken {
            id,
            label,
            pattern,
            device_type,
            tags: new.tags,
            groups,
            max_uses: new.max_uses,
            uses: 0,
            created_at: now,
            created_by: actor.label(),
            expires_at,
            revoked_at: None,
            last_used_at: None,
            source,
            mode: new.mode,
            spki_sha256,
            csr_sha256,
            profile,
            connected: 0,
            frozen_by: None,
            reused_at: None,
            reused_from: String::new(),
        };
        Ok(self.enrolment_card(token, secret, key))
    }

    /// A token with its secret and what a person does with it: the line to paste on a device, and the code that a device or a phone scans. `key` is one that
    /// its profile takes.
    pub fn enrolment_card(&self, token: EnrolmentToken, secret: String, key: AgentKey) -> CreatedEnrolmentToken {
        let named = only(&token.pattern);
        let command = agent_line(&self.urls.enrol, &self.pki.root_fingerprint(), &secret, named, &token.device_type, key);
        let code = self.code(CodeSecret::Token(secret.clone()), &token.pattern, &token.device_type, key);
        CreatedEnrolmentToken { qr: qr::picture(&code), code, command, token, secret }
    }

    /// All that a device needs to join, as one text.
    pub(super) fn code(&self, secret: CodeSecret, pattern: &str, device_type: &str, key: AgentKey) -> String {
        let device_type = Some(device_type.to_owned()).filter(|kind| !kind.is_empty());
        let (url, root) = (self.urls.enrol.clone(), self.pki.root_fingerprint());
        EnrolCode { url, root, secret, device_id: only(pattern).map(str::to_owned), device_type, alg: key.told() }.to_string()
    }

    /// Withdraws a token at once; devices it let in stay.
    pub async fn revoke_enrolment_token(&self, actor: &Actor, id: &EnrolmentTokenId) -> Result<(), Error> {
        may(actor, Act::Enrol)?;
        let now = self.clock.now();
        let mut tx = self.db.write().await?;
        if exec!(&mut tx, store::TOKEN_REVOKE, actor.org.as_str(), id.as_str(), now.0)? == 0 {
            return Err(Error::NotFound("enrolment token"));
        }
        audit::append(&mut tx, actor, now, "enrolment_token.revoke", id.as_str(), &json!(null)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// A page of tokens, newest first.
    pub async fn enrolment_tokens(&self, actor: &Actor, cursor: Option<&str>, size: Option<u32>) -> Result<Page<EnrolmentToken>, Error> {
        may(actor, Act::Read)?;
        let (place, org) = (Place::newest_first::<EnrolmentTokenId>(cursor, size)?, actor.org.as_str());
        let mut on = self.db.read().await?;
        let total = row!(&mut on, (i64,), store::TOKENS_COUNT, org)?.map_or(0, |r| r.0);
        let found = rows!(&mut on, TokenRow, store::TOKENS, org, place.id.as_str(), place.limit())?;
        let named = Named::of(&mut on, &actor.org, &found.iter().map(|t| t.group_ids.as_str()).collect::<Vec<_>>()).await?;
        let shown = |row: TokenRow| {
            let frozen = self.pki.frozen(&actor.org, Timestamp(row.created_at));
            row.shown(frozen, &named)
        };
        let shown = found.into_iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(shown, place.rows, total, |t| t.id.to_string()))
    }

    /// The newest of everything by which devices come in, and what a device needs to reach us.
    pub async fn enrolment_page(&self, actor: &Actor) -> Result<EnrolmentPage, Error> {
        self.enrolment_page_from(actor, None).await
    }

    /// The same, where the list that this cursor is of begins behind it; the others begin at their beginning.
    pub async fn enrolment_page_from(&self, actor: &Actor, cursor: Option<&str>) -> Result<EnrolmentPage, Error> {
        may(actor, Act::Read)?;
        let (of_tokens, of_requests) = (is::<EnrolmentTokenId>(cursor), is::<EnrolmentRequestId>(cursor));
        let (of_batches, of_claims) = (is::<EnrolmentBatchId>(cursor), is::<ClaimId>(cursor));
        let tokens = self.enrolment_tokens(actor, of_tokens, None).await?;
        let requests = self.enrolment_requests(actor, of_requests, None).await?;
        let batches = self.batches(actor, of_batches, None).await?;
        let claims = self.claims(actor, of_claims, None).await?;
        let lists = EnrolmentLists {
            tokens: Listed { total: tokens.total, next: tokens.next, behind: of_tokens.map(str::to_owned) },
            requests: Listed { total: requests.total, next: requests.next, behind: of_requests.map(str::to_owned) },
            batches: Listed { total: batches.total, next: batches.next, behind: of_batches.map(str::to_owned) },
            claims: Listed { total: claims.total, next: claims.next, behind: of_claims.map(str::to_owned) },
        };
        let registered =
            RegisteredAuthorities { all: self.pki.registered_authorities(actor).await?, may_manage: allowed(actor, Act::Authorities) };
        Ok(EnrolmentPage {
            lists,
            groups: self.groups_to_give(actor, &registered).await?,
            tokens: tokens.items,
            enrol_url: self.urls.enrol.clone(),
            root_fingerprint: self.pki.root_fingerprint(),
            requests: requests.items,
            batches: batches.items,
            claims: Claims { all: claims.items, may_make: allowed(actor, Act::Claims), hook: self.hook.is_some() },
            registered,
            shared: self.shared_secrets(actor).await?,
            batch: None,
            import: None,
            profiles: self.pki.profile_choices(&mut self.db.read().await?, &actor.org).await?,
            settings: self.enrolment_settings(actor).await?,
            may_approve: allowed(actor, Act::ApproveDevices),
            may_open: allowed(actor, Act::OpenEnrolment),
            may_edit: allowed(actor, Act::Enrol),
            may_revoke: allowed(actor, Act::Revoke),
            server_keys: self.pki.server_key_rule(&mut self.db.read().await?, actor.org.as_str()).await?,
            signer_lost: self.pki.not_signing(Some(&actor.org)).map(Into::into),
            at: self.clock.now(),
        })
    }

    /// Every group, and the deleted ones that an authority's policy still names.
    async fn groups_to_give(&self, actor: &Actor, registered: &RegisteredAuthorities) -> Result<Vec<GivenGroup>, Error> {
        let mut on = self.db.read().await?;
        let mut groups = given_groups::choices(&mut on, &actor.org).await?;
        let kept: Vec<&str> = registered.all.iter().flat_map(|a| a.policy.groups.iter().map(String::as_str)).collect();
        let named = Named::of(&mut on, &actor.org, &kept).await?;
        for group in kept.iter().flat_map(|id| named.groups(id)).filter(|group| group.deleted) {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(groups)
    }
}
