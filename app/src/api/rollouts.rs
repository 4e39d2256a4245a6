//! Rollouts as the console reads and changes them.

#![expect(
    clippy::too_many_arguments,
    reason = "a server function has one for each input of its form, and its macro writes another such function"
)]

use super::{fault::ApiFault, packed::Packed};
#[cfg(feature = "ssr")]
use crate::plan::Draft;
use leptos::{prelude::*, server_fn::codec::GetUrl};
#[cfg(feature = "ssr")]
use wire::{rollouts::SelectorSuggestion, selector::Field};
use wire::{
    rollouts::{UpdateQuery, Verb},
    states::RolloutState,
};

/// A choice in an address; none is the first there is.
#[cfg(feature = "ssr")]
pub(super) fn word<T: std::str::FromStr + Default>(call: &super::caller::Call, text: &str) -> Result<T, ApiFault> {
    if text.is_empty() {
        return Ok(T::default());
    }
    text.parse().map_err(|_| call.refuse(ApiFault::new(wire::FaultKind::Invalid, "unknown_filter", "There is no such list.")))
}

/// A page of the list, a [`wire::rollouts::RolloutsPage`]. `tab` is a [`wire::rollouts::Tab`]'s word or empty for all; an empty `cursor` is the first page;
/// `q` is in the name, the version or the device type.
#[server(prefix = "/rpc", endpoint = "/rollouts", input = GetUrl)]
pub async fn read_rollouts(tab: String, cursor: String, #[server(default)] q: String) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let cursor = (!cursor.is_empty()).then_some(cursor);
    let tab = word::<wire::rollouts::Tab>(&call, &tab)?;
    call.model(call.fleet.rollouts().search(&call.actor, &q, cursor.as_deref(), tab, wire::page::DEFAULT_ROWS).await)
}

/// A rollout and some of its devices, as [`wire::rollouts::RolloutPage`].
#[server(prefix = "/rpc", endpoint = "/rollout", input = GetUrl)]
pub async fn read_rollout(id: String, query: UpdateQuery) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::RolloutId = call.id(&id)?;
    call.model(call.fleet.rollouts().page(&call.actor, &id, &query).await)
}

/// The wizard, a [`wire::rollouts::WizardPage`]: what can be chosen, and what the plan so far would do. With `editing` and no plan it begins with the
/// plan of that rollout; with `chosen` it tells all of the release that the plan has.
#[server(prefix = "/rpc", endpoint = "/rollout_wizard", input = GetUrl)]
pub async fn read_wizard(
    plan: String,
    #[server(default)] editing: Option<String>,
    #[server(default)] chosen: bool,
) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let draft = (!plan.is_empty()).then(|| Draft::read(&plan));
    let (spec, draw) = (draft.as_ref().and_then(|d| d.spec().ok()), draft.as_ref().and_then(draw_of));
    let release = draft.as_ref().and_then(|d| d.release.parse::<wire::ids::ReleaseId>().ok());
    let editing = editing.map(|id| call.id::<wire::ids::RolloutId>(&id)).transpose()?;
    let read = Box::pin(call.fleet.rollouts().wizard(&call.actor, spec, editing.as_ref(), draw.as_ref(), release.as_ref())).await;
    let mut page = call.answer(read)?;
    page.facets = call.answer(call.fleet.devices().facet_counts_at_once(&call.actor).await)?;
    if let Some(facets) = &page.facets {
        for (field, counts) in [(Field::Group, &facets.groups), (Field::Tag, &facets.tags)] {
            page.suggestions.extend(SelectorSuggestion::each(&field, counts));
        }
    }
    let release = if draft.is_some() { release } else { page.spec.as_ref().map(|spec| spec.release.clone()) };
    if let Some(id) = release.filter(|_| chosen) {
        page.chosen = match call.fleet.release_detail(&call.actor, &id).await {
            Ok(found) => Some(found),
            // The plan's own problems say so.
            Err(e) if e.fault().kind == wire::FaultKind::NotFound => None,
            Err(e) => return Err(call.refuse(e.into())),
        };
    }
    // The address of a plan says by what it is drawn, so that a reload names the same devices.
    let drawn = page.preview.as_ref().filter(|_| editing.is_none()).and_then(|preview| preview.draw.as_ref());
    if let Some(draw) = drawn {
        call.lead_page(|search| crate::plan::query::with(search, "draw", draw.as_str()));
    }
    Packed::of(&page)
}

/// What a plan would do as of now: a [`wire::rollouts::Preview`]. Changes nothing. With the rollout whose plan is edited it is by that one's own draw.
#[server(prefix = "/rpc", endpoint = "/rollout_preview", input = GetUrl)]
pub async fn preview_rollout(plan: String, #[server(default)] editing: Option<String>) -> Result<Packed, ApiFault> {
    let call = super::caller::caller()?;
    let (spec, draw) = plan_of(&call, &plan)?;
    let editing = editing.map(|id| call.id::<wire::ids::RolloutId>(&id)).transpose()?;
    let rollouts = call.fleet.rollouts();
    let preview = match &editing {
        Some(id) => rollouts.preview_as(&call.actor, id, &spec).await,
        None => rollouts.preview_drawn(&call.actor, draw.as_ref(), &spec).await,
    };
    call.model(preview)
}

