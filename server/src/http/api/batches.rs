//! Batches of CSRs from a factory: sent as one file, worked on behind the request, given back as an archive.

use super::{
    Answer,
    input::{Asked, Named, PageQuery, Sent},
    openapi::Refusals,
    sealed,
};
use crate::http::{fault::Problem, guard::Caller};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use fleet::{
    Fleet,
    devices::{NewBatch, Seal},
};
use futures::TryStreamExt as _;
use serde::Deserialize;
use std::io;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{
    FaultKind,
    enrolment::{BatchLine, BatchLineState, EnrolmentBatch, group_names},
    ids::EnrolmentBatchId,
    page::Page,
    pki::RevocationReason,
};

pub(super) fn routes() -> OpenApiRouter<Fleet> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(keys))
        .routes(routes!(look))
        .routes(routes!(lines))
        .routes(routes!(result))
        .routes(routes!(cancel))
        .routes(routes!(revoke))
}

/// Batches of CSRs, newest first
#[utoipa::path(get, path = "/enrolment-batches", operation_id = "list_enrolment_batches", tag = "enrolment", params(PageQuery), responses((status = OK, body = Page<EnrolmentBatch>), Refusals))]
async fn list(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(page): Asked<PageQuery>) -> Answer<Json<Page<EnrolmentBatch>>> {
    Ok(Json(fleet.devices().batches(&actor, page.cursor.as_deref(), page.rows).await?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct About {
    /// What it is, for lists.
    #[serde(default)]
    label: String,
    /// Type of the devices whose line names none.
    #[serde(default)]
    device_type: String,
    /// Tags given to its devices, separated by blanks or commas.
    #[serde(default)]
    tags: String,
    /// Groups that its devices are put into, by name or id, separated by commas; one whose name has a comma goes by its id.
    #[serde(default)]
    groups: String,
    /// The profile of the certificates it gives, by name; empty means none: 90 days, and every type of key.
    #[serde(default)]
    profile: String,
}

/// Send a batch of CSRs: CSV, JSON lines, zip, tar or tar.gz
///
/// At most 64 MiB and 10,000 lines. CSV begins with a line of names: `device_id,device_type,csr` and if you like `tags`; JSON lines are objects with
/// these members. An archive has one CSR a file. A line without a CSR registers the device; it enrols later with a token made for exactly its id. When
/// this is answered the batch is written down, and its certificates are made one after the other: see `state` of the batch.
#[utoipa::path(
    post, path = "/enrolment-batches", operation_id = "create_enrolment_batch", tag = "enrolment", params(About),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = CREATED, body = EnrolmentBatch), Refusals)
)]
async fn create(State(fleet): State<Fleet>, Caller(actor): Caller, Asked(about): Asked<About>, body: Body) -> Answer<impl IntoResponse> {
    let (tags, groups) = (wire::devices::words(&about.tags), group_names(&about.groups));
    let new = NewBatch { label: about.label, device_type: about.device_type, tags, groups, profile: about.profile };
    let batch = fleet.devices().receive_batch(&actor, new, body.into_data_stream().map_err(io::Error::other)).await?;
    let place = format!("/api/v1/enrolment-batches/{}", batch.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(batch)))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Sealing {
    /// What it is, for lists.
    #[serde(default)]
    label: String,
    /// Type of the devices whose line names none.
    #[serde(default)]
    device_type: String,
    /// Tags given to its devices, separated by blanks or commas.
    #[serde(default)]
    tags: String,
    /// Groups that its devices are put into, by name or id, separated by commas; one whose name has a comma goes by its id.
    #[serde(default)]
    groups: String,
    /// The profile of the certificates it gives, by name; empty means none: 90 days, and every type of key.
    #[serde(default)]
    profile: String,
    /// The age recipient that the archive is encrypted for, `age1…`. Without one give a passphrase in the header `Archive-Passphrase`.
    #[serde(default)]
    recipient: String,
}

