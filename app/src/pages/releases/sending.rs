//! The thin rim around the browser that sends files in chunks (`/api/v1/uploads`). What is cut goes on where the server says it has to, also when the page
//! was loaded anew and the same files are chosen again.

use super::{
    resume::{self, Begun, FileKey},
    upload::{MOST_FAILURES, Uploader, next_chunk, wait_ms},
};
use crate::{
    api::decode::{decode, try_decode},
    session,
    ui::{
        browser,
        uploads::{Phase, Progress, Uploads},
    },
};
use leptos::{ev, prelude::*, task::spawn_local};
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File, FileList, Headers, RequestInit, Response};
use wire::releases::{NewRelease, NewUpload, ReleaseDetail, Upload};

/// Where the browser keeps which uploads were begun.
const STORE: &str = "fw_uploads";

/// Starts with what was dropped.
pub fn dropped(event: &ev::DragEvent, to: Uploader) {
    start(event.data_transfer().and_then(|t| t.files()), to.uploads);
}

/// Starts with what was chosen.
pub fn chosen(to: Uploader) {
    start(to.input().get_untracked().and_then(|input| input.files()), to.uploads);
}

/// Takes files that are dropped anywhere on the page, as long as it is shown: the box says that they are.
pub fn take_drops(to: Uploader) {
    let wanted = move |event: &ev::DragEvent| {
        let files = event.data_transfer().is_some_and(|held| held.types().includes(&JsValue::from_str("Files"), 0));
        files && to.allowed.try_get_untracked() == Some(true) && !to.uploads.phase.with_untracked(Phase::busy)
    };
    let over = window_event_listener(ev::dragover, move |event| {
        if wanted(&event) {
            event.prevent_default();
            to.over().try_set(true);
        }
    });
    let dropping = window_event_listener(ev::drop, move |event| {
        // The box itself has taken what was dropped on it.
        if !event.default_prevented() && wanted(&event) {
            event.prevent_default();
            to.over().try_set(false);
            dropped(&event, to);
        }
    });
    let left = window_event_listener(ev::dragleave, move |event| {
        if event.related_target().is_none() {
            to.over().try_set(false);
        }
    });
    on_cleanup(move || {
        over.remove();
        dropping.remove();
        left.remove();
    });
}

fn start(files: Option<FileList>, to: Uploads) {
    let files: Vec<File> = files.map(|list| (0..list.length()).filter_map(|i| list.get(i)).collect()).unwrap_or_default();
    let phase = to.phase;
    if phase.with_untracked(Phase::busy) {
        return;
    }
    if files.is_empty() {
        phase.set(Phase::Failed("Choose the files of a release first.".to_owned()));
        return;
    }
    if let Some(empty) = files.iter().find(|f| f.size() < 1.0) {
        phase.set(Phase::Failed(format!("{} is empty, or a folder.", empty.name())));
        return;
    }
    let total = files.iter().map(size).sum();
    phase.set(Phase::Sending(Progress { files: files.len(), total, ..Progress::default() }));
    spawn_local(async move {
        let ended = match all(&files, phase).await {
            Ok(done) => done,
            Err(Stop::Left) => return,
            Err(Stop::Refused(why)) => Phase::Failed(why),
            Err(Stop::Cut) => Phase::Failed(
                "The server could not be reached for too long. Choose the same files again within a day, and they go on where they were."
                    .to_owned(),
            ),
        };
        phase.set(ended);
    });
}

/// What the files have become.
fn done(release: &ReleaseDetail) -> Phase {
    let row = &release.row;
    let name =
        if row.version.is_empty() { "a release without a manifest".to_owned() } else { format!("{} {}", row.device_type, row.version) };
    Phase::Done { name, href: format!("/firmware/{}", row.id), held: !row.quarantine.is_empty() }
}

/// Why sending ended early.
enum Stop {
    /// No answer, or one that says "later".
    Cut,
    /// An answer that stays the same however often one asks.
    Refused(String),
    /// The person cancelled it.
    Left,
}

#[expect(clippy::cast_possible_truncation, reason = "sizes of files are whole numbers below 2^53")]
fn size(file: &File) -> i64 {
    file.size() as i64
}

fn key(file: &File) -> FileKey {
    #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds well within the range")]
    let modified = file.last_modified() as i64;
    FileKey { name: file.name(), size: size(file), modified }
}

/// Milliseconds since `begun`.
#[expect(clippy::cast_possible_truncation, reason = "whole milliseconds well within the range")]
fn since(begun: f64) -> i64 {
    (browser::now_ms() - begun) as i64
}

/// What has healed the release that they are of.
fn healed(uploads: &[Upload], release: &ReleaseDetail) -> Option<Phase> {
    let id = &release.row.id;
    let names: Vec<&str> = uploads.iter().filter(|upload| upload.healed.contains(id)).map(|upload| upload.name.as_str()).collect();
    (!names.is_empty()).then(|| Phase::Done {
        name: format!("{}: whole again", names.join(", ")),
        href: format!("/firmware/{id}"),
        held: false,
    })
}

