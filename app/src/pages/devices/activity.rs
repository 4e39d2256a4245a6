//! What happened to a device: what people did to it, when it came and went, and how its updates went, newest first.

use crate::{
    api::decode::parse,
    pages::words,
    plan::query::{address, push},
    ui::{Tone, banner, card, dot, empty, icon, page::skeleton, time, unread::Known},
};
use leptos::prelude::*;
use serde_json::Value;
use wire::{
    access::AuditEntry,
    activity::{ActivityKind, ActivityPage, ActivityQuery, Happening},
    ids::{DeviceId, RolloutId},
};

/// What of it, and what that is called.
const KINDS: [(ActivityKind, &str); 4] = [
    (ActivityKind::All, "All"),
    (ActivityKind::Deeds, "What was done to it"),
    (ActivityKind::Connections, "Connections"),
    (ActivityKind::Updates, "Updates"),
];

/// What entries of the audit log have for inquiries: ids and digests. The log shows them, and the certificate's own page.
const FOR_INQUIRIES: [&str; 15] = [
    "authority",
    "certificate",
    "csr_sha256",
    "fingerprint",
    "id",
    "issuer",
    "profile_version",
    "replaces",
    "request",
    "rollout",
    "serial",
    "sign",
    "spki_sha256",
    "subject",
    "taken_back",
];

/// What the tab's address may say.
pub const KNOWN: Known = (&[("show", "part of what happens", |word| word.parse::<ActivityKind>().is_ok())], &["before"]);

/// Reads the address: `show` and `before`; what is not understood is as if it was not there.
pub fn asked(get: impl Fn(&str) -> Option<String>) -> ActivityQuery {
    ActivityQuery {
        show: get("show").and_then(|word| word.parse().ok()).unwrap_or_default(),
        before: get("before").and_then(|instant| instant.parse().ok()),
    }
}

/// The address of a page of it; what is default is left out.
fn href(id: &DeviceId, show: ActivityKind, before: Option<i64>) -> String {
    let mut query = String::new();
    if show != ActivityKind::All {
        push(&mut query, "show", show.as_str());
    }
    if let Some(before) = before {
        push(&mut query, "before", &before.to_string());
    }
    address(&format!("/devices/{id}/activity"), &query)
}

/// The tab; rows of grey until it was read.
pub fn tab(id: &DeviceId, page: Option<&ActivityPage>, asked: ActivityQuery) -> AnyView {
    let Some(page) = page else { return skeleton() };
    let kinds = KINDS
        .into_iter()
        .filter(|(kind, _)| page.may_audit || *kind != ActivityKind::Deeds)
        .map(|(kind, label)| {
            view! { <a href=href(id, kind, None) aria-current=(kind == asked.show).then_some("true")>{label}</a> }
        })
        .collect_view();
    // What may not be read is said, not left out in silence.
    let hidden = (!page.may_audit && matches!(asked.show, ActivityKind::All | ActivityKind::Deeds)).then(|| {
        let text = "What was done to it is in the audit log, which your role may not read. Ask an admin for the role operator.";
        banner(Tone::Info, text.into_any())
    });
    let log = page.may_audit.then(|| {
        let mut query = String::new();
        push(&mut query, "q", id.as_str());
        view! { <a href=format!("/audit?{query}")>"In the audit log"</a> }.into_any()
    });
    let rows = if page.items.is_empty() { nothing(id, asked) } else { timeline(&page.items) };
    view! {
        <div class="stack">
            <nav class="seg activity-kinds" aria-label="What to show">{kinds}</nav>
            {card("Activity", log, view! { <div class="stack">{hidden}{rows}</div> }.into_any())}
            {pages(id, page, asked)}
        </div>
    }
    .into_any()
}

fn nothing(id: &DeviceId, asked: ActivityQuery) -> AnyView {
    if asked.before.is_some() {
        let back = view! { <a class="btn" href=href(id, asked.show, None)>"Go to the newest"</a> }.into_any();
        return empty("history", "Nothing before that", "What is older is not kept, or there was nothing.", Some(back));
    }
    let (title, text) = match asked.show {
        ActivityKind::All => ("Nothing yet", "What is done to the device, when it comes and goes, and its updates appear here."),
        ActivityKind::Deeds => ("Nothing was done to it", "Whoever changes it, or a certificate of it, appears here."),
        ActivityKind::Connections => ("It was not connected lately", "When it comes and goes appears here, and is kept for 31 days."),
        ActivityKind::Updates => ("Not updated yet", "Rollouts that reach this device appear here."),
    };
    empty("history", title, text, None)
}

