//! What a release's page says of its recall: why, who runs it all the same, and the way back. Refuses to know what a recall does.

use crate::{
    pages::devices::filters,
    plan::query::push,
    ui::{Tone, banner, number::counted, time},
};
use leptos::prelude::*;
use wire::releases::{GoodRelease, Recalled, ReleaseDetail as Model};

/// The recall; nothing where it was not recalled.
pub(super) fn said(m: &Model) -> Option<AnyView> {
    let r = m.recalled.as_ref()?;
    let by = if r.by.is_empty() { String::new() } else { format!(" by {}", r.by) };
    let reason =
        if r.reason.is_empty() { "No reason was given.".to_owned() } else { format!("Reason: {}.", r.reason.trim_end_matches('.')) };
    let tone = if r.running > 0 { Tone::Bad } else { Tone::Warn };
    let text = view! { <b>"Recalled"</b>" "{time::ago(r.at)}{format!("{by}. {reason}")}" "{runners(m, r)} };
    Some(banner(tone, text.into_any()))
}

/// Who runs it, and what they can be brought to.
fn runners(m: &Model, r: &Recalled) -> AnyView {
    if r.running == 0 {
        return "No device runs it any more.".into_any();
    }
    let run = counted(r.running, "device runs", "devices run");
    let next = match &r.back {
        Some(back) if back.sign_again => Some((format!("/firmware/{}", back.release), format!("How to go back to {}", back.version))),
        Some(back) if m.may_draft => Some((plan(m, r, back), format!("New rollout of {} to them", back.version))),
        _ => None,
    };
    let link = next.map(|(href, label)| view! { " "<a href=href>{label}</a> });
    view! { <a href=filters::href(r.selector.clone())>{run}</a>" it. "{format!("{}.", r.way())}{link} }.into_any()
}

/// The wizard's address with those that run it, and what they get instead.
fn plan(m: &Model, r: &Recalled, back: &GoodRelease) -> String {
    let mut query = "step=devices".to_owned();
    push(&mut query, "release", back.release.as_str());
    push(&mut query, "selector", &r.selector);
    push(&mut query, "name", &format!("{} from {} to {}", m.row.device_type, m.row.version, back.version));
    format!("/rollouts/new?{query}")
}