/// Have keys made for a batch of devices: CSV or JSON lines without CSRs
///
/// Only where the installation allows it (`allow_server_keygen`). The answer is a zip archive in an age file (age-encryption.org), made while it is sent:
/// `keys/<device_id>.pem` beside what a batch gives back otherwise. It is sent this once and kept nowhere. If it breaks off, every certificate that was
/// made for it is revoked, and the same batch can be sent again. It can't be combined with an `Idempotency-Key`. Where two people decide on authorities
/// it takes their consent first (`server_keys_consent`): ask for the deed `server_keys`.
#[utoipa::path(
    post, path = "/enrolment-batches/keys", operation_id = "create_enrolment_batch_with_keys", tag = "enrolment",
    params(Sealing, ("Archive-Passphrase" = Option<String>, Header, description = "Encrypts the archive, at least 12 characters.")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = OK, content_type = "application/octet-stream", body = Vec<u8>), Refusals)
)]
async fn keys(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Asked(about): Asked<Sealing>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    if headers.contains_key("idempotency-key") {
        let text = "This answer can't be kept to be given again. Leave Idempotency-Key out; a batch that broke off can be sent again.";
        return Err(Problem::new(FaultKind::Invalid, "bad_idempotency_key", text));
    }
    let passphrase = headers.get("archive-passphrase").map(|v| v.to_str()).transpose();
    let passphrase =
        passphrase.map_err(|_| Problem::new(FaultKind::Invalid, "invalid", "Archive-Passphrase has visible ASCII characters only."))?;
    let seal = Seal::of(&about.recipient, passphrase.unwrap_or_default())?;
    let (tags, groups) = (wire::devices::words(&about.tags), group_names(&about.groups));
    let new = NewBatch { label: about.label, device_type: about.device_type, tags, groups, profile: about.profile };
    let body = body.into_data_stream().map_err(io::Error::other);
    let batch = fleet.devices().receive_batch_for_keys(&actor, new, &seal, body).await?;
    Ok(sealed::answer(&fleet, actor, batch.id, seal))
}

/// How far a batch is
#[utoipa::path(
    get, path = "/enrolment-batches/{id}", operation_id = "get_enrolment_batch", tag = "enrolment", params(("id" = EnrolmentBatchId, Path)),
    responses((status = OK, body = EnrolmentBatch), Refusals)
)]
async fn look(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<EnrolmentBatchId>) -> Answer<Json<EnrolmentBatch>> {
    Ok(Json(fleet.devices().batch(&actor, &id).await?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only lines in this state.
    state: Option<BatchLineState>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless given.
    rows: Option<u32>,
}

/// The lines of a batch and what became of them
#[utoipa::path(
    get, path = "/enrolment-batches/{id}/lines", operation_id = "list_enrolment_batch_lines", tag = "enrolment",
    params(("id" = EnrolmentBatchId, Path), Which), responses((status = OK, body = Page<BatchLine>), Refusals)
)]
async fn lines(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<EnrolmentBatchId>,
    Asked(which): Asked<Which>,
) -> Answer<Json<Page<BatchLine>>> {
    Ok(Json(fleet.devices().batch_lines(&actor, &id, which.state, which.cursor.as_deref(), which.rows).await?))
}

/// What a batch has made so far
///
/// A zip archive: `manifest.csv` (`device_id`, `serial`, `sha256`, `not_after`), `certs/<device_id>.pem`, `chain.pem`, and `refused.csv` if lines were
/// refused.
#[utoipa::path(
    get, path = "/enrolment-batches/{id}/result", operation_id = "download_enrolment_batch", tag = "enrolment", params(("id" = EnrolmentBatchId, Path)),
    responses((status = OK, content_type = "application/zip", body = Vec<u8>), Refusals)
)]
async fn result(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<EnrolmentBatchId>) -> Answer<impl IntoResponse> {
    let bytes = fleet.devices().batch_result(&actor, &id).await?;
    let saved = format!("attachment; filename=\"{id}.zip\"");
    Ok(([(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_DISPOSITION, saved)], bytes))
}

/// Stop a batch; what was made stays
#[utoipa::path(
    post, path = "/enrolment-batches/{id}/cancel", operation_id = "cancel_enrolment_batch", tag = "enrolment", params(("id" = EnrolmentBatchId, Path)),
    responses((status = NO_CONTENT), Refusals)
)]
async fn cancel(State(fleet): State<Fleet>, Caller(actor): Caller, Named(id): Named<EnrolmentBatchId>) -> Answer<StatusCode> {
    fleet.devices().cancel_batch(&actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct BatchRevocation {
    /// Why (RFC 5280 §5.3.1).
    reason: RevocationReason,
}

/// Revoke every certificate a batch made, and those that they were renewed to
#[utoipa::path(
    post, path = "/enrolment-batches/{id}/revoke", operation_id = "revoke_enrolment_batch", tag = "enrolment", params(("id" = EnrolmentBatchId, Path)),
    request_body = BatchRevocation, responses((status = NO_CONTENT), Refusals)
)]
async fn revoke(
    State(fleet): State<Fleet>,
    Caller(actor): Caller,
    Named(id): Named<EnrolmentBatchId>,
    Sent(revocation): Sent<BatchRevocation>,
) -> Answer<StatusCode> {
    fleet.devices().revoke_batch(&actor, &id, revocation.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}
