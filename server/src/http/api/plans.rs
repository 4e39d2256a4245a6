//! Rollouts as files: what a file would change, and applying it. The file is the one of the command line, and so is what is said of it.

use super::{Answer, input::Planned, openapi::Refusals};
use crate::{
    http::{fault::Problem, guard::Caller},
    plans::{PlanFile, meant},
};
use axum::{Json, extract::State};
use fleet::{
    Error, Fleet,
    access::Actor,
    rollouts::{Against, Applied, Outcome},
};
use serde::Serialize;
use std::path::Path;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{FaultKind, change::FieldChange, ids::RolloutId, rollouts::RolloutSpec, states::RolloutState};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new().routes(routes!(apply)).routes(routes!(diff))
}

/// What became of a plan.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum PlanOutcome {
    /// It is a new draft.
    Drafted,
    /// The rollout of its name is a draft with this plan now.
    Edited,
    /// The rollout of its name has this plan already.
    Same,
}

/// A plan that was applied.
#[derive(Serialize, utoipa::ToSchema)]
struct AppliedPlan {
    /// The rollout.
    id: RolloutId,
    /// Where it is in its life now.
    state: RolloutState,
    /// What was done.
    outcome: PlanOutcome,
    /// What it changed, against the rollout of the same name.
    lines: Vec<FieldChange>,
}

/// What differs between a plan and the newest rollout of its name.
#[derive(Serialize, utoipa::ToSchema)]
struct PlanDifference {
    /// The rollout; none where no rollout has this name, and applying the plan drafts it.
    id: Option<RolloutId>,
    /// Where it is in its life.
    state: Option<RolloutState>,
    /// Field by field; empty when it has this plan.
    lines: Vec<FieldChange>,
    /// Why applying the plan would be refused all the same, because of where that rollout is in its life.
    refused: Option<String>,
}

/// Make a draft of a plan as a file has it, or edit the draft of the same name
///
/// The body is YAML, or JSON of the same form. What is approved or runs is never edited this way.
#[utoipa::path(
    put, path = "/rollouts/apply", operation_id = "apply_rollout_plan", tag = "rollouts",
    request_body(content = String, content_type = "application/yaml"), responses((status = OK, body = AppliedPlan), Refusals)
)]
async fn apply(State(fleet): State<Fleet>, Caller(actor): Caller, Planned(text): Planned) -> Answer<Json<AppliedPlan>> {
    let (plan, spec) = read(&fleet, &actor, &text).await?;
    let applied = fleet.rollouts().apply_plan(&actor, spec).await;
    let Applied { id, state, outcome, lines } = applied.map_err(|why| wrong(plan.refused(file(), &text, why)))?;
    let outcome = match outcome {
        Outcome::Drafted => PlanOutcome::Drafted,
        Outcome::Edited => PlanOutcome::Edited,
        Outcome::Same => PlanOutcome::Same,
    };
    Ok(Json(AppliedPlan { id, state, outcome, lines }))
}

/// What applying a plan would change; changes nothing
#[utoipa::path(
    post, path = "/rollouts/diff", operation_id = "diff_rollout_plan", tag = "rollouts",
    request_body(content = String, content_type = "application/yaml"), responses((status = OK, body = PlanDifference), Refusals)
)]
async fn diff(State(fleet): State<Fleet>, Caller(actor): Caller, Planned(text): Planned) -> Answer<Json<PlanDifference>> {
    let (plan, spec) = read(&fleet, &actor, &text).await?;
    let found = fleet.rollouts().compared(&actor, &spec).await;
    Ok(Json(match found.map_err(|why| wrong(plan.refused(file(), &text, why)))? {
        Some(Against { id, state, lines, refused, .. }) => PlanDifference { id: Some(id), state: Some(state), lines, refused },
        None => PlanDifference { id: None, state: None, lines: Vec::new(), refused: None },
    }))
}

/// What a body is called where something in it is wrong.
fn file() -> &'static Path {
    Path::new("plan")
}

/// The plan of a body, refused with the line and what to do.
async fn read(fleet: &Fleet, actor: &Actor, text: &str) -> Answer<(PlanFile, RolloutSpec)> {
    meant(fleet, actor, file(), text).await.map_err(wrong)
}

/// What the core refused, or what is wrong with the plan, as one line.
fn wrong(why: anyhow::Error) -> Problem {
    match why.downcast::<Error>() {
        Ok(refused) => refused.into(),
        Err(other) => Problem::new(FaultKind::Invalid, "bad_plan", other.to_string().replace('\n', " ")),
    }
}