/// The draw of the preview that a plan had; one that can't be read is none.
#[cfg(feature = "ssr")]
fn draw_of(draft: &Draft) -> Option<wire::ids::RolloutId> {
    draft.draw.parse().ok()
}

#[cfg(feature = "ssr")]
fn plan_of(call: &super::caller::Call, plan: &str) -> Result<(wire::rollouts::RolloutSpec, Option<wire::ids::RolloutId>), ApiFault> {
    let unread = "The plan could not be read. Go back one step and try again.";
    let draft = Draft::read(plan);
    let draw = draw_of(&draft);
    draft.spec().map(|spec| (spec, draw)).map_err(|_| call.refuse(ApiFault::new(wire::FaultKind::Invalid, "bad_plan", unread)))
}

/// Keeps a plan (`plan`, a [`crate::plan::Draft`] as a query string) as a draft, and with `then` = `submit` asks for its approval at once. With an `id` it
/// changes that rollout, if it is still at `generation`; approvals it had are void then. Leads to the rollout's page.
#[server(prefix = "/rpc", endpoint = "/rollout_save")]
pub async fn save_rollout(plan: String, reason: String, id: String, generation: i64, then: String) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let (mut spec, draw) = plan_of(&call, &plan)?;
    spec.reason = reason;
    let rollouts = call.fleet.rollouts();
    let id = if id.is_empty() {
        call.answer(rollouts.draft_drawn(&call.actor, draw, spec).await)?
    } else {
        let id: wire::ids::RolloutId = call.id(&id)?;
        call.answer(rollouts.edit(&call.actor, &id, generation, spec).await)?;
        id
    };
    if then == "submit" {
        call.answer(rollouts.submit(&call.actor, &id).await)?;
    }
    call.lead_to(&format!("/rollouts/{id}"));
    Ok(())
}

/// Whether the rollout's name is typed before `verb` is done to it in this state.
pub const fn asks_for_name(verb: Verb, state: RolloutState) -> bool {
    matches!((verb, state), (Verb::Stop | Verb::RollBack | Verb::BreakGlass, _) | (Verb::Resume, RolloutState::Halted))
}

/// Whether an order means something else in another stage than the one that was seen.
pub const fn about_its_stage(verb: Verb) -> bool {
    matches!(verb, Verb::Promote | Verb::Resume)
}

/// Does `verb` to a rollout. A decision is about `digest`, the plan as it was read; `reason` is its remark, otherwise why, where it
/// [has to be said](Verb::asks_for_reason); `confirm` repeats the name where [`asks_for_name`]. `stage` is the current one as it was seen, where the order is
/// [about a stage](about_its_stage); 0 for whichever it is by now. `classes` are words of [`wire::rollouts::EndClass`]: a retry is of the devices whose updates
/// ended like that. Leads to `back`, a path of the console.
#[server(prefix = "/rpc", endpoint = "/rollout_act")]
pub async fn act_on_rollout(
    id: String,
    verb: String,
    #[server(default)] digest: String,
    #[server(default)] reason: String,
    #[server(default)] confirm: String,
    #[server(default)] back: String,
    #[server(default)] stage: u32,
    #[server(default)] classes: Vec<String>,
) -> Result<(), ApiFault> {
    let call = super::caller::caller()?;
    let id: wire::ids::RolloutId = call.id(&id)?;
    let (rollouts, actor) = (call.fleet.rollouts(), &call.actor);
    let unknown =
        || call.refuse(ApiFault::new(wire::FaultKind::Invalid, "unknown_verb", "There is nothing of this name to do to a rollout."));
    let verb: Verb = verb.parse().map_err(|_| unknown())?;
    if matches!(verb, Verb::Stop | Verb::Resume | Verb::RollBack | Verb::BreakGlass) {
        let row = call.answer(rollouts.detail(actor, &id).await)?.row;
        if asks_for_name(verb, row.state) {
            call.confirmed(&confirm, &row.name)?;
        }
    }
    let digest = if digest.is_empty() { None } else { Some(call.id(&digest)?) };
    let classes = classes.iter().map(|word| word.parse::<wire::rollouts::EndClass>()).collect::<Result<Vec<_>, _>>();
    let classes = classes.map_err(|e| call.invalid("classes", format!("{e}.")))?;
    let saw = fleet::rollouts::Saw {
        digest: digest.as_ref(),
        stage: (stage > 0).then_some(stage),
        // Whoever asks for it here has chosen, and be it nobody.
        classes: (verb == Verb::Retry).then_some(&*classes),
    };
    let done = rollouts.act_on(actor, &id, verb, saw, &reason).await;
    call.answer(done)?;
    call.lead_to(super::session::local(&back, "/rollouts"));
    Ok(())
}
