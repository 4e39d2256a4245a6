//! Enrolment over Secure Transport on the enrol listener (RFC 7030, 8951, 9908; E-12 to E-16), for device stacks that know nothing of us.
//! Owns addresses, media types and what is asked for; the rules are the core's, the words of answers are `answer.rs`'s.

mod answer;
mod credential;

use super::{Devices, address, whole::whole};
use crate::tls::ChannelBinding;
use answer::{Answer, Refusal};
use axum::{
    body::{Body, HttpBody as _},
    extract::{Path, Request, State},
    http::{Method, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use fleet::{
    access::Actor,
    devices::{Attempt, Over},
    pki::{
        Claimant, DevicePeer,
        csr::Channel,
        est::{self, Label},
    },
};
use std::{collections::BTreeMap, sync::Arc};
use wire::{Fault, FaultKind, enrolment::EnrolRequest, ids::OrgId};

/// Everything below it is answered here, so that no answer has the shape of another face.
pub(super) const ROUTE: &str = "/.well-known/est/{*operation}";

/// `/.well-known/est/[label/]operation`; a label is the slug of an organization, or behind a dot one of its profiles as well (`default.month`); without one it
/// is the installation's own organization.
pub(super) async fn serve(State(devices): State<Devices>, Path(path): Path<String>, request: Request) -> Response {
    let asked_about = request.method() == Method::HEAD;
    let response = match operate(&devices, &path, request).await {
        Ok(answer) => answer.into_response(),
        Err(refusal) => refusal.into_response(),
    };
    if asked_about { without_body(response) } else { response }
}

async fn operate(devices: &Devices, path: &str, request: Request) -> Result<Answer, Refusal> {
    let (label, operation) = path.rsplit_once('/').map_or((None, path), |(label, operation)| (Some(label), operation));
    let at = match Place::of(devices, label).await {
        Ok(at) => at,
        Err(refusal) => {
            if request.method() == Method::POST {
                turned_away(devices, operation, &refusal);
            }
            return Err(refusal);
        }
    };
    let at = &at;
    match operation {
        "cacerts" => {
            to_read(&request)?;
            // Read before the certificates: what came between is in the next fetch.
            let version = devices.fleet.pki().trust_bundle(&at.org).version;
            let all = devices.fleet.pki().ca_certificates(&at.org);
            let whole = request.method() == Method::GET;
            let peer = request.extensions().get::<Arc<DevicePeer>>().cloned().filter(|peer| whole && peer.org == at.org);
            if let Some(peer) = peer {
                super::enrol::fetched(devices, &peer, version).await;
            }
            Ok(Answer::certificates(all.iter().map(AsRef::as_ref)))
        }
        "csrattrs" => {
            to_read(&request)?;
            let secret = credential::secret(request.headers()).unwrap_or_default();
            let claim = request.extensions().get::<Arc<Claimant>>().map(|c| &c.claim);
            let over = Over { claim, ..at.over() };
            Ok(Answer::attributes(&devices.fleet.devices().keys_for(&secret, over).await?))
        }
        "simpleenroll" => {
            only(&Method::POST, &request)?;
            let outcome = enrol(devices, at, request).await;
            super::enrol::count(devices, outcome.as_ref().map_err(Refusal::code));
            outcome
        }
        "simplereenroll" => {
            only(&Method::POST, &request)?;
            let outcome = reenrol(devices, at, request).await;
            super::enrol::count_renewal(devices, outcome.as_ref().map_err(Refusal::code));
            outcome
        }
        "serverkeygen" if devices.fleet.pki().makes_keys() => {
            only(&Method::POST, &request)?;
            let outcome = make_key(devices, at, request).await;
            super::enrol::count(devices, outcome.as_ref().map_err(Refusal::code));
            outcome
        }
        // RFC 7030 §6 advises against it, and a key that was never here can't be taken from here (E-8).
        "serverkeygen" => {
            let what = "This server makes no keys for devices. Make the key on the device and use simpleenroll.";
            let refusal = Refusal::from(Fault::new(FaultKind::NotFound, "server_keys_off", what));
            if request.method() == Method::POST {
                turned_away(devices, operation, &refusal);
            }
            Err(refusal)
        }
        "fullcmc" => Err(missing("Full CMC is not offered. Use simpleenroll or simplereenroll.")),
        _ => Err(missing("There is no such operation. EST has cacerts, csrattrs, simpleenroll and simplereenroll here.")),
    }
}

/// What an address names beside the operation.
struct Place {
    org: OrgId,
    /// Whether it has a label.
    named: bool,
    profile: Option<String>,
}

impl Place {
    async fn of(devices: &Devices, label: Option<&str>) -> Result<Self, Refusal> {
        let Some(label) = label else { return Ok(Self { org: devices.fleet.default_org().clone(), named: false, profile: None }) };
        let found = devices.fleet.pki().label(label).await?;
        let Some(Label { org, profile }) = found else {
            let what = "There is no such label. Leave it out, or ask an operator for it.";
            return Err(Fault::new(FaultKind::NotFound, "unknown_label", what).into());
        };
        Ok(Self { org, named: true, profile })
    }

    fn over(&self) -> Over<'_> {
        Over { org: self.named.then_some(&self.org), profile: self.profile.as_deref(), open: Some(&self.org), ..Over::default() }
    }

    /// Refuses a device of another organization, and a certificate of another profile than the one that is named.
    fn takes(&self, peer: &DevicePeer, gives: &str) -> Result<(), Refusal> {
        if peer.org != self.org {
            return Err(missing("There is no such label for this device. Leave it out."));
        }
        match &self.profile {
            Some(asked) if asked != gives => {
                Err(fleet::devices::Error::OtherProfile { asked: asked.clone(), given: gives.to_owned() }.into())
            }
            _ => Ok(()),
        }
    }
}

fn missing(message: &str) -> Refusal {
    Fault::new(FaultKind::NotFound, "not_found", message).into()
}

/// Counts what was refused before its operation began: a scan for labels and operations is seen as well.
fn turned_away(devices: &Devices, operation: &str, refusal: &Refusal) {
    let outcome = Err::<(), _>(refusal.code());
    match operation {
        "simpleenroll" | "serverkeygen" => super::enrol::count(devices, outcome),
        "simplereenroll" => super::enrol::count_renewal(devices, outcome),
        _ => {}
    }
}

fn only(method: &Method, request: &Request) -> Result<(), Refusal> {
    if request.method() == method { Ok(()) } else { Err(Refusal::Method(method.clone())) }
}

/// What is read may be asked about, too (RFC 9110 §9.3.2).
fn to_read(request: &Request) -> Result<(), Refusal> {
    if request.method() == Method::HEAD { Ok(()) } else { only(&Method::GET, request) }
}

/// An answer to HEAD: all of it but the body, the length of which is said.
fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(parts, Body::empty())
}

