//! What the wizard says while a plan is typed: the preview of it, the release that was chosen, and what is wrong with each input, beside the input. Refuses
//! to know what the steps look like.

use super::{
    cells::{message_of, message_where},
    wizard::Address,
};
use crate::{
    api::{packed::ask, releases::ReadRelease, rollouts::PreviewRollout},
    plan::Draft,
};
use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*, task::spawn_local, web_sys};
use std::time::Duration;
use wire::{
    devices::SelectorError,
    releases::{ReleaseDetail, ReleasePage},
    rollouts::Preview,
};

/// How long after the last key the preview is asked for.
const PAUSE: Duration = Duration::from_millis(300);

/// The preview of what is being typed. Nothing before the first key and without JavaScript: then the page's own preview holds.
#[derive(Clone, Copy)]
pub(super) struct LivePreview {
    state: RwSignal<Option<Result<Preview, Draft>>>,
    /// What is typed, as of the last pause.
    draft: RwSignal<Option<Draft>>,
    /// The release that was chosen since the page was read.
    release: RwSignal<Option<ReleaseDetail>>,
    timer: StoredValue<Option<TimeoutHandle>>,
    asked: StoredValue<u32>,
    /// Whether an answer is on its way. A preview walks the fleet, so a page waits for one at a time, however much is typed meanwhile …
    flying: StoredValue<bool>,
    /// … and then asks for the newest plan, with its turn.
    next: StoredValue<Option<(Draft, u32)>>,
    chosen: StoredValue<u32>,
    /// The rollout whose plan is edited: its own draw says who is in which stage.
    editing: Memo<Option<String>>,
}

impl LivePreview {
    pub(super) fn new(editing: Memo<Option<String>>) -> Self {
        Self {
            state: RwSignal::new(None),
            draft: RwSignal::new(None),
            release: RwSignal::new(None),
            timer: StoredValue::new(None),
            asked: StoredValue::new(0),
            flying: StoredValue::new(false),
            next: StoredValue::new(None),
            chosen: StoredValue::new(0),
            editing,
        }
    }

    pub(super) fn forget(self) {
        self.asked.update_value(|n| *n = n.wrapping_add(1));
        self.chosen.update_value(|n| *n = n.wrapping_add(1));
        self.next.update_value(|next| *next = None);
        self.state.set(None);
        self.draft.set(None);
        self.release.set(None);
    }

    /// A key was pressed in the form of a step: ask after a short pause, and only for the newest text. What is typed at the review changes nobody, and
    /// neither do a rollout's name and what is only about to be chosen.
    pub(super) fn typed(self, event: &web_sys::Event) {
        let Some(form) = form_of(event).filter(|form| form.method() == "get") else { return };
        let input = input_of(event);
        match input.as_ref().map(|(name, value)| (name.as_str(), value)) {
            Some(("name" | "first", _)) => return,
            Some(("release", id)) => self.choose(id.clone()),
            _ => {}
        }
        if let Some(Some(timer)) = self.timer.try_get_value() {
            timer.clear();
        }
        let timer = set_timeout_with_handle(move || self.ask(&form), PAUSE);
        self.timer.set_value(timer.ok());
    }

    fn ask(self, form: &web_sys::HtmlFormElement) {
        if let Some(search) = query_of(form) {
            let draft = Address::read(&search).draft;
            self.draft.try_set(Some(draft.clone()));
            self.ask_for(draft);
        }
    }

    /// Another release was chosen: what it is stands beside the list as soon as it is known.
    fn choose(self, id: String) {
        let turn = self.chosen.try_update_value(|n| {
            *n = n.wrapping_add(1);
            *n
        });
        let Some(turn) = turn else { return };
        spawn_local(async move {
            // Without it the one before stays, which says which one it is.
            if let Ok(found) = ask(ReadRelease { id }).await.and_then(|found| found.read::<ReleasePage>())
                && self.chosen.try_get_value() == Some(turn)
            {
                self.release.try_set(Some(found.release));
            }
        });
    }

    /// What was previewed last of what is typed, or the plan that can't be read; none while the page's own preview holds.
    pub(super) fn latest(self) -> Option<Result<Preview, Draft>> {
        self.state.get()
    }

    /// The release that was chosen since the page was read.
    pub(super) fn release(self) -> Option<ReleaseDetail> {
        self.release.get()
    }

    /// What is wrong with an input by what was typed last; until something is typed, what was wrong `before`.
    pub(super) fn wrong(self, name: &str, before: Option<String>) -> Signal<Option<String>> {
        let (state, name) = (self.state, name.to_owned());
        Signal::derive(move || {
            state.with(|state| match state {
                None => before.clone(),
                Some(Ok(preview)) => wrong_in(preview, &name),
                Some(Err(draft)) => message_of(&draft.spec().err().unwrap_or_default(), &name),
            })
        })
    }

