//! The devices of a rollout, of all stages or one: where each of them is; searched, by how they ended, and in the order that people want.

use super::choice::Choice;
use crate::{
    pages::words,
    ui::{
        Column, chip,
        completion::Completing,
        empty, facet, icon,
        number::{counted, grouped},
        page::{behind, card_flush},
        pager, status, table,
        table::Order,
        time,
    },
};
use leptos::prelude::*;
use wire::{
    rollouts::{Counts, RolloutPage, Show, UpdateRow, UpdateSort},
    states::UpdateState,
    updates::UpdateFailure,
};

/// The orders there are to choose from, with what they are called.
const ORDERS: [(UpdateSort, &str); 5] = [
    (UpdateSort::Joined, "As they joined the fleet"),
    (UpdateSort::Device, "By their ids"),
    (UpdateSort::State, "By how far they are"),
    (UpdateSort::Version, "By what they ran before"),
    (UpdateSort::ChangedDesc, "What changed last in front"),
];

/// Why a list keeps its order, and what to do.
const TOO_MANY: &str = " Too many devices would have to be looked at to put them in another order: choose how they fare or how their updates ended, or search for a few by id, tag or group.";

/// The box with the chosen devices.
pub fn devices(model: &RolloutPage, choice: &Choice, ways: Completing) -> AnyView {
    let r = &model.rollout;
    let id = r.row.id.to_string();
    let stage = r.stages.iter().find(|s| s.number == choice.stage);
    let counts = in_the_fleet(stage.map_or(r.row.counts, |s| s.counts), &model.gone);
    let title = stage.map_or_else(|| "Devices of all stages".to_owned(), |s| format!("Devices of stage {}, {}", s.number, s.spec.name));
    let everywhere = Choice { stage: 0, ..choice.clone() }.address(&id);
    let all = stage.is_some().then(|| view! { <a href=everywhere>"All stages"</a> });
    let aside = view! { {all}{filter(&id, choice, &counts, r.row.state.ended())} }.into_any();
    let shown = i64::try_from(model.updates.items.len()).unwrap_or(0);
    let body = if model.updates.items.is_empty() { nobody(model, choice, &id) } else { rows(model, choice, &id, &title) };
    let walked = walked(model, choice);
    let next = model.updates.next.as_ref().map(|cursor| walked.page(&id, choice.before + shown, cursor));
    let first = (choice.before > 0).then(|| walked.address(&id));
    let gone = (model.gone.total > 0).then(|| {
        let text = format!(
            "{} left the fleet since and {} not listed; they count in the stages, and are in the report.",
            counted(model.gone.total, "device", "devices"),
            if model.gone.total == 1 { "is" } else { "are" }
        );
        view! { <p class="small text-2 mt-2">{text}</p> }
    });
    let missed = missed(model, &counts).map(|text| view! { <p class="small text-2 mt-2">{text}</p> });
    let order = (shown > 1 && (!model.sorts || choice.sort == UpdateSort::Joined)).then(|| {
        let longer = (!model.sorts && r.row.stage > 0).then_some(TOO_MANY);
        view! { <p class="small text-2 mt-2">"In the order in which they joined the fleet."{longer}</p> }
    });
    view! {
        <div>
            {filter_bar(model, choice, &id, &counts, ways)}
            {card_flush(title.clone(), Some(aside), body)}
            {missed}
            {gone}
            {order}
            {pager(choice.before, shown, model.updates.total, first, next)}
        </div>
    }
    .into_any()
}

/// What the links between pages choose: the order that the list came in. Filters keep the one that was asked for, because fewer devices can be put into it.
fn walked(model: &RolloutPage, choice: &Choice) -> Choice {
    if model.sorts { choice.clone() } else { Choice { sort: UpdateSort::Joined, ..choice.clone() } }
}

/// How many a rollout that has ended did not reach; nothing where there are none. Which devices those were is not kept.
fn missed(model: &RolloutPage, counts: &Counts) -> Option<String> {
    let missed = counts.waiting;
    (model.rollout.row.state.ended() && missed > 0).then(|| {
        let (devices, were) = (counted(missed, "device", "devices"), if missed == 1 { "was" } else { "were" });
        format!("{devices} {were} not reached before the rollout ended: counted, and not listed here or in the report.")
    })
}

/// What is said where nobody is listed, and how to see others.
fn nobody(model: &RolloutPage, choice: &Choice, id: &str) -> AnyView {
    let way = |to: Choice, label: &'static str| Some(view! { <a class="btn" href=to.address(id)>{label}</a> }.into_any());
    if let Some(error) = &model.selector_error {
        let title = format!("The search is not understood at character {}", error.position + 1);
        let clear = way(Choice { q: String::new(), ..choice.clone() }, "Clear the search");
        return empty("circle-alert", title, error.advice(), clear);
    }
    let others = Choice { stage: choice.stage, sort: choice.sort, ..Choice::default() };
    if choice.before > 0 {
        return behind(choice.address(id));
    }
    if choice.narrows() {
        return empty("search", "No device matches", "Take a filter away, or search for a part of an id.", way(others, "Clear filters"));
    }
    if choice.show == Show::All {
        return empty("cpu", "No devices here", "Who is in a stage is settled when it begins.", None);
    }
    let text = if model.rollout.row.state.ended() && choice.show == Show::Waiting {
        "The rollout has ended: nobody waits for it any more."
    } else {
        "Nobody is there right now."
    };
    empty("cpu", "No devices here", text, way(others, "Show all"))
}

