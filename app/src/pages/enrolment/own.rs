//! Own authorities: registered, proved, enabled under a policy; step by step, and each step a form that works without a script.

use super::guide::{Way, card_of};
use crate::{
    api::registered::{
        BringList, DisableAuthority, EnableAuthority, FetchListNow, RegisterAuthority, RemoveAuthority, RenewVerificationCode,
        SetListAddress, VerifyAuthority, own_authority,
    },
    pages::words,
    ui::{
        Column, Confirm, Control, Tone, asked, badge, banner, card, code_block, confirm_dialog, copyable, dialog, dialog_link, empty,
        field,
        form::{self, ActionForm, FormCall, Post, fault_banner, refusal, select, text},
        number::{counted, grouped},
        page::card_flush,
        status,
        stepper::{Step, stepper},
        table, time,
    },
};
use leptos::prelude::*;
use wire::{
    enrolment::EnrolmentPage as Page,
    registered::{EndedList, JustInTime, RegisteredAuthority, RegisteredState, verification_lines},
};

/// The calls of the tab.
#[derive(Clone, Copy)]
pub(super) struct Owns {
    pub(super) register: FormCall<RegisterAuthority>,
    pub(super) code: FormCall<RenewVerificationCode>,
    pub(super) verify: FormCall<VerifyAuthority>,
    pub(super) enable: FormCall<EnableAuthority>,
    pub(super) disable: FormCall<DisableAuthority>,
    pub(super) list: FormCall<BringList>,
    pub(super) address: FormCall<SetListAddress>,
    pub(super) fetch: FormCall<FetchListNow>,
    pub(super) remove: FormCall<RemoveAuthority>,
}

/// What it is for and how it goes.
pub(super) fn steps(p: &Page) -> AnyView {
    let who = if p.registered.may_manage { "" } else { "An admin does this. " };
    view! {
        <ol class="numbered">
            <li>{who}"Register the certificate of the authority that signs your devices' certificates. Only the certificate: its key stays where it is."</li>
            <li>"Prove that you hold its key: with it, sign a certificate that names the code you are shown. Somebody who only has the authority's certificate can't."</li>
            <li>"Say what becomes of its devices when they connect for the first time, and enable it. A device dials the device address with the certificate it has; with the next dial it is in."</li>
        </ol>
    }
    .into_any()
}

/// The two columns of the tab; `shown` is the authority that is asked about.
pub(super) fn sides(p: &Page, shown: Option<&RegisteredAuthority>, calls: &Owns) -> AnyView {
    let may = p.registered.may_manage;
    let form = if may {
        new_form(calls.register)
    } else {
        view! { <p class="text-2">"Only admins register an authority, prove and enable it. Ask one of them."</p> }.into_any()
    };
    let new = card("Register an authority", None, form);
    let detail = shown.map(|a| detail(p, a, calls));
    view! {
        <div class="stack">{detail}{card_of(p, Way::Own)}{list(p)}</div>
        <div class="stack">{new}</div>
    }
    .into_any()
}

/// What stands above the list where the address names an authority that is not in it.
pub(super) fn gone() -> AnyView {
    let all = view! { <a class="btn" href="/enrolment?tab=own">"Own authorities"</a> }.into_any();
    let text = "No authority of this id is registered here. It may have been removed.";
    view! { <div class="card mb-4">{empty("search", "Not found", text, Some(all))}</div> }.into_any()
}

