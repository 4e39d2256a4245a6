//! What pages and other rooms ask about certificates.

use super::{Error, Pki, csr::sha256, profile::Kind, store};
use crate::{
    access::{Act, Actor, allowed, may},
    db::Conn,
};
use std::sync::Arc;
use wire::{
    Timestamp,
    ids::{DeviceId, OrgId},
    page::{DEFAULT_ROWS, MAX_ROWS, Page},
    pki::{AuthorityRow, CertificateQuery, CertificateRow, CertificatesPage},
};

impl Pki {
    /// Device certificates, those that end first in front, and the authorities.
    pub async fn certificates_page(&self, actor: &Actor, query: &CertificateQuery) -> Result<CertificatesPage, Error> {
        may(actor, Act::Read)?;
        let (end, id) = match &query.cursor {
            Some(cursor) => cursor.split_once('.').and_then(|(end, id)| Some((end.parse().ok()?, id))).ok_or(Error::Cursor)?,
            None => (i64::MIN, ""),
        };
        let limit = usize::try_from(query.rows.unwrap_or(DEFAULT_ROWS).clamp(1, MAX_ROWS)).unwrap_or(1);
        let state = query.state.map_or("", wire::states::CertificateState::as_str);
        let mut on = self.db.read().await?;
        let ask = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let mut found = store::page(&mut on, &actor.org, state, (end, id), ask).await?;
        let total = store::count(&mut on, &actor.org, state).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|last| format!("{}.{}", last.not_after, last.id));
        let items = found.into_iter().map(listed).collect::<Result<_, _>>()?;
        Ok(CertificatesPage {
            certificates: Page { items, next, total },
            authorities: self.authorities_of(&actor.org),
            may_revoke: allowed(actor, Act::Revoke),
            at: self.clock.now(),
        })
    }

    /// A device's certificates, newest first, at most fifty.
    pub(crate) async fn certificates_of(&self, on: &mut impl Conn, device: i64) -> Result<Vec<CertificateRow>, Error> {
        store::of_device(on, device).await?.into_iter().map(listed).collect()
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

    /// The listeners' root: that of the oldest organization, which owns the installation.
    fn root(&self, form: impl FnOnce(&[u8]) -> String) -> String {
        self.authorities.load().iter().find(|a| a.kind == Kind::Root && a.trusted()).map(|a| form(&a.der)).unwrap_or_default()
    }
}

fn shown(a: &Arc<super::authorities::Authority>) -> AuthorityRow {
    AuthorityRow {
        id: a.id.clone(),
        kind: a.kind.as_str().to_owned(),
        subject: a.subject.clone(),
        fingerprint: hex::encode(a.fingerprint),
        not_before: a.not_before,
        not_after: a.not_after,
        state: a.state,
        pem: crate::pem::encode("CERTIFICATE", &a.der),
    }
}

fn listed(r: store::ListRecord) -> Result<CertificateRow, Error> {
    Ok(CertificateRow {
        id: r.id.parse().map_err(crate::db::Error::corrupt)?,
        device_id: r.subject.parse::<DeviceId>().map_err(crate::db::Error::corrupt)?,
        serial: hex::encode(r.serial),
        fingerprint: hex::encode(r.fingerprint),
        issuer: r.issuer,
        key_alg: r.key_alg,
        not_before: Timestamp(r.not_before),
        not_after: Timestamp(r.not_after),
        state: r.state.parse().map_err(crate::db::Error::corrupt)?,
        reason: r.reason,
        first_used_at: r.first_used_at.map(Timestamp),
    })
}
