//! Approvals: the inbox, the rules of who approves, the groups that they name, the terms, and reviews of what was started without approval.

use super::{
    Answer,
    input::{Asked, Named, PageQuery, Sent},
    openapi::Refusals,
};
use crate::http::guard::Caller;
use axum::{Json, extract::State, http::StatusCode};
use fleet::Fleet;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    ids::{ApproverGroupId, GlassId},
    page::Page,
    rollouts::{
        ApprovalRule, ApprovalTerms, ApproverGroup, ApproverMembers, AskedRow, GlassBreak, InboxTab, NewApprovalTerms, NewApproverGroup,
        NewGlassReview, RuleRow, Share,
    },
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(inbox))
        .routes(routes!(rules, set_rule))
        .routes(routes!(drop_rule))
        .routes(routes!(groups, create_group))
        .routes(routes!(delete_group))
        .routes(routes!(set_members))
        .routes(routes!(terms, set_terms))
        .routes(routes!(breaks))
        .routes(routes!(review))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Inbox {
    /// `me` unless given: what the caller can approve and has not. `waiting`: what waits for anybody. `mine`: written or sent by the caller. `done`: decided on, or begun or stopped without that. `void`: a draft again.
    #[serde(default)]
    #[param(inline)]
    tab: InboxTab,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    rows: Option<u32>,
}

/// The approvals inbox: rollouts that were sent for approval, and what became of that
///
/// Those that wait come longest first, others as they were sent, newest first. What one would do, and the digest to approve, is with the rollout itself.
#[utoipa::path(
    get, path = "/approvals", operation_id = "list_approvals", tag = "approvals", params(Inbox), responses((status = OK, body = Page<AskedRow>), Refusals)
)]
async fn inbox(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(asked): Asked<Inbox>) -> Answer<Json<Page<AskedRow>>> {
    Ok(Json(fleet.rollouts().inbox(&actor, asked.tab, asked.cursor.as_deref(), asked.rows).await?))
}

/// Rules and groups: people make each by hand, a rule a device type at most.
fn whole<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page::whole(items))
}

/// Who has to approve rollouts: the rule for every rollout, and those of device types
#[utoipa::path(
    get, path = "/approval-rules", operation_id = "list_approval_rules", tag = "approvals", responses((status = OK, body = Page<RuleRow>), Refusals)
)]
async fn rules(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<RuleRow>>> {
    Ok(whole(fleet.rollouts().approval_rules(&actor).await?))
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AskedRule {
    /// For rollouts of this device type, beside the rule for every rollout; empty for every rollout.
    #[serde(default)]
    device_type: String,
    /// So many people in all, 1 to 5, none of them the author.
    needed: u32,
    /// So many of them from each of these groups.
    #[serde(default)]
    from: Vec<Share>,
}

/// Ask for another rule
///
/// What it asks for more holds at once, as long as there are people to fulfil it. What it asks for less holds a day later; asking for the present rule
/// takes that back. Rollouts that wait keep the rule they were sent with.
#[utoipa::path(
    put, path = "/approval-rules", operation_id = "set_approval_rule", tag = "approvals", request_body = AskedRule,
    responses((status = OK, body = Page<RuleRow>), Refusals)
)]
async fn set_rule(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(sent): Sent<AskedRule>) -> Answer<Json<Page<RuleRow>>> {
    let AskedRule { device_type, needed, from } = sent;
    Ok(whole(fleet.rollouts().set_rule(&actor, &device_type, ApprovalRule { needed, from }).await?))
}

/// Ask for no rule of its own for a device type any more; it ends a day later
#[utoipa::path(
    delete, path = "/approval-rules/{device_type}", operation_id = "drop_approval_rule", tag = "approvals", params(("device_type" = String, Path)),
    responses((status = OK, body = Page<RuleRow>), Refusals)
)]
async fn drop_rule(State(fleet): State<Fleet>, Caller(actor): Caller, Named(device_type): Named<String>) -> Answer<Json<Page<RuleRow>>> {
    Ok(whole(fleet.rollouts().drop_rule(&actor, &device_type).await?))
}

