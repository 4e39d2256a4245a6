//! Registered authorities (E-10): proved, believed under a policy, cut off; and nobody speaks for anybody else.

mod arrivals;
mod authorities;
mod fetched;
mod later;
mod lists;
mod restored;

use super::{Error, World};
use crate::{
    access::Actor,
    db::{Sql, exec},
    pki::{Error as PkiError, Refusal, Refused, RegisteredAnchor},
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;
use time::{Date, Month, OffsetDateTime, Time};
use wire::{
    Timestamp,
    ids::{AuthorityId, DeviceId, OrgId},
    registered::{JustInTime, JustInTimePolicy, NewRegisteredAuthority, RegisteredAuthority},
};

pub(super) const ORGANIZATION: Sql = Sql::same("INSERT INTO organizations (id, slug, name, created_at) VALUES ($1, $2, $2, 0)");
const HEAD: Sql = Sql::same("INSERT INTO audit_heads (org_id, seq, hash) VALUES ($1, 0, $2)");

/// Somebody's authority.
pub(super) struct Theirs {
    pub(super) params: CertificateParams,
    pub(super) key: KeyPair,
    pub(super) der: CertificateDer<'static>,
}

pub(super) fn at(t: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(t.0 / 1000).unwrap()
}

/// `99991231235959Z`: the end of what has none (P-6, RFC 5280 §4.1.2.5).
pub(super) fn never() -> OffsetDateTime {
    OffsetDateTime::new_utc(Date::from_calendar_date(9999, Month::December, 31).unwrap(), Time::from_hms(23, 59, 59).unwrap())
}

pub(super) fn params(w: &World, name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = at(w.clock_now().plus(-3_600_000));
    params.not_after = at(w.clock_now().plus(30 * 86_400_000));
    params
}

pub(super) fn authority_params(w: &World, name: &str) -> CertificateParams {
    let mut params = params(w, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Theirs {
    pub(super) fn new(w: &World, name: &str) -> Self {
        Self::with(authority_params(w, name))
    }

    pub(super) fn with(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    pub(super) fn sign(&self, params: &CertificateParams, key: &KeyPair) -> Vec<u8> {
        params.signed_by(key, &Issuer::from_params(&self.params, &self.key)).unwrap().der().to_vec()
    }

    pub(super) fn leaf(&self, w: &World, name: &str, key: &KeyPair) -> Vec<u8> {
        let mut params = params(w, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params, key)
    }

    pub(super) fn fresh(&self, w: &World, name: &str) -> Vec<u8> {
        self.leaf(w, name, &KeyPair::generate().unwrap())
    }

    /// What proves possession of its key.
    pub(super) fn proof(&self, w: &World, code: &str) -> Vec<u8> {
        self.sign(&params(w, code), &KeyPair::generate().unwrap())
    }

    pub(super) async fn register(&self, w: &World, actor: &Actor) -> Result<RegisteredAuthority, Error> {
        let new = NewRegisteredAuthority { label: "Plant".into(), certificate: crate::pem::encode("CERTIFICATE", &self.der) };
        w.fleet.devices().register_authority(actor, &new).await
    }

    pub(super) async fn enabled(&self, w: &World, actor: &Actor, policy: JustInTimePolicy) -> Arc<RegisteredAnchor> {
        let made = self.register(w, actor).await.unwrap();
        let proof = self.proof(w, &made.code.unwrap());
        w.fleet.pki().verify_authority(actor, &made.id, &proof).await.unwrap();
        w.fleet.devices().enable_authority(actor, &made.id, policy).await.unwrap();
        anchor(w, &made.id)
    }
}

pub(super) fn policy(just_in_time: JustInTime) -> JustInTimePolicy {
    JustInTimePolicy { just_in_time, device_type: "meter".into(), tags: vec!["plant".into()], ..JustInTimePolicy::default() }
}

pub(super) fn anchor(w: &World, id: &AuthorityId) -> Arc<RegisteredAnchor> {
    w.fleet.pki().trust().device_anchors().registered.iter().find(|a| a.id == *id).unwrap().clone()
}

/// One dial: the handshake's answer, and what the worker makes of it.
pub(super) async fn dial(w: &World, anchor: &Arc<RegisteredAnchor>, leaf: &[u8]) -> Result<DeviceId, Refusal> {
    let trust = w.fleet.pki().trust();
    let answer = trust.check_registered(leaf, anchor).map(|peer| peer.device_id);
    if answer == Err(Refusal::Arriving) {
        trust.arrived(leaf, Some([192, 0, 2, 7].into()));
        w.fleet.devices().decide_arrivals().await;
    }
    answer
}

/// Another organization and somebody in it who may all.
pub(super) async fn elsewhere(w: &World) -> Actor {
    let org: OrgId = w.entropy.id(w.clock_now());
    let mut tx = w.fleet.devices().db.write().await.unwrap();
    exec!(&mut tx, ORGANIZATION, org.as_str(), "elsewhere").unwrap();
    exec!(&mut tx, HEAD, org.as_str(), [0_u8; 32].as_slice()).unwrap();
    tx.commit().await.unwrap();
    Actor::system(org)
}

pub(super) async fn audited(w: &World, actor: &Actor, action: &str) -> Vec<String> {
    let page = w.fleet.access().audit_page(actor, None).await.unwrap();
    page.entries.items.into_iter().filter(|e| e.action == action).map(|e| e.detail).collect()
}

pub(super) fn refused<T: std::fmt::Debug>(outcome: Result<T, PkiError>) -> Refused {
    match outcome {
        Err(PkiError::Registered(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

pub(super) fn turned_down<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Refused {
    match outcome {
        Err(Error::Pki(PkiError::Registered(refused))) => refused,
        other => panic!("{other:?}"),
    }
}
