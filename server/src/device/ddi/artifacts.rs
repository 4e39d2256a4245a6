//! The files of an action: their list, their bytes by the native protocol's download, and MD5 as a text.

use super::{Asker, action, missing};
use crate::{
    device::{Devices, artifacts::serve},
    http::{fault::Problem, guard::encode},
};
use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderMap, Method,
        header::{CONTENT_LENGTH, CONTENT_TYPE, RANGE},
    },
    response::{IntoResponse as _, Response},
};
use fleet::rollouts::ddi::Action;
use futures::StreamExt as _;
use serde_json::{Value, json};
use wire::{
    device::StatusReport,
    ids::Digest,
    manifest::{Manifest, Payload},
    states::UpdateState,
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
    let of_name = |name: &str| release.manifest.payloads.iter().find(|p| p.name == name).map(|p| p.sha256.clone());
    if let Some(digest) = of_name(name) {
        return download(&devices, &action, &digest, &method, &headers).await;
    }
    let stem = name.strip_suffix(MD5SUM).ok_or_else(missing)?;
    let digest = of_name(stem).ok_or_else(missing)?;
    let md5 = devices.fleet.releases().checksums(&digest).await?.md5;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{md5}  {stem}")).into_response())
}

/// The bytes. That a device fetches is its word that it downloads, and that it was given the end is as good as its word that it has all: SWUpdate
/// says neither.
async fn download(devices: &Devices, action: &Action, digest: &Digest, method: &Method, headers: &HeaderMap) -> Result<Response, Problem> {
    let response = serve(devices, action.device, digest, method, headers).await?;
    if method != Method::GET || !response.status().is_success() || action.state > UpdateState::Downloading {
        return Ok(response);
    }
    if action.state < UpdateState::Downloading {
        devices.fleet.rollouts().report(action.device, says(action, UpdateState::Downloading)).await?;
    }
    // Who reads here and there, as a streaming install does, has not the whole file when it reads the end.
    let range = headers.get(RANGE).map(|range| range.to_str().unwrap_or_default().trim());
    if range.is_some_and(|range| !range.ends_with('-')) {
        return Ok(response);
    }
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    Ok(watched(response, length.unwrap_or(u64::MAX), devices.clone(), action))
}

/// Reports when the last of so many bytes is on its way.
fn watched(response: Response, length: u64, devices: Devices, action: &Action) -> Response {
    let (head, body) = response.into_parts();
    let (mut left, device, mut report) = (length, action.device, Some(says(action, UpdateState::Downloaded)));
    let bytes = body.into_data_stream().then(move |piece| {
        left = left.saturating_sub(piece.as_ref().map_or(0, |bytes| bytes.len() as u64));
        let report = if left == 0 { report.take() } else { None };
        let devices = devices.clone();
        async move {
            if let Some(report) = report {
                note(&devices, device, report).await;
            }
            piece
        }
    });
    Response::from_parts(head, Body::from_stream(bytes))
}

/// A download does not fail because its end can't be noted; the device's own words follow.
async fn note(devices: &Devices, device: i64, report: StatusReport) {
    let update = report.update_id.clone();
    if let Err(error) = devices.fleet.rollouts().report(device, report).await {
        tracing::warn!(%update, %error, "the end of a download was not noted");
    }
}

fn says(action: &Action, state: UpdateState) -> StatusReport {
    StatusReport { update_id: action.update.clone(), state, progress: None, code: None, detail: None, firmware: None }
}
