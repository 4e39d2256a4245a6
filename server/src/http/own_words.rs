//! Refusals in our words and in each listener's own form. What the framework refuses before a handler is asked (an address that is not there, another
//! method, a body over the limit, a path that can't be read) says nothing of us by itself; here, in one place for each listener, it gets a sentence
//! that says what to do. A handler's own refusal keeps its words; a person in a browser gets them as a page.
//!
//! Refuses to know routes: of a refusal only its status is looked at, and whether a handler has said it.

use super::{
    fault::Problem,
    guard::encode,
    plain_page::{POLICY, PlainPage, escaped},
};
use app::api::session::local;
use axum::{
    Router,
    body::HttpBody as _,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::{self, Next},
    response::{Html, IntoResponse as _, Response},
};
use std::sync::Arc;
use wire::{Fault, FaultKind};

/// A listener's way to refuse.
#[derive(Clone)]
pub struct Face {
    /// Ends the sentence about an address or a method that is not there.
    hint: &'static str,
    /// The address of its websocket, if it has one.
    websocket: &'static str,
    /// Bodies that announce more bytes are refused unread: nothing here takes them.
    largest: u64,
    /// Which form a request's refusal has.
    form: fn(&Request) -> Form,
    /// How pages look, where there are any.
    look: Option<Arc<app::Assets>>,
}

/// The shape of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A problem document (RFC 9457).
    Problem,
    /// A line of text.
    Line,
    /// A page for a person.
    Page,
}

/// Marks a refusal that a handler has said in the form that is right there.
#[derive(Debug, Clone, Copy)]
pub struct Said;

/// A refusal as a line of text, as it is.
pub fn line(status: StatusCode, text: &str) -> Response {
    let mut response = (status, format!("{text}\n")).into_response();
    response.extensions_mut().insert(Said);
    response
}

impl Face {
    /// The operator listener: problem documents, and pages for people. Uploads have any size, so each reader of a body bounds its own.
    pub fn operator(look: app::Assets) -> Self {
        Self {
            hint: "The console begins at /, the API is described at /api/v1/openapi.json.",
            websocket: "/live",
            largest: u64::MAX,
            form: |asked| {
                let reads_pages = asked.headers().get(header::ACCEPT).is_some_and(|v| v.to_str().unwrap_or_default().contains("text/html"));
                let for_people = !["/api/", "/live", "/pkg/"].iter().any(|prefix| asked.uri().path().starts_with(prefix));
                if reads_pages && for_people { Form::Page } else { Form::Problem }
            },
            look: Some(Arc::new(look)),
        }
    }

    /// The device and the enrol listener: problem documents, and for EST a line of text (E-15). `largest`: more is never read, not even to be
    /// thrown away.
    pub fn devices(largest: u64) -> Self {
        Self {
            hint: "The addresses are in the manual, under /docs/agent of the console.",
            websocket: "/device/v1/channel",
            largest,
            form: |asked| if asked.uri().path().starts_with("/.well-known/est") { Form::Line } else { Form::Problem },
            look: None,
        }
    }

    /// Listeners for programs that read no documents: a line of text.
    pub fn lines(hint: &'static str, largest: u64) -> Self {
        Self { hint, websocket: "", largest, form: |_| Form::Line, look: None }
    }

