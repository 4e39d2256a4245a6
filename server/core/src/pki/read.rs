//! What pages and other rooms ask about certificates.

use super::{Error, Pki, authorities, csr::sha256, decode::decode, store};
use crate::{
    access::{Act, Actor, allowed, may},
    db::{Conn, containing},
};
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{AuthorityId, CertificateId, DeviceId, OrgId},
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    pki::{AuthorityRow, CertificateDetail, CertificateQuery, CertificateRow, CertificateSort, CertificatesPage, OWNERS_LIST, WEEKS},
    states::{CertificateState, KeyPlace},
};

impl Pki {
    /// Device certificates in the order asked for, and the authorities. An order of revoked ones lists only these.
    pub async fn certificates_page(&self, actor: &Actor, query: &CertificateQuery) -> Result<CertificatesPage, Error> {
        may(actor, Act::Read)?;
        let sort = query.sort.unwrap_or(CertificateSort::End);
        let after = match &query.cursor {
            Some(cursor) => placed(cursor, sort).ok_or(Error::Cursor)?,
            None => store::Place::start(sort),
        };
        let state = if sort.of_revoked() { Some(CertificateState::Revoked) } else { query.state };
        let limit = usize::try_from(query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS)).unwrap_or(1);
        let now = self.clock.now();
        let sought = Sought::of(&query.q);
        let alarmed = self.alarmed(&actor.org).await?;
        let narrowed = store::Narrowed {
            org: &actor.org,
            state: state.map_or("", CertificateState::as_str),
            ends: window(query, state.is_none(), now),
            like: &sought.like,
            hex: (&sought.hex.0, &sought.hex.1),
            authority: query.authority.as_ref().map_or("", AuthorityId::as_str),
        };
        let mut on = self.db.read().await?;
        let ask = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let total = store::count(&mut on, &narrowed).await?;
        let mut found = store::page(&mut on, &narrowed, (sort, total), &after, ask).await?;
        let mut weeks = vec![0; WEEKS as usize];
        for (week, count) in store::ends_by_week(&mut on, &actor.org, now, now.plus(i64::from(WEEKS) * WEEK)).await? {
            if let Some(slot) = usize::try_from(week).ok().and_then(|week| weeks.get_mut(week)) {
                *slot = count;
            }
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|(_, place)| cursor(place, sort));
        let items = found.into_iter().map(|(record, _)| listed(record)).collect::<Result<_, _>>()?;
        Ok(CertificatesPage {
            clock: self.clock(actor)?,
            certificates: Page { items, next, total },
            authorities: self.authorities_of(&actor.org),
            alarmed,
            weeks,
            may_revoke: allowed(actor, Act::Revoke),
            at: now,
        })
    }

    /// One device certificate: what is written in it, where it stands, and its chain.
    pub async fn certificate(&self, actor: &Actor, id: &CertificateId) -> Result<CertificateDetail, Error> {
        may(actor, Act::Read)?;
        let mut on = self.db.read().await?;
        let found = store::detail(&mut on, id, &actor.org).await?.ok_or(Error::NotFound)?;
        let (same_key, same_key_usable) = store::same_key(&mut on, id, &actor.org, self.clock.now()).await?;
        drop(on);
        // Nobody here has revoked it, so nobody here can say more about it.
        let owners = found.listed.reason == OWNERS_LIST;
        let row = listed(found.listed)?;
        let chain: Vec<AuthorityRow> = authorities::up(&self.authorities.load(), &row.issuer_id).into_iter().map(shown).collect();
        let alarmed = self.alarmed_in(&actor.org, &chain).await?;
        let revoked_by = if owners { owners_list(&found.owner_list) } else { found.revoked_by };
        let id_of = |id: Option<String>| id.map(|id| id.parse().map_err(crate::db::Error::corrupt)).transpose();
        Ok(CertificateDetail {
            revoked_at: row.revoked_at,
            row,
            issued_at: Timestamp(found.issued_at),
            enrolled_by: found.enrolled_by,
            profile: found.validity_profile,
            usable_until: Timestamp(found.usable_until),
            replaces: id_of(found.replaces_id)?,
            replaced_by: id_of(found.replaced_by)?,
            revoked_by,
            invalidity_date: found.invalidity_date.map(Timestamp),
            revocation_note: found.revocation_note,
            raised_at: found.raised_at.map(Timestamp),
            raised_by: found.raised_by,
            same_key,
            same_key_usable,
            decoded: decode(&found.der).ok_or_else(|| crate::db::Error::corrupt("a certificate that is none"))?,
            pem: crate::pem::encode("CERTIFICATE", &found.der),
            chain,
            alarmed,
            may_revoke: !owners && allowed(actor, Act::Revoke),
            at: self.clock.now(),
        })
    }

    /// Those of the organization's authorities that have an alarm, the newest first.
    async fn alarmed(&self, org: &OrgId) -> Result<Vec<AuthorityId>, Error> {
        Ok(self.alarms(org, i64::from(MAX_ROWS)).await?.into_iter().map(|(id, ..)| id).collect())
    }

    /// Those of a chain that have an alarm.
    pub(super) async fn alarmed_in(&self, org: &OrgId, chain: &[AuthorityRow]) -> Result<Vec<AuthorityId>, Error> {
        let mut alarmed = self.alarmed(org).await?;
        alarmed.retain(|id| chain.iter().any(|a| a.id == *id));
        Ok(alarmed)
    }

    /// A device certificate's bytes, DER.
    pub async fn certificate_der(&self, actor: &Actor, id: &CertificateId) -> Result<Vec<u8>, Error> {
        may(actor, Act::Read)?;
        Ok(store::detail(&mut self.db.read().await?, id, &actor.org).await?.ok_or(Error::NotFound)?.der)
    }

    /// A device's certificates, newest first, at most fifty.
    pub(crate) async fn certificates_of(&self, on: &mut impl Conn, device: i64) -> Result<Vec<CertificateRow>, Error> {
        store::of_device(on, device).await?.into_iter().map(listed).collect()
    }

    /// The ids of a device's certificates, newest first; as many as its page shows.
    pub(crate) async fn certificate_ids(&self, device: i64) -> Result<Vec<CertificateId>, Error> {
        let own = self.certificates_of(&mut self.db.read().await?, device).await?;
        Ok(own.into_iter().map(|c| c.id).collect())
    }

    /// How many active certificates without a used successor end before this instant.
    pub(crate) async fn expiring(&self, org: &OrgId, until: Timestamp) -> Result<i64, Error> {
        Ok(store::expiring(&mut self.db.read().await?, org, self.clock.now(), until).await?)
    }

    /// The organization's authorities, root first.
    pub(crate) fn authorities_of(&self, org: &OrgId) -> Vec<AuthorityRow> {
        let all = self.authorities.load();
        let mut rows: Vec<_> = all.iter().filter(|a| a.org == *org).map(shown).collect();
        rows.sort_by_key(|row| row.kind != "root");
        rows
    }

    /// SHA-256 of the root certificate in hex: what devices pin on first contact. Empty before the first start is through.
    pub fn root_fingerprint(&self) -> String {
        self.root(|der| hex::encode(sha256(der)))
    }

    /// The root certificate, PEM.
    pub fn root_pem(&self) -> String {
        self.root(|der| crate::pem::encode("CERTIFICATE", der))
    }

    /// The listeners' root: the active one of the oldest organization, which owns the installation.
    fn root(&self, form: impl FnOnce(&[u8]) -> String) -> String {
        let all = self.authorities.load();
        authorities::listeners_root(&all).map(|a| form(&a.der)).unwrap_or_default()
    }
}