    /// The same of several inputs: what is wrong with the first of them that something is wrong with.
    pub(super) fn wrong_where(
        self,
        among: impl Fn(&str) -> bool + Send + Sync + 'static,
        before: Option<String>,
    ) -> Signal<Option<String>> {
        let state = self.state;
        Signal::derive(move || {
            state.with(|state| match state {
                None => before.clone(),
                Some(Ok(preview)) => message_where(&preview.problems, &among),
                Some(Err(draft)) => message_where(&draft.spec().err().unwrap_or_default(), &among),
            })
        })
    }

    /// Something about the plan as it is typed, as of a moment ago; none while nothing has been typed.
    pub(super) fn of_typed<T>(self, something: impl FnOnce(&Draft) -> T) -> Option<T> {
        self.draft.with(|typed| typed.as_ref().map(something))
    }

    /// How many devices this stage has, from 0, by what was previewed last; while nothing was, as many as `before`.
    pub(super) fn devices(self, stage: usize, before: Option<i64>) -> Option<i64> {
        self.state.with(|state| match state {
            None => before,
            Some(Ok(preview)) => preview.stages.get(stage).map(|s| s.devices),
            Some(Err(_)) => None,
        })
    }

    /// By what the devices of what was previewed last were drawn; none while the page's own preview holds.
    pub(super) fn draw(self) -> Option<String> {
        self.state.with(|state| match state {
            Some(Ok(preview)) => preview.draw.as_ref().map(ToString::to_string),
            _ => None,
        })
    }

    pub(super) fn ask_for(self, draft: Draft) {
        let turn = self.asked.try_update_value(|n| {
            *n = n.wrapping_add(1);
            *n
        });
        // The page may be gone by the time the pause is over.
        let Some(turn) = turn else { return };
        if draft.spec().is_err() {
            self.next.try_update_value(|next| *next = None);
            self.state.try_set(Some(Err(draft)));
        } else if self.flying.try_get_value() == Some(true) {
            self.next.try_update_value(|next| *next = Some((draft, turn)));
        } else {
            self.flying.try_update_value(|flying| *flying = true);
            spawn_local(self.fly(draft, turn));
        }
    }

    /// Asks for this plan, and for what has become the newest one meanwhile, one after the other.
    async fn fly(self, draft: Draft, turn: u32) {
        let mut wanted = Some((draft, turn));
        while let Some((draft, turn)) = wanted {
            let editing = self.editing.try_get_untracked().flatten();
            // A refusal keeps the preview there is; sending the step says what is wrong.
            if let Ok(preview) = ask(PreviewRollout { plan: draft.write(), editing }).await.and_then(|preview| preview.read())
                && self.asked.try_get_value() == Some(turn)
            {
                self.state.try_set(Some(Ok(preview)));
            }
            wanted = self.next.try_update_value(Option::take).flatten();
        }
        self.flying.try_update_value(|flying| *flying = false);
    }
}

/// What a preview says of an input.
pub(super) fn wrong_in(preview: &Preview, name: &str) -> Option<String> {
    let misread = preview.selector_error.as_ref().filter(|_| name == "selector").map(SelectorError::sentence);
    misread.or_else(|| message_of(&preview.problems, name))
}

fn form_of(event: &web_sys::Event) -> Option<web_sys::HtmlFormElement> {
    use leptos::wasm_bindgen::JsCast;
    let element = event.target()?.dyn_into::<web_sys::Element>().ok()?;
    element.closest("form").ok()??.dyn_into().ok()
}

/// The name and the value of what was changed.
fn input_of(event: &web_sys::Event) -> Option<(String, String)> {
    use leptos::wasm_bindgen::JsCast;
    let element = event.target()?.dyn_into::<web_sys::Element>().ok()?;
    Some((element.get_attribute("name")?, element.get_attribute("value").unwrap_or_default()))
}

fn query_of(form: &web_sys::HtmlFormElement) -> Option<String> {
    let data = web_sys::FormData::new_with_form(form).ok()?;
    let params = web_sys::UrlSearchParams::new_with_str_sequence_sequence(&data).ok()?;
    Some(params.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::rollouts::Problem;

    #[test]
    fn a_preview_says_what_is_wrong_beside_the_input_that_it_is_about() {
        let misread = SelectorError { position: 5, message: "a ' is no quotation mark here".into(), hint: "Write type:gw.".into() };
        let reach = Problem { field: "stages.1.reach".into(), message: "At character 9: no.".into() };
        let preview = Preview { selector_error: Some(misread), problems: vec![reach], ..Preview::default() };
        let said = |name| wrong_in(&preview, name);
        assert_eq!(said("selector").as_deref(), Some("At character 6: a ' is no quotation mark here. Write type:gw."));
        assert_eq!((said("stages.1.reach").as_deref(), said("stages.0.reach")), (Some("At character 9: no."), None));
    }
}
