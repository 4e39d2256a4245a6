//! One's own account: password, sessions, and how this browser behaves.

use crate::api::packed::reading;
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::session::{ChangePassword, EndSession, ReadAccount},
    ui::{Column, PageHead, Tone, badge, banner, card, fault_banner, field, form, page, page::card_flush, submit, table, time},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::access::{AccountPage as Model, Session};

/// The account.
#[component]
pub fn AccountPage() -> AnyView {
    let model = reading(|| ReadAccount {});
    let password = form::action::<ChangePassword>();
    let end = form::action::<EndSession>();
    form::on_success(end, move |()| model.refetch());
    form::on_success(password, move |()| model.refetch());
    page(model, move |model: Model| content(model, password, end))
}

fn content(model: Model, password: FormCall<ChangePassword>, end: FormCall<EndSession>) -> AnyView {
    let sub = view! { {model.user.email.clone()}" · "{model.user.role.as_str()} }.into_any();
    view! {
        <PageHead title=model.user.name.clone() sub=sub/>
        <div class="split">
            <div class="stack">{sessions(model.sessions, end)}</div>
            <div class="stack">{password_card(password)}<Preferences/></div>
        </div>
    }
    .into_any()
}

fn password_card(action: FormCall<ChangePassword>) -> AnyView {
    let query = use_query_map();
    let pending = move || action.pending().get();
    let changed = move || action.done().is_some() || query.with(|q| q.get_str("changed").is_some());
    card(
        "Password",
        None,
        view! {
            <ActionForm action=action clears=true>
                <div class="stack">
                            {move || changed().then(|| banner(Tone::Ok, "The password is changed. Your other sessions have ended.".into_any()))}
                            {move || fault_banner(form::refusal(action).as_ref())}
                            {field("old", "Present password", form::Control::Input("password")).required().autocomplete("current-password").refused(action).view()}
                            {field("new", "New password", form::Control::Input("password")).hint("At least 12 characters.").required().autocomplete("new-password").refused(action).view()}
                            {submit("Change password", "", pending)}
                </div>
            </ActionForm>
        }
        .into_any(),
    )
}

fn sessions(all: Vec<Session>, end: FormCall<EndSession>) -> AnyView {
    let rows = all.into_iter().map(|s| session(s, end)).collect_view().into_any();
    let columns = vec![
        Column::text("Browser"),
        Column::text("Address"),
        Column::text("Since"),
        Column::text("Last used"),
        Column::actions("Actions"),
    ];
    let fault = move || fault_banner(form::refusal(end).as_ref());
    card_flush("Where you are signed in", None, view! { {fault}{table("Sessions", columns, rows)} }.into_any())
}

fn session(s: Session, end: FormCall<EndSession>) -> AnyView {
    let button = if s.current {
        badge(Tone::Ok, "This one")
    } else {
        view! {
            <ActionForm action=end>
                <input type="hidden" name="id" value=s.id.to_string()/>
                <button type="submit" class="btn" data-s="sm" data-v="danger">"End"</button>
            </ActionForm>
        }
        .into_any()
    };
    view! {
        <tr>
            <td title=s.user_agent.clone()>{browser_of(&s.user_agent)}</td>
            <td class="mono">{s.address}</td>
            <td class="dim">{time::at(s.created_at)}</td>
            <td class="dim">{time::ago(s.last_seen_at)}</td>
            <td class="act">{button}</td>
        </tr>
    }
    .into_any()
}

/// Pure: "Chrome on Linux" of a `User-Agent`; the whole text where it says neither.
fn browser_of(user_agent: &str) -> String {
    // Each of them also names the ones behind it.
    const BROWSERS: [(&str, &str); 5] =
        [("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")];
    const SYSTEMS: [(&str, &str); 6] =
        [("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "macOS"), ("Linux", "Linux")];
    let named = |all: &[(&str, &'static str)]| all.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name);
    match (named(&BROWSERS), named(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        _ => user_agent.to_owned(),
    }
}

/// What this browser remembers: theme and keys. Needs script; without it the browser's own theme holds.
#[component]
fn Preferences() -> AnyView {
    let theme = RwSignal::new(String::new());
    let keys = RwSignal::new(true);
    #[cfg(feature = "hydrate")]
    Effect::new(move |_| {
        theme.set(rim::theme());
        keys.set(rim::keys());
    });
    let choice = move |value: &'static str, label: &'static str| {
        view! {
            <label>
                <input type="radio" name="theme" prop:checked=move || theme.with(|t| t == value) on:change=move |_| {
                    theme.set(value.to_owned());
                    #[cfg(feature = "hydrate")]
                    rim::set_theme(value);
                }/>
                {label}
            </label>
        }
    };
    let body = view! {
        <div class="stack needs-script" id="keys">
            <fieldset class="field">
                <legend class="label">"Theme"</legend>
                <div class="seg">{choice("", "As the system")}{choice("light", "Light")}{choice("dark", "Dark")}</div>
            </fieldset>
            <label class="switch">
                <input type="checkbox" role="switch" prop:checked=move || keys.get() on:change:target=move |event| {
                    keys.set(event.target().checked());
                    #[cfg(feature = "hydrate")]
                    rim::set_keys(event.target().checked());
                }/>
                "Single-key shortcuts"
            </label>
        </div>
    };
    card("This browser", None, body.into_any())
}

#[cfg(feature = "hydrate")]
mod rim {
    use crate::{
        shell::Theme,
        ui::{browser, keys::STORE},
    };
    use leptos::prelude::document;
    use wasm_bindgen::JsCast;

    pub(super) fn theme() -> String {
        document().document_element().and_then(|root| root.get_attribute("data-theme")).unwrap_or_default()
    }

    /// Keeps the theme in a cookie, so that the next page comes in it from the server, and shows it at once.
    pub(super) fn set_theme(value: &str) {
        let Some(root) = document().document_element() else { return };
        let known = Theme::parse(value).map(Theme::as_str);
        let age = if known.is_some() { 31_536_000 } else { 0 };
        if let Some(document) = document().dyn_ref::<web_sys::HtmlDocument>() {
            // A browser that refuses cookies keeps the choice for this page only.
            let _ = document.set_cookie(&format!("{}={value}; Path=/; Max-Age={age}; SameSite=Lax", Theme::COOKIE));
        }
        let _ = match known {
            Some(theme) => root.set_attribute("data-theme", theme),
            None => root.remove_attribute("data-theme"),
        };
    }

    pub(super) fn keys() -> bool {
        browser::stored(STORE).as_deref() != Some("off")
    }

    pub(super) fn set_keys(on: bool) {
        browser::store(STORE, if on { "on" } else { "off" });
    }
}

#[cfg(test)]
mod tests {
    use super::browser_of;

    #[test]
    fn a_session_is_told_by_browser_and_system() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0";
        assert_eq!(browser_of(edge), "Edge on Windows");
        assert_eq!(browser_of("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), "Firefox on Linux");
        assert_eq!(browser_of("curl/8.5"), "curl/8.5");
    }
}