/// The search, how updates ended, the order, and what the list is narrowed to. Before anybody is in a stage there is nothing to look for.
fn filter_bar(model: &RolloutPage, choice: &Choice, id: &str, counts: &Counts, ways: Completing) -> AnyView {
    if model.rollout.row.stage == 0 {
        return ().into_any();
    }
    let link = |href: String, label: &'static str, current: bool, count: Option<i64>| {
        let count = count.map(|n| view! { " "<span class="count">{grouped(n)}</span> });
        view! { <a href=href aria-current=current.then_some("true")>{current.then(|| icon("check"))}{label}{count}</a> }
    };
    let outcomes = UpdateFailure::ALL.iter().map(|outcome| {
        let to = Choice { outcome: Some(*outcome), show: Show::All, ..choice.clone() };
        link(to.address(id), words::failure(*outcome).1, choice.outcome == Some(*outcome), ended(counts, *outcome))
    });
    let outcomes = outcomes.collect_view().into_any();
    let orders = ORDERS.map(|(sort, label)| {
        let to = Choice { sort, ..choice.clone() };
        link(to.address(id), label, choice.sort == sort, None)
    });
    let orders = model.sorts.then(|| facet("Order", orders.into_iter().collect_view().into_any()));
    let ended_as = choice.outcome.map(|outcome| {
        let without = Choice { outcome: None, ..choice.clone() };
        chip("outcome", words::failure(outcome).1, without.address(id))
    });
    let hidden = choice.pairs().into_iter().filter(|(name, _)| *name != "q");
    let hidden = hidden.map(|(name, value)| view! { <input type="hidden" name=name value=value/> }).collect_view();
    view! {
        <form class="filters" method="get" action=format!("/rollouts/{id}") role="search">
            {ways.search("Search devices of this rollout", "Search, or filter: gw-17 tag:eu -online:yes", &choice.q)}
            {hidden}
            {facet("Outcome", outcomes)}
            {orders}
            {ended_as}
        </form>
    }
    .into_any()
}

/// How many ended like this; of those that went dark and those that were cancelled nothing is counted beside the others.
const fn ended(c: &Counts, outcome: UpdateFailure) -> Option<i64> {
    match outcome {
        UpdateFailure::Failed => Some(c.failed),
        UpdateFailure::TimedOut => Some(c.timed_out),
        UpdateFailure::Reverted => Some(c.reverted),
        UpdateFailure::Rejected => Some(c.rejected),
        UpdateFailure::WentDark | UpdateFailure::Cancelled => None,
    }
}

/// Why devices of the chosen stage did not make it, the most frequent reason first; nothing while all go well.
pub fn failures(model: &RolloutPage, choice: &Choice) -> AnyView {
    if model.failures.is_empty() {
        return ().into_any();
    }
    let columns = vec![Column::text("How it ended"), Column::text("Code"), Column::text("One of them said"), Column::number("Devices")];
    let rows = model
        .failures
        .iter()
        .map(|f| {
            let (tone, word) = words::update(f.state);
            let code = if f.code.is_empty() { "–".to_owned() } else { f.code.clone() };
            view! {
                <tr>
                    <th scope="row">{status(tone, word)}</th>
                    <td class="mono">{code}</td>
                    <td class="dim clip" title=f.detail.clone()>{f.detail.clone()}</td>
                    <td class="num">{grouped(f.devices)}</td>
                </tr>
            }
        })
        .collect_view();
    let them = Choice { stage: choice.stage, show: Show::Failed, ..Choice::default() }.address(&model.rollout.row.id.to_string());
    let all = view! { <a href=them>"Show them"</a> };
    card_flush("Why devices did not make it", Some(all.into_any()), table("Failures by reason", columns, rows.into_any()))
}

/// Pure: counts without the devices that have left the fleet.
fn in_the_fleet(c: Counts, gone: &Counts) -> Counts {
    let less = |n: i64, gone: i64| (n - gone).max(0);
    Counts {
        total: less(c.total, gone.total),
        updating: less(c.updating, gone.updating),
        succeeded: less(c.succeeded, gone.succeeded),
        failed: less(c.failed, gone.failed),
        reverted: less(c.reverted, gone.reverted),
        timed_out: less(c.timed_out, gone.timed_out),
        rejected: less(c.rejected, gone.rejected),
        ..c
    }
}

