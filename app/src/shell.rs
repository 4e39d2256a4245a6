//! The HTML around the application: head, addresses of the built assets, theme, and the script that starts hydration.

use crate::routes::App;
use leptos::prelude::*;
use leptos_meta::MetaTags;

/// Addresses of the built assets, with their content's hash in the name. The server provides it as context for every page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assets {
    /// The style sheet.
    pub css: String,
    /// The glue between browser and wasm, an ES module.
    pub js: String,
    /// The wasm.
    pub wasm: String,
    /// The chart module, loaded only by pages that show a chart.
    pub chart: String,
    /// The sans font, preloaded because every page shows it first.
    pub font_sans: String,
}

/// The colour theme a person chose, from the cookie `fw_theme`; without one the browser's preference holds. Provided as context by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on light ground.
    Light,
    /// Light text on dark ground.
    Dark,
}

impl Theme {
    /// Name of the cookie that keeps the choice.
    pub const COOKIE: &'static str = "fw_theme";
    /// The theme a cookie's value names; anything else is no choice.
    pub fn parse(value: &str) -> Option<Self> {
        match value {
            "light" => Some(Self::Light),
            "dark" => Some(Self::Dark),
            _ => None,
        }
    }
    /// The value of the cookie and of `html[data-theme]`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// The whole document. Reads [`Assets`] and [`Theme`] from the context; both may be absent (a page without its style still reads).
pub fn shell() -> impl IntoView {
    let assets = use_context::<Assets>().unwrap_or_default();
    let theme = use_context::<Theme>().map(Theme::as_str);
    let nonce = leptos::nonce::use_nonce();
    let start = format!("import init,{{hydrate}} from {:?};init({{module_or_path:{:?}}}).then(hydrate)", assets.js, assets.wasm);
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="fw-chart" content=assets.chart/>
                <link rel="preload" r#as="font" type="font/woff2" crossorigin="" href=assets.font_sans/>
                <link rel="stylesheet" href=assets.css/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <link rel="modulepreload" href=assets.js.clone()/>
                <link rel="preload" r#as="fetch" type="application/wasm" crossorigin="" href=assets.wasm.clone()/>
                <script type="module" nonce=nonce>{start}</script>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}
