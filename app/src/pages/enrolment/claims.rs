//! Claims: shared certificates by which devices ask for their own.

use super::guide::{Way, card_of};
use crate::{
    api::enrolment::{CreateClaimHere, DisableClaim},
    pages::words,
    ui::{
        Column, Confirm, Control, Field, Tone, asked, badge, card, code_block, code_sample, confirm_dialog, dialog, dialog_link, empty,
        fault_banner, field,
        form::{ActionForm, FormCall, refusal, text},
        number::{counted, grouped},
        page::card_flush,
        qr_code, submit, table, time,
    },
};
use leptos::prelude::*;
use wire::enrolment::{Claim, CreatedClaim, EnrolmentPage as Page, GivenGroup, code_line};

/// What a claim is and what to do with it.
pub(super) fn steps(p: &Page) -> AnyView {
    let who = if p.claims.may_make { "" } else { "An admin does this. " };
    let lines = format!(
        "agent run --enrol {url} --claim claim.pem --claim-key claim.pem --root-fingerprint {root}\n\
         curl --cacert root.pem --cert claim.pem --key claim.pem -H 'Content-Type: application/pkcs10' --data-binary @device.csr \
         {url}/.well-known/est/simpleenroll",
        url = p.enrol_url,
        root = p.root_fingerprint
    );
    view! {
        <ol class="numbered">
            <li>{who}"Make a claim. You get one file with a certificate and its key, this once."</li>
            <li>"Put the file into the image of many devices. It is good for nothing but asking for a certificate here; it opens no device connection."</li>
            <li>"Each device makes its own key and trades a request for its own certificate. When the file has leaked, disable the claim: it is over at once, and the devices it let in stay."</li>
        </ol>
        {p.claims.hook.then(|| view! {
            <p class="dim">"Before a new device comes in by a claim, the server asks a hook that its operator has set up. What the hook refuses is in the audit log."</p>
        })}
        {code_sample(lines, "With the agent, or with any EST client")}
    }
    .into_any()
}

/// The two columns of the tab.
pub(super) fn sides(p: &Page, disable: FormCall<DisableClaim>, here: FormCall<CreateClaimHere>) -> AnyView {
    let lasting = p.claims.may_make.then(|| card("New claim", None, lasting(p)));
    let soon = p.may_edit.then(|| card("You stand at the device?", None, soon(p, here)));
    view! {
        <div class="stack">{card_of(p, Way::Claim)}{list(p, disable)}</div>
        <div class="stack">{lasting}{soon}</div>
    }
    .into_any()
}

/// A form of the browser's own: its answer is a file to save.
fn lasting(p: &Page) -> AnyView {
    view! {
        <form method="post" action="/enrolment/claims" class="stack">
            {text("label", "What it is for").required().max_length(100).placeholder("Image 4, line 3").view()}
            {text("pattern", "Device ids").required().hint("Which ids it may enrol, for example gw-*, or several with blanks between them.").placeholder("gw-*").view()}
            {text("device_type", "Device type").hint("Given to its devices; empty keeps what the device says.").view()}
            {text("tags", "Tags").hint("Given to its devices, separated by commas or blanks.").view()}
            {super::groups_field(p, &[]).map(Field::view)}
            {super::profile_field(p, "").map(Field::view)}
            {field("max_uses", "Devices it may enrol", Control::Input("number")).value("1000").bounds(1, 100_000).required().view()}
            {field("per_minute", "Devices a minute", Control::Input("number")).value("60").bounds(1, 10_000).required().view()}
            {field("hours", "Valid for, in hours", Control::Input("number")).value("720").bounds(1, 8760).required().view()}
            <div class="row"><button class="btn" data-v="primary" type="submit">"Make and save claim"</button></div>
        </form>
    }
    .into_any()
}