    /// These routes, refusing in this way.
    pub fn over<S: Clone + Send + Sync + 'static>(self, routes: Router<S>) -> Router<S> {
        routes.layer(middleware::from_fn_with_state(self, answer))
    }

    /// A refusal in the form that is right for whoever asked; anything else as it is.
    fn said(&self, response: Response, form: Form, uri: &Uri, reader: Option<&HeaderMap>) -> Response {
        let status = response.status();
        let refused = status.is_client_error() || status.is_server_error();
        if !refused || response.extensions().get::<Said>().is_some() {
            return response;
        }
        let fault = match response.extensions().get::<Fault>() {
            Some(_) if form == Form::Problem => return response,
            Some(fault) => fault.clone(),
            None if is_bare(&response) => self.words(status, uri),
            None => return response,
        };
        let said = match form {
            Form::Problem => Problem(fault).under(status),
            Form::Line => line(status, &fault.message.replace(['\r', '\n'], " ")),
            Form::Page => self.page(status, &fault, reader),
        };
        // What else the answer says stays: which methods there are, when to come back, cookies.
        let (mut parts, _) = response.into_parts();
        let (words, body) = said.into_parts();
        for of_the_body in [header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
            parts.headers.remove(of_the_body);
        }
        parts.headers.extend(words.headers);
        Response::from_parts(parts, body)
    }

    /// A page with the refusal, which works without a script and without anybody being signed in.
    fn page(&self, status: StatusCode, fault: &Fault, reader: Option<&HeaderMap>) -> Response {
        let text = |name| reader.and_then(|headers| headers.get(name)?.to_str().ok());
        let whole = |v: Uri| local(v.path_and_query().map_or("/", PathAndQuery::as_str), "/").to_owned();
        let came_from = text(header::REFERER).and_then(|v| v.parse::<Uri>().ok()).map(whole);
        let back = came_from.unwrap_or_else(|| "/".to_owned());
        let (message, way) = if fault.code == "no_credentials" {
            let way = format!("<a href=\"/sign-in?next={}\">Sign in</a>", encode(&back));
            ("You are not signed in any more, so nothing was done. Sign in, then send the form again.", way)
        } else {
            (fault.message.as_str(), format!("<a href=\"{}\">Go back and try again</a>", escaped(&back)))
        };
        let title = status.canonical_reason().unwrap_or("Refused");
        let page = PlainPage {
            title,
            reader,
            css: self.look.as_ref().map_or("", |look| look.css.as_str()),
            font: None,
            links_label: "Fleetward",
            links: "<li><a href=\"/docs\">Manual</a></li>",
            main: &format!("<h1>{title}</h1><p role=\"alert\">{}</p><p>{way}</p>", escaped(message)),
        };
        let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")];
        (status, headers, Html(page.html())).into_response()
    }

    /// What the framework's refusal says here.
    fn words(&self, status: StatusCode, uri: &Uri) -> Fault {
        use FaultKind as K;
        let (kind, code, text) = match status {
            _ if uri.path() == self.websocket && status != StatusCode::NOT_FOUND && status.is_client_error() => (
                K::Invalid,
                "websocket_expected",
                "This address is a websocket: ask for it by GET with `Upgrade: websocket` (RFC 6455).".to_owned(),
            ),
            StatusCode::NOT_FOUND => (K::NotFound, "not_found", format!("There is nothing at this address. {}", self.hint)),
            StatusCode::METHOD_NOT_ALLOWED => {
                let text = format!("This address does not take this method; the header Allow names those that it takes. {}", self.hint);
                (K::Invalid, "method_not_allowed", text)
            }
            StatusCode::REQUEST_TIMEOUT => (K::Busy, "slow", "The request came too slowly. Send it again.".to_owned()),
            StatusCode::PAYLOAD_TOO_LARGE => {
                (K::TooLarge, "too_large", "The request's body is larger than what is taken at this address. Send less.".to_owned())
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                (K::Invalid, "bad_range", "The file has no such range; Content-Range says how long it is.".to_owned())
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                (K::Unsupported, "media_type", format!("This address takes a body of another media type. {}", self.hint))
            }
            StatusCode::SERVICE_UNAVAILABLE => (K::Busy, "busy", "The server is busy. Try again in a moment.".to_owned()),
            _ if status.is_server_error() => {
                (K::Internal, "internal", "Something failed on the server. The request id finds it in the log.".to_owned())
            }
            _ => (
                K::Invalid,
                "bad_request",
                format!(
                    "The request can't be read as it was sent: something in its path, its query, its headers or its body is malformed. {}",
                    self.hint
                ),
            ),
        };
        Fault::new(kind, code, text)
    }
}

async fn answer(State(face): State<Face>, request: Request, next: Next) -> Response {
    let form = (face.form)(&request);
    let (uri, reader) = (request.uri().clone(), (form == Form::Page).then(|| request.headers().clone()));
    let response = if request.body().size_hint().lower() > face.largest {
        // Unread: who announces that much would otherwise be listened to for as long as we have patience.
        StatusCode::PAYLOAD_TOO_LARGE.into_response()
    } else {
        next.run(request).await
    };
    face.said(response, form, &uri, reader.as_ref())
}

/// Whether nobody but the framework has said it. Server functions have a way of their own to refuse, which the browser's side reads.
fn is_bare(response: &Response) -> bool {
    let media = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    (media.is_empty() || media.starts_with(b"text/plain")) && !response.headers().contains_key(SERVER_FUNCTION)
}

