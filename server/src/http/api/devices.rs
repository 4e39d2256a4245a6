//! Devices: listed by a selector, looked at, tagged, and led through their life: suspended, resumed, decommissioned, recommissioned.

use super::{
    Answer, csv,
    input::{Asked, Named, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode, response::Response};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    Timestamp,
    devices::{DeviceDetail, DeviceList, DeviceQuery, DeviceRow, DeviceSort, StepMany, Stepped, TagMany, Tagged},
    ids::{DeviceId, RolloutId},
    page::Page,
    pki::{ManyRenewals, RenewMany, RenewalOrder, RenewalUnderWay},
    rollouts::Why,
    states::DeviceStep,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(export))
        .routes(routes!(tag_many))
        .routes(routes!(step_many))
        .routes(routes!(renew_many))
        .routes(routes!(preview_renewals))
        .routes(routes!(renewals))
        .routes(routes!(detail, decommission))
        .routes(routes!(why))
        .routes(routes!(confirm))
        .routes(routes!(tag))
        .routes(routes!(step))
        .routes(routes!(renew))
        .routes(routes!(clear))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// A selector, for example `type:gateway tag:eu online:yes`; empty means all.
    #[serde(default)]
    q: String,
    /// `device_id`, `last_seen` or `version`; `-` in front reverses.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    sort: DeviceSort,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    #[serde(alias = "n")]
    rows: Option<u32>,
}

/// Devices
#[utoipa::path(get, path = "/devices", operation_id = "list_devices", tag = "devices", params(Listing), responses((status = OK, body = DeviceList), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Listing>) -> Answer<Json<DeviceList>> {
    let query = DeviceQuery { q: asked.q, sort: asked.sort, cursor: asked.cursor, rows: asked.rows };
    let Page { items, next, total } = fleet.devices().list(&actor, &query).await?;
    let hints = fleet.devices().hints(&actor, &query.q).await?;
    Ok(Json(DeviceList { items, next, total, hints }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Exported {
    /// A selector, for example `type:gateway tag:eu online:yes`; empty means all.
    #[serde(default)]
    q: String,
}

/// The columns of a file of devices.
pub(crate) const COLUMNS: [&str; 9] = ["device", "type", "hardware", "state", "online", "firmware", "update", "last_seen", "tags"];

/// Devices, all that a selector means, as CSV
///
/// One line a device, by device id: `device`, `type`, `hardware`, `state`, `online`, `firmware`, `update`, `last_seen`, `tags` (separated by
/// blanks). Cells that a spreadsheet would take for a formula begin with an apostrophe.
#[utoipa::path(
    get, path = "/devices:export", operation_id = "export_devices", tag = "devices", params(Exported),
    responses((status = OK, content_type = "text/csv", body = String), Refusals)
)]
async fn export(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Exported>) -> Answer<Response> {
    let of = fleet.clone();
    let read = move |cursor: Option<String>| {
        let (fleet, actor, q) = (of.clone(), actor.clone(), asked.q.clone());
        async move {
            let (rows, next) = fleet.devices().export(&actor, &q, cursor).await?;
            Ok::<_, fleet::Error>(csv::Part { rows, next })
        }
    };
    csv::file(&fleet, "devices", &COLUMNS, read, push_line).await
}

/// A device as a line of such a file.
pub(crate) fn line(row: DeviceRow) -> String {
    let mut text = String::new();
    push_line(&mut text, row);
    text
}

#[expect(clippy::needless_pass_by_value, reason = "a file takes each of its rows once")]
fn push_line(text: &mut String, row: DeviceRow) {
    let (seen, tags) = (row.last_seen_at.map_or_else(String::new, Timestamp::rfc3339), row.tags.join(" "));
    let cells = [
        row.device_id.as_str(),
        &row.device_type,
        &row.hardware,
        row.state.as_str(),
        if row.online { "yes" } else { "no" },
        &row.version,
        row.update.map_or("", |update| update.as_str()),
        &seen,
        &tags,
    ];
    fleet::csv::push_line(text, &cells);
}

