//! Deployments as documents: what to install, and what was installed.

use super::{Asker, action, artifacts, missing};
use crate::{device::Devices, http::fault::Problem};
use axum::{
    extract::{Query, State},
    response::Response,
};
use fleet::rollouts::{ddi::Action, timing::Terms};
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
    if !devices.fleet.rollouts().is_deployed(&action).await? {
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

/// One chunk, whose part is what hawkBit calls an application: the only one that Zephyr installs. Installing is `skip` only where the plan installs
/// nothing, and outside the window for devices that say they wait for it: SWUpdate answers `skip` with a success, and is not offered it then.
pub(super) async fn document(devices: &Devices, asker: &Asker, action: &Action, wanted: &Wanted) -> Result<Value, Problem> {
    let release = devices.fleet.rollouts().content(action).await?.ok_or_else(missing)?;
    let chunk = json!({
        "part": "bApp",
        "name": action.device_type,
        "version": action.version,
        "artifacts": artifacts::described(devices, asker, action, &release.manifest).await?,
    });
    let terms = devices.fleet.rollouts().terms(action).await?;
    let (download, update, window) = handling(&terms, action.state);
    let mut document = json!({
        "id": action::id(action.number).to_string(),
        "deployment": { "download": download, "update": update, "chunks": [chunk] },
    });
    if let Some(window) = window {
        document["deployment"]["maintenanceWindow"] = window.into();
    }
    if wanted.lines() > 0 {
        let messages = devices.fleet.rollouts().said_ddi(action, wanted.lines()).await?;
        document["actionHistory"] = json!({ "status": status(action.state), "messages": messages });
    }
    Ok(document)
}

/// How an action is to be downloaded and installed, and whether its window is open; no window where the plan has none. What installs already goes on.
fn handling(terms: &Terms, state: UpdateState) -> (&'static str, &'static str, Option<&'static str>) {
    let urgency = if terms.soft { "attempt" } else { "forced" };
    if terms.download_only {
        return (urgency, "skip", None);
    }
    if !terms.windowed() {
        return (urgency, urgency, None);
    }
    // Who knows no windows is not told to skip what it has begun.
    if terms.open() || !terms.early() || state > UpdateState::Downloaded {
        (urgency, urgency, Some("available"))
    } else {
        (urgency, "skip", Some("unavailable"))
    }
}

/// What changes in the address of an action with its content, as hawkBit's `c` does; none for a plan that says nothing of time.
pub(super) fn version(action: &Action, terms: &Terms) -> Option<u8> {
    let (_, update, _) = handling(terms, action.state);
    let words = ["forced", "attempt", "skip"];
    action.timing.told().then(|| words.iter().position(|word| *word == update).and_then(|at| u8::try_from(at + 1).ok()).unwrap_or_default())
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
    fn a_window_is_told_in_hawkbits_words() {
        use fleet::rollouts::timing::Timing;
        use wire::{
            Timestamp,
            rollouts::{Urgency, Window},
        };
        let (from, until) = ("02:00".parse().unwrap(), "04:00".parse().unwrap());
        let window = Window { days: wire::rollouts::Weekday::ALL.to_vec(), from, until, zone: "UTC".into() };
        let nightly = Timing { window: Some(window), ..Timing::default() };
        let waits = [("waits_for_window".to_owned(), "yes".to_owned())].into();
        let at = |timing: &Timing, hour: i64, state| handling(&Terms::of(timing, &waits, &[], Timestamp(hour * 3_600_000)), state);
        let offered = UpdateState::Offered;
        assert_eq!(at(&Timing::default(), 1, offered), ("forced", "forced", None));
        assert_eq!(at(&Timing { urgency: Urgency::Soft, ..Timing::default() }, 1, offered), ("attempt", "attempt", None));
        assert_eq!(at(&Timing { download_only: true, ..Timing::default() }, 1, offered), ("forced", "skip", None));
        assert_eq!(at(&nightly, 1, offered), ("forced", "skip", Some("unavailable")));
        assert_eq!(at(&nightly, 2, offered), ("forced", "forced", Some("available")));
        let unaware = Terms::of(&nightly, &[].into(), &[], Timestamp(0));
        assert_eq!(handling(&unaware, UpdateState::Downloaded), ("forced", "forced", Some("available")), "it has begun");
        assert_eq!(at(&nightly, 5, UpdateState::Installing), ("forced", "forced", Some("available")));
        let late = Timing { urgency: Urgency::ForcedAfter(Timestamp(3 * 3_600_000)), ..nightly };
        assert_eq!([2, 3].map(|hour| at(&late, hour, offered).1), ["attempt", "forced"]);
    }

    #[test]
    fn history_is_told_when_it_is_asked_for() {
        let lines = |text: Option<&str>| Wanted { history: text.map(str::to_owned) }.lines();
        assert_eq!(
            [None, Some("0"), Some("x"), Some("3"), Some("-1"), Some("99999999999")].map(lines),
            [0, 0, 0, 3, MOST_LINES, MOST_LINES]
        );
    }
}
