//! The console's upload forms, which work without JavaScript: all files of a release, or a batch of CSRs, in one `multipart/form-data` request
//! (RFC 7578), streamed to the store as they come.

use super::{Answer, Problem};
use crate::http::guard::Caller;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Multipart, State, multipart::Field},
    response::{IntoResponse as _, Redirect, Response},
    routing::post,
};
use bytes::Bytes;
use fleet::{Fleet, access::Actor, devices::NewBatch};
use futures::{SinkExt as _, channel::mpsc};
use std::io;
use wire::{
    FaultKind,
    ids::{EnrolmentBatchId, ReleaseId},
    releases::{NewRelease, Upload},
};

/// Most bytes of a form's word.
const MOST_OF_WORD: usize = 4096;

/// `POST /releases/upload` and `POST /enrolment/batches`, to be merged inside the guard, which asks for the same origin.
pub fn form(fleet: Fleet) -> Router {
    Router::new().route("/releases/upload", post(upload)).route("/enrolment/batches", post(batch)).layer(DefaultBodyLimit::disable()).with_state(fleet)
}

async fn upload(State(fleet): State<Fleet>, Caller(actor): Caller, files: Multipart) -> Response {
    match receive(&fleet, &actor, files).await {
        Ok(release) => Redirect::to(&format!("/firmware/{release}")).into_response(),
        Err(problem) => told(problem),
    }
}

/// For a person, who sees this instead of a page.
fn told(Problem(fault): Problem) -> Response {
    let text = format!("{}\n\nGo back and try again.\n", fault.message);
    (crate::http::fault::status(fault.kind), text).into_response()
}

async fn batch(State(fleet): State<Fleet>, Caller(actor): Caller, form: Multipart) -> Response {
    match receive_batch(&fleet, &actor, form).await {
        Ok(batch) => Redirect::to(&format!("/enrolment?tab=factory&batch={batch}")).into_response(),
        Err(problem) => told(problem),
    }
}

/// The words first, the file last: that is the order of the form, and of what a browser sends.
async fn receive_batch(fleet: &Fleet, actor: &Actor, mut form: Multipart) -> Answer<EnrolmentBatchId> {
    let broken = |_| Problem::new(FaultKind::Invalid, "bad_form", "The form was cut off or can't be read.");
    let mut new = NewBatch::default();
    while let Some(mut field) = form.next_field().await.map_err(broken)? {
        if field.file_name().is_some() {
            let (pieces, body) = mpsc::channel(4);
            let (taken, ()) = tokio::join!(fleet.devices().receive_batch(actor, new, body), feed(&mut field, pieces));
            return Ok(taken?.id);
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
            "tags" => new.tags = value.split([' ', ',']).filter(|t| !t.is_empty()).map(str::to_owned).collect(),
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
    Ok(fleet.releases().create(actor, NewRelease { uploads }).await?.row.id)
}

/// The field is read here and written in the core's own task, with a few pieces between them.
async fn store(fleet: &Fleet, actor: &Actor, mut file: Field<'_>) -> Answer<Upload> {
    let name = file.file_name().unwrap_or_default().to_owned();
    let (pieces, body) = mpsc::channel(4);
    let (stored, ()) = tokio::join!(fleet.releases().upload_stream(actor, name, body), feed(&mut file, pieces));
    Ok(stored?)
}
