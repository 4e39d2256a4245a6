//! Rollouts: drafted, previewed, decided on, controlled, watched.

use super::{
    Answer, csv,
    input::{Asked, Named, Sent},
    openapi::Refusals,
};
use crate::http::{fault::Problem, guard::Caller};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use fleet::{
    Fleet,
    access::Actor,
    rollouts::{REPORT, Saw, push_report_line},
};
use serde::Deserialize;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    FaultKind,
    ids::{Digest, RolloutId},
    page::{DEFAULT_ROWS, Page},
    rollouts::{
        EndClass, Preview, PreviewDevice, PreviewQuery, Quorum, RolloutDetail, RolloutRow, RolloutSpec, Show, Tab, UpdateQuery, UpdateRow,
        UpdateSort, Verb,
    },
    updates::UpdateFailure,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list, draft))
        .routes(routes!(preview))
        .routes(routes!(drawn_devices))
        .routes(routes!(quorum, set_quorum))
        .routes(routes!(detail, edit))
        .routes(routes!(preview_devices))
        .routes(routes!(updates))
        .routes(routes!(report))
        .routes(routes!(act))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// All unless given.
    #[serde(default)]
    #[param(inline)]
    tab: Tab,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    rows: Option<u32>,
    /// Only the newest rollout of exactly this name, whatever else is asked.
    name: Option<String>,
}

/// Rollouts, newest first
#[utoipa::path(get, path = "/rollouts", operation_id = "list_rollouts", tag = "rollouts", params(Listing), responses((status = OK, body = Page<RolloutRow>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Listing>) -> Answer<Json<Page<RolloutRow>>> {
    if let Some(name) = &asked.name {
        return Ok(Json(Page::whole(fleet.rollouts().named(&actor, name).await?.into_iter().collect())));
    }
    let rows = asked.rows.unwrap_or(DEFAULT_ROWS);
    Ok(Json(fleet.rollouts().list(&actor, asked.cursor.as_deref(), asked.tab, rows).await?.rollouts))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AsPreviewed {
    /// The `draw` of its preview, at most a day old: the same devices are in the same stages then.
    draw: Option<RolloutId>,
}

/// Draft a rollout
#[utoipa::path(
    post, path = "/rollouts", operation_id = "draft_rollout", tag = "rollouts", params(AsPreviewed), request_body = RolloutSpec,
    responses((status = CREATED, body = RolloutDetail), Refusals)
)]
async fn draft(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Asked(asked): Asked<AsPreviewed>,
    Sent(spec): Sent<RolloutSpec>,
) -> Answer<impl IntoResponse> {
    let id = fleet.rollouts().draft_drawn(&actor, asked.draw, spec).await?;
    let place = format!("/api/v1/rollouts/{id}");
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], read(&fleet, &actor, &id).await?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AsPlan {
    /// The rollout whose plan it would be: its own draw holds then, so no other can be given beside it.
    rollout: Option<RolloutId>,
    /// The `draw` of the preview before, to name the same devices; drawn anew unless given, and when it can't be drafted with any more.
    draw: Option<RolloutId>,
}

