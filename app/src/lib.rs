//! What an operator sees: pages, widgets, server functions.
//!
//! Owns the console's markup, its addresses and the way its pages are read and kept live. Refuses to know how anything is stored or decided: every
//! server function asks the core (`fleet`) in a few lines and hands a `wire` type on. The same code renders on the server (feature `ssr`) and
//! takes over in the browser (feature `hydrate`).
//!
//! Rules that keep server rendering boring: one page = one server function = one `Resource` = one `Transition`; models are read by awaiting them
//! in a `Suspend`, never by `.get()`; every route renders in `SsrMode::Async`; live data comes by websocket after hydration only.

// The view macro builds one type per page; the default depth is too small for the shell around all of them.
#![recursion_limit = "512"]

pub mod api;
pub mod live;
pub mod pages;
mod parts;
pub mod plan;
pub mod routes;
pub mod session;
pub mod shell;
pub mod ui;

pub use routes::App;
pub use shell::{Assets, shell};

/// Takes over the server's markup as soon as the part of the page is there. Call once, from the wasm entry.
#[cfg(feature = "hydrate")]
pub fn hydrate() {
    leptos::mount::hydrate_lazy(App);
}