async fn enrol(devices: &Devices, at: &Place, request: Request) -> Result<Answer, Refusal> {
    let peer = request.extensions().get::<Arc<DevicePeer>>().cloned();
    let asking = Asking::of(request).await?;
    // A token counts before a certificate, as with claims.
    if let Some(peer) = peer.filter(|peer| asking.secret.is_empty() && devices.fleet.pki().is_foreign(peer)) {
        return exchange(devices, at, &peer, &asking).await;
    }
    let enrolled = devices.fleet.devices().enrol_over(asking.attempt(), asking.over(devices, at)).await?;
    Answer::certificate(&enrolled.certificate)
}

/// The same with a key that is made here: the request's own is only there to prove that whoever asks holds one (RFC 7030 §4.4.1, E-8).
async fn make_key(devices: &Devices, at: &Place, request: Request) -> Result<Answer, Refusal> {
    let asking = Asking::of(request).await?;
    let made = devices.fleet.devices().enrol_with_server_key(asking.attempt(), asking.over(devices, at)).await?;
    Answer::with_key(&made.enrolled.certificate, made.key)
}

/// A device that asks for its first certificate.
struct Asking {
    parts: Parts,
    secret: String,
    address: String,
    request: EnrolRequest,
}

impl Asking {
    async fn of(request: Request) -> Result<Self, Refusal> {
        let (parts, csr) = asked(request).await?;
        let (device_id, device_type, hardware) = (None, String::new(), String::new());
        let request = EnrolRequest { csr, device_id, device_type, hardware, attributes: BTreeMap::new() };
        let (secret, address) = (credential::secret(&parts.headers).unwrap_or_default(), address(&parts.extensions));
        Ok(Self { parts, secret, address, request })
    }

