//! `/docs`: the manual, inside the binary. Readable by everybody, also before the first sign-in, and without a script.
//!
//! Owns how the Markdown becomes a page. `/docs/NAME` is the page, `/docs/NAME.md` the text as it was written.

use super::{
    fault::Problem,
    plain_page::{POLICY, PlainPage, escaped},
};
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::get,
};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};
use rust_embed::RustEmbed;
use std::{fmt::Write as _, sync::Arc};
use wire::FaultKind;

#[derive(RustEmbed)]
#[folder = "../app/docs"]
struct Manual;

/// The page that lists the others.
const INDEX: &str = "index";

/// The routes. Pages look as the console does.
pub fn router(assets: &app::Assets) -> Router {
    let look: Arc<app::Assets> = Arc::new(assets.clone());
    Router::new()
        .route("/docs", get(|State(look): State<Arc<app::Assets>>, headers: HeaderMap| async move { page(INDEX, &look, &headers) }))
        .route("/docs/", get(|| async { Redirect::permanent("/docs") }))
        .route(
            "/docs/{page}",
            get(|State(look): State<Arc<app::Assets>>, Path(name): Path<String>, headers: HeaderMap| async move {
                match name.strip_suffix(".md") {
                    Some(name) => text(name),
                    None if name == "rollout.png" => picture(&name),
                    None => page(&name, &look, &headers),
                }
            }),
        )
        .with_state(look)
}

fn source(name: &str) -> Option<String> {
    String::from_utf8(Manual::get(&format!("{name}.md"))?.data.into_owned()).ok()
}

fn text(name: &str) -> Response {
    match source(name) {
        Some(text) => ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response(),
        None => missing().into_response(),
    }
}

fn picture(name: &str) -> Response {
    let file = Manual::get(name).map(|file| ([(header::CONTENT_TYPE, "image/png")], file.data.into_owned()));
    file.map_or_else(|| missing().into_response(), axum::response::IntoResponse::into_response)
}

fn missing() -> Problem {
    Problem::new(FaultKind::NotFound, "not_found", "There is no such page of the manual. /docs lists them.")
}