/// The way to older pages, and back to the newest; nothing where all is shown.
fn pages(id: &DeviceId, page: &ActivityPage, asked: ActivityQuery) -> AnyView {
    let newest =
        asked.before.map(|_| view! { <a class="btn" data-s="sm" href=href(id, asked.show, None)>{icon("chevron-left")}"Newest"</a> });
    let older = page
        .next
        .map(|edge| view! { <a class="btn" data-s="sm" href=href(id, asked.show, Some(edge.millis()))>"Older"{icon("chevron-right")}</a> });
    if newest.is_none() && older.is_none() {
        return ().into_any();
    }
    view! { <nav class="pager" aria-label="Pages"><div class="btn-group push">{newest}{older}</div></nav> }.into_any()
}

fn timeline(items: &[Happening]) -> AnyView {
    let lines = items.iter().map(line).collect_view();
    view! { <ol class="timeline">{lines}</ol> }.into_any()
}

fn line(happening: &Happening) -> AnyView {
    let (tone, title, sub) = match happening {
        Happening::Deed(entry) => deed(entry),
        Happening::Connected { address, .. } => (Tone::Ok, "Connected".into_any(), from(address).into_any()),
        Happening::Disconnected { at, since, address, reason } => {
            let title = if reason.is_empty() { "Disconnected".to_owned() } else { format!("Disconnected: {reason}") };
            (Tone::Off, title.into_any(), format!("{} · after {}", from(address), wire::time::duration(at.since(*since))).into_any())
        }
        Happening::Offered { rollout, name, version, .. } => {
            (Tone::Info, format!("Update to {version} offered").into_any(), rollout_link(rollout, name, ""))
        }
        Happening::Ended { rollout, name, version, state, detail, .. } => {
            let (tone, word) = words::update(*state);
            (tone, format!("Update to {version}: {word}").into_any(), rollout_link(rollout, name, detail))
        }
    };
    view! { <li>{dot(tone)}<div>{title}<div class="sub">{sub}</div></div>{time::at(happening.at())}</li> }.into_any()
}

fn from(address: &str) -> String {
    if address.is_empty() { "from an address nobody knows".to_owned() } else { format!("from {address}") }
}

fn rollout_link(rollout: &RolloutId, name: &str, detail: &str) -> AnyView {
    let detail = (!detail.is_empty()).then(|| format!(" · {detail}"));
    view! { <a href=format!("/rollouts/{rollout}")>{name.to_owned()}</a>{detail} }.into_any()
}

/// An entry of the audit log: what was done in words where there are some, by whom, from where, and what it says beside.
fn deed(entry: &AuditEntry) -> (Tone, AnyView, AnyView) {
    let (tone, words) = said(&entry.action);
    let title = match words {
        Some(words) => view! { <span title=entry.action.clone()>{words}</span> }.into_any(),
        None => view! { <span class="mono">{entry.action.clone()}</span> }.into_any(),
    };
    let certificate = entry.object.starts_with("crt_").then(|| {
        let href = format!("/certificates/{}", entry.object);
        view! { <a href=href>"The certificate"</a>" · " }
    });
    let who = if entry.address.is_empty() { entry.actor.clone() } else { format!("{} from {}", entry.actor, entry.address) };
    let more = facts(&entry.detail);
    let more = (!more.is_empty()).then(|| format!(" · {more}"));
    (tone, title, view! { {certificate}{who}{more} }.into_any())
}

