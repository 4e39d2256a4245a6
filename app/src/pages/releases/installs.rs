//! Where a release is: the devices that run it and those that are to get it, as a bar and by versions, and the rollouts that use it. Refuses to know how
//! that is counted.

use crate::{
    pages::{devices::filters, rollouts::phrases, words},
    ui::{
        Column, Tone, badge, card,
        number::{counted, grouped, percent},
        page::card_flush,
        progress::meter,
        table,
    },
};
use leptos::prelude::*;
use wire::{
    releases::{ReleaseDetail, ReleaseInstalls, ReleaseRow, VersionInstalls},
    selector::Field,
};

/// The devices of its type; nothing of a draft, which nobody was ever given.
pub fn devices(row: &ReleaseRow, installs: Option<&ReleaseInstalls>) -> AnyView {
    let Some(i) = installs else { return ().into_any() };
    if i.devices == 0 {
        let none = format!("No device of the type {} is in the fleet yet.", row.device_type);
        return card("Where it is", None, view! { <p class="text-2">{none}</p> }.into_any());
    }
    let said = said(i);
    let coming = i.assigned.min(i.devices - i.running);
    let parts = [(Tone::Ok, i.running), (Tone::Info, coming), (Tone::Off, i.devices - i.running - coming)];
    let versions = i.versions.iter().map(|v| line(row, v, i.devices)).collect_view();
    let others = (i.others > 0).then(|| {
        let label = view! { <span class="text-2">"other versions"</span> }.into_any();
        share(label, i.others, i.devices)
    });
    let body = view! {
        <div class="stack">
            {meter(said.clone(), &parts)}
            <p class="small text-2">{said}</p>
            <ul class="shares">{versions}{others}</ul>
        </div>
    };
    card("Where it is", None, body.into_any())
}

/// The bar in words.
fn said(i: &ReleaseInstalls) -> String {
    let running = if i.running == 1 { "runs it" } else { "run it" };
    let coming = match i.assigned {
        0 => String::new(),
        1 => ", 1 is to get it".to_owned(),
        n => format!(", {} are to get it", grouped(n)),
    };
    format!("{} of {} {running}{coming}", grouped(i.running), counted(i.devices, "device", "devices"))
}

/// A version: its devices, and the release that it is.
fn line(row: &ReleaseRow, v: &VersionInstalls, devices: i64) -> AnyView {
    let q = [(Field::Type, row.device_type.as_str()), (Field::Version, v.version.as_str())]
        .into_iter()
        .fold(String::new(), |q, (field, value)| filters::with(&q, &field, value));
    let version = if v.version.is_empty() { "not said".to_owned() } else { v.version.clone() };
    let release = v.release.as_ref().map(|id| {
        let own = *id == row.id;
        if own {
            view! { <span class="text-2">"this one"</span> }.into_any()
        } else {
            view! { <a class="small" href=format!("/firmware/{id}") aria-label=format!("Release {version}")>"release"</a> }.into_any()
        }
    });
    let label = view! { <span class="row"><a class="mono" href=filters::href(q)>{version}</a>{release}</span> };
    share(label.into_any(), v.devices, devices)
}

fn share(label: AnyView, some: i64, all: i64) -> AnyView {
    view! {
        <li>
            {label}
            <span class="share" style=format!("--n:{}", some.saturating_mul(1000) / all.max(1))></span>
            <span class="num">{grouped(some)}</span>
            <span class="num text-2">{percent(some, all)}</span>
        </li>
    }
    .into_any()
}

/// The rollouts that use it, with how far they are.
pub fn rollouts(m: &ReleaseDetail) -> AnyView {
    if m.rollouts.is_empty() {
        return card("Rollouts", None, view! { <p class="text-2">"No rollout uses it yet."</p> }.into_any());
    }
    let rows = m
        .rollouts
        .iter()
        .map(|u| {
            let (tone, word) = words::rollout(u.state);
            let stage = if u.stage == 0 { "not begun".to_owned() } else { format!("{} of {}", u.stage, u.stages) };
            let course = if u.stage == 0 && u.counts.total == 0 {
                view! { <span class="dim">"settled when it begins"</span> }.into_any()
            } else {
                let done = format!("{} of {}", grouped(u.counts.succeeded), grouped(u.counts.total));
                view! { <div class="bar-cell">{meter(phrases::numbers(&u.counts), &phrases::parts(&u.counts))}<span class="small text-2">{done}</span></div> }
                    .into_any()
            };
            view! {
                <tr>
                    <th scope="row"><a class="main" href=format!("/rollouts/{}", u.id)>{u.name.clone()}</a></th>
                    <td>{badge(tone, word)}</td>
                    <td class="nowrap">{stage}</td>
                    <td>{course}</td>
                    <td class="num">{grouped(u.counts.errors())}</td>
                </tr>
            }
        })
        .collect_view();
    let more = m.row.rollouts - i64::try_from(m.rollouts.len()).unwrap_or(0);
    let older =
        (more > 0).then(|| view! { <span class="text-2">{format!("and {}", counted(more, "older one", "older ones"))}</span> }.into_any());
    let columns =
        vec![Column::text("Rollout"), Column::text("State"), Column::text("Stage"), Column::text("Devices"), Column::number("Errors")];
    card_flush("Rollouts", older, table("Rollouts with this release", columns, rows.into_any()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_said_in_words() {
        let of = |devices, running, assigned| said(&ReleaseInstalls { devices, running, assigned, ..ReleaseInstalls::default() });
        assert_eq!(of(1, 1, 0), "1 of 1 device runs it");
        assert_eq!(of(12_000, 0, 1), "0 of 12,000 devices run it, 1 is to get it");
        assert_eq!(of(5, 2, 3), "2 of 5 devices run it, 3 are to get it");
    }
}