/// `ended`: whoever waits still was not reached, and no longer waits.
fn filter(id: &str, choice: &Choice, c: &Counts, ended: bool) -> AnyView {
    let links = [
        (Show::All, "All", c.total),
        (Show::Updating, "Updating", c.updating),
        (Show::Failed, "Failed", c.errors()),
        (Show::Succeeded, "Done", c.succeeded),
        (Show::Waiting, if ended { "Not reached" } else { "Waiting" }, c.waiting),
    ]
    .map(|(show, label, n)| {
        let current = (show == choice.show && choice.outcome.is_none()).then_some("true");
        let to = Choice { show, outcome: None, ..choice.clone() };
        view! { <a href=to.address(id) aria-current=current>{label}<span class="count">{grouped(n)}</span></a> }
    });
    view! { <nav class="seg" aria-label="Show">{links.into_iter().collect_view()}</nav> }.into_any()
}

/// The head of a column that the list can be sorted by, `first` being the order that it is put into at first.
fn sorted(label: &'static str, choice: &Choice, id: &str, first: UpdateSort, other: UpdateSort) -> Column {
    let order = if choice.sort != first && choice.sort != other {
        Order::None
    } else if choice.sort.descends() {
        Order::Descending
    } else {
        Order::Ascending
    };
    let next = if choice.sort == first { other } else { first };
    Column::text(label).sorted(order, Choice { sort: next, ..choice.clone() }.address(id))
}

fn rows(model: &RolloutPage, choice: &Choice, id: &str, caption: &str) -> AnyView {
    use UpdateSort as S;
    let version = model.rollout.row.version.as_str();
    let by = |label, first, other| if model.sorts { sorted(label, choice, id, first, other) } else { Column::text(label) };
    let columns = vec![
        by("Device", S::Device, S::DeviceDesc),
        by("State", S::State, S::StateDesc),
        Column::number("Stage"),
        Column::number("Tries"),
        Column::text("Progress"),
        Column::text("Detail"),
        by("Changed", S::ChangedDesc, S::Changed),
    ];
    let rows = model
        .updates
        .items
        .iter()
        .map(|u| {
            let (tone, word) = words::update(u.state);
            let from = if u.from_version.is_empty() { "unknown".to_owned() } else { u.from_version.clone() };
            let offline = (!u.online && !u.state.finished()).then_some("offline");
            let detail = match (u.detail.is_empty(), offline) {
                (true, Some(word)) => word.to_owned(),
                (false, Some(word)) => format!("{} · {word}", u.detail),
                (_, None) => u.detail.clone(),
            };
            let why = (u.state == UpdateState::Queued).then(|| {
                let between = (!detail.is_empty()).then_some(" · ");
                view! { <a href=format!("/devices/{}/firmware", u.device_id)>"Why it waits"</a>{between} }
            });
            view! {
                <tr>
                    <th scope="row">
                        <a class="main mono" href=format!("/devices/{}", u.device_id)>{u.device_id.to_string()}</a>
                        <div class="small text-2 mono nowrap">{format!("{from} → {version}")}</div>
                    </th>
                    <td>{status(tone, word)}</td>
                    <td class="num">{u.stage}</td>
                    <td class="num">{u.attempts}</td>
                    <td>{bar(u)}</td>
                    <td class="dim clip" title=detail.clone()>{why}{detail.clone()}</td>
                    <td class="dim">{time::ago_or(u.updated_at, "–")}</td>
                </tr>
            }
        })
        .collect_view();
    table(caption, columns, rows.into_any())
}

/// The bar of the whole update: half of it is the download, the rest follows the state.
fn bar(u: &UpdateRow) -> AnyView {
    let value = progress(u.state, u.progress);
    let tone = if u.state.error() {
        "bad"
    } else if u.state == UpdateState::Succeeded {
        "ok"
    } else {
        "info"
    };
    view! { <progress class="bar" data-s=tone max="100" value=value aria-label=format!("Update of {}", u.device_id)></progress> }.into_any()
}

/// Pure: percent of the whole update, from the state and the percentage of its step.
fn progress(state: UpdateState, step: Option<i64>) -> i64 {
    use UpdateState as S;
    let within = |from: i64, to: i64| from + (to - from) * step.unwrap_or(0).clamp(0, 100) / 100;
    match state {
        S::Queued | S::Cancelled | S::Superseded | S::NotApplicable | S::AwaitingWindow | S::AwaitingConfirmation => 0,
        S::Offered => 3,
        S::Downloading => within(5, 50),
        S::Downloaded => 50,
        S::Installing => within(50, 80),
        S::Rebooting => 85,
        S::Verifying => 92,
        S::Succeeded | S::Failed | S::Rejected | S::TimedOut | S::Reverted => 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_never_runs_back_on_the_way() {
        use UpdateState as S;
        let way = [
            (S::Queued, None),
            (S::Offered, None),
            (S::Downloading, Some(0)),
            (S::Downloading, Some(100)),
            (S::Downloaded, None),
            (S::Installing, Some(50)),
            (S::Rebooting, None),
            (S::Verifying, None),
            (S::Succeeded, None),
        ];
        let bars: Vec<_> = way.iter().map(|(s, p)| progress(*s, *p)).collect();
        assert!(bars.is_sorted(), "{bars:?}");
        assert_eq!(progress(S::Downloading, Some(900)), 50);
    }
}