/// A place in a list as its cursor, with the order that it is a place in.
fn cursor(place: &store::Place, sort: CertificateSort) -> String {
    let store::Place { at, id, device } = place;
    // A device's id may have points in it, so it stands last.
    if device.is_empty() { format!("{sort}:{at}.{id}") } else { format!("{sort}:{at}.{id}.{device}") }
}

/// The place that a cursor names in this order.
fn placed(cursor: &str, sort: CertificateSort) -> Option<store::Place> {
    let (at, rest) = cursor.strip_prefix(sort.as_str())?.strip_prefix(':')?.split_once('.')?;
    let (id, device) = rest.split_once('.').unwrap_or((rest, ""));
    Some(store::Place { at: at.parse().ok()?, id: id.to_owned(), device: device.to_owned() })
}

/// Which list that is, as the page of authorities names its number.
fn owners_list(number: &str) -> String {
    match number.trim_start_matches('0') {
        "" if number.is_empty() => "its owner's list".to_owned(),
        bare => format!("its owner's list 0x{}", if bare.is_empty() { "0" } else { bare }),
    }
}

const DAY: i64 = 86_400_000;
const WEEK: i64 = 7 * DAY;

/// After which instant, up to which one a certificate must end, and whether only one without a successor in use counts. `any_state` says that none is asked
/// for.
fn window(query: &CertificateQuery, any_state: bool, now: Timestamp) -> (i64, i64, bool) {
    match (query.week, query.within) {
        // A week begins with the instant that the one before ends before.
        (Some(week), _) => {
            let from = now.plus(i64::from(week) * WEEK - 1);
            (from.0, from.plus(WEEK).0, true)
        }
        (None, Some(days)) => (now.0, now.plus(i64::from(days) * DAY).0, true),
        // What depends on an authority: what is in use, and has no successor in use.
        (None, None) if query.authority.is_some() && any_state => (now.0, i64::MAX, true),
        (None, None) => (i64::MIN, i64::MAX, false),
    }
}