/// Tag every device that a selector means, all or none
///
/// At most 10,000 devices. `expected` is how many it means as the list told; when it means another number by now, the answer is 409 `other_count` and
/// nothing is changed.
#[utoipa::path(
    post, path = "/devices:tag", operation_id = "tag_devices", tag = "devices", request_body = TagMany, responses((status = OK, body = Tagged), Refusals)
)]
async fn tag_many(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(many): Sent<TagMany>) -> Answer<Json<Tagged>> {
    Ok(Json(fleet.devices().tag_many(&actor, &many).await?))
}

/// Suspend or resume every device that a selector means, all or none
///
/// At most 10,000 devices. `expected` is how many it means as the list told; when it means another number by now, the answer is 409 `other_count`, and when the
/// step is not possible for one of them, it is named; then nothing is changed. Those that are there already stay there. Each device that is changed is in the
/// audit log, and live connections of suspended devices are closed within a second.
#[utoipa::path(
    post, path = "/devices:life", operation_id = "change_devices", tag = "devices", request_body = StepMany, responses((status = OK, body = Stepped), Refusals)
)]
async fn step_many(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(many): Sent<StepMany>) -> Answer<Json<Stepped>> {
    Ok(Json(fleet.devices().change_many(&actor, &many).await?))
}

/// Order every device that a selector means to renew its certificate, spread over time
///
/// What `/devices/{device_id}/renew` is for one, for any number of devices, of which one order asks 100,000 at most. They are told over so many `minutes`, one
/// after the other, which goes on after a restart. With `authority` only devices that have a certificate of it. Left out are suspended devices, those that have nothing to renew here, those
/// that are asked already and have not renewed, and those that never had a channel to be told by; so it may be given again for the rest. `expected` is how many devices are meant as the preview told; when it
/// means another number by now, the answer is 409 `other_count` and nobody is asked. One entry of the audit log for all of them.
#[utoipa::path(
    post, path = "/devices:renew", operation_id = "renew_devices", tag = "devices", request_body = RenewMany, responses((status = OK, body = ManyRenewals), Refusals)
)]
async fn renew_many(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(many): Sent<RenewMany>) -> Answer<Json<ManyRenewals>> {
    Ok(Json(fleet.devices().order_renewals(&actor, &many).await?))
}

/// What an order that many devices renew would do now
///
/// How many devices it means, how many of them it asks, how many it leaves out and why, and over how many minutes they are told. It changes nothing.
#[utoipa::path(
    post, path = "/devices:preview-renew", operation_id = "preview_renew_devices", tag = "devices", request_body = RenewMany,
    responses((status = OK, body = ManyRenewals), Refusals)
)]
async fn preview_renewals(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(many): Sent<RenewMany>) -> Answer<Json<ManyRenewals>> {
    Ok(Json(fleet.devices().preview_renewals(&actor, &many).await?))
}