/// What a plan would do, and what is wrong with it; nothing is kept
#[utoipa::path(
    post, path = "/rollouts/preview", operation_id = "preview_rollout", tag = "rollouts", params(AsPlan), request_body = RolloutSpec,
    responses((status = OK, body = Preview), Refusals)
)]
async fn preview(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Asked(asked): Asked<AsPlan>,
    Sent(spec): Sent<RolloutSpec>,
) -> Answer<Json<Preview>> {
    let rollouts = fleet.rollouts();
    Ok(Json(match (&asked.rollout, &asked.draw) {
        (Some(_), Some(_)) => {
            return Err(Problem::new(FaultKind::Invalid, "two_draws", "Give rollout or draw: a rollout has its own draw."));
        }
        (Some(id), None) => rollouts.preview_as(&actor, id, &spec).await?,
        (None, draw) => rollouts.preview_drawn(&actor, draw.as_ref(), &spec).await?,
    }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DrawnPlaced {
    /// The `draw` of the plan's preview.
    draw: RolloutId,
    /// Only this stage, from 1; 0 is those that would not get it.
    stage: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    rows: Option<u32>,
}

/// Which device would be in which stage of a plan that is not kept, by the draw of its preview, and why others would not get it, in the order in which they joined the fleet
#[utoipa::path(
    post, path = "/rollouts/preview/devices", operation_id = "list_preview_devices", tag = "rollouts", params(DrawnPlaced), request_body = RolloutSpec,
    responses((status = OK, body = Page<PreviewDevice>), Refusals)
)]
async fn drawn_devices(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Asked(asked): Asked<DrawnPlaced>,
    Sent(spec): Sent<RolloutSpec>,
) -> Answer<Json<Page<PreviewDevice>>> {
    let query = PreviewQuery { stage: asked.stage, cursor: asked.cursor, rows: asked.rows };
    Ok(Json(fleet.rollouts().preview_devices_drawn(&actor, &asked.draw, &spec, &query).await?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Placed {
    /// Only this stage, from 1; 0 is those that would not get it.
    stage: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    rows: Option<u32>,
}

/// Which device would be in which stage of a plan that has not begun, and why others would not get it, in the order in which they joined the fleet
#[utoipa::path(
    get, path = "/rollouts/{id}/preview/devices", operation_id = "list_rollout_preview_devices", tag = "rollouts",
    params(("id" = RolloutId, Path), Placed), responses((status = OK, body = Page<PreviewDevice>), Refusals)
)]
async fn preview_devices(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<RolloutId>,
    Asked(asked): Asked<Placed>,
) -> Answer<Json<Page<PreviewDevice>>> {
    let query = PreviewQuery { stage: asked.stage, cursor: asked.cursor, rows: asked.rows };
    Ok(Json(fleet.rollouts().preview_devices(&actor, &id, &query).await?))
}

/// How many people have to approve a rollout, besides its author
#[utoipa::path(get, path = "/rollouts/approvals", operation_id = "get_rollout_approvals", tag = "rollouts", responses((status = OK, body = Quorum), Refusals))]
async fn quorum(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Quorum>> {
    Ok(Json(fleet.rollouts().quorum(&actor).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Needed {
    /// So many, 1 to 5. A lower number counts a day later; the present one takes that back.
    needed: u32,
}

/// Ask for another number of approvals
#[utoipa::path(
    put, path = "/rollouts/approvals", operation_id = "set_rollout_approvals", tag = "rollouts", request_body = Needed,
    responses((status = OK, body = Quorum), Refusals)
)]
async fn set_quorum(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(sent): Sent<Needed>) -> Answer<Json<Quorum>> {
    Ok(Json(fleet.rollouts().set_quorum(&actor, sent.needed).await?))
}

/// One rollout
#[utoipa::path(
    get, path = "/rollouts/{id}", operation_id = "get_rollout", tag = "rollouts", params(("id" = RolloutId, Path)), responses((status = OK, body = RolloutDetail), Refusals)
)]
async fn detail(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<RolloutId>) -> Answer<Json<RolloutDetail>> {
    read(&fleet, &actor, &id).await
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// The generation that was read; another one by now is a conflict.
    generation: i64,
    /// The whole new plan.
    spec: RolloutSpec,
}

/// Change the plan; approvals it had are void then
#[utoipa::path(
    put, path = "/rollouts/{id}", operation_id = "edit_rollout", tag = "rollouts", params(("id" = RolloutId, Path)), request_body = Edit,
    responses((status = OK, body = RolloutDetail), Refusals)
)]
async fn edit(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<RolloutId>,
    Sent(edit): Sent<Edit>,
) -> Answer<Json<RolloutDetail>> {
    fleet.rollouts().edit(&actor, &id, edit.generation, edit.spec).await?;
    read(&fleet, &actor, &id).await
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Devices {
    /// Only this stage, from 1.
    stage: Option<u32>,
    /// All unless given.
    #[serde(default)]
    #[param(inline)]
    show: Show,
    /// Only those whose update ended like this; `show` does not count then. Of a rollout with many devices a page of those that went dark may be short and
    /// have a next one all the same.
    #[param(inline)]
    outcome: Option<UpdateFailure>,
    /// A selector, for example `gw-17` or `tag:eu -online:yes`; empty means all.
    #[serde(default)]
    q: String,
    /// `joined`, which is the order unless given: as they joined the fleet; `device`, `state` (how far they are, then how it ended), `version` (what they ran
    /// before) or `changed`; `-` in front of one of these four reverses. They are of lists for which at most 2,000 devices
    /// have to be looked at, in whichever stage they are; what takes more is narrowed first to how they fare, how their updates ended or a search for a few.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    sort: UpdateSort,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    rows: Option<u32>,
}

/// The devices of a rollout and how they fare, in the order in which they joined the fleet unless another one is asked for
#[utoipa::path(
    get, path = "/rollouts/{id}/updates", operation_id = "list_rollout_updates", tag = "rollouts", params(("id" = RolloutId, Path), Devices),
    responses((status = OK, body = Page<UpdateRow>), Refusals)
)]
async fn updates(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<RolloutId>,
    Asked(asked): Asked<Devices>,
) -> Answer<Json<Page<UpdateRow>>> {
    let Devices { stage, show, outcome, q, sort, cursor, rows } = asked;
    let query = UpdateQuery { stage, show, outcome, q, sort, cursor, rows };
    Ok(Json(fleet.rollouts().updates(&actor, &id, &query).await?))
}

