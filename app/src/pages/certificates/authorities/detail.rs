//! One authority: where it is in its life, what comes next, what is written in it, its chain.

use super::{
    aftermath, alarm, authorities, course, download, duties, key, purpose, renewing, shown_state,
    steps::{self, Asks},
};
use crate::{
    api::{
        certificates::{ClearAlarm, MakeClaimAuthority, ReadAuthority},
        packed::reading,
    },
    live,
    ui::{
        PageHead, Tone, badge, banner, code_block, copyable,
        form::{self, FormCall},
        number::counted,
        page::{card, card_flush, page},
        time,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use wire::{
    live::Topic,
    pki::{AuthorityDetail as Model, AuthorityStanding},
    roots::RootTask,
};

/// `/certificates/authorities/{id}`
#[component]
pub fn AuthorityPage() -> AnyView {
    let params = use_params_map();
    let model = reading(move || ReadAuthority { id: params.with(|p| p.get("id").unwrap_or_default()) });
    live::refetch_on(|| Some(Topic::Devices), 2000, model);
    let asks = Asks::new(move || model.refetch());
    let clear = form::action();
    form::on_success(clear, move |()| model.refetch());
    let after = aftermath::Calls::new(model);
    let claims = form::said::<MakeClaimAuthority>("Claims have their authority", model);
    let content = page(model, move |model: Model| content(&model, asks, (clear, claims), after));
    view! { {content}{steps::step_dialog(asks)} }.into_any()
}

fn content(
    m: &Model,
    asks: Asks,
    (clear, claims): (FormCall<ClearAlarm>, FormCall<MakeClaimAuthority>),
    after: aftermath::Calls,
) -> AnyView {
    let a = &m.standing.row;
    // What is owed a root's key is no matter of those below it; that its list has to be signed may be, when one of them has ended.
    let root = a.kind == "root";
    let lists: Vec<_> = m.duties.iter().filter(|d| d.task == RootTask::SignList).cloned().collect();
    let (tone, word) = shown_state(&m.standing, m.at);
    let sub = view! { <a href="/certificates/authorities">"Authorities"</a>" · "{purpose(&a.kind).to_owned()} };
    let chain = (!m.chain.is_empty()).then(
        || view! { <div class="mt-4">{card_flush("Chain, from its issuer to the root", None, authorities(&m.chain, &m.alarmed, m.at))}</div> },
    );
    view! {
        <PageHead title=a.common_name().to_owned() marks=badge(tone, word) sub=sub.into_any() actions=download(a, "")/>
        {alarm::banner_of(m, clear)}
        {silent(m)}
        {due(m)}
        <div class="split mt-4">
            <div class="stack">
                {root.then(|| duties::card_of(&m.duties, claims))}
                {card("Where it stands", None, course::course(m))}
                {aftermath::card_of(m, after)}
                {renewing::card_of(m)}
                {steps::card_of(m, asks)}
                {(!root).then(|| duties::card_of(&lists, claims))}
                {crossed(m)}
                {card("PEM", None, code_block(a.pem.clone(), "The certificate as PEM"))}
            </div>
            <div class="stack">{written(m)}</div>
        </div>
        {chain}
    }
    .into_any()
}

/// That it signs nothing at the moment, and why.
fn silent(m: &Model) -> Option<AnyView> {
    let why = m.standing.not_signing.clone()?;
    Some(banner(Tone::Bad, view! { <b>"It signs nothing now: "</b>{why} }.into_any()))
}

/// That another one has to take over.
fn due(m: &Model) -> Option<AnyView> {
    super::ends_soon(&m.standing, m.at).then(|| banner(Tone::Warn, due_text(&m.standing).into_any()))
}

fn due_text(s: &AuthorityStanding) -> String {
    let days = counted(s.ahead_days(), "day", "days");
    let (those, next) = if s.row.kind == "root" {
        ("those certificates below it", "The root has to be followed in time: stage the next root, then activate it.")
    } else if s.root_first {
        (
            "those of its certificates",
            "One more under its root would be cut to the root's end and be due at once: the root has to be followed. Stage the next root, then activate it; its own authorities come with it.",
        )
    } else {
        ("those of its certificates", "Let another one take over in time: stage it, then activate it.")
    };
    format!("Less than {days} are left of it, too little for {those} that live longest. {next}")
}

/// What is written in it, and where its key is.
fn written(m: &Model) -> AnyView {
    let (a, d) = (&m.standing.row, &m.decoded);
    let body = view! {
        <dl class="kv">
            <dt>"Subject"</dt><dd>{d.subject.clone()}</dd>
            <dt>"Issuer"</dt><dd>{d.issuer.clone()}</dd>
            <dt>"Generation"</dt><dd>{a.generation}</dd>
            <dt>"Private key"</dt><dd>{key(a.key)}</dd>
            <dt>"Certificate"</dt><dd>{if a.imported { "Signed elsewhere and brought here" } else { "Made here" }}</dd>
            <dt>"Valid from"</dt><dd>{time::at(a.not_before)}</dd>
            <dt>"Valid until"</dt><dd>{time::at(a.not_after)}" ("{time::ago(a.not_after)}")"</dd>
            <dt>"May be used for"</dt><dd>{d.usages.join(", ")}</dd>
            {m.list.as_ref().map(|l| view! { <dt>"List of revoked certificates"</dt><dd>"Number "{l.number}", until "{time::at(l.next_update)}</dd> })}
            <dt>"Signature"</dt><dd>{d.signature.clone()}</dd>
            <dt>"SHA-256"</dt><dd>{copyable(a.fingerprint.clone(), "Copy fingerprint")}</dd>
            <dt>"Public key SHA-256"</dt><dd>{copyable(d.public_key_sha256.clone(), "Copy public key digest")}</dd>
            <dt>"Subject key id"</dt><dd>{copyable(d.subject_key.clone(), "Copy subject key id")}</dd>
        </dl>
    };
    card("What is written in it", None, body.into_any())
}

/// The certificates by which it and another root vouch for each other.
fn crossed(m: &Model) -> AnyView {
    if m.cross.is_empty() {
        return ().into_any();
    }
    let items = m.cross.iter().map(|c| {
        let name = |subject: &str| super::super::common_name(subject).to_owned();
        view! {
            <p>{name(&c.issuer)}" vouches for "{name(&c.subject)}" until "{time::at(c.not_after)}</p>
            {code_block(c.pem.clone(), "The certificate as PEM")}
        }
    });
    let body = view! { <div class="stack">{items.collect_view()}</div> };
    card("Roots that vouch for each other", None, body.into_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{
        Timestamp,
        pki::AuthorityRow,
        states::{AuthorityState, KeyPlace},
    };

    #[test]
    fn what_is_due_says_who_has_to_be_followed() {
        let id: wire::ids::AuthorityId = "ca_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
        let told = |kind: &str, root_first: bool| {
            let row = AuthorityRow {
                id: id.clone(),
                kind: kind.to_owned(),
                generation: 1,
                issuer: id.clone(),
                subject: "CN=one".to_owned(),
                fingerprint: String::new(),
                not_before: Timestamp(0),
                not_after: Timestamp(400 * 86_400_000),
                state: AuthorityState::Active,
                key: KeyPlace::Here,
                imported: false,
                exported_at: None,
                pem: String::new(),
            };
            due_text(&AuthorityStanding {
                row,
                certificates: 0,
                devices: 0,
                follow_from: Some(Timestamp(220 * 86_400_000)),
                root_first,
                not_signing: None,
                alarm: None,
            })
        };
        let (device, limited, root) = (told("device", false), told("device", true), told("root", false));
        assert!(device.starts_with("Less than 180 days are left of it") && !device.contains("root"), "{device}");
        assert!(limited.contains("cut to the root's end") && limited.contains("Stage the next root"), "{limited}");
        assert!(root.contains("certificates below it") && root.contains("The root has to be followed"), "{root}");
    }
}
