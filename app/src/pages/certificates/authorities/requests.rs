//! Requests for a second person: what waits with what it would do and whom it cuts off, the decision on it, what became of others, and the rule.

use crate::{
    api::{
        certificates::{AskClaimAuthority, DecideConsent, ReadConsents, SetApprovals, SetServerKeys, WithdrawConsent},
        packed::reading,
    },
    live,
    ui::{
        Column, Confirm, PageHead, Tone, asked, badge, banner, copyable, dialog,
        dialog::confirm_dialog_as,
        dialog_link, empty,
        form::{self, ActionForm, FormCall, fault_banner, refusal, said},
        icon,
        number::counted,
        page::{card, card_flush, locked, page, question},
        table, time,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use wire::{
    consents::{ConsentCard, ConsentRow, ConsentState, ConsentsPage as Model, Deed, ServerKeyRule},
    live::Topic,
};

/// The calls behind the forms of the page.
#[derive(Clone, Copy)]
struct Calls {
    approve: FormCall<DecideConsent>,
    reject: FormCall<DecideConsent>,
    withdraw: FormCall<WithdrawConsent>,
    rule: FormCall<SetApprovals>,
    claims: FormCall<AskClaimAuthority>,
    keys: FormCall<SetServerKeys>,
}

/// `/certificates/authorities/requests`; `?approve=ID` and `?reject=ID` ask about one.
#[component]
pub fn AuthorityRequestsPage() -> AnyView {
    let address = use_query_map();
    let model = reading(|| ReadConsents {});
    live::refetch_on(|| Some(Topic::Devices), 2000, model);
    let calls = Calls {
        approve: said::<DecideConsent>("Approved, and done", model),
        reject: said::<DecideConsent>("Rejected", model),
        withdraw: said::<WithdrawConsent>("Taken back", model),
        rule: said::<SetApprovals>("The rule is changed, or asked for", model),
        claims: said::<AskClaimAuthority>("Another admin is asked", model),
        keys: said::<SetServerKeys>("Asked for, or ended", model),
    };
    page(model, move |model: Model| {
        let (yes, no) = address.with_untracked(|a| (a.get("approve"), a.get("reject")));
        let find = |id: &Option<String>| model.waiting.iter().find(|c| c.blocked.is_none() && id.as_deref() == Some(c.row.id.as_str()));
        let asked = find(&yes).map(|c| (c, true)).or_else(|| find(&no).map(|c| (c, false)));
        let asked = asked.map(|(c, yes)| question(title(c, yes), decide(c, yes, &calls, "asked-")));
        content(&model, asked, &calls)
    })
}

fn content(m: &Model, asked: Option<AnyView>, calls: &Calls) -> AnyView {
    let waiting = counted(i64::try_from(m.waiting.len()).unwrap_or(0), "request waits", "requests wait");
    let sub = view! { <a href="/certificates/authorities">"Authorities"</a>" · "{waiting} };
    let list = if m.waiting.is_empty() {
        let text = "When two people decide on authorities, what one admin asks for appears here for another one.";
        view! { <div class="card">{empty("inbox", "Nothing waits for a second person", text, None)}</div> }.into_any()
    } else {
        let cards = m.waiting.iter().map(|c| one(c, calls)).collect_view();
        view! { <div class="grid approvals">{cards}</div> }.into_any()
    };
    let over = (!m.over.is_empty()).then(|| view! { <div class="mt-4">{card_flush("Over", None, over(&m.over))}</div> });
    view! {
        <PageHead title="Requests about authorities" sub=sub.into_any()/>
        {asked}
        {list}
        <div class="stack mt-4">{rule(m, calls.rule)}{claims(m, calls.claims)}{keys(m, calls.keys)}</div>
        {over}
    }
    .into_any()
}

fn title(c: &ConsentCard, yes: bool) -> String {
    format!("{}: {}", if yes { "Approve" } else { "Reject" }, headline(&c.row))
}

/// What is asked for, with the name of what it is done to.
fn headline(row: &ConsentRow) -> String {
    let named = row.deed.authority().and_then(|id| row.effects.iter().find(|e| e.authority.as_ref() == Some(id)));
    named.map_or_else(|| row.deed.words().to_owned(), |effect| format!("{} {}", row.deed.words(), effect.name))
}

fn one(c: &ConsentCard, calls: &Calls) -> AnyView {
    let row = &c.row;
    let what = match row.deed.authority() {
        Some(id) => view! { <a href=format!("/certificates/authorities/{id}")>{headline(row)}</a> }.into_any(),
        None => headline(row).into_any(),
    };
    let effects = row.effects.iter().map(|e| {
        let from = e.from.map_or("made", |from| from.as_str());
        view! { <li>{e.name.clone()}": "{from}" → "{e.to.as_str()}</li> }
    });
    let effects = (!row.effects.is_empty()).then(|| view! { <ul>{effects.collect_view()}</ul> });
    let cut = if c.cut > 0 {
        let text = format!("{} are cut off as of now, and have to enrol again or can't follow.", counted(c.cut, "device", "devices"));
        banner(Tone::Bad, text.into_any())
    } else {
        view! { <p>"Cuts off no device as of now."</p> }.into_any()
    };
    view! {
        <article class="card">
            <header><h2>{what}</h2><span class="push">{badge(Tone::Hold, "Waits")}</span></header>
            <div class="body stack">
                {effects}
                {(row.deed == Deed::ServerKeys).then(|| view! { <p>{WHAT_KEYS_ARE}</p> })}
                {cut}
                <dl class="kv">
                    <dt>"Why"</dt><dd>{row.remark.clone()}</dd>
                    <dt>"Asked by"</dt><dd>{row.asked_name.clone()}", "{time::ago(row.asked_at)}</dd>
                    <dt>"Until"</dt><dd>{time::at(row.expires_at)}</dd>
                    <dt>"Digest"</dt><dd>{copyable(row.digest.to_string(), "Copy digest")}</dd>
                </dl>
                {deciding(c, calls)}
                {c.own.then(|| withdraw(row, calls.withdraw))}
            </div>
        </article>
    }
    .into_any()
}

fn deciding(c: &ConsentCard, calls: &Calls) -> AnyView {
    let id = &c.row.id;
    if let Some(why) = &c.blocked {
        let said = format!("why-{id}");
        return view! {
            <div class="row">
                <button type="button" class="btn" data-v="primary" aria-disabled="true" aria-describedby=said.clone()>{icon("lock")}"Approve…"</button>
                <span class="small text-2" id=said>{why.clone()}</span>
            </div>
        }
        .into_any();
    }
    let (yes, no) = (dialog_of(&c.row, true), dialog_of(&c.row, false));
    view! {
        <div class="row">
            {dialog_link(yes.clone(), asked::asking(word(true), id), "primary", view! { {icon("check")}"Approve…" }.into_any())}
            {dialog_link(no.clone(), asked::asking(word(false), id), "danger", view! { {icon("x")}"Reject…" }.into_any())}
        </div>
        {dialog(yes, title(c, true), decide(c, true, calls, ""))}
        {dialog(no, title(c, false), decide(c, false, calls, ""))}
    }
    .into_any()
}

const fn word(yes: bool) -> &'static str {
    if yes { "approve" } else { "reject" }
}

fn dialog_of(row: &ConsentRow, yes: bool) -> String {
    format!("{}-{}", word(yes), row.id)
}

/// The form that decides; `place` keeps the ids of the page's question and of its dialog apart.
fn decide(c: &ConsentCard, yes: bool, calls: &Calls, place: &str) -> AnyView {
    let row = &c.row;
    let call = if yes { calls.approve } else { calls.reject };
    let text = if yes {
        let cut = if c.cut > 0 { format!(" {} are cut off.", counted(c.cut, "device", "devices")) } else { String::new() };
        format!("It is done at once, exactly as it is written here, digest {}.{cut}", row.digest.short())
    } else {
        format!("Nothing happens. {} sees your reason, and can ask again.", row.asked_name)
    };
    let dialog = dialog_of(row, yes);
    let (form_id, back) = (format!("{place}{dialog}"), asked::way_out(&dialog));
    let inside = confirm_dialog_as(&form_id, Confirm::decision(yes, text, "Approve and do it", back), call);
    let (id, digest) = (row.id.to_string(), row.digest.to_string());
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            <input type="hidden" name="approve" value=yes.to_string()/>
            <input type="hidden" name="digest" value=digest/>
            {inside}
        </ActionForm>
    }
    .into_any()
}

