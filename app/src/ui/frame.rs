//! The frame around every page behind the sign-in: rail, top bar, what is said about the connection, and where pages go.

use super::{
    behaviour::Unread,
    icon::icon,
    keys,
    number::grouped,
    page::banner,
    palette::{self, PALETTE, Palette},
    status::Tone,
    toast::Toasts,
    uploads::{Told, uploads},
};
use crate::{
    api::{fault::ApiFault, packed::Packed},
    live::{Live, Status, machine::Phase},
    session,
};
use leptos::prelude::*;
use leptos_router::{components::Outlet, hooks::use_location};
use std::future::IntoFuture as _;
use wire::{
    access::{NavCounts, Viewer},
    states::Role,
};

/// The frame.
#[component]
pub fn Frame() -> AnyView {
    let live = Live::provide();
    let toasts = Toasts::provide();
    let uploads = uploads();
    uploads.on_done(move |name, _, held| {
        let (tone, where_to) = if held { (Tone::Warn, " into quarantine") } else { (Tone::Ok, "") };
        toasts.say(tone, format!("Uploaded {name}{where_to}"));
    });
    let viewer = session::viewer_resource();
    // Only the counts follow the fleet: to build the bar anew would close a menu that is open.
    let (counts, set_counts) = signal(NavCounts::default());
    Effect::new(move |_| {
        if let Some(Ok(now)) = viewer.get().map(read) {
            set_counts.set(now.nav);
        }
    });
    let path = use_location().pathname;
    let upload = uploads.told(path);
    Effect::new(move |before: Option<String>| {
        let now = path.get();
        if before.is_some_and(|before| before != now) {
            session::note_navigation();
        }
        now
    });
    Effect::new(move |_| keys::install(palette::open));
    view! {
        <a class="skip" href="#main" rel="external">"Skip to content"</a>
        <div class="app">
            <Transition fallback=|| view! { <nav class="side" aria-label="Main"></nav><header class="top"></header> }>
                {move || {
                    let (first, unread) = (untrack(|| viewer.into_future()), Unread::one());
                    Suspend::new(async move {
                        // A viewer that could not be read leaves a frame without names and counts; the page below says why.
                        let viewer = read(first.await).ok();
                        set_counts.set(viewer.as_ref().map(|v| v.nav).unwrap_or_default());
                        let shown = chrome(viewer.as_ref(), counts, path, live, upload);
                        drop(unread);
                        shown
                    })
                }}
            </Transition>
            <main id="main" tabindex="-1">
                <ConnectionBanner live/>
                <Outlet/>
            </main>
        </div>
        <Palette/>
        {keys::help()}
        {toasts.view()}
        <div class="sr" id="announcer" role="status"></div>
    }
    .into_any()
}

fn read(answer: Result<Packed, ApiFault>) -> Result<Viewer, ApiFault> {
    answer.and_then(|viewer| viewer.read())
}

/// Rail and top bar: everything that knows who looks. Built once.
fn chrome(viewer: Option<&Viewer>, counts: ReadSignal<NavCounts>, path: Memo<String>, live: Live, upload: Told) -> AnyView {
    let initials = viewer.map(|v| initials(&v.name)).unwrap_or_default();
    let name = viewer.map(|v| v.name.clone()).unwrap_or_default();
    view! {
        <nav class="side" aria-label="Main">{nav_links(viewer, counts, path)}</nav>
        <header class="top">
            <a class="btn icon only-narrow" data-v="ghost" href="#nav-drawer" data-dialog="nav-drawer" rel="external" aria-label="Open menu">{icon("menu")}</a>
            {move || crumbs_view(&path.get())}
            <div class="row nowrap push">
                {upload.view()}
                <a class="btn only-wide palette-button" href="/devices" data-dialog=PALETTE>
                    {icon("search")}"Search or jump to…"<kbd class="kbd push">"Ctrl K"</kbd>
                </a>
                <a class="btn icon only-narrow" data-v="ghost" href="/devices" data-dialog=PALETTE aria-label="Search or jump to">{icon("search")}</a>
                <LivePill live/>
                <button type="button" class="btn icon" data-v="ghost" popovertarget="account-menu" aria-label=format!("{initials}, account menu for {name}")>
                    <span class="avatar" aria-hidden="true">{initials.clone()}</span>
                </button>
                {account_menu(viewer)}
            </div>
        </header>
        {move || counts.with(root_reminder)}
        <dialog class="drawer" id="nav-drawer" aria-label="Menu">
            <button type="button" class="btn icon" data-v="ghost" data-close="" aria-label="Close menu">{icon("x")}</button>
            <nav class="side-links" aria-label="Menu">{nav_links(viewer, counts, path)}</nav>
        </dialog>
    }
    .into_any()
}

