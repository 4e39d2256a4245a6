//! hawkBit's Direct Device Integration (DDI) on the device listener, so that devices with SWUpdate, rauc-hawkbit-updater, Zephyr's client and their
//! like are updated as any other. Owns addresses, links and who may ask for what; the rules of updates are the core's.
//!
//! Over mutual TLS the path's organization and controller id must be those of the certificate's row; both name nobody, they are only compared. On the
//! enrol listener, where a certificate is optional, a shared secret speaks for the device that they name, if the core lets it. An update is an
//! action, its id made of its number ([`action`]); the same id stands for its software module. Nothing of its release is written twice.

mod action;
mod artifacts;
mod attributes;
mod body;
mod cancel;
mod confirmation;
mod deployment;
mod feedback;
mod polling;
mod speaker;

use super::{Devices, whole::Whole};
use crate::http::{asked, fault::Problem, tags};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path},
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, VARY},
        request::Parts,
        uri::Authority,
    },
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use fleet::{access::Actor, rollouts::ddi::Action};
use serde_json::Value;
use speaker::Speaker;
use std::collections::BTreeMap;
use wire::{Fault, FaultKind, ids::OrgId};

/// Most bytes of a body: SWUpdate sends its log, about 100 KiB of it.
const LARGEST_BODY: usize = 256 * 1024;

/// A body, read whole and in time.
type Said = Whole<LARGEST_BODY>;

/// The protocol's addresses, behind mutual TLS and for shared secrets.
pub(super) fn routes() -> Router<Devices> {
    Router::new()
        .route("/{tenant}/controller/v1/{controller}", get(polling::base))
        .route("/{tenant}/controller/v1/{controller}/configData", put(attributes::set))
        .route("/{tenant}/controller/v1/{controller}/deploymentBase/{action}", get(deployment::deploy))
        .route("/{tenant}/controller/v1/{controller}/deploymentBase/{action}/feedback", post(feedback::hear))
        .route("/{tenant}/controller/v1/{controller}/installedBase", put(attributes::runs))
        .route("/{tenant}/controller/v1/{controller}/installedBase/{action}", get(deployment::installed))
        .route("/{tenant}/controller/v1/{controller}/cancelAction/{action}", get(cancel::show))
        .route("/{tenant}/controller/v1/{controller}/cancelAction/{action}/feedback", post(cancel::hear))
        .route("/{tenant}/controller/v1/{controller}/confirmationBase", get(confirmation::base))
        // These come into the books. What devices ask again and again does not.
        .route("/{tenant}/controller/v1/{controller}/confirmationBase/activateAutoConfirm", asked::each(post(confirmation::activate)))
        .route("/{tenant}/controller/v1/{controller}/confirmationBase/deactivateAutoConfirm", asked::each(post(confirmation::deactivate)))
        .route("/{tenant}/controller/v1/{controller}/confirmationBase/{action}", get(confirmation::show))
        .route("/{tenant}/controller/v1/{controller}/confirmationBase/{action}/feedback", post(confirmation::hear))
        .route("/{tenant}/controller/v1/{controller}/softwaremodules/{action}/artifacts", get(artifacts::list))
        .route("/{tenant}/controller/v1/{controller}/softwaremodules/{action}/artifacts/{file}", get(artifacts::get))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
}

/// A device that asks about itself.
struct Asker {
    speaker: Speaker,
    /// Its own address, as it wrote it: scheme, host, organization and controller id.
    base: String,
    /// The path's variables.
    path: BTreeMap<String, String>,
    /// The media type it likes best.
    media: &'static str,
    /// The documents that it holds already.
    held: HeaderMap,
}

