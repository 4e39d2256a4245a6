//! Enrolment tokens: made, shown once, listed, revoked.

use super::guide::Way;
use crate::{
    api::enrolment::{CreateEnrolmentToken, RevokeEnrolmentToken},
    pages::words,
    ui::{
        Column, Confirm, Control, Tone, asked, badge, code_block, confirm_dialog, copyable, dialog, dialog_link, empty, field,
        form::{self, ActionForm, FormCall, fault_banner, refusal, select},
        number::{counted, grouped},
        page::card_flush,
        qr_code, table, text, time,
    },
};
use leptos::prelude::*;
use wire::{
    enrolment::{CreatedEnrolmentToken, EnrolmentMode, EnrolmentPage as Page, EnrolmentToken, GivenGroup, est_lines, names_to_fit},
    pki::{KeyType, ProfileKeys},
};

/// The tokens there are.
pub(super) fn list(p: &Page, revoke: FormCall<RevokeEnrolmentToken>) -> AnyView {
    if p.tokens.is_empty() {
        let none = "A token is a secret that a device trades for its certificate, once or as often as you allow.";
        return card_flush("Tokens", None, empty("key-round", "No enrolment token yet", none, None));
    }
    let rest = super::rest(&p.lists.tokens, p.tokens.len(), ("newest", "tokens"), "/enrolment?tab=agent");
    view! { {card_flush("Tokens", None, rows(p, revoke))}{rest} }.into_any()
}

/// The form of a new token.
pub(super) fn new_form(p: &Page, create: FormCall<CreateEnrolmentToken>) -> AnyView {
    // Only the refusals are built again: devices join while somebody types here, and the page is read again each time.
    let fields = view! {
        {move || fault_banner(refusal(create).as_ref())}
        {text("label", "What it is for").required().max_length(100).placeholder("Gateways, hall 3").refused(create).view()}
        {field("max_uses", "Devices it may enrol", Control::Input("number")).value("1").bounds(1, 10_000).required().refused(create).view()}
        {field("hours", "Valid for, in hours", Control::Input("number")).value("24").bounds(1, 720).required().refused(create).view()}
        {text("device_type", "Device type").hint("Given to its devices; empty keeps what the device says.").refused(create).view()}
        {text("tags", "Tags").hint("Given to its devices, separated by commas or blanks.").placeholder("eu, hall-3").refused(create).view()}
        {text("pattern", "Device ids").hint("Which ids it may enrol, for example gw-*, or several with blanks between them; empty means any.").refused(create).view()}
        {more(p, create)}
    };
    view! {
        <ActionForm action=create>
            <div class="stack">{fields}<div class="row">{form::submit("Make token", "primary", move || create.pending().get())}</div></div>
        </ActionForm>
    }
    .into_any()
}

/// What few tokens need; open when something in it was refused.
fn more(p: &Page, create: FormCall<CreateEnrolmentToken>) -> AnyView {
    const INSIDE: [&str; 6] = ["mode", "groups", "profile", "source", "spki_sha256", "csr_sha256"];
    let open = move || refusal(create).and_then(|f| f.field).is_some_and(|field| INSIDE.contains(&field.as_str()));
    let modes = [(EnrolmentMode::Auto, "Nobody: it is in at once"), (EnrolmentMode::Approval, "A person approves each device")];
    let modes = modes.into_iter().map(|(mode, label)| (mode.to_string(), label.to_owned())).collect();
    let profile = super::profile_field(p, "").map(|field| field.refused(create).view());
    view! {
        <details open=open>
            <summary>"More"</summary>
            <div class="stack mt-4">
                {select("mode", "Who decides", modes).refused(create).view()}
                {super::groups_field(p, &[]).map(|field| field.refused(create).view())}
                {profile}
                {text("source", "Network").hint("Where it may be used from, for example 192.0.2.0/24; empty means anywhere.").refused(create).view()}
                {text("spki_sha256", "Only this public key").hint("SHA-256 of the key, 64 hex digits.").refused(create).view()}
                {text("csr_sha256", "Only this request").hint("SHA-256 of the CSR in DER, 64 hex digits.").refused(create).view()}
            </div>
        </details>
    }
    .into_any()
}

/// The new token's secret and what to do with it, in the way that is shown.
pub(super) fn created_card(c: &CreatedEnrolmentToken, p: &Page, way: Way) -> AnyView {
    let used = p.tokens.iter().find(|t| t.id == c.token.id).map_or(0, |t| t.connected);
    let groups = super::groups_words(&c.token.groups).map(|names| view! { <dt>"Into groups"</dt><dd>{names}</dd> });
    let seen = format!("{} of {} connected", grouped(used), counted(c.token.max_uses, "device has", "devices have"));
    let code = match way {
        Way::Agent | Way::Factory | Way::Claim | Way::Own | Way::HawkBit | Way::Import => {
            view! { {super::key_words(p, &c.token.profile)}{name_words(&c.token.pattern)}{code_block(c.command.clone(), "Line to paste on the device")} }.into_any()
        }
        Way::Est => {
            let any = c.token.pattern.is_empty() || c.token.pattern.contains(['*', ' ']);
            let named = if any { "$(hostname)" } else { c.token.pattern.as_str() };
            let key = p.profiles.iter().find(|of| of.name == c.token.profile).map_or(KeyType::P256, ProfileKeys::usual);
            let lines = est_lines(&p.enrol_url, &p.root_fingerprint, &c.secret, named, key).join("\n");
            view! { {name_words(&c.token.pattern)}{code_block(lines, "Lines to paste on the device")} }.into_any()
        }
    };
    view! {
        <section class="card created" aria-live="polite">
            <header><h2 id=super::CREATED tabindex="-1">{format!("Token for {}", c.token.label)}</h2><span class="push">{badge(if used > 0 { Tone::Ok } else { Tone::Info }, seen)}</span></header>
            <div class="body stack">
                <p>"Copy it now: the secret is shown this once. Paste it on the device; it makes its key there and appears in the list by itself."</p>
                {code}
                {qr_code(c.qr.as_ref(), &c.code, "Scan it with the device, or with a phone that hands it on: address, root and secret in one, for agent run --code.")}
                <dl class="kv">
                    <dt>"Secret"</dt><dd>{copyable(c.secret.clone(), "Copy secret")}</dd>
                    <dt>"Valid until"</dt><dd>{time::at(c.token.expires_at)}</dd>
                    {groups}
                </dl>
            </div>
        </section>
    }
    .into_any()
}

