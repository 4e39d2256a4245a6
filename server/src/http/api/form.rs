//! The console's forms whose files go one way or the other, and which work without JavaScript: all files of a release, or a batch of CSRs, in one
//! `multipart/form-data` request (RFC 7578), streamed to the store as they come; a file of devices, which is looked at first; and a new claim, whose
//! answer is a file.

use super::{Answer, MAX_JSON, Problem, limits};
use crate::http::{bodies, guard::Caller, refusal::Refusals};
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Form, FromRequest as _, Multipart, Request, State, multipart::Field},
    http::{HeaderMap, header},
    middleware,
    response::{IntoResponse as _, Redirect, Response},
    routing::post,
};
use bytes::Bytes;
use fleet::{
    Fleet,
    access::Actor,
    devices::{MOST_IMPORT_BYTES, NewBatch, Seal},
};
use futures::{SinkExt as _, channel::mpsc};
use std::{io, sync::Arc};
use wire::{
    FaultKind,
    enrolment::{MOST_GIVEN_GROUPS, NewClaim},
    ids::{DeviceImportId, EnrolmentBatchId, ReleaseId},
    releases::{NewRelease, Upload},
};
use zeroize::Zeroizing;

/// Most bytes of a form's word.
const MOST_OF_WORD: usize = 4096;
/// By which a form names each group that is checked.
const GROUPS: &str = "groups[]";
/// Where a file of devices is sent to.
const IMPORTS: &str = "/enrolment/imports";

/// `POST /releases/upload`, `POST /enrolment/batches`, the same with `/keys` behind it, `POST /enrolment/imports` and `POST /enrolment/claims`. They
/// count for the same limits as the REST face. A form carries no `Idempotency-Key`: a browser that sends it twice asks first.
pub(super) fn form(fleet: Fleet, limits: Arc<limits::Limits>, refusals: Refusals) -> Router {
    Router::new()
        .route("/releases/upload", post(upload))
        .route("/enrolment/batches", post(batch))
        .route("/enrolment/batches/keys", post(keys))
        .route(IMPORTS, post(import).with_state((fleet.clone(), refusals)))
        .layer(DefaultBodyLimit::disable())
        .with_state(fleet.clone())
        .merge(Router::new().route("/enrolment/claims", post(claim)).with_state(fleet))
        .layer(middleware::from_fn_with_state(limits, limits::limit))
}

/// What a form says: names and values, of which one may come more than once.
type Said = Vec<(String, String)>;

/// What the form says: words, so no more bytes of it are read than of a JSON body.
async fn asked(request: Request) -> Answer<Said> {
    let (parts, body) = request.into_parts();
    let too_large = || Problem::new(FaultKind::TooLarge, "form_too_large", format!("This form has at most {MAX_JSON} bytes."));
    let bytes = bodies::whole(body, MAX_JSON).await.ok_or_else(too_large)?;
    let read = Form::<Said>::from_request(Request::from_parts(parts, Body::from(bytes)), &()).await;
    // What has not even a label is no form of ours.
    let said = read.ok().map(|Form(said)| said).filter(|said| said.iter().any(|(name, _)| name == "label"));
    said.ok_or_else(|| Problem::new(FaultKind::Invalid, "bad_form", "The form can't be read."))
}

