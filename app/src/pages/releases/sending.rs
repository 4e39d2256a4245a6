//! The thin rim around the browser that sends files in chunks (`/api/v1/uploads`). What is cut goes on where the server says it has to.

use super::upload::{MOST_FAILURES, Phase, Progress, Uploader, next_chunk, wait_ms};
use crate::api::decode::{decode, try_decode};
use crate::session;
use js_sys::Promise;
use leptos::{ev, prelude::*, task::spawn_local};
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File, FileList, Headers, RequestInit, Response};
use wire::releases::{NewRelease, NewUpload, ReleaseDetail, Upload};

/// Starts with what was dropped.
pub fn dropped(event: &ev::DragEvent, to: Uploader) {
    start(event.data_transfer().and_then(|t| t.files()), to);
}

/// Starts with what was chosen.
pub fn chosen(to: Uploader) {
    start(to.input().get_untracked().and_then(|input| input.files()), to);
}

/// The browser asks before it closes the tab while bytes are on their way.
pub fn hold_tab(phase: RwSignal<Phase>) {
    let handle = window_event_listener(ev::beforeunload, move |event| {
        if matches!(phase.try_get_untracked(), Some(Phase::Sending(_) | Phase::Checking)) {
            event.prevent_default();
        }
    });
    on_cleanup(move || handle.remove());
}

fn start(files: Option<FileList>, to: Uploader) {
    let files: Vec<File> = files.map(|list| (0..list.length()).filter_map(|i| list.get(i)).collect()).unwrap_or_default();
    if files.is_empty() {
        to.phase.set(Phase::Failed("Choose the files of a release first.".to_owned()));
        return;
    }
    if let Some(empty) = files.iter().find(|f| f.size() < 1.0) {
        to.phase.set(Phase::Failed(format!("{} is empty, or a folder.", empty.name())));
        return;
    }
    let total = files.iter().map(size).sum();
    to.phase.set(Phase::Sending(Progress { files: files.len(), total, ..Progress::default() }));
    spawn_local(async move {
        match all(&files, to.phase).await {
            Ok(release) => {
                to.phase.try_set(Phase::Idle);
                to.made.try_set(Some(release.row.id.to_string()));
            }
            Err(Stop::Left) => {}
            Err(Stop::Refused(why)) => {
                to.phase.try_set(Phase::Failed(why));
            }
            Err(Stop::Cut) => {
                to.phase.try_set(Phase::Failed(
                    "The server could not be reached for too long. Upload the files again; what is there is kept for a day.".to_owned(),
                ));
            }
        }
    });
}

/// Why sending ended early.
enum Stop {
    /// No answer, or one that says "later".
    Cut,
    /// An answer that stays the same however often one asks.
    Refused(String),
    /// The person cancelled it or left the page.
    Left,
}

#[expect(clippy::cast_possible_truncation, reason = "sizes of files are whole numbers below 2^53")]
fn size(file: &File) -> i64 {
    file.size() as i64
}

async fn all(files: &[File], phase: RwSignal<Phase>) -> Result<ReleaseDetail, Stop> {
    let mut done = 0;
    let mut uploads = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let upload = one(file, |received, failures| {
            advance(phase, |p| {
                p.file = file.name();
                p.number = i + 1;
                p.sent = done + received;
                p.failures = failures;
            })
        })
        .await?;
        uploads.push(upload.id);
        done += size(file);
    }
    advance(phase, |_| ())?;
    phase.try_set(Phase::Checking);
    let new = NewRelease { uploads };
    let body = serde_json::to_string(&new).map_err(|e| Stop::Refused(e.to_string()))?;
    let mut failures = 0;
    loop {
        match ask("POST", "/api/v1/releases", Some(&body.as_str().into()), "application/json").await {
            Err(Stop::Cut) => pause(&mut failures).await?,
            other => return other,
        }
    }
}

/// Writes the progress down; ends it when the person has cancelled or left.
fn advance(phase: RwSignal<Phase>, change: impl FnOnce(&mut Progress)) -> Result<(), Stop> {
    let going = phase.try_update(|phase| {
        let Phase::Sending(progress) = phase else { return false };
        change(progress);
        true
    });
    if going == Some(true) { Ok(()) } else { Err(Stop::Left) }
}

