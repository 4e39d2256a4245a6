//! Shared secrets of hawkBit's clients: what they are, the organization's switch, gateway tokens, and a target token for one device.

use super::guide::{Way, card_of};
use crate::{
    api::shared::{CreateGatewayToken, CreateTargetToken, RevokeGatewayToken, SetSharedSecrets},
    ui::{
        Column, Confirm, Tone, asked, badge, banner, card, code_block, code_sample, confirm_dialog, copyable, dialog, dialog_link, empty,
        form::{self, ActionForm, FormCall, fault_banner, refusal, text},
        page::{card_flush, locked},
        table, time,
    },
};
use leptos::prelude::*;
use wire::enrolment::{CreatedGatewayToken, CreatedTargetToken, EnrolmentPage as Page, GatewayToken, swupdate_lines};

/// The calls of the tab.
#[derive(Clone, Copy)]
pub(super) struct Shares {
    pub set: FormCall<SetSharedSecrets>,
    pub gateway: FormCall<CreateGatewayToken>,
    pub revoke: FormCall<RevokeGatewayToken>,
    pub target: FormCall<CreateTargetToken>,
}

/// What to do with a shared secret.
pub(super) fn steps(p: &Page) -> AnyView {
    let lines = swupdate_lines(&p.enrol_url, &p.shared.tenant, "gw-0412", "targettoken", "ftt_…");
    view! {
        <ol class="numbered">
            <li>"For devices with SWUpdate, rauc-hawkbit-updater or Zephyr that can hold no certificate. Those that can should have one: see the tabs beside this one."</li>
            <li>"A target token speaks for one device; a gateway token for every device of this organization that has no certificate. Whoever has the secret is that device."</li>
            <li>"The client reaches the enrol address. A device that has a certificate is never spoken for by a token."</li>
        </ol>
        {code_sample(lines, "SWUpdate's configuration with a target token")}
    }
    .into_any()
}

/// The two columns of the tab. `device` is the one that a target token is asked for.
pub(super) fn sides(p: &Page, device: Option<String>, calls: Shares) -> AnyView {
    let gateway = p.shared.may_manage.then(|| card("New gateway token", None, new_gateway(calls.gateway)));
    let target = if p.may_edit { new_target(device, calls.target) } else { locked("Making one needs the role operator.") };
    let target = card("Target token for a device", None, target);
    view! {
        <div class="stack">{card_of(p, Way::HawkBit)}{list(p, calls.revoke)}</div>
        <div class="stack">{setting(p, calls.set)}{target}{gateway}</div>
    }
    .into_any()
}

/// The organization's switch, with what it means.
fn setting(p: &Page, call: FormCall<SetSharedSecrets>) -> AnyView {
    let now = p.shared.settings;
    let text = match (now.tokens, now.newcomers) {
        (false, _) => "No token is taken: only certificates say who a device is.",
        (true, false) => "Tokens speak for devices that are named here and have no certificate.",
        (true, true) => {
            "Tokens speak for devices without a certificate. A gateway may also announce devices that nobody knows; each waits until a person lets it in."
        }
    };
    let button = |tokens: bool, newcomers: bool, label: &'static str| {
        view! {
            <ActionForm action=call>
                <input type="hidden" name="tokens" value=tokens.to_string()/>
                <input type="hidden" name="newcomers" value=newcomers.to_string()/>
                {form::submit(label, "", move || call.pending().get())}
            </ActionForm>
        }
        .into_any()
    };
    let buttons = match (now.tokens, now.newcomers) {
        _ if !p.shared.may_manage => locked("This setting and gateways' tokens need the role admin."),
        (false, _) => button(true, false, "Take tokens"),
        (true, false) => view! { {button(true, true, "Let gateways announce devices")}{button(false, false, "Take no tokens")} }.into_any(),
        (true, true) => view! { {button(true, false, "Only devices named here")}{button(false, false, "Take no tokens")} }.into_any(),
    };
    let danger = "A token is a shared secret, not an identity: it lies readable on the device, whoever copies it speaks for the device from anywhere, \
                  and nobody sees that there are two. What it gets is still signed firmware, but what it reports may be anybody's word.";
    let body = view! {
        <div class="stack">
            <p>{text}</p>
            {now.newcomers.then(|| view! { <p><a href="/devices?q=state%3Apending">"Devices that wait"</a></p> })}
            {banner(Tone::Warn, danger.into_any())}
            {move || fault_banner(refusal(call).as_ref())}
            <div class="row">{buttons}</div>
        </div>
    };
    card("Tokens instead of certificates", None, body.into_any())
}

