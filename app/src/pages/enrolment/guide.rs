//! How to add a device: our agent, any EST client, many at once in a factory, a shared certificate, an authority of one's own, a
//! shared secret, or a file of devices that are known elsewhere.

use crate::ui::{Tab, code_sample, copyable, page::card, tabs};
use leptos::prelude::*;
use wire::{
    enrolment::{AgentKey, EnrolmentPage as Page, agent_line, est_lines, est_renewal_lines},
    pki::KeyType,
};

/// The ways in, by the address's `tab`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The agent and the native protocol.
    Agent,
    /// EST (RFC 7030).
    Est,
    /// A file of CSRs.
    Factory,
    /// A shared certificate.
    Claim,
    /// An authority of the owner's.
    Own,
    /// A shared secret, for clients of hawkBit.
    HawkBit,
    /// A file of devices that are known elsewhere.
    Import,
}

impl Way {
    pub(super) fn of(tab: &str) -> Self {
        match tab {
            "est" => Self::Est,
            "factory" => Self::Factory,
            "claim" => Self::Claim,
            "own" => Self::Own,
            "hawkbit" => Self::HawkBit,
            "import" => Self::Import,
            _ => Self::Agent,
        }
    }

    /// What it comes to, in a sentence.
    pub(super) const fn sub(self) -> &'static str {
        match self {
            Self::Agent | Self::Est | Self::Factory | Self::Claim | Self::Own => {
                "A device makes its own key and has a certificate for it; where you want it, a person has the last word."
            }
            Self::HawkBit => "A device that can hold no certificate shows a secret that it shares with us.",
            Self::Import => "Devices that another system knows come into the books by a file, before they are seen here.",
        }
    }

    /// Whether this word of an address is one.
    pub(super) fn is_one(tab: &str) -> bool {
        tab == "agent" || Self::of(tab) != Self::Agent
    }
}

/// The guide with its tabs.
pub(super) fn card_of(p: &Page, way: Way) -> AnyView {
    let tab = |href, label, of| Tab::new(href, label, way == of);
    let nav = tabs(
        "Ways to add a device",
        vec![
            tab("/enrolment", "Agent", Way::Agent),
            tab("/enrolment?tab=est", "EST", Way::Est),
            tab("/enrolment?tab=factory", "Factory", Way::Factory),
            tab("/enrolment?tab=claim", "Claim", Way::Claim),
            tab("/enrolment?tab=own", "Own CA", Way::Own),
            tab("/enrolment?tab=hawkbit", "hawkBit", Way::HawkBit),
            tab("/enrolment?tab=import", "Import", Way::Import),
        ],
    );
    let steps = match way {
        Way::Agent => agent(p),
        Way::Est => est(p),
        Way::Factory => super::factory::steps(p),
        Way::Claim => super::claims::steps(p),
        Way::Own => super::own::steps(p),
        Way::HawkBit => super::shared::steps(p),
        Way::Import => super::import::steps(p),
    };
    let local = ["https://localhost", "https://127.", "https://[::1]"].iter().any(|here| p.enrol_url.starts_with(here)).then(|| {
        let text = "Only this machine reaches that address. For devices elsewhere set enrol_url, device_url and device_names before the first one enrols.";
        view! { <p class="small text-2 mt-4">{text}</p> }
    });
    let how = view! {
        <div class="mt-4">{steps}</div>
        <dl class="kv mt-4">
            <dt>"Enrol address"</dt><dd>{copyable(p.enrol_url.clone(), "Copy enrol address")}</dd>
            <dt>"Root fingerprint"</dt><dd>{copyable(p.root_fingerprint.clone(), "Copy root fingerprint")}</dd>
        </dl>
        {local}
    };
    // What a file comes to stands below the tabs, not below all of this.
    let how = if way == Way::Import && p.import.is_some() {
        view! { <details class="mt-4"><summary>"How it goes"</summary>{how}</details> }.into_any()
    } else {
        how.into_any()
    };
    let body = view! { {nav}{how} };
    card("Add a device", None, body.into_any())
}

/// Who makes tokens and sends files, for those who don't.
pub(super) const fn done_by(p: &Page) -> &'static str {
    if p.may_edit { "" } else { "An operator does this. " }
}

fn agent(p: &Page) -> AnyView {
    let who = done_by(p);
    let line = agent_line(&p.enrol_url, &p.root_fingerprint, "fet_…", None, "", AgentKey::USUAL);
    view! {
        <ol class="numbered">
            <li>{who}"Make a token for it. It is shown once, with the line to paste."</li>
            <li>"Run the line on the device. The agent checks our certificate against the fingerprint, makes a key that never leaves the device, and gets its certificate. The device appears under "<a href="/devices">"Devices"</a>" at once."</li>
            <li>"To let it install updates, add "<code>"--trusted-key FILE"</code>" with the public half of the key that releases are signed with, now or at a later start: it is kept. The device trusts that key, not us."</li>
        </ol>
        {code_sample(line, "What the line looks like")}
    }
    .into_any()
}

fn est(p: &Page) -> AnyView {
    let who = done_by(p);
    let lines = est_lines(&p.enrol_url, &p.root_fingerprint, "fet_…", "$(hostname)", KeyType::P256).join("\n");
    let [new_key, renewal] = est_renewal_lines(&p.enrol_url, KeyType::P256);
    view! {
        <ol class="numbered">
            <li>{who}"Make a token for it. It is shown once, with these lines filled in."</li>
            <li>"Any client of RFC 7030 works, such as the one in a device's own stack. With curl and openssl: fetch the authorities and compare the root's fingerprint, make a key and a request, trade the token for the certificate."</li>
            <li>"Pasted again they ask with the key that is there: to fetch what a person has approved, or an answer that was lost."</li>
            <li>"To renew, ask at "<code>"simplereenroll"</code>" over the certificate there is. With the key that it has, a renewal is due from two thirds of the certificate's life on, and refused before. With a new key it is taken at any time. Of the last two boxes the first makes that key, before the other, and is left out where the key stays; the second renews."</li>
        </ol>
        {code_sample(lines, "What the lines look like")}
        {code_sample(new_key, "First, where it is to have a new key")}
        {code_sample(renewal, "Then the line that renews; alone from two thirds of the life on")}
    }
    .into_any()
}