/// Marks a server function's own refusal.
const SERVER_FUNCTION: &str = "serverfnerror";

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{
        body::{Body, Bytes, to_bytes},
        extract::Path,
        routing::{get, post},
    };
    use http::Request;
    use tower::ServiceExt as _;

    fn routes(face: Face) -> Router {
        let routes = Router::new()
            .route("/thing/{name}", get(async |Path(name): Path<String>| name))
            .route("/body", post(async |body: Bytes| body.len().to_string()).layer(axum::extract::DefaultBodyLimit::max(10)))
            .route("/own", get(async || Problem(Fault::new(FaultKind::Conflict, "own", "Not <now>.").retry_after(3))))
            .route("/live", get(async |_: axum::extract::WebSocketUpgrade| "never"));
        face.over(routes)
    }

    async fn ask(routes: &Router, request: Request<Body>) -> (u16, HeaderMap, String) {
        let answer = routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        (parts.status.as_u16(), parts.headers, String::from_utf8(to_bytes(body, 100_000).await.unwrap().to_vec()).unwrap())
    }

    fn from(path: &str) -> Request<Body> {
        Request::get(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn the_framework_says_nothing_by_itself() {
        let operator = routes(Face::operator(app::Assets::default()));
        let long = || Request::post("/body").body(Body::from("12345678901")).unwrap();
        let cases = [
            (from("/nothing"), 404, "not_found", "There is nothing at this address."),
            (from("/body"), 405, "method_not_allowed", "the header Allow"),
            (from("/thing/%ff"), 400, "bad_request", "something in its path"),
            (from("/live"), 400, "websocket_expected", "Upgrade: websocket"),
            (long(), 413, "too_large", "larger than what is taken"),
        ];
        for (request, status, code, words) in cases {
            let path = request.uri().to_string();
            let (is, headers, text) = ask(&operator, request).await;
            let body: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((is, headers["content-type"].to_str().unwrap()), (status, "application/problem+json"), "{path}");
            assert!(body["code"] == code && body["detail"].as_str().unwrap().contains(words), "{path}: {text}");
        }
        assert_eq!(ask(&operator, from("/body")).await.1["allow"], "POST", "the rest of the answer stays");

        let line = routes(Face::lines("It is at /thing.", 5));
        let (status, headers, text) = ask(&line, from("/nothing")).await;
        assert_eq!((status, text.as_str()), (404, "There is nothing at this address. It is at /thing.\n"));
        assert!(headers["content-type"].to_str().unwrap().starts_with("text/plain"));
        assert_eq!(ask(&line, from("/own")).await.2, "Not <now>.\n", "a handler's own words in the listener's form");
    }

    #[tokio::test]
    async fn a_person_gets_a_page() {
        let operator = routes(Face::operator(app::Assets::default()));
        let browser = |path: &str| {
            let asked =
                Request::get(path).header("accept", "text/html,*/*;q=0.8").header("referer", "https://fleet.example/firmware/upload?x");
            asked.header("cookie", "theme=dark").body(Body::empty()).unwrap()
        };
        let (status, headers, page) = ask(&operator, browser("/own")).await;
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (409, "text/html; charset=utf-8"));
        assert!(page.contains("Not &lt;now&gt;.") && page.contains("href=\"/firmware/upload?x\""), "{page}");
        assert_eq!(headers["retry-after"], "3");
        assert!(headers["content-security-policy"].to_str().unwrap().contains("style-src 'self'"));
        let (_, headers, _) = ask(&operator, browser("/api/v1/nothing")).await;
        assert_eq!(headers["content-type"], "application/problem+json", "the API is for programs, whoever looks at it");
        let elsewhere = Request::get("/nothing").header("accept", "text/html").header("referer", "https://x//evil.example");
        assert!(ask(&operator, elsewhere.body(Body::empty()).unwrap()).await.2.contains("href=\"/\">Go back"));
    }

    #[tokio::test]
    async fn what_announces_too_much_is_refused_unread() {
        let face = Face::lines("", 5);
        let read = Request::post("/body").body(Body::from("123456")).unwrap();
        let (status, _, text) = ask(&routes(face), read).await;
        assert!(status == 413 && text.contains("larger than what is taken"), "{status} {text}");
    }
}
