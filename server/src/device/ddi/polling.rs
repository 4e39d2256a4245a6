//! The base resource: what a device finds when it asks, and when it asks again.

use super::{Asker, action, confirmation, deployment};
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
    let ask = if asker.waits() {
        // A person has not let it in.
        let described = devices.fleet.devices().is_described(asker.device()).await?;
        Ask { task: Task::Nothing, installed: None, waits: false, described }
    } else {
        devices.fleet.rollouts().ask_ddi(asker.org(), asker.device()).await?
    };
    let install = match ask.task {
        Task::Install(number) => Some(deployment_of(&devices, &asker, number).await?),
        Task::Nothing | Task::Confirm(_) | Task::Cancel(_) => None,
    };
    let mut links = Map::new();
    let mut link = |name: &str, below: String| links.insert(name.to_owned(), json!({ "href": asker.url(&below) }));
    match ask.task {
        Task::Nothing => None,
        Task::Install(_) => install.and_then(|below| link("deploymentBase", below)),
        Task::Confirm(number) => link(confirmation::BASE, format!("{}/{}", confirmation::BASE, action::id(number))),
        // Clients append to it, so it has no query.
        Task::Cancel(number) => link("cancelAction", format!("cancelAction/{}", action::id(number))),
    };
    if let Some(number) = ask.installed {
        link("installedBase", format!("installedBase/{}", action::id(number)));
    }
    // Some clients send their attributes as long as they are asked for them, again and again.
    if !ask.described {
        link("configData", "configData".to_owned());
    }
    let sleep = if ask.task == Task::Nothing || ask.waits { SLEEP } else { BUSY };
    Ok(asker.answer(&json!({ "config": { "polling": { "sleep": sleep } }, "_links": links })))
}

/// Where a deployment is read: another address whenever its content has changed, for clients that read it only then.
async fn deployment_of(devices: &Devices, asker: &Asker, number: i64) -> Result<String, Problem> {
    let below = format!("deploymentBase/{}", action::id(number));
    let rollouts = devices.fleet.rollouts();
    let Some(action) = rollouts.action(asker.device(), number).await?.filter(|action| action.timing.told()) else { return Ok(below) };
    let terms = rollouts.terms(&action).await?;
    Ok(deployment::version(&action, &terms).map_or_else(|| below.clone(), |version| format!("{below}?c={version}")))
}
