//! Who speaks: a device by its certificate, or somebody by a secret that may speak for it. A certificate counts before a secret, which is then not read.

use super::{Devices, Problem};
use crate::{device::address, http::asked};
use axum::http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use fleet::{
    devices::{Said, Spoken},
    pki::DevicePeer,
};
use std::sync::Arc;
use wire::{
    Fault, FaultKind,
    ids::{DeviceId, OrgId},
};

/// The device that is spoken for.
pub(super) struct Speaker {
    /// Its organization.
    pub org: OrgId,
    /// Its number in the core.
    pub device: i64,
    /// Its name.
    pub device_id: DeviceId,
    /// From where.
    pub address: String,
    /// Whether nothing but a secret says so.
    pub by_secret: bool,
    /// A person has not let it in yet.
    pub waits: bool,
}

impl Speaker {
    /// Who speaks for the device that a path names.
    pub async fn of(parts: &Parts, devices: &Devices, tenant: &str, controller: &str) -> Result<Self, Problem> {
        let address = address(&parts.extensions);
        if let Some(peer) = parts.extensions.get::<Arc<DevicePeer>>() {
            // Clients write the organization in any case.
            let own = devices.fleet.access().slug(&peer.org).await?;
            if !tenant.eq_ignore_ascii_case(&own) || controller != peer.device_id.as_str() {
                return Err(Problem(Fault::new(
                    FaultKind::Forbidden,
                    "other_device",
                    "The address must be that of the certificate: its organization, and its device id as the controller id.",
                )));
            }
            let (org, device_id) = (peer.org.clone(), peer.device_id.clone());
            return Ok(Self { org, device: peer.device, device_id, address, by_secret: false, waits: false });
        }
        let said = said(&parts.headers).ok_or_else(|| {
            Problem(Fault::new(
                FaultKind::Unauthenticated,
                "no_token",
                "Send Authorization: TargetToken … or GatewayToken …, or connect to the device listener with a client certificate.",
            ))
        })?;
        // A first word and a refusal come into the books. A poll does not, and there are many.
        let spoken = asked::seldom(&parts.headers, devices.fleet.devices().spoken_for(tenant, controller, said, &address));
        let Spoken { org, device, device_id, waits } = spoken.await?;
        Ok(Self { org, device, device_id, address, by_secret: true, waits })
    }
}

/// The secret in a request. hawkBit compares the scheme's letters exactly; so do we, because its clients send nothing else.
fn said(headers: &HeaderMap) -> Option<Said<'_>> {
    match headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')? {
        ("TargetToken", secret) => Some(Said::Target(secret.trim())),
        ("GatewayToken", secret) => Some(Said::Gateway(secret.trim())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn two_schemes_hold_a_secret() {
        let cases = [
            ("TargetToken ftt_a", Some(Said::Target("ftt_a"))),
            ("GatewayToken  fgt_a ", Some(Said::Gateway("fgt_a"))),
            ("targettoken ftt_a", None),
            ("Bearer ftt_a", None),
            ("TargetToken", None),
        ];
        for (header, expected) in cases {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(header))]);
            assert_eq!(said(&headers), expected, "{header}");
        }
        assert_eq!(said(&HeaderMap::new()), None);
    }
}