fn nav_links(viewer: Option<&Viewer>, counts: ReadSignal<NavCounts>, path: Memo<String>) -> AnyView {
    // Operators make API tokens and read the log; the pages keep what only admins may change to themselves.
    let runs = viewer.is_some_and(|v| v.role >= Role::Operator);
    let organization = viewer.map_or_else(|| "Fleetward".to_owned(), |v| v.organization.clone());
    let link = move |href: &'static str, name: &'static str, label: &'static str, count: fn(&NavCounts) -> i64| {
        let current = move || path.with(|path| belongs(path, href)).then_some("page");
        let count = move || {
            let count = counts.with(count);
            (count > 0).then(|| view! { <span class="count">{grouped(count)}</span> })
        };
        view! { <a class="nav-link" href=href aria-current=current>{icon(name)}<span class="label">{label}</span>{count}</a> }.into_any()
    };
    let group = |label: &'static str| view! { <div class="group">{label}</div> };
    view! {
        <a class="nav-link brand" href="/"><span class="avatar" data-v="square" aria-hidden="true">{initials(&organization)}</span><span class="label strong">{organization}</span></a>
        {link("/", "layout-dashboard", "Overview", |_| 0)}
        {link("/devices", "cpu", "Devices", |c| c.devices)}
        {group("Updates")}
        {link("/firmware", "package", "Firmware", |_| 0)}
        {link("/rollouts", "rocket", "Rollouts", |c| c.rollouts)}
        {link("/approvals", "inbox", "Approvals", |c| c.approvals)}
        {group("Trust")}
        {link("/certificates", "shield-check", "Certificates", |_| 0)}
        {link("/enrolment", "key-round", "Enrolment", |_| 0)}
        {runs.then(|| view! {
            {group("Admin")}
            {link("/people", "users", "People", |_| 0)}
            {link("/audit", "scroll-text", "Audit log", |_| 0)}
        })}
    }
    .into_any()
}

fn account_menu(viewer: Option<&Viewer>) -> AnyView {
    let who = viewer.map(
        |v| view! { <div class="menu-head"><b>{v.name.clone()}</b><span>{v.email.clone()}</span><span>{v.role.as_str()}</span></div> },
    );
    view! {
        <div class="menu" id="account-menu" popover="auto">
            {who}
            <a href="/account">{icon("settings")}"Account"</a>
            <a href="/account#keys" data-dialog=keys::HELP>{icon("keyboard")}"Keyboard"</a>
            <a href="/docs" rel="external">{icon("scroll-text")}"Manual"</a>
            <hr/>
            <form method="post" action="/rpc/session/sign_out"><button type="submit">{icon("log-out")}"Sign out"</button></form>
        </div>
    }
    .into_any()
}

/// The state of the connection; a press holds the page still.
#[component]
fn LivePill(live: Live) -> AnyView {
    let state = move || pill(live.status.get());
    view! {
        <button type="button" class="live" data-state=move || state().0 aria-pressed=move || live.status.get().paused.to_string()
            aria-label=move || format!("Live data: {}. {}", state().1, if live.status.get().paused { "Continue" } else { "Pause" })
            on:click=move |_| live.toggle_pause()>
            {move || state().1}
        </button>
    }
    .into_any()
}

/// What administrators are reminded of until it is done (P-11).
fn root_reminder(counts: &NavCounts) -> Option<AnyView> {
    let text = match (counts.root_keys, counts.root_tasks) {
        (0, 0) => return None,
        (1.., _) => {
            "The root's private key is still on this server. Write it into a file, keep that in a safe place, and remove the key here."
        }
        _ => "Something is to be signed where a root's private key is kept.",
    };
    let links = view! { " "<a href="/certificates/authorities">"What to do"</a>" · "<a href="/docs/roots" rel="external">"The manual"</a> };
    let told = banner(Tone::Warn, view! { {text}{links} }.into_any());
    Some(view! { <aside class="reminder" aria-label="Reminder">{told}</aside> }.into_any())
}

/// What the connection's banner says, when there is something to say.
#[component]
fn ConnectionBanner(live: Live) -> AnyView {
    let (text, set_text) = signal(None::<String>);
    Effect::new(move |_| set_text.set(connection_text(live.status.get())));
    view! {
        <div class="banner connection" data-s="warn" role="status" hidden=move || text.with(Option::is_none)>
            {icon("wifi-off")}
            <span class="grow">{move || text.get().unwrap_or_default()}</span>
            <button type="button" class="btn" data-s="sm" on:click=move |_| live.retry_now()>"Try now"</button>
        </div>
    }
    .into_any()
}

/// Pure: the pill's state and word.
fn pill(status: Status) -> (&'static str, String) {
    match (status.paused, status.phase) {
        (true, _) => {
            ("paused", if status.behind_s < 2 { "Paused".to_owned() } else { format!("Paused, {} behind", span(status.behind_s)) })
        }
        (false, Phase::Connecting) => ("connecting", "Connecting".to_owned()),
        (false, Phase::Live) => ("live", "Live".to_owned()),
        (false, Phase::Stale) => ("stale", format!("Stale {}", span(status.behind_s))),
        (false, Phase::Offline) => ("offline", "Offline".to_owned()),
    }
}