    fn attempt(&self) -> Attempt<'_> {
        Attempt { secret: &self.secret, request: &self.request, address: &self.address }
    }

    fn over<'a>(&'a self, devices: &Devices, at: &'a Place) -> Over<'a> {
        let claim = self.parts.extensions.get::<Arc<Claimant>>().map(|c| &c.claim);
        Over { channel: channel(devices, &self.parts), claim, ..at.over() }
    }
}

/// A certificate of ours for a device that shows its own authority's (802.1AR; E-10).
async fn exchange(devices: &Devices, at: &Place, peer: &Arc<DevicePeer>, asking: &Asking) -> Result<Answer, Refusal> {
    at.takes(peer, "")?;
    let actor = acting(peer, &asking.address);
    let csr = asking.request.csr.as_bytes();
    let enrolled = devices.fleet.pki().exchange(&actor, peer, csr, channel(devices, &asking.parts), &devices.device_url).await?;
    Answer::certificate(&enrolled.certificate)
}

fn acting(peer: &DevicePeer, address: &str) -> Actor {
    Actor::device(&peer.org, peer.device, &peer.device_id, address)
}

/// Over the certificate that is renewed; a token alone renews nothing.
async fn reenrol(devices: &Devices, at: &Place, request: Request) -> Result<Answer, Refusal> {
    let peer = request.extensions().get::<Arc<DevicePeer>>().cloned().ok_or_else(|| {
        Fault::new(FaultKind::Unauthenticated, "no_certificate", "Connect with the client certificate that is to be renewed.")
    })?;
    // Read where it is compared alone: a renewal at an address without a profile looks its certificate up once.
    let gives = if at.profile.is_some() { devices.fleet.pki().profile_of(&peer).await? } else { String::new() };
    at.takes(&peer, &gives)?;
    let (parts, csr) = asked(request).await?;
    let actor = acting(&peer, &address(&parts.extensions));
    let enrolled = devices.fleet.pki().reenrol(&actor, &peer, csr.as_bytes(), channel(devices, &parts), &devices.device_url).await?;
    Answer::certificate(&enrolled.certificate)
}

/// What a CSR that says which connection it came by is held against (E-12).
fn channel<'a>(devices: &Devices, parts: &'a Parts) -> Option<Channel<'a>> {
    if devices.ignores_binding {
        return Some(Channel::Ignored);
    }
    parts.extensions.get::<ChannelBinding>().map(|binding| Channel::Exporter(&binding.0))
}

/// The CSR in a request, PEM. Content-Transfer-Encoding is not looked at (RFC 8951 §3).
async fn asked(request: Request) -> Result<(Parts, String), Refusal> {
    let (parts, body) = request.into_parts();
    let unsupported = |message: &str| Fault::new(FaultKind::Unsupported, "media_type", message);
    let media = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !media.split(';').next().is_some_and(|m| m.trim().eq_ignore_ascii_case("application/pkcs10")) {
        return Err(unsupported("Send the CSR with Content-Type: application/pkcs10.").into());
    }
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(unsupported("Send the CSR without Content-Encoding.").into());
    }
    let body = whole(body).await.map_err(|problem| problem.0)?;
    let csr = est::request(&body).map_err(|e| e.fault())?;
    Ok((parts, csr))
}