fn withdraw(row: &ConsentRow, call: FormCall<WithdrawConsent>) -> AnyView {
    let id = row.id.to_string();
    view! {
        <ActionForm action=call>
            <input type="hidden" name="id" value=id/>
            {move || fault_banner(refusal(call).as_ref())}
            {form::submit("Take back", "", move || call.pending().get())}
        </ActionForm>
    }
    .into_any()
}

/// The rule, and the way to change it.
fn rule(m: &Model, call: FormCall<SetApprovals>) -> AnyView {
    let text = match (m.on, m.admins) {
        (true, 0 | 1) => {
            "Two people decide, but there is only one admin: nobody can approve anything. Make somebody else an admin, or use fleetward ca on the \
             server's own command line, where one is enough and the audit log says so."
        }
        (true, _) => {
            "Every step in an authority's life is asked for by one admin and approved by another one, within 24 hours. Giving an authority up as \
             compromised is done at once by one. On the server's own command line one person is enough; the audit log says so."
        }
        (false, 0 | 1) => {
            "One person decides, because there is only one admin. Make somebody else an admin under People; then two can be asked for here."
        }
        (false, _) => "One admin is enough to change authorities, and with them what every device trusts. Two can be asked for.",
    };
    let asked = m.waiting.iter().any(|c| c.row.deed == Deed::ApprovalsOff);
    let form = match (m.may_decide, m.on, m.admins > 1) {
        (true, false, true) => {
            let button = form::submit("Let two people decide", "primary", move || call.pending().get());
            Some(view! { <input type="hidden" name="on" value="true"/><div class="row">{button}</div> }.into_any())
        }
        (true, true, true) if !asked => {
            let why =
                form::field("reason", "Why one should be enough again (required)", form::Control::Area).id("rule-reason").max_length(500);
            let button = form::submit("Ask to let one be enough", "", move || call.pending().get());
            Some(view! { <input type="hidden" name="on" value="false"/>{why.required().refused(call).view()}<div class="row">{button}</div> }.into_any())
        }
        _ => None,
    };
    let note = (!m.may_decide).then(|| locked("Changing that, and deciding on requests, needs the role admin."));
    let form = form.map(|inside| {
        view! { <ActionForm action=call><div class="stack">{move || fault_banner(refusal(call).as_ref())}{inside}</div></ActionForm> }
    });
    let word = if m.on { badge(Tone::Ok, "Two people") } else { badge(Tone::Warn, "One person") };
    card("Who decides on authorities", Some(word), view! { <div class="stack"><p>{text}</p>{note}{form}</div> }.into_any())
}

