//! What a device says of a deployment, in the words of our updates.

use super::{
    Asker, Said,
    body::{Execution, Feedback},
};
use crate::{
    device::{Devices, whole::Whole},
    http::fault::Problem,
};
use axum::{extract::State, http::StatusCode};
use fleet::rollouts::{
    MAX_DETAIL,
    ddi::{Action, Notes, Phase},
    state::taken_back,
};
use wire::{FaultKind, device::StatusReport, states::UpdateState};

/// `POST …/deploymentBase/{action}/feedback`: 200 whatever it says, also late or out of order, as long as the action goes on; then 410. One whose success
/// has to be proven goes on. What waits for somebody at the device is not there for it, as its deployment is not: 404 for a word that it has begun.
pub(super) async fn hear(State(devices): State<Devices>, asker: Asker, Whole(body): Said) -> Result<StatusCode, Problem> {
    let action = asker.action(&devices).await?;
    let feedback = Feedback::read(&body)?;
    let last = matches!(feedback.execution, Execution::Closed | Execution::Canceled);
    let ended = action.phase(devices.fleet.clock().now()) == Phase::Ended;
    // Of what fell silent before it had the file, only the end is heard.
    if ended && !(last && action.fell_silent()) {
        return Err(gone());
    }
    let to = means(&feedback, stands(action.state, action.fetched));
    if action.waits_for_person() && begun(to) {
        let mut lines = feedback.details;
        lines.push(format!("says {to} before anybody has confirmed it, which is refused"));
        devices.fleet.rollouts().heard_ddi(&action, Notes { lines: &lines, ..Notes::default() }).await?;
        return Err(unconfirmed());
    }
    let word = report(&action, &feedback, to);
    let mut beside: &[String] = &[];
    let state = match devices.fleet.rollouts().report_on_action(&action, word, &feedback.details).await {
        // It only said that it goes on, and another of its words was faster.
        Err(fleet::Error::Rollouts(fleet::rollouts::Error::NotYours(_))) => {
            beside = &feedback.details;
            action.state
        }
        other => other?,
    };
    // A success after silence that nothing speaks for is heard, and counts for what the device says of itself.
    if ended && state == action.state && to != UpdateState::Succeeded {
        return Err(gone());
    }
    let fetched = !last && (UpdateState::Downloaded..=UpdateState::Verifying).contains(&state);
    let notes = Notes { lines: beside, last, fetched, ..Notes::default() };
    devices.fleet.rollouts().heard_ddi(&action, notes).await?;
    if last {
        // Its very next poll asks what it is, however late the bus is.
        devices.fleet.rollouts().look_again(asker.device());
    }
    Ok(StatusCode::OK)
}

fn gone() -> Problem {
    Problem::new(FaultKind::Gone, "action_ended", "The action has ended. Ask for the next one.")
}

fn unconfirmed() -> Problem {
    let why = "Somebody at the device has to confirm this action before it begins. Answer under confirmationBase first.";
    Problem::new(FaultKind::NotFound, "not_confirmed", why)
}

/// Whether a device that is there has begun, and not only refused or failed.
fn begun(to: UpdateState) -> bool {
    (UpdateState::Downloading..=UpdateState::Succeeded).contains(&to)
}

/// Where the device is with an action: one that was taken back, and whose file it has, can be installed.
const fn stands(state: UpdateState, fetched: bool) -> UpdateState {
    if fetched && taken_back(state) { UpdateState::Downloaded } else { state }
}

/// The state that feedback on an update in state `now` means. Clients have one word, `proceeding`, for all they do: before they have the file it is
/// the download, after that the installation.
const fn means(feedback: &Feedback, now: UpdateState) -> UpdateState {
    use {Execution as E, UpdateState as U};
    match (feedback.execution, now) {
        (E::Closed, _) if feedback.failed => U::Failed,
        (E::Closed, _) => U::Succeeded,
        (E::Canceled, U::Rebooting | U::Verifying) => U::Failed,
        (E::Canceled, _) => U::Rejected,
        (E::Scheduled, U::Offered) => U::AwaitingWindow,
        (E::Download, _) | (E::Proceeding | E::Resumed, U::Offered | U::AwaitingWindow | U::AwaitingConfirmation) => U::Downloading,
        (E::Downloaded, _) => U::Downloaded,
        (E::Proceeding | E::Resumed, U::Downloaded) => U::Installing,
        // hawkBit takes `rejected` for a warning.
        (E::Scheduled | E::Rejected | E::Proceeding | E::Resumed, _) => now,
    }
}

