//! The wizard's step of the firmware: which release, and beside the list what the chosen one is and how it stands to the devices there are.

use super::{cells::fault_of, phrases::run_newer};
use crate::{
    plan::Draft,
    ui::{
        Column, empty, fault_banner, icon,
        number::{bytes, counted, grouped},
        page::{card, card_flush},
        table, text, time,
    },
};
use leptos::prelude::*;
use wire::{
    releases::{ReleaseDetail, ReleaseRow},
    rollouts::{Preview, Problem, ReleaseFit, WizardPage as Model},
};

/// The list of releases.
pub(super) fn choose_release(draft: &Draft, model: &Model, problems: &[Problem]) -> AnyView {
    if model.releases.is_empty() {
        let action = view! { <a class="btn" data-v="primary" href="/firmware">"Go to firmware"</a> }.into_any();
        return view! {
            <div class="card">{empty("package", "No published release", "A rollout sends a published release. Upload one and publish it first.", Some(action))}</div>
        }
        .into_any();
    }
    let columns = vec![
        Column::text("Version"),
        Column::text("Device type"),
        Column::number("Sequence"),
        Column::number("Size"),
        Column::text("Signed by"),
        Column::number("Installed"),
        Column::text("Uploaded"),
    ];
    let rows = model
        .releases
        .iter()
        .map(|r| {
            let id = r.id.to_string();
            let checked = id == draft.release;
            view! {
                <tr>
                    <th scope="row"><label class="check"><input type="radio" name="release" value=id required=true checked=checked/><span class="mono">{r.version.clone()}</span></label></th>
                    <td>{r.device_type.clone()}</td>
                    <td class="num">{r.sequence}</td>
                    <td class="num">{bytes(r.size)}</td>
                    <td>{r.signed_by.join(", ")}</td>
                    <td class="num">{grouped(r.installed)}</td>
                    <td class="dim">{time::ago(r.created_at)}</td>
                </tr>
            }
        })
        .collect_view();
    // A problem of the very first look is no news.
    let missing = (!draft.name.is_empty()).then(|| fault_of(problems, "release")).flatten();
    let name =
        text("name", "Name of the rollout").value(draft.name.clone()).required().max_length(100).placeholder("Gateway 4.12 for Europe");
    view! {
        {fault_banner(missing.as_ref())}
        {card("Name", None, name.fault(fault_of(problems, "name").filter(|_| !draft.name.is_empty()).as_ref()).view())}
        <div class="mt-4">{card_flush("Published releases", None, table("Published releases", columns, rows.into_any()))}</div>
    }
    .into_any()
}

/// What the chosen release is, and what the fleet is to it. The preview may be of another release still, while one of this is `counting`.
pub(super) fn chosen_card(
    chosen: Option<&ReleaseDetail>,
    (preview, counting): (Option<&Preview>, bool),
    releases: &[ReleaseRow],
) -> AnyView {
    let title = chosen.map_or_else(|| "Chosen release".to_owned(), |d| format!("{} {}", d.row.device_type, d.row.version));
    let body = match chosen {
        Some(d) => told(d, (preview, counting), releases),
        None => view! { <p class="text-2">"Choose a release: what it is, what it runs on and what your devices run stands here then."</p> }
            .into_any(),
    };
    view! {
        <section class="card preview" aria-live="polite">
            <header><h2>{title}</h2></header>
            <div class="body stack">{body}</div>
        </section>
    }
    .into_any()
}

fn told(d: &ReleaseDetail, (preview, counting): (Option<&Preview>, bool), releases: &[ReleaseRow]) -> AnyView {
    let over = installs_over(d, releases);
    let fit = preview.and_then(|p| p.fit.as_ref()).filter(|fit| fit.release == d.row.id);
    let (wrong, said) = fit.map_or_else(Default::default, |fit| standing(fit, &over));
    let warnings: Vec<String> = d.warnings.iter().map(|w| format!("{}.", w.trim_end_matches('.'))).chain(wrong).collect();
    let warnings = (!warnings.is_empty()).then(|| {
        let items = warnings.into_iter().map(|text| view! { <li>{icon("triangle-alert")}<span>{text}</span></li> }).collect_view();
        view! { <ul class="problems" data-s="warn">{items}</ul> }
    });
    let fleet = if fit.is_some() {
        let lines = said.into_iter().map(|line| view! { <div>{line}</div> }).collect_view();
        view! { <dt>"Your devices"</dt><dd>{lines}</dd> }.into_any()
    } else {
        let when = if counting { "being counted …" } else { "counted as soon as the plan can be read" };
        view! { <dt>"Your devices"</dt><dd class="text-2">{when}</dd> }.into_any()
    };
    let notes = if d.notes.is_empty() { "It came without notes.".to_owned() } else { d.notes.clone() };
    view! {
        {warnings}
        <dl class="kv">
            <dt>"Device type"</dt><dd>{d.row.device_type.clone()}</dd>
            <dt>"Hardware"</dt><dd>{if d.hardware.is_empty() { "all revisions".to_owned() } else { d.hardware.join(", ") }}</dd>
            <dt>"Installs over"</dt><dd>{over}</dd>
            <dt>"Signed by"</dt><dd>{signed(d)}</dd>
            {fleet}
        </dl>
        <div><h3>"Notes"</h3><p class="prose small">{notes}</p></div>
        <p class="small"><a href=format!("/firmware/{}", d.row.id)>"All about this release"</a></p>
    }
    .into_any()
}

