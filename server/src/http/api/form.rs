//! The console's upload form for browsers without JavaScript: all files of a release in one `multipart/form-data` request (RFC 7578), streamed
//! to the store one after the other.

use super::{Answer, Problem};
use crate::http::guard::Caller;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Multipart, State, multipart::Field},
    response::{IntoResponse as _, Redirect, Response},
    routing::post,
};
use fleet::{Fleet, access::Actor};
use futures::{SinkExt as _, channel::mpsc};
use std::io;
use wire::{
    FaultKind,
    ids::ReleaseId,
    releases::{NewRelease, Upload},
};

/// `POST /releases/upload`, to be merged inside the guard, which asks for the same origin.
pub fn form(fleet: Fleet) -> Router {
    Router::new().route("/releases/upload", post(upload)).layer(DefaultBodyLimit::disable()).with_state(fleet)
}

async fn upload(State(fleet): State<Fleet>, Caller(actor): Caller, files: Multipart) -> Response {
    match receive(&fleet, &actor, files).await {
        Ok(release) => Redirect::to(&format!("/firmware/{release}")).into_response(),
        // For a person, who sees this instead of a page.
        Err(Problem(fault)) => {
            let text = format!("{}\n\nGo back and try again.\n", fault.message);
            (crate::http::fault::status(fault.kind), text).into_response()
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
    let (mut pieces, body) = mpsc::channel(4);
    let feed = async move {
        loop {
            let piece = match file.chunk().await {
                Ok(None) => break,
                Ok(Some(bytes)) => Ok(bytes),
                Err(e) => Err(io::Error::other(e)),
            };
            let last = piece.is_err();
            // When the core has ended early it says why below.
            if pieces.send(piece).await.is_err() || last {
                break;
            }
        }
    };
    let (stored, ()) = tokio::join!(fleet.releases().upload_stream(actor, name, body), feed);
    Ok(stored?)
}
