//! Deployments as documents: what to install, and what was installed.

use super::{Asker, action, artifacts, missing};
use crate::{device::Devices, http::fault::Problem};
use axum::{
    extract::{Query, State},
    response::Response,
};
use fleet::rollouts::ddi::{Action, Phase};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::states::UpdateState;

/// Most lines of history in one answer.
const MOST_LINES: u32 = 200;

/// Which lines of the action's history are wanted: so many of the newest, all for a negative number.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default, rename = "actionHistory")]
    history: Option<String>,
}

impl Wanted {
    fn lines(&self) -> u32 {
        match self.history.as_deref().unwrap_or_default().parse::<i64>() {
            Ok(n) if n < 0 => MOST_LINES,
            Ok(n) => u32::try_from(n).unwrap_or(MOST_LINES).min(MOST_LINES),
            Err(_) => 0,
        }
    }
}

/// `GET …/deploymentBase/{action}`.
pub(super) async fn deploy(State(devices): State<Devices>, asker: Asker, Query(wanted): Query<Wanted>) -> Result<Response, Problem> {
    let action = asker.action(&devices).await?;
    if action.phase(devices.fleet.clock().now()) != Phase::Active || action.waits_for_person() {
        return Err(missing());
    }
    Ok(asker.answer(&document(&devices, &asker, &action, &wanted).await?))
}

/// `GET …/installedBase/{action}`.
pub(super) async fn installed(State(devices): State<Devices>, asker: Asker, Query(wanted): Query<Wanted>) -> Result<Response, Problem> {
    let action = asker.action(&devices).await?;
    if action.state != UpdateState::Succeeded {
        return Err(missing());
    }
    Ok(asker.answer(&document(&devices, &asker, &action, &wanted).await?))
}

/// One chunk, whose part is what hawkBit calls an application: the only one that Zephyr installs. Downloading and installing are never `skip`:
/// SWUpdate answers that with a success.
pub(super) async fn document(devices: &Devices, asker: &Asker, action: &Action, wanted: &Wanted) -> Result<Value, Problem> {
    let release = devices.fleet.rollouts().content(action).await?.ok_or_else(missing)?;
    let chunk = json!({
        "part": "bApp",
        "name": action.device_type,
        "version": action.version,
        "artifacts": artifacts::described(devices, asker, action, &release.manifest).await?,
    });
    let mut document = json!({
        "id": action::id(action.number).to_string(),
        "deployment": { "download": "forced", "update": "forced", "chunks": [chunk] },
    });
    if wanted.lines() > 0 {
        let messages = devices.fleet.rollouts().said_ddi(action, wanted.lines()).await?;
        document["actionHistory"] = json!({ "status": status(action.state), "messages": messages });
    }
    Ok(document)
}

/// An update's state in hawkBit's words.
fn status(state: UpdateState) -> Value {
    use UpdateState as U;
    let word = match state {
        U::Queued | U::AwaitingWindow => "SCHEDULED",
        U::AwaitingConfirmation => "WAIT_FOR_CONFIRMATION",
        U::Downloading => "DOWNLOAD",
        U::Downloaded => "DOWNLOADED",
        U::Offered | U::Installing | U::Rebooting | U::Verifying => "RUNNING",
        U::Succeeded => "FINISHED",
        U::Failed | U::Rejected | U::TimedOut | U::Reverted | U::NotApplicable => "ERROR",
        U::Cancelled | U::Superseded => "CANCELED",
    };
    word.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_told_when_it_is_asked_for() {
        let lines = |text: Option<&str>| Wanted { history: text.map(str::to_owned) }.lines();
        assert_eq!(
            [None, Some("0"), Some("x"), Some("3"), Some("-1"), Some("99999999999")].map(lines),
            [0, 0, 0, 3, MOST_LINES, MOST_LINES]
        );
    }
}