async fn all(files: &[File], phase: RwSignal<Phase>) -> Result<Phase, Stop> {
    let begun = browser::now_ms();
    let (mut done, mut before) = (0, 0);
    let mut uploads = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let mut failures = 0;
        let tell = |received: i64, there: i64, failures: u32| {
            advance(phase, |p| {
                p.file = file.name();
                p.number = i + 1;
                p.sent = done + received;
                p.before = before + there;
                p.elapsed_ms = since(begun);
                p.failures = failures;
            })
        };
        tell(0, 0, 0)?;
        let upload = begin(file, &mut failures).await?;
        let there = upload.received;
        let whole = one(file, upload, |received, failures| tell(received, there, failures)).await?;
        uploads.push(whole);
        done += size(file);
        before += there;
    }
    advance(phase, |_| ())?;
    phase.set(Phase::Checking);
    let ids: Vec<String> = uploads.iter().map(|upload| upload.id.to_string()).collect();
    let new = NewRelease { uploads: uploads.iter().map(|upload| upload.id.clone()).collect() };
    let body = serde_json::to_string(&new).map_err(|e| Stop::Refused(e.to_string()))?;
    // An answer that is lost is asked for again, and the release is made once.
    let once = ids.first().map(|id| format!("release-of-{id}")).unwrap_or_default();
    let headers = [("content-type", "application/json"), ("idempotency-key", once.as_str())];
    let mut failures = 0;
    loop {
        match ask_with::<ReleaseDetail>("POST", "/api/v1/releases", Some(&body.as_str().into()), &headers).await {
            Err(Stop::Cut) => pause(&mut failures).await?,
            Ok(release) => {
                forget(&ids);
                return Ok(healed(&uploads, &release).unwrap_or_else(|| self::done(&release)));
            }
            Err(stop) => return Err(stop),
        }
    }
}

/// Writes the progress down; ends it when the person has cancelled.
fn advance(phase: RwSignal<Phase>, change: impl FnOnce(&mut Progress)) -> Result<(), Stop> {
    let going = phase.try_update(|phase| {
        let Phase::Sending(progress) = phase else { return false };
        change(progress);
        true
    });
    if going == Some(true) { Ok(()) } else { Err(Stop::Left) }
}

fn kept() -> String {
    browser::stored(STORE).unwrap_or_default()
}

fn forget(ids: &[String]) {
    browser::store(STORE, &resume::without(&kept(), ids, browser::epoch_ms()));
}

/// The upload of a file: the one that was begun before, where the server still has it.
async fn begin(file: &File, failures: &mut u32) -> Result<Upload, Stop> {
    let key = key(file);
    if let Some(id) = resume::find(&kept(), &key, browser::epoch_ms()) {
        let url = format!("/api/v1/uploads/{id}");
        loop {
            match ask::<Upload>("GET", &url, None, "").await {
                Ok(upload) if upload.size == key.size && upload.name == key.name => return Ok(upload),
                Err(Stop::Cut) => pause(failures).await?,
                // It was used up, or the server has forgotten it.
                Ok(_) | Err(_) => break,
            }
        }
        forget(&[id]);
    }
    let new = NewUpload { name: key.name.clone(), size: key.size, sha256: None };
    let body = JsValue::from(serde_json::to_string(&new).map_err(|e| Stop::Refused(e.to_string()))?);
    let upload: Upload = loop {
        match ask("POST", "/api/v1/uploads", Some(&body), "application/json").await {
            Err(Stop::Cut) => pause(failures).await?,
            other => break other?,
        }
    };
    let begun = Begun { file: key, id: upload.id.to_string(), at: browser::epoch_ms() };
    browser::store(STORE, &resume::with(&kept(), begun));
    Ok(upload)
}

/// Sends what is missing of one file; `tell` hears the bytes that are safely there and how often the last chunk has failed.
async fn one(file: &File, mut upload: Upload, tell: impl Fn(i64, u32) -> Result<(), Stop>) -> Result<Upload, Stop> {
    let mut failures = 0;
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
    // Without a timer the next try just comes at once.
    browser::pause(wait_ms(*failures)).await;
    Ok(())
}

/// The part of a problem (RFC 9457) that people read, and the word for programs.
#[derive(Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    code: String,
}

async fn ask<T: DeserializeOwned>(method: &str, url: &str, body: Option<&JsValue>, kind: &str) -> Result<T, Stop> {
    ask_with(method, url, body, &[("content-type", kind)]).await
}

async fn ask_with<T: DeserializeOwned>(method: &str, url: &str, body: Option<&JsValue>, with: &[(&str, &str)]) -> Result<T, Stop> {
    let init = RequestInit::new();
    init.set_method(method);
    if let Some(body) = body {
        init.set_body(body);
        if let Ok(headers) = Headers::new()
            && with.iter().all(|(name, value)| headers.set(name, value).is_ok())
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
        status => match try_decode::<Problem>(&text) {
            Some(problem) if problem.code == "request_under_way" => Err(Stop::Cut),
            Some(problem) => Err(Stop::Refused(problem.detail)),
            None => Err(Stop::Refused(format!("The server refused it ({status})."))),
        },
    }
}