/// From what on it can be installed: the version of that sequence where there is a release of it on the list.
fn installs_over(d: &ReleaseDetail, releases: &[ReleaseRow]) -> String {
    if d.min_sequence <= 0 {
        return "any version".to_owned();
    }
    let of = |r: &&ReleaseRow| r.device_type == d.row.device_type && r.sequence == d.min_sequence;
    match releases.iter().find(of) {
        Some(r) => format!("{} (sequence {}) or newer", r.version, r.sequence),
        None => format!("sequence {} or higher", d.min_sequence),
    }
}

/// Whose signatures it has, and whether they are enough.
fn signed(d: &ReleaseDetail) -> String {
    let by = if d.row.signed_by.is_empty() { "nobody here".to_owned() } else { d.row.signed_by.join(", ") };
    match &d.signatures {
        Some(s) => format!("{by}; {} of {} needed", s.have, counted(i64::from(s.need), "signature", "signatures")),
        None => by,
    }
}

/// What warns of a release among the devices that the plan means, and what is only said.
fn standing(fit: &ReleaseFit, over: &str) -> (Vec<String>, Vec<String>) {
    if fit.meant == 0 {
        return (vec!["The plan so far means no active device of this type.".to_owned()], vec!["none".to_owned()]);
    }
    let of = |n: i64| format!("{} of {}", grouped(n), counted(fit.meant, "device", "devices"));
    let verb = |n: i64, one: &'static str, many: &'static str| if n == 1 { one } else { many };
    let (mut wrong, mut said) = (Vec::new(), Vec::new());
    let rest = fit.meant - fit.other_hardware - fit.newer - fit.on_it - fit.too_old - fit.unsigned;
    said.push(format!("{} can take it", of(rest)));
    if fit.on_it > 0 {
        said.push(format!("{} {} it already", of(fit.on_it), verb(fit.on_it, "runs", "run")));
    }
    if fit.newer > 0 {
        let runs = run_newer(fit);
        if fit.is_behind() {
            wrong
                .push(format!("It is older than what many of your devices run: {runs}. They are left out, no device goes back by itself."));
        } else {
            said.push(runs);
        }
    }
    if fit.other_hardware > 0 {
        let n = fit.other_hardware;
        wrong.push(format!(
            "{} {} hardware that it does not run on, and {} left out.",
            of(n),
            verb(n, "has", "have"),
            verb(n, "is", "are")
        ));
    }
    if fit.too_old > 0 {
        let n = fit.too_old;
        wrong.push(format!("{} {} something too old for it: it installs over {over}.", of(n), verb(n, "runs", "run")));
    }
    if fit.unsigned > 0 {
        let n = fit.unsigned;
        wrong.push(format!(
            "{} {} too few of the keys that have signed it, and {} left out: add a signature, or give them a key.",
            of(n),
            verb(n, "trusts", "trust"),
            verb(n, "is", "are")
        ));
    }
    (wrong, said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> ReleaseFit {
        let release = "rel_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
        ReleaseFit { release, meant: 1200, other_hardware: 0, newer: 0, newer_version: None, on_it: 0, too_old: 0, unsigned: 0 }
    }

    #[test]
    fn a_release_that_suits_warns_of_nothing() {
        let (wrong, said) = standing(&ReleaseFit { on_it: 1, ..fit() }, "any version");
        assert_eq!(
            (wrong.len(), said),
            (0, vec!["1,199 of 1,200 devices can take it".to_owned(), "1 of 1,200 devices runs it already".into()])
        );
    }

    #[test]
    fn what_many_have_left_behind_and_what_does_not_fit_warns_with_the_count() {
        let behind = ReleaseFit { newer: 300, newer_version: Some("4.13.0".into()), other_hardware: 1, too_old: 20, unsigned: 4, ..fit() };
        let (wrong, said) = standing(&behind, "4.0.0 (sequence 7) or newer");
        assert_eq!(said, ["875 of 1,200 devices can take it"]);
        assert_eq!(
            wrong,
            [
                "It is older than what many of your devices run: 300 of 1,200 devices run something newer, most of them 4.13.0. They are left out, no device goes back by itself.",
                "1 of 1,200 devices has hardware that it does not run on, and is left out.",
                "20 of 1,200 devices run something too old for it: it installs over 4.0.0 (sequence 7) or newer.",
                "4 of 1,200 devices trust too few of the keys that have signed it, and are left out: add a signature, or give them a key.",
            ]
        );
        let (wrong, said) = standing(&ReleaseFit { newer: 2, ..fit() }, "any version");
        assert_eq!((wrong.len(), said[1].as_str()), (0, "2 of 1,200 devices run something newer"), "a few are no warning");
        assert_eq!(standing(&ReleaseFit { meant: 0, ..fit() }, "any version").0.len(), 1);
    }
}