/// Sends one file; `tell` hears the bytes that are safely there and how often the last chunk has failed.
async fn one(file: &File, tell: impl Fn(i64, u32) -> Result<(), Stop>) -> Result<Upload, Stop> {
    let new = NewUpload { name: file.name(), size: size(file), sha256: None };
    let body = JsValue::from(serde_json::to_string(&new).map_err(|e| Stop::Refused(e.to_string()))?);
    let mut failures = 0;
    tell(0, 0)?;
    let mut upload: Upload = loop {
        match ask("POST", "/api/v1/uploads", Some(&body), "application/json").await {
            Err(Stop::Cut) => pause(&mut failures).await?,
            other => break other?,
        }
    };
    failures = 0;
    while let Some((from, to)) = next_chunk(upload.received, upload.size) {
        tell(from, failures)?;
        let url = format!("/api/v1/uploads/{}", upload.id);
        match ask("PUT", &format!("{url}?offset={from}"), Some(&chunk(file, from, to)?), "application/octet-stream").await {
            Ok(now) => {
                upload = now;
                failures = 0;
            }
            Err(Stop::Cut) => {
                pause(&mut failures).await?;
                tell(from, failures)?;
                match ask("GET", &url, None, "").await {
                    Ok(now) => upload = now,
                    Err(Stop::Cut) => {}
                    Err(other) => return Err(other),
                }
            }
            Err(other) => return Err(other),
        }
    }
    tell(upload.size, 0)?;
    Ok(upload)
}

fn chunk(file: &File, from: i64, to: i64) -> Result<JsValue, Stop> {
    let blob: &Blob = file;
    #[expect(clippy::cast_precision_loss, reason = "offsets in a file are whole numbers below 2^53")]
    let part = blob.slice_with_f64_and_f64(from as f64, to as f64);
    part.map(JsValue::from).map_err(|_| Stop::Refused(format!("{} can't be read any more. Choose it again.", file.name())))
}

async fn pause(failures: &mut u32) -> Result<(), Stop> {
    *failures += 1;
    if *failures > MOST_FAILURES {
        return Err(Stop::Cut);
    }
    let ms = wait_ms(*failures);
    let timer = Promise::new(&mut |resolve, _| {
        // Without a timer the next try just comes at once.
        if window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms).is_err() {
            let _ = resolve.call0(&JsValue::NULL);
        }
    });
    let _ = JsFuture::from(timer).await;
    Ok(())
}

/// The part of a problem (RFC 9457) that people read.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

async fn ask<T: DeserializeOwned>(method: &str, url: &str, body: Option<&JsValue>, kind: &str) -> Result<T, Stop> {
    let init = RequestInit::new();
    init.set_method(method);
    if let Some(body) = body {
        init.set_body(body);
        if let Ok(headers) = Headers::new()
            && headers.set("content-type", kind).is_ok()
        {
            init.set_headers(&headers);
        }
    }
    let answer = JsFuture::from(window().fetch_with_str_and_init(url, &init)).await.map_err(|_| Stop::Cut)?;
    let answer: Response = answer.dyn_into().map_err(|_| Stop::Cut)?;
    let text = JsFuture::from(answer.text().map_err(|_| Stop::Cut)?).await.map_err(|_| Stop::Cut)?.as_string().unwrap_or_default();
    match answer.status() {
        200..300 => decode(&text).map_err(|fault| Stop::Refused(fault.0.message)),
        401 => {
            session::renew_quietly();
            Err(Stop::Cut)
        }
        // Not the offset it expects, too often, or not right now: what is there decides where it goes on.
        408 | 409 | 425 | 429 | 500 | 502 | 503 | 504 if method == "PUT" || answer.status() != 409 => Err(Stop::Cut),
        status => {
            let why = try_decode::<Problem>(&text).map_or_else(|| format!("The server refused it ({status})."), |p| p.detail);
            Err(Stop::Refused(why))
        }
    }
}
