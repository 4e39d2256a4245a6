//! What a person has to look at, shown until one says that they have.

use super::{
    Tone, banner,
    form::{self, ActionForm, Post},
    time,
};
use leptos::prelude::*;
use wire::Timestamp;

/// `what` is wrong, by which `sign`, since when, and what to do about it. With `clear` the reader may say that they have looked: the call, and the id that
/// it is about.
pub fn alarm(what: &'static str, (sign, at): (String, Timestamp), advice: &'static str, clear: Option<(Post, String)>) -> AnyView {
    let clear = clear.map(|(call, id)| {
        view! {
            <ActionForm action=call>
                <input type="hidden" name="id" value=id/>
                {form::submit("I have looked at it", "", move || call.pending().get())}
            </ActionForm>
            {move || form::fault_banner(form::refusal(call).as_ref())}
        }
    });
    let text = view! { <div class="stack"><div><b>{what}</b>" "{sign}" "{time::ago(at)}"."</div><div>{advice}</div>{clear}</div> };
    view! { <div class="mt-4">{banner(Tone::Bad, text.into_any())}</div> }.into_any()
}
