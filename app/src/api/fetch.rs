//! The rim: a question or a form's post as the browser makes it. The names of its inputs are the server function's arguments, so nothing has to be read into a
//! type and written again.

use super::{decode::try_decode, fault::ApiFault};
use leptos::{prelude::*, server_fn::redirect::REDIRECT_HEADER};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, RequestInit, Response};
use wire::FaultKind;

/// What a post was answered with.
pub struct Answered {
    /// The server function's result, JSON.
    pub text: String,
    /// Where to go on, if the server leads somewhere.
    pub lead: Option<String>,
}

/// Reads what a server function answers, JSON.
pub async fn get(address: &str) -> Result<String, ApiFault> {
    let response = send(address, None).await.map_err(|_| unreachable_server())?;
    text_of(&response).await
}

/// Posts a form's data (`application/x-www-form-urlencoded`) to a server function.
pub async fn post(path: &str, form: &str) -> Result<Answered, ApiFault> {
    let response = send(path, Some(form)).await.map_err(|_| unreachable_server())?;
    let text = text_of(&response).await?;
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let lead = header(REDIRECT_HEADER).and_then(|_| header("location"));
    Ok(Answered { text, lead })
}

/// The text of an answer, or the refusal it carries.
async fn text_of(response: &Response) -> Result<String, ApiFault> {
    let text = match response.text() {
        Ok(text) => JsFuture::from(text).await.ok().and_then(|text| text.as_string()),
        Err(_) => None,
    }
    .ok_or_else(unreachable_server)?;
    if response.ok() {
        return Ok(text);
    }
    Err(try_decode(&text).unwrap_or_else(|| ApiFault::new(FaultKind::Internal, "internal", "Something went wrong on our side. Try again.")))
}

async fn send(path: &str, form: Option<&str>) -> Result<Response, JsValue> {
    let headers = Headers::new()?;
    headers.set("accept", "application/json")?;
    let init = RequestInit::new();
    if let Some(form) = form {
        headers.set("content-type", "application/x-www-form-urlencoded")?;
        init.set_method("POST");
        init.set_body(&JsValue::from_str(form));
    }
    init.set_headers(&headers);
    JsFuture::from(window().fetch_with_str_and_init(path, &init)).await?.dyn_into()
}

fn unreachable_server() -> ApiFault {
    ApiFault::new(FaultKind::Busy, "unreachable", "The server could not be reached. Check the connection and try again.")
}
