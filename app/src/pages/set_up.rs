//! Makes the first admin: of a new installation with the code that the server says as it starts, of a new organization with the one that came with it.

use super::sign_in::door;
use crate::api::packed::reading;
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::session::{ReadSetUpNeeded, SetUp},
    ui::{fault_banner, field, form, page, page::PageHead, submit, text},
};
use leptos::prelude::*;

/// Set-up.
#[component]
pub fn SetUpPage() -> AnyView {
    let action = form::action::<SetUp>();
    let model = reading(|| ReadSetUpNeeded {});
    door(page(model, move |needed: bool| if needed { set_up_form(action) } else { done() }))
}

fn set_up_form(action: FormCall<SetUp>) -> AnyView {
    let pending = move || action.pending().get();
    view! {
        <PageHead title="Set up Fleetward" sub="Make the first account. It is an admin and can invite the others.".into_any()/>
        <ActionForm action=action>
            <div class="stack">
                        {move || fault_banner(form::refusal(action).as_ref())}
                        {text("code", "Set-up code").hint("From the server's terminal or log, on the line “set-up code”, or from whoever made your organization. It works once.")
                            .required().autocomplete("one-time-code").refused(action).view()}
                        {text("name", "Your name").required().autocomplete("name").max_length(100).refused(action).view()}
                        {field("email", "E-mail", form::Control::Input("email")).required().autocomplete("username").refused(action).view()}
                        {field("password", "Password", form::Control::Input("password")).hint("At least 12 characters. A few unrelated words are easy to keep.")
                            .required().autocomplete("new-password").refused(action).view()}
                        {submit("Make the account", "primary", pending)}
            </div>
        </ActionForm>
    }
    .into_any()
}

fn done() -> AnyView {
    view! {
        <PageHead title="Fleetward is set up" sub="An account exists already; ask its owner to invite you.".into_any()/>
        <a class="btn" data-v="primary" href="/sign-in">"Sign in"</a>
    }
    .into_any()
}