/// Makes a claim; the answer is the file with its certificate and its key, which is kept nowhere else.
async fn claim(State(fleet): State<Fleet>, Caller(actor): Caller, request: Request) -> Response {
    let made = async {
        let said = asked(request).await?;
        let word = |name: &str| said.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value.as_str());
        let number = |name: &str, or| if word(name).is_empty() { or } else { word(name).trim().parse().unwrap_or(0) };
        let new = NewClaim {
            max_uses: number("max_uses", 1),
            hours: number("hours", 1),
            per_minute: number("per_minute", 60),
            tags: wire::devices::words(word("tags")),
            groups: said.iter().filter(|(name, _)| name == GROUPS).map(|(_, value)| value.clone()).collect(),
            label: word("label").to_owned(),
            pattern: word("pattern").to_owned(),
            device_type: word("device_type").to_owned(),
            profile: word("profile").to_owned(),
            trusted_user: false,
            csr: String::new(),
        };
        Ok::<_, Problem>(fleet.devices().create_claim(&actor, new).await?)
    };
    match made.await {
        Ok(made) => {
            let saved = format!("attachment; filename=\"{}.pem\"", made.claim.id);
            let headers = [
                (header::CONTENT_TYPE, "application/x-pem-file".to_owned()),
                (header::CONTENT_DISPOSITION, saved),
                (header::CACHE_CONTROL, "no-store".to_owned()),
            ];
            (headers, format!("{}{}", made.certificate, made.key)).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

async fn upload(State(fleet): State<Fleet>, Caller(actor): Caller, files: Multipart) -> Response {
    match receive(&fleet, &actor, files).await {
        Ok(release) => Redirect::to(&format!("/firmware/{release}")).into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn batch(State(fleet): State<Fleet>, Caller(actor): Caller, form: Multipart) -> Response {
    match receive_batch(&fleet, &actor, form, false).await {
        Ok((batch, _)) => Redirect::to(&format!("/enrolment?tab=factory&batch={batch}")).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// A batch whose keys are made here; the answer is the file with them, which is kept nowhere else.
async fn keys(State(fleet): State<Fleet>, Caller(actor): Caller, form: Multipart) -> Response {
    match receive_batch(&fleet, &actor, form, true).await {
        Ok((batch, Some(seal))) => super::sealed::answer(&fleet, actor, batch, seal),
        Ok((batch, None)) => Redirect::to(&format!("/enrolment?tab=factory&batch={batch}")).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Lays a file of devices aside, and leads to what it would come to. A person is led back to the form with what was wrong, and the box as it was.
async fn import(
    State((fleet, refusals)): State<(Fleet, Refusals)>,
    Caller(actor): Caller,
    headers: HeaderMap,
    form: Multipart,
) -> Response {
    let mut update = false;
    let refused = match lay_import(&fleet, &actor, form, &mut update).await {
        Ok(import) => return Redirect::to(&format!("/enrolment?tab=import&import={import}")).into_response(),
        Err(problem) => problem,
    };
    let by_a_person = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"));
    // Whoever may not import has no such form.
    if !by_a_person || refused.0.kind == FaultKind::Forbidden {
        return refused.into_response();
    }
    let typed: &[u8] = if update { b"update=true" } else { b"" };
    refusals.back(("/enrolment?tab=import", "send-file"), IMPORTS, &refused.0, typed)
}

/// The box first, where it is checked, the file last: that is the order of the form.
async fn lay_import(fleet: &Fleet, actor: &Actor, mut form: Multipart, update: &mut bool) -> Answer<DeviceImportId> {
    fleet.devices().may_import(actor)?;
    let broken = |_| Problem::new(FaultKind::Invalid, "bad_form", "The form was cut off or can't be read.");
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        let Some(name) = field.file_name().map(str::to_owned) else {
            // Only a box that is checked is sent.
            *update |= field.name() == Some("update");
            continue;
        };
        let mut file = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            // One byte more is enough to be refused.
            let room = (MOST_IMPORT_BYTES + 1).saturating_sub(file.len());
            file.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        }
        // A file input that was left empty is sent with an empty name.
        if !name.is_empty() {
            return Ok(fleet.devices().lay_import(actor, &name, file.into(), *update).await?);
        }
    }
    Err(Problem::new(FaultKind::Invalid, "no_file", "Choose a file with devices: CSV, or hawkBit's list of targets as JSON."))
}

/// The words first, the file last: that is the order of the form, and of what a browser sends. `keys` are sealed for whom the words say.
async fn receive_batch(fleet: &Fleet, actor: &Actor, mut form: Multipart, keys: bool) -> Answer<(EnrolmentBatchId, Option<Seal>)> {
    let broken = |_| Problem::new(FaultKind::Invalid, "bad_form", "The form was cut off or can't be read.");
    let (mut new, mut recipient, mut passphrase) = (NewBatch::default(), String::new(), Zeroizing::new(String::new()));
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        if field.file_name().is_some() {
            let seal = if keys { Some(Seal::of(&recipient, &passphrase)?) } else { None };
            let (pieces, body) = mpsc::channel(4);
            let taking = async {
                match &seal {
                    Some(seal) => fleet.devices().receive_batch_for_keys(actor, new, seal, body).await,
                    None => fleet.devices().receive_batch(actor, new, body).await,
                }
            };
            let (taken, ()) = tokio::join!(taking, feed(&mut field, pieces));
            return Ok((taken?.id, seal));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let mut value = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(broken)? {
            value.extend_from_slice(&piece);
            if value.len() > MOST_OF_WORD {
                return Err(Problem::new(FaultKind::TooLarge, "bad_form", "A word of the form is too long."));
            }
        }
        let value = String::from_utf8_lossy(&value).into_owned();
        match name.as_str() {
            "label" => new.label = value,
            "device_type" => new.device_type = value,
            "tags" => new.tags = wire::devices::words(&value),
            // Each that is checked comes by itself; one too many is enough to be refused.
            GROUPS if new.groups.len() <= MOST_GIVEN_GROUPS => new.groups.push(value),
            "profile" => new.profile = value,
            "recipient" => recipient = value,
            "passphrase" => passphrase = Zeroizing::new(value),
            _ => {}
        }
    }
    Err(Problem::new(FaultKind::Invalid, "no_file", "Choose a file with CSRs: CSV, JSON lines, zip or tar."))
}

/// Hands a file's pieces on until it ends or nobody takes them.
async fn feed(file: &mut Field<'_>, mut pieces: mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let piece = match file.chunk().await {
            Ok(None) => break,
            Ok(Some(bytes)) => Ok(bytes),
            Err(e) => Err(io::Error::other(e)),
        };
        let last = piece.is_err();
        // When the core has ended early it says why itself.
        if pieces.send(piece).await.is_err() || last {
            break;
        }
    }
}

async fn receive(fleet: &Fleet, actor: &Actor, mut files: Multipart) -> Answer<ReleaseId> {
    let broken = |_| Problem::new(FaultKind::Invalid, "bad_form", "The form was cut off or can't be read.");
    let mut uploads = Vec::new();
    while let Some(file) = files.next_field().await.map_err(broken)? {
        // A file input that was left empty is sent with an empty name.
        if file.file_name().is_some_and(|name| !name.is_empty()) {
            uploads.push(store(fleet, actor, file).await?.id);
        }
    }
    Ok(fleet.releases().create(actor, NewRelease { uploads }).await?.release.row.id)
}

/// The field is read here and written in the core's own task, with a few pieces between them.
async fn store(fleet: &Fleet, actor: &Actor, mut file: Field<'_>) -> Answer<Upload> {
    let name = file.file_name().unwrap_or_default().to_owned();
    let (pieces, body) = mpsc::channel(4);
    let (stored, ()) = tokio::join!(fleet.releases().upload_stream(actor, name, body), feed(&mut file, pieces));
    Ok(stored?)
}
