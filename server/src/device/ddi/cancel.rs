//! Cancellations: what was taken back, and what the device says to it.

use super::{
    Asker, Said, action,
    body::{Execution, Feedback},
    missing,
};
use crate::{
    device::{Devices, whole::Whole},
    http::fault::Problem,
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use fleet::rollouts::ddi::{Answer, Phase};
use serde_json::json;
use wire::FaultKind;

/// `GET …/cancelAction/{action}`. A cancellation has the id of what it stops, as in hawkBit.
pub(super) async fn show(State(devices): State<Devices>, asker: Asker) -> Result<Response, Problem> {
    let action = asker.action(&devices).await?;
    if action.phase(devices.fleet.clock().now()) != Phase::Cancelling {
        return Err(missing());
    }
    let id = action::id(action.number).to_string();
    Ok(asker.answer(&json!({ "id": id, "cancelAction": { "stopId": id } })))
}

/// `POST …/cancelAction/{action}/feedback`: 405 when nothing was to be cancelled. Answers may be repeated; the first one stands.
pub(super) async fn hear(State(devices): State<Devices>, asker: Asker, Whole(body): Said) -> Result<Response, Problem> {
    let action = asker.action(&devices).await?;
    let feedback = Feedback::read(&body)?;
    if !devices.fleet.rollouts().hear_of_cancellation(&action, means(&feedback), &feedback.details).await? {
        let problem = Problem::new(FaultKind::Conflict, "not_cancelled", "The action was not taken back, so there is nothing to cancel.");
        return Ok(problem.under(StatusCode::METHOD_NOT_ALLOWED));
    }
    Ok(StatusCode::OK.into_response())
}

/// What feedback on a cancellation says to it.
const fn means(feedback: &Feedback) -> Answer {
    match feedback.execution {
        Execution::Closed if feedback.failed => Answer::Refused,
        Execution::Rejected => Answer::Refused,
        Execution::Closed | Execution::Canceled => Answer::Accepted,
        Execution::Proceeding | Execution::Scheduled | Execution::Resumed | Execution::Downloaded | Execution::Download => Answer::Awaited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancellation_is_accepted_refused_or_still_open() {
        use {Answer as A, Execution as E};
        let cases = [
            (E::Closed, false, A::Accepted),
            (E::Closed, true, A::Refused),
            (E::Canceled, false, A::Accepted),
            (E::Rejected, false, A::Refused),
            (E::Proceeding, false, A::Awaited),
        ];
        for (execution, failed, expected) in cases {
            let feedback = Feedback { execution, failed, progress: None, code: None, details: Vec::new() };
            assert_eq!(means(&feedback), expected, "{execution:?} {failed}");
        }
    }
}
