//! Confirmation by somebody at the device: what is asked there, the answer, and answering once for whatever comes.

use super::{Asker, Said, action, body, deployment, missing};
use crate::{
    device::{Devices, whole::Whole},
    http::fault::Problem,
};
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use fleet::rollouts::{confirming::AutoConfirm, ddi::Task};
use serde_json::{Map, json};
use wire::FaultKind;

/// Below the device's own address.
pub(super) const BASE: &str = "confirmationBase";
/// hawkBit's words for the two links, which are addresses as well.
const ACTIVATE: &str = "activateAutoConfirm";
const DEACTIVATE: &str = "deactivateAutoConfirm";

/// `GET …/confirmationBase`: whether whatever comes counts as confirmed, and what waits.
pub(super) async fn base(State(devices): State<Devices>, asker: Asker) -> Result<Response, Problem> {
    let rollouts = devices.fleet.rollouts();
    let auto = rollouts.auto_confirm(asker.device()).await?;
    let mut links = Map::new();
    let mut link = |name: &str, below: String| links.insert(name.to_owned(), json!({ "href": asker.url(&format!("{BASE}/{below}")) }));
    let other = if auto.is_some() { DEACTIVATE } else { ACTIVATE };
    link(other, other.to_owned());
    if !asker.waits()
        && let Task::Confirm(number) = rollouts.ask_ddi(asker.org(), asker.device()).await?.task
    {
        link(BASE, action::id(number).to_string());
    }
    let confirms = match auto {
        None => json!({ "active": false }),
        Some(AutoConfirm { since, by, remark }) => {
            json!({ "active": true, "initiator": by, "remark": remark, "activatedAt": since.millis() })
        }
    };
    Ok(asker.answer(&json!({ "autoConfirm": confirms, "_links": links })))
}

/// `GET …/confirmationBase/{action}`: a deployment under another name, as long as it waits for somebody.
pub(super) async fn show(
    State(devices): State<Devices>,
    asker: Asker,
    Query(wanted): Query<deployment::Wanted>,
) -> Result<Response, Problem> {
    let action = asker.action(&devices).await?;
    if !action.is_asked(devices.fleet.clock().now()) {
        return Err(missing());
    }
    let mut document = deployment::document(&devices, &asker, &action, &wanted).await?;
    if let Some(fields) = document.as_object_mut()
        && let Some(deployment) = fields.remove("deployment")
    {
        fields.insert("confirmation".to_owned(), deployment);
    }
    Ok(asker.answer(&document))
}

/// `POST …/confirmationBase/{action}/feedback`: 410 when nobody is asked any more. A confirmation may be repeated; one that was denied is asked again
/// with the next poll.
pub(super) async fn hear(State(devices): State<Devices>, asker: Asker, Whole(said): Said) -> Result<StatusCode, Problem> {
    let action = asker.action(&devices).await?;
    let (decision, lines) = body::decision(&said)?;
    if devices.fleet.rollouts().decided_at_device(&action, decision, &lines).await? {
        return Ok(StatusCode::OK);
    }
    Err(Problem::new(FaultKind::Gone, "not_asked", "Nobody is asked to confirm this action any more."))
}

/// `POST …/confirmationBase/activateAutoConfirm`. hawkBit's body is optional.
pub(super) async fn activate(State(devices): State<Devices>, asker: Asker, Whole(said): Said) -> Result<StatusCode, Problem> {
    let (by, remark) = body::initiator(&said)?;
    devices.fleet.rollouts().set_auto_confirm(&asker.actor(), asker.device(), Some((&by, &remark))).await?;
    Ok(StatusCode::OK)
}

/// `POST …/confirmationBase/deactivateAutoConfirm`.
pub(super) async fn deactivate(State(devices): State<Devices>, asker: Asker) -> Result<StatusCode, Problem> {
    devices.fleet.rollouts().set_auto_confirm(&asker.actor(), asker.device(), None).await?;
    Ok(StatusCode::OK)
}
