//! Short notes that something was done. Errors are never toasts: they stay where they belong.

use super::{icon::icon, status::Tone};
use leptos::prelude::*;
use std::time::Duration;

/// Most notes at a time.
const MOST: usize = 3;
/// How long a note stays.
const STAYS: Duration = Duration::from_secs(6);

#[derive(Clone)]
struct Toast {
    id: u32,
    tone: Tone,
    text: String,
}

/// The notes on screen; get it with [`toasts`].
#[derive(Clone, Copy)]
pub struct Toasts {
    shown: RwSignal<Vec<Toast>>,
    next: StoredValue<u32>,
}

impl Toasts {
    /// Makes the notes available below; once, in the frame.
    pub fn provide() -> Self {
        let toasts = Self { shown: RwSignal::new(Vec::new()), next: StoredValue::new(0) };
        provide_context(toasts);
        toasts
    }
    /// Says it. Browser only.
    pub fn say(self, tone: Tone, text: impl Into<String>) {
        let id = self.next.get_value();
        self.next.set_value(id.wrapping_add(1));
        let text = text.into();
        self.shown.update(|shown| {
            shown.push(Toast { id, tone, text });
            if shown.len() > MOST {
                shown.remove(0);
            }
        });
        set_timeout(move || self.close(id), STAYS);
    }
    fn close(self, id: u32) {
        self.shown.try_update(|shown| shown.retain(|t| t.id != id));
    }
    /// The region they appear in.
    pub fn view(self) -> AnyView {
        view! {
            <div class="toasts" role="status" aria-label="Notifications">
                {move || {
                    self.shown
                        .get()
                        .into_iter()
                        .map(|t| {
                            view! {
                                <div class="toast" data-s=t.tone.as_str()>
                                    {icon(t.tone.icon())}<span>{t.text}</span>
                                    <button type="button" class="btn icon" data-v="ghost" data-s="sm" aria-label="Dismiss" on:click=move |_| self.close(t.id)>
                                        {icon("x")}
                                    </button>
                                </div>
                            }
                        })
                        .collect_view()
                }}
            </div>
        }
        .into_any()
    }
}

/// The notes of this page.
pub fn toasts() -> Option<Toasts> {
    use_context()
}