fn new_form(call: FormCall<RegisterAuthority>) -> AnyView {
    view! {
        <ActionForm action=call>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {text("label", "What you call it").required().max_length(100).placeholder("Plant in Ulm").refused(call).view()}
                {field("certificate", "Certificate", Control::Area).required().max_length(48_000).placeholder("-----BEGIN CERTIFICATE-----")
                    .hint("PEM, of the authority that signs the devices' certificates or of one above it. A renewed one, for the same key, takes the place of the one before.").refused(call).view()}
                <div class="row">{form::submit("Register", "primary", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn list(p: &Page) -> AnyView {
    if p.registered.all.is_empty() {
        let none = "Devices that were given a certificate when they were made can use it here, without a token.";
        return card_flush("Own authorities", None, empty("shield-check", "No own authority yet", none, None));
    }
    let columns = vec![
        Column::text("Authority"),
        Column::text("State"),
        Column::text("New devices"),
        Column::number("Devices"),
        Column::number("Refused"),
        Column::text("Last seen"),
        Column::text("Ends"),
    ];
    let rows = p.registered.all.iter().map(|a| row(a, p.at)).collect_view();
    card_flush("Own authorities", None, table("Registered authorities", columns, rows.into_any()))
}

fn row(a: &RegisteredAuthority, now: wire::Timestamp) -> AnyView {
    let (tone, word) = words::registered(a.state);
    let missed = if a.list_awaited.is_some() { (Tone::Bad, "List awaited") } else { (Tone::Warn, "List not fetched") };
    let missed = a.list_warning(now).map(|_| badge(missed.0, missed.1));
    view! {
        <tr>
            <th scope="row"><a href=own_authority(&a.id)>{a.label.clone()}</a></th>
            <td><div class="row">{badge(tone, word)}{missed}</div></td>
            <td>{policy_words(a)}</td>
            <td class="num">{grouped(a.devices)}</td>
            <td class="num">{grouped(a.refused)}</td>
            <td class="dim">{time::ago_or(a.last_seen_at, "never")}</td>
            <td>{time::at(a.not_after)}</td>
        </tr>
    }
    .into_any()
}

const fn policy_words(a: &RegisteredAuthority) -> &'static str {
    match (a.state, a.policy.just_in_time) {
        (RegisteredState::Unverified | RegisteredState::Verified, _) => "not said yet",
        (_, JustInTime::Off) => "refused",
        (_, JustInTime::Pending) => "wait for a person",
        (_, JustInTime::Auto) => "are let in",
    }
}

fn detail(p: &Page, a: &RegisteredAuthority, calls: &Owns) -> AnyView {
    let may = p.registered.may_manage;
    let (tone, word) = words::registered(a.state);
    let proved = a.state != RegisteredState::Unverified;
    let enabled = a.state == RegisteredState::Active;
    let step = |label, done, current| Step { href: own_authority(&a.id), label, done, current };
    let way = stepper(vec![
        step("Register", true, false),
        step("Prove", proved, !proved),
        step("Policy and enable", enabled, proved && !enabled),
        step("Devices", false, enabled),
    ]);
    let doing = may.then(|| match a.state {
        RegisteredState::Unverified => prove(a, calls),
        RegisteredState::Verified | RegisteredState::Active | RegisteredState::Disabled => enable_form(p, a, calls.enable),
    });
    let ends = may.then(|| ends(a, calls));
    let list = (p.may_revoke && proved).then(|| list_form(a, calls.list));
    let address = (may && proved).then(|| address_form(a, calls.address));
    let shut = if a.list_awaited.is_some() { Tone::Bad } else { Tone::Warn };
    let warning = a.list_warning(p.at).map(|text| banner(shut, text.into_any()));
    let given: Vec<_> = a.policy.groups.iter().filter_map(|id| p.groups.iter().find(|g| g.id.as_str() == id)).cloned().collect();
    let groups = super::groups_words(&given).map(|names| view! { <dt>"Put into groups"</dt><dd>{names}</dd> });
    let refusals = (may && a.refused > 0).then(|| {
        let log = format!("/audit?action=registered_authority.refuse&q={}", a.id);
        view! { " ("<a href=log>"which and why"</a>")" }
    });
    let body = view! {
        <div class="body stack" aria-live="polite">
            {way}
            {warning}
            {doing}
            <dl class="kv">
                <dt>"Name"</dt><dd class="mono">{a.subject.clone()}</dd>
                <dt>"Valid"</dt><dd>{time::at(a.not_before)}" to "{time::at(a.not_after)}</dd>
                <dt>"Key"</dt><dd>{a.key_alg.clone()}</dd>
                <dt>"Fingerprint"</dt><dd>{copyable(a.fingerprint.clone(), "Copy fingerprint")}</dd>
                <dt>"Devices"</dt>
                <dd>{format!("{} with a usable certificate, {} let in, {} refused", grouped(a.devices), grouped(a.admitted), grouped(a.refused))}{refusals}</dd>
                <dt>"Last let in"</dt><dd>{time::ago_or(a.last_admitted_at, "none yet")}</dd>
                <dt>"Last seen"</dt><dd>{time::ago_or(a.last_seen_at, "never")}</dd>
                {groups}
                {owners_list(a, p.at)}
                {fetching(a, may.then_some(calls.fetch))}
                <dt>"Registered"</dt><dd>{time::at(a.created_at)}" by "{a.created_by.clone()}</dd>
            </dl>
            {address}
            {list}
            {ends}
        </div>
    };
    card_flush(a.label.clone(), Some(badge(tone, word)), body.into_any())
}

/// The code, the lines that use it, and the way to send what they make.
fn prove(a: &RegisteredAuthority, calls: &Owns) -> AnyView {
    let (id, again) = (a.id.to_string(), a.id.to_string());
    let code = calls.code;
    let renew = view! {
        <ActionForm action=code>
            <input type="hidden" name="id" value=again/>
            {move || fault_banner(refusal(code).as_ref())}
            {form::submit("Make another code", "", move || code.pending().get())}
        </ActionForm>
    };
    let (Some(code), Some(until)) = (a.code.clone(), a.code_until) else {
        return view! { <p>"The verification code has ended."</p>{renew} }.into_any();
    };
    let lines = verification_lines(&code).join("\n");
    let call = calls.verify;
    view! {
        <p>"Where the authority's key is, make a certificate that names this code. It is taken once, until "{time::at(until)}"."</p>
        <dl class="kv"><dt>"Code"</dt><dd>{copyable(code, "Copy code")}</dd></dl>
        {code_block(lines, "With openssl; ca.pem and ca.key are the authority's")}
        <ActionForm action=call>
            <div class="stack">
                <input type="hidden" name="id" value=id/>
                {move || fault_banner(refusal(call).as_ref())}
                {field("certificate", "Verification certificate", Control::Area).id("f-proof").required().max_length(48_000)
                    .placeholder("-----BEGIN CERTIFICATE-----").hint("What is in verify.pem now.").refused(call).view()}
                <div class="row">{form::submit("Verify", "primary", move || call.pending().get())}</div>
            </div>
        </ActionForm>
        {renew}
    }
    .into_any()
}

/// Its list of revoked certificates, where there is one.
fn owners_list(a: &RegisteredAuthority, now: wire::Timestamp) -> AnyView {
    let Some(list) = &a.list else {
        return view! { <dt>"Its list of revoked certificates"</dt><dd class="dim">"none yet"</dd> }.into_any();
    };
    let said = format!("{} on it, ", counted(list.entries, "certificate", "certificates"));
    let ended = (list.next_update < now).then_some(match a.policy.ended_list {
        EndedList::Closed => "; its devices are refused a day after that",
        EndedList::Open => "; its devices go on by it",
    });
    view! {
        <dt>"Its list of revoked certificates"</dt>
        <dd>{said}"made "{time::at(list.this_update)}", holds until "{time::at(list.next_update)}{ended}"; from "{list.received_by.clone()}</dd>
    }
    .into_any()
}

/// Where that is fetched, what came of it, and the button for whoever doesn't want to wait.
fn fetching(a: &RegisteredAuthority, call: Option<FormCall<FetchListNow>>) -> Option<AnyView> {
    let at = a.list_address.as_ref()?;
    let gave = match (at.asked_at, at.fetched_at) {
        (None, _) => "it is asked within moments".into_any(),
        (_, Some(fetched)) => view! { "it gave a list that counts "{time::ago(fetched)} }.into_any(),
        (Some(asked), None) => view! { "asked "{time::ago(asked)}", it has given none yet" }.into_any(),
    };
    let failed = (at.failures > 0).then(|| {
        let times = counted(at.failures, "time", "times in a row");
        let text = format!("It gave none ({times}): {}.", at.error);
        view! { <p>{status(Tone::Warn, text)}</p> }
    });
    let now = call.map(|call| {
        let id = a.id.to_string();
        view! {
            <ActionForm action=call>
                <input type="hidden" name="id" value=id/>
                {move || fault_banner(refusal(call).as_ref())}
                <div class="row mt-2">{form::submit("Fetch now", "", move || call.pending().get())}</div>
            </ActionForm>
        }
    });
    let row = view! {
        <dt>"Fetched from"</dt>
        <dd>
            <span class="mono">{at.url.clone()}</span>"; "{gave}"; next "{time::at(at.next_at)}"; set by "{at.set_by.clone()}
            {failed}
            {now}
        </dd>
    };
    Some(row.into_any())
}

fn address_form(a: &RegisteredAuthority, call: FormCall<SetListAddress>) -> AnyView {
    let url = a.list_address.as_ref().map(|at| at.url.clone()).unwrap_or_default();
    let inside = view! {
        {field("url", "Address", Control::Input("url")).id("f-list-url").value(url).max_length(500).placeholder("http://pki.example.com/plant.crl")
            .hint("http or https, as this server reaches it. Asked at once when you set it, every hour, and before the list ends. Empty means that the list is brought.")
            .refused(call).view()}
        <div class="row">{form::submit("Set address", "", move || call.pending().get())}</div>
    };
    folded("Fetch its list of revoked certificates from an address", a, call.into(), inside.into_any())
}

fn list_form(a: &RegisteredAuthority, call: FormCall<BringList>) -> AnyView {
    let inside = view! {
        {field("list", "List", Control::Area).required().max_length(200_000).placeholder("-----BEGIN X509 CRL-----")
            .hint("PEM. What is on it is cut off within a second. A long one goes by the API or by fleetward ca upload-list.").refused(call).view()}
        <div class="row">{form::submit("Bring list", "", move || call.pending().get())}</div>
    };
    folded("Bring its list of revoked certificates", a, call.into(), inside.into_any())
}

/// A form about an authority behind its name; open when it was refused.
fn folded(name: &'static str, a: &RegisteredAuthority, call: Post, inside: AnyView) -> AnyView {
    let id = a.id.to_string();
    view! {
        <details open=move || refusal(call).is_some()>
            <summary>{name}</summary>
            <ActionForm action=call>
                <div class="stack mt-4">
                    <input type="hidden" name="id" value=id/>
                    {move || fault_banner(refusal(call).as_ref())}
                    {inside}
                </div>
            </ActionForm>
        </details>
    }
    .into_any()
}

fn enable_form(page: &Page, a: &RegisteredAuthority, call: FormCall<EnableAuthority>) -> AnyView {
    let p = &a.policy;
    let kinds =
        [(JustInTime::Off, "Refuse them"), (JustInTime::Pending, "A person approves each"), (JustInTime::Auto, "Let them in at once")];
    let kinds = kinds.into_iter().map(|(kind, label)| (kind.to_string(), label.to_owned())).collect();
    let ended = [(EndedList::Closed, "Refuse its devices"), (EndedList::Open, "Go on by the list that has ended")];
    let ended = ended.into_iter().map(|(kind, label)| (kind.to_string(), label.to_owned())).collect();
    let (id, verb) = (a.id.to_string(), if a.state == RegisteredState::Active { "Change policy" } else { "Enable" });
    let fields = view! {
        <input type="hidden" name="id" value=id/>
        {move || fault_banner(refusal(call).as_ref())}
        {select("just_in_time", "New devices", kinds).value(p.just_in_time.to_string())
            .hint("Those it has let in stay, whatever is said here.").refused(call).view()}
        {text("template", "Device id").id("f-template").value(p.template.clone()).required().max_length(100)
            .hint("Made from {CN}, {serialNumber} (of the subject) or {SAN:URI}, with text between.").refused(call).view()}
        {text("pattern", "Device ids").id("f-own-pattern").value(p.pattern.clone()).hint("Which ids it may let in, for example gw-*, or several with blanks between them; empty means any.").refused(call).view()}
        {text("device_type", "Device type").id("f-own-type").value(p.device_type.clone()).hint("Given to its devices.").refused(call).view()}
        {text("tags", "Tags").id("f-own-tags").value(p.tags.join(", ")).hint("Given to its devices, separated by commas or blanks.").refused(call).view()}
        {super::groups_field(page, &p.groups).map(|field| field.id("f-own-groups").refused(call).view())}
        {field("max_devices", "Devices it may let in", Control::Input("number")).value(p.max_devices.to_string()).bounds(1, 1_000_000).required().refused(call).view()}
        {field("per_day", "Devices a day", Control::Input("number")).value(p.per_day.to_string()).bounds(1, 100_000).required()
            .hint("What comes after waits for a person.").refused(call).view()}
        {select("ended_list", "When its list of revoked certificates has ended", ended).value(p.ended_list.to_string())
            .hint("For more than a day, and only where one was brought.").refused(call).view()}
        {field("exchange", "Its devices may trade their certificate for one of ours, by EST", Control::Check).value(p.exchange.to_string()).view()}
    };
    view! {
        <ActionForm action=call>
            <div class="stack">{fields}<div class="row">{form::submit(verb, "primary", move || call.pending().get())}</div></div>
        </ActionForm>
    }
    .into_any()
}

/// What ends it for now, or for good.
fn ends(a: &RegisteredAuthority, calls: &Owns) -> AnyView {
    let disable = (a.state == RegisteredState::Active).then(|| {
        let id = dialog_of(a);
        view! {
            {dialog_link(id.clone(), asked::asking("disable", &a.id), "danger", "Disable…".into_any())}
            {dialog(id, format!("Disable {}", a.label), ask(a, calls.disable))}
        }
    });
    let unused = a.admitted == 0 && a.state != RegisteredState::Active;
    let remove = unused.then(|| {
        let (id, call) = (a.id.to_string(), calls.remove);
        view! {
            <ActionForm action=call>
                <input type="hidden" name="id" value=id/>
                {move || fault_banner(refusal(call).as_ref())}
                {form::submit("Remove", "", move || call.pending().get())}
            </ActionForm>
        }
    });
    view! { <div class="row">{disable}{remove}</div> }.into_any()
}

fn dialog_of(a: &RegisteredAuthority) -> String {
    format!("disable-{}", a.id)
}

/// The question before an authority's devices are cut off.
pub(super) fn ask(a: &RegisteredAuthority, call: FormCall<DisableAuthority>) -> AnyView {
    let text = format!(
        "{} that it has let in are cut off within a second, and none gets in until it is enabled again.",
        counted(a.devices, "device", "devices")
    );
    let back = asked::way_out(&dialog_of(a));
    let confirm =
        Confirm { text, verb: "Disable authority".to_owned(), cancel: "Keep it", back, danger: true, type_name: None, reason: None };
    let inside = confirm_dialog(confirm, call);
    let id = a.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}
