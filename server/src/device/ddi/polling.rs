//! The base resource: what a device finds when it asks, and when it asks again.

use super::{Asker, action, confirmation};
use crate::{device::Devices, http::fault::Problem};
use axum::{extract::State, response::Response};
use fleet::rollouts::ddi::{Ask, Task};
use serde_json::{Map, json};

/// How long a device sleeps between two polls, `HH:MM:SS`: hawkBit's own default.
const SLEEP: &str = "00:05:00";
/// How long while it has something to do: a cancellation finds it sooner.
const BUSY: &str = "00:00:30";

/// `GET /{tenant}/controller/v1/{controller}`. Links that do not apply are left out; clients look whether one is there.
pub(super) async fn base(State(devices): State<Devices>, asker: Asker) -> Result<Response, Problem> {
    let ask = if asker.waits() { Ask::NOTHING } else { devices.fleet.rollouts().ask_ddi(asker.org(), asker.device()).await? };
    let mut links = Map::new();
    let mut link = |name: &str, below: String| links.insert(name.to_owned(), json!({ "href": asker.url(&below) }));
    match ask.task {
        Task::Nothing => None,
        Task::Install(number) => link("deploymentBase", format!("deploymentBase/{}", action::id(number))),
        Task::Confirm(number) => link(confirmation::BASE, format!("{}/{}", confirmation::BASE, action::id(number))),
        // Clients append to it, so it has no query.
        Task::Cancel(number) => link("cancelAction", format!("cancelAction/{}", action::id(number))),
    };
    if let Some(number) = ask.installed {
        link("installedBase", format!("installedBase/{}", action::id(number)));
    }
    // Some clients send their attributes as long as they are asked for them, again and again.
    if !devices.fleet.devices().is_described(asker.device()).await? {
        link("configData", "configData".to_owned());
    }
    let sleep = if ask.task == Task::Nothing { SLEEP } else { BUSY };
    Ok(asker.answer(&json!({ "config": { "polling": { "sleep": sleep } }, "_links": links })))
}