/// Pure: the banner's sentence.
fn connection_text(status: Status) -> Option<String> {
    if status.paused || matches!(status.phase, Phase::Live | Phase::Connecting) {
        return None;
    }
    let again = match status.retry_s {
        Some(0) | None => "Trying again.".to_owned(),
        Some(s) => format!("Trying again in {s} s."),
    };
    Some(format!("Connection lost. Values are from {} ago. {again}", span(status.behind_s)))
}

fn span(seconds: u32) -> String {
    wire::time::duration(i64::from(seconds) * 1000)
}

/// Pure: the first letters of the first and last word, for the avatar.
fn initials(name: &str) -> String {
    let mut words = name.split_whitespace();
    let first = words.next().and_then(|w| w.chars().next());
    let last = words.next_back().and_then(|w| w.chars().next());
    first.into_iter().chain(last).map(|c| c.to_ascii_uppercase()).collect()
}

/// Pure: whether a path belongs to a link of the rail: it is below it, or is a page that is reached from there.
fn belongs(path: &str, href: &str) -> bool {
    const ASIDE: [(&str, &str); 2] = [("/freezes", "/rollouts"), ("/groups", "/devices")];
    within(path, href) || ASIDE.iter().any(|(aside, link)| *link == href && within(path, aside))
}

fn within(path: &str, href: &str) -> bool {
    path == href || (href != "/" && path.strip_prefix(href).is_some_and(|rest| rest.starts_with('/')))
}

/// Pure: the way to a page: label and address of each step, the last one being the page itself.
fn crumbs(path: &str) -> Vec<(String, String)> {
    let mut href = String::new();
    let mut out = Vec::new();
    for part in path.split('/').filter(|p| !p.is_empty()) {
        href.push('/');
        href.push_str(part);
        let label = match part.split_once('_') {
            // An id of ours says nothing to a person; the heading has the name.
            Some(("rol", _)) => "Rollout".to_owned(),
            Some(("rel", _)) => "Release".to_owned(),
            Some(("crt", _)) => "Certificate".to_owned(),
            Some(("ca", _)) => "Authority".to_owned(),
            _ if out.len() == 1 && href.starts_with("/devices/") => part.to_owned(),
            _ => {
                let mut chars = part.chars();
                chars
                    .next()
                    .map(|c| std::iter::once(c.to_ascii_uppercase()).chain(chars).collect::<String>().replace('-', " "))
                    .unwrap_or_default()
            }
        };
        out.push((label, href.clone()));
    }
    if out.is_empty() {
        out.push(("Overview".to_owned(), "/".to_owned()));
    }
    out
}

fn crumbs_view(path: &str) -> AnyView {
    let all = crumbs(path);
    let last = all.len() - 1;
    let steps = all
        .into_iter()
        .enumerate()
        .map(|(i, (label, href))| {
            let step = if i == last {
                view! { <span aria-current="page">{label}</span> }.into_any()
            } else {
                view! { <a href=href>{label}</a> }.into_any()
            };
            view! { <li>{step}</li> }
        })
        .collect_view();
    view! { <nav class="crumb-nav" aria-label="Breadcrumb"><ol class="crumbs">{steps}</ol></nav> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_page_is_read_from_its_address() {
        let labels = |path: &str| crumbs(path).into_iter().map(|(label, _)| label).collect::<Vec<_>>();
        assert_eq!(labels("/"), ["Overview"]);
        assert_eq!(labels("/devices/gw-0412/telemetry"), ["Devices", "gw-0412", "Telemetry"]);
        assert_eq!(labels("/rollouts/rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2/stop"), ["Rollouts", "Rollout", "Stop"]);
        assert_eq!(labels("/certificates/authorities/ca_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2"), ["Certificates", "Authorities", "Authority"]);
        assert_eq!(crumbs("/devices/gw-1")[0].1, "/devices");
    }

    #[test]
    fn the_rail_marks_the_page_and_what_is_below_it() {
        assert!(within("/devices/gw-1", "/devices"));
        assert!(!within("/devices-old", "/devices"));
        assert!(!within("/devices", "/"));
        assert!(belongs("/freezes", "/rollouts") && belongs("/groups", "/devices") && belongs("/rollouts/new", "/rollouts"));
        assert!(!belongs("/freezes", "/devices") && !belongs("/freezes", "/") && !belongs("/devices", "/rollouts"));
        assert_eq!(initials("Ada Lovelace Park"), "AP");
        assert_eq!(initials(""), "");
    }

    #[test]
    fn the_pill_says_how_old_the_page_is() {
        let status = |phase, paused, behind_s| Status { phase, paused, behind_s, retry_s: None };
        assert_eq!(pill(status(Phase::Live, false, 0)), ("live", "Live".to_owned()));
        assert_eq!(pill(status(Phase::Stale, false, 42)), ("stale", "Stale 42 s".to_owned()));
        assert_eq!(pill(status(Phase::Live, true, 72)).1, "Paused, 1 min behind");
        assert_eq!(connection_text(status(Phase::Live, false, 0)), None);
        assert!(connection_text(status(Phase::Stale, false, 12)).unwrap().contains("12 s ago"));
    }
}