/// Pure: an action of the audit log as it is said about a device; no words for one that is not listed here.
fn said(action: &str) -> (Tone, Option<&'static str>) {
    let (tone, words) = match action {
        "device.preregister" => (Tone::Off, "Made known before its first contact"),
        "device.announce" => (Tone::Info, "Announced with a shared secret"),
        "device.admit" => (Tone::Ok, "Let in"),
        "device.readmit" => (Tone::Hold, "Let back in after its certificate was revoked"),
        "device.enrol" => (Tone::Ok, "Enrolled"),
        "device.recover" => (Tone::Ok, "Recovered"),
        "device.exchange" => (Tone::Info, "Certificate exchanged"),
        "device.tags" => (Tone::Info, "Tags changed"),
        "device.import" => (Tone::Info, "Changed by an import"),
        "device.confirm_update" => (Tone::Info, "Update confirmed"),
        "device.cancel_update" => (Tone::Hold, "Update cancelled"),
        "device.auto_confirm" => (Tone::Info, "Confirming updates by itself changed"),
        "device.pin" => (Tone::Hold, "Pinned to what it runs"),
        "device.unpin" => (Tone::Ok, "Unpinned"),
        "device.suspend" => (Tone::Hold, "Suspended"),
        "device.resume" => (Tone::Ok, "Resumed"),
        "device.decommission" => (Tone::Bad, "Decommissioned"),
        "device.recommission" => (Tone::Ok, "Recommissioned"),
        "device.delete" => (Tone::Bad, "Deleted"),
        "device.possible_clone" => (Tone::Bad, "Somebody else may hold its key"),
        "device.renew" => (Tone::Info, "Renewal ordered"),
        "device.cleared" => (Tone::Info, "The sign of a clone was looked at"),
        "target_token.create" => (Tone::Info, "Target token made"),
        "target_token.revoke" => (Tone::Hold, "Target token revoked"),
        "certificate.issue" => (Tone::Info, "Certificate issued"),
        "certificate.register" => (Tone::Info, "Certificate of its own authority registered"),
        "certificate.revoke" => (Tone::Bad, "Certificate revoked"),
        "certificate.refuse" => (Tone::Bad, "Certificate refused"),
        "handshake.refuse" => (Tone::Bad, "Connection refused"),
        _ => return (Tone::Off, None),
    };
    (tone, Some(words))
}

/// Pure: what an entry says beside, for people: `{"serial":"0a","tags":["eu","lab"],"was":"active"}` is `tags: eu, lab; was: active`.
fn facts(detail: &str) -> String {
    let Some(Value::Object(all)) = parse(detail) else { return detail.to_owned() };
    let said = all.iter().filter(|(key, _)| !FOR_INQUIRIES.contains(&key.as_str()));
    said.filter_map(|(key, value)| Some(format!("{}: {}", key.replace('_', " "), fact(value)?))).collect::<Vec<_>>().join("; ")
}

/// Nothing where it says nothing.
fn fact(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().filter_map(fact).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_says_what_is_shown_and_nothing_that_is_default() {
        let id = "gw-1".parse().unwrap();
        let asked_of = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            asked(move |key| pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()))
        };
        assert_eq!(href(&id, ActivityKind::All, None), "/devices/gw-1/activity");
        assert_eq!(href(&id, ActivityKind::Deeds, Some(7)), "/devices/gw-1/activity?show=deeds&before=7");
        assert_eq!(asked_of(&[("show", "deeds"), ("before", "7")]), ActivityQuery { show: ActivityKind::Deeds, before: Some(7) });
        assert_eq!(asked_of(&[("show", "bogus"), ("before", "x")]), ActivityQuery::default());
    }

    #[test]
    fn what_an_entry_says_beside_is_read_like_a_sentence() {
        let detail = r#"{"by":null,"note":"","tags":["eu","lab"],"tokens_voided":2,"was":"active"}"#;
        assert_eq!(facts(detail), "tags: eu, lab; tokens voided: 2; was: active");
        assert_eq!(facts(r#"{"tags":[]}"#), "");
        let issued = r#"{"by":"token hall 3","fingerprint":"0a","issuer":"ca_1","profile_version":1,"serial":"0b","spki_sha256":"0c"}"#;
        assert_eq!(facts(issued), "by: token hall 3", "what only an inquiry needs is left to the log");
        assert_eq!(facts("plain"), "plain");
        assert_eq!(facts(""), "");
    }

    #[test]
    fn an_action_without_words_is_shown_as_it_is() {
        assert_eq!(said("device.tags").1, Some("Tags changed"));
        assert_eq!(said("device.something_new"), (Tone::Off, None));
    }
}
