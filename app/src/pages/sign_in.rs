//! The sign-in page. Works without JavaScript; keeps where the person wanted to go.

use crate::ui::form::ActionForm;
use crate::{
    api::session::SignIn,
    ui::{Tone, banner, fault_banner, field, form, page::PageHead, submit},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Sign-in.
#[component]
pub fn SignInPage() -> AnyView {
    let action = form::action::<SignIn>();
    let query = use_query_map();
    let next = move || query.with(|q| q.get_str("next").unwrap_or("/").to_owned());
    let set_up = move || query.with(|q| q.get_str("set_up").is_some());
    let ended = move || query.with(|q| q.get_str("ended").is_some());
    let pending = move || action.pending().get();
    door(
        view! {
            <PageHead title="Sign in"/>
            {move || set_up().then(|| banner(Tone::Ok, "Your account is made. Sign in with it.".into_any()))}
            {move || ended().then(|| banner(Tone::Warn, "Your session has ended. Sign in to go on.".into_any()))}
            <ActionForm action=action>
                <div class="stack">
                    {move || fault_banner(form::refusal(action).as_ref())}
                    <input type="hidden" name="next" value=next/>
                    {field("email", "E-mail", form::Control::Input("email")).required().autocomplete("username").refused(action).view()}
                    {field("password", "Password", form::Control::Input("password")).required().autocomplete("current-password").view()}
                    {submit("Sign in", "primary", pending)}
                </div>
            </ActionForm>
        }
        .into_any(),
    )
}

/// The frame of the pages in front of the sign-in.
pub(super) fn door(inside: AnyView) -> AnyView {
    view! {
        <main class="door" id="main" tabindex="-1">
            <div class="door-card card">
                <div class="door-brand"><span class="avatar" data-v="square" aria-hidden="true">"F"</span><span class="strong">"Fleetward"</span></div>
                {inside}
            </div>
        </main>
    }
    .into_any()
}