impl FromRequestParts<Devices> for Asker {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, devices: &Devices) -> Result<Self, Problem> {
        let path = Path::<BTreeMap<String, String>>::from_request_parts(parts, devices).await.map_err(|_| missing())?.0;
        let word = |name: &str| path.get(name).map(String::as_str).unwrap_or_default();
        let (tenant, controller) = (word("tenant"), word("controller"));
        let speaker = Speaker::of(parts, devices, tenant, controller).await?;
        devices.fleet.devices().seen(speaker.device);
        let base = format!("{}/{tenant}/controller/v1/{controller}", origin(parts, devices, speaker.by_secret));
        let held = parts.headers.get_all(IF_NONE_MATCH).iter().map(|tag| (IF_NONE_MATCH, tag.clone())).collect();
        Ok(Self { speaker, base, media: media(&parts.headers), path, held })
    }
}

impl Asker {
    /// Its number in the core.
    fn device(&self) -> i64 {
        self.speaker.device
    }

    /// Its organization.
    fn org(&self) -> &OrgId {
        &self.speaker.org
    }

    /// Whether a person has not let it in yet.
    fn waits(&self) -> bool {
        self.speaker.waits
    }

    /// The device as an actor.
    fn actor(&self) -> Actor {
        Actor::device(&self.speaker.org, self.speaker.device, &self.speaker.device_id, &self.speaker.address)
    }

    /// An absolute address of its own.
    fn url(&self, below: &str) -> String {
        format!("{}/{below}", self.base)
    }

    /// An error as long as a person has not let it in.
    fn let_in(&self) -> Result<(), Problem> {
        if self.waits() {
            return Err(Problem(Fault::new(
                FaultKind::Forbidden,
                "device_waits",
                "A person has not let this device in yet. It finds what there is for it once that is done.",
            )));
        }
        Ok(())
    }

    /// Its own action that the path names.
    async fn action(&self, devices: &Devices) -> Result<Action, Problem> {
        self.let_in()?;
        let number = self.path.get("action").and_then(|id| action::number(id)).ok_or_else(missing)?;
        devices.fleet.rollouts().action(self.device(), number).await?.ok_or_else(missing)
    }

    /// A document in the media type it likes best, with a strong tag; nothing but that for a device that holds it already. It was seen all the same.
    fn answer(&self, document: &Value) -> Response {
        let body = document.to_string();
        // The same content in another type is another representation.
        let tag = tags::of(format!("{}\n{body}", self.media).as_bytes());
        // It may keep it, and asks each time whether it is still that.
        let fresh = [(ETAG, tag.clone()), (CACHE_CONTROL, "private, no-cache".to_owned()), (VARY, "accept".to_owned())];
        if tags::held(&self.held, &tag) {
            return (StatusCode::NOT_MODIFIED, fresh).into_response();
        }
        (fresh, [(CONTENT_TYPE, self.media)], body).into_response()
    }
}

/// The scheme and host under which the device has reached us: that address surely works for it.
fn origin(parts: &Parts, devices: &Devices, by_secret: bool) -> String {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let host = host.or_else(|| parts.uri.authority().cloned()).filter(|host| !host.as_str().contains('@'));
    let own = || if by_secret { devices.fleet.devices().enrol_url() } else { &devices.device_url };
    host.map_or_else(|| own().trim_end_matches('/').to_owned(), |host| format!("https://{host}"))
}

/// hawkBit's own type, except for those who ask for plain JSON.
fn media(headers: &HeaderMap) -> &'static str {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("application/json") && !accept.contains("hal+json") { "application/json" } else { "application/hal+json" }
}

/// What isn't the device's own business looks like what isn't there.
fn missing() -> Problem {
    Problem(Fault::new(FaultKind::NotFound, "not_found", "There is no such thing for this device."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn plain_json_is_for_those_who_ask_for_it() {
        let cases = [
            ("", "application/hal+json"),
            ("*/*", "application/hal+json"),
            ("application/json;charset=UTF-8", "application/json"),
            ("application/hal+json, application/json", "application/hal+json"),
            ("application/octet-stream", "application/hal+json"),
        ];
        for (accept, expected) in cases {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(media(&headers), expected, "{accept}");
        }
    }
}