/// That the host's name, which the lines take, has to fit the token's pattern; nothing where any name does, or where the lines name the device.
fn name_words(pattern: &str) -> Option<AnyView> {
    let pattern = names_to_fit(pattern)?.to_owned();
    let one = if pattern.contains(' ') { "one of " } else { "" };
    let words = view! {
        <p class="small text-2">
            {format!("The name of the device has to fit {one}")}<code>{pattern}</code>". Where the host's does not, write one that does in the place of "
            <code>"$(hostname)"</code>"."
        </p>
    };
    Some(words.into_any())
}

/// The rows; for whom a token is stands under its label, so that what can be done with it stays within the card.
fn rows(p: &Page, revoke: FormCall<RevokeEnrolmentToken>) -> AnyView {
    let columns = vec![
        Column::text("Token"),
        Column::text("State"),
        Column::number("Uses left"),
        Column::number("Connected"),
        Column::text("Ends"),
        Column::actions("Revoke"),
    ];
    let rows = p
        .tokens
        .iter()
        .map(|t| {
            let standing = words::token_standing(t.revoked_at.is_some(), t.uses >= t.max_uses, t.expires_at, p.at);
            let (tone, word) = words::credential_standing(standing, t.frozen_by.as_ref());
            let left = (t.max_uses - t.uses).max(0);
            let used = match t.last_used_at {
                Some(at) => view! { "used "{time::ago(at)} }.into_any(),
                None => "never used".into_any(),
            };
            let button = (p.may_edit && standing.0 == Tone::Ok).then(|| {
                let id = dialog_of(t);
                view! {
                    {dialog_link(id.clone(), asked::asking("revoke", &t.id), "ghost", "Revoke…".into_any())}
                    {dialog(id, format!("Revoke {}", t.label), ask(t, revoke))}
                }
            });
            let named = [t.device_type.as_str(), t.pattern.as_str()].into_iter().filter(|s| !s.is_empty()).map(str::to_owned);
            let gives =
                named.chain(t.tags.iter().cloned()).chain(t.groups.iter().map(GivenGroup::words)).chain(bounds(t)).collect::<Vec<_>>();
            view! {
                <tr>
                    <th scope="row">{t.label.clone()}<div class="small dim">{t.created_by.clone()}</div>{crate::ui::status::tags_below(&gives)}</th>
                    <td>{badge(tone, word)}{reused(t)}{frozen_since(t.frozen_by.as_ref().filter(|_| standing.0 == Tone::Ok))}</td>
                    <td class="num">{format!("{} of {}", grouped(left), grouped(t.max_uses))}</td>
                    <td class="num">{grouped(t.connected)}<div class="small dim">{used}</div></td>
                    <td>{time::ago(t.expires_at)}</td>
                    <td class="act">{button}</td>
                </tr>
            }
        })
        .collect_view();
    table("Enrolment tokens", columns, rows.into_any())
}

/// That it was tried again from elsewhere; nothing for others.
fn reused(t: &EnrolmentToken) -> AnyView {
    let from = t.reused_from.clone();
    t.reused_at.map(|at| view! { <div class="small dim">"tried again from "{from}", "{time::ago(at)}</div> }).into_any()
}

/// Since when a token or claim is frozen; nothing for others.
pub(super) fn frozen_since(by: Option<&String>) -> AnyView {
    by.map(|authority| view! { <div class="small dim">{format!("since {authority} was given up")}</div> }).into_any()
}

/// What a token is bound to beside names, in words.
fn bounds(t: &EnrolmentToken) -> Vec<String> {
    let approval = (t.mode == EnrolmentMode::Approval).then(|| "with approval".to_owned());
    let source = (!t.source.is_empty()).then(|| format!("from {}", t.source));
    let key = (!t.spki_sha256.is_empty() || !t.csr_sha256.is_empty()).then(|| "one key".to_owned());
    [approval, super::profile_words(&t.profile), source, key].into_iter().flatten().collect()
}

fn dialog_of(t: &EnrolmentToken) -> String {
    format!("revoke-{}", t.id)
}

/// The question before a token is revoked.
pub(super) fn ask(t: &EnrolmentToken, call: FormCall<RevokeEnrolmentToken>) -> AnyView {
    let text = format!(
        "No further device can enrol with it ({} left). Devices that have used it stay.",
        counted((t.max_uses - t.uses).max(0), "use", "uses")
    );
    let back = asked::way_out(&dialog_of(t));
    let confirm = Confirm { text, verb: "Revoke token".to_owned(), cancel: "Keep it", back, danger: true, type_name: None, reason: None };
    let inside = confirm_dialog(confirm, call);
    let id = t.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}
