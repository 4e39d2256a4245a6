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
    ddi::{Action, Taken, Word},
};
use wire::{FaultKind, device::StatusReport, states::UpdateState};

/// `POST …/deploymentBase/{action}/feedback`: 200 whatever it says that is heard, 410 once the action has ended. What waits for somebody at the device is not
/// there for it, as its deployment is not: 404 for a word that it has begun.
pub(super) async fn hear(State(devices): State<Devices>, asker: Asker, Whole(body): Said) -> Result<StatusCode, Problem> {
    let action = asker.action(&devices).await?;
    let feedback = Feedback::read(&body)?;
    let last = matches!(feedback.execution, Execution::Closed | Execution::Canceled);
    let report = report(&action, &feedback, means(&feedback, action.stands()));
    match devices.fleet.rollouts().hear_of_action(&action, Word { report, lines: &feedback.details, last }).await? {
        Taken::Heard => Ok(StatusCode::OK),
        Taken::Ended => Err(gone()),
        Taken::NotConfirmed => Err(unconfirmed()),
    }
}

fn gone() -> Problem {
    Problem::new(FaultKind::Gone, "action_ended", "The action has ended. Ask for the next one.")
}

fn unconfirmed() -> Problem {
    let why = "Somebody at the device has to confirm this action before it begins. Answer under confirmationBase first.";
    Problem::new(FaultKind::NotFound, "not_confirmed", why)
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
            (E::Proceeding, false, U::Cancelled, U::Cancelled),
            (E::Resumed, false, U::AwaitingWindow, U::Downloading),
            (E::Rejected, false, U::Downloading, U::Downloading),
            (E::Rejected, true, U::Cancelled, U::Cancelled),
        ];
        for (execution, failed, now, expected) in cases {
            assert_eq!(means(&says(execution, failed), now), expected, "{execution:?} {failed} in {now}");
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
