//! The wizard that plans a rollout, or changes the plan of one. Every step is a form that works without JavaScript; the plan lives in the address.

use super::{
    choosing::filtered,
    firmware::chosen_card,
    live::LivePreview,
    misread::misread,
    preview::pane,
    stages::wanted,
    steps::{Step, review, step_form},
};
use crate::api::packed::reading;
use crate::ui::form::FormCall;
use crate::{
    api::rollouts::{ReadWizard, SaveRollout},
    plan::{Draft, query},
    session,
    ui::{
        PageHead,
        completion::Completing,
        fold::FOLD,
        form::{action, refusal},
        page::page,
        stepper::{self, stepper},
        unread,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::{use_location, use_params_map, use_url};
use std::collections::BTreeSet;
use wire::rollouts::WizardPage as Model;

/// What the address says: the step and the plan so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The step shown.
    pub step: Step,
    /// The plan.
    pub draft: Draft,
    /// Whether the address holds a plan at all.
    planned: bool,
    /// Which devices were to go first, and why they can't; none when nobody asked, or they do.
    pub unfit_first: Option<(String, String)>,
    /// Which parts of the step are open, a stage by its number from 0; none where nothing says so.
    open: Option<BTreeSet<String>>,
}

impl Address {
    /// Reads a query string, buttons included: `go` leads to another step, `do` changes the selector or the stages.
    pub fn read(search: &str) -> Self {
        let pairs = query::pairs(search);
        let value = |key: &str| pairs.iter().rev().find(|p| p.0 == key).map(|p| p.1.as_str());
        let mut draft = Draft::read(search);
        let go = value("go").and_then(Step::named);
        // Another step has other parts.
        let said = go.is_none() && pairs.iter().any(|p| p.0 == "open");
        let all = pairs.iter().filter(|p| p.0 == "open" && !p.1.is_empty()).map(|p| p.1.clone());
        let mut open: Option<BTreeSet<String>> = said.then(|| all.collect());
        let mut unfit_first = None;
        match value("do") {
            Some("first") => {
                let first = value("first").unwrap_or_default();
                unfit_first = draft.first(first).err().map(|why| (first.to_owned(), why));
                open = open.filter(|_| unfit_first.is_some());
            }
            Some(what) => {
                if let Some(part) = what.strip_prefix(FOLD) {
                    open = Some(folded(open.unwrap_or_default(), part));
                } else if let Some(selector) = filtered(&draft.selector, what) {
                    draft.selector = selector;
                } else {
                    let before = draft.stages.len();
                    draft.apply(what);
                    open = left_open(open, what, (before, draft.stages.len()));
                }
            }
            None => {}
        }
        Self {
            step: go.or_else(|| value("step").and_then(Step::named)).unwrap_or(Step::Firmware),
            draft,
            planned: pairs.iter().any(|p| p.0 == "release" || p.0.starts_with("stages.")),
            unfit_first,
            open,
        }
    }

    /// Whether a part of the step is open, where nothing says which are `at_first`.
    pub fn is_open(&self, part: &str, at_first: bool) -> bool {
        self.open.as_ref().map_or(at_first, |open| open.contains(part))
    }

    /// The query string that leads to a step with this plan.
    pub fn query(&self, step: Step) -> String {
        format!("step={}&{}", step.word(), self.draft.write())
    }
}

/// Which parts are open after this one was closed, or opened.
fn folded(mut open: BTreeSet<String>, part: &str) -> BTreeSet<String> {
    if !open.remove(part) {
        open.insert(part.to_owned());
    }
    open
}

/// Which parts are open after `what` was done to the stages, of which there were so many before and are so many now. A stage stays open under another number,
/// and one that was only just added is open; other stages altogether are open as at first.
fn left_open(open: Option<BTreeSet<String>>, what: &str, (before, now): (usize, usize)) -> Option<BTreeSet<String>> {
    let renumbered = |open: BTreeSet<String>, number: &dyn Fn(usize) -> Option<usize>| -> BTreeSet<String> {
        let of = |part: String| match part.parse::<usize>() {
            Ok(stage) => number(stage).map(|stage| stage.to_string()),
            Err(_) => Some(part),
        };
        open.into_iter().filter_map(of).collect()
    };
    match what.split_once('.') {
        None if what == "add" && now > before => {
            // It stands in front of the last one.
            let new = now.saturating_sub(2);
            let open = open.unwrap_or_else(|| BTreeSet::from(["0".to_owned()]));
            let mut open = renumbered(open, &|stage| Some(if stage < new { stage } else { stage + 1 }));
            open.insert(new.to_string());
            Some(open)
        }
        Some(("remove", gone)) if now < before => {
            let gone = gone.parse::<usize>().unwrap_or(before);
            let number = |stage: usize| (stage != gone).then(|| if stage < gone { stage } else { stage - 1 });
            open.map(|open| renumbered(open, &number))
        }
        Some(("template", _)) => None,
        _ => open,
    }
}

/// `/rollouts/new?step=…` and `/rollouts/{id}/edit?step=…`
#[component]
pub fn WizardPage() -> AnyView {
    let params = use_params_map();
    let search = use_location().search;
    let id = Memo::new(move |_| params.with(|p| p.get("id")));
    let model = reading(move || {
        let at = Address::read(&search.get());
        let plan = if at.planned { at.draft.write() } else { String::new() };
        ReadWizard { plan, editing: id.get(), chosen: at.step == Step::Firmware }
    });
    let save = action::<SaveRollout>();
    let live = LivePreview::new(id);
    let ways = Completing::new("f-selector");
    Effect::new(move |before: Option<String>| {
        let now = search.get();
        if before.is_some_and(|before| before != now) {
            live.forget();
            match wanted(&now) {
                Some(id) => session::note_navigation_to(&id),
                None => session::note_navigation(),
            }
        }
        now
    });
    Effect::new(move |before: Option<()>| {
        let lost = refusal(save).is_some_and(|fault| matches!(fault.code.as_str(), "draw_used" | "draw_gone"));
        // What the page came with the server has drawn anew already.
        if before.is_some() && lost {
            live.ask_for(Address::read(&search.get_untracked()).draft);
        }
    });
    let own = use_url().with_untracked(|url| url.path().to_owned());
    let notice = unread::notice_by(move |path, search| if path == own { misread(search) } else { None });
    let content = page(model, move |model: Model| {
        let search = search.get_untracked();
        let path = id.get_untracked().map_or_else(|| "/rollouts/new".to_owned(), |id| format!("/rollouts/{id}/edit"));
        if let Some(query) = drawn(&model, &search) {
            keep(&path, &search, &query);
        }
        let model = StoredValue::new(model);
        // Another address is another form: inputs must not keep what was typed into the one before.
        view! {
            <For each=move || [search.clone()] key=String::clone let:search>
                {model.with_value(|model| content(model, &search, &path, save, (live, ways)))}
            </For>
        }
        .into_any()
    });
    view! { {notice}{content} }.into_any()
}

/// The query that says by what a plan is drawn, where its address says nothing of it yet: a reload names the same devices then.
fn drawn(model: &Model, search: &str) -> Option<String> {
    let at = Address::read(search);
    let draw = model.preview.as_ref()?.draw.as_ref().filter(|_| model.editing.is_none() && at.planned && at.draft.draw.is_empty())?;
    query::with(search, "draw", draw.as_str())
}

/// Gives the page this query in its address and leaves the page as it is, with what is typed into it. Nothing on the server, which has led to that
/// address itself.
fn keep(path: &str, search: &str, query: &str) {
    #[cfg(feature = "hydrate")]
    crate::ui::browser::rename(&format!("{path}?{}", search.trim_start_matches('?')), &format!("{path}?{query}"));
    #[cfg(not(feature = "hydrate"))]
    let _ = (path, search, query);
}

fn content(model: &Model, search: &str, path: &str, save: FormCall<SaveRollout>, (live, ways): (LivePreview, Completing)) -> AnyView {
    let mut at = Address::read(search);
    if let (false, Some(spec)) = (at.planned, &model.spec) {
        at.draft = Draft::of(spec);
    }
    // Every step goes on with the draw of the first preview, and the draft is made with it.
    if let (None, Some(draw)) = (&model.editing, model.preview.as_ref().and_then(|p| p.draw.as_ref())) {
        at.draft.draw = draw.to_string();
    }
    let title = if model.editing.is_some() { format!("Edit {}", at.draft.name) } else { "New rollout".to_owned() };
    let problems = {
        let own = at.draft.spec().err().unwrap_or_default();
        own.into_iter().chain(model.preview.iter().flat_map(|p| p.problems.clone())).collect::<Vec<_>>()
    };
    let steps = Step::ALL
        .into_iter()
        .map(|step| {
            let wrong = problems.iter().any(|p| Step::of_field(&p.field) == step);
            let behind = Step::ALL.iter().position(|s| *s == step) < Step::ALL.iter().position(|s| *s == at.step);
            stepper::Step {
                href: format!("{path}?{}", at.query(step)),
                label: step.label(),
                done: behind && !wrong,
                current: step == at.step,
            }
        })
        .collect();
    let form = if at.step == Step::Review {
        review(&at, model, save, format!("{path}?{}", at.query(Step::Gates)), live)
    } else {
        step_form(&at, path, model, &problems, (live, ways))
    };
    let aside = aside(&at, model, path, live);
    let class = if aside.is_some() { "split mt-4" } else { "mt-4" };
    view! {
        <PageHead title=title/>
        {stepper(steps)}
        <div class=class>
            <div on:input=move |event| live.typed(&event)>{form}</div>
            {aside}
        </div>
    }
    .into_any()
}

/// What stands beside a step: of the firmware the release that is chosen, of all others what the plan would do.
fn aside(at: &Address, model: &Model, path: &str, live: LivePreview) -> Option<AnyView> {
    let known = model.preview.clone();
    if at.step != Step::Firmware {
        let (path, at) = (path.to_owned(), at.clone());
        let shown = move || {
            let link = |step| format!("{path}?{}", at.query(step));
            match live.latest() {
                Some(Ok(fresh)) => pane(Some(&fresh), &[], link),
                Some(Err(draft)) => pane(None, &draft.spec().err().unwrap_or_default(), link),
                None => pane(known.as_ref(), &at.draft.spec().err().unwrap_or_default(), link),
            }
        };
        return Some(shown.into_any());
    }
    let (chosen, releases) = (model.chosen.clone(), model.releases.clone());
    let shown = move || {
        let (found, state) = (live.release(), live.latest());
        // What was only just chosen is being counted, unless something else in the plan can't be read.
        let counting = match &state {
            Some(Ok(fresh)) => fresh.fit.is_some(),
            Some(Err(_)) => false,
            None => found.is_some(),
        };
        let fresh = state.and_then(Result::ok);
        chosen_card(found.as_ref().or(chosen.as_ref()), (fresh.as_ref().or(known.as_ref()), counting), &releases)
    };
    (!model.releases.is_empty()).then(|| shown.into_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::rollouts::Preview;

    #[test]
    fn buttons_win_over_the_step_they_stand_in() {
        let at = Address::read("?step=stages&go=gates&stages.0.name=A&stages.0.reach=100&do=add");
        assert_eq!(at.step, Step::Gates);
        assert_eq!(at.draft.stages.len(), 2);
        assert!(at.planned && at.is_open("0", false), "the one that is new");
        assert!(!Address::read("").planned);
        assert_eq!(Address::read(&at.query(Step::Review)).draft, at.draft);
    }

    #[test]
    fn what_was_left_open_stays_so_under_whichever_number() {
        let three = "?step=stages&stages.0.reach=10&stages.1.reach=50&stages.2.reach=100";
        let open = |more: &str| {
            let at = Address::read(&format!("{three}{more}"));
            (0..4).filter(|n| at.is_open(&n.to_string(), *n == 0)).collect::<Vec<_>>()
        };
        assert_eq!(open(""), [0], "the first one, where nothing says which");
        assert_eq!(open("&open="), [0; 0]);
        assert_eq!(open("&open=&open=1&open=2&do=preview"), [1, 2]);
        assert_eq!(open("&open=&open=1&open=2&do=add"), [1, 2, 3], "the new one stands in front of the last");
        assert_eq!(open("&do=add"), [0, 2]);
        assert_eq!(open("&open=&open=0&open=2&do=remove.1"), [0, 1]);
        assert_eq!(open("&open=&open=0&open=2&do=remove.0"), [1]);
        assert_eq!(open("&open=&open=2&do=template.canary"), [0], "other stages");
        assert_eq!(open("&open=&open=2&do=first&first=attr.site%3Arotterdam"), [0]);
        assert_eq!(open("&open=&open=2&do=first&first=tag%3A"), [2], "the plan stays");
        assert_eq!(open("&open=&open=2&go=gates"), [0], "another step has other parts");
        let at = Address::read(&format!("{three}&open=&open=order&do=add"));
        assert!(at.is_open("order", false) && !at.is_open("window", false), "settings too");
    }

    #[test]
    fn a_part_is_opened_and_closed_by_a_button_too() {
        let three = "?step=stages&stages.0.reach=10&stages.1.reach=50&stages.2.reach=100";
        let open = |more: &str| {
            let at = Address::read(&format!("{three}{more}"));
            (0..3).filter(|n| at.is_open(&n.to_string(), *n == 0)).collect::<Vec<_>>()
        };
        assert_eq!(open("&open=&open=0&do=fold.2"), [0, 2]);
        assert_eq!(open("&open=&open=0&open=2&do=fold.0"), [2]);
        assert_eq!(open("&open=&open=2&do=fold.2"), [0; 0], "all are closed");
        assert_eq!(Address::read(&format!("{three}&open=&do=fold.2")).draft.stages.len(), 3, "the plan stays");
        assert!(Address::read(&format!("{three}&open=&do=fold.budget.attribute")).is_open("budget.attribute", false));
    }

    #[test]
    fn a_filter_is_a_button_of_the_form() {
        let at = Address::read("?step=devices&release=x&selector=-tag%3Alab&do=with.tag%3Aeu");
        assert_eq!((at.step, at.draft.selector.as_str()), (Step::Devices, "-tag:lab tag:eu"));
    }

    #[test]
    fn one_site_goes_first_where_it_is_said_which() {
        let at = Address::read("?step=stages&release=x&stages.0.reach=100&do=first&first=attr.site%3Arotterdam");
        assert_eq!((at.draft.stages[0].reach.as_str(), at.unfit_first), ("attr.site:rotterdam", None));
        let unsaid = Address::read("?step=stages&release=x&stages.0.reach=100&do=first&first=tag%3A");
        assert_eq!(unsaid.draft.stages.len(), 1, "the plan stays");
        let (text, why) = unsaid.unfit_first.unwrap();
        assert!(text == "tag:" && why.starts_with("At character 5"), "{why}");
    }

    #[test]
    fn an_address_says_by_what_its_plan_is_drawn() {
        let draw: wire::ids::RolloutId = "rol_0193a0b0c0d0e0f0a1b1c1d1e1f1a2b2".parse().unwrap();
        let preview = Preview { draw: Some(draw.clone()), ..Preview::default() };
        let model = Model { preview: Some(preview), ..Model::default() };
        let search = "?step=review&stages.0.reach=100";
        let query = drawn(&model, search).unwrap();
        assert_eq!(query, format!("step=review&stages.0.reach=100&draw={draw}"));
        assert_eq!(drawn(&model, &query), None, "once");
        assert_eq!(drawn(&model, "?step=firmware"), None, "there is no plan yet");
        assert_eq!(drawn(&Model { editing: Some((draw, 1)), ..model }, search), None, "a plan that is kept has its own");
    }

    #[test]
    fn every_input_has_a_step() {
        let draft = Draft::read("");
        for (name, _) in draft.pairs() {
            let step = Step::of_field(&name);
            assert_eq!(step == Step::Gates, name.contains(".gate.") || name.starts_with("gate.") || name == "way_back", "{name}");
        }
    }
}