fn page(name: &str, look: &app::Assets, headers: &HeaderMap) -> Response {
    let (Some(text), Some(index)) = (source(name), source(INDEX)) else { return missing().into_response() };
    let (title, body) = render(&text);
    let mut links = String::new();
    for (other, label) in contents(&index) {
        let current = if other == name { " aria-current=\"page\"" } else { "" };
        // Writing to a string can't fail.
        let _ = write!(links, "<li><a href=\"/docs/{other}\"{current}>{}</a></li>", escaped(&label));
    }
    let current = if name == INDEX { " aria-current=\"page\"" } else { "" };
    let page = PlainPage {
        title: &title,
        reader: Some(headers),
        css: &look.css,
        font: Some(&look.font_sans),
        links_label: "Manual",
        links: &format!("<li><a href=\"/docs\"{current}>Manual</a></li>{links}"),
        main: &body,
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        // It shows the theme that a cookie chose.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ];
    (headers, Html(page.html())).into_response()
}

/// Pure: Markdown as its title and its HTML. Links between the files lead to the pages, headings can be linked to, tables may scroll.
fn render(text: &str) -> (String, String) {
    let mut events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    let mut title = String::new();
    for at in 0..events.len() {
        if let Event::Start(Tag::Heading { level, .. }) = &events[at] {
            let level = *level;
            let words: String =
                events[at..].iter().take_while(|e| !matches!(e, Event::End(TagEnd::Heading(_)))).filter_map(words).collect();
            if let Event::Start(Tag::Heading { id, .. }) = &mut events[at] {
                *id = Some(CowStr::from(anchor(&words)));
            }
            if level == HeadingLevel::H1 && title.is_empty() {
                title = words;
            }
        }
    }
    let events = events.into_iter().flat_map(|event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = match dest_url.split_once(".md") {
                Some((page, rest)) if !dest_url.contains(':') => CowStr::from(format!("/docs/{page}{rest}")),
                _ => dest_url,
            };
            vec![Event::Start(Tag::Link { link_type, dest_url, title, id })]
        }
        Event::Start(table @ Tag::Table(_)) => {
            vec![Event::Html("<div class=\"table-wrap\" tabindex=\"0\" role=\"group\" aria-label=\"Table\">".into()), Event::Start(table)]
        }
        Event::End(TagEnd::Table) => vec![Event::End(TagEnd::Table), Event::Html("</div>".into())],
        other => vec![other],
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    (title, out)
}

fn words<'a>(event: &'a Event<'_>) -> Option<&'a str> {
    match event {
        Event::Text(text) | Event::Code(text) => Some(text),
        _ => None,
    }
}

/// `What each state means` → `what-each-state-means`.
fn anchor(words: &str) -> String {
    let words = words.to_lowercase();
    words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// The pages in the order of the index: name and label.
fn contents(index: &str) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut inside = None;
    for event in Parser::new(index) {
        match event {
            Event::Start(Tag::Link { dest_url, .. }) => inside = dest_url.strip_suffix(".md").map(str::to_owned),
            Event::Text(label) => {
                if let Some(name) = inside.take() {
                    pages.push((name, label.into_string()));
                }
            }
            Event::End(TagEnd::Link) => inside = None,
            _ => {}
        }
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages_and_headings_can_be_linked_to() {
        let (title, html) = render("# One & all\n\nSee [two](two.md#the-end) and [out](https://e.example/x.md).\n\n|a|\n|-|\n|1|\n");
        assert_eq!(title, "One & all");
        assert!(html.contains("<h1 id=\"one-all\">One &amp; all</h1>"), "{html}");
        assert!(html.contains("href=\"/docs/two#the-end\"") && html.contains("href=\"https://e.example/x.md\""), "{html}");
        assert!(html.contains("<div class=\"table-wrap\"") && html.contains("<th>a</th>"), "{html}");
    }

    #[test]
    fn every_page_is_listed_and_every_link_between_them_leads_somewhere() {
        let index = source(INDEX).unwrap();
        let mut listed: Vec<String> = contents(&index).into_iter().map(|(name, _)| name).collect();
        listed.push(INDEX.to_owned());
        listed.sort();
        let mut there: Vec<String> = Manual::iter().filter_map(|file| file.strip_suffix(".md").map(str::to_owned)).collect();
        there.sort();
        assert_eq!(listed, there);
        for name in there {
            for event in Parser::new(&source(&name).unwrap()) {
                if let Event::Start(Tag::Link { dest_url, .. }) = event
                    && let Some((page, _)) = dest_url.split_once(".md").filter(|_| !dest_url.contains(':'))
                {
                    assert!(source(page).is_some(), "{name} links to {dest_url}");
                }
            }
        }
    }

    /// Whether a word is the id of a rule: a kind and a number.
    fn is_rule(word: &str) -> bool {
        word.split_once('-').is_some_and(|(kind, number)| {
            ["P", "E", "R", "H", "K", "U", "A"].contains(&kind) && number.len() <= 2 && number.parse::<u8>().is_ok()
        })
    }

    #[test]
    fn every_rule_that_is_cited_is_explained_and_leads_to_a_file() {
        let page = source("identity-rules").unwrap();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for path in page.split('`').filter(|word| std::path::Path::new(word).extension().is_some_and(|kind| kind == "rs")) {
            assert!(root.join(path).is_file(), "{path}");
        }
        let mut folders: Vec<_> = ["app", "server", "end2end/agent"].iter().map(|folder| root.join(folder)).collect();
        let mut cited = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| is_rule(word)) {
                        assert!(page.contains(&format!("| {word} |")), "{} cites {word}", path.display());
                        cited += 1;
                    }
                }
            }
        }
        assert!(cited > 100, "{cited}");
    }
}