/// The root signs an authority of claims with the first claim; where two people decide, somebody asks for that before.
fn claims(m: &Model, call: FormCall<AskClaimAuthority>) -> AnyView {
    let asked = m.waiting.iter().any(|c| c.row.deed == Deed::ClaimAuthority);
    if !m.on || !m.may_decide || m.admins < 2 || asked {
        return ().into_any();
    }
    let why = form::field("reason", "Why (required)", form::Control::Area).id("claims-reason").max_length(500).required().refused(call);
    let body = view! {
        <p class="text-2">"The root signs an authority of claims with the first claim, and when that one is about to end. Ask before you make one."</p>
        <ActionForm action=call>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {why.view()}
                <div class="row">{form::submit("Ask for an authority of claims", "", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    };
    card("Claims", None, view! { <div class="stack">{body}</div> }.into_any())
}

/// Said to who asks, and to who decides.
const WHAT_KEYS_ARE: &str = "For devices that can't make a good key: EST serverkeygen, and batches whose keys are made here. Their keys are in this server's \
                             memory until they are handed out, once; whoever reads that answer has them.";

/// Keys for devices, where the installation makes any: two people agree to it before, and one ends it.
fn keys(m: &Model, call: FormCall<SetServerKeys>) -> AnyView {
    let asked = m.waiting.iter().any(|c| c.row.deed == Deed::ServerKeys);
    let (word, text, form) = match m.server_keys {
        ServerKeyRule::Off | ServerKeyRule::Configured => return ().into_any(),
        ServerKeyRule::Agreed => {
            let button = form::submit("Make no more keys", "danger", move || call.pending().get());
            let inside = view! { <input type="hidden" name="on" value="false"/><div class="row">{button}</div> };
            (
                badge(Tone::Ok, "Agreed"),
                "Two people have agreed that this server makes them. One admin ends that at once; a batch whose keys are being made breaks off.",
                Some(inside.into_any()),
            )
        }
        ServerKeyRule::Needed if asked => {
            (badge(Tone::Hold, "Asked"), "None is made until another admin approves the request above.", None)
        }
        ServerKeyRule::Needed if m.admins < 2 => {
            (badge(Tone::Off, "None"), "None is made until two people agree to it, and there is only one admin.", None)
        }
        ServerKeyRule::Needed => {
            let why =
                form::field("reason", "Why (required)", form::Control::Area).id("keys-reason").max_length(500).required().refused(call);
            let button = form::submit("Ask to let keys be made", "", move || call.pending().get());
            let inside = view! { <input type="hidden" name="on" value="true"/>{why.view()}<div class="row">{button}</div> };
            (
                badge(Tone::Off, "None"),
                "None is made until two people agree to it: one admin asks, another one approves.",
                Some(inside.into_any()),
            )
        }
    };
    let form = form.filter(|_| m.may_decide).map(|inside| {
        view! { <ActionForm action=call><div class="stack">{move || fault_banner(refusal(call).as_ref())}{inside}</div></ActionForm> }
    });
    let note = (!m.may_decide).then(|| locked("Asking for that, and ending it, needs the role admin."));
    let body = view! { <div class="stack"><p class="text-2">{WHAT_KEYS_ARE}</p><p>{text}</p>{note}{form}</div> };
    card("Keys that the server makes", Some(word), body.into_any())
}

const fn ended(state: ConsentState) -> (Tone, &'static str) {
    match state {
        ConsentState::Waiting => (Tone::Hold, "Waits"),
        ConsentState::Done => (Tone::Ok, "Approved and done"),
        ConsentState::Rejected => (Tone::Bad, "Rejected"),
        ConsentState::Withdrawn => (Tone::Off, "Taken back"),
        ConsentState::Void => (Tone::Warn, "Void"),
        ConsentState::Expired => (Tone::Off, "Too late"),
    }
}

fn over(rows: &[ConsentRow]) -> AnyView {
    let columns = vec![
        Column::text("Request"),
        Column::text("Outcome"),
        Column::text("Asked by"),
        Column::text("Decided by"),
        Column::text("Remark"),
        Column::text("When"),
    ];
    let rows = rows
        .iter()
        .map(|row| {
            let (tone, word) = ended(row.state);
            view! {
                <tr>
                    <th scope="row">{headline(row)}</th>
                    <td>{badge(tone, word)}</td>
                    <td>{row.asked_name.clone()}</td>
                    <td>{row.decided_name.clone()}</td>
                    <td>{row.decided_remark.clone()}</td>
                    <td class="dim">{row.decided_at.map(time::ago)}</td>
                </tr>
            }
        })
        .collect_view();
    table("Requests that are over", columns, rows.into_any())
}
