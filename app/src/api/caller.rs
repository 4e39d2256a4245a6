//! Who asks: the only file that reads the request's context, and it does so before the first await (after one it may be gone).

pub use super::cookies::Cookies;
use super::{cookies, fault::ApiFault, packed::Packed};
use fleet::{
    Fleet,
    access::{Actor, SignedIn},
};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header, request::Parts};
use leptos::{prelude::*, server_fn::redirect::REDIRECT_HEADER};
use leptos_axum::ResponseOptions;
use wire::{FaultKind, Timestamp};

/// Who the server's guard found behind the request; nobody on the sign-in and set-up pages.
#[derive(Clone)]
pub struct Asker(pub Option<Actor>);

/// Where the request came from, for sessions and the audit log.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// The address.
    pub ip: String,
    /// The browser, as it calls itself.
    pub user_agent: String,
}

/// The server's table of status codes, so that it stays in one place there.
#[derive(Clone, Copy)]
pub struct Statuses(pub fn(FaultKind) -> StatusCode);

/// Somebody who is signed in, and the core to ask for them.
pub struct Call {
    /// The core.
    pub fleet: Fleet,
    /// Who asks.
    pub actor: Actor,
    answer: Answer,
    cookies: Cookies,
}

impl Call {
    /// Hands the core's answer on; a refusal also becomes the response's status.
    pub fn answer<T>(&self, result: Result<T, impl Into<fleet::Error>>) -> Result<T, ApiFault> {
        self.answer.of(result)
    }
    /// The same for a form that posts under `name` what the core calls `field`: a refusal of that is shown beside the input.
    pub fn answer_at<T>(&self, result: Result<T, impl Into<fleet::Error>>, field: &str, name: &str) -> Result<T, ApiFault> {
        self.answer(result).map_err(|mut refused| {
            if refused.0.field.as_deref() == Some(field) {
                refused.0.field = Some(name.to_owned());
            }
            refused
        })
    }
    /// The same for a page's model.
    pub fn model<T: serde::Serialize>(&self, result: Result<T, impl Into<fleet::Error>>) -> Result<Packed, ApiFault> {
        self.answer.of(result).and_then(|model| Packed::of(&model))
    }
    /// Makes a refusal the response's status.
    pub fn refuse(&self, fault: ApiFault) -> ApiFault {
        self.answer.refuse(fault)
    }
    /// Where the browser goes after a change, a path of the console.
    pub fn lead_to(&self, path: &str) {
        self.answer.lead_to(path);
    }
    /// Leads the page that is being rendered to its own path with another query, if there is one to `change` the present one to. Does nothing in an
    /// answer to a call: the browser keeps its address itself.
    pub fn lead_page(&self, change: impl FnOnce(&str) -> Option<String>) {
        self.answer.lead_page(change);
    }
    /// Takes this browser's session away.
    pub fn sign_out(&self) {
        self.answer.sign_out(self.cookies);
    }
    /// How to set cookies.
    pub(super) const fn cookies(&self) -> Cookies {
        self.cookies
    }
    /// Sets one, a whole `Set-Cookie` value.
    pub(super) fn set_cookie(&self, cookie: &str) {
        self.answer.set_cookie(cookie);
    }
    /// Whether this answers a form that was posted without JavaScript.
    pub(super) const fn to_form(&self) -> bool {
        self.answer.form
    }
    /// Whether a person typed what names the object before it is harmed. The browser checks it too, but only this one counts.
    pub fn confirmed(&self, typed: &str, expected: &str) -> Result<(), ApiFault> {
        if typed.trim() == expected.trim() { Ok(()) } else { Err(self.unconfirmed(expected)) }
    }
    /// The refusal of what was not confirmed; `expected` says what to type.
    pub fn unconfirmed(&self, expected: &str) -> ApiFault {
        let fault = wire::Fault::new(FaultKind::Invalid, "not_confirmed", format!("Type {expected} to confirm.")).at("confirm");
        self.refuse(fault.into())
    }
    /// The id in an address or a form; what is no id names nothing, so the answer is "not found".
    pub fn id<T: std::str::FromStr>(&self, text: &str) -> Result<T, ApiFault> {
        text.parse().map_err(|_| self.refuse(ApiFault::new(FaultKind::NotFound, "not_found", "There is nothing with this id here.")))
    }
    /// The refusal of what is in a form's input of this name.
    pub fn invalid(&self, field: &str, message: impl Into<String>) -> ApiFault {
        self.refuse(wire::Fault::new(FaultKind::Invalid, "invalid", message).at(field).into())
    }
    /// The instant in a form's input of this name: `2026-11-22T09:57` in UTC.
    pub fn instant(&self, text: &str, field: &str) -> Result<Timestamp, ApiFault> {
        crate::plan::instant(text.trim()).ok_or_else(|| self.invalid(field, "Write date and time in UTC, for example 2026-11-22T09:57."))
    }
    /// The same where it may be left empty.
    pub fn instant_if_any(&self, text: &str, field: &str) -> Result<Option<Timestamp>, ApiFault> {
        if text.trim().is_empty() { Ok(None) } else { self.instant(text, field).map(Some) }
    }
}

