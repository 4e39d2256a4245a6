//! The files of an action: their list, their bytes by the native protocol's download, and MD5 as a text.

use super::{Asker, action, missing};
use crate::{
    device::{
        Devices,
        artifacts::serve,
        delivered::{first_byte, noted},
    },
    http::{fault::Problem, guard::encode},
};
use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderMap, Method, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, RANGE},
    },
    response::{IntoResponse as _, Response},
};
use fleet::rollouts::{Fetching, ddi::Action};
use futures::StreamExt as _;
use serde_json::{Value, json};
use wire::{
    Timestamp,
    manifest::{Manifest, Payload},
};

/// What hawkBit's clients ask for beside a file.
const MD5SUM: &str = ".MD5SUM";

/// `GET …/softwaremodules/{action}/artifacts`.
pub(super) async fn list(State(devices): State<Devices>, asker: Asker) -> Result<Response, Problem> {
    let action = asker.action(&devices).await?;
    let release = devices.fleet.rollouts().content(&action).await?.ok_or_else(missing)?;
    Ok(asker.answer(&described(&devices, &asker, &action, &release.manifest).await?.into()))
}

/// The files with all their checksums. Both names of each link are given: some clients know only one, and an address is an address.
pub(super) async fn described(devices: &Devices, asker: &Asker, action: &Action, manifest: &Manifest) -> Result<Vec<Value>, Problem> {
    let mut files = Vec::with_capacity(manifest.payloads.len());
    for Payload { name, size, sha256, .. } in &manifest.payloads {
        let sums = devices.fleet.releases().checksums(sha256).await?;
        let file = json!({ "href": asker.url(&format!("softwaremodules/{}/artifacts/{}", action::id(action.number), encode(name))) });
        let md5 = json!({ "href": format!("{}{MD5SUM}", file["href"].as_str().unwrap_or_default()) });
        files.push(json!({
            "filename": name,
            "hashes": { "sha1": sums.sha1, "md5": sums.md5, "sha256": sha256.as_str() },
            "size": size,
            "_links": { "download": file, "download-http": file, "md5sum": md5, "md5sum-http": md5 },
        }));
    }
    Ok(files)
}

/// `GET` and `HEAD …/softwaremodules/{action}/artifacts/{file}`, also with `.MD5SUM` behind it.
pub(super) async fn get(State(devices): State<Devices>, asker: Asker, method: Method, headers: HeaderMap) -> Result<Response, Problem> {
    let action = asker.action(&devices).await?;
    let release = devices.fleet.rollouts().content(&action).await?.ok_or_else(missing)?;
    let name = asker.path.get("file").map(String::as_str).unwrap_or_default();
    let of_name = |name: &str| release.manifest.payloads.iter().find(|p| p.name == name);
    if let Some(payload) = of_name(name) {
        if !action.may_fetch(&release, devices.fleet.clock().now()) {
            return Err(missing());
        }
        let response = serve(&devices, asker.device(), &payload.sha256, &method, &headers).await?;
        if method != Method::GET || !response.status().is_success() {
            return Ok(response);
        }
        return sent(devices, action, (payload, release.manifest.payloads.len() == 1), &headers, response).await;
    }
    let stem = name.strip_suffix(MD5SUM).ok_or_else(missing)?;
    let payload = of_name(stem).ok_or_else(missing)?;
    let md5 = devices.fleet.releases().checksums(&payload.sha256).await?.md5;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{md5}  {stem}")).into_response())
}

/// The bytes. That a device fetches is its word that it downloads, again with each request, which its log says, and as long as they flow; that it was
/// given the end of a release's only file is as good as its word that it has all: SWUpdate says none of that. Which bytes it was sent is noted: of what
/// is only fetched its word that it has them is judged by that, of what is installed its success.
async fn sent(
    devices: Devices,
    action: Action,
    (payload, alone): (&Payload, bool),
    headers: &HeaderMap,
    response: Response,
) -> Result<Response, Problem> {
    // Who reads here and there, as a streaming install does, has not the whole file when it reads the end; and it says itself that it goes on.
    let range = headers.get(RANGE).map(|range| range.to_str().unwrap_or_default().trim());
    let piece = response.status() == StatusCode::PARTIAL_CONTENT && range.is_some_and(|range| !range.ends_with('-'));
    let from = first_byte(&response);
    devices.fleet.rollouts().flow_begins(&action, payload, (!piece).then_some(from)).await?;
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let response = noted(devices.clone(), Fetching::from(&action), payload.sha256.clone(), response);
    if piece {
        return Ok(response);
    }
    let (left, at) = (length.unwrap_or(u64::MAX), devices.fleet.clock().now());
    Ok(watched(response, Watch { devices, action, alone, left, at }))
}

/// A download under way.
#[derive(Clone)]
struct Watch {
    devices: Devices,
    action: Action,
    /// Whether the release has no other file.
    alone: bool,
    /// So many bytes to its end.
    left: u64,
    /// When it was noted last.
    at: Timestamp,
}

/// Notes a few times in each time-out that bytes flow, and that the last of them is on its way.
fn watched(response: Response, mut watch: Watch) -> Response {
    let (head, body) = response.into_parts();
    let bytes = body.into_data_stream().then(move |piece| {
        let size = piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let now = watch.devices.fleet.clock().now();
        let ends = watch.left > 0 && size >= watch.left;
        watch.left = watch.left.saturating_sub(size);
        let due = ends || size > 0 && now.since(watch.at) >= watch.action.timeout_ms / 4;
        let noted = due.then(|| {
            watch.at = now;
            watch.clone()
        });
        async move {
            let Some(watch) = noted else { return piece };
            let update = &watch.action.update;
            if let Err(error) = watch.note().await {
                // A download does not fail because of it; the device's own words follow.
                tracing::warn!(%update, %error, "how a download goes was not noted");
            }
            piece
        }
    });
    Response::from_parts(head, Body::from_stream(bytes))
}

impl Watch {
    async fn note(&self) -> fleet::Result<()> {
        let (rollouts, action) = (self.devices.fleet.rollouts(), &self.action);
        if self.left > 0 {
            return rollouts.flows(action).await;
        }
        rollouts.has_flowed(action, self.alone).await
    }
}