/// What is looked for.
struct Sought {
    /// Pattern of device ids.
    like: String,
    /// The range that begins with the hex digits given.
    hex: (Vec<u8>, Vec<u8>),
}

impl Sought {
    fn of(q: &str) -> Self {
        // Fewer than four digits are a part of a name; colons stand between octets where people copy serial numbers from.
        let digits: String = q.trim().chars().filter(|c| *c != ':').collect();
        let from = hex::decode(digits.get(..digits.len() / 2 * 2).unwrap_or_default()).ok().filter(|octets| octets.len() >= 2);
        let hex = from.map_or_else(Default::default, |from| {
            let mut until = from.clone();
            while until.last() == Some(&0xff) {
                until.pop();
            }
            match until.last_mut() {
                Some(last) => *last += 1,
                // Nothing but ones: everything from there on.
                None => until = vec![0xff; 33],
            }
            (from, until)
        });
        Self { like: containing(q), hex }
    }
}

pub(super) fn shown(a: &Arc<super::authorities::Authority>) -> AuthorityRow {
    AuthorityRow {
        id: a.id.clone(),
        kind: a.kind.as_str().to_owned(),
        generation: a.generation,
        issuer: a.issuer_id.clone(),
        subject: a.subject.clone(),
        fingerprint: hex::encode(a.fingerprint),
        not_before: a.not_before,
        not_after: a.not_after,
        state: a.state,
        key: match (a.has_key(), a.on_token()) {
            (true, false) => KeyPlace::Here,
            (false, _) if a.is_offline() => KeyPlace::Offline,
            // Also one out of reach for now, or for this process: it was never taken away from here.
            (true, true) | (false, _) => KeyPlace::Token,
        },
        imported: a.imported,
        exported_at: a.exported_at,
        pem: crate::pem::encode("CERTIFICATE", &a.der),
    }
}

fn listed(r: store::ListRecord) -> Result<CertificateRow, Error> {
    let owners = r.reason == OWNERS_LIST;
    Ok(CertificateRow {
        revoked_at: r.revoked_at.or(r.owner_listed_at.filter(|_| owners)).map(Timestamp),
        id: r.id.parse().map_err(crate::db::Error::corrupt)?,
        device_id: r.subject.parse::<DeviceId>().map_err(crate::db::Error::corrupt)?,
        serial: hex::encode(r.serial),
        fingerprint: hex::encode(r.fingerprint),
        issuer: r.issuer,
        issuer_id: r.issuer_id.parse().map_err(crate::db::Error::corrupt)?,
        key_alg: r.key_alg,
        not_before: Timestamp(r.not_before),
        not_after: Timestamp(r.not_after),
        state: r.state.parse().map_err(crate::db::Error::corrupt)?,
        reason: r.reason,
        key_origin: r.key_origin.parse().map_err(crate::db::Error::corrupt)?,
        first_used_at: r.first_used_at.map(Timestamp),
        renew_ordered_at: r.renew_ordered_at.map(Timestamp),
        renew_due_at: r.renew_ordered_at.and(r.renew_due_at).map(Timestamp),
    })
}