/// Orders to many devices to renew that are being carried out, the oldest first
///
/// Most are carried out within seconds. One that was cut short, because the server was stopped, goes on by itself.
#[utoipa::path(get, path = "/renewals", operation_id = "list_renewals", tag = "devices", responses((status = OK, body = Page<RenewalUnderWay>), Refusals))]
async fn renewals(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<RenewalUnderWay>>> {
    Ok(Json(Page::whole(fleet.devices().renewals_under_way(&actor).await?)))
}

/// One device
#[utoipa::path(
    get, path = "/devices/{device_id}", operation_id = "get_device", tag = "devices", params(("device_id" = DeviceId, Path)),
    responses((status = OK, body = DeviceDetail), Refusals)
)]
async fn detail(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<Json<DeviceDetail>> {
    Ok(Json(fleet.device(&actor, &id).await?))
}

/// Why a device is, or is not, updating
///
/// Every rule of each rollout that concerns it, in the order in which they are asked: what it says, what it looked at, and when it is looked at again. The
/// first rule that `blocks` is the reason. `outlook` is `now` or `when_it_asks` exactly when the device is offered the release of the first rollout.
#[utoipa::path(
    get, path = "/devices/{device_id}/why", operation_id = "explain_device", tag = "devices", params(("device_id" = DeviceId, Path)),
    responses((status = OK, body = Why), Refusals)
)]
async fn why(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<Json<Why>> {
    Ok(Json(fleet.why(&actor, &id).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmed {
    /// The rollout whose update of this device is confirmed.
    rollout: RolloutId,
}

/// Confirm a rollout's update of one device
///
/// Where the plan asks for somebody at the device (`confirm_at_device`) and the device does not say that it asks (the attribute `confirms_updates` =
/// `yes`). May be repeated.
#[utoipa::path(
    post, path = "/devices/{device_id}/confirm", operation_id = "confirm_device_update", tag = "devices", params(("device_id" = DeviceId, Path)), request_body = Confirmed,
    responses((status = NO_CONTENT), Refusals)
)]
async fn confirm(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<DeviceId>,
    Sent(sent): Sent<Confirmed>,
) -> Answer<StatusCode> {
    fleet.rollouts().confirm_in_console(&actor, &sent.rollout, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Tags {
    /// All the tags it should have.
    tags: Vec<String>,
}

/// Set a device's tags
#[utoipa::path(
    put, path = "/devices/{device_id}/tags", operation_id = "set_device_tags", tag = "devices", params(("device_id" = DeviceId, Path)), request_body = Tags,
    responses((status = NO_CONTENT), Refusals)
)]
async fn tag(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>, Sent(sent): Sent<Tags>) -> Answer<StatusCode> {
    fleet.devices().set_tags(&actor, &id, sent.tags).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Decommission a device: its certificates are revoked, its id stays reserved
#[utoipa::path(
    delete, path = "/devices/{device_id}", operation_id = "decommission_device", tag = "devices", params(("device_id" = DeviceId, Path)), responses((status = NO_CONTENT), Refusals)
)]
async fn decommission(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<StatusCode> {
    fleet.devices().decommission(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Life {
    /// What to do. Suspending and resuming leave certificates as they are; decommissioning revokes them; recommissioning gives the id free for
    /// enrolment, deleting takes it out of every list with all it has sent; both need an admin.
    step: DeviceStep,
}

/// Suspend, resume, decommission, recommission or delete a device; live connections that may not be any more are closed within a second
#[utoipa::path(
    post, path = "/devices/{device_id}/life", operation_id = "change_device", tag = "devices", params(("device_id" = DeviceId, Path)), request_body = Life,
    responses((status = NO_CONTENT), Refusals)
)]
async fn step(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>, Sent(sent): Sent<Life>) -> Answer<StatusCode> {
    fleet.devices().change(&actor, &id, sent.step).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Order a device to renew its certificate now
///
/// Whatever the age of the certificate, and with the key that it has, where the rules let it keep that. A device that is connected over the native channel is told
/// within a second, every other one when it connects over it; one that only speaks EST or hawkBit is not told, and may renew before its time from then on.
/// The order ends when the device has used a new certificate. May be said again. Where nothing of the device is renewed here, also because its authority was
/// given up, it is refused with 409 `nothing_to_renew`; of a suspended device with 403 `device_not_active`, until it is resumed.
#[utoipa::path(
    post, path = "/devices/{device_id}/renew", operation_id = "renew_device", tag = "devices", params(("device_id" = DeviceId, Path)),
    responses((status = OK, body = RenewalOrder), Refusals)
)]
async fn renew(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<Json<RenewalOrder>> {
    Ok(Json(fleet.devices().order_renewal(&actor, &id).await?))
}

/// Say that the sign of a possible clone was looked at
#[utoipa::path(
    delete, path = "/devices/{device_id}/suspicion", operation_id = "clear_device_suspicion", tag = "devices", params(("device_id" = DeviceId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn clear(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<DeviceId>) -> Answer<StatusCode> {
    fleet.devices().clear_suspicion(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