fn report(action: &Action, feedback: &Feedback, to: UpdateState) -> StatusReport {
    let code = match (to, feedback.execution, feedback.code) {
        (UpdateState::Failed | UpdateState::Rejected, _, Some(code)) => Some(format!("code_{code}")),
        (UpdateState::Failed | UpdateState::Rejected, Execution::Canceled, None) => Some("canceled_by_device".to_owned()),
        _ => None,
    };
    let detail = Some(tail(&feedback.details)).filter(|detail| !detail.is_empty());
    // The protocol has no word for what runs.
    StatusReport {
        update_id: action.update.clone(),
        state: to,
        progress: feedback.progress,
        code,
        detail,
        firmware: None,
        deferred_until: None,
        slots: None,
    }
}

/// The end of what was said: there is the reason, in a log.
fn tail(lines: &[String]) -> String {
    let text = lines.join("; ");
    let skipped = text.chars().count().saturating_sub(MAX_DETAIL);
    text.chars().skip(skipped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(execution: Execution, failed: bool) -> Feedback {
        Feedback { execution, failed, progress: None, code: None, details: Vec::new() }
    }

    #[test]
    fn words_mean_states() {
        use {Execution as E, UpdateState as U};
        let cases = [
            (E::Closed, false, U::Offered, U::Succeeded),
            (E::Closed, false, U::Installing, U::Succeeded),
            (E::Closed, true, U::Installing, U::Failed),
            (E::Canceled, false, U::Downloading, U::Rejected),
            (E::Canceled, false, U::Rebooting, U::Failed),
            (E::Scheduled, false, U::Offered, U::AwaitingWindow),
            (E::Scheduled, false, U::Downloading, U::Downloading),
            (E::Download, false, U::Offered, U::Downloading),
            (E::Downloaded, false, U::Downloading, U::Downloaded),
            (E::Proceeding, false, U::Offered, U::Downloading),
            (E::Proceeding, false, U::Downloading, U::Downloading),
            (E::Proceeding, false, U::Downloaded, U::Installing),
            (E::Proceeding, false, U::Installing, U::Installing),
            (E::Resumed, false, U::AwaitingWindow, U::Downloading),
            (E::Rejected, false, U::Downloading, U::Downloading),
            (E::Rejected, true, U::Cancelled, U::Cancelled),
        ];
        for (execution, failed, now, expected) in cases {
            assert_eq!(means(&says(execution, failed), now), expected, "{execution:?} {failed} in {now}");
        }
    }

    #[test]
    fn who_refuses_or_fails_has_not_begun() {
        use UpdateState as U;
        for state in [U::Downloading, U::Downloaded, U::Installing, U::Rebooting, U::Verifying, U::Succeeded] {
            assert!(begun(state), "{state}");
        }
        for state in [U::Offered, U::AwaitingWindow, U::AwaitingConfirmation, U::Failed, U::Rejected, U::Cancelled] {
            assert!(!begun(state), "{state}");
        }
    }

    #[test]
    fn who_has_the_file_of_what_was_taken_back_installs_when_it_goes_on() {
        use {Execution as E, UpdateState as U};
        for (state, fetched, expected) in [
            (U::Cancelled, true, U::Installing),
            (U::Superseded, true, U::Installing),
            (U::Cancelled, false, U::Cancelled),
            (U::Downloading, true, U::Downloading),
        ] {
            assert_eq!(means(&says(E::Proceeding, false), stands(state, fetched)), expected, "{state} {fetched}");
        }
    }

    #[test]
    fn the_end_of_a_long_log_is_kept() {
        let lines: Vec<String> = (0..500).map(|n| format!("Zeile {n} ü")).collect();
        let kept = tail(&lines);
        assert!(kept.ends_with("Zeile 499 ü") && kept.chars().count() == MAX_DETAIL, "{kept}");
        assert_eq!(tail(&[]), "");
    }
}