/// What became of every device of a rollout, as CSV
///
/// One line a device, its newest attempt: `device`, `stage`, `state`, `code`, `detail`, `from`, `to`, `attempts`, `offered_at`, `changed_at`,
/// `ended_at`. A device that still waits is `queued`, without times. Cells that a spreadsheet would take for a formula begin with an apostrophe.
#[utoipa::path(
    get, path = "/rollouts/{id}/report", operation_id = "download_rollout_report", tag = "rollouts", params(("id" = RolloutId, Path)),
    responses((status = OK, content_type = "text/csv", body = String), Refusals)
)]
async fn report(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<RolloutId>) -> Answer<Response> {
    let name = format!("rollout-{id}");
    let of = fleet.clone();
    let read = move |after: Option<i64>| {
        let (fleet, actor, id) = (of.clone(), actor.clone(), id.clone());
        async move {
            let part = fleet.rollouts().report_part(&actor, &id, after.unwrap_or(0)).await?;
            let version: Arc<str> = part.version.into();
            let rows = part.rows.into_iter().map(|row| (row, Arc::clone(&version))).collect();
            Ok::<_, fleet::Error>(csv::Part { rows, next: part.next })
        }
    };
    csv::file(&fleet, &name, &REPORT, read, |text, (row, version)| push_report_line(text, row, &version)).await
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Act {
    /// For `approve`: the digest of exactly what is approved, as the rollout shows it.
    digest: Option<Digest>,
    /// For decisions the remark, otherwise why.
    reason: Option<String>,
    /// The same under the name that decisions have for it; only one of the two is sent.
    remark: Option<String>,
    /// The current stage as you saw it, from 1, for an order to what runs: where another one is the current stage by now it is refused with `moved_on`.
    /// Without it an order is for whichever stage that is.
    stage: Option<u32>,
    /// For `retry`: it is offered again to devices whose updates ended like this, of `failed`, `timed_out`, `reverted`, `rejected` and `cancelled`; at least one. Without it
    /// to those that failed or timed out.
    classes: Option<Vec<EndClass>>,
}

/// Do something to a rollout
///
/// `submit`, `approve` (with `digest` and `reason`), `reject` (with `reason`), `start`, `pause`, `resume`, `promote`, `stop` (with `reason`), `retry` or `roll-back` (with `reason`; both after a halt, the last by the way back of the plan),
/// or `break-glass` (with `digest` and `reason`): in an emergency it starts without its approvals, and two other people review that afterwards. `promote`
/// starts the next stage or ends the watch of the one that runs: a script says by `stage` which one it means, so that a second try moves no other. `retry` says by
/// `classes` how the updates ended that are tried again; where no update ended like that, it is refused.
#[utoipa::path(
    post, path = "/rollouts/{id}/{verb}", operation_id = "act_on_rollout", tag = "rollouts", params(("id" = RolloutId, Path), ("verb" = Verb, Path)), request_body = Act,
    responses((status = OK, body = RolloutDetail), Refusals)
)]
async fn act(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named((id, verb)): Named<(RolloutId, Verb)>,
    Sent(Act { digest, reason, remark, stage, classes }): Sent<Act>,
) -> Answer<Json<RolloutDetail>> {
    if verb == Verb::Edit {
        return Err(Problem::new(FaultKind::Invalid, "edit_by_put", "Send the new plan with PUT to the rollout itself."));
    }
    let reason = match (reason, remark) {
        (Some(_), Some(_)) => return Err(Problem::new(FaultKind::Invalid, "two_reasons", "Give reason or remark: they are the same.")),
        (reason, remark) => reason.or(remark).unwrap_or_default(),
    };
    let saw = Saw { digest: digest.as_ref(), stage, classes: classes.as_deref() };
    fleet.rollouts().act_on(&actor, &id, verb, saw, &reason).await?;
    read(&fleet, &actor, &id).await
}

async fn read(fleet: &Fleet, actor: &Actor, id: &RolloutId) -> Answer<Json<RolloutDetail>> {
    Ok(Json(fleet.rollouts().detail(actor, id).await?))
}
