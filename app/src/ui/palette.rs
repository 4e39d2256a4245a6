//! The palette: type a few letters, go to a page or a device. Without JavaScript its button is a link to the device list.

use super::{icon::icon, keys::PLACES};
#[cfg(feature = "hydrate")]
use crate::api::{devices::FindDevices, packed::ask as ask_server};
use leptos::{html, prelude::*};

/// The id of the palette's dialog.
pub const PALETTE: &str = "palette";
/// How long to wait for the next letter before the server is asked.
#[cfg(feature = "hydrate")]
const PAUSE: std::time::Duration = std::time::Duration::from_millis(120);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Hit {
    href: String,
    label: String,
    icon: &'static str,
    mono: bool,
}

/// Opens the palette. Browser only.
pub fn open() {
    #[cfg(feature = "hydrate")]
    super::browser::open_dialog(PALETTE);
}

/// The palette's dialog.
#[component]
pub fn Palette() -> AnyView {
    let typed = RwSignal::new(String::new());
    let found = RwSignal::new(Vec::<String>::new());
    let chosen = RwSignal::new(0_usize);
    let list = NodeRef::<html::Ul>::new();
    let hits = Memo::new(move |_| hits(&typed.get(), &found.get()));

    let search = move |text: String| {
        typed.set(text.clone());
        chosen.set(0);
        if text.trim().is_empty() {
            found.set(Vec::new());
        } else {
            ask(text, typed, found);
        }
    };
    let keydown = move |event: leptos::ev::KeyboardEvent| {
        let count = hits.with(Vec::len);
        match event.key().as_str() {
            "ArrowDown" if count > 0 => chosen.update(|i| *i = (*i + 1) % count),
            "ArrowUp" if count > 0 => chosen.update(|i| *i = (*i + count - 1) % count),
            "Enter" => follow(list, chosen.get_untracked()),
            _ => return,
        }
        event.prevent_default();
    };
    view! {
        <dialog class="dlg palette-dlg" id=PALETTE aria-label="Search or jump to">
            <input class="input" type="text" role="combobox" aria-expanded="true" aria-controls="palette-list" aria-autocomplete="list" autocomplete="off"
                spellcheck="false" autofocus="" placeholder="Search or jump to…" aria-label="Search or jump to"
                aria-activedescendant=move || format!("palette-{}", chosen.get())
                on:input:target=move |event| search(event.target().value())
                on:keydown=keydown/>
            <ul class="menu" id="palette-list" role="listbox" aria-label="Results" node_ref=list>
                {move || {
                    let now = chosen.get();
                    hits.get()
                        .into_iter()
                        .enumerate()
                        .map(|(i, hit)| {
                            view! {
                                <li role="presentation">
                                    <a role="option" tabindex="-1" id=format!("palette-{i}") href=hit.href aria-selected=if i == now { "true" } else { "false" }>
                                        {icon(hit.icon)}<span class:mono=hit.mono>{hit.label}</span>
                                    </a>
                                </li>
                            }
                        })
                        .collect_view()
                }}
            </ul>
            <p class="palette-none" hidden=move || hits.with(|hits| !hits.is_empty())>"Nothing found."</p>
        </dialog>
    }
    .into_any()
}

/// Pages whose name has the letters, then the devices the server found.
fn hits(typed: &str, devices: &[String]) -> Vec<Hit> {
    let wanted = typed.trim().to_ascii_lowercase();
    let pages = PLACES.into_iter().filter(|(_, _, name)| name.to_ascii_lowercase().contains(&wanted)).map(|(_, href, name)| Hit {
        href: href.to_owned(),
        label: name.to_owned(),
        icon: "chevron-right",
        mono: false,
    });
    let devices = devices.iter().map(|id| Hit { href: format!("/devices/{id}"), label: id.clone(), icon: "cpu", mono: true });
    pages.chain(devices).collect()
}

fn ask(text: String, typed: RwSignal<String>, found: RwSignal<Vec<String>>) {
    #[cfg(feature = "hydrate")]
    set_timeout(
        move || {
            if typed.get_untracked() != text {
                return;
            }
            leptos::task::spawn_local(async move {
                let answer = ask_server(FindDevices { q: text.clone() }).await.and_then(|found| found.read());
                // An answer to letters that have changed since, or a refusal, leaves the list as it is.
                if let Ok(ids) = answer
                    && typed.get_untracked() == text
                {
                    found.set(ids);
                }
            });
        },
        PAUSE,
    );
    #[cfg(not(feature = "hydrate"))]
    let _ = (text, typed, found);
}

fn follow(list: NodeRef<html::Ul>, index: usize) {
    #[cfg(feature = "hydrate")]
    {
        use wasm_bindgen::JsCast;
        let link = list.get_untracked().and_then(|ul| ul.query_selector(&format!("#palette-{index}")).ok().flatten());
        if let Some(link) = link.and_then(|a| a.dyn_into::<web_sys::HtmlElement>().ok()) {
            link.click();
        }
    }
    #[cfg(not(feature = "hydrate"))]
    let _ = (list, index);
}

#[cfg(test)]
mod tests {
    use super::hits;

    #[test]
    fn pages_come_before_devices() {
        let all = hits("de", &["gw-de-1".to_owned()]);
        assert_eq!(all.iter().map(|h| h.href.as_str()).collect::<Vec<_>>(), ["/devices", "/devices/gw-de-1"]);
        assert!(hits("zzz", &[]).is_empty());
    }
}