/// The way back: sets the status of the response, of a page as of a call.
#[derive(Clone)]
pub struct Answer {
    response: Option<ResponseOptions>,
    statuses: Option<Statuses>,
    form: bool,
    /// The address of the page that is being rendered; none in an answer to a call.
    page: Option<Uri>,
}

impl Answer {
    fn here() -> Self {
        let parts = use_context::<Parts>();
        let form = parts.as_ref().is_some_and(is_form);
        let page = parts.filter(|parts| parts.method == Method::GET && !parts.uri.path().starts_with("/rpc/")).map(|parts| parts.uri);
        Self { response: use_context(), statuses: use_context(), form, page }
    }
    /// Hands the core's answer on; a refusal also becomes the response's status.
    pub fn of<T>(&self, result: Result<T, impl Into<fleet::Error>>) -> Result<T, ApiFault> {
        result.map_err(|error| {
            let fault = ApiFault::from(error.into());
            self.refuse(fault)
        })
    }
    /// Makes a refusal the response's status. A form posted without JavaScript keeps its redirect, which carries the refusal back to the form.
    pub fn refuse(&self, fault: ApiFault) -> ApiFault {
        if let (Some(response), false) = (&self.response, self.form) {
            let status = self.statuses.map_or(StatusCode::INTERNAL_SERVER_ERROR, |table| (table.0)(fault.0.kind));
            response.set_status(status);
        }
        fault
    }
    /// Where the browser goes after a change, a path of the console. Does what `leptos_axum::redirect` does, but after an await, too.
    pub fn lead_to(&self, path: &str) {
        let Some(response) = &self.response else { return };
        let Ok(location) = HeaderValue::from_str(path) else { return };
        response.insert_header(header::LOCATION, location);
        if self.form {
            response.set_status(StatusCode::SEE_OTHER);
        } else {
            response.insert_header(HeaderName::from_static(REDIRECT_HEADER), HeaderValue::from_static(""));
        }
    }
    fn lead_page(&self, change: impl FnOnce(&str) -> Option<String>) {
        let (Some(response), Some(page)) = (&self.response, &self.page) else { return };
        let Some(query) = change(page.query().unwrap_or_default()) else { return };
        let Ok(location) = HeaderValue::from_str(&format!("{}?{query}", super::session::local(page.path(), "/"))) else { return };
        response.insert_header(header::LOCATION, location);
        response.set_status(StatusCode::SEE_OTHER);
    }
    /// Sets the cookies of a session.
    pub fn sign_in(&self, cookies: Cookies, signed_in: &SignedIn) {
        self.set_cookies(cookies::signed_in(cookies, signed_in));
    }
    /// Takes the cookies of a session away.
    pub fn sign_out(&self, cookies: Cookies) {
        self.set_cookies(cookies::signed_out(cookies));
    }
    fn set_cookies(&self, all: Vec<String>) {
        for cookie in all {
            self.set_cookie(&cookie);
        }
    }
    fn set_cookie(&self, cookie: &str) {
        if let (Some(response), Ok(cookie)) = (&self.response, HeaderValue::from_str(cookie)) {
            response.append_header(header::SET_COOKIE, cookie);
        }
    }
}

/// The signed-in caller. Call before the first await.
pub fn caller() -> Result<Call, ApiFault> {
    let (fleet, answer) = anyone()?;
    match use_context::<Asker>().and_then(|asker| asker.0) {
        Some(actor) => Ok(Call { fleet, actor, answer, cookies: browser().0 }),
        None => Err(answer.refuse(ApiFault::new(FaultKind::Unauthenticated, "signed_out", "You are signed out. Sign in again."))),
    }
}

/// The core for somebody who need not be signed in. Call before the first await.
pub fn anyone() -> Result<(Fleet, Answer), ApiFault> {
    let answer = Answer::here();
    match use_context::<Fleet>() {
        Some(fleet) => Ok((fleet, answer)),
        None => Err(answer.refuse(ApiFault::new(FaultKind::Internal, "internal", "Something went wrong on our side. Try again."))),
    }
}

/// How to set cookies and where the request came from. Call before the first await.
pub fn browser() -> (Cookies, Peer) {
    (use_context().unwrap_or(Cookies { secure: true }), use_context().unwrap_or_default())
}

/// The value of a cookie of the request. Call before the first await.
pub fn cookie(name: &str) -> Option<String> {
    let parts = use_context::<Parts>()?;
    parts.headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then(|| value.to_owned())
    })
}

/// A browser without JavaScript posts forms itself and takes a page for an answer; the wasm asks for data.
fn is_form(parts: &Parts) -> bool {
    let takes_pages = parts.headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"));
    parts.method == Method::POST && takes_pages
}

/// Makes a refusal the status of the page being rendered. Call while the page is made, not after an await.
pub fn refuse_page(kind: FaultKind) {
    Answer::here().refuse(ApiFault::new(kind, "", ""));
}