fn soon(p: &Page, here: FormCall<CreateClaimHere>) -> AnyView {
    let profile = super::profile_field(p, "").map(|field| field.id("f-one-profile").refused(here).view());
    view! {
        <ActionForm action=here>
            <div class="stack">
                <p>"A claim for one device that ends in five minutes, as a code to scan."</p>
                {move || fault_banner(refusal(here).as_ref())}
                {text("pattern", "Device id").id("f-one").required().max_length(64).refused(here).view()}
                {text("label", "What it is for").id("f-why").required().max_length(100).refused(here).view()}
                {profile}
                <div class="row">{submit("Make claim", "", move || here.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

/// The new claim for the device that somebody stands at.
pub(super) fn created_card(c: &CreatedClaim, p: &Page) -> AnyView {
    view! {
        <section class="card created" aria-live="polite">
            <header><h2 id=super::CREATED tabindex="-1">{format!("Claim for {}", c.claim.pattern)}</h2><span class="push">{badge(Tone::Info, "Ends in five minutes")}</span></header>
            <div class="body stack">
                <p>"Use it now: it is shown this once, lets one device in, and ends "{time::ago(c.claim.expires_at)}"."</p>
                {qr_code(c.qr.as_ref(), &c.code, "Scan it with the device, or with a phone that hands it on: address, root, certificate and key in one, for agent run --code.")}
                {super::key_words(p, &c.claim.profile)}
                {code_block(code_line(&c.code), "Line to paste on the device")}
                <details>
                    <summary>"As a file, for other clients"</summary>
                    {code_block(format!("{}{}", c.certificate, c.key), "Certificate and key as PEM")}
                </details>
            </div>
        </section>
    }
    .into_any()
}

fn list(p: &Page, disable: FormCall<DisableClaim>) -> AnyView {
    if p.claims.all.is_empty() {
        let none = "A claim is a certificate that many devices share until each has its own.";
        return card_flush("Claims", None, empty("key-round", "No claim yet", none, None));
    }
    let columns = vec![
        Column::text("Claim"),
        Column::text("State"),
        Column::number("Uses left"),
        Column::text("Ends"),
        Column::text("Last used"),
        Column::actions("Disable"),
    ];
    let rows = p.claims.all.iter().map(|c| row(c, p, disable)).collect_view();
    let rest = super::rest(&p.lists.claims, p.claims.all.len(), ("newest", "claims"), "/enrolment?tab=claim");
    view! { {card_flush("Claims", None, table("Claims", columns, rows.into_any()))}{rest} }.into_any()
}

/// Whether whoever looks may disable it: those who could have made it.
pub(super) const fn may_disable(c: &Claim, p: &Page) -> bool {
    if c.trusted_user { p.may_edit } else { p.claims.may_make }
}

fn row(c: &Claim, p: &Page, disable: FormCall<DisableClaim>) -> AnyView {
    let standing = words::token_standing(c.disabled_at.is_some(), c.uses >= c.max_uses, c.expires_at, p.at);
    let (tone, word) = words::credential_standing(standing, c.frozen_by.as_ref());
    let word = if c.disabled_at.is_some() { "Disabled" } else { word };
    let button = (may_disable(c, p) && standing.0 == Tone::Ok).then(|| {
        let id = dialog_of(c);
        view! {
            {dialog_link(id.clone(), asked::asking("disable", &c.id), "ghost", "Disable…".into_any())}
            {dialog(id, format!("Disable {}", c.label), ask(c, disable))}
        }
    });
    let named = [c.device_type.as_str(), c.pattern.as_str()].into_iter().filter(|s| !s.is_empty()).map(str::to_owned);
    let gives = named
        .chain(c.tags.iter().cloned())
        .chain(c.groups.iter().map(GivenGroup::words))
        .chain(super::profile_words(&c.profile))
        .chain(c.trusted_user.then(|| "five minutes".to_owned()))
        .collect::<Vec<_>>();
    view! {
        <tr>
            <th scope="row">{c.label.clone()}<div class="small dim">{c.created_by.clone()}</div>{crate::ui::status::tags_below(&gives)}</th>
            <td>{badge(tone, word)}{super::tokens::frozen_since(c.frozen_by.as_ref().filter(|_| standing.0 == Tone::Ok))}</td>
            <td class="num">{format!("{} of {}", grouped((c.max_uses - c.uses).max(0)), grouped(c.max_uses))}</td>
            <td>{time::ago(c.expires_at)}</td>
            <td class="dim">{time::ago_or(c.last_used_at, "never")}</td>
            <td class="act">{button}</td>
        </tr>
    }
    .into_any()
}

fn dialog_of(c: &Claim) -> String {
    format!("disable-{}", c.id)
}

/// The question before a claim is disabled.
pub(super) fn ask(c: &Claim, call: FormCall<DisableClaim>) -> AnyView {
    let text =
        format!("Every device that still has it is refused from now on. The {} it let in stay.", counted(c.uses, "device", "devices"));
    let back = asked::way_out(&dialog_of(c));
    let confirm = Confirm { text, verb: "Disable claim".to_owned(), cancel: "Keep it", back, danger: true, type_name: None, reason: None };
    let inside = confirm_dialog(confirm, call);
    let id = c.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}