/// Groups of approvers, by their names
#[utoipa::path(
    get, path = "/approver-groups", operation_id = "list_approver_groups", tag = "approvals", responses((status = OK, body = Page<ApproverGroup>), Refusals)
)]
async fn groups(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<Page<ApproverGroup>>> {
    Ok(whole(fleet.rollouts().approver_groups(&actor).await?))
}

/// Make a group of approvers
#[utoipa::path(
    post, path = "/approver-groups", operation_id = "create_approver_group", tag = "approvals", request_body = NewApproverGroup,
    responses((status = CREATED, body = ApproverGroup), Refusals)
)]
async fn create_group(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Sent(new): Sent<NewApproverGroup>,
) -> Answer<(StatusCode, Json<ApproverGroup>)> {
    Ok((StatusCode::CREATED, Json(fleet.rollouts().create_approver_group(&actor, new).await?)))
}

/// Delete a group of approvers that no rule names
#[utoipa::path(
    delete, path = "/approver-groups/{id}", operation_id = "delete_approver_group", tag = "approvals", params(("id" = ApproverGroupId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn delete_group(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<ApproverGroupId>) -> Answer<StatusCode> {
    fleet.rollouts().delete_approver_group(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say who is in a group of approvers from now on
///
/// Where a rule names the group, who is new counts a day later. Who is not named any more is out at once.
#[utoipa::path(
    put, path = "/approver-groups/{id}/members", operation_id = "set_approvers", tag = "approvals", params(("id" = ApproverGroupId, Path)),
    request_body = ApproverMembers, responses((status = OK, body = ApproverGroup), Refusals)
)]
async fn set_members(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<ApproverGroupId>,
    Sent(sent): Sent<ApproverMembers>,
) -> Answer<Json<ApproverGroup>> {
    Ok(Json(fleet.rollouts().set_approvers(&actor, &id, &sent.members).await?))
}

/// For how long approvals are waited for and hold, and whether the glass may be broken
#[utoipa::path(
    get, path = "/approval-terms", operation_id = "get_approval_terms", tag = "approvals", responses((status = OK, body = ApprovalTerms), Refusals)
)]
async fn terms(State(fleet): State<Fleet>, Caller(actor): Caller) -> Answer<Json<ApprovalTerms>> {
    Ok(Json(fleet.rollouts().approval_terms(&actor).await?))
}

/// Change them for what is sent, approved or broken from now on
#[utoipa::path(
    put, path = "/approval-terms", operation_id = "set_approval_terms", tag = "approvals", request_body = NewApprovalTerms,
    responses((status = OK, body = ApprovalTerms), Refusals)
)]
async fn set_terms(State(fleet): State<Fleet>, Caller(actor): Caller, Sent(new): Sent<NewApprovalTerms>) -> Answer<Json<ApprovalTerms>> {
    Ok(Json(fleet.rollouts().set_approval_terms(&actor, new).await?))
}

/// Rollouts that were started without their approvals, newest first
#[utoipa::path(
    get, path = "/break-glass", operation_id = "list_broken_glass", tag = "approvals", params(PageQuery),
    responses((status = OK, body = Page<GlassBreak>), Refusals)
)]
async fn breaks(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(page): Asked<PageQuery>) -> Answer<Json<Page<GlassBreak>>> {
    Ok(Json(fleet.rollouts().glass_breaks(&actor, page.cursor.as_deref(), page.rows).await?))
}

/// Review a start without approval: accept it, or object, and with an objection stop it at once
#[utoipa::path(
    post, path = "/break-glass/{id}/review", operation_id = "review_broken_glass", tag = "approvals", params(("id" = GlassId, Path)),
    request_body = NewGlassReview, responses((status = OK, body = GlassBreak), Refusals)
)]
async fn review(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<GlassId>,
    Sent(new): Sent<NewGlassReview>,
) -> Answer<Json<GlassBreak>> {
    Ok(Json(fleet.rollouts().review_glass(&actor, &id, &new).await?))
}