fn new_target(device: Option<String>, call: FormCall<CreateTargetToken>) -> AnyView {
    let device = device.unwrap_or_default();
    view! {
        <ActionForm action=call>
            <div class="stack">
                <p>"A device that has one gets a new one in its place. One that is not there yet is named by it, and active with its first word. One whose certificate was revoked is let back in by it."</p>
                {move || fault_banner(refusal(call).as_ref())}
                {text("device", "Device id").value(device).required().max_length(64).refused(call).view()}
                {text("device_type", "Device type").id("f-target-type").hint("For a new device; rollouts are for types.").refused(call).view()}
                {text("hardware", "Hardware revision").hint("For a new device.").refused(call).view()}
                <div class="row">{form::submit("Make target token", "primary", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn new_gateway(call: FormCall<CreateGatewayToken>) -> AnyView {
    view! {
        <ActionForm action=call>
            <div class="stack">
                {move || fault_banner(refusal(call).as_ref())}
                {text("label", "What it is for").id("f-gateway").required().max_length(100).placeholder("Site gateway, hall 3").refused(call).view()}
                {text("device_type", "Device type").id("f-gateway-type").hint("Given to devices that it announces.").refused(call).view()}
                <div class="row">{form::submit("Make gateway token", "", move || call.pending().get())}</div>
            </div>
        </ActionForm>
    }
    .into_any()
}

fn list(p: &Page, revoke: FormCall<RevokeGatewayToken>) -> AnyView {
    if p.shared.gateways.is_empty() {
        let none = "A gateway token speaks for devices that have no certificate.";
        return card_flush("Gateway tokens", None, empty("key-round", "No gateway token", none, None));
    }
    let columns = vec![
        Column::text("Gateway"),
        Column::text("State"),
        Column::text("Announces"),
        Column::text("Made"),
        Column::text("Last used"),
        Column::text("Made by"),
        Column::actions("Revoke"),
    ];
    let rows = p.shared.gateways.iter().map(|t| row(t, p.shared.may_manage, revoke)).collect_view();
    card_flush("Gateway tokens", None, table("Gateway tokens", columns, rows.into_any()))
}

fn row(t: &GatewayToken, may_manage: bool, revoke: FormCall<RevokeGatewayToken>) -> AnyView {
    let usable = t.revoked_at.is_none();
    let (tone, word) = if usable { (Tone::Ok, "Usable") } else { (Tone::Off, "Revoked") };
    let button = (may_manage && usable).then(|| {
        let id = dialog_of(t);
        view! {
            {dialog_link(id.clone(), asked::asking("revoke", &t.id), "ghost", "Revoke…".into_any())}
            {dialog(id, format!("Revoke {}", t.label), ask(t, revoke))}
        }
    });
    view! {
        <tr>
            <th scope="row">{t.label.clone()}</th>
            <td>{badge(tone, word)}</td>
            <td>{t.device_type.clone()}</td>
            <td class="dim">{time::ago(t.created_at)}</td>
            <td class="dim">{time::ago_or(t.last_used_at, "never")}</td>
            <td>{t.created_by.clone()}</td>
            <td class="act">{button}</td>
        </tr>
    }
    .into_any()
}

fn dialog_of(t: &GatewayToken) -> String {
    format!("revoke-{}", t.id)
}

/// The question before a gateway token is revoked.
pub(super) fn ask(t: &GatewayToken, call: FormCall<RevokeGatewayToken>) -> AnyView {
    let text = "Every device that speaks by it is refused from now on, until its gateway has another token. The devices stay in the fleet.";
    let back = asked::way_out(&dialog_of(t));
    let confirm = Confirm {
        text: text.to_owned(),
        verb: "Revoke token".to_owned(),
        cancel: "Keep it",
        back,
        danger: true,
        type_name: None,
        reason: None,
    };
    let inside = confirm_dialog(confirm, call);
    let id = t.id.to_string();
    view! { <ActionForm action=call><input type="hidden" name="id" value=id/>{inside}</ActionForm> }.into_any()
}

/// A new gateway token's secret.
pub(super) fn gateway_card(c: &CreatedGatewayToken, p: &Page) -> AnyView {
    let lines = swupdate_lines(&p.enrol_url, &p.shared.tenant, "DEVICE-ID", "gatewaytoken", &c.secret);
    created(format!("Gateway token {}", c.token.label), c.secret.clone(), lines)
}

/// A new target token's secret.
pub(super) fn target_card(c: &CreatedTargetToken, p: &Page) -> AnyView {
    let lines = swupdate_lines(&p.enrol_url, &p.shared.tenant, c.device_id.as_str(), "targettoken", &c.secret);
    created(format!("Target token of {}", c.device_id), c.secret.clone(), lines)
}

fn created(title: String, secret: String, lines: String) -> AnyView {
    view! {
        <section class="card created" aria-live="polite">
            <header><h2 id=super::CREATED tabindex="-1">{title}</h2></header>
            <div class="body stack">
                <p>"Copy it now: the secret is shown this once."</p>
                {code_block(lines, "SWUpdate's configuration")}
                <dl class="kv"><dt>"Secret"</dt><dd>{copyable(secret, "Copy secret")}</dd></dl>
            </div>
        </section>
    }
    .into_any()
}
