//! Rollouts that were started without their approvals: loud until two other people have reviewed that.

use crate::{
    api::approvals::ReviewGlass,
    ui::{
        Control, Tone, badge, banner, copyable, dot, field,
        form::{ActionForm, FormCall, fault_banner, refusal},
        number::counted,
        page::locked,
        time,
    },
};
use leptos::prelude::*;
use wire::rollouts::{GlassBreak, GlassReview, GlassStop};

/// Those that are to be reviewed, each with the form of the review.
pub fn open_ones(all: &[GlassBreak], call: FormCall<ReviewGlass>) -> Option<AnyView> {
    let open: Vec<&GlassBreak> = all.iter().filter(|g| g.settled_at.is_none()).collect();
    (!open.is_empty()).then(|| {
        let text = format!(
            "{} without approval. Two people review each.",
            counted(count(open.len()), "rollout was started", "rollouts were started")
        );
        let cards = open.into_iter().map(|g| one(g, call)).collect_view();
        view! { {banner(Tone::Bad, text.into_any())}<div class="grid approvals mt-4 mb-4">{cards}</div> }.into_any()
    })
}

/// Those that were reviewed lately.
pub fn settled_ones(all: &[GlassBreak]) -> Option<AnyView> {
    let settled: Vec<&GlassBreak> = all.iter().filter(|g| g.settled_at.is_some()).collect();
    (!settled.is_empty()).then(|| {
        let lines = settled
            .into_iter()
            .map(|g| {
                view! {
                    <li>
                        {dot(tone(g))}
                        <div>
                            <a href=format!("/rollouts/{}", g.rollout)>{g.rollout_name.clone()}</a>{format!(", by {}: “{}”", g.by_name, g.reason)}
                            {said(&g.reviews)}
                        </div>
                        {time::ago(g.at)}
                    </li>
                }
            })
            .collect_view();
        view! { <ol class="timeline">{lines}</ol> }.into_any()
    })
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn tone(g: &GlassBreak) -> Tone {
    if g.reviews.iter().any(|r| !r.accepted) { Tone::Bad } else { Tone::Ok }
}

fn said(reviews: &[GlassReview]) -> AnyView {
    reviews
        .iter()
        .map(|r| {
            let word = if r.accepted { "accepted" } else { "objected" };
            view! { <div class="sub">{format!("{} {word}: “{}”", r.by_name, r.remark)}</div> }
        })
        .collect_view()
        .into_any()
}

fn one(g: &GlassBreak, call: FormCall<ReviewGlass>) -> AnyView {
    let state = if g.overdue { badge(Tone::Bad, "Overdue") } else { badge(Tone::Warn, "To be reviewed") };
    let selector = if g.selector.is_empty() { "every device of the type".to_owned() } else { g.selector.clone() };
    view! {
        <article class="card">
            <header><h2><a href=format!("/rollouts/{}", g.rollout)>{g.rollout_name.clone()}</a></h2><span class="push">{state}</span></header>
            <div class="body stack">
                <dl class="kv">
                    <dt>"Started by"</dt><dd>{g.by_name.clone()}", "{time::ago(g.at)}</dd>
                    <dt>"Why"</dt><dd>{g.reason.clone()}</dd>
                    <dt>"Release"</dt><dd>{g.release.clone()}</dd>
                    <dt>"Devices"</dt><dd>{g.devices.map_or_else(|| "not begun".to_owned(), |n| counted(n, "device", "devices"))}": "<span class="mono">{selector}</span></dd>
                    <dt>"Approvals"</dt><dd>{g.approvals()}</dd>
                    <dt>"Review by"</dt><dd>{time::ago(g.review_by)}</dd>
                    <dt>"Still to review"</dt><dd>{counted(i64::from(g.missing), "person", "people")}</dd>
                    <dt>"Digest"</dt><dd>{copyable(g.digest.to_string(), "Copy digest")}</dd>
                </dl>
                <p><a href=format!("/rollouts/{}", g.rollout)>"The plan, and how far it is"</a></p>
                {(!g.holds).then(|| view! { <p class="small text-2">"Its plan has changed since, or was taken back; what was started goes by this review all the same."</p> })}
                {said(&g.reviews)}
                {review(g, call)}
            </div>
        </article>
    }
    .into_any()
}

/// The form of a review, or why there is none for the viewer.
fn review(g: &GlassBreak, call: FormCall<ReviewGlass>) -> AnyView {
    if let Some(why) = g.blocked.clone() {
        return locked(why);
    }
    let stop = g.stops.map(|stops| {
        let label = match stops {
            GlassStop::Halt => "Object and halt it",
            GlassStop::Draft => "Object and take it back",
        };
        say("stop", label, "danger-solid", call)
    });
    let id = g.id.to_string();
    let remark = field("remark", "Remark (required)", Control::Area).id(format!("remark-{id}")).max_length(500).required();
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {remark.refused(call).view()}
                <div class="row">{say("accept", "Accept", "primary", call)}{say("object", "Object", "danger", call)}{stop}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn say(word: &'static str, label: &'static str, variant: &'static str, call: FormCall<ReviewGlass>) -> AnyView {
    let busy = move || call.pending().get().then_some("true");
    view! { <button class="btn" data-v=variant type="submit" name="say" value=word aria-busy=busy>{label}</button> }.into_any()
}

/// What stands over everything else on the page of a rollout that was started without approval, until it is settled.
pub fn note(g: Option<&GlassBreak>) -> Option<AnyView> {
    let g = g?;
    let objected = g.reviews.iter().any(|r| !r.accepted);
    let what = if g.holds { "Started without approval." } else { "Was started without approval, by another plan or another time." };
    let text = view! {
        <b>{what}</b>{format!(" {} broke the glass, ", g.by_name)}{time::ago(g.at)}{format!(": “{}”. ", g.reason)}
        {match g.settled_at {
            Some(at) => view! { "Reviewed "{time::ago(at)}{if objected { ", with an objection." } else { "." }} }.into_any(),
            None => view! {
                {counted(i64::from(g.missing), "person has", "people have")}" to review that"{if g.overdue { " and are late" } else { "" }}": "
                <a href="/approvals">"Review"</a>
            }.into_any(),
        }}
    };
    let tone = match (g.settled_at, objected) {
        (None, _) | (_, true) => Tone::Bad,
        (Some(_), false) => Tone::Warn,
    };
    Some(view! { {banner(tone, text.into_any())}{said(&g.reviews)} }.into_any())
}
