//! The wizard's step of the devices: a selector, as it is typed, and the filters of the device list that write it. Refuses to know how a selector is
//! written.

use super::{
    cells::message_of,
    live::{LivePreview, wrong_in},
};
use crate::{
    pages::devices::filters,
    plan::Draft,
    ui::{completion::Completing, facet, form, icon, number::grouped, page::card},
};
use leptos::prelude::*;
use wire::{
    facets::FacetCount,
    rollouts::{Problem, SelectorSuggestion, WizardPage as Model},
    selector::{Field, Selector},
};

/// The step.
pub(super) fn devices(draft: &Draft, model: &Model, problems: &[Problem], (live, ways): (LivePreview, Completing)) -> AnyView {
    let before = model.preview.as_ref().and_then(|p| wrong_in(p, "selector")).or_else(|| message_of(problems, "selector"));
    let device_type = model.releases.iter().find(|r| r.id.as_str() == draft.release).map(|r| r.device_type.clone());
    let input = form::selector("selector", "Which devices", ways)
        .value(draft.selector.clone())
        .placeholder("tag:eu online:yes")
        .hint("Words that all have to match, for example tag:eu -tag:lab version<2.1.0 metric.battery>20. Empty means every device of the release's type.")
        .wrong(live.wrong("selector", before));
    let fits = device_type.map(
        |t| view! { <p class="text-2 mt-2">"The release fits devices of the type "<b>{t}</b>"; others are left out by themselves."</p> },
    );
    let body = view! { {input.view()}{filter_bar(&draft.selector, model)}{fits}{super::evidence::known(&model.metrics)} };
    card("Devices", None, body.into_any())
}

/// The filters of the device list as buttons: each sends the form as it is typed, and the selector comes back with its condition, or without it.
fn filter_bar(q: &str, model: &Model) -> AnyView {
    let menus = model.facets.as_ref().map(|f| {
        view! {
            {menu("Online", &Field::Online, &f.online, q)}
            {menu("Firmware", &Field::Version, &f.versions, q)}
            {menu("Tag", &Field::Tag, &f.tags, q)}
            {menu("Group", &Field::Group, &f.groups, q)}
        }
    });
    let sites: Vec<&SelectorSuggestion> = model.suggestions.iter().filter(|suggestion| suggestion.selector.starts_with("attr.")).collect();
    let sites = (!sites.is_empty()).then(|| {
        let buttons =
            sites.into_iter().map(|suggestion| choice(&suggestion.selector, suggestion.selector.clone(), suggestion.devices, false));
        facet("Site", buttons.collect_view().into_any())
    });
    let chips = filters::conditions(q)
        .into_iter()
        .enumerate()
        .map(|(i, condition)| {
            let (term, label) = (condition.to_string(), format!("Remove {condition}"));
            let what = format!("without.{i}");
            view! { <span class="chip"><b>{term}</b><button type="submit" name="do" value=what formnovalidate="" aria-label=label>{icon("x")}</button></span> }
        })
        .collect_view();
    view! { <div class="filters mt-2">{menus}{sites}{chips}</div> }.into_any()
}

/// A menu of one field's values, with how many devices of the whole fleet have each.
fn menu(label: &'static str, field: &Field, counts: &[FacetCount], q: &str) -> AnyView {
    let now = filters::values_of(q, field);
    let one = |count: &FacetCount| {
        let suggestion = SelectorSuggestion::of(field.clone(), &count.value, count.devices)?;
        Some(choice(&suggestion.selector, count.value.clone(), count.devices, now.contains(&count.value)))
    };
    let buttons: Vec<AnyView> = counts.iter().filter_map(one).collect();
    if buttons.is_empty() {
        return ().into_any();
    }
    facet(label, view! { {buttons}<p class="note">"Numbers are of the whole fleet."</p> }.into_any())
}

fn choice(term: &str, label: String, devices: i64, current: bool) -> AnyView {
    let name = format!("with.{term}");
    view! {
        <button type="submit" name="do" value=name formnovalidate="" aria-pressed=current.then_some("true")>
            {current.then(|| icon("check"))}{label}" "<span class="count">{grouped(devices)}</span>
        </button>
    }
    .into_any()
}

/// The condition that a filter's button asks for; none where it is no condition of one value.
fn condition(term: &str) -> Option<(Field, String)> {
    match Selector::parse(term) {
        Ok(Selector::Is(field, mut values)) if values.len() == 1 => Some((field, values.remove(0))),
        _ => None,
    }
}

/// The selector after a filter's button was pressed: `with.tag:eu`, or `without.0`; none for another button.
pub(super) fn filtered(q: &str, what: &str) -> Option<String> {
    match what.split_once('.')? {
        ("with", term) => condition(term).map(|(field, value)| filters::with(q, &field, &value)),
        ("without", n) => n.parse().ok().map(|n| filters::without(q, n)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_writes_its_condition_and_takes_it_back() {
        assert_eq!(filtered("-tag:lab", "with.tag:eu").as_deref(), Some("-tag:lab tag:eu"));
        assert_eq!(filtered("tag:eu online:yes", "with.tag:\"north sea\"").as_deref(), Some("online:yes tag:\"north sea\""));
        assert_eq!(filtered("", "with.attr.site:rotterdam").as_deref(), Some("attr.site:rotterdam"));
        assert_eq!(filtered("tag:eu -tag:lab", "without.0").as_deref(), Some("-tag:lab"));
        assert_eq!(filtered("tag:eu", "without.7").as_deref(), Some("tag:eu"));
        assert_eq!(filtered("tag:(", "with.tag:eu").as_deref(), Some("tag:("), "what can't be read stays as it was typed");
        for other in ["add", "preview", "remove.1", "with.tag:a,b", "with.", "without.x"] {
            assert_eq!(filtered("tag:eu", other), None, "{other}");
        }
    }
}
