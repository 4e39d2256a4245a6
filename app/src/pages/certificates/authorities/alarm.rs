//! What stands on an authority's page while somebody else may have its key.

use crate::{
    api::certificates::ClearAlarm,
    ui::{
        Tone, banner,
        form::{self, ActionForm, FormCall},
        time,
    },
};
use leptos::prelude::*;
use wire::pki::AuthorityDetail as Model;

/// The alarm, what to do about it, and the button that ends it; nothing while there is none.
pub fn banner_of(m: &Model, call: FormCall<ClearAlarm>) -> AnyView {
    let Some(alarm) = &m.alarm else { return ().into_any() };
    let id = m.standing.row.id.to_string();
    let clear = m.may_clear.then(|| {
        view! {
            <ActionForm action=call>
                <input type="hidden" name="id" value=id/>
                {form::submit("I have looked at it", "", move || call.pending().get())}
            </ActionForm>
            {move || form::fault_banner(form::refusal(call).as_ref())}
        }
    });
    let text = view! {
        <div class="stack">
            <div><b>"Somebody else may have this authority's key."</b>" "{alarm.sign.clone()}" "{time::ago(alarm.at)}"."</div>
            <div>
                "If a backup was put back, devices that were enrolled after it show such certificates: enrol them again. Otherwise stage and activate the next authority, and give this one up."
            </div>
            {clear}
        </div>
    };
    view! { <div class="mt-4">{banner(Tone::Bad, text.into_any())}</div> }.into_any()
}
