//! Pages outside of the console, the manual's and refusals: whole without a script and without anybody being signed in. Owns their frame and what may load
//! on them; refuses to know what they say.

use super::pages::theme;
use axum::http::HeaderMap;

/// What such a page may load and lead to: what it is made of, and nothing else.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One of them.
pub(super) struct PlainPage<'a> {
    /// What the tab says, as text.
    pub title: &'a str,
    /// Who reads it, and may have chosen a theme.
    pub reader: Option<&'a HeaderMap>,
    /// The address of the style sheet.
    pub css: &'a str,
    /// The address of a font that is used at once.
    pub font: Option<&'a str>,
    /// What the links beside it are called.
    pub links_label: &'a str,
    /// These links, list items in HTML.
    pub links: &'a str,
    /// What it says, in HTML.
    pub main: &'a str,
}

impl PlainPage<'_> {
    /// The whole page, in HTML.
    pub(super) fn html(&self) -> String {
        let Self { css, links_label, links, main, .. } = self;
        let title = escaped(self.title);
        let theme = self.reader.and_then(theme).map(|theme| format!(" data-theme=\"{}\"", theme.as_str())).unwrap_or_default();
        let preload = |font: &str| format!("<link rel=\"preload\" as=\"font\" type=\"font/woff2\" crossorigin href=\"{font}\">");
        let font = self.font.map(preload).unwrap_or_default();
        format!(
            "<!DOCTYPE html><html lang=\"en\"{theme}><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">{font}<link rel=\"stylesheet\" href=\"{css}\"><link rel=\"icon\" href=\"/favicon.svg\" \
             type=\"image/svg+xml\"><title>{title} · Fleetward</title></head><body><a class=\"skip\" href=\"#main\">Skip to content</a><div class=\"manual\">\
             <nav aria-label=\"{links_label}\"><ul><li><a href=\"/\">Console</a></li>{links}</ul></nav><main id=\"main\" tabindex=\"-1\">{main}</main></div>\
             </body></html>"
        )
    }
}

/// Text as it stands in HTML, in an attribute too.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_text_stays_text() {
        let page = PlainPage {
            title: "<One> & \"all\"",
            reader: None,
            css: "/a.css",
            font: None,
            links_label: "Manual",
            links: "",
            main: "<h1>One</h1>",
        };
        let html = page.html();
        assert!(html.contains("<title>&lt;One&gt; &amp; &quot;all&quot; · Fleetward</title>"), "{html}");
        assert!(html.contains("<main id=\"main\" tabindex=\"-1\"><h1>One</h1></main>") && !html.contains("preload"), "{html}");
        let with_font = PlainPage { font: Some("/a.woff2"), ..page }.html();
        assert!(with_font.contains("crossorigin href=\"/a.woff2\"><link rel=\"stylesheet\" href=\"/a.css\">"), "{with_font}");
    }
}
