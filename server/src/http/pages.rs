//! The console's pages and server functions: what Leptos needs of a request is put together here. Refuses to know any page.

use super::{
    bodies,
    fault::{Problem, status},
    guard::{Guard, PeerAddress},
    refusal::Refusals,
    serve::LARGEST_FORM,
};
use app::{
    App, Assets,
    api::caller::{Asker, Peer, Statuses},
    shell::Theme,
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::{any, get},
};
use fleet::access::Actor;
use leptos::prelude::{LeptosOptions, provide_context};
use leptos_axum::{LeptosRoutes as _, ResponseOptions, generate_route_list};
use wire::{Fault, FaultKind};

/// What every page gets.
#[derive(Clone)]
pub struct Pages {
    /// Core and cookies.
    pub guard: Guard,
    /// Names of the built assets.
    pub assets: Assets,
    /// What forms without a script were refused with.
    pub refusals: Refusals,
    /// What the router wants.
    pub options: LeptosOptions,
}

impl axum::extract::FromRef<Pages> for LeptosOptions {
    fn from_ref(pages: &Pages) -> Self {
        pages.options.clone()
    }
}

/// Options for the renderer. Addresses and names come from the bundle's own list, so only what the renderer itself needs is set.
pub fn options() -> LeptosOptions {
    LeptosOptions::builder().output_name("fleetward").site_root("").site_pkg_dir("pkg").build()
}

/// The routes. The list is made once, before listening: made beside rendering it can hang (leptos#4773).
pub fn router(pages: Pages) -> Router {
    let routes = generate_route_list(App);
    Router::new().route("/rpc/{*function}", any(rpc)).leptos_routes_with_handler(routes, get(page)).fallback(page).with_state(pages)
}

impl Pages {
    /// The context of one request, read before the first await.
    fn context(&self, request: &Request) -> impl Fn() + Clone + Send + Sync + 'static + use<> {
        let headers = request.headers();
        let asker = Asker(request.extensions().get::<Actor>().cloned());
        let peer = Peer {
            ip: request.extensions().get::<PeerAddress>().map(|p| p.0.clone()).unwrap_or_default(),
            user_agent: text(headers, header::USER_AGENT),
        };
        let theme = theme(headers);
        let (fleet, assets, cookies) = (self.guard.fleet.clone(), self.assets.clone(), self.guard.cookies);
        move || {
            provide_context(fleet.clone());
            provide_context(asker.clone());
            provide_context(peer.clone());
            provide_context(assets.clone());
            provide_context(cookies);
            provide_context(Statuses(status));
            if let Some(theme) = theme {
                provide_context(theme);
            }
            protect();
        }
    }
}

/// The page's content security policy: only our own files, and the one script that carries this response's nonce.
fn protect() {
    let (Some(response), Some(nonce)) = (leptos::prelude::use_context::<ResponseOptions>(), leptos::nonce::use_nonce()) else { return };
    let policy = format!(
        "default-src 'self'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; style-src-attr 'unsafe-inline'; \
         img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// The colour theme that the browser's cookie names.
pub(super) fn theme(headers: &HeaderMap) -> Option<Theme> {
    let cookies = text(headers, header::COOKIE);
    cookies.split(';').find_map(|c| c.trim().strip_prefix(Theme::COOKIE)?.strip_prefix('=').and_then(Theme::parse))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
}

async fn page(State(pages): State<Pages>, request: Request) -> Response {
    if let Some(without) = pages.refusals.forged(request.uri()) {
        return Redirect::to(&without).into_response();
    }
    let render = leptos_axum::render_app_async_with_context(pages.context(&request), app::shell);
    let mut response = render(request).await;
    // A page shows what one person may see now.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn rpc(State(pages): State<Pages>, request: Request<Body>) -> Response {
    let context = pages.context(&request);
    let (parts, body) = request.into_parts();
    let Some(form) = bodies::whole(body, LARGEST_FORM).await else {
        let fault = Fault::new(FaultKind::TooLarge, "form_too_large", format!("A form has at most {LARGEST_FORM} bytes."));
        return Problem(fault).into_response();
    };
    let request = Request::from_parts(parts, Body::from(form.clone()));
    let mut response = leptos_axum::handle_server_fns_with_context(context, request).await.into_response();
    pages.refusals.sign(&mut response, &form);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
