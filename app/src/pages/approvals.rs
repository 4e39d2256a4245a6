//! The approvals inbox: what waits for a second person, with everything a decision needs; first what was started without one. Refuses to know what
//! became of what was sent (`sent`), and who has to approve (`rules`).

pub mod glass;
mod rules;
mod sent;

use super::{
    rollouts::{
        back::way_back_line,
        phrases,
        preview::{changes, figures, stage_lines},
        when, would_be,
    },
    words,
};
use crate::api::packed::reading;
use crate::ui::form::{ActionForm, FormCall};
use crate::{
    api::{
        approvals::{ReadApprovals, ReviewGlass},
        rollouts::ActOnRollout,
    },
    live,
    ui::{
        Confirm, PageHead, Tab, Tone, asked, badge, copyable, dialog,
        dialog::confirm_dialog_as,
        dialog_link, empty,
        form::{action, on_success, said},
        icon,
        number::{counted, grouped},
        page::{banner, card, card_behind, locked, page},
        pager, tabs, time,
        toast::toasts,
        unread::{self, Word},
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    live::Topic,
    rollouts::{ApprovalCard, ApprovalRow, ApprovalStanding, ApprovalsPage as Model, InboxTab, RolloutRow},
};

/// The tabs: which, the label, what the empty one says and why.
const TABS: [(InboxTab, &str, &str, &str); 5] = [
    (
        InboxTab::ForMe,
        "Waiting for me",
        "Nothing waits for you",
        "When somebody sends a rollout that you can approve, it appears here with what it would do.",
    ),
    (
        InboxTab::Waiting,
        "Waiting",
        "Nothing waits for a decision",
        "When somebody sends a rollout for approval, it appears here with what it would do.",
    ),
    (
        InboxTab::Mine,
        "Mine",
        "You have sent nothing for approval",
        "What you write or send for approval appears here, wherever it is by then.",
    ),
    (InboxTab::Done, "Done", "Nothing was decided yet", "What was approved, rejected or begun without approval appears here."),
    (
        InboxTab::Void,
        "Expired or void",
        "Nothing has expired",
        "A request or an approval that has outlived its time, or was voided by an edit or a recall, appears here until it is sent again.",
    ),
];

/// Words of the inbox's address.
const WORDS: [Word; 1] = [("tab", "list of approvals", is_tab)];
const OTHERS: [&str; 2] = ["cur", "from"];

fn is_tab(word: &str) -> bool {
    word.parse::<InboxTab>().is_ok()
}

/// A tab's address; the first one has the page's own.
fn address(tab: InboxTab) -> String {
    if tab == InboxTab::default() { "/approvals".to_owned() } else { format!("/approvals?tab={tab}") }
}

/// `/approvals?tab=…`
#[component]
pub fn ApprovalsPage() -> AnyView {
    let query = use_query_map();
    let model = reading(move || {
        let word = |key: &str| query.with(|q| q.get(key).unwrap_or_default());
        ReadApprovals { tab: Some(word("tab")).filter(|tab| is_tab(tab)).unwrap_or_default(), cursor: word("cur") }
    });
    live::refetch_on(|| Some(Topic::Rollouts), 1000, model);
    let decisions = Decisions { approve: deciding("Approved", model), reject: deciding("Rejected", model) };
    let review = said::<ReviewGlass>("Reviewed", model);
    let calls = rules::Calls {
        rule: said("Changed", model),
        dropped: said("Dropped", model),
        group: said("Group made", model),
        members: said("Saved", model),
        gone: said("Group deleted", model),
        terms: said("Saved", model),
    };
    let content = page(model, move |model: Model| {
        let before = query.with_untracked(|q| q.get("from").and_then(|n| n.parse().ok()).unwrap_or(0_i64));
        content(&model, before.max(0), decisions, review, &calls)
    });
    view! { {unread::notice(&WORDS, &OTHERS)}{content} }.into_any()
}

/// The two calls behind the cards.
#[derive(Clone, Copy)]
struct Decisions {
    approve: FormCall<ActOnRollout>,
    reject: FormCall<ActOnRollout>,
}

fn deciding(said: &'static str, model: crate::api::packed::Reading) -> FormCall<ActOnRollout> {
    let call = action::<ActOnRollout>();
    let notes = toasts();
    on_success(call, move |()| {
        crate::ui::dialog::close_all();
        if let Some(notes) = notes {
            notes.say(Tone::Ok, said);
        }
        model.refetch();
    });
    call
}

fn content(model: &Model, before: i64, decisions: Decisions, review: FormCall<ReviewGlass>, calls: &rules::Calls) -> AnyView {
    let (tab, counts) = (model.tab, &model.counts);
    let sub = if counts.waiting == 0 {
        "Nobody can approve a rollout of their own.".to_owned()
    } else {
        let waiting = counted(counts.waiting, "rollout waits", "rollouts wait");
        format!("{waiting}, {} for you. Nobody can approve a rollout of their own.", grouped(counts.me))
    };
    let links = TABS
        .into_iter()
        .map(|(word, label, ..)| {
            let mark = view! { " "<span class="count">{grouped(counts.of(word))}</span> }.into_any();
            Tab { href: address(word), label: label.to_owned(), mark: Some(mark), current: word == tab }
        })
        .collect();
    let shown = i64::try_from(model.waiting.len().max(model.asked.len())).unwrap_or(0);
    let body = if shown == 0 && before > 0 {
        card_behind(address(tab))
    } else if shown == 0 {
        none(model)
    } else if tab.decides() {
        let cards = model.waiting.iter().map(|c| one(c, &address(tab), decisions)).collect_view();
        view! { <div class="grid approvals">{cards}</div> }.into_any()
    } else {
        sent::requests(tab, &model.asked)
    };
    let base = address(tab);
    let next = model.next.as_ref().map(|cursor| {
        let and = if base.contains('?') { '&' } else { '?' };
        format!("{base}{and}from={}&cur={cursor}", before + shown)
    });
    let settled = (tab == InboxTab::Done).then(|| glass::settled_ones(&model.glass)).flatten();
    let settled = settled.map(|settled| view! { <div class="mt-4">{card("Started without approval lately", None, settled)}</div> });
    view! {
        <PageHead title="Approvals" sub=sub.into_any()/>
        {glass::open_ones(&model.glass, review)}
        {about_authorities(model.authorities)}
        {tabs("Approvals by what became of them", links)}
        <div class="mt-4">{body}</div>
        {pager(before, shown, counts.of(tab), (before > 0).then_some(base), next)}
        {settled}
        {rules::cards(model, calls)}
    }
    .into_any()
}

/// What stands where nothing is to be shown: whoever may not decide is told who can change that.
fn none(model: &Model) -> AnyView {
    let (.., title, text) = TABS.into_iter().find(|t| t.0 == model.tab).unwrap_or(TABS[0]);
    let barred = model.tab == InboxTab::ForMe && !model.may_approve;
    let (mark, title, text) = if barred {
        (
            "lock",
            "Deciding needs the role admin",
            "Whoever is an admin here can give it to you, under People. What waits for others is on the next tab.",
        )
    } else {
        ("inbox", title, text)
    };
    view! { <div class="card">{empty(mark, title, text, None)}</div> }.into_any()
}

/// The way to the other page where something waits.
fn about_authorities(waiting: i64) -> Option<AnyView> {
    (waiting > 0).then(|| {
        let text = counted(waiting, "request about authorities waits", "requests about authorities wait");
        let link = view! { {text}" for you. "<a href="/certificates/authorities/requests">"Look at the requests"</a> };
        view! { {banner(Tone::Hold, link.into_any())}<div class="mt-4"></div> }.into_any()
    })
}

/// A rollout that waits; `here` is the page's address.
fn one(c: &ApprovalCard, here: &str, decisions: Decisions) -> AnyView {
    let r = &c.rollout;
    let href = format!("/rollouts/{}", r.id);
    let who = format!("{href}#{}", would_be::ID);
    let (tone, word) = words::rollout(r.state);
    let signers = if c.signed_by.is_empty() { "nobody".to_owned() } else { c.signed_by.join(", ") };
    let selector = if c.spec.selector.is_empty() { format!("every {}", r.device_type) } else { c.spec.selector.clone() };
    let deciding = if let Some(why) = &c.blocked {
        locked(why.clone())
    } else {
        let (yes, no) = (dialog_of(r, true), dialog_of(r, false));
        view! {
            <div class="row">
                {dialog_link(yes.clone(), format!("{href}/approve"), "primary", view! { {icon("check")}"Approve…" }.into_any())}
                {dialog_link(no.clone(), format!("{href}/reject"), "danger", view! { {icon("x")}"Reject…" }.into_any())}
            </div>
            {dialog(yes, format!("Approve: {}", r.name), decide(c, here, true, decisions.approve))}
            {dialog(no, format!("Reject: {}", r.name), decide(c, here, false, decisions.reject))}
        }
        .into_any()
    };
    view! {
        <article class="card">
            <header><h2><a href=href>{r.name.clone()}</a></h2><span class="push">{badge(tone, word)}</span></header>
            <div class="body stack">
                <p class="lead">{phrases::sentence(&c.spec, &format!("{} {}", r.device_type, r.version), Some(&c.preview))}</p>
                {when::warning(&c.spec)}
                <dl class="kv">
                    <dt>"Why"</dt><dd>{if c.spec.reason.is_empty() { "no reason given".to_owned() } else { c.spec.reason.clone() }}</dd>
                    <dt>"Asked by"</dt><dd>{asker(c)}", "{time::ago(c.asked_at)}</dd>
                    <dt>"Devices"</dt><dd class="mono">{selector}</dd>
                    {stage_lines(&c.spec)}
                    {way_back_line(c.way_back.as_ref())}
                    <dt>"Signed by"</dt><dd>{signers}</dd>
                    <dt>"Digest"</dt><dd>{copyable(c.digest.to_string(), "Copy digest")}</dd>
                </dl>
                {changes(&c.changes)}
                {figures(&c.preview, &r.name)}
                <p><a href=who>"Who would be in it"</a></p>
                {given(c)}
                {deciding}
            </div>
        </article>
    }
    .into_any()
}

/// Who wrote it, and who sent it where that was somebody else.
fn asker(c: &ApprovalCard) -> String {
    let author = &c.rollout.author;
    // A token's label begins with its person.
    if c.asked_by.starts_with(author.as_str()) { c.asked_by.clone() } else { format!("{}, written by {author}", c.asked_by) }
}

/// How far its approval is, by the rule that it was sent with, and who has approved it.
fn given(c: &ApprovalCard) -> AnyView {
    let standing = &c.standing;
    let words = |a: &ApprovalRow| {
        let uncounted = a.uncounted.clone().map(|why| view! { <span class="text-2">" – does not count: "{why}</span> });
        view! { <li>{a.by_name.clone()}", "{time::ago(a.at)}": "{a.remark.clone()}{uncounted}</li> }
    };
    let said = c.approved.iter().map(words).collect_view();
    let shown = standing.needed > 1 || !standing.from.is_empty() || !c.approved.is_empty();
    let count = shown.then(|| view! { <div><strong>{progress(standing)}</strong><ul>{said}</ul></div> });
    let stuck = standing.stuck.clone().map(|why| banner(Tone::Warn, why.into_any()));
    let left = standing.decide_by.map(|at| view! { <p class="small text-2">"The request expires "{time::ago(at)}"."</p> });
    view! { {count}{stuck}{left} }.into_any()
}

/// `1 of 2 approvals, 0 of 1 by safety`.
pub fn progress(standing: &ApprovalStanding) -> String {
    let of: Vec<String> = standing.from.iter().map(|s| format!(", {} of {} by {}", s.given, s.at_least, s.name)).collect();
    format!("{} of {}{}", standing.given, counted(i64::from(standing.needed), "approval", "approvals"), of.concat())
}

fn dialog_of(r: &RolloutRow, yes: bool) -> String {
    format!("{}-{}", if yes { "approve" } else { "reject" }, r.id)
}

fn decide(c: &ApprovalCard, here: &str, yes: bool, call: FormCall<ActOnRollout>) -> AnyView {
    let r = &c.rollout;
    let text = if yes {
        phrases::approval(&c.spec, &r.version, &c.digest, Some(&c.preview))
    } else {
        "The rollout does not go out. Its author sees your reason and can change the plan.".to_owned()
    };
    let form_id = dialog_of(r, yes);
    let (back, here) = (asked::back_to(here, &form_id), here.to_owned());
    let inside = confirm_dialog_as(&form_id, Confirm::decision(yes, text, "Approve", back), call);
    let (id, digest) = (r.id.to_string(), c.digest.to_string());
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="verb" value=if yes { "approve" } else { "reject" }/>
            <input type="hidden" name="digest" value=digest/>
            <input type="hidden" name="back" value=here/>
            {inside}
        </ActionForm>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tab_is_there_and_has_its_address() {
        assert!(TABS.iter().map(|t| t.0).eq(InboxTab::ALL.iter().copied()));
        assert_eq!([InboxTab::ForMe, InboxTab::Void].map(address), ["/approvals", "/approvals?tab=void"]);
    }
}
