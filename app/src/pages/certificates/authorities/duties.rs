//! What administrators owe their roots, each task with the lines that do it (P-11, R-7, R-10).

use crate::ui::{Tone, badge, code_block, page::card, time};
use leptos::prelude::*;
use wire::roots::{RootDuty, RootTask};

/// The tasks; nothing when there are none.
pub fn card_of(duties: &[RootDuty]) -> AnyView {
    if duties.is_empty() {
        return ().into_any();
    }
    let items = duties.iter().map(|d| {
        let due = d.due.map(|at| view! { <span class="small text-2">"until "{time::at(at)}</span> });
        view! {
            <section class="stack" aria-label=title(d.task)>
                <div class="row">{badge(Tone::Warn, title(d.task))}<b>{super::super::common_name(&d.subject).to_owned()}</b>{due}</div>
                <p>{d.text.clone()}</p>
                {code_block(d.commands.join("\n"), "What to run")}
            </section>
        }
    });
    let more = view! { <a href="/docs/roots" rel="external">"How this is done"</a> }.into_any();
    card("To do about roots", Some(more), view! { <div class="stack">{items.collect_view()}</div> }.into_any())
}

const fn title(task: RootTask) -> &'static str {
    match task {
        RootTask::Export => "Take the key away",
        RootTask::Remove => "Remove the key here",
        RootTask::SignList => "Sign a list",
        RootTask::SignCross => "Sign the next root",
    }
}
