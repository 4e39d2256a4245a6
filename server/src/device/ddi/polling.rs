//! The base resource: what a device finds when it asks, and when it asks again.

use super::{Asker, action, confirmation, deployment};
use crate::{device::Devices, http::fault::Problem};
use axum::{extract::State, response::Response};
use fleet::rollouts::ddi::{Ask, Task};
use serde_json::{Map, json};

/// Seconds that a device sleeps between two polls: hawkBit's own default.
const SLEEP: u64 = 300;
/// The same while it has something to do: a cancellation finds it sooner.
const BUSY: u64 = 30;

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
    Ok(asker.answer(&json!({ "config": { "polling": { "sleep": asleep(sleep, asker.device()) } }, "_links": links })))
}

/// Pure: a pause as hawkBit writes it, `HH:MM:SS`, a tenth longer or shorter by the device's number: a fleet that was switched on at once does not ask in
/// step for ever, and each device always has the same.
fn asleep(seconds: u64, device: i64) -> String {
    // Numbers that follow each other lie far apart: Fibonacci hashing (Knuth, TAOCP 3, 6.4).
    let mixed = device.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let most = seconds / 10;
    let seconds = seconds - most + mixed % (2 * most + 1);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Where a deployment is read: another address whenever its content has changed, for clients that read it only then.
async fn deployment_of(devices: &Devices, asker: &Asker, number: i64) -> Result<String, Problem> {
    let below = format!("deploymentBase/{}", action::id(number));
    let rollouts = devices.fleet.rollouts();
    let Some(action) = rollouts.action(asker.device(), number).await?.filter(|action| action.timing.told()) else { return Ok(below) };
    let terms = rollouts.terms(&action).await?;
    Ok(deployment::version(&action, &terms).map_or_else(|| below.clone(), |version| format!("{below}?c={version}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_fleet_does_not_poll_in_step() {
        let all: Vec<String> = (1..=1000).map(|device| asleep(SLEEP, device)).collect();
        assert_eq!(all, (1..=1000).map(|device| asleep(SLEEP, device)).collect::<Vec<_>>(), "each device has its own, always");
        let kinds: BTreeSet<&str> = all.iter().map(String::as_str).collect();
        assert_eq!((kinds.first(), kinds.last(), kinds.len()), (Some(&"00:04:30"), Some(&"00:05:30"), 61));
        let busy: BTreeSet<String> = (1..=1000).map(|device| asleep(BUSY, device)).collect();
        assert_eq!((busy.first().unwrap().as_str(), busy.last().unwrap().as_str()), ("00:00:27", "00:00:33"));
        assert_eq!(asleep(0, 7), "00:00:00");
    }
}
